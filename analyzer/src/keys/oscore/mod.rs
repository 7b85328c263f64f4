//! OSCORE: is the master secret of a security context public? Proved on the 64-bit tag of what it protects (RFC 8613).
//!
//! It turns protected CoAP messages into an answer about each device that sent one. Requests name their sender, so for them a published
//! secret is tried under whatever ID is used, with the ID contexts that it was published with and the one on the wire. Responses do not: for
//! them the published IDs are tried, and short ones where the request was explained by a published secret.
//!
//! Left out: other algorithms than the default ones, which the published contexts use; group communication (signatures, RFC 9203 and
//! later); messages whose ciphertext came in pieces.
//!
//! Documents: RFC 8613, RFC 5869, RFC 9052, RFC 9053.

pub mod checks;
mod context;

#[cfg(test)]
mod tests;

use super::ledger::{At, Counts, Known, Ledger, name};
use crate::findings::{CheckSpec, Verdict};
use crate::hot::owned::{Event, Interest, OwnedValue};
use crate::signatures::keys::{KnownOscore, oscore_contexts};
use citytap_sensor::flow::NetworkId;
use context::{ID, Master, PARTIAL_IV, additional_data, nonce, opens};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::net::IpAddr;

/// Longest ciphertext that is tried, bytes: an unfragmented message carries 1,024 (RFC 7252 §4.6); with others the cost would grow.
pub const CIPHERTEXT: usize = 4_096;

/// Contexts whose secret was found in a request, kept for the responses: one for each pair of client and server.
pub const CONTEXTS: usize = 16_384;

const FIELD: &str = "coap.oscore_ciphertext";

/// The stage for OSCORE. It has no `Debug`: it holds secrets.
pub struct OscoreKeys {
    published: Vec<Published>,
    /// Sender IDs of all published contexts.
    ids: Vec<&'static [u8]>,
    ledger: Ledger,
    found: HashMap<Pair, Found, FixedState>,
    contexts_refused: u64,
}

/// A published Master Secret with its salt.
struct Published {
    master: Master,
    /// ID contexts that it was published with.
    id_contexts: Vec<Option<&'static [u8]>>,
    rows: Vec<&'static KnownOscore>,
}

/// Client, server, and the ID that the client sends under.
type Pair = (NetworkId, IpAddr, IpAddr, Box<[u8]>);

/// A context whose secret explained a request.
struct Found {
    published: usize,
    id_context: Option<Box<[u8]>>,
    /// The server's ID, once a response showed it.
    server: Option<Box<[u8]>>,
}

/// What is asked of a message: does this key make its tag?
struct Message<'a> {
    additional_data: Vec<u8>,
    /// The ID whose Partial IV it is; `None` is the sender's.
    numbered_by: Option<&'a [u8]>,
    partial_iv: &'a [u8],
    ciphertext: &'a [u8],
}

impl Default for OscoreKeys {
    fn default() -> Self {
        Self::new(oscore_contexts())
    }
}

impl OscoreKeys {
    /// What this stage wants of the shards.
    pub const INTERESTS: &'static [Interest] = &[
        Interest::messages(
            "coap.request",
            &["oscore", "retransmission", "oscore_ciphertext", "oscore_kid", "oscore_partial_iv", "oscore_kid_context"],
        ),
        Interest::messages(
            "coap.response",
            &[
                "oscore",
                "retransmission",
                "oscore_ciphertext",
                "oscore_kid",
                "oscore_partial_iv",
                "oscore_request_kid",
                "oscore_request_partial_iv",
            ],
        ),
    ];

    /// The checks that it answers.
    pub const CHECKS: &'static [&'static CheckSpec] = checks::ALL;

    fn new(rows: &'static [KnownOscore]) -> Self {
        let mut published: Vec<Published> = Vec::new();
        let mut ids: Vec<&[u8]> = Vec::new();
        for row in rows {
            let same =
                |known: &Published| known.rows.iter().any(|other| (&other.secret, &other.salt) == (&row.secret, &row.salt));
            match published.iter_mut().find(|known| same(known)) {
                Some(known) => known.rows.push(row),
                None => {
                    let master = Master::new(&row.secret, &row.salt);
                    published.push(Published { master, id_contexts: Vec::new(), rows: vec![row] });
                }
            }
            ids.extend([row.sender.as_slice(), &row.recipient]);
        }
        for known in &mut published {
            known.id_contexts = known.rows.iter().map(|row| row.id_context.as_deref()).collect();
            known.id_contexts.sort_unstable();
            known.id_contexts.dedup();
        }
        ids.sort_unstable();
        ids.dedup();
        Self { published, ids, ledger: Ledger::default(), found: HashMap::default(), contexts_refused: 0 }
    }

    /// Takes a record of one of [`OscoreKeys::INTERESTS`].
    pub fn observe(&mut self, event: &Event) {
        let bytes = |at: usize| event.fields.get(at).and_then(OwnedValue::bytes);
        // The same bytes sent again say nothing new.
        if event.fields.get(1).and_then(OwnedValue::bool) == Some(true) {
            return;
        }
        let ciphertext = bytes(2).unwrap_or_default();
        match event.fields.as_slice() {
            [_, _, _, _, _, _] => self.request(event, ciphertext, [bytes(3), bytes(4), bytes(5)]),
            _ => self.response(event, ciphertext, [bytes(3), bytes(4), bytes(5), bytes(6)]),
        }
    }

    fn request(&mut self, event: &Event, ciphertext: &[u8], [kid, partial_iv, kid_context]: [Option<&[u8]>; 3]) {
        let at: At = (event.network, event.sender.ip);
        let secret = name(("request", event.receiver.ip, kid, kid_context));
        let named = kid.filter(|kid| kid.len() <= ID).zip(partial_iv.filter(|iv| (1..=PARTIAL_IV).contains(&iv.len())));
        let Some((kid, partial_iv)) = named else { return self.ledger.untested(at, secret, checks::UNNAMED) };
        if let Some(why) = unfit(ciphertext) {
            return self.ledger.untested(at, secret, why);
        }
        if !self.ledger.admits(at, secret, event.seen) {
            return;
        }
        let additional_data = additional_data(kid, partial_iv);
        let message = Message { additional_data, numbered_by: None, partial_iv, ciphertext };
        let fits = |(number, published): (usize, &Published)| {
            let listed = published.id_contexts.iter().copied();
            let contexts = listed.chain(kid_context.map(Some).filter(|context| !published.id_contexts.contains(context)));
            contexts.into_iter().find(|context| message.fits(&published.master, kid, *context)).map(|context| (number, context))
        };
        let hit = self.published.iter().enumerate().find_map(fits);
        let known = hit.and_then(|(number, context)| self.published.get(number)?.origin(context, kid, None));
        self.ledger.tried(at, secret, known, event.seen, FIELD);
        if let Some((published, id_context)) = hit {
            let found = Found { published, id_context: id_context.map(Into::into), server: None };
            self.remember((event.network, event.sender.ip, event.receiver.ip, kid.into()), found);
        }
    }

    fn response(
        &mut self,
        event: &Event,
        ciphertext: &[u8],
        [kid, partial_iv, request_kid, request_partial_iv]: [Option<&[u8]>; 4],
    ) {
        let at: At = (event.network, event.sender.ip);
        let secret = name(("response", event.receiver.ip, request_kid, kid));
        let asked = request_kid.filter(|kid| kid.len() <= ID).zip(request_partial_iv);
        let Some((asked_by, asked)) = asked else { return self.ledger.untested(at, secret, checks::NO_REQUEST) };
        let lengths = [
            kid.is_none_or(|kid| kid.len() <= ID),
            asked.len() <= PARTIAL_IV,
            partial_iv.is_none_or(|iv| iv.len() <= PARTIAL_IV),
        ];
        let why = if lengths.contains(&false) { Some(checks::UNNAMED) } else { unfit(ciphertext) };
        if let Some(why) = why {
            return self.ledger.untested(at, secret, why);
        }
        if !self.ledger.admits(at, secret, event.seen) {
            return;
        }
        let message = Message {
            additional_data: additional_data(asked_by, asked),
            // A response without a number of its own takes the request's, and the nonce that goes with it (RFC 8613 §5.2).
            numbered_by: if partial_iv.is_none() { Some(asked_by) } else { None },
            partial_iv: partial_iv.unwrap_or(asked),
            ciphertext,
        };
        let pair = (event.network, event.receiver.ip, event.sender.ip, asked_by.into());
        if self.found.contains_key(&pair) {
            match self.of_found(&pair, &message, kid) {
                Some(known) => self.ledger.tried(at, secret, Some(known), event.seen, FIELD),
                None => self.ledger.untested(at, secret, checks::NO_SENDER_ID),
            }
            return;
        }
        let listed = kid.map_or(self.ids.clone(), |kid| vec![kid]);
        let fits = |published: &Published| {
            let each = published.id_contexts.iter().flat_map(|context| listed.iter().map(move |id| (*context, *id)));
            let (context, id) = each.into_iter().find(|(context, id)| message.fits(&published.master, id, *context))?;
            published.origin(context, id, Some(asked_by))
        };
        let known = self.published.iter().find_map(fits);
        self.ledger.tried(at, secret, known, event.seen, FIELD);
    }

    /// A response within a context whose secret is known: only the ID that the server sends under is to be found.
    fn of_found(&mut self, pair: &Pair, message: &Message<'_>, kid: Option<&[u8]>) -> Option<Known> {
        let found = self.found.get_mut(pair)?;
        let published = self.published.get(found.published)?;
        let context = found.id_context.as_deref();
        let short = (0..=u8::MAX).map(|byte| [byte]).collect::<Vec<_>>();
        let candidates: Vec<&[u8]> = match (kid, &found.server) {
            (Some(kid), _) => vec![kid],
            (None, Some(server)) => vec![server],
            (None, None) => self.ids.iter().copied().chain(short.iter().map(<[u8; 1]>::as_slice)).collect(),
        };
        let server = candidates.into_iter().find(|id| message.fits(&published.master, id, context))?;
        let known = published.origin(context, server, Some(&pair.3));
        found.server = Some(server.into());
        known
    }

    fn remember(&mut self, pair: Pair, found: Found) {
        if self.found.len() >= CONTEXTS && !self.found.contains_key(&pair) {
            self.contexts_refused += 1;
            return;
        }
        self.found.entry(pair).or_insert(found);
    }

    /// Hands over the answers so far, in any order.
    pub fn verdicts(&self, take: &mut dyn FnMut(Verdict)) {
        let arguments = |(list, origin): Known| vec![("_origin", origin.into()), ("list", list.into())];
        let clear = |tested| {
            let messages = if tested == 1 { "message" } else { "messages" };
            format!("no published OSCORE secret makes the tags of its messages ({tested} {messages} tried)")
        };
        self.ledger.verdicts(&checks::KNOWN_SECRET, arguments, clear, take);
    }

    /// The bounds, by name, with how often they were hit.
    pub fn shed(&self) -> [(&'static str, u64); 3] {
        let Counts { subjects_refused, secrets_refused, .. } = self.ledger.counts();
        [
            ("oscore_devices_not_watched", subjects_refused),
            ("oscore_secrets_not_watched", secrets_refused),
            ("oscore_contexts_not_kept", self.contexts_refused),
        ]
    }
}

/// Why a ciphertext is not tried.
fn unfit(ciphertext: &[u8]) -> Option<&'static str> {
    match ciphertext.len() {
        0 => Some(checks::IN_PIECES),
        length if length > CIPHERTEXT => Some(checks::TOO_LONG),
        _ => None,
    }
}

impl Message<'_> {
    fn fits(&self, master: &Master, sender: &[u8], id_context: Option<&[u8]>) -> bool {
        let Some(nonce) = nonce(&master.common_iv(id_context), self.numbered_by.unwrap_or(sender), self.partial_iv) else {
            return false;
        };
        opens(&master.sender_key(sender, id_context), &nonce, &self.additional_data, self.ciphertext)
    }
}

impl Published {
    /// Where it was published: the row that is closest to how it is used.
    fn origin(&self, id_context: Option<&[u8]>, sender: &[u8], recipient: Option<&[u8]>) -> Option<Known> {
        let same = |row: &&KnownOscore| {
            (row.id_context.as_deref() == id_context, row.sender == sender, recipient.is_some_and(|id| row.recipient == id))
        };
        self.rows.iter().min_by_key(|row| Reverse(same(row))).map(|row| (row.list, row.origin))
    }
}
