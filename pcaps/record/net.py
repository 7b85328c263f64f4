"""What lies under the protocols: addresses (DHCP, ARP, NDP), VLANs and tunnels, fragments, loss, and capture formats. Modbus, MQTT, CoAP and GWMP ride along."""

import socket
import time

import modbus_actors as m
import mqtt_actors as q
from lab import case, debian, main, sh, version, wait_listening
from lorawan_actors import Gateway, NetworkServer
from lorawan_frames import LORA_PACKET, Device

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
def vlan_and_qinq(lab):
    """The same pair of addresses in VLAN 10, in VLAN 20, and in QinQ (802.1ad 100, 802.1Q 30): three Modbus conversations that only the tags tell apart, and one untagged."""
    hosts(lab)
    places = {"": PLC, ".10": "10.11.0.10", ".20": "10.11.0.10", ".100.30": "10.11.0.10"}
    for host, last in (("plc", 10), ("scada", 100)):
        lab.command(host, "ethtool", "-K", "eth0", "txvlan", "off", "rxvlan", "off", check=False)
        for tag in (10, 20):
            lab.ip(host, "link", "add", "link", "eth0", "name", f"eth0.{tag}", "type", "vlan", "id", tag)
        lab.ip(host, "link", "add", "link", "eth0", "name", "eth0.100", "type", "vlan", "proto", "802.1ad", "id", "100")
        lab.ip(host, "link", "set", "eth0.100", "up")
        lab.ip(host, "link", "add", "link", "eth0.100", "name", "eth0.100.30", "type", "vlan", "id", "30")
    modbus_server(lab)
    with lab.capture():
        lab.run("scada", lambda: polls(PLC))
        for tag in (".10", ".20", ".100.30"):
            for host, last in (("plc", 10), ("scada", 100)):
                lab.ip(host, "link", "set", f"eth0{tag}", "up")
                lab.address(host, f"10.11.0.{last}", f"eth0{tag}")
            lab.run("scada", lambda: polls("10.11.0.10"))
            for host, last in (("plc", 10), ("scada", 100)):
                lab.ip(host, "address", "del", f"10.11.0.{last}/24", "dev", f"eth0{tag}")
    return {"tags": ["none", "10", "20", "100.30"], "server_untagged": PLC, "server_tagged": places[".10"], "conversations": 4, "requests": 44, "responses": 44}


def tunnel(lab, kind, *arguments, inner="10.50.0", prefix=None, **facts):
    """A tunnel between the two hosts, Modbus inside."""
    hosts(lab)
    for host, local, remote, last in (("plc", PLC, SCADA, 10), ("scada", SCADA, PLC, 100)):
        lab.ip(host, "link", "add", "tun1", "type", kind, *[word.format(local=local, remote=remote) for word in arguments])
        lab.ip(host, "link", "set", "tun1", "up")
        lab.address(host, f"{inner}.{last}", "tun1")
    modbus_server(lab)
    with lab.capture():
        lab.run("scada", lambda: polls(f"{inner}.10"))
    return {"tunnel": kind, "outer": [SCADA, PLC], "server": f"{inner}.10", "client": f"{inner}.100", **MODBUS_FACTS, **facts}


@case("net", KERNEL, PYMODBUS)
def gre(lab):
    """Modbus in IPv4 in GRE with a key."""
    return tunnel(lab, "gre", "local", "{local}", "remote", "{remote}", "key", "7", key=7)


@case("net", KERNEL, PYMODBUS)
def gre_ethernet(lab):
    """Modbus in Ethernet in GRE (gretap), as some SPAN ports send."""
    return tunnel(lab, "gretap", "local", "{local}", "remote", "{remote}")


@case("net", KERNEL, PYMODBUS)
def erspan_1(lab):
    """Modbus in ERSPAN type II (Linux 'version 1')."""
    return tunnel(lab, "erspan", "local", "{local}", "remote", "{remote}", "seq", "key", "30", "erspan_ver", "1", "erspan", "123", session=30)


@case("net", KERNEL, PYMODBUS)
def erspan_2(lab):
    """Modbus in ERSPAN type III (Linux 'version 2')."""
    return tunnel(lab, "erspan", "local", "{local}", "remote", "{remote}", "seq", "key", "30", "erspan_ver", "2", "erspan_dir", "ingress", "erspan_hwid", "17", session=30)


@case("net", KERNEL, PYMODBUS)
def vxlan(lab):
    """Modbus in VXLAN 42, UDP port 4789."""
    return tunnel(lab, "vxlan", "id", "42", "local", "{local}", "remote", "{remote}", "dstport", "4789", vni=42)


@case("net", KERNEL, PYMODBUS)
def geneve(lab):
    """Modbus in GENEVE 43, UDP port 6081."""
    return tunnel(lab, "geneve", "id", "43", "remote", "{remote}", vni=43)


@case("net", KERNEL, PYMODBUS)
def ip_in_ip(lab):
    """Modbus in IPv4 in IPv4."""
    return tunnel(lab, "ipip", "local", "{local}", "remote", "{remote}")


@case("net", KERNEL, PYMODBUS)
def mpls(lab):
    """Modbus under two MPLS labels each way."""
    hosts(lab)
    for host, local, remote, labels in (("plc", "10.50.0.10", ("10.50.0.100", SCADA), "100/200"), ("scada", "10.50.0.100", ("10.50.0.10", PLC), "300/400")):
        lab.command(host, "sysctl", "-qw", "net.mpls.platform_labels=1000", "net.mpls.conf.eth0.input=1")
        lab.address(host, f"{local}/32", "lo")
        lab.ip(host, "route", "add", remote[0], "encap", "mpls", labels, "via", "inet", remote[1], "src", local)
    for host, labels in (("plc", (300, 400)), ("scada", (100, 200))):
        for label in labels:
            lab.ip(host, "-f", "mpls", "route", "add", label, "dev", "lo")
    modbus_server(lab)
    with lab.capture():
        lab.run("scada", lambda: polls("10.50.0.10"))
    return {"server": "10.50.0.10", "client": "10.50.0.100", "labels": [[300, 400], [100, 200]], **MODBUS_FACTS}


@case("net", debian("pppoe"), debian("ppp"), PYMODBUS)
def pppoe(lab):
    """A PPPoE session (discovery, LCP, IPCP), Modbus inside."""
    hosts(lab)
    options = lab.work / "options"
    options.write_text("noauth\nlcp-echo-interval 0\nnodefaultroute\nmtu 1492\nmru 1492\n")
    lab.program("plc", "pppoe-server", "-F", "-I", "eth0", "-L", "10.50.0.10", "-R", "10.50.0.100", "-O", options, "-C", "city-ac")
    modbus_server(lab)
    with lab.capture():
        lab.program("scada", "pppd", "pty", "pppoe -I eth0", "noauth", "nodetach", "nodefaultroute", "mtu", "1492", "mru", "1492", "noipdefault")
        for _ in range(60):
            if "10.50.0.100" in lab.ip("scada", "address"):
                break
            time.sleep(0.2)
        lab.run("scada", lambda: polls("10.50.0.10"))
    return {"server": "10.50.0.10", "client": "10.50.0.100", "access_concentrator": "city-ac", **MODBUS_FACTS}


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


@case("net", KERNEL, LORA_PACKET)
def fragments_out_of_order(lab):
    """Fragments of GWMP datagrams whose order netem changes and of which some are lost: what is complete is read, the rest is counted."""
    lab.host("ns", "10.40.0.2", mac="00:15:5d:40:00:02")
    lab.host("gw", "10.40.0.7", mac="70:76:ff:06:00:07")
    server = NetworkServer(lab, "ns", "10.40.0.2")
    gateway = Gateway(lab, "gw", "10.40.0.7", server, "7076ff0056060007")
    device = Device("70b3d57ed0990001", "70b3d57ed0000001", dev_addr="260b9901", nwk_s_key="5ec7a41f0d39b8265ec7a41f0d39b826", app_s_key="0d39b8265ec7a41f0d39b8265ec7a41f")
    with lab.capture():
        gateway.pull()
        lab.command("gw", "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "10ms", "9ms", "loss", "5%")
        complete = 0
        server.socket.settimeout(0.6)
        for _ in range(12):
            try:
                gateway.push(*[gateway.rxpk(device.uplink(1, "aabbccdd"), advance=100_000) for _ in range(16)])
                complete += 1
            except TimeoutError:
                pass
    return {"network_server": "10.40.0.2", "gateways": [gateway.eui], "datagrams_sent": 13, "push_data_with_all_fragments": complete, "data_up": 16 * complete}


@case("net", KERNEL, PYMODBUS, MOSQUITTO, PAHO)
def loss_and_reordering(lab):
    """Modbus and MQTT over a path that loses 4 %, reorders and duplicates (netem both ways). capture.pcap is what the bridge saw; client_side.pcap what the client's interface
    saw. Application messages are all there."""
    hosts(lab)
    lab.host("broker", "10.10.0.5", mac="b8:27:eb:10:00:05")
    modbus_server(lab)
    q.broker(lab, "broker")
    for host in ("plc", "scada", "broker"):
        lab.command(host, "tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", "8ms", "6ms", "25%", "loss", "4%", "duplicate", "2%", "reorder", "20%", "50%", "limit", "10000")

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
    """A capture that misses packets the endpoints exchanged (one in fourteen is removed afterwards, by its IP id): holes that the peer acknowledges past."""
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
    lab._namespace("inside")
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


@case("net", debian("tcpdump"), KERNEL, PYMODBUS)
def raw_ip(lab):
    """Captured on an ip-in-ip interface: link type raw IP, no Ethernet."""
    hosts(lab)
    for host, local, remote, last in (("plc", PLC, SCADA, 10), ("scada", SCADA, PLC, 100)):
        lab.ip(host, "link", "add", "tun1", "type", "ipip", "local", local, "remote", remote)
        lab.ip(host, "link", "set", "tun1", "up")
        lab.address(host, f"10.50.0.{last}", "tun1")
    modbus_server(lab)
    with lab.capture(host="plc", interface="tun1", keep="ip"):
        lab.run("scada", lambda: polls("10.50.0.10"))
    return {"server": "10.50.0.10", "client": "10.50.0.100", "link_type": 101, **MODBUS_FACTS}


@case("net", debian("wireshark-common"), KERNEL, PYMODBUS, MOSQUITTO, PAHO, capture="capture.pcapng")
def pcapng_two_interfaces(lab):
    """dumpcap's pcapng with two interfaces of different link types, named and described: Ethernet (Modbus) and raw IP from a tunnel (MQTT); a section comment."""
    hosts(lab)
    for host, local, remote, last in (("plc", PLC, SCADA, 10), ("scada", SCADA, PLC, 100)):
        lab.ip(host, "link", "add", "tun1", "type", "ipip", "local", local, "remote", remote)
        lab.ip(host, "link", "set", "tun1", "up")
        lab.address(host, f"10.50.0.{last}", "tun1")
    modbus_server(lab)
    q.broker(lab, "plc")
    made = lab.work / "made.pcapng"
    dump = lab.program("plc", "dumpcap", "-q", "-i", "eth0", "-f", "tcp port 502", "--ifname", "span-a", "-i", "tun1", "--ifname", "span-b", "--capture-comment", "citytap: two interfaces",
                       "-w", made)
    time.sleep(1)

    def client():
        polls(PLC)
        client = q.Client("10.50.0.10", "tunnel-1")
        for number in range(5):
            client.publish(f"tunnel/{number}", "1", 1)
        client.disconnect()

    lab.run("scada", client)
    time.sleep(1)
    dump.send_signal(2)
    dump.wait(10)
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "capture.pcapng").write_bytes(made.read_bytes())
    return {"interfaces": ["span-a", "span-b"], "link_types": [1, 101], "modbus_server": PLC, "modbus_requests": 11, "broker": "10.50.0.10", "mqtt_clients": ["tunnel-1"],
            "publishes_to_broker": 5, "comment": "citytap: two interfaces"}


if __name__ == "__main__":
    main(__file__)
