use super::*;
use crate::flow::Direction::{ToClient, ToServer};
use crate::flow::Transport;
use crate::protocols::heard::ACTIVITY_INTERVAL;
use crate::testing::Bench;

fn carried(messages: &[(&str, &[u8])]) -> Vec<String> {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 1883);
    bench.tick = ACTIVITY_INTERVAL;
    for (topic, payload) in messages {
        bench.carry("mqtt.payload", topic, ToServer, payload);
    }
    bench.lines.0
}

/// A Protocol Buffers field of wire type 2.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// A field of wire type 0 below 128, or of several bytes as given.
fn varint(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3], bytes].concat()
}

const MHZ_868_1: [u8; 5] = [0xa0, 0xcf, 0xf8, 0x9d, 0x03];
const MINUS_50: [u8; 10] = [0xce, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
const UPLINK: [u8; 17] = [0x40, 0x5f, 0x37, 0x0c, 0x06, 0xc2, 3, 0, 3, 7, 1, 0x69, 0xae, 0x24, 0x2c, 0x9c, 0x98];
const HEARD: &str = r#""frequency_hz":868100000,"data_rate":"SF7BW125","rssi_dbm":-50.0,"snr_db":9.5,"#;

#[test]
fn an_uplink_in_json_of_both_versions() {
    let four = br#"{"phyPayload":"QF83DAbCAwADBwFpriQsnJg=","txInfo":{"frequency":868100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":7,"codeRate":"CR_4_5"}}},"rxInfo":{"gatewayId":"647fdafffe007417","uplinkId":4217,"rssi":-50,"snr":9.5,"channel":2,"context":"AAAQAA==","crcStatus":"CRC_OK"}}"#;
    let three = br#"{"phyPayload":"QF83DAbCAwADBwFpriQsnJg=","txInfo":{"frequency":868100000,"modulation":"LORA","loRaModulationInfo":{"bandwidth":125,"spreadingFactor":7,"codeRate":"4/5"}},"rxInfo":{"gatewayID":"ZH/a//4AdBc=","time":null,"rssi":-50,"loRaSNR":9.5,"channel":2,"context":"AAAQAA==","crcStatus":"CRC_OK"}}"#;
    let lines = carried(&[("eu868/gateway/647fdafffe007417/event/up", four), ("gateway/647fdafffe007417/event/up", three)]);
    let rest = format!(r#""encoding":"json",{HEARD}"channel":2,"tmst_us":4096,"crc":"ok","payload_length":17}}"#);
    assert_eq!(
        lines[0],
        format!(
            "> chirpstack.gateway_uplink {}{rest} +identity(gateway_eui:647fdafffe007417 Sent) +role(gateway_eui:647fdafffe007417 RadioGateway)",
            r#"{"gateway":"647fdafffe007417","region":"eu868","#
        )
    );
    assert!(
        lines[1].contains("lorawan.data")
            && lines[1].contains(&format!(r#""gateway":"647fdafffe007417",{HEARD}"tmst_us":4096,"checksum_right":true}}"#))
    );
    assert!(lines[2].contains(&format!(r#"{{"gateway":"647fdafffe007417",{rest}"#)), "{}", lines[2]);
}

#[test]
fn who_publishes_for_a_gateway() {
    use crate::protocols::mqtt::payload::testing;
    let state = ("eu868/gateway/647fdafffe007417/state/conn", &br#"{"gatewayId":"647fdafffe007417","state":"ONLINE"}"#[..]);
    let same = |lines: &[String]| -> Vec<String> { lines.iter().filter(|line| line.contains("+same(")).cloned().collect() };
    let by_address = ">  +same(gateway_eui:647fdafffe007417 = ip:10.0.0.1: publishes the gateway's events)";
    assert_eq!(same(&testing::published(&[state, state])), [by_address]);
    assert_eq!(
        same(&testing::published_by("647fdafffe007417", &[state])),
        [
            ">  +same(gateway_eui:647fdafffe007417 = mqtt_client:647fdafffe007417@10.0.0.2: client identifier of the gateway's EUI)"
        ]
    );
    // The server's command, and what the broker hands on, do not come from the gateway.
    let command = ("gateway/647fdafffe007417/command/down", &b"{}"[..]);
    assert_eq!(same(&testing::published(&[command])), [""; 0]);
    assert_eq!(same(&testing::delivered(&[state])), [""; 0]);
}

#[test]
fn an_uplink_in_protocol_buffers_of_both_versions() {
    let modulation = [varint(1, &[0xc8, 0xd0, 7]), varint(2, &[7])].concat();
    let tx = [varint(1, &MHZ_868_1), field(2, &field(3, &modulation))].concat();
    let rx = [
        field(1, b"647fdafffe007417"),
        varint(6, &MINUS_50),
        [&[0x3d][..], &9.5_f32.to_le_bytes()].concat(),
        varint(8, &[2]),
        field(13, &[0, 0, 0x10, 0]),
        vec![0x80, 0x01, 2],
    ]
    .concat();
    let four = [field(1, &UPLINK), field(4, &tx), field(5, &rx)].concat();

    let modulation = [varint(1, &[125]), varint(2, &[7]), field(3, b"4/5")].concat();
    let tx = [varint(1, &MHZ_868_1), field(3, &modulation)].concat();
    let rx = [
        field(1, &[0x64, 0x7f, 0xda, 0xff, 0xfe, 0, 0x74, 0x17]),
        varint(5, &MINUS_50),
        [&[0x31][..], &9.5_f64.to_le_bytes()].concat(),
        varint(7, &[2]),
        field(15, &[0, 0, 0x10, 0]),
        vec![0x88, 0x01, 2],
    ]
    .concat();
    let three = [field(1, &UPLINK), field(2, &tx), field(3, &rx)].concat();
    for message in [four, three] {
        let lines = carried(&[("gateway/647fdafffe007417/event/up", &message)]);
        let rest = format!(r#""encoding":"protobuf",{HEARD}"channel":2,"tmst_us":4096,"crc":"ok","payload_length":17}}"#);
        assert!(lines[0].contains(&rest), "{}", lines[0]);
        assert!(lines[1].contains(r#""phy_payload":"405f370c06c2030003070169ae242c9c98""#));
    }
}

#[test]
fn a_packet_whose_checksum_failed_makes_no_device() {
    let bad = br#"{"phyPayload":"QF83DAbCAwADBwFpriQsnJg=","rxInfo":{"crcStatus":"BAD_CRC"}}"#;
    let lines = carried(&[("gateway/647fdafffe007417/event/up", bad)]);
    assert!(lines.len() == 1 && lines[0].contains(r#""crc":"bad""#));
}

#[test]
fn a_downlink_offers_two_windows_and_is_one_frame() {
    let json = br#"{"downlinkId":7,"gatewayId":"647fdafffe007417","items":[{"phyPayload":"YAEBAQEAAAABqrvM3Q==","txInfo":{"frequency":868100000,"power":14,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":7}},"timing":{"delay":{"delay":"1s"}},"context":"AAAQAA=="}},{"phyPayload":"YAEBAQEAAAABqrvM3Q==","txInfo":{"frequency":869525000,"power":27}}]}"#;
    let lines = carried(&[("gateway/647fdafffe007417/command/down", json)]);
    let kinds: Vec<_> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(kinds, ["chirpstack.gateway_downlink", "lorawan.data", "chirpstack.gateway_downlink"]);
    assert!(lines[0].contains(concat!(
        r#""encoding":"json","downlink_id":7,"item":0,"frequency_hz":868100000,"data_rate":"SF7BW125","power_dbm":14,"#,
        r#""timing":"delay","tmst_us":4096,"payload_length":13,"delay_us":1000000}"#
    )));
    assert!(lines[1].contains(r#""direction":"downlink""#) && !lines[1].contains('!'));
    // Five seconds and 400 ms: a duration in the first field.
    let delay = field(6, &field(2, &field(1, &[varint(1, &[5]), varint(2, &[0x80, 0x88, 0xde, 0xbe, 0x01])].concat())));
    let item =
        [field(1, &[0x60, 1, 1, 1, 1, 0, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd]), field(3, &[varint(1, &MHZ_868_1), delay].concat())]
            .concat();
    let lines = carried(&[("gateway/647fdafffe007417/command/down", &[varint(3, &[7]), field(5, &item)].concat())]);
    assert!(
        lines[0].contains(
            r#""downlink_id":7,"item":0,"frequency_hz":868100000,"timing":"delay","payload_length":13,"delay_us":5400000}"#
        ),
        "{}",
        lines[0]
    );
    let item = [field(1, &[0x60; 13]), field(2, &[varint(5, &MHZ_868_1), varint(12, &[1])].concat())].concat();
    let lines = carried(&[("gateway/647fdafffe007417/command/down", &field(5, &item))]);
    assert!(lines[0].contains(r#""frequency_hz":868100000,"timing":"delay","payload_length":13}"#), "{}", lines[0]);
}

#[test]
fn what_gateways_say_of_themselves() {
    let json = br#"{"gatewayId":"647fdafffe007417","location":{"latitude":46.24,"longitude":3.2523,"altitude":145},"configVersion":"7","rxPacketsReceived":5,"rxPacketsReceivedOk":4,"txPacketsReceived":2,"txPacketsEmitted":1,"metadata":{"model":"dragino_pg1302","concentratord_version":"4.4.0","hal_version":"2.1.0r9"}}"#;
    let lines = carried(&[("gateway/647fdafffe007417/event/stats", json), ("gateway/647fdafffe007417/event/stats", json)]);
    assert!(lines[0].contains(concat!(
        r#""latitude":46.24,"longitude":3.2523,"altitude_m":145.0,"config_version":"7","rx_received":5,"rx_ok":4,"tx_received":2,"#,
        r#""tx_emitted":1,"model":"dragino_pg1302","concentratord_version":"4.4.0","hal_version":"2.1.0r9"}"#
    )));
    assert!(lines[0].ends_with(concat!(
        "+attribute(gateway_eui:647fdafffe007417 Model=dragino_pg1302) +attribute(gateway_eui:647fdafffe007417 Software=4.4.0)",
        " +attribute(gateway_eui:647fdafffe007417 Firmware=2.1.0r9) +attribute(gateway_eui:647fdafffe007417 Position=46.24000,3.25230)"
    )));
    assert!(lines[1].ends_with("} +activity(gateway_eui:647fdafffe007417 1)"));
    let stats = [varint(5, &[5]), field(9, b"10.0.0.7"), field(10, &[field(1, b"model"), field(2, b"x")].concat())].concat();
    let lines = carried(&[("gateway/647fdafffe007417/event/stats", &stats)]);
    assert!(lines[0].contains(r#""encoding":"protobuf","ip":"10.0.0.7","rx_received":5,"model":"x"}"#), "{}", lines[0]);
}

#[test]
fn acknowledgements_states_and_commands_of_gateways() {
    let lines = carried(&[
        ("gateway/647fdafffe007417/event/ack", br#"{"downlinkId":7,"items":[{"status":"TOO_LATE"},{"status":"OK"}]}"#),
        ("gateway/647fdafffe007417/event/ack", &[varint(2, &[7]), field(5, &varint(1, &[2]))].concat()),
        ("gateway/647fdafffe007417/state/conn", br#"{"gatewayId":"647fdafffe007417","state":"ONLINE"}"#),
        ("gateway/647fdafffe007417/state/conn", &varint(2, &[1])),
        ("gateway/647fdafffe007417/command/exec", br#"{"command":"reboot","stdin":"c2VjcmV0","environment":{"KEY":"secret"}}"#),
        ("gateway/647fdafffe007417/command/exec", &field(2, b"reboot")),
        ("gateway/647fdafffe007417/command/config", b"{}"),
    ]);
    assert!(
        lines[0].contains(r#""downlink_id":7,"status":"OK"}"#) && lines[1].contains(r#""downlink_id":7,"status":"TOO_LATE"}"#)
    );
    assert!(lines[2].contains(r#""online":true}"#) && lines[3].contains(r#""online":true}"#));
    for line in &lines[4..6] {
        assert!(line.contains(r#""what":"command","name":"exec","command":"reboot"}"#) && !line.contains("secret"));
    }
    assert!(lines[6].contains(r#""name":"config"}"#));
}

const APPLICATION: &str = "application/52f14cd4-c6f1-4fbd-8f87-4025e1d49242/device/0101010101010101/event/";

#[test]
fn an_application_hears_of_its_device() {
    let json = br#"{"deduplicationId":"x","deviceInfo":{"tenantName":"City","applicationName":"Parking","deviceProfileName":"Bosch TPS110","deviceName":"Bay 7","devEui":"0101010101010101","tags":{"street":"Main"}},"devAddr":"060c375f","adr":true,"dr":5,"fCnt":65539,"fPort":3,"confirmed":false,"data":"AQID","object":{"occupied":true},"rxInfo":[{"gatewayId":"647fdafffe007417","rssi":-50,"snr":9.5},{"gatewayId":"647fdafffe007418","rssi":-90}],"txInfo":{"frequency":868100000}}"#;
    let topic = format!("{APPLICATION}up");
    let lines = carried(&[(&topic, json), (&topic, json)]);
    assert_eq!(
        lines[0],
        concat!(
            r#"> chirpstack.device_event {"event":"up","encoding":"json","application_id":"52f14cd4-c6f1-4fbd-8f87-4025e1d49242","#,
            r#""application_name":"Parking","tenant_name":"City","device_profile_name":"Bosch TPS110","device_name":"Bay 7","#,
            r#""dev_eui":"0101010101010101","dev_addr":"060c375f","f_cnt":65539,"f_port":3,"adr":true,"dr":5,"confirmed":false,"#,
            r#""payload_length":3,"decoded":true,"gateways":2,"gateway":"647fdafffe007417","rssi_dbm":-50.0,"snr_db":9.5,"#,
            r#""frequency_hz":868100000,"tags":[{"key":"street","value":"Main"}]}"#,
            " +identity(dev_eui:0101010101010101 Proved) +role(dev_eui:0101010101010101 EndDevice)",
            " +same(dev_eui:0101010101010101 = dev_addr:060c375f: network server's event)",
            " +via(dev_eui:0101010101010101 via gateway_eui:647fdafffe007417) +via(dev_eui:0101010101010101 via gateway_eui:647fdafffe007418)",
            " +attribute(dev_eui:0101010101010101 Name=Bay 7) +attribute(dev_eui:0101010101010101 Model=Bosch TPS110)",
            " +attribute(dev_eui:0101010101010101 Application=Parking) +attribute(dev_eui:0101010101010101 CodecHint=3)"
        )
    );
    assert!(lines[1].ends_with("} +activity(dev_eui:0101010101010101 1)"));
}

#[test]
fn the_same_in_protocol_buffers() {
    let info = [field(2, b"City"), field(4, b"Parking"), field(6, b"Bosch TPS110"), field(7, b"Bay 7")].concat();
    let up = [field(3, &info), field(4, b"060c375f"), varint(7, &[5]), varint(8, &[3]), field(10, &[1, 2, 3])].concat();
    let lines = carried(&[(&format!("{APPLICATION}up"), &up)]);
    assert!(lines[0].contains(concat!(
        r#""application_name":"Parking","tenant_name":"City","device_profile_name":"Bosch TPS110","device_name":"Bay 7","#,
        r#""dev_eui":"0101010101010101","dev_addr":"060c375f","f_cnt":5,"f_port":3,"payload_length":3,"#
    )));
    let three =
        [varint(1, &[1]), field(2, b"Parking"), field(3, b"Bay 7"), varint(9, &[5]), varint(10, &[3]), field(11, &[1, 2, 3])];
    let three = [three.concat(), field(15, &[6, 0x0c, 0x37, 0x5f])].concat();
    let lines = carried(&[("application/1/device/0101010101010101/event/up", &three)]);
    assert!(lines[0].contains(concat!(
        r#""application_id":"1","application_name":"Parking","device_name":"Bay 7","dev_eui":"0101010101010101","dev_addr":"060c375f","#,
        r#""f_cnt":5,"f_port":3,"payload_length":3,"#
    )));
    let status = [field(3, &info), varint(5, &[7]), varint(6, &[1]), [&[0x45][..], &50.5_f32.to_le_bytes()].concat()].concat();
    let lines = carried(&[(&format!("{APPLICATION}status"), &status)]);
    assert!(lines[0].contains(r#""margin_db":7,"external_power":true,"battery_percent":50.5}"#), "{}", lines[0]);
    let log = [field(2, &info), varint(3, &[2]), varint(4, &[6]), field(5, b"MIC of uplink frame is invalid")].concat();
    let lines = carried(&[(&format!("{APPLICATION}log"), &log)]);
    assert!(lines[0].contains(r#""level":"ERROR","code":"UPLINK_MIC","description":"MIC of uplink frame is invalid"}"#));
    assert!(lines[0].contains("+identity(dev_eui:0101010101010101 Mentioned)"));
}

#[test]
fn other_events_and_commands_of_devices() {
    let location = br#"{"deviceInfo":{"deviceName":"Bay 7"},"location":{"latitude":46.24,"longitude":3.2523}}"#;
    let down = br#"{"devEui":"0101010101010101","confirmed":true,"fPort":200,"data":"AQIDBA=="}"#;
    let lines = carried(&[
        (&format!("{APPLICATION}location"), location),
        (&format!("{APPLICATION}join"), br#"{"deviceInfo":{},"devAddr":"060c375f"}"#),
        ("application/52f14cd4/device/0101010101010101/command/down", down),
        (
            "application/1/device/0101010101010101/rx",
            br#"{"applicationID":"1","deviceName":"Bay 7","devEUI":"AQEBAQEBAQE=","devAddr":"BgwzXw=="}"#,
        ),
    ]);
    assert!(lines[0].contains("Position=46.24000,3.25230"));
    assert!(lines[1].contains("+same(dev_eui:0101010101010101 = dev_addr:060c375f"));
    assert!(
        lines[2].contains(r#""f_port":200,"confirmed":true,"payload_length":4} +identity(dev_eui:0101010101010101 Mentioned)"#)
    );
    assert!(lines[3].contains(r#""event":"up","#) && lines[3].contains(r#""dev_addr":"060c335f""#));
}

#[test]
fn what_departs_from_the_definitions() {
    let items = format!(r#"{{"items":[{}]}}"#, ["{}"; 10].join(","));
    for (topic, payload, anomaly) in [
        ("gateway/647fdafffe007417/event/up", &br#"{"rxInfo":{"rssi":-50"#[..], "chirpstack.malformed"),
        ("gateway/647fdafffe007417/event/up", &[0x0a, 0x7f, 1], "chirpstack.malformed"),
        ("gateway/647fdafffe007417/event/up", br#"{"phyPayload":"*"}"#, "chirpstack.payload_malformed"),
        ("gateway/647fdafffe007417/command/down", items.as_bytes(), "chirpstack.too_many_items"),
    ] {
        let lines = carried(&[(topic, payload)]);
        assert!(lines[0].ends_with(&format!("!{anomaly}")), "{lines:?}");
    }
}

#[test]
fn topics_of_others_are_left_alone() {
    for topic in [
        "",
        "gateway",
        "gateway/abc/event/up",
        "gateway/647fdafffe007417/event",
        "gateway/647fdafffe007417/other/up",
        "a/b/gateway/647fdafffe007417/event/up",
        "application/1/device/0101010101010101",
        "application/1/device/0101010101010101/event/up/more",
        "application/1/other/0101010101010101/event/up",
    ] {
        let mut bench = Bench::new(&SPEC, Transport::Tcp, 1883);
        assert_eq!(bench.carry("mqtt.payload", topic, ToClient, b"{}"), None, "{topic}");
    }
}

proptest::proptest! {
    #[test]
    fn random_payloads_never_panic(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-zA-Z0-9/+=.-]{0,100}") {
        let json = format!(r#"{{"phyPayload":"{text}","items":[{{{text}"#);
        for name in ["event/up", "event/stats", "event/ack", "command/down", "state/conn", "command/exec"] {
            let topic = format!("gateway/647fdafffe007417/{name}");
            carried(&[(&topic, &bytes), (&topic, json.as_bytes())]);
        }
        for name in ["up", "join", "ack", "txack", "log", "status", "location", "error"] {
            carried(&[(&format!("{APPLICATION}{name}"), &bytes), (&format!("application/1/device/0101010101010101/event/{name}"), &bytes)]);
        }
    }
}

#[test]
fn no_message_is_lost_when_devices_take_turns() {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 1883);
    let events: Vec<String> =
        (0..200).map(|number| format!(r#"{{"deviceInfo":{{"devEui":"24e124fffe{number:06x}"}},"fCnt":1,"fPort":2}}"#)).collect();
    for event in events.iter().flat_map(|event| [event; 3]) {
        bench.carry("mqtt.payload", "application/1/device/24e124fffe000000/event/up", ToServer, event.as_bytes());
    }
    bench.close();
    let told = bench.lines.0.concat();
    let again: u32 = told.split("+activity(").skip(1).filter_map(|fact| fact.split([' ', ')']).nth(1)?.parse::<u32>().ok()).sum();
    assert_eq!(told.matches(" Proved)").count() as u32 + again, 600);
}
