//! Signalling messages of reliable transports (RFC 8323 §5).

use super::anomalies as odd;
use super::option;
use super::record::Signal;
use super::wire::Message;
use crate::flow::Direction;
use crate::observation::{Anomalies, Hex};
use crate::protocols::Cx;
use smallvec::SmallVec;

/// Tells a signalling message.
pub fn signal(message: &Message<'_>, direction: Direction, cx: &mut Cx<'_>) {
    let mut anomalies = Anomalies::default();
    let mut walk = message.options();
    let mut unknown: SmallVec<[u32; 4]> = SmallVec::new();
    let mut record = Signal {
        code: message.code.dotted(),
        code_name: message.code.name(),
        token: Hex(message.token),
        max_message_size: None,
        block_wise_transfer: None,
        extended_token_length: None,
        custody: None,
        alternative_address: None,
        hold_off: None,
        bad_csm_option: None,
        diagnostic: None,
        unknown_options: &[],
    };
    for found in walk.by_ref() {
        let found = match found {
            Ok(found) => found,
            Err((_, offset)) => {
                anomalies.push_at(&odd::TRUNCATED, message.body_offset + offset);
                break;
            }
        };
        // Signalling options are numbered for each code by itself (RFC 8323 §5.2).
        match (message.code.detail(), found.number) {
            (1, 2) => record.max_message_size = option::uint(found.value),
            (1, 4) => record.block_wise_transfer = Some(true),
            (1, 6) => record.extended_token_length = option::uint(found.value),
            (2 | 3, 2) => record.custody = Some(true),
            (4, 2) => record.alternative_address = std::str::from_utf8(found.value).ok(),
            (4, 4) => record.hold_off = option::uint(found.value),
            (5, 2) => record.bad_csm_option = option::uint(found.value),
            (_, number) => {
                unknown.push(u32::from(number));
                if option::is_critical(number) {
                    anomalies.push_at(&odd::UNKNOWN_CRITICAL_OPTION, message.body_offset + found.offset);
                }
            }
        }
    }
    let (payload, _) = walk.payload();
    record.diagnostic = std::str::from_utf8(payload).ok().filter(|text| !text.is_empty());
    record.unknown_options = &unknown;
    cx.emit(direction, &record, &[], &anomalies);
}
