"""Streams over real sockets: what they say, and how a reader goes on."""

import asyncio
import re
from typing import Any

import msgspec
import pytest

from gateway.sse import Decoder
from tests.surfaces import event_source
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    SILENT,
    STUCK,
    Gateway,
    bearer,
)
from tests.surfaces.teller import MODEL, Teller, told

ODD = [
    *("naïve ", "Żółć ", "漢字", "👩‍👩‍👧‍👦", "𝄞", "e\u0301", "\u2028"),
    *("a\r", "\nb", "\r", "\r", "\n", "\r\n", "\n\n", "c\r", "d", "\n", "e\r"),
    *("[DONE]", "[DONE]", " ", "[DONE]\r", "\n", "[DO", "NE]", "[DONE]"),
    *("data: [DONE]\n\n", "\r\nevent: done\r\nid: 9-9\r\n\r\n", ": x", "id: 1", "retry: 1\n"),
    *(" leading", "trailing ", "\t", "\x00", "\ufeff", "[DONE]"),
]


def plain(text: str) -> str:
    """What is left of a text on this wire."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


async def body_of(gateway: Gateway, path: str, **headers: str) -> bytes:
    """A whole stream without its greeting: the lines before the first event."""
    reply = await gateway.get(path, **headers)
    assert reply.status == 200, reply
    hello, _, rest = reply.body.partition(b"id: ")
    assert re.fullmatch(rb":\nretry: [12]\d{3}\n", hello)
    return b"id: " + rest


async def told_job(gateway: Gateway, *chunks: str) -> str:
    """A finished job with these chunks."""
    job_id = await gateway.queue(MODEL, told(*chunks))
    await gateway.over(job_id)
    return job_id


# -- what a stream says ---------------------------------------------------------------------------


async def test_headers_keep_proxies_and_caches_away(gateway: Gateway) -> None:
    """A stream says what it is, that nobody may keep it, and whose it is."""
    job_id = await gateway.queue()
    reply = await gateway.get(f"/stream/{job_id}", **bearer(CODE), **{"Accept-Encoding": "gzip"})
    headers = {name.lower(): value for name, value in reply.headers.items()}
    del headers["date"], headers["server"]
    assert headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-store, no-transform",
        "connection": "keep-alive",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-request-id": job_id,
        "transfer-encoding": "chunked",
        "vary": "Origin",
    }


async def test_a_stream_begins_at_once(gateway: Gateway) -> None:
    """Before there is anything to say: headers, a comment, and when to come back."""
    job_id = await gateway.queue(SILENT)
    async with event_source.opened(gateway.session, await gateway.stream(job_id)) as response:
        hello = await response.content.readuntil(b"retry: ")
        assert hello == b":\nretry: "
        assert 1000 <= int(await response.content.readline()) <= 2000


async def test_every_event_has_its_own_id(gateway: Gateway) -> None:
    """They rise, in one attempt, and only the last says that it is over."""
    job_id = await gateway.queue(text="one two three")
    got = await event_source.listen(gateway.session, await gateway.stream(job_id))
    pairs = [tuple(map(int, event.id.split("-"))) for event in got]
    assert pairs == sorted(set(pairs))
    assert {attempt for attempt, _ in pairs} == {1}
    assert [event.data for event in got] == [b"one", b" two", b" three", b"[DONE]"]


@pytest.mark.parametrize(
    ("status", "code"), [(401, b"AI_SERVICE_ERROR"), (400, b"INVALID_REQUEST")]
)
async def test_a_failure_is_an_error_event_and_no_done(
    gateway: Gateway, status: int, code: bytes
) -> None:
    """With code and message, and with an id: a reader who comes back is told that it is over."""
    job_id = await gateway.queue(f"simulator/echo?first=0&status={status}")
    (error,) = await event_source.listen(gateway.session, await gateway.stream(job_id))
    assert (error.event, error.id) == ("error", "1-2")
    assert re.fullmatch(rb'\{"code":"%b","message":"[^"]+"\}' % code, error.data)


async def test_a_cancelled_stream_says_so(gateway: Gateway) -> None:
    """In the middle of an answer: what there was, then `CANCELLED`, and no `[DONE]`."""
    job_id = await gateway.queue(STUCK)
    listening = asyncio.create_task(
        event_source.listen(gateway.session, await gateway.stream(job_id))
    )
    await gateway.published(job_id, 3)
    assert (await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))).status
    first, last = await listening
    assert (first.data, last.event) == (b"one", "error")
    assert last.data == b'{"code":"CANCELLED","message":"The request was cancelled by the caller."}'


# -- going on -------------------------------------------------------------------------------------


async def test_every_cursor_gives_exactly_the_rest(teller: Teller) -> None:
    """Byte for byte, for a text that has everything this wire cannot carry as it is."""
    async with Gateway(**teller.settings) as gateway:
        job_id = await told_job(gateway, *ODD)
        path = f"/stream/{job_id}"
        whole = await body_of(gateway, path, **bearer(CODE))
        decoder = Decoder()
        got = decoder.feed(whole)
        assert event_source.text(got) == plain("".join(ODD))
        assert [event.data for event in got].index(b"[DONE]") == len(got) - 1
        assert b"\r" not in whole
        for event in got[:-1]:
            rest = whole[whole.index(f"id: {event.id}\n".encode()) :].partition(b"\n\n")[2]
            headers = {**bearer(CODE), "Last-Event-ID": event.id}
            assert await body_of(gateway, path, **headers) == rest


async def test_a_cut_at_every_byte_loses_nothing_and_repeats_nothing(teller: Teller) -> None:
    """Whatever arrived of a stream, going on from its last id gives the whole text."""
    async with Gateway(**teller.settings) as gateway:
        job_id = await told_job(gateway, *ODD)
        path = f"/stream/{job_id}"
        whole = await body_of(gateway, path, **bearer(CODE))
        rests: dict[str, bytes] = {"": whole}
        for cut in range(len(whole)):
            before = Decoder()
            got = before.feed(whole[:cut])
            # A reader knows of an id when its event is complete.
            last_id = got[-1].id if got else ""
            if last_id not in rests:
                headers = {**bearer(CODE), "Last-Event-ID": last_id}
                reply = await gateway.get(path, **headers)
                rests[last_id] = reply.body if reply.status == 200 else b""
            got += Decoder().feed(rests[last_id])
            assert event_source.text(got) == plain("".join(ODD)), (cut, last_id)
            assert [event.data for event in got].count(b"[DONE]") == 1


async def test_a_reader_who_comes_in_the_middle_misses_nothing(teller: Teller) -> None:
    """History and what follows are one stream."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two", "three"))
        await gateway.published(job_id, 3)
        async with event_source.opened(gateway.session, await gateway.stream(job_id)) as response:
            got = event_source.events(response)
            assert (await anext(got)).data == b"one"
            teller.gate.set()
            assert [event.data async for event in got] == [b"two", b"three", b"[DONE]"]


async def test_the_header_beats_the_query(gateway: Gateway) -> None:
    """EventSource repeats its URL for ever, and knows better by then."""
    job_id = await gateway.queue(text="one two three")
    await gateway.over(job_id)
    path = f"/stream/{job_id}?last_event_id="
    assert b"data:  two" in await body_of(gateway, path + "1-3", **bearer(CODE))
    later = {**bearer(CODE), "Last-Event-ID": "1-4"}
    assert b"data:  two" not in await body_of(gateway, path + "1-3", **later)
    assert b"data:  three" in await body_of(gateway, path + "x", **later)


CURSORS = {
    "0-0": 200,
    "1-0": 200,
    "1-3": 200,
    "1-4": 200,
    "1-5": 204,
    "1-6": 409,
    "1-9999999999": 409,
    "0-1": 409,
    "2-0": 409,
    "2-1": 409,
    "9999999999-1": 409,
    "1": 400,
    "1-": 400,
    "-1": 400,
    "1-1-1": 400,
    "+1-1": 400,
    "1-1 ": 200,
    "x": 400,
    "1--1": 400,
    "1.0-1": 400,
    "١-١": 400,
    "0x1-1": 400,
    f"1-{'9' * 5_000}": 400,
    "99999999999-1": 400,
    "abc:1": 400,
    "null": 400,
    "": 200,
}


@pytest.mark.parametrize(("cursor", "status"), CURSORS.items(), ids=range(len(CURSORS)))
async def test_a_cursor_is_honoured_or_refused(gateway: Gateway, cursor: str, status: int) -> None:
    """Never guessed: 400 for another form, 409 for another text, 204 for the end of this one."""
    job_id = await gateway.queue(text="one")
    await gateway.over(job_id)
    for query in (True, False):
        if query:
            how: dict[str, Any] = {"params": {"last_event_id": cursor}, "headers": bearer(CODE)}
        else:
            how = {"headers": {**bearer(CODE), "Last-Event-ID": cursor}}
        reply = await gateway.ask("GET", f"/stream/{job_id}", **how)
        if query and cursor == "1-1 ":
            assert reply.status == 400
            continue
        assert reply.status == status
        if status in (400, 409):
            code = {400: "BAD_CURSOR", 409: "CURSOR_CONFLICT"}[status]
            assert reply.json()["error"]["code"] == code
        if status == 204:
            assert reply.body == b""


async def test_what_was_forgotten_is_gone_to_its_owner_only() -> None:
    """410 after the retention time; to anybody else it never was."""
    async with Gateway() as gateway:
        job_id = await gateway.queue()
        await gateway.over(job_id)
        url = await gateway.stream(job_id)
        await gateway.forget()
        for headers, status in ((bearer(CODE), 410), (bearer(OTHER_CODE), 404)):
            reply = await gateway.get(f"/stream/{job_id}", **headers)
            assert (reply.status, reply.json()["ok"]) == (status, False)
        assert (await gateway.get(url.removeprefix(gateway.origin))).status in (401, 410)


async def test_two_texts_are_never_spliced(teller: Teller) -> None:
    """A reader of a text that is begun anew is told so; its cursor is refused from then on."""
    async with Gateway(**teller.settings) as gateway:
        teller.cuts = 1
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        url = await gateway.stream(job_id)
        async with event_source.opened(gateway.session, url) as response:
            events = event_source.events(response)
            first = await anext(events)
            teller.gate.set()
            last = [event async for event in events]
        assert (first.data, first.id) == (b"one", "1-3")
        refusal = {
            "code": "CURSOR_CONFLICT",
            "message": "The stream cannot go on from that event: read it from its start.",
        }
        assert [(event.event, msgspec.json.decode(event.data)) for event in last] == [
            ("error", refusal)
        ]
        again = {**bearer(CODE), "Last-Event-ID": first.id}
        reply = await gateway.get(f"/stream/{job_id}", **again)
        assert (reply.status, reply.json()["error"]) == (409, refusal)
        whole = await event_source.listen(gateway.session, url)
        assert event_source.text(whole) == "onetwo"
        assert {event.id.partition("-")[0] for event in whole} == {"2"}
