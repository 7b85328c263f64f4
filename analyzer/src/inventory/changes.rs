//! The change log: what became different, when, and where it was seen. Bounded; the oldest is forgotten first, and counted.

use crate::hot::owned::{IdentityKey, Seen};
use citytap_sensor::observation::{Attribute, Role};
use std::collections::VecDeque;

/// One change of what is known about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it was seen.
    pub seen: Seen,
    /// The name; [`super::Inventory::device_at`] says whose it was then.
    pub subject: IdentityKey,
    /// What changed.
    pub kind: ChangeKind,
}

/// What can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// An attribute read from one field has another value than before.
    Value {
        /// The attribute.
        attribute: Attribute,
        /// The field it is read from.
        field: &'static str,
        /// The value before.
        from: Box<str>,
        /// The value now.
        to: Box<str>,
    },
    /// It does something for the first time.
    Role(Role),
    /// It serves a protocol for the first time.
    Service {
        /// The protocol.
        protocol: &'static str,
        /// The port, where there is one.
        port: Option<u16>,
    },
    /// Something shows for the first time that it is one device with another name.
    Linked {
        /// The other name, as text.
        to: Box<str>,
        /// What shows it.
        basis: &'static str,
    },
}

/// The log.
pub(super) struct Changes {
    log: VecDeque<Change>,
    bound: usize,
    forgotten: u64,
}

impl Changes {
    pub(super) fn new(bound: usize) -> Self {
        Self { log: VecDeque::new(), bound, forgotten: 0 }
    }

    pub(super) fn note(&mut self, subject: &IdentityKey, kind: ChangeKind, seen: Seen) {
        if self.bound == 0 {
            self.forgotten += 1;
            return;
        }
        if self.log.len() >= self.bound {
            self.log.pop_front();
            self.forgotten += 1;
        }
        self.log.push_back(Change { seen, subject: subject.clone(), kind });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Change> + '_ {
        self.log.iter()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
