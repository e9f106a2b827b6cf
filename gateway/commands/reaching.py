"""What `doctor` asks of others: the providers, the gateway, and whatever stands before it."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from gateway.app import providers_of
from gateway.commands import CommandError
from gateway.commands.findings import Finding, Level
from gateway.commands.remote import LOST, Call, Remote
from gateway.config import KEYS, Settings
from gateway.engine.checkup import ask
from gateway.origins import is_loopback
from gateway.sse import Decoder

_TIMEOUT = aiohttp.ClientTimeout(total=10)
# An answer of so many words, each so long after the one before.
_WORDS, _GAP_S = 12, 0.15
_MODEL = f"simulator/lorem?tokens={_WORDS}&first=0&gap={_GAP_S}"
# Less than the words take on their way: they came together.
_SPREAD_S = _WORDS * _GAP_S / 2
# No word of Caddy's flush_interval: with it the gateway is not told of readers who leave.
_UNBUFFER = "Let the proxy pass each chunk on at once; nginx: proxy_buffering off."


async def providers(settings: Settings) -> dict[str, str]:
    """The status of every provider that could be used."""
    found = dict.fromkeys(KEYS, "no key")
    for name, provider in providers_of(settings).items():
        if name in found:
            await provider.start()
            try:
                found[name] = await ask(provider)
            finally:
                await provider.stop()
    return found


async def clocks(urls: list[str], now: float) -> dict[str, float]:
    """How far `now` is ahead of the clock of each server that tells the time, in seconds."""
    found = {}
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        for url in urls:
            began = time.monotonic()
            try:
                async with session.head(url, allow_redirects=False) as response:
                    told = response.headers.get("Date", "")
                    # Whole seconds, of the middle of the call.
                    passed = (time.monotonic() - began) / 2
                    there = parsedate_to_datetime(told).timestamp() + 0.5
            except (*LOST, ValueError):
                continue
            found[urlsplit(url).hostname or url] = now + passed - there
            now += time.monotonic() - began
    return found


async def health(gateway: Remote) -> list[Finding]:
    """How the gateway itself says it is."""
    try:
        told = await gateway.json(Call("GET", "/health"))
    except CommandError as error:
        return [Finding("gateway", Level.ERROR, str(error))]
    if "queue_size" not in told:
        text = f"what answers at {gateway.url} is no gateway"
        return [Finding("gateway", Level.ERROR, text, "Correct --url or GATEWAY_URL.")]
    text = f"{gateway.url} is {told['status']}, up {told['uptime']}, {told['queue_size']} waiting"
    if told["status"] != "healthy":
        return [Finding("gateway", Level.WARNING, text, "It is stopping, or stuck in it.")]
    return [Finding("gateway", Level.OK, text)]


async def streaming(gateway: Remote) -> list[Finding]:
    """Whether words come through one by one, and WebSockets at all; asks the simulator once."""
    if not is_loopback(urlsplit(gateway.url).hostname or "") and gateway.url.startswith("http:"):
        advice = "Put it behind a proxy that does TLS: app codes travel in the clear."
        plain = [Finding("streaming", Level.WARNING, f"{gateway.url} is plain HTTP", advice)]
    else:
        plain = []
    body = {"user_prompt": "Are you there?", "model": _MODEL}
    arrived: list[float] = []
    try:
        async with gateway.opened(Call("POST", "/api/chat/stream", body)) as response:
            headers = response.headers
            decoder = Decoder()
            async for chunk in response.content.iter_any():
                pieces = [each for each in decoder.feed(chunk) if b'"content"' in each.data]
                arrived += [time.monotonic()] * len(pieces)
    except (CommandError, *LOST) as error:
        text = f"no answer could be streamed from {gateway.url}: {error}"
        return [*plain, Finding("streaming", Level.ERROR, text)]
    found = [*plain, _paced(gateway.url, arrived, headers)]
    return [*found, await _socket(gateway, headers.get("X-Request-Id"))]


def _paced(url: str, arrived: list[float], headers: Mapping[str, str]) -> Finding:
    """What the arrival of an answer's words says of the way they came."""
    if "Content-Encoding" in headers:
        text = f"what is streamed from {url} is compressed on its way"
        return Finding("streaming", Level.ERROR, text, "Let the proxy not compress event streams.")
    if len(arrived) < _WORDS:
        text = f"the answer from {url} ended early"
        return Finding("streaming", Level.ERROR, text, "Read the gateway's and the proxy's logs.")
    spread_s = arrived[-1] - arrived[0]
    if spread_s < _SPREAD_S:
        text = f"words from {url} come all at once: something on the way gathers them"
        return Finding("streaming", Level.ERROR, text, _UNBUFFER)
    return Finding("streaming", Level.OK, f"words come one by one from {url}")


async def _socket(gateway: Remote, request_id: str | None) -> Finding:
    if request_id is None:
        text = f"the header X-Request-Id is lost between the gateway and {gateway.url}"
        return Finding("websocket", Level.WARNING, text, "Let the proxy pass it on.")
    try:
        opened: Any = await gateway.socket(f"/ws/{request_id}")
    except LOST as error:
        text = f"no WebSocket opens at {gateway.url}: {error}"
        advice = "Let the proxy pass Upgrade on, or do without GET /ws/{id}."
        return Finding("websocket", Level.WARNING, text, advice)
    await opened.close()
    return Finding("websocket", Level.OK, f"WebSockets open at {gateway.url}")
