//! A broker whose answers come twice, and whose earlier answers come again before each new one: the commands still end as they would.

mod lab;

use citytap_rekey::rotation::Outcome;
use citytap_rekey::slot::Generation;
use lab::{Lab, With, free_port, slot};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Reads one MQTT packet.
fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1];
    stream.read_exact(&mut bytes).ok()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let start = bytes.len();
    bytes.resize(start + length, 0);
    stream.read_exact(&mut bytes[start..]).ok()?;
    Some(bytes)
}

/// Passes on what the client says; says each PUBLISH of QoS 0 of the broker twice, and all earlier ones of all connections before it.
fn proxy(to: u16) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("bound");
    let earlier: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let broker = TcpStream::connect(("127.0.0.1", to)).expect("the broker");
            let (mut up_from, mut up_to) = (client.try_clone().expect("cloned"), broker.try_clone().expect("cloned"));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut up_from, &mut up_to);
                let _ = up_to.shutdown(std::net::Shutdown::Both);
            });
            let (mut from, mut to, earlier) = (broker, client, earlier.clone());
            std::thread::spawn(move || {
                while let Some(bytes) = packet(&mut from) {
                    let mut out = Vec::new();
                    if bytes[0] & 0xf6 == 0x30 {
                        let mut earlier = earlier.lock().unwrap();
                        out.extend(earlier.iter().flatten().copied());
                        out.extend(&bytes);
                        earlier.push(bytes.clone());
                    }
                    out.extend(&bytes);
                    if to.write_all(&out).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

#[test]
fn repeated_and_replayed_answers_change_nothing() {
    let lab = Lab::started(With::DynamicSecurity, &[("dev1", "OldPassword"), ("dev2", "OldPassword")]);
    let port = proxy(lab.port);
    let table = lab.table_through(port, "alternate_user", "");
    let spec = citytap_rekey::backends::named("mosquitto").expect("in the table");
    let backend = (spec.open)(&table, lab.ledger.clone()).unwrap_or_else(|refusal| panic!("{refusal}"));
    for name in ["dev1", "dev2"] {
        assert_eq!(lab.accept(&*backend, &slot(name), 2, "NewPassword"), Outcome::Done);
        assert_eq!(lab.retire(&*backend, &slot(name), 1), Outcome::Done);
        let held: Vec<Generation> = backend.read_back(&slot(name)).expect("read").generations.into_iter().collect();
        assert_eq!(held, [Generation(2)]);
    }
    // An answer "not found" of the first device, replayed, must not pass for one about a user who is there.
    assert_eq!(lab.accept(&*backend, &slot("dev1"), 3, "Third"), Outcome::Done);
    assert!(lab.lets_in("dev1.g2", "NewPassword") && lab.lets_in("dev1.g3", "Third") && !lab.lets_in("dev2", "OldPassword"));
}
