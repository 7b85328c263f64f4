//! Many flows that speak again and again, and packets that are all new.

use super::frames::{ACK, End, PSH_ACK, SYN, tcp, udp};
use super::{Capture, SECOND};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write};
use std::net::Ipv4Addr;

/// Writes `flows` concurrent flows, a quarter of each protocol, that exchange a message and its answer in turn until `packets` are written.
pub fn steady<W: Write>(capture: &mut Capture<W>, flows: u64, packets: u64, rate: u64) -> io::Result<()> {
    let mut writer = Writer { capture, frame: Vec::new(), step: SECOND / rate.max(1) };
    for flow in 0..flows {
        writer.open(flow)?;
    }
    let mut round = 0;
    while writer.capture.packets < packets {
        for turn in 0..flows {
            if writer.capture.packets >= packets {
                break;
            }
            // A number prime to the flows' gives each a turn in every round, and neighbours are far apart.
            writer.exchange(turn.wrapping_mul(0x9e37_79b1) % flows, round)?;
        }
        round += 1;
    }
    Ok(())
}

/// Writes `packets`, each of a new address: CoAP requests, LoRaWAN uplinks of new devices, MQTT clients without a handshake, new topics.
pub fn flood<W: Write>(capture: &mut Capture<W>, packets: u64, rate: u64) -> io::Result<()> {
    let mut writer = Writer { capture, frame: Vec::new(), step: SECOND / rate.max(1) };
    (0..packets).try_for_each(|flow| match flow % 4 {
        0 => writer.mqtt_connect(flow),
        1 => writer.mqtt_publish(flow, 0),
        2 => writer.coap(flow, 0, false),
        _ => writer.uplink(flow, 0, false),
    })
}

struct Writer<'c, W> {
    capture: &'c mut Capture<W>,
    frame: Vec<u8>,
    step: u64,
}

/// Sequence numbers at which both directions of every connection begin.
const BEGIN: u32 = 1000;

/// Lengths of an MQTT CONNECT and of a CONNACK here.
const CONNECT: u32 = 30;
const CONNACK: u32 = 4;

impl<W: Write> Writer<'_, W> {
    fn write(&mut self) -> io::Result<()> {
        let time = self.capture.packets * self.step;
        self.capture.packet(time, &self.frame)
    }

    fn udp(&mut self, from: End, to: End, payload: &[u8]) -> io::Result<()> {
        udp(&mut self.frame, from, to, payload);
        self.write()
    }

    fn tcp(&mut self, from: End, to: End, flags: u8, numbers: [u32; 2], payload: &[u8]) -> io::Result<()> {
        tcp(&mut self.frame, from, to, flags, numbers, payload);
        self.write()
    }

    fn open(&mut self, flow: u64) -> io::Result<()> {
        let port = match flow % 4 {
            0 => 502,
            1 => 1883,
            _ => return Ok(()),
        };
        let (client, server) = ends(flow, port);
        self.tcp(client, server, SYN, [BEGIN - 1, 0], &[])?;
        self.tcp(server, client, SYN | ACK, [BEGIN - 1, BEGIN], &[])?;
        if port == 1883 {
            self.mqtt_connect(flow)?;
            self.tcp(server, client, PSH_ACK, [BEGIN, BEGIN + CONNECT], &[0x20, 2, 0, 0])?;
        }
        Ok(())
    }

    fn exchange(&mut self, flow: u64, round: u32) -> io::Result<()> {
        match flow % 4 {
            0 => self.poll(flow, round),
            1 => self.mqtt_publish(flow, round),
            2 => self.coap(flow, round, true),
            _ => self.uplink(flow, round, true),
        }
    }

    /// Ten holding registers.
    fn poll(&mut self, flow: u64, round: u32) -> io::Result<()> {
        let (client, server) = ends(flow, 502);
        let id = (round as u16).to_be_bytes();
        let request = [id[0], id[1], 0, 0, 0, 6, 1, 3, 0, 0, 0, 10];
        let mut response = vec![id[0], id[1], 0, 0, 0, 23, 1, 3, 20];
        (0..10).for_each(|register| response.extend_from_slice(&(round as u16 + register).to_be_bytes()));
        let (asked, answered) = (BEGIN.wrapping_add(round * 12), BEGIN.wrapping_add(round * 29));
        self.tcp(client, server, PSH_ACK, [asked, answered], &request)?;
        self.tcp(server, client, PSH_ACK, [answered, asked + 12], &response)
    }

    fn mqtt_connect(&mut self, flow: u64) -> io::Result<()> {
        let (client, server) = ends(flow, 1883);
        let id = format!("client-{flow:09x}");
        let mut packet = vec![0x10, CONNECT as u8 - 2, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, id.len() as u8];
        packet.extend_from_slice(id.as_bytes());
        self.tcp(client, server, PSH_ACK, [BEGIN, BEGIN], &packet)
    }

    fn mqtt_publish(&mut self, flow: u64, round: u32) -> io::Result<()> {
        let (client, server) = ends(flow, 1883);
        let topic = format!("city/device/{flow:09x}/state");
        let payload = format!("{:10}", round);
        let mut packet = vec![0x30, (2 + topic.len() + payload.len()) as u8, 0, topic.len() as u8];
        packet.extend_from_slice(topic.as_bytes());
        packet.extend_from_slice(payload.as_bytes());
        let length = packet.len() as u32;
        let seq = (BEGIN + CONNECT).wrapping_add(round * length);
        self.tcp(client, server, PSH_ACK, [seq, BEGIN + CONNACK], &packet)?;
        self.tcp(server, client, ACK, [BEGIN + CONNACK, seq + length], &[])
    }

    fn coap(&mut self, flow: u64, round: u32, answered: bool) -> io::Result<()> {
        let (client, server) = ends(flow, 5683);
        let id = (round as u16).wrapping_mul(257).wrapping_add(flow as u16).to_be_bytes();
        let mut request = vec![0x42, 1, id[0], id[1], id[0], id[1], 0xb6];
        request.extend_from_slice(b"status");
        self.udp(client, server, &request)?;
        if !answered {
            return Ok(());
        }
        let mut response = vec![0x62, 0x45, id[0], id[1], id[0], id[1], 0xc0, 0xff];
        response.extend_from_slice(b"ok, all well");
        self.udp(server, client, &response)
    }

    /// A gateway forwards an uplink of a device of its own.
    fn uplink(&mut self, flow: u64, round: u32, answered: bool) -> io::Result<()> {
        let (client, server) = ends(flow, 1700);
        let token = (round as u16).to_be_bytes();
        let mut datagram = vec![2, token[0], token[1], 0];
        datagram.extend_from_slice(&(0x0016_c001_0000_0000 | flow).to_be_bytes());
        let mut phy = vec![0x40];
        phy.extend_from_slice(&(0x2600_0000 | flow as u32 & 0x00ff_ffff).to_le_bytes());
        phy.extend_from_slice(&[0, round as u8, (round >> 8) as u8, 2]);
        phy.extend_from_slice(&[0x5a; 12]);
        phy.extend_from_slice(&(flow as u32 ^ round).to_le_bytes());
        let json = format!(
            r#"{{"rxpk":[{{"tmst":{},"chan":2,"rfch":0,"freq":868.1,"stat":1,"modu":"LORA","datr":"SF7BW125","codr":"4/5","lsnr":9.2,"rssi":-57,"size":{},"data":"{}"}}]}}"#,
            round.wrapping_mul(1_000_000),
            phy.len(),
            STANDARD.encode(&phy)
        );
        datagram.extend_from_slice(json.as_bytes());
        self.udp(client, server, &datagram)?;
        if answered { self.udp(server, client, &[2, token[0], token[1], 1]) } else { Ok(()) }
    }
}

/// The two ends of a flow: a client of its own, and a server that a thousand of them share.
fn ends(flow: u64, port: u16) -> (End, End) {
    let [.., a, b, c] = (flow + 0x10000).to_be_bytes();
    let [.., d, e] = (flow / 1000).to_be_bytes();
    let client = End { ip: Ipv4Addr::new(16 + (flow >> 24) as u8, a, b, c), port: 40_000 + (flow % 20_000) as u16 };
    (client, End { ip: Ipv4Addr::new(172, 20, d, e), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_one;
    use citytap_sensor::counters::Counter;

    fn written(name: &str, write: impl FnOnce(&mut Capture<std::fs::File>) -> io::Result<()>) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("citytap-{}-{name}.pcap", std::process::id()));
        let mut capture = Capture::new(std::fs::File::create(&path).expect("a file")).expect("a header");
        write(&mut capture).expect("written");
        capture.finish().expect("written");
        path
    }

    /// What the generator writes is what the decoders read: no anomaly, no gap, nothing undecoded.
    #[test]
    fn workloads_are_clean() {
        let path = written("steady", |capture| steady(capture, 400, 6000, 10_000));
        let result = run_one(&path);
        let counted = |counter| result.counters.get(counter);
        assert_eq!(result.flows, [400, 400]);
        assert_eq!((counted(Counter::TcpGaps), counted(Counter::TcpAstray), counted(Counter::UndecodedFlows)), (0, 0, 0));
        let odd: Vec<_> = result.seen.iter().filter(|seen| !seen.anomalies.is_empty()).collect();
        assert!(odd.is_empty(), "{:?}", odd.first());
        for kind in ["modbus.response", "mqtt.publish", "coap.response", "lorawan.data"] {
            assert!(result.seen.iter().filter(|seen| seen.record == Some(kind)).count() > 600, "few of {kind}");
        }
        let path = written("flood", |capture| flood(capture, 4000, 10_000));
        let result = run_one(&path);
        assert_eq!(result.flows[0], 4000);
        assert_eq!(result.counters.get(Counter::UndecodedFlows), 0);
    }
}
