"""The chat's door: what a question is answered with, and what becomes of its job."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.events import Completed, Delta, Expired, Restarted, Started, Usage
from gateway.jobs import State
from gateway.log import Cursor
from gateway.surfaces.chat import ChatFramer
from tests.surfaces.chatting import PATH, asking, chat, messages, read
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    SILENT,
    STUCK,
    Gateway,
    apps,
    bearer,
    user_token,
)
from tests.surfaces.teller import MODEL, Teller, told

USED = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


async def test_an_answer_is_a_stream(gateway: Gateway) -> None:
    """What it belongs to, its text piece by piece, and its end with what it cost."""
    said = await chat(gateway)
    assert said.frames == [
        ("0-0", {"conversation_id": None, "model": QUICK}),
        ("1-3", {"content": "one", "finished": False}),
        ("1-4", {"content": " two", "finished": False}),
        ("1-6", {"content": "", "finished": True, "usage": USED}),
    ]


async def test_the_first_frame_does_not_wait() -> None:
    """It comes while the question is still in the queue."""
    async with Gateway(WORKERS=1, DISCONNECT_GRACE=0) as gateway:
        running = await gateway.queue(SILENT)
        async with asyncio.timeout(20), asking(gateway) as (response, data):
            assert await anext(data) == {"conversation_id": None, "model": QUICK}
            waiting = response.headers["X-Request-Id"]
            assert (await gateway.job(waiting)).state is State.QUEUED
        for job_id in (running, waiting):
            await gateway.core.cancel(await gateway.job(job_id))


async def test_what_is_asked_reaches_the_provider(teller: Teller) -> None:
    """The prompts and the hyperparameters by their names; null is absent."""
    async with Gateway(**teller.settings) as gateway:
        said = await chat(
            gateway,
            model=MODEL,
            user_prompt=told("a"),
            system_prompt="Be brief.",
            hyperparameters={
                "temperature": 0.5,
                "top_p": 1,
                "max_tokens": 9,
                "stop": ["END"],
                "top_k": 0,
                "repetition_penalty": None,
            },
        )
    assert said.text == "a"
    body = teller.bodies[0]
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": told("a")},
    ]
    sent = ("temperature", "top_p", "max_tokens", "stop", "top_k", "repetition_penalty")
    assert [body.get(name) for name in sent] == [0.5, 1, 9, ["END"], 0, None]


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("echo?first=0&gap=0&cut=1", "AI_SERVICE_ERROR"),
        ("echo?first=0&gap=0&end=1", "AI_SERVICE_ERROR"),
        ("echo?first=0&status=400", "INVALID_REQUEST"),
    ],
)
async def test_a_failure_is_the_last_frame(gateway: Gateway, model: str, error: str) -> None:
    """With its code and a sentence, and never a clean end after it."""
    said = await chat(gateway, model=f"simulator/{model}")
    assert said.last == {
        "error": {"code": error, "message": said.last["error"]["message"]},
        "finished": True,
    }
    assert [data for _, data in said.frames if data.get("finished")] == [said.last]


async def test_a_cancelled_answer_says_so(gateway: Gateway) -> None:
    """Whoever owns it may stop it at another door."""
    async with asking(gateway, model=STUCK) as (response, data):
        assert await anext(data) == {"conversation_id": None, "model": STUCK}
        assert await anext(data) == {"content": "one", "finished": False}
        job_id = response.headers["X-Request-Id"]
        await gateway.post(f"/cancel_request/{job_id}", **bearer(CODE))
        assert [rest async for rest in data] == [
            {
                "error": {
                    "code": "CANCELLED",
                    "message": "The request was cancelled by the caller.",
                },
                "finished": True,
            }
        ]


def test_what_begins_anew_says_so_to_those_who_saw_some_of_it() -> None:
    """A text that is void is never continued in silence."""
    framer = ChatFramer()
    events = [
        (Cursor(1, 1), Started()),
        (Cursor(2, 1), Restarted(reason="lost")),
        (Cursor(2, 2), Delta(text="a")),
        (Cursor(2, 3), Usage(prompt_tokens=1, completion_tokens=1)),
        (Cursor(3, 1), Restarted(reason="lost")),
        (Cursor(3, 2), Completed()),
    ]
    assert [framer(*event) for event in events] == [
        b"",
        b"",
        b'id: 2-2\ndata: {"content":"a","finished":false}\n\n',
        b"",
        b'id: 3-1\ndata: {"content":"","finished":false,"restarted":true}\n\n',
        b'id: 3-2\ndata: {"content":"","finished":true}\n\n',
    ]


def test_a_job_that_waited_too_long_is_an_error() -> None:
    """Its end is like every other failure's."""
    data = json.loads(ChatFramer()(Cursor(1, 1), Expired()).partition(b"data: ")[2])
    message = "The request waited too long for a worker."
    assert data == {"error": {"code": "EXPIRED", "message": message}, "finished": True}


async def test_an_apps_ceiling_lowers_the_answers_length() -> None:
    """What the model would take, but the app may not ask for, is no error."""
    async with Gateway(app_codes=apps(max_tokens=2)) as gateway:
        said = await chat(gateway, user_prompt="one two three", hyperparameters={"max_tokens": 3})
        assert said.text == "one two"


# Readers who leave -----------------------------------------------------------------------------


async def _leave(gateway: Gateway, **body: Any) -> str:
    """Put a question and leave in the middle of its answer; the request id."""
    async with asking(gateway, **body) as (response, data):
        await anext(data)
        await anext(data)
        return response.headers["X-Request-Id"]


async def test_an_answer_ends_with_its_only_reader(teller: Teller) -> None:
    """Its provider is told, and the conversation has neither question nor answer."""
    teller.gate.clear()
    async with Gateway(DISCONNECT_GRACE=0, **teller.settings) as gateway:
        job_id = await _leave(
            gateway, model=MODEL, user_prompt=told("a", "b"), save_conversation=True
        )
        async with asyncio.timeout(20):
            await teller.left.wait()
        # To wait at its log would be to read it.
        await gateway.quiet()
        job = await gateway.job(job_id)
        assert job.state is State.CANCELLED
        assert await messages(gateway, job.context["conversation_id"]) == []


@pytest.mark.parametrize("where", ["body", "setting"])
async def test_an_answer_may_outlive_its_reader(teller: Teller, where: str) -> None:
    """Where body or configuration says so, it goes on, and the turn is kept."""
    teller.gate.clear()
    body: dict[str, Any] = {"on_disconnect": "continue"} if where == "body" else {}
    settings: dict[str, Any] = {"ON_DISCONNECT": "continue"} if where == "setting" else {}
    async with Gateway(DISCONNECT_GRACE=0, **settings, **teller.settings) as gateway:
        prompt = told("a", "b")
        job_id = await _leave(
            gateway, model=MODEL, user_prompt=prompt, save_conversation=True, **body
        )
        await gateway.read_by(0)
        teller.gate.set()
        job = await gateway.over(job_id)
        assert job.state is State.COMPLETED
        assert await messages(gateway, job.context["conversation_id"]) == [prompt, "ab"]


async def test_another_reader_keeps_an_answer_going(teller: Teller) -> None:
    """Who reads at another door wants it as much as the one who asked."""
    teller.gate.clear()
    async with Gateway(DISCONNECT_GRACE=0, **teller.settings) as gateway:
        async with asking(gateway, model=MODEL, user_prompt=told("a", "b")) as (response, data):
            await anext(data)
            await anext(data)
            job_id = response.headers["X-Request-Id"]
            other = asyncio.create_task(gateway.get(f"/stream/{job_id}", **bearer(CODE)))
            await gateway.read_by(2)
        await gateway.read_by(1)
        teller.gate.set()
        assert b"data: [DONE]" in (await other).body
        assert (await gateway.job(job_id)).state is State.COMPLETED


# Reading again ---------------------------------------------------------------------------------


async def test_a_torn_stream_goes_on_anywhere(gateway: Gateway) -> None:
    """From each id: exactly what follows it; after the last: 204."""
    said = await chat(gateway, user_prompt="naïve\r\n漢字 \n\n👩‍👩‍👧‍👦 data: [DONE]\n\n end")
    path = f"{PATH}/{said.job_id}"
    assert said.text == "naïve\r\n漢字 \n\n👩‍👩‍👧‍👦 data: [DONE]\n\n end"
    for place, (last_id, _) in enumerate(said.frames[:-1], 1):
        for how in ("header", "query"):
            headers = {"Last-Event-ID": last_id} if how == "header" else {}
            query = "" if how == "header" else f"?last_event_id={last_id}"
            rest = await gateway.get(path + query, **headers, **bearer(CODE))
            assert read(rest).frames == said.frames[place:]
    over = await gateway.get(path, **{"Last-Event-ID": said.frames[-1][0]}, **bearer(CODE))
    assert (over.status, over.body) == (204, b"")
    assert read(await gateway.get(path, **bearer(CODE))) == said


@pytest.mark.parametrize(
    ("cursor", "status", "code"), [("x", 400, "BAD_CURSOR"), ("7-1", 409, "CURSOR_CONFLICT")]
)
async def test_a_cursor_that_names_nothing_is_refused(
    gateway: Gateway, cursor: str, status: int, code: str
) -> None:
    """In this door's shape. A question brings none: it is not looked at there."""
    reply = await gateway.post(
        PATH, {"user_prompt": "one"}, **{"Last-Event-ID": cursor}, **bearer(CODE)
    )
    said = read(reply)
    assert said.text == "one"
    refused = await gateway.get(
        f"{PATH}/{said.job_id}", **{"Last-Event-ID": cursor}, **bearer(CODE)
    )
    assert (refused.status, refused.json()["error"]["code"]) == (status, code)


async def test_every_door_reads_every_job(gateway: Gateway) -> None:
    """One made here is read as text and polled; one made elsewhere is read in these frames."""
    said = await chat(gateway)
    text = await gateway.get(f"/stream/{said.job_id}", **bearer(CODE))
    assert [line for line in text.body.split(b"\n") if line.startswith(b"data")] == [
        b"data: one",
        b"data:  two",
        b"data: [DONE]",
    ]
    polled = await gateway.poll(said.job_id, **bearer(CODE))
    assert (polled["status"], polled["response"]["ai_response"]) == ("completed", "one two")
    job_id = await gateway.queue()
    await gateway.over(job_id)
    assert read(await gateway.get(f"{PATH}/{job_id}", **bearer(CODE))).frames == said.frames


async def test_a_job_is_its_owners_alone(gateway: Gateway) -> None:
    """To other apps, other users and strangers with its id it is unknown, at every door."""
    ann, bob = user_token(sub="ann"), user_token(sub="bob")
    said = await chat(gateway, ann)
    for path in (f"{PATH}/{said.job_id}", f"/stream/{said.job_id}", f"/get_request/{said.job_id}"):
        for credential, status in ((ann, 200), (CODE, 200), (bob, 404), (OTHER_CODE, 404)):
            assert (await gateway.get(path, **bearer(credential))).status == status, path
    assert (await gateway.get(f"/get_request/{said.job_id}")).status == 404
    assert (await gateway.get(f"{PATH}/{said.job_id}")).status == 401
    token = gateway.core.auth.stream_token(await gateway.job(said.job_id), 60)
    assert read(await gateway.get(f"{PATH}/{said.job_id}?access_token={token}")) == said
    unknown = await gateway.get(f"{PATH}/abc", **bearer(CODE))
    foreign = await gateway.get(f"{PATH}/{said.job_id}", **bearer(OTHER_CODE))
    assert (unknown.status, unknown.body) == (foreign.status, foreign.body)


async def test_the_same_question_again_is_the_same_job(gateway: Gateway) -> None:
    """Under one idempotency key: one job, one conversation; with another body: 409."""
    body = {"user_prompt": "one two", "save_conversation": True}
    headers = {"Idempotency-Key": "k1", **bearer(CODE)}
    first = read(await gateway.post(PATH, body, **headers))
    assert read(await gateway.post(PATH, body, **headers)) == first
    other = await gateway.post(PATH, {**body, "user_prompt": "three"}, **headers)
    assert (other.status, other.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await gateway.get("/health")).json()["conversations_in_memory"] == 1
    assert await messages(gateway, first.conversation_id) == ["one two", "one two"]


async def test_who_leaves_while_it_is_stored_finds_its_conversation(tmp_path: Path) -> None:
    """Asked again under the same key, the job is the same, and what it names is there."""
    async with Gateway(DATA_DIR=tmp_path) as gateway:
        headers = {"Idempotency-Key": "k1", **bearer(CODE)}
        body = {"user_prompt": "one two", "save_conversation": True}
        asked = asyncio.create_task(gateway.post(PATH, body, **headers))
        await gateway.storing()
        asked.cancel()
        await asyncio.wait({asked})
        await gateway.quiet()
        said = read(await gateway.post(PATH, body, **headers))
        assert await messages(gateway, said.conversation_id) == ["one two", "one two"]


# Pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_listed_pages_may_use_it(method: str) -> None:
    """A preflight passes for pages of listed origins, and for no others."""
    path = {"POST": PATH, "GET": f"{PATH}/x", "DELETE": "/api/conversations/x"}[method]
    asked = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type,last-event-id",
    }
    async with Gateway(ALLOWED_ORIGINS="https://a.example") as gateway:
        good = await gateway.ask("OPTIONS", path, headers={"Origin": "https://a.example", **asked})
        bad = await gateway.ask("OPTIONS", path, headers={"Origin": "https://b.example", **asked})
        stream = await gateway.post(
            PATH, {"user_prompt": "a"}, Origin="https://a.example", **bearer(CODE)
        )
        refused = await gateway.post(PATH, {}, Origin="https://a.example", **bearer(CODE))
    allowed = "Access-Control-Allow-Origin"
    assert (good.status, good.headers[allowed]) == (200, "https://a.example")
    assert good.headers["Access-Control-Allow-Methods"] == method
    assert (bad.status, allowed in bad.headers) == (403, False)
    assert (stream.status, stream.headers[allowed]) == (200, "https://a.example")
    assert "X-Request-Id" in stream.headers["Access-Control-Expose-Headers"]
    assert (refused.status, refused.headers[allowed]) == (400, "https://a.example")
