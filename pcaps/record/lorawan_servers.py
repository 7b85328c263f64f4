"""LoRaWAN over ChirpStack's broker and over Basics Station, and what a network server does through either: attacks, and what looks like them and is none. Time is stretched."""

import struct
import time

import chirpstack_payloads as chirpstack
from chirpstack_api import gw, integration
from lab import case, debian, main, version, wait_listening
from lorawan import DEFAULT_KEY, GWMP, NS, described, uplink_message
from lorawan_actors import NetworkServer, Gateway, site
from lorawan_attacks import OWN_KEY, Time, minutes, session
from lorawan_frames import LORA_PACKET, Device
from mqtt_actors import Client, broker
from setup_faults import OUTSIDE, outside

BROKER = "10.40.0.5"
SOFTWARE = (debian("mosquitto"), version("paho-mqtt"), version("chirpstack-api"), LORA_PACKET)


class BrokerGateway:
    """A gateway whose bridge publishes what it hears as ChirpStack 4 has it; its clock stands in the context."""

    def __init__(self, lab, clock, host, eui, number):
        self.clock, self.eui, self.number, self.received = clock, eui, number, 0
        self.client = lab.inside(host, lambda: Client(BROKER, f"gateway-{eui}"))

    def tmst(self, ago=0.0):
        return int(self.number * 77_000_000 + (time.time() - self.clock.began + self.clock.added - ago) * 1e6) & 0xFFFFFFFF

    def hear(self, frame, rssi=-61, snr=8.5):
        """Publishes a reception; answers its context."""
        context = struct.pack(">I", self.tmst())
        self.received += 1
        info = chirpstack.rx(self.eui, 70_000 + self.received, rssi, snr)
        info.context = context
        up = gw.UplinkFrame(phy_payload=bytes.fromhex(frame), tx_info=gw.UplinkTxInfo(frequency=868300000, modulation=chirpstack.lora()), rx_info=info)
        self.client.publish(f"eu868/gateway/{self.eui}/event/up", up.SerializeToString())
        time.sleep(0.02)
        return context


class Servers:
    """A broker, and ChirpStack as its client: it sends downlinks through gateways and tells applications of devices."""

    def __init__(self, lab):
        lab.host("broker", BROKER + "/16", mac="00:15:5d:40:00:05")
        lab.host("ns", NS + "/16", mac="00:15:5d:40:00:02")
        broker(lab, "broker")
        self.count = 0

    def start(self, lab):
        self.client = lab.inside("ns", lambda: Client(BROKER, "chirpstack"))
        return self

    def send(self, gateway, frame, context=None, delay_us=1_000_000, frequency=868300000, client=None):
        """Without a context at once, else so long after the uplink."""
        self.count += 1
        item = gw.DownlinkFrameItem(phy_payload=bytes.fromhex(frame), tx_info=gw.DownlinkTxInfo(frequency=frequency, power=14, modulation=chirpstack.lora(), context=context or b""))
        if context is None:
            item.tx_info.timing.immediately.SetInParent()
        else:
            item.tx_info.timing.delay.delay.FromMicroseconds(delay_us)
        down = gw.DownlinkFrame(downlink_id=900 + self.count, gateway_id=gateway.eui, items=[item])
        (client or self.client).publish(f"eu868/gateway/{gateway.eui}/command/down", down.SerializeToString())
        time.sleep(0.02)

    def tell(self, dev_eui, dev_addr, f_cnt, port, payload, gateway, as_json=True):
        """The application is told of an uplink."""
        self.count += 1
        info = chirpstack.device_info(dev_eui, f"device-{dev_eui[-4:]}", "City sensor")
        up = integration.UplinkEvent(deduplication_id=f"3ac7e3c4-4401-4b8d-9386-a5c902f9{self.count:04x}", device_info=info, dev_addr=dev_addr, adr=True, dr=5, f_cnt=f_cnt, f_port=port,
                                     data=bytes.fromhex(payload), rx_info=[chirpstack.rx(gateway.eui, 70_000 + self.count)],
                                     tx_info=gw.UplinkTxInfo(frequency=868300000, modulation=chirpstack.lora()))
        up.time.FromSeconds(1777874700)
        self.client.publish(f"application/{chirpstack.APPLICATION}/device/{dev_eui}/event/up", chirpstack.encoded(up, as_json))
        time.sleep(0.02)


def abp(number, up=0, dev_addr=None, dev_eui=None):
    device = session(number, up=up)
    device.dev_addr, device.dev_eui = dev_addr or device.dev_addr, dev_eui or device.dev_eui
    return device


@case("lorawan", *SOFTWARE, timestamps="stretched")
def downlinks_forged_over_broker(lab):
    """Over ChirpStack's broker: devices of class A with RX1 after 1 s and after 5 s, one of class C that is sent to at once on 869.525 MHz. Then somebody with the broker's address has the
    gateway send to one device 1.4 s after its uplink, and to another one with the context of an uplink of four minutes ago."""
    servers = Servers(lab)
    lab.host("gw1", "10.40.1.1/16", mac="70:76:ff:06:00:01")
    lab.host("stranger", "10.40.7.66/16", mac="00:0c:29:66:66:66")
    near, old, fine, always = devices = [abp(number, up=number * 50) for number in range(31, 35)]
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        servers.start(lab)
        gateway = BrokerGateway(lab, clock, "gw1", "7076ff0056060001", 1)
        stranger = lab.inside("stranger", lambda: Client(BROKER, "mqtt-explorer-7f"))
        first = None
        for minute in range(16):
            for device in devices:
                context = gateway.hear(device.uplink(2, f"01{minute:02x}"))
                first = context if minute == 11 else first
                if device is always and minute % 3 == 2:
                    clock.later(11)
                    servers.send(gateway, device.downlink(2, "0c"), frequency=869525000)
                elif device is not always and minute % 4 == 1:
                    servers.send(gateway, device.downlink(2, "0a"), context, 5_000_000 if device is fine else 1_000_000)
                elif minute == 15 and device is near:
                    servers.send(gateway, device.downlink(2, "ff"), context, 1_400_000, client=stranger)
                elif minute == 15 and device is old:
                    servers.send(gateway, device.downlink(2, "ff"), first, client=stranger)
            clock.later(60)
    return {**clock.end(), "broker": BROKER, "gateways": [gateway.eui], "sessions": [d.dev_addr for d in devices], "stranger": "10.40.7.66",
            "finds": ["lorawan-downlink-out-of-window", "lorawan-downlink-out-of-window"]}


@case("lorawan", *SOFTWARE, timestamps="stretched")
def payloads_altered(lab):
    """What applications are told beside what gateways heard, over ChirpStack's broker. One device with a published key joins; one of its payloads has a bit flipped where its application is
    told of it. Of another device, whose key is its own, one message is told with another port. A third one is told of as it was heard."""
    servers = Servers(lab)
    lab.host("gw1", "10.40.1.1/16", mac="70:76:ff:06:00:01")
    flipped, other, honest = Device("24e124136b0a0001", "24e124c0002a0001", DEFAULT_KEY), abp(41, up=700), abp(42, up=90)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        servers.start(lab)
        gateway = BrokerGateway(lab, clock, "gw1", "7076ff0056060001", 1)
        for turn, nonce in enumerate((0x4a01, 0x4a77)):
            context = gateway.hear(flipped.join_request(nonce))
            servers.send(gateway, flipped.join_accept(f"260b600{turn}", 0x501 + turn), context, 5_000_000)
            clock.later(10)
        for minute in range(8):
            for device in (flipped, other, honest):
                payload, counter = f"0167{minute:02x}0104", device.up
                gateway.hear(device.uplink(85, payload))
                wrong = minute == 5
                told = f"0167{minute:02x}0144" if wrong and device is flipped else payload
                servers.tell(device.dev_eui, device.dev_addr, counter, 86 if wrong and device is other else 85, told, gateway, as_json=device is not honest)
            clock.later(60)
    return {**clock.end(), "broker": BROKER, "gateways": [gateway.eui], "devices": described(flipped), "flipped": flipped.dev_eui, "other_port": other.dev_eui,
            "finds": ["lorawan-payload-altered"]}


@case("lorawan", *SOFTWARE, timestamps="stretched")
def address_of_two_devices(lab):
    """Two devices with fixed keys were set up with one and the same radio address; both send every two minutes. A third device falls silent, and a fourth one that
    joins gets its address."""
    servers = Servers(lab)
    lab.host("gw1", "10.40.1.1/16", mac="70:76:ff:06:00:01")
    one, two = abp(51, up=300), abp(52, up=21_000, dev_addr="260b3033")
    before, after = abp(53, up=5_000), Device("70b3d57ed00a0036", "70b3d57ed0000001", OWN_KEY)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        servers.start(lab)
        gateway = BrokerGateway(lab, clock, "gw1", "7076ff0056060001", 1)
        for turn in range(10):
            if turn == 5:
                context = gateway.hear(after.join_request(0x7d01))
                servers.send(gateway, after.join_accept(before.dev_addr, 0x801), context, 5_000_000)
                clock.later(10)
            for device in (one, two, before if turn < 5 else after):
                counter, payload = device.up, f"0175{turn:02x}"
                gateway.hear(device.uplink(85, payload))
                servers.tell(device.dev_eui, device.dev_addr, counter, 85, payload, gateway)
                clock.later(40)
    return {**clock.end(), "broker": BROKER, "gateways": [gateway.eui], "shared": one.dev_addr, "devices_sharing": [one.dev_eui, two.dev_eui], "given_on": before.dev_addr,
            "finds": ["lorawan-address-of-two"]}


@case("lorawan", LORA_PACKET, GWMP, version("websockets"), *SOFTWARE[:3], "Basics Station message layout after its LNS protocol description", timestamps="stretched")
def gateways_from_elsewhere(lab):
    """Gateways that speak from outside the site after a quarter of an hour: one over GWMP, one over Basics Station, one over ChirpStack's broker. Beside each one that gets another address
    inside the site. A fourth Basics Station has a twin: another receiver under its EUI, at another address."""
    servers = Servers(lab)
    strangers = outside(lab, "ns", "broker")
    server = NetworkServer(lab, "ns", NS)
    for number in range(1, 8):
        lab.host(f"gw{number}", f"10.40.1.{number}/16", mac=f"70:76:ff:06:00:{number:02x}")
        lab.address(f"gw{number}", f"10.40.2.{number}/16")
    eui = lambda number: f"7076ff00560601{number:02x}"

    def lns():
        from websockets.sync.server import serve

        def speak(connection):
            for _ in connection:
                pass

        with serve(speak, NS, 3001, compression=None) as listening:
            listening.serve_forever()

    lab.start("ns", lns)
    wait_listening(lab, "ns", 3001)
    device = session(61, up=10)
    open_now = []

    def station(host, number, source):
        from websockets.sync.client import connect

        connection = lab.inside(host, lambda: connect(f"ws://{NS}:3001/router-{eui(number)}", compression=None, source_address=(source, 0)))
        open_now.append(connection)
        return connection

    with lab.capture("raw.pcap"):
        clock = Time(lab)
        servers.start(lab)

        def xtime(number, offset=0.0):
            return 0x00B0000000000000 + int(number * 77_000_000 + (time.time() - clock.began + clock.added + offset) * 1e6)

        def updf(connection, number, frame, offset=0.0):
            import json

            connection.send(json.dumps({**uplink_message(frame), "DR": 5, "Freq": 868100000, "RefTime": 0.0,
                                        "upinfo": {"rctx": 0, "xtime": xtime(number, offset), "gpstime": 0, "fts": -1, "rssi": -51.0, "snr": 9.25, "rxtime": 1777874400.25}}))
            time.sleep(0.02)

        for half in range(2):
            away = half == 1
            place = lambda number: (strangers, OUTSIDE) if away else (f"gw{number}", f"10.40.1.{number}")
            inside = lambda number: (f"gw{number}", f"10.40.{2 if away else 1}.{number}")
            udp = [Gateway(lab, *place(1), server, eui(1)), Gateway(lab, *inside(2), server, eui(2))]
            stations = [(station(host, number, address), number) for number, (host, address) in ((3, place(3)), (4, inside(4)))]
            bridges = [lab.inside(host, lambda: BrokerGatewayAt(lab, clock, eui(number), number, address)) for number, (host, address) in ((5, place(5)), (6, inside(6)))]
            twins = [(station("gw7", 7, "10.40.1.7"), 0.0), (station("gw1", 7, "10.40.1.1"), 1234.5)] if not away else []
            for _ in range(16):
                for gateway, number in zip(udp, (1, 2)):
                    gateway.pull()
                    clock.hear(gateway, device.uplink(2, "01"))
                for connection, number in stations:
                    updf(connection, number, device.uplink(2, "02"))
                for bridge in bridges:
                    bridge.hear(device.uplink(2, "03"))
                for connection, offset in twins:
                    updf(connection, 7, device.uplink(2, "04"), offset)
                    clock.later(20)
                clock.later(60)
            for connection in open_now:
                connection.close()
            for bridge in bridges:
                bridge.client.disconnect()
            open_now.clear()
            time.sleep(0.2)
    return {**clock.end(), "broker": BROKER, "outside": OUTSIDE, "moved_outside": [eui(1), eui(3), eui(5)], "moved_inside": [eui(2), eui(4), eui(6)], "twins": eui(7),
            "finds": ["lorawan-gateway-elsewhere"] * 3 + ["lorawan-gateway-twice"]}


class BrokerGatewayAt(BrokerGateway):
    """As it is, made in the namespace of its host, from one of the host's addresses."""

    def __init__(self, lab, clock, eui, number, address):
        self.clock, self.eui, self.number, self.received = clock, eui, number, 0
        self.client = Client(BROKER, f"gateway-{eui}", bind=address)


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def settings_of_one_device(lab):
    """Fourteen devices of one network get their second window and a channel in FOpts. One of them is told another frequency for its second window, on which its network sends to nobody; one
    gets a channel that the others did not get, but on which the network is heard."""
    server, (gateway,) = site(lab)
    devices = [session(number, up=number * 10) for number in range(70, 84)]
    usual, channel = "0503d2ad84", "0703184f8450"
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        gateway.pull()
        for minute in range(4):
            for number, device in enumerate(devices):
                reception = clock.hear(gateway, device.uplink(2, f"01{minute:02x}"), channel=number % 8)
                if minute == 1:
                    gateway.transmit(device.downlink(f_opts={5: "050310da83"}.get(number, usual)), reception)
                elif minute == 2:
                    gateway.transmit(device.downlink(f_opts={9: "070488668450"}.get(number, channel)), reception)
            clock.later(60, gateway)
    return {**clock.end(), "gateways": [gateway.eui], "sessions": [d.dev_addr for d in devices], "odd": devices[5].dev_addr, "finds": ["lorawan-unusual-setting"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def orders_on_port_0(lab):
    """A device with a published key joins twice and sends with a good signal. On port 0, encrypted, it is ordered to the slowest data rate and full power; before that, to a faster one. Who
    may decrypt sees it; nobody else does."""
    server, (gateway,) = site(lab)
    device = Device("24e124136b0a0002", "24e124c0002a0001", DEFAULT_KEY)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        gateway.pull()
        for turn, nonce in enumerate((0x5b01, 0x5b77)):
            reception = clock.hear(gateway, device.join_request(nonce))
            gateway.transmit(device.join_accept(f"260b610{turn}", 0x601 + turn), reception, delay=5_000_000)
            clock.later(10, gateway)
        for minute in range(10):
            reception = clock.hear(gateway, device.uplink(2, f"01{minute:02x}"))
            if minute in (3, 8):
                gateway.transmit(device.downlink(0, "0350ff0001" if minute == 3 else "0300ff0001"), reception)
            clock.later(60, gateway)
    return {**clock.end(), "gateways": [gateway.eui], "devices": described(device), "finds": []}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def restart_beside_joins(lab):
    """A device with fixed keys loses power and counts from 0. Half an hour before, another device joined and got an address of its own; some minutes before, one joined that got the address which
    it had had, and one was refused. None of these joins explains the counter."""
    server, (gateway,) = site(lab)
    fixed, steady = session(90, up=4_000), session(91, up=60)
    joining = Device("70b3d57ed00f0001", "70b3d57ed0000001", OWN_KEY)
    again = Device("70b3d57ed00f0002", "70b3d57ed0000001", OWN_KEY[::-1])
    refused = Device("70b3d57ed00f0003", "70b3d57ed0000001", OWN_KEY[1:] + "0")

    def joins(device, address, number, nonce, answered=True):
        reception = clock.hear(gateway, device.join_request(nonce))
        if answered:
            gateway.transmit(device.join_accept(address, number), reception, delay=5_000_000)
        clock.later(6, gateway)

    with lab.capture("raw.pcap"):
        clock = Time(lab)
        gateway.pull()
        joins(again, "260b6201", 0x701, 0x6c01)
        for _ in range(20):
            minutes(clock, [gateway], 1, fixed, steady)
            clock.hear(gateway, again.uplink(2, "05"))
        joins(joining, "260b6202", 0x702, 0x6c02)
        for _ in range(30):
            minutes(clock, [gateway], 1, fixed, steady)
            clock.hear(gateway, again.uplink(2, "05"))
            clock.hear(gateway, joining.uplink(2, "06"))
        joins(again, "260b6201", 0x703, 0x6c04)
        joins(refused, "", 0, 0x6c03, answered=False)
        for turn in range(14):
            clock.hear(gateway, again.uplink(2, "05"))
            clock.hear(gateway, joining.uplink(2, "06"))
            minutes(clock, [gateway], 1, fixed, steady)
            if turn == 3:
                fixed.up = 0
    return {**clock.end(), "gateways": [gateway.eui], "restarted": fixed.dev_addr, "sessions": [fixed.dev_addr, steady.dev_addr, "260b6201", "260b6202"],
            "finds": ["lorawan-counter-restarted"]}


@case("lorawan", LORA_PACKET, GWMP, timestamps="stretched")
def joins_of_strangers(lab):
    """An hour and a half of devices at two gateways. Then somebody near the second one makes up 48 devices that ask to join within four minutes. At the first one the power fails, and its 40
    devices, of which only radio addresses were heard so far, join within ten minutes."""
    server, gateways = site(lab, 2)
    sessions = [session(number % 256, up=number) for number in range(100, 140)]
    lone = session(99, up=7)
    with lab.capture("raw.pcap"):
        clock = Time(lab)
        for turn in range(9):
            for device in sessions[turn * 4 % 40:turn * 4 % 40 + 8]:
                clock.hear(gateways[0], device.uplink(2, f"01{turn:02x}"))
            clock.hear(gateways[1], lone.uplink(2, f"01{turn:02x}"))
            clock.later(600)
        for number in range(48):
            clock.hear(gateways[1], Device(f"deadbeef0000{number:04x}", "70b3d57ed0000001", OWN_KEY).join_request(0x1000 + number * 37), rssi=-70)
            clock.later(5)
        for number in range(40):
            clock.hear(gateways[0], Device(f"70b3d57ed0aa{number:04x}", "70b3d57ed0000001", OWN_KEY).join_request(0x2000 + number * 53))
            clock.later(12)
        for _ in range(3):
            clock.hear(gateways[1], lone.uplink(2, "02"))
            clock.hear(gateways[0], sessions[0].uplink(2, "02"))
            clock.later(600)
    return {**clock.end(), "gateways": [g.eui for g in gateways], "made_up": 48, "after_a_power_cut": 40, "finds": ["lorawan-joins-of-strangers"]}


if __name__ == "__main__":
    main(__file__)
