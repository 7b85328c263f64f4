//! Old key, new key, both: what joins, and what is told of it.

use super::super::devices::slot;
use super::super::rekeying::Target;
use super::ledger::MemoryLedger;
use super::peers::{Client, Device, hex, unhex};
use super::{serve, with};
use crate::backends::Backend;
use crate::evidence::Evidence;
use crate::rotation::Outcome;
use crate::secrets::Secret;
use crate::slot::{AcceptSet, Effecting, Generation, RotationId, Step};
use crate::time::Timestamp;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const BY: Effecting = Effecting { rotation: RotationId(1), step: Step(1) };

fn used(server: &super::JoinServer, device: &Device) -> Vec<u32> {
    let evidence = server.evidence(&slot(device.dev_eui).unwrap(), Timestamp(0)).unwrap();
    let uses = evidence.iter().filter_map(|seen| if let Evidence::Used(used) = seen { Some(used.generation.0) } else { None });
    uses.collect()
}

#[test]
fn both_keys_join_while_both_are_accepted_and_each_join_says_which() {
    for mut old in [Device::new(1, 0x11), Device::v1_1(2, 0x11)] {
        let (ledger, server, mut client) = with(&old);
        let slot = slot(old.dev_eui).unwrap();
        let mut new = Device { nwk_key: [0x22; 16], ..old.clone() };
        old.join(&mut client).unwrap();
        assert_eq!(new.join(&mut client).unwrap_err(), "MICFailed");

        ledger.enter(new.dev_eui, 2, &new.secret());
        let secret = Secret::new(new.secret());
        assert_eq!(server.accept(&slot, Generation(2), Some(&secret), BY), Outcome::Done);
        assert_eq!(server.accept(&slot, Generation(2), Some(&secret), BY), Outcome::Done, "asked again");
        assert!(matches!(server.accept(&slot, Generation(2), Some(&Secret::new(old.secret())), BY), Outcome::Rejected { .. }));
        assert_eq!(server.read_back(&slot).unwrap(), AcceptSet::of([Generation(1), Generation(2)]));

        new.last_join_nonce = old.last_join_nonce;
        new.join(&mut client).unwrap();
        old.last_join_nonce = new.last_join_nonce;
        old.join(&mut client).unwrap();
        new.last_join_nonce = old.last_join_nonce;
        new.join(&mut client).unwrap();
        assert_eq!(used(&server, &old), [1, 2, 1, 2]);

        assert_eq!(server.retire(&slot, Generation(1), BY), Outcome::Done);
        assert_eq!(server.retire(&slot, Generation(1), BY), Outcome::Done, "asked again");
        assert_eq!(old.join(&mut client).unwrap_err(), "MICFailed");
        new.join(&mut client).unwrap();
        assert!(matches!(server.retire(&slot, Generation(2), BY), Outcome::Rejected { .. }), "the last key stays");
        let evidence = server.evidence(&slot, Timestamp(0)).unwrap();
        assert!(evidence.iter().any(|seen| matches!(seen, Evidence::Refused { .. })));

        // The next process serves what the journal says.
        ledger.remove(old.dev_eui, 1);
        drop(server);
        let server = serve("", Arc::new(ledger.reopened()));
        let mut client = Client::connect(server.address());
        assert_eq!(old.join(&mut client).unwrap_err(), "MICFailed");
        new.join(&mut client).unwrap();
        assert_eq!(used(&server, &new).last(), Some(&2));
    }
}

#[test]
fn a_device_that_counts_from_zero_with_its_new_key_is_let_in() {
    let mut device = Device::new(3, 0x11);
    let (_, server, mut client) = with(&device);
    for _ in 0..5 {
        device.join(&mut client).unwrap();
    }
    device.nwk_key = [0x22; 16];
    device.dev_nonce = 0;
    server.accept(&slot(3).unwrap(), Generation(2), Some(&Secret::new(device.secret())), BY);
    device.join(&mut client).unwrap();
}

#[test]
fn a_request_that_comes_twice_is_answered_once() {
    let mut device = Device::new(4, 0x11);
    let (_, server, mut client) = with(&device);
    let frame = device.join_request();
    let request = device.join_req(&frame);
    assert_eq!(client.ask(&request)["Result"]["ResultCode"], "Success");
    let again = client.ask(&request);
    assert_eq!(again["Result"]["ResultCode"], "JoinReqFailed", "interfaces 1.0");
    assert!(again["NwkSKey"].is_null() && again["PHYPayload"].is_null());
    let mut request = request;
    request["ProtocolVersion"] = json!("1.1");
    assert_eq!(client.ask(&request)["Result"]["ResultCode"], "FrameReplayed");
    device.dev_nonce = 0;
    assert_eq!(device.join(&mut client).unwrap_err(), "JoinReqFailed", "a counter that went back");
    device.join(&mut client).unwrap();
    device.dev_nonce = 0;
    server.forget_nonces(&slot(4).unwrap()).unwrap();
    device.join(&mut client).unwrap();
}

#[test]
fn many_threads_with_one_request_get_one_answer() {
    let mut device = Device::new(5, 0x11);
    let (_, server, _) = with(&device);
    let request = device.join_req(&device.clone().join_request());
    let granted: usize = std::thread::scope(|scope| {
        let ask = || usize::from(Client::connect(server.address()).ask(&request)["Result"]["ResultCode"] == "Success");
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 1);
    device.dev_nonce += 1;
    device.join(&mut Client::connect(server.address())).unwrap();
}

#[test]
fn rejoins_of_all_types() {
    let mut device = Device::v1_1(6, 0x11);
    let (ledger, server, mut client) = with(&device);
    device.join(&mut client).unwrap();
    let before = device.clone();
    device.rejoin(&mut client, 0, 7).unwrap();
    assert_eq!(before.clone().rejoin(&mut client, 0, 7).unwrap_err(), "JoinReqFailed", "replayed");
    device.rejoin(&mut client, 2, 0).unwrap();
    device.rejoin(&mut client, 1, 0).unwrap();
    assert_eq!(device.clone().rejoin(&mut client, 1, 0).unwrap_err(), "JoinReqFailed");
    assert_eq!(Device { network_keys: vec![[9; 16]; 3], ..device.clone() }.rejoin(&mut client, 0, 1).unwrap_err(), "MICFailed");
    assert_eq!(Device { nwk_key: [9; 16], ..device.clone() }.rejoin(&mut client, 1, 5).unwrap_err(), "MICFailed");
    // The accept of the last rejoin is lost: the device is still in the session before, also for the next process.
    let mut request = device.join_req(&device.rejoin_request(0, 1));
    request["MessageType"] = json!("RejoinReq");
    assert_eq!(client.ask(&request)["Result"]["ResultCode"], "Success");
    drop(server);
    let server = serve("", Arc::new(ledger.reopened()));
    let mut client = Client::connect(server.address());
    assert_eq!(device.clone().rejoin(&mut client, 0, 1).unwrap_err(), "JoinReqFailed");
    device.rejoin(&mut client, 0, 2).unwrap();
    assert_eq!(used(&server, &device), [1; 6]);
}

#[test]
fn a_1_1_device_at_a_1_0_network_and_one_key_where_two_are_needed() {
    let mut device = Device::v1_1(7, 0x11);
    let (_, _server, mut client) = with(&device);
    let mut request = device.join_req(&device.clone().join_request());
    device.dev_nonce += 1;
    request["DLSettings"] = json!("00");
    let answer = client.ask(&request);
    assert!(device.take(&unhex(answer["PHYPayload"].as_str().unwrap()), 0xff, device.dev_nonce));
    assert_eq!(
        (answer["NwkSKey"]["AESKey"].clone(), answer["FNwkSIntKey"].is_null()),
        (json!(hex(&device.network_keys[0])), true)
    );

    let device = Device::new(8, 0x11);
    let (_, _server, mut client) = with(&device);
    let mut request = device.join_req(&device.clone().join_request());
    (request["DLSettings"], request["MACVersion"]) = (json!("80"), json!("1.1.0"));
    assert_eq!(client.ask(&request)["Result"]["ResultCode"], "JoinReqFailed");
    request["MACVersion"] = json!("1.0.4");
    assert_eq!(client.ask(&request)["Result"]["ResultCode"], "MalformedRequest");
}

#[test]
fn application_servers_get_the_key_of_a_session() {
    let mut device = Device::v1_1(9, 0x11);
    let (ledger, server, mut client) = with(&device);
    let first = device.join(&mut client).unwrap();
    let first_key = device.app_s_key;
    device.join(&mut client).unwrap();
    let ask = |client: &mut Client, id: &serde_json::Value| {
        let receiver = format!("{:016x}", device.join_eui);
        client.ask(
            &json!({"ProtocolVersion": "1.1", "SenderID": "an application server", "ReceiverID": receiver, "TransactionID": 3,
            "MessageType": "AppSKeyReq", "DevEUI": format!("{:016X}", device.dev_eui), "SessionKeyID": id}),
        )
    };
    let answer = ask(&mut client, &first["SessionKeyID"]);
    assert_eq!((&answer["MessageType"], &answer["AppSKey"]["AESKey"]), (&json!("AppSKeyAns"), &json!(hex(&first_key))));
    assert_eq!(answer["SessionKeyID"], first["SessionKeyID"]);
    for id in ["", "00", "000000000000000900000099", &"ff".repeat(40)] {
        assert_eq!(ask(&mut client, &json!(id))["Result"]["ResultCode"], "Other", "{id}");
    }
    drop(server);
    let server = serve("", Arc::new(ledger.reopened()));
    let answer = ask(&mut Client::connect(server.address()), &first["SessionKeyID"]);
    assert_eq!(answer["AppSKey"]["AESKey"], hex(&first_key), "also from the next process");
}

#[test]
fn the_tap_asks_which_generation_a_frame_is_of() {
    let mut old = Device::new(10, 0x11);
    let (_, server, mut client) = with(&old);
    let mut new = Device { nwk_key: [0x22; 16], ..old.clone() };
    server.accept(&slot(10).unwrap(), Generation(2), Some(&Secret::new(new.secret())), BY);
    let frame = new.join_request();
    assert_eq!(server.attribute(&frame), Some((slot(10).unwrap(), Generation(2))));
    assert_eq!(server.attribute(&old.join_request()).unwrap().1, Generation(1));
    assert_eq!(server.attribute(&Device::new(10, 0x33).join_request()), None);
    assert_eq!(server.attribute(&Device::new(11, 0x11).join_request()), None);
    assert_eq!(server.attribute(b"\x00"), None);
    // Nothing was taken as used.
    assert_eq!(client.ask(&new.join_req(&frame))["Result"]["ResultCode"], "Success");
    assert_eq!(Target::of(&slot(10).unwrap()).unwrap().dev_eui(), 10);
}

#[test]
fn nothing_is_answered_that_is_not_on_the_disk() {
    let mut device = Device::new(12, 0x11);
    let (ledger, _server, mut client) = with(&device);
    ledger.broken.store(true, Ordering::SeqCst);
    assert_eq!(device.join(&mut client).unwrap_err(), "Other");
    ledger.broken.store(false, Ordering::SeqCst);
    device.dev_nonce -= 1;
    let frame = device.join_request();
    let lost = device.join_req(&frame);
    assert_eq!(client.ask(&lost)["Result"]["ResultCode"], "JoinReqFailed", "its number is spent");
    device.join(&mut client).unwrap();
    assert_eq!(device.last_join_nonce, Some(2), "and so is the JoinNonce");
}

#[test]
fn a_backup_that_is_restored_repeats_no_join_nonce_and_takes_no_recorded_request() {
    let mut device = Device::new(13, 0x11);
    let (ledger, server, mut client) = with(&device);
    device.join(&mut client).unwrap();
    let backup = ledger.backup();
    let recorded = device.join_req(&device.clone().join_request());
    for _ in 0..40 {
        device.join(&mut client).unwrap();
    }
    drop(server);
    let ledger = Arc::new(MemoryLedger::restored(backup));
    let server = serve("", ledger.clone());
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask(&recorded)["Result"]["ResultCode"], "JoinReqFailed");
    assert_eq!(client.ask(&recorded)["Result"]["ResultCode"], "JoinReqFailed");
    // The device, which takes no JoinNonce that it saw, is in at once, since a request was refused already.
    device.join(&mut client).unwrap();
    drop(server);
    let server = serve("", Arc::new(ledger.reopened()));
    device.join(&mut Client::connect(server.address())).unwrap();
}
