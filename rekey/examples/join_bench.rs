//! The Join Server under load: many devices, each joining through a network server's connection, with every answer on the disk before it leaves.
//!
//! usage: `cargo run --release --example join_bench -- [DEVICES] [CONNECTIONS] [JOINS]` (1000000 64 1000000). Both sides run in this process, so the
//! figures hold for the machine with both. Keys follow from the DevEUI; opening sealed keys, which happens once a device, is not in it.

use aes::Aes128;
use aes::cipher::KeyInit;
use citytap_rekey::backends::join_server::JoinServer;
use citytap_rekey::evidence::Evidence;
use citytap_rekey::journal::{Change, Epoch, JournalError, Ledger};
use citytap_rekey::secrets::Secret;
use citytap_rekey::slot::{AcceptSet, Generation, Slot};
use citytap_rekey::time::Timestamp;
use cmac::{Cmac, Mac};
use redb::{Database, ReadableDatabase, TableDefinition};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const VALUES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("values");

/// redb with one flush a call, as the journal keeps what a backend puts.
struct Disk {
    database: Database,
    flushes: AtomicU64,
}

fn failed(error: impl std::fmt::Display) -> JournalError {
    JournalError { place: "of the benchmark".into(), cause: error.to_string(), remedy: "run it where there is room".into() }
}

fn key_of(dev_eui: u64) -> [u8; 16] {
    let mut key = [0x5a; 16];
    key[..8].copy_from_slice(&dev_eui.to_le_bytes());
    key
}

impl Ledger for Disk {
    fn secret(&self, slot: &Slot, _: Generation) -> Result<Option<Secret>, JournalError> {
        let dev_eui = u64::from_str_radix(slot.name(), 16).map_err(failed)?;
        Ok(Some(Secret::new(key_of(dev_eui).to_vec())))
    }

    fn accepted(&self, _: &Slot) -> Result<AcceptSet, JournalError> {
        Ok(AcceptSet::of([Generation(1)]))
    }

    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError> {
        Ok(Vec::new())
    }

    fn saw(&self, _: &Slot, _: &[Evidence]) -> Result<(), JournalError> {
        Ok(())
    }

    fn seen(&self, _: &Slot, _: Timestamp) -> Result<Vec<Evidence>, JournalError> {
        Ok(Vec::new())
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Epoch, Vec<u8>)>, JournalError> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = read.open_table(VALUES).map_err(failed)?;
        Ok(table.get(key).map_err(failed)?.map(|value| (Epoch(0), value.value().to_vec())))
    }

    fn put(&self, changes: &[Change]) -> Result<(), JournalError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(VALUES).map_err(failed)?;
            for (key, value) in changes {
                table.insert(key.as_slice(), value.as_deref().unwrap_or_default()).map_err(failed)?;
            }
        }
        self.flushes.fetch_add(1, Ordering::Relaxed);
        write.commit().map_err(failed)
    }

    fn epoch(&self) -> Epoch {
        Epoch(0)
    }
}

fn join_req(dev_eui: u64, dev_nonce: u16) -> String {
    let mut frame = vec![0_u8];
    frame.extend(0x70b3_d57e_d000_0001_u64.to_le_bytes());
    frame.extend(dev_eui.to_le_bytes());
    frame.extend(dev_nonce.to_le_bytes());
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&key_of(dev_eui).into());
    mac.update(&frame);
    frame.extend(&mac.finalize().into_bytes()[..4]);
    let frame: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{{\"ProtocolVersion\":\"1.0\",\"SenderID\":\"000013\",\"ReceiverID\":\"70b3d57ed0000001\",\"TransactionID\":1,\"MessageType\":\"JoinReq\",\
         \"MACVersion\":\"1.0.3\",\"PHYPayload\":\"{frame}\",\"DevEUI\":\"{dev_eui:016x}\",\"DevAddr\":\"26013fff\",\"DLSettings\":\"00\",\"RxDelay\":1,\
         \"CFList\":\"184f84e85684b85e8488668458ce8400\"}}"
    )
}

/// One connection: device after device, until all joins are taken. Latencies in nanoseconds.
fn network_server(address: SocketAddr, devices: u64, joins: u64, next: &AtomicU64) -> std::io::Result<Vec<u64>> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    stream.get_ref().set_nodelay(true)?;
    let mut latencies = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= joins {
            return Ok(latencies);
        }
        let body = join_req(number % devices + 1, (number / devices + 1) as u16);
        let head = format!("POST / HTTP/1.1\r\nHost: js\r\nContent-Length: {}\r\n\r\n", body.len());
        let begin = Instant::now();
        stream.get_mut().write_all([head, body].concat().as_bytes())?;
        let mut line = String::new();
        let mut length = 0;
        while stream.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer)?;
        latencies.push(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
        if !answer.windows(9).any(|part| part == b"\"Success\"") {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
    }
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let devices = arguments.next().transpose()?.unwrap_or(1_000_000);
    let connections = arguments.next().transpose()?.unwrap_or(64);
    let joins = arguments.next().transpose()?.unwrap_or(devices);
    let folder = tempfile::tempdir_in(".")?;
    // A small cache of pages, so that the memory told is the Join Server's.
    let database = Database::builder().set_cache_size(32 << 20).create(folder.path().join("values.redb"))?;
    let disk = Arc::new(Disk { database, flushes: AtomicU64::new(0) });
    let write = disk.database.begin_write()?;
    write.open_table(VALUES)?;
    write.commit()?;
    let server = JoinServer::open(&"listen = \"127.0.0.1:0\"".parse()?, disk.clone())?;
    let (address, before) = (server.address(), resident_mb());
    let (next, begin) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let asking: Vec<_> = (0..connections)
        .map(|_| {
            let next = next.clone();
            std::thread::spawn(move || network_server(address, devices, joins, &next))
        })
        .collect();
    let mut latencies = Vec::new();
    for thread in asking {
        latencies.extend(thread.join().map_err(|_| "a connection's thread ended")??);
    }
    let took = begin.elapsed();
    latencies.sort_unstable();
    let at = |part: f64| Duration::from_nanos(latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or(0));
    println!("{} joins of {} devices over {connections} connections in {took:.1?}", latencies.len(), server.loaded());
    println!(
        "{:.0} answers a second, {} flushes",
        latencies.len() as f64 / took.as_secs_f64(),
        disk.flushes.load(Ordering::Relaxed)
    );
    println!("p50 {:?}, p99 {:?}, longest {:?}", at(0.5), at(0.99), at(1.0 - 1e-9));
    println!(
        "memory {} MB, {} MB before the first join (latencies of {} MB among it)",
        resident_mb(),
        before,
        latencies.len() * 8 / 1_000_000
    );
    Ok(())
}
