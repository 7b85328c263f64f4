//! The Join Server's part in a rotation: ways to the device, capability, hand-over.

use super::super::devices::slot;
use super::super::keys::Key;
use super::super::multicast::Group;
use super::ledger::MemoryLedger;
use super::peers::{Client, Device};
use super::serve;
use crate::backends::{Backend, Refusal};
use crate::delivery::lorawan::{Downlink, Route, Uplink};
use crate::evidence::{Evidence, Reach};
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Effecting, Generation, RotationId, Slot, Step};
use crate::time::{Span, Timestamp};
use std::io::Write;
use std::sync::{Arc, Mutex};
use zeroize::Zeroizing;

const BY: Effecting = Effecting { rotation: RotationId(5), step: Step(3) };

/// A network server that queues, and a device that answers through it.
#[derive(Default)]
struct Queue {
    sent: Mutex<Vec<(u8, Vec<u8>, Effecting)>>,
    heard: Mutex<Vec<(u8, Vec<u8>)>>,
}

impl Queue {
    fn texts(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|(_, payload, _)| String::from_utf8_lossy(payload).into_owned()).collect()
    }
}

impl Route for Queue {
    fn enqueue(&self, _dev_eui: u64, downlinks: &[Downlink], by: Effecting) -> Outcome {
        let mut sent = self.sent.lock().unwrap();
        if !sent.iter().any(|(_, _, known)| *known == by) {
            sent.extend(downlinks.iter().map(|downlink| (downlink.port(), downlink.payload().to_vec(), by)));
        }
        Outcome::Sent
    }

    fn last_data(&self, _dev_eui: u64) -> Result<Option<Timestamp>, Refusal> {
        Ok(Some(Timestamp(i64::MAX)))
    }

    fn uplinks(&self, _dev_eui: u64, port: u8, _since: Timestamp) -> Result<Vec<Uplink>, Refusal> {
        let heard = self.heard.lock().unwrap();
        let on_port = heard.iter().filter(|(heard_on, _)| *heard_on == port);
        Ok(on_port
            .map(|(port, text)| Uplink { port: *port, payload: Zeroizing::new(text.clone()), at: Timestamp(i64::MAX) })
            .collect())
    }
}

fn list(lines: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "dev_eui,family,held_by\n{lines}").unwrap();
    file
}

#[test]
fn a_lobaro_device_is_told_to_keep_its_key_when_it_repeated_it() {
    let mut device = Device::new(1, 0x11);
    let ledger = Arc::new(MemoryLedger::default());
    ledger.enter(1, 1, &device.secret());
    let list = list("0000000000000001,lobaro,\n");
    let configuration = format!("devices = {:?}", list.path());
    let server = serve(&configuration, ledger.clone());
    let slot = slot(1).unwrap();
    assert_eq!(server.capability(&slot).unwrap().class, Class::SiteVisit, "without a network server");
    let route = Arc::new(Queue::default());
    server.set_route(route.clone());
    let capability = server.capability(&slot).unwrap();
    assert_eq!((capability.class, capability.procedure), (Class::Overlap, Procedure::SharedSecretReplacement));
    assert!(capability.unproven.contains("unproven on hardware") && capability.airtime > Span::seconds(4), "{capability:?}");
    assert_eq!(server.profile(&slot).unwrap().length, 16..=16);

    let key = vec![0x22; 16];
    ledger.enter(1, 2, &key);
    let secret = Secret::new(key);
    server.accept(&slot, Generation(2), Some(&secret), BY);
    for _ in 0..2 {
        assert_eq!(server.deliver(&slot, Generation(1), Generation(2), Some(&secret), BY), Outcome::Sent);
    }
    assert_eq!(route.texts(), ["sAppKey=22222222222222222222222222222222"]);
    assert!(server.evidence(&slot, Timestamp(0)).unwrap().is_empty() && route.texts().len() == 1);
    route.heard.lock().unwrap().push((128, b"sAppKey=2222222222222222222222222222222f".to_vec()));
    assert!(server.evidence(&slot, Timestamp(0)).unwrap().is_empty() && route.texts().len() == 1, "not with another key");

    // The host is replaced in between.
    drop(server);
    let server = serve(&configuration, Arc::new(ledger.reopened()));
    server.set_route(route.clone());
    route.heard.lock().unwrap().push((128, b"sAppKey=22222222222222222222222222222222".to_vec()));
    for _ in 0..2 {
        let evidence = server.evidence(&slot, Timestamp(0)).unwrap();
        assert!(matches!(evidence[..], [Evidence::Acknowledged { generation: Generation(2), .. }]), "{evidence:?}");
    }
    assert_eq!(route.texts()[1..], ["w"]);
    assert_eq!(server.deliver(&slot, Generation(1), Generation(2), Some(&secret), BY), Outcome::Sent);
    assert_eq!(route.texts().len(), 2, "what it keeps is not given again");

    assert!(!server.evidence(&slot, Timestamp(0)).unwrap().iter().any(|seen| matches!(seen, Evidence::Restarted { .. })));
    // It restarts with the new key; had the join failed, the old one would do.
    device.nwk_key = [0x22; 16];
    device.join(&mut Client::connect(server.address())).unwrap();
    assert!(
        server
            .evidence(&slot, Timestamp(0))
            .unwrap()
            .iter()
            .any(|seen| matches!(seen, Evidence::Used(used) if used.generation.0 == 2))
    );
    let evidence = server.evidence(&slot, Timestamp(0)).unwrap();
    assert!(evidence.iter().any(|seen| matches!(seen, Evidence::Restarted { .. })), "it has no other way to the new key");
    assert!(
        evidence.iter().any(|seen| matches!(seen, Evidence::Used(used) if used.reach == Reach::Data && used.generation.0 == 2))
    );
}

#[test]
fn a_dragino_device_is_restarted_for_new_session_keys() {
    let mut device = Device::new(1, 0x11);
    let ledger = Arc::new(MemoryLedger::default());
    ledger.enter(1, 1, &device.secret());
    let list = list("0000000000000001,dragino,\n");
    let server = serve(&format!("devices = {:?}", list.path()), ledger);
    let route = Arc::new(Queue::default());
    server.set_route(route.clone());
    let mut client = Client::connect(server.address());
    device.join(&mut client).unwrap();
    let (root, session): (Slot, Slot) = (slot(1).unwrap(), "join_server/0000000000000001.session".parse().unwrap());
    assert_eq!(server.capability(&root).unwrap().class, Class::SiteVisit, "its root key has no remote way");
    let capability = server.capability(&session).unwrap();
    assert_eq!(
        (capability.class, capability.procedure, server.profile(&session)),
        (Class::Overlap, Procedure::SessionRekey, None)
    );

    let sessions = || -> Vec<(u32, u64)> {
        let evidence = server.evidence(&session, Timestamp(0)).unwrap();
        let uses = evidence
            .iter()
            .filter_map(|seen| if let Evidence::Used(used) = seen { Some((used.generation.0, used.session)) } else { None });
        let mut uses: Vec<_> = uses.collect();
        // A session and its data.
        uses.dedup();
        uses
    };
    assert_eq!(server.read_back(&session).unwrap(), AcceptSet::of([Generation(1)]));
    assert_eq!(server.deliver(&session, Generation(1), Generation(1), None, BY), Outcome::Sent);
    assert_eq!(route.sent.lock().unwrap()[0].1, [0x04, 0xff]);
    assert_eq!(sessions(), [(1, 0x26013fff)]);
    device.dev_addr = 0x26014aaa;
    device.join(&mut client).unwrap();
    assert_eq!(sessions(), [(1, 0x26013fff), (1, 0x26014aaa)], "the same root key, another session");
    assert!(matches!(server.accept(&session, Generation(2), None, BY), Outcome::Rejected { .. }));
    assert!(matches!(server.retire(&session, Generation(1), BY), Outcome::Rejected { .. }));
    assert!(matches!(
        server.deliver(&root, Generation(1), Generation(2), Some(&Secret::new(vec![1; 16])), BY),
        Outcome::Rejected { .. }
    ));
}

#[test]
fn what_somebody_else_holds_is_not_planned_and_not_served() {
    let mut device = Device::new(1, 0x11);
    let ledger = Arc::new(MemoryLedger::default());
    ledger.enter(1, 1, &device.secret());
    let list = list("0000000000000001,lobaro,ACME Join Server\n");
    let server = serve(&format!("devices = {:?}", list.path()), ledger);
    let refusal = server.capability(&slot(1).unwrap()).unwrap_err().to_string();
    assert!(refusal.contains("ACME Join Server holds the root key") && refusal.contains("nothing is planned"), "{refusal}");
    assert_eq!(device.join(&mut Client::connect(server.address())).unwrap_err(), "UnknownDevEUI");
    assert!(server.capability(&slot(2).unwrap()).is_err(), "unknown");
    for wrong in ["join_server/1", "join_server/000000000000000g", "mosquitto/0000000000000001"] {
        assert!(server.capability(&wrong.parse().unwrap()).is_err(), "{wrong}");
    }
}

#[test]
fn a_device_is_handed_over_with_its_key_and_its_next_join_nonce() {
    let mut device = Device::v1_1(1, 0x11);
    let ledger = Arc::new(MemoryLedger::default());
    ledger.enter(1, 1, &device.secret());
    ledger.enter(1, 2, &[0x33; 32]);
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&format!("hand_over_to = {:?}", folder.path()), ledger.clone());
    device.join(&mut Client::connect(server.address())).unwrap();
    assert_eq!(server.leave(&slot(1).unwrap(), BY), Outcome::Done);
    let file = folder.path().join("0000000000000001.json");
    let text: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        (&text["generation"], &text["next_join_nonce"]),
        (&1.into(), &2.into()),
        "the key that the device used, not the newest"
    );
    assert_eq!((&text["nwk_key"], &text["app_key"]), (&"11".repeat(16).into(), &"ee".repeat(16).into()));
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap()) & 0o777, 0o600);
    assert!(matches!(serve("", ledger).leave(&slot(1).unwrap(), BY), Outcome::Rejected { .. }), "nowhere to lay it down");
}

#[test]
fn multicast_groups_are_set_up_again_where_the_key_changes_them() {
    let device = Device::v1_1(1, 0x11);
    let ledger = Arc::new(MemoryLedger::default());
    ledger.enter(1, 1, &device.secret());
    ledger.enter(1, 2, &[[0x22; 16], [0x33; 16]].concat());
    ledger.enter(1, 3, &[[0x44; 16], [0x33; 16]].concat());
    let server = serve("", ledger);
    let groups = [Group { id: 0, address: 7, key: Key::new([9; 16]), f_cnt: 5, f_cnt_max: 100 }];
    let again = |from, to| server.multicast_again(&slot(1).unwrap(), Generation(from), Generation(to), true, &groups);
    assert_eq!(again(1, 2).unwrap().len(), 1);
    assert!(again(2, 3).unwrap().is_empty(), "the AppKey is the same");
    assert!(again(1, 9).is_err());
}
