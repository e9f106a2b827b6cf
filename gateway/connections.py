"""Connections: how each is read, and what is told on one where what comes is no request.

aiohttp's own words would repeat what it could not read, a credential among it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import hdrs, web

from gateway.errors import GatewayError, InvalidRequest, NotFound
from gateway.surfaces.door import answer
from gateway.surfaces.status import shape

# A line of a head, and how many it may have: what one connection can make the process hold.
# Credentials that are far too long are still refused in the words of a door.
_LINE_MOST_BYTES = 32 * 1024
_LINES_MOST = 64

_ERRORS = {
    400: InvalidRequest("The request is not valid HTTP."),
    404: NotFound(),
    417: InvalidRequest("Expect must be 100-continue."),
}


class Connections(web.AppRunner):
    """An application's runner whose connections answer as its doors do."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float, **how: Any) -> None:
        """Serve the application.

        Args:
            shutdown_timeout: seconds that handlers have to end.
            how: what `web.RequestHandler` takes.
        """
        # A handler that only waits is told when its caller leaves.
        super().__init__(app, handler_cancellation=True, shutdown_timeout=shutdown_timeout)
        self._how = how

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._how)


class _Server(web.Server):
    """Makes connections of ours to what another serves."""

    def __init__(self, served: web.Server, how: dict[str, Any]) -> None:
        super().__init__(
            served.request_handler,
            request_factory=served.request_factory,
            handler_cancellation=served.handler_cancellation,
        )
        self._how = how

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            max_line_size=_LINE_MOST_BYTES,
            max_field_size=_LINE_MOST_BYTES,
            max_headers=_LINES_MOST,
            **self._how,
        )


class _Connection(web.RequestHandler):
    """One connection; what stands before every door is refused in the words of the first."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, or to what nothing above has caught; it is the last."""
        if isinstance(exc, UnicodeEncodeError) and hdrs.EXPECT in request.headers:
            # aiohttp has tried to repeat an expectation that is no text.
            status = 417
        else:
            # It logs, and raises where an answer has begun. What it would say is not sent.
            super().handle_error(request, status, exc, "")
        refusal = _refusal(status)
        refusal.force_close()
        return refusal

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Send an answer; aiohttp's own refusals in the gateway's words."""
        if isinstance(resp, web.HTTPError):
            resp = _refusal(resp.status)
        return super().finish_response(request, resp, start_time)


def _refusal(status: int) -> web.Response:
    other = InvalidRequest() if status < 500 else GatewayError()
    return answer(shape(_ERRORS.get(status, other)), status=status)
