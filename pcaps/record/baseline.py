"""Baseline cases: what is normal (`normal.pcap`), the same situation some time later (`again.pcap`), and with something that was not there before
(`capture.pcap`). The facts say how many findings each check of the baseline must have on the last, and that it has none on the second."""

import asyncio
import json
import time

import coap_actors as a
import lwm2m_actors as l
import modbus_actors as m
import pysparkplug
from aiocoap import Code, Message
from lab import case, debian, main, version, wait_listening
from lorawan_actors import Gateway, heard, site
from lorawan_frames import LORA_PACKET, Device
from mqtt_actors import BROKER, WIDE, Client, hosts

PYMODBUS, PAHO, MOSQUITTO, AIOCOAP = version("pymodbus"), version("paho-mqtt"), debian("mosquitto"), version("aiocoap")
NAME = {0: "Schneider Electric", 1: "TM221CE24R", 2: "V1.10.2.2", 4: "Modicon M221", 5: "M221"}
PLC, SCADA, PANEL = "10.10.0.10", "10.10.0.100", "10.10.0.101"


def three(lab, usual, strange, keep=None):
    """What is usual twice, and then both together."""
    for name, parts in (("normal.pcap", (usual,)), ("again.pcap", (usual,)), ("capture.pcap", (usual, strange))):
        with lab.capture(name, keep=keep):
            for part in parts:
                part()


def controller(lab):
    lab.host("plc", PLC, mac="00:80:f4:10:00:0a")
    lab.host("scada", SCADA, mac="00:0c:29:10:00:64")
    lab.host("panel", PANEL, mac="00:0c:29:10:00:65")
    lab.start("plc", lambda: m.serve({1: NAME}))
    wait_listening(lab, "plc", 502)


def asks(*requests, turns=1, pause=0.05):
    """A client that asks these in each turn."""

    def body():
        wire = m.Client(PLC)
        for _ in range(turns):
            for request in requests:
                wire.ask(request)
            wire.pause(pause)
        wire.close()

    return body


@case("baseline", PYMODBUS)
def modbus_strangers(lab):
    """A control system polls a controller and writes its set point, a panel reads. Then: a host writes coils (and reads), another only reads, a third asks for maker and model, and the
    control system itself reads registers that it never read."""
    controller(lab)
    for name, address in (("intruder", "10.10.0.77"), ("historian", "10.10.0.78"), ("scanner", "10.10.0.79")):
        lab.host(name, address, mac=f"00:0c:29:77:00:{address[-2:]}")

    def usual():
        lab.run("scada", asks(m.read_holding(0, 20), m.read_coils(0, 16), m.write_register(12, 500), turns=5))
        lab.run("panel", asks(m.read_holding(0, 10), turns=3))

    def strange():
        lab.run("intruder", asks(m.read_coils(0, 16), m.write_coil(4, False), m.write_coils(0, [False] * 16)))
        lab.run("historian", asks(m.read_holding(0, 20), turns=2))
        lab.run("scanner", asks(m.identify(1)))
        lab.run("scada", asks(m.read_holding(100, 20)))

    three(lab, usual, strange)
    return {"server": PLC, "writer": "10.10.0.77", "reader": "10.10.0.78", "identifier": "10.10.0.79", "new_registers": "holding 100-119",
            "deviations": {"modbus-new-writer": 1, "modbus-new-master": 1, "modbus-identified-by-new-client": 1, "modbus-new-registers-read": 1, "device-new": 3}}


@case("baseline", PYMODBUS)
def modbus_known_reader_writes(lab):
    """A panel that has only ever read writes a register: a client that is known, and does not write here."""
    controller(lab)

    def usual():
        lab.run("scada", asks(m.read_holding(0, 20), m.write_register(12, 500), turns=5))
        lab.run("panel", asks(m.read_holding(0, 10), turns=3))

    three(lab, usual, lambda: lab.run("panel", asks(m.write_register(12, 510))))
    return {"server": PLC, "writer": PANEL, "deviations": {"modbus-new-writer": 1}}


@case("baseline", PYMODBUS)
def modbus_set_point(lab):
    """A level swings, a meter counts, a mode changes between 1 and 2; the control system writes all three and reads them, 250 times. Then it writes a level of 5,000 where 500 to 539 was
    usual; the meter goes on counting, the mode stays."""
    controller(lab)
    turn = [0]

    def usual():
        def body():
            wire = m.Client(PLC)
            for _ in range(250):
                turn[0] += 1
                wire.ask(m.write_registers(20, [500 + turn[0] * 7 % 40, turn[0], 1 + turn[0] // 50 % 2]))
                wire.ask(m.read_holding(20, 3))
            wire.close()

        lab.run("scada", body)
        turn[0] += 250

    three(lab, usual, lambda: lab.run("scada", asks(m.write_register(20, 5000), m.read_holding(20, 3))))
    return {"server": PLC, "register": 20, "usual": [500, 539], "value": 5000, "deviations": {"modbus-value-out-of-range": 1}}


def publishes(client_id, topic, value, count=2):
    def body():
        client = Client(BROKER, client_id)
        for _ in range(count):
            client.publish(topic, json.dumps({"v": value}), 1)
            time.sleep(0.02)
        client.disconnect()

    return body


@case("baseline", MOSQUITTO, PAHO)
def mqtt_topic_of_another(lab):
    """Three sensors publish their readings, a controller commands a valve, both read by a dashboard. Then a stranger publishes on a sensor's topic and on the valve's; and a fourth sensor
    is put up that publishes on a topic of its own, which is no more than a new device."""
    hosts(lab)
    for number in (1, 2, 3, 4):
        lab.host(f"level{number}", f"10.20.1.{20 + number}{WIDE}", mac=f"24:0a:c4:20:01:{20 + number}")
    lab.host("stranger", "10.20.0.66" + WIDE, mac="00:0c:29:20:00:66")

    def watch():
        client = Client(BROKER, "dashboard")
        client.subscribe(("levels/+/reading", 0), ("valve/+/set", 0))
        client.wait_messages(4)
        client.disconnect()

    def usual():
        watching = lab.start("server", watch)
        time.sleep(0.4)
        for number in (1, 2, 3):
            lab.run(f"level{number}", publishes(f"level-{number}", f"levels/{number}/reading", 100 + number))
        lab.run("server", publishes("controller", "valve/7/set", 0, 1))
        lab.join(watching)

    def strange():
        lab.run("stranger", publishes("explorer-19", "levels/2/reading", 999))
        lab.run("stranger", publishes("explorer-19", "valve/7/set", 1))
        lab.run("level4", publishes("level-4", "levels/4/reading", 104))

    three(lab, usual, strange)
    return {"broker": BROKER, "stranger": "10.20.0.66", "topics_taken": ["levels/2/reading", "valve/7/set"], "new_sensor": "level-4",
            "deviations": {"mqtt-new-publisher": 1, "device-new": 2}}


@case("baseline", MOSQUITTO, PAHO, version("pysparkplug"))
def sparkplug_new_host(lab):
    """The control system asks an edge node for a rebirth now and then. Then another host does."""
    hosts(lab)
    lab.host("stranger", "10.20.0.66" + WIDE, mac="00:0c:29:20:00:66")
    base, kind = "spBv1.0/CityWater/{}/station-4", pysparkplug.DataType
    metric = lambda name, datatype, value: pysparkplug.Metric(timestamp=1777874400000, name=name, datatype=datatype, value=value)

    def edge():
        client = Client(BROKER, "edge-station-4")
        client.subscribe((base.format("NCMD"), 1))
        birth = pysparkplug.NBirth(timestamp=1777874400000, seq=0, metrics=[metric("bdSeq", kind.INT64, 0), metric("Node Control/Rebirth", kind.BOOLEAN, False)])
        client.publish(base.format("NBIRTH"), birth.encode(include_dtypes=True))
        time.sleep(1.5)
        client.disconnect()

    def ask(client_id):
        client = Client(BROKER, client_id)
        rebirth = pysparkplug.NCmd(timestamp=1777874402000, metrics=[metric("Node Control/Rebirth", kind.BOOLEAN, True)])
        client.publish(base.format("NCMD"), rebirth.encode(include_dtypes=True), 1)
        client.disconnect()

    def usual():
        running = lab.start("sensor", edge)
        time.sleep(0.6)
        lab.run("server", ask, "scada-host")
        lab.join(running)

    three(lab, usual, lambda: lab.run("stranger", ask, "paho-77ab"))
    return {"broker": BROKER, "stranger": "10.20.0.66", "edge_node": "CityWater/station-4",
            "deviations": {"sparkplug-new-commander": 1, "mqtt-new-publisher": 1, "device-new": 1}}


@case("baseline", AIOCOAP, ipv6=True)
def coap_new_client(lab):
    """A controller sets a lamp's interval by CoAP and reads it; a panel reads. Then a stranger sets it; another only reads, which is no finding."""
    lamp, scada = "10.30.0.10", "10.30.0.100"
    lab.host("lamp", lamp, mac="f4:ce:36:30:00:0a")
    lab.host("scada", scada, mac="00:15:5d:30:00:64")
    lab.host("stranger", "10.30.0.66", mac="00:0c:29:30:00:66")
    lab.host("reader", "10.30.0.67", mac="00:0c:29:30:00:67")
    lab.start("lamp", lambda: a.serve(lamp))
    wait_listening(lab, "lamp", 5683, "udp")
    time.sleep(0.3)

    def client(host, *requests):
        async def work(context):
            for code, payload in requests:
                await a.ask(context, code, f"coap://{lamp}/config", payload, **({"content_format": 0} if payload else {}))

        lab.run(host, lambda: a.run(work))

    def usual():
        client("scada", (Code.PUT, b"interval=60"), (Code.GET, b""))

    def strange():
        client("stranger", (Code.PUT, b"interval=1"))
        client("reader", (Code.GET, b""))

    three(lab, usual, strange, keep="not icmp6")
    return {"server": lamp, "stranger": "10.30.0.66", "reader": "10.30.0.67", "deviations": {"coap-changed-by-new-client": 1, "device-new": 2}}


@case("baseline", AIOCOAP, "LwM2M after OMA-TS-LightweightM2M", ipv6=True)
def lwm2m_new_server(lab):
    """A management server dims a street light that registers with it. Then another host has the light restart, without any registration."""
    server, light = "10.30.0.2", "10.30.4.11"
    lab.host("server", server + "/16", mac="00:15:5d:30:00:02")
    lab.host("light", light + "/16", mac="f4:ce:36:30:04:11")
    lab.host("stranger", "10.30.9.9/16", mac="00:0c:29:30:09:09")
    plan = [(Code.PUT, "/3311/0/5851", b"40")]

    async def manage(context, remote, *_):
        for code, path, payload in plan:
            request = Message(code=code, payload=payload, content_format=0)
            request.remote = remote
            request.opt.uri_path = path.strip("/").split("/")
            await context.request(request).response

    def serve():
        l.operate = manage
        l.management_server(server, {})

    def life():
        async def body():
            device = l.Device(light, "light-01", l.street_light("SL-000001"))
            await device.start()
            await device.register(server)
            await asyncio.sleep(0.6)
            await device.update(server)
            if (lab.work / "strange").exists():
                await asyncio.sleep(1.2)
            await device.stop()

        asyncio.run(body())

    lab.start("server", serve)
    wait_listening(lab, "server", 5683, "udp")

    def usual():
        lab.run("light", life)

    def strange():
        (lab.work / "strange").touch()
        running = lab.start("light", life)
        time.sleep(1.0)

        async def work(context):
            await a.ask(context, Code.POST, f"coap://{light}/3/0/4")

        lab.run("stranger", lambda: a.run(work))
        lab.join(running)

    three(lab, usual, strange, keep="udp or arp")
    return {"server": server, "device": light, "stranger": "10.30.9.9", "deviations": {"lwm2m-new-server-commands": 1, "device-new": 1}}


@case("baseline", LORA_PACKET, "GWMP written after Semtech's protocol document")
def lorawan_new_gateway(lab):
    """Two gateways report what a sensor sends. Then a third one does that was not there before."""
    server, gateways = site(lab, 2)
    lab.host("gw9", "10.40.1.9/16", mac="70:76:ff:06:00:09")
    third = Gateway(lab, "gw9", "10.40.1.9", server, "7076ff0056060009", 2, start=9_000_000)
    sensor = Device("24e124136b0000aa", "24e124c0002a0001", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    frames = iter(range(1, 100))

    def usual():
        for gateway in gateways:
            gateway.pull()
        receptions = heard(gateways, sensor.join_request(0x1000 + next(frames)))
        gateways[0].transmit(sensor.join_accept("260b00aa", 0x000200 + next(frames)), receptions[0], delay=5_000_000)
        for value in range(3):
            heard(gateways, sensor.uplink(85, f"0175{60 + value:02x}"))

    def strange():
        third.pull()
        heard([third], sensor.uplink(85, "01750a"))
        third.push(stat=third.stat())

    three(lab, usual, strange)
    return {"network_server": server.address, "gateways": [gateway.eui for gateway in gateways], "new_gateway": third.eui,
            "deviations": {"lorawan-new-gateway": 1}}


@case("baseline", PYMODBUS)
def new_peer_and_new_address(lab):
    """A controller's panel reads it; then the panel, which spoke to nobody else, has a session with a host on port 8443. And the control system has another address than before, with the
    same network card: that is the same device, and nothing about it is new."""
    controller(lab)
    lab.host("elsewhere", "10.10.0.200", mac="00:0c:29:10:00:c8")

    def listen():
        import socket

        listener = socket.create_server(("10.10.0.200", 8443))
        while True:
            connection, _ = listener.accept()
            connection.sendall(b"\x00\x01hello\n")
            connection.recv(100)
            connection.close()

    lab.start("elsewhere", listen)
    wait_listening(lab, "elsewhere", 8443)

    def usual():
        lab.run("scada", asks(m.read_holding(0, 20), m.write_register(12, 500), turns=5))
        lab.run("panel", asks(m.read_holding(0, 10), turns=3))

    def strange():
        def speak():
            import socket

            connection = socket.create_connection(("10.10.0.200", 8443))
            connection.recv(100)
            connection.sendall(b"\x00\x01what was read\n")
            connection.close()

        lab.run("panel", speak)

    for name in ("normal.pcap", "again.pcap", "capture.pcap"):
        if name != "normal.pcap":
            # A new lease: the packets go on, from another address.
            lab.ip("scada", "address", "flush", "dev", "eth0")
            lab.address("scada", "10.10.0.110" if name == "again.pcap" else "10.10.0.120")
        with lab.capture(name):
            usual()
            if name == "capture.pcap":
                strange()
    return {"server": PLC, "panel": PANEL, "peer": "10.10.0.200", "addresses": [SCADA, "10.10.0.110", "10.10.0.120"],
            "deviations": {"new-peer": 1, "device-new": 1}}


if __name__ == "__main__":
    main(__file__)
