"""How the gateway says that it is well."""

import asyncio
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.surfaces.status import in_days
from tests.surfaces.running import CODE, SILENT, Gateway, bearer
from tests.surfaces.teller import Teller


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0d 0h 0m"),
        (59.9, "0d 0h 0m"),
        (60, "0d 0h 1m"),
        (3_599, "0d 0h 59m"),
        (86_400, "1d 0h 0m"),
        (2 * 86_400 + 5 * 3_600 + 30 * 60, "2d 5h 30m"),
        (400 * 86_400, "400d 0h 0m"),
    ],
)
def test_uptime_is_in_days_hours_and_minutes(seconds: float, words: str) -> None:
    """As the document writes it."""
    assert in_days(seconds) == words


async def test_health_is_the_union_of_the_documents() -> None:
    """Counts, uptime, and one status per provider; nothing else is told to strangers."""
    async with Gateway(WORKERS=1) as gateway:
        running, _ = [await gateway.queue(SILENT) for _ in range(2)]
        await gateway.published(running, 1)
        reply = await gateway.get("/health")
        said = reply.json()
        assert reply.headers["Cache-Control"] == "no-store"
        assert re.fullmatch(r"0d 0h 0m", said.pop("uptime"))
        providers = said.pop("providers")
        assert said == {
            "status": "healthy",
            "queue_size": 1,
            "active_workers": 1,
            "together_ai_status": "no key",
            "conversations_in_memory": 0,
        }
        assert providers.pop("simulator") in ("unknown", "connected")
        assert set(providers.values()) == {"no key"}
        assert {"together", "openai", "anthropic", "groq"} <= set(providers)


async def test_a_provider_that_answers_is_connected(teller: Teller) -> None:
    """It is asked at the start; the start does not wait for it."""
    async with Gateway(**teller.settings) as gateway, asyncio.timeout(20):
        said = (await gateway.get("/health")).json()
        while said["together_ai_status"] == "unknown":
            said = (await gateway.get("/health")).json()
        assert said["together_ai_status"] == "connected"
        assert said["providers"]["together"] == "connected"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, "connected"),
        (429, "connected"),
        (401, "refused"),
        (403, "refused"),
        (500, "unreachable"),
    ],
)
async def test_only_a_refused_key_is_refused(status: int, said: str) -> None:
    """A server that has no list of models, or no time for it, is there all the same."""

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "no"}}, status=status)

    server = web.Application()
    server.router.add_get("/v1/models", models)
    async with TestServer(server) as upstream:
        where = str(upstream.make_url("/"))
        async with (
            Gateway(TOGETHER_AI_API_KEY="tgp_0123456789", TOGETHER_BASE_URL=where) as gateway,
            asyncio.timeout(20),
        ):
            health = (await gateway.get("/health")).json()
            while health["together_ai_status"] == "unknown":
                health = (await gateway.get("/health")).json()
            assert health["together_ai_status"] == said


async def test_a_provider_out_of_reach_stops_nothing() -> None:
    """The gateway starts, says so, and serves the others."""
    nowhere = "http://127.0.0.1:1"
    async with (
        Gateway(TOGETHER_AI_API_KEY="tgp_0123456789", TOGETHER_BASE_URL=nowhere) as gateway,
        asyncio.timeout(20),
    ):
        said = (await gateway.get("/health")).json()
        while said["together_ai_status"] == "unknown":
            said = (await gateway.get("/health")).json()
        assert said["together_ai_status"] == "unreachable"
        await gateway.over(await gateway.queue())


async def test_live_and_ready_while_all_is_well(gateway: Gateway) -> None:
    """Both 200."""
    for path in ("/health/live", "/health/ready"):
        reply = await gateway.get(path)
        assert (reply.status, reply.json()) == (200, {"status": "ok"})


async def test_a_full_queue_is_not_ready() -> None:
    """No new request is sent here by a load balancer; the process lives."""
    async with Gateway(WORKERS=1, QUEUE_MAX_SIZE=1) as gateway:
        running = await gateway.queue(SILENT)
        await gateway.published(running, 1)
        assert (await gateway.get("/health/ready")).status == 200
        waiting = await gateway.queue(SILENT)
        reply = await gateway.get("/health/ready")
        assert (reply.status, reply.json()) == (503, {"status": "full"})
        assert reply.headers["Retry-After"] == "5"
        assert (await gateway.get("/health/live")).status == 200
        await gateway.ask("POST", f"/cancel_request/{waiting}", headers=bearer(CODE))
        assert (await gateway.get("/health/ready")).status == 200


async def test_draining_is_not_ready() -> None:
    """What runs may end; nothing new is taken, and the answer says when to come again."""
    async with Gateway(DRAIN_TIMEOUT=60) as gateway:
        job_id = await gateway.queue(SILENT)
        await gateway.published(job_id, 1)
        draining = asyncio.create_task(gateway.core.drain())
        # One turn of the loop, in which it begins.
        await asyncio.sleep(0)
        reply = await gateway.get("/health/ready")
        assert (reply.status, reply.json()) == (503, {"status": "draining"})
        assert reply.headers["Retry-After"] == "5"
        assert (await gateway.get("/health/live")).status == 200
        assert (await gateway.get("/health")).json()["status"] == "draining"
        body = {"app_code": CODE, "request_type": "ask", "request": "hi"}
        refused = await gateway.post("/ai_request", body)
        assert (refused.status, refused.json()["error_code"]) == (503, "QUEUE_FULL")
        assert int(refused.headers["Retry-After"]) >= 1
        batch = {"app_code": CODE, "requests": [body, {"request_type": 1}]}
        refused = await gateway.post("/ai_request/batch", batch)
        assert (refused.status, refused.json()["error_code"]) == (503, "QUEUE_FULL")
        assert int(refused.headers["Retry-After"]) >= 1
        body = {"app_code": CODE, "prompt": "hi", "resumeUrl": "https://n8n.test/1"}
        refused = await gateway.post("/init-stream", body)
        assert (refused.status, refused.json()["error"]["code"]) == (503, "DRAINING")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await gateway.poll(job_id))["status"] == "processing"
        await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
        await asyncio.wait_for(draining, 20)


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_a_look_without_the_body_will_do(path: str) -> None:
    """Uptime checks send HEAD: the status and headers of GET, and no body."""
    async with Gateway() as gateway:
        got, looked = await gateway.get(path), await gateway.ask("HEAD", path)
        assert (looked.status, looked.body) == (200, b"")
        assert looked.headers["Content-Length"] == str(len(got.body))
