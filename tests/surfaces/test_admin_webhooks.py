"""Operators see every callback, and have those that were given up sent again."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.engine.n8n import Execution, N8n
from tests.surfaces.operating import JSON, OPS, called_back, operated, until
from tests.surfaces.running import SILENT, Gateway


@pytest.fixture(params=["memory", "sqlite"])
async def gateway(
    request: pytest.FixtureRequest, n8n: N8n, tmp_path: Path
) -> AsyncIterator[Gateway]:
    folder = tmp_path / "data" if request.param == "sqlite" else ""
    async with operated(DATA_DIR=folder, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as running:
        yield running


async def replayed(gateway: Gateway, job_id: str) -> Any:
    return await gateway.ask("POST", f"/admin/webhooks/{job_id}/replay", headers={**OPS, **JSON})


async def test_callbacks_are_listed(gateway: Gateway, n8n: N8n) -> None:
    """Newest first, page by page, by app and by state; one by its job."""
    gone = await called_back(gateway, n8n.wait_for(Execution(waits=0)), "dead")
    done = await called_back(gateway, n8n.wait_for(Execution()), "delivered")
    waiting = await gateway.queue(SILENT, callback_url=n8n.wait_for(Execution()))

    async def found(query: str) -> tuple[list[str], str | None]:
        told = (await gateway.get(f"/admin/webhooks?{query}", **OPS)).json()
        return [each["request_id"] for each in told["deliveries"]], told["next"]

    assert await found("") == ([waiting, done, gone], None)
    for query, expected in {
        "state=dead": [gone],
        "state=waiting": [waiting],
        "state=pending": [],
        "app=shop&state=delivered": [done],
        "app=bank": [],
    }.items():
        assert await found(query) == (expected, None)
    first, next_ = await found("limit=2")
    assert (first, await found(f"limit=2&before={next_}")) == ([waiting, done], ([gone], None))
    told = (await gateway.get(f"/admin/webhooks/{gone}", **OPS)).json()
    created_at = (await gateway.job(gone)).created_at
    assert told == {
        "request_id": gone,
        "delivery_id": f"msg_{gone}",
        "app": "shop",
        "url": f"{n8n.origin}/webhook-waiting/1",
        "state": "dead",
        "attempts": 1,
        "next_at": None,
        "last_status": 409,
        "note": told["note"],
        "created_at": created_at,
    }
    assert told["note"].startswith("409: the workflow was over")
    refused = await gateway.get("/admin/webhooks?state=done", **OPS)
    assert (refused.status, refused.json()["error"]["field"]) == (400, "state")
    await gateway.core.cancel(await gateway.job(waiting))


async def test_what_was_given_up_is_sent_again(gateway: Gateway, n8n: N8n) -> None:
    """At once, with its old id and the same body; and never while it is on its way."""
    execution = Execution(waits=0)
    job_id = await called_back(gateway, n8n.wait_for(execution), "dead")
    execution.waits = 1
    n8n.gate.clear()
    replies = await asyncio.gather(*(replayed(gateway, job_id) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 9
    (reply,) = [reply for reply in replies if reply.status == 200]
    assert (reply.json()["state"], reply.json()["note"]) == ("pending", "Sent again by hand.")
    await n8n.arrived(2)
    assert (await replayed(gateway, job_id)).status == 409
    n8n.gate.set()
    told = await until(gateway, job_id, "delivered")
    assert (told["attempts"], told["last_status"]) == (2, 200)
    assert (n8n.most_at_once, execution.resumed, len(n8n.posts)) == (1, 1, 2)
    first, second = n8n.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"msg_{job_id}"
    assert (first.target, first.body) == (second.target, second.body)


async def test_what_arrived_is_not_sent_again(gateway: Gateway, n8n: N8n) -> None:
    """One more would resume whatever the workflow waits for by now."""
    execution = Execution(waits=2)
    job_id = await called_back(gateway, n8n.wait_for(execution), "delivered")
    reply = await replayed(gateway, job_id)
    assert (reply.status, reply.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await until(gateway, job_id, "delivered"))["attempts"] == 1
    assert (execution.resumed, len(n8n.posts)) == (1, 1)


async def test_what_may_have_arrived_can_be_sent_again(gateway: Gateway, n8n: N8n) -> None:
    """Whoever looked at the workflow knows better than the gateway."""
    execution = Execution(waits=1)
    n8n.script = [web.Response(status=502)]
    n8n.script.append(web.json_response({"message": "finished already."}, status=409))
    job_id = await called_back(gateway, n8n.wait_for(execution), "delivered_unconfirmed")
    assert (await replayed(gateway, job_id)).status == 200
    assert (await until(gateway, job_id, "delivered"))["attempts"] == 3
    assert json.loads(n8n.posts[-1].body)["status"] == "completed"


async def test_a_job_without_a_callback_has_none_to_send(gateway: Gateway) -> None:
    """Known or unknown, it is the same."""
    job_id = await gateway.queue()
    await gateway.over(job_id)
    for each in (job_id, "x", "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"):
        reply = await replayed(gateway, each)
        assert (reply.status, reply.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_what_was_given_up_is_kept_for_longer(n8n: N8n) -> None:
    """Its job is over for others' time; it is still listed, and can be sent again."""
    async with operated(
        DEAD_LETTER_RETENTION="3600", CALLBACK_ALLOWED_ORIGINS=n8n.origin
    ) as gateway:
        execution = Execution(waits=0)
        dead = await called_back(gateway, n8n.wait_for(execution), "dead")
        plain = await gateway.queue()
        await gateway.over(plain)
        await gateway.forget()
        assert await gateway.core.job(plain) is None
        execution.waits = 1
        assert (await replayed(gateway, dead)).status == 200
        await n8n.arrived(2)
        await until(gateway, dead, "delivered")
        await gateway.forget()
        assert (await gateway.get(f"/admin/webhooks/{dead}", **OPS)).status == 404
