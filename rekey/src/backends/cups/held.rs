//! Credentials of gateways as this server holds them: to recognise who shows one, and to hand one out.

use super::blob::{self, Parts};
use super::config::Mode;
use super::gateway::{self, Which};
use super::{Shared, journal};
use crate::backends::Refusal;
use crate::secrets::Secret;
use crate::slot::Generation;
use std::sync::{Arc, PoisonError};
use zeroize::Zeroizing;

/// Scheme of tokens that are made here.
const SCHEME: &str = "Bearer ";

/// One generation of a gateway's credentials.
pub(super) struct Held {
    pub(super) generation: Generation,
    certificate: Option<[u8; 32]>,
    token: Option<Secret>,
    crc: Option<u32>,
    pub(super) blob: Option<Arc<Zeroizing<Vec<u8>>>>,
}

impl Held {
    fn of_blob(generation: Generation, bytes: Zeroizing<Vec<u8>>) -> Result<Self, Refusal> {
        let unfit = |unfit: blob::Unfit| {
            Refusal::new(format!("{generation} is not for a station: {unfit}"), "enter it anew, as DER in this order")
        };
        let parts = Parts::cut(&bytes).map_err(unfit)?;
        parts.check_pair().map_err(unfit)?;
        let token = parts.token().map(|token| Secret::new(token.as_bytes().to_vec()));
        let (certificate, crc) = (parts.fingerprint(), Some(parts.crc()));
        Ok(Self { generation, certificate, token, crc, blob: Some(Arc::new(bytes)) })
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.certificate, self.crc) == (other.certificate, other.crc)
    }
}

/// The generation whose certificate was shown, or whose token was sent; the newest where it is in several.
pub(super) fn shown(held: &[Held], certificate: Option<&[u8; 32]>, authorization: Option<&str>) -> Option<Generation> {
    let by_certificate = |held: &&Held| certificate.is_some() && held.certificate.as_ref() == certificate;
    let by_token = |held: &&Held| {
        held.token.as_ref().is_some_and(|token| authorization.is_some_and(|authorization| token.same(authorization.as_bytes())))
    };
    held.iter().filter(|held| by_certificate(held) || by_token(held)).map(|held| held.generation).max()
}

/// Checksums of what is held.
pub(super) fn checksums(held: &[Held]) -> Vec<gateway::Held> {
    held.iter().map(|held| gateway::Held { generation: held.generation, crc: held.crc }).collect()
}

impl Shared {
    /// What a generation is to this server, from its secret; or from the pin of a first generation whose secret is not held.
    pub(super) fn held(
        &self,
        router: u64,
        which: Which,
        generation: Generation,
        secret: Option<&Secret>,
    ) -> Result<Held, Refusal> {
        let Some(secret) = secret else {
            let first = self.config.first.get(&router).copied().unwrap_or_default();
            return Ok(Held { generation, certificate: first.certificate, token: None, crc: first.crc, blob: None });
        };
        let trust = if which == Which::Cups { &self.config.trust } else { &self.config.tc_trust };
        match (self.config.mode, secret.expose()) {
            (_, bytes @ [0x30, ..]) if bytes.len() > 256 => Held::of_blob(generation, Zeroizing::new(bytes.to_vec())),
            (Mode::Certificate, scalar) => {
                let remedy = "let a new one be made";
                let (key, public) =
                    blob::sec1(scalar).ok_or_else(|| Refusal::new(format!("{generation} is no key of P-256"), remedy))?;
                let certificate = self.certificate(router, which, generation, &public)?;
                Held::of_blob(generation, blob::with_certificate(trust, &certificate, &key))
            }
            (Mode::Token, token) => {
                let visible = token.iter().all(u8::is_ascii_graphic);
                let token = std::str::from_utf8(token).ok().filter(|token| visible && !token.is_empty());
                let token =
                    token.ok_or_else(|| Refusal::new(format!("{generation} is no token"), "use visible ASCII without spaces"))?;
                let value = Zeroizing::new([SCHEME, token].concat());
                Held::of_blob(generation, blob::with_token(trust, &value))
            }
        }
    }

    /// The certificate of a key that was made here: issued once and kept, since its checksum says what a station has.
    fn certificate(&self, router: u64, which: Which, generation: Generation, public: &[u8; 65]) -> Result<Vec<u8>, Refusal> {
        let mut key = vec![if which == Which::Cups { b'c' } else { b't' }];
        key.extend(router.to_be_bytes());
        key.extend(generation.0.to_be_bytes());
        if let Some((_, kept)) = self.ledger.get(&key).map_err(journal)? {
            return Ok(kept);
        }
        let issuer = self.issuer.read().unwrap_or_else(PoisonError::into_inner).clone();
        let issuer = issuer.ok_or_else(|| {
            Refusal::new("nobody is configured to issue certificates for gateways", "configure an issuing authority")
        })?;
        let certificate = issuer.issue(router, which, public)?;
        self.ledger.put(&[(key, Some(certificate.clone()))]).map_err(journal)?;
        Ok(certificate)
    }
}
