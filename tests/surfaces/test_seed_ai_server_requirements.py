"""Every example of the job queue's document: the same request, and the documented answer."""

import re
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from gateway import simulate
from tests.surfaces.running import CODE, SILENT, Gateway, apps

ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"
ASK = {"app_code": CODE, "request_type": "ask", "request": "The actual request text"}


async def test_success(gateway: Gateway) -> None:
    """`POST /ai_request` is answered with the id, in the body and in the header."""
    reply = await gateway.post("/ai_request", ASK)
    said = reply.json()
    assert reply.status == 200
    assert ID.fullmatch(said["request_id"])
    assert said == {
        "status": "success",
        "request_id": reply.headers["X-Request-Id"],
        "message": "Request queued successfully",
    }


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"app_code": "unknown"}, 401, "INVALID_APP_CODE"),
        ({"app_code": ""}, 401, "INVALID_APP_CODE"),
        ({"app_code": None}, 401, "INVALID_APP_CODE"),
        ({"request_type": "create_quiz"}, 403, "UNSUPPORTED_REQUEST_TYPE"),
        ({"request_type": None}, 400, "INVALID_REQUEST"),
        ({"request": None}, 400, "INVALID_REQUEST"),
        ({"request": 5}, 400, "INVALID_REQUEST"),
    ],
)
async def test_rejection(gateway: Gateway, change: dict[str, Any], status: int, code: str) -> None:
    """A refusal has its status, its code, and a sentence."""
    reply = await gateway.post("/ai_request", {**ASK, **change})
    said = reply.json()
    assert (reply.status, said["status"], said["error_code"]) == (status, "error", code)
    assert set(said) == {"status", "error_code", "message"}
    assert said["message"].endswith(".")


async def test_unknown_id(gateway: Gateway) -> None:
    """404, in the document's own words."""
    reply = await gateway.get("/get_request/unique_request_id")
    assert (reply.status, reply.json()) == (
        404,
        {
            "status": "error",
            "error_code": "REQUEST_NOT_FOUND",
            "message": "Request ID not found",
        },
    )


async def test_in_queue_and_processing() -> None:
    """With one worker the second waits at position 1, the third at 2."""
    async with Gateway(WORKERS=1) as gateway:
        running, *waiting = [await gateway.queue(SILENT) for _ in range(3)]
        await gateway.published(running, 1)
        assert await gateway.poll(running) == {
            "status": "processing",
            "message": "Request is currently being processed",
        }
        for position, job_id in enumerate(waiting, 1):
            said = await gateway.poll(job_id)
            assert re.fullmatch(
                r"a few seconds|less than a minute|\d+-\d+ (minutes|hours)",
                said.pop("estimated_wait_time"),
            )
            assert said == {
                "status": "queued",
                "position": position,
                "message": "Request is in queue",
            }


async def test_ready() -> None:
    """A finished one holds answer, model, time and tokens: here from Together, over HTTP."""
    async with (
        TestServer(simulate.build()) as together,
        Gateway(
            TOGETHER_AI_API_KEY="tgp_key-of-nobody",
            TOGETHER_BASE_URL=together.make_url(""),
            DEFAULT_MODEL=MODEL,
        ) as gateway,
    ):
        reply = await gateway.post("/ai_request", ASK)
        job_id = reply.json()["request_id"]
        await gateway.over(job_id)
        said = await gateway.poll(job_id)
        response = said["response"]
        assert said == {"status": "completed", "response": response}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", response.pop("completion_time"))
        usage = response.pop("token_usage")
        assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens"}
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert usage["completion_tokens"] > 0
        answer = response.pop("ai_response")
        assert "simulator" in answer
        assert response == {"model_used": MODEL}


@pytest.mark.parametrize(
    ("model", "code", "retry"),
    [
        ("simulator/echo?status=500&retry_after=60", "AI_SERVICE_ERROR", True),
        ("simulator/echo?status=401", "AI_SERVICE_ERROR", False),
        ("simulator/echo?status=400", "INVALID_REQUEST", False),
        (SILENT, "TIMEOUT", True),
    ],
)
async def test_error(model: str, code: str, retry: bool) -> None:
    """A failed one is answered with 200, its code, and whether another try can help."""
    async with Gateway(REQUEST_TIMEOUT=1) as gateway:
        job_id = await gateway.queue(model)
        await gateway.over(job_id)
        reply = await gateway.get(f"/get_request/{job_id}")
        said = reply.json()
        assert reply.status == 200
        assert said.pop("message")
        assert said == {"status": "error", "error_code": code, "retry_possible": retry}


async def test_health(gateway: Gateway) -> None:
    """The document's five fields, and what other documents add."""
    reply = await gateway.get("/health")
    said = reply.json()
    assert (reply.status, said["status"]) == (200, "healthy")
    assert (said["queue_size"], said["active_workers"]) == (0, 0)
    assert re.fullmatch(r"\d+d \d+h \d+m", said["uptime"])
    assert said["together_ai_status"] == "no key"


async def test_app_code_configuration() -> None:
    """The document's own entry is a good one."""
    entry = {
        "name": "FlashCards App",
        "allowed_request_types": ["generate_flashcard", "explain_concept", "create_quiz"],
        "rate_limit": "100/hour",
        "max_tokens": 1000,
    }
    async with Gateway(app_codes={"abc123hash": entry, **apps()}) as gateway:
        for kind in ("generate_flashcard", "explain_concept", "create_quiz"):
            ask = {"app_code": "abc123hash", "request_type": kind, "request": "hi"}
            assert (await gateway.post("/ai_request", ask)).status == 200
        ask["request_type"] = "ask"
        assert (await gateway.post("/ai_request", ask)).status == 403
