//! The process is killed at any moment between a request and its answer: what was answered stays used, what was not is spent or free, and no JoinNonce
//! comes twice.

use super::peers::{Client, Device, hex, unhex};
use crate::evidence::Evidence;
use crate::journal::{Change, Epoch, JournalError, Ledger};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Generation, Slot};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where the child keeps its journal.
const FOLDER: &str = "CITYTAP_TEST_JOIN_SERVER";

/// Changes as lines that are flushed to the disk before `put` returns; a torn last line is none.
struct FileLedger {
    file: Mutex<File>,
    values: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl FileLedger {
    fn open(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let values =
            whole.lines().filter_map(|line| line.split_once(' ')).map(|(key, value)| (unhex(key), unhex(value))).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        if whole.len() < text.len() {
            file.write_all(b"\n").unwrap();
        }
        Self { file: Mutex::new(file), values: Mutex::new(values) }
    }
}

impl Ledger for FileLedger {
    fn secret(&self, _slot: &Slot, _generation: Generation) -> Result<Option<Secret>, JournalError> {
        Ok(Some(Secret::new(vec![0x11; 16])))
    }

    fn accepted(&self, _slot: &Slot) -> Result<AcceptSet, JournalError> {
        Ok(AcceptSet::of([Generation(1)]))
    }

    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError> {
        Ok(Vec::new())
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
        let mut file = self.file.lock().unwrap();
        for (key, value) in changes {
            let value = value.clone().unwrap_or_default();
            writeln!(file, "{} {}", hex(key), hex(&value)).unwrap();
            self.values.lock().unwrap().insert(key.clone(), value);
        }
        file.sync_data().unwrap();
        // Long enough to be killed before the answer leaves.
        std::thread::sleep(Duration::from_millis(2));
        Ok(())
    }

    fn epoch(&self) -> Epoch {
        Epoch(0)
    }
}

/// Not a test by itself: what the test below kills.
#[test]
fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let ledger = Arc::new(FileLedger::open(&Path::new(&folder).join("journal")));
    let server = super::serve("", ledger);
    std::fs::write(Path::new(&folder).join("address.new"), server.address().to_string()).unwrap();
    std::fs::rename(Path::new(&folder).join("address.new"), Path::new(&folder).join("address")).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

struct Running(Child);

impl Running {
    fn start(folder: &Path) -> (Self, std::net::SocketAddr) {
        let address = folder.join("address");
        let _ = std::fs::remove_file(&address);
        let name = "backends::join_server::tests::restarts::the_process_that_is_killed";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = Self(command.spawn().unwrap());
        let errors = running.0.stderr.take().unwrap();
        std::thread::spawn(move || BufReader::new(errors).lines().for_each(drop));
        for _ in 0..500 {
            if let Ok(text) = std::fs::read_to_string(&address) {
                return (running, text.parse().unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process does not start");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn killed_at_any_moment_no_number_is_given_or_taken_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut devices: Vec<Device> = (1..=4).map(|number| Device::new(number, 0x11)).collect();
    let mut given: BTreeSet<(u64, u32)> = BTreeSet::new();
    let mut answered: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut unanswered = 0;
    for round in 0..12_u64 {
        let (running, address) = Running::start(folder.path());
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(11 + round * 7));
            drop(running);
        });
        std::thread::scope(|scope| {
            let asking: Vec<_> = devices
                .iter_mut()
                .map(|device| {
                    scope.spawn(move || {
                        let Ok(stream) = std::net::TcpStream::connect(address) else { return (Vec::new(), 0) };
                        let mut client = Client::over(Box::new(stream));
                        let mut taken = Vec::new();
                        loop {
                            let frame = device.join_request();
                            let Some((200, body)) = client.post(device.join_req(&frame).to_string().as_bytes()) else {
                                return (taken, 1);
                            };
                            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
                            assert_eq!(
                                answer["Result"]["ResultCode"], "Success",
                                "a number that was never used is taken: {answer}"
                            );
                            assert!(
                                device.take(&unhex(answer["PHYPayload"].as_str().unwrap()), 0xff, device.dev_nonce),
                                "JoinNonce went back"
                            );
                            taken.push((device.dev_eui, device.last_join_nonce.unwrap(), frame));
                        }
                    })
                })
                .collect();
            for thread in asking {
                let (taken, lost) = thread.join().unwrap();
                unanswered += lost;
                for (dev_eui, join_nonce, frame) in taken {
                    assert!(given.insert((dev_eui, join_nonce)), "JoinNonce {join_nonce} twice");
                    answered.push((dev_eui, frame));
                }
            }
        });
        killer.join().unwrap();
    }
    let (_running, address) = Running::start(folder.path());
    let mut client = Client::connect(address);
    for (dev_eui, frame) in answered.iter().rev().take(100) {
        let answer = client.ask(&Device::new(*dev_eui, 0x11).join_req(frame));
        assert_eq!(answer["Result"]["ResultCode"], "JoinReqFailed", "what was answered stays used");
    }
    assert!(given.len() > 100 && unanswered > 10, "{} {unanswered}", given.len());
}
