use super::*;
use crate::flow::{Direction, Transport};
use crate::protocols::heard::ACTIVITY_INTERVAL;
use crate::testing::Bench;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What is observed of frames carried one after the other.
fn carried(hint: &str, frames: &[&str]) -> Vec<String> {
    let mut bench = Bench::new(&SPEC, Transport::Udp, 1700);
    bench.tick = ACTIVITY_INTERVAL;
    for frame in frames {
        bench.carry(PHY_PAYLOAD, hint, Direction::ToServer, &hex(frame));
    }
    bench.lines.0
}

#[test]
fn a_device_joins() {
    let request = "0001000000000000000101010101010101a1796acc6d0a";
    assert_eq!(
        carried("uplink", &[request, request]),
        [
            concat!(
                r#"> lorawan.join_request {"join_eui":"0000000000000001","dev_eui":"0101010101010101","dev_nonce":31137,"mic":"6acc6d0a","#,
                r#""phy_payload":"0001000000000000000101010101010101a1796acc6d0a"}"#,
                " +identity(dev_eui:0101010101010101 Proved) +role(dev_eui:0101010101010101 EndDevice)",
                " +attribute(dev_eui:0101010101010101 JoinEui=0000000000000001) +security(dev_eui:0101010101010101 Activation=otaa)"
            ),
            concat!(
                r#"> lorawan.join_request {"join_eui":"0000000000000001","dev_eui":"0101010101010101","dev_nonce":31137,"mic":"6acc6d0a","#,
                r#""phy_payload":"0001000000000000000101010101010101a1796acc6d0a"} +activity(dev_eui:0101010101010101 1)"#
            ),
        ]
    );
    let lines = carried("downlink", &["205b24bf219f8b1c63efaef4d765e1d0f4"]);
    assert_eq!(lines, [r#"> lorawan.join_accept {"has_cf_list":false,"phy_payload":"205b24bf219f8b1c63efaef4d765e1d0f4"}"#]);
}

#[test]
fn a_device_rejoins() {
    let lines =
        carried("uplink", &["c00013000001010101010101010500aabbccdd", "c001010000000000000001010101010101010500aabbccdd"]);
    assert!(lines[0].starts_with(
        r#"> lorawan.rejoin_request {"rejoin_type":0,"net_id":"000013","dev_eui":"0101010101010101","rj_count":5,"mic":"aabbccdd","#
    ));
    assert!(lines[0].contains("+attribute(dev_eui:0101010101010101 ProtocolVersion=1.1)"));
    assert!(lines[1].contains(r#""rejoin_type":1,"join_eui":"0000000000000001","dev_eui":"0101010101010101","rj_count":5"#));
}

#[test]
fn data_in_both_directions() {
    let lines = carried("uplink", &["405f370c06c20300030701 69ae242c9c98".replace(' ', "").as_str()]);
    assert_eq!(
        lines,
        [concat!(
            r#"> lorawan.data {"direction":"uplink","confirmed":false,"dev_addr":"060c375f","net_id":"000003","f_ctrl":194,"adr":true,"#,
            r#""adr_ack_req":true,"ack":false,"class_b":false,"f_cnt_lsb":3,"f_opts":"0307","#,
            r#""commands":[{"name":"LinkADRAns","cid":3,"status":7,"accepted":true}],"commands_complete":true,"#,
            r#""f_port":1,"payload_length":2,"mic":"242c9c98","phy_payload":"405f370c06c2030003070169ae242c9c98"}"#,
            " +identity(dev_addr:060c375f Sent) +role(dev_addr:060c375f EndDevice) +attribute(dev_addr:060c375f CodecHint=1)"
        )]
    );
    let lines = carried("downlink", &["605f370c06b50300035707000190969a6a", "605f370c06b50300035707000190969a6a"]);
    assert!(lines[0].contains(r#""direction":"downlink","confirmed":false,"dev_addr":"060c375f","#), "{}", lines[0]);
    assert!(
        lines[0].contains(r#""ack":true,"f_pending":true,"f_cnt_lsb":3,"f_opts":"0357070001","commands":[{"name":"LinkADRReq""#)
    );
    assert!(lines[0].ends_with("+identity(dev_addr:060c375f Mentioned)"));
    assert!(!lines[1].contains('+'));
}

#[test]
fn what_departs_from_the_specification() {
    for (hint, frame, anomaly) in [
        ("", "00010000000000000001010101010101", "lorawan.frame_length"),
        ("", "205b24", "lorawan.frame_length"),
        ("", "40010101010f0000aabbccdd", "lorawan.f_opts_length"),
        ("", "c00713000001010101010101010500aabbccdd", "lorawan.rejoin_type"),
        ("", "4001010101010000ffaabbccdd", "lorawan.f_opts_unreadable"),
        ("", "400101010101000002000102aabbccdd", "lorawan.f_opts_with_port_0"),
        ("", "4001010101000000f0aabbccdd", "lorawan.f_port_reserved"),
        ("uplink", "6001010101000000aabbccdd", "lorawan.direction"),
        ("downlink", "4001010101000000aabbccdd", "lorawan.direction"),
    ] {
        let lines = carried(hint, &[frame]);
        assert!(lines.len() == 1 && lines[0].ends_with(&format!("!{anomaly}")), "{frame}: {lines:?}");
    }
}

#[test]
fn a_device_is_told_again_for_a_new_port() {
    let lines = carried("", &["400101010100000001aabbccdd", "400101010100010001aabbccdd", "400101010100020002aabbccdd"]);
    assert!(
        lines[0].contains("CodecHint=1")
            && lines[1].ends_with("+activity(dev_addr:01010101 1)")
            && lines[2].contains("CodecHint=2")
    );
}

#[test]
fn what_is_not_lorawan_is_left_alone() {
    assert!(carried("uplink", &["68656c6c6f20776f726c64", ""]).is_empty());
    assert_eq!(carried("", &["e001020304"]), [r#"> lorawan.proprietary {"payload_length":4,"phy_payload":"e001020304"}"#]);
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(mut bytes: Vec<u8>, mhdr: u8) {
        let mut bench = Bench::new(&SPEC, Transport::Udp, 1700);
        bench.carry(PHY_PAYLOAD, "uplink", Direction::ToServer, &bytes);
        bytes.insert(0, mhdr & 0xe0);
        bench.carry(PHY_PAYLOAD, "uplink", Direction::ToServer, &bytes);
    }
}
