//! Which generation was it that the tap saw? The tap shows what went over the wire in a form that gives no secret away; this module, which has the
//! secrets, answers with a generation. Whoever asks learns nothing else.

use crate::secrets::Secret;
use crate::slot::Generation;
use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use hmac::Hmac;
use sha2::Sha256;
use std::collections::BTreeSet;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What citytap's digests of credentials begin with (its `hot/digest.rs`).
const DOMAIN: &[u8] = b"citytap credential digest 1\0";

/// First line of a pairing file: `citytap keys pair`.
pub const PAIRING: &str = "citytap credential digest key 1";

/// Bytes of a LoRaWAN join-request: MHDR, JoinEUI, DevEUI, DevNonce, MIC (LoRaWAN 1.0.4 §6.2.5, 1.1 §6.2.2).
pub const JOIN_REQUEST: usize = 23;

/// What the tap saw.
pub enum Sighting<'a> {
    /// A credential's digest under the paired key: its kind and the digest.
    Digest {
        /// `password`, `psk_identity`, `token`.
        kind: &'a str,
        /// The digest.
        digest: &'a [u8],
    },
    /// The bytes of a LoRaWAN join-request.
    JoinRequest(&'a [u8]),
    /// The identity of a pre-shared key, in clear in TLS and DTLS 1.2.
    PskIdentity(&'a str),
    /// The serial number of a certificate.
    Certificate(&'a [u8]),
}

/// What this module knows of one generation of a slot.
pub struct Known {
    /// Which generation.
    pub generation: Generation,
    /// The user name or identity that goes with it.
    pub user: String,
    /// Its secret, where there is one here.
    pub secret: Option<Secret>,
    /// The serial number of its certificate, where it is one.
    pub serial: Option<Vec<u8>>,
}

/// The key that digests of the paired citytap are under.
pub struct PairedKey(Zeroizing<[u8; 32]>);

impl PairedKey {
    /// Reads the text of a pairing file. Answers the site that it is of, and the key.
    pub fn parse(text: &str) -> Option<(String, Self)> {
        let mut lines = text.lines();
        if lines.next()? != PAIRING {
            return None;
        }
        let site = lines.next()?.strip_prefix("site ")?.to_owned();
        let hex = lines.next().filter(|hex| hex.len() == 64)?;
        let mut key = Zeroizing::new([0; 32]);
        let digit = |byte: u8| char::from(byte).to_digit(16);
        for (byte, pair) in key.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some((site, Self(key)))
    }

    /// From its bytes, as they were sealed.
    pub fn from_secret(secret: &Secret) -> Option<Self> {
        secret.expose().try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Its bytes, to be sealed.
    pub fn to_secret(&self) -> Secret {
        Secret::new(self.0.to_vec())
    }

    /// The digest that citytap computes: the first 16 bytes of HMAC-SHA-256 over kind, user name and secret.
    fn digest(&self, kind: &str, user: Option<&[u8]>, secret: Option<&[u8]>) -> Option<[u8; 16]> {
        let mut code = Hmac::<Sha256>::new_from_slice(self.0.as_ref()).ok()?;
        code.update(DOMAIN);
        for part in [Some(kind.as_bytes()), user, secret] {
            match part {
                None => code.update(&[0]),
                Some(part) => {
                    code.update(&[1]);
                    code.update(&(part.len() as u64).to_be_bytes());
                    code.update(part);
                }
            }
        }
        code.finalize().into_bytes().first_chunk().copied()
    }
}

/// The generation that a sighting shows; `None` where it is none that is known, or where two generations would show the same.
pub fn which(seen: &Sighting<'_>, known: &[Known], key: Option<&PairedKey>) -> Option<Generation> {
    let fitting: BTreeSet<Generation> = known.iter().filter(|one| shows(seen, one, key)).map(|one| one.generation).collect();
    fitting.first().copied().filter(|_| fitting.len() == 1)
}

fn shows(seen: &Sighting<'_>, one: &Known, key: Option<&PairedKey>) -> bool {
    match seen {
        Sighting::Digest { kind, digest } => {
            let user = Some(one.user.as_bytes());
            // The secret of a pre-shared key stays hidden on the wire: its name alone is digested.
            let secret = one.secret.as_ref().map(Secret::expose);
            let digested = match (*kind, secret) {
                ("psk_identity", _) => key.and_then(|key| key.digest(kind, user, None)),
                (_, Some(secret)) => key.and_then(|key| key.digest(kind, user, Some(secret))),
                (_, None) => None,
            };
            digested.is_some_and(|ours| ours.as_slice().ct_eq(digest).into())
        }
        Sighting::JoinRequest(bytes) => one.secret.as_ref().is_some_and(|root| joins_under(bytes, root)),
        Sighting::PskIdentity(identity) => one.user == *identity,
        Sighting::Certificate(serial) => one.serial.as_deref().is_some_and(|ours| ours == *serial),
    }
}

/// Whether the MIC of a join-request is that of this root key: AES-CMAC over all before it, its first four bytes.
fn joins_under(bytes: &[u8], root: &Secret) -> bool {
    // MType 0: join-request.
    if bytes.len() != JOIN_REQUEST || bytes.first().is_none_or(|header| header >> 5 != 0) {
        return false;
    }
    let (Some((said, mic)), Ok(mut code)) = (bytes.split_last_chunk::<4>(), Cmac::<Aes128>::new_from_slice(root.expose())) else {
        return false;
    };
    code.update(said);
    let ours = code.finalize().into_bytes();
    ours.first_chunk::<4>().is_some_and(|ours| ours.ct_eq(mic).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(generation: u32, user: &str, secret: &[u8]) -> Known {
        Known { generation: Generation(generation), user: user.into(), secret: Some(Secret::new(secret.to_vec())), serial: None }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// The digest stands in citytap's own tests, computed by Python's hmac module.
    #[test]
    fn a_digest_of_citytap_is_answered_with_a_generation() {
        let hex: String = (0..32).map(|byte: u8| format!("{byte:02x}")).collect();
        let (site, key) = PairedKey::parse(&format!("{PAIRING}\nsite town\n{hex}\n")).unwrap();
        assert_eq!(site, "town");
        let digest = bytes("71d3ae94bfc2d978da5b965001d56ce4");
        let seen = Sighting::Digest { kind: "password", digest: &digest };
        let both = [known(1, "admin", b"hunter2"), known(2, "admin", b"hunter3")];
        assert_eq!(which(&seen, &both, Some(&key)), Some(Generation(1)));
        assert_eq!(which(&seen, &both[1..], Some(&key)), None);
        assert_eq!(which(&seen, &both, None), None);
        let psk = bytes("0de0f91f3e246df9d33e4fd92f0b3568");
        let seen = Sighting::Digest { kind: "psk_identity", digest: &psk };
        assert_eq!(which(&seen, &[known(3, "meter-7", b"hidden")], Some(&key)), Some(Generation(3)));
        assert!(PairedKey::parse("something else\nsite town\n00\n").is_none());
    }

    /// The same secret as two generations says nothing.
    #[test]
    fn what_two_generations_would_show_is_no_answer() {
        let key = PairedKey(Zeroizing::new([7; 32]));
        let digest = key.digest("password", Some(b"a"), Some(b"x")).unwrap();
        let seen = Sighting::Digest { kind: "password", digest: &digest };
        assert_eq!(which(&seen, &[known(1, "a", b"x"), known(2, "a", b"x")], Some(&key)), None);
        assert_eq!(
            which(&Sighting::PskIdentity("dev.g2"), &[known(1, "dev", b"x"), known(2, "dev.g2", b"y")], None),
            Some(Generation(2))
        );
    }

    /// AES-CMAC of RFC 4493 §4, example 3 is over 40 bytes; here it is the same code over the 19 bytes of a join-request.
    #[test]
    fn a_join_request_is_answered_with_the_root_key_that_signed_it() {
        let root = bytes("2b7e151628aed2a6abf7158809cf4f3c");
        let mut code = Cmac::<Aes128>::new_from_slice(&root).unwrap();
        let mut frame = bytes("00080706050403020118171615141312110001");
        code.update(&frame);
        frame.extend(&code.finalize().into_bytes()[..4]);
        let both = [known(1, "", &[0; 16]), known(2, "", &root)];
        assert_eq!(which(&Sighting::JoinRequest(&frame), &both, None), Some(Generation(2)));
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            assert_eq!(which(&Sighting::JoinRequest(&changed), &both, None), None, "byte {at}");
        }
        assert_eq!(which(&Sighting::JoinRequest(&frame[..22]), &both, None), None);
    }
}
