"""The simulator as a server of its own: OpenAI's wire and Anthropic's, with faults on demand.

    POST /v1/chat/completions    streamed or whole; `model` is a script of providers/simulator.py
    POST /v1/messages            the same in Anthropic's words
    GET  /v1/models              the texts it knows, for either
    GET  /simulator/stats        how many answers were asked for, are open, ended, were left early

A header `X-Simulate: gap=0&cut=5` beats the parameters in the model's name. Any key is good,
but one that begins with `bad-key`. It is the upstream of tests and benchmarks, so it
spends little: one timer for all streams, and frames that are encoded once for all of them.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from gateway.errors import GatewayError
from gateway.messages import Message, Request
from gateway.providers import simulator_anthropic, simulator_wire
from gateway.providers.simulator import Fault, Script, Step, read_script, tool_names
from gateway.providers.simulator_wire import Cue, Frames, Scene, stream

# Seconds. Streams that are due within one tick are served by one wake-up.
_TICK_S = 0.001
_LOOK_S = 0.02
# Bytes in the socket's queue at which a stream waits for its reader.
_HIGH_WATER = 1 << 18
_JOIN = 1 << 14


class Stats:
    """What has happened to the answers asked for.

    Attributes:
        requests: completions asked for, refused ones included.
        refused: answered with an error status.
        open: streams under way.
        ended: streams that came to the end of their script.
        closed_early: streams whose reader left before.
    """

    def __init__(self) -> None:
        self.requests = self.refused = self.open = self.ended = self.closed_early = 0
        self._changed = asyncio.Event()

    def values(self) -> dict[str, int]:
        """The counts by name."""
        return {
            "requests": self.requests,
            "refused": self.refused,
            "open": self.open,
            "ended": self.ended,
            "closed_early": self.closed_early,
        }

    def opened(self) -> None:
        """Count a stream."""
        self.open += 1
        self._tell()

    def closed(self, early: bool) -> None:
        """Count one stream less."""
        self.open -= 1
        self.closed_early += early
        self.ended += not early
        self._tell()

    async def until(self, holds: Callable[["Stats"], bool]) -> None:
        """Wait until `holds` is true of the counts; looked at whenever a stream opens or closes."""
        while not holds(self):
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Metronome:
    """One timer for any number of streams: calls come due by the tick."""

    def __init__(self) -> None:
        self._due: defaultdict[int, list[Callable[[], None]]] = defaultdict(list)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_tick = 0

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have `call` called at, or a tick after, `when`."""
        tick = int(when / _TICK_S) + 1
        self._due[tick].append(call)
        if self._timer is None or tick < self._timer_tick:
            self._set(tick)

    def _set(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_tick = tick
        self._timer = asyncio.get_running_loop().call_at(tick * _TICK_S, self._beat)

    def _beat(self) -> None:
        self._timer = None
        now = int(asyncio.get_running_loop().time() / _TICK_S)
        for tick in sorted(tick for tick in self._due if tick <= now):
            for call in self._due.pop(tick):
                call()
        if self._due:
            self._set(min(self._due))


class Playback:
    """One answer on its way out. Writes to the transport: nothing to await for each chunk."""

    def __init__(
        self, cues: tuple[Cue, ...], transport: asyncio.Transport, metronome: Metronome
    ) -> None:
        self._cues = cues
        self._next = 0
        self._transport = transport
        self._metronome = metronome
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self.early: asyncio.Future[bool] = self._loop.create_future()

    async def run(self) -> bool:
        """Play to the end; true if the reader left before it."""
        self._wait()
        return await self.early

    def _wait(self) -> None:
        delay = self._cues[self._next].after_s
        self._due += delay
        if delay:
            self._metronome.at(self._due, self._play)
        else:
            self._loop.call_soon(self._play)

    def _play(self) -> None:
        """Write what is due, and see to it that the rest follows."""
        if self.early.done():
            return
        if self._transport.is_closing():
            self.early.set_result(True)
        elif self._transport.get_write_buffer_size() > _HIGH_WATER:
            self._metronome.at(self._loop.time(), self._play)
        elif isinstance(fault := self._cues[self._next].part, Fault):
            self._fail(fault)
        else:
            self._write()
            if self._next == len(self._cues):
                self.early.set_result(False)
            else:
                self._wait()

    def _write(self) -> None:
        """Write the next cue, and those that may follow it at once."""
        data = b""
        while self._next < len(self._cues) and len(data) < _JOIN:
            cue = self._cues[self._next]
            if isinstance(cue.part, Fault) or (data and cue.after_s):
                break
            data += cue.part
            self._next += 1
        # A chunk of no bytes would be the end of the body.
        if data:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _fail(self, fault: Fault) -> None:
        if fault is Fault.STALL:
            self._metronome.at(self._loop.time() + _LOOK_S, self._play)
            return
        if fault is Fault.CUT:
            self._transport.close()
        self.early.set_result(False)


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class Completion(msgspec.Struct, frozen=True):
    """What is read of the body of POST /v1/chat/completions."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: tuple[dict[str, Any], ...] | None = None

    def scene(self, created: int) -> Scene:
        """All that the answer depends on, beside the script."""
        return Scene(
            model=self.model,
            prompt=Request(messages=self.messages, model=self.model).prompt,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            tools=tool_names(self.tools or ()),
            usage=self.stream_options is not None and self.stream_options.include_usage,
            created=created,
        )


class Inquiry(msgspec.Struct, frozen=True):
    """What is read of the body of POST /v1/messages."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    stream: bool = False
    tools: tuple[dict[str, Any], ...] = ()

    def scene(self, created: int) -> Scene:
        """All that the answer depends on, beside the script."""
        return Scene(
            model=self.model,
            prompt=next((_text(m) for m in reversed(self.messages) if m.role == "user"), ""),
            max_tokens=self.max_tokens,
            tools=tuple(str(tool.get("name")) for tool in self.tools),
            usage=True,
            created=created,
        )


def _text(message: Message) -> str:
    parts = message.content or ()
    if isinstance(parts, str):
        return parts
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


class Wire(NamedTuple):
    """How a provider's API looks from outside."""

    body: type[Completion] | type[Inquiry]
    frames: Callable[[Script, Scene], Frames]
    whole: Callable[[list[Step], Scene], dict[str, Any]]
    error: Callable[[str, int], dict[str, Any]]
    malformed: bytes


OPENAI = Wire(
    Completion,
    simulator_wire.Chunks,
    simulator_wire.whole,
    simulator_wire.error,
    simulator_wire.MALFORMED,
)
ANTHROPIC = Wire(
    Inquiry,
    simulator_anthropic.Frames,
    simulator_anthropic.whole,
    simulator_anthropic.error,
    simulator_anthropic.MALFORMED,
)


class Simulation:
    """The handlers of one server, and what they share."""

    def __init__(self, stats: Stats, created: int) -> None:
        self.stats = stats
        self._created = created
        self._refused: Counter[tuple[Script, str]] = Counter()
        self._metronome = Metronome()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions"""
        return await self._answer(request, OPENAI)

    async def message(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages"""
        return await self._answer(request, ANTHROPIC)

    async def _answer(self, request: web.Request, wire: Wire) -> web.StreamResponse:
        self.stats.requests += 1
        if not _accepted(request, wire):
            return self._refuse(wire, 401, "Incorrect API key provided.")
        if wire is ANTHROPIC and "anthropic-version" not in request.headers:
            return self._refuse(wire, 400, "anthropic-version: header is required")
        try:
            asked = msgspec.json.decode(await request.read(), type=wire.body)
            script = read_script(asked.model, request.headers.get("X-Simulate", ""))
        except (msgspec.DecodeError, GatewayError) as error:
            return self._refuse(wire, 400, str(error))
        scene = asked.scene(self._created)
        status = script.refusal(self._refused[script, scene.prompt])
        if status is not None:
            self._refused[script, scene.prompt] += script.refuse is not None
            told = "The simulator was told to refuse."
            return self._refuse(wire, status, told, script.retry_after)
        if asked.stream:
            return await self._stream(request, stream(script, scene, wire.frames))
        return await self._whole(request, wire, script, scene)

    def _refuse(
        self, wire: Wire, status: int, message: str, retry_after_s: float | None = None
    ) -> web.Response:
        self.stats.refused += 1
        headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
        return web.json_response(wire.error(message, status), status=status, headers=headers)

    async def _stream(self, request: web.Request, cues: tuple[Cue, ...]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
        response.content_type = "text/event-stream"
        response.enable_chunked_encoding()
        # Whoever has left by now is found to have left early.
        with suppress(ConnectionResetError):
            await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        self.stats.opened()
        early = True
        try:
            early = await Playback(cues, transport, self._metronome).run()
        finally:
            self.stats.closed(early)
        if not transport.is_closing():
            await response.write_eof()
        return response

    async def _whole(
        self, request: web.Request, wire: Wire, script: Script, scene: Scene
    ) -> web.StreamResponse:
        steps = list(script.plan(scene.prompt, scene.max_tokens, scene.tools))
        await asyncio.sleep(sum(step.after_s for step in steps))
        match steps[-1].part:
            case Fault.ERROR:
                return self._refuse(wire, 500, simulator_wire.TOLD_TO_FAIL)
            case Fault.MALFORMED:
                return web.Response(body=wire.malformed, content_type="application/json")
            case Fault.STALL:
                await asyncio.Event().wait()
            case Fault.CUT if request.transport is not None:
                request.transport.close()
        return web.json_response(wire.whole(steps, scene))

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models, in the words of the wire whose headers come with it."""
        wire = ANTHROPIC if "anthropic-version" in request.headers else OPENAI
        if not _accepted(request, wire):
            return self._refuse(wire, 401, "Incorrect API key provided.")
        known = ["simulator", "echo", "lorem", "markdown", "unicode"]
        if wire is ANTHROPIC:
            models = [{"type": "model", "id": id, "display_name": id} for id in known]
            return web.json_response({"data": models, "has_more": False})
        shape = {"object": "model", "created": self._created, "owned_by": "simulator"}
        return web.json_response({"object": "list", "data": [{"id": id, **shape} for id in known]})

    async def show_stats(self, request: web.Request) -> web.Response:
        """GET /simulator/stats"""
        return web.json_response(self.stats.values())


def _accepted(request: web.Request, wire: Wire) -> bool:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    key = key if scheme.lower() == "bearer" else ""
    if wire is ANTHROPIC:
        # It takes either header, and prefers its own.
        key = request.headers.get("x-api-key", key)
    return bool(key) and not key.startswith("bad-key")


STATS = web.AppKey("stats", Stats)


def build() -> web.Application:
    """A simulator with counts of its own, to be served by whoever asks for it."""
    app = web.Application(client_max_size=1 << 26)
    app[STATS] = Stats()
    simulation = Simulation(app[STATS], created=int(time.time()))
    app.router.add_post("/v1/chat/completions", simulation.complete)
    app.router.add_post("/v1/messages", simulation.message)
    app.router.add_get("/v1/models", simulation.models)
    app.router.add_get("/simulator/stats", simulation.show_stats)
    return app


async def serve(host: str, port: int, announce: Callable[[str], None] = print) -> None:
    """Serve until cancelled. Port 0 takes a free one; `announce` is told the address."""
    runner = web.AppRunner(build(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        for address in runner.addresses:
            announce(f"http://{address[0]}:{address[1]}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
