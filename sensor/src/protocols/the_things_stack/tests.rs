use super::*;
use crate::flow::Direction::ToClient;
use crate::flow::Transport;
use crate::protocols::heard::ACTIVITY_INTERVAL;
use crate::testing::Bench;

fn carried(messages: &[(&str, &str)]) -> Vec<String> {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 1883);
    bench.tick = ACTIVITY_INTERVAL;
    for (topic, payload) in messages {
        bench.carry("mqtt.payload", topic, ToClient, payload.as_bytes());
    }
    bench.lines.0
}

const IDS: &str = r#""end_device_ids":{"device_id":"bin-12","application_ids":{"application_id":"waste"},"dev_eui":"0004A30B001C0530","join_eui":"800000000000000C","dev_addr":"00BCB929"}"#;

#[test]
fn an_uplink_names_the_device_in_full() {
    let up = format!(
        r#"{{{IDS},"received_at":"2020-02-12T15:15:45.787Z","uplink_message":{{"session_key_id":"AXA50Q==","f_port":3,"f_cnt":1834,"frm_payload":"ASsBKAAA","decoded_payload":{{"level":3}},"rx_metadata":[{{"gateway_ids":{{"gateway_id":"townhall","eui":"AA555A0000000101"}},"timestamp":3895211423,"rssi":-68,"channel_rssi":-68,"snr":9.2,"location":{{"latitude":46.24,"longitude":3.2523,"altitude":430,"source":"SOURCE_REGISTRY"}}}},{{"gateway_ids":{{"gateway_id":"x"}},"rssi":-90}}],"settings":{{"data_rate":{{"lora":{{"bandwidth":125000,"spreading_factor":7}}}},"frequency":"868100000","timestamp":3895211423}},"confirmed":true,"version_ids":{{"brand_id":"decentlab","model_id":"dl-5tm","hardware_version":"ver 1.1","firmware_version":"1.0.3","band_id":"EU_863_870"}},"network_ids":{{"net_id":"000013","tenant_id":"ttn"}},"locations":{{"user":{{"latitude":46.25,"longitude":3.26,"source":"SOURCE_REGISTRY"}}}},"last_battery_percentage":{{"f_cnt":1,"value":87.5}}}}}}"#
    );
    let lines = carried(&[("v3/waste@ttn/devices/bin-12/up", &up), ("v3/waste@ttn/devices/bin-12/up", &up)]);
    assert_eq!(
        lines[0],
        concat!(
            r#"< the_things_stack.device_event {"event":"up","application_id":"waste","tenant_id":"ttn","device_id":"bin-12","#,
            r#""dev_eui":"0004a30b001c0530","join_eui":"800000000000000c","dev_addr":"00bcb929","f_cnt":1834,"f_port":3,"confirmed":true,"#,
            r#""payload_length":6,"decoded":true,"simulated":false,"gateways":2,"gateway":"aa555a0000000101","gateway_id":"townhall","#,
            r#""rssi_dbm":-68.0,"snr_db":9.2,"tmst_us":3895211423,"frequency_hz":868100000,"data_rate":"SF7BW125","net_id":"000013","#,
            r#""brand_id":"decentlab","model_id":"dl-5tm","hardware_version":"ver 1.1","firmware_version":"1.0.3","band_id":"EU_863_870","#,
            r#""latitude":46.25,"longitude":3.26,"battery_percent":87.5}"#,
            " +identity(dev_eui:0004a30b001c0530 Proved) +role(dev_eui:0004a30b001c0530 EndDevice)",
            " +same(dev_eui:0004a30b001c0530 = dev_addr:00bcb929: network server's event)",
            " +via(dev_eui:0004a30b001c0530 via gateway_eui:aa555a0000000101)",
            " +attribute(dev_eui:0004a30b001c0530 Name=bin-12) +attribute(dev_eui:0004a30b001c0530 Application=waste)",
            " +attribute(dev_eui:0004a30b001c0530 Vendor=decentlab) +attribute(dev_eui:0004a30b001c0530 Model=dl-5tm)",
            " +attribute(dev_eui:0004a30b001c0530 Hardware=ver 1.1) +attribute(dev_eui:0004a30b001c0530 Firmware=1.0.3)",
            " +attribute(dev_eui:0004a30b001c0530 Region=EU_863_870) +attribute(dev_eui:0004a30b001c0530 JoinEui=800000000000000c)",
            " +attribute(dev_eui:0004a30b001c0530 CodecHint=3) +attribute(dev_eui:0004a30b001c0530 Position=46.25000,3.26000)",
            " +identity(gateway_eui:aa555a0000000101 Mentioned) +role(gateway_eui:aa555a0000000101 RadioGateway)",
            " +attribute(gateway_eui:aa555a0000000101 Position=46.24000,3.25230)"
        )
    );
    assert!(lines[1].ends_with("} +activity(dev_eui:0004a30b001c0530 1)"));
}

#[test]
fn a_join_keeps_no_key() {
    let join = format!(r#"{{{IDS},"join_accept":{{"session_key_id":"AXBSH1Pk","app_s_key":{{"encrypted_key":"c2VjcmV0"}}}}}}"#);
    let lines = carried(&[("v3/waste/devices/bin-12/join", &join)]);
    assert!(lines[0].contains("+security(dev_eui:0004a30b001c0530 Activation=otaa)") && !lines[0].contains("c2Vj"));
}

#[test]
fn downlinks_and_what_became_of_them() {
    let failed = format!(
        r#"{{{IDS},"downlink_failed":{{"downlink":{{"f_port":15,"f_cnt":4,"frm_payload":"AQ=="}},"error":{{"namespace":"pkg/networkserver","name":"application_downlink_too_long"}}}}}}"#
    );
    let sent = format!(r#"{{{IDS},"downlink_sent":{{"f_port":15,"f_cnt":4,"frm_payload":"AQI=","confirmed":true}}}}"#);
    let push = r#"{"downlinks":[{"f_port":15,"frm_payload":"AQID","priority":"NORMAL","confirmed":true},{"f_port":1}]}"#;
    let lines = carried(&[
        ("v3/waste/devices/bin-12/down/failed", &failed),
        ("v3/waste/devices/bin-12/down/sent", &sent),
        ("v3/waste/devices/bin-12/down/push", push),
    ]);
    assert!(
        lines[0].contains(r#""f_cnt":4,"f_port":15,"payload_length":1,"#)
            && lines[0].contains(r#""error":"application_downlink_too_long"}"#)
    );
    assert!(lines[0].contains("+identity(dev_eui:0004a30b001c0530 Mentioned)"));
    assert!(lines[1].contains(r#""event":"down/sent""#) && lines[1].contains(r#""confirmed":true,"payload_length":2"#));
    assert_eq!(
        lines[2],
        concat!(
            r#"< the_things_stack.device_command {"command":"down/push","application_id":"waste","device_id":"bin-12","downlinks":2,"#,
            r#""f_port":15,"confirmed":true,"payload_length":3}"#
        )
    );
}

#[test]
fn simulated_and_located_devices() {
    let up = format!(r#"{{{IDS},"simulated":true,"uplink_message":{{"f_port":1}}}}"#);
    let solved = format!(r#"{{{IDS},"location_solved":{{"service":"geo","location":{{"latitude":46.25,"longitude":3.26}}}}}}"#);
    let nameless = r#"{"end_device_ids":{"device_id":"x","dev_addr":"00BCB929"},"uplink_message":{"settings":{"data_rate":{"fsk":{"bit_rate":50000}}}}}"#;
    let lines = carried(&[
        ("v3/waste/devices/bin-12/up", &up),
        ("v3/waste/devices/bin-12/location/solved", &solved),
        ("v3/waste/devices/x/up", nameless),
    ]);
    assert!(lines[0].contains(r#""simulated":true"#) && lines[0].contains("+identity(dev_eui:0004a30b001c0530 Mentioned)"));
    assert!(lines[1].contains("Position=46.25000,3.26000"));
    assert!(lines[2].contains(r#""data_rate":"50000""#) && lines[2].contains("+identity(dev_addr:00bcb929 Proved)"));
}

#[test]
fn what_departs_from_the_definition() {
    for payload in ["", "{\"uplink_message\":{\"f_port\":1", "[1"] {
        assert!(carried(&[("v3/a/devices/b/up", payload)]).iter().all(|line| line.ends_with("!the_things_stack.json_malformed")));
    }
}

#[test]
fn topics_of_others_are_left_alone() {
    for topic in [
        "",
        "v3/a/devices/b",
        "v3/a/devices/b/other",
        "v3/a/devices//up",
        "v3/a/b/devices/c/up",
        "v2/a/devices/b/up",
        "v3/a/devices/b/down/a/b",
    ] {
        let mut bench = Bench::new(&SPEC, Transport::Tcp, 1883);
        assert_eq!(bench.carry("mqtt.payload", topic, ToClient, b"{}"), None, "{topic}");
    }
}

proptest::proptest! {
    #[test]
    fn random_text_never_panics(text in "[\\[\\]{}:,\"a-zA-Z0-9/+=.-]{0,200}") {
        for event in ["up", "join", "down/failed", "down/push", "location/solved"] {
            let topic = format!("v3/a/devices/b/{event}");
            carried(&[(&topic, &text), (&topic, &format!(r#"{{{IDS},"uplink_message":{{"settings":{text}"#))]);
        }
    }
}
