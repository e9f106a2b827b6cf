"""How the gateway's process ends, and how it refuses to begin."""

import asyncio
import contextlib
import json
import signal
import socket
from pathlib import Path

import pytest

from tests.e2e import calls, servers, wire
from tests.e2e.calls import Inbox
from tests.e2e.servers import CODE, Server
from tests.engine.n8n import Execution, N8n

# Far beyond what any of these may take: it is waited for no longer.
FOREVER = "3600"
BRIEF = "together/echo?first=0&gap=0.02"
ENDLESS = "together/lorem?first=0&gap=0.05&tokens=100000"
GONE = {"code": "INTERRUPTED", "message": "The gateway was stopped."}


async def frames_of(url: str) -> list[wire.Frame]:
    """What a reader gets until its stream ends, in whatever way."""
    stream = await wire.stream(url)
    frames = [frame async for frame in stream.frames()]
    await stream.close()
    return frames


async def reading(
    gateway: Server, inbox: Inbox, model: str, count: int, name: str
) -> list[asyncio.Task[list[wire.Frame]]]:
    """Answers under way, each with a reader who has its first word."""
    urls = await asyncio.gather(
        *(
            calls.init(gateway.origin, inbox, model, calls.words("w", 50), f"{name}{n}")
            for n in range(count)
        )
    )
    streams = await asyncio.gather(*(wire.stream(url) for url in urls))

    async def read(stream: wire.Stream) -> list[wire.Frame]:
        frames = [frame async for frame in stream.frames()]
        await stream.close()
        return frames

    return [asyncio.create_task(read(stream)) for stream in streams]


async def ended(gateway: Server) -> int:
    """The exit code, once it is there: long before any drain that lasts for ever is over."""
    return await asyncio.to_thread(gateway.ended)


async def test_a_drain_lets_end_what_can(provider: Server, inbox: Inbox, tmp_path: Path) -> None:
    """Of a hundred live streams half end well; the others are told, and so are their workflows,
    as soon as the operator asks again."""
    with servers.gateway(tmp_path, provider.origin, DRAIN_TIMEOUT=FOREVER) as gateway:
        brief = await reading(gateway, inbox, BRIEF, 50, "brief")
        endless = await reading(gateway, inbox, ENDLESS, 50, "endless")
        gateway.send(signal.SIGTERM)
        await gateway.printed("drain_started")
        ready = await wire.get(gateway.origin, "/health/ready")
        assert (ready.status, ready.json()) == (503, {"status": "draining"})
        assert (await wire.get(gateway.origin, "/health/live")).status == 200
        await refused(gateway, inbox)
        for frames in await asyncio.gather(*brief):
            assert "".join(frame.data for frame in frames) == calls.words("w", 50) + "[DONE]"
        gateway.send(signal.SIGTERM)
        assert await ended(gateway) == 0
        for frames in await asyncio.gather(*endless):
            assert frames[-1].event == "error"
            assert json.loads(frames[-1].data) == GONE
        assert inbox.posts == {f"{name}{n}": 1 for name in ("brief", "endless") for n in range(50)}
        states = {name.rstrip("0123456789"): body["status"] for name, body in inbox.bodies.items()}
        assert states == {"brief": "completed", "endless": "error"}
        assert {body["error"]["code"] for body in inbox.bodies.values() if not body["ok"]} == {
            "INTERRUPTED"
        }


async def test_a_drain_has_an_end(provider: Server, inbox: Inbox, tmp_path: Path) -> None:
    """After its time what never ends is told so, and its workflow."""
    with servers.gateway(tmp_path, provider.origin, DRAIN_TIMEOUT="1") as gateway:
        [endless] = await reading(gateway, inbox, ENDLESS, 1, "endless")
        gateway.send(signal.SIGTERM)
        assert await ended(gateway) == 0
        assert json.loads((await endless)[-1].data) == GONE
        assert inbox.bodies["endless0"]["error"]["code"] == "INTERRUPTED"


@pytest.mark.parametrize("kept", [True, False])
async def test_what_ends_in_the_drain_is_called_back_before_the_end(
    provider: Server, inbox: Inbox, tmp_path: Path, kept: bool
) -> None:
    """Also where the next process could do it: that may come late, or never."""
    folder = str(tmp_path / "data") if kept else ""
    settings = {"DATA_DIR": folder, "DRAIN_TIMEOUT": FOREVER}
    with servers.gateway(tmp_path, provider.origin, **settings) as gateway:
        running = await reading(gateway, inbox, BRIEF, 20, "brief")
        gateway.send(signal.SIGTERM)
        assert await ended(gateway) == 0
        await asyncio.gather(*running)
        assert inbox.posts == {f"brief{n}": 1 for n in range(20)}


async def test_a_callback_on_its_way_has_the_rest_of_the_drain(
    provider: Server, tmp_path: Path
) -> None:
    """A receiver that is slow is not sent the same again by the next process, which would resume
    its workflow's second Wait node."""
    kept = {"DATA_DIR": str(tmp_path / "data"), "DRAIN_TIMEOUT": FOREVER}
    async with N8n() as receiver:
        receiver.gate.clear()
        execution = Execution(waits=2)
        asked = calls.asking(BRIEF, "hi", receiver.wait_for(execution))
        with servers.gateway(tmp_path, provider.origin, **kept) as gateway:
            assert (await wire.post(gateway.origin, "/init-stream", asked)).status == 200
            await receiver.arrived(1)
            gateway.send(signal.SIGTERM)
            # It is slow: more than what a process at its end has for good-byes.
            asyncio.get_running_loop().call_later(3.0, receiver.gate.set)
            assert await ended(gateway) == 0
            assert gateway.facts("callback_delivered") != []
        with servers.gateway(tmp_path, provider.origin, **kept) as gateway:
            again = calls.asking(BRIEF, "hi", receiver.wait_for(Execution()))
            assert (await wire.post(gateway.origin, "/init-stream", again)).status == 200
            await receiver.arrived(2)
        assert execution.resumed == 1


async def test_a_receiver_that_hangs_does_not_hold_an_operator_who_asks_twice(
    provider: Server, tmp_path: Path
) -> None:
    """What is on its way then has a few seconds."""
    long = {"DRAIN_TIMEOUT": FOREVER, "CALLBACK_TIMEOUT": FOREVER}
    async with N8n() as receiver:
        receiver.gate.clear()
        asked = calls.asking(BRIEF, "hi", receiver.wait_for(Execution()))
        with servers.gateway(tmp_path, provider.origin, **long) as gateway:
            assert (await wire.post(gateway.origin, "/init-stream", asked)).status == 200
            await receiver.arrived(1)
            gateway.send(signal.SIGTERM)
            await gateway.printed("drain_started")
            gateway.send(signal.SIGTERM)
            assert await ended(gateway) == 0


async def refused(gateway: Server, inbox: Inbox) -> None:
    """Neither door takes a new job."""
    body = calls.asking(BRIEF, "hi", f"{inbox.origin}/late")
    answer = await wire.post(gateway.origin, "/init-stream", body)
    assert (answer.status, answer.json()["error"]["code"]) == (503, "DRAINING")
    assert int(answer.headers["retry-after"]) > 0
    asked = {"app_code": CODE, "request_type": "ask", "request": "hi", "model": BRIEF}
    answer = await wire.post(gateway.origin, "/ai_request", asked)
    assert (answer.status, answer.json()["error_code"]) == (503, "QUEUE_FULL")
    assert int(answer.headers["retry-after"]) > 0


async def test_what_waits_is_run_before_the_end(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """Jobs in the queue of a store that dies with the process still run."""
    with servers.gateway(tmp_path, provider.origin, WORKERS="2", DRAIN_TIMEOUT=FOREVER) as gateway:
        for n in range(10):
            await calls.init(gateway.origin, inbox, BRIEF, "one two three", f"j{n}")
        gateway.send(signal.SIGTERM)
        assert await ended(gateway) == 0
        assert {body["status"] for body in inbox.bodies.values()} == {"completed"}
        assert len(inbox.bodies) == 10


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(
    provider: Server, inbox: Inbox, tmp_path: Path, second: signal.Signals
) -> None:
    """An operator who asks twice does not wait for the drain."""
    with servers.gateway(tmp_path, provider.origin, DRAIN_TIMEOUT=FOREVER) as gateway:
        [endless] = await reading(gateway, inbox, ENDLESS, 1, "endless")
        gateway.send(signal.SIGTERM)
        await gateway.printed("drain_started")
        gateway.send(second)
        assert await ended(gateway) == 0
        assert (await endless)[-1].event == "error"
        assert inbox.bodies["endless0"]["error"]["code"] == "INTERRUPTED"


async def test_two_signals_in_a_row_do_no_harm(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """Whether they count as one or as two: it ends well, and in time."""
    with servers.gateway(tmp_path, provider.origin, DRAIN_TIMEOUT="2") as gateway:
        [endless] = await reading(gateway, inbox, ENDLESS, 1, "endless")
        gateway.send(signal.SIGTERM)
        gateway.send(signal.SIGTERM)
        assert await ended(gateway) == 0
        assert (await endless)[-1].event == "error"


async def test_an_idle_gateway_ends_at_once(provider: Server, tmp_path: Path) -> None:
    """Without jobs there is nothing to wait for, connections that are kept open included."""
    with servers.gateway(tmp_path, provider.origin, DRAIN_TIMEOUT=FOREVER) as gateway:
        reader, writer = await wire.connect(gateway.origin)
        writer.write(wire.head("GET", gateway.origin, "/health/live", {"Connection": "keep-alive"}))
        await wire.read_head(reader)
        gateway.send(signal.SIGTERM)
        assert await ended(gateway) == 0
        await wire.shut(writer)


def start(conf: Path, **settings: str) -> tuple[int, str]:
    """The exit code of a gateway that should not start, and what it says."""
    typed = ["serve", "--conf", str(conf)]
    environ = servers.environ(conf, "http://127.0.0.1:1")
    with contextlib.closing(servers.Server(typed, environ | settings)) as server:
        return server.ended(), "\n".join(server.lines)


def test_a_bad_configuration_is_told_whole(tmp_path: Path) -> None:
    """Every problem is named at once, with its place, and there is no traceback."""
    (tmp_path / "gateway.toml").write_text('workrs = 5\nqueue_max_size = "many"\n')
    code, said = start(tmp_path, DRAIN_TIMEOUT="soon")
    assert code == 1
    for word in ("workrs", "workers", "queue_max_size", "DRAIN_TIMEOUT", "gateway.toml"):
        assert word in said
    assert "Traceback" not in said


def test_a_port_in_use_is_said_in_words(tmp_path: Path) -> None:
    """Another server on the port: a sentence and an exit code, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = start(tmp_path, SERVER_PORT=str(taken.getsockname()[1]))
    assert code == 1
    assert "--port" in said
    assert "Traceback" not in said
