use super::*;
use citytap_sensor::time::Timestamp;

const DAY: u64 = 24 * 3600;

/// A device seen from second to second, with names as `kind:value`.
fn device(id: u64, names: &[&str], seconds: (u64, u64)) -> Device {
    let seen = Sighting {
        first_frame: seconds.0,
        first_seen: Timestamp(seconds.0 * SECOND),
        last_frame: seconds.1,
        last_seen: Timestamp(seconds.1 * SECOND),
        count: 3,
    };
    let name = |name: &&str| {
        let (kind, value) = name.split_once(':').unwrap();
        Name { kind: kind.into(), value: value.into(), at: None, presence: "sent".into(), seen }
    };
    let json = serde_json::json!({
        "id": DeviceId(id), "site": "city", "identities": names.iter().map(name).collect::<Vec<_>>(),
        "first_seen": "1970-01-01T00:00:00.000000Z", "last_seen": "1970-01-01T00:00:00.000000Z",
        "messages": 3, "packets": 5, "bytes": 7, "provisional": false,
    });
    let mut device: Device = serde_json::from_value(json).unwrap();
    (device.first_seen, device.last_seen) = (seen.first_seen, seen.last_seen);
    device
}

fn said(device: &mut Device, name: &str, value: &str) {
    let seen = device.identities[0].seen;
    device.attributes.push(AttributeSeen {
        name: name.into(),
        value: value.into(),
        current: true,
        source: "a.field".into(),
        by: None,
        confidence: "seen".into(),
        origin: "observed".into(),
        seen,
    });
    conclude(device);
}

fn by_id(devices: impl IntoIterator<Item = Device>) -> BTreeMap<DeviceId, Device> {
    devices.into_iter().map(|device| (device.id, device)).collect()
}

#[test]
fn the_latest_firmware_is_shown_whichever_run_comes_first() {
    let mut monday = device(1, &["dev_eui:0011223344556677"], (100, 200));
    said(&mut monday, "firmware", "1.0");
    let mut tuesday = device(1, &["dev_eui:0011223344556677"], (DAY, DAY + 100));
    said(&mut tuesday, "firmware", "2.0");
    let mut forth = monday.clone();
    merge(&mut forth, &tuesday, Counting::Sum);
    let mut back = tuesday.clone();
    merge(&mut back, &monday, Counting::Sum);
    assert_eq!(forth, back);
    assert_eq!(forth.firmware.as_deref(), Some("2.0"));
    let values: Vec<_> =
        forth.attributes.iter().filter(|seen| seen.name == "firmware").map(|seen| (&*seen.value, seen.current)).collect();
    assert_eq!(values, [("2.0", true), ("1.0", false)]);
    assert_eq!((forth.first_seen, forth.last_seen), (monday.first_seen, tuesday.last_seen));
    assert_eq!((forth.messages, forth.packets, forth.bytes), (6, 10, 14));
    assert_eq!(forth.identities[0].seen.count, 6);
}

#[test]
fn the_same_packets_again_count_once() {
    let run = device(1, &["dev_eui:0011223344556677"], (100, 200));
    let mut known = run.clone();
    merge(&mut known, &run, Counting::Greatest);
    assert_eq!((known.messages, known.packets, known.identities[0].seen.count), (3, 5, 3));
}

#[test]
fn an_address_that_got_a_name_keeps_its_old_id_as_an_alias() {
    let known = device(1, &["ip:10.0.0.5"], (100, 200));
    let mut new = device(2, &["dev_eui:0011223344556677", "ip:10.0.0.5"], (300, 400));
    new.aliases.push(DeviceId(1));
    assert_eq!(fit(&known, &new), Some(Fit::Alias));
    let mut one = known;
    merge(&mut one, &new, Counting::Sum);
    assert_eq!((one.id, one.aliases.as_slice()), (DeviceId(2), [DeviceId(1)].as_slice()));
    assert_eq!(one.identities[0].kind, "dev_eui");
}

#[test]
fn an_address_seen_again_after_its_lease_is_another_device() {
    let known = device(1, &["ip:10.0.0.5"], (100, 200));
    let mut new = device(2, &["dev_eui:0011223344556677", "ip:10.0.0.5"], (200 + DAY + 1, 300 + DAY));
    new.aliases.push(DeviceId(1));
    assert_eq!(fit(&known, &new), None);
}

#[test]
fn two_euis_are_two_devices_whatever_they_share() {
    let mut a = device(1, &["dev_eui:0011223344556677", "ip:10.0.0.5"], (100, 200));
    let mut b = device(2, &["dev_eui:8899aabbccddeeff", "ip:10.0.0.5"], (100, 200));
    (a.aliases, b.aliases) = (vec![DeviceId(9)], vec![DeviceId(1), DeviceId(9)]);
    assert_eq!(fit(&a, &b), None);
}

#[test]
fn a_shared_mac_address_alone_joins_nothing() {
    let a = device(1, &["mqtt_client:lamp-1", "mac:020000000001"], (100, 200));
    let b = device(2, &["mqtt_client:lamp-2", "mac:020000000001"], (300, 400));
    assert_eq!(fit(&a, &b), None);
}

#[test]
fn what_one_run_told_apart_stays_apart() {
    let known = by_id([device(1, &["ip:10.0.0.5"], (100, 200))]);
    let mut first = device(2, &["mac:020000000001", "ip:10.0.0.5"], (300, 400));
    let mut second = device(3, &["mac:020000000002", "ip:10.0.0.5"], (500, 600));
    (first.aliases, second.aliases) = (vec![DeviceId(1)], vec![DeviceId(1)]);
    let assigned = assign(&known, &by_id([first, second]), |_, _| false);
    let taken: Vec<_> = assigned.values().flatten().collect();
    assert_eq!(taken, [&DeviceId(1)]);
}

#[test]
fn a_run_can_show_that_two_known_devices_are_one() {
    let known = by_id([device(1, &["dev_eui:0011223344556677"], (1, 2)), device(2, &["lwm2m_endpoint:lamp-7"], (1, 2))]);
    let new = device(1, &["dev_eui:0011223344556677", "lwm2m_endpoint:lamp-7"], (3, 4));
    let new = by_id([new]);
    assert_eq!(assign(&known, &new, |_, _| false)[&DeviceId(1)], [DeviceId(1), DeviceId(2)]);
    assert_eq!(assign(&known, &new, |_, _| true)[&DeviceId(1)], [DeviceId(1)]);
}

#[test]
fn what_two_runs_call_a_peer_at_one_time_does_not_depend_on_their_order() {
    let seen =
        |last: u64| Sighting { first_frame: 1, first_seen: Timestamp(1), last_frame: last, last_seen: Timestamp(last), count: 1 };
    let peer = |called: &str, last| PeerSeen {
        device: Some(DeviceId(7)),
        peer: called.into(),
        protocol: "mqtt".into(),
        side: "client".into(),
        seen: seen(last),
    };
    let via = |called: &str, last| ViaSeen { device: Some(DeviceId(7)), via: called.into(), seen: seen(last) };
    let certificate = |issuer: &str| CertificateSeen {
        spki_sha256: "00".into(),
        subject: "CN=a".into(),
        issuer: issuer.into(),
        not_before: 1,
        not_after: 2,
        seen: seen(9),
    };
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let names = [("ip:10.0.0.9", 8), ("ip:10.0.0.7", 9), ("mac:020000000001", 9)];
        let (mut peers, mut vias, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
        for (called, last) in order.map(|at| names[at]) {
            join(&mut peers, &[peer(called, last)], Counting::Sum);
            join(&mut vias, &[via(called, last)], Counting::Sum);
            join(&mut certificates, &[certificate(called)], Counting::Sum);
        }
        assert_eq!((peers.len(), peers[0].peer.as_str(), vias[0].via.as_str()), (1, names[2].0, names[2].0), "{order:?}");
        // Two certificates over one key are two.
        assert_eq!(
            certificates.iter().map(|seen| seen.issuer.as_str()).collect::<Vec<_>>(),
            [names[1].0, names[0].0, names[2].0]
        );
    }
}

#[test]
fn long_lists_lose_what_was_not_seen_for_longest() {
    let object = |number: u64| ObjectSeen {
        kind: "a.topic".into(),
        name: number.to_string(),
        seen: Sighting {
            first_frame: 1,
            first_seen: Timestamp(1),
            last_frame: 1,
            last_seen: Timestamp(if number == 7 { 1 } else { 2 }),
            count: 1,
        },
    };
    let mut objects: Vec<ObjectSeen> = (0..ENTRIES as u64).map(object).collect();
    join(&mut objects, &[object(1000)], Counting::Sum);
    assert_eq!(objects.len(), ENTRIES);
    assert!(!objects.iter().any(|object| object.name == "7"));
    assert!(objects.iter().any(|object| object.name == "1000"));
}
