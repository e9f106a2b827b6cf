"""OpenAI's response as an object, and the items that its output is made of.

https://platform.openai.com/docs/api-reference/responses/object
"""

from typing import Any, Literal, TypedDict

from gateway.errors import ProviderLacksModel, ProviderRateLimited, ProviderRefused
from gateway.events import Cancelled, Completed, Event, ToolCall, Usage, as_failed
from gateway.jobs import Job, State

Item = dict[str, Any]


class ResponseObject(TypedDict):
    """OpenAI's response; what is not listed here repeats the request."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]
    error: dict[str, str] | None
    incomplete_details: dict[str, str] | None
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None


_STATUS = {
    State.QUEUED: "queued",
    State.PROCESSING: "in_progress",
    State.CANCELLED: "cancelled",
    State.ERROR: "failed",
    State.EXPIRED: "failed",
}
# Reasons to end that leave an answer unfinished, by their names here.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# Failures that are not the server's, by their names here.
_FAILED = {
    ProviderRefused.code: "invalid_prompt",
    ProviderLacksModel.code: "invalid_prompt",
    ProviderRateLimited.code: "rate_limit_exceeded",
}
# What an object says of its request, where the request said nothing.
_UNSAID: Item = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
ECHOED = tuple(_UNSAID)


def snapshot(job: Job, status: str, output: list[Item], **more: Any) -> Item:
    """The response object at one moment."""
    echo: Item = job.context.get("response", {})
    return {
        "id": f"resp_{job.id}",
        "object": "response",
        "created_at": int(job.created_at),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": job.request.model,
        "output": output,
        "usage": None,
        **_UNSAID,
        **echo,
        **more,
    }


def whole(job: Job) -> Item:
    """The response object as the job stands."""
    outcome = job.outcome
    if outcome is None:
        return snapshot(job, _STATUS[job.state], [])
    status, more = ending(outcome.terminal)
    done = "completed" if status == "completed" else "incomplete"
    # A complete answer says something, be it nothing.
    silent = isinstance(outcome.terminal, Completed) and not outcome.tool_calls
    output = [message(job.id, 0, outcome.answer, done)] if outcome.answer or silent else []
    for call in outcome.tool_calls:
        output.append(function_call(job.id, len(output), call))
    model = outcome.model or job.request.model
    return snapshot(job, status, output, model=model, usage=tokens(outcome.usage), **more)


def ending(terminal: Event) -> tuple[str, Item]:
    """The status that the end of a job means, and what else the object says of it."""
    match terminal:
        case Completed(finish_reason=reason) if reason in _INCOMPLETE:
            return "incomplete", {"incomplete_details": {"reason": _INCOMPLETE[reason]}}
        case Completed():
            return "completed", {}
        case Cancelled():
            return "cancelled", {}
    failed = as_failed(terminal)
    if failed is None:
        raise AssertionError("a job ends well or not")
    code = _FAILED.get(failed.code, "server_error")
    return "failed", {"error": {"code": code, "message": failed.message}}


def tokens(counted: Usage | None) -> Item | None:
    """Tokens by the names of a response."""
    if counted is None:
        return None
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": counted.cached_tokens or 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": counted.reasoning_tokens or 0},
        "total_tokens": counted.total_tokens,
    }


def part(text: str) -> Item:
    """The one part of a message's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message(job_id: str, index: int, text: str | None, status: str) -> Item:
    """The item at `index` of the output that is a text; without its part where that is None."""
    return {
        "id": f"msg_{job_id}_{index}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if text is None else [part(text)],
    }


def function_call(job_id: str, index: int, call: ToolCall, status: str = "completed") -> Item:
    """The item at `index` of the output that is a call; its arguments once it is complete."""
    return {
        "id": f"fc_{job_id}_{index}",
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments if status == "completed" else "",
    }
