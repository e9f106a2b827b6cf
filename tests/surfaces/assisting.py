"""A client of the assistant's door: requests made, and what was told of them."""

import json
from typing import Any, NamedTuple

from gateway.sse import Decoder, ServerEvent
from tests.surfaces.event_source import listen
from tests.surfaces.running import CODE, QUICK, Gateway, Reply, bearer, user_token

PATH = "/assistant/request"


class Told(NamedTuple):
    """One event; `data` without the request id that every one has."""

    name: str
    id: str
    data: dict[str, Any]


async def ask(gateway: Gateway, **body: Any) -> Reply:
    """Make a request for the app; the whole answer, whatever it is."""
    asked = {"app_code": CODE, "prompt": "one two", "model": QUICK, **body}
    return await gateway.post(PATH, {k: v for k, v in asked.items() if v is not None})


async def made(gateway: Gateway, **body: Any) -> str:
    """Make a request; its id."""
    reply = await ask(gateway, **body)
    assert reply.status == 201, reply
    job_id: str = reply.json()["request_id"]
    return job_id


def user(name: str) -> dict[str, str]:
    """The headers of a user of the shop's."""
    return {"Authorization": f"Bearer {user_token(sub=name)}"}


async def url_of(gateway: Gateway, job_id: str) -> str:
    """The address of a job's stream, with a token."""
    return (await gateway.stream(job_id)).replace("/stream/", "/assistant/stream/")


def read(job_id: str, events: list[ServerEvent]) -> list[Told]:
    """The events of a job's stream."""
    got = []
    for event in events:
        data = json.loads(event.data)
        assert data.pop("request_id") == job_id
        got.append(Told(event.event, event.id, data))
    return got


async def told(gateway: Gateway, job_id: str, last_id: str = "") -> list[Told]:
    """All that is told of a job, over as many connections as it takes."""
    return read(job_id, await listen(gateway.session, await url_of(gateway, job_id), last_id))


def whole(job_id: str, reply: Reply) -> list[Told]:
    """The events of one whole answer."""
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream"), reply
    return read(job_id, Decoder().feed(reply.body))


async def cancel(gateway: Gateway, job_id: str) -> tuple[int, Any]:
    """Cancel a request for the app; the status and the answer."""
    reply = await gateway.ask("DELETE", f"{PATH}/{job_id}", headers=bearer(CODE))
    return reply.status, reply.json()
