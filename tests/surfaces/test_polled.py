"""How a job stands, as the job queue writes it: what it took is told for what it is."""

import json
from typing import Any

import pytest

from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import CODE, Gateway, bearer
from tests.surfaces.teller import MODEL, Teller, told

TOLD = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


@pytest.mark.parametrize("usage", [None, TOLD], ids=["guessed", "told"])
async def test_an_estimate_says_that_it_is_one(
    teller: Teller, n8n: N8n, usage: dict[str, Any] | None
) -> None:
    """To who polls, who is called back and who chats, and nobody else; a figure is only itself."""
    teller.usage = usage
    async with Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin, **teller.settings) as gateway:
        url = n8n.wait_for(Execution())
        job_id = await gateway.queue(MODEL, told("one", " two"), callback_url=url)
        await gateway.over(job_id)
        polled = (await gateway.poll(job_id))["response"]["token_usage"]
        await n8n.arrived(1)
        called_back = json.loads(n8n.posts[0].body)["response"]["token_usage"]
        asked = {"user_prompt": told("one", " two"), "model": MODEL, "app_code": CODE}
        chat = await gateway.post("/api/chat/stream", asked)
        chatted = json.loads(chat.body.rpartition(b"data: ")[2])["usage"]
        body = {"model": MODEL, "messages": [{"role": "user", "content": told("one", " two")}]}
        wire = await gateway.post("/v1/chat/completions", body, **bearer(CODE))
    assert polled == called_back == chatted
    counted = {name: count for name, count in polled.items() if name != "estimated"}
    assert polled == (counted | {"estimated": True} if usage is None else TOLD)
    assert wire.json()["usage"] == counted
