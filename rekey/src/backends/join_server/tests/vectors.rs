//! Frames and keys of lora-packet, another implementation: what it asks we answer byte by byte as it answers itself.

use super::ledger::MemoryLedger;
use super::peers::{Client, unhex};
use super::serve;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;

fn cases() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("lora_packet.json")).unwrap();
    vectors["cases"].as_array().unwrap().clone()
}

fn request(case: &Value, message: &str, frame: &Value) -> Value {
    let dl_settings = format!("{:02X}", case["dl_settings"].as_u64().unwrap());
    json!({
        "ProtocolVersion": "1.1", "SenderID": case["net_id"], "ReceiverID": case["join_eui"], "TransactionID": 1, "MessageType": message,
        "MACVersion": case["mac_version"], "PHYPayload": frame, "DevEUI": case["dev_eui"], "DevAddr": case["dev_addr"], "DLSettings": dl_settings,
        "RxDelay": case["rx_delay"], "CFList": case["cf_list"],
    })
}

fn same(answer: &Value, accept: &Value, keys: &Value, which: &str) {
    assert_eq!(answer["Result"]["ResultCode"], "Success", "{which}: {answer}");
    assert_eq!(&answer["PHYPayload"], accept, "{which}");
    for (name, key) in keys.as_object().unwrap() {
        assert_eq!(&answer[name]["AESKey"], key, "{which} {name}");
    }
}

#[test]
fn joins_and_rejoins_are_answered_as_another_implementation_answers_them() {
    let ledger = Arc::new(MemoryLedger::default());
    let mut list = tempfile::NamedTempFile::new().unwrap();
    writeln!(list, "dev_eui,last_join_nonce").unwrap();
    let (mut joins, mut rejoins) = (0, 0);
    for case in cases() {
        let dev_eui = u64::from_str_radix(case["dev_eui"].as_str().unwrap(), 16).unwrap();
        let mut key = unhex(case["nwk_key"].as_str().unwrap());
        if case["mac_version"] == "1.1.0" {
            key.extend(unhex(case["app_key"].as_str().unwrap()));
        }
        ledger.enter(dev_eui, 1, &key);
        writeln!(list, "{},{}", case["dev_eui"].as_str().unwrap(), case["join_nonce"].as_u64().unwrap() - 1).unwrap();
    }
    let server = serve(&format!("devices = {:?}", list.path()), ledger);
    let mut client = Client::connect(server.address());
    for case in cases() {
        let which = case["dev_eui"].as_str().unwrap();
        let answer = client.ask(&request(&case, "JoinReq", &case["join_request"]));
        same(&answer, &case["join_accept"], &case["keys"], which);
        joins += 1;
        for rejoin in case["rejoins"].as_array().into_iter().flatten() {
            let answer = client.ask(&request(&case, "RejoinReq", &rejoin["request"]));
            same(&answer, &rejoin["accept"], &rejoin["keys"], &format!("{which} rejoin {}", rejoin["kind"]));
            rejoins += 1;
        }
    }
    assert!(joins == 24 && rejoins > 20, "{joins} {rejoins}");
}
