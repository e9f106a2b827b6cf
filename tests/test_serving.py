"""A server for the application: what it is set to, and how it ends."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientResponse, ClientSession

from gateway import enrolment
from tests.e2e import wire
from tests.processes import lines_until, process
from tests.surfaces import event_source

CODE = "app-code-of-the-shop"
SLOW = "simulator/echo?first=0&gap=0.05&tokens=20"
STUCK = "simulator/echo?first=0&gap=0&stall=1"


async def ask(origin: str, model: str) -> str:
    """The id of a new job."""
    body = {"app_code": CODE, "request_type": "chat", "request": "one two", "model": model}
    answer = await wire.post(origin, "/ai_request", body)
    return str(answer.json()["request_id"])


@asynccontextmanager
async def reading(origin: str, job_id: str) -> AsyncIterator[ClientResponse]:
    """The open stream of a job."""
    headers = {"Authorization": f"Bearer {CODE}"}
    async with (
        ClientSession(headers=headers) as session,
        session.get(f"{origin}/stream/{job_id}") as response,
    ):
        assert response.status == 200
        yield response


def conf(tmp_path: Path) -> str:
    entry = {"name": "shop", "allowed_request_types": ["chat"]}
    enrolment.add(tmp_path / "apps.json", CODE, entry)
    return str(tmp_path)


async def test_sigterm_lets_what_runs_end(tmp_path: Path, unused_tcp_port: int) -> None:
    """A reader gets its answer whole; nothing new is taken meanwhile; the exit code is 0."""
    origin = f"http://127.0.0.1:{unused_tcp_port}"
    typed = ("serve", "--conf", conf(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed, DRAIN_TIMEOUT="20") as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        job_id = await ask(origin, SLOW)
        async with reading(origin, job_id) as response:
            gateway.send_signal(signal.SIGTERM)
            await lines_until(gateway.stderr, "drain_started")
            ready = await wire.get(origin, "/health/ready")
            assert (ready.status, ready.json()) == (503, {"status": "draining"})
            body = {"app_code": CODE, "request_type": "chat", "request": "x"}
            refused = await wire.post(origin, "/ai_request", body)
            assert (refused.status, refused.json()["error_code"]) == (503, "QUEUE_FULL")
            got = [event async for event in event_source.events(response)]
        assert len(got) == 21
        assert got[-1].data == b"[DONE]"
        _, err = await asyncio.wait_for(gateway.communicate(), 20)
        assert gateway.returncode == 0
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[-1]["event"] == "gateway_stopped"
    assert [line for line in lines if line["level"] == "error"] == []


async def test_what_does_not_end_is_told_so(tmp_path: Path, unused_tcp_port: int) -> None:
    """After the drain's time a stuck job's reader sees an error, and no `[DONE]`."""
    origin = f"http://127.0.0.1:{unused_tcp_port}"
    typed = ("serve", "--conf", conf(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed, DRAIN_TIMEOUT="0.2") as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        async with reading(origin, await ask(origin, STUCK)) as response:
            gateway.send_signal(signal.SIGTERM)
            first, last = [event async for event in event_source.events(response)]
        assert (first.event, first.data) == ("message", b"one")
        assert (last.event, json.loads(last.data)["code"]) == ("error", "INTERRUPTED")
        assert await asyncio.wait_for(gateway.wait(), 20) == 0
