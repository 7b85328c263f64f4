"""LwM2M cases over CoAP: registration, operations, bootstrap, and what devices say of themselves."""

import asyncio

import lwm2m_actors as l
from aiocoap import Code
from lab import case, debian, main, version, wait_listening

AIOCOAP, SCRIPT = version("aiocoap"), "LwM2M payloads: the script's, after LwM2M Core 1.1, with cbor2"
SERVER, DEVICE, BOOTSTRAP = "10.30.0.2", "10.30.4.11", "10.30.0.3"
GET, PUT, POST = Code.GET, Code.PUT, Code.POST


def scene(lab, plan, devices=(("device", DEVICE),)):
    lab.host("server", SERVER + "/16", mac="00:15:5d:30:00:02")
    for number, (name, address) in enumerate(devices):
        lab.host(name, address + "/16", mac=f"f4:ce:36:30:04:{number + 11:02x}")
    lab.start("server", lambda: l.management_server(SERVER, plan))
    wait_listening(lab, "server", 5683, "udp")


def life(address, endpoint, objects, *changes, updates=1, wait=0.0, leave=True):
    """A device registers, lives through the server's operations, changes values, updates, leaves."""

    async def body():
        device = l.Device(address, endpoint, objects)
        await device.start()
        await device.register(SERVER)
        await asyncio.sleep(wait)
        for path, value in changes:
            device.set(path, value)
            await asyncio.sleep(0.25)
        for _ in range(updates):
            await device.update(SERVER)
        if leave:
            await device.deregister(SERVER)
        await device.stop()

    asyncio.run(body())


def reads(accept):
    return [(GET, "/3/0", {"accept": accept}), (GET, "/5/0", {"accept": accept})]


def described(endpoint, objects):
    own = objects[3][0]
    return {"endpoint": endpoint, "manufacturer": own[0], "model": own[1], "serial": own[2], "firmware": own[3], "device_type": own[17], "objects": sorted(objects)}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def street_light_tlv(lab):
    """A street light (objects 3416 and 3417) registers without security; the server reads /3/0, /5/0, /3416/0 and /3417/0 as TLV, discovers nothing else, writes the dimming
    level as text, observes it, and executes a reset of the lamp hours; then update and deregistration."""
    objects = l.street_light("SL-000417")
    scene(lab, {"*": [*reads(l.TLV), (GET, "/3416/0", {"accept": l.TLV}), (GET, "/3417/0", {"accept": l.TLV}), (GET, "/3/0/3", {}), (PUT, "/3416/0/28", {"payload": b"1", "content_format": l.TEXT}),
                      (GET, "/3416/0/3", {"observe": 1.2}), (POST, "/3416/0/16", {})]})
    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: life(DEVICE, "urn:imei:352656100867660", objects, ((3416, 0, 3), 70), ((3416, 0, 3), 80), ((3416, 0, 3), 90), wait=0.9))
    return {"server": SERVER, "device": DEVICE, "security": "NoSec", **described("urn:imei:352656100867660", l.street_light("SL-000417")), "class": "street light", "reads": 5,
            "writes": ["/3416/0/28"], "observes": ["/3416/0/3"], "executes": ["/3416/0/16"], "lifetime": 300}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def parking_sensor_senml_json(lab):
    """A parking sensor (3431) read in SenML JSON."""
    objects = l.parking_sensor("PK-0093")
    scene(lab, {"*": [*reads(l.SENML_JSON), (GET, "/3431/0", {"accept": l.SENML_JSON})]})
    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: life(DEVICE, "park-0093", objects, wait=0.6, updates=2))
    return {"server": SERVER, "device": DEVICE, "security": "NoSec", **described("park-0093", objects), "class": "parking sensor", "reads": 3, "updates": 2}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def water_meter_senml_cbor(lab):
    """A water meter (3424) read in SenML CBOR, and a Send of its own to /dp."""
    objects = l.water_meter("68412207")
    scene(lab, {"*": [*reads(l.SENML_CBOR), (GET, "/3424/0", {"accept": l.SENML_CBOR})]})

    async def body():
        device = l.Device(DEVICE, "meter-68412207", objects)
        await device.start()
        await device.register(SERVER)
        await asyncio.sleep(0.8)
        await device.send(SERVER, (3424, 0), {1: 1523.5})
        await device.update(SERVER, 600)
        await device.stop()

    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: asyncio.run(body()))
    return {"server": SERVER, "device": DEVICE, "security": "NoSec", **described("meter-68412207", objects), "class": "water meter", "reads": 3, "sends": 1}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def plain_text_reads(lab):
    """Single resources read as plain text: manufacturer, model, serial, firmware, battery; one that does not exist; then reboot and factory reset are executed."""
    objects = {1: l.server_object(), 3: l.device_object("Libelium", "Smart Cities Pro", "WSP-2210", "5.0.2", "Air quality station"), 3428: {0: {1: 14.5, 3: 21.0}}}
    scene(lab, {"*": [*((GET, f"/3/0/{n}", {}) for n in (0, 1, 2, 3, 9)), (GET, "/3428/0/1", {}), (GET, "/3428/0/77", {}), (POST, "/3/0/4", {}), (POST, "/3/0/5", {})]})
    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: life(DEVICE, "air-2210", objects, wait=0.8))
    return {"server": SERVER, "device": DEVICE, **described("air-2210", objects), "class": "air quality", "reads": 7, "not_found": 1, "executes": ["/3/0/4", "/3/0/5"]}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def lock_and_wipe(lab):
    """A device with the lock and wipe object (8): the server reads its state, locks it (writes /8/0/0) and wipes it (executes /8/0/3)."""
    objects = {1: l.server_object(), 3: l.device_object("Libelium", "Smart Cities Pro", "WSP-2211", "5.0.2", "Air quality station"), 8: {0: {0: 0, 1: "", 4: ""}}}
    scene(lab, {"*": [(GET, "/8/0/0", {}), (PUT, "/8/0/0", {"payload": b"2", "content_format": l.TEXT}), (POST, "/8/0/3", {})]})
    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: life(DEVICE, "air-2211", objects, wait=0.8))
    return {"server": SERVER, "device": DEVICE, "writes": ["/8/0/0"], "executes": ["/8/0/3"]}


def bootstrap_case(lab, security):
    lab.host("bootstrap", BOOTSTRAP + "/16", mac="00:15:5d:30:00:03")
    scene(lab, {"*": reads(l.TLV)})
    lab.start("bootstrap", lambda: l.bootstrap_server(BOOTSTRAP, security, l.server_object()[0]))
    wait_listening(lab, "bootstrap", 5683, "udp")

    async def body():
        device = l.Device(DEVICE, "light-new-01", l.street_light("SL-009001"))
        await device.start()
        await device.bootstrap(BOOTSTRAP)
        await asyncio.sleep(0.8)
        await device.register(SERVER)
        await asyncio.sleep(0.5)
        await device.stop()

    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: asyncio.run(body()))
    return {"server": SERVER, "bootstrap_server": BOOTSTRAP, "device": DEVICE, "endpoint": "light-new-01", "bootstrap_writes": [*(f"/0/{n}" for n in security), "/1/0"]}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def bootstrap_to_nosec(lab):
    """Bootstrap without security: a server writes /0/1 with mode 3 (NoSec) and a new server URI; the device then registers there."""
    security = {1: {0: f"coap://{SERVER}:5683", 1: False, 2: 3, 3: b"", 4: b"", 5: b"", 10: 101, 11: 1}}
    return {**bootstrap_case(lab, security), "security_mode": 3, "server_uri": f"coap://{SERVER}:5683", "bootstrap_security": "NoSec"}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def bootstrap_of_psk_in_clear(lab):
    """Bootstrap without security that writes a pre-shared key in clear: the key (/0/1/5) must leave citytap nowhere; its identity (/0/1/3) may."""
    key = b"canary-psk-0006!"
    security = {1: {0: f"coaps://{SERVER}:5684", 1: False, 2: 0, 3: b"light-new-01", 4: b"", 5: key, 10: 101, 11: 1}}
    return {**bootstrap_case(lab, security), "security_mode": 0, "psk_identity": "light-new-01", "server_uri": f"coaps://{SERVER}:5684",
            "secrets_that_must_not_leak": [key.decode(), key.hex()]}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def firmware_in_blocks(lab):
    """The server writes a firmware package of 6,000 bytes to /5/0/0 in Block1, reads the state, executes the update, and reads the version."""
    image = b"\x3d\xb8\xf3\x96" + bytes((i * 17 + 3) % 256 for i in range(5996))
    objects = l.street_light("SL-000500")
    scene(lab, {"*": [(PUT, "/5/0/0", {"payload": image, "content_format": l.OPAQUE}), (GET, "/5/0/3", {}), (POST, "/5/0/2", {}), (GET, "/5/0/7", {})]})
    with lab.capture(keep="udp or arp"):
        lab.run("device", lambda: life(DEVICE, "light-0500", objects, wait=1.2))
    return {"server": SERVER, "device": DEVICE, "endpoint": "light-0500", "package_bytes": 6000, "blocks": 6, "package_magic": "MCUboot 3db8f396", "executes": ["/5/0/2"]}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def six_devices(lab):
    """Six devices of three classes register and are read in three formats; two report the same endpoint name from different addresses."""
    made = [("sl-1", "10.30.4.21", l.street_light("SL-1001"), l.TLV), ("sl-2", "10.30.4.22", l.street_light("SL-1002", "Signify", "LumiMotion", "1.8.3"), l.SENML_JSON),
            ("pk-1", "10.30.4.23", l.parking_sensor("PK-1"), l.SENML_CBOR), ("pk-2", "10.30.4.24", l.parking_sensor("PK-2"), l.TLV),
            ("wm-1", "10.30.4.25", l.water_meter("WM-1"), l.TLV), ("wm-1", "10.30.4.26", l.water_meter("WM-9"), l.TLV)]
    scene(lab, {"sl-2": reads(l.SENML_JSON), "pk-1": reads(l.SENML_CBOR), "*": reads(l.TLV)}, [(f"d{n}", address) for n, (_, address, _, _) in enumerate(made)])
    with lab.capture(keep="udp or arp"):
        for number, (endpoint, address, objects, _) in enumerate(made):
            lab.run(f"d{number}", lambda: life(address, endpoint, objects, wait=0.4, leave=False))
    return {"server": SERVER, "devices": [{"address": address, **described(endpoint, objects)} for endpoint, address, objects, _ in made], "same_endpoint_twice": "wm-1"}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def one_name_two_devices(lab):
    """Two water meters have one endpoint name: one registers, the other one does, and the first one registers again when the server no longer knows it. A lamp changes its address once, as after a new lease."""
    made = [("wm-1", "10.30.4.25", l.water_meter("WM-1")), ("wm-1", "10.30.4.26", l.water_meter("WM-9"))]
    lamp = ("10.30.4.27", "10.30.4.28")
    scene(lab, {}, [("d0", made[0][1]), ("d1", made[1][1]), ("lamp", lamp[0]), ("moved", lamp[1])])
    with lab.capture(keep="udp or arp"):
        lab.run("lamp", lambda: life(lamp[0], "sl-9", l.street_light("SL-9"), updates=0, leave=False))
        for number in (0, 1, 0):
            endpoint, address, objects = made[number]
            lab.run(f"d{number}", lambda: life(address, endpoint, objects, updates=0, leave=False))
        lab.run("moved", lambda: life(lamp[1], "sl-9", l.street_light("SL-9"), updates=0, leave=False))
    return {"server": SERVER, "same_endpoint": "wm-1", "devices": [address for _, address, _ in made], "lamp_moved": list(lamp)}


@case("lwm2m", AIOCOAP, SCRIPT, ipv6=True)
def registration_storm(lab):
    """A device registers anew six times within some seconds, as one that restarts over and over. Two others register once and update."""
    made = [("sl-1", "10.30.4.21", l.street_light("SL-1001")), ("wm-1", "10.30.4.25", l.water_meter("WM-1"))]
    scene(lab, {}, [("d0", made[0][1]), ("d1", made[1][1]), ("storm", DEVICE)])

    async def storm():
        device = l.Device(DEVICE, "park-0093", l.parking_sensor("PK-0093"))
        await device.start()
        for _ in range(6):
            await device.register(SERVER)
            await asyncio.sleep(1)
        await device.stop()

    with lab.capture(keep="udp or arp"):
        storming = lab.start("storm", lambda: asyncio.run(storm()))
        for number, (endpoint, address, objects) in enumerate(made):
            lab.run(f"d{number}", lambda: life(address, endpoint, objects, wait=0.4, updates=5))
        lab.join(storming)
    return {"server": SERVER, "device": DEVICE, "endpoint": "park-0093", "registrations": 6, "others": [endpoint for endpoint, _, _ in made], "updates_of_others": 10}


@case("lwm2m", debian("libcoap3-bin"), debian("libssl3"), ipv6=True)
def registration_over_dtls_psk(lab):
    """Devices register over DTLS 1.2 with pre-shared keys (libcoap's client posts /rd): identities device-0000000001 (refused here: the server has another key) with the published key of Pelion's example, and an unlisted one."""
    lab.host("server", SERVER + "/16", mac="00:15:5d:30:00:02")
    lab.host("device", DEVICE + "/16", mac="f4:ce:36:30:04:0b")
    published = "".join(map(chr, [1] * 16))
    lab.program("server", "coap-server-openssl", "-A", SERVER, "-d", "10", "-k", "Kq8-unlisted-psk-2210")
    wait_listening(lab, "server", 5684, "udp")
    with lab.capture(keep="udp or arp"):
        for identity, key in (("device-0000000001", published), ("Client_identity", "Kq8-unlisted-psk-2210"), ("light-0777", "Kq8-unlisted-psk-2210")):
            lab.command("device", "coap-client-openssl", "-B", "3", "-u", identity, "-k", key, "-m", "post", "-t", "40", "-e", "</3/0>,</3416/0>",
                        f"coaps://{SERVER}/rd?ep={identity}&lt=300&lwm2m=1.1&b=U", check=False)
    return {"server": SERVER, "device": DEVICE, "port": 5684, "psk_identities": ["device-0000000001", "Client_identity", "light-0777"], "known_identities": ["Client_identity",
            "device-0000000001"], "completed_handshakes": 2, "secrets_that_must_not_leak": ["Kq8-unlisted-psk-2210"]}


if __name__ == "__main__":
    main(__file__)
