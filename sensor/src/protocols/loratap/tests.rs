use super::*;
use crate::flow::{Direction, Transport};
use crate::protocols::heard::ACTIVITY_INTERVAL;
use crate::testing::Bench;

#[rustfmt::skip]
const VERSION_0: [u8; 15] = [
    0, 0, 0, 15,            // version, padding, header length
    0x33, 0xb8, 0x0d, 0x20, // 867.7 MHz
    1, 10,                  // 125 kHz, SF10
    0xff, 0xff, 0x1e, 0xe5, // packet and max RSSI not available, current -109 dBm, SNR -6.75 dB
    0x34,                   // LoRaWAN
];

#[rustfmt::skip]
const VERSION_1: [u8; 35] = [
    1, 0, 0, 35,
    0x33, 0xb8, 0x0d, 0x20,
    1, 7,
    40, 0xff, 0xff, 20,     // packet RSSI -99 dBm, SNR 5 dB
    0x34,
    0x64, 0x7f, 0xda, 0xff, 0xfe, 0x00, 0x74, 0x17,
    0, 0, 0x10, 0,          // tmst
    0x08, 5, 0, 0,          // CRC right, 4/5
    3, 1, 0, 9,             // IF channel, RF chain, tag
];

const UPLINK: [u8; 12] = [0x40, 1, 1, 1, 1, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd];

fn shown(header: &[u8], payload: &[u8]) -> Vec<String> {
    let mut bench = Bench::new(&SPEC, Transport::Link, 0);
    bench.show(Direction::ToServer, &[header, payload].concat());
    bench.lines.0
}

#[test]
fn version_0_as_sniffers_write_it() {
    let lines = shown(&VERSION_0, &UPLINK);
    assert_eq!(
        lines[0],
        concat!(
            r#"> loratap.packet {"version":0,"frequency_hz":867700000,"bandwidth_hz":125000,"spreading_factor":10,"data_rate":"SF10BW125","#,
            r#""rssi_dbm":-109.0,"current_rssi_dbm":-109.0,"snr_db":-6.75,"sync_word":52,"payload_length":12}"#
        )
    );
    assert!(
        lines[1].contains(r#""frequency_hz":867700000,"data_rate":"SF10BW125","rssi_dbm":-109.0,"snr_db":-6.75}"#),
        "{}",
        lines[1]
    );
}

#[test]
fn strength_below_the_noise_has_finer_steps() {
    let mut header = VERSION_0;
    header[10] = 40;
    assert!(shown(&header, &[])[0].contains(r#""rssi_dbm":-129.0"#));
    header[13] = 4;
    assert!(shown(&header, &[])[0].contains(r#""rssi_dbm":-99.0"#));
}

#[test]
fn version_1_names_the_gateway() {
    let mut bench = Bench::new(&SPEC, Transport::Link, 0);
    bench.tick = ACTIVITY_INTERVAL;
    for _ in 0..2 {
        bench.show(Direction::ToServer, &[&VERSION_1[..], &UPLINK].concat());
    }
    let lines = &bench.lines.0;
    assert!(lines[0].ends_with(concat!(
        r#""rssi_dbm":-99.0,"snr_db":5.0,"sync_word":52,"gateway":"647fdafffe007417","tmst_us":4096,"modulation":"LORA","iq_inverted":false,"#,
        r#""implicit_header":false,"crc":"ok","code_rate":5,"if_channel":3,"rf_chain":1,"tag":9,"payload_length":12}"#,
        " +identity(gateway_eui:647fdafffe007417 Mentioned) +role(gateway_eui:647fdafffe007417 RadioGateway)"
    )));
    assert!(lines[1].contains("+via(dev_addr:01010101 via gateway_eui:647fdafffe007417)"));
    assert!(lines[2].ends_with("+activity(gateway_eui:647fdafffe007417 1)"));
}

#[test]
fn what_was_heard_of_a_gateway_is_told_before_the_next_one() {
    let mut bench = Bench::new(&SPEC, Transport::Link, 0);
    let mut other = VERSION_1;
    other[22] = 0x18;
    for header in [VERSION_1, VERSION_1, VERSION_1, other] {
        bench.show(Direction::ToServer, &header);
    }
    let last = bench.lines.0.last().unwrap();
    assert!(last.contains("+identity(gateway_eui:647fdafffe007418 Mentioned)"), "{last}");
    assert!(last.ends_with("+activity(gateway_eui:647fdafffe007417 2)"), "{last}");
}

#[test]
fn noise_beacons_and_other_networks_go_no_further() {
    let mut header = VERSION_1;
    header[27] = 0x10;
    assert!(shown(&header, &UPLINK)[0].contains(r#""crc":"bad""#));
    assert_eq!(shown(&header, &UPLINK).len(), 1);
    header[27] = 0x24;
    assert!(shown(&header, &UPLINK)[0].contains(r#""implicit_header":true,"crc":"none""#));
    assert_eq!(shown(&header, &UPLINK).len(), 1);
    header[27] = 0x0a;
    assert!(shown(&header, &UPLINK)[1].contains("!lorawan.direction"));
    header[14] = 0x77;
    assert_eq!(shown(&header, &UPLINK).len(), 1);
}

#[test]
fn headers_that_cannot_be() {
    for length in 0..15 {
        let lines = shown(&VERSION_0[..length], &[]);
        assert!(length == 0 || lines == [">  !loratap.header_malformed"], "{length}");
    }
    let mut header = VERSION_0;
    header[3] = 14;
    assert_eq!(shown(&header, &UPLINK), [">  !loratap.header_malformed"]);
    header[3] = 15;
    header[0] = 1;
    assert!(shown(&header, &[])[0].ends_with("!loratap.extension_missing"));
    let mut header = VERSION_1;
    header[0] = 2;
    assert!(shown(&header, &UPLINK)[0].contains("!loratap.version_unknown"));
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, tail: Vec<u8>) {
        shown(&bytes, &tail);
        shown(&VERSION_0, &tail);
        shown(&VERSION_1, &tail);
    }
}
