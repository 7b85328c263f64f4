//! What is open in one connection: exchanges by packet identifier, topic filters that wait for their answer, topic aliases.

use super::{ALIAS_BYTES, ALIASES, IN_FLIGHT, WAITING_FILTER_BYTES, WAITING_REQUESTS};
use crate::counters::Counter;
use crate::flow::Direction;
use crate::protocols::Cx;
use crate::time::{Nanos, Timestamp};

/// What an exchange waits for (§4.3, §3.8, §3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// PUBLISH at QoS 1 was sent: PUBACK.
    Puback,
    /// PUBLISH at QoS 2 was sent: PUBREC.
    Pubrec,
    /// PUBREC was sent: PUBREL.
    Pubrel,
    /// PUBREL was sent: PUBCOMP.
    Pubcomp,
    /// SUBSCRIBE was sent: SUBACK.
    Suback,
    /// UNSUBSCRIBE was sent: UNSUBACK.
    Unsuback,
}

struct Exchange {
    id: u16,
    waits: Waits,
    since: Timestamp,
    /// How often it was begun anew before its end: so many answers more may come.
    again: u8,
}

/// Exchanges begun in one direction, at most [`IN_FLIGHT`]; the oldest gives way.
#[derive(Default)]
pub(super) struct Exchanges {
    open: Vec<Exchange>,
    /// Some gave way: an answer without its request proves nothing any more.
    pub(super) lossy: bool,
}

impl Exchanges {
    /// Begins an exchange. Answers whether the identifier was free.
    pub(super) fn begin(&mut self, id: u16, waits: Waits, cx: &mut Cx<'_>) -> bool {
        let now = cx.now();
        if let Some(exchange) = self.open.iter_mut().find(|exchange| exchange.id == id) {
            let again = if exchange.waits == waits { exchange.again.saturating_add(1) } else { 0 };
            *exchange = Exchange { id, waits, since: now, again };
            return false;
        }
        if self.open.len() >= IN_FLIGHT {
            self.open.remove(0);
            self.lossy = true;
            cx.count(Counter::SessionEntriesDropped, 1);
        }
        self.open.push(Exchange { id, waits, since: now, again: 0 });
        true
    }

    /// Takes an answer: the exchange goes on to `next`, or ends. Answers the time that it waited; `None`: it was not open.
    pub(super) fn answer(&mut self, id: u16, waited_for: Waits, next: Option<Waits>, now: Timestamp) -> Option<Nanos> {
        let at = self.open.iter().position(|exchange| exchange.id == id && exchange.waits == waited_for)?;
        let exchange = self.open.get_mut(at)?;
        let waited = now.since(exchange.since);
        match next {
            None if exchange.again > 0 => exchange.again -= 1,
            Some(next) => (exchange.waits, exchange.since) = (next, now),
            None => drop(self.open.remove(at)),
        }
        Some(waited)
    }

    /// Whether an exchange with this identifier is open.
    pub(super) fn has(&self, id: u16) -> bool {
        self.open.iter().any(|exchange| exchange.id == id)
    }

    /// Whether an exchange of QoS 2 waits longer than `patience`.
    pub(super) fn stuck(&self, now: Timestamp, patience: Nanos) -> bool {
        self.open.iter().any(|exchange| {
            matches!(exchange.waits, Waits::Pubrec | Waits::Pubrel | Waits::Pubcomp) && now.since(exchange.since) > patience
        })
    }
}

/// Topic filters of requests that were not answered yet, so that the answer can say what was granted.
#[derive(Default)]
pub(super) struct WaitingFilters {
    requests: Vec<(u16, Vec<String>)>,
}

impl WaitingFilters {
    /// Keeps the filters of a request, within [`WAITING_REQUESTS`] and [`WAITING_FILTER_BYTES`].
    pub(super) fn keep<'f>(&mut self, id: u16, filters: impl Iterator<Item = &'f str>, cx: &mut Cx<'_>) {
        self.requests.retain(|(kept, _)| *kept != id);
        if self.requests.len() >= WAITING_REQUESTS {
            self.requests.remove(0);
            cx.count(Counter::SessionEntriesDropped, 1);
        }
        let (mut kept, mut bytes) = (Vec::new(), 0);
        for filter in filters {
            bytes += filter.len();
            if bytes > WAITING_FILTER_BYTES {
                cx.count(Counter::SessionEntriesDropped, 1);
                return;
            }
            kept.push(filter.to_owned());
        }
        self.requests.push((id, kept));
    }

    /// Takes the filters of the request that is answered.
    pub(super) fn take(&mut self, id: u16) -> Vec<String> {
        match self.requests.iter().position(|(kept, _)| *kept == id) {
            Some(at) => self.requests.swap_remove(at).1,
            None => Vec::new(),
        }
    }
}

/// Topic aliases of one direction (§3.3.2.3.4), at most [`ALIASES`] and [`ALIAS_BYTES`].
#[derive(Default)]
pub(super) struct Aliases {
    topics: Vec<(u16, Box<str>)>,
    bytes: usize,
}

impl Aliases {
    /// Gives an alias its topic.
    pub(super) fn set(&mut self, alias: u16, topic: &str, cx: &mut Cx<'_>) {
        if let Some((_, known)) = self.topics.iter_mut().find(|(known, _)| *known == alias) {
            if **known == *topic {
                return;
            }
            self.bytes = self.bytes - known.len() + topic.len();
            *known = topic.into();
        } else {
            self.bytes += topic.len();
            self.topics.push((alias, topic.into()));
        }
        while self.topics.len() > ALIASES || self.bytes > ALIAS_BYTES {
            let (_, dropped) = self.topics.remove(0);
            self.bytes -= dropped.len();
            cx.count(Counter::SessionEntriesDropped, 1);
        }
    }

    /// The topic of an alias.
    pub(super) fn get(&self, alias: u16) -> Option<&str> {
        self.topics.iter().find(|(known, _)| *known == alias).map(|(_, topic)| &**topic)
    }

    /// The topic that a PUBLISH means: its own, or its alias's.
    pub(super) fn resolve<'t>(&'t self, topic: &'t str, alias: Option<u16>) -> Option<&'t str> {
        match alias {
            _ if !topic.is_empty() => Some(topic),
            Some(alias) => self.get(alias),
            None => None,
        }
    }
}

/// One value for each direction.
#[derive(Default)]
pub(super) struct Both<T>([T; 2]);

impl<T> Both<T> {
    /// The value of a direction.
    pub(super) fn of(&self, direction: Direction) -> &T {
        let [to_server, to_client] = &self.0;
        if direction == Direction::ToServer { to_server } else { to_client }
    }

    /// The value of a direction, to change it.
    pub(super) fn of_mut(&mut self, direction: Direction) -> &mut T {
        let [to_server, to_client] = &mut self.0;
        if direction == Direction::ToServer { to_server } else { to_client }
    }

    /// New values for both.
    pub(super) fn new(to_server: T, to_client: T) -> Self {
        Self([to_server, to_client])
    }
}
