"""The assistant's streams: what is told, in which order, and from where on."""

import asyncio

import pytest

from gateway.doors import Patience
from gateway.log import Cursor
from gateway.sse import Decoder
from gateway.surfaces import assistant_events
from tests.surfaces import event_source
from tests.surfaces.assisting import Told, cancel, made, read, told, url_of, whole
from tests.surfaces.running import CODE, SILENT, STUCK, Gateway, bearer
from tests.surfaces.teller import MODEL, Teller
from tests.surfaces.teller import told as said

TICKING = Patience(tick_s=0.01)
ACTING = "simulator/echo?first=0&gap=0&tools=2"


async def test_a_stream_tells_everything_in_order(gateway: Gateway) -> None:
    """Stages, text, actions, and at the end all of it; every event has an id."""
    job_id = await made(gateway, mode="edit", track_id="t1", model=ACTING)
    await gateway.over(job_id)
    got = await told(gateway, job_id)
    last = got[-1].data
    timings = last.pop("timings")
    assert list(timings) == ["queued_s", "first_token_s", "total_s"]
    assert timings["queued_s"] <= timings["first_token_s"] <= timings["total_s"]
    calls = [
        {"id": f"call_{i}", "name": "simulated_tool", "arguments": {"prompt": "one two", "call": i}}
        for i in (0, 1)
    ]
    usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4, "estimated": False}
    assert got == [
        Told("stage", "0-0", {"stage": "queued"}),
        Told("stage", "1-0", {"stage": "processing"}),
        Told("status", "1-1", {"status": "processing"}),
        Told("stage", "1-2", {"stage": "generating"}),
        Told("response_chunk", "1-3", {"text": "one"}),
        Told("response_chunk", "1-4", {"text": " two"}),
        Told("action", "1-5", calls[0]),
        Told("action", "1-6", calls[1]),
        Told("stage", "1-7", {"stage": "finalizing"}),
        Told(
            "complete",
            "1-8",
            {
                "mode": "edit",
                "track_id": "t1",
                "response": "one two",
                "actions": calls,
                "model": ACTING,
                "usage": usage,
            },
        ),
    ]


async def test_a_live_reader_and_a_late_one_are_told_the_same(teller: Teller) -> None:
    """Byte for byte, the times included."""
    async with Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        job_id = await made(gateway, model=MODEL, prompt=said("one", "two"))
        await gateway.published(job_id, 3)
        url = await url_of(gateway, job_id)
        async with event_source.opened(gateway.session, url) as response:
            await response.content.readuntil(b'"one"}\n\n')
            teller.gate.set()
            live = await response.read()
        late = (await gateway.get(url.removeprefix(gateway.origin))).body
        assert late.endswith(live)
        assert live.count(b"event: complete\n") == 1


async def test_who_comes_back_between_two_attempts_hears_of_its_place_only() -> None:
    """A request whose attempt was lost with its process waits again; no stage comes twice."""
    async with Gateway(WORKERS=1) as gateway:
        running = await made(gateway, model=STUCK)
        await gateway.published(running, 1)
        job_id = await made(gateway)
        heard: list[str] = []

        def write(told: assistant_events.Told) -> bytes:
            heard.append(told.name)
            return b""

        read = Cursor(1, 1)
        waiting = await gateway.job(job_id)
        form = assistant_events.format_of("assistant", gateway.core, waiting, write, read)
        assert form.aside is not None
        form.aside(read)
        assert heard == ["status"]
        for each in (job_id, running):
            await cancel(gateway, each)


async def test_a_waiting_request_is_told_its_place_as_it_changes() -> None:
    """Once at the beginning, then when it moves, by what others do; then it runs."""
    async with Gateway(WORKERS=1, patience=TICKING) as gateway:
        running = await made(gateway, model=STUCK)
        await gateway.published(running, 1)
        ahead = await made(gateway, model=SILENT)
        job_id = await made(gateway)
        async with event_source.opened(gateway.session, await url_of(gateway, job_id)) as response:
            events = event_source.events(response)

            async def following() -> Told:
                async with asyncio.timeout(20):
                    (one,) = read(job_id, [await anext(events)])
                return one

            assert await following() == Told("stage", "0-0", {"stage": "queued"})
            status = await following()
            assert status.data.pop("estimated_wait_time")
            assert status == Told("status", "0-1", {"status": "queued", "position": 2})
            await cancel(gateway, ahead)
            status = await following()
            assert status.data.pop("estimated_wait_time")
            assert status == Told("status", "0-2", {"status": "queued", "position": 1})
            await cancel(gateway, running)
            assert await following() == Told("stage", "1-0", {"stage": "processing"})
            rest = read(job_id, [event async for event in events])
            assert [each.name for each in rest if each.name == "status"] == ["status"]
            assert rest[-1].name == "complete"


async def test_a_waiting_reader_that_comes_back_goes_on_waiting() -> None:
    """It is told its place under the next id, and that it waits not twice."""
    async with Gateway(WORKERS=1, patience=TICKING) as gateway:
        running = await made(gateway, model=STUCK)
        await gateway.published(running, 1)
        url = await url_of(gateway, job_id := await made(gateway))
        want = [("0-0", "stage"), ("0-1", "status"), ("0-2", "status"), ("0-3", "status")]
        for read_before in (0, 1, 2):
            last_id = f"&last_event_id={want[read_before - 1][0]}" if read_before else ""
            async with event_source.opened(gateway.session, url + last_id) as response:
                event = await anext(event_source.events(response))
                assert (event.id, event.event) == want[read_before]
        await cancel(gateway, running)
        await gateway.over(job_id)
        waited, *rest = await told(gateway, job_id)
        assert (waited.id, waited.name) == want[0]
        for last, _ in want:
            assert await told(gateway, job_id, last) == rest


async def test_every_cursor_gives_exactly_the_rest(gateway: Gateway) -> None:
    """Byte for byte; 204 after the last."""
    job_id = await made(gateway, model=ACTING, prompt="one\r\ntwo 漢字\n\nthree")
    await gateway.over(job_id)
    path = f"/assistant/stream/{job_id}"
    body = (await gateway.get(path, **bearer(CODE))).body
    ids = [event.id for event in Decoder().feed(body)]
    assert ids == sorted(set(ids), key=Cursor.parse)
    frames = body.split(b"event: ")[1:]
    for at, cursor in enumerate(ids[:-1], 1):
        reply = await gateway.get(path, **bearer(CODE), **{"Last-Event-ID": cursor})
        assert reply.body.split(b"event: ")[1:] == frames[at:], cursor
    reply = await gateway.get(path, **bearer(CODE), **{"Last-Event-ID": ids[-1]})
    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize(
    ("cursor", "status", "code"),
    [("x", 400, "BAD_CURSOR"), ("1-99", 409, "CURSOR_CONFLICT"), ("7-1", 409, "CURSOR_CONFLICT")],
)
async def test_a_cursor_that_names_nothing_is_refused(
    gateway: Gateway, cursor: str, status: int, code: str
) -> None:
    """In this door's shape."""
    job_id = await made(gateway)
    await gateway.over(job_id)
    path = f"/assistant/stream/{job_id}?last_event_id={cursor}"
    reply = await gateway.get(path, **bearer(CODE))
    assert (reply.status, reply.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("simulator/echo?first=0&status=500&refuse=9", ("AI_SERVICE_ERROR", True)),
        ("simulator/echo?first=0&status=401", ("AI_SERVICE_ERROR", False)),
        ("simulator/echo?first=0&status=400", ("INVALID_REQUEST", False)),
        ("simulator/echo?first=0&gap=0&cut=1", ("AI_SERVICE_ERROR", True)),
    ],
)
async def test_a_failure_is_one_error(model: str, error: tuple[str, bool]) -> None:
    """After what there was, and the last; never `complete`."""
    async with Gateway(REQUEST_TIMEOUT=2) as gateway:
        job_id = await made(gateway, model=model)
        got = await told(gateway, job_id)
        last = got[-1].data
        assert (last["code"], last["retryable"]) == error
        assert [each.name for each in got if each.name in ("error", "complete")] == ["error"]


async def test_a_text_that_begins_anew_is_told_so(gateway: Gateway) -> None:
    """A job of a door that tries again, read here: `restart`, and what follows once more."""
    job_id = await gateway.queue("simulator/echo?first=0&gap=0&cut=1")
    got = await told(gateway, job_id)
    names = [each.name for each in got]
    at = names.index("restart")
    assert got[at].id == "2-0"
    assert got[at + 1] == Told("status", "2-1", {"status": "processing"})
    # A reader who holds an id of the earlier attempt is led on.
    for last in range(at + 2):
        assert await told(gateway, job_id, got[last].id) == got[last + 1 :]


async def test_a_cut_between_two_frames_of_one_event_loses_nothing(gateway: Gateway) -> None:
    """Wherever the bytes end, what follows the last id makes the stream whole."""
    job_id = await made(gateway, model=ACTING)
    await gateway.over(job_id)
    path = f"/assistant/stream/{job_id}"
    body = (await gateway.get(path, **bearer(CODE))).body
    names = [event.name for event in whole(job_id, await gateway.get(path, **bearer(CODE)))]
    rests: dict[str, list[Told]] = {}
    for cut in range(len(body)):
        got = read(job_id, Decoder().feed(body[:cut]))
        last_id = got[-1].id if got else ""
        if last_id not in rests:
            headers = {**bearer(CODE), "Last-Event-ID": last_id}
            reply = await gateway.get(path, **headers)
            rests[last_id] = whole(job_id, reply) if reply.status == 200 else []
        rest = [each.name for each in rests[last_id]]
        told_twice = len(got) + len(rest) - len(names)
        assert told_twice in (0, 1)
        assert [each.name for each in got][: len(got) - told_twice] + rest == names
