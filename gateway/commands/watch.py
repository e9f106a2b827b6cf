"""`watch`: what becomes of a request, event by event, through lost connections."""

import argparse
import asyncio
import json
from contextlib import aclosing
from typing import Any

from gateway.commands.remote import Following, Remote, json_of, remote
from gateway.commands.terminal import say, show, show_line
from gateway.sse import ServerEvent

_LAST = {"complete", "error"}


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Follow a request to its end; 1 where there is no whole answer."""
    following = Following(f"/assistant/stream/{typed.request_id}", typed.after or "")
    gateway = remote(typed, environ)
    return asyncio.run(_watch(gateway, following, typed.request_id, as_json=typed.json))


async def _watch(gateway: Remote, following: Following, job_id: str, *, as_json: bool) -> int:
    teller = Teller()
    try:
        async with gateway, aclosing(gateway.events(following)) as events:
            async for event in events:
                data = json_of(event)
                following.ended = event.event in _LAST
                if as_json:
                    show_line({"event": event.event, "id": event.id, "data": data})
                else:
                    teller.tell(event, data)
                if event.event == "error":
                    return 1
    except asyncio.CancelledError:
        teller.end_line()
        if following.last_id:
            say(f"Go on with: watch {job_id} --after {following.last_id}")
        raise
    return 0


class Teller:
    """Tells events to a person: text as it is, all else as remarks between its lines."""

    def __init__(self) -> None:
        self._line_open = False

    def tell(self, event: ServerEvent, data: dict[str, Any]) -> None:
        """Print one event."""
        if event.event == "response_chunk":
            show(data["text"], end="")
            self._line_open = not data["text"].endswith("\n")
            return
        remark = _remark(event.event, data)
        if remark:
            self.end_line()
            say(remark)

    def end_line(self) -> None:
        """Begin a new line unless one begins already."""
        if self._line_open:
            show("")
            self._line_open = False


def _remark(name: str, data: dict[str, Any]) -> str:
    match name:
        case "stage":
            return f"[{data['stage']}]"
        case "status":
            place = data.get("position")
            return f"[place {place}, {data['estimated_wait_time']}]" if place else ""
        case "action":
            return f"[action {data['name']} {json.dumps(data['arguments'], ensure_ascii=False)}]"
        case "restart":
            return f"[begun anew: {data['reason']}; what stands above is void]"
        case "complete":
            return f"[complete: {data['model']}, {_tokens(data['usage'])}{_took(data['timings'])}]"
        case "error":
            return f"[{data['code']}: {data['message']}]"
    return ""


def _tokens(usage: dict[str, Any] | None) -> str:
    if usage is None:
        return "tokens unknown"
    return f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens"


def _took(timings: dict[str, Any]) -> str:
    total_s = timings.get("total_s")
    return "" if total_s is None else f", {total_s:.1f} s"
