"""A gateway to try: a simulated model, a made-up app, and lines to paste that work as printed.

Everything is on loopback and gone afterwards. The gateway's own playground is the page to open;
a second, tiny server beside it plays the workflow that waits for a callback.
"""

import asyncio
import json
import secrets
import socket
import time
from base64 import b64encode
from urllib.parse import quote

import aiohttp
from aiohttp import web
from msgspec.structs import replace
from rich.console import Console
from rich.markup import escape

from gateway import config as configs
from gateway import enrolment, logs, webhooks
from gateway.config import Config
from gateway.serving import serve
from gateway.tenants import digest

HOST = "127.0.0.1"
APP = "demo"
PROMPT = "Why is the sky blue?"
_LOOK_AGAIN_S = 0.05

# Scripts of the simulator under names that say what to expect.
MODELS = """
[providers.simulator]
parameters = { temperature = [0, 2], top_p = [0, 1], max_tokens = [1], stop = 4, top_k = [0] }
[models."simulator/simulator"]
provider = "simulator"
upstream = "simulator?gap=0.06"
[models."simulator/markdown"]
provider = "simulator"
upstream = "markdown?gap=0.03"
[models."simulator/echo"]
provider = "simulator"
upstream = "echo?gap=0.04"
[models."simulator/long"]
provider = "simulator"
upstream = "lorem?tokens=3000&gap=0.01"
[models."simulator/acts"]
provider = "simulator"
upstream = "simulator?gap=0.04&tools=2"
[models."simulator/fails-at-first"]
provider = "simulator"
upstream = "simulator?gap=0.04&status=503&refuse=2"
[models."simulator/breaks-off"]
provider = "simulator"
upstream = "simulator?gap=0.06&cut=20"
"""
MODEL = "simulator/simulator"
MODES = """
[modes.chat]
[modes.generate]
[modes.edit.actions.replace_text]
description = "Replace one piece of the user's text by another."
"""


class Workflow:
    """The other side of a callback: a server that waits for one, as n8n does."""

    def __init__(self, keys: tuple[bytes, ...], console: Console) -> None:
        self._keys = keys
        self._console = console
        site = web.Application()
        site.router.add_post("/callback/{name}", self._callback)
        self._runner = web.AppRunner(site, access_log=None, shutdown_timeout=1.0)

    async def start(self, listener: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _callback(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not webhooks.verify(request.headers, body, self._keys, time.time()):
            return web.json_response({"message": "The signature is wrong."}, status=401)
        told = json.loads(body)
        self._console.print(
            f"[green]A callback arrived[/], signed: {told.get('output_tokens')} tokens, "
            f"“{escape(str(told.get('answer', ''))[:40])}…”"
        )
        return web.json_response({"message": "Thank you."})


async def run(port: int) -> int:
    """Run the demo until it is interrupted, on that port; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    console = Console(highlight=False, soft_wrap=True)
    with _listener(0) as callbacks, _listener(port) as taken:
        # Given back below, just before the gateway takes it.
        gateway_port = taken.getsockname()[1]
        workflow_url, own_url = _url(callbacks.getsockname()[1]), _url(gateway_port)
        config = configure(gateway_port, workflow_url)
        logs.configure(secrets=logs.secrets_of(config.settings), level="warning", form="console")
        keys = webhooks.parse_secrets(config.settings.callback_secret)
        workflow = Workflow(keys, console)
        await workflow.start(callbacks)
        taken.close()
        # What the configuration warns of is said below, in the demo's own words.
        serving = asyncio.ensure_future(serve(replace(config, warnings=())))
        try:
            request_id = await _first_request(own_url, serving)
            if request_id is not None:
                _tell(console, own_url, workflow_url, request_id)
            return await serving
        finally:
            serving.cancel()
            await workflow.stop()


def configure(port: int, workflow_url: str) -> Config:
    """The demo's configuration. It owes nothing to files or the environment.

    Its secrets are made here and end with the process; nobody is told the app's code, because
    the demo lets requests without a credential in.
    """
    code = enrolment.new_code()
    demo_app = {"name": APP, "allowed_request_types": ["chat"], "rate_limit": "1000/hour"}
    return configs.parse(
        toml=None,
        apps=json.dumps({"app_codes": {f"sha256:{digest(code)}": demo_app}}),
        models=MODELS,
        modes=MODES,
        env={
            "HOST": HOST,
            "SERVER_PORT": str(port),
            "DATA_DIR": "",
            "ANONYMOUS_APP": APP,
            "DEFAULT_MODEL": MODEL,
            "JWT_SECRET": secrets.token_urlsafe(32),
            "CALLBACK_SECRET": f"whsec_{b64encode(secrets.token_bytes(32)).decode()}",
            "CALLBACK_ALLOWED_ORIGINS": workflow_url,
            "DRAIN_TIMEOUT": "1",
            # The printed lines are to work for as long as anybody may leave it running.
            "RETENTION": "86400",
        },
    )


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


async def _first_request(url: str, serving: asyncio.Future[int]) -> str | None:
    """Ask the gateway something as soon as it answers; None if it ended before."""
    asked = {"request_type": "chat", "request": PROMPT}
    async with aiohttp.ClientSession() as session:
        while not serving.done():
            try:
                async with session.post(f"{url}/ai_request", json=asked) as response:
                    answer: dict[str, str] = await response.json()
                    return answer["request_id"]
            except aiohttp.ClientConnectorError:
                # It is not listening yet.
                await asyncio.wait([serving], timeout=_LOOK_AGAIN_S)
    return None


def _tell(console: Console, url: str, workflow_url: str, request_id: str) -> None:
    """Print what to open and what to paste."""
    console.print(
        "\n[bold]The gateway is running, with a simulated model.[/] Ctrl-C ends it.\n"
        f"It lets everybody on this machine in, as the app “{APP}”.\n\n"
        "[bold]Open in a browser[/]\n"
        f"  {page(url, workflow_url)}\n"
        "     asks at every door, and shows the wire beside the answer\n"
        f"  {url}/chat       a conversation that survives a reload in mid-answer\n"
        f"  {url}/dashboard  everything that happens, live\n"
        f"  {url}/docs       every call, to read and to try\n\n"
        "[bold]Paste into another terminal[/]"
    )
    for what, line in lines(url, workflow_url, request_id):
        console.print(f"  [dim]# {what}[/]")
        console.print(f"  {line}\n", markup=False)


def page(url: str, workflow_url: str) -> str:
    """The playground, with a place for the callbacks of the n8n door filled in."""
    # The same resumeUrl means the same request: the page makes another word of it each time.
    return f"{url}/#resumeUrl={quote(f'{workflow_url}/callback/', safe='')}%7Brandom%7D"


def lines(url: str, workflow_url: str, request_id: str) -> list[tuple[str, str]]:
    """What each shell command to try does, and the command itself."""
    # The shell's number makes each paste a request of its own: the same resumeUrl means the same.
    start = (
        f"curl -sS {url}/init-stream -H 'Content-Type: application/json' "
        f"""-d '{{"prompt": "{PROMPT}", "resumeUrl": "{workflow_url}/callback/'$RANDOM'"}}'"""
    )
    stream_url = """python3 -c 'import json, sys; print(json.load(sys.stdin)["streamUrl"])'"""
    return [
        (
            "Ask. The answer is made in the background, and its request_id fetches it.",
            f"curl -sS -w '\\n' {url}/ai_request -H 'Content-Type: application/json' "
            f"""-d '{{"request_type": "chat", "request": "{PROMPT}"}}'""",
        ),
        (
            "Read the answer to a request that was made when the demo began.",
            f"curl -sS -w '\\n' {url}/get_request/{request_id}",
        ),
        (
            "Ask, and watch the answer stream. A signed callback arrives here when it is whole.",
            f'curl -sSN "$({start} | {stream_url})"',
        ),
    ]
