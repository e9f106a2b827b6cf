"""Requests that lead nowhere are answered by the door they stand before."""

from typing import Any

import pytest

from tests.surfaces.running import Gateway

QUEUE = {"status": "error", "error_code": "NOT_FOUND", "message": "Not found."}
N8N = {"ok": False, "error": {"code": "NOT_FOUND", "message": "Not found."}}
CHAT = {"error": {"code": "NOT_FOUND", "message": "Not found."}}
PATHS: dict[str, Any] = {
    "/nothing": QUEUE,
    "/ai_request/x": QUEUE,
    "/ai_request/batch/x/y/z": QUEUE,
    "/get_request": QUEUE,
    "/init-stream/": N8N,
    "/stream": N8N,
    "/stream/a/b": N8N,
    "/api/chat": CHAT,
    "/api/chat/stream/x/y/z": CHAT,
    "/streams": QUEUE,
    "/" * 5_000: QUEUE,
    "/stream" + "/x" * 2_000: N8N,
}


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
async def test_an_unknown_path_is_not_found(gateway: Gateway, path: str) -> None:
    """404 in that door's shape, whatever the method."""
    for method in ("GET", "POST", "DELETE"):
        reply = await gateway.ask(method, path)
        assert (reply.status, reply.json()) == (404, PATHS[path])


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/v1/nothing", "/v1/chat"])
async def test_openai_clients_get_openais_error(gateway: Gateway, path: str) -> None:
    """Its object, with its fields, where the path begins as its own do."""
    reply = await gateway.ask("GET", path)
    assert reply.status == 404
    assert {"message", "type", "code"} <= set(reply.json()["error"])


METHODS = {
    "/ai_request": {"POST"},
    "/stream/x": {"GET"},
    "/api/chat/stream": {"POST"},
    "/health": {"GET", "HEAD"},
}


@pytest.mark.parametrize(("path", "allowed"), METHODS.items())
async def test_a_wrong_method_is_told_the_right_one(
    gateway: Gateway, path: str, allowed: set[str]
) -> None:
    """405 with `Allow`, in the shape of the door that has the path."""
    reply = await gateway.ask("PUT", path)
    said = reply.json()
    code = said["error"]["code"] if "error" in said else said["error_code"]
    assert (reply.status, code) == (405, "METHOD_NOT_ALLOWED")
    assert set(reply.headers["Allow"].split(",")) == {"OPTIONS", *allowed}
