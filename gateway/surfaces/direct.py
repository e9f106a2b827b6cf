"""Answers on the connection that asked: the caller is the job's reader, and waits for it.

A failure before the first word is an answer with a status of its own, streamed or not: nothing
has been written until then.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Protocol

from aiohttp import web

from gateway.engine.core import Ask, Channel, Core, Principal, over, read
from gateway.errors import (
    Conflict,
    Draining,
    ProviderError,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderRefused,
    ProviderTimeout,
)
from gateway.events import Routed
from gateway.jobs import Job, OnDisconnect, OnFailure
from gateway.messages import Request
from gateway.surfaces.body import priority
from gateway.surfaces.door import allowance
from gateway.surfaces.format import Format
from gateway.surfaces.idempotency import Repeat
from gateway.surfaces.openai_error import failure
from gateway.surfaces.streams import Streams
from gateway.surfaces.visit import VISIT

# How a job's failure is told to a caller who waits for its answer.
REFUSES = (
    Conflict,
    ProviderRefused,
    ProviderLacksModel,
    ProviderRateLimited,
    ProviderError,
    ProviderTimeout,
)


class Wish(Protocol):
    """What the body of each of these doors says of how it is to be answered."""

    @property
    def stream(self) -> bool | None: ...

    @property
    def priority(self) -> int | None: ...

    @property
    def on_disconnect(self) -> str | None: ...

    def named(self) -> str | None: ...


class Direct:
    """Makes jobs for callers who wait.

    Attributes:
        streams: where those of them are who read along.
    """

    def __init__(
        self,
        core: Core,
        streams: Streams,
        *,
        on_disconnect: OnDisconnect,
        hold_s: float,
    ) -> None:
        """Serve the doors that answer at once.

        Args:
            on_disconnect: what becomes of a job whose caller leaves, where that does not say.
            hold_s: how long a stream's headers wait for its first word.
        """
        self._core = core
        self.streams = streams
        self._on_disconnect = on_disconnect
        self._hold_s = hold_s

    def ask(self, wish: Wish, wanted: Request, *, door: str, repeat: Repeat) -> Ask:
        """What a caller wants who waits for the answer, and has read none of it unless it streams.

        Raises:
            InvalidRequest: the wish cannot be.
        """
        return Ask(
            request=wanted,
            door=door,
            user=wish.named(),
            priority=priority(wish.priority),
            on_failure=OnFailure.ERROR if wish.stream else OnFailure.RESTART,
            on_disconnect=OnDisconnect(wish.on_disconnect or self._on_disconnect),
            idempotency_key=repeat.key,
            fingerprint=repeat.fingerprint,
        )

    async def submit(self, request: web.Request, principal: Principal, ask: Ask) -> Job:
        """Make the job; every answer from now on carries its id, and what the caller has left.

        Raises:
            GatewayError: see `Core.submit`.
        """
        headers = request[VISIT].headers
        try:
            job = await self._core.submit(principal, ask)
        finally:
            headers.update(self._allowance(principal))
        headers["X-Request-Id"] = job.id
        return job

    def _allowance(self, principal: Principal) -> dict[str, str]:
        """How many more requests fit."""
        tenant = principal.tenant
        if tenant.rate_limit is None:
            return {}
        standing = self._core.limits.standing(tenant.rate_limit, "app", tenant.name)
        return allowance(standing.limit, remaining=standing.remaining, reset_s=standing.reset_s)

    async def stream(
        self,
        request: web.Request,
        principal: Principal,
        ask: Ask,
        format_of: Callable[[Job], Format],
    ) -> web.StreamResponse:
        """Make a job and answer with its events as they come.

        Raises:
            GatewayError: the job was not made, or failed before its first word.
        """

        async def begun() -> Job:
            job = await self.submit(request, principal, ask)
            async with self._core.channel(job) as channel:
                await self._first_word(channel)
            return job

        return await self.streams.begin(request, principal, begun, format_of)

    async def _first_word(self, channel: Channel) -> None:
        """Wait until the answer begins, or a job has failed without one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._hold_s), aclosing(read(channel)) as entries:
                async for _, event in entries:
                    if isinstance(event, Routed):
                        return
                    error = failure(event)
                    if error is not None:
                        raise error

    async def whole(self, request: web.Request, principal: Principal, ask: Ask) -> Job:
        """Make a job and wait for its end, as its reader; the completed job.

        Cancelled, the reader has left.

        Raises:
            GatewayError: the job was not made, or failed.
        """
        job = await self.submit(request, principal, ask)
        async with self._core.channel(job) as channel:
            await over(channel)
            ended = channel.ended
        if ended is None or ended.outcome is None:
            raise Draining
        error = failure(ended.outcome.terminal)
        if error is not None:
            raise error
        return ended
