"""LoRaWAN cases: the Semtech UDP packet forwarder's exchange with a network server, and Basics Station's with an LNS. lora-packet makes the frames."""

import asyncio
import json
import struct
import time

from lab import case, main, version, wait_listening
from lorawan_actors import heard, site
from lorawan_frames import LORA_PACKET, NET_ID, Device, Device11
from stretch import stretch

DEFAULT_KEY = "2b7e151628aed2a6abf7158809cf4f3c"
GWMP = "GWMP datagrams: the script's, after PROTOCOL.TXT of packet_forwarder"
NS = "10.40.0.2"
START = 1777874400  # 2026-05-04 06:00:00 UTC

ROUTER_CONFIG = {"msgtype": "router_config", "NetID": [0x13], "JoinEui": [[0x24E124C0002A0000, 0x24E124C0002AFFFF]], "region": "EU863", "hwspec": "sx1301/1",
                 "freq_range": [863000000, 870000000], "DRs": [[12, 125, 0], [11, 125, 0], [10, 125, 0], [9, 125, 0], [8, 125, 0], [7, 125, 0], [7, 250, 0]],
                 "sx1301_conf": [{"radio_0": {"enable": True, "freq": 867500000}, "radio_1": {"enable": True, "freq": 868500000},
                                 **{f"chan_multiSF_{n}": {"enable": True, "radio": n // 4, "if": -300000 + 200000 * (n % 4)} for n in range(8)}}],
                 "nocca": True, "nodc": True, "nodwell": True, "MuxTime": 1777874400.2}


def described(*devices, **more):
    """The facts of 1.0 devices, keys included: they are test keys."""
    return [{"dev_eui": d.dev_eui, "join_eui": d.join_eui, **({"app_key": d.app_key} if d.app_key else {}), **({"dev_addr": d.dev_addr} if d.dev_addr else {}),
             **({"nwk_s_key": d.nwk_s_key, "app_s_key": d.app_s_key} if d.nwk_s_key else {})} for d in devices]


def join(device, gateways, dev_addr, join_nonce, dev_nonce=None, **fields):
    """A join heard by all of the gateways and answered through the first."""
    receptions = heard(gateways, device.join_request(dev_nonce), **fields)
    gateways[0].transmit(device.join_accept(dev_addr, join_nonce), receptions[0], delay=5_000_000)


@case("lorawan", LORA_PACKET, GWMP)
def default_key_joins_twice(lab):
    """A device with the published key 2B7E1516...4F3C joins, sends, and joins again with another DevNonce: the second join (and each accept) proves the key."""
    server, (gateway,) = site(lab)
    device = Device("24e124136b000001", "24e124c0002a0001", DEFAULT_KEY)
    with lab.capture():
        gateway.pull()
        join(device, [gateway], "260b0001", 0x000101, 0x1a2b)
        for number in range(3):
            heard([gateway], device.uplink(85, f"0175{90 + number:02x}"))
        gateway.push(stat=gateway.stat())
        join(device, [gateway], "260b0002", 0x000102, 0x7c3d)
        for number in range(3):
            heard([gateway], device.uplink(85, f"0175{80 + number:02x}"))
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "known_key": DEFAULT_KEY, "expected": "proved", "joins": 2, "dev_nonces": [0x1a2b, 0x7c3d],
            "join_accepts": 2, "data_up": 6, "sessions": ["260b0001", "260b0002"]}


@case("lorawan", LORA_PACKET, GWMP)
def default_key_joins_once_unanswered(lab):
    """One join with a published key, heard by three gateways and repeated by none, no accept: a candidate, not a proof, since copies never confirm."""
    server, gateways = site(lab, 3)
    device = Device("24e124136b000002", "24e124c0002a0001", DEFAULT_KEY)
    with lab.capture():
        for gateway in gateways:
            gateway.pull()
        heard(gateways, device.join_request(0x0102))
    return {"network_server": NS, "gateways": [g.eui for g in gateways], "devices": described(device), "known_key": DEFAULT_KEY, "expected": "candidate, not proved", "joins": 1,
            "receptions": 3}


@case("lorawan", LORA_PACKET, GWMP)
def derived_keys(lab):
    """Keys derived from identifiers: DevEUI||DevEUI (two devices), JoinEUI||DevEUI and DevEUI||JoinEUI; two joins each with different DevNonces, answered."""
    server, (gateway,) = site(lab)
    join_eui = "24e124c0002a0001"
    devices = [Device(eui, join_eui, key.format(d=eui, j=join_eui)) for eui, key in (
        ("24e124757f000001", "{d}{d}"), ("24e124757f000002", "{d}{d}"), ("24e124757f000003", "{j}{d}"), ("24e124757f000004", "{d}{j}"))]
    with lab.capture():
        gateway.pull()
        for number, device in enumerate(devices):
            for turn in range(2):
                join(device, [gateway], f"260b01{number:02x}", 0x200 + number * 2 + turn, 0x1000 * (turn + 1) + number)
                heard([gateway], device.uplink(85, "017564"))
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(*devices), "expected": "proved", "joins": 8, "data_up": 8,
            "derivations": ["dev_eui dev_eui", "dev_eui dev_eui", "join_eui dev_eui", "dev_eui join_eui"]}


@case("lorawan", LORA_PACKET, GWMP)
def unlisted_keys(lab):
    """Four devices with random keys that are on no list and derived from nothing: tested, clear."""
    server, (gateway,) = site(lab)
    keys = ["9d1f6a08c37b52e4f0861d4bb7a9235e", "6e02f47bd8913ca55f7710c2e94ab863", "c4587d21e6af90133b8a5cf2047d9e16", "17b9e35d4ac6028ffd518e70239bc64a"]
    devices = [Device(f"a8404100018{n:05x}", "a840410000000100", key) for n, key in enumerate(keys, 1)]
    with lab.capture():
        gateway.pull()
        for number, device in enumerate(devices):
            for turn in range(2):
                join(device, [gateway], f"260b02{number:02x}", 0x300 + number * 2 + turn, 0x2000 * (turn + 1) + number)
                for count in range(2):
                    heard([gateway], device.uplink(2, f"0b{count:02x}0c"))
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(*devices), "expected": "clear", "joins": 8, "data_up": 16}


@case("lorawan", LORA_PACKET, GWMP)
def one_device_three_gateways(lab):
    """A device behind three gateways: each join and uplink is received three times, with its own RSSI, SNR and time; it is one transmission and one device."""
    server, gateways = site(lab, 3)
    device = Device("70b3d57ed0050001", "70b3d57ed0000001", "5be0f3a9127c4d68b5210e97ca83f641")
    with lab.capture():
        for gateway in gateways:
            gateway.pull()
        join(device, gateways, "260b0301", 0x401, 0x0001)
        for number in range(5):
            heard(gateways, device.uplink(1, f"{number:02x}ff"), channel=number)
        for gateway in gateways:
            gateway.push(stat=gateway.stat())
    return {"network_server": NS, "gateways": [g.eui for g in gateways], "devices": described(device), "transmissions": 6, "receptions": 18, "joins": 1, "data_up": 5}


@case("lorawan", LORA_PACKET, GWMP)
def confirmed_and_retransmitted(lab):
    """Confirmed uplinks: one acknowledged at once, one sent three times with the same counter before its acknowledgement, an unconfirmed one repeated (NbTrans 2), and a
    confirmed downlink acknowledged by the device."""
    server, (gateway,) = site(lab)
    device = Device("0004a30b00500001", "0004a30b00000001", "e87a3b5590d1c24f6e0b97a81c3d52f6")
    with lab.capture():
        gateway.pull()
        join(device, [gateway], "260b0401", 0x501, 0x0042)
        reception = heard([gateway], device.uplink(3, "01", confirmed=True))[0]
        gateway.transmit(device.downlink(f_ctrl={"ACK": True}), reception)
        frame = device.uplink(3, "02", confirmed=True)
        for number in range(3):
            reception = heard([gateway], frame, channel=number, advance=3_000_000)[0]
        gateway.transmit(device.downlink(f_ctrl={"ACK": True}), reception)
        frame = device.uplink(3, "03")
        heard([gateway], frame, channel=1)
        heard([gateway], frame, channel=4)
        reception = heard([gateway], device.uplink(3, "04"))[0]
        gateway.transmit(device.downlink(3, "aabb", confirmed=True), reception)
        heard([gateway], device.uplink(3, "05", f_ctrl={"ACK": True}))
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "data_up": 8, "distinct_data_up": 5, "confirmed_up_counters": [0, 1], "data_down": 3,
            "confirmed_down": 1, "retransmissions": 3}


@case("lorawan", LORA_PACKET, GWMP)
def abp_sessions(lab):
    """Devices without a join: one whose NwkSKey is the published default key, one with random keys whose counter restarts at 0 (an ABP reset)."""
    server, (gateway,) = site(lab)
    known = Device("0000000000000001", "0" * 16, dev_addr="260b0501", nwk_s_key=DEFAULT_KEY, app_s_key=DEFAULT_KEY)
    other = Device("0000000000000002", "0" * 16, dev_addr="260b0502", nwk_s_key="a4f12c8e9b3d70561f8ec2d94b7a6035", app_s_key="0c9d5e7f213b84a66f10e2d3c4b5a697")
    with lab.capture():
        gateway.pull()
        known.up, other.up = 120, 4000
        for _ in range(5):
            heard([gateway], known.uplink(1, "0101"))
            heard([gateway], other.uplink(1, "0202"))
        other.up = 0
        for _ in range(4):
            heard([gateway], other.uplink(1, "0202"))
    return {"network_server": NS, "gateways": [gateway.eui], "joins": 0, "data_up": 14, "sessions": [
        {"dev_addr": "260b0501", "nwk_s_key": DEFAULT_KEY, "app_s_key": DEFAULT_KEY, "expected": "proved", "counters": [120, 124]},
        {"dev_addr": "260b0502", "nwk_s_key": other.nwk_s_key, "app_s_key": other.app_s_key, "expected": "clear", "counters": [4000, 4004], "after_reset": [0, 3]}]}


@case("lorawan", LORA_PACKET, GWMP)
def mac_commands(lab):
    """MAC commands both ways: in FOpts with and without a port, and on port 0; ADR, ADRACKReq and FPending bits. The commands are those of LoRaWAN 1.0.3."""
    server, (gateway,) = site(lab)
    device = Device("70b3d57ed0050002", "70b3d57ed0000001", "3f60b7d2984ea1c5570c1e8db2f6a930")
    with lab.capture():
        gateway.pull()
        join(device, [gateway], "260b0601", 0x601, 0x0007)
        first = heard([gateway], device.uplink(1, "01", f_opts="02", f_ctrl={"ADR": True}))[0]                      # LinkCheckReq
        gateway.transmit(device.downlink(f_opts="021402"), first)                                                # LinkCheckAns
        second = heard([gateway], device.uplink(1, "02", f_ctrl={"ADR": True, "ADRACKReq": True}))[0]
        gateway.transmit(device.downlink(f_opts="0350070001" + "06", f_ctrl={"ADR": True, "FPending": True}), second)  # LinkADRReq, DevStatusReq
        third = heard([gateway], device.uplink(1, "03", f_opts="0307" + "06fe0a", f_ctrl={"ADR": True}))[0]          # LinkADRAns, DevStatusAns
        gateway.transmit(device.downlink(0, "0502d2ad84" + "0703184f84" + "50" + "0803" + "0d5a3c1e4b80"), third)    # RXParamSetup, NewChannel, RXTimingSetup, DeviceTimeAns
        heard([gateway], device.uplink(0, "0507" + "0703" + "08", f_ctrl={"ADR": True}))                            # answers on port 0
        fourth = heard([gateway], device.uplink(1, "04", f_opts="0d"))[0]                                           # DeviceTimeReq
        gateway.transmit(device.downlink(f_opts="0d5a3c1e4b80" + "040f" + "0a03184f84"), fourth)                     # DeviceTimeAns, DutyCycleReq 15, DlChannelReq
        heard([gateway], device.uplink(None, "", f_opts="04" + "0a03"))                                             # answers, no port
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "data_up": 6, "data_down": 4, "uplinks_on_port_0": 1, "downlinks_on_port_0": 1,
            "duty_cycle_request": 15,
            "f_opts_up": ["02", "", "030706fe0a", "", "0d", "040a03"], "f_opts_down": ["021402", "035007000106", "", "0d5a3c1e4b80040f0a03184f84"]}


@case("lorawan", LORA_PACKET, GWMP)
def noise_and_quirks(lab):
    """What real forwarders send: CRC-failed frames (stat -1) and unchecked ones (stat 0), several rxpk in one datagram, ncrc as a string, a top-level time, time with
    nanoseconds, tmms, FSK, brd and per-antenna signals, payloads that are not LoRaWAN, an oversized `size`, a stat with a forwarder's name and mail, and a txpk refused."""
    server, (gateway,) = site(lab)
    device = Device("24e124136b000003", "24e124c0002a0001", "f2079ac35d814eb66a0c7f1e9583d2b4")
    damaged = lambda frame: frame[:20] + f"{int(frame[20:22], 16) ^ 0x5a:02x}" + frame[22:]
    with lab.capture():
        gateway.pull()
        join(device, [gateway], "260b0701", 0x701, 0x0009)
        gateway.push(gateway.rxpk(damaged(device.uplink(1, "0101")), rssi=-119, lsnr=-18.2, stat=-1))
        gateway.push(gateway.rxpk("ffd3a1" * 9, rssi=-121, lsnr=-20.0, stat=-1, datr="SF12BW125"))
        gateway.push(gateway.rxpk(damaged(device.join_request(0x0bad)), rssi=-120, lsnr=-19.5, stat=-1))
        gateway.push(gateway.rxpk("0011223344", stat=0, rssi=-110))
        gateway.push(*[gateway.rxpk(device.uplink(1, f"02{n:02x}"), channel=n, advance=1000) for n in range(4)])
        gateway.push(gateway.rxpk(device.uplink(1, "03"), time="2026-05-04T06:00:10.123456Z", tmms=1461996028123))
        gateway.push(gateway.rxpk(device.uplink(1, "04"), time="2026-05-04T06:00:11.123456789Z"), time="2026-05-04T06:00:11Z")
        gateway.push(gateway.rxpk(device.uplink(1, "05"), modu="FSK", datr=50000, codr=None, lsnr=None))
        gateway.push(gateway.rxpk(device.uplink(1, "06"), brd=0, aesk=0, rssi=None, lsnr=None, rsig=[{"ant": 0, "chan": 2, "rssic": -62, "lsnr": 9.5, "rssis": -63},
                                                                                                     {"ant": 1, "chan": 2, "rssic": -71, "lsnr": 7.0, "rssis": -72}]))
        gateway.push(gateway.rxpk("48656c6c6f2c2074686973206973206e6f74204c6f526157414e"))
        gateway.push(gateway.rxpk("e0" + "00112233445566778899aabbccddeeff"))
        reception = gateway.rxpk(device.uplink(1, "07"), size=255)
        gateway.push(reception, stat=gateway.stat(pfrm="IMST + Rpi", mail="noc@city.example", desc="roof gateway", temp=41.5))
        gateway.transmit(device.downlink(1, "aa"), reception, ncrc="true", error="NONE")
        gateway.transmit(device.downlink(1, "bb"), reception, ncrc=True, error="TOO_LATE")
        gateway.transmit(device.downlink(1, "cc"), None, prea=8, tmms=1461996028500)
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "crc_failed": 3, "crc_unchecked": 1, "not_lorawan": 1, "proprietary": 1, "data_up": 9,
            "data_down": 3, "tx_refused": ["TOO_LATE"], "rxpk_in_one_datagram": 4, "note": "the payload that is not LoRaWAN is a text; its first byte, 0x48, "
            "reads as unconfirmed data up with reserved bits set"}


@case("lorawan", LORA_PACKET, GWMP)
def forwarder_versions_1_and_2(lab):
    """A gateway of protocol version 1 (no TX_ACK, zero token in PULL_RESP) beside one of version 2."""
    server, (old, new) = site(lab, 2, versions=(1, 2))
    devices = [Device(f"70b3d57ed00600{n:02x}", "70b3d57ed0000001", key) for n, key in enumerate(("0d4c8e2fa6713b9550e7c41f8a29d3b6", "77f3c09e5a1d4b28e6b0935cd2184fa1"), 1)]
    with lab.capture():
        for number, (gateway, device) in enumerate(zip((old, new), devices)):
            gateway.pull()
            join(device, [gateway], f"260b08{number:02x}", 0x801 + number, 0x0011)
            for count in range(3):
                heard([gateway], device.uplink(1, f"{count:02x}"))
            gateway.push(stat=gateway.stat())
    return {"network_server": NS, "gateways": [old.eui, new.eui], "protocol_versions": [1, 2], "devices": described(*devices), "tx_acks": 1, "joins": 2, "data_up": 6}


@case("lorawan", LORA_PACKET, GWMP)
def frame_counter_wraps(lab):
    """A session whose uplink counter passes 65535: sixteen bits on the air, thirty-two in the MIC."""
    server, (gateway,) = site(lab)
    device = Device("70b3d57ed0070001", "70b3d57ed0000001", "c28b5f04e7d9316a8053fe1b47a29dc0")
    with lab.capture():
        gateway.pull()
        join(device, [gateway], "260b0901", 0x901, 0x0005)
        for first in (65530, 65536):
            device.up = first
            for _ in range(6):
                heard([gateway], device.uplink(1, "00"))
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "data_up": 12, "counters_32_bit": [65530, 65541], "counters_on_air": [65530, 5]}


@case("lorawan", LORA_PACKET, GWMP)
def rejoins_make_no_second_device(lab):
    """A device joins four times and gets another DevAddr each time: one device, four sessions. One DevNonce is used twice, minutes apart by tmst (reuse or replay)."""
    server, (gateway,) = site(lab)
    device = Device("24e124136b000004", "24e124c0002a0001", "5a9be60d37f1428cc0e14d92b87f3a65")
    with lab.capture():
        gateway.pull()
        for number, nonce in enumerate((100, 101, 102, 101)):
            join(device, [gateway], f"260b0a0{number}", 0xA00 + number, nonce, advance=90_000_000)
            heard([gateway], device.uplink(85, "017563"))
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "joins": 4, "dev_nonces": [100, 101, 102, 101], "reused_dev_nonce": 101,
            "sessions": ["260b0a00", "260b0a01", "260b0a02", "260b0a03"], "data_up": 4}


@case("lorawan", LORA_PACKET, GWMP)
def application_packages(lab):
    """Application packages on their ports: clock synchronisation (202), remote multicast setup (200), fragmented data block (201) with twelve fragments, firmware management
    (203), requests down and answers up."""
    server, (gateway,) = site(lab)
    device = Device("70b3d57ed0080001", "70b3d57ed0000001", "88e4c1b7530f9d2a6c71fe054db3a928")
    with lab.capture():
        gateway.pull()
        join(device, [gateway], "260b0b01", 0xB01, 0x0021)

        def exchange(port, up, down=None):
            reception = heard([gateway], device.uplink(port, up))[0]
            if down:
                gateway.transmit(device.downlink(port, down), reception)

        exchange(202, "0178563412" + "15", "0105000000" + "05")                     # AppTimeReq, AppTimeAns
        exchange(202, "000101", "00")                                             # PackageVersionAns (ClockSync v1)
        exchange(200, "0002" + "01", "02" + "00" + "44332211" + "00112233445566778899aabbccddeeff" + "00000000" + "ffff0000")  # McGroupSetupReq
        exchange(200, "0200", "04" + "00" + "10203040" + "06" + "d2ad84" + "00")     # McGroupSetupAns, McClassCSessionReq
        exchange(200, "0400100000")                                               # McClassCSessionAns
        exchange(201, "000301", "02" + "01" + "0c00" + "28" + "08" + "05" + "aabbccdd")   # FragSessionSetupReq: 12 fragments of 40 bytes
        exchange(201, "0200")
        for number in range(1, 13):
            gateway.transmit(device.downlink(201, "08" + f"{number:02x}40" + f"{number:02x}" * 40), None)
        exchange(201, "0140" + "0c00" + "00", "0101")                               # FragSessionStatusAns / Req
        exchange(203, "0001" + "01" + "01", "0001")                                # firmware management
    return {"network_server": NS, "gateways": [gateway.eui], "devices": described(device), "ports": [200, 201, 202, 203], "fragments": 12, "fragment_size": 40,
            "mc_addr": "11223344"}


@case("lorawan", LORA_PACKET, GWMP, "rejoin requests: laid out by the script, MIC by lora-packet's AES-CMAC")
def version_1_1(lab):
    """LoRaWAN 1.1: join with NwkKey and AppKey, accept with OptNeg (MIC under JSIntKey), uplinks with the two-part MIC, rejoin requests of types 0, 1 and 2."""
    server, (gateway,) = site(lab)
    device = Device11("24e124136b110001", "24e124c0002a0001", app_key="5c1d3e9f7082b6a4d13f08e7c2954ab0", nwk_key="b06f9d217c4e83a5e5f1029b3d78c64e")
    with lab.capture():
        gateway.pull()
        reception = heard([gateway], device.join_request())[0]
        gateway.transmit(device.join_accept("260b1101", 1), reception, delay=5_000_000)
        for number in range(4):
            heard([gateway], device.uplink(10, f"11{number:02x}", data_rate=5, channel=number), channel=number)
        for kind in (0, 1, 2):
            heard([gateway], device.rejoin(kind, 1 + kind), channel=kind)
    return {"network_server": NS, "gateways": [gateway.eui], "device": {"dev_eui": device.dev_eui, "join_eui": device.join_eui, "app_key": device.app_key, "nwk_key": device.nwk_key,
            "dev_addr": "260b1101", **{name: key for name, key in device.session.items()}, **device.js}, "joins": 1, "data_up": 4, "rejoins": [0, 1, 2], "net_id": NET_ID}


@case("lorawan", LORA_PACKET, GWMP)
def version_1_1_default_nwk_key(lab):
    """A LoRaWAN 1.1 device whose NwkKey is the published default key: two joins prove it."""
    server, (gateway,) = site(lab)
    device = Device11("24e124136b110002", "24e124c0002a0001", app_key=DEFAULT_KEY, nwk_key=DEFAULT_KEY)
    with lab.capture():
        gateway.pull()
        for number in (1, 2):
            reception = heard([gateway], device.join_request())[0]
            gateway.transmit(device.join_accept(f"260b120{number}", number), reception, delay=5_000_000)
    return {"network_server": NS, "gateways": [gateway.eui], "device": {"dev_eui": device.dev_eui, "join_eui": device.join_eui, "app_key": DEFAULT_KEY, "nwk_key": DEFAULT_KEY},
            "joins": 2, "expected": "proved"}


@case("lorawan", LORA_PACKET, GWMP)
def uplinks_without_join(lab):
    """Thirty OTAA-looking sessions, first seen in the middle (no join): keys could not be tested."""
    server, gateways = site(lab, 2)
    devices = [Device(f"70b3d57ed009{n:04x}", "0" * 16, dev_addr=f"260b20{n:02x}", nwk_s_key=f"{n:02x}9c7e5b3d1f8a6c4e2b0d9f7a5c3e1b", app_s_key=f"{n:02x}" * 16) for n in range(30)]
    with lab.capture():
        for gateway in gateways:
            gateway.pull()
        for turn in range(3):
            for number, device in enumerate(devices):
                device.up = 1000 + 37 * number + turn
                heard(gateways[number % 2:][:1], device.uplink(2, "0102030405"))
    return {"network_server": NS, "gateways": [g.eui for g in gateways], "sessions": 30, "data_up": 90, "joins": 0, "expected": "could not test"}


@case("lorawan", LORA_PACKET, GWMP)
def odd_port_and_only_uplinks(lab):
    """One way and off the usual port: GWMP on UDP 17000, only what the gateway sends."""
    server, (gateway,) = site(lab, port=17000)
    device = Device("24e124136b000005", "24e124c0002a0001", DEFAULT_KEY)
    with lab.capture(keep="src host 10.40.1.1 and udp"):
        gateway.pull()
        join(device, [gateway], "260b0c01", 0xC01, 0x0301)
        for number in range(4):
            heard([gateway], device.uplink(85, "017560"))
        join(device, [gateway], "260b0c02", 0xC02, 0x0302)
    return {"port": 17000, "one_way": "gateway to server", "gateways": [gateway.eui], "devices": described(device)[:1], "joins": 2, "join_accepts": 0, "data_up": 4,
            "known_key": DEFAULT_KEY, "expected": "proved"}


# --- LoRaTap ---------------------------------------------------------------------------------------------------------------------------------


LORATAP = "LoRaTap headers: the script's, after loratap.h (link type 270; version 1 with its tag)"


def loratap(lab, version):
    """A capture of link type 270: a join, its accept, uplinks on three spreading factors, a damaged frame."""
    device = Device(f"24e124136b27000{version}", "24e124c0002a0001", DEFAULT_KEY)
    frames = [(device.join_request(0x2701), 7, 868100000), (device.join_accept("260b2701", 0x2701), 7, 868100000)]
    frames += [(device.uplink(85, f"0175{n:02x}"), 7 + 2 * n, 868100000 + 200000 * n) for n in range(3)]
    frames += [(device.join_request(0x2702), 12, 868500000), (device.uplink(85, "01")[:-2] + "00", 12, 868500000)]
    records = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 270))
    for number, (frame, spreading, frequency) in enumerate(frames):
        damaged = number == len(frames) - 1
        header = struct.pack(">IBB", frequency, 1, spreading) + struct.pack(">BBBb", 139 - 75 + number, 255, 255, 4 * (9 - number)) + b"\x34"
        if version == 1:
            header += bytes.fromhex("7076ff0056060027") + struct.pack(">IBBHBBH", 5_000_000 + 1_000_000 * number, 0x08 if damaged else 0x04, 5, 0, number % 8, 0, number)
        header = struct.pack(">BBH", version, 0, 4 + len(header)) + header
        data = header + bytes.fromhex(frame)
        records += struct.pack("<IIII", 1777874400 + number, 0, len(data), len(data)) + data
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "capture.pcap").write_bytes(records)
    return {"link_type": 270, "loratap_version": version, "header_bytes": 15 if version == 0 else 35, "devices": described(device), "joins": 2, "dev_nonces": [0x2701, 0x2702],
            "join_accepts": 1, "data_up": 3, "bad_mic": 1, "spreading_factors": [spreading for _, spreading, _ in frames], "known_key": DEFAULT_KEY, "expected": "proved"}


@case("lorawan", LORA_PACKET, LORATAP, timestamps="made by the script")
def loratap_v0(lab):
    """LoRaTap version 0: what an SDR or a sniffer writes; no IP. The last frame's MIC is wrong."""
    return loratap(lab, 0)


@case("lorawan", LORA_PACKET, LORATAP, timestamps="made by the script")
def loratap_v1(lab):
    """LoRaTap version 1: with the gateway's EUI, time and CRC flags. The last frame is marked as damaged."""
    return loratap(lab, 1)


# --- Basics Station ----------------------------------------------------------------------------------------------------------------------------


def join_message(frame):
    """A join request as Basics Station reports it."""
    data = bytes.fromhex(frame)
    eui = lambda raw: "-".join(f"{byte:02X}" for byte in reversed(raw))
    return {"msgtype": "jreq", "MHdr": data[0], "JoinEui": eui(data[1:9]), "DevEui": eui(data[9:17]), "DevNonce": int.from_bytes(data[17:19], "little"),
            "MIC": int.from_bytes(data[19:23], "little", signed=True)}


def uplink_message(frame):
    data = bytes.fromhex(frame)
    options = data[5] & 0x0F
    rest = data[8 + options:-4]
    return {"msgtype": "updf", "MHdr": data[0], "DevAddr": int.from_bytes(data[1:5], "little", signed=True), "FCtrl": data[5], "FCnt": int.from_bytes(data[6:8], "little"),
            "FOpts": data[8:8 + options].hex(), "FPort": rest[0] if rest else -1, "FRMPayload": rest[1:].hex(), "MIC": int.from_bytes(data[-4:], "little", signed=True)}


@case("lorawan", LORA_PACKET, version("websockets"), "message layout after the Basics Station LNS protocol description")
def basics_station(lab):
    """Basics Station and an LNS over cleartext WebSocket: discovery (/router-info), version, router_config, two joins with a published key, updf, dnmsg, dntxed, a
    proprietary frame, timesync, a remote command."""
    lab.host("lns", NS + "/16", mac="00:15:5d:40:00:02")
    lab.host("station", "10.40.1.9/16", mac="58:a0:cb:80:39:ab")
    device = Device("24e124136b000006", "24e124c0002a0001", DEFAULT_KEY)
    router, muxs = "58a0:cbff:fe80:39ab", "00:15:5d:ff:fe:40:00:02"
    steps = []  # (message of the station, answers of the LNS); made before the processes start, so that both know them
    clock = [3512348611]

    def reception(message, rssi=-51.0, snr=9.25):
        clock[0] += 5_000_000
        return {**message, "DR": 5, "Freq": 868100000, "upinfo": {"rctx": 0, "xtime": 0x00B0000000000000 + clock[0], "gpstime": 0, "fts": -1, "rssi": rssi, "snr": snr,
                                                                 "rxtime": 1777874400.25}, "RefTime": 0.0}

    def downlink(frame, diid, delay):
        return {"msgtype": "dnmsg", "DevEui": "24-E1-24-13-6B-00-00-06", "dC": 0, "diid": diid, "pdu": frame, "RxDelay": delay, "RX1DR": 5, "RX1Freq": 868100000, "RX2DR": 0,
                "RX2Freq": 869525000, "priority": 0, "xtime": 0x00B0000000000000 + clock[0], "rctx": 0, "MuxTime": 1777874400.31}

    for turn, nonce in enumerate((0x0601, 0x0602)):
        request = reception(join_message(device.join_request(nonce)))
        steps.append((request, [downlink(device.join_accept(f"260b0d0{turn + 1}", 0xD01 + turn), 1000 + turn, 5)]))
        steps.append(({"msgtype": "dntxed", "seqno": 1000 + turn, "diid": 1000 + turn, "DR": 5, "Freq": 868100000, "DevEui": "24-E1-24-13-6B-00-00-06", "rctx": 0,
                       "xtime": 0x00B0000000000000 + clock[0] + 5_000_000, "txtime": 1777874405.25, "gpstime": 0}, []))
        for count in range(3):
            steps.append((reception(uplink_message(device.uplink(85, f"0175{count:02x}", f_opts="02" if count == 1 else ""))), []))
    steps.append((reception(uplink_message(device.uplink(85, "017501", confirmed=True))), [downlink(device.downlink(f_ctrl={"ACK": True}), 1010, 1)]))
    steps.append((reception({"msgtype": "propdf", "FRMPayload": "e0cafe0001"}), []))
    steps.append(({"msgtype": "timesync", "txtime": 1777874400123456}, [{"msgtype": "timesync", "txtime": 1777874400123456, "gpstime": 1461909618123456, "MuxTime": 1777874400.4}]))

    def lns():
        import websockets

        async def serve(connection):
            if connection.path == "/router-info":
                json.loads(await connection.recv())
                await connection.send(json.dumps({"router": router, "muxs": muxs, "uri": f"ws://{NS}:3001/router-58a0cbfffe8039ab"}))
                return
            await connection.recv()
            await connection.send(json.dumps(ROUTER_CONFIG))
            for _, answers in steps:
                await connection.recv()
                for answer in answers:
                    await connection.send(json.dumps(answer))
            await connection.send(json.dumps({"msgtype": "runcmd", "command": "uptime", "arguments": []}))
            await connection.wait_closed()

        async def body():
            async with websockets.serve(serve, NS, 3001, compression=None):
                await asyncio.Future()

        asyncio.run(body())

    def station():
        import websockets

        async def body():
            async with websockets.connect(f"ws://{NS}:3001/router-info", compression=None) as discovery:
                await discovery.send(json.dumps({"router": router}))
                uri = json.loads(await discovery.recv())["uri"]
            async with websockets.connect(uri, compression=None) as connection:
                await connection.send(json.dumps({"msgtype": "version", "station": "2.0.6(rpi/std)", "firmware": "fw-1.4.2", "package": "pkg-7", "model": "rpi", "protocol": 2,
                                                  "features": "rmtsh gps"}))
                await connection.recv()
                for message, answers in steps:
                    await connection.send(json.dumps(message))
                    for _ in answers:
                        await connection.recv()
                await connection.recv()
                await connection.ping()
                await asyncio.sleep(0.2)

        asyncio.run(body())

    lab.start("lns", lns)
    wait_listening(lab, "lns", 3001)
    with lab.capture():
        lab.run("station", station)
        time.sleep(0.2)
    return {"lns": NS, "port": 3001, "station": "58a0cbfffe8039ab", "station_version": "2.0.6(rpi/std)", "firmware": "fw-1.4.2", "model": "rpi", "package": "pkg-7",
            "devices": described(device), "joins": 2, "dev_nonces": [0x0601, 0x0602], "data_up": 7, "dnmsg": 3, "dntxed": 2, "known_key": DEFAULT_KEY, "expected": "proved"}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def join_flood(lab):
    """A device that gets no answer asks to join 14 times in 46 minutes, each time with another DevNonce, heard by two gateways. Another joins twice and sends; a third asks once, heard by
    both gateways, and sends the same request again three times."""
    server, gateways = site(lab, 2)
    flood = Device("24e124136b0000f1", "24e124c0002a0001", "9d1f6a08c37b52e4f0861d4bb7a9235e")
    healthy = Device("24e124136b0000f2", "24e124c0002a0001", "6e02f47bd8913ca55f7710c2e94ab863")
    copies = Device("24e124136b0000f3", "24e124c0002a0001", "c4587d21e6af90133b8a5cf2047d9e16")
    jumps = []
    with lab.capture("raw.pcap"):
        for turn in range(14):
            for gateway in gateways:
                gateway.pull()
            heard(gateways, flood.join_request(0x2000 + turn * 37))
            if turn in (2, 9):
                join(healthy, gateways, f"260b0f{turn:02x}", 0xF00 + turn)
            elif turn > 2:
                heard(gateways, healthy.uplink(85, f"0175{90 - turn:02x}"))
            if turn % 4 == 1:
                heard(gateways, copies.join_request(0x0101))
            time.sleep(0.1)
            jumps.append((time.time(), 210))
            time.sleep(0.1)
    raw = lab.folder / "raw.pcap"
    end = stretch(raw, lab.folder / "capture.pcap", START, jumps[:-1])
    raw.unlink()
    return {"stretched_by": "pcaps/record/stretch.py: packets keep their spacing, 210 s pass after each turn", "first_time": "2026-05-04T06:00:00Z", "seconds": round(end - START),
            "network_server": NS, "gateways": [gateway.eui for gateway in gateways], "devices": described(flood, healthy, copies), "flood": flood.dev_eui, "join_requests_of_flood": 14,
            "joins_of_healthy": 2, "copies_of_one_request": 4}


@case("lorawan", version("websockets"), "message layout after the Basics Station LNS protocol description and its source (rmtsh)")
def basics_station_remote_shell(lab):
    """The LNS opens a shell on a Basics Station (rmtsh), types a command, reads what it prints, and ends the session. At a second station it only asks which shells there are. What is typed
    and printed are binary WebSocket messages that begin with the number of the session."""
    lab.host("lns", NS + "/16", mac="00:15:5d:40:00:02")
    stations = [("58a0cbfffe8039ab", "10.40.1.9", "58:a0:cb:80:39:ab"), ("58a0cbfffe8039ac", "10.40.1.10", "58:a0:cb:80:39:ac")]
    for number, (_, address, mac) in enumerate(stations):
        lab.host(f"station{number}", address + "/16", mac=mac)
    printed = b"uid=0(root) gid=0(root)\n"

    def lns():
        import websockets

        async def serve(connection):
            await connection.recv()
            await connection.send(json.dumps(ROUTER_CONFIG))
            await connection.send(json.dumps({"msgtype": "rmtsh"}))
            await connection.recv()
            if connection.path.endswith(stations[0][0]):
                await connection.send(json.dumps({"msgtype": "rmtsh", "user": "support", "term": "xterm", "start": 0}))
                await connection.recv()
                await connection.send(b"\0id\n")
                await connection.recv()
                await connection.send(json.dumps({"msgtype": "rmtsh", "user": "support", "stop": 0}))
                await connection.recv()
                await connection.recv()
            await connection.send(json.dumps({"msgtype": "timesync", "txtime": 1777874400123456, "gpstime": 1461909618123456, "MuxTime": 1777874400.4}))
            await connection.wait_closed()

        async def body():
            async with websockets.serve(serve, NS, 3001, compression=None):
                await asyncio.Future()

        asyncio.run(body())

    def station(eui):
        import websockets

        status = lambda started, user: json.dumps({"msgtype": "rmtsh", "rmtsh": [{"user": user, "started": started, "age": 0 if user else -1, "pid": 1187 if started else 0},
                                                                                 {"user": "", "started": False, "age": -1, "pid": 0}]})

        async def body():
            async with websockets.connect(f"ws://{NS}:3001/router-{eui}", compression=None) as connection:
                await connection.send(json.dumps({"msgtype": "version", "station": "2.0.6(rpi/std)", "firmware": "fw-1.4.2", "package": "pkg-7", "model": "rpi", "protocol": 2,
                                                  "features": "rmtsh gps"}))
                await connection.recv()
                while True:
                    message = await connection.recv()
                    if isinstance(message, bytes):
                        await connection.send(b"\0" + printed)
                        continue
                    message = json.loads(message)
                    if message["msgtype"] != "rmtsh":
                        break
                    if "stop" in message:
                        await connection.send(b"\0")
                    await connection.send(status("start" in message, "support" if "user" in message else ""))

        asyncio.run(body())

    lab.start("lns", lns)
    wait_listening(lab, "lns", 3001)
    with lab.capture():
        for number, (eui, _, _) in enumerate(stations):
            lab.run(f"station{number}", station, eui)
    return {"lns": NS, "port": 3001, "stations": [eui for eui, _, _ in stations], "shell_on": stations[0][0], "user": "support", "asked_for_shells": 2, "shells_opened": 1}


if __name__ == "__main__":
    main(__file__)
