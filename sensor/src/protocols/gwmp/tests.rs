use super::*;
use crate::flow::{Direction, Transport};
use crate::protocols::heard::ACTIVITY_INTERVAL;
use crate::protocols::{Channel, Probe, ProbeInput};
use crate::testing::Bench;
use Direction::{ToClient, ToServer};

const EUI: [u8; 8] = [0x64, 0x7f, 0xda, 0xff, 0xfe, 0x00, 0x74, 0x17];

/// A datagram of a gateway: version, token 0x1234, identifier, EUI, body.
fn from_gateway(version: u8, identifier: u8, body: &str) -> Vec<u8> {
    let mut bytes = vec![version, 0x12, 0x34, identifier];
    bytes.extend(EUI);
    bytes.extend(body.as_bytes());
    bytes
}

/// A datagram of a server.
fn from_server(version: u8, identifier: u8, body: &str) -> Vec<u8> {
    let mut bytes = vec![version, 0x12, 0x34, identifier];
    bytes.extend(body.as_bytes());
    bytes
}

fn bench() -> Bench {
    Bench::new(&SPEC, Transport::Udp, 1700)
}

/// What one PUSH_DATA with this body shows.
fn pushed(body: &str) -> Vec<String> {
    let mut bench = bench();
    bench.show(ToServer, &from_gateway(2, 0, body));
    bench.lines.0
}

fn probe(bytes: &[u8]) -> Probe {
    (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Datagram, port_hint: false, hint: "" })
}

const UPLINK: &str = r#"{"tmst":817549596,"chan":5,"rfch":0,"freq":868.100000,"stat":1,"modu":"LORA","datr":"SF8BW125","codr":"4/5","lsnr":10.8,"rssi":-50,"size":29,"data":"QAEBAQEAAAAWSju26Ppyu8ERpuGD3AQYB4Q6/uE="}"#;

#[test]
fn an_uplink_and_its_acknowledgement() {
    let mut bench = bench();
    bench.show(ToServer, &from_gateway(2, 0, &format!(r#"{{"rxpk":[{UPLINK}]}}"#)));
    bench.show(ToClient, &from_server(2, 1, ""));
    assert_eq!(
        bench.lines.0,
        [
            concat!(
                r#"> gwmp.rx_packet {"version":2,"token":4660,"gateway":"647fdafffe007417","tmst_us":817549596,"frequency_hz":868100000,"#,
                r#""chan":5,"rfch":0,"stat":1,"modulation":"LORA","data_rate":"SF8BW125","code_rate":"4/5","rssi_dbm":-50.0,"snr_db":10.8,"#,
                r#""size":29,"payload_length":29}"#,
                " +identity(gateway_eui:647fdafffe007417 Proved) +role(gateway_eui:647fdafffe007417 RadioGateway)",
                " +via(gateway_eui:647fdafffe007417 via ip:10.0.0.1) +identity(ip:10.0.0.2 Mentioned)",
                " +peer(gateway_eui:647fdafffe007417 -> ip:10.0.0.2 gwmp) +security(gateway_eui:647fdafffe007417 Transport=none)",
                " +same(gateway_eui:647fdafffe007417 = ip:10.0.0.1: GWMP datagram)"
            ),
            concat!(
                r#"> lorawan.data {"direction":"uplink","confirmed":false,"dev_addr":"01010101","net_id":"000000","f_ctrl":0,"adr":false,"#,
                r#""adr_ack_req":false,"ack":false,"class_b":false,"f_cnt_lsb":0,"f_port":22,"payload_length":16,"mic":"843afee1","#,
                r#""phy_payload":"4001010101000000164a3bb6e8fa72bbc111a6e183dc041807843afee1","gateway":"647fdafffe007417","#,
                r#""frequency_hz":868100000,"data_rate":"SF8BW125","rssi_dbm":-50.0,"snr_db":10.8,"tmst_us":817549596,"#,
                r#""checksum_right":true}"#,
                " +identity(dev_addr:01010101 Sent) +role(dev_addr:01010101 EndDevice)",
                " +via(dev_addr:01010101 via gateway_eui:647fdafffe007417) +attribute(dev_addr:01010101 CodecHint=22)"
            ),
            concat!(
                r#"< gwmp.push_ack {"version":2,"token":4660,"gateway":"647fdafffe007417","latency_us":1000000}"#,
                " +identity(ip:10.0.0.2 Proved) +role(ip:10.0.0.2 NetworkServer) +service(ip:10.0.0.2 gwmp Some(1700) false)"
            ),
        ]
    );
}

#[test]
fn escapes_in_codes_are_read() {
    // Some JSON writers escape the slash, as RFC 8259 §7 allows.
    let uplink = UPLINK.replace("4/5", r"4\/5").replace("LORA", r"L\u004fRA").replace("SF8BW125", r"SF8\u0042W125");
    let lines = pushed(&format!(r#"{{"rxpk":[{uplink}]}}"#));
    assert!(lines[0].contains(r#""modulation":"LORA","data_rate":"SF8BW125","code_rate":"4/5""#), "{}", lines[0]);
    assert!(!lines[0].contains('!') && lines[1].contains(r#""data_rate":"SF8BW125""#), "{lines:?}");
    let mut bench = bench();
    bench.show(ToClient, &from_server(2, 3, r#"{"txpk":{"imme":true,"modu":"LORA","datr":"SF7BW125","codr":"4\/6"}}"#));
    assert!(bench.lines.0[0].contains(r#""code_rate":"4/6""#), "{:?}", bench.lines.0);
}

#[test]
fn a_forwarder_on_the_servers_host_does_not_have_its_address() {
    let mut bench = bench().with_server("10.0.0.1".parse().unwrap());
    bench.show(ToServer, &from_gateway(2, 2, ""));
    assert!(bench.lines.0[0].contains("+via(") && !bench.lines.0[0].contains("+same("), "{:?}", bench.lines.0);
}

#[test]
fn several_packets_and_a_report_in_one_datagram() {
    let lines = pushed(&format!(r#"{{"rxpk":[{UPLINK},{UPLINK}],"stat":{{"rxnb":2}}}}"#));
    let kinds: Vec<_> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(kinds, ["gwmp.rx_packet", "lorawan.data", "gwmp.rx_packet", "lorawan.data", "gwmp.stat"]);
}

#[test]
fn a_status_report() {
    let report = r#"{"stat":{"time":"2020-08-11 22:26:56 GMT","lati":46.24000,"long":3.25230,"alti":145,"rxnb":2,"rxok":1,"rxfw":1,"ackr":100.0,"dwnb":2,"txnb":2,"temp":61,"pfrm":"IMST + Rpi","mail":"a@b.c","desc":"Town hall"}}"#;
    let mut bench = bench();
    bench.tick = ACTIVITY_INTERVAL;
    bench.show(ToServer, &from_gateway(2, 2, ""));
    bench.show(ToServer, &from_gateway(2, 0, report));
    bench.show(ToServer, &from_gateway(2, 0, report));
    assert_eq!(
        bench.lines.0[1],
        concat!(
            r#"> gwmp.stat {"version":2,"token":4660,"gateway":"647fdafffe007417","time":"2020-08-11 22:26:56 GMT","latitude":46.24,"#,
            r#""longitude":3.2523,"altitude_m":145,"rx_received":2,"rx_ok":1,"rx_forwarded":1,"acknowledged_percent":100.0,"#,
            r#""downlinks_received":2,"tx_emitted":2,"temperature_c":61.0,"platform":"IMST + Rpi","description":"Town hall","has_mail":true}"#,
            " +activity(gateway_eui:647fdafffe007417 1) +attribute(gateway_eui:647fdafffe007417 Position=46.24000,3.25230)",
            " +attribute(gateway_eui:647fdafffe007417 Model=IMST + Rpi) +attribute(gateway_eui:647fdafffe007417 Name=Town hall)"
        )
    );
    assert!(bench.lines.0[2].ends_with(" +activity(gateway_eui:647fdafffe007417 1)"));
    assert!(!pushed(r#"{"stat":{"lati":0.0,"long":0.0}}"#)[0].contains("Position"));
}

#[test]
fn a_downlink_and_what_became_of_it() {
    let mut bench = bench();
    bench.show(ToServer, &from_gateway(2, 2, ""));
    bench.show(ToClient, &from_server(2, 4, ""));
    let txpk = r#"{"txpk": {"codr": "4/5", "data": "YAEBAQEAAADg2JksxUshhmI=", "datr": "SF8BW125", "freq": 868.1, "imme": "false", "ipol": true, "modu": "LORA", "ncrc": "true", "powe": 14, "rfch": 0, "size": 17, "tmst": 818549596}}"#;
    bench.show(ToClient, &from_server(2, 3, txpk));
    bench.show(ToServer, &from_gateway(2, 5, r#"{"txpk_ack":{"error":"TOO_LATE"}}"#));
    assert!(
        bench.lines.0[1]
            .starts_with(r#"< gwmp.pull_ack {"version":2,"token":4660,"gateway":"647fdafffe007417","latency_us":1000000}"#)
    );
    assert_eq!(
        bench.lines.0[2],
        concat!(
            r#"< gwmp.pull_resp {"version":2,"token":4660,"gateway":"647fdafffe007417","immediately":false,"tmst_us":818549596,"#,
            r#""frequency_hz":868100000,"rfch":0,"power_dbm":14,"modulation":"LORA","data_rate":"SF8BW125","code_rate":"4/5","#,
            r#""inverted_polarization":true,"no_crc":true,"size":17,"payload_length":17} !gwmp.field_type"#
        )
    );
    assert!(bench.lines.0[3].contains(r#"lorawan.data {"direction":"downlink","confirmed":false,"dev_addr":"01010101""#));
    assert!(
        bench.lines.0[3].contains(r#""tmst_us":818549596,"timing":"at_tmst"}"#)
            && !bench.lines.0[3].contains("lorawan.direction")
    );
    assert_eq!(
        bench.lines.0[4],
        r#"> gwmp.tx_ack {"version":2,"token":4660,"gateway":"647fdafffe007417","error":"TOO_LATE","latency_us":1000000}"#
    );
}

#[test]
fn an_accepted_downlink_needs_no_body() {
    let mut bench = bench();
    bench.show(ToServer, &from_gateway(2, 5, ""));
    bench.show(ToServer, &from_gateway(2, 5, "\0"));
    assert!(bench.lines.0.iter().all(|line| line.contains("gwmp.tx_ack") && !line.contains('!')));
}

#[test]
fn a_packet_whose_checksum_failed_makes_no_device() {
    let lines = pushed(&format!(r#"{{"rxpk":[{}]}}"#, UPLINK.replace(r#""stat":1"#, r#""stat":-1"#)));
    assert!(lines.len() == 1 && lines[0].contains(r#""stat":-1"#) && !lines[0].contains("dev_addr"));
}

#[test]
fn a_payload_that_is_not_lorawan_stays_a_packet() {
    let lines = pushed(r#"{"rxpk":[{"jver":1,"mid": 0,"stat":1,"size":11,"data":"aGVsbG8gd29ybGQ="}]}"#);
    assert!(lines.len() == 1 && lines[0].contains(r#""jver":1,"mid":0,"stat":1,"size":11,"payload_length":11}"#));
}

#[test]
fn what_real_forwarders_send() {
    let beside = pushed(r#"{"time":"2020-12-25T18:28:46Z","rxpk":[{"rssi":-25},{"time":"2019-01-02T19:53:24.747868000Z"}]}"#);
    assert!(
        beside[0].contains(r#""time":"2020-12-25T18:28:46Z""#)
            && beside[1].contains(r#""time":"2019-01-02T19:53:24.747868000Z""#)
    );
    let unpadded = pushed(r#"{"rxpk":[{"data":"QDADRQGALC8A\/mnv6+c"}]}"#);
    assert!(unpadded.len() == 2 && !unpadded[0].contains('!') && unpadded[1].contains(r#""phy_payload":"40300345"#));
    let fsk = pushed("{\"rxpk\":[{\"modu\":\"FSK\",\"datr\":50000,\"time\":null}]}\n\0");
    assert!(fsk[0].contains(r#""modulation":"FSK","data_rate":"50000"}"#) && !fsk[0].contains('!'));
    let antennas = pushed(
        r#"{"rxpk":[{"aesk":0,"rsig":[{"ant":0,"chan":7,"rssic":-36,"rssis":-37,"rssisd":1,"lsnr":9.5,"foff":-14,"etime":"42QMzOlYSSPMMeqVPrY0fQ=="},{"ant":1,"chan":8}]}]}"#,
    );
    assert!(antennas[0].contains(concat!(
        r#""rssi_dbm":-36.0,"snr_db":9.5,"aes_key_index":0,"signals":[{"ant":0,"chan":7,"rssi_channel_dbm":-36.0,"rssi_signal_dbm":-37.0,"#,
        r#""rssi_deviation":1.0,"snr_db":9.5,"frequency_offset_hz":-14,"encrypted_time":true},{"ant":1,"chan":8,"encrypted_time":false}]"#
    )));
}

#[test]
fn what_departs_from_the_specification() {
    let long = "A".repeat(400);
    let just_too_long = "A".repeat(344);
    for (body, anomaly) in [
        ("{\"rxpk\":[{}]}trailing", "gwmp.trailing_bytes"),
        ("{\"rxpk\":[{\"tmst\":1", "gwmp.json_malformed"),
        ("", "gwmp.json_malformed"),
        ("{\"rxpk\":[{\"tmst\":1,\"tmst\":2}]}", "gwmp.duplicate_key"),
        ("{\"rxpk\":[{\"tmst\":\"1\"}]}", "gwmp.field_type"),
        ("{\"rxpk\":[{\"chan\":300}]}", "gwmp.field_type"),
        ("{\"rxpk\":[{\"data\":\"*\"}]}", "gwmp.base64_malformed"),
        (&format!("{{\"rxpk\":[{{\"data\":\"{long}\"}}]}}"), "gwmp.payload_too_long"),
        (&format!("{{\"rxpk\":[{{\"data\":\"{just_too_long}\"}}]}}"), "gwmp.payload_too_long"),
        ("{\"rxpk\":[{\"size\":5,\"data\":\"/wAB\"}]}", "gwmp.size_mismatch"),
    ] {
        let lines = pushed(body);
        assert!(lines.iter().any(|line| line.ends_with(&format!("!{anomaly}"))), "{body}: {lines:?}");
    }
    let mut bench = bench();
    bench.show(ToServer, b"\x02\x12\x34\x09");
    bench.show(ToServer, &from_gateway(2, 2, "extra"));
    assert_eq!(bench.lines.0[0], ">  !gwmp.header_malformed");
    assert!(bench.lines.0[1].ends_with("!gwmp.trailing_bytes"));
}

#[test]
fn more_packets_than_are_read() {
    let lines = pushed(&format!("{{\"rxpk\":[{}]}}", vec!["{}"; 300].join(",")));
    assert_eq!(lines.iter().filter(|line| line.contains("gwmp.rx_packet")).count(), 256);
    assert!(lines.last().unwrap().ends_with("!gwmp.too_many_packets"));
}

#[test]
fn requests_that_nobody_answers_are_dropped_and_counted() {
    let mut bench = bench();
    for _ in 0..10 {
        bench.show(ToServer, &from_gateway(1, 2, ""));
    }
    assert_eq!(bench.counters.get(crate::counters::Counter::SessionEntriesDropped), 2);
}

#[test]
fn recognised_by_content() {
    assert_eq!(probe(&from_gateway(2, 0, "{\"rxpk\":[]}")), Probe::Strong(Some(ToServer)));
    assert_eq!(probe(&from_server(1, 3, " { \"txpk\":{}}")), Probe::Strong(Some(ToClient)));
    assert_eq!(probe(&from_gateway(2, 5, "{\"txpk_ack\":{}}")), Probe::Strong(Some(ToServer)));
    assert_eq!(probe(&from_gateway(2, 2, "")), Probe::Weak(Some(ToServer)));
    assert_eq!(probe(&from_server(2, 1, "")), Probe::Weak(Some(ToClient)));
    assert_eq!(probe(&from_server(2, 1, "x")), Probe::No);
    assert_eq!(probe(&from_gateway(3, 0, "{\"rxpk\":[]}")), Probe::No);
    // RADIUS: Access-Request 256 bytes long, Access-Accept of 20, CoA-Request.
    for header in [[1, 7, 1, 0], [2, 7, 0, 20], [43, 1, 0, 40], [1, 7, 0, 3]] {
        let mut radius = header.to_vec();
        radius.resize(usize::from(u16::from_be_bytes([header[2], header[3]])).max(20), 0x41);
        assert_eq!(probe(&radius), Probe::No);
    }
    for length in 0..12 {
        assert_eq!(probe(&from_gateway(2, 0, "")[..length]), Probe::No);
    }
}

#[test]
fn a_datagram_cut_anywhere_says_so() {
    let whole = from_gateway(2, 0, &format!(r#"{{"rxpk":[{UPLINK}]}}"#));
    for length in 0..whole.len() {
        let mut bench = bench();
        bench.show(ToServer, &whole[..length]);
        assert!(length == 0 || bench.lines.0.iter().any(|line| line.contains('!')), "{length}: {:?}", bench.lines.0);
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(identifier in 0_u8..7, body: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9/+=.-]{0,200}") {
        let mut bench = bench();
        for body in [&body[..], text.as_bytes(), format!("{{\"rxpk\":[{{{text}").as_bytes(), format!("{{\"txpk\":{{{text}").as_bytes()] {
            let mut bytes = vec![2, 0, 0, identifier, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.truncate(if matches!(identifier, 1 | 3 | 4) { 4 } else { 12 });
            bytes.extend(body);
            let _ = probe(&bytes);
            bench.show(ToServer, &bytes);
        }
    }
}
