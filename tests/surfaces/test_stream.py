"""n8n's door: one job for one workflow, its text as a browser reads it, and its callback."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from gateway.events import (
    Cancelled,
    Completed,
    Delta,
    Event,
    Expired,
    Failed,
    Restarted,
    Routed,
    Started,
    Usage,
)
from gateway.log import Cursor, EventLog
from gateway.sse import Decoder
from gateway.surfaces.stream import TextFramer
from tests.engine.n8n import Execution, N8n
from tests.surfaces import event_source
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    QUICK,
    SILENT,
    STUCK,
    WEBHOOK_SECRET,
    Gateway,
    Reply,
    apps,
    bearer,
    user_token,
)
from tests.surfaces.teller import MODEL, Teller, told


def asking(url: str, **changes: Any) -> dict[str, Any]:
    return {"app_code": CODE, "resumeUrl": url, "prompt": "one two", "model": QUICK, **changes}


async def init(gateway: Gateway, url: str, **changes: Any) -> Reply:
    return await gateway.post("/init-stream", asking(url, **changes))


# -- one job for one workflow ---------------------------------------------------------------------


async def test_a_repeat_gets_the_first_answer(teller: Teller, n8n: N8n) -> None:
    """Byte for byte, while it streams and after its end; the provider is asked once."""
    async with Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin, **teller.settings) as gateway:
        teller.gate.clear()
        url = n8n.wait_for(Execution())
        ask = {"model": MODEL, "prompt": told("one", "two")}
        first = await init(gateway, url, **ask)
        await gateway.published(first.headers["X-Request-Id"], 3)
        during = await init(gateway, url, **ask)
        teller.gate.set()
        await n8n.arrived(1)
        after = await init(gateway, url, **ask)
        for reply in (first, during, after):
            assert (reply.status, reply.body) == (200, first.body)
            assert reply.headers["X-Request-Id"] == first.headers["X-Request-Id"]
    assert (len(teller.bodies), len(n8n.posts)) == (1, 1)


async def test_fifty_at_once_are_one_job(teller: Teller, n8n: N8n) -> None:
    """One answer, one call of the provider, one callback, and one request of the limit."""
    async with Gateway(
        app_codes=apps(rate_limit="50/hour"),
        CALLBACK_ALLOWED_ORIGINS=n8n.origin,
        **teller.settings,
    ) as gateway:
        url = n8n.wait_for(Execution())
        ask = {"model": MODEL, "prompt": told("one")}
        replies = await asyncio.gather(*(init(gateway, url, **ask) for _ in range(50)))
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == 1
        await n8n.arrived(1)
        assert len(teller.bodies) == 1
        # The repeats left room for others.
        more = await asyncio.gather(*(init(gateway, n8n.wait_for(Execution())) for _ in range(49)))
        assert [reply.status for reply in more] == [200] * 49
        assert (await init(gateway, n8n.wait_for(Execution()))).status == 429
        await n8n.arrived(50)


async def test_one_address_is_one_workflow_however_it_is_written(n8n: N8n) -> None:
    """What is behind a # is never sent, and a host has no case."""
    origin = n8n.origin.replace("127.0.0.1", "localhost")
    async with Gateway(CALLBACK_ALLOWED_ORIGINS=origin) as gateway:
        url = n8n.wait_for(Execution()).replace(n8n.origin, origin)
        again = (url, f"{url}#again", url.replace("localhost", "LocalHost"))
        ids = {(await init(gateway, each)).headers["X-Request-Id"] for each in again}
        assert len(ids) == 1
        other = await init(gateway, url.replace("?", "?a=b&"))
        assert other.headers["X-Request-Id"] not in ids
        await n8n.arrived(2)


async def test_another_request_for_the_same_workflow_is_refused(gateway: Gateway, n8n: N8n) -> None:
    """Another prompt or another app: 409; another URL is another job."""
    url = n8n.wait_for(Execution())
    first = await init(gateway, url)
    for change in ({"prompt": "three"}, {"app_code": OTHER_CODE}):
        reply = await init(gateway, url, **change)
        assert (reply.status, reply.json()["error"]["code"]) == (409, "CONFLICT")
    other = await init(gateway, n8n.wait_for(Execution()))
    assert other.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    await n8n.arrived(2)


async def test_a_refused_request_does_not_hold_the_workflow(n8n: N8n) -> None:
    """n8n tries again, and then there is room."""
    async with Gateway(WORKERS=1, QUEUE_MAX_SIZE=1, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        url = n8n.wait_for(Execution())
        await gateway.published(await gateway.queue(SILENT), 1)
        waiting = await gateway.queue(SILENT)
        assert (await init(gateway, url)).status == 503
        await gateway.ask("POST", f"/cancel_request/{waiting}", headers=bearer(CODE))
        assert (await init(gateway, url, prompt="three")).status == 200


# -- when it runs ---------------------------------------------------------------------------------


async def test_it_runs_though_nobody_comes(gateway: Gateway, n8n: N8n) -> None:
    """The workflow gets its answer without a browser."""
    await init(gateway, n8n.wait_for(Execution()))
    await n8n.arrived(1)
    assert json.loads(n8n.posts[0].body)["answer"] == "one two"


async def test_on_connect_it_runs_for_its_first_reader(teller: Teller, n8n: N8n) -> None:
    """Not before; once, also for many who come at once."""
    async with Gateway(
        START="on_connect", CALLBACK_ALLOWED_ORIGINS=n8n.origin, **teller.settings
    ) as gateway:
        ask = {"model": MODEL, "prompt": told("one", "two")}
        reply = await init(gateway, n8n.wait_for(Execution()), **ask)
        job_id, url = reply.headers["X-Request-Id"], reply.json()["streamUrl"]
        said = await gateway.poll(job_id, **bearer(CODE))
        assert (said["status"], teller.bodies) == ("queued", [])
        got = await asyncio.gather(*(event_source.listen(gateway.session, url) for _ in range(10)))
        assert {event_source.text(each) for each in got} == {"onetwo"}
        await n8n.arrived(1)
        assert (len(teller.bodies), len(n8n.posts)) == (1, 1)


async def test_on_connect_without_a_reader_it_expires(n8n: N8n) -> None:
    """The callback says so, so that the workflow goes on; a late reader is told too."""
    async with Gateway(
        START="on_connect", CONNECT_TIMEOUT=0.05, CALLBACK_ALLOWED_ORIGINS=n8n.origin
    ) as gateway:
        reply = await init(gateway, n8n.wait_for(Execution()))
        await n8n.arrived(1)
        body = json.loads(n8n.posts[0].body)
        assert (body["ok"], body["status"], body["answer"]) == (False, "expired", "")
        message = "The request waited too long for its reader."
        assert body["error"] == {"code": "EXPIRED", "message": message, "retryable": True}
        (event,) = await event_source.listen(gateway.session, reply.json()["streamUrl"])
        told = {"code": "EXPIRED", "message": message}
        assert (event.event, json.loads(event.data)) == ("error", told)


# -- what the workflow gets -----------------------------------------------------------------------

ENDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "completed": (QUICK, "one two", {}),
    "error": ("simulator/echo?status=401&first=0", "", {"code": "AI_SERVICE_ERROR"}),
    "cancelled": (STUCK, "one", {"code": "CANCELLED"}),
}


@pytest.mark.parametrize("status", ENDS)
async def test_a_callback_tells_every_end(gateway: Gateway, n8n: N8n, status: str) -> None:
    """All the document's fields, what answer there was, and why it ended; signed, verbatim URL."""
    model, answer, error = ENDS[status]
    url = n8n.wait_for(Execution())
    n8nToken = user_token(sub="ann")
    reply = await init(gateway, url, model=model, n8nToken=n8nToken, userId="u", chatId="c")
    job_id = reply.headers["X-Request-Id"]
    if status == "cancelled":
        await gateway.published(job_id, 3)
        await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
    await n8n.arrived(1)
    (post,) = n8n.posts
    body = json.loads(post.body)
    assert n8n.origin + post.target == url
    assert Webhook(WEBHOOK_SECRET).verify(post.body, post.headers) == body
    tokens = body.pop("input_tokens"), body.pop("output_tokens")
    assert (tokens[0] > 0, tokens[1] > 0) == (answer != "", answer != "")
    told = body.pop("error", {})
    assert {name: told[name] for name in error} == error
    assert set(told) == ({"code", "message", "retryable"} if error else set())
    assert body == {
        "userId": "u",
        "chatId": "c",
        "prompt": "one two",
        "answer": answer,
        "ok": status == "completed",
        "status": status,
        "deliveryId": f"msg_{job_id}",
    }


async def test_a_provider_that_breaks_off_leaves_the_answer_so_far(n8n: N8n) -> None:
    """After its last try; the workflow does not hang."""
    async with Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        await init(gateway, n8n.wait_for(Execution()), model="simulator/echo?first=0&gap=0&cut=1")
        await n8n.arrived(1)
    body = json.loads(n8n.posts[0].body)
    assert (body["status"], body["answer"], body["error"]["retryable"]) == ("error", "one", True)


async def test_a_token_names_the_user_of_a_callback(gateway: Gateway, n8n: N8n) -> None:
    """Where the workflow names none."""
    for userId in (None, "", "u"):
        token = user_token(sub="ann")
        await init(gateway, n8n.wait_for(Execution()), n8nToken=token, userId=userId)
        await init(gateway, n8n.wait_for(Execution()), userId=userId)
    await n8n.arrived(6)
    users = {post.target: json.loads(post.body)["userId"] for post in n8n.posts}
    told = [users[target] for target in sorted(users)]
    assert told == ["ann", None, "ann", None, "u", "u"]


# -- the text -------------------------------------------------------------------------------------


def frames(log: EventLog) -> list[bytes]:
    framer = TextFramer()
    return [framer(cursor, event) for cursor, event in log.entries(0, len(log))]


def written(*events: Event) -> EventLog:
    log = EventLog()
    log.begin(1)
    for event in (Started(), Routed(model="m", provider="p"), *events):
        log.append(event)
    return log


USAGE = Usage(prompt_tokens=1, completion_tokens=1)
chunks = st.lists(
    st.text(alphabet=st.sampled_from("\r\n[DONE]data: é🙂"), min_size=1, max_size=8)
    | st.sampled_from(["[DONE]", "\r", "\n", "[DONE]\r"]),
    max_size=8,
)


def plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(chunks)
def test_any_text_in_any_chunks_arrives(texts: list[str]) -> None:
    """Byte for byte but for its carriage returns; one `[DONE]`, at the end."""
    log = written(*(Delta(text=text) for text in texts), USAGE, Completed())
    got = Decoder().feed(b"".join(frames(log)))
    assert event_source.text(got) == plain("".join(texts))
    assert [event.data for event in got].count(b"[DONE]") == 1
    assert got[-1].data == b"[DONE]"


@given(chunks)
def test_each_event_is_one_on_the_wire(texts: list[str]) -> None:
    """With an id of its own: who is cut off after any of them lost nothing, repeats nothing."""
    log = written(*(Delta(text=text) for text in texts), USAGE, Completed())
    seen = ""
    for position, piece in enumerate(frames(log), 1):
        events = Decoder().feed(piece)
        assert len(events) <= 1
        seen += event_source.text(events)
        if events:
            assert events[0].id == str(log.cursor(position))
    assert seen == plain("".join(texts))


@pytest.mark.parametrize(
    ("terminal", "code"),
    [
        (Failed(code="TIMEOUT", message="Too slow."), "TIMEOUT"),
        (Cancelled(), "CANCELLED"),
        (Expired(), "EXPIRED"),
    ],
)
def test_no_failure_looks_like_an_end(terminal: Event, code: str) -> None:
    """`event: error` with code and message, after a return that nothing followed."""
    log = written(Delta(text="a\r"), USAGE, terminal)
    first, second, last = Decoder().feed(b"".join(frames(log)))
    assert (first.data, second.data) == (b"a", b"\n")
    said = json.loads(last.data)
    assert (last.event, said["code"], set(said)) == ("error", code, {"code", "message"})


def test_a_new_attempt_begins_with_nothing_left_over() -> None:
    """What waited for the rest of a lost answer is lost with it."""
    log = written(Delta(text="a\r"))
    log.begin(2)
    for event in (Restarted(reason="lost"), Delta(text="b"), USAGE, Completed()):
        log.append(event)
    framer = TextFramer()
    whole = [framer(cursor, event) for cursor, event in log.entries(0, len(log))]
    assert whole[-3] == b"id: 2-2\ndata: b\n\n"


def test_the_frames_of_the_wire() -> None:
    """As bytes: id, data, a blank line; LF only."""
    log = written(Delta(text="a\nb"), Delta(text="[DONE]"), Delta(text="c"), USAGE, Completed())
    assert frames(log) == [
        b"",
        b"",
        b"id: 1-3\ndata: a\ndata: b\n\n",
        b"id: 1-4\ndata: [DONE\n\n",
        b"id: 1-5\ndata: ]c\n\n",
        b"",
        b"id: 1-7\ndata: [DONE]\n\n",
    ]


def test_cursors_of_a_frame_are_those_of_the_log() -> None:
    """The quick way and the long way write an id alike."""
    log = written(Delta(text="a"), Delta(text="b\n"))
    assert [piece.partition(b"\n")[0] for piece in frames(log)[2:]] == [
        f"id: {Cursor(1, 3)}".encode(),
        f"id: {Cursor(1, 4)}".encode(),
    ]
