"""`ask`: a question, and its answer as it is written."""

import argparse
import asyncio
import sys
import uuid
from contextlib import aclosing, suppress
from typing import Any

from gateway.commands import CommandError
from gateway.commands.remote import Call, Following, Remote, json_of, remote
from gateway.commands.terminal import say, show, show_json

_GOODBYE_S = 3.0


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Ask, and print what is said. Ctrl-C cancels the request, too."""
    return asyncio.run(_ask(remote(typed, environ), _body(typed), as_json=typed.json))


def _body(typed: argparse.Namespace) -> dict[str, Any]:
    prompt = _piped() if typed.prompt == "-" else typed.prompt
    given = {"max_tokens": typed.max_tokens, "temperature": typed.temperature}
    fields = {
        "user_prompt": prompt,
        "model": typed.model,
        "system_prompt": typed.system,
        "hyperparameters": {name: value for name, value in given.items() if value is not None},
    }
    return {name: value for name, value in fields.items() if value}


def _piped() -> str:
    try:
        prompt = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError("What came from standard input is no text in UTF-8.") from None
    if not prompt.strip():
        raise CommandError("There is nothing to ask: standard input is empty.")
    return prompt


async def _ask(gateway: Remote, body: dict[str, Any], *, as_json: bool) -> int:
    # Sent again after a lost connection, it is still the same request.
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = Call("POST", "/api/chat/stream", body, headers=headers)
    following = Following("/api/chat/stream/{id}", first=first)
    async with gateway:
        try:
            await _read(gateway, following, aloud=not as_json)
        except asyncio.CancelledError:
            await _cancel(gateway, following)
            raise
        if as_json:
            path = f"/assistant/request/{following.request_id}"
            show_json(_told(await gateway.json(Call("GET", path))))
    return 0


async def _read(gateway: Remote, following: Following, *, aloud: bool) -> None:
    """Print the answer to its end.

    Raises:
        CommandError: there is no whole answer.
    """
    line_open = False
    async with aclosing(gateway.events(following)) as events:
        async for event in events:
            piece = json_of(event)
            if piece.get("restarted"):
                say("\n(What stands above is void: the answer begins anew.)")
            text = piece.get("content", "")
            if aloud and text:
                show(text, end="")
                line_open = not text.endswith("\n")
            if piece.get("finished"):
                following.ended = True
            if "error" in piece:
                if line_open:
                    show("")
                raise CommandError(f"{piece['error']['message']} ({piece['error']['code']})")
    if line_open:
        show("")


async def _cancel(gateway: Remote, following: Following) -> None:
    if following.request_id is not None:
        with suppress(CommandError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await gateway.json(Call("DELETE", f"/assistant/request/{following.request_id}"))
        say(f"\nCancelled: {following.request_id}")


def _told(request: dict[str, Any]) -> dict[str, Any]:
    """What a program wants to know of the answer."""
    names = ("request_id", "model", "response", "usage", "timings")
    return {name: request.get(name) for name in names}
