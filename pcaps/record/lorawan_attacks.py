"""LoRaWAN attacks, and what looks like them and is none. Packet forwarders and a network server as in `lorawan.py`; time is stretched, and the gateways' clocks go with it."""

import base64
import json
import socket
import time

from lab import case, main
from lorawan import DEFAULT_KEY, GWMP, NS, START, described
from lorawan_actors import PULL_DATA, PULL_RESP, Gateway, NetworkServer, site
from lorawan_frames import LORA_PACKET, Device
from stretch import stretch

OWN_KEY = "9d1f6a08c37b52e4f0861d4bb7a9235e"


class Time:
    """Time that passes: the capture is stretched at the marks, and each gateway's clock runs along."""

    def __init__(self, lab):
        self.lab, self.began, self.added, self.jumps = lab, time.time(), 0.0, []

    def later(self, seconds, *alive):
        """So many seconds pass; the gateways named keep their path to the server open every 30 s."""
        while seconds > 0:
            step = min(seconds, 30) if alive else seconds
            time.sleep(0.02)
            self.jumps.append((time.time(), step))
            self.added += step
            time.sleep(0.02)
            for gateway in alive:
                gateway.pull()
            seconds -= step

    def hear(self, gateway, frame, ago=0.0, **fields):
        """The gateway hands in a frame that it heard so many seconds ago."""
        gateway.tmst = int(int(gateway.eui[-2:], 16) * 77_000_000 + (time.time() - self.began + self.added - ago) * 1e6) & 0xFFFFFFFF
        reception = gateway.rxpk(frame, advance=0, **fields)
        gateway.push(reception)
        return reception

    def end(self):
        raw = self.lab.folder / "raw.pcap"
        end = stretch(raw, self.lab.folder / "capture.pcap", START, self.jumps)
        raw.unlink()
        return {"stretched_by": "pcaps/record/stretch.py: packets keep their spacing, time passes between them", "first_time": "2026-05-04T06:00:00Z", "seconds": round(end - START),
                "network_server": NS}


def session(number, key=OWN_KEY, up=0):
    """A device in the middle of a session."""
    device = Device(f"70b3d57ed00a{number:04x}", "70b3d57ed0000001", dev_addr=f"260b30{number:02x}", nwk_s_key=f"{number:02x}9c7e5b3d1f8a6c4e2b0d9f7a5c3e1b", app_s_key=key)
    device.up = up
    return device


def minutes(clock, gateways, count, device, neighbour, on=None):
    """The device sends once a minute, heard by the first gateway; its neighbour, heard by the last."""
    frames = []
    for _ in range(count):
        frames.append(device.uplink(2, f"01{device.up & 0xff:02x}0a"))
        clock.hear((on or gateways)[0], frames[-1])
        clock.hear(gateways[-1], neighbour.uplink(2, "02"))
        clock.later(60, *gateways)
    return frames


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def uplink_replayed(lab):
    """A device sends once a minute. One of its frames is on the air again 61 to 66 s after it was sent, after newer ones, at another gateway; the device goes on. Two more, twenty minutes
    old, follow."""
    server, gateways = site(lab, 2)
    device, neighbour = session(1, up=200), session(2, up=9000)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        frames = minutes(clock, gateways, 20, device, neighbour)
        frames.append(device.uplink(2, "0102"))
        clock.hear(gateways[0], frames[-1])
        clock.hear(gateways[1], frames[-2], rssi=-97, lsnr=-3.5)
        clock.later(60, *gateways)
        frames += minutes(clock, gateways, 5, device, neighbour)
        for frame in frames[3:5]:
            clock.hear(gateways[1], frame, rssi=-98, lsnr=-3.0)
        minutes(clock, gateways, 3, device, neighbour)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [device.dev_addr, neighbour.dev_addr], "replayed": 3, "finds": ["lorawan-uplink-replay"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def uplinks_late_and_twice(lab):
    """Nothing is wrong. Two gateways hear a device; the second one's backhaul is 4 s slow, then it loses its server for 20 minutes and hands in afterwards what it heard. A datagram comes
    twice. A confirmed frame is sent eight times over half an hour (duty cycle at SF12) before it is acknowledged."""
    server, gateways = site(lab, 2)
    device, neighbour = session(3, up=700), session(4, up=40)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for _ in range(10):
            frame = device.uplink(2, f"01{device.up & 0xff:02x}")
            clock.hear(gateways[0], frame)
            clock.hear(gateways[1], neighbour.uplink(2, "02"))
            clock.later(4, gateways[0])
            clock.hear(gateways[1], frame, ago=4, rssi=-104, lsnr=-6.0)
            clock.later(56, *gateways)
        held = []
        for _ in range(20):
            frame = device.uplink(2, f"01{device.up & 0xff:02x}")
            clock.hear(gateways[0], frame)
            held.append((clock.added, frame))
            clock.later(60, gateways[0])
        for then, frame in held:
            clock.hear(gateways[1], frame, ago=clock.added - then, rssi=-104, lsnr=-6.0)
        frame = device.uplink(2, "03")
        reception = clock.hear(gateways[0], frame)
        clock.later(90, *gateways)
        gateways[0].push(reception)
        frame = device.uplink(2, "04", confirmed=True)
        for channel in range(8):
            reception = clock.hear(gateways[0], frame, channel=channel, datr="SF12BW125")
            clock.later(240, *gateways) if channel < 7 else None
        gateways[0].transmit(device.downlink(f_ctrl={"ACK": True}), reception)
        minutes(clock, gateways, 5, device, neighbour, on=gateways)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [device.dev_addr, neighbour.dev_addr], "late": 30, "finds": []}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def device_copied(lab):
    """A device with copied keys: a second sender continues from the counter that the device had at the copying, with the same keys, while the device goes on."""
    server, gateways = site(lab, 2)
    device, neighbour = session(5, up=3100), session(6, up=12)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        minutes(clock, gateways, 15, device, neighbour)
        copy = session(5, up=device.up - 6)
        for _ in range(8):
            minutes(clock, gateways, 1, device, neighbour)
            clock.hear(gateways[0], copy.uplink(2, "01ff00"), rssi=-75)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [device.dev_addr, neighbour.dev_addr], "finds": ["lorawan-parallel-session"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def addresses_shared(lab):
    """Nothing is wrong. Devices of other networks have the DevAddr of a device here: one that is heard from the start, one that joins its network (whose join is not heard) and
    counts from 0, one that passes by for some minutes."""
    server, gateways = site(lab, 2)
    device, neighbour = session(7, up=500), session(8, up=77)
    other, third, passing = (session(7, up=up) for up in (21_000, 0, 48_000))
    for number, stranger in enumerate((other, third, passing)):
        stranger.nwk_s_key = stranger.app_s_key = f"{0xd0 + number:02x}" * 16
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for minute in range(30):
            minutes(clock, gateways, 1, device, neighbour)
            if minute % 2:
                clock.hear(gateways[0], other.uplink(2, "0fac"), rssi=-110, lsnr=-9.0)
            if minute > 10:
                clock.hear(gateways[0], third.uplink(2, "0101"), rssi=-101, lsnr=-4.0)
            if 14 < minute < 20:
                clock.hear(gateways[1], passing.uplink(99, "f0"), rssi=-118, lsnr=-14.0)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [device.dev_addr, neighbour.dev_addr], "finds": []}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def abp_counter_restarts(lab):
    """A device with fixed keys loses power twice and counts from 0 each time, with no join. Beside it one that keeps its counter and skips 1,000 ahead, and one whose counter wraps."""
    server, gateways = site(lab)
    device, saves, wraps = session(9, up=4000), session(10, up=4000), session(11, up=65_520)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for turn in range(3):
            for _ in range(12):
                for sender in (device, saves, wraps):
                    clock.hear(gateways[0], sender.uplink(2, "0105"))
                clock.later(60, *gateways)
            device.up = 0
            saves.up += 1000
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [d.dev_addr for d in (device, saves, wraps)], "restarts": 2, "finds": ["lorawan-counter-restarted"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def counter_jumps(lab):
    """A device's counter jumps by 25,000 from one minute to the next and goes on from there. Another one is silent for a night and counted on meanwhile."""
    server, gateways = site(lab)
    device, silent = session(12, up=800), session(13, up=800)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for turn in range(2):
            for _ in range(10):
                clock.hear(gateways[0], device.uplink(2, "0105"))
                clock.hear(gateways[0], silent.uplink(2, "0105"))
                clock.later(60, *gateways)
            if turn == 0:
                device.up += 25_000
                for _ in range(10):
                    clock.hear(gateways[0], device.uplink(2, "0105"))
                    clock.later(60, *gateways)
                clock.later(8 * 3600)
                silent.up += 490
                device.up += 480
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [device.dev_addr, silent.dev_addr], "finds": ["lorawan-counter-jump"]}


def joined(clock, gateways, device, dev_addr, number, nonce):
    """A join heard by the first gateway and answered."""
    reception = clock.hear(gateways[0], device.join_request(nonce))
    gateways[0].transmit(device.join_accept(dev_addr, number), reception, delay=5_000_000)
    clock.later(6, *gateways)


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def join_replayed(lab):
    """A device joins and sends. A quarter of an hour later its join-request is on the air again, at another gateway; the device goes on with its session."""
    server, gateways = site(lab, 2)
    device, neighbour = Device("70b3d57ed00b0001", "70b3d57ed0000001", OWN_KEY), session(14, up=5)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for gateway in gateways:
            gateway.pull()
        minutes(clock, gateways, 3, session(15, up=90), neighbour)
        joined(clock, gateways, device, "260b3020", 0x3001, 0x51f2)
        request = device.join_request(0x51f2)
        minutes(clock, gateways, 16, device, neighbour)
        clock.hear(gateways[1], request, rssi=-99, lsnr=-2.0)
        clock.later(20, *gateways)
        minutes(clock, gateways, 6, device, neighbour)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "devices": described(device), "finds": ["lorawan-join-repeated"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def joins_after_power_cuts(lab):
    """Nothing is wrong. Six devices of LoRaWAN 1.0.2 join after each of five power cuts, some of them twice; one of their random DevNonces repeats, is refused, and the device takes another
    one. A second gateway hands in its copies 3 s late."""
    server, gateways = site(lab, 2)
    devices = [Device(f"70b3d57ed00c{n:04x}", "70b3d57ed0000001", f"{n + 0x30:02x}" * 16) for n in range(6)]
    nonce, used = 0x1d3a, 0
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for cut in range(5):
            for number, device in enumerate(devices):
                nonce = (nonce * 40_503 + 12_345) & 0xFFFF
                if (cut, number) == (0, 4):
                    used = nonce
                tries = [used, nonce] if (cut, number) == (3, 4) else [nonce]
                for attempt in tries:
                    request = device.join_request(attempt)
                    reception = clock.hear(gateways[0], request)
                    clock.later(3, gateways[0])
                    clock.hear(gateways[1], request, ago=3, rssi=-108, lsnr=-8.0)
                    if attempt is not tries[-1]:
                        clock.later(25, *gateways)
                gateways[0].transmit(device.join_accept(f"260b{0x40 + cut:02x}{number:02x}", 0x4000 + 16 * cut + number), reception, delay=5_000_000)
                clock.later(4, *gateways)
            for _ in range(6):
                for device in devices:
                    clock.hear(gateways[0], device.uplink(2, "0177"))
                clock.later(300, *gateways)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "devices": described(*devices), "repeated_dev_nonce": used, "finds": []}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def downlinks_forged(lab):
    """Four devices that send once a minute and get an answer now and then. Then one is sent to 1.4 s after its uplink; one gets an acknowledgement that it did not ask for; one gets an
    old downlink again; one is ordered to SF12 and full power although its signal is good."""
    server, gateways = site(lab)
    devices = [session(number, up=number * 100) for number in range(16, 20)]
    late, acked, replayed, ordered = devices
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        gateways[0].pull()
        downlinks = {}
        for minute in range(16):
            for device in devices:
                reception = clock.hear(gateways[0], device.uplink(2, f"01{minute:02x}"))
                if minute % 4 == 1:
                    downlinks.setdefault(device.dev_addr, []).append(device.downlink(2, f"0c{minute:02x}"))
                    gateways[0].transmit(downlinks[device.dev_addr][-1], reception)
                elif minute == 15:
                    if device is late:
                        gateways[0].transmit(device.downlink(2, "ff"), reception, delay=1_400_000)
                    elif device is acked:
                        gateways[0].transmit(device.downlink(f_ctrl={"ACK": True}), reception)
                    elif device is replayed:
                        gateways[0].transmit(downlinks[device.dev_addr][1], reception)
                    else:
                        gateways[0].transmit(device.downlink(f_opts="0300ff0001"), reception)
            clock.later(60, *gateways)
        for minute in range(3):
            for device in devices:
                reception = clock.hear(gateways[0], device.uplink(2, f"02{minute:02x}"))
                gateways[0].transmit(device.downlink(2, f"0d{minute:02x}"), reception)
            clock.later(60, *gateways)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [d.dev_addr for d in devices],
            "finds": ["lorawan-ack-unasked", "lorawan-downlink-out-of-window", "lorawan-downlink-replay", "lorawan-harmful-command"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def downlinks_of_all_classes(lab):
    """Nothing is wrong. Class A devices with RX1 after 1 s and after 5 s, in RX1 and RX2; ADR up and down, RXParamSetupReq, NewChannelReq and a channel mask; a confirmed downlink that is sent
    again; a class C device that is sent to at once on 869.525 MHz; a class B device in its ping slots (tmms); a multicast group through two gateways; a downlink tried in
    RX2 after the gateway refused RX1."""
    server, gateways = site(lab, 2)
    first, second, always, slots = devices = [session(number, up=number * 50) for number in range(21, 25)]
    group = Device("0" * 16, "0" * 16, dev_addr="260b3fff", nwk_s_key="aa" * 16, app_s_key="bb" * 16)
    orders = ["0350ff0001", "0520d2ad84", "0703184f8450", "0352ff0001" + "06", "0331ff0002"]
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for gateway in gateways:
            gateway.pull()
        for minute in range(20):
            reception = clock.hear(gateways[0], first.uplink(2, "01", f_ctrl={"ADR": True}))
            if minute % 4 == 0:
                gateways[0].transmit(first.downlink(f_opts=orders[minute // 4], f_ctrl={"ADR": True}), reception)
            elif minute % 4 == 2:
                frame = first.downlink(2, "0a")
                gateways[0].transmit(frame, reception, error="TOO_LATE")
                gateways[0].transmit(frame, reception, delay=2_000_000, freq=869.525, datr="SF12BW125", error="NONE")
            reception = clock.hear(gateways[1], second.uplink(2, "02"))
            if minute % 5 == 0:
                confirmed = second.downlink(2, "0b", confirmed=True)
            if minute % 5 < 3:
                gateways[1].transmit(confirmed, reception, delay=5_000_000)
            clock.hear(gateways[0], always.uplink(2, "03"))
            clock.hear(gateways[1], slots.uplink(2, "04", f_ctrl={"ClassB": True, "FPending": True}))
            clock.later(17, *gateways)
            gateways[0].transmit(always.downlink(2, "0c"), None, freq=869.525, datr="SF12BW125")
            gateways[1].transmit(slots.downlink(2, "0d"), None, imme=False, tmms=1461996028500 + minute * 60_000, freq=869.525, datr="SF9BW125")
            frame = group.downlink(10, "0e")
            for gateway in gateways:
                gateway.transmit(frame, None, freq=868.3, datr="SF10BW125")
            clock.later(43, *gateways)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "sessions": [d.dev_addr for d in devices], "finds": []}


def pull_from(lab, host, address, gateway, count=1):
    """Somebody at another host asks for the gateway's downlinks; answers the socket."""
    asking = lab.socket(host, socket.SOCK_DGRAM, (address, 0))
    for _ in range(count):
        asking.sendto(gateway.header(PULL_DATA), (gateway.server.address, gateway.server.port))
        assert gateway.server.receive() == PULL_DATA
        asking.recv(100)
    return asking


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def stranger_commands_gateway(lab):
    """A host that is not the network server sends a gateway two PULL_RESP. A second gateway gets its downlinks from the server alone."""
    server, gateways = site(lab, 2)
    device = session(26, up=10)
    lab.host("stranger", "10.40.7.66/16", mac="00:0c:29:66:66:66")
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for gateway in gateways:
            gateway.pull()
        stranger = lab.socket("stranger", socket.SOCK_DGRAM, ("10.40.7.66", 1700))
        for turn in range(6):
            for gateway in gateways:
                reception = clock.hear(gateway, device.uplink(2, "01"))
                gateway.transmit(device.downlink(2, "0a"), reception)
            if turn in (2, 4):
                frame = bytes.fromhex(device.downlink(2, "ff"))
                txpk = {"imme": True, "freq": 869.525, "rfch": 0, "powe": 27, "modu": "LORA", "datr": "SF12BW125", "codr": "4/5", "ipol": True, "size": len(frame),
                        "data": base64.b64encode(frame).decode()}
                stranger.sendto(bytes((2, 7, turn, PULL_RESP)) + json.dumps({"txpk": txpk}).encode(), gateways[0].down.getsockname())
                time.sleep(0.1)
            clock.later(60, *gateways)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "stranger": "10.40.7.66", "finds": ["lorawan-gateway-strange-server"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def gateway_posed_as(lab):
    """Another host asks the network server for the downlinks of a gateway, in turns with the gateway (PULL_DATA). A third host reports frames under the EUI of a second gateway, by a clock of
    its own, while that gateway goes on."""
    server, gateways = site(lab, 2)
    device, other = session(27, up=10), session(28, up=600)
    lab.host("thief", "10.40.7.67/16", mac="00:0c:29:66:66:67")
    lab.host("twin", "10.40.7.68/16", mac="b8:27:eb:66:66:68")
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        twin = Gateway(lab, "twin", "10.40.7.68", server, gateways[1].eui)
        thief = pull_from(lab, "thief", "10.40.7.67", gateways[0])
        for turn in range(8):
            for gateway in gateways:
                gateway.pull()
                clock.hear(gateway, device.uplink(2, "01"))
            clock.later(15)
            thief.sendto(gateways[0].header(PULL_DATA), (server.address, server.port))
            assert server.receive() == PULL_DATA
            clock.hear(twin, other.uplink(2, "02"), ago=1234.5)
            clock.later(15)
        clock.later(1)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "finds": ["lorawan-gateway-downlinks-drawn-away", "lorawan-gateway-twice"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def gateways_that_change_address(lab):
    """Nothing is wrong. A gateway whose provider gives it another address twice; one that feeds two network servers by two forwarders on one host; one that was restarted, so that its clock
    and ports are new. All tell their place, with some metres of wander."""
    server, gateways = site(lab, 3)
    lab.host("ns2", "10.40.0.3/16", mac="00:15:5d:40:00:03")
    second = NetworkServer(lab, "ns2", "10.40.0.3")
    device = session(29, up=10)
    for host in (4, 5):
        lab.address("gw1", f"10.40.1.{100 + host}/16")
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        again = Gateway(lab, "gw2", "10.40.1.2", second, gateways[1].eui)
        used = list(gateways)
        for turn in range(24):
            if turn in (8, 16):
                used[0] = Gateway(lab, "gw1", f"10.40.1.{104 if turn == 8 else 105}", server, gateways[0].eui)
            if turn == 12:
                used[2] = Gateway(lab, "gw3", "10.40.1.3", server, gateways[2].eui)
            frame = device.uplink(2, f"01{turn:02x}")
            for number, gateway in enumerate([*used, again]):
                gateway.pull()
                clock.hear(gateway, frame, ago=500.0 if number == 2 and turn >= 12 else 0)
                gateway.push(stat=gateway.stat(lati=52.37 + 0.0001 * (turn % 4), long=4.89 + 0.00012 * (turn % 3)))
            clock.later(30)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "finds": []}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def gateway_moved(lab):
    """One gateway is carried 140 m away, one 8 km; a third stays, but its satellite receiver errs by 130 m for three minutes and once by 3 km."""
    server, gateways = site(lab, 3)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for turn in range(60):
            for number, gateway in enumerate(gateways):
                north = ([0, 0.00126] [turn >= 20], [0, 0.072][turn >= 30], 0.00117 if 20 <= turn < 26 else 0.027 if turn == 40 else 0)[number]
                gateway.pull()
                gateway.push(stat=gateway.stat(lati=round(52.37 + north + 0.00004 * (turn % 3), 5)))
            clock.later(30)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "finds": ["lorawan-gateway-moved", "lorawan-gateway-moved"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def device_in_two_cities(lab):
    """Join-requests of one DevEUI at gateways in Amsterdam and in Vienna, a minute apart. Another device joins in Amsterdam, then two hours later in Vienna."""
    server, gateways = site(lab, 2)
    device = Device("70b3d57ed00d0001", "70b3d57ed0000001", OWN_KEY)
    traveller = Device("70b3d57ed00d0002", "70b3d57ed0000001", DEFAULT_KEY[::-1])
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for gateway, place in zip(gateways, ({}, {"lati": 48.2082, "long": 16.3738})):
            gateway.pull()
            gateway.push(stat=gateway.stat(**place))
        for turn in range(4):
            clock.hear(gateways[turn % 2], device.join_request(0x0100 + turn * 77))
            clock.later(60, *gateways)
        for turn in range(2):
            clock.hear(gateways[turn], traveller.join_request(0x0900 + turn * 77))
            clock.later(2 * 3600)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "devices": described(device, traveller), "finds": ["lorawan-device-far-apart"]}


if __name__ == "__main__":
    main(__file__)
