//! What every sink and its spool must do: keep the order, survive the peer's outage and our own restart, shed the oldest at the bound and count it.

use super::courier::{Courier, Delivery};
use super::spool::{Amounts, Spool, SpoolError};
use super::syslog::tests::parse;
use super::{Message, SINKS, open};
use crate::findings::Severity;
use citytap_sensor::time::{SECOND, Timestamp};
use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn message(number: usize) -> Message {
    let key = format!("{number:04}");
    Message {
        kind: "test".into(),
        time: Timestamp(number as u64 * SECOND),
        severity: Severity::Low,
        text: format!("message {number} of many"),
        labels: [("key".to_owned(), key.clone())].into(),
        json: format!("{{\"key\":\"{key}\"}}"),
        key,
    }
}

fn messages(numbers: std::ops::Range<usize>) -> Vec<Message> {
    numbers.map(message).collect()
}

fn keys(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("{number:04}")).collect()
}

/// The other side of a sink, which can go away and come back.
trait Peer {
    fn target(&self) -> String;
    fn up(&mut self);
    fn down(&mut self);
    /// Keys of all messages that came, in their order.
    fn received(&mut self) -> Vec<String>;
}

/// A file in a folder that is moved away.
struct LinesFile(PathBuf);

impl LinesFile {
    fn away(&self) -> PathBuf {
        self.0.with_extension("away")
    }
}

impl Peer for LinesFile {
    fn target(&self) -> String {
        format!("jsonl:{}", self.0.join("alerts.jsonl").display())
    }

    fn up(&mut self) {
        if !self.0.exists() {
            fs::rename(self.away(), &self.0).or_else(|_| fs::create_dir(&self.0)).expect("the folder is there");
        }
    }

    fn down(&mut self) {
        if self.0.exists() {
            fs::rename(&self.0, self.away()).expect("the folder can be moved");
        }
    }

    fn received(&mut self) -> Vec<String> {
        let key = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["key"].as_str().expect("a key").to_owned()
        };
        let text = fs::read_to_string(self.0.join("alerts.jsonl")).unwrap_or_default();
        text.lines().map(key).collect()
    }
}

/// A collector on a port of its own.
struct Datagrams {
    port: u16,
    socket: Option<UdpSocket>,
    received: Vec<String>,
}

impl Datagrams {
    fn new() -> Self {
        let port = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        Self { port, socket: None, received: Vec::new() }
    }
}

impl Peer for Datagrams {
    fn target(&self) -> String {
        format!("syslog:udp://127.0.0.1:{}", self.port)
    }

    fn up(&mut self) {
        let socket = UdpSocket::bind(("127.0.0.1", self.port)).expect("the port is free");
        socket.set_nonblocking(true).expect("a socket");
        self.socket = Some(socket);
    }

    fn down(&mut self) {
        self.received();
        self.socket = None;
    }

    fn received(&mut self) -> Vec<String> {
        let mut datagram = [0; 4_096];
        while let Some(Ok(length)) = self.socket.as_ref().map(|socket| socket.recv(&mut datagram)) {
            self.received.push(parse(&datagram[..length]).parameters["key"].clone());
        }
        self.received.clone()
    }
}

/// A collector that counts octets.
struct Connections {
    port: u16,
    /// The listener's and the connections' own handles, to close them.
    open: Arc<Mutex<Vec<TcpStream>>>,
    listener: Option<TcpListener>,
    received: Arc<Mutex<Vec<String>>>,
}

impl Connections {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        Self { port, open: Arc::default(), listener: None, received: Arc::default() }
    }
}

impl Peer for Connections {
    fn target(&self) -> String {
        format!("syslog:tcp://127.0.0.1:{}", self.port)
    }

    fn up(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("the port is free");
        let theirs = listener.try_clone().expect("a handle");
        let (open, received) = (self.open.clone(), self.received.clone());
        std::thread::spawn(move || {
            for stream in theirs.incoming() {
                let Ok(stream) = stream else { return };
                open.lock().expect("no panic").push(stream.try_clone().expect("a handle"));
                let received = received.clone();
                std::thread::spawn(move || read_frames(stream, &received));
            }
        });
        self.listener = Some(listener);
    }

    fn down(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        // A listener that is shut down answers its waiting thread with an error, and the port is free.
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).expect("a listener");
        drop(listener);
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        std::thread::sleep(Duration::from_millis(50));
    }

    fn received(&mut self) -> Vec<String> {
        self.received.lock().expect("no panic").clone()
    }
}

fn read_frames(stream: TcpStream, received: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        match stream.read_until(b' ', &mut length) {
            Ok(1..) if length.last() == Some(&b' ') => {}
            _ => return,
        }
        let length: usize = std::str::from_utf8(&length[..length.len() - 1]).expect("digits").parse().expect("a length");
        let mut frame = vec![0; length];
        if stream.read_exact(&mut frame).is_err() {
            return;
        }
        received.lock().expect("no panic").push(parse(&frame).parameters["key"].clone());
    }
}

/// Every sink of the table, with the peers that show it.
fn peers(folder: &Path) -> Vec<Box<dyn Peer>> {
    let peers: Vec<Box<dyn Peer>> =
        vec![Box::new(LinesFile(folder.join("lines"))), Box::new(Datagrams::new()), Box::new(Connections::new())];
    for spec in SINKS {
        assert!(peers.iter().any(|peer| peer.target().starts_with(&format!("{}:", spec.name))), "{} has no peer here", spec.name);
    }
    peers
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn start(peer: &dyn Peer, spool: Spool) -> Courier {
    let target = peer.target();
    Courier::start(&target, open(&target).expect("a target"), spool, |_| {})
}

/// What came, each message once, at its first place.
fn once(received: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    received.into_iter().filter(|key| seen.insert(key.clone())).collect()
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn every_sink_survives_the_outage_of_its_peer_and_a_restart_of_ours() {
    let folder = folder();
    for mut peer in peers(folder.path()) {
        let target = peer.target();
        let spool = folder.path().join(super::folder_name(&target));
        peer.up();
        let courier = start(peer.as_ref(), Spool::open(&spool, 1 << 20).expect("a spool"));
        courier.push(messages(0..3));
        wait_until("the first three are there", || once(peer.received()).len() == 3);
        peer.down();
        courier.push(messages(3..6));
        wait_until("the outage shows", || courier.delivery().away.is_some());
        assert_eq!(courier.finish(SOON).amounts.waiting, 3, "{target}");
        drop(courier);

        // Started again, with the peer still away.
        let courier = start(peer.as_ref(), Spool::open(&spool, 1 << 20).expect("the same spool"));
        courier.push(messages(6..9));
        wait_until("the outage shows again", || courier.delivery().away.is_some());
        assert_eq!(courier.delivery().amounts.waiting, 6, "{target}");
        peer.up();
        wait_until("everything is there", || once(peer.received()).len() == 9);
        assert_eq!(once(peer.received()), keys(0..9), "{target}");
        let Delivery { amounts, away, .. } = courier.finish(SOON);
        assert_eq!((amounts, away), (Amounts::default(), None), "{target}");
        peer.down();
    }
}

#[test]
fn every_sink_gets_what_a_full_spool_kept_and_the_rest_is_counted() {
    let folder = folder();
    for mut peer in peers(folder.path()) {
        let target = peer.target();
        let spool = folder.path().join(super::folder_name(&target));
        // Segments of 1 KB: some five messages each.
        let courier = start(peer.as_ref(), Spool::open(&spool, 16 << 10).expect("a spool"));
        (0..200).for_each(|number| courier.push(vec![message(number)]));
        wait_until("the outage shows", || courier.delivery().away.is_some());
        let Amounts { waiting, lost, .. } = courier.delivery().amounts;
        assert!(lost > 20 && waiting > 20 && lost + waiting == 200, "{target}: {lost} lost, {waiting} waiting");
        peer.up();
        wait_until("what was kept is there", || once(peer.received()).len() as u64 >= waiting);
        let received = once(peer.received());
        assert_eq!(received, keys(lost as usize..200), "{target}");
        assert_eq!(courier.finish(SOON).amounts, Amounts { lost, ..Amounts::default() }, "{target}");
        drop(courier);
        let again = Spool::open(&spool, 16 << 10).expect("the same spool");
        assert_eq!(again.amounts(), Amounts { lost, ..Amounts::default() }, "what was lost stays known");
        peer.down();
    }
}

#[test]
fn a_record_that_was_cut_off_costs_itself_alone_and_a_damaged_one_too() {
    let folder = folder();
    let mut spool = Spool::open(folder.path(), 1 << 20).expect("a spool");
    spool.push(messages(0..5));
    drop(spool);
    let segment = folder.path().join("segment-0000000000");
    let mut bytes = fs::read(&segment).expect("a segment");
    // The second loses a letter's meaning, the last its end.
    let second = bytes.iter().position(|byte| *byte == b'\n').expect("a line") + 30;
    bytes[second] ^= 1;
    bytes.truncate(bytes.len() - 7);
    fs::write(&segment, &bytes).expect("a segment");
    let mut spool = Spool::open(folder.path(), 1 << 20).expect("a spool");
    assert_eq!(spool.amounts(), Amounts { waiting: 3, damaged: 2, ..Amounts::default() });
    spool.push(messages(5..6));
    let (first, waiting) = spool.peek(100);
    assert_eq!(waiting.iter().map(|message| message.key.clone()).collect::<Vec<_>>(), keys([0, 2, 3, 5]));
    spool.taken(first + 3);
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 20).expect("a spool");
    assert_eq!(spool.peek(100).1, [message(5)]);
}

#[test]
fn while_the_disk_refuses_messages_wait_in_memory_and_go_on() {
    let folder = folder();
    let own = folder.path().join("spool");
    let mut spool = Spool::open(&own, 1 << 20).expect("a spool");
    fs::remove_dir_all(&own).expect("removed");
    spool.push(messages(0..3));
    let amounts = spool.amounts();
    assert!(amounts.disk.is_some() && (amounts.waiting, amounts.in_memory) == (3, 3), "{amounts:?}");
    let (first, waiting) = spool.peek(2);
    assert_eq!(waiting, messages(0..2));
    // Between the look and its end the disk is back.
    fs::create_dir(&own).expect("made");
    spool.push(messages(3..4));
    assert_eq!(spool.amounts(), Amounts { waiting: 4, ..Amounts::default() });
    spool.taken(first + 2);
    assert_eq!(spool.peek(100).1, messages(2..4));
}

#[test]
fn memory_is_bounded_and_what_is_shed_during_a_delivery_is_not_taken_for_delivered() {
    let mut spool = Spool::in_memory(4);
    spool.push(messages(0..4));
    let (first, batch) = spool.peek(2);
    assert_eq!(batch, messages(0..2));
    spool.push(messages(4..7));
    assert_eq!(spool.amounts(), Amounts { waiting: 4, in_memory: 4, lost: 3, ..Amounts::default() });
    spool.taken(first + 2);
    assert_eq!(spool.peek(9).1, messages(3..7));
}

#[test]
fn messages_for_a_sink_that_is_not_named_any_more_are_not_forgotten() {
    let folder = folder();
    let [old, new] = ["jsonl:old", "jsonl:new"].map(str::to_owned);
    let own = folder.path().join(super::folder_name(&old));
    Spool::open(&own, 1 << 20).expect("a spool").push(messages(0..3));
    Spool::open(&folder.path().join(super::folder_name(&new)), 1 << 20).expect("a spool").push(messages(0..3));
    assert_eq!(super::forgotten(folder.path(), &[new]), [(own, 3)]);
}

#[test]
fn a_spool_belongs_to_one_process() {
    let folder = folder();
    let _spool = Spool::open(folder.path(), 1 << 20).expect("a spool");
    assert!(matches!(Spool::open(folder.path(), 1 << 20), Err(SpoolError::InUse(_))));
}

#[test]
fn a_line_that_was_cut_off_in_a_file_costs_itself_alone() {
    let folder = folder();
    let path = folder.path().join("alerts.jsonl");
    fs::write(&path, "{\"key\":\"0000\"}\n{\"key\":\"00").expect("a file");
    let mut sink = open(&format!("jsonl:{}", path.display())).expect("a target");
    sink.deliver(&messages(2..3)).expect("is delivered");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "{\"key\":\"0000\"}\n{\"key\":\"00\n{\"key\":\"0002\"}\n");
}

#[test]
fn a_target_that_is_typed_wrong_is_told() {
    for (target, words) in [
        ("alerts.jsonl", "say what it is and where"),
        ("jsnol:alerts.jsonl", "Is jsonl meant?"),
        ("jsonl:", "name a file"),
        ("kafka:x", "there is no sink 'kafka'"),
    ] {
        let wrong = open(target).err().unwrap_or_default();
        assert!(wrong.contains(words), "{target}: {wrong}");
    }
}
