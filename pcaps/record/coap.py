"""CoAP cases: libcoap's programs and aiocoap, over UDP, TCP, WebSocket and DTLS, with OSCORE."""

import asyncio
import random
import socket
import time

import coap_actors as a
from aiocoap import NON, Code
from lab import CACHE, case, debian, main, sh, version, wait_listening

LIBCOAP, AIOCOAP = debian("libcoap3-bin"), version("aiocoap")
SERVER, CLIENT = "10.30.0.10", "10.30.0.100"
SERVER_MAC, CLIENT_MAC = "f4:ce:36:30:00:0a", "00:15:5d:30:00:64"
NO_ICMP6 = "not icmp6"


def pair(lab):
    return lab.host("server", SERVER, mac=SERVER_MAC), lab.host("client", CLIENT, mac=CLIENT_MAC)


def aiocoap_pair(lab, port=5683, transports="udp6", oscore=None, listen="udp"):
    """A running aiocoap server and a client host."""
    server, client = pair(lab)
    lab.start(server, lambda: a.serve(SERVER, port, transports, oscore))
    wait_listening(lab, server, port, listen)
    time.sleep(0.3)
    return server, client


@case("coap", LIBCOAP, ipv6=True)
def libcoap_methods(lab):
    """libcoap's client and server: GET of /, /time and /.well-known/core, PUT, GET and DELETE of a new resource, a request for something absent, confirmable and
    not, a separate response (/async), and an observation of /time for four seconds that the client cancels."""
    server, client = pair(lab)
    lab.program(server, "coap-server-notls", "-A", SERVER, "-d", "10")
    wait_listening(lab, server, 5683, "udp")
    ask = lambda *arguments: lab.command(client, "coap-client-notls", "-B", "5", *arguments, check=False)
    base = f"coap://{SERVER}"
    with lab.capture(keep=NO_ICMP6):
        ask("-m", "get", base + "/")
        ask("-m", "get", base + "/time")
        ask("-m", "get", base + "/.well-known/core")
        ask("-m", "put", "-e", "on", "-t", "text", base + "/lamp")
        ask("-m", "get", base + "/lamp")
        ask("-N", "-m", "get", base + "/time")
        ask("-m", "delete", base + "/lamp")
        ask("-m", "get", base + "/absent")
        ask("-m", "get", base + "/async?1")
        ask("-m", "get", "-s", "4", base + "/time")
    return {"server": SERVER, "client": CLIENT, "requests": 11, "paths": ["", "time", ".well-known/core", "lamp", "absent", "async"], "observe": 1, "separate_responses": 1,
            "not_found": 1}


@case("coap", LIBCOAP, ipv6=True)
def libcoap_blocks(lab):
    """libcoap: a PUT of 3,000 bytes in Block1 of 256, a GET of the same in Block2 of 64, and a GET with 1024."""
    server, client = pair(lab)
    lab.program(server, "coap-server-notls", "-A", SERVER, "-d", "10")
    wait_listening(lab, server, 5683, "udp")
    content = lab.work / "image.bin"
    content.write_bytes(bytes((i * 7) % 251 for i in range(3000)))
    with lab.capture(keep=NO_ICMP6):
        lab.command(client, "coap-client-notls", "-B", "10", "-m", "put", "-b", "256", "-t", "42", "-f", content, f"coap://{SERVER}/image")
        lab.command(client, "coap-client-notls", "-B", "10", "-m", "get", "-b", "64", f"coap://{SERVER}/image")
        lab.command(client, "coap-client-notls", "-B", "10", "-m", "get", "-b", "1024", f"coap://{SERVER}/image")
    return {"server": SERVER, "client": CLIENT, "bodies": [{"direction": "put", "bytes": 3000, "block": 256, "blocks": 12}, {"direction": "get", "bytes": 3000, "block": 64, "blocks": 47},
                                                           {"direction": "get", "bytes": 3000, "block": 1024, "blocks": 3}]}


@case("coap", AIOCOAP, ipv6=True)
def every_method(lab):
    """aiocoap: GET, PUT (created, changed), POST, DELETE, FETCH, PATCH and iPATCH, confirmable and not; Uri-Query, ETag, If-Match, Accept; method not allowed, not found."""
    server, client = aiocoap_pair(lab)
    base = f"coap://{SERVER}"

    async def work(context):
        await a.ask(context, Code.GET, base + "/config")
        await a.ask(context, Code.GET, base + "/config", mtype=NON)
        await a.ask(context, Code.GET, base + "/.well-known/core?rt=config")
        await a.ask(context, Code.PUT, base + "/fresh", b"first", content_format=0)
        await a.ask(context, Code.PUT, base + "/fresh", b"second", content_format=0, if_match=[b"\x00\x05"])
        await a.ask(context, Code.POST, base + "/config?source=test", b";level=2", content_format=0)
        await a.ask(context, Code.FETCH, base + "/config", b"level", content_format=0)
        await a.ask(context, Code.PATCH, base + "/config", b"level=3", content_format=0)
        await a.ask(context, Code.iPATCH, base + "/config", b"level=4", content_format=0, mtype=NON)
        await a.ask(context, Code.GET, base + "/config", accept=50)
        await a.ask(context, Code.DELETE, base + "/fresh")
        await a.ask(context, Code.DELETE, base + "/slow")
        await a.ask(context, Code.GET, base + "/absent")

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "requests": 13, "responses": 13, "methods": ["GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"], "errors": ["4.05", "4.04"]}


@case("coap", AIOCOAP, ipv6=True)
def separate_response(lab):
    """Two requests whose answer comes late: an empty acknowledgement, then a confirmable response of its own, acknowledged by the client."""
    server, client = aiocoap_pair(lab)

    async def work(context):
        await a.ask(context, Code.GET, f"coap://{SERVER}/slow")
        await a.ask(context, Code.GET, f"coap://{SERVER}/slow")

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "requests": 2, "separate_responses": 2}


@case("coap", AIOCOAP, ipv6=True)
def observe_and_cancel(lab):
    """An observation of /sensors/temp with notifications every 0.2 s for about 1.5 s, cancelled by the client; then a plain GET."""
    server, client = aiocoap_pair(lab)

    async def work(context):
        request = context.request(a.Message(code=Code.GET, uri=f"coap://{SERVER}/sensors/temp", observe=0))
        await request.response
        seen = 0
        async for _ in request.observation:
            seen += 1
            if seen == 7:
                break
        request.observation.cancel()
        await asyncio.sleep(0.5)
        await a.ask(context, Code.GET, f"coap://{SERVER}/sensors/temp")

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "observed": "sensors/temp", "notifications_at_least": 7, "requests": 2}


@case("coap", AIOCOAP, ipv6=True)
def blockwise_both_ways(lab):
    """aiocoap: a PUT of 5,000 bytes in Block1 and a GET of 5,000 bytes in Block2, 1,024 each."""
    server, client = aiocoap_pair(lab)

    async def work(context):
        await a.ask(context, Code.PUT, f"coap://{SERVER}/firmware", bytes((i * 13) % 256 for i in range(5000)), content_format=42)
        await a.ask(context, Code.GET, f"coap://{SERVER}/firmware")

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "bodies": [{"direction": "put", "path": "firmware", "bytes": 5000}, {"direction": "get", "path": "firmware", "bytes": 5000}]}


@case("coap", AIOCOAP, ipv6=True)
def no_response_and_echo(lab):
    """A non-confirmable PUT with No-Response (all classes) that stays unanswered, and a PUT that gets 4.01 with Echo and is repeated with it."""
    server, client = aiocoap_pair(lab)

    async def work(context):
        await a.ask(context, Code.PUT, f"coap://{SERVER}/config", b"quiet", mtype=NON, no_response=26, no_wait=True)
        await a.ask(context, Code.PUT, f"coap://{SERVER}/lock", b"open")
        await a.ask(context, Code.PUT, f"coap://{SERVER}/lock", b"open", echo=b"fresh-0001")

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "requests": 3, "responses": 2, "no_response": 1, "unauthorized_with_echo": 1}


@case("coap", LIBCOAP, ipv6=True)
def multicast_discovery(lab):
    """GET /.well-known/core to 224.0.1.187 (All CoAP Nodes): three libcoap servers answer, each from its own address."""
    client = lab.host("client", CLIENT, mac=CLIENT_MAC)
    lab.ip(client, "route", "add", "224.0.0.0/4", "dev", "eth0")
    servers = [f"10.30.0.{10 + n}" for n in range(3)]
    for number, address in enumerate(servers):
        host = lab.host(f"node{number}", address, mac=f"f4:ce:36:30:00:{10 + number:02x}")
        lab.ip(host, "route", "add", "224.0.0.0/4", "dev", "eth0")
        lab.program(host, "coap-server-notls", "-g", "224.0.1.187", "-G", "eth0")
        wait_listening(lab, host, 5683, "udp")
    with lab.capture(keep=NO_ICMP6):
        lab.command(client, "coap-client-notls", "-N", "-B", "4", "-m", "get", "coap://224.0.1.187/.well-known/core", check=False)
    return {"client": CLIENT, "group": "224.0.1.187", "servers": servers, "requests": 1}


@case("coap", AIOCOAP, ipv6=True)
def odd_port(lab):
    """CoAP on UDP port 17500: GET, PUT, an observation."""
    server, client = aiocoap_pair(lab, port=17500)

    async def work(context):
        for _ in range(3):
            await a.ask(context, Code.GET, f"coap://{SERVER}:17500/config")
        await a.ask(context, Code.PUT, f"coap://{SERVER}:17500/config", b"x")
        await a.ask(context, Code.GET, f"coap://{SERVER}:17500/sensors/temp", mtype=NON)

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "port": 17500, "requests": 5, "responses": 5}


@case("coap", AIOCOAP, ipv6=True)
def retransmitted_without_answer(lab):
    """A confirmable GET to a host where nothing listens (its ICMP errors are dropped): the same message id again after 2 s or more, then given up by the script."""
    server, client = pair(lab)
    lab.ip(server, "route", "add", "blackhole", f"{CLIENT}/32")

    async def work(context):
        try:
            await asyncio.wait_for(a.ask(context, Code.GET, f"coap://{SERVER}/config"), 11)
        except Exception:
            pass

    with lab.capture(keep="udp"):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "distinct_requests": 1, "responses": 0}


@case("coap", AIOCOAP, ipv6=True)
def only_responses_seen(lab):
    """One way: only what the server sends, a blockwise body and an observation among it."""
    server, client = aiocoap_pair(lab)

    async def work(context):
        await a.ask(context, Code.GET, f"coap://{SERVER}/.well-known/core")
        await a.ask(context, Code.GET, f"coap://{SERVER}/firmware")
        await a.ask(context, Code.GET, f"coap://{SERVER}/sensors/temp")

    with lab.capture(keep=f"src host {SERVER} and udp"):
        lab.run(client, lambda: a.run(work))
    return {"server": SERVER, "client": CLIENT, "one_way": "server to client", "requests": 0, "responses": 5, "body_bytes": 3072}


@case("coap", AIOCOAP, ipv6=True)
def blocks_missing(lab):
    """A PUT of 12,000 bytes in Block1 of which the capture misses blocks 3 and 7 (removed afterwards by their Block1 option): the body must not pass as whole."""
    server, client = aiocoap_pair(lab)

    async def work(context):
        await a.ask(context, Code.PUT, f"coap://{SERVER}/firmware", bytes((i * 13) % 256 for i in range(12000)), content_format=42)

    with lab.capture("whole.pcap", keep="udp"):
        lab.run(client, lambda: a.run(work))
    whole = lab.folder / "whole.pcap"
    sh("tshark", "-r", whole, "-F", "pcap", "-w", lab.folder / "capture.pcap", "-Y", "not (coap.code == 3 and (coap.opt.block_number == 3 or coap.opt.block_number == 7))")
    whole.unlink()
    return {"server": SERVER, "client": CLIENT, "path": "firmware", "body_bytes": 12000, "blocks": 12, "missing_blocks": [3, 7]}


@case("coap", LIBCOAP, ipv6=True)
def discovery_sweep(lab):
    """A host asks six devices within a few seconds what they offer (/.well-known/core). A management host asks two of them, and reads a value of all six."""
    servers = [f"10.30.0.{10 + n}" for n in range(6)]
    for number, address in enumerate(servers):
        host = lab.host(f"node{number}", address, mac=f"f4:ce:36:30:00:{10 + number:02x}")
        lab.program(host, "coap-server-notls", "-A", address)
        wait_listening(lab, host, 5683, "udp")
    manager, sweeper = lab.host("manager", CLIENT, mac=CLIENT_MAC), lab.host("sweeper", "10.30.0.66", mac="00:0c:29:30:00:66")
    with lab.capture(keep=NO_ICMP6):
        for number, address in enumerate(servers):
            if number < 2:
                lab.command(manager, "coap-client-notls", "-B", "3", "-m", "get", f"coap://{address}/.well-known/core")
            lab.command(manager, "coap-client-notls", "-B", "3", "-m", "get", f"coap://{address}/time")
        for address in servers:
            lab.command(sweeper, "coap-client-notls", "-B", "3", "-m", "get", f"coap://{address}/.well-known/core")
    return {"servers": servers, "client": CLIENT, "sweeper": "10.30.0.66", "requests": 14, "responses": 14, "asked_by_client": 2, "asked_by_sweeper": 6}


@case("coap", AIOCOAP, ipv6=True)
def path_guessing(lab):
    """A host guesses at what a device offers: 30 paths, of which two are there. A controller with a wrong setting asks for one absent path 25 times, and reads one that is there."""
    server, client = aiocoap_pair(lab)
    guesser = lab.host("guesser", "10.30.0.66", mac="00:0c:29:30:00:66")
    guesses = [*(f"{first}/{second}" for first in ("admin", "device", "system", "debug") for second in ("config", "password", "key", "reboot", "wifi", "users", "log")), "config", "firmware"]

    async def usual(context):
        for _ in range(25):
            await a.ask(context, Code.GET, f"coap://{SERVER}/level")
            await asyncio.sleep(0.1)
        await a.ask(context, Code.GET, f"coap://{SERVER}/config")

    async def guess(context):
        for path in guesses:
            await a.ask(context, Code.GET, f"coap://{SERVER}/{path}")

    with lab.capture(keep=NO_ICMP6):
        process = lab.start(client, lambda: a.run(usual))
        time.sleep(0.5)
        lab.run(guesser, lambda: a.run(guess))
        lab.join(process)
    return {"server": SERVER, "client": CLIENT, "guesser": "10.30.0.66", "guesses": len(guesses), "guesses_refused": 28, "refused_to_client": 25, "absent_paths_of_client": ["level"]}


@case("coap", AIOCOAP, LIBCOAP, ipv6=True)
def many_observations(lab):
    """A host begins 24 observations of a device, each with a token and a query of its own: it answers each again every second. A management host begins three."""
    server, client = pair(lab)
    lab.program(server, "coap-server-notls", "-A", SERVER, "-d", "10")
    wait_listening(lab, server, 5683, "udp")
    greedy = lab.host("greedy", "10.30.0.66", mac="00:0c:29:30:00:66")

    def observe(count, seconds):
        async def work(context):
            requests = []
            for number in range(count):
                requests.append(context.request(a.Message(code=Code.GET, uri=f"coap://{SERVER}/time?display={number}", observe=0)))
                await requests[-1].response
            await asyncio.sleep(seconds)
            for request in requests:
                request.observation.cancel()
            await asyncio.sleep(2.5)

        return lambda: a.run(work)

    with lab.capture(keep=NO_ICMP6):
        process = lab.start(client, observe(3, 3))
        time.sleep(0.5)
        lab.run(greedy, observe(24, 2))
        lab.join(process)
    return {"server": SERVER, "client": CLIENT, "greedy": "10.30.0.66", "observed": "time", "observations_of_client": 3, "observations_of_greedy": 24}


@case("coap", LIBCOAP, AIOCOAP, ipv6=True)
def proxy_request(lab):
    """A device that is a forward proxy (libcoap's server): a host has it fetch from another one, by Proxy-Uri (libcoap's client) and by Proxy-Scheme (aiocoap). A management host reads
    the device itself."""
    server, client = pair(lab)
    inner = lab.host("inner", "10.30.0.11", mac="f4:ce:36:30:00:0b")
    stranger = lab.host("stranger", "10.30.0.66", mac="00:0c:29:30:00:66")
    lab.program(server, "coap-server-notls", "-A", SERVER, "-P", f",{SERVER}")
    lab.program(inner, "coap-server-notls", "-A", "10.30.0.11", "-d", "10")
    for host in (server, inner):
        wait_listening(lab, host, 5683, "udp")

    async def by_scheme(context):
        message = a.Message(code=Code.GET, uri=f"coap://{SERVER}/time", uri_host="10.30.0.11", proxy_scheme="coap")
        await asyncio.wait_for(context.request(message).response, 8)

    with lab.capture(keep=NO_ICMP6):
        lab.command(client, "coap-client-notls", "-B", "3", "-m", "get", f"coap://{SERVER}/time")
        lab.command(stranger, "coap-client-notls", "-B", "5", "-m", "get", "-P", f"coap://{SERVER}", "coap://10.30.0.11/time")
        lab.command(stranger, "coap-client-notls", "-B", "5", "-m", "put", "-e", "off", "-P", f"coap://{SERVER}", "coap://10.30.0.11/lamp")
        lab.run(stranger, lambda: a.run(by_scheme))
    return {"proxy": SERVER, "client": CLIENT, "stranger": "10.30.0.66", "fetched_from": "10.30.0.11", "requests_to_proxy": 3}


@case("coap", "python3 (Debian 12)", ipv6=True)
def not_coap_on_5683(lab):
    """Negative: syslog-like text and random bytes on UDP port 5683. No CoAP device."""
    server, client = pair(lab)
    listener = lab.socket(server, socket.SOCK_DGRAM, (SERVER, 5683))
    sender = lab.socket(client, socket.SOCK_DGRAM)
    chance = random.Random(5683)
    with lab.capture(keep=NO_ICMP6):
        for number in range(10):
            sender.sendto(f"<134>Nov 20 06:00:{number:02d} lamp-7 controller: level {number}".encode(), (SERVER, 5683))
            sender.sendto(bytes((0xC0 | chance.randrange(64), *(chance.randrange(256) for _ in range(40)))), (SERVER, 5683))
    listener.close()
    return {"server": SERVER, "client": CLIENT, "coap_messages": 0, "datagrams": 20}


@case("coap", AIOCOAP, ipv6=True)
def over_ipv6(lab):
    """CoAP between IPv6 addresses, with Uri-Host."""
    server, client = lab.host("server", "2001:db8:30::10", mac=SERVER_MAC), lab.host("client", "2001:db8:30::100", mac=CLIENT_MAC)
    lab.start(server, lambda: a.serve("2001:db8:30::10"))
    wait_listening(lab, server, 5683, "udp")
    time.sleep(0.5)

    async def work(context):
        await a.ask(context, Code.GET, "coap://[2001:db8:30::10]/.well-known/core")
        await a.ask(context, Code.GET, "coap://[2001:db8:30::10]/config", uri_host="lamp-7.city.example")

    with lab.capture():
        lab.run(client, lambda: a.run(work))
    return {"server": "2001:db8:30::10", "client": "2001:db8:30::100", "requests": 2, "responses": 2}


@case("coap", AIOCOAP, ipv6=True)
def over_tcp(lab):
    """CoAP over TCP (RFC 8323) on port 5683: CSM both ways, GET, PUT of 5,000 bytes, observation, absent resource, release."""
    server, client = aiocoap_pair(lab, transports="tcpserver", listen="tcp")
    base = f"coap+tcp://{SERVER}"

    async def work(context):
        await a.ask(context, Code.GET, base + "/.well-known/core")
        await a.ask(context, Code.PUT, base + "/config", b"0123456789" * 50)
        await a.ask(context, Code.GET, base + "/config")
        await a.ask(context, Code.GET, base + "/absent")
        request = context.request(a.Message(code=Code.GET, uri=base + "/sensors/temp", observe=0))
        await request.response
        seen = 0
        async for _ in request.observation:
            seen += 1
            if seen == 3:
                break
        request.observation.cancel()
        await asyncio.sleep(0.3)

    with lab.capture(keep="tcp"):
        lab.run(client, lambda: a.run(work, "tcpclient"))
    return {"server": SERVER, "client": CLIENT, "port": 5683, "transport": "tcp", "requests_at_least": 5, "notifications_at_least": 3}


@case("coap", LIBCOAP, ipv6=True)
def over_tcp_libcoap(lab):
    """libcoap over TCP: GET /, PUT and GET of a resource."""
    server, client = pair(lab)
    lab.program(server, "coap-server-notls", "-A", SERVER, "-d", "10")
    wait_listening(lab, server, 5683, "tcp")
    with lab.capture(keep="tcp"):
        lab.command(client, "coap-client-notls", "-B", "5", "-m", "get", f"coap+tcp://{SERVER}/")
        lab.command(client, "coap-client-notls", "-B", "5", "-m", "put", "-e", "dim=40", f"coap+tcp://{SERVER}/lamp")
        lab.command(client, "coap-client-notls", "-B", "5", "-m", "get", f"coap+tcp://{SERVER}/lamp")
    return {"server": SERVER, "client": CLIENT, "port": 5683, "transport": "tcp", "connections": 3, "requests": 3}


@case("coap", AIOCOAP, version("websockets"), ipv6=True)
def over_websocket(lab):
    """CoAP over WebSocket (RFC 8323, subprotocol coap, /.well-known/coap) on aiocoap's port: GET, PUT, absent resource."""
    server, client = pair(lab)
    lab.start(server, lambda: a.serve(SERVER, 5683, "ws"))
    listening = ""
    for _ in range(50):
        listening = lab.command(server, "ss", "-ltn")
        if SERVER in listening:
            break
        time.sleep(0.1)
    port = next(int(word.rsplit(":", 1)[1]) for word in listening.split() if word.startswith(SERVER + ":"))
    base = f"coap+ws://{SERVER}:{port}"

    async def work(context):
        await a.ask(context, Code.GET, base + "/.well-known/core")
        await a.ask(context, Code.PUT, base + "/config", b"0123456789" * 20)
        await a.ask(context, Code.GET, base + "/config")
        await a.ask(context, Code.GET, base + "/absent")

    with lab.capture(keep="tcp"):
        lab.run(client, lambda: a.run(work, "ws"))
    return {"server": SERVER, "client": CLIENT, "port": port, "transport": "websocket", "requests": 4, "responses": 4}


RFC8613 = {"secret": "0102030405060708090a0b0c0d0e0f10", "salt": "9e7ca92223786340"}


def oscore_case(lab, secret, salt=None, context=None, sender="", recipient="01"):
    """GET, PUT and an observation under OSCORE."""
    at_server = a.oscore_settings(lab.work / "server-context", secret, recipient, sender, salt, context)
    at_client = a.oscore_settings(lab.work / "client-context", secret, sender, recipient, salt, context)
    server, client = aiocoap_pair(lab, transports="oscore:udp6", oscore=at_server)
    base = f"coap://{SERVER}"

    async def work(made):
        await a.ask(made, Code.GET, base + "/config")
        await a.ask(made, Code.PUT, base + "/config", b"interval=30")
        await a.ask(made, Code.GET, base + "/config")
        await a.ask(made, Code.GET, base + "/absent")

    with lab.capture(keep=NO_ICMP6):
        lab.run(client, lambda: a.run(work, "oscore:udp6", (at_client, base + "/*")))
    return {"server": SERVER, "client": CLIENT, "requests": 4, "responses": 4, "master_secret": secret, **({"master_salt": salt} if salt else {}),
            **({"id_context": context} if context else {}), "client_sender_id": sender, "server_sender_id": recipient, "algorithm": "AES-CCM-16-64-128", "hkdf": "SHA-256"}


@case("coap", AIOCOAP, ipv6=True)
def oscore_rfc8613_vector(lab):
    """OSCORE with the master secret, salt and ids of RFC 8613 appendix C.1: a published key in use."""
    return {**oscore_case(lab, **RFC8613), "expected": "proved"}


@case("coap", AIOCOAP, ipv6=True)
def oscore_rfc8613_vector_with_context(lab):
    """OSCORE with the vector of RFC 8613 appendix C.3, that is with an ID context."""
    return {**oscore_case(lab, **RFC8613, context="37cbf3210017a2d3"), "expected": "proved"}


@case("coap", AIOCOAP, ipv6=True)
def oscore_unlisted(lab):
    """OSCORE with a random master secret: nothing to find but that OSCORE is used."""
    return {**oscore_case(lab, "b7f0339ad14c62e85a9107cd2e48f36b", sender="0a", recipient="0b"), "expected": "clear"}


def dtls(lab, identity, key, server_key=None, client_arguments=(), server_arguments=(), scheme="coaps"):
    server, client = pair(lab)
    secrets = ["-k", server_key or key] if key else []
    lab.program(server, "coap-server-openssl", "-A", SERVER, "-d", "10", *secrets, *server_arguments)
    wait_listening(lab, server, 5684, "udp")
    with lab.capture(keep=NO_ICMP6):
        credentials = ["-u", identity, "-k", key] if key else []
        lab.command(client, "coap-client-openssl", "-B", "4", "-m", "put", "-e", "on", *credentials, *client_arguments, f"{scheme}://{SERVER}/lamp", check=False)
        lab.command(client, "coap-client-openssl", "-B", "4", "-m", "get", *credentials, *client_arguments, f"{scheme}://{SERVER}/lamp", check=False)


OPENSSL = debian("libssl3")
ECDHE_PSK = "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256 (0xccac)"


@case("coap", LIBCOAP, OPENSSL, ipv6=True)
def dtls_psk_known_identity(lab):
    """DTLS 1.2 with a pre-shared key: identity Client_identity and key secretPSK, as in tinydtls and Contiki. Two handshakes."""
    dtls(lab, "Client_identity", "secretPSK")
    return {"server": SERVER, "client": CLIENT, "port": 5684, "handshakes": 2, "psk_identity": "Client_identity", "psk": "secretPSK", "cipher_suite": ECDHE_PSK, "expected": "known identity, key not provable"}


@case("coap", LIBCOAP, OPENSSL, ipv6=True)
def dtls_psk_unlisted(lab):
    """DTLS 1.2 with a pre-shared key on no list."""
    dtls(lab, "lamp-0417.city.example", "mX4-unlisted-psk-7731")
    return {"server": SERVER, "client": CLIENT, "port": 5684, "handshakes": 2, "psk_identity": "lamp-0417.city.example", "psk": "mX4-unlisted-psk-7731", "cipher_suite": ECDHE_PSK, "expected": "clear",
            "secrets_that_must_not_leak": ["mX4-unlisted-psk-7731"]}


@case("coap", "OpenSSL s_server and s_client of " + OPENSSL, ipv6=True)
def dtls_psk_plain_suite(lab):
    """DTLS 1.2, TLS_PSK_WITH_AES_128_CCM_8 (no Diffie-Hellman: the Finished message proves the key): Client_identity with secretPSK, the key of Nordic's sample, an unlisted key."""
    server, client = pair(lab)
    pairs = [("Client_identity", b"secretPSK".hex()), ("nrf-352656100867660", "000102030405060708090a0b0c0d0e0f"), ("lamp-0418.city.example", "d60f37b1a9425ce883701fbe94ac2d57")]
    suite = "PSK-AES128-CCM8:@SECLEVEL=0"
    with lab.capture(keep=NO_ICMP6):
        for number, (identity, key) in enumerate(pairs):
            port = 5684 + 1000 * number
            lab.program(server, "openssl", "s_server", "-dtls1_2", "-accept", f"{SERVER}:{port}", "-nocert", "-psk_identity", identity, "-psk", key, "-cipher", suite, "-quiet")
            wait_listening(lab, server, port, "udp")
            lab.command(client, "sh", "-c", f"(sleep 0.3; echo hello; sleep 0.3) | openssl s_client -dtls1_2 -connect {SERVER}:{port} -psk_identity {identity} -psk {key} -cipher {suite} -quiet",
                        check=False)
    return {"server": SERVER, "client": CLIENT, "ports": [5684, 6684, 7684], "handshakes": 3, "cipher_suite": "TLS_PSK_WITH_AES_128_CCM_8 (0xc0a8)",
            "sessions": [{"psk_identity": identity, "psk_hex": key, "expected": expected} for (identity, key), expected in zip(pairs, ("proved", "proved", "clear"))]}


@case("coap", "OpenSSL s_server and s_client of " + OPENSSL, ipv6=True)
def dtls_psk_other_suites(lab):
    """DTLS 1.2, the other suites without Diffie-Hellman, each with the key of Nordic's sample under an identity of its own; CBC with the code over the ciphertext and within it;
    one session without the extended master secret; one suite with SHA-384."""
    server, client = pair(lab)
    key = "000102030405060708090a0b0c0d0e0f"
    without_extended = lab.work / "openssl.cnf"
    without_extended.write_text("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n[all]\nOptions = -ExtendedMasterSecret\n")
    sessions = [("PSK-AES128-GCM-SHA256", "", "lamp-1"), ("PSK-AES256-CCM", "", "lamp-2"), ("PSK-AES128-CBC-SHA256", "", "lamp-3"), ("PSK-AES128-CBC-SHA256", "-no_etm", "lamp-4"),
                ("PSK-AES256-CBC-SHA", "-no_etm", "lamp-5"), ("PSK-AES128-CCM8", "no extended master secret", "lamp-6"), ("PSK-AES256-GCM-SHA384", "", "lamp-7")]
    with lab.capture(keep=NO_ICMP6):
        for number, (suite, option, identity) in enumerate(sessions):
            port = 5684 + 1000 * number
            flag = option if option.startswith("-") else ""
            environment = f"OPENSSL_CONF={without_extended}" if option.startswith("no ") else "OPENSSL_CONF="
            suite += ":@SECLEVEL=0"
            lab.program(server, "env", environment, "openssl", "s_server", "-dtls1_2", "-accept", f"{SERVER}:{port}", "-nocert", "-psk_identity", identity, "-psk", key, "-cipher", suite, "-quiet",
                        *filter(None, [flag]))
            wait_listening(lab, server, port, "udp")
            lab.command(client, "sh", "-c",
                        f"(sleep 0.3; echo hello; sleep 0.3) | {environment} openssl s_client -dtls1_2 -connect {SERVER}:{port} -psk_identity {identity} -psk {key} -cipher {suite} {flag} -quiet",
                        check=False)
    return {"server": SERVER, "client": CLIENT, "handshakes": 7, "psk_hex": key,
            "sessions": [{"cipher_suite": suite, "option": option, "psk_identity": identity, "expected": "not tried" if "SHA384" in suite else "proved"} for suite, option, identity in sessions]}


@case("coap", LIBCOAP, OPENSSL, ipv6=True)
def dtls_psk_refused(lab):
    """DTLS 1.2: known identity, wrong key; the handshake fails with an alert or is given up."""
    dtls(lab, "Client_identity", "wrong-key-unlisted", server_key="secretPSK")
    return {"server": SERVER, "client": CLIENT, "port": 5684, "psk_identity": "Client_identity", "completed_handshakes": 0}


@case("coap", LIBCOAP, OPENSSL, ipv6=True)
def dtls_certificate(lab):
    """DTLS 1.2 with server and client certificates (P-256, self-signed), in clear during the handshake."""
    key, certificate = lab.work / "key.pem", lab.work / "cert.pem"
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "365", "-subj",
       "/O=City lights/CN=lamp-22.city.example")
    digest = sh("sh", "-c", f"openssl x509 -in {certificate} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum").split()[0]
    arguments = ["-c", certificate, "-j", key]
    dtls(lab, None, None, client_arguments=[*arguments, "-n"], server_arguments=[*arguments, "-n"])
    return {"server": SERVER, "client": CLIENT, "port": 5684, "subject_cn": "lamp-22.city.example", "spki_sha256": digest, "handshakes": 2}


@case("coap", "dimpl 0.9.0 (pcaps/record/dtls13)", "OpenSSL (Debian 12)", ipv6=True)
def dtls_1_3(lab):
    """DTLS 1.3 with certificates (P-256): the hellos are in clear, all else is encrypted; three requests and answers of CoAP size, then close_notify. No connection id."""
    server, client = pair(lab)
    key, private, certificate, program = lab.work / "key.pem", lab.work / "key.der", lab.work / "cert.der", CACHE / "dtls13" / "debug" / "dtls13"
    sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-outform", "DER", "-out", certificate, "-days", "365", "-subj",
       "/CN=hidden.city.example")
    sh("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "DER", "-out", private)
    lab.program(server, program, "server", f"{SERVER}:5684", certificate, private)
    wait_listening(lab, server, 5684, "udp")
    with lab.capture(keep=NO_ICMP6):
        lab.command(client, program, "client", f"{SERVER}:5684", certificate, private)
    return {"server": SERVER, "client": CLIENT, "port": 5684, "handshakes": 1, "version": "1.3", "connection_id": False, "certificate_visible": False}


if __name__ == "__main__":
    main(__file__)
