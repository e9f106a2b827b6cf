"""A gateway to try: a simulated model, a made-up app, and lines to paste that work as printed.

Everything is on loopback and gone afterwards. A second, tiny server beside the gateway plays
the user's side: it serves a page that streams, and takes the gateway's callbacks.
"""

import asyncio
import json
import secrets
import socket
import time
from base64 import b64encode
from pathlib import Path

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
MODEL = "simulator/simulator?gap=0.06"
PROMPT = "Why is the sky blue?"
_LOOK_AGAIN_S = 0.05
_PAGE = Path(__file__).with_name("demo.html")
# Callbacks that the page can still show; the oldest is forgotten first.
_CALLBACKS_MOST = 100


class Visitor:
    """The user's side of the demo: a page for the browser, and a place for callbacks."""

    def __init__(self, gateway: str, keys: tuple[bytes, ...], console: Console) -> None:
        self._gateway = gateway
        self._keys = keys
        self._console = console
        self._callbacks: dict[str, bytes] = {}
        site = web.Application()
        site.router.add_get("/", self._page)
        site.router.add_get("/callback/{name}", self._called)
        site.router.add_post("/callback/{name}", self._callback)
        self._runner = web.AppRunner(site, access_log=None, shutdown_timeout=1.0)

    async def start(self, listener: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        text = _PAGE.read_text("utf-8").replace("{{gateway}}", self._gateway)
        response = web.Response(text=text.replace("{{nonce}}", nonce), content_type="text/html")
        sockets = self._gateway.replace("http", "ws", 1)
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            f"img-src data:; connect-src 'self' {self._gateway} {sockets}"
        )
        return response

    async def _called(self, request: web.Request) -> web.Response:
        """The callback that came to that address; 204 while none has."""
        body = self._callbacks.get(request.match_info["name"])
        if body is None:
            return web.Response(status=204)
        return web.Response(body=body, content_type="application/json")

    async def _callback(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not webhooks.verify(request.headers, body, self._keys, time.time()):
            return web.json_response({"message": "The signature is wrong."}, status=401)
        self._callbacks[request.match_info["name"]] = body
        if len(self._callbacks) > _CALLBACKS_MOST:
            self._callbacks.pop(next(iter(self._callbacks)))
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
    with _listener(0) as visitors, _listener(port) as taken:
        # Given back below, just before the gateway takes it.
        gateway_port = taken.getsockname()[1]
        visitor_url, own_url = _url(visitors.getsockname()[1]), _url(gateway_port)
        config = configure(gateway_port, visitor_url)
        logs.configure(secrets=logs.secrets_of(config.settings), level="warning", form="console")
        keys = webhooks.parse_secrets(" ".join(config.settings.callback_secret))
        visitor = Visitor(own_url, keys, console)
        await visitor.start(visitors)
        taken.close()
        # What the configuration warns of is said below, in the demo's own words.
        serving = asyncio.ensure_future(serve(replace(config, warnings=())))
        try:
            request_id = await _first_request(own_url, serving)
            if request_id is not None:
                _tell(console, own_url, visitor_url, request_id)
            return await serving
        finally:
            serving.cancel()
            await visitor.stop()


def configure(port: int, visitor_url: str) -> Config:
    """The demo's configuration. It owes nothing to files or the environment.

    Its secrets are made here and end with the process; nobody is told the app's code, because
    the demo lets requests without a credential in.
    """
    code = enrolment.new_code(secrets.token_urlsafe(enrolment.CODE_BYTES))
    demo_app = {"name": APP, "allowed_request_types": ["chat"], "rate_limit": "1000/hour"}
    return configs.parse(
        toml=None,
        apps=json.dumps({"app_codes": {f"sha256:{digest(code)}": demo_app}}),
        models=None,
        env={
            "HOST": HOST,
            "SERVER_PORT": str(port),
            "ANONYMOUS_APP": APP,
            "DEFAULT_MODEL": MODEL,
            "JWT_SECRET": secrets.token_urlsafe(32),
            "CALLBACK_SECRET": f"whsec_{b64encode(secrets.token_bytes(32)).decode()}",
            "CALLBACK_ALLOWED_ORIGINS": visitor_url,
            "ALLOWED_ORIGINS": visitor_url,
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


def _tell(console: Console, url: str, visitor_url: str, request_id: str) -> None:
    """Print what to open and what to paste."""
    console.print(
        "\n[bold]The gateway is running, with a simulated model.[/] Ctrl-C ends it.\n"
        f"It lets everybody on this machine in, as the app “{APP}”.\n\n"
        "[bold]Open in a browser[/]\n"
        f"  {visitor_url}/  asks, and shows the answer at four doors\n"
        f"  {url}/health  how the gateway is\n\n"
        "[bold]Paste into another terminal[/]"
    )
    for what, line in lines(url, visitor_url, request_id):
        console.print(f"  [dim]# {what}[/]")
        console.print(f"  {line}\n", markup=False)


def lines(url: str, visitor_url: str, request_id: str) -> list[tuple[str, str]]:
    """What each shell command to try does, and the command itself."""
    # The shell's number makes each paste a request of its own: the same resumeUrl means the same.
    start = (
        f"curl -sS {url}/init-stream -H 'Content-Type: application/json' "
        f"""-d '{{"prompt": "{PROMPT}", "resumeUrl": "{visitor_url}/callback/'$RANDOM'"}}'"""
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
