"""How a site is set up badly, and what grows out of it: devices that the outside reaches, clocks that are wrong, certificates that expired, Telnet, and
clients that misuse what they are given; each beside others that do as they should."""

import asyncio
import datetime
import json
import socket
import time

import coap_actors as a
import modbus_actors as m
from aiocoap import NON, Code, Message
from lab import case, debian, main, sh, version, wait_listening
from lorawan_actors import Gateway, NetworkServer
from mqtt_actors import BROKER, SENSOR, SERVER, WIDE, Client, Encoder, hosts
from scapy.all import IP, UDP, Ether, Raw
from stretch import stretch

PYMODBUS, PAHO, MOSQUITTO, AIOCOAP, LIBCOAP = version("pymodbus"), version("paho-mqtt"), debian("mosquitto"), version("aiocoap"), debian("libcoap3-bin")
SCAPY = version("scapy")
LIAR_MAC, DEVICE_MAC = "00:0c:29:30:00:66", "f4:ce:36:30:00:0a"
OUTSIDE, OUTSIDE_MAC = "203.0.113.66", "00:0c:29:71:00:42"
START = 1777874400  # 2026-05-04 06:00:00 UTC


def outside(lab, *own):
    """A host with an address of the Internet, on the wire of the site; its networks and the host know the way to each other."""
    host = lab.host("outside", OUTSIDE, mac=OUTSIDE_MAC)
    lab.ip(host, "route", "add", "10.0.0.0/8", "dev", "eth0")
    for name in own:
        lab.ip(name, "route", "add", "203.0.113.0/24", "dev", "eth0")
    return host


def read_registers(address, times):
    client = m.Client(address)
    for turn in range(times):
        client.ask(m.read_holding(16 + turn, 4))
        time.sleep(0.1)
    client.close()


@case("modbus", PYMODBUS)
def asked_from_outside(lab):
    """A controller whose port 502 is open to the Internet: a host at 203.0.113.66 reads its registers six times, as the control room at 10.20.0.20 does."""
    plc = lab.host("plc", "10.20.2.5/16", mac="00:80:f4:20:02:05")
    control = lab.host("control", "10.20.0.20/16", mac="00:15:5d:20:00:14")
    stranger = outside(lab, plc)
    lab.start(plc, lambda: m.serve({1: {}}))
    wait_listening(lab, plc, 502)
    with lab.capture():
        lab.run(control, read_registers, "10.20.2.5", 6)
        lab.run(stranger, read_registers, "10.20.2.5", 6)
    return {"server": "10.20.2.5", "control": "10.20.0.20", "outside": OUTSIDE, "requests": 12, "responses": 12}


@case("lorawan", "GWMP by our script")
def forwarder_over_the_internet(lab):
    """Two gateways with the Semtech UDP protocol: one at 203.0.113.66 reaches the network server from the Internet, one stands on its network."""
    lab.host("ns", "10.40.0.2/16", mac="00:15:5d:40:00:02")
    inside = lab.host("gw1", "10.40.1.1/16", mac="70:76:ff:06:00:01")
    stranger = outside(lab, "ns")
    server = NetworkServer(lab, "ns", "10.40.0.2")
    gateways = [Gateway(lab, inside, "10.40.1.1", server, "7076ff0056060001"), Gateway(lab, stranger, OUTSIDE, server, "7076ff0056060042")]
    with lab.capture():
        for _ in range(3):
            for gateway in gateways:
                gateway.pull()
                gateway.push(stat=gateway.stat(utc()))
            time.sleep(0.2)
    return {"server": "10.40.0.2", "outside": OUTSIDE, "gateway_outside": "7076ff0056060042", "gateway_inside": "7076ff0056060001"}


def utc(ahead=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ahead)).strftime("%Y-%m-%d %H:%M:%S GMT")


@case("lorawan", "GWMP by our script")
def clocks_of_gateways(lab):
    """Six gateways report their status: the clocks of three are right, one says 1970 as it never reached a time server, one is two hours ahead as its time zone is wrong, and one
    says 1970 first and the right time after it reached its server."""
    lab.host("ns", "10.40.0.2/16", mac="00:15:5d:40:00:02")
    server = NetworkServer(lab, "ns", "10.40.0.2")
    made = []
    for number in range(1, 7):
        host = lab.host(f"gw{number}", f"10.40.1.{number}/16", mac=f"70:76:ff:06:00:{number:02x}")
        made.append(Gateway(lab, host, f"10.40.1.{number}", server, f"7076ff00560600{number:02x}"))
    jumps = []
    with lab.capture("raw.pcap"):
        for turn in range(3):
            for number, gateway in enumerate(made):
                gateway.pull()
                told = datetime.datetime.fromtimestamp(START + turn * 60, datetime.timezone.utc)
                if number == 3 or (number == 5 and turn < 2):
                    told = datetime.datetime.fromtimestamp(41 + turn * 60, datetime.timezone.utc)
                elif number == 4:
                    told += datetime.timedelta(hours=2)
                gateway.push(stat=gateway.stat(told.strftime("%Y-%m-%d %H:%M:%S GMT")))
            time.sleep(0.1)
            jumps.append((time.time(), 59))
            time.sleep(0.1)
    stretch(lab.folder / "raw.pcap", lab.folder / "capture.pcap", START, jumps)
    (lab.folder / "raw.pcap").unlink()
    return {"right": 4, "never_set": "7076ff0056060004", "two_hours_ahead": "7076ff0056060005", "set_late": "7076ff0056060006"}


@case("coap", LIBCOAP)
def proxy_asked_from_outside(lab):
    """A forward proxy (libcoap's server) that the Internet reaches: a host at 203.0.113.66 has it fetch /time from a device behind it. A management host reads the proxy itself."""
    server = lab.host("server", "10.30.0.10/16", mac="f4:ce:36:30:00:0a")
    inner = lab.host("inner", "10.30.0.11/16", mac="f4:ce:36:30:00:0b")
    client = lab.host("client", "10.30.0.100/16", mac="00:15:5d:30:00:64")
    stranger = outside(lab, server)
    lab.program(server, "coap-server-notls", "-A", "10.30.0.10", "-P", ",10.30.0.10")
    lab.program(inner, "coap-server-notls", "-A", "10.30.0.11", "-d", "10")
    for host in (server, inner):
        wait_listening(lab, host, 5683, "udp")
    with lab.capture():
        lab.command(client, "coap-client-notls", "-B", "3", "-m", "get", "coap://10.30.0.10/time")
        lab.command(stranger, "coap-client-notls", "-B", "5", "-m", "get", "-P", "coap://10.30.0.10", "coap://10.30.0.11/time")
    return {"proxy": "10.30.0.10", "outside": OUTSIDE, "fetched_from": "10.30.0.11"}


class Chatty(a.resource.ObservableResource):
    """Changes five times a second and says much each time."""

    def __init__(self):
        super().__init__()
        asyncio.get_running_loop().create_task(self._run())

    async def _run(self):
        while True:
            await asyncio.sleep(0.2)
            self.updated_state()

    async def render_get(self, request):
        return Message(code=Code.CONTENT, payload=b"m" * 900, content_format=0)


def chatty_server():
    async def body():
        root = a.resource.Site()
        root.add_resource(["log"], a.Value(b"line of a log, " * 800, 0))
        root.add_resource(["state"], Chatty())
        await a.aiocoap.Context.create_server_context(root, bind=("10.30.0.10", 5683))
        await asyncio.get_running_loop().create_future()

    a.os.environ["AIOCOAP_SERVER_TRANSPORT"] = "udp6"
    asyncio.run(body())


def forged(path, victim, times, observe=None, pause=0.02):
    """Requests whose sender is a lie, as a flooding tool makes them."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("eth0", 0))
    for number in range(times):
        message = Message(code=Code.GET, uri_path=(path,), observe=observe)
        message.mtype, message.mid, message.token = NON, 4000 + number, number.to_bytes(2, "big")
        wire.send(bytes(Ether(src=LIAR_MAC, dst=DEVICE_MAC) / IP(src=victim, dst="10.30.0.10") / UDP(sport=5683, dport=5683) / Raw(message.encode())))
        time.sleep(pause)


def flooded(lab):
    """A server, a client that downloads from it, a victim that drops what it never asked for, and a host that lies."""
    server = lab.host("server", "10.30.0.10", mac=DEVICE_MAC)
    client = lab.host("client", "10.30.0.100", mac="00:15:5d:30:00:64")
    victim = lab.host("victim", "10.30.0.77", mac="00:15:5d:30:00:4d")
    liar = lab.host("liar", "10.30.0.66", mac=LIAR_MAC)
    # Something listens at the victim, so that no ICMP goes back.
    lab.start(victim, listen, "10.30.0.77", 5683)
    lab.start(server, chatty_server)
    wait_listening(lab, server, 5683, "udp")
    time.sleep(0.3)
    return server, client, liar


def listen(address, port):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, port))
    while True:
        made.recv(2000)


@case("coap", AIOCOAP, SCAPY, LIBCOAP, ipv6=True)
def flood_of_answers(lab):
    """A host that forges the sender 10.30.0.77 asks a device for its log 120 times within some seconds: 25 bytes each, answered with more than a thousand. A client downloads the
    same log in blocks, again and again, which is as much and shows at each block that it asked."""
    _, client, liar = flooded(lab)
    with lab.capture(keep="not icmp6"):
        for _ in range(6):
            lab.command(client, "coap-client-notls", "-B", "8", "-m", "get", "-o", "/dev/null", "coap://10.30.0.10/log")
        lab.run(liar, forged, "log", "10.30.0.77", 120)
    return {"server": "10.30.0.10", "victim": "10.30.0.77", "client": "10.30.0.100", "forged_requests": 120}


@case("coap", AIOCOAP, SCAPY, LIBCOAP, ipv6=True)
def notifications_to_a_victim(lab):
    """A host that forges the sender 10.30.0.77 has a device send every change of a value there: one request, and 900 bytes five times a second from then on. A client watches the same
    value and acknowledges."""
    _, client, liar = flooded(lab)
    with lab.capture(keep="not icmp6"):
        lab.run(liar, forged, "state", "10.30.0.77", 1, 0)
        lab.command(client, "coap-client-notls", "-B", "12", "-m", "get", "-s", "10", "-o", "/dev/null", "coap://10.30.0.10/state")
        time.sleep(6)
    return {"server": "10.30.0.10", "victim": "10.30.0.77", "client": "10.30.0.100", "forged_requests": 1}


@case("mqtt", MOSQUITTO, PAHO)
def many_wildcards(lab):
    """A host that may not ask for # asks for 130 families of topics instead, one for each kind of device that it can think of, in one SUBSCRIBE. A home automation asks for 58."""
    hosts(lab)
    curious = lab.host("curious", "10.20.0.66" + WIDE, mac="00:0c:29:20:00:66")
    kinds = [f"{area}/{kind}" for area in ("lights", "water", "waste", "traffic", "parking", "air", "energy", "gates", "lifts", "pumps")
             for kind in ("state", "cmd", "set", "config", "log", "ota", "alarm", "meter", "tele", "stat", "auth", "net", "time")]
    homes = [f"homeassistant/component{number}/{level}config" for number in range(29) for level in ("+/", "+/+/")]

    def ask(name, filters):
        client = Client(BROKER, name)
        client.subscribe(*((topic, 0) for topic in filters))
        time.sleep(0.3)
        client.disconnect()

    with lab.capture():
        lab.run("server", ask, "home", homes)
        lab.run(curious, ask, "curious", [f"{kind}/#" for kind in kinds])
    return {"broker": BROKER, "curious": "10.20.0.66", "wildcards": len(kinds), "wildcards_of_home": len(homes)}


@case("mqtt", MOSQUITTO, PAHO, "the client that leaves deliveries open is a socket of our script")
def deliveries_left_open(lab):
    """A client begins 140 deliveries at QoS 2 and ends none of them, to fill the broker's memory. A meter ends each of its 20."""
    hosts(lab, "max_inflight_messages 0", "max_queued_messages 0")
    filler = lab.host("filler", "10.20.0.66" + WIDE, mac="00:0c:29:20:00:66")

    def fill():
        encoder = Encoder("filler")
        with socket.create_connection((BROKER, 1883)) as connection:
            connection.sendall(encoder.connect())
            connection.recv(100)
            for number in range(1, 141):
                topic = b"fill/%d" % number
                body = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + b"x" * 32
                connection.sendall(bytes((0x34, len(body))) + body)
                connection.recv(100)
                time.sleep(0.01)

    def meter():
        client = Client(BROKER, "meter-10")
        for number in range(20):
            client.publish("meters/10/reading", str(700 + number), 2)
        client.disconnect()

    with lab.capture():
        lab.run("sensor", meter)
        lab.run(filler, fill)
    return {"broker": BROKER, "filler": "10.20.0.66", "left_open": 140, "ended": 20}


@case("mqtt", MOSQUITTO, PAHO, timestamps="stretched")
def zigbee_open_for_long(lab):
    """Two Zigbee2MQTT bridges, whose messages a script publishes: one opens its network for new devices and closes it after four minutes, the other leaves it open for half an hour."""
    hosts(lab)
    jumps = []

    def info(client, base, coordinator, open_for_joining):
        text = {"version": "1.40.2", "coordinator": {"ieee_address": coordinator, "type": "zStack3x0", "meta": {"revision": 20230507}}, "permit_join": open_for_joining,
                "network": {"channel": 11, "pan_id": 6754}}
        client.publish(f"{base}/bridge/info", json.dumps(text), 0, True)

    def pause(seconds):
        time.sleep(0.2)
        jumps.append((time.time(), seconds))
        time.sleep(0.2)

    def bridges():
        north, south = Client(BROKER, "zigbee-north"), Client(BROKER, "zigbee-south")
        for open_north, open_south, then in ((False, False, 60), (True, True, 240), (False, True, 1560), (False, False, 60)):
            info(north, "north", "0x00124b0024c10001", open_north)
            info(south, "south", "0x00124b0024c10002", open_south)
            pause(then)
        north.disconnect()
        south.disconnect()

    with lab.capture("raw.pcap"):
        lab.inside("sensor", bridges)
    stretch(lab.folder / "raw.pcap", lab.folder / "capture.pcap", START, jumps)
    (lab.folder / "raw.pcap").unlink()
    return {"broker": BROKER, "open_for_four_minutes": "00124b0024c10001", "open_for_half_an_hour": "00124b0024c10002"}


@case("mqtt", MOSQUITTO, PAHO, timestamps="stretched")
def one_name_two_devices(lab):
    """Two lamps were set up with the same client name and report in turns every ten minutes. A third gets another address between two reports and keeps it."""
    hosts(lab)
    twin = lab.host("twin", "10.20.1.11" + WIDE, mac="24:0a:c4:20:01:0b")
    mover = lab.host("mover", "10.20.1.12" + WIDE, mac="24:0a:c4:20:01:0c")
    jumps = []

    def report(name):
        client = Client(BROKER, name)
        client.publish(f"lamps/{name}/state", "on", 1)
        client.disconnect()

    with lab.capture("raw.pcap"):
        for turn in range(4):
            if turn == 2:
                lab.ip(mover, "address", "flush", "dev", "eth0")
                lab.address(mover, "10.20.1.13" + WIDE)
            lab.run("sensor" if turn % 2 else twin, report, "lamp-7")
            lab.run(mover, report, "lamp-8")
            time.sleep(0.2)
            jumps.append((time.time(), 600))
            time.sleep(0.2)
    stretch(lab.folder / "raw.pcap", lab.folder / "capture.pcap", START, jumps)
    (lab.folder / "raw.pcap").unlink()
    return {"broker": BROKER, "shared_name": "lamp-7", "addresses": [SENSOR, "10.20.1.11"], "moved_name": "lamp-8"}


@case("net", debian("openssl"))
def expired_certificate(lab):
    """Three TLS 1.2 servers (openssl s_server): the certificate of one expired a year ago, that of one begins next year, that of the third is valid. openssl s_client calls each."""
    client = lab.host("client", "10.20.0.20/16", mac="00:15:5d:20:00:14")
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    periods = {"expired": (now - 730 * day, now - 365 * day), "early": (now + 365 * day, now + 730 * day), "valid": (now - day, now + 365 * day)}
    folder = lab.work / "authority"
    folder.mkdir()
    (folder / "index.txt").write_text("")
    (folder / "index.txt.attr").write_text("unique_subject = no\n")
    (folder / "serial").write_text("1000\n")
    (folder / "openssl.cnf").write_text(f"[ca]\ndefault_ca = d\n[d]\ndatabase = {folder}/index.txt\nserial = {folder}/serial\nnew_certs_dir = {folder}\ndefault_md = sha256\n"
                                        "policy = p\n[p]\ncommonName = supplied\n")
    servers = {}
    for number, (name, (start, end)) in enumerate(periods.items(), 1):
        key, request, certificate = (lab.work / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}.city.example")
        stamp = "%y%m%d%H%M%SZ"
        sh("openssl", "ca", "-batch", "-config", folder / "openssl.cnf", "-selfsign", "-keyfile", key, "-in", request, "-out", certificate, "-notext",
           "-startdate", start.strftime(stamp), "-enddate", end.strftime(stamp))
        address = f"10.20.3.{number}"
        lab.host(name, address + "/16", mac=f"00:0d:b9:20:03:{number:02x}")
        lab.program(name, "openssl", "s_server", "-accept", "443", "-key", key, "-cert", certificate, "-tls1_2", "-www")
        wait_listening(lab, name, 443)
        servers[name] = address
    with lab.capture():
        for address in servers.values():
            lab.command(client, "openssl", "s_client", "-tls1_2", "-connect", f"{address}:443", check=False)
    return servers


@case("net", "servers and client are sockets of our script")
def telnet_and_ftp(lab):
    """A technician logs in to a camera by Telnet and to a controller by FTP. A third device has both ports closed, and answers a call to its web page."""
    client = lab.host("client", "10.20.0.20/16", mac="00:15:5d:20:00:14")
    talks = {"camera": ("10.20.5.1", 23, [(b"\xff\xfb\x01\xff\xfb\x03login: ", b"service\r\n"), (b"Password: ", b"unlisted-pw-4402\r\n"), (b"\r\n$ ", b"exit\r\n")]),
             "plc": ("10.20.2.5", 21, [(b"220 Controller FTP ready\r\n", b"USER service\r\n"), (b"331 Password required\r\n", b"PASS unlisted-pw-4403\r\n"), (b"230 Logged in\r\n", b"QUIT\r\n")]),
             "panel": ("10.20.5.9", 80, [(b"", b"GET / HTTP/1.0\r\n\r\n"), (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"")])}

    def serve(address, port, lines):
        connection, _ = socket.create_server((address, port)).accept()
        with connection:
            for said, wanted in lines:
                connection.sendall(said)
                if wanted:
                    connection.recv(1000)

    def call(address, port, lines):
        with socket.create_connection((address, port)) as connection:
            for said, answer in lines:
                if said:
                    connection.recv(1000)
                connection.sendall(answer)
                time.sleep(0.05)

    for name, (address, port, lines) in talks.items():
        lab.host(name, address + "/16")
        lab.start(name, serve, address, port, lines)
        wait_listening(lab, name, port)

    def refused():
        for port in (21, 23):
            try:
                socket.create_connection(("10.20.5.9", port), 2)
            except ConnectionRefusedError:
                pass

    with lab.capture():
        for address, port, lines in talks.values():
            lab.run(client, call, address, port, lines)
        lab.run(client, refused)
    return {"telnet": "10.20.5.1", "ftp": "10.20.2.5", "neither": "10.20.5.9", "secrets_that_must_not_leak": ["unlisted-pw-4402", "unlisted-pw-4403"]}


if __name__ == "__main__":
    main(__file__)
