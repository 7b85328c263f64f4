"""LwM2M 1.1 devices, a management server and a bootstrap server over aiocoap. Payloads in TLV, SenML JSON, SenML CBOR and plain text."""

import asyncio
import json
import os
import struct

import aiocoap
import aiocoap.resource as resource
import cbor2
from aiocoap import Code, Message

TEXT, LINK, OPAQUE, SENML_JSON, SENML_CBOR, TLV = 0, 40, 42, 110, 112, 11542
EXECUTABLE = object()


# --- Payloads ----------------------------------------------------------------------------------------------------------------------------------


def tlv(kind, identifier, value):
    """One TLV (LwM2M Core 1.1, 7.4.3). kind: 0 instance, 1 resource instance, 2 multiple resource, 3 resource."""
    first, wide = kind << 6, identifier > 0xFF
    head = struct.pack(">H" if wide else ">B", identifier)
    if len(value) < 8:
        first |= len(value)
        length = b""
    elif len(value) < 256:
        first, length = first | 0x08, struct.pack(">B", len(value))
    else:
        first, length = first | 0x10, struct.pack(">H", len(value))
    return bytes((first | (0x20 if wide else 0),)) + head + length + value


def tlv_value(value):
    if isinstance(value, bool):
        return bytes((value,))
    if isinstance(value, int):
        size = next(size for size in (1, 2, 4, 8) if -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1))
        return value.to_bytes(size, "big", signed=True)
    if isinstance(value, float):
        return struct.pack(">f", value) if struct.unpack(">f", struct.pack(">f", value))[0] == value else struct.pack(">d", value)
    return value if isinstance(value, bytes) else value.encode()


def tlv_resource(identifier, value):
    if isinstance(value, dict):
        return tlv(2, identifier, b"".join(tlv(1, key, tlv_value(item)) for key, item in value.items()))
    return tlv(3, identifier, tlv_value(value))


def records(base, resources):
    """SenML records as (name, value) with the base path in front."""
    flat = []
    for identifier, value in resources.items():
        flat += [(f"{identifier}/{key}", item) for key, item in value.items()] if isinstance(value, dict) else [(str(identifier), value)]
    return [(base if number == 0 else None, name, value) for number, (name, value) in enumerate(flat)]


def senml_json(base, resources):
    import base64

    made = []
    for at, name, value in records(base, resources):
        record = {**({"bn": at} if at else {}), "n": name}
        if isinstance(value, bool):
            record["vb"] = value
        elif isinstance(value, (int, float)):
            record["v"] = value
        elif isinstance(value, bytes):
            record["vd"] = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
        else:
            record["vs"] = value
        made.append(record)
    return json.dumps(made, separators=(",", ":")).encode()


def senml_cbor(base, resources):
    made = []
    for at, name, value in records(base, resources):
        record = {**({-2: at} if at else {}), 0: name}
        record[4 if isinstance(value, bool) else 2 if isinstance(value, (int, float)) else 8 if isinstance(value, bytes) else 3] = value
        made.append(record)
    return cbor2.dumps(made)


def encode(content_format, path, resources):
    """The resources {id: value} of an object instance at `path`, in a content format."""
    base = "/" + "/".join(map(str, path)) + "/"
    if content_format == TLV:
        return b"".join(tlv_resource(key, value) for key, value in resources.items())
    return senml_json(base, resources) if content_format == SENML_JSON else senml_cbor(base, resources)


def plain(value):
    if isinstance(value, bool):
        return b"1" if value else b"0"
    return value if isinstance(value, bytes) else str(value).encode()


# --- The device --------------------------------------------------------------------------------------------------------------------------------


class ObjectTree(resource.ObservableResource, resource.PathCapable):
    """All objects of a device: {object: {instance: {resource: value}}}."""

    def __init__(self, objects):
        super().__init__()
        self.objects, self.executed = objects, []

    def get_link_description(self):
        return {}

    def _path(self, request):
        return [int(part) for part in request.opt.uri_path]

    async def render_get(self, request):
        path = self._path(request)
        wanted = request.opt.accept
        try:
            node = self.objects
            for part in path:
                node = node[part]
        except KeyError:
            return Message(code=Code.NOT_FOUND)
        if len(path) == 3 and not isinstance(node, dict):
            if wanted in (None, TEXT):
                return Message(code=Code.CONTENT, content_format=OPAQUE if isinstance(node, bytes) else TEXT, payload=plain(node))
            return Message(code=Code.CONTENT, content_format=wanted, payload=encode(wanted, path[:2], {path[2]: node}))
        chosen = wanted or TLV
        readable = lambda resources: {key: value for key, value in resources.items() if value is not EXECUTABLE}
        if len(path) == 1:
            payload = b"".join(tlv(0, number, encode(TLV, (), readable(resources))) for number, resources in node.items())
            return Message(code=Code.CONTENT, content_format=TLV, payload=payload)
        resources = {path[2]: node} if len(path) == 3 else readable(node)
        return Message(code=Code.CONTENT, content_format=chosen, payload=encode(chosen, path[:2], resources))

    async def render_put(self, request):
        path = self._path(request)
        if len(path) == 3 and path[0] in self.objects and request.opt.content_format in (TEXT, None):
            self.objects[path[0]][path[1]][path[2]] = request.payload.decode()
        self.updated_state()
        return Message(code=Code.CHANGED)

    async def render_post(self, request):
        self.executed.append(self._path(request))
        return Message(code=Code.CHANGED)

    async def render_delete(self, request):
        return Message(code=Code.DELETED)


def object_links(objects, version="1.1"):
    links = ['</>;rt="oma.lwm2m";ct="60 110 112 11542 11543"']
    for number, instances in objects.items():
        if number == 0:
            continue
        if number > 3000:
            links.append(f"</{number}>;ver=1.0")
        links += [f"</{number}/{instance}>" for instance in instances]
    return ",".join(links).encode()


class Device:
    """A device: `endpoint`, its objects, and one socket for all it says."""

    def __init__(self, address, endpoint, objects, lifetime=300):
        self.address, self.endpoint, self.objects, self.lifetime = address, endpoint, objects, lifetime
        self.tree = ObjectTree(objects)

    async def start(self):
        os.environ["AIOCOAP_SERVER_TRANSPORT"] = "udp6"
        self.context = await aiocoap.Context.create_server_context(_Everything(self.tree), bind=(self.address, 5683))

    async def ask(self, code, uri, payload=b"", **options):
        return await self.context.request(Message(code=code, uri=uri, payload=payload, **options)).response

    async def bootstrap(self, server):
        await self.ask(Code.POST, f"coap://{server}/bs?ep={self.endpoint}&pct=11542")

    async def register(self, server, binding="U", version="1.1"):
        answer = await self.ask(Code.POST, f"coap://{server}/rd?ep={self.endpoint}&lt={self.lifetime}&lwm2m={version}&b={binding}", object_links(self.objects), content_format=LINK)
        assert answer.code == Code.CREATED, answer.code
        self.location = "/".join(answer.opt.location_path)

    async def update(self, server, lifetime=None):
        await self.ask(Code.POST, f"coap://{server}/{self.location}" + (f"?lt={lifetime}" if lifetime else ""))

    async def deregister(self, server):
        await self.ask(Code.DELETE, f"coap://{server}/{self.location}")

    async def send(self, server, path, resources):
        """The Send operation of LwM2M 1.1."""
        await self.ask(Code.POST, f"coap://{server}/dp", senml_cbor("/" + "/".join(map(str, path)) + "/", resources), content_format=SENML_CBOR)

    def set(self, path, value):
        self.objects[path[0]][path[1]][path[2]] = value
        self.tree.updated_state()

    async def stop(self):
        await self.context.shutdown()


class _Everything(resource.Site):
    """Every path goes to the object tree; a finished bootstrap is acknowledged."""

    def __init__(self, tree):
        super().__init__()
        self.tree = tree

    async def needs_blockwise_assembly(self, request):
        return True

    async def render_to_pipe(self, pipe):
        if pipe.request.opt.uri_path in (("bs",), ()):
            pipe.add_response(Message(code=Code.DELETED if pipe.request.code == Code.DELETE else Code.CHANGED), is_last=True)
            return
        await self.tree.render_to_pipe(pipe)


# --- Servers -----------------------------------------------------------------------------------------------------------------------------------


class ManagementSite(resource.Site):
    """/rd and all below it go to the directory."""

    async def needs_blockwise_assembly(self, request):
        return True

    async def render_to_pipe(self, pipe):
        await (self.directory.render_to_pipe(pipe) if pipe.request.opt.uri_path[:1] == ("rd",) else super().render_to_pipe(pipe))


class Directory(resource.Resource):
    """/rd and the registrations below it."""

    def __init__(self, on_register):
        super().__init__()
        self.on_register, self.count = on_register, 0

    async def render_post(self, request):
        query = dict(part.split("=", 1) for part in request.opt.uri_query)
        if "ep" not in query:
            return Message(code=Code.CHANGED)
        self.count += 1
        asyncio.get_running_loop().create_task(self.on_register(query["ep"], request.remote))
        return Message(code=Code.CREATED, location_path=("rd", f"{self.count:04d}"))

    async def render_delete(self, request):
        return Message(code=Code.DELETED)


class Data(resource.Resource):
    async def render_post(self, request):
        return Message(code=Code.CHANGED)


async def operate(context, remote, steps):
    """Operations of a server: (code, path, options) with `payload`, `accept`, `content_format`, `observe` (seconds)."""
    for code, path, options in steps:
        options = dict(options)
        seconds = options.pop("observe", None)
        query = options.pop("query", ())
        message = Message(code=code, uri_path=tuple(path.strip("/").split("/")), uri_query=query, payload=options.pop("payload", b""), **options)
        if seconds is not None:
            message.opt.observe = 0
        message.remote = remote
        request = context.request(message)
        await asyncio.wait_for(request.response, 8)
        if seconds is not None:
            async def drain(request=request):
                async for _ in request.observation:
                    pass
            task = asyncio.get_running_loop().create_task(drain())
            await asyncio.sleep(seconds)
            request.observation.cancel()
            task.cancel()


def management_server(address, plan):
    """Registers devices and, for each, carries out `plan[endpoint]` or `plan["*"]`."""
    os.environ["AIOCOAP_SERVER_TRANSPORT"] = "udp6"

    async def body():
        async def registered(endpoint, remote):
            await asyncio.sleep(0.1)
            await operate(context, remote, plan.get(endpoint, plan.get("*", ())))

        root = ManagementSite()
        root.add_resource(["dp"], Data())
        root.directory = Directory(registered)
        context = await aiocoap.Context.create_server_context(root, bind=(address, 5683))
        await asyncio.get_running_loop().create_future()

    asyncio.run(body())


def bootstrap_server(address, security, server):
    """Answers /bs with Delete /, Write /0 and /1 (TLV), and Bootstrap-Finish."""
    os.environ["AIOCOAP_SERVER_TRANSPORT"] = "udp6"

    class Bootstrap(resource.Resource):
        async def render_post(self, request):
            asyncio.get_running_loop().create_task(self.write(request.remote))
            return Message(code=Code.CHANGED)

        async def write(self, remote):
            await asyncio.sleep(0.1)
            for code, path, payload in ((Code.DELETE, (), b""), *((Code.PUT, ("0", str(n)), encode(TLV, (), s)) for n, s in security.items()),
                                        (Code.PUT, ("1", "0"), encode(TLV, (), server)), (Code.POST, ("bs",), b"")):
                message = Message(code=code, uri_path=path, payload=payload)
                if payload:
                    message.opt.content_format = TLV
                message.remote = remote
                await asyncio.wait_for(made[0].request(message).response, 8)

    async def body():
        made.append(await aiocoap.Context.create_server_context(root, bind=(address, 5683)))
        await asyncio.get_running_loop().create_future()

    made, root = [], resource.Site()
    root.add_resource(["bs"], Bootstrap())
    asyncio.run(body())


# --- What devices hold -------------------------------------------------------------------------------------------------------------------------


def device_object(manufacturer, model, serial, firmware, kind, hardware="1.0", software=None, **more):
    return {0: {0: manufacturer, 1: model, 2: serial, 3: firmware, 4: EXECUTABLE, 5: EXECUTABLE, 6: {0: 1}, 9: 87, 11: {0: 0}, 13: 1777874400, 14: "+02:00", 16: "U",
                17: kind, 18: hardware, 19: software or firmware, **more}}


def server_object(short=101, lifetime=300):
    return {0: {0: short, 1: lifetime, 6: True, 7: "U"}}


def firmware_object(name, version):
    return {0: {1: "", 2: EXECUTABLE, 3: 0, 5: 0, 6: name, 7: version, 8: {0: 0}, 9: 2}}


def street_light(serial, manufacturer="Schreder", model="OWLET IV", firmware="2.14.0", dim=60):
    return {1: server_object(), 3: device_object(manufacturer, model, serial, firmware, "Outdoor lamp controller"), 4: {0: {0: 6, 2: -71, 4: {0: "10.30.4.1"}}},
            5: firmware_object("olc", firmware),
            3416: {0: {1: 1, 3: dim, 4: 100, 5: False, 15: 8123.5, 18: 4211, 44: 230.4, 45: 0.21, 46: 47.5, 58: "05415189000017", 60: firmware}},
            3417: {0: {1: "08718696000113", 2: 2021, 7: 78.0}}}


def parking_sensor(serial):
    return {1: server_object(), 3: device_object("Nwave", "NPS420SM", serial, "3.2.1", "Parking sensor"), 5: firmware_object("park", "3.2.1"), 3431: {0: {1: True}}}


def water_meter(serial):
    return {1: server_object(), 3: device_object("Kamstrup", "flowIQ 2200", serial, "1.9.0", "Water meter"), 5: firmware_object("flowiq", "1.9.0"),
            3424: {0: {1: 1523.25, 6: "KAM-" + serial}}}
