"""MQTT cases: mosquitto with paho clients, WebSocket, TLS, MQTT-SN, and what named products publish."""

import asyncio
import base64
import socket
import time
from pathlib import Path

import chirpstack_payloads as chirpstack
import mqtt_payloads as products
import pysparkplug
from lab import CACHE, case, debian, main, sh, version, wait_listening
from lorawan_frames import LORA_PACKET, Device
from mqtt_actors import BROKER, BROKER_MAC, SENSOR, SENSOR_MAC, SERVER, V5, V31, V311, WIDE, Client, Encoder, broker, hosts, properties, sn_client, sn_gateway, websocket_front
from paho.mqtt.subscribeoptions import SubscribeOptions

PAHO, MOSQUITTO = version("paho-mqtt"), debian("mosquitto")


def announce(lab, messages, client_id, subscriptions, host="sensor", qos=0, user=None, password=None, port=1883, will=None, clean=True):
    """A server that subscribes, then a device that publishes; both leave properly."""
    done = lab.work / f"done-{client_id}"

    def server():
        client = Client(BROKER, f"server-{client_id}"[:60], user=user, password=password, port=port)
        client.subscribe(*subscriptions)
        while not done.exists():
            time.sleep(0.02)
        client.disconnect()

    listening = lab.start("server", server)
    time.sleep(0.4)

    def device():
        client = Client(BROKER, client_id, user=user, password=password, port=port, will=will, clean=clean)
        client.publish_all(messages, qos)
        time.sleep(0.2)
        client.disconnect()

    lab.run(host, device)
    time.sleep(0.2)
    done.touch()
    lab.join(listening)


@case("mqtt", MOSQUITTO, PAHO)
def three_versions_three_qos(lab):
    """Clients of MQTT 3.1, 3.1.1 and 5.0, each publishing at QoS 0, 1 and 2, to a subscriber of each version; ping, unsubscribe, disconnect."""
    hosts(lab)

    def subscriber():
        clients = [Client(BROKER, f"reader-{name}", version=number) for name, number in (("31", V31), ("311", V311), ("5", V5))]
        for client in clients:
            client.subscribe(("street/#", 2))
        for client in clients:
            client.wait_messages(9, 15)
            client.unsubscribe("street/#")
            client.disconnect()

    def publisher():
        for name, number in (("31", V31), ("311", V311), ("5", V5)):
            client = Client(BROKER, f"writer-{name}", version=number, keepalive=5)
            for qos in (0, 1, 2):
                client.publish(f"street/{name}/qos{qos}", f"value {qos}", qos)
            if name == "311":
                time.sleep(6)
            client.disconnect()

    with lab.capture():
        reading = lab.start("server", subscriber)
        time.sleep(0.6)
        lab.run("sensor", publisher)
        lab.join(reading)
    return {"broker": BROKER, "clients": ["reader-31", "reader-311", "reader-5", "writer-31", "writer-311", "writer-5"], "anonymous": True,
            "topics": [f"street/{name}/qos{qos}" for name in ("31", "311", "5") for qos in (0, 1, 2)], "publishes_to_broker": 9, "publishes_from_broker": 27}


@case("mqtt", MOSQUITTO, PAHO)
def version_5_properties(lab):
    """MQTT 5: connect, will, publish and subscribe properties (session expiry, receive maximum, topic alias, user properties, response topic, correlation
    data, content type, message expiry, subscription identifiers), subscription options, and a disconnect with session expiry."""
    hosts(lab, "max_topic_alias 10")

    def subscriber():
        client = Client(BROKER, "v5-reader", version=V5, properties=properties("CONNECT", SessionExpiryInterval=3600, ReceiveMaximum=20, TopicAliasMaximum=5,
                                                                               MaximumPacketSize=200000, RequestResponseInformation=1, UserProperty=("site", "north")))
        client.subscribe("lamp/+/state", options=SubscribeOptions(qos=2, noLocal=True, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND),
                         properties=properties("SUBSCRIBE", SubscriptionIdentifier=42, UserProperty=("why", "dashboard")))
        client.wait_messages(4)
        client.disconnect(properties=properties("DISCONNECT", SessionExpiryInterval=60))

    def publisher():
        will = dict(topic="lamp/7/gone", payload=b"offline", qos=1, retain=True,
                    properties=properties("WILLMESSAGE", WillDelayInterval=1, MessageExpiryInterval=300, ContentType="text/plain", UserProperty=("reason", "will")))
        client = Client(BROKER, "v5-writer", version=V5, will=will, properties=properties("CONNECT", SessionExpiryInterval=10, UserProperty=("model", "LX-7")))
        client.publish("lamp/7/state", '{"dim":40}', 1, properties=properties("PUBLISH", TopicAlias=1, ContentType="application/json", MessageExpiryInterval=120,
                                                                            UserProperty=("unit", "percent")))
        client.publish("", '{"dim":60}', 1, properties=properties("PUBLISH", TopicAlias=1))
        client.publish("", '{"dim":80}', 0, properties=properties("PUBLISH", TopicAlias=1))
        client.publish("lamp/7/state", b"\x01\x02", 2, properties=properties("PUBLISH", PayloadFormatIndicator=0, ResponseTopic="lamp/7/answer",
                                                                            CorrelationData=b"\xde\xad\xbe\xef"))
        client.vanish()
        time.sleep(2)

    with lab.capture():
        reading = lab.start("server", subscriber)
        time.sleep(0.6)
        lab.run("sensor", publisher)
        lab.join(reading)
    return {"broker": BROKER, "clients": ["v5-reader", "v5-writer"], "topic_alias": 1, "publishes_with_empty_topic": 2, "aliased_topic": "lamp/7/state",
            "subscription_identifier": 42, "publishes_to_broker": 4, "publishes_from_broker": 4, "will_topic": "lamp/7/gone"}


@case("mqtt", MOSQUITTO, PAHO)
def shared_subscription(lab):
    """Two workers share `$share/workers/meter/#`; each reading goes to one of them."""
    hosts(lab)

    def workers():
        clients = [Client(BROKER, f"worker-{name}", version=V5) for name in "ab"]
        for client in clients:
            client.subscribe(("$share/workers/meter/#", 1))
        while sum(len(client.messages) for client in clients) < 10:
            time.sleep(0.02)
        for client in clients:
            client.disconnect()

    with lab.capture():
        working = lab.start("server", workers)
        time.sleep(0.5)
        lab.run("sensor", lambda: [(client := Client(BROKER, "meter-1", version=V5)), [client.publish("meter/1", str(i), 1) for i in range(10)], client.disconnect()])
        lab.join(working)
    return {"broker": BROKER, "clients": ["meter-1", "worker-a", "worker-b"], "share_group": "workers", "publishes_to_broker": 10, "publishes_from_broker": 10}


@case("mqtt", MOSQUITTO, PAHO)
def wills_and_retained(lab):
    """A device with a will vanishes without DISCONNECT: the broker publishes the will. A late subscriber gets two retained messages; one is then deleted."""
    hosts(lab)

    def device():
        client = Client(BROKER, "valve-3", will=("valve/3/online", "false", 1, True))
        client.publish("valve/3/online", "true", 1, True)
        client.publish("valve/3/firmware", "4.2.0", 1, True)
        time.sleep(0.3)
        client.vanish()
        time.sleep(0.5)

    def late():
        client = Client(BROKER, "late-reader")
        client.subscribe(("valve/#", 1))
        client.wait_messages(2)
        client.publish("valve/3/firmware", b"", 1, True)
        time.sleep(0.3)
        client.disconnect()

    def watcher():
        client = Client(BROKER, "watcher")
        client.subscribe(("valve/+/online", 1))
        client.wait_messages(2)
        client.disconnect()

    with lab.capture():
        watching = lab.start("server", watcher)
        time.sleep(0.4)
        lab.run("sensor", device)
        lab.join(watching)
        lab.run("server", late)
    return {"broker": BROKER, "clients": ["late-reader", "valve-3", "watcher"], "will_topic": "valve/3/online", "will_payload": "false", "will_sent": True}


@case("mqtt", MOSQUITTO, PAHO)
def persistent_session_redelivery(lab):
    """A subscriber with a lasting session takes QoS 1 and 2 messages without acknowledging, vanishes, and comes back: session present, messages again with DUP."""
    hosts(lab)

    def first():
        client = Client(BROKER, "logger", clean=False, manual_ack=True)
        client.subscribe(("alarm/#", 2))
        client.wait_messages(1)
        client.vanish()

    def second():
        client = Client(BROKER, "logger", clean=False)
        time.sleep(1)
        client.disconnect()

    with lab.capture():
        reading = lab.start("server", first)
        time.sleep(0.5)
        lab.run("sensor", lambda: [(client := Client(BROKER, "siren")), client.publish("alarm/1", "on", 1), client.publish("alarm/2", "on", 2), client.disconnect()])
        lab.join(reading)
        lab.run("server", second)
    return {"broker": BROKER, "clients": ["logger", "siren"], "session_present_on_second_connect": True}


@case("mqtt", MOSQUITTO, PAHO)
def client_id_taken_over(lab):
    """Two addresses connect with the same client id: the broker closes the first connection (this mosquitto says nothing before it does)."""
    hosts(lab)

    def first():
        client = Client(BROKER, "gate-1", version=V5)
        client.publish("gate/1", "closed", 1)
        client.paho.reconnect_delay_set(30, 60)
        time.sleep(2.5)
        client.vanish()

    def second():
        client = Client(BROKER, "gate-1", version=V5)
        client.publish("gate/1", "open", 1)
        time.sleep(0.3)
        client.disconnect()

    with lab.capture():
        one = lab.start("sensor", first)
        time.sleep(1)
        lab.run("server", second)
        lab.join(one)
    return {"broker": BROKER, "client_id": "gate-1", "from": [SENSOR, SERVER]}


@case("mqtt", MOSQUITTO, PAHO)
def anonymous_accepted(lab):
    """A broker that accepts clients without user name: three devices and one that sends an empty client id (the broker assigns one in MQTT 5)."""
    hosts(lab)
    with lab.capture():
        for name in ("lamp-1", "lamp-2", "lamp-3"):
            lab.run("sensor", lambda: [(client := Client(BROKER, name)), client.publish(f"lamps/{name}", "on", 1), client.disconnect()])
        lab.run("server", lambda: [(client := Client(BROKER, "", version=V5)), client.publish("lamps/none", "on", 1), client.disconnect()])
    return {"broker": BROKER, "clients": ["lamp-1", "lamp-2", "lamp-3"], "assigned_client_ids": 1, "anonymous_accepted": 4}


@case("mqtt", MOSQUITTO, PAHO)
def authentication_refused(lab):
    """A broker with users refuses: no user name, an unknown user, a wrong password; as CONNACK 5 (MQTT 3.1.1) and reason 0x87 (MQTT 5). No pair here is on a
    default list, and none is accepted."""
    hosts(lab, users=[("tram", "Qx7-unlisted-91k")])

    def attempts():
        for number in (V311, V5):
            for user, password in ((None, None), ("nobody-here", "v9Lq2-unlisted"), ("tram", "wrong-Zk41-unlisted")):
                client = Client(BROKER, f"try-{number}-{user or 'anonymous'}", version=number, user=user, password=password)
                assert not client.accepted
                client.disconnect()

    with lab.capture():
        lab.run("sensor", attempts)
    return {"broker": BROKER, "attempts": 6, "accepted": 0, "refused": 6, "return_code_v311": 5, "reason_code_v5": 0x87, "anonymous_refused": 2,
            "secrets_that_must_not_leak": ["v9Lq2-unlisted", "wrong-Zk41-unlisted"]}


@case("mqtt", MOSQUITTO, PAHO)
def default_credentials_accepted(lab):
    """The broker has accounts with pairs of the default lists (admin/admin, guest/guest, admin/public) and clients use them: accepted. A fourth client uses an
    unlisted pair."""
    hosts(lab, users=[("admin", "admin"), ("guest", "guest"), ("plant", "hT6-unlisted-pw-0831")])

    def clients():
        for name, user, password in (("hvac-1", "admin", "admin"), ("hvac-2", "guest", "guest"), ("hvac-3", "plant", "hT6-unlisted-pw-0831")):
            client = Client(BROKER, name, user=user, password=password)
            client.publish(f"hvac/{name}/state", "auto", 1)
            client.disconnect()
        client = Client(BROKER, "hvac-4", version=V5, user="admin", password="admin")
        client.publish("hvac/hvac-4/state", "auto", 1)
        client.disconnect()

    with lab.capture():
        lab.run("sensor", clients)
    return {"broker": BROKER, "accepted_default_pairs": ["admin:admin", "guest:guest"], "clients_with_default": ["hvac-1", "hvac-2", "hvac-4"],
            "clients_without": ["hvac-3"], "accepted": 4, "refused": 0, "secrets_that_must_not_leak": ["hT6-unlisted-pw-0831"]}


@case("mqtt", MOSQUITTO, PAHO)
def default_credentials_refused(lab):
    """A scanner tries default pairs (Mirai's and others) against a broker that has none of them: all refused."""
    hosts(lab, users=[("plant", "hT6-unlisted-pw-0831")])
    scanner = lab.host("scanner", "10.20.0.66" + WIDE, mac="00:0c:29:20:00:66")
    pairs = [("admin", "admin"), ("admin", "public"), ("guest", "guest"), ("root", "xc3511"), ("root", "vizxv"), ("admin", "1234"), ("user", "user"), ("root", "root"),
             ("support", "support"), ("ubnt", "ubnt"), ("admin", "password"), ("root", "12345")]

    def scan():
        for user, password in pairs:
            client = Client(BROKER, "paho-scan", user=user, password=password)
            assert not client.accepted
            client.disconnect()

    with lab.capture():
        lab.run(scanner, scan)
    return {"broker": BROKER, "scanner": "10.20.0.66", "attempts": len(pairs), "accepted": 0, "refused": len(pairs), "pairs": [":".join(pair) for pair in pairs]}


@case("mqtt", MOSQUITTO, PAHO)
def secrets_in_odd_places(lab):
    """Tokens where products put them: as user name without password, as client id, in a topic, in Tasmota's Backlog command. None may leave citytap."""
    hosts(lab)
    token = "A1E-canaryTokenUser0001"

    def clients():
        client = Client(BROKER, "telemetry-box", user=token)
        client.publish("v1/devices/me/telemetry", '{"t":21}', 1)
        client.disconnect()
        client = Client(BROKER, "NNSXS.CANARYCLIENTID0002.SECRETPART")
        client.publish("devices/key/canaryTopicKey0003/state", "1", 1)
        client.publish("cmnd/tasmota_AB12CD/Backlog", "MqttUser plant; MqttPassword canaryBacklog0004; Password1 canaryWifi0005", 1)
        client.disconnect()

    with lab.capture():
        lab.run("sensor", clients)
    return {"broker": BROKER, "clients": 2, "secrets_that_must_not_leak": [token, "canaryBacklog0004", "canaryWifi0005"],
            "secrets_in_identifiers": ["NNSXS.CANARYCLIENTID0002.SECRETPART", "canaryTopicKey0003"]}


@case("mqtt", MOSQUITTO, PAHO)
def big_publishes(lab):
    """Publishes of 60,000 bytes at QoS 0, 1 and 2, over many segments, each followed by a small one; a subscriber receives them all."""
    hosts(lab)
    image = bytes((i * 31 + (i >> 8)) % 256 for i in range(60000))

    def reader():
        client = Client(BROKER, "archive")
        client.subscribe(("camera/#", 2))
        client.wait_messages(4)
        client.disconnect()

    def writer():
        client = Client(BROKER, "camera-9")
        client.publish("camera/9/still", image, 0)
        client.publish("camera/9/still", image, 1)
        client.publish("camera/9/note", "after", 1)
        client.publish("camera/9/still", image[:30000], 2)
        client.disconnect()

    with lab.capture():
        reading = lab.start("server", reader)
        time.sleep(0.4)
        lab.run("sensor", writer)
        lab.join(reading)
    return {"broker": BROKER, "clients": ["archive", "camera-9"], "publishes_to_broker": 4, "publishes_from_broker": 4, "payload_bytes": [60000, 60000, 5, 30000]}


@case("mqtt", MOSQUITTO, PAHO)
def many_packets_in_a_segment(lab):
    """A client writes forty small publishes with one system call; then one publish a byte at a time. paho's own encoder makes the bytes."""
    hosts(lab)

    def client():
        sock = socket.create_connection((BROKER, 1883))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        encode = Encoder("burst-1")
        sock.sendall(encode.connect())
        sock.recv(100)
        sock.sendall(b"".join(encode.publish(f"burst/{number}", f"value {number}".encode()) for number in range(40)))
        time.sleep(0.3)
        for byte in encode.publish("burst/slow", b"byte by byte", 1, 77):
            sock.sendall(bytes((byte,)))
            time.sleep(0.01)
        sock.recv(100)
        sock.sendall(encode.disconnect())
        sock.close()

    with lab.capture():
        lab.run("sensor", client)
    return {"broker": BROKER, "clients": ["burst-1"], "publishes_to_broker": 41, "publishes_in_one_write": 40}


@case("mqtt", MOSQUITTO, PAHO)
def publish_before_connect(lab):
    """A client publishes without having sent CONNECT: the broker closes the connection. Then one that greets first, as it should."""
    hosts(lab)

    def client():
        encode = Encoder("late-1")
        for greeting in (b"", encode.connect()):
            sock = socket.create_connection((BROKER, 1883))
            if greeting:
                sock.sendall(greeting)
                sock.recv(100)
            sock.sendall(encode.publish("pump/4/flow", b"12.5"))
            time.sleep(0.3)
            sock.close()

    with lab.capture():
        lab.run("sensor", client)
    return {"broker": BROKER, "clients": ["late-1"], "publishes_to_broker": 2, "connections_without_connect": 1}


@case("mqtt", MOSQUITTO, PAHO)
def odd_port(lab):
    """MQTT on TCP port 18831."""
    hosts(lab, "listener 18831", ports=(18831,))
    with lab.capture():
        announce(lab, [("bin/4/level", "73", False), ("bin/4/battery", "88", False)], "bin-4", [("bin/#", 1)], qos=1, port=18831)
    return {"broker": BROKER, "port": 18831, "clients": ["bin-4", "server-bin-4"], "publishes_to_broker": 2, "publishes_from_broker": 2}


def long_client(lab, turns=30, before=5):
    """A client connected and publishing before the capture begins."""
    go = lab.work / "go"

    def body():
        client = Client(BROKER, "pump-2", keepalive=5)
        client.subscribe(("pump/2/set", 1))
        for turn in range(before):
            client.publish("pump/2/flow", str(turn), 1)
        while not go.exists():
            time.sleep(0.02)
        for turn in range(turns):
            client.publish("pump/2/flow", str(100 + turn), turn % 3)
            time.sleep(0.02)
        client.disconnect()

    process = lab.start("sensor", body)
    time.sleep(1)
    return go, process


@case("mqtt", MOSQUITTO, PAHO)
def mid_stream_start(lab):
    """The capture starts after CONNECT: no SYN, no client id; publishes at QoS 0 to 2 on 1883."""
    hosts(lab)
    go, process = long_client(lab)
    with lab.capture():
        go.touch()
        lab.join(process)
    return {"broker": BROKER, "client_address": SENSOR, "publishes_to_broker": 30, "syn": False, "topics": ["pump/2/flow"]}


@case("mqtt", MOSQUITTO, PAHO)
def only_device_side_seen(lab):
    """One way: only what the device sends, CONNECT with default credentials included; whether the broker accepted cannot be seen, later publishes suggest it."""
    hosts(lab, users=[("admin", "admin")])
    with lab.capture(keep=f"src host {SENSOR} and tcp"):
        lab.run("sensor", lambda: [(client := Client(BROKER, "weather-5", user="admin", password="admin")), [client.publish("weather/5", str(i), 1) for i in range(8)],
                                   client.disconnect()])
    return {"broker": BROKER, "clients": ["weather-5"], "publishes_to_broker": 8, "one_way": "client to server", "default_pair": "admin:admin"}


@case("mqtt", MOSQUITTO, PAHO)
def only_broker_side_seen(lab):
    """One way: only what the broker sends to a subscriber, from the middle of the connection."""
    hosts(lab)
    with lab.capture(keep=f"src host {BROKER} and dst host {SERVER} and not tcp[tcpflags] & tcp-syn != 0"):
        announce(lab, [(f"rain/{i}", "0.2", False) for i in range(12)], "rain-1", [("rain/#", 1)], qos=1)
    return {"broker": BROKER, "publishes_from_broker": 12, "one_way": "server to client", "syn": False}


@case("mqtt", MOSQUITTO, PAHO, version("websockets"))
def websocket(lab):
    """MQTT over WebSocket (port 9001, path /mqtt, subprotocol mqtt), masked by the clients: 3.1.1 and 5, and a publish of 40,000 bytes. A `websockets` front passes
    it on to mosquitto."""
    hosts(lab)
    lab.start("broker", lambda: websocket_front(9001, None))
    wait_listening(lab, "broker", 9001)

    def reader():
        client = Client(BROKER, "ws-reader", port=9001, transport="websockets", version=V5)
        client.subscribe(("ws/#", 1))
        client.wait_messages(6)
        client.disconnect()

    def writer():
        client = Client(BROKER, "ws-writer", port=9001, transport="websockets")
        for number in range(5):
            client.publish(f"ws/{number}", f"value {number}", number % 3)
        client.publish("ws/big", b"citytap " * 5000, 1)
        client.disconnect()

    with lab.capture():
        reading = lab.start("server", reader)
        time.sleep(0.6)
        lab.run("sensor", writer)
        lab.join(reading)
    return {"broker": BROKER, "port": 9001, "clients": ["ws-reader", "ws-writer"], "publishes_to_broker": 6, "publishes_from_broker": 6, "deflate": False}



@case("mqtt", MOSQUITTO, PAHO, version("websockets"))
def websocket_deflate(lab):
    """MQTT in WebSocket messages with permessage-deflate, some fragmented: a `websockets` front (port 8083, path /mqtt) before mosquitto, and a `websockets` client
    whose MQTT bytes paho makes. Two MQTT packets share one message, and one packet is cut over two messages."""
    hosts(lab)

    def client():
        import websockets

        encode = Encoder("deflate-1")

        async def body():
            async with websockets.connect(f"ws://{BROKER}:8083/mqtt", subprotocols=["mqtt"], compression="deflate") as connection:
                await connection.send(encode.connect())
                await connection.recv()
                await connection.send(encode.subscribe("deflate/#"))
                await connection.recv()
                for number in range(4):
                    await connection.send(encode.publish(f"deflate/{number}", b'{"temperature":21.5,"humidity":60,"pressure":1013}'))
                await connection.send(encode.publish("deflate/4", b"first of two") + encode.publish("deflate/5", b"second of two"))
                whole = encode.publish("deflate/6", b"cut over two messages " * 20)
                await connection.send(whole[:100])
                await connection.send(whole[100:])
                whole = encode.publish("deflate/7", b"one message in three fragments " * 40)

                async def fragments():
                    for start in range(0, len(whole), 500):
                        yield whole[start:start + 500]

                await connection.send(fragments())
                received = b""
                while received.count(b"deflate/") < 8:
                    received += await connection.recv()
                await (await connection.ping())
                await connection.send(encode.disconnect())

        asyncio.run(body())

    lab.start("broker", lambda: websocket_front(8083, "deflate"))
    wait_listening(lab, "broker", 8083)
    with lab.capture():
        lab.run("sensor", client)
    return {"broker": BROKER, "port": 8083, "clients": ["deflate-1"], "publishes_to_broker": 8, "publishes_from_broker": 8, "deflate": True}


@case("mqtt", MOSQUITTO, PAHO, "OpenSSL (Debian 12)")
def tls_unread(lab):
    """Negative: MQTT over TLS on 8883. The handshake is seen, nothing else can be; no client id, no topic."""
    key, certificate = lab.work / "key.pem", lab.work / "cert.pem"
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "90", "-subj",
       "/CN=broker.city.example", "-addext", "subjectAltName=DNS:broker.city.example")
    hosts(lab, "listener 8883", f"cafile {certificate}", f"certfile {certificate}", f"keyfile {key}", ports=(8883,))
    with lab.capture():
        lab.run("sensor", lambda: [(client := Client(BROKER, "quiet-1", port=8883, tls=certificate)), [client.publish(f"quiet/{i}", "x", 1) for i in range(5)],
                                   client.disconnect()])
    return {"broker": BROKER, "port": 8883, "mqtt_messages": 0, "tls_connections": 1}


@case("mqtt", MOSQUITTO)
def bridge_between_brokers(lab):
    """A second mosquitto bridges `city/#` to the first: protocol version 4 with the bridge bit (0x84), and publishes that pass on."""
    hosts(lab)
    lab.host("edge", "10.20.0.6" + WIDE, mac="b8:27:eb:20:00:06")
    with lab.capture():
        broker(lab, "edge", "connection edge-to-center", f"address {BROKER}:1883", "topic city/# out 1", "bridge_protocol_version mqttv311", "notifications true",
               "local_clientid edge-local", "remote_clientid edge-bridge")
        time.sleep(1.5)
        for number in range(5):
            lab.command("sensor", "mosquitto_pub", "-h", "10.20.0.6", "-i", "meter-77", "-t", "city/meter/77", "-m", str(1000 + number), "-q", "1")
        time.sleep(0.5)
    return {"brokers": [BROKER, "10.20.0.6"], "bridge_client_id": "edge-bridge", "publishes_of_meter": 5, "publishes_over_bridge": 5}


@case("mqtt", MOSQUITTO, PAHO, version("mqtt-sn-12"))
def mqtt_sn(lab):
    """MQTT-SN 1.2 over UDP port 1884: search for a gateway, connect with and without will, register, publish (normal, short and predefined topics, QoS 0 and 1),
    subscribe and receive, ping, sleep, disconnect. Client and codec are mqtt-sn-12; the gateway (a script over the same codec) passes all on to mosquitto, so
    plain MQTT for the same messages is in the capture too. The library does no QoS 2."""
    hosts(lab)
    lab.host("gateway", "10.20.0.7" + WIDE, mac="b8:27:eb:20:00:07")
    gateway = "10.20.0.7"
    lab.start("gateway", lambda: sn_gateway(BROKER))
    wait_listening(lab, "gateway", 1884, "udp")

    def meter():
        client = sn_client(gateway, "sn-meter-1")
        client.send_search_gateway(1)
        client.set_will("sn/meter/1/state", "lost", 0, False)
        client.send_connect()
        topic = client.send_register("sn/meter/1/flow")
        for number in range(3):
            client.send_publish_with_id(topic, 0, f"flow {number}".encode(), 1)
        client.send_publish_with_id(topic, 0, b"flow unacknowledged", 0, True)
        client.send_publish_with_bytes(b"mt", b"short topic", 1)
        client.send_publish_predefined(7, b"predefined topic", 1)
        client.send_ping_req()
        client.send_disconnect(30)
        client.close()

    def display():
        from mqttsn12.client.MqttSnClient import MqttSnListener

        client = sn_client(gateway, "sn-display-1")
        client.send_connect()
        client.send_subscribe("sn/display/text", 0, MqttSnListener())
        time.sleep(0.2)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            client.polling()
            time.sleep(0.05)
        client.send_disconnect()
        client.close()

    with lab.capture():
        lab.run("sensor", meter)
        showing = lab.start("sensor", display)
        time.sleep(1)
        lab.run("server", lambda: [(client := Client(BROKER, "text-writer")), client.publish("sn/display/text", "Bus 4: 3 min", 1), client.disconnect()])
        lab.join(showing)
    return {"broker": BROKER, "gateway": gateway, "gateway_port": 1884, "sn_clients": ["sn-display-1", "sn-meter-1"], "mqtt_clients": ["sn-display-1", "sn-meter-1", "text-writer"],
            "sn_publishes_to_gateway": 6, "sn_publishes_from_gateway": 1, "registered_topics": ["sn/meter/1/flow"]}


# --- What products publish ---------------------------------------------------------------------------------------------------------------------


@case("mqtt", MOSQUITTO, PAHO)
def home_assistant_discovery(lab):
    """Home Assistant discovery: long keys, abbreviated keys, and the device form with components; the publishing bridge is one client."""
    hosts(lab)
    device = lambda n: {"identifiers": [f"wx{n:04d}"], "connections": [["mac", f"02:aa:bb:cc:00:{n:02x}"]], "name": f"Weather {n}", "manufacturer": "Ecowitt",
                        "model": "WS3910", "sw_version": f"2.1.{n}", "hw_version": "1.0", "serial_number": f"EC{n:06d}"}
    origin = {"name": "ecowitt2mqtt", "sw_version": "2023.09.0", "support_url": "https://example.org"}
    messages = products.home_assistant_sensor("homeassistant", "wx0001_t", device(1), origin)
    messages += products.home_assistant_sensor("homeassistant", "wx0002_t", device(2), origin, short=True)
    messages += products.home_assistant_device("homeassistant", "wx0003", {"ids": ["wx0003"], "name": "Weather 3", "mf": "Ecowitt", "mdl": "GW2000", "sw": "3.1.2", "hw": "2",
                                                                          "sn": "EC000003"}, origin)
    with lab.capture():
        announce(lab, messages, "ecowitt2mqtt", [("homeassistant/#", 0), ("homeassistant_state/#", 0)])
    return {"broker": BROKER, "publisher": "ecowitt2mqtt", "devices": [
        {"id": "wx0001", "manufacturer": "Ecowitt", "model": "WS3910", "sw_version": "2.1.1"}, {"id": "wx0002", "manufacturer": "Ecowitt", "model": "WS3910", "sw_version": "2.1.2"},
        {"id": "wx0003", "manufacturer": "Ecowitt", "model": "GW2000", "sw_version": "3.1.2"}], "origin": "ecowitt2mqtt 2023.09.0"}


TASMOTAS = [(f"{'BCDDC2' if n % 2 else 'A4CF12'}{0x1A2B00 + 17 * n:06X}", f"10.20.2.{10 + n}", f"Kiosk {n}", ("13.3.0", "12.5.0", "9.5.0")[n % 3],
             ("Sonoff Basic", "Sonoff POW R2", "Nous A1T")[n % 3], n) for n in range(1, 13)]


@case("mqtt", MOSQUITTO, PAHO)
def tasmota_twelve_devices(lab):
    """Twelve Tasmota switches, each an address and client of its own with user DVES_USER: last will, INFO1 to 3, discovery, STATE, SENSOR, STATUS2."""
    hosts(lab, users=[("DVES_USER", "DVES_PASS")])
    done = lab.work / "done"

    def server():
        client = Client(BROKER, "fleet-manager", user="DVES_USER", password="DVES_PASS")
        client.subscribe(("tasmota/discovery/#", 0), ("tele/#", 0), ("stat/#", 0))
        while not done.exists():
            time.sleep(0.02)
        client.disconnect()

    with lab.capture():
        listening = lab.start("server", server)
        time.sleep(0.4)
        for mac, ip, name, firmware, module, number in TASMOTAS:
            host = lab.host(f"t{number}", ip + WIDE, mac=":".join(mac[i:i + 2] for i in range(0, 12, 2)))
            topic = f"tasmota_{mac[-6:]}"

            def device():
                client = Client(BROKER, f"DVES_{mac[-6:]}", user="DVES_USER", password="DVES_PASS", will=(f"tele/{topic}/LWT", "Offline", 1, True), keepalive=30)
                client.publish_all(products.tasmota(mac, ip, name, firmware, module, 1 + number % 5))
                client.subscribe((f"cmnd/{topic}/#", 0), ("cmnd/tasmotas/#", 0), (f"cmnd/DVES_{mac[-6:]}_fb/#", 0))
                client.vanish()

            lab.run(host, device)
        time.sleep(0.3)
        done.touch()
        lab.join(listening)
    return {"broker": BROKER, "default_pair": "DVES_USER:DVES_PASS", "devices": [
        {"mac": mac.lower(), "ip": ip, "client_id": f"DVES_{mac[-6:]}", "topic": f"tasmota_{mac[-6:]}", "module": module, "firmware": firmware}
        for mac, ip, name, firmware, module, number in TASMOTAS]}


SHELLY1 = [("shelly1-B929CC", "SHSW-1", "98F4ABB929CC", "10.20.2.31", "20230913-112003/v1.14.0-gcb84623", False),
           ("shellyplug-s-7C87CE", "SHPLG-S", "C45BBE7C87CE", "10.20.2.32", "20210115-103101/v1.9.4@e2732e05", True),
           ("shelly25-68C63AF9D1AA", "SHSW-25", "68C63AF9D1AA", "10.20.2.33", "20230913-112234/v1.14.0-gcb84623", False)]
SHELLY2 = [("shellyplus1pm-a8032abe54dc", "SNSW-001P16EU", "Plus1PM", "A8032ABE54DC", "10.20.2.34", "1.0.8", False),
           ("shellypro4pm-f008d1d8b8b8", "SPSW-004PE16EU", "Pro4PM", "F008D1D8B8B8", "10.20.2.35", "1.1.0", True),
           ("shellyplusplugs-b0b21c1a2b3c", "SNPL-00112EU", "PlusPlugS", "B0B21C1A2B3C", "10.20.2.36", "0.14.1", False)]


@case("mqtt", MOSQUITTO, PAHO)
def shelly_both_generations(lab):
    """Three Gen1 Shelly (announce, relay state) and three Gen2 (online, NotifyFullStatus, Shelly.GetDeviceInfo asked by a hub, NotifyStatus). auth_en is false
    on two of the three Gen2."""
    hosts(lab)
    done = lab.work / "done"

    def hub():
        client = Client(BROKER, "city-hub")
        client.subscribe(("shellies/#", 0), ("+/online", 0), ("+/events/rpc", 0), ("city-hub/rpc", 0))
        client.publish("shellies/command", "announce")
        for device in SHELLY2:
            client.publish(f"{device[0]}/rpc", products.text({"id": 1, "src": "city-hub", "method": "Shelly.GetDeviceInfo"}))
        while not done.exists():
            time.sleep(0.02)
        client.disconnect()

    with lab.capture():
        listening = lab.start("server", hub)
        time.sleep(0.4)
        for number, device in enumerate(SHELLY1 + SHELLY2):
            mac, ip = (device[2], device[3]) if len(device) == 6 else (device[3], device[4])
            host = lab.host(f"s{number}", ip + WIDE, mac=":".join(mac[i:i + 2] for i in range(0, 12, 2)))
            messages = products.shelly_gen1(*device) if len(device) == 6 else products.shelly_gen2(*device)
            will = (f"shellies/{device[0]}/online" if len(device) == 6 else f"{device[0]}/online", "false", 0, True)

            def run():
                client = Client(BROKER, device[0], will=will, clean=False)
                client.subscribe((f"shellies/{device[0]}/command" if len(device) == 6 else f"{device[0]}/rpc", 1))
                client.publish_all(messages)
                client.disconnect()

            lab.run(host, run)
        time.sleep(0.3)
        done.touch()
        lab.join(listening)
    return {"broker": BROKER, "hub": "city-hub",
            "gen1": [{"id": d[0], "model": d[1], "mac": d[2].lower(), "ip": d[3], "firmware": d[4], "new_firmware": d[5]} for d in SHELLY1],
            "gen2": [{"id": d[0], "model": d[1], "app": d[2], "mac": d[3].lower(), "ip": d[4], "version": d[5], "auth_en": d[6]} for d in SHELLY2]}


@case("mqtt", MOSQUITTO, PAHO)
def zigbee2mqtt_twelve_devices(lab):
    """Zigbee2MQTT with permit_join on publishes for twelve Zigbee devices: the client is one device, the coordinator and its twelve are others."""
    hosts(lab)
    with lab.capture():
        announce(lab, products.zigbee2mqtt(), "mqttjs_3a9f01c2", [("zigbee2mqtt/#", 0)], will=("zigbee2mqtt/bridge/state", '{"state":"offline"}', 1, True))
    return {"broker": BROKER, "publisher": "mqttjs_3a9f01c2", "version": "1.35.1", "coordinator": "0x00124b0024c1a2b3", "coordinator_revision": 20230507, "permit_join": True,
            "devices": [{"ieee_address": d[0], "name": d[2], "manufacturer": d[3], "model_id": d[4], "vendor": d[5], "model": d[6], "software_build_id": d[8] or "",
                         "date_code": d[9]} for d in products.ZIGBEE]}


@case("mqtt", MOSQUITTO, PAHO)
def homie_3_and_4(lab):
    """A Homie 4 device (with the legacy firmware extension) and a Homie 3 device."""
    hosts(lab)
    with lab.capture():
        announce(lab, products.homie4("climate-44", "Street climate 44"), "homie-climate-44", [("homie/#", 1)], qos=1, will=("homie/climate-44/$state", "lost", 1, True))
        announce(lab, products.homie3("relay-45", "Relay 45"), "homie-relay-45", [("homie/#", 1)], qos=1, will=("homie/relay-45/$state", "lost", 1, True))
    return {"broker": BROKER, "devices": [
        {"id": "climate-44", "homie": "4.0.0", "mac": "240ac4123456", "ip": "10.10.1.44", "firmware": "street-climate", "firmware_version": "2.4.1", "implementation": "esp32"},
        {"id": "relay-45", "homie": "3.0.1", "mac": "5ccf7faabb01", "ip": "10.10.1.45", "firmware": "relay-board", "firmware_version": "1.0.7", "implementation": "esp8266"}]}


@case("mqtt", MOSQUITTO, PAHO, version("pysparkplug"))
def sparkplug_b(lab):
    """Sparkplug B: a host application (STATE), an edge node (NDEATH as will, NBIRTH with Properties/*, NDATA), two devices (DBIRTH, DDATA by alias, DDEATH), and an
    NCMD that asks for a rebirth."""
    hosts(lab)
    kind, metric = pysparkplug.DataType, lambda name, datatype, value, alias=None: pysparkplug.Metric(timestamp=1777874400000, name=name, datatype=datatype, value=value, alias=alias)
    birth = pysparkplug.NBirth(timestamp=1777874400000, seq=0, metrics=[
        metric("bdSeq", kind.INT64, 0), metric("Node Control/Rebirth", kind.BOOLEAN, False), metric("Node Control/Reboot", kind.BOOLEAN, False),
        metric("Properties/Hardware Make", kind.STRING, "Moxa"), metric("Properties/Hardware Model", kind.STRING, "UC-8112A-ME-T"),
        metric("Properties/OS", kind.STRING, "Moxa Industrial Linux"), metric("Properties/OS Version", kind.STRING, "1.3"), metric("Properties/FW", kind.STRING, "1.3.1"),
        metric("Supply Voltage", kind.FLOAT, 24.1, 1)])
    devices = {name: [metric("Properties/Hardware Make", kind.STRING, "Grundfos"), metric("Properties/Hardware Model", kind.STRING, model),
                      metric("Properties/FW", kind.STRING, firmware), metric("Flow", kind.DOUBLE, 12.5, 10 + n), metric("Running", kind.BOOLEAN, True, 20 + n)]
               for n, (name, model, firmware) in enumerate((("pump-a", "CIM 500", "2.04"), ("pump-b", "CU 352", "6.00.03")))}

    def edge():
        base = "spBv1.0/CityWater/{}/station-4"
        will = (base.format("NDEATH"), pysparkplug.NDeath(timestamp=1777874400000, bd_seq_metric=metric("bdSeq", kind.INT64, 0)).encode(include_dtypes=True), 1, False)
        client = Client(BROKER, "edge-station-4", will=will)
        client.subscribe((base.format("NCMD"), 1), (base.format("DCMD") + "/#", 1), ("spBv1.0/STATE/scada", 1))
        client.publish(base.format("NBIRTH"), birth.encode(include_dtypes=True))
        seq = 1
        for name, metrics in devices.items():
            client.publish(f"{base.format('DBIRTH')}/{name}", pysparkplug.DBirth(timestamp=1777874400500, seq=seq, metrics=metrics).encode(include_dtypes=True))
            seq += 1
        for turn in range(3):
            client.publish(base.format("NDATA"), pysparkplug.NData(timestamp=1777874401000 + turn, seq=seq, metrics=[
                pysparkplug.Metric(timestamp=1777874401000 + turn, name=None, datatype=kind.FLOAT, value=24.0 + turn, alias=1)]).encode())
            seq += 1
            for n, name in enumerate(devices):
                client.publish(f"{base.format('DDATA')}/{name}", pysparkplug.DData(timestamp=1777874401000 + turn, seq=seq, metrics=[
                    pysparkplug.Metric(timestamp=1777874401000 + turn, name=None, datatype=kind.DOUBLE, value=12.5 + turn, alias=10 + n)]).encode())
                seq += 1
        client.publish(f"{base.format('DDEATH')}/pump-b", pysparkplug.DDeath(timestamp=1777874405000, seq=seq).encode())
        time.sleep(0.6)
        client.vanish()
        time.sleep(0.3)

    def host():
        client = Client(BROKER, "scada-host", will=("spBv1.0/STATE/scada", '{"online":false,"timestamp":1777874390000}', 1, True))
        client.subscribe(("spBv1.0/#", 1))
        client.publish("spBv1.0/STATE/scada", '{"online":true,"timestamp":1777874390000}', 1, True)
        time.sleep(1.2)
        client.publish("spBv1.0/CityWater/NCMD/station-4", pysparkplug.NCmd(timestamp=1777874402000, metrics=[metric("Node Control/Rebirth", kind.BOOLEAN, True)]).encode(include_dtypes=True))
        time.sleep(1.2)
        client.disconnect()

    with lab.capture():
        hosting = lab.start("server", host)
        time.sleep(0.5)
        lab.run("sensor", edge)
        lab.join(hosting)
    return {"broker": BROKER, "group": "CityWater", "edge_node": "station-4", "clients": ["edge-station-4", "scada-host"],
            "node": {"make": "Moxa", "model": "UC-8112A-ME-T", "os": "Moxa Industrial Linux", "os_version": "1.3", "fw": "1.3.1"},
            "devices": [{"id": "pump-a", "make": "Grundfos", "model": "CIM 500", "fw": "2.04"}, {"id": "pump-b", "make": "Grundfos", "model": "CU 352", "fw": "6.00.03"}]}


GATEWAY, GATEWAY3 = "0016c001f153a14c", "7076ff0056060a21"


def joined_frames(dev_eui, join_eui, key, dev_addr):
    """Frames for the gateway topics: a device's join, its answer, three uplinks."""
    device = Device(dev_eui, join_eui, key)
    return [device.join_request()], [device.join_accept(dev_addr, 7)], [device.uplink(85, "0175%02x" % n) for n in range(3)]


@case("mqtt", MOSQUITTO, PAHO, version("chirpstack-api"), LORA_PACKET)
def chirpstack_v4(lab):
    """ChirpStack 4: application events in JSON and in protobuf for one device each, gateway topics (region prefix) in protobuf and in JSON with real PHYPayloads: a join
    with a listed key, its accept, uplinks, stats, connection state."""
    hosts(lab)
    key = "5572404C696E6B4C6F52613230313823"
    join, accept, uplinks = joined_frames("24e124136b502217", "24e124c0002a0001", key, "01a2b3c4")
    join2, accept2, uplinks2 = joined_frames("a84041000181abcd", "a840410000000100", "8d3e5f10b2c4a6978055e1f0337799bb", "01a2b3c5")
    with lab.capture():
        announce(lab, chirpstack.v4_gateway(GATEWAY, join + uplinks, accept) + chirpstack.v4_gateway("0016c001f1500002", join2 + uplinks2, accept2, as_json=True, model="dragino_dlos8n"),
                 "gateway-bridge-1", [("eu868/gateway/#", 0)], user="bridge", password="uN7-unlisted-bridge")
        announce(lab, chirpstack.v4_application("24e124136b502217", "air-1", "Milesight AM319", "01a2b3c4", GATEWAY) +
                 chirpstack.v4_application("a84041000181abcd", "soil-1", "Dragino LSE01", "01a2b3c5", "0016c001f1500002", as_json=False),
                 "chirpstack-auto-9f2c", [("application/#", 0)], host="server")
    return {"broker": BROKER, "gateways": [GATEWAY, "0016c001f1500002"], "devices": [
        {"dev_eui": "24e124136b502217", "name": "air-1", "profile": "Milesight AM319", "dev_addr": "01a2b3c4", "app_key": key, "listed": True},
        {"dev_eui": "a84041000181abcd", "name": "soil-1", "profile": "Dragino LSE01", "dev_addr": "01a2b3c5", "app_key": "8d3e5f10b2c4a6978055e1f0337799bb", "listed": False}],
        "concentratord_version": "4.3.2", "hal_version": "2.1.0", "models": ["rak_2287", "dragino_dlos8n"], "uplinks_per_device": 3, "joins_per_device": 1}


@case("mqtt", MOSQUITTO, PAHO, version("chirpstack-api"), LORA_PACKET)
def chirpstack_v3(lab):
    """ChirpStack 3: application JSON by the json_v3 marshaler (hexadecimal) and the json marshaler (base64), topics event/up and the older rx; gateway topics without
    region prefix in JSON, and in protobuf (written with the legacy fields of version 4's package, which keep version 3's numbers)."""
    hosts(lab)
    join, accept, uplinks = joined_frames("70b3d57ed0041234", "70b3d57ed0000001", "1c7aa0c45df2e3b60944d8f1a77e2b55", "00d1e2f3")
    join2, accept2, uplinks2 = joined_frames("8cf9572000012345", "8cf9572000000000", "4f9b12ce7d60a8334e5511f0c9d28b70", "00d1e2f4")
    with lab.capture():
        announce(lab, chirpstack.v3_gateway_json(GATEWAY3, join + uplinks, accept), "gateway-bridge-3", [("gateway/#", 0)])
        announce(lab, chirpstack.v3_gateway_protobuf("7076ff0056060a22", join2 + uplinks2), "gateway-bridge-4", [("gateway/#", 0)])
        announce(lab, chirpstack.v3_application("70b3d57ed0041234", "meter-1", "Water meter", "00d1e2f3", GATEWAY3) +
                 chirpstack.v3_application("8cf9572000012345", "meter-2", "Water meter", "00d1e2f4", "7076ff0056060a22", hexadecimal=False) +
                 chirpstack.v3_application("8cf9572000012346", "meter-3", "Water meter", "00d1e2f5", "7076ff0056060a22", older_topics=True),
                 "chirpstack-as", [("application/#", 0)], host="server")
    return {"broker": BROKER, "gateways": [GATEWAY3, "7076ff0056060a22"], "devices": [
        {"dev_eui": "70b3d57ed0041234", "name": "meter-1", "dev_addr": "00d1e2f3"}, {"dev_eui": "8cf9572000012345", "name": "meter-2", "dev_addr": "00d1e2f4"},
        {"dev_eui": "8cf9572000012346", "name": "meter-3", "dev_addr": "00d1e2f5"}], "profile": "Water meter"}


@case("mqtt", MOSQUITTO, PAHO, "chirpstack-api 3.12.4")
def chirpstack_v3_protobuf(lab):
    """ChirpStack 3 application events in protobuf, by its own API package: join, up, status and ack of two devices."""
    hosts(lab)
    devices = [("8cf9572000012347", "meter-4", "00d1e2f6"), ("8cf9572000012348", "meter-5", "00d1e2f7")]
    messages = []
    for dev_eui, name, dev_addr in devices:
        printed = sh(CACHE / "cs3" / "bin" / "python", Path(__file__).with_name("chirpstack3_events.py"), dev_eui, name, dev_addr, "7076ff0056060a22")
        messages += [(line.split()[0], base64.b64decode(line.split()[1]), False) for line in printed.splitlines()]
    with lab.capture():
        announce(lab, messages, "chirpstack-as", [("application/#", 0)], host="server")
    return {"broker": BROKER, "gateways": ["7076ff0056060a22"], "devices": [{"dev_eui": d, "name": n, "dev_addr": a} for d, n, a in devices], "events_per_device": 4}


@case("mqtt", "python3 http.server (Debian 12)", MOSQUITTO)
def not_mqtt_on_1883(lab):
    """Negative: a web server on TCP port 1883, and bytes that only begin like a CONNECT. No MQTT client, no finding."""
    for name, address, mac in (("broker", BROKER, BROKER_MAC), ("sensor", SENSOR, SENSOR_MAC)):
        lab.host(name, address + WIDE, mac=mac)
    lab.program("broker", "/usr/bin/python3", "-m", "http.server", "1883", "--directory", lab.work)
    wait_listening(lab, "broker", 1883)

    def client():
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"\x10\x0cMQTTish bytes here\r\n\r\n", bytes(range(64))):
            with socket.create_connection((BROKER, 1883), 3) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

    with lab.capture():
        lab.run("sensor", client)
    return {"broker": BROKER, "mqtt_messages": 0, "connections": 3}


@case("mqtt", MOSQUITTO, PAHO)
def the_things_stack_v3(lab):
    """The Things Stack v3 integration: join, uplinks with version_ids, downlinks; the API key is the MQTT password and must not leave citytap."""
    user, password = "city-sensors@ttn", "NNSXS.CANARYKEYAAAAAAAAAAAAAAAAAAAAAA.CANARYSECRETBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
    hosts(lab, users=[(user, password)])
    messages = products.the_things_stack("city-sensors", "noise-12", "24e124743c210001", "24e124c0002a0001", "260b4a11", "roof-gw", "58a0cbfffe8039ab", "milesight-iot", "ws302",
                                         "1.0", "1.1")
    messages += products.the_things_stack("city-sensors", "bin-30", "a84041f2e1820030", "a840410000000101", "260b4a12", "roof-gw", "58a0cbfffe8039ab", "dragino", "ldds75",
                                          "1.0", "1.2.0", port=2)
    with lab.capture():
        announce(lab, messages, "tts-consumer", [("v3/city-sensors@ttn/devices/+/#", 0)], user=user, password=password)
    return {"broker": BROKER, "gateway": {"id": "roof-gw", "eui": "58a0cbfffe8039ab"}, "devices": [
        {"device_id": "noise-12", "dev_eui": "24e124743c210001", "join_eui": "24e124c0002a0001", "dev_addr": "260b4a11", "brand": "milesight-iot", "model": "ws302", "firmware": "1.1"},
        {"device_id": "bin-30", "dev_eui": "a84041f2e1820030", "join_eui": "a840410000000101", "dev_addr": "260b4a12", "brand": "dragino", "model": "ldds75", "firmware": "1.2.0"}],
        "secrets_that_must_not_leak": [password]}


if __name__ == "__main__":
    main(__file__)
