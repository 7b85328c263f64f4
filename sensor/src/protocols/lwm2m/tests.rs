use super::*;
use crate::counters::Counter;
use crate::flow::Direction::{self, ToClient, ToServer};
use crate::flow::Transport;
use crate::protocols::coap;
use crate::protocols::coap::tests::udp;
use crate::testing::Bench;
use proptest::prelude::*;

const CON: u8 = 0x40;
const ACK: u8 = 0x60;
const NON: u8 = 0x50;
const GET: u8 = 1;
const POST: u8 = 2;
const PUT: u8 = 3;
const DELETE: u8 = 4;
const CREATED: u8 = 0x41;
const CHANGED: u8 = 0x44;
const CONTENT: u8 = 0x45;
const TLV: &[u8] = &[0x2d, 0x16];

fn bench(messages: &[(Direction, Vec<u8>)]) -> Bench {
    let mut bench = Bench::new(&coap::SPEC, Transport::Udp, 5683);
    for (direction, bytes) in messages {
        bench.show(*direction, bytes);
    }
    bench
}

/// The lines of LwM2M alone.
fn shown(messages: &[(Direction, Vec<u8>)]) -> Vec<String> {
    bench(messages).lines.0.into_iter().filter(|line| line.contains("lwm2m.")).collect()
}

fn last(messages: &[(Direction, Vec<u8>)]) -> String {
    shown(messages).pop().unwrap_or_default()
}

fn register(id: u16, endpoint: &[u8], objects: &[u8]) -> (Direction, Vec<u8>) {
    let ep = [b"ep=", endpoint].concat();
    (
        ToServer,
        udp(
            CON,
            POST,
            id,
            b"r",
            &[(11, b"rd"), (12, &[40]), (15, &ep), (15, b"lt=300"), (15, b"lwm2m=1.1"), (15, b"b=U")],
            objects,
        ),
    )
}

#[test]
fn a_registration() {
    let lines = shown(&[
        register(1, b"urn:imei:123456789012345", b"</>;rt=\"oma.lwm2m\";ct=11543,</1/0>,</3/0>,</3303/0>,</3303/1>,</6>;ver=1.1"),
        (ToClient, udp(ACK, CREATED, 1, b"r", &[(8, b"rd"), (8, b"5a3f")], b"")),
    ]);
    assert_eq!(
        lines[0],
        "> lwm2m.register {\"message\":\"request\",\"endpoint\":\"urn:imei:123456789012345\",\"lifetime\":300,\"version\":\"1.1\",\"binding\":\"U\",\
         \"objects\":[{\"object\":1,\"instance\":0},{\"object\":3,\"instance\":0},{\"object\":3303,\"instance\":0},{\"object\":3303,\"instance\":1},\
         {\"object\":6,\"version\":\"1.1\"}]} \
         +identity(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 Proved) \
         +same(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 = ip:10.0.0.1: LwM2M registration) \
         +same(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 = imei:123456789012345: LwM2M endpoint name) \
         +service(ip:10.0.0.2 lwm2m Some(5683) false) +peer(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 -> ip:10.0.0.2 lwm2m) \
         +security(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 Transport=none) +role(ip:10.0.0.2 ManagementServer) \
         +attribute(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 ProtocolVersion=1.1) \
         +object(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 lwm2m.object 1) +object(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 lwm2m.object 3) \
         +object(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 lwm2m.object 3303) +object(lwm2m_endpoint:urn:imei:123456789012345@10.0.0.2 lwm2m.object 6)"
    );
    assert_eq!(lines[1], "< lwm2m.register {\"message\":\"response\",\"code\":\"2.01\",\"location\":\"/rd/5a3f\"}");
}

#[test]
fn an_endpoint_is_said_to_be_active_once_a_minute() {
    let mut bench =
        bench(&[register(1, b"d1", b"</1/0>,</3/0>"), (ToClient, udp(ACK, CREATED, 1, b"r", &[(8, b"rd"), (8, b"5")], b""))]);
    // A second passes with each message, and they come in pairs.
    for id in 2..42 {
        bench.show(ToServer, &udp(CON, POST, id, b"u", &[(11, b"rd"), (11, b"5")], b""));
        bench.show(ToClient, &udp(ACK, CHANGED, id, b"u", &[], b""));
    }
    let active = |line: &&String| line.contains("+activity(lwm2m_endpoint:d1@10.0.0.2 ");
    assert_eq!(bench.lines.0.iter().filter(active).count(), 1, "{:?}", bench.lines.0);
    let long_after = |bench: &mut crate::testing::Bench| {
        bench.tick = 60 * crate::time::SECOND;
        bench.show(ToClient, &udp(CON, GET, 50, b"g", &[(11, b"3"), (11, b"0"), (11, b"3"), (17, TLV)], b""));
        bench.show(ToServer, &udp(ACK, CONTENT, 50, b"g", &[(12, TLV)], &[0xc3, 3, b'1', b'.', b'2']));
    };
    long_after(&mut bench);
    assert_eq!(bench.lines.0.iter().filter(active).count(), 2, "{:?}", bench.lines.0);
}

#[test]
fn a_mac_address_as_endpoint_and_an_alternate_root() {
    let line = last(&[register(1, b"urn:dev:mac:0024befffe804ff1", b"</lwm2m>;rt=\"oma.lwm2m\",</lwm2m/3/0>")]);
    assert!(
        line.contains(" = mac:0024be804ff1: ")
            && line.contains("\"objects\":[{\"object\":3,\"instance\":0}],\"root\":\"/lwm2m\""),
        "{line}"
    );
}

#[test]
fn resources_of_its_own_beside_objects() {
    let line = last(&[register(1, b"d1", b"</>;rt=\"oma.lwm2m\",</3/0>,</temp>;rt=\"temperature-c\"")]);
    assert!(line.contains("coap.resource_type temperature-c)") && !line.contains("resource_type oma.lwm2m"), "{line}");
}

#[test]
fn update_and_deregistration() {
    let lines = shown(&[
        register(1, b"d1", b"</1/0>,</3/0>"),
        (ToServer, udp(CON, POST, 2, b"u", &[(11, b"rd"), (11, b"7"), (15, b"lt=60")], b"")),
        (ToClient, udp(ACK, CHANGED, 2, b"u", &[], b"")),
        (ToServer, udp(CON, DELETE, 3, b"d", &[(11, b"rd"), (11, b"7")], b"")),
    ]);
    assert_eq!(
        lines[1],
        "> lwm2m.update {\"message\":\"request\",\"operation\":\"update\",\"location\":\"/rd/7\",\"endpoint\":\"d1\",\"lifetime\":60}"
    );
    assert!(lines[2].contains("\"message\":\"response\"") && lines[2].contains("\"code\":\"2.04\""), "{}", lines[2]);
    assert!(lines[3].contains("\"operation\":\"deregister\""), "{}", lines[3]);
}

#[test]
fn reading_the_device_object_tells_what_it_is() {
    let payload = [&[0xc4, 0][..], b"Acme", &[0xc3, 1], b"X-1", &[0xc5, 3], b"1.2.3", &[0xc1, 9, 95]].concat();
    let lines = shown(&[
        register(1, b"d1", b"</1/0>,</3/0>"),
        (ToClient, udp(CON, GET, 9, b"g", &[(11, b"3"), (11, b"0"), (17, TLV)], b"")),
        (ToServer, udp(ACK, CONTENT, 9, b"g", &[(12, TLV)], &payload)),
        (ToClient, udp(CON, GET, 10, b"h", &[(11, b"3"), (11, b"0"), (17, TLV)], b"")),
        (ToServer, udp(ACK, CONTENT, 10, b"h", &[(12, TLV)], &payload)),
    ]);
    assert_eq!(
        lines[1],
        "< lwm2m.operation {\"message\":\"request\",\"operation\":\"read\",\"path\":\"/3/0\",\"endpoint\":\"d1\",\"values_total\":0}"
    );
    assert_eq!(
        lines[2],
        "> lwm2m.operation {\"message\":\"response\",\"operation\":\"read\",\"path\":\"/3/0\",\"endpoint\":\"d1\",\"content_format\":11542,\
         \"values\":[{\"path\":\"/3/0/0\",\"value_type\":\"string\",\"value\":\"Acme\",\"length\":4},\
         {\"path\":\"/3/0/1\",\"value_type\":\"string\",\"value\":\"X-1\",\"length\":3},\
         {\"path\":\"/3/0/3\",\"value_type\":\"string\",\"value\":\"1.2.3\",\"length\":5},\
         {\"path\":\"/3/0/9\",\"value_type\":\"integer\",\"value\":\"95\",\"number\":95.0,\"length\":1}],\"values_total\":4,\"code\":\"2.05\"} \
         +attribute(lwm2m_endpoint:d1@10.0.0.2 Vendor=Acme) +attribute(lwm2m_endpoint:d1@10.0.0.2 Model=X-1) \
         +attribute(lwm2m_endpoint:d1@10.0.0.2 Firmware=1.2.3)"
    );
    assert!(!lines[4].contains("attribute("), "said before: {}", lines[4]);
}

#[test]
fn observing_a_position() {
    let senml = br#"[{"bn":"/6/0/","n":"0","v":52.5},{"n":"1","v":-0.25}]"#;
    let lines = shown(&[
        (ToClient, udp(CON, GET, 1, b"o", &[(6, b""), (11, b"6"), (11, b"0"), (17, &[110])], b"")),
        (ToServer, udp(ACK, CONTENT, 1, b"o", &[(6, &[1]), (12, &[110])], senml)),
        (ToServer, udp(NON, CONTENT, 5, b"o", &[(6, &[2]), (12, &[110])], senml)),
    ]);
    assert!(lines[0].contains("\"operation\":\"observe\",\"path\":\"/6/0\",\"content_format\":110"), "{}", lines[0]);
    assert!(lines[0].contains("+attribute(ip:10.0.0.1 Position=52.50000,-0.25000)"), "{}", lines[0]);
    assert!(
        lines[1].starts_with("> lwm2m.notification {\"path\":\"/6/0\",\"content_format\":110,\"values\":[{\"path\":\"/6/0/0\""),
        "{}",
        lines[1]
    );
    assert!(!lines[1].contains("attribute("));
}

#[test]
fn a_notification_whose_observation_was_not_seen() {
    let line = last(&[(ToServer, udp(NON, CONTENT, 5, b"o", &[(6, &[2]), (12, TLV)], &[0xe4, 0x16, 0x44, 0x41, 0xac, 0, 0]))]);
    assert_eq!(
        line,
        "> lwm2m.notification {\"content_format\":11542,\"values\":[{\"path\":\"5700\",\"value_type\":\"float\",\"value\":\"21.5\",\"number\":21.5,\"length\":4}],\
         \"values_total\":1}"
    );
}

#[test]
fn a_bootstrap_keeps_its_keys_to_itself() {
    let security = [
        &[0xc8, 0, 18][..],
        b"coap://10.0.0.9:55",
        &[0xc1, 1, 0, 0xc1, 2, 0, 0xc8, 3, 8],
        b"CANARYID",
        &[0xc8, 5, 9],
        b"CANARYKEY",
        &[0xc1, 10, 1],
    ]
    .concat();
    let lines = shown(&[
        (ToServer, udp(CON, POST, 1, b"b", &[(11, b"bs"), (15, b"ep=d1")], b"")),
        (ToClient, udp(ACK, CHANGED, 1, b"b", &[], b"")),
        (ToClient, udp(CON, DELETE, 2, b"c", &[], b"")),
        (ToClient, udp(CON, PUT, 3, b"d", &[(11, b"0"), (11, b"1"), (12, TLV)], &security)),
        (ToServer, udp(ACK, CHANGED, 3, b"d", &[], b"")),
        (ToClient, udp(CON, POST, 4, b"e", &[(11, b"bs")], b"")),
    ]);
    assert!(
        lines[0].contains("\"operation\":\"request\",\"endpoint\":\"d1\"") && lines[0].contains("BootstrapServer"),
        "{}",
        lines[0]
    );
    assert!(lines[2].contains("\"operation\":\"delete\",\"endpoint\":\"d1\",\"path\":\"/\""), "{}", lines[2]);
    assert!(lines[3].contains("\"server_uri\":\"coap://10.0.0.9:55\",\"security_mode\":0"), "{}", lines[3]);
    assert!(lines[3].contains("{\"path\":\"/0/1/5\",\"value_type\":\"opaque\",\"length\":9,\"secret\":true}"), "{}", lines[3]);
    assert!(
        lines[3].contains(
            "+credential(lwm2m_endpoint:d1@10.0.0.2 -> ip:10.0.0.2 PskIdentity user:Some(8) secret:Some(9) Unknown clear:true) \
             +security(lwm2m_endpoint:d1@10.0.0.2 Mode=psk)"
        ),
        "{}",
        lines[3]
    );
    assert!(lines[4].starts_with("> lwm2m.bootstrap {\"message\":\"response\",\"operation\":\"write\""), "{}", lines[4]);
    assert!(lines[5].starts_with("< lwm2m.bootstrap {\"message\":\"request\",\"operation\":\"finish\""), "{}", lines[5]);
    assert!(!lines.concat().contains("CANARY"));
}

#[test]
fn secrets_in_every_format() {
    let secret = b"CANARY-SECRET-VALUE";
    let json = [&br#"[{"n":"/9/0/15","vs":""#[..], secret, br#""},{"n":"/0/0/5","vd":"Q0FOQVJZ"}]"#].concat();
    let cbor = [&[0xa1, 9, 0xa1, 0, 0xa1, 15, 0x73][..], secret].concat();
    let vendor = [&[0xc8, 1, 19][..], secret].concat();
    let lines = shown(&[
        (ToClient, udp(CON, PUT, 1, b"a", &[(11, b"9"), (11, b"0"), (11, b"15")], secret)),
        (ToClient, udp(CON, 7, 2, b"b", &[(12, &[110])], &json)),
        (ToClient, udp(CON, PUT, 3, b"c", &[(11, b"9"), (12, &[0x2d, 0x18])], &cbor)),
        (ToClient, udp(CON, PUT, 4, b"d", &[(11, b"9"), (11, b"0"), (11, b"15"), (12, &[42])], secret)),
        (ToClient, udp(CON, PUT, 5, b"e", &[(11, b"33000"), (11, b"0"), (12, TLV)], &vendor)),
        (ToClient, udp(CON, POST, 6, b"f", &[(11, b"33000"), (11, b"0"), (11, b"1")], secret)),
    ]);
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert!(lines[0].contains("\"secret\":true") && lines[0].contains("Password user:None secret:Some(19)"), "{}", lines[0]);
    assert!(lines[4].contains("\"value_type\":\"untyped\",\"length\":19}"), "{}", lines[4]);
    assert!(lines[5].contains("\"operation\":\"execute\"") && lines[5].contains("\"arguments_length\":19"), "{}", lines[5]);
    assert!(!lines.concat().contains("CANARY"), "{lines:#?}");
}

#[test]
fn operations_by_method() {
    let to_client =
        |code, options: &[(u16, &[u8])], payload: &[u8]| last(&[(ToClient, udp(CON, code, 1, b"t", options, payload))]);
    let resource: &[(u16, &[u8])] = &[(11, b"3"), (11, b"0"), (11, b"4")];
    let write = [resource, &[(12, &[])]].concat();
    let attributes = [resource, &[(15, b"pmin=1")]].concat();
    for (code, options, payload, name) in [
        (POST, resource, &b""[..], "execute"),
        (PUT, &write[..], b"1", "write"),
        (PUT, &attributes[..], b"", "write_attributes"),
        (GET, &[(6, &[1]), (11, b"3"), (11, b"0"), (11, b"4")], b"", "cancel_observation"),
        (DELETE, &[(11, b"3303"), (11, b"1"), (12, TLV), (17, TLV)], b"", "delete"),
        (POST, &[(11, b"3303"), (12, TLV)], &[0xc1, 1, 1], "create"),
        (POST, &[(11, b"3303"), (11, b"0"), (12, TLV)], &[0xc1, 1, 1], "write_partial"),
        (5, &[(12, &[110])], br#"[{"n":"/3/0/0"}]"#, "read_composite"),
        (7, &[(12, &[110])], br#"[{"n":"/3/0/14","vs":"+1"}]"#, "write_composite"),
    ] {
        let line = to_client(code, options, payload);
        assert!(line.contains(&format!("\"operation\":\"{name}\"")), "{name}: {line}");
    }
    let discover = to_client(GET, &[(11, b"3"), (11, b"0"), (11, b"4"), (17, &[40])], b"");
    assert!(discover.contains("\"operation\":\"discover\""), "{discover}");
    let send = last(&[(ToServer, udp(CON, POST, 1, b"t", &[(11, b"dp"), (12, &[110])], br#"[{"n":"/3303/0/5700","v":1}]"#))]);
    assert!(send.contains("\"operation\":\"send\",\"path\":\"/\"") && send.contains("\"number\":1.0"), "{send}");
}

#[test]
fn coap_that_is_not_lwm2m() {
    let lines = shown(&[
        (ToServer, udp(CON, POST, 1, b"t", &[(11, b"rd"), (12, &[40]), (15, b"ep=node1")], b"</sensors/temp>;rt=temperature")),
        (ToServer, udp(CON, GET, 2, b"t", &[(11, b"12")], b"")),
        (ToServer, udp(CON, POST, 3, b"t", &[(11, b"dp")], b"hello")),
        (ToServer, udp(CON, POST, 4, b"t", &[(11, b"data"), (12, &[110])], br#"[{"n":"temp","v":1}]"#)),
    ]);
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn each_departure_is_named() {
    let no_endpoint = last(&[(ToServer, udp(CON, POST, 1, b"t", &[(11, b"rd"), (15, b"lwm2m=1.0")], b""))]);
    assert!(no_endpoint.contains("!lwm2m.endpoint_missing !lwm2m.objects_missing"), "{no_endpoint}");
    let no_version = last(&[(ToServer, udp(CON, POST, 1, b"t", &[(11, b"rd"), (15, b"ep=d")], b"</3/0>"))]);
    assert!(no_version.contains("!lwm2m.version_missing"), "{no_version}");
    let malformed = last(&[(ToClient, udp(CON, PUT, 1, b"t", &[(11, b"3"), (11, b"0"), (12, TLV)], &[0xc8, 0, 99]))]);
    assert!(malformed.contains("!lwm2m.payload"), "{malformed}");
    let touched =
        last(&[register(1, b"d1", b"</1/0>"), (ToClient, udp(CON, GET, 2, b"u", &[(11, b"0"), (11, b"0"), (17, TLV)], b""))]);
    assert!(touched.contains("!lwm2m.security_object"), "{touched}");
}

#[test]
fn objects_and_values_beyond_the_bounds_are_counted() {
    let links = (0..session::OBJECTS + 2).map(|n| format!("</3303/{n}>")).collect::<Vec<_>>().join(",");
    assert_eq!(bench(&[register(1, b"d1", links.as_bytes())]).counters.get(Counter::SessionEntriesDropped), 2);
    let many: Vec<u8> = (0..value::VALUES as u8 + 3).flat_map(|id| [0xc1, id, 1]).collect();
    let bench = bench(&[(ToClient, udp(CON, PUT, 1, b"t", &[(11, b"3303"), (11, b"0"), (12, TLV)], &many))]);
    assert_eq!(bench.counters.get(Counter::SessionEntriesDropped), 3);
}

proptest! {
    #[test]
    fn random_payloads_never_panic(
        format in prop::sample::select(vec![0_u16, 40, 42, 60, 110, 112, 11542, 11543, 11544]),
        code in 1_u8..8,
        path in prop::sample::select(vec!["rd", "bs", "dp", "3", "0", "3303"]),
        payload in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let format = format.to_be_bytes();
        shown(&[
            (ToServer, udp(CON, code, 1, b"t", &[(11, path.as_bytes()), (12, &format), (15, b"ep=a"), (15, b"lwm2m=1.1")], &payload)),
            (ToClient, udp(ACK, CONTENT, 1, b"t", &[(6, &[1]), (12, &format)], &payload)),
            (ToClient, udp(CON, CONTENT, 2, b"u", &[(6, &[1]), (12, &format)], &payload)),
        ]);
    }
}
