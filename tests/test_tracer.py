"""Traces as a collector receives them: from the caller to the provider and the callback."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.app import build
from gateway.problems import ConfigError
from tests.engine.n8n import SIGNATURE, Execution, N8n
from tests.surfaces.running import CODE, STUCK, Gateway, bearer
from tests.surfaces.teller import MODEL, Teller, told

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"


class Left(Exception):
    """A gateway is left while it has work."""


class Span(NamedTuple):
    """What a test compares of a span."""

    name: str
    parent: str
    attributes: dict[str, Any]
    failed: bool = False


class Collector:
    """OTLP over HTTP, on loopback.

    Attributes:
        spans: those that arrived, by their ids.
        traces: the ids of their traces.
        sent: all that came, as it came.
    """

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.traces: set[str] = set()
        self.sent = b""
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest()
        body = await request.read()
        self.sent += body
        sent.ParseFromString(body)
        for resource in sent.resource_spans:
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
                attributes = {each.key: _plain(each.value) for each in span.attributes}
                self.traces.add(span.trace_id.hex())
                self.spans[span.span_id.hex()] = Span(
                    span.name, span.parent_span_id.hex(), attributes, span.status.code == 2
                )
        return web.Response()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans.values() if span.name == name]


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind)


async def test_a_request_is_one_trace_from_its_caller_to_its_callback() -> None:
    """The provider and the workflow are told the span that waits for them."""
    async with (
        Collector() as collector,
        N8n() as n8n,
        Teller() as teller,
        Gateway(
            OTLP_ENDPOINT=f"{collector.origin}/v1/traces",
            CALLBACK_ALLOWED_ORIGINS=n8n.origin,
            DEFAULT_MODEL=MODEL,
            **teller.settings,
        ) as gateway,
    ):
        body = {"prompt": told("canary-answer", "b"), "resumeUrl": n8n.wait_for(Execution())}
        headers = {"traceparent": PARENT, "tracestate": "rojo=1", **bearer(CODE)}
        reply = await gateway.post("/init-stream", body, **headers)
        job_id = reply.headers["X-Request-Id"]
        await n8n.arrived(1)
    job = job_id.replace("-", "")[-16:]
    (asked,) = collector.named("chat teller")
    (posted,) = collector.named("POST")
    assert collector.traces == {TRACE}
    assert collector.spans[job] == Span(
        "request n8n",
        CALLER,
        {
            "gateway.request_id": job_id,
            "gateway.app": "shop",
            "gateway.door": "n8n",
            "gateway.state": "completed",
        },
    )
    first_s = asked.attributes.pop("gen_ai.response.time_to_first_chunk")
    assert 0 <= first_s < 60
    usage = {
        name: asked.attributes.pop(f"gen_ai.usage.{name}_tokens") for name in ("input", "output")
    }
    assert all(count > 0 for count in usage.values())
    assert asked == Span(
        "chat teller",
        job,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "together",
            "gen_ai.request.model": "teller",
            "gen_ai.request.max_tokens": 4096,
            "gen_ai.request.stream": True,
            "gen_ai.response.finish_reasons": ["stop"],
        },
    )
    assert posted == Span(
        "POST",
        job,
        {
            "http.request.method": "POST",
            "server.address": "127.0.0.1",
            "http.request.resend_count": 0,
            "http.response.status_code": 200,
        },
    )
    for secret in ("canary", CODE, SIGNATURE, teller.settings["TOGETHER_AI_API_KEY"]):
        assert secret.encode() not in collector.sent
    assert collector.named("wait") == [Span("wait", job, {})]
    ids = {span.name: span_id for span_id, span in collector.spans.items()}
    assert teller.parents == [f"00-{TRACE}-{ids['chat teller']}-01"]
    (post,) = n8n.posts
    assert post.headers["traceparent"] == f"00-{TRACE}-{ids['POST']}-01"
    assert post.headers["tracestate"] == "rojo=1"


async def test_a_trace_begins_with_a_job_that_has_no_caller() -> None:
    """It is found by the request id; each try that fails is a span that says why."""
    async with Collector() as collector, Gateway(OTLP_ENDPOINT=collector.origin) as gateway:
        job_id = await gateway.queue(model="simulator/lorem?status=400&refuse=1")
        await gateway.over(job_id)
    digits = job_id.partition("-")[2].replace("-", "")
    assert collector.traces == {digits}
    job = collector.spans[digits[16:]]
    (asked,) = (span for span in collector.spans.values() if span.name.startswith("chat "))
    assert (job.parent, job.failed, job.attributes["gateway.state"]) == ("", True, "error")
    assert (asked.parent, asked.failed) == (digits[16:], True)
    assert asked.attributes["error.type"] == "INVALID_REQUEST"


async def test_what_is_not_sampled_is_passed_on_and_not_sent() -> None:
    """The caller decides."""
    async with (
        Collector() as collector,
        Teller() as teller,
        Gateway(OTLP_ENDPOINT=collector.origin, DEFAULT_MODEL=MODEL, **teller.settings) as gateway,
    ):
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-00", **bearer(CODE)}
        await gateway.post("/v1/ask", {"question": told("a")}, **headers)
    assert collector.spans == {}
    (parent,) = teller.parents
    assert parent is not None
    assert parent.startswith(f"00-{TRACE}-")
    assert parent.endswith("-00")


async def test_a_trace_goes_on_after_a_restart(tmp_path: Path) -> None:
    """The job's span ends in another process, under the same id and parent."""
    async with Collector() as collector:
        settings: dict[str, Any] = {
            "OTLP_ENDPOINT": collector.origin,
            "DATA_DIR": tmp_path,
            "WORKERS": 1,
        }
        with suppress(Left):
            async with Gateway(**settings, DRAIN_TIMEOUT=0) as gateway:
                stuck = await gateway.queue(model=STUCK)
                await gateway.published(stuck, 2)
                headers = {"traceparent": PARENT}
                body = {"app_code": CODE, "request_type": "ask", "request": "one two"}
                reply = await gateway.ask("POST", "/ai_request", json=body, headers=headers)
                job_id = reply.json()["request_id"]
                raise Left
        async with Gateway(**settings) as gateway:
            await gateway.post(f"/cancel_request/{stuck}", **bearer(CODE))
            await gateway.over(job_id)
    job = collector.spans[job_id.replace("-", "")[-16:]]
    assert (job.name, job.parent) == ("request ai_request", CALLER)
    assert TRACE in collector.traces


async def test_without_a_collector_nothing_is_traced() -> None:
    """What a caller says of its trace stays unread, and no provider hears of it."""
    async with Teller() as teller, Gateway(DEFAULT_MODEL=MODEL, **teller.settings) as gateway:
        headers = {"traceparent": PARENT, **bearer(CODE)}
        reply = await gateway.post("/v1/ask", {"question": told("a")}, **headers)
        job = await gateway.job(reply.headers["X-Request-Id"])
    assert job.trace is None
    assert teller.parents == [None]


async def test_a_collector_that_is_away_costs_no_request() -> None:
    """Nor the end of the process more than a few seconds."""
    async with asyncio.timeout(30), Gateway(OTLP_ENDPOINT="http://127.0.0.1:9") as gateway:
        job_id = await gateway.queue()
        assert (await gateway.over(job_id)).state == "completed"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start stops with what to install."""
    config = Gateway(OTLP_ENDPOINT="http://127.0.0.1:4318").config
    monkeypatch.delitem(sys.modules, "gateway.tracer", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="pip install opentelemetry-sdk"):
        build(config)
