"""Whoever made jobs finds them again at one place, and has them forgotten."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.n8n import Execution, N8n
from tests.surfaces.operating import OPS, operated, until
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    SILENT,
    Gateway,
    bearer,
    user_token,
)

UNKNOWN = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
SHOP, ANN, BOB = bearer(CODE), bearer(user_token()), bearer(user_token(sub="bob"))


@pytest.fixture(params=["memory", "sqlite"])
async def gateway(
    request: pytest.FixtureRequest, n8n: N8n, tmp_path: Path
) -> AsyncIterator[Gateway]:
    folder = tmp_path / "data" if request.param == "sqlite" else ""
    async with operated(DATA_DIR=folder, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as running:
        yield running


async def asked(gateway: Gateway, headers: dict[str, str], text: str = "hi", **more: Any) -> str:
    """A job of an assistant's user, that is over; its id."""
    body = {"prompt": text, "model": QUICK, **more}
    reply = await gateway.post("/assistant/request", body, **headers)
    job_id: str = reply.json()["request_id"]
    if body["model"] == QUICK:
        await gateway.over(job_id)
    return job_id


async def chatted(gateway: Gateway, headers: dict[str, str]) -> str:
    """A conversation with one turn; its id."""
    body = {"user_prompt": "hi there", "save_conversation": True, "model": QUICK}
    reply = await gateway.post("/api/chat/stream", body, **headers)
    await gateway.quiet()
    return str(reply.body.partition(b'"conversation_id":"')[2][:36], "ascii")


async def ids(gateway: Gateway, headers: dict[str, str], query: str = "") -> list[str]:
    reply = await gateway.get(f"/history?{query}", **headers)
    assert reply.status == 200, reply
    return [job["request_id"] for job in reply.json()["jobs"]]


async def test_everybody_lists_their_own(gateway: Gateway) -> None:
    """An app all of its users', whom it may name; a user their own."""
    of_app = await gateway.queue()
    await gateway.over(of_app)
    of_ann, of_bob = await asked(gateway, ANN, "why?"), await asked(gateway, BOB)
    of_bank = await gateway.queue(app_code=OTHER_CODE)
    await gateway.over(of_bank)
    assert await ids(gateway, SHOP) == [of_bob, of_ann, of_app]
    assert await ids(gateway, SHOP, "user=ann") == [of_ann]
    assert await ids(gateway, SHOP, "door=assistant&q=WHY") == [of_ann]
    assert await ids(gateway, SHOP, "app=bank") == [of_bob, of_ann, of_app]
    assert await ids(gateway, ANN) == [of_ann] == await ids(gateway, ANN, "user=ann")
    assert await ids(gateway, bearer(OTHER_CODE)) == [of_bank]
    assert await ids(gateway, bearer(user_token(sub="eve"))) == []
    page = (await gateway.get("/history?limit=1", **SHOP)).json()
    assert await ids(gateway, SHOP, f"limit=2&before={page['next']}") == [of_ann, of_app]
    refused = await gateway.get("/history?state=done", **SHOP)
    assert (refused.status, refused.json()["error"]["field"]) == (400, "state")


async def test_one_of_them_is_told_whole(gateway: Gateway) -> None:
    """As the list has it, with what was asked and answered."""
    job_id = await asked(gateway, ANN, "one two")
    reply = await gateway.get(f"/history/{job_id}", **ANN)
    whole = reply.json()
    (short,) = (await gateway.get("/history", **ANN)).json()["jobs"]
    assert {name: whole[name] for name in short} == short
    assert whole["messages"][-1] == {"role": "user", "content": "one two"}
    assert (whole["answer"], whole["tool_calls"], whole["state"]) == ("one two", [], "completed")
    assert reply.headers["X-Request-Id"] == job_id
    assert whole.keys() == {*short, "messages", "answer", "tool_calls"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_somebody_elses_is_as_unknown(gateway: Gateway, method: str) -> None:
    """Read or forgotten, the answer is that of an id that never was."""
    of_ann = await asked(gateway, ANN)
    for headers in (BOB, bearer(OTHER_CODE), bearer(user_token(app="bank"))):
        for job_id in (of_ann, UNKNOWN, "x"):
            reply = await gateway.ask(method, f"/history/{job_id}", headers=headers)
            assert reply.status == 404
            assert reply.json()["error"]["code"] == "REQUEST_NOT_FOUND"
    assert await ids(gateway, ANN) == [of_ann]


ROUTES = ["GET /history", f"GET /history/{UNKNOWN}", f"DELETE /history/{UNKNOWN}"]
ROUTES += ["DELETE /history?user=ann"]


@pytest.mark.parametrize("route", ROUTES)
async def test_a_credential_is_needed(route: str) -> None:
    """Also where others do without: what one left is not for all who bring as little."""
    method, _, path = route.partition(" ")
    async with operated(ANONYMOUS_APP="shop") as gateway:
        job_id = await gateway.queue()
        await gateway.over(job_id)
        assert (await gateway.ask(method, path)).status == 401
        assert (await gateway.ask(method, path, headers=bearer("gw_nobody"))).status == 401
        token = (await gateway.stream(job_id)).partition("access_token=")[2]
        assert (await gateway.ask(method, path, headers=bearer(token))).status == 403
        query = "&" if "?" in path else "?"
        for credential in (token, CODE):
            tried = await gateway.ask(method, f"{path}{query}access_token={credential}")
            assert tried.status == 401


async def test_a_forgotten_job_is_nowhere(gateway: Gateway) -> None:
    """Not in the list, not at any door, nor by its key; twice is once too often."""
    key = {"Idempotency-Key": "k", **SHOP}
    body = {"request_type": "ask", "request": "one", "model": QUICK}
    job_id = (await gateway.post("/ai_request", body, **key)).json()["request_id"]
    await gateway.over(job_id)
    stream = await gateway.stream(job_id)
    reply = await gateway.ask("DELETE", f"/history/{job_id}", headers=SHOP)
    assert (reply.status, reply.json()) == (200, {"request_id": job_id, "status": "deleted"})
    assert await ids(gateway, SHOP) == []
    for path in (f"/history/{job_id}", f"/stream/{job_id}", f"/get_request/{job_id}"):
        assert (await gateway.get(path, **SHOP)).status == 404, path
    assert (await gateway.session.get(stream)).status == 404
    assert (await gateway.ask("DELETE", f"/history/{job_id}", headers=SHOP)).status == 404
    again = (await gateway.post("/ai_request", body, **key)).json()["request_id"]
    assert again != job_id
    await gateway.over(again)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_job_under_way_is_cancelled_first(workers: int, tmp_path: Path) -> None:
    """Waiting or running; its reader is told, and its worker is free."""
    async with operated(DATA_DIR=tmp_path, WORKERS=workers) as gateway:
        running = await asked(gateway, ANN, model=SILENT)
        job_id = await asked(gateway, ANN, model=SILENT)
        path = f"{gateway.origin}/assistant/stream/{job_id}"
        async with gateway.session.get(path, headers=ANN) as stream:
            reply = await gateway.ask("DELETE", f"/history/{job_id}", headers=ANN)
            assert reply.status == 200
            assert b"CANCELLED" in await stream.read()
        assert (await gateway.get(f"/assistant/request/{job_id}", **ANN)).status == 404
        assert await ids(gateway, ANN) == [running]
        assert (await gateway.ask("DELETE", f"/history/{running}", headers=ANN)).status == 200
        await gateway.quiet()


async def test_a_callback_goes_with_its_job(gateway: Gateway, n8n: N8n) -> None:
    """One that has not arrived is given up: nothing of the job leaves any more."""
    n8n.broken = True
    job_id = await gateway.queue(callback_url=n8n.wait_for(Execution()))
    await gateway.over(job_id)
    await n8n.arrived(1)
    assert (await gateway.ask("DELETE", f"/history/{job_id}", headers=SHOP)).status == 200
    n8n.broken = False
    other = await gateway.queue(callback_url=n8n.wait_for(Execution()))
    await until(gateway, other, "delivered")
    told = (await gateway.get("/admin/webhooks", **OPS)).json()
    assert [each["request_id"] for each in told["deliveries"]] == [other]
    assert n8n.executions["1"].resumed == 0


async def test_what_is_under_way_calls_nobody_back(gateway: Gateway, n8n: N8n) -> None:
    """Forgotten while they wait or run, jobs end; nobody is told of an end that is forgotten."""
    jobs = [await gateway.queue(SILENT, callback_url=n8n.wait_for(Execution())) for _ in range(10)]
    gone = [gateway.ask("DELETE", f"/history/{job_id}", headers=SHOP) for job_id in jobs]
    assert [reply.status for reply in await asyncio.gather(*gone)] == [200] * 10
    other = await gateway.queue(callback_url=n8n.wait_for(Execution()))
    await until(gateway, other, "delivered")
    assert len(n8n.posts) == 1


async def test_a_user_lists_nobody_elses(gateway: Gateway) -> None:
    """Whoever names another is refused, and not shown their own instead."""
    await asked(gateway, BOB)
    refused = await gateway.get("/history?user=bob", **ANN)
    told = {"code": "FORBIDDEN", "message": "A user's token is for nobody else's history."}
    assert (refused.status, refused.json()) == (403, {"error": told})


async def test_everything_of_a_user_is_forgotten(gateway: Gateway) -> None:
    """Jobs that are over, run and wait, and conversations; by the user, or by the app."""
    for headers, query in ((ANN, ""), (ANN, "?user=ann"), (SHOP, "?user=ann")):
        kept = [await asked(gateway, BOB)]
        conversation = await chatted(gateway, ANN)
        for _ in range(3):
            await asked(gateway, ANN)
        await asked(gateway, ANN, model=SILENT)
        reply = await gateway.ask("DELETE", f"/history{query}", headers=headers)
        assert (reply.status, reply.json()) == (
            200,
            {"user": "ann", "jobs": 5, "conversations": 1, "status": "deleted"},
        )
        assert await ids(gateway, ANN) == []
        path = f"/api/conversations/{conversation}"
        assert (await gateway.get(path, **ANN)).status == 404
        assert await ids(gateway, BOB) == kept
        again = await gateway.ask("DELETE", f"/history{query}", headers=headers)
        assert (again.json()["jobs"], again.json()["conversations"]) == (0, 0)
        await gateway.ask("DELETE", "/history", headers=BOB)
        await gateway.quiet()


async def test_a_user_forgets_nobody_else(gateway: Gateway) -> None:
    """And an app must say whom."""
    kept = [await asked(gateway, BOB), await asked(gateway, ANN)]
    refused = await gateway.ask("DELETE", "/history?user=bob", headers=ANN)
    assert (refused.status, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
    unsaid = await gateway.ask("DELETE", "/history", headers=SHOP)
    assert (unsaid.status, unsaid.json()["error"]["field"]) == (400, "user")
    other = await gateway.ask("DELETE", "/history?user=bob", headers=bearer(OTHER_CODE))
    assert other.json()["jobs"] == 0
    assert await ids(gateway, SHOP) == kept[::-1]


async def test_an_answer_under_way_is_not_kept(gateway: Gateway) -> None:
    """Of a conversation that is forgotten meanwhile nothing comes back."""
    body = {"user_prompt": "hi", "save_conversation": True, "model": SILENT}
    job_id, reply = await gateway.begun("/api/chat/stream", body, **ANN)
    told = await gateway.ask("DELETE", "/history", headers=ANN)
    assert (told.json()["jobs"], told.json()["conversations"]) == (1, 1)
    await reply
    listed = (await gateway.get("/api/conversations", **ANN)).json()
    assert (listed["conversations"], await gateway.core.job(job_id)) == ([], None)


async def test_what_is_forgotten_is_not_in_the_files(tmp_path: Path) -> None:
    """Not even as what was there before: neither short texts nor long ones."""
    canaries = [f"canary-{number}-" + "x" * number * 2_000 for number in range(1, 6)]
    async with operated(DATA_DIR=tmp_path) as gateway:
        kept = await asked(gateway, BOB, "another-bird")
        for text in canaries:
            await asked(gateway, ANN, text)
        assert (await gateway.ask("DELETE", "/history", headers=ANN)).json()["jobs"] == 5
        assert await ids(gateway, SHOP) == [kept]
    files = await asyncio.to_thread(everything_in, tmp_path)
    assert b"another-bird" in files
    assert b"canary-" not in files


def everything_in(folder: Path) -> bytes:
    """All that is on the disk there, but for what only takes room."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.name != "ballast")


async def test_so_much_may_be_asked(gateway: Gateway) -> None:
    """Of one user in a minute; another, and the app, are not held up by it."""
    replies = await asyncio.gather(*(gateway.get("/history?limit=1", **ANN) for _ in range(310)))
    statuses = [reply.status for reply in replies]
    assert (statuses.count(200), statuses.count(429)) == (300, 10)
    assert [await ids(gateway, headers) for headers in (SHOP, BOB)] == [[], []]
