//! The CUPS server against a station that behaves as the real one was measured to: its behaviours (a) to (g).

mod behaviour;
mod station;

use super::blob::{self, sec1};
use super::gateway::Which;
use super::{Cups, Issuer, slot};
use crate::backends::Refusal;
use crate::evidence::Evidence;
use crate::journal::{Change, Epoch, JournalError, Ledger};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData, SignatureAlgorithm};
use station::{Set, Station};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What was entered; `None`: a generation whose secret is not held.
type Keys = BTreeMap<(Slot, Generation), Option<Vec<u8>>>;

/// A journal in memory.
#[derive(Default)]
struct Memory {
    keys: Mutex<Keys>,
    values: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Memory {
    fn enter(&self, slot: &Slot, generation: u32, secret: Option<&[u8]>) {
        self.keys.lock().unwrap().insert((slot.clone(), Generation(generation)), secret.map(<[u8]>::to_vec));
    }
}

impl Ledger for Memory {
    fn secret(&self, slot: &Slot, generation: Generation) -> Result<Option<Secret>, JournalError> {
        Ok(self.keys.lock().unwrap().get(&(slot.clone(), generation)).cloned().flatten().map(Secret::new))
    }

    fn accepted(&self, slot: &Slot) -> Result<AcceptSet, JournalError> {
        Ok(AcceptSet::of(self.keys.lock().unwrap().keys().filter(|(of, _)| of == slot).map(|(_, generation)| *generation)))
    }

    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError> {
        let slots: std::collections::BTreeSet<Slot> = self.keys.lock().unwrap().keys().map(|(slot, _)| slot.clone()).collect();
        slots.into_iter().map(|slot| self.accepted(&slot).map(|accepted| (slot, accepted))).collect()
    }

    fn saw(&self, _slot: &Slot, _evidence: &[Evidence]) -> Result<(), JournalError> {
        Ok(())
    }

    fn seen(&self, _slot: &Slot, _since: Timestamp) -> Result<Vec<Evidence>, JournalError> {
        Ok(Vec::new())
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Epoch, Vec<u8>)>, JournalError> {
        Ok(self.values.lock().unwrap().get(key).map(|value| (Epoch(0), value.clone())))
    }

    fn put(&self, changes: &[Change]) -> Result<(), JournalError> {
        let mut values = self.values.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => values.insert(key.clone(), value.clone()),
                None => values.remove(key),
            };
        }
        Ok(())
    }

    fn epoch(&self) -> Epoch {
        Epoch(0)
    }
}

/// A public key of P-256.
struct Point([u8; 65]);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// The authority of the city: its server and its gateways.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn trust(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    fn certificate(&self, name: &str, public: &[u8; 65], ended: bool) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if ended {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        params.signed_by(&Point(*public), &self.0).unwrap().der().to_vec()
    }
}

impl Issuer for Authority {
    fn issue(&self, router: u64, _which: Which, public: &[u8; 65]) -> Result<Vec<u8>, Refusal> {
        Ok(self.certificate(&format!("gw-{router:016x}"), public, false))
    }
}

/// A private key of generation `n`.
fn scalar(n: u8) -> Vec<u8> {
    vec![n; 32]
}

struct Bench {
    folder: tempfile::TempDir,
    authority: Arc<Authority>,
    ledger: Arc<Memory>,
}

const ROUTER: u64 = 0xb827_ebff_fe12_3456;
const ROUTER_ID6: &str = "b827:ebff:fe12:3456";

impl Bench {
    fn new() -> Self {
        let authority = Arc::new(Authority::new());
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority.0).unwrap();
        std::fs::write(folder.path().join("server.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("server.key"), key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.0.pem()).unwrap();
        Self { folder, authority, ledger: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn serve(&self, more: &str) -> Cups {
        let [certificate, key, trust] = ["server.pem", "server.key", "ca.pem"].map(|name| self.path(name));
        let table =
            format!("listen = \"127.0.0.1:0\"\ncertificate = {certificate:?}\nkey = {key:?}\ntrust = {trust:?}\n{more}\n");
        let cups = Cups::open(&table.parse().unwrap(), self.ledger.clone()).unwrap_or_else(|refusal| panic!("{refusal}"));
        cups.set_issuer(self.authority.clone());
        cups
    }

    /// A set of this gateway with this private key, issued by hand.
    fn set(&self, router: u64, key: u8, ended: bool) -> Set {
        let (der, public) = sec1(&scalar(key)).unwrap();
        [self.authority.trust(), self.authority.certificate(&format!("gw-{router:016x}"), &public, ended), der.to_vec()]
    }

    /// A station with generation 1 of both, which the journal holds as whole blobs.
    fn station(&self, router: u64, id6: &str) -> Station {
        let (cups, tc) = (self.set(router, 1, false), self.set(router, 101, false));
        for (which, set) in [(Which::Cups, &cups), (Which::Tc, &tc)] {
            let blob = blob::with_certificate(&set[0], &set[1], &set[2]);
            self.ledger.enter(&slot(router, which).unwrap(), 1, Some(&blob));
        }
        Station::new(id6, cups, tc)
    }
}
