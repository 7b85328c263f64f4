//! What the server does with a station that behaves as measured.

use super::station::{Ended, Station, checksum, cut, read_answer};
use super::{Bench, Cups, ROUTER, ROUTER_ID6, blob, scalar, sec1, slot};
use crate::backends::Backend;
use crate::backends::cups::gateway::{self, Which};
use crate::evidence::Evidence;
use crate::rotation::{Class, Outcome, Procedure};
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Effecting, Generation, RotationId, Step};
use crate::time::Timestamp;
use rustls::pki_types::{PrivateKeyDer, PrivateSec1KeyDer};
use sha2::{Digest, Sha256};
use std::io::Write;

fn by(step: u32) -> Effecting {
    Effecting { rotation: RotationId(1), step: Step(step) }
}

const NOTHING: Ended = Ended::Done { cups: false, tc: false };
const CUPS: Ended = Ended::Done { cups: true, tc: false };
const TC: Ended = Ended::Done { cups: false, tc: true };

fn order(server: &Cups, which: Which, generation: u32, key: u8) {
    let (slot, secret) = (slot(ROUTER, which).unwrap(), Secret::new(scalar(key)));
    assert_eq!(server.accept(&slot, Generation(generation), Some(&secret), by(1)), Outcome::Done);
    assert_eq!(server.accept(&slot, Generation(generation), Some(&secret), by(1)), Outcome::Done, "asked again");
    assert_eq!(server.deliver(&slot, Generation(1), Generation(generation), Some(&secret), by(2)), Outcome::Sent);
}

fn used(server: &Cups, which: Which) -> Vec<u32> {
    let evidence = server.evidence(&slot(ROUTER, which).unwrap(), Timestamp(0)).unwrap();
    evidence.iter().filter_map(|seen| if let Evidence::Used(used) = seen { Some(used.generation.0) } else { None }).collect()
}

fn acknowledged(server: &Cups, which: Which) -> Vec<u32> {
    let evidence = server.evidence(&slot(ROUTER, which).unwrap(), Timestamp(0)).unwrap();
    evidence
        .iter()
        .filter_map(|seen| if let Evidence::Acknowledged { generation, .. } = seen { Some(generation.0) } else { None })
        .collect()
}

#[test]
fn a_both_are_changed_one_after_the_other_and_proven() {
    let bench = Bench::new();
    let mut station = bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    let address = server.address();
    let first = station.installed().clone();
    let capability = server.capability(&slot(ROUTER, Which::Cups).unwrap()).unwrap();
    assert_eq!((capability.class, capability.procedure), (Class::Overlap, Procedure::CertificateRenewal));
    assert_eq!(capability.falls_back_to, [Generation(1)]);
    assert_eq!(station.session(address), NOTHING);
    order(&server, Which::Tc, 2, 102);
    order(&server, Which::Cups, 2, 2);
    assert_eq!(station.session(address), CUPS, "never both at once");
    assert_eq!(station.session(address), NOTHING, "the new certificate first shows that it works");
    assert_eq!(used(&server, Which::Cups), [1, 1, 2]);
    assert_eq!(station.session(address), TC);
    assert_eq!((station.session(address), station.tc_restarts), (NOTHING, 1));
    assert_eq!(acknowledged(&server, Which::Tc), [1, 1, 1, 1, 2]);
    assert_eq!(server.deliver(&slot(ROUTER, Which::Tc).unwrap(), Generation(1), Generation(2), None, by(2)), Outcome::Done);
    // b: the fallback is still the first set.
    assert_eq!(station.cups[1].as_ref(), Some(&first));
    assert_eq!(server.gateway(ROUTER).unwrap().bak, Some(Generation(1)));
    assert_eq!(server.read_back(&slot(ROUTER, Which::Cups).unwrap()).unwrap(), AcceptSet::of([Generation(1), Generation(2)]));
}

#[test]
fn b_and_e_the_fallback_is_never_retired_and_others_are() {
    let bench = Bench::new();
    let mut station = bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    let (address, cups) = (server.address(), slot(ROUTER, Which::Cups).unwrap());
    assert!(matches!(server.retire(&cups, Generation(1), by(9)), Outcome::Rejected { .. }), "before it ever came");
    for generation in 2..4 {
        order(&server, Which::Cups, generation, generation as u8);
        assert_eq!((station.session(address), station.session(address)), (CUPS, NOTHING));
    }
    assert!(matches!(server.retire(&cups, Generation(1), by(9)), Outcome::Rejected { .. }));
    assert_eq!(server.retire(&cups, Generation(2), by(9)), Outcome::Done);
    assert_eq!(station.session(address), NOTHING);
    assert!(
        matches!(server.retire(&slot(ROUTER, Which::Tc).unwrap(), Generation(1), by(9)), Outcome::Rejected { .. }),
        "the only one"
    );
}

#[test]
fn c_a_station_that_fell_back_without_need_is_steered_to_what_is_installed() {
    let bench = Bench::new();
    let mut station = bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    let address = server.address();
    order(&server, Which::Cups, 2, 2);
    assert_eq!((station.session(address), station.session(address)), (CUPS, NOTHING));
    let installed = station.installed().clone();
    station.cannot_use = Some(installed[1].clone());
    let failures = std::iter::repeat_with(|| station.session(address)).take_while(|ended| *ended == Ended::Failed).count();
    assert_eq!(failures, 8, "after more than six failures it turns to its fallback, which is told 403");
    station.cannot_use = None;
    assert_eq!(station.session(address), Ended::NoUri, "BOOT");
    assert_eq!(station.session(address), NOTHING);
    assert_eq!(station.installed(), &installed);
}

#[test]
fn d_a_bad_delivery_is_taken_back_when_the_fallback_comes() {
    let bench = Bench::new();
    let mut station = bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    let (address, cups) = (server.address(), slot(ROUTER, Which::Cups).unwrap());
    let first = station.installed().clone();
    assert_eq!(station.session(address), NOTHING);
    order(&server, Which::Cups, 2, 2);
    assert_eq!(station.session(address), CUPS);
    station.cannot_use = Some(station.installed()[1].clone());
    let failures = std::iter::repeat_with(|| station.session(address)).take_while(|ended| *ended == Ended::Failed).count();
    assert_eq!((failures, station.installed()), (8, &first), "the next session brought the first set back");
    assert_eq!(station.session(address), NOTHING);
    assert_eq!(server.gateway(ROUTER).unwrap().cups.unwrap().ended, Some(gateway::Ended::FellBack));
    assert!(matches!(server.deliver(&cups, Generation(1), Generation(2), None, by(2)), Outcome::Rejected { .. }));
    assert!(server.evidence(&cups, Timestamp(0)).unwrap().iter().any(|seen| matches!(seen, Evidence::Refused { .. })));
    // Another generation heals it.
    order(&server, Which::Cups, 3, 3);
    assert_eq!((station.session(address), station.session(address)), (CUPS, NOTHING));
    assert_eq!(used(&server, Which::Cups).last(), Some(&3));
}

#[test]
fn f_what_a_station_cannot_cut_is_not_accepted_and_offers_end() {
    let bench = Bench::new();
    let mut station = bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    let (address, cups) = (server.address(), slot(ROUTER, Which::Cups).unwrap());
    let set = bench.set(ROUTER, 2, false);
    // The same key as PKCS#8: 30 81 87.
    let (_, public) = sec1(&scalar(2)).unwrap();
    let head = [
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
        0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    let pkcs8 = [&head[..], &scalar(2), &[0xa1, 0x44, 0x03, 0x42, 0x00], &public].concat();
    assert!(
        rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::Pkcs8(pkcs8.clone().into())).is_ok(),
        "a good key otherwise"
    );
    let bad = blob::with_certificate(&set[0], &set[1], &pkcs8);
    assert!(cut(&bad).is_none(), "the station installs nothing");
    let outcome = server.accept(&cups, Generation(2), Some(&Secret::new(bad.to_vec())), by(1));
    assert!(matches!(&outcome, Outcome::Rejected { why } if why.contains("SEC1")), "{outcome:?}");
    // A certificate and the key of another.
    let other = blob::with_certificate(&set[0], &set[1], &bench.set(ROUTER, 3, false)[2]);
    let outcome = server.accept(&cups, Generation(2), Some(&Secret::new(other.to_vec())), by(1));
    assert!(matches!(&outcome, Outcome::Rejected { why } if why.contains("does not belong")), "{outcome:?}");
    assert!(any_sec1(&set[2]));

    station.cannot_cut = true;
    order(&server, Which::Tc, 2, 102);
    let offers = (0..10).filter(|_| station.session(address) == TC).count();
    assert_eq!((offers, station.tc_restarts), (2, 2), "each offer restarts its traffic");
    assert!(matches!(
        server.deliver(&slot(ROUTER, Which::Tc).unwrap(), Generation(1), Generation(2), None, by(2)),
        Outcome::Rejected { .. }
    ));
}

fn any_sec1(key: &[u8]) -> bool {
    rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(key))).is_ok()
}

#[test]
fn g_garbage_is_ignored_by_the_station_and_never_sent() {
    assert!(cut(&[0x17; 300]).is_none() && cut(&[]).is_none());
    let bench = Bench::new();
    bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    for garbage in [vec![0x17; 300], vec![0x30; 300], vec![0; 32], vec![0xff; 32], Vec::new()] {
        let outcome = server.accept(&slot(ROUTER, Which::Cups).unwrap(), Generation(2), Some(&Secret::new(garbage)), by(1));
        assert!(matches!(outcome, Outcome::Rejected { .. }));
    }
}

#[test]
fn one_gateway_at_a_time() {
    const OTHER: u64 = 7;
    let bench = Bench::new();
    let (mut first, mut second) = (bench.station(ROUTER, ROUTER_ID6), bench.station(OTHER, "::7"));
    let server = bench.serve("mode = \"certificate\"");
    let address = server.address();
    order(&server, Which::Cups, 2, 2);
    let (slot, secret) = (slot(OTHER, Which::Cups).unwrap(), Secret::new(scalar(3)));
    server.accept(&slot, Generation(2), Some(&secret), by(1));
    assert_eq!(server.deliver(&slot, Generation(1), Generation(2), Some(&secret), by(2)), Outcome::Sent);
    assert_eq!(first.session(address), CUPS);
    assert_eq!(second.session(address), NOTHING, "waits");
    // Also after our restart.
    for (which, key) in [(Which::Cups, 2), (Which::Tc, 102)] {
        bench.ledger.enter(&super::slot(ROUTER, which).unwrap(), 2, Some(&scalar(key)));
    }
    bench.ledger.enter(&slot, 2, Some(&scalar(3)));
    drop(server);
    let server = bench.serve("mode = \"certificate\"");
    let address = server.address();
    assert_eq!(second.session(address), NOTHING, "still waits");
    assert_eq!(first.session(address), NOTHING);
    assert_eq!(second.session(address), CUPS);
    assert_eq!(second.session(address), NOTHING);
    assert_eq!(server.gateway(OTHER).unwrap().cups.unwrap().ended, Some(gateway::Ended::Taken));
}

#[test]
fn a_first_generation_that_is_only_pinned_also_after_its_end() {
    let bench = Bench::new();
    let old = bench.set(ROUTER, 1, true);
    let mut list = tempfile::NamedTempFile::new().unwrap();
    let digest: String = Sha256::digest(&old[1]).iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(list, "router,certificate\n{ROUTER_ID6},{digest}").unwrap();
    for which in [Which::Cups, Which::Tc] {
        bench.ledger.enter(&slot(ROUTER, which).unwrap(), 1, None);
    }
    let server = bench.serve(&format!("mode = \"certificate\"\ngateways = {:?}", list.path()));
    let address = server.address();
    // On its disk is PEM, so it reports a checksum that nobody knows.
    let mut station = Station::new(ROUTER_ID6, old, bench.set(ROUTER, 101, false));
    assert_eq!(station.session(address), NOTHING, "its certificate ended in 2002");
    order(&server, Which::Cups, 2, 2);
    assert_eq!((station.session(address), station.session(address)), (CUPS, NOTHING));
    assert_eq!(used(&server, Which::Cups), [1, 1, 2]);
    let outcome = server.deliver(&slot(ROUTER, Which::Cups).unwrap(), Generation(2), Generation(1), None, by(7));
    assert!(matches!(&outcome, Outcome::Rejected { why } if why.contains("not held whole")), "{outcome:?}");
}

#[test]
fn tokens() {
    let bench = Bench::new();
    let token = |text: &str| -> super::Set {
        [bench.authority.trust(), Vec::new(), format!("Authorization: Bearer {text}\r\n").into_bytes()]
    };
    let (cups, old, new) = (slot(ROUTER, Which::Cups).unwrap(), "a".repeat(32), "b".repeat(32));
    bench.ledger.enter(&cups, 1, Some(old.as_bytes()));
    bench.ledger.enter(&slot(ROUTER, Which::Tc).unwrap(), 1, Some(old.as_bytes()));
    let server = bench.serve("mode = \"token\"");
    let address = server.address();
    let mut station = Station::new(ROUTER_ID6, token(&old), token(&old));
    assert_eq!(server.capability(&cups).unwrap().procedure, Procedure::SharedSecretReplacement);
    assert_eq!(station.session(address), NOTHING);
    let secret = Secret::new(new.clone().into_bytes());
    assert_eq!(server.accept(&cups, Generation(2), Some(&secret), by(1)), Outcome::Done);
    assert_eq!(server.deliver(&cups, Generation(1), Generation(2), Some(&secret), by(2)), Outcome::Sent);
    assert_eq!((station.session(address), station.session(address)), (CUPS, NOTHING));
    assert_eq!((station.installed(), used(&server, Which::Cups).last()), (&token(&new), Some(&2)));
    let mut stranger = Station::new(ROUTER_ID6, token("c"), token("c"));
    assert_eq!(stranger.session(address), Ended::Rejected(403));
    for wrong in ["two words", "line\r\nend", ""] {
        let outcome = server.accept(&cups, Generation(3), Some(&Secret::new(wrong.into())), by(3));
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{wrong:?}");
    }
}

#[test]
fn who_is_not_known_gets_nothing_and_leaves_no_trace() {
    const OTHER: u64 = 7;
    let bench = Bench::new();
    bench.station(ROUTER, ROUTER_ID6);
    let mut other = bench.station(OTHER, "::7");
    let server = bench.serve("mode = \"certificate\"");
    let address = server.address();
    assert_eq!(other.session(address), NOTHING);
    other.router = ROUTER_ID6.into();
    assert_eq!(other.session(address), Ended::Rejected(403), "with the certificate of another gateway");
    assert!(server.gateway(ROUTER).unwrap().refused.is_some());
    other.router = "::99".into();
    other.cups[0] = Some(bench.set(9, 9, false));
    for _ in 0..3 {
        assert!(matches!(other.session(address), Ended::Rejected(403) | Ended::NoUri));
    }
    assert_eq!(server.gateway(0x99), None);
    assert_eq!(checksum(&[Vec::new(), Vec::new(), Vec::new()]), 0x7bd5_c66f, "as zlib over twelve zeros");
    server.preflight().unwrap();
}

#[test]
fn hostile_requests() {
    let bench = Bench::new();
    bench.station(ROUTER, ROUTER_ID6);
    let server = bench.serve("mode = \"certificate\"");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(bench.authority.trust().into()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
    let config = std::sync::Arc::new(config);
    let ask = |request: &str| {
        let connection = rustls::ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, std::net::TcpStream::connect(server.address()).unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        read_answer(&mut stream).map(|(status, _)| status)
    };
    let post =
        |path: &str, body: &str| ask(&format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(ask("GET /update-info HTTP/1.1\r\nHost: x\r\n\r\n"), Some(404));
    assert_eq!(post("/other", "{}"), Some(404));
    for body in ["", "{}", "{\"router\":\"::1\"}", "\u{0}", &"[".repeat(5000)] {
        assert_eq!(post("/update-info", body), Some(400), "{body}");
    }
    assert_eq!(post("/update-info", &" ".repeat(9000)), Some(413));
    assert_eq!(post("/update-info", &format!("{{\"router\":\"{ROUTER_ID6}\",\"cupsCredCrc\":1,\"tcCredCrc\":1}}")), Some(403));
}
