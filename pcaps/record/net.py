"""What lies under the protocols: addresses (DHCP, ARP, NDP), VLANs and tunnels, fragments, loss, and capture formats. Modbus, MQTT, CoAP and GWMP ride along."""

import heapq
import json
import random
import select
import signal
import socket
import time

import modbus_actors as m
import mqtt_actors as q
from lab import case, debian, main, sh, version, wait_listening
from lorawan_actors import Gateway, NetworkServer
from lorawan_frames import LORA_PACKET, Device

SCAPY = f"{version('scapy')} (adds the outer headers to a recorded conversation; the kernel at hand has no such interfaces)"
KERNEL = f"Linux {sh('uname', '-r').strip().split('-')[0]}"
PYMODBUS, PAHO, MOSQUITTO = version("pymodbus"), version("paho-mqtt"), debian("mosquitto")
PLC, SCADA = "10.10.0.10", "10.10.0.100"
IDENTITY = {0: "WAGO", 1: "750-8212", 2: "03.10.08"}


def hosts(lab, **options):
    lab.host("plc", PLC, mac="00:30:de:10:00:0a", **options)
    lab.host("scada", SCADA, mac="00:0c:29:10:00:64", **options)


def modbus_server(lab, host="plc", port=502, address="0.0.0.0"):
    lab.start(host, lambda: m.serve({1: IDENTITY}, port=port, address=address))
    wait_listening(lab, host, port)


def polls(address, turns=10, identify=True):
    """A connection with one identification and some polls."""
    wire = m.Client(address, timeout=30)
    if identify:
        wire.ask(m.identify(1))
    for turn in range(turns):
        wire.ask(m.read_holding(turn, 6))
        wire.pause(0.01)
    wire.close()


MODBUS_FACTS = {"requests": 11, "responses": 11, "vendor": "WAGO", "product_code": "750-8212"}


@case("net", debian("dnsmasq-base"), debian("udhcpc"), PYMODBUS)
def dhcp_address_changes(lab):
    """Three devices take addresses by DHCP, with host name and vendor class; the PLC among them is then given another address and polled at both: one device."""
    lab.host("server", "10.10.0.1", mac="00:15:5d:10:00:01")
    devices = {"plc-east": "00:30:de:11:22:33", "lamp-4": "24:0a:c4:11:22:34", "meter-9": "a4:cf:12:11:22:35"}
    for name, mac in devices.items():
        lab.host(name, mac=mac)
    lab.host("scada", SCADA, mac="00:0c:29:10:00:64")
    hook = lab.work / "hook.sh"
    hook.write_text('#!/bin/sh\n[ "$1" = bound ] || [ "$1" = renew ] || exit 0\nip addr flush dev "$interface"\nip addr add "$ip/24" dev "$interface"\n')
    hook.chmod(0o755)

    def serve(plc):
        return lab.program("server", "dnsmasq", "-k", "-p", "0", "-i", "eth0", "--bind-interfaces", "--dhcp-range=10.10.0.50,10.10.0.90,1h", f"--dhcp-leasefile={lab.work}/leases-{plc}",
                           "--dhcp-authoritative", f"--dhcp-host={devices['plc-east']},{plc}", f"--dhcp-host={devices['lamp-4']},10.10.0.52", f"--dhcp-host={devices['meter-9']},10.10.0.53",
                           "--conf-file=/dev/null", f"--pid-file={lab.work}/pid-{plc}")

    def ask(name, vendor):
        lab.command(name, "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", hook, "-x", f"hostname:{name}", "-V", vendor, "-t", "5", "-T", "2")

    with lab.capture():
        server = serve("10.10.0.51")
        time.sleep(0.5)
        ask("plc-east", "WAGO 750-8212")
        ask("lamp-4", "espressif")
        ask("meter-9", "udhcp 1.35.0")
        modbus_server(lab, "plc-east")
        lab.run("scada", lambda: polls("10.10.0.51"))
        lab.stop(server)
        time.sleep(0.3)
        serve("10.10.0.77")
        time.sleep(0.5)
        ask("plc-east", "WAGO 750-8212")
        lab.run("scada", lambda: polls("10.10.0.77"))
    return {"dhcp_server": "10.10.0.1", "devices": [{"mac": devices["plc-east"].replace(":", ""), "hostname": "plc-east", "vendor_class": "WAGO 750-8212", "addresses": ["10.10.0.51", "10.10.0.77"]},
            {"mac": devices["lamp-4"].replace(":", ""), "hostname": "lamp-4", "vendor_class": "espressif", "addresses": ["10.10.0.52"]},
            {"mac": devices["meter-9"].replace(":", ""), "hostname": "meter-9", "vendor_class": "udhcp 1.35.0", "addresses": ["10.10.0.53"]}], "modbus_requests": 22}


@case("net", debian("radvd"), KERNEL, PYMODBUS, ipv6=True)
def slaac_with_privacy_addresses(lab):
    """IPv6 autoconfiguration: router advertisements, duplicate address detection, a stable and a privacy address on the client; the PLC is polled from both: one device."""
    router = lab.host("router", "2001:db8:10::1", mac="00:15:5d:10:00:01")
    plc = lab.host("plc", mac="00:30:de:10:00:0a")
    scada = lab.host("scada", mac="00:0c:29:10:00:64")
    for host in (plc, scada):
        for name in ("all", "eth0"):
            lab.command(host, "sysctl", "-qw", f"net.ipv6.conf.{name}.accept_ra=1", f"net.ipv6.conf.{name}.autoconf=1")
    lab.command(scada, "sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=1", "net.ipv6.conf.all.use_tempaddr=1")
    lab.command(router, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    config = lab.work / "radvd.conf"
    config.write_text("interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix 2001:db8:10::/64 { AdvOnLink on; AdvAutonomous on; }; };\n")
    with lab.capture(options=()):
        lab.ip(scada, "link", "set", "eth0", "down")
        lab.ip(scada, "link", "set", "eth0", "up")
        lab.program(router, "radvd", "-n", "-C", config, "-p", lab.work / "radvd.pid", "-m", "stderr")
        time.sleep(6)
        found = lab.ip(scada, "-6", "-o", "address", "show", "dev", "eth0", "scope", "global").split("\n")
        addresses = {("temporary" if "temporary" in line else "stable"): line.split()[3].split("/")[0] for line in found if line}
        target = lab.ip(plc, "-6", "-o", "address", "show", "dev", "eth0", "scope", "global").split()[3].split("/")[0]
        modbus_server(lab, address="::")

        def from_address(source):
            wire = m.Client.__new__(m.Client)
            wire.socket = socket.create_connection((target, 502), 5, source_address=(source, 0))
            wire.framer, wire.rtu, wire.transaction = m.ModbusSocketFramer(m.ClientDecoder()), False, 0
            for turn in range(5):
                wire.ask(m.read_holding(turn, 4))
            wire.close()

        for source in addresses.values():
            lab.run(scada, lambda: from_address(source))
    return {"router": "2001:db8:10::1", "server": target, "client_mac": "000c29100064", "client_addresses": addresses, "modbus_requests": 5 * len(addresses)}


@case("net", KERNEL, PYMODBUS)
def vxlan(lab):
    """Modbus in VXLAN 42, UDP port 4789, by the kernel's own tunnel interfaces."""
    hosts(lab)
    for host, local, remote, last in (("plc", PLC, SCADA, 10), ("scada", SCADA, PLC, 100)):
        lab.ip(host, "link", "add", "tun1", "type", "vxlan", "id", "42", "local", local, "remote", remote, "dstport", "4789")
        lab.ip(host, "link", "set", "tun1", "up")
        lab.address(host, f"10.50.0.{last}", "tun1")
    modbus_server(lab)
    with lab.capture():
        lab.run("scada", lambda: polls("10.50.0.10"))
    return {"tunnel": "vxlan", "vni": 42, "outer": [SCADA, PLC], "server": "10.50.0.10", "client": "10.50.0.100", **MODBUS_FACTS}


def wrapped(lab, *wraps, **facts):
    """Record one Modbus conversation for each wrap and put its headers around every packet. A wrap takes a recorded Ethernet frame, returns a frame."""
    import scapy.layers.inet  # noqa: F401 (teaches Ethernet frames their IP)
    from scapy.utils import rdpcap, wrpcap

    hosts(lab)
    modbus_server(lab)
    made = []
    for number, wrap in enumerate(wraps):
        with lab.capture("inner.pcap", keep="tcp"):
            lab.run("scada", lambda: polls(PLC))
        inner = lab.folder / "inner.pcap"
        for packet in rdpcap(str(inner)):
            frame = wrap(packet)
            frame.time = packet.time
            made.append(frame)
        inner.unlink()
    wrpcap(str(lab.folder / "capture.pcap"), made)
    return {"server": PLC, "client": SCADA, "conversations": len(wraps), "requests": 11 * len(wraps), "responses": 11 * len(wraps), "vendor": "WAGO", "product_code": "750-8212", **facts}


def outer(packet):
    """Ethernet and IP between two tunnel ends, in the direction of the packet."""
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether

    out = packet["IP"].src == SCADA
    ends = ("192.0.2.1", "192.0.2.2") if out else ("192.0.2.2", "192.0.2.1")
    macs = ("00:00:5e:00:53:01", "00:00:5e:00:53:02") if out else ("00:00:5e:00:53:02", "00:00:5e:00:53:01")
    return Ether(src=macs[0], dst=macs[1]) / IP(src=ends[0], dst=ends[1])


@case("net", SCAPY, PYMODBUS)
def vlan_and_qinq(lab):
    """The same pair of addresses untagged, in VLAN 10, in VLAN 20, and in QinQ (802.1ad 100, 802.1Q 30): four conversations, three of which only the tags tell apart."""
    from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

    def tagged(*tags):
        def wrap(packet):
            head = Ether(src=packet.src, dst=packet.dst)
            for tag in tags:
                head /= tag.copy()
            return head / packet["IP"]
        return wrap

    return wrapped(lab, tagged(), tagged(Dot1Q(vlan=10)), tagged(Dot1Q(vlan=20)), tagged(Dot1AD(vlan=100), Dot1Q(vlan=30)), tags=["none", "10", "20", "100.30"])


@case("net", SCAPY, PYMODBUS)
def gre(lab):
    """Modbus in IPv4 in GRE, with and without a key."""
    from scapy.layers.l2 import GRE

    return wrapped(lab, lambda p: outer(p) / GRE() / p["IP"], lambda p: outer(p) / GRE(key_present=1, key=7) / p["IP"], tunnel="gre", outer=["192.0.2.1", "192.0.2.2"])


@case("net", SCAPY, PYMODBUS)
def gre_ethernet(lab):
    """Modbus in Ethernet in GRE (protocol 0x6558), as some SPAN ports send."""
    from scapy.layers.l2 import GRE

    return wrapped(lab, lambda p: outer(p) / GRE(proto=0x6558) / p, tunnel="gre", outer=["192.0.2.1", "192.0.2.2"])


@case("net", SCAPY, PYMODBUS)
def erspan(lab):
    """Modbus in ERSPAN type I (no header), II and III: mirrored frames from a switch 192.0.2.1 to a collector 192.0.2.9, both directions in one stream."""
    from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III
    from scapy.layers.inet import IP
    from scapy.layers.l2 import GRE, Ether

    count = [0]

    def mirror(header, **fields):
        def wrap(packet):
            count[0] += 1
            gre = GRE(proto=0x88BE) if header is ERSPAN_I else GRE(proto=0x22EB if header is ERSPAN_III else 0x88BE, seqnum_present=1, seqence_number=count[0])
            return Ether(src="00:00:5e:00:53:01", dst="00:00:5e:00:53:09") / IP(src="192.0.2.1", dst="192.0.2.9") / gre / header(**fields) / packet
        return wrap

    return wrapped(lab, mirror(ERSPAN_I), mirror(ERSPAN_II, session_id=30, vlan=10), mirror(ERSPAN_III, session_id=31, vlan=20), tunnel="erspan", sessions=[30, 31])


@case("net", SCAPY, PYMODBUS)
def geneve(lab):
    """Modbus in GENEVE 43, UDP port 6081; a second conversation carries an option."""
    from scapy.contrib.geneve import GENEVE, GeneveOptions
    from scapy.layers.inet import UDP

    return wrapped(lab, lambda p: outer(p) / UDP(sport=51000, dport=6081) / GENEVE(vni=43) / p,
                   lambda p: outer(p) / UDP(sport=51001, dport=6081) / GENEVE(vni=43, options=[GeneveOptions(classid=0x0102, type=1, data=b"\0\0\0\x2a")]) / p, tunnel="geneve", vni=43)


@case("net", SCAPY, PYMODBUS)
def ip_in_ip(lab):
    """Modbus in IPv4 in IPv4, and in IPv4 in IPv6."""
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    def six(packet):
        out = packet["IP"].src == SCADA
        return Ether(src=packet.src, dst=packet.dst) / IPv6(src="2001:db8::1" if out else "2001:db8::2", dst="2001:db8::2" if out else "2001:db8::1") / packet["IP"]

    return wrapped(lab, lambda p: outer(p) / p["IP"], six, tunnel="ip")


@case("net", SCAPY, PYMODBUS)
def mpls(lab):
    """Modbus under one MPLS label, and under two."""
    from scapy.contrib.mpls import MPLS
    from scapy.layers.l2 import Ether

    def labels(*numbers):
        def wrap(packet):
            head = Ether(src=packet.src, dst=packet.dst, type=0x8847)
            for number in numbers:
                head /= MPLS(label=number, s=number == numbers[-1], ttl=62)
            return head / packet["IP"]
        return wrap

    return wrapped(lab, labels(300), labels(300, 400), labels_used=[[300], [300, 400]])


@case("net", SCAPY, PYMODBUS)
def pppoe(lab):
    """Modbus in a PPPoE session (17)."""
    from scapy.layers.l2 import Ether
    from scapy.layers.ppp import PPP, PPPoE

    return wrapped(lab, lambda p: Ether(src=p.src, dst=p.dst) / PPPoE(sessionid=17) / PPP(proto=0x0021) / p["IP"], session=17)


@case("net", KERNEL, LORA_PACKET, "ping (Debian 12)", ipv6=True)
def fragments(lab):
    """IPv4 fragments of a GWMP datagram of 3,000 bytes and more with sixteen uplinks in it (twice), and of pings of 4,000 bytes over IPv4 and IPv6."""
    lab.host("ns", "10.40.0.2", "2001:db8:40::2", mac="00:15:5d:40:00:02")
    lab.host("gw", "10.40.0.7", "2001:db8:40::7", mac="70:76:ff:06:00:07")
    server = NetworkServer(lab, "ns", "10.40.0.2")
    gateway = Gateway(lab, "gw", "10.40.0.7", server, "7076ff0056060007")
    device = Device("70b3d57ed0990001", "70b3d57ed0000001", dev_addr="260b9901", nwk_s_key="5ec7a41f0d39b8265ec7a41f0d39b826", app_s_key="0d39b8265ec7a41f0d39b8265ec7a41f")
    with lab.capture():
        gateway.pull()
        for _ in range(2):
            gateway.push(*[gateway.rxpk(device.uplink(1, "aabbccdd"), advance=100_000) for _ in range(16)])
        lab.command("gw", "ping", "-c", "2", "-i", "0.2", "-s", "4000", "10.40.0.2")
        lab.command("gw", "ping", "-c", "2", "-i", "0.2", "-s", "4000", "2001:db8:40::2")
    return {"network_server": "10.40.0.2", "gateways": [gateway.eui], "data_up": 32, "fragmented_datagrams_gwmp": 2}


def behind_bad_wire(lab, name, address, mac, seed, loss=0.04, duplicate=0.02, delay=0.008, jitter=0.006):
    """A host whose link passes a program that loses, duplicates, delays and so reorders frames both ways (seeded; real stacks at both ends react)."""
    wire = lab.host(f"wire-{name}")
    lab.namespace(name)
    lab.ip(name, "link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", lab.hosts[wire])
    lab.ip(name, "link", "set", "eth0", "address", mac)
    for host, interface in ((name, "eth0"), (wire, "far")):
        lab.command(host, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        lab.ip(host, "link", "set", interface, "up")
    for interface in ("eth0", "far"):
        lab.ip(wire, "link", "set", interface, "promisc", "on")
    lab.address(name, address)

    def forward():
        chance, waiting, count = random.Random(seed), [], 0
        ends = []
        for interface in ("eth0", "far"):
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            end.bind((interface, 3))
            ends.append(end)
        while True:
            wait = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 1.0
            for end in select.select(ends, [], [], wait)[0]:
                frame, origin = end.recvfrom(65535)
                if origin[2] == socket.PACKET_OUTGOING:
                    continue
                arp = frame[12:14] == b"\x08\x06"
                for _ in range(1 if arp else (chance.random() >= loss) + (chance.random() < duplicate)):
                    count += 1
                    heapq.heappush(waiting, (time.monotonic() + delay + chance.uniform(-jitter, jitter), count, ends[1 - ends.index(end)], frame))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, end, frame = heapq.heappop(waiting)
                end.send(frame)

    lab.start(wire, forward)


@case("net", KERNEL, LORA_PACKET)
def fragments_out_of_order(lab):
    """Fragments of GWMP datagrams whose order a bad wire changes and of which some are lost: what is complete is read, the rest is counted."""
    lab.host("ns", "10.40.0.2", mac="00:15:5d:40:00:02")
    behind_bad_wire(lab, "gw", "10.40.0.7", "70:76:ff:06:00:07", seed=7, loss=0.06)
    server = NetworkServer(lab, "ns", "10.40.0.2")
    gateway = Gateway(lab, "gw", "10.40.0.7", server, "7076ff0056060007")
    device = Device("70b3d57ed0990001", "70b3d57ed0000001", dev_addr="260b9901", nwk_s_key="5ec7a41f0d39b8265ec7a41f0d39b826", app_s_key="0d39b8265ec7a41f0d39b8265ec7a41f")
    complete = 0
    with lab.capture():
        server.socket.settimeout(0.5)
        gateway.up.settimeout(0.3)
        for _ in range(14):
            gateway.up.send(gateway.header(0) + json.dumps({"rxpk": [gateway.rxpk(device.uplink(1, "aabbccdd"), advance=100_000) for _ in range(16)]}, separators=(",", ":")).encode())
            try:
                server.receive()
                complete += 1
            except TimeoutError:
                pass
    return {"network_server": "10.40.0.2", "gateways": [gateway.eui], "push_data_sent": 14, "push_data_complete_at_server": complete, "data_up": 16 * complete,
            "note": "a duplicated fragment or datagram may add a copy; the server counts one a turn"}


@case("net", KERNEL, PYMODBUS, MOSQUITTO, PAHO)
def loss_and_reordering(lab):
    """Modbus and MQTT over a bad wire: 4 % lost, 2 % doubled, order changed, both ways. capture.pcap is what the bridge at the servers' side saw; client_side.pcap what the
    client's interface saw. Application messages are all there."""
    lab.host("plc", PLC, mac="00:30:de:10:00:0a")
    lab.host("broker", "10.10.0.5", mac="b8:27:eb:10:00:05")
    behind_bad_wire(lab, "scada", SCADA, "00:0c:29:10:00:64", seed=5)
    modbus_server(lab)
    q.broker(lab, "broker")

    def mqtt():
        client = q.Client("10.10.0.5", "lossy-1")
        client.subscribe(("lossy/#", 1))
        for number in range(40):
            client.paho.publish(f"lossy/{number}", b"reading " * (1 + 40 * (number % 7)), number % 2)
            time.sleep(0.01)
        client.wait_messages(40, 60)
        client.disconnect()

    with lab.capture(settle=1.5), lab.capture("client_side.pcap", host="scada", interface="eth0", settle=1.5):
        processes = [lab.start("scada", lambda: polls(PLC, 60)), lab.start("scada", mqtt)]
        lab.join(*processes)
    return {"server": PLC, "broker": "10.10.0.5", "client": SCADA, "modbus_requests": 61, "modbus_responses": 61, "mqtt_clients": ["lossy-1"], "publishes_to_broker": 40,
            "publishes_from_broker": 40, "other_file": "client_side.pcap"}


@case("net", KERNEL, PYMODBUS)
def lost_by_the_capture(lab):
    """A capture that misses packets the endpoints exchanged (one in sixteen is removed afterwards, by its IP id): holes that the peer acknowledges past."""
    hosts(lab)
    modbus_server(lab)
    with lab.capture(keep="not (tcp and ip[5] & 0x0f = 3 and tcp[13] & 2 = 0)"):
        lab.run("scada", lambda: polls(PLC, 80))
    return {"server": PLC, "client": SCADA, "requests_sent": 81, "removed": "every TCP packet without SYN whose IP id ends in hexadecimal 3"}


@case("net", KERNEL, MOSQUITTO, PAHO)
def checksums_and_segments_offloaded(lab):
    """Checksum and segmentation offload left on: TCP checksums are not filled in, and one captured packet carries up to 64 kB."""
    lab.host("broker", "10.10.0.5", mac="b8:27:eb:10:00:05", offload=True)
    lab.host("scada", SCADA, mac="00:0c:29:10:00:64", offload=True)
    q.broker(lab, "broker")
    with lab.capture():
        lab.run("scada", lambda: [(client := q.Client("10.10.0.5", "offload-1")), [client.publish(f"offload/{n}", b"block " * 20000, 1) for n in range(2)],
                                  client.publish("offload/small", "1", 1), client.disconnect()])
    return {"broker": "10.10.0.5", "clients": ["offload-1"], "publishes_to_broker": 3, "payload_bytes": [120000, 120000, 1], "checksums_valid": False}


@case("net", KERNEL, PYMODBUS)
def router_in_front(lab):
    """Six PLCs behind a router: all their packets carry the router's MAC on the captured side. Six devices and a router, not one device."""
    lab.host("scada", "10.10.0.100", mac="00:0c:29:10:00:64")
    router = lab.host("router", "10.10.0.1", mac="00:0e:8c:10:00:01")
    lab.command(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    lab.namespace("inside")
    lab.ip("inside", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", lab.hosts["router"])
    for host, interface in (("inside", "eth0"), ("router", "eth1")):
        lab.ip(host, "link", "set", interface, "up")
        lab.command(host, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off")
    lab.address("router", "10.60.0.1", "eth1")
    addresses = [f"10.60.0.{10 + n}" for n in range(6)]
    for number, address in enumerate(addresses):
        lab.address("inside", address)
        lab.start("inside", lambda: m.serve({1: {0: "WAGO", 1: f"750-821{number}", 2: "03.10.08"}}, address=address))
    lab.ip("inside", "route", "add", "default", "via", "10.60.0.1")
    lab.ip("scada", "route", "add", "10.60.0.0/24", "via", "10.10.0.1")
    time.sleep(1.5)
    with lab.capture():
        for address in addresses:
            lab.run("scada", lambda: polls(address, 4))
    return {"client": SCADA, "router_mac": "000e8c100001", "servers": addresses, "product_codes": [f"750-821{n}" for n in range(6)], "requests": 30, "responses": 30}


def both(lab, host="plc", **options):
    """Modbus to be captured in an odd form."""
    hosts(lab)
    modbus_server(lab)
    with lab.capture(host=host, **options):
        lab.run("scada", lambda: polls(PLC))
    return {"server": PLC, "client": SCADA, **MODBUS_FACTS}


@case("net", debian("tcpdump"), PYMODBUS)
def linux_cooked_v1(lab):
    """tcpdump on 'any', link type LINUX_SLL."""
    return {**both(lab, interface="any", options=("-y", "LINUX_SLL")), "link_type": 113}


@case("net", debian("tcpdump"), PYMODBUS)
def linux_cooked_v2(lab):
    """tcpdump on 'any', link type LINUX_SLL2."""
    return {**both(lab, interface="any", options=("-y", "LINUX_SLL2")), "link_type": 276}


@case("net", debian("tcpdump"), PYMODBUS)
def nanosecond_pcap(lab):
    """A pcap with nanosecond time stamps."""
    return {**both(lab, interface="eth0", options=("--time-stamp-precision=nano",)), "resolution": "nanoseconds"}


@case("net", debian("tcpdump"), PYMODBUS)
def snap_length_96(lab):
    """Captured with a snap length of 96 bytes: long answers are cut."""
    hosts(lab)
    modbus_server(lab)

    def client():
        wire = m.Client(PLC)
        for turn in range(6):
            wire.ask(m.read_holding(0, 1 + 20 * turn))
        wire.close()

    with lab.capture(options=("-s", "96")):
        lab.run("scada", client)
    return {"server": PLC, "client": SCADA, "requests": 6, "responses": 6, "snap_length": 96, "responses_whole": 1}


@case("net", debian("tcpdump"), "editcap of " + debian("wireshark-common"), PYMODBUS)
def raw_ip(lab):
    """Link type raw IP (101): editcap took the Ethernet headers off a recorded conversation."""
    hosts(lab)
    modbus_server(lab)
    with lab.capture("ethernet.pcap", keep="tcp"):
        lab.run("scada", lambda: polls(PLC))
    recorded = lab.folder / "ethernet.pcap"
    sh("editcap", "-F", "pcap", "-C", "14", "-L", "-T", "rawip", recorded, lab.folder / "capture.pcap")
    recorded.unlink()
    return {"server": PLC, "client": SCADA, "link_type": 101, **MODBUS_FACTS}


@case("net", debian("wireshark-common"), PYMODBUS, MOSQUITTO, PAHO, capture="capture.pcapng")
def pcapng_two_interfaces(lab):
    """dumpcap's pcapng with two interfaces of different link types, named: Ethernet (Modbus) and Linux cooked from 'any' (MQTT); a comment on the section."""
    hosts(lab)
    modbus_server(lab)
    q.broker(lab, "plc")
    made = lab.work / "made.pcapng"
    dump = lab.program("plc", "dumpcap", "-q", "-i", "eth0", "-f", "tcp port 502", "--ifname", "span-a", "-i", "any", "-f", "tcp port 1883", "--ifname", "span-b",
                       "--capture-comment", "citytap: two interfaces", "-w", made)
    time.sleep(1.5)

    def client():
        polls(PLC)
        client = q.Client(PLC, "two-links-1")
        for number in range(5):
            client.publish(f"two-links/{number}", "1", 1)
        client.disconnect()

    lab.run("scada", client)
    time.sleep(1.5)
    dump.send_signal(signal.SIGINT)
    dump.wait(10)
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "capture.pcapng").write_bytes(made.read_bytes())
    return {"interfaces": ["span-a", "span-b"], "link_types": [1, 113], "modbus_server": PLC, "modbus_requests": 11, "broker": PLC, "mqtt_clients": ["two-links-1"],
            "publishes_to_broker": 5, "comment": "citytap: two interfaces"}


if __name__ == "__main__":
    main(__file__)
