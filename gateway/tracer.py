"""The observer that traces: a span for each job, its wait, each ask of a model, each callback.

Spans are made when they end, and sent over OTLP by the OpenTelemetry SDK, whose thread drops what
no collector takes. A model's span follows the conventions for generative AI; no prompt and no
answer is in it.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from gateway.catalog import Model
from gateway.engine.observer import Pulse
from gateway.errors import GatewayError, ProviderError
from gateway.events import Completed, Failed, Terminal
from gateway.jobs import Job
from gateway.messages import Request
from gateway.trace import Trace
from gateway.webhooks import Delivery, DeliveryState

Attributes = Mapping[str, str | int | float | bool | tuple[str, ...]]

# A collector that does not answer must not hold the process's end for longer.
_EXPORT_S = 5.0
_NS = 1_000_000_000
# What the conventions call the parameters of a request.
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}


class _Ask(NamedTuple):
    """A model that is being asked. Times are UTC, seconds since the epoch."""

    trace: Trace
    model: Model
    began: float
    attributes: Attributes
    first: list[float]


class Tracer:
    """Sends spans to a collector."""

    def __init__(self, endpoint: str, version: str, now: Callable[[], float]) -> None:
        """Prepare; `start` begins.

        Args:
            endpoint: of a collector that takes OTLP over HTTP, without /v1/traces.
            now: UTC, seconds since the epoch.
        """
        self._endpoint = f"{endpoint}/v1/traces"
        self._now = now
        self._resource = Resource.create(
            {"service.name": "ai-streaming-gateway", "service.version": version}
        )
        self._scope = InstrumentationScope("gateway", version)
        self._processor: BatchSpanProcessor | None = None
        # By job: one model is asked at a time.
        self._asks: dict[str, _Ask] = {}

    async def start(self) -> None:
        """Begin to send. Headers and certificates are those of the OTEL_EXPORTER_OTLP_… variables.

        Nothing is asked of the collector yet.
        """
        exporter = OTLPSpanExporter(endpoint=self._endpoint, timeout=_EXPORT_S)
        self._processor = BatchSpanProcessor(exporter)

    async def stop(self) -> None:
        """Send what is left, for a few seconds at most. Works unstarted and twice."""
        processor, self._processor = self._processor, None
        if processor is not None:
            await asyncio.to_thread(processor.shutdown)

    # -- being told ---------------------------------------------------------------------------

    def submitted(self, job: Job) -> None:
        """Its span is made when it ends."""

    def claimed(self, job: Job) -> None:
        if job.trace is not None and job.attempt == 1 and job.claimed_at is not None:
            wait = job.trace.child("wait")
            self._end(wait, "wait", SpanKind.INTERNAL, job.created_at, job.claimed_at, {})

    def asked(self, job: Job, model: Model, request: Request, now: float) -> Pulse | None:
        if request.trace is None:
            return None
        began, first = self._now(), list[float]()
        attributes = _asked(model, request)
        self._asks[job.id] = _Ask(request.trace, model, began, attributes, first)
        return None

    def answered(self, job: Job, model: Model) -> None:
        ask = self._asks.get(job.id)
        if ask is not None:
            ask.first.append(self._now())

    def failed(self, job: Job, model: Model | None, error: ProviderError, *, shown: bool) -> None:
        self._end_ask(job, {"error.type": error.code}, _error(error.code))

    def ended(self, job: Job) -> None:
        outcome, trace = job.outcome, job.trace
        if outcome is None or trace is None or job.finished_at is None:
            return
        status = _status(outcome.terminal)
        told: dict[str, str | int | float | tuple[str, ...]] = {
            "gateway.request_id": job.id,
            "gateway.app": job.owner.tenant,
            "gateway.door": job.door,
            "gateway.state": job.state.value,
        }
        spent: dict[str, str | int | float | tuple[str, ...]] = {}
        if outcome.usage is not None:
            spent["gen_ai.usage.input_tokens"] = outcome.usage.prompt_tokens
            spent["gen_ai.usage.output_tokens"] = outcome.usage.completion_tokens
        if isinstance(outcome.terminal, Completed):
            spent["gen_ai.response.finish_reasons"] = (outcome.terminal.finish_reason,)
        elif isinstance(outcome.terminal, Failed):
            told["error.type"] = spent["error.type"] = outcome.terminal.code
        self._end_ask(job, spent, status)
        end = job.finished_at
        self._end(trace, f"request {job.door}", SpanKind.SERVER, job.created_at, end, told, status)

    def called_back(self, delivery: Delivery, took_s: float | None) -> None:
        trace = delivery.attempt_trace
        if trace is None or took_s is None:
            return
        attributes: dict[str, str | int | float | tuple[str, ...]] = {
            "http.request.method": "POST",
            # No more of the URL: there may be a secret in it.
            "server.address": urlsplit(delivery.url).hostname or "",
            "http.request.resend_count": delivery.attempts - 1,
        }
        if delivery.last_status is not None:
            attributes["http.response.status_code"] = delivery.last_status
        good = delivery.state in (DeliveryState.DELIVERED, DeliveryState.UNCONFIRMED)
        status = Status() if good else _error(delivery.note)
        end = self._now()
        self._end(trace, "POST", SpanKind.CLIENT, end - took_s, end, attributes, status)

    def joined(self, form: str, job: Job, *, resumed: bool) -> None:
        """Readers have no spans: one may stay for as long as the job takes."""

    def left(self, form: str, job: Job, lasted_s: float) -> None:
        """As `joined`."""

    def refused(self, door: str, error: GatewayError) -> None:
        """There is no job to trace."""

    # -- spans --------------------------------------------------------------------------------

    def _end_ask(self, job: Job, more: Attributes, status: Status) -> None:
        ask = self._asks.pop(job.id, None)
        if ask is None:
            return
        told = {**ask.attributes, **more}
        if ask.first:
            told["gen_ai.response.time_to_first_chunk"] = ask.first[0] - ask.began
        name = f"chat {ask.model.upstream}"
        self._end(ask.trace, name, SpanKind.CLIENT, ask.began, self._now(), told, status)

    def _end(
        self,
        trace: Trace,
        name: str,
        kind: SpanKind,
        began: float,
        ended: float,
        attributes: Attributes,
        status: Status | None = None,
    ) -> None:
        if self._processor is None:
            return
        span = ReadableSpan(
            name,
            context=_context(trace, trace.span_id, remote=False),
            parent=_context(trace, trace.parent_id, remote=True) if trace.parent_id else None,
            resource=self._resource,
            attributes=attributes,
            kind=kind,
            status=status or Status(),
            start_time=int(began * _NS),
            end_time=int(max(began, ended) * _NS),
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(span)


def _context(trace: Trace, span_id: str, *, remote: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([trace.state]) if trace.state else TraceState()
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), remote, flags, state)


def _asked(model: Model, request: Request) -> Attributes:
    told: dict[str, str | int | float | bool | tuple[str, ...]] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": model.upstream,
        "gen_ai.request.stream": True,
    }
    if request.max_tokens is not None:
        told["gen_ai.request.max_tokens"] = request.max_tokens
    for name, key in _PARAMETERS.items():
        value = request.parameters.get(name)
        if isinstance(value, int | float):
            told[key] = value
    return told


def _error(says: str) -> Status:
    return Status(StatusCode.ERROR, says)


def _status(terminal: Terminal) -> Status:
    return _error(terminal.code) if isinstance(terminal, Failed) else Status()
