//! A whole rotation: the real journal and agent, the Join Server over HTTP, and a Lobaro device behind a network server that both do only what theirs do.

use super::super::JoinServer;
use super::super::devices::slot;
use super::peers::{Client, Device, hex};
use crate::agent::{Agent, Clock, Request, SystemClock};
use crate::backends::{Backend, Refusal};
use crate::delivery::lorawan::{Downlink, Route, Uplink};
use crate::journal::{Journal, Settings};
use crate::rotation::{Approval, Input, Outcome, Plan, State};
use crate::secrets::{Bound, Profile, Sealed, Sealing, Secret};
use crate::slot::{AcceptSet, Effecting, Generation, RotationId};
use crate::time::{Span, Timestamp};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Keeps secrets as they are.
struct Open;

impl Sealing for Open {
    fn make(&self, profile: &Profile, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        Ok(Sealed(vec![0xa0 | bound.generation.0 as u8; *profile.length.start()]))
    }

    fn seal(&self, secret: &Secret, _: Bound<'_>) -> Result<Sealed, Refusal> {
        Ok(Sealed(secret.expose().to_vec()))
    }

    fn open(&self, sealed: &Sealed, _: Bound<'_>) -> Result<Secret, Refusal> {
        Ok(Secret::new(sealed.0.clone()))
    }
}

/// The clock of the host, which a test sets forward together with everything else.
#[derive(Default)]
struct Forward(AtomicI64);

impl Clock for Forward {
    fn wall(&self) -> Timestamp {
        SystemClock::start().wall().plus(Span(self.0.load(Ordering::SeqCst)))
    }

    fn monotonic(&self) -> Span {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Span(BEGIN.get_or_init(Instant::now).elapsed().as_nanos() as i64 + self.0.load(Ordering::SeqCst))
    }
}

fn wall() -> Timestamp {
    SystemClock::start().wall()
}

/// A network server with one Lobaro device.
#[derive(Default)]
struct Network {
    queued: Mutex<Vec<(Effecting, Vec<u8>)>>,
    heard: Mutex<Vec<(Timestamp, Vec<u8>)>>,
    data: AtomicI64,
    clock: Arc<Forward>,
}

impl Route for Network {
    fn enqueue(&self, _: u64, downlinks: &[Downlink], by: Effecting) -> Outcome {
        let mut queued = self.queued.lock().unwrap();
        if !queued.iter().any(|(known, _)| *known == by) {
            queued.extend(downlinks.iter().map(|downlink| (by, downlink.payload().to_vec())));
        }
        Outcome::Sent
    }

    fn uplinks(&self, _: u64, port: u8, since: Timestamp) -> Result<Vec<Uplink>, Refusal> {
        let heard = self.heard.lock().unwrap();
        let heard = heard.iter().filter(|(at, _)| *at >= since);
        Ok(heard.map(|(at, text)| Uplink { port, payload: Zeroizing::new(text.clone()), at: *at }).collect())
    }

    fn last_data(&self, _: u64) -> Result<Option<Timestamp>, Refusal> {
        Ok(Some(Timestamp(self.data.load(Ordering::SeqCst))))
    }
}

/// The device: reports, takes its downlinks one after the other, and keeps a key only when it joined with it.
fn device(mut device: Device, network: &Network, address: std::net::SocketAddr, stop: &AtomicBool) -> Device {
    let mut client = Client::connect(address);
    device.join(&mut client).expect("the first join");
    let (mut taken, mut given, mut joins) = (0, None, 0);
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(30));
        network.data.store(network.clock.wall().0, Ordering::SeqCst);
        let next = network.queued.lock().unwrap().get(taken).map(|(_, payload)| payload.clone());
        let Some(command) = next else {
            // Some time after, it joins again by itself, as devices do.
            joins += 1;
            if joins == 40 && taken == 2 {
                device.dev_addr += 1;
                device.join(&mut client).expect("a later join");
            }
            continue;
        };
        (taken, joins) = (taken + 1, 0);
        if let Some(digits) = command.strip_prefix(b"sAppKey=") {
            given = Some(super::peers::unhex(std::str::from_utf8(digits).unwrap()));
            network.heard.lock().unwrap().push((wall(), command));
        } else if command == b"w" {
            let mut restarted =
                Device { nwk_key: given.take().unwrap().try_into().unwrap(), dev_addr: device.dev_addr + 1, ..device.clone() };
            if restarted.join(&mut client).is_ok() {
                device = restarted;
            }
        } else {
            panic!("a command that it does not know: {}", hex(&command));
        }
    }
    device
}

#[test]
fn a_key_is_changed_proven_and_the_old_one_retired() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("devices.csv");
    std::fs::write(&list, "dev_eui,family,reporting_seconds\n0000000000000001,lobaro,1\n").unwrap();
    let journal = Arc::new(Journal::open(&folder.path().join("journal"), Arc::new(Open), Settings::default()).unwrap());
    let old = Device::new(1, 0x11);
    let slot = slot(1).unwrap();
    journal.enter(&slot, Generation(1), &Secret::new(old.secret())).unwrap();
    let table = format!("listen = \"127.0.0.1:0\"\ndevices = {list:?}").parse().unwrap();
    let server = Arc::new(JoinServer::open(&table, journal.ledger("join_server")).unwrap());
    let (network, stop) = (Arc::new(Network::default()), Arc::new(AtomicBool::new(false)));
    server.set_route(network.clone());
    let running = {
        let (network, stop, address, old) = (network.clone(), stop.clone(), server.address(), old.clone());
        std::thread::spawn(move || device(old, &network, address, &stop))
    };
    std::thread::sleep(Duration::from_millis(300));

    let capability = server.capability(&slot).unwrap();
    let plan = Plan {
        id: RotationId(0),
        slot: slot.clone(),
        device: "0000000000000001".into(),
        behind: None,
        class: capability.class,
        procedure: capability.procedure,
        holds_both: capability.holds_both,
        from: Generation(1),
        to: Generation(2),
        accepted: server.read_back(&slot).unwrap(),
        keep: BTreeSet::new(),
        reporting: capability.reporting,
        polls: capability.polls,
        settles: capability.settles,
        outage: capability.outage,
        grace: capability.settles,
        approvals: 1,
        retire_approvals: 0,
    };
    let clock = network.clock.clone();
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = {
        let told = told.clone();
        Box::new(move |_: &crate::rotation::Rotation, what: &str| told.lock().unwrap().push(what.to_owned()))
    };
    let backend: Arc<dyn Backend> = server.clone();
    let mut agent = Agent::new(journal.clone(), [backend], clock.clone(), teller).unwrap();
    let rotation = journal.begin(plan, clock.wall()).unwrap();
    let id = rotation.plan.id;
    agent.adopt(rotation);
    let ask = agent.requests();
    ask(Request { rotation: id, input: Input::Approved { by: "ann".into(), what: Approval::Rotate } });
    let begin = Instant::now();
    let mut states = Vec::new();
    let retired = loop {
        agent.turn(Duration::from_millis(20));
        let rotation = journal.rotations().unwrap().pop().unwrap();
        if states.last() != Some(&rotation.state()) {
            states.push(rotation.state());
        }
        if rotation.state() == State::Retired || begin.elapsed() > Duration::from_secs(60) {
            break rotation;
        }
        if matches!(rotation.state(), State::Grace) {
            clock.0.fetch_add(Span::seconds(20).0, Ordering::SeqCst);
        }
    };
    stop.store(true, Ordering::SeqCst);
    let mut new = running.join().unwrap();
    assert_eq!(retired.state(), State::Retired, "{states:?} {:?}", told.lock().unwrap());
    assert_eq!(new.nwk_key, [0xa2; 16]);
    assert_eq!(server.read_back(&slot).unwrap(), AcceptSet::of([Generation(2)]));
    assert_eq!(journal.accepted(&slot).unwrap(), AcceptSet::of([Generation(2)]));
    let mut client = Client::connect(server.address());
    new.join(&mut client).unwrap();
    let mut thief = Device { dev_nonce: 60_000, ..old };
    assert_eq!(thief.join(&mut client).unwrap_err(), "MICFailed");
}
