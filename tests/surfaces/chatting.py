"""A client of the chat's door: questions asked, and what came back frame by frame."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import ClientResponse

from gateway.sse import Decoder
from tests.surfaces.event_source import events
from tests.surfaces.running import CODE, Gateway, Reply, bearer

PATH = "/api/chat/stream"


class Said(NamedTuple):
    """A whole stream of the chat's door.

    Attributes:
        frames: the id and the data of each event.
    """

    job_id: str
    frames: list[tuple[str, Any]]

    @property
    def text(self) -> str:
        return "".join(data.get("content", "") for _, data in self.frames)

    @property
    def conversation_id(self) -> Any:
        return self.frames[0][1]["conversation_id"]

    @property
    def last(self) -> Any:
        return self.frames[-1][1]


def read(reply: Reply) -> Said:
    """The stream that an answer is."""
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/event-stream"), reply
    frames = [(event.id, json.loads(event.data)) for event in Decoder().feed(reply.body)]
    return Said(reply.headers["X-Request-Id"], frames)


async def ask(gateway: Gateway, credential: str = CODE, **body: Any) -> Reply:
    """Put a question; the whole answer, whatever it is."""
    return await gateway.post(PATH, {"user_prompt": "one two", **body}, **bearer(credential))


async def chat(gateway: Gateway, credential: str = CODE, **body: Any) -> Said:
    """Put a question; the whole stream of its answer."""
    return read(await ask(gateway, credential, **body))


@asynccontextmanager
async def asking(gateway: Gateway, **body: Any) -> AsyncIterator[tuple[ClientResponse, Any]]:
    """Put a question; its answer as it comes. Leaving the block closes the connection."""
    json_body = {"user_prompt": "one two", "app_code": CODE, **body}
    async with gateway.session.post(gateway.origin + PATH, json=json_body) as response:
        assert response.status == 200, await response.text()
        yield response, _data(response)
        response.close()


async def _data(response: ClientResponse) -> AsyncIterator[Any]:
    async for event in events(response):
        yield json.loads(event.data)


async def messages(gateway: Gateway, conversation_id: str, credential: str = CODE) -> Any:
    """What a conversation holds, as texts that take turns."""
    reply = await gateway.get(f"/api/conversations/{conversation_id}", **bearer(credential))
    said = reply.json()
    assert reply.status == 200, reply
    roles = [message["role"] for message in said["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    return [message["content"] for message in said["messages"]]
