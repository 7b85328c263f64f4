"""A small city behind a switch whose traffic is mirrored to a port, and citytap listening there. Needs root.

usage: city_lab.py CITYTAP FOLDER

In network namespaces: mosquitto with paho clients, pymodbus, aiocoap and a packet forwarder, the actors of pcaps/record. Each port of the switch mirrors what it
receives (tc mirred) to `tap0` of the sensor, on which tcpdump records what citytap hears. Leaves in FOLDER: heard.pcap, store/, alerts.jsonl, syslog.txt and
facts.json, which tests/live.rs judges.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "pcaps" / "record"))

import coap_actors
import lorawan_actors
import modbus_actors
import mqtt_actors
from aiocoap import Code
from lab import SWITCH, Lab, wait_listening

PLC, SCADA = "10.10.0.10", "10.10.0.100"
COAP_SERVER, COAP_CLIENT = "10.30.0.2", "10.30.0.3"
SCHNEIDER = {0: "Schneider Electric", 1: "TM221CE24R", 2: "V1.10.2.2", 4: "Modicon M221", 5: "M221"}

# Made by lora-packet 0.9.3 for DevEUI 70b3d57ed0051111, JoinEUI 70b3d57ed0000000 and the published key 2B7E1516...4F3C: two joins with their
# answers, each with two uplinks.
JOINS = [
    ("00000000d07ed5b370111105d07ed5b3702b1a5617164f", "20dcf7bcaf71bab92cd63de791c5595923",
     ("4001000b26000000020f3543e468f9", "4001000b260001000267a7c248d92f")),
    ("00000000d07ed5b370111105d07ed5b3703d7c4b009687", "209d55b24127db11fd10501aee8cc9fb01",
     ("4002000b2600000002323a2bd8c2a1", "4002000b2600010002fec8da3d9435")),
]

SYSLOG = ("127.0.0.1", 6514)


def mirror(lab, sensor):
    """Every frame enters the switch through one port; there it is copied to the sensor."""
    ports = [line.split(":")[1].split("@")[0].strip() for line in lab.ip(SWITCH, "-o", "link").splitlines() if "master br0" in line]
    lab.ip(SWITCH, "link", "add", "mirror", "type", "veth", "peer", "name", "tap0", "netns", lab.hosts[sensor])
    lab.ip(SWITCH, "link", "set", "mirror", "up", "arp", "off")
    lab.ip(sensor, "link", "set", "tap0", "up", "arp", "off")
    for port in ports:
        lab.command(SWITCH, "tc", "qdisc", "add", "dev", port, "clsact")
        lab.command(SWITCH, "tc", "filter", "add", "dev", port, "ingress", "protocol", "all", "u32", "match", "u32", "0", "0", "action", "mirred", "egress", "mirror", "dev", "mirror")


def historian():
    client = mqtt_actors.Client(mqtt_actors.BROKER, "historian", user="admin", password="admin")
    client.subscribe(("#", 1))
    client.wait_messages(5, 20)
    client.disconnect()


def meter():
    client = mqtt_actors.Client(mqtt_actors.BROKER, "meter-17", user="admin", password="admin")
    for value in range(5):
        client.publish("city/meter/17/reading", json.dumps({"m3": value}).encode(), qos=1)
    client.disconnect()


def modbus():
    client = modbus_actors.Client(PLC)
    client.ask(modbus_actors.identify(2))
    for turn in range(5):
        client.ask(modbus_actors.read_holding(turn, 10))
        client.pause(0.1)
    client.ask(modbus_actors.write_register(1, 3))
    client.close()


def coap():
    async def work(context):
        await coap_actors.ask(context, Code.GET, f"coap://{COAP_SERVER}/.well-known/core")
        await coap_actors.ask(context, Code.GET, f"coap://{COAP_SERVER}/config")
        await coap_actors.ask(context, Code.PUT, f"coap://{COAP_SERVER}/config", b"interval=30")

    coap_actors.run(work)


def lorawan(gateway):
    gateway.pull()
    for join, accept, uplinks in JOINS:
        received = gateway.rxpk(join)
        gateway.push(received)
        gateway.transmit(accept, received, delay=5_000_000)
        for uplink in uplinks:
            gateway.push(gateway.rxpk(uplink))
    gateway.push(stat=gateway.stat())


class Collector(threading.Thread):
    """A syslog collector that reads octet counting as RFC 6587 has it and nothing else."""

    def __init__(self, lab, host):
        super().__init__(daemon=True)
        self.socket = lab.socket(host, socket.SOCK_STREAM)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(SYSLOG)
        self.socket.listen()
        self.messages, self.fault = [], None
        self.start()

    def run(self):
        while True:
            with self.socket.accept()[0] as peer:
                stream = peer.makefile("rb")
                while length := self.length(stream):
                    self.messages.append(stream.read(length).decode())

    def length(self, stream):
        digits = b""
        while (byte := stream.read(1)) not in (b" ", b""):
            digits += byte
        if digits and (not digits.isdigit() or digits.startswith(b"0")):
            self.fault = f"not a length: {digits!r}"
        return int(digits or b"0")


def wait_until(what, true, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.1)
    raise RuntimeError(f"after {seconds} s still not: {what}")


def start_tcpdump(lab, sensor, file):
    argv = ["tcpdump", "-i", "tap0", "-s", "0", "-n", "-U", "-Z", "root", "--time-stamp-precision=nano", "-w", file]
    process = subprocess.Popen(["ip", "netns", "exec", lab.hosts[sensor], *map(str, argv)], stderr=subprocess.PIPE, text=True)
    wait_for_line(process, "listening on")
    return process


def wait_for_line(process, text):
    """Waits for a line on standard error, and goes on reading it so that the pipe never fills."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True).start()
            return lines
    raise RuntimeError(f"ended without saying '{text}': {''.join(lines)}")


def run(lab, citytap, folder):
    for name, address, mac in (("broker", mqtt_actors.BROKER, mqtt_actors.BROKER_MAC), ("server", mqtt_actors.SERVER, mqtt_actors.SERVER_MAC),
                               ("meter", mqtt_actors.SENSOR, mqtt_actors.SENSOR_MAC)):
        lab.host(name, address + mqtt_actors.WIDE, mac=mac)
    lab.host("plc", PLC, mac="00:80:f4:10:00:0a")
    lab.host("scada", SCADA, mac="00:0c:29:10:00:64")
    lab.host("coapd", COAP_SERVER)
    lab.host("coapc", COAP_CLIENT)
    _, (gateway,) = lorawan_actors.site(lab)
    mqtt_actors.broker(lab, "broker", users=[("admin", "admin")])
    lab.start("plc", lambda: modbus_actors.serve({1: SCHNEIDER}))
    lab.start("coapd", lambda: coap_actors.serve(COAP_SERVER))
    wait_listening(lab, "plc", 502)
    wait_listening(lab, "coapd", 5683, "udp")
    lab.namespace("sensor")
    mirror(lab, "sensor")
    heard, alerts = folder / "heard.pcap", folder / "alerts" / "alerts.jsonl"
    alerts.parent.mkdir()
    os.chown(alerts.parent, 65534, 65534)
    tcpdump = start_tcpdump(lab, "sensor", heard)
    argv = [citytap, "run", "--interface", "tap0", "--store", folder / "store", "--judge-every", "1", "--user", "nobody",
            "--sink", f"jsonl:{alerts}", "--sink", f"syslog:tcp://{SYSLOG[0]}:{SYSLOG[1]}?facility=local3"]
    process = subprocess.Popen(["ip", "netns", "exec", lab.hosts["sensor"], *map(str, argv)], stderr=subprocess.PIPE, text=True)
    said = wait_for_line(process, "listening on")
    time.sleep(0.5)

    listening = lab.start("server", historian)
    time.sleep(1)
    lab.run("meter", meter)
    lab.join(listening)
    lab.run("scada", modbus)
    lab.run("coapc", coap)
    lorawan(gateway)

    # From here on the wire is silent, and what the last packets mean is told all the same.
    def told():
        return len(alerts.read_text().splitlines()) if alerts.exists() else 0

    wait_until("an alert", lambda: told() > 0)
    time.sleep(4)
    before_collector = told()
    while_running = subprocess.run([citytap, "devices", "--store", folder / "store"], capture_output=True, text=True)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(signal.SIGUSR1)
    time.sleep(1.5)
    collector = Collector(lab, "sensor")
    wait_until("syslog messages", lambda: len(collector.messages) >= told(), 40)
    sent = [int(Path(f"/proc/{process.pid}/net/dev").read_text().split("tap0:")[1].split()[column]) for column in (8, 9)]
    process.send_signal(signal.SIGTERM)
    code = process.wait(30)
    tcpdump.send_signal(signal.SIGINT)
    tcpdump.wait(10)
    (folder / "syslog.txt").write_text("".join(message + "\n" for message in collector.messages))
    (folder / "facts.json").write_text(json.dumps({
        "exit_code": code, "said": "".join(said), "sent_bytes": sent[0], "sent_packets": sent[1], "syslog_fault": collector.fault,
        "devices_while_running": while_running.returncode, "devices_while_running_said": while_running.stdout + while_running.stderr,
        "alerts_before_collector": before_collector, "status": dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line),
    }, indent=1))


def main():
    citytap, folder = sys.argv[1], Path(sys.argv[2])
    lab = Lab(folder)
    try:
        run(lab, citytap, folder)
    finally:
        lab.close()


if __name__ == "__main__":
    main()
