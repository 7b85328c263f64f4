"""MQTT brokers and clients for the cases: mosquitto, paho, and the mqtt-sn-12 client with a small gateway."""

import time

import paho.mqtt.client as paho
from lab import wait_listening
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

V31, V311, V5 = paho.MQTTv31, paho.MQTTv311, paho.MQTTv5
BROKER, SENSOR, SERVER = "10.20.0.5", "10.20.1.10", "10.20.0.20"
BROKER_MAC, SENSOR_MAC, SERVER_MAC = "b8:27:eb:20:00:05", "24:0a:c4:20:01:0a", "00:15:5d:20:00:14"
WIDE = "/16"


def broker(lab, host, *lines, users=(), ports=(1883,), anonymous=None):
    """A mosquitto; anonymous clients are accepted unless users are given, or where `anonymous` says so."""
    folder = lab.work / host
    folder.mkdir(exist_ok=True)
    settings = ["user root", f"persistence_location {folder}/", "sys_interval 0"]
    if users:
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{name}:{password}\n" for name, password in users))
        lab.command(host, "mosquitto_passwd", "-U", passwords)
        settings += [f"allow_anonymous {str(bool(anonymous)).lower()}", f"password_file {passwords}"]
    else:
        settings += ["allow_anonymous true"]
    if not any(line.startswith("listener") for line in lines):
        settings += ["listener 1883"]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join([*settings, *lines]) + "\n")
    lab.program(host, "mosquitto", "-c", config)
    for port in ports:
        wait_listening(lab, host, port)


def hosts(lab, *lines, users=(), ports=(1883,)):
    """A broker, a device and a server; the broker runs."""
    for name, address, mac in (("broker", BROKER, BROKER_MAC), ("sensor", SENSOR, SENSOR_MAC), ("server", SERVER, SERVER_MAC)):
        lab.host(name, address + WIDE, mac=mac)
    broker(lab, "broker", *lines, users=users, ports=ports)


class Client:
    """A paho client that waits for what it asks."""

    def __init__(self, address, client_id="", port=1883, version=V311, user=None, password=None, will=None, clean=True, keepalive=60, transport="tcp",
                 properties=None, manual_ack=False, tls=None, bind=""):
        options = {} if version == V5 else {"clean_session": clean}
        self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, transport=transport, manual_ack=manual_ack, **options)
        self.code, self.messages, self.pending = None, [], set()
        self.paho.on_connect = self._connected
        self.paho.on_message = lambda client, data, message: self.messages.append(message)
        self.paho.on_subscribe = self.paho.on_unsubscribe = lambda client, data, mid, *rest: self.pending.discard(mid)
        if user is not None:
            self.paho.username_pw_set(user, password)
        if will:
            self.paho.will_set(*will) if isinstance(will, tuple) else self.paho.will_set(**will)
        if tls:
            self.paho.tls_set(ca_certs=str(tls))
            self.paho.tls_insecure_set(True)
        arguments = {"clean_start": clean, "properties": properties} if version == V5 else {}
        self.paho.connect(address, port, keepalive, bind_address=bind, **arguments)
        self.paho.loop_start()
        end = time.monotonic() + 8
        while self.code is None and time.monotonic() < end:
            time.sleep(0.01)
        if self.code is None:
            raise RuntimeError("no CONNACK")

    def _connected(self, client, data, flags, code, properties):
        self.code = code
        if code.is_failure:
            client.disconnect()

    @property
    def accepted(self):
        return not self.code.is_failure

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None):
        info = self.paho.publish(topic, payload, qos, retain, properties)
        if qos:
            info.wait_for_publish(8)
        return info

    def publish_all(self, messages, qos=0, pause=0.01):
        for topic, payload, retained in messages:
            self.publish(topic, payload, qos, retained)
            time.sleep(pause)

    def _wait(self, mid):
        self.pending.add(mid)
        end = time.monotonic() + 5
        while mid in self.pending and time.monotonic() < end:
            time.sleep(0.01)

    def subscribe(self, *topics, options=None, properties=None):
        """Topics are (filter, qos) pairs, or with options a single filter."""
        if options is not None:
            self._wait(self.paho.subscribe(topics[0], options=options, properties=properties)[1])
        else:
            self._wait(self.paho.subscribe(list(topics), **({"properties": properties} if properties else {}))[1])

    def unsubscribe(self, *topics):
        self._wait(self.paho.unsubscribe(list(topics))[1])

    def wait_messages(self, count, seconds=5):
        end = time.monotonic() + seconds
        while len(self.messages) < count and time.monotonic() < end:
            time.sleep(0.01)
        if len(self.messages) < count:
            raise RuntimeError(f"{len(self.messages)} of {count} messages came")

    def disconnect(self, **arguments):
        self.paho.disconnect(**arguments)
        time.sleep(0.05)
        self.paho.loop_stop()

    def vanish(self):
        """Close the connection without DISCONNECT: the will is sent."""
        self.paho.loop_stop()
        self.paho._sock_close()


def properties(packet, **values):
    result = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(result, name, value)
    return result


def websocket_front(port, compression):
    """A WebSocket listener before the mosquitto of the same host (Debian's is built without one)."""
    import asyncio

    import websockets

    async def serve(connection):
        reader, writer = await asyncio.open_connection("127.0.0.1", 1883)

        async def down():
            while data := await reader.read(4096):
                await connection.send(data)

        task = asyncio.create_task(down())
        try:
            async for message in connection:
                writer.write(message)
        except websockets.ConnectionClosed:
            pass
        task.cancel()
        writer.close()

    async def body():
        async with websockets.serve(serve, "0.0.0.0", port, subprotocols=["mqtt"], compression=compression, max_size=None):
            await asyncio.Future()

    asyncio.run(body())


class Encoder:
    """paho as a mere encoder: `encode(call)` returns the bytes that the call would have written."""

    def __init__(self, client_id):
        self.client_id = client_id

    def __call__(self, call):
        encoder = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=self.client_id)
        written = []

        class Wire:
            def close(self):
                pass

        encoder._sock = Wire()
        encoder._sock_send = lambda data: (written.append(bytes(data)), len(data))[1]
        call(encoder)
        encoder._packet_write()
        encoder._sock = None
        return b"".join(written)

    def connect(self):
        return self(lambda client: client._send_connect(60))

    def subscribe(self, topic):
        return self(lambda client: client._send_subscribe(False, [(topic.encode(), 0)]))

    def publish(self, topic, payload, qos=0, mid=0):
        return self(lambda client: client._send_publish(mid, topic.encode(), payload, qos, info=paho.MQTTMessageInfo(mid)))

    def disconnect(self):
        return self(lambda client: client._send_disconnect())


# --- MQTT-SN -----------------------------------------------------------------------------------------------------------------------------------


def sn_client(address, client_id, keep_alive=60):
    from mqttsn12.client.MqttSnClient import MqttSnClient

    client = MqttSnClient()
    client.set_client_id(client_id)
    client.set_keep_alive(keep_alive)
    client.set_timeout(3)
    client.open(address, 1884)
    client.client_id = client_id
    return client


def sn_gateway(broker_address, port=1884):
    """A transparent MQTT-SN gateway: one MQTT connection a client. mqtt-sn-12 decodes and encodes; the four messages that it can only read (WILLTOPICREQ,
    WILLMSGREQ, GWINFO, UNSUBACK) are two to four fixed bytes of the specification."""
    import socket

    from mqttsn12 import packets as sn
    from mqttsn12.MqttSnConstants import MqttSnConstants as K

    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", port))
    sessions = {}
    while True:
        data, peer = udp.recvfrom(4096)
        kind = data[3] if data[0] == 1 else data[1]
        session = sessions.setdefault(peer, {"topics": {}, "next": 1})

        def reply(packet):
            udp.sendto(packet if isinstance(packet, bytes) else packet.encode(), peer)

        def accept():
            session["mqtt"] = Client(broker_address, session["id"], will=session.get("will"))
            answer = sn.ConnackPacket()
            answer.set_return_code(K.ACCEPTED)
            reply(answer)

        def number(topic):
            if topic not in session["topics"].values():
                session["topics"][session["next"]] = topic
                session["next"] += 1
            return next(key for key, value in session["topics"].items() if value == topic)

        if kind == K.TYPE_SEARCHGW:
            reply(bytes((3, K.TYPE_GWINFO, 1)))
        elif kind == K.TYPE_CONNECT:
            packet = sn.ConnectPacket()
            packet.decode(data)
            session["id"] = packet.get_client_id()
            reply(bytes((2, K.TYPE_WILLTOPICREQ))) if packet.get_will() else accept()
        elif kind == K.TYPE_WILLTOPIC:
            session["will_topic"] = data[3:].decode()
            reply(bytes((2, K.TYPE_WILLMSGREQ)))
        elif kind == K.TYPE_WILLMSG:
            session["will"] = (session["will_topic"], data[2:])
            accept()
        elif kind == K.TYPE_REGISTER:
            packet = sn.RegisterPacket()
            packet.decode(data)
            answer = sn.RegackPacket()
            answer.set_topic_id(number(packet.get_topic_name()))
            answer.set_message_id(packet.get_message_id())
            answer.set_return_code(K.ACCEPTED)
            reply(answer)
        elif kind == K.TYPE_PUBLISH:
            packet = sn.PublishPacket()
            packet.decode(data)
            identifier = packet.get_topic_id()
            topic = {0: session["topics"].get(identifier), 1: f"predefined/{identifier}", 2: identifier.to_bytes(2, "big").decode("latin1")}[packet.get_topic_type_id()]
            qos = 1 if packet.get_flags() & 0x60 == 0x20 else 0
            if topic and "mqtt" in session:
                session["mqtt"].publish(topic, packet.get_data(), qos, packet.get_retain())
            if qos:
                answer = sn.PubAckPacket()
                answer.set_topic_id(identifier)
                answer.set_message_id(packet.get_message_id())
                answer.set_return_code(K.ACCEPTED if topic else K.REJECTED_INVALID)
                reply(answer)
        elif kind == K.TYPE_SUBSCRIBE:
            packet = sn.SubPacket()
            packet.decode(data)
            topic = packet.get_topic_name() or f"predefined/{packet.get_topic_id()}"
            session["mqtt"].subscribe((topic, 0))
            answer = sn.SubAckPacket()
            answer.set_topic_id(0 if "#" in topic or "+" in topic else number(topic))
            answer.set_message_id(packet.get_message_id())
            answer.set_return_code(K.ACCEPTED)
            reply(answer)

            def forward(client, userdata, message, peer=peer, session=session, number=number):
                known = message.topic in session["topics"].values()
                identifier = number(message.topic)
                if not known:
                    register = sn.RegisterPacket()
                    register.set_topic_id(identifier)
                    register.set_message_id(identifier)
                    register.set_topic_name(message.topic)
                    udp.sendto(register.encode(), peer)
                    time.sleep(0.1)
                publish = sn.PublishPacket()
                publish.set_topic_id(identifier)
                publish.set_message_id(0)
                publish.set_data(message.payload)
                udp.sendto(publish.encode(), peer)

            session["mqtt"].paho.on_message = forward
        elif kind == K.TYPE_UNSUBSCRIBE:
            reply(bytes((4, K.TYPE_UNSUBACK)) + data[3:5])
        elif kind == K.TYPE_PINGREQ:
            reply(sn.PingResPacket())
        elif kind == K.TYPE_DISCONNECT:
            reply(bytes((2, K.TYPE_DISCONNECT)))
            if len(data) == 2 and "mqtt" in session:
                session.pop("mqtt").disconnect()
