//! Lobaro devices learn an AppKey by downlink on port 128 in ASCII, and keep it only when a join with it succeeded (Lobaro "LoRaWAN Downlink Configuration",
//! doc.lobaro.com and github.com/lobaro/iot docs/configuration/lorawan-downlink-config.md): documented, unproven on hardware.
//!
//! ```text
//! -> sAppKey=<32 hexadecimal digits>   the device stores it beside its own and repeats it in an uplink
//! <- sAppKey=<32 hexadecimal digits>
//! -> w                                 restart; a join-accept within about 10 minutes keeps it, else the old settings come back
//! ```
//!
//! `w` leaves only after the repetition was right, since it is the step with an outage. `wFORCE`, which skips the test, is never sent. The device must have
//! RemoteConf switched on.

use super::lorawan::{Denied, Downlink, Uplink};
use crate::secrets::Secret;
use crate::time::Span;
use zeroize::Zeroizing;

/// FPort of the remote configuration.
pub const PORT: u8 = 128;

/// Longest time after `w` until the device is back, with the new key or the old one.
pub const OUTAGE: Span = Span::seconds(600);

/// Why the key is not one for the device.
pub const KEY_LENGTH: usize = 16;

/// The downlink that gives the key. `None`: it is no AES-128 key.
///
/// # Errors
/// Never by its content; see [`Downlink::new`].
pub fn give(key: &Secret) -> Option<Result<Downlink, Denied>> {
    Some(Downlink::new(PORT, text(key)?.to_vec()))
}

/// The downlink that makes the device test the key and keep it.
///
/// # Errors
/// See [`Downlink::new`].
pub fn keep() -> Result<Downlink, Denied> {
    Downlink::new(PORT, b"w".to_vec())
}

/// What the device said of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// Nothing yet.
    Nothing,
    /// The key, as it was given.
    Right,
    /// Another key: it was given to it by somebody else, or came damaged.
    Wrong,
}

/// Looks for the repetition in what the device sent; the last one counts.
pub fn repeated(key: &Secret, uplinks: &[Uplink]) -> Repeated {
    let Some(expected) = text(key) else { return Repeated::Nothing };
    let answers = uplinks.iter().filter(|uplink| uplink.port == PORT).map(|uplink| uplink.payload.trim_ascii());
    let mut about_key = answers.filter(|answer| answer.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"sAppKey=")));
    match about_key.next_back() {
        None => Repeated::Nothing,
        Some(answer) if answer.eq_ignore_ascii_case(&expected) => Repeated::Right,
        Some(_) => Repeated::Wrong,
    }
}

fn text(key: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    if key.expose().len() != KEY_LENGTH {
        return None;
    }
    let mut text = Zeroizing::new(Vec::with_capacity(40));
    text.extend_from_slice(b"sAppKey=");
    let digits = key.expose().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn uplink(port: u8, text: &[u8]) -> Uplink {
        Uplink { port, payload: Zeroizing::new(text.to_vec()), at: Timestamp(0) }
    }

    #[test]
    fn the_key_as_text_and_its_repetition() {
        let key = Secret::new((0..16).map(|n| n * 17).collect());
        let given = give(&key).unwrap().unwrap();
        assert_eq!((given.port(), given.payload()), (128, &b"sAppKey=00112233445566778899aabbccddeeff"[..]));
        assert_eq!(keep().unwrap().payload(), b"w");
        assert_eq!(repeated(&key, &[uplink(128, b"vFirmware=1"), uplink(5, given.payload())]), Repeated::Nothing);
        assert_eq!(repeated(&key, &[uplink(128, b"sAppKey=00112233445566778899AABBCCDDEEFF\r\n")]), Repeated::Right);
        let other = uplink(128, b"sAppKey=00112233445566778899aabbccddee00");
        assert_eq!(repeated(&key, &[uplink(128, given.payload()), other]), Repeated::Wrong);
        assert!(give(&Secret::new(vec![0; 32])).is_none());
    }
}
