"""CoAP servers and clients for the cases: aiocoap with a few resources, OSCORE credentials, and helpers around libcoap's programs."""

import asyncio
import json
import os

import aiocoap
import aiocoap.resource as resource
from aiocoap import Code, Message
from aiocoap.credentials import CredentialsMap


class Value(resource.Resource):
    """A resource that keeps a value: GET, PUT, POST, DELETE, FETCH, PATCH, iPATCH."""

    def __init__(self, value=b"", content_format=0, **attributes):
        super().__init__()
        self.value, self.content_format, self.attributes = value, content_format, attributes

    def get_link_description(self):
        return {**super().get_link_description(), **self.attributes, "ct": str(self.content_format)}

    async def render_get(self, request):
        return Message(code=Code.CONTENT, payload=self.value, content_format=self.content_format, max_age=30, etag=len(self.value).to_bytes(2, "big"))

    async def render_put(self, request):
        created, self.value = not self.value, request.payload
        return Message(code=Code.CREATED if created else Code.CHANGED)

    async def render_post(self, request):
        self.value += request.payload
        return Message(code=Code.CHANGED, location_path=("config", "1"))

    async def render_delete(self, request):
        self.value = b""
        return Message(code=Code.DELETED)

    async def render_fetch(self, request):
        return Message(code=Code.CONTENT, payload=b"fetched " + request.payload, content_format=0)

    async def render_patch(self, request):
        self.value = request.payload
        return Message(code=Code.CHANGED)

    render_ipatch = render_patch


class Slow(resource.Resource):
    """Answers late: an empty acknowledgement first, then the separate response."""

    async def render_get(self, request):
        await asyncio.sleep(0.4)
        return Message(code=Code.CONTENT, payload=b"late")


class Counter(resource.ObservableResource):
    """Observable: a new value every 0.2 seconds."""

    def __init__(self):
        super().__init__()
        self.count = 0
        asyncio.get_running_loop().create_task(self._run())

    def get_link_description(self):
        return {**super().get_link_description(), "rt": "temperature-c", "if": "core.s"}

    async def _run(self):
        while True:
            await asyncio.sleep(0.2)
            self.count += 1
            self.updated_state()

    async def render_get(self, request):
        return Message(code=Code.CONTENT, payload=f"{self.count}".encode(), content_format=0)


class Guarded(resource.Resource):
    """Asks for an Echo before it acts (RFC 9175): 4.01 with the option first."""

    async def render_put(self, request):
        if request.opt.echo is None:
            return Message(code=Code.UNAUTHORIZED, echo=b"fresh-0001")
        return Message(code=Code.CHANGED)


def site():
    root = resource.Site()
    root.add_resource([".well-known", "core"], resource.WKCResource(root.get_resources_as_linkheader, impl_info=None))
    root.add_resource(["sensors", "temp"], Counter())
    root.add_resource(["config"], Value(b"interval=60", rt="config"))
    root.add_resource(["fresh"], Value())
    root.add_resource(["firmware"], Value(bytes(range(256)) * 12, 42, rt="firmware", sz="3072"))
    root.add_resource(["slow"], Slow())
    root.add_resource(["lock"], Guarded())
    return root


def serve(address, port=5683, transports="udp6", oscore=None):
    """An aiocoap server. `oscore`: settings for the one peer."""
    os.environ["AIOCOAP_SERVER_TRANSPORT"] = transports

    async def body():
        root = site()
        credentials = CredentialsMap()
        if oscore:
            from aiocoap.oscore_sitewrapper import OscoreSiteWrapper

            credentials.load_from_dict({":a": {"oscore": {"basedir": oscore}}})
            root = OscoreSiteWrapper(root, credentials)
        await aiocoap.Context.create_server_context(root, bind=(address, port), server_credentials=credentials)
        await asyncio.get_running_loop().create_future()

    asyncio.run(body())


def run(work, transports="udp6", oscore=None):
    """Run `work(context)` as an aiocoap client. `oscore`: (settings folder, uri pattern)."""
    os.environ["AIOCOAP_CLIENT_TRANSPORT"] = transports

    async def body():
        context = await aiocoap.Context.create_client_context()
        if oscore:
            context.client_credentials.load_from_dict({oscore[1]: {"oscore": {"basedir": oscore[0]}}})
        await work(context)
        await context.shutdown()

    asyncio.run(body())


async def ask(context, code, uri, payload=b"", **options):
    """One request and its answer. Options of aiocoap's messages; `mtype` and `no_wait` besides."""
    no_wait = options.pop("no_wait", False)
    mtype = options.pop("mtype", None)
    message = Message(code=code, uri=uri, payload=payload, **options)
    if mtype is not None:
        message.mtype = mtype
    request = context.request(message)
    if no_wait:
        await asyncio.sleep(0.3)
        return None
    return await request.response


def oscore_settings(folder, secret, sender, recipient, salt=None, context=None):
    """The folder from which aiocoap reads a security context (it keeps its sequence numbers there)."""
    folder.mkdir(parents=True)
    settings = {"sender-id_hex": sender, "recipient-id_hex": recipient, "secret_hex": secret, "algorithm": "AES-CCM-16-64-128", "window": 32}
    if salt:
        settings["salt_hex"] = salt
    if context:
        settings["id-context_hex"] = context
    (folder / "settings.json").write_text(json.dumps(settings))
    return str(folder) + "/"
