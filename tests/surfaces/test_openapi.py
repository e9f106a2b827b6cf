"""The API document: whole, valid, and written in the words of the doors."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import __version__, demo
from gateway.errors import GatewayError, Unauthenticated
from gateway.surfaces.door import Door
from gateway.surfaces.openapi import document
from gateway.surfaces.pages import PAGES
from gateway.surfaces.polled import Refusal
from gateway.surfaces.route import Access, Reply, Route
from tests.surfaces.running import SILENT, Gateway, apps

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(shared: Gateway) -> Any:
    """The document as it is served."""
    reply = await shared.get("/openapi.json")
    assert reply.status == 200
    return reply.json()


def operations(told: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    }


async def test_every_route_is_in_the_document(shared: Gateway, told: Any) -> None:
    """And nothing else is: not the gateway's own pages, nor what takes those who go astray."""
    routes = {
        f"{route.method} {re.sub(r':[^}]*', '', route.resource.canonical)}"
        for route in shared.app.router.routes()
        if route.resource is not None
        and route.method not in ("OPTIONS", "HEAD")
        and route.resource.canonical not in (*PAGES, "/static/{path}", "/{path}")
    }
    assert set(operations(told)) == routes


async def test_the_document_is_valid(told: Any) -> None:
    """It is OpenAPI 3.1 of this version, and every name in it leads somewhere."""
    assert list(OpenAPIV31SpecValidator(told).iter_errors()) == []
    assert (told["openapi"], told["info"]["version"]) == ("3.1.1", __version__)


async def test_every_operation_has_a_name_and_a_sentence_of_its_own(told: Any) -> None:
    """For clients that are made from the document, and for who reads it."""
    every = operations(told).values()
    assert len({operation["operationId"] for operation in every}) == len(every)
    assert [each["operationId"] for each in every if not each["summary"].endswith(".")] == []
    assert [tag["name"] for tag in told["tags"] if not tag["description"]] == []


async def test_no_text_is_indented(told: Any) -> None:
    """Markdown, which all of them are, shows indented lines as code."""
    texts = list(described(told))
    assert len(texts) > 100
    assert [text for text in texts if "\n " in text] == []


def described(part: Any) -> Iterator[str]:
    """Every description in a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("description"), str):
            yield part["description"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from described(each)


async def test_every_body_has_an_example_that_fits(told: Any) -> None:
    """The example of a body is one that its schema takes, and without what it needs, none."""
    bodies = [each["requestBody"] for each in operations(told).values() if "requestBody" in each]
    assert len(bodies) == 10
    for body in bodies:
        content = body["content"]["application/json"]
        fits = OAS31Validator({**told, **content["schema"]}).is_valid
        assert fits(content["example"])
        assert fits({}) is not body["required"]


async def test_every_example_can_be_tried_out_in_the_demo() -> None:
    """As it stands, without a credential; but for n8n's, which names a workflow of one's own."""
    async with Gateway(
        app_codes=apps(allowed_request_types=["chat"]),
        models=re.sub(r"gap=[\d.]+", "gap=0", demo.MODELS),
        modes=demo.MODES,
        DEFAULT_MODEL=demo.MODEL,
        ANONYMOUS_APP="shop",
    ) as gateway:
        told = (await gateway.get("/openapi.json")).json()
        job_id = await gateway.queue(SILENT, request_type="chat")
        bodies = {
            name.removeprefix("POST ").replace("{id}", job_id): operation["requestBody"]
            for name, operation in operations(told).items()
            if "requestBody" in operation and name != "POST /init-stream"
        }

        async def tried(path: str, body: Any) -> int:
            return (await gateway.post(path, body["content"]["application/json"]["example"])).status

        statuses = await asyncio.gather(*(tried(*each) for each in bodies.items()))
        for job in tuple(gateway.core.records.live):
            await gateway.core.cancel(job)
    assert dict(zip(bodies, statuses, strict=True)) == {
        path: 201 if path == "/assistant/request" else 200 for path in bodies
    }


async def test_who_cancels_may_say_so_in_a_body(told: Any) -> None:
    """By the app's code, where no header has one; there need be no body."""
    body = operations(told)["POST /cancel_request/{id}"]["requestBody"]
    content = {
        "schema": {"$ref": "#/components/schemas/Caller"},
        "example": {},
    }
    assert body == {"required": False, "content": {"application/json": content}}
    code = told["components"]["schemas"]["Caller"]["properties"]["app_code"]
    assert code["anyOf"] == [{"type": "string"}, {"type": "null"}]


async def test_who_may_ask_is_told(told: Any) -> None:
    """A credential in a header, at some routes in the body, and for a reader in the address."""
    app: list[dict[str, list[str]]] = [{"bearer": []}, {"appCode": []}]
    token: list[dict[str, list[str]]] = [{"tokenInQuery": []}, {"tokenInCookie": []}]
    every = operations(told)
    assert "security" not in every["GET /health"]
    assert every["GET /v1/models"]["security"] == app
    assert every["POST /ai_request"]["security"] == [*app, {}]
    assert every["GET /stream/{id}"]["security"] == [*app, *token]
    assert every["GET /get_request/{id}"]["security"] == [*app, *token, {}]


async def test_polling_may_need_a_credential() -> None:
    """The document follows the setting."""
    async with Gateway(POLL_NEEDS_APP_CODE="true") as gateway:
        told = (await gateway.get("/openapi.json")).json()
    assert {} not in operations(told)["GET /get_request/{id}"]["security"]


async def test_the_document_says_where_the_gateway_is() -> None:
    """Its public address, where it is set; else where the document itself is."""
    async with Gateway(PUBLIC_URL="https://ai.example/gateway") as gateway:
        told = (await gateway.get("/openapi.json")).json()
        assert told["servers"] == [{"url": "https://ai.example/gateway"}]
    async with Gateway() as gateway:
        assert "servers" not in (await gateway.get("/openapi.json")).json()


async def test_a_refusal_has_its_door_s_status_and_shape(told: Any) -> None:
    """An unknown model is a 404 to OpenAI's clients, and a bad request to all others."""
    found = refusals(told, "POST /v1/chat/completions", "404")["UnknownModel"]
    assert found["error"]["code"] == "model_not_found"
    assert "404" not in operations(told)["POST /ai_request"]["responses"]
    limited = refusals(told, "POST /ai_request", "429")["RateLimited"]
    assert limited["error_code"] == "RATE_LIMITED"
    assert refusals(told, "POST /init-stream", "401")["Unauthenticated"]["ok"] is False


def refusals(told: Any, operation: str, status: str) -> dict[str, Any]:
    """The examples of a refusal, by the names of their errors."""
    response = operations(told)[operation]["responses"][status]
    name = response["$ref"].rpartition("/")[2]
    examples = told["components"]["responses"][name]["content"]["application/json"]["examples"]
    return {kind: example["value"] for kind, example in examples.items()}


async def test_streams_and_polls_name_their_job(told: Any) -> None:
    """What made or read a job says which, in a header that is always there."""
    every = operations(told)
    for name in ("POST /v1/ask", "GET /stream/{id}", "GET /get_request/{id}"):
        headers = every[name]["responses"]["200"]["headers"]
        assert headers["X-Request-Id"] == {"$ref": "#/components/headers/RequestId"}
        # Only what is asked for costs something.
        assert ("X-Budget-Warning" in headers) == name.startswith("POST")


async def test_a_status_has_one_meaning() -> None:
    """A route whose answer has the status of a refusal is told to choose."""

    async def answer(request: web.Request) -> web.Response:
        """Answer."""
        return web.Response()

    def shape(error: GatewayError) -> Refusal:
        return {"status": "error", "error_code": error.code, "message": str(error)}

    route = Route(
        "GET", "/", answer, Access.OPEN, (Reply(401, "Odd."),), refuses=(Unauthenticated,)
    )
    with pytest.raises(AssertionError, match="401 is an answer and a refusal"):
        document([Door("odd", shape, [route])], None)
