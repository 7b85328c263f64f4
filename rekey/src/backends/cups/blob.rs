//! Credentials as a Basics Station takes them (Basics Station documentation, "CUPS protocol", credential blobs; station 2.0.6 src/sys.c, sys_credComplete).
//!
//! ```text
//! blob    trust: DER certificate | own certificate: DER, or four zero bytes | key: DER, or "Authorization: <token>\r\n"
//! CRC     CRC-32 (zlib) over the three in this order; an empty one counts as four zero bytes
//! ```
//!
//! The station cuts a blob by the lengths in the DER, and knows two forms of length alone: one byte below 128, and 0x82 with two. Another form (a P-256 key in
//! PKCS#8 begins 30 81) is cut wrongly, nothing is installed, and yet the station takes it for an update, comes back each minute and restarts its traffic
//! each time. So a blob is cut here as the station cuts it, and one that does not come out whole is never offered.

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivateSec1KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Longest blob: its length has two bytes in the answer.
pub const BLOB_MAX: usize = u16::MAX as usize;

/// What stands in a blob for no certificate.
pub const NO_CERTIFICATE: [u8; 4] = [0; 4];

/// What a token looks like in a blob and in a request's head.
const HEADER: &str = "Authorization: ";

/// Why a blob is not for a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Longer than an answer can carry, or empty.
    #[error("it has no bytes, or more than {BLOB_MAX}")]
    Length,
    /// The trusted certificate is not cut whole.
    #[error("the trusted certificate is no DER sequence of 256 to 65535 bytes")]
    Trust,
    /// The own certificate is not cut whole.
    #[error("the gateway's certificate is no DER sequence that a station can cut")]
    Certificate,
    /// The key is not cut whole.
    #[error(
        "the key is none that a station can cut: it takes P-256 as SEC1 (BEGIN EC PRIVATE KEY) and RSA as PKCS#1 (BEGIN RSA PRIVATE KEY), both as DER"
    )]
    Key,
    /// Certificate and key are not of one pair.
    #[error("the key does not belong to the certificate")]
    Pair,
    /// No token, or one that breaks the head of a request.
    #[error("the token is not `Authorization: ` with visible ASCII and a line end")]
    Token,
}

/// A blob cut into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The authority that the station trusts.
    pub trust: &'a [u8],
    /// Its own certificate; empty with a token.
    pub certificate: &'a [u8],
    /// Its key, or the line of the head with its token.
    pub key: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Cuts a blob as the station does, and refuses what would not come out whole.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn cut(blob: &'a [u8]) -> Result<Self, Unfit> {
        if blob.is_empty() || blob.len() > BLOB_MAX {
            return Err(Unfit::Length);
        }
        let (trust, rest) = sequence(blob).ok_or(Unfit::Trust)?;
        let (certificate, key) = match rest.split_first_chunk::<4>() {
            Some((&NO_CERTIFICATE, rest)) => (&rest[..0], rest),
            _ => sequence(rest).ok_or(Unfit::Certificate)?,
        };
        if certificate.is_empty() {
            token(key).ok_or(Unfit::Token)?;
            return Ok(Self { trust, certificate, key });
        }
        let whole = sequence(key).is_some_and(|(_, rest)| rest.is_empty());
        if !whole { Err(Unfit::Key) } else { Ok(Self { trust, certificate, key }) }
    }

    /// Whether key and certificate are of one pair, and both of a kind that TLS takes.
    ///
    /// # Errors
    /// [`Unfit::Pair`], or [`Unfit::Key`] for a key that cannot be read.
    pub fn check_pair(&self) -> Result<(), Unfit> {
        if self.certificate.is_empty() {
            return Ok(());
        }
        let sec1 = PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(self.key));
        let rsa = PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(self.key));
        let key = any_supported_type(&sec1).or_else(|_| any_supported_type(&rsa)).map_err(|_| Unfit::Key)?;
        let chain = vec![CertificateDer::from(self.certificate).into_owned()];
        CertifiedKey::new(chain, key).keys_match().map_err(|_| Unfit::Pair)
    }

    /// What the station reports when it has installed it.
    pub fn crc(&self) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for part in [self.trust, self.certificate, self.key] {
            crc.update(if part.is_empty() { &NO_CERTIFICATE } else { part });
        }
        crc.finalize()
    }

    /// SHA-256 of its own certificate, as the TLS server sees it.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        (!self.certificate.is_empty()).then(|| Sha256::digest(self.certificate).into())
    }

    /// The value of its Authorization header.
    pub fn token(&self) -> Option<&'a str> {
        if self.certificate.is_empty() { token(self.key) } else { None }
    }
}

/// The DER sequence at the beginning, by the two forms of length that a station knows, and the rest.
fn sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match bytes {
        [0x30, short @ 0..=0x7f, ..] => usize::from(*short) + 2,
        [0x30, 0x82, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) + 4,
        _ => return None,
    };
    bytes.split_at_checked(length)
}

fn token(line: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(line).ok()?.strip_prefix(HEADER)?.strip_suffix("\r\n")?;
    (!value.is_empty() && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))).then_some(value)
}

/// A blob with a certificate. `key` is SEC1 or PKCS#1 DER.
pub fn with_certificate(trust: &[u8], certificate: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([trust, certificate, key].concat())
}

/// A blob with a token, as `Bearer ...` or whatever the server asks for.
pub fn with_token(trust: &[u8], value: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([trust, &NO_CERTIFICATE, HEADER.as_bytes(), value.as_bytes(), b"\r\n"].concat())
}

/// A P-256 key as SEC1 DER (RFC 5915 §3) with its public key, 121 bytes, and that public key. `None`: not a number of the curve, one in 2^32 at random.
pub fn sec1(scalar: &[u8]) -> Option<(Zeroizing<Vec<u8>>, [u8; 65])> {
    use p256::elliptic_curve::sec1::ToSec1Point;
    let secret = p256::SecretKey::from_slice(<&[u8; 32]>::try_from(scalar).ok()?).ok()?;
    let public: [u8; 65] = secret.public_key().to_sec1_point(false).as_bytes().try_into().ok()?;
    const HEAD: [u8; 7] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
    const CURVE: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const PUBLIC: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];
    let mut der = Zeroizing::new(Vec::with_capacity(121));
    for part in [&HEAD[..], scalar, &CURVE, &PUBLIC, &public] {
        der.extend_from_slice(part);
    }
    Some((der, public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn der(length: usize) -> Vec<u8> {
        let mut bytes = vec![0x30, 0x82];
        bytes.extend((length as u16).to_be_bytes());
        bytes.resize(length + 4, 7);
        bytes
    }

    #[test]
    fn a_blob_is_cut_whole_or_refused() {
        let (trust, certificate, key) = (der(300), der(400), [&[0x30, 0x77][..], &[1; 0x77]].concat());
        let blob = with_certificate(&trust, &certificate, &key);
        assert_eq!(Parts::cut(&blob), Ok(Parts { trust: &trust, certificate: &certificate, key: &key }));
        // PKCS#8 of a P-256 key: the station takes 0x81 0x87 for a length of 34567.
        let pkcs8 = [&[0x30, 0x81, 0x87][..], &[1; 0x87]].concat();
        assert_eq!(Parts::cut(&with_certificate(&trust, &certificate, &pkcs8)), Err(Unfit::Key));
        assert_eq!(Parts::cut(&with_certificate(&trust, &certificate, &[&key[..], &[0]].concat())), Err(Unfit::Key));
        assert_eq!(Parts::cut(&with_certificate(&trust, &[0x30, 0x81, 0x90], &key)), Err(Unfit::Certificate));
        assert_eq!(Parts::cut(&[7; 300]), Err(Unfit::Trust));
        assert_eq!(Parts::cut(&[]), Err(Unfit::Length));
        assert_eq!(Parts::cut(&der(65_535)), Err(Unfit::Length));
        let blob = with_token(&trust, "Bearer abc");
        assert_eq!(Parts::cut(&blob).unwrap().token(), Some("Bearer abc"));
        for wrong in ["", "Bearer a\r\nHost: b", "Bearer \u{e9}"] {
            assert_eq!(Parts::cut(&with_token(&trust, wrong)), Err(Unfit::Token), "{wrong:?}");
        }
    }

    /// Figures by zlib of Python over the same bytes.
    #[test]
    fn checksums_as_zlib_makes_them() {
        let (trust, certificate) = (der(300), der(400));
        let key = [&[0x30, 0x77][..], &[1; 0x77]].concat();
        assert_eq!(Parts { trust: &trust, certificate: &certificate, key: &key }.crc(), 0xca73_f679);
        assert_eq!(Parts { trust: &trust, certificate: &[], key: b"Authorization: Bearer abc\r\n" }.crc(), 0x19df_d0ac);
        assert_eq!(Parts { trust: &[], certificate: &[], key: &[] }.crc(), 0x7bd5_c66f);
    }

    #[test]
    fn a_key_as_sec1() {
        let mut scalar = [0; 32];
        scalar[31] = 1;
        let (der, public) = sec1(&scalar).unwrap();
        assert_eq!((der.len(), der[0], der[1], public[0]), (121, 0x30, 0x77, 4));
        // The generator of P-256 (SEC 2 v2 §2.4.2).
        assert_eq!(public[1..5], [0x6b, 0x17, 0xd1, 0xf2]);
        assert!(sec1(&[0; 32]).is_none() && sec1(&[0xff; 32]).is_none() && sec1(&[1; 31]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600), start in 0_usize..4) {
            let mut blob = [&[0x30, 0x82, 0, 9][..start], &bytes].concat();
            if let Ok(parts) = Parts::cut(&blob) {
                prop_assert_eq!(parts.trust.len() + parts.certificate.len().max(4) + parts.key.len() <= blob.len(), true);
                let _ = parts.check_pair();
            }
            blob.truncate(bytes.len() / 2);
            let _ = Parts::cut(&blob);
        }
    }
}
