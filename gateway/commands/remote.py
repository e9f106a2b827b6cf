"""A running gateway, as a command talks to it: calls, streams that come back, plain refusals."""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp

from gateway.commands import CommandError
from gateway.commands.grammar import DEFAULT_URL
from gateway.commands.words import address
from gateway.origins import is_loopback
from gateway.sse import Decoder, EventTooLarge, ServerEvent

_CONNECT_S = 10.0
_GOODBYE = aiohttp.ClientWSTimeout(ws_close=5.0)
# Longer than a heartbeat takes to come: what is silent for so long is cut off.
_SILENCE_S = 60.0
# How often in a row a connection that brings nothing is tried again, and the longest rest.
_TRIES = 8
_REST_MOST_S = 15.0
_EVENT_MOST_BYTES = 16 << 20
_TEXT_MOST = 300
_OPERATORS = "/admin/"
# What went wrong on the way, whatever aiohttp and the system call it.
LOST = (aiohttp.ClientError, OSError, TimeoutError)


class Refused(CommandError):
    """The gateway answered, and said no.

    Attributes:
        retry_after_s: when it may be asked again; None where it did not say.
        request_id: of the request that failed; None where none was made.
    """

    def __init__(
        self,
        status: int,
        code: str,
        said: str,
        retry_after_s: float | None,
        request_id: str | None,
    ) -> None:
        hint = _HINTS.get(status, "")
        super().__init__(f"The gateway refused: {said} ({code}){f'. {hint}' if hint else ''}")
        self.status = status
        self.code = code
        self.said = said
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class Unreachable(CommandError):
    """Nobody answers there, or no longer."""


_HINTS = {
    401: "Set APP_CODE to the code of an app: export APP_CODE=gw_…",
    403: 'What operators may do needs an app with "admin": true, or a gateway on this machine.',
}


class Call(NamedTuple):
    """One request to the gateway.

    Attributes:
        params: of the query; None leaves one out.
        silence_s: what says nothing for so long is given up.
    """

    method: str
    path: str
    body: Any = None
    params: Mapping[str, Any] = {}
    headers: Mapping[str, str] | None = None
    silence_s: float = _SILENCE_S


class Remote:
    """One gateway, for as long as the block lasts."""

    def __init__(self, url: str, app_code: str | None) -> None:
        """Know where it is and who asks; nothing is connected yet."""
        self.url = url
        self._credential = {"Authorization": f"Bearer {app_code}"} if app_code else {}
        self._is_here = is_loopback(urlsplit(url).hostname or "")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"User-Agent": "gateway-cli"},
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def json(self, call: Call, *names: str) -> dict[str, Any]:
        """The JSON object of a good answer.

        Args:
            names: what a gateway's answer has in it.

        Raises:
            Refused, Unreachable.
            CommandError: it is none of a gateway's.
        """
        async with self.opened(call) as response:
            try:
                told = json.loads(await response.read())
            except (ValueError, RecursionError):
                told = None
            except LOST as error:
                raise self._unreachable(error) from None
        if not isinstance(told, dict) or not told.keys() >= set(names):
            raise CommandError(
                f"What answers at {self.url} is no gateway, by its answer to {call.path}."
            )
        return told

    @asynccontextmanager
    async def opened(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer, its body still to be read.

        Raises:
            Refused, Unreachable.
        """
        response = await self._send(call, self._credential)
        refused = response.status in (401, 403) and bool(self._credential)
        if refused and call.path.startswith(_OPERATORS) and self._is_here:
            # The code at hand is of an app like others; who sits here needs none.
            response.release()
            response = await self._send(call, {})
        async with response:
            if not response.ok or response.status >= 300:
                raise await _refusal(response)
            yield response

    async def _send(self, call: Call, credential: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(
                call.method,
                self.url + call.path,
                json=call.body,
                params={k: str(v) for k, v in call.params.items() if v is not None},
                headers={**credential, **(call.headers or {})},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_S, sock_read=call.silence_s
                ),
            )
        except LOST as error:
            raise self._unreachable(error) from None

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """An open WebSocket.

        Raises:
            ClientError, OSError, TimeoutError: there is none.
        """
        return await self._session.ws_connect(
            self.url + path, headers=self._credential, timeout=_GOODBYE
        )

    async def events(self, calls: "Following") -> AsyncGenerator[ServerEvent, None]:
        """The events of a stream, through lost connections, to the gateway's last word.

        Raises:
            Refused, Unreachable: it cannot be gone on with.
        """
        fruitless = 0
        while True:
            rest_s: float | None = None
            try:
                async with self.opened(calls.call()) as response:
                    calls.opened(response.headers)
                    if response.status == 204:
                        return
                    async for event in _decoded(response, calls):
                        fruitless = 0
                        yield event
            except Refused as error:
                if error.status != 503 or error.retry_after_s is None:
                    raise
                rest_s = error.retry_after_s
            except (Unreachable, *LOST) as error:
                if fruitless >= _TRIES or not calls.begun:
                    raise self._unreachable(error) from None
            if calls.ended:
                return
            fruitless += 1
            if fruitless > _TRIES:
                raise CommandError(f"The stream at {self.url} keeps ending before its end.")
            await asyncio.sleep(min(_REST_MOST_S, rest_s or calls.rest_s * fruitless))

    def _unreachable(self, error: BaseException) -> CommandError:
        if isinstance(error, CommandError):
            return error
        number, why = 0, str(error) or type(error).__name__
        if isinstance(error, OSError):
            number, why = error.errno or 0, error.strerror or why
        if number > 0:
            # Shorter than what asyncio says; a name that is not found has a number below.
            why = os.strerror(number)
        return Unreachable(
            f"No gateway answers at {self.url}: {why}. "
            "`serve` starts one; --url or GATEWAY_URL says where it is."
        )


class Following:
    """A reader's place in a stream that it may have to ask for again.

    Attributes:
        last_id: of the last event that was read.
        ended: the stream has said its last; set by who reads it.
    """

    def __init__(self, path: str, last_id: str = "", first: Call | None = None) -> None:
        """Read the stream at `path` after `last_id`.

        Args:
            path: with `{id}` where the request's id is not yet known.
            first: what makes the request, the answer to which is the stream; safe to repeat.
        """
        self._path = path
        self._first = first
        self.last_id = last_id
        self.request_id: str | None = None
        self.rest_s = 1.0
        self.ended = False

    @property
    def begun(self) -> bool:
        """There is something to come back to."""
        return self._first is None or self.request_id is not None

    def call(self) -> Call:
        """What asks for the stream, or for its rest."""
        if self._first is not None and self.request_id is None:
            return self._first
        headers = {"Last-Event-ID": self.last_id} if self.last_id else None
        return Call("GET", self._path.format(id=self.request_id), headers=headers)

    def opened(self, headers: Mapping[str, str]) -> None:
        """Remember whose answer it is."""
        self.request_id = headers.get("X-Request-Id", self.request_id)

    def read(self, event: ServerEvent, retry_ms: int | None) -> None:
        """Move on past an event."""
        self.last_id = event.id or self.last_id
        self.rest_s = self.rest_s if retry_ms is None else retry_ms / 1000


async def _decoded(
    response: aiohttp.ClientResponse, calls: Following
) -> AsyncIterator[ServerEvent]:
    decoder = Decoder(_EVENT_MOST_BYTES)
    if response.content_type != "text/event-stream":
        raise CommandError("What answered is no stream: is this the gateway's address?")
    async for chunk in response.content.iter_any():
        try:
            events = decoder.feed(chunk)
        except EventTooLarge:
            raise CommandError("The stream holds an event of more than 16 MiB.") from None
        for event in events:
            calls.read(event, decoder.retry_ms)
            yield event


def json_of(event: ServerEvent) -> dict[str, Any]:
    """What an event says.

    Raises:
        CommandError: it is not of a gateway.
    """
    try:
        told = json.loads(event.data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise CommandError("The stream is none of a gateway's: is this its address?")
    return told


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    try:
        body = await response.read()
    except LOST:
        body = b""
    code, said = _said(body)
    if "Location" in response.headers:
        said = f"it leads to {response.headers['Location'][:_TEXT_MOST]}: is the gateway there?"
    return Refused(
        response.status,
        code or f"HTTP {response.status}",
        said or f"{response.reason or 'no reason given'}",
        _seconds(response.headers.get("Retry-After")),
        response.headers.get("X-Request-Id"),
    )


def _said(body: bytes) -> tuple[str, str]:
    """The code and the text of a refusal, in whichever shape its door writes it."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    inner = told.get("error")
    fault = inner if isinstance(inner, dict) else told
    code = fault.get("code") or fault.get("error_code") or fault.get("type") or ""
    return str(code), str(fault.get("message") or "").rstrip(".")[:_TEXT_MOST]


def _seconds(text: str | None) -> float | None:
    # The gateway's own are whole seconds; a proxy's date is no number.
    return float(text) if text and text.isascii() and text.isdigit() else None


# -- from what was typed ----------------------------------------------------------------------


def remote(typed: argparse.Namespace, environ: Mapping[str, str]) -> Remote:
    """The gateway that a command is for.

    Raises:
        CommandError: GATEWAY_URL is no address, or the code is none.
    """
    return Remote(url_of(typed, environ), code_of(typed, environ))


def code_of(typed: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
    """The app code of who asks; None where there is none.

    Raises:
        CommandError: it cannot be one.
    """
    code: str | None = typed.app_code or environ.get("APP_CODE") or None
    if code is not None and not (code.isascii() and code.isprintable()):
        raise CommandError("The app code is none: APP_CODE holds what no code can.")
    return code


def url_of(typed: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """Where the gateway is.

    Raises:
        CommandError: GATEWAY_URL is no address.
    """
    url: str = typed.url or environ.get("GATEWAY_URL") or DEFAULT_URL
    try:
        return address(url)
    except argparse.ArgumentTypeError as error:
        raise CommandError(f"GATEWAY_URL: {error}.") from None
