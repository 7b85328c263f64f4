//! A DTLS 1.3 peer over UDP, for recording: `dtls13 server|client ADDRESS:PORT CERT.der KEY.der`.
//! The client sends three requests and closes; the server answers each with the same bytes.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Output};

/// CoAP: CON GET /time, message id 1.
const REQUEST: &[u8] = b"\x40\x01\x00\x01\xb4time";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let client = arguments[1] == "client";
    let certificate = DtlsCertificate { certificate: std::fs::read(&arguments[3]).unwrap(), private_key: std::fs::read(&arguments[4]).unwrap() };
    let socket = if client { UdpSocket::bind("0.0.0.0:0").unwrap() } else { UdpSocket::bind(&arguments[2]).unwrap() };
    let mut peer = client.then(|| arguments[2].parse().unwrap());
    let mut dtls = Dtls::new_13(Arc::new(Config::default()), certificate, Instant::now());
    dtls.set_active(client);
    dtls.handle_timeout(Instant::now()).unwrap();
    let mut sent = 0;
    let mut buffer = vec![0; 4096];
    loop {
        let wake = loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => drop(socket.send_to(packet, peer.unwrap())),
                Output::Timeout(at) => break at,
                Output::Connected if client => {
                    dtls.send_application_data(REQUEST).unwrap();
                    sent += 1;
                }
                Output::ApplicationData(_) if client && sent == 3 => {
                    dtls.close().unwrap();
                    sent += 1;
                }
                Output::ApplicationData(_) => {
                    dtls.send_application_data(REQUEST).unwrap();
                    sent += 1;
                }
                Output::CloseNotify => return,
                _ => {}
            }
        };
        if sent > 3 && client {
            return;
        }
        let wait = wake.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), Duration::from_secs(1));
        socket.set_read_timeout(Some(wait)).unwrap();
        let mut datagram = [0; 4096];
        if let Ok((length, from)) = socket.recv_from(&mut datagram) {
            peer = Some(from);
            dtls.handle_packet(&datagram[..length]).unwrap();
        }
        dtls.handle_timeout(Instant::now()).unwrap();
    }
}
