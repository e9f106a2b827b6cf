"""A provider that dies, comes back, or never was there, and those that stand in for it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e import calls, servers, wire
from tests.e2e.calls import Inbox
from tests.e2e.front import Front
from tests.e2e.proxy import Proxy
from tests.e2e.servers import Server, counters, open_streams
from tests.until import until

SLOW = "together/echo?first=0.02&gap=0.06"
# A first word, and the next one later than any test lasts.
ENDLESS = "together/echo?first=0.02&gap=600"
JOBS = 20
# A time-out may be late by so much, on a machine that does much else.
LATE_S = 10.0


@pytest.fixture
async def line() -> AsyncIterator[Proxy]:
    """The address of a provider, at which nobody is."""
    async with Proxy("") as proxy:
        yield proxy


async def test_a_killed_provider_that_comes_back_is_asked_again(
    provider: Server, line: Proxy, inbox: Inbox, tmp_path: Path
) -> None:
    """Jobs cut by a kill -9 begin anew and end well; each reader sees whole texts only."""
    prompt = calls.words("w", 50)
    async with Front(provider.origin) as front:
        # Nothing ends before its provider dies; whoever comes back does not take so long.
        front.script = "&gap=0.01"
        with servers.simulator() as doomed, servers.gateway(tmp_path, line.origin) as gateway:
            line.target = doomed.origin
            urls = await asyncio.gather(
                *(calls.init(gateway.origin, inbox, ENDLESS, prompt, f"j{n}") for n in range(JOBS))
            )
            job_ids = await asyncio.gather(
                *(calls.queue(gateway.origin, ENDLESS, prompt) for _ in range(JOBS))
            )
            readers = [await wire.stream(url) for url in urls]
            reading = [asyncio.create_task(_frames(reader)) for reader in readers]
            await wire.eventually(lambda: open_streams(doomed), 2 * JOBS)
            await until(lambda: all(reader.last_id for reader in readers), every_s=0.05)
            line.target = front.origin
            doomed.send(signal.SIGKILL)
            assert doomed.ended() == -signal.SIGKILL
            for *frames, last in await asyncio.gather(*reading):
                # Its attempt is lost, and it is told so.
                assert (last.event, "CURSOR_CONFLICT" in last.data) == ("error", True)
                assert prompt.startswith("".join(frame.data for frame in frames))
            for reader in readers:
                assert reader.last_id.startswith("1-")
            texts = await asyncio.gather(*(_from_the_start(url) for url in urls))
            assert set(texts) == {prompt}
            polled = [await calls.polled(gateway.origin, job_id) for job_id in job_ids]
            assert {said["response"]["ai_response"] for said in polled} == {prompt}
            await inbox.arrived(JOBS)
            assert set(inbox.posts.values()) == {1}
            assert {body["answer"] for body in inbox.bodies.values()} == {prompt}
            await wire.eventually(lambda: counters(gateway), (0, 0))
            await wire.eventually(lambda: open_streams(provider), 0)


async def _frames(stream: wire.Stream) -> list[wire.Frame]:
    frames = [frame async for frame in stream.frames()]
    await stream.close()
    return frames


async def _from_the_start(url: str) -> str:
    return await (await wire.stream(url)).text()


async def test_a_cursor_of_the_lost_attempt_is_refused(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """The text door says 409 rather than splice two texts."""
    async with Front(provider.origin) as front:
        with servers.gateway(tmp_path, front.origin) as gateway:
            front.gate.clear()
            url = await calls.init(gateway.origin, inbox, f"{SLOW}&cut=3", "a b c d e f")
            stream = await wire.stream(url)
            front.gate.set()
            await _frames(stream)
            assert stream.last_id == "1-5"
            await inbox.arrived(1)
            again = await wire.stream(url, after=stream.last_id)
            await again.close()
            assert again.status == 409


async def test_jobs_wait_for_a_provider_that_is_still_starting(
    provider: Server, line: Proxy, inbox: Inbox, tmp_path: Path
) -> None:
    """The gateway starts without its provider, and the first jobs outlast its start."""
    with servers.gateway(tmp_path, line.origin) as gateway:
        assert (await wire.get(gateway.origin, "/health/ready")).status == 200
        url = await calls.init(gateway.origin, inbox, SLOW, "one two")
        job_id = await calls.queue(gateway.origin, SLOW, "one two")
        # Two refusals: the check at the start, and the first try.
        await gateway.printed("provider_failed")
        line.target = provider.origin
        assert await _from_the_start(url) == "one two"
        assert (await calls.polled(gateway.origin, job_id))["response"]["ai_response"] == "one two"


async def test_a_provider_that_never_comes_is_an_error(
    line: Proxy, inbox: Inbox, tmp_path: Path
) -> None:
    """After the last try both doors say so."""
    with servers.gateway(tmp_path, line.origin) as gateway:
        url = await calls.init(gateway.origin, inbox, SLOW)
        job_id = await calls.queue(gateway.origin, SLOW)
        message = "The AI service cannot be reached."
        [frame] = await _frames(await wire.stream(url))
        want = f'{{"code":"AI_SERVICE_ERROR","message":"{message}"}}'
        assert (frame.event, frame.data) == ("error", want)
        assert await calls.polled(gateway.origin, job_id) == {
            "status": "error",
            "error_code": "AI_SERVICE_ERROR",
            "message": message,
            "retry_possible": True,
        }
        await wire.eventually(lambda: counters(gateway), (0, 0))


@pytest.mark.parametrize("fault", ["status=500", "status=401", "stall=0"])
async def test_a_fallback_takes_over_unseen(
    provider: Server, inbox: Inbox, tmp_path: Path, fault: str
) -> None:
    """What the first model cannot, the next one in line does, and readers see one text only."""
    with servers.gateway(
        tmp_path,
        provider.origin,
        FALLBACK_MODELS="together/echo?first=0&gap=0&status=401,together/echo?first=0&gap=0",
        # The last in line may take its time, but the first one never answers.
        FIRST_TOKEN_TIMEOUT="6" if fault == "stall=0" else "60",
    ) as gateway:
        url = await calls.init(gateway.origin, inbox, f"together/echo?{fault}", "one two")
        job_id = await calls.queue(gateway.origin, f"together/echo?{fault}", "one two")
        frames = await _frames(await wire.stream(url))
        assert [(frame.event, frame.id, frame.data) for frame in frames] == [
            ("message", "1-3", "one"),
            ("message", "1-4", " two"),
            ("message", "1-6", "[DONE]"),
        ]
        response = (await calls.polled(gateway.origin, job_id))["response"]
        assert response["ai_response"] == "one two"
        assert response["model_used"] == "together/echo?first=0&gap=0"
        await wire.eventually(lambda: counters(gateway), (0, 0))


async def test_the_whole_time_out_counts_every_attempt(provider: Server, tmp_path: Path) -> None:
    """A job that begins anew again and again ends when its running time is over."""
    with servers.gateway(tmp_path, provider.origin, REQUEST_TIMEOUT="1.5") as gateway:
        job_id = await calls.queue(
            gateway.origin, "together/echo?first=0&gap=0.25&cut=4", calls.words("w", 50)
        )
        said = await calls.polled(gateway.origin, job_id)
        # The log is written behind.
        await gateway.printed("job_finished")
        [line] = gateway.facts("job_finished")
        assert (said["error_code"], said["retry_possible"]) == ("TIMEOUT", True)
        assert 1.5 <= line["took_s"] <= 1.5 + LATE_S
