"""Malformed CoAP, LwM2M and DTLS: sockets send what no library would, to real servers."""

import base64
import socket
import threading
import time

import lwm2m_actors as l
from aiocoap import CON, ACK, Code, Message
from coap import CLIENT, NO_ICMP6, SERVER, aiocoap_pair, pair
from coap_actors import serve
from lab import case, debian, main, version, wait_listening
from lwm2m import DEVICE, GET, SERVER as MANAGER, life, scene

AIOCOAP, OPENSSL = version("aiocoap"), debian("libssl3")
DAMAGE = "the damage is done by the script"


def coap(code=Code.GET, mid=1, token=b"", kind=CON, path=("sensors", "temp"), payload=b"", **options):
    """A message as aiocoap encodes it."""
    message = Message(code=code, uri_path=path, payload=payload, **options)
    message.mtype, message.mid, message.token = kind, mid, token
    return message.encode()


def send(address, *datagrams, port=5683, wait=0.05):
    """Sends datagrams from one port and takes what comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        client.settimeout(wait)
        for data in datagrams:
            try:
                client.send(data)
                client.recv(2048)
            except OSError:
                pass


def option(number, value):
    """A GET with one option, its number given as a difference of one or two bytes."""
    head = bytes((number << 4 | len(value),)) if number < 13 else bytes((0xD0 | len(value), number - 13)) if number < 269 else bytes((0xE0 | len(value),)) + (number - 269).to_bytes(2, "big")
    return head + value


GET_HEAD = lambda mid: b"\x40\x01" + mid.to_bytes(2, "big")
DAMAGED = [
    lambda mid: b"\x44\x01" + mid.to_bytes(2, "big") + b"\x02",
    lambda mid: b"\x80\x01" + mid.to_bytes(2, "big"),
    lambda mid: b"\x4f\x01" + mid.to_bytes(2, "big"),
    lambda mid: GET_HEAD(mid) + b"\xf1\x00",
    lambda mid: GET_HEAD(mid) + b"\xe0\xff\xff",
    lambda mid: GET_HEAD(mid) + option(16, b"\1\2"),
    lambda mid: GET_HEAD(mid) + option(17, b"\0") + b"\x01\x01",
    lambda mid: GET_HEAD(mid) + option(11, b"\xff\xfe"),
    lambda mid: GET_HEAD(mid) + b"\xff",
    lambda mid: b"\x40\x00" + mid.to_bytes(2, "big") + b"\1",
    lambda mid: b"\x40\x20" + mid.to_bytes(2, "big"),
    lambda mid: b"\x60\x01" + mid.to_bytes(2, "big"),
    lambda mid: GET_HEAD(mid) + option(9, b"\xe0"),
    lambda mid: GET_HEAD(mid) + option(23, b"\x07"),
]


@case("coap", AIOCOAP, DAMAGE, ipv6=True)
def malformed_messages(lab):
    """A host sends a CoAP server messages that each depart from the specification in one way: cut short, with reserved values, with options that do not fit, empty ones with content. It
    asks others to confirm a request to all nodes. Another client reads a value meanwhile."""
    aiocoap_pair(lab)
    odd = lab.host("odd", "10.30.0.66", mac="00:0c:29:30:00:42")

    def read():
        for turn in range(10):
            send(SERVER, coap(mid=100 + turn, token=bytes((turn,))))
            time.sleep(0.05)

    def attack():
        for number, damaged in enumerate(DAMAGED):
            send(SERVER, coap(mid=1000 + number), damaged(2000 + number))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as everybody:
            everybody.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.30.0.66"))
            everybody.sendto(coap(mid=3000, path=(".well-known", "core")), ("224.0.1.187", 5683))

    with lab.capture(keep=NO_ICMP6):
        reading = lab.start("client", read)
        lab.run(odd, attack)
        lab.join(reading)
    return {"server": SERVER, "client": CLIENT, "sends_malformed": "10.30.0.66", "damaged_messages": len(DAMAGED)}


@case("coap", AIOCOAP, DAMAGE, ipv6=True)
def quirks(lab):
    """A device that keeps the letter of CoAP badly: every message has the number 1, blocks and the size of their body disagree, a critical option of its own, and links that are none (in the answers
    of a server that is a script)."""
    server, client = pair(lab)

    def answer():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
            device.bind((SERVER, 5683))
            while True:
                asked, peer = device.recvfrom(2048)
                request = Message.decode(asked)
                core = request.opt.uri_path == (".well-known", "core")
                body = b"no link at all,</a>" if core else b""
                device.sendto(coap(Code.CONTENT, request.mid, request.token, ACK, (), body, **({"content_format": 40} if core else {})), peer)

    lab.start(server, answer)
    wait_listening(lab, server, 5683, "udp")
    block = lambda number, more: bytes((number << 4 | more << 3,))

    def quirky():
        send(SERVER, *[coap(mid=1, token=bytes((turn,)), path=("a", str(turn))) for turn in range(4)])
        for turn in range(3):
            mid = 500 + 10 * turn
            send(SERVER, coap(Code.PUT, mid, path=("fw", str(turn)))[:-1] + b"x")
            first = b"\x40\x03" + (mid + 1).to_bytes(2, "big") + option(11, b"fw") + option(16, block(0, 1)) + option(33, b"\x63") + b"\xff" + bytes(16)
            last = b"\x40\x03" + (mid + 2).to_bytes(2, "big") + option(11, b"fw") + option(16, block(1, 0)) + b"\xffend"
            send(SERVER, first, last)
            send(SERVER, b"\x40\x03" + (mid + 3).to_bytes(2, "big") + option(11, b"fw") + option(16, block(0, 1)) + b"\xffshort")
            send(SERVER, coap(mid=mid + 4), GET_HEAD(mid + 5) + option(2049, b""))
        for turn in range(6):
            send(SERVER, coap(mid=900 + turn, path=(".well-known", "core")))

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, quirky)
    return {"server": SERVER, "client": CLIENT}


@case("coap", AIOCOAP, DAMAGE, ipv6=True)
def answers_that_do_not_fit(lab):
    """Somebody sits between a CoAP server and the network and changes the token of every second answer. The client asks nothing unusual."""
    server, client = pair(lab)

    def between():
        threading.Thread(target=lambda: serve("127.0.0.1"), daemon=True).start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as front, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            front.bind((SERVER, 5683))
            back.connect(("127.0.0.1", 5683))
            turn = 0
            while True:
                asked, peer = front.recvfrom(2048)
                back.send(asked)
                answer = bytearray(back.recv(2048))
                turn += 1
                if turn % 2:
                    answer[4] ^= 0xFF
                front.sendto(answer, peer)

    lab.start(server, between)
    wait_listening(lab, server, 5683, "udp")
    time.sleep(0.5)

    def ask():
        for turn in range(12):
            send(SERVER, coap(mid=100 + turn, token=bytes((turn + 1, 7)), path=("config",)), wait=0.5)

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, ask)
    return {"server": SERVER, "client": CLIENT, "requests": 12, "responses": 12, "with_another_token": 6}


@case("coap", AIOCOAP, DAMAGE, ipv6=True)
def malformed_over_tcp(lab):
    """Connections over TCP that do not begin with the settings of the client (CSM), and over WebSocket a message whose length field is not zero."""
    server, client = aiocoap_pair(lab, transports="tcpserver", listen="tcp")
    lab.start(server, lambda: serve(SERVER, 5700, "ws"))
    listening = ""
    for _ in range(50):
        listening = [word for word in lab.command(server, "ss", "-ltn").split() if word.startswith(SERVER + ":") and not word.endswith(":5683")]
        if listening:
            break
        time.sleep(0.1)
    port = int(listening[0].rsplit(":", 1)[1])
    masked = lambda data: b"\x82" + bytes((0x80 | len(data),)) + bytes(4) + data
    upgrade = (f"GET /.well-known/coap HTTP/1.1\r\nHost: {SERVER}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Protocol: coap\r\n\r\n").encode()

    def attack():
        for turn in range(4):
            with socket.create_connection((SERVER, 5683), 3) as connection:
                connection.settimeout(0.2)
                connection.sendall(b"\xd1\x00\x01" + bytes((turn,)) + b"\xb7sensors\x04temp")
                try:
                    connection.recv(2048)
                except (TimeoutError, ConnectionError):
                    pass
        with socket.create_connection((SERVER, port), 3) as connection:
            connection.settimeout(0.5)
            for data in (upgrade, masked(b"\x00\xe1"), masked(b"\x70\x01\xb6config") , masked(b"\x70\x01\xb6config")):
                try:
                    connection.sendall(data)
                    connection.recv(4096)
                except (TimeoutError, ConnectionError):
                    pass

    with lab.capture(keep="tcp"):
        lab.run(client, attack)
    return {"server": SERVER, "client": CLIENT, "tcp_port": 5683, "websocket_port": port, "without_csm": 4}


@case("lwm2m", AIOCOAP, DAMAGE, ipv6=True)
def malformed_registrations(lab):
    """A client registers without its name, without the version, without objects, and sends payloads that are cut short; a device beside it registers as it should."""
    scene(lab, {"*": [(GET, "/3/0", {"accept": l.TLV})]}, (("device", DEVICE), ("odd", "10.30.4.66")))

    def attack():
        links = b"</1/0>,</3/0>"
        register = lambda mid, query, payload: coap(Code.POST, mid, path=("rd",), uri_query=query, payload=payload, content_format=40)
        for number, (query, payload) in enumerate(((("lt=60", "lwm2m=1.1"), links), (("ep=odd-1", "lt=60"), links), (("ep=odd-2", "lt=60", "lwm2m=1.1"), b""))):
            send(MANAGER, register(10 + number, query, payload))
        cut = [coap(Code.POST, 20 + turn, path=("dp",), payload=b"\x81\xa2\x21\x63/3/", content_format=112) for turn in range(4)]
        send(MANAGER, register(13, ("ep=odd-3", "lt=60", "lwm2m=1.1"), links), *cut, wait=0.3)

    with lab.capture(keep="udp or arp"):
        living = lab.start("device", lambda: life(DEVICE, "light-7", l.street_light("SL-000007"), wait=0.8))
        lab.run("odd", attack)
        lab.join(living)
    return {"server": MANAGER, "device": DEVICE, "sends_malformed": "10.30.4.66"}


@case("lwm2m", AIOCOAP, "LwM2M payloads: the script's, after LwM2M Core 1.1, with cbor2", ipv6=True)
def security_object_written(lab):
    """A management server, which is no bootstrap server, writes the Security object of a device that is registered with it: the key and the address of the server that it obeys."""
    scene(lab, {"*": [(GET, "/3/0", {"accept": l.TLV}), (Code.PUT, "/0/0/0", {"payload": b"coap://10.20.0.66:5683", "content_format": l.TEXT}), (GET, "/1/0", {"accept": l.TLV})]})
    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: life(DEVICE, "light-8", l.street_light("SL-000008"), wait=0.9))
    return {"server": MANAGER, "device": DEVICE, "endpoint": "light-8"}


def client_hello():
    """The first datagram of OpenSSL's DTLS client."""
    import subprocess

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(5)
        client = subprocess.Popen(["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{sink.getsockname()[1]}", "-psk", "0a0b", "-quiet"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return sink.recv(4096)
        finally:
            client.kill()
            client.wait()


@case("coap", "OpenSSL s_server and s_client of " + OPENSSL, DAMAGE, ipv6=True)
def malformed_dtls_records(lab):
    """A host sends a DTLS server the ClientHello of OpenSSL, damaged: with a length of the session identifier that does not fit, cut within its handshake header, with a record behind it that is none, and
    in fragments that do not agree about the length of the whole."""
    server, client = pair(lab)
    lab.program(server, "openssl", "s_server", "-dtls1_2", "-accept", f"{SERVER}:5684", "-nocert", "-psk_identity", "lamp", "-psk", "d60f37b1a9425ce883701fbe94ac2d57", "-quiet")
    wait_listening(lab, server, 5684, "udp")
    hello = client_hello()
    again = lambda number, body: hello[:10] + bytes((number,)) + len(body).to_bytes(2, "big") + body
    handshake = hello[13:]
    session = bytearray(hello)
    session[13 + 12 + 34] = 0xF0
    part = lambda body, offset, whole: handshake[:1] + whole.to_bytes(3, "big") + handshake[4:6] + offset.to_bytes(3, "big") + len(body).to_bytes(3, "big") + body
    body = handshake[12:]

    def attack():
        for turn in range(3):
            fresh = lambda data: data[:27] + bytes((turn,)) + data[28:]
            send(SERVER, fresh(bytes(session)), port=5684)
            send(SERVER, hello, again(1, handshake[:9]), port=5684)
            send(SERVER, hello + b"\x16\xfe", port=5684)
            send(SERVER, again(0, part(body[:60], 0, len(body))), again(1, part(body[60:], 60, len(body) + 400)), port=5684)

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, attack)
    return {"server": SERVER, "client": CLIENT, "port": 5684, "damaged_datagrams": 12}


if __name__ == "__main__":
    main(__file__)
