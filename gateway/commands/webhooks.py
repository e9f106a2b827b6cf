"""`webhooks list`, `show` and `replay`: callbacks, for operators."""

import argparse
import asyncio
from typing import Any

from gateway.commands.pages import items
from gateway.commands.remote import Call, Remote, remote
from gateway.commands.terminal import clock, say, show_fields, show_json, show_table

_PATH = "/admin/webhooks"
_HEAD = ("request", "app", "state", "attempts", "status", "next", "url", "note")


def show_all(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print a list."""
    wanted = {"state": typed.state, "app": typed.app}
    found = asyncio.run(items(remote(typed, environ), _PATH, "deliveries", wanted, typed.limit))
    if typed.json:
        show_json(found)
    else:
        show_table(_HEAD, [_row(each) for each in found])
    return 0


def show(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print one."""
    call = Call("GET", f"{_PATH}/{typed.request_id}")
    _tell(asyncio.run(_answer(remote(typed, environ), call)), as_json=typed.json)
    return 0


def replay(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Send one again, and print how it stands."""
    call = Call("POST", f"{_PATH}/{typed.request_id}/replay", body={})
    delivery = asyncio.run(_answer(remote(typed, environ), call))
    say("It is on its way again, under the same id.")
    _tell(delivery, as_json=typed.json)
    return 0


async def _answer(gateway: Remote, call: Call) -> Any:
    async with gateway:
        return await gateway.json(call, "delivery_id")


def _row(delivery: dict[str, Any]) -> list[Any]:
    return [
        delivery["request_id"],
        delivery["app"],
        delivery["state"],
        delivery["attempts"],
        delivery["last_status"],
        clock(delivery["next_at"]),
        delivery["url"],
        delivery["note"] or None,
    ]


def _tell(delivery: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(delivery)
        return
    fields = {**dict(zip(_HEAD, _row(delivery), strict=True)), "id": delivery["delivery_id"]}
    show_fields({**fields, "made": clock(delivery["created_at"])})
