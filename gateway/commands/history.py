"""`history`: what was asked and what became of it; for operators, of all apps."""

import argparse
import asyncio
import time
from typing import Any

from gateway.commands.pages import items
from gateway.commands.remote import Call, Remote, remote
from gateway.commands.terminal import clock, show, show_fields, show_json, show_table

_OWN, _ALL = "/history", "/admin/jobs"
_HEAD = ("request", "state", "door", "model", "tokens", "took", "prompt")


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print a list, or one request."""
    base = _ALL if typed.all or typed.app else _OWN
    gateway = remote(typed, environ)
    if typed.request_id:
        job = asyncio.run(_one(gateway, f"{base}/{typed.request_id}"))
        if typed.json:
            show_json(job)
        else:
            _show(job)
        return 0
    jobs = asyncio.run(items(gateway, base, "jobs", _wanted(typed, time.time()), typed.limit))
    if typed.json:
        show_json(jobs)
        return 0
    apps = base == _ALL
    show_table(
        ("app", *_HEAD) if apps else _HEAD,
        [([job["app"]] if apps else []) + _row(job) for job in jobs],
    )
    return 0


def _wanted(typed: argparse.Namespace, now: float) -> dict[str, Any]:
    """The query, out of what was typed."""
    return {
        "app": typed.app,
        "user": typed.user,
        "door": typed.door,
        "model": typed.model,
        "state": typed.state,
        "q": typed.search,
        "since": typed.since and typed.since.epoch(now),
        "until": typed.until and typed.until.epoch(now),
    }


async def _one(gateway: Remote, path: str) -> Any:
    async with gateway:
        return await gateway.json(Call("GET", path), "request_id", "usage", "messages")


def _row(job: dict[str, Any]) -> list[Any]:
    return [
        job["request_id"],
        job["state"],
        job["door"],
        job["model"],
        (job["usage"] or {}).get("total_tokens"),
        _took(job["duration_s"]),
        job["prompt"],
    ]


def _took(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.1f} s"


def _show(job: dict[str, Any]) -> None:
    usage, error = job["usage"], job["error"]
    tokens = usage and f"{usage['prompt_tokens']} + {usage['completion_tokens']}"
    show_fields(
        {
            "request": job["request_id"],
            "app": job["app"],
            "user": job["user"],
            "door": job["door"],
            "state": job["state"],
            "model": job["model"],
            "provider": job["provider"],
            "made": clock(job["created_at"]),
            "ended": clock(job["finished_at"]),
            "took": _took(job["duration_s"]),
            "attempts": job["attempt"],
            "tokens": tokens,
            "cost": f"${job['cost_usd']:.6f}" if job.get("cost_usd") else None,
            "error": error and f"{error['message']} ({error['code']})",
        }
    )
    for message in job["messages"]:
        _show_turn(message["role"], message.get("content"))
    _show_turn("answer", job["answer"])
    for call in job["tool_calls"]:
        _show_turn("call", f"{call['name']} {call['arguments']}")


def _show_turn(role: str, content: Any) -> None:
    """One turn; of what is no text only its kind is told."""
    if isinstance(content, list):
        parts = (each.get("text") or f"[{each.get('type')}]" for each in content)
        content = "\n".join(parts)
    if content:
        show(f"\n{role}:\n{content}")
