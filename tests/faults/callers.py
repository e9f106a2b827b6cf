"""Callers at several doors who do not give up: each knows what it was promised, and checks it.

What a process that dies leaves unanswered is asked again under the same key; what was answered
is held to.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any

from tests.e2e import calls, wire
from tests.e2e.calls import Inbox
from tests.e2e.servers import CODE

MODEL = "together/echo?first=0.03&gap=0.01"
# Far longer than the processes between two lives, and than any answer.
_PATIENCE_S = 600.0 if calls.LONG else 200.0
_AGAIN_S = 0.05
_MOST_WAITING = 200


class Callers:
    """Everybody who asks, and what came of it.

    Attributes:
        accepted: the ids that were promised an answer.
        owed: names of the callbacks that were promised.
        ends: how the jobs ended for those who waited, by door and end.
        attempts: how often jobs had begun when those who read their text had read it.
        resumed: connections that went on where an earlier one was cut.
        midway: streams of which something, and not all, has been read.
        reading: streams that have not come to their end: what was answered last, and to which
            cursor.
    """

    def __init__(self, origin: str, inbox: Inbox, rng: Random, model: str = MODEL) -> None:
        self.accepted: list[str] = []
        self.owed: set[str] = set()
        self.ends: Counter[tuple[str, str]] = Counter()
        self.attempts: Counter[int] = Counter()
        self.resumed = 0
        self.midway: set[str] = set()
        self.reading: dict[str, tuple[int, str]] = {}
        self._model = model
        self._origin = origin
        self._inbox = inbox
        self._rng = rng
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, per_s: float, for_s: float) -> None:
        """Let so many come each second, at random doors, for a while."""
        doors: list[Callable[[str], Awaitable[None]]] = [
            self.polls, self.is_called_back, self.reads_text, self.reads_events, self.chats,
        ]  # fmt: skip
        loop = asyncio.get_running_loop()
        until = loop.time() + for_s
        at = loop.time()
        while (at := at + self._rng.expovariate(per_s)) < until:
            await asyncio.sleep(at - loop.time())
            # A machine that is too busy for so many would only ever make them wait longer.
            if sum(not task.done() for task in self._tasks) < _MOST_WAITING:
                self.send(self._rng.choice(doors))

    def send(self, door: Callable[[str], Awaitable[None]]) -> None:
        """Let one more come."""
        caller = asyncio.ensure_future(door(f"c{len(self._tasks)}"))
        self._tasks.append(asyncio.create_task(_within(caller)))

    async def served(self) -> None:
        """Wait until everybody has what they came for."""
        try:
            await asyncio.gather(*self._tasks)
        except TimeoutError:
            raise AssertionError(f"some still read: {self.reading}") from None

    # -- at the doors -------------------------------------------------------------------------

    async def polls(self, name: str) -> None:
        """Asks, and asks for the answer until it is there."""
        prompt = _prompt(name)
        job_id = await self._queue(name, prompt)
        while True:
            answer = await self._once(wire.head("GET", self._origin, f"/get_request/{job_id}", {}))
            said = answer.json()
            assert answer.status == 200, f"{job_id} was accepted: {answer}"
            if said["status"] not in ("queued", "processing"):
                break
            await asyncio.sleep(_AGAIN_S)
        self._ended("polled", said["status"], said)
        if said["status"] == "completed":
            assert said["response"]["ai_response"] == prompt

    async def is_called_back(self, name: str) -> None:
        """Asks, and leaves it to the callback."""
        await self._queue(name, _prompt(name), callback_url=f"{self._inbox.origin}/{name}")
        self.owed.add(name)

    async def reads_text(self, name: str) -> None:
        """Reads the text as EventSource does, and is called back too."""
        prompt = _prompt(name)
        body = calls.asking(self._model, prompt, f"{self._inbox.origin}/{name}")
        answer = await self._post("/init-stream", body, {})
        url = answer.json()["streamUrl"]
        self.accepted.append(calls.job_id_of(url))
        self.owed.add(name)
        words: list[str] = []
        last = wire.Frame("", "", "")
        async for frame in self._frames(url):
            if frame is None:
                words.clear()
            elif frame.event == "message":
                words.append(frame.data)
            last = frame or last
        done = last.data == "[DONE]"
        self.attempts[int(last.id.partition("-")[0])] += 1
        self._ended("text", "completed" if done else "error", last.data)
        if done:
            assert "".join(words) == prompt + "[DONE]"

    async def reads_events(self, name: str) -> None:
        """Reads the assistant's events, which say when the answer begins anew."""
        prompt = _prompt(name)
        body = {"app_code": CODE, "prompt": prompt, "mode": "chat", "model": self._model}
        answer = await self._post("/assistant/request", body, {"Idempotency-Key": name})
        job_id = answer.json()["request_id"]
        self.accepted.append(job_id)
        end = await self._events(answer.json()["stream_url"], prompt)
        self._ended("events", end["event"], end)

    async def chats(self, name: str) -> None:
        """Reads the answer on the connection that asked, and once cut off, at another door."""
        prompt = _prompt(name)
        body = {"app_code": CODE, "user_prompt": prompt, "model": self._model}
        request = wire.posting(self._origin, "/api/chat/stream", body, **{"Idempotency-Key": name})
        job_id = await self._chat(request, prompt)
        self.accepted.append(job_id)
        end = await self._events(f"{self._origin}/assistant/stream/{job_id}", prompt)
        self._ended("chat", end["event"], end)

    async def _chat(self, request: bytes, prompt: str) -> str:
        """The id of the job whose answer begins on this connection; what comes is checked."""
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                stream = await wire.streamed(self._origin, request)
                if stream.status == 200:
                    said = [json.loads(frame.data) async for frame in stream.frames()]
                    await stream.close()
                    text = "".join(each.get("content", "") for each in said)
                    assert prompt.startswith(text), text
                    return stream.headers["x-request-id"]
                await stream.close()
                assert stream.status == 503, stream.status
            await asyncio.sleep(_AGAIN_S)

    # -- on the wire --------------------------------------------------------------------------

    async def _queue(self, name: str, prompt: str, **more: str) -> str:
        body = {
            "app_code": CODE,
            "request_type": "ask",
            "request": prompt,
            "model": self._model,
            **more,
        }
        answer = await self._post("/ai_request", body, {"Idempotency-Key": name})
        job_id: str = answer.json()["request_id"]
        self.accepted.append(job_id)
        return job_id

    async def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> wire.Answer:
        return await self._once(wire.posting(self._origin, path, body, **headers))

    async def _once(self, request: bytes) -> wire.Answer:
        """The answer to a request, sent as often as it takes."""
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                answer = await wire.exchange(self._origin, request)
                if answer.status != 503:
                    return answer
            await asyncio.sleep(_AGAIN_S)

    async def _events(self, url: str, prompt: str) -> dict[str, Any]:
        """The terminal event of a job that is read from its start at the assistant's door."""
        words: list[str] = []
        ids: list[str] = []
        end: dict[str, Any] = {}
        async for frame in self._frames(url):
            assert frame is not None, "this door never refuses a cursor that it gave"
            assert not end, f"{frame} after {end}"
            said = json.loads(frame.data)
            # A place in line between two attempts is told under the id that was last read.
            if "position" not in said:
                ids.append(frame.id)
            if frame.event == "restart":
                words.clear()
            elif frame.event == "response_chunk":
                words.append(said["text"])
            elif frame.event in ("complete", "error"):
                end = {"event": frame.event, **said}
        assert end, f"{url} ended without an end"
        assert prompt.startswith("".join(words))
        if end["event"] == "complete":
            assert "".join(words) == prompt == end["response"]
        rising(ids)
        return end

    async def _frames(self, url: str) -> AsyncIterator[wire.Frame | None]:
        """Each event of a stream once, over as many connections as it takes; None before the
        text begins anew, where the wire cannot tell that in its own way."""
        after = ""
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                stream = await wire.stream(url, after=after, key=_key_for(url))
                self.reading[url] = stream.status, after
                if stream.status == 200:
                    self.resumed += bool(after)
                    async for frame in stream.frames():
                        self.midway.add(url)
                        yield frame
                    self.midway.discard(url)
                    after = stream.last_id or after
                await stream.close()
                if stream.status == 204:
                    del self.reading[url]
                    return
                if stream.status == 409:
                    after = ""
                    yield None
                assert stream.status in (200, 409, 503), f"accepted, and now {stream.status}: {url}"
            await asyncio.sleep(_AGAIN_S)

    def _ended(self, door: str, how: str, said: Any) -> None:
        self.ends[door, how] += 1
        # Nothing but the deaths of the process may end a job in another way than well.
        if how == "error":
            assert "INTERRUPTED" in str(said) or "was stopped" in str(said), said


async def end_of(origin: str, job_id: str) -> wire.Frame:
    """How a job ended, by its whole log: in one terminal event, the last."""
    stream = await wire.stream(f"{origin}/assistant/stream/{job_id}", key=CODE)
    assert stream.status == 200, f"{job_id} was accepted and is gone: {stream.status}"
    frames = [frame async for frame in stream.frames()]
    await stream.close()
    ends = [frame.event for frame in frames if frame.event in ("complete", "error")]
    assert ends == [frames[-1].event], f"{job_id}: {[frame.event for frame in frames]}"
    rising([frame.id for frame in frames])
    return frames[-1]


def rising(ids: list[str]) -> None:
    """Each id is above the one before it."""
    pairs = [tuple(map(int, each.split("-"))) for each in ids]
    assert pairs == sorted(set(pairs)), ids


def _prompt(name: str) -> str:
    return " ".join(f"{name}.wört{number}\n🙂" for number in range(30))


async def _within(caller: "asyncio.Future[None]") -> None:
    async with asyncio.timeout(_PATIENCE_S):
        await caller


def _key_for(url: str) -> str:
    """A link that brings its own token needs no other."""
    return "" if "access_token=" in url else CODE
