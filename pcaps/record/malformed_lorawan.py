"""Malformed GWMP, LoRaWAN, LoRaTap and Basics Station: datagrams and messages of a real conversation, damaged."""

import asyncio
import base64
import json
import struct
import time

from lab import case, main, version
from lorawan import NS, ROUTER_CONFIG, uplink_message
from lorawan_actors import PUSH_DATA, site
from lorawan_frames import LORA_PACKET, Device

GWMP = "the Semtech UDP conversation and the damage are the script's"
KEYS = {"dev_addr": "260b9901", "nwk_s_key": "5ec7a41f0d39b8265ec7a41f0d39b826", "app_s_key": "0d39b8265ec7a41f0d39b8265ec7a41f"}


def meter():
    return Device("70b3d57ed0990001", "70b3d57ed0000001", **KEYS)


@case("lorawan", LORA_PACKET, GWMP)
def malformed_datagrams(lab):
    """A gateway sends a network server datagrams that each depart from the packet forwarder's protocol in one way: JSON that is cut, keys that stand twice, data that are no base64 or longer than
    a radio packet, bytes behind the end, three hundred packets at once, datagrams without a header. A second gateway forwards uplinks meanwhile."""
    server, (odd, good) = site(lab, 2)
    device, noise = meter(), base64.b64encode(bytes(300)).decode()
    usual = lambda: {"rxpk": [odd.rxpk(device.uplink(1, "aabbccdd"))]}
    text = lambda body: json.dumps(body, separators=(",", ":")).encode()

    def send(body):
        odd.up.send(odd.header(PUSH_DATA) + body)
        server.receive()
        odd.up.recv(100)

    with lab.capture():
        for gateway in (odd, good):
            gateway.pull()
            gateway.push(gateway.rxpk(device.uplink(1, "00")))
        for turn in range(4):
            whole = text(usual())
            send(whole[:-20 - turn])
            send(whole.replace(b'"chan":0', b'"chan":0,"chan":1'))
            send(text({"rxpk": [odd.rxpk(device.uplink(1, "aa"), data="?*?*")]}))
            send(text({"rxpk": [odd.rxpk(device.uplink(1, "aa"), data=noise, size=None)]}))
            send(whole + b"#!")
            odd.up.send(b"\x07" + whole[:11])
            server.receive()
            good.push(good.rxpk(device.uplink(1, f"{turn:02x}")))
            time.sleep(0.05)
        send(text({"rxpk": [{"stat": 1}] * 300}))
        for turn in range(6):
            send(text({"rxpk": [odd.rxpk(device.uplink(1, "aa"), size=99, rssi="loud")]}))
    return {"network_server": NS, "gateways": [odd.eui, good.eui], "sends_malformed": odd.eui, "damaged_datagrams": 31, "packets_in_one_datagram": 300}


@case("lorawan", LORA_PACKET, GWMP)
def malformed_frames(lab):
    """A gateway hears frames with a good checksum that are no proper LoRaWAN, sixty and more within a minute: too short, options longer than the frame, options that are no commands, commands in two places at
    once, reserved ports, an unknown kind of rejoin; and frames that belong on the way down. Between them uplinks as they should be."""
    server, (gateway,) = site(lab, 1)
    device, tail = meter(), "11223344"
    head = "40" + "01990b26"
    broken = lambda turn: [
        "4001990b2600",
        head + "0f" + "0100" + "0203" + tail,
        head + "82" + "0100" + "7f7f" + f"01{turn:02x}" + tail,
        head + "81" + "0100" + "02" + "00" + f"{turn:02x}" + tail,
        head + "80" + "0100" + f"e5{turn:02x}" + tail,
        "c0" + "07" + f"{turn:02x}" * 14 + "0000" + tail,
    ]
    with lab.capture():
        gateway.pull()
        for turn in range(10):
            gateway.push(*[gateway.rxpk(frame, advance=10_000) for frame in broken(turn)])
            gateway.push(gateway.rxpk(device.uplink(1, f"{turn:02x}")))
        for turn in range(4):
            gateway.push(gateway.rxpk(device.downlink(1, f"{turn:02x}")))
    return {"network_server": NS, "gateways": [gateway.eui], "data_up": 10, "broken_frames": 60, "downlinks_heard": 4}


@case("lorawan", LORA_PACKET, "LoRaTap headers by the script", timestamps="made by the script")
def malformed_loratap(lab):
    """A capture of link type 270 whose headers are cut, of version 1 without the gateway's fields, or of a version that nobody knows; from two gateways in turn."""
    device = meter()
    records = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 270))
    short = struct.pack(">IBB", 868100000, 1, 7) + struct.pack(">BBBb", 70, 255, 255, 36) + b"\x34"
    long = lambda turn: short + bytes.fromhex(f"7076ff00560600{turn:02x}") + struct.pack(">IBBHBBH", 5_000_000, 0x08, 5, 0, 0, 0, 0)
    for turn in range(4):
        frame = bytes.fromhex(device.uplink(1, f"{turn:02x}"))
        head = lambda version, length: struct.pack(">BBH", version, 0, 4 + length)
        for data in (head(3, 31) + long(turn % 2) + frame, head(1, 31) + long(turn % 2) + frame, head(1, 200) + long(0), head(1, len(short)) + short + frame):
            records += struct.pack("<IIII", 1777874400 + turn, 0, len(data), len(data)) + data
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "capture.pcap").write_bytes(records)
    return {"link_type": 270, "gateways": ["7076ff0056060000", "7076ff0056060001"], "whole": 4, "of_unknown_version": 4, "without_extension": 4, "cut": 4}


@case("lorawan", LORA_PACKET, version("websockets"), "message layout after the Basics Station LNS protocol description", "the damage is done by the script")
def malformed_station_messages(lab):
    """A Basics Station sends its network server messages of a type that there is not, cut JSON, and uplinks without the fields that make a frame; the server sends a schedule of 130
    frames."""
    lab.host("lns", NS + "/16", mac="00:15:5d:40:00:02")
    lab.host("station", "10.40.1.9/16", mac="58:a0:cb:80:39:ab")
    device = meter()
    info = {"DR": 5, "Freq": 868100000, "upinfo": {"rctx": 0, "xtime": 49539595901075459, "gpstime": 0, "rssi": -51.0, "snr": 9.25}}
    uplinks = [{**uplink_message(device.uplink(1, f"{turn:02x}")), **info} for turn in range(3)]
    messages = [json.dumps(uplink) for uplink in uplinks]
    messages += [json.dumps(uplink)[:-9 - turn] for turn, uplink in enumerate(uplinks)]
    messages += [json.dumps({key: value for key, value in uplink.items() if key not in ("DevAddr", "MIC")}) for uplink in uplinks]
    messages += [json.dumps({"msgtype": f"made-up-{turn}", "value": turn}) for turn in range(3)]
    frame = device.downlink(1, "00")
    schedule = [{"DR": 5, "Freq": 869525000, "pdu": frame, "xtime": 49539595901075459 + turn} for turn in range(130)]

    def lns():
        import websockets

        async def serve(connection):
            await connection.recv()
            await connection.send(json.dumps(ROUTER_CONFIG))
            for _ in messages:
                await connection.recv()
            await connection.send(json.dumps({"msgtype": "dnsched", "schedule": schedule}, separators=(",", ":")))
            await connection.wait_closed()

        async def body():
            async with websockets.serve(serve, NS, 3001, compression=None):
                await asyncio.Future()

        asyncio.run(body())

    def station():
        import websockets

        async def body():
            async with websockets.connect(f"ws://{NS}:3001/router-58a0cbfffe8039ab", compression=None) as connection:
                await connection.send(json.dumps({"msgtype": "version", "station": "2.0.6(rpi/std)", "firmware": "fw-1.4.2", "package": "pkg-7", "model": "rpi", "protocol": 2, "features": "gps"}))
                await connection.recv()
                for message in messages:
                    await connection.send(message)
                await connection.recv()

        asyncio.run(body())

    lab.start("lns", lns)
    time.sleep(1)
    with lab.capture():
        lab.run("station", station)
    return {"network_server": NS, "station": "58a0cbfffe8039ab", "uplinks": 3, "cut": 3, "without_fields": 3, "of_unknown_type": 3, "frames_in_schedule": 130}


if __name__ == "__main__":
    main(__file__)
