"""Long polls: an answer when the job is over, or when the time is."""

import asyncio
import time
from typing import Any

import pytest

from tests.e2e import wire
from tests.surfaces.running import CODE, QUICK, SILENT, STUCK, Gateway, bearer
from tests.surfaces.teller import MODEL, Teller, told
from tests.until import until


async def poll(gateway: Gateway, job_id: str, wait: Any) -> Any:
    reply = await gateway.get(f"/get_request/{job_id}?wait={wait}")
    assert (reply.status, reply.headers["X-Request-Id"]) == (200, job_id), reply
    return reply.json()


async def polling(gateway: Gateway, job_id: str, readers: int = 1) -> None:
    """Wait until so many wait for a job."""
    # Nothing tells that a request has arrived and waits.
    await until(lambda: gateway.core.readers == readers, lambda: gateway.core.readers)


async def test_the_end_is_the_answer(teller: Teller) -> None:
    """At the moment it comes, to all who wait for it."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        polls = [asyncio.create_task(poll(gateway, job_id, 60)) for _ in range(5)]
        await polling(gateway, job_id, 5)
        teller.gate.set()
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*polls)
        assert {each["status"] for each in answers} == {"completed"}
        assert {each["response"]["ai_response"] for each in answers} == {"onetwo"}
        assert answers[0] == await gateway.poll(job_id)


@pytest.mark.parametrize("wait", ["0", "25", "60", "60.0", "0.5", "00"])
async def test_what_is_over_is_answered_at_once(gateway: Gateway, wait: str) -> None:
    """However long one would wait."""
    job_id = await gateway.queue()
    await gateway.over(job_id)
    async with asyncio.timeout(20):
        assert (await poll(gateway, job_id, wait))["status"] == "completed"


async def test_the_time_is_over_first() -> None:
    """How the job then stands: waiting, or under way."""
    async with Gateway(WORKERS=1) as gateway:
        running = await gateway.queue(STUCK)
        await gateway.published(running, 1)
        waiting = await gateway.queue()
        began = time.monotonic()
        assert (await poll(gateway, running, 0.2))["status"] == "processing"
        assert time.monotonic() - began >= 0.2
        got = await poll(gateway, waiting, 0.05)
        assert (got["status"], got["position"]) == ("queued", 1)
        assert (await poll(gateway, running, 0))["status"] == "processing"


async def test_a_job_that_is_cancelled_is_over(gateway: Gateway) -> None:
    """Also one that never ran."""
    job_id = await gateway.queue(SILENT)
    polled = asyncio.create_task(poll(gateway, job_id, 60))
    await polling(gateway, job_id)
    await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
    async with asyncio.timeout(20):
        assert (await polled)["status"] == "cancelled"


WAITS = ["", "-1", "60.1", "61", "1e1", "x", "1,5", "+1", " 1", "1.", ".5", "1.0000", "inf", "nan"]


@pytest.mark.parametrize("wait", [*WAITS, "9" * 5_000, "١", "0x1", "true", "null"])
@pytest.mark.asyncio(loop_scope="module")
async def test_another_wait_is_refused(unmoved: Gateway, wait: str) -> None:
    """400, naming it, whatever the job."""
    for job_id in ("x", "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"):
        reply = await unmoved.ask("GET", f"/get_request/{job_id}", params={"wait": wait})
        said = reply.json()
        assert (reply.status, said["error_code"]) == (400, "INVALID_REQUEST")
        assert said["message"] == "wait must be a number of seconds from 0 to 60."


async def test_nobody_waits_for_what_is_not_theirs(gateway: Gateway) -> None:
    """An unknown id is answered at once, and so is one that may not be read."""
    job_id = await gateway.queue(SILENT)
    for path in (f"/get_request/{job_id}", "/get_request/x"):
        async with asyncio.timeout(20):
            reply = await gateway.get(f"{path}?wait=60", **bearer("wrong"))
        assert reply.status == 401
    async with asyncio.timeout(20):
        assert (await gateway.get("/get_request/x?wait=60")).status == 404


async def test_a_caller_who_leaves_waits_no_more(gateway: Gateway) -> None:
    """And the job goes on."""
    job_id = await gateway.queue(STUCK)
    _, writer = await wire.connect(gateway.origin)
    writer.write(wire.head("GET", gateway.origin, f"/get_request/{job_id}?wait=60", {}))
    await polling(gateway, job_id)
    await wire.shut(writer)
    await gateway.unread()
    assert (await gateway.poll(job_id))["status"] == "processing"


async def test_a_stopping_gateway_lets_nobody_wait() -> None:
    """They are told how the job ended, or stands."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(SILENT)
        polled = asyncio.create_task(poll(gateway, job_id, 60))
        await polling(gateway, job_id)
        await gateway.core.stop()
        async with asyncio.timeout(20):
            assert (await polled)["status"] == "error"


async def test_a_job_of_another_door_is_waited_for(gateway: Gateway) -> None:
    """By its owner."""
    body = {"app_code": CODE, "prompt": "one two", "model": QUICK}
    job_id = (await gateway.post("/assistant/request", body)).json()["request_id"]
    reply = await gateway.get(f"/get_request/{job_id}?wait=60", **bearer(CODE))
    assert reply.json()["response"]["ai_response"] == "one two"
