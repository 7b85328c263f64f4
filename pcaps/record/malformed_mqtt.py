"""Malformed MQTT, MQTT-SN and WebSocket, and payloads of named products that are cut short: sockets send what no client library would."""

import base64
import socket
import time
import zlib

import mqtt_payloads as products
import pysparkplug
from lab import case, debian, main, version, wait_listening
from mqtt_actors import BROKER, WIDE, Client, Encoder, hosts, sn_gateway, websocket_front
from mqtt_attacks import ATTACKER, USERS, attacker

PAHO, MOSQUITTO = version("paho-mqtt"), debian("mosquitto")
DAMAGE = "the damage is done by the script"
ODD_BROKER, ODD_BROKER_MAC = "10.20.0.9", "b8:27:eb:20:00:09"

CONNACK, CONNACK_5 = b"\x20\x02\x00\x00", b"\x20\x03\x00\x00\x00"


def packet(first, *parts):
    """A packet with the right remaining length."""
    body = b"".join(parts)
    length, rest = bytearray(), len(body)
    while True:
        rest, low = divmod(rest, 128)
        length.append(low | (128 if rest else 0))
        if not rest:
            return bytes((first,)) + bytes(length) + body


def s(text):
    text = text.encode() if isinstance(text, str) else text
    return len(text).to_bytes(2, "big") + text


def connect(level, flags, *rest):
    return packet(0x10, s("MQTT"), bytes((level, flags, 0, 60)), *rest)


def publish(topic, rest=b"", first=0x30):
    return packet(first, s(topic), rest)


def with_properties(*properties):
    return packet(0x30, s("t/5"), bytes((sum(map(len, properties)),)), *properties)


HELLO = Encoder("odd-3").connect()

DAMAGED_CONNECTS = [
    connect(9, 2, s("odd-9")),
    connect(4, 0x0A, s("odd")),
    connect(4, 0x42, s("odd"), s("pw-unlisted-1")),
    connect(4, 0, s("")),
    connect(4, 2, s(b"odd\xc3\x28")),
    connect(4, 2, s(b"odd\0x")),
    connect(4, 0xC2, s("odd"), b"\x00\x09u"),
    packet(0x10, HELLO[2:], b"\x01"),
]

DAMAGED = [
    b"\x30\x03\x00\x09t",
    b"\xc0\x01\x00",
    b"\x30\xff\xff\xff\xff\x7f",
    b"\xc0\x80\x00",
    b"\x82\xff\xff\xff\x7f",
    b"\x00\x00",
    b"\xc1\x00",
    publish("t", b"\0\1", 0x36),
    publish("t", b"", 0x38),
    publish("city/+/lamp"),
    publish(""),
    packet(0x82, b"\0\1"),
    packet(0x82, b"\0\1", s("a#"), b"\0"),
    packet(0x82, b"\0\1", s("a"), b"\4"),
    packet(0x82, b"\0\1", s("a"), b"\3"),
]

DAMAGED_5 = [
    packet(0x82, b"\0\1\0", s("$share/g/a"), b"\4"),
    with_properties(b"\x7e\0"),
    with_properties(b"\x21\0\1"),
    with_properties(b"\1\1\1\1"),
    with_properties(b"\1\2"),
    with_properties(b"\x23\0\0"),
    packet(0x30, s(""), b"\3\x23\0\4"),
    packet(0xE0, b"\x55"),
]


def talk(*packets, to=BROKER, hello=HELLO, port=1883, pause=0.02, linger=0):
    """Opens a connection, sends bytes as they are one after the other, takes whatever comes back, and closes after `linger` seconds."""
    with socket.create_connection((to, port), 3) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(pause)
        for data in (hello, *packets):
            try:
                connection.sendall(data)
                connection.recv(4096)
            except (TimeoutError, ConnectionError):
                pass
        time.sleep(linger)


def meter():
    client = Client(BROKER, "meter-10", user=USERS[1][0], password=USERS[1][1])
    for turn in range(5):
        client.publish("meters/10/reading", str(700 + turn), 1)
        time.sleep(0.1)
    client.disconnect()


@case("mqtt", MOSQUITTO, PAHO, DAMAGE)
def malformed_packets(lab):
    """A host sends a broker packets that each depart from MQTT in one way, each in a connection of its own: lengths, flags, strings, topics, topic filters, properties and packet
    identifiers. A meter reports meanwhile, as it should."""
    hosts(lab, users=USERS)
    odd = attacker(lab)

    def attack():
        for hello in DAMAGED_CONNECTS:
            talk(hello=hello)
        user = connect(4, 0xC2, s("odd-3"), s(USERS[0][0]), s(USERS[0][1]))
        user_5 = connect(5, 0xC2, b"\0", s("odd-5"), s(USERS[0][0]), s(USERS[0][1]))
        for data in DAMAGED:
            talk(data, hello=user)
        for data in DAMAGED_5:
            talk(data, hello=user_5)

    with lab.capture():
        reporting = lab.start("sensor", meter)
        lab.run(odd, attack)
        lab.join(reporting)
    return {"broker": BROKER, "sends_malformed": ATTACKER, "damaged_connects": len(DAMAGED_CONNECTS), "damaged_packets": len(DAMAGED) + len(DAMAGED_5),
            "secrets_that_must_not_leak": ["pw-unlisted-1", *(password for _, password in USERS)]}


@case("mqtt", MOSQUITTO, PAHO, DAMAGE)
def packets_out_of_order(lab):
    """A host sends packets when or where they may not be sent: a second CONNECT, packets after the broker refused it and after its own DISCONNECT, a broker's packets, twenty and more
    messages under one packet identifier, and messages at QoS 2 that it never ends; and it breaks off in the middle of message after message."""
    hosts(lab, users=USERS)
    odd = attacker(lab)
    user = connect(4, 0xC2, s("odd-3"), s(USERS[0][0]), s(USERS[0][1]))

    def attack():
        talk(user, hello=user)
        talk(b"\xc0\0", hello=HELLO)
        talk(b"\xe0\0\xc0\0", hello=user)
        for data in (b"\xd0\0", b"\x20\2\0\0", b"\x90\3\0\1\0"):
            talk(data, hello=user)
        talk(publish("odd/q", b"\0\0", 0x32), hello=user)
        talk(b"".join(publish("odd/q", b"\0\7", 0x32) for _ in range(22)), hello=user)
        talk(publish("odd/q2", b"\0\5", 0x34), hello=user, linger=11)
        for turn in range(20):
            talk(publish(f"odd/{turn}", b"x" * 200)[:60], hello=user)

    with lab.capture():
        reporting = lab.start("sensor", meter)
        lab.run(odd, attack)
        lab.join(reporting)
    return {"broker": BROKER, "sends_out_of_order": ATTACKER, "under_one_identifier": 22, "broken_off": 20, "secrets_that_must_not_leak": [password for _, password in USERS]}


def odd_broker(answers):
    """A broker that answers each connection in its own wrong way: (before CONNECT, after CONNECT, after what comes next)."""
    front = socket.create_server(("0.0.0.0", 1883))
    for first, second, third in answers:
        client, _ = front.accept()
        with client:
            client.settimeout(2)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(first)
            for answer in (second, third):
                if not client.recv(4096):
                    break
                client.sendall(answer)
            client.recv(4096)


ODD_ANSWERS = [
    (CONNACK, b"", b""), (CONNACK, b"", b""), (CONNACK, b"", b""),
    (b"", b"\x20\2\1\5", b""), (b"", b"\x20\2\1\5", b""), (b"", b"\x20\2\1\5", b""),
    (b"", b"\x20\2\0\x4d", b""),
    (b"", CONNACK, b"\xe0\0"),
    (b"", CONNACK, b"\x40\2\0\x09"),
    (b"", CONNACK, b"\x90\3\0\x09\0"),
    (b"", CONNACK, b"\xb0\2\0\x09"),
    (b"", CONNACK, b"\x90\4\0\1\0\0"),
    (b"", CONNACK, b"\x90\4\0\1\0\0"),
    (b"", CONNACK, b"\x90\4\0\1\0\0"),
    (b"", CONNACK_5, packet(0x30, s("long/topic"), b"\0")),
]


@case("mqtt", PAHO, DAMAGE)
def broker_answers_wrongly(lab):
    """A program that calls itself a broker (a script) answers before it is asked, says that there is a session and refuses, gives reasons that do not exist, acknowledges what nobody sent, and
    sends a client a message larger than that client takes."""
    lab.host("broker", ODD_BROKER + WIDE, mac=ODD_BROKER_MAC)
    lab.host("sensor", "10.20.1.10" + WIDE, mac="24:0a:c4:20:01:0a")
    lab.start("broker", odd_broker, ODD_ANSWERS)
    wait_listening(lab, "broker", 1883)
    small = connect(5, 2, b"\x05\x27\0\0\0\x0a", s("odd-5"))

    def device():
        for first, second, third in ODD_ANSWERS:
            with socket.create_connection((ODD_BROKER, 1883), 3) as connection:
                connection.settimeout(1)
                if first:
                    connection.recv(4096)
                connection.sendall(small if second == CONNACK_5 else Encoder("lamp-7").connect())
                if second:
                    connection.recv(4096)
                if third:
                    connection.sendall(packet(0x82, b"\0\1", s("lamps/7"), b"\0") if third[0] == 0x90 else b"\xc0\0")
                    connection.recv(4096)
            time.sleep(0.02)

    with lab.capture():
        lab.run("sensor", device)
    return {"broker": ODD_BROKER, "connections": len(ODD_ANSWERS)}


SN_DAMAGED = [
    b"\x09\x04\x01", b"\x03\x0d\x00", b"\x02\x19", b"\x01\x00\x04\x16", b"\x07\x04\x00\x02\x00\x1ex", b"\x06\x04\x00\x01\x00\x1e", b"\x08\x04\x00\x01\x00\x1e\xff\xfe",
    b"\x07\x0c\x03\x00\x01\x00\x00", b"\x03\xfe\x00" * 5 + b"\x02\x16",
]


@case("mqtt", MOSQUITTO, version("mqtt-sn-12"), DAMAGE)
def malformed_sn_messages(lab):
    """A host that is connected to an MQTT-SN gateway sends it messages that each depart from MQTT-SN in one way, with a ping between them; once a wrong answer comes back."""
    hosts(lab)
    lab.host("gateway", "10.20.0.7" + WIDE, mac="b8:27:eb:20:00:07")
    odd = attacker(lab)

    def gateway():
        while True:
            try:
                sn_gateway(BROKER)
            except Exception:  # the damaged message is lost, as it should be
                pass

    lab.start("gateway", gateway)
    wait_listening(lab, "gateway", 1884, "udp")

    def attack():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.connect(("10.20.0.7", 1884))
            connection.settimeout(0.3)

            def say(data):
                try:
                    connection.send(data)
                    connection.recv(2048)
                except OSError:
                    pass

            say(b"\x0b\x04\x04\x01\x00\x3codd-1")
            for data in SN_DAMAGED:
                say(data)
                say(b"\x02\x16")
            say(b"\x03\x05\x77")

    with lab.capture():
        lab.run(odd, attack)
    return {"gateway": "10.20.0.7", "sends_malformed": ATTACKER, "damaged_messages": len(SN_DAMAGED) + 1}


def upgrade(subprotocol="mqtt", extra="", key=True, number=13):
    lines = ["GET /mqtt HTTP/1.1", "Host: broker.city.example:9001", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Version: {number}"]
    lines += [f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}"] if key else []
    lines += [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
    return ("\r\n".join(lines + ([extra] if extra else [])) + "\r\n\r\n").encode()


def frame(first, payload, mask=True, length=None):
    """A frame; `length` is the length field where it is not to be the shortest."""
    size = len(payload)
    if length is None:
        length = bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    head = bytes((first, length[0] | (0x80 if mask else 0))) + length[1:]
    key = b"\x11\x22\x33\x44"
    return head + (key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if mask else payload)


def deflated(data):
    squeeze = zlib.compressobj(wbits=-15)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
FRAMES = [
    frame(0x82, HELLO, mask=False),
    frame(0xC2, HELLO),
    frame(0x83, b"x"),
    frame(0x82, HELLO, length=b"\x7e\x00" + bytes((len(HELLO),))),
    frame(0x82, b"", length=b"\x7f\x80" + bytes(7)),
    frame(0x89, b"p" * 126),
    frame(0x09, b"p"),
    frame(0x80, b"x"),
    frame(0x02, HELLO[:4]) + frame(0x82, HELLO),
    frame(0x81, b"\xff\xfe"),
    frame(0x88, b"\x03"),
]


@case("mqtt", MOSQUITTO, f"{version('websockets')} (websockets)", DAMAGE)
def malformed_websocket_frames(lab):
    """A host sends the WebSocket front of a broker frames that each depart from the specification in one way, one that cannot be inflated, one that becomes sixteen megabytes, and requests
    without a key or of another version. Two clients ask a server (a script) that masks its frames and agrees to what they did not offer."""
    hosts(lab)
    odd = attacker(lab)
    lab.host("front", ODD_BROKER + WIDE, mac=ODD_BROKER_MAC)
    for port, compression in ((9001, None), (8083, "deflate")):
        lab.start("broker", websocket_front, port, compression)
        wait_listening(lab, "broker", port)

    def wrong_server():
        server = socket.create_server(("0.0.0.0", 9001))
        while True:
            client, _ = server.accept()
            client.recv(4096)
            client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n"
                           b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
            client.recv(4096)
            client.sendall(frame(0x82, CONNACK))
            time.sleep(0.1)
            client.close()

    lab.start("front", wrong_server)
    wait_listening(lab, "front", 9001)

    def attack():
        for data in FRAMES:
            talk(data, hello=upgrade(), port=9001)
        talk(frame(0xC2, b"\xff" * 12), hello=upgrade(extra=DEFLATE), port=8083)
        talk(frame(0xC2, deflated(bytes(16 << 20))), hello=upgrade(extra=DEFLATE), port=8083, pause=0.5)
        for number in range(4):
            talk(hello=upgrade(key=False) if number % 2 else upgrade(number=8), port=9001)

    def device():
        for _ in range(6):
            talk(frame(0x82, HELLO), to=ODD_BROKER, hello=upgrade(subprotocol="mqttv3.1"), port=9001, pause=0.2)

    with lab.capture():
        lab.run(odd, attack)
        lab.run("sensor", device)
    return {"broker": BROKER, "sends_malformed": ATTACKER, "odd_server": ODD_BROKER, "damaged_frames": len(FRAMES) + 2, "inflates_to_bytes": 16 << 20}


def cut(messages, *endings):
    """Six copies of a message whose topic ends so, each cut at another place."""
    topic, payload = next((topic, payload) for topic, payload, _ in messages if topic.endswith(endings))
    payload = payload if isinstance(payload, bytes) else payload.encode()
    return [(topic, payload[:len(payload) - 1 - 3 * turn], False) for turn in range(6)]


def sparkplug():
    kind = pysparkplug.DataType
    flow = pysparkplug.Metric(timestamp=1777874400000, name="Flow", datatype=kind.DOUBLE, value=12.5)
    birth = pysparkplug.NBirth(timestamp=1777874400000, seq=0, metrics=[flow]).encode(include_dtypes=True)
    without = pysparkplug.NCmd(timestamp=1777874400000, metrics=[flow]).encode(include_dtypes=True)
    topic = "spBv1.0/CityWater/NBIRTH/station-4"
    return [(topic, birth[:len(birth) - 1 - turn], False) for turn in range(4)] + [(topic, without, False)] * 2


@case("mqtt", MOSQUITTO, PAHO, "payloads after the documentation of the products", version("pysparkplug"), DAMAGE)
def malformed_payloads(lab):
    """A client publishes what Home Assistant, Tasmota, Shelly, Zigbee2MQTT, Homie, Sparkplug, ChirpStack and The Things Stack would publish, each six times and each time cut short at another
    place; no frame of the radio network can be read, a birth lacks its sequence number, and a command asks for more sendings than are read. Nobody subscribes."""
    hosts(lab)
    device = {"identifiers": ["m-1"], "connections": [["mac", "24:0a:c4:20:01:0a"]], "name": "M", "manufacturer": "ACME", "model": "M1", "sw_version": "1", "hw_version": "1", "serial_number": "1"}
    origin = {"name": "bridge", "sw_version": "1", "support_url": "https://bridge.example"}
    gateway = "a84041fdfe2766e1"
    rubbish = lambda turn: f'{{"phyPayload":"{"*" * (turn + 1)}","rxInfo":{{"gatewayId":"{gateway}"}}}}'
    items = ",".join('{"phyPayload":"YAECAwQgAQABAgME","txInfo":{"frequency":868100000}}' for _ in range(12))
    messages = [
        *cut(products.home_assistant_sensor("homeassistant", "m-1", device, origin), "/config"),
        *cut(products.tasmota("BCDDC2AB12CD", "10.20.1.10", "Lamp"), "/config"),
        *cut(products.shelly_gen1("shelly1-AB12CD", "SHSW-1", "BCDDC2AB12CD", "10.20.1.10"), "/announce"),
        *[("zigbee2mqtt/bridge/state", f'{{"state":"o{"n" * turn}', True) for turn in range(6)],
        *[("homie/relay-45/$description", f'{{"homie":"5.0","name":"{"x" * turn}', True) for turn in range(6)],
        *sparkplug(),
        *[(f"eu868/gateway/{gateway}/event/up", rubbish(turn), False) for turn in range(4)],
        *[(f"eu868/gateway/{gateway}/event/stats", rubbish(turn)[:-2], False) for turn in range(3)],
        (f"eu868/gateway/{gateway}/command/down", f'{{"downlinkId":1,"gatewayId":"{gateway}","items":[{items}]}}', False),
        *[("v3/city@ttn/devices/meter-1/up", f'{{"end_device_ids":{{"device_id":"meter-{turn}"', False) for turn in range(6)],
    ]

    def publisher():
        client = Client(BROKER, "bridge-1")
        client.publish_all(messages)
        time.sleep(0.2)
        client.disconnect()

    with lab.capture():
        lab.run("sensor", publisher)
    return {"broker": BROKER, "client": "bridge-1", "publishes_to_broker": len(messages)}


if __name__ == "__main__":
    main(__file__)
