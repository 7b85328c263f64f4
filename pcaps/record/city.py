"""The city: some 150 devices of a dozen classes over six hours, most healthy, some as one fears. Seeded: addresses, keys and schedule are the same each time.

One process drives it all and records in about two minutes; `hours` of capture time come from stretching (see stretch.py).
"""

import asyncio
import multiprocessing
import random
import socket
import subprocess
import threading
import time

import chirpstack_payloads as chirpstack
import lwm2m_actors as l
import modbus_actors as m
import mqtt_actors as q
import mqtt_payloads as products
from aiocoap import Code
from lab import case, debian, main, sh, version, wait_listening
from lorawan_actors import Gateway, NetworkServer, heard
from lorawan_frames import LORA_PACKET, Device
from stretch import stretch

START = 1777874400  # 2026-05-04 06:00:00 UTC
MINUTES = 370
BROKER, NS, LWM2M, SCADA, BOOTSTRAP, OCPP, WEB = (f"10.20.0.{n}" for n in (5, 10, 20, 30, 21, 40, 60))
INTRUDER = "10.20.9.9"
PUBLISHED = "5572404c696e6b4c6f52613230313823"

random = random.Random(2026)


def key():
    return f"{random.getrandbits(128):032x}"


class Sensor:
    """A LoRaWAN sensor: its device, what it is, how often it sends, which gateways hear it."""

    def __init__(self, number, device, name, profile, kind, port, every, payload, joins):
        self.number, self.device, self.name, self.profile, self.kind = number, device, name, profile, kind
        self.port, self.every, self.payload, self.joins = port, every, payload, joins
        self.phase = random.randrange(every)
        self.gateways = sorted(random.sample(range(5), random.choice((1, 1, 2, 3))))
        self.session = 0

    def facts(self):
        return {"dev_eui": self.device.dev_eui, "name": self.name, "class": self.kind, "profile": self.profile, "joins": self.joins, "app_key": self.device.app_key or "",
                "gateways": len(self.gateways)}


MILESIGHT, DRAGINO = "24e124c0002a0001", "a840410000000101"


def sensors():
    """(class, how many, DevEUI prefix, JoinEUI, name, profile, port, minutes between uplinks, payload, joins, key)"""
    plan = [
        ("parking sensor", 22, "24e124715e", MILESIGHT, "park", "Milesight EM400-TLD parking", 85, 60, "0175{b:02x}0400", 2, PUBLISHED),
        ("street light", 8, "24e124445f", MILESIGHT, "lamp-m", "Street light controller", 85, 45, "0175{b:02x}ff0b", 2, "derived"),
        ("street light", 14, "70b3d5326a", "70b3d5326a000001", "lamp-z", "Street light controller Zhaga", 2, 45, "a0{b:02x}3c", 1, None),
        ("water meter", 14, "8cf9572000", "8cf9572000000000", "meter", "Water meter Axioma W1", 100, 90, "0b1c0d{b:02x}2233445566", 1, None),
        ("water meter", 12, "8cf9572001", "8cf9572000000000", "meter-q", "Water meter Axioma W1", 100, 60, "0b1c0d{b:02x}2233445566", 0, None),
        ("air quality", 6, "24e124707c", MILESIGHT, "air", "Milesight AM319 air quality", 85, 20, "0367{b:02x}01046865", 1, None),
        ("waste bin", 8, "a840411f2e", DRAGINO, "bin", "Dragino LDDS75 waste bin level", 2, 120, "0b45{b:02x}0000", 1, None),
        ("flood sensor", 3, "a8404122aa", DRAGINO, "flood", "Dragino LLDS12 flood level", 2, 20, "0b50{b:02x}00", 1, None),
    ]
    made = []
    for kind, count, prefix, join_eui, name, profile, port, every, payload, joins, secret in plan:
        for number in range(1, count + 1):
            eui = f"{prefix}{number:06x}"
            device = Device(eui, join_eui, {None: key(), "derived": eui + eui}.get(secret, secret), dev_nonce=random.randrange(1, 60000))
            if joins == 0:
                device.dev_addr, device.nwk_s_key, device.app_s_key, device.app_key = f"01{random.getrandbits(24):06x}", key(), key(), None
                device.up = random.randrange(100, 9000)
            made.append(Sensor(len(made), device, f"{name}-{number:02d}", profile, kind, port, every, payload, joins))
    return made


PLCS = [(f"10.20.2.{11 + n}", "00:80:f4:20:02:%02x" % (11 + n), {0: "Schneider Electric", 1: "TM221CE24R", 2: version_text, 4: "Modicon M221", 5: "M221", 6: f"Pump station {n + 1}"})
        for n, version_text in enumerate(("V1.10.2.2", "V1.10.2.2", "V1.6.0.1", "V1.12.0.0"))]
PLCS += [(f"10.20.2.{15 + n}", "00:30:de:20:02:%02x" % (15 + n), {0: "WAGO", 1: "750-8212", 2: "03.10.08", 4: "PFC200", 5: "750-8212/025-000"}) for n in range(2)]
TASMOTA = [(f"BCDDC22B{n:02X}0{n}", f"10.20.3.{10 + n}", f"Fountain {n}", "13.3.0" if n % 2 else "9.5.0", "Sonoff POW R2", 6) for n in range(1, 6)]
SHELLY1 = [("shelly1-B929CC", "SHSW-1", "98F4ABB929CC", "10.20.3.31"), ("shellyplug-s-7C87CE", "SHPLG-S", "C45BBE7C87CE", "10.20.3.32")]
SHELLY2 = [("shellyplus1pm-a8032abe54dc", "SNSW-001P16EU", "Plus1PM", "A8032ABE54DC", "10.20.3.33", "1.0.8", False),
           ("shellypro4pm-f008d1d8b8b8", "SPSW-004PE16EU", "Pro4PM", "F008D1D8B8B8", "10.20.3.34", "1.1.0", True)]
LIGHTS = [(f"10.20.64.{10 + n}", f"olc-{4100 + n}", f"SL-{4100 + n}", l.street_light) for n in range(18)]
METERS = [(f"10.20.64.{60 + n}", f"wm-{7700 + n}", f"{7700 + n}", l.water_meter) for n in range(4)]
ONE_WAY = [f"10.20.7.{n}" for n in range(1, 9)]


def lwm2m_fleet(pipe, members):
    """All LwM2M devices in one process; commands come through a pipe: (name, index, arguments)."""

    async def body():
        loop = asyncio.get_running_loop()
        devices = {}
        while True:
            name, index, *arguments = await loop.run_in_executor(None, pipe.recv)
            address, endpoint, serial, make = members[index]
            if name == "register":
                if index not in devices:
                    devices[index] = l.Device(address, endpoint, make(serial), 86400)
                    await devices[index].start()
                await devices[index].register(LWM2M)
                await asyncio.sleep(0.16)
            elif name == "bootstrap":
                devices[index] = l.Device(address, endpoint, make(serial), 86400)
                await devices[index].start()
                await devices[index].bootstrap(BOOTSTRAP)
                await asyncio.sleep(0.3)
            elif name == "set":
                devices[index].set(*arguments)
                await asyncio.sleep(0.02)
            elif name == "update":
                await devices[index].update(LWM2M)
            pipe.send("done")

    asyncio.run(body())


def charge_point(address, serial):
    """OCPP 1.6 over cleartext WebSocket: boot, status, heartbeats."""
    import json

    import websockets

    async def body():
        async with websockets.connect(f"ws://{OCPP}:9000/ocpp/{serial}", subprotocols=["ocpp1.6"], compression=None, local_addr=(address, 0)) as connection:
            boot = {"chargePointVendor": "Alfen BV", "chargePointModel": "NG910-60003", "chargePointSerialNumber": serial, "firmwareVersion": "5.8.1-4123"}
            for number, (action, body) in enumerate((("BootNotification", boot), ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
                                                     ("Heartbeat", {}), ("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "2026-05-04T06:00:00Z", "sampledValue": [{"value": "1520"}]}]}),
                                                     ("Heartbeat", {}))):
                await connection.send(json.dumps([2, str(number), action, body]))
                await connection.recv()

    asyncio.run(body())


def central_system():
    import json

    import websockets

    async def serve(connection):
        async for message in connection:
            _, number, action, _ = json.loads(message)
            answer = {"BootNotification": {"currentTime": "2026-05-04T06:00:00Z", "interval": 300, "status": "Accepted"}, "Heartbeat": {"currentTime": "2026-05-04T06:00:00Z"}}
            await connection.send(json.dumps([3, number, answer.get(action, {})]))

    async def body():
        async with websockets.serve(serve, OCPP, 9000, subprotocols=["ocpp1.6"], compression=None):
            await asyncio.Future()

    asyncio.run(body())


def text_server(address, port, answers):
    """A server that answers the first word of each request with a fixed text (RTSP cameras, small web pages)."""
    listener = socket.create_server((address, port))

    def serve(connection):
        with connection:
            while data := connection.recv(4096):
                connection.sendall(answers(data.decode("latin1")).encode())

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def rtsp(request):
    sequence = next((line.split(":")[1].strip() for line in request.split("\r\n") if line.lower().startswith("cseq")), "1")
    head = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nServer: Rtsp Server/3.0\r\n"
    if request.startswith("DESCRIBE"):
        body = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=Media Presentation\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        return head + f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return head + "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n"


def page(_request):
    body = "<html><title>meter head</title>reading 1520</html>"
    return f"HTTP/1.1 200 OK\r\nServer: lighttpd/1.4.69\r\nContent-Length: {len(body)}\r\n\r\n{body}"


class City:
    def __init__(self, lab):
        self.lab, self.jumps, self.minute = lab, [], 0
        self.sensors = sensors()
        self.published, self.uplinks, self.joins = 0, 0, 0
        self.build()

    def build(self):
        lab = self.lab
        wide = lambda address: address + "/16"
        for name, address, mac in (("broker", BROKER, "b8:27:eb:20:00:05"), ("ns", NS, "00:15:5d:20:00:0a"), ("lwm2m", LWM2M, "00:15:5d:20:00:14"), ("scada", SCADA, "00:0c:29:20:00:1e"),
                                   ("bootstrap", BOOTSTRAP, "00:15:5d:20:00:15"), ("ocpp", OCPP, "00:15:5d:20:00:28"), ("web", WEB, "00:15:5d:20:00:3c"),
                                   ("z2m", "10.20.3.50", "dc:a6:32:20:03:32"), ("weather", "10.20.3.60", "dc:a6:32:20:03:3c"), ("intruder", INTRUDER, "00:0c:29:99:99:99")):
            lab.host(name, wide(address), mac=mac)
        for number in range(5):
            lab.host(f"gw{number}", wide(f"10.20.1.{number + 1}"), mac=f"70:76:ff:20:01:{number + 1:02x}")
        for number, (address, mac, identity) in enumerate(PLCS):
            lab.host(f"plc{number}", wide(address), mac=mac)
        for device in TASMOTA:
            lab.host(device[0], wide(device[1]), mac=":".join(device[0][i:i + 2] for i in range(0, 12, 2)))
        for device in SHELLY1:
            lab.host(device[0], wide(device[3]), mac=":".join(device[2][i:i + 2] for i in range(0, 12, 2)))
        for device in SHELLY2:
            lab.host(device[0], wide(device[4]), mac=":".join(device[3][i:i + 2] for i in range(0, 12, 2)))
        for number in range(2):
            lab.host(f"ev{number}", wide(f"10.20.4.{number + 1}"), mac=f"00:0d:6f:20:04:{number + 1:02x}")
            lab.host(f"camera{number}", wide(f"10.20.5.{number + 1}"), mac=f"44:19:b6:20:05:{number + 1:02x}")
        lab.host("apn", *[wide(member[0]) for member in LIGHTS + METERS], "10.20.64.90/16", mac="00:0e:8c:20:40:01")
        lab.host("branch", *[wide(address) for address in ONE_WAY], mac="00:0e:8c:20:07:01")

        q.broker(lab, "broker", users=[("admin", "admin"), ("chirpstack", "Wd5-unlisted-ns-77aa")], anonymous=True)
        for number, (address, mac, identity) in enumerate(PLCS):
            lab.start(f"plc{number}", lambda: m.serve({1: identity}))
        plan = [(Code.GET, "/3/0", {"accept": l.TLV}), (Code.GET, "/5/0", {"accept": l.TLV})]
        meters = {endpoint: [*plan, (Code.GET, "/3424/0", {"accept": l.TLV, "observe": 100000})] for _, endpoint, _, _ in METERS}
        lab.start("lwm2m", lambda: l.management_server(LWM2M, {**meters, "*": [*plan, (Code.GET, "/3417/0", {"accept": l.TLV}), (Code.GET, "/3416/0", {"accept": l.TLV, "observe": 100000})]}))
        lab.start("bootstrap", lambda: l.bootstrap_server(BOOTSTRAP, {1: {0: f"coap://{LWM2M}:5683", 1: False, 2: 3, 3: b"", 4: b"", 5: b"", 10: 101}}, l.server_object()[0]))
        self.fleet, theirs = multiprocessing.Pipe()
        lab.start("apn", lambda: lwm2m_fleet(theirs, LIGHTS + METERS))
        lab.start("ocpp", central_system)
        for number in range(2):
            lab.start(f"camera{number}", lambda: text_server(f"10.20.5.{number + 1}", 554, rtsp))
        for address in ONE_WAY:
            lab.start("branch", lambda: text_server(address, 8080, page))
        certificate, private = lab.work / "cert.pem", lab.work / "key.pem"
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", private, "-out", certificate, "-days", "90", "-subj", "/CN=portal.city.example")
        lab.program("web", "openssl", "s_server", "-accept", "443", "-key", private, "-cert", certificate, "-www")
        lab.program("lwm2m", "coap-server-openssl", "-A", LWM2M, "-p", "15683", "-d", "10", "-k", "secretPSK")
        for host, port, protocol in (("plc5", 502, "tcp"), ("lwm2m", 5683, "udp"), ("bootstrap", 5683, "udp"), ("ocpp", 9000, "tcp"), ("web", 443, "tcp")):
            wait_listening(lab, host, port, protocol)
        self.server = NetworkServer(lab, "ns", NS)
        self.gateways = [Gateway(lab, f"gw{number}", f"10.20.1.{number + 1}", self.server, f"7076ff00560620{number + 1:02x}", start=1_000_000 * (number + 1)) for number in range(5)]

    # --- Doing -----------------------------------------------------------------------------------------------------------------------------

    def pass_minute(self):
        """A quiet point; then the clock is a minute further."""
        time.sleep(0.03)
        self.jumps.append((time.time(), 60.0 - (time.time() - self.began)))
        time.sleep(0.01)
        self.minute += 1
        self.began = time.time()

    def mqtt(self, host, client_id, **options):
        return self.lab.inside(host, lambda: q.Client(BROKER, client_id, keepalive=3600, **options))

    def command(self, *words):
        self.fleet.send(words)
        if not self.fleet.poll(20):
            raise RuntimeError(f"no answer to {words}")
        self.fleet.recv()

    def frame_heard(self, sensor, frame):
        gateways = [self.gateways[number] for number in sensor.gateways]
        return gateways[0], heard(gateways, frame, channel=random.randrange(8), advance=random.randrange(900_000, 60_000_000))[0]

    def join(self, sensor):
        gateway, reception = self.frame_heard(sensor, sensor.device.join_request())
        sensor.session += 1
        gateway.transmit(sensor.device.join_accept(f"01{sensor.number:02x}{sensor.session:02x}{random.randrange(256):02x}", random.randrange(1, 1 << 24)), reception, delay=5_000_000)
        self.joins += 1
        self.application(sensor, 0)

    def uplink(self, sensor):
        self.frame_heard(sensor, sensor.device.uplink(sensor.port, sensor.payload.format(b=random.randrange(100))))
        self.uplinks += 1

    def application(self, sensor, which):
        """What the network server tells the application over MQTT: 0 the join, 1 an uplink."""
        device = sensor.device
        topic, payload, _ = chirpstack.v4_application(device.dev_eui, sensor.name, sensor.profile, device.dev_addr, self.gateways[sensor.gateways[0]].eui, uplinks=1)[which]
        self.chirpstack.publish(topic, payload)
        self.published += 1

    def first_minute(self):
        for gateway in self.gateways:
            gateway.pull()
        self.scada = [self.lab.inside("scada", lambda: m.Client(address)) for address, _, _ in PLCS]
        for wire in self.scada:
            wire.ask(m.identify(2))
        self.chirpstack = self.mqtt("ns", "chirpstack-auto-71c3", user="chirpstack", password="Wd5-unlisted-ns-77aa")
        self.dashboard = self.mqtt("scada", "city-dashboard")
        self.dashboard.subscribe(("application/#", 0), ("zigbee2mqtt/#", 0), ("tasmota/discovery/#", 0), ("shellies/#", 0), ("homeassistant/#", 0), ("+/events/rpc", 0))
        self.zigbee = self.mqtt("z2m", "mqttjs_7be012fa", user="admin", password="admin", will=("zigbee2mqtt/bridge/state", '{"state":"offline"}', 1, True))
        self.zigbee.publish_all(products.zigbee2mqtt(), pause=0)
        self.weather = self.mqtt("weather", "ecowitt2mqtt")
        origin = {"name": "ecowitt2mqtt", "sw_version": "2023.09.0", "support_url": "https://example.org"}
        for number in (1, 2):
            device = {"identifiers": [f"weather-{number}"], "connections": [["mac", f"48:55:19:00:00:0{number}"]], "name": f"Weather station {number}", "manufacturer": "Ecowitt",
                      "model": "WS3910 weather station", "sw_version": "2.1.4", "hw_version": "1.0", "serial_number": f"EC{number:06d}"}
            self.weather.publish_all(products.home_assistant_sensor("homeassistant", f"weather-{number}_t", device, origin), pause=0)

    def small_devices(self):
        self.plugs = []
        for mac, ip, name, firmware, module, number in TASMOTA:
            topic = f"tasmota_{mac[-6:]}"
            client = self.mqtt(mac, f"DVES_{mac[-6:]}", will=(f"tele/{topic}/LWT", "Offline", 1, True))
            client.publish_all(products.tasmota(mac, ip, name, firmware, module, number), pause=0)
            client.subscribe((f"cmnd/{topic}/#", 0))
            self.plugs.append((client, f"tele/{topic}/STATE"))
        for device in SHELLY1:
            client = self.mqtt(device[0], device[0], will=(f"shellies/{device[0]}/online", "false", 0, True))
            client.publish_all(products.shelly_gen1(*device), pause=0)
            self.plugs.append((client, f"shellies/{device[0]}/relay/0/power"))
        for device in SHELLY2:
            client = self.mqtt(device[0], device[0], will=(f"{device[0]}/online", "false", 0, True))
            client.publish_all(products.shelly_gen2(*device), pause=0)
            self.plugs.append((client, f"{device[0]}/status/switch:0"))

    def write_pump(self):
        wire = self.lab.inside("intruder", lambda: m.Client(PLCS[2][0]))
        for request in (m.identify(1), m.read_coils(0, 32), m.write_coil(4, False), m.write_registers(10, [0] * 8)):
            wire.ask(request)
        wire.close()

    def try_passwords(self):
        for user, password in (("root", "xc3511"), ("admin", "1234"), ("root", "root"), ("support", "support"), ("admin", "admin")):
            client = self.mqtt("intruder", "mqtt-explorer", user=user, password=password)
            client.disconnect()

    def dtls_device(self, identity):
        self.lab.command("apn", "coap-client-openssl", "-B", "3", "-a", "10.20.64.90", "-u", identity, "-k", "secretPSK", "-m", "post", "-t", "40", "-e", "</3/0>,</3416/0>",
                         f"coaps://{LWM2M}:15684/rd?ep={identity}&lt=86400&lwm2m=1.1&b=U", check=False)

    def fetch(self, host, address, port, text):
        def body():
            with socket.create_connection((address, port), 5) as connection:
                connection.sendall(text.encode())
                connection.recv(4096)

        self.lab.inside(host, body)

    def run(self):
        self.began = time.time()
        events = {1: [self.first_minute], 2: [self.small_devices], 232: [self.try_passwords], 281: [self.write_pump],
                  20: [lambda: self.dtls_device("Client_identity")], 150: [lambda: self.dtls_device("Client_identity")]}
        for number in range(2):
            for minute in (9 + number, 180 + number):
                events.setdefault(minute, []).append(lambda number=number: self.lab.run(f"ev{number}", charge_point, f"10.20.4.{number + 1}", f"ACE01{number:05d}"))
            for minute in (12, 100, 250):
                events.setdefault(minute, []).append(lambda number=number: self.fetch("scada", f"10.20.5.{number + 1}", 554,
                                                     f"DESCRIBE rtsp://10.20.5.{number + 1}:554/Streaming/Channels/101 RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n"))
        for number, address in enumerate(ONE_WAY):
            events.setdefault(40 + 30 * number, []).append(lambda address=address: self.fetch("scada", address, 8080, f"GET /reading HTTP/1.1\r\nHost: {address}\r\n\r\n"))
        for minute in (60, 190, 300):
            events.setdefault(minute, []).append(lambda: self.lab.command("scada", "sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -connect {WEB}:443 -quiet", check=False))
        for index, member in enumerate(LIGHTS + METERS):
            if index == 17:
                events.setdefault(130, []).append(lambda index=index: self.command("bootstrap", index))
            events.setdefault(131 if index == 17 else 3 + index // 2, []).append(lambda index=index: self.command("register", index))
            for minute in range(70 + index, MINUTES, 60):
                if index != 17 or minute > 131:
                    events.setdefault(minute, []).append(lambda index=index: self.command("update", index))
            if index < len(LIGHTS):
                for minute in range(45 + index, MINUTES, 40):
                    if index != 17 or minute > 131:
                        events.setdefault(minute, []).append(lambda index=index, minute=minute: self.command("set", index, (3416, 0, 3), 30 + (minute * 7 + index) % 70))
        for sensor in self.sensors:
            for turn in range(sensor.joins):
                events.setdefault(5 + sensor.number // 4 + 170 * turn, []).append(lambda sensor=sensor: self.join(sensor))
        while self.minute < MINUTES:
            for event in events.get(self.minute, ()):
                event()
            if self.minute >= 1:
                if self.minute % 2 == 0:
                    for number, wire in enumerate(self.scada):
                        wire.ask(m.read_holding(0, 20))
                        if self.minute % 30 == 0 and number != 2:
                            wire.ask(m.write_register(12, 500 + self.minute % 40))
                for sensor in self.sensors:
                    joined = sensor.joins == 0 or self.minute > 5 + sensor.number // 4
                    if joined and (self.minute + sensor.phase) % sensor.every == 0:
                        self.uplink(sensor)
                        if self.minute % 3 == 0 or self.minute < 150:
                            self.application(sensor, 1)
                if self.minute % 10 == 5:
                    for gateway in self.gateways:
                        gateway.pull()
                        gateway.push(stat=gateway.stat(f"2026-05-04 {6 + self.minute // 60:02d}:{self.minute % 60:02d}:00 GMT"))
                if self.minute % 15 == 7 and self.minute > 2:
                    for client, topic in self.plugs:
                        client.publish(topic, products.text({"POWER": "ON", "Uptime": self.minute}))
                    for device in products.ZIGBEE:
                        self.zigbee.publish(f"zigbee2mqtt/{device[2]}", products.text({"battery": 90, "linkquality": random.randrange(60, 180)}))
                    for number in (1, 2):
                        self.weather.publish(f"homeassistant_state/weather-{number}_t", f"{12 + self.minute / 40:.1f}")
            self.pass_minute()
        time.sleep(0.3)


@case("city", version("pymodbus"), debian("mosquitto"), version("paho-mqtt"), LORA_PACKET, version("aiocoap"), version("chirpstack-api"), version("websockets"), debian("libcoap3-bin"),
      ipv6=True, timestamps="stretched", capture="capture.pcap.zst")
def six_hours(lab):
    """The demo: a city's field network from 06:00 to 12:08 UTC. Most devices are healthy. Bad: 22 parking sensors with one published AppKey and 8 street lights with
    DevEUI||DevEUI (two joins each), a broker that accepts anonymous clients and admin/admin, a bootstrap without security, a DTLS client with a known PSK identity, an unknown
    host that tries passwords and writes to a pump PLC. Also TLS flows (unread), flows seen one way, OCPP and RTSP (undecoded)."""
    city = City(lab)
    with lab.capture("raw.pcap", keep="(ip or arp) and not src net 10.20.7.0/24 and not igmp", settle=1.5):
        city.run()
    raw, stretched = lab.folder / "raw.pcap", lab.folder / "capture.pcap"
    end = stretch(raw, stretched, START, city.jumps)
    raw.unlink()
    subprocess.run(["zstd", "-q", "-19", "--rm", "-f", str(stretched)], check=True)
    by_class = {}
    for sensor in city.sensors:
        by_class[sensor.kind] = by_class.get(sensor.kind, 0) + 1
    lorawan = dict(by_class)
    by_class["street light"] += len(LIGHTS)
    by_class["water meter"] += len(METERS)
    by_class |= {"pump PLC": len(PLCS), "gateway": 5, "weather station": 2, "EV charger": 2, "camera": 2, "switch or plug": len(TASMOTA) + len(SHELLY1) + len(SHELLY2),
                 "Zigbee device": len(products.ZIGBEE)}
    return {
        "stretched_by": "pcaps/record/stretch.py: packets keep their spacing, 60 s pass at each quiet point", "first_time": "2026-05-04T06:00:00Z", "seconds": round(end - START),
        "devices_by_class": by_class, "field_devices": sum(by_class.values()), "lorawan_devices_by_class": lorawan,
        "servers": {"broker": BROKER, "lorawan_network_server": NS, "lwm2m_server": LWM2M, "lwm2m_bootstrap_server": BOOTSTRAP, "scada": SCADA, "ocpp_central_system": OCPP, "web": WEB,
                    "zigbee2mqtt": "10.20.3.50", "weather_bridge": "10.20.3.60"},
        "intruder": INTRUDER, "intruder_writes_to": PLCS[2][0], "intruder_default_pairs": {"tried": 5, "accepted": ["admin:admin"]},
        "published_app_key": PUBLISHED, "devices_with_published_key": 22, "devices_with_dev_eui_twice_as_key": 8, "devices_without_join": 12,
        "lorawan_joins": city.joins, "lorawan_uplinks": city.uplinks, "application_events": city.published, "gateways": [gateway.eui for gateway in city.gateways],
        "broker_accepts_anonymous": True, "default_pair_accepted": "admin:admin", "bootstrap_to_nosec": LIGHTS[17][1], "known_psk_identity": "Client_identity",
        "lwm2m_endpoints": [endpoint for _, endpoint, _, _ in LIGHTS + METERS], "tls_flows": 3, "one_way_flows": len(ONE_WAY), "one_way_servers": ONE_WAY,
        "secrets_that_must_not_leak": ["Wd5-unlisted-ns-77aa"],
        "plcs": [{"address": address, "mac": mac.replace(":", ""), "vendor": identity[0], "product_code": identity[1], "revision": identity[2]} for address, mac, identity in PLCS],
        "sensors": [sensor.facts() for sensor in city.sensors],
    }


if __name__ == "__main__":
    main(__file__)
