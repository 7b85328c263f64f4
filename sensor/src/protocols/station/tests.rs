use super::*;
use crate::flow::Direction::{ToClient, ToServer};
use crate::flow::{Direction, Transport};
use crate::protocols::Channel;
use crate::testing::Bench;

const PATH: &str = " /router-58a0:cbff:fe80:1";

fn carried(hint: &str, messages: &[(Direction, &str)]) -> Vec<String> {
    let mut bench = Bench::new(&SPEC, Transport::Tcp, 3001);
    for (direction, message) in messages {
        bench.carry("websocket", hint, *direction, message.as_bytes());
    }
    bench.lines.0
}

const CONFIG: &str = r#"{"msgtype":"router_config","NetID":[1,19],"JoinEui":[[1,2],[3,4]],"region":"EU863","hwspec":"sx1301/1","freq_range":[863000000,870000000],"DRs":[[12,125,0],[11,125,0],[10,125,0],[9,125,0],[8,125,0],[7,125,0],[7,250,0],[0,0,0],[-1,0,0]],"upchannels":[[868100000,0,5],[868300000,0,5]],"max_eirp":16.0,"nodc":true,"sx1301_conf":[{}]}"#;

#[test]
fn a_gateway_finds_its_server() {
    let lines = carried(
        " /router-info",
        &[
            (ToServer, r#"{"router":"58-a0-cb-ff-fe-80-00-01"}"#),
            (
                ToClient,
                r#"{"router":"58a0:cbff:fe80:1","muxs":"::0","uri":"ws://10.0.0.2:3001/router-58a0:cbff:fe80:1?token=secret"}"#,
            ),
            (ToClient, r#"{"router":"58a0:cbff:fe80:1","error":"not provisioned"}"#),
        ],
    );
    assert_eq!(
        lines,
        [
            concat!(
                r#"> station.discovery_request {"gateway":"58a0cbfffe800001"} +identity(gateway_eui:58a0cbfffe800001 Proved)"#,
                " +role(gateway_eui:58a0cbfffe800001 RadioGateway) +via(gateway_eui:58a0cbfffe800001 via ip:10.0.0.1)",
                " +peer(gateway_eui:58a0cbfffe800001 -> ip:10.0.0.2 station) +security(gateway_eui:58a0cbfffe800001 Transport=none)",
                " +same(gateway_eui:58a0cbfffe800001 = ip:10.0.0.1: Basics Station message)"
            ),
            concat!(
                r#"< station.discovery_response {"gateway":"58a0cbfffe800001","muxs":"::0","uri":"ws://10.0.0.2:3001/router-58a0:cbff:fe80:1"}"#,
                " +identity(ip:10.0.0.2 Proved) +role(ip:10.0.0.2 NetworkServer) +service(ip:10.0.0.2 station Some(3001) false)"
            ),
            r#"< station.discovery_response {"gateway":"58a0cbfffe800001","error":"not provisioned"}"#,
        ]
    );
}

#[test]
fn a_station_says_what_it_is_and_is_configured() {
    let version = r#"{"msgtype":"version","station":"2.0.6(corecell/std)","firmware":"1.2","package":null,"model":"corecell","protocol":2,"features":"rmtsh gps"}"#;
    let lines = carried(PATH, &[(ToServer, version), (ToClient, CONFIG)]);
    assert!(lines[0].starts_with(concat!(
        r#"> station.version {"gateway":"58a0cbfffe800001","station":"2.0.6(corecell/std)","firmware":"1.2","model":"corecell","#,
        r#""protocol":2,"features":"rmtsh gps"} +identity(gateway_eui:58a0cbfffe800001 Proved)"#
    )));
    assert!(lines[0].ends_with(concat!(
        " +attribute(gateway_eui:58a0cbfffe800001 Software=2.0.6(corecell/std)) +attribute(gateway_eui:58a0cbfffe800001 Firmware=1.2)",
        " +attribute(gateway_eui:58a0cbfffe800001 Model=corecell) +attribute(gateway_eui:58a0cbfffe800001 ProtocolVersion=2)"
    )));
    assert!(lines[1].starts_with(concat!(
        r#"< station.router_config {"gateway":"58a0cbfffe800001","region":"EU863","hwspec":"sx1301/1","net_ids":[1,19],"join_eui_ranges":2,"#,
        r#""frequency_range_hz":[863000000,870000000],"channels_hz":[868100000,868300000],"max_eirp_dbm":16.0,"no_duty_cycle":true}"#
    )));
    assert!(lines[1].ends_with("+attribute(gateway_eui:58a0cbfffe800001 Region=EU863)"));
}

#[test]
fn frames_are_put_together_again() {
    // The same frames as the packet forwarder's tests: 0001..0a and 405f370c06c2..98.
    let join = r#"{"msgtype":"jreq","MHdr":0,"JoinEui":"0-0-0-0-0-0-0-1","DevEui":"01-01-01-01-01-01-01-01","DevNonce":31137,"MIC":174967914,"RefTime":0,"DR":5,"Freq":868100000,"upinfo":{"rctx":0,"xtime":40250921680313459,"gpstime":0,"fts":-1,"rssi":-50,"snr":9.25,"rxtime":1604332018.5}}"#
        .replace("0-0-0-0-0-0-0-1", "00-00-00-00-00-00-00-01");
    let data = r#"{"msgtype":"updf","MHdr":64,"DevAddr":101463903,"FCtrl":194,"FCnt":3,"FOpts":"0307","FPort":1,"FRMPayload":"69ae","MIC":-1734595548,"DR":5,"Freq":868100000,"upinfo":{"xtime":4294967297,"rssi":-50,"snr":9}}"#;
    let lines = carried(PATH, &[(ToClient, CONFIG), (ToServer, &join), (ToServer, data)]);
    assert!(lines[1].contains(concat!(
        r#"station.uplink {"msgtype":"jreq","gateway":"58a0cbfffe800001","frequency_hz":868100000,"dr":5,"data_rate":"SF7BW125","#,
        r#""rssi_dbm":-50.0,"snr_db":9.25,"rctx":0,"xtime":40250921680313459,"tmst_us":"#
    )));
    assert!(lines[2].contains(r#""phy_payload":"0001000000000000000101010101010101a1796acc6d0a""#), "{}", lines[2]);
    assert!(lines[2].contains("+via(dev_eui:0101010101010101 via gateway_eui:58a0cbfffe800001)"));
    assert!(
        lines[4].contains(r#""phy_payload":"405f370c06c2030003070169ae242c9c98","gateway":"58a0cbfffe800001""#),
        "{}",
        lines[4]
    );
    assert!(lines[4].contains(r#""data_rate":"SF7BW125","rssi_dbm":-50.0,"snr_db":9.0,"tmst_us":1}"#));
    let none = r#"{"msgtype":"updf","MHdr":64,"DevAddr":1,"FCtrl":0,"FCnt":3,"FOpts":"","FPort":-1,"FRMPayload":"","MIC":1}"#;
    assert!(
        carried("", &[(ToServer, none)])[1]
            .contains(r#""payload_length":0,"mic":"01000000","phy_payload":"400100000000030001000000"}"#)
    );
    let whole = r#"{"msgtype":"propdf","FRMPayload":"e0010203","upinfo":{}}"#;
    assert!(
        carried("", &[(ToServer, whole)])[1].contains(r#"lorawan.proprietary {"payload_length":3,"phy_payload":"e0010203"}"#)
    );
}

#[test]
fn downlinks_and_their_reports() {
    let dnmsg = r#"{"msgtype":"dnmsg","DevEui":"01-01-01-01-01-01-01-01","dC":0,"diid":7,"pdu":"605f370c06b50300035707000190969a6a","RxDelay":1,"RX1DR":5,"RX1Freq":868100000,"RX2DR":0,"RX2Freq":869525000,"priority":1,"xtime":40250921680313459,"rctx":0,"MuxTime":1.5}"#;
    let lines = carried(PATH, &[(ToClient, dnmsg)]);
    assert!(lines[0].starts_with(concat!(
        r#"< station.downlink {"msgtype":"dnmsg","gateway":"58a0cbfffe800001","dev_eui":"0101010101010101","device_class":0,"diid":7,"#,
        r#""rx_delay_s":1,"dr":5,"frequency_hz":868100000,"rx2_dr":0,"rx2_frequency_hz":869525000,"priority":1,"#
    )));
    assert!(lines[0].ends_with("+identity(dev_eui:0101010101010101 Mentioned)"));
    assert!(lines[1].contains(r#"lorawan.data {"direction":"downlink""#) && !lines[1].contains('!'));
    let schedule = r#"{"msgtype":"dnsched","MuxTime":1,"schedule":[{"pdu":"60010101010000000aabbccdd0","DR":0,"Freq":869525000,"gpstime":5},{"pdu":"60"}]}"#;
    let lines = carried(PATH, &[(ToClient, schedule)]);
    let kinds: Vec<_> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(kinds, ["station.downlink", "lorawan.data", "station.downlink", "lorawan.unreadable"]);
    let sent = r#"{"msgtype":"dntxed","seqno":7,"diid":7,"DR":5,"Freq":868100000,"DevEui":"01-01-01-01-01-01-01-01","rctx":0,"xtime":5,"txtime":1.5,"gpstime":0}"#;
    assert!(carried(PATH, &[(ToServer, sent)])[0].contains(
        r#""dev_eui":"0101010101010101","diid":7,"dr":5,"frequency_hz":868100000,"rctx":0,"xtime":5,"tx_time_s":1.5,"gps_time_us":0}"#
    ));
}

#[test]
fn clocks_and_commands() {
    let lines = carried(
        PATH,
        &[
            (ToServer, r#"{"msgtype":"timesync","txtime":123456789}"#),
            (ToClient, r#"{"msgtype":"runcmd","command":"reboot","arguments":["secret",1]}"#),
            (ToClient, r#"{"msgtype":"rmtsh","user":"root","term":"xterm","start":0}"#),
            (ToServer, r#"{"msgtype":"getxtime","xtimes":[1]}"#),
        ],
    );
    assert_eq!(
        lines,
        [
            r#"> station.timesync {"gateway":"58a0cbfffe800001","tx_time_us":123456789}"#,
            r#"< station.remote_command {"msgtype":"runcmd","gateway":"58a0cbfffe800001","command":"reboot","arguments":2}"#,
            r#"< station.remote_command {"msgtype":"rmtsh","gateway":"58a0cbfffe800001","arguments":0,"user":"root","start":0}"#,
            r#"> station.other {"msgtype":"getxtime","gateway":"58a0cbfffe800001"}"#,
        ]
    );
}

#[test]
fn what_departs_from_the_protocol() {
    for (message, anomaly) in [
        (r#"{"msgtype":"timesync","txtime":1"#.to_owned(), "station.json_malformed"),
        (r#"{"msgtype":"updf","MHdr":64}"#.to_owned(), "station.frame_incomplete"),
        (r#"{"msgtype":"propdf","FRMPayload":"e00"}"#.to_owned(), "station.frame_incomplete"),
        (r#"{"msgtype":"dnmsg","pdu":"zz"}"#.to_owned(), "station.frame_incomplete"),
        (format!(r#"{{"msgtype":"propdf","FRMPayload":"{}"}}"#, "e0".repeat(256)), "station.frame_incomplete"),
        (format!(r#"{{"msgtype":"dnsched","schedule":[{}]}}"#, vec!["{}"; 130].join(",")), "station.schedule_too_long"),
    ] {
        let lines = carried("", &[(ToServer, &message)]);
        assert!(lines.last().unwrap().ends_with(&format!("!{anomaly}")), "{message}: {lines:?}");
    }
    // A type that the protocol does not have is told once the connection is known to be a station's.
    let mut bench = Bench::new(&SPEC, Transport::Udp, 0);
    bench.show(ToServer, br#"{"msgtype":"upload"}"#);
    assert!(bench.lines.0[0].ends_with(r#"station.other {"msgtype":"upload"} !station.message_unknown"#));
}

#[test]
fn other_websocket_json_is_left_alone() {
    assert!(
        carried(
            " /ws",
            &[(ToServer, r#"{"router":"x"}"#), (ToServer, "[2,\"a\",\"Heartbeat\",{}]"), (ToServer, r#"{"msgtype":"chat"}"#)]
        )
        .is_empty()
    );
}

proptest::proptest! {
    #[test]
    fn random_text_never_panics(text in "[\\[\\]{}:,\"a-zA-Z0-9/+=.-]{0,200}") {
        for msgtype in ["version", "router_config", "jreq", "updf", "propdf", "dnmsg", "dnsched", "dntxed", "timesync", "runcmd"] {
            carried(" /router-info", &[(ToServer, &format!(r#"{{"msgtype":"{msgtype}","DR":{text}"#)), (ToClient, &text)]);
        }
    }
}

#[test]
fn a_message_of_an_unknown_type_is_a_stations_on_its_path_alone() {
    let ask = |hint, bytes| {
        (SPEC.probe)(&ProbeInput { bytes, direction: ToServer, channel: Channel::Datagram, port_hint: false, hint })
    };
    let unknown = br#"{"msgtype":"upload"}"#;
    assert_eq!(ask("/router-58a0cbfffe8039ab", unknown), Probe::Weak(None));
    assert_eq!(ask("/chat", unknown), Probe::No);
    assert_eq!(ask("/router-58a0cbfffe8039ab", b"{}"), Probe::No);
}
