"""Every operation of the API document, asked whatever its schemas allow and forbid.

Answers are compared with the document: status, content type, headers, JSON.
FAULTS=long asks ten times as much, and every time something else.
"""

import asyncio
import os
from collections import Counter
from typing import Any
from zlib import crc32

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.surfaces.pages import PAGES
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import CODE, QUICK, Gateway, bearer

LONG = os.environ.get("FAULTS") == "long"
# All tests ask the one gateway, which none of them may break.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(600 if LONG else 180),
]
EXAMPLES = 300 if LONG else 30
Operation = APIOperation[Any, Any, Any, Any]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    f"{route.method} {route.resource.canonical}"
    for route in Gateway().app.router.routes()
    if route.method not in ("OPTIONS", "HEAD")
    and route.resource is not None
    # The events are without an end.
    and route.resource.canonical not in (*PAGES, "/static/{path}", "/{path}", "/admin/events")
]
# What has no good answer here: a WebSocket has none before it has been opened, there is no
# database to copy, and no callback that was given up.
NO_ANSWER = ("/ws/{id}", "/admin/backup", "/admin/webhooks/{id}/replay")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(shared: Gateway, workflows: N8n) -> dict[str, list[str]]:
    """What may stand for `{id}`, by how the path begins: completed, cancelled and failed jobs."""
    done = await shared.queue()
    await shared.over(done)
    stopped = await shared.queue()
    await shared.ask("POST", f"/cancel_request/{stopped}", headers=bearer(CODE))
    asked = {"prompt": "one two", "model": "simulator/echo?first=0&gap=0&error=1"}
    failed = (await shared.post("/assistant/request", asked, **bearer(CODE))).json()["request_id"]
    await shared.over(failed)
    jobs = [done, stopped, failed]
    called = await shared.queue(callback_url=workflows.wait_for(Execution()))
    await shared.over(called)
    return {
        "": jobs,
        "/admin/webhooks": [called],
        "/v1/models": [QUICK, "gpt-4o"],
        "/v1/responses": [f"resp_{done}", *jobs],
    }


async def conversation(gateway: Gateway) -> str:
    """The id of a conversation that there is."""
    asked = {"user_prompt": "one two", "save_conversation": True}
    await gateway.post("/api/chat/stream", asked, **bearer(CODE))
    listed = (await gateway.get("/api/conversations", **bearer(CODE))).json()
    conversation_id: str = listed["conversations"][0]["conversation_id"]
    return conversation_id


def sensible(body: Any, waiting: str) -> Any:
    """The body with such values that it may be accepted, where it is of the right types.

    Args:
        waiting: where a workflow waits for any number of callbacks; `{}` makes it another.
    """
    if isinstance(body, list):
        return [sensible(each, waiting) for each in body]
    if not isinstance(body, dict):
        return body
    url = waiting.format(crc32(repr(body.get("prompt")).encode()))
    wanted = {
        "app_code": CODE,
        "n8nToken": CODE,
        "model": QUICK,
        "request_type": "ask",
        "mode": "chat",
        "role": "user",
        "resumeUrl": url,
        "callback_url": url,
        "conversation_id": None,
        "previous_response_id": None,
    }
    return {
        name: wanted[name]
        if isinstance(value, str) and name in wanted
        else sensible(value, waiting)
        for name, value in body.items()
    }


def cases(operation: Operation, ids: list[str]) -> st.SearchStrategy[Case[Any]]:
    """Requests as the document shows them, as it allows them, and as it does not.

    Most bring a credential and an id that there is; the others anything.
    """
    positive, negative = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    # Operators on this machine bring none.
    code = {} if operation.path.startswith("/admin/") else bearer(CODE)
    ways = [operation.as_strategy(positive), operation.as_strategy(positive, headers=code)]
    for body in operation.body:
        shown: dict[str, Any] = body.definition["example"]
        for stream in (True, False):
            shown = {**shown, "stream": stream}
            ways.append(operation.as_strategy(positive, headers=code, body=shown))
    ways += [
        operation.as_strategy(positive, headers=code, path_parameters={"id": id})
        for id in ids
        if operation.path_parameters
    ]
    if operation.body or operation.query or operation.path_parameters:
        ways.append(operation.as_strategy(negative, headers=code))
    return st.one_of(ways)


def try_out(operation: Operation, origin: str, ids: list[str], waiting: str) -> Counter[int]:
    """Ask again and again; how often each status was the answer."""
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(operation, ids))
    def ask(case: Case[Any]) -> None:
        case.body = sensible(case.body, waiting)
        response = case.call(base_url=origin, timeout=20)
        case.validate_response(response, checks=CHECKS)
        statuses[response.status_code] += 1

    ask()
    return statuses


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_answers_as_documented(
    unmoved: Gateway, workflows: N8n, known: dict[str, list[str]], name: str
) -> None:
    """Nothing that fits the schemas, or breaks them, gets an answer that is not in the document."""
    method, _, path = name.partition(" ")
    ids = known.get(path.partition("/{")[0], known[""])
    if path.startswith("/api/conversations"):
        ids = [await conversation(unmoved)]
    elif name == "DELETE /history/{id}":
        ids = [await unmoved.queue() for _ in range(3)]
    schema = schemathesis.openapi.from_dict((await unmoved.get("/openapi.json")).json())
    waiting = workflows.wait_for(Execution(waits=1_000_000)).replace("waiting/", "waiting/{}/")
    statuses = await asyncio.to_thread(try_out, schema[path][method], unmoved.origin, ids, waiting)
    print(name, dict(statuses))
    assert path in NO_ANSWER or any(status < 300 for status in statuses)
