//! One gateway: what it asked, what it is to be given, and what is answered. Pure; [`Gateway`] is what must be on the disk before the answer leaves.
//!
//! What a station does with an answer (station 2.0.6, measured): credentials that it installed are used from its next connection on, a minute later; the first
//! set that ever worked stays with it for ever as its fallback (`-bak`), and it turns to that after seven failures; after any answer but 200 it turns to the
//! next set at once. It reports the checksum of what is installed, also while it shows the fallback's certificate.

use crate::slot::{Effecting, Generation};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How often a credential is offered at most: an answer may get lost once; a station that cannot read it would restart its traffic each minute.
pub const OFFERS: u8 = 2;

/// Contacts kept: a fortnight of daily ones.
pub const CONTACTS: usize = 16;

/// After this time without a sign of the gateway another one has its turn: stations ask every 24 hours.
pub const TURN: Span = Span::hours(48);

/// Which credentials of a gateway: those for this server, or those for its network server. They are never changed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Which {
    /// For this server.
    Cups,
    /// For the LoRaWAN network server.
    Tc,
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// The station has it and, where it is for this server, came with it.
    Taken,
    /// It came back with the checksum that it had before.
    NotTaken,
    /// It could not connect with it and came with its fallback.
    FellBack,
}

/// What a gateway is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which generation.
    pub to: Generation,
    /// For which effect.
    pub by: Effecting,
    /// How often it was offered.
    pub offers: u8,
    /// The checksum that it had when it was offered first.
    pub before: u32,
    /// When it was last offered.
    pub offered: Option<Timestamp>,
    /// How it ended.
    pub ended: Option<Ended>,
}

impl Order {
    /// A new order.
    pub fn new(to: Generation, by: Effecting) -> Self {
        Self { to, by, offers: 0, before: 0, offered: None, ended: None }
    }
}

/// One contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When.
    pub at: Timestamp,
    /// The generation whose certificate or token it showed.
    pub showed: Generation,
    /// The generation of CUPS credentials that it says is installed; `None`: none of ours.
    pub cups: Option<Generation>,
    /// The same of the LNS credentials.
    pub tc: Option<Generation>,
    /// It came with its fallback while another set is installed.
    pub fell_back: bool,
}

/// A generation that is accepted: the checksum of its blob, `None` where the blob is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The generation.
    pub generation: Generation,
    /// Checksum.
    pub crc: Option<u32>,
}

/// What a station asks, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// The generation whose certificate or token it showed.
    pub showed: Generation,
    /// Checksum of its CUPS credentials.
    pub cups_crc: u32,
    /// Checksum of its LNS credentials.
    pub tc_crc: u32,
    /// Whether it is this gateway's turn.
    pub turn: bool,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 and fourteen zero bytes.
    Nothing,
    /// 200 with this generation.
    Offer(Which, Generation),
    /// 403: the station turns to its next set, in the end to the one that is installed and known to work.
    Steer,
}

/// A gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The generation that it holds as fallback: the first with which it ever had an answer here.
    pub bak: Option<Generation>,
    /// Generations with which it came while they were installed.
    pub proven: BTreeSet<Generation>,
    /// What it is to be given for this server.
    pub cups: Option<Order>,
    /// What it is to be given for its network server.
    pub tc: Option<Order>,
    /// Contacts, oldest first.
    pub contacts: Vec<Contact>,
    /// When it, or somebody under its name, was last refused.
    pub refused: Option<Timestamp>,
}

impl Gateway {
    /// Takes a contact and says what is answered. `cups` and `tc` are what is accepted.
    pub fn asked(&mut self, asked: &Asked, cups: &[Held], tc: &[Held]) -> Answer {
        let named = |held: &[Held], crc| held.iter().find(|held| held.crc == Some(crc)).map(|held| held.generation);
        let installed = named(cups, asked.cups_crc);
        let fell_back = installed.is_some_and(|installed| installed != asked.showed);
        let contact = Contact { at: asked.at, showed: asked.showed, cups: installed, tc: named(tc, asked.tc_crc), fell_back };
        if self.contacts.len() >= CONTACTS {
            self.contacts.remove(0);
        }
        self.contacts.push(contact);
        if let Some(installed) = installed.filter(|_| fell_back) {
            return self.on_fallback(asked, installed, cups);
        }
        self.proven.insert(asked.showed);
        self.bak.get_or_insert(asked.showed);
        let may = asked.turn;
        if let Some(answer) = order(&mut self.cups, Which::Cups, asked.at, asked.cups_crc, installed, cups, may) {
            return answer;
        }
        order(&mut self.tc, Which::Tc, asked.at, asked.tc_crc, contact.tc, tc, may).unwrap_or(Answer::Nothing)
    }

    /// It shows its fallback's certificate while another set is installed.
    fn on_fallback(&mut self, asked: &Asked, installed: Generation, cups: &[Held]) -> Answer {
        if self.proven.contains(&installed) {
            // What is installed worked before: it was us who could not be reached. From here it comes back to that.
            return Answer::Steer;
        }
        if let Some(order) = self.cups.as_mut().filter(|order| order.to == installed && order.ended.is_none()) {
            order.ended = Some(Ended::FellBack);
        }
        // What is installed never worked. What it shows works: that is put back in its place. Nothing else does for a gateway that nobody reaches.
        let good = cups.iter().find(|held| held.generation == asked.showed && held.crc.is_some());
        good.map_or(Answer::Nothing, |good| Answer::Offer(Which::Cups, good.generation))
    }

    /// Whether an answer of this gateway is still awaited: the others wait.
    pub fn has_turn(&self, now: Timestamp) -> bool {
        let waits = |order: &Order| order.ended.is_none() && order.offered.is_some_and(|offered| now.since(offered) < TURN);
        self.cups.iter().chain(&self.tc).any(waits)
    }
}

/// Carries an order on. `None`: there is nothing to do for it, the next may.
fn order(
    place: &mut Option<Order>,
    which: Which,
    at: Timestamp,
    crc: u32,
    installed: Option<Generation>,
    held: &[Held],
    may: bool,
) -> Option<Answer> {
    let order = place.as_mut().filter(|order| order.ended.is_none())?;
    if installed == Some(order.to) {
        order.ended = Some(Ended::Taken);
        // One change a contact.
        return Some(Answer::Nothing);
    }
    let offerable = held.iter().any(|held| held.generation == order.to && held.crc.is_some());
    if !may || !offerable {
        return Some(Answer::Nothing);
    }
    if order.offers >= OFFERS && crc == order.before {
        order.ended = Some(Ended::NotTaken);
        return Some(Answer::Nothing);
    }
    if order.offers == 0 || crc != order.before {
        // Somebody changed it by hand in between: it counts from there.
        (order.before, order.offers) = (crc, 0);
    }
    order.offers += 1;
    order.offered = Some(at);
    Some(Answer::Offer(which, order.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::{RotationId, Step};

    const BY: Effecting = Effecting { rotation: RotationId(1), step: Step(1) };
    const HELD: [Held; 2] =
        [Held { generation: Generation(1), crc: Some(11) }, Held { generation: Generation(2), crc: Some(22) }];

    fn asks(gateway: &mut Gateway, showed: u32, cups_crc: u32) -> Answer {
        let at = Timestamp(gateway.contacts.len() as i64);
        gateway.asked(&Asked { at, showed: Generation(showed), cups_crc, tc_crc: 11, turn: true }, &HELD, &HELD)
    }

    #[test]
    fn a_change_is_offered_taken_and_proven_before_the_other_begins() {
        let mut gateway =
            Gateway { cups: Some(Order::new(Generation(2), BY)), tc: Some(Order::new(Generation(2), BY)), ..Gateway::default() };
        assert_eq!(asks(&mut gateway, 1, 11), Answer::Offer(Which::Cups, Generation(2)));
        assert!(gateway.has_turn(Timestamp(1)) && !gateway.has_turn(Timestamp(0).plus(TURN)));
        assert_eq!(asks(&mut gateway, 2, 22), Answer::Nothing);
        assert_eq!((gateway.cups.unwrap().ended, gateway.bak), (Some(Ended::Taken), Some(Generation(1))));
        assert_eq!(asks(&mut gateway, 2, 22), Answer::Offer(Which::Tc, Generation(2)));
    }

    #[test]
    fn the_same_checksum_ends_the_offers() {
        let mut gateway = Gateway { cups: Some(Order::new(Generation(2), BY)), ..Gateway::default() };
        let answers: Vec<Answer> = (0..5).map(|_| asks(&mut gateway, 1, 11)).collect();
        let offer = Answer::Offer(Which::Cups, Generation(2));
        assert_eq!(answers, [offer, offer, Answer::Nothing, Answer::Nothing, Answer::Nothing]);
        assert_eq!(gateway.cups.unwrap().ended, Some(Ended::NotTaken));
    }

    #[test]
    fn a_bad_set_is_replaced_by_what_works_and_a_good_one_is_steered_to() {
        let mut gateway = Gateway { cups: Some(Order::new(Generation(2), BY)), ..Gateway::default() };
        asks(&mut gateway, 1, 11);
        assert_eq!(asks(&mut gateway, 1, 22), Answer::Offer(Which::Cups, Generation(1)));
        assert_eq!(gateway.cups.unwrap().ended, Some(Ended::FellBack));
        assert_eq!(asks(&mut gateway, 1, 11), Answer::Nothing);

        let mut gateway = Gateway { cups: Some(Order::new(Generation(2), BY)), ..Gateway::default() };
        asks(&mut gateway, 1, 11);
        asks(&mut gateway, 2, 22);
        assert_eq!(asks(&mut gateway, 1, 22), Answer::Steer);
    }

    #[test]
    fn a_checksum_of_nobody_is_replaced_once() {
        // PEM on the disk, DER offered.
        let mut gateway = Gateway { cups: Some(Order::new(Generation(1), BY)), ..Gateway::default() };
        assert_eq!(asks(&mut gateway, 1, 99), Answer::Offer(Which::Cups, Generation(1)));
        assert_eq!(asks(&mut gateway, 1, 11), Answer::Nothing);
        assert_eq!(gateway.cups.unwrap().ended, Some(Ended::Taken));
        for _ in 0..100 {
            asks(&mut gateway, 1, 11);
        }
        assert_eq!(gateway.contacts.len(), CONTACTS);
    }
}
