"""What the log tells of each request, from its coming to its end."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.surfaces.running import CODE, QUICK, SILENT, Gateway, bearer


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


def told(lines: list[Any], job_id: str) -> list[dict[str, Any]]:
    """The lines of one job without what no test can foresee."""
    free = {"log_level", "waited_s", "first_token_s", "took_s", "lasted_s"}
    mine = [line for line in lines if line.get("job_id") == job_id and line["log_level"] != "debug"]
    return [
        {name: value for name, value in line.items() if name not in free | {"job_id"}}
        for line in mine
    ]


async def test_a_job_is_told_from_its_coming_to_its_end(lines: list[Any]) -> None:
    """Accepted and finished, each once, under the id of the request; what is between is for who
    looks closer."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(text="one two")
        await gateway.over(job_id)
    assert told(lines, job_id) == [
        {"event": "job_submitted", "app": "shop", "door": "ai_request"},
        {
            "event": "job_finished",
            "app": "shop",
            "door": "ai_request",
            "model": QUICK,
            "provider": "simulator",
            "state": "completed",
            "attempt": 1,
            "tokens": 4,
        },
    ]
    between = [line["event"] for line in lines if line.get("job_id") == job_id][1:-1]
    assert between == ["job_started", "model_asked", "first_token"]


async def test_a_readers_coming_and_going_is_told(lines: list[Any]) -> None:
    """The wire, and whether it is somebody who came back."""
    async with Gateway() as gateway:
        job_id = await gateway.queue()
        await gateway.over(job_id)
        url = (await gateway.stream(job_id)).removeprefix(gateway.origin)
        assert (await gateway.get(url)).status == 200
        assert (await gateway.get(url, **{"Last-Event-ID": "1-3"})).status == 200
    streams = [line for line in told(lines, job_id) if line["event"].startswith("stream")]
    assert streams == [
        {"event": "stream_opened", "form": "text", "resumed": False},
        {"event": "stream_closed", "form": "text"},
        {"event": "stream_opened", "form": "text", "resumed": True},
        {"event": "stream_closed", "form": "text"},
    ]


async def test_a_job_that_is_stopped_says_why(lines: list[Any]) -> None:
    """The reason stands in the line of its end."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(model=SILENT)
        await gateway.published(job_id, 1)
        await gateway.post(f"/cancel_request/{job_id}", **bearer(CODE))
    assert told(lines, job_id)[-1] == {
        "event": "job_finished",
        "app": "shop",
        "door": "ai_request",
        "model": None,
        "provider": None,
        "state": "cancelled",
        "attempt": 1,
        "tokens": 0,
        "reason": "cancelled by the caller",
    }


async def test_a_provider_that_fails_is_told_with_what_was_wrong(lines: list[Any]) -> None:
    """Each try, and the code in the line of the end."""
    model = "simulator/lorem?status=400&refuse=1"
    async with Gateway() as gateway:
        job_id = await gateway.queue(model=model)
        await gateway.over(job_id)
    failed, finished = told(lines, job_id)[-2:]
    assert failed == {
        "event": "provider_failed",
        "model": model,
        "code": "INVALID_REQUEST",
        "retryable": False,
        "shown": False,
    }
    assert finished["code"] == "INVALID_REQUEST"


async def test_a_providers_lines_are_under_the_request_too() -> None:
    """What a connection meets is found by the request id."""
    settings: Any = {"OPENAI_API_KEY": "key", "OPENAI_BASE_URL": "http://127.0.0.1:9"}
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with Gateway(REQUEST_TIMEOUT=0.2, **settings) as gateway:
            job_id = await gateway.queue(model="gpt-4o")
            await gateway.over(job_id)
    met = [line for line in lines if line["event"] == "provider_unreachable"]
    # One is of the check at the start.
    assert {line.get("job_id") for line in met} == {None, job_id}


async def test_a_refusal_is_told_where_everything_is(lines: list[Any]) -> None:
    """Whoever sends rubbish fills no log unless the operator asks for every line."""
    async with Gateway() as gateway:
        assert (await gateway.post("/ai_request", {"app_code": "nobody's"})).status == 401
    refused = [line for line in lines if line["event"] == "request_refused"]
    assert refused == [
        {
            "event": "request_refused",
            "log_level": "debug",
            "door": "ai_request",
            "code": "UNAUTHENTICATED",
            "field": None,
        }
    ]
