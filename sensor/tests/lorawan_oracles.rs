//! Recorded traffic against answers from elsewhere: the LoRaWAN oracles give every frame of a packet forwarder's captures, with its keys.
//! The captures are named by `CITYTAP_CAPTURES`; without it these tests say so and check nothing.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use citytap_sensor::flow::{Direction, Transport};
use citytap_sensor::protocols::lorawan::wire::{Frame, PhyPayload};
use citytap_sensor::protocols::lorawan::{blocks, commands};
use citytap_sensor::protocols::{gwmp, loratap};
use citytap_sensor::testing::Bench;
use cmac::{Cmac, Mac};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn captures() -> Option<PathBuf> {
    let folder = std::env::var_os("CITYTAP_CAPTURES").filter(|top| !top.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("CITYTAP_CAPTURES is not set: nothing was checked");
    }
    folder
}

/// Frames of a little-endian pcap file.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut frames = Vec::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        frames.push(bytes[at + 16..at + 16 + length].to_vec());
        at += 16 + length;
    }
    frames
}

/// The UDP payload of an Ethernet frame with IPv4.
fn udp_payload(frame: &[u8]) -> &[u8] {
    let ip = &frame[14..];
    let udp = &ip[usize::from(ip[0] & 15) * 4..];
    &udp[8..usize::from(u16::from_be_bytes([udp[4], udp[5]]))]
}

/// Observations of packet forwarder datagrams: frame number and line. One decoder serves all flows, which changes only what is said again.
fn observations(path: &Path) -> Vec<(usize, String)> {
    let mut bench = Bench::new(&gwmp::SPEC, Transport::Udp, 1700);
    let mut seen = Vec::new();
    for (index, frame) in frames(path).iter().enumerate() {
        let datagram = udp_payload(frame);
        let direction = if matches!(datagram[3], 0 | 2 | 5) { Direction::ToServer } else { Direction::ToClient };
        assert!(bench.show(direction, datagram), "frame {}", index + 1);
        seen.extend(bench.lines.0.drain(..).map(|line| (index + 1, line)));
    }
    seen
}

/// The record of a line, of one kind.
fn record(line: &str, kind: &str) -> Option<Value> {
    let json = line[2..].strip_prefix(kind)?.trim_start();
    serde_json::Deserializer::from_str(json).into_iter().next()?.ok()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn key(oracle: &Value, name: &str) -> [u8; 16] {
    hex(oracle[name].as_str().unwrap()).try_into().unwrap()
}

#[test]
fn the_oracles_agree_entirely() {
    let Some(folder) = captures() else { return };
    for name in ["agent_resultFUN", "agent_resultMAC", "inj_agent_result_doubleMAC02", "inj_agent_result_freqMAC"] {
        let name = format!("lorawan_conformance_{name}");
        let oracles = std::fs::read_to_string(folder.join(format!("_oracle/lorawan/{name}.jsonl"))).unwrap();
        let oracles: Vec<Value> = oracles.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let seen = observations(&folder.join(format!("_derived/{name}.pcap")));
        let data: Vec<(usize, Value)> =
            seen.iter().filter_map(|(frame, line)| Some((*frame, record(line, "lorawan.data")?))).collect();
        assert_eq!(data.len(), oracles.len(), "{name}");
        assert!(!seen.iter().any(|(_, line)| line.contains("lorawan.unreadable")), "{name}");
        for ((frame, record), oracle) in data.iter().zip(&oracles) {
            compare(*frame, record, oracle);
            check_with_keys(oracle);
        }
    }
}

fn compare(frame: usize, record: &Value, oracle: &Value) {
    assert_eq!(frame, oracle["frame"].as_u64().unwrap() as usize);
    let mtype = match (record["direction"].as_str().unwrap(), record["confirmed"].as_bool().unwrap()) {
        ("uplink", false) => 2,
        ("downlink", false) => 3,
        ("uplink", true) => 4,
        _ => 5,
    };
    assert_eq!(oracle["mtype"], mtype, "frame {frame}");
    for (ours, theirs) in
        [("phy_payload", "phy"), ("dev_addr", "devaddr"), ("f_cnt_lsb", "fcnt"), ("f_ctrl", "fctrl"), ("f_port", "fport")]
    {
        assert_eq!(record[ours], oracle[theirs], "frame {frame}: {ours}");
    }
    assert_eq!(record["f_opts"].as_str().unwrap_or_default(), oracle["fopts"], "frame {frame}");
}

/// The pure functions give what cryptography needs: the MIC fits, and the payload decrypts.
fn check_with_keys(oracle: &Value) {
    let bytes = hex(oracle["phy"].as_str().unwrap());
    let phy = PhyPayload::parse(&bytes).unwrap();
    let Frame::Data(data) = phy.frame else { panic!("not data") };
    let f_cnt = u32::from(data.f_cnt_lsb);
    let mut mac = <Cmac<Aes128> as KeyInit>::new_from_slice(&key(oracle, "nwkskey")).unwrap();
    mac.update(&blocks::b0(&data, &phy, 0, f_cnt).unwrap());
    mac.update(phy.mic_message().unwrap());
    assert_eq!(&mac.finalize().into_bytes()[..4] == phy.mic().unwrap(), oracle["mic_ok"].as_bool().unwrap());

    let cipher = Aes128::new(&key(oracle, if data.f_port == Some(0) { "nwkskey" } else { "appskey" }).into());
    let mut plain = data.frm_payload.to_vec();
    for (chunk, i) in plain.chunks_mut(16).zip(1..) {
        let mut stream = blocks::a(&data, f_cnt, i).into();
        cipher.encrypt_block(&mut stream);
        chunk.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
    assert_eq!(plain, hex(oracle["plain"].as_str().unwrap_or_default()));
    if data.f_port == Some(0) {
        assert!(commands::parse(data.link, &plain).complete, "{oracle}");
    }
}

#[test]
fn literal_datagrams_of_real_gateways() {
    let Some(folder) = captures() else { return };
    for (name, packets, frames) in [("gwmp_commandus_literal_datagrams", 17, 17), ("gwmp_public_literal_json", 10, 11)] {
        let seen = observations(&folder.join(format!("_derived/{name}.pcap")));
        let count = |part: &str| seen.iter().filter(|(_, line)| line[2..].starts_with(part)).count();
        assert_eq!((count("gwmp.rx_packet"), count("lorawan.")), (packets, frames), "{name}");
    }
}

#[test]
fn a_sniffers_capture() {
    let Some(folder) = captures() else { return };
    let mut bench = Bench::new(&loratap::SPEC, Transport::Link, 0);
    for frame in frames(&folder.join("alpov+LoRaTap/00_Test_v0.pcap")) {
        assert!(bench.show(Direction::ToServer, &frame));
    }
    let count = |part: &str| bench.lines.0.iter().filter(|line| line[2..].starts_with(part)).count();
    // Seven frames have an MHDR that is no LoRaWAN R1 and one is no rejoin-request: the sniffer wrote down broken ones too.
    let counted = ["loratap.packet", "lorawan.data", "lorawan.join_accept", "lorawan.unreadable", "lorawan."].map(count);
    assert_eq!(counted, [140, 130, 2, 1, 133]);
}
