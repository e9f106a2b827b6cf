"""Operators find every job, and all there is to know of one, but no secret."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.n8n import SIGNATURE, Execution, N8n
from tests.surfaces.operating import OPS, called_back, operated
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    SILENT,
    Gateway,
    bearer,
    user_token,
)

FAILING = "simulator/echo?first=0&gap=0&error=1"


@pytest.fixture(params=["memory", "sqlite"])
async def gateway(
    request: pytest.FixtureRequest, n8n: N8n, tmp_path: Path
) -> AsyncIterator[Gateway]:
    folder = tmp_path / "data" if request.param == "sqlite" else ""
    async with operated(DATA_DIR=folder, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as running:
        yield running


async def listed(gateway: Gateway, query: str = "") -> Any:
    reply = await gateway.get(f"/admin/jobs?{query}", **OPS)
    assert reply.status == 200, reply
    return reply.json()


async def ids(gateway: Gateway, query: str) -> list[str]:
    return [job["request_id"] for job in (await listed(gateway, query))["jobs"]]


async def test_a_job_is_told_in_short_and_whole(gateway: Gateway, n8n: N8n) -> None:
    """The same in the list and on its own page; there with its log and its callback."""
    began = time.time()
    job_id = await called_back(gateway, n8n.wait_for(Execution()), "delivered")
    (item,) = (await listed(gateway))["jobs"]
    times = [item.pop(name) for name in ("created_at", "started_at", "finished_at")]
    assert began <= times[0] <= times[1] <= times[2] <= time.time()
    assert item.pop("duration_s") == pytest.approx(times[2] - times[0], abs=1e-5)
    assert 0 <= item.pop("first_token_s") <= times[2] - times[0] + 1e-5
    usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4, "estimated": False}
    assert item.pop("usage").keys() == usage.keys()
    short = {
        "request_id": job_id,
        "app": "shop",
        "user": None,
        "door": "ai_request",
        "state": "completed",
        "model": QUICK,
        "provider": "simulator",
        "attempt": 1,
        "error": None,
        "prompt": "one two",
        "cost_usd": 0.0,
    }
    assert item == short
    reply = await gateway.get(f"/admin/jobs/{job_id}", **OPS)
    assert reply.headers["X-Request-Id"] == job_id
    whole = reply.json()
    assert {name: whole[name] for name in short} == short
    assert whole["messages"] == [{"role": "user", "content": "one two"}]
    assert (whole["answer"], whole["tool_calls"]) == ("one two", [])
    assert whole["callback"]["url"] == n8n.origin + "/webhook-waiting/1"
    assert [each["id"] for each in whole["events"]] == [
        f"1-{number}" for number in range(1, len(whole["events"]) + 1)
    ]
    said = [each["data"]["text"] for each in whole["events"] if each["event"] == "delta"]
    assert "".join(said) == "one two"
    kinds = [each["event"] for each in whole["events"]]
    assert (kinds[:2], kinds[-1]) == (["started", "routed"], "completed")
    assert whole["events"][1]["data"] == {"model": QUICK, "provider": "simulator"}


async def test_every_app_s_jobs_are_listed(gateway: Gateway) -> None:
    """Filtered by whatever is asked, alone and together; newest first, page by page."""
    first = await gateway.queue(text="Why is the sky 100% blue?")
    failed = await gateway.queue(FAILING, app_code=OTHER_CODE)
    asked = {"prompt": "Of mine", "model": SILENT}
    reply = await gateway.post("/assistant/request", asked, **bearer(user_token(sub="zoë")))
    waiting = reply.json()["request_id"]
    await gateway.over(first)
    await gateway.over(failed)
    everything = [waiting, failed, first]
    (error,) = (await listed(gateway, "state=error"))["jobs"]
    assert (error["request_id"], error["error"].keys()) == (failed, {"code", "message"})
    for query, expected in {
        "": everything,
        "app=shop": [waiting, first],
        "app=bank": [failed],
        "app=nobody": [],
        "user=zo%C3%AB": [waiting],
        "user=ann": [],
        "door=assistant": [waiting],
        "state=completed": [first],
        "app=shop&state=completed": [first],
        "state=expired": [],
        f"model={QUICK.replace('&', '%26')}": [first],
        "q=SKY+100%25": [first],
        "q=%25": [first],
        "q=_": [],
        "q=zo%C3%AB": [waiting],
        f"q={failed}": [failed],
        "since=2000-01-01": everything,
        "since=2000-01-01T00:00:00Z": everything,
        "since=2000-01-01T00:00:00+01:00&until=2001-01-01": [],
        "until=946684800.5": [],
        f"since={time.time() - 3600:.0f}&until={time.time() + 60}": everything,
        "limit=&before=&app=&q=&state=": everything,
    }.items():
        assert await ids(gateway, query) == expected, query
    page = await listed(gateway, "limit=2")
    assert [job["request_id"] for job in page["jobs"]] == everything[:2]
    last = await listed(gateway, f"limit=2&before={page['next']}")
    assert ([job["request_id"] for job in last["jobs"]], last["next"]) == ([first], None)
    await gateway.core.cancel(await gateway.job(waiting))


WRONG = {
    "limit=0": "limit",
    "limit=201": "limit",
    "limit=x": "limit",
    "limit=%D9%A3": "limit",
    "state=done": "state",
    "since=yesterday": "since",
    "since=nan": "since",
    "until=inf": "until",
    "until=2026-13-01": "until",
    "before=x": "before",
    "before=1~x": "before",
    "before=nan~20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11": "before",
    f"q={'x' * 201}": "q",
    f"app={'x' * 201}": "app",
}


@pytest.mark.parametrize(("query", "field"), WRONG.items(), ids=range(len(WRONG)))
async def test_a_wrong_question_is_told_so(query: str, field: str) -> None:
    """Which part of it, in a sentence."""
    async with operated() as gateway:
        reply = await gateway.get(f"/admin/jobs?{query}", **OPS)
        assert reply.status == 400
        error = reply.json()["error"]
        assert (error["code"], error["field"]) == ("INVALID_REQUEST", field)


@pytest.mark.parametrize("path", ["jobs", "webhooks"])
async def test_what_is_not_there_is_not_found(gateway: Gateway, path: str) -> None:
    """Whatever the id looks like."""
    for job_id in ("x", "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11", "%00", "'--"):
        assert (await gateway.get(f"/admin/{path}/{job_id}", **OPS)).status == 404


async def test_no_secret_is_shown(gateway: Gateway, n8n: N8n) -> None:
    """Not a credential, and of where callbacks go not the part that opens a workflow."""
    url = n8n.wait_for(Execution(waits=0))
    body = {"n8nToken": user_token(), "resumeUrl": url, "prompt": "one two"}
    job_id = (await gateway.post("/init-stream", body)).headers["X-Request-Id"]
    await gateway.over(job_id)
    await n8n.arrived(1)
    paths = ["overview", "jobs", f"jobs/{job_id}", "webhooks", f"webhooks/{job_id}"]
    told = b"".join([(await gateway.get(f"/admin/{path}", **OPS)).body for path in paths])
    assert b"/webhook-waiting/1" in told
    secrets = (SIGNATURE, "signature", CODE, user_token()[-20:], "whsec_")
    assert [secret for secret in secrets if secret.encode() in told] == []
