"""Which pages may call the gateway: a strict list of origins, on every answer.

`aiohttp_cors` answers preflights and marks the answers of known routes. Here is what it leaves
open: `Vary: Origin`, answers to unknown paths and methods, and local pages in development.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

import aiohttp_cors
from aiohttp import hdrs, web
from aiohttp_cors.urldispatcher_router_adapter import ResourcesUrlDispatcherRouterAdapter

from gateway import origins
from gateway.surfaces.route import Handler

EXPOSED = (
    "X-Request-Id",
    "Retry-After",
    "X-Should-Retry",
    "X-Budget-Warning",
    "X-RateLimit-Limit-Requests",
    "X-RateLimit-Remaining-Requests",
    "X-RateLimit-Reset-Requests",
)

_OPTIONS = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
    allow_credentials=True, expose_headers=EXPOSED, allow_headers="*", max_age=600
)


def install(
    app: web.Application,
    routes: Iterable[web.AbstractRoute],
    allowed: Collection[str],
    *,
    local: bool,
    forbid: Callable[[web.Request], web.Response],
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Let pages of the allowed origins use the routes, and no others.

    Returns what marks an answer before it is sent.

    Args:
        allowed: looked into for each request: it may change.
        local: pages of this machine too, for development.
        forbid: how a preflight is refused.
    """

    def known(origin: str) -> bool:
        return origin in allowed or (local and origins.is_local(origin))

    cors = aiohttp_cors.CorsConfig(app, router_adapter=_Living(app, known, forbid))
    # It looks for the route of every answer; most are to no page.
    mark_known = app.on_response_prepare.pop()
    for route in routes:
        cors.add(route)

    async def mark(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        varies = headers.get(hdrs.VARY, "")
        if hdrs.ORIGIN not in varies:
            headers[hdrs.VARY] = f"{varies}, {hdrs.ORIGIN}" if varies else hdrs.ORIGIN
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return
        await mark_known(request, response)
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in headers and known(origin):
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ",".join(EXPOSED)

    return mark


def _methods(request: web.Request) -> web.Response:
    """What the path takes, for whoever asks that is no page's browser."""
    resource = request.match_info.route.resource
    methods = sorted(route.method for route in resource or ())
    return web.Response(status=204, headers={hdrs.ALLOW: ",".join(methods)})


class _Living(ResourcesUrlDispatcherRouterAdapter):
    """Looks an origin up when it comes; aiohttp_cors itself keeps a copy of those at the start."""

    def __init__(
        self,
        app: web.Application,
        known: Callable[[str], bool],
        forbid: Callable[[web.Request], web.Response],
    ) -> None:
        super().__init__(app.router, {})
        self._known = known
        self._forbid = forbid

    def add_preflight_handler(  # type: ignore[override]
        self,
        routing_entity: web.Resource | web.StaticResource | web.ResourceRoute,
        handler: Handler,
    ) -> None:
        async def preflight(request: web.Request) -> web.StreamResponse:
            if hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
                return _methods(request)
            try:
                return await handler(request)
            except web.HTTPForbidden:
                return self._forbid(request)

        super().add_preflight_handler(routing_entity, preflight)

    async def get_preflight_request_config(
        self, preflight_request: web.Request, origin: str, requested_method: str
    ) -> Mapping[str, Any]:
        # Refuses a method that the path has not.
        await super().get_preflight_request_config(preflight_request, origin, requested_method)
        return {origin: _OPTIONS} if self._known(origin) else {}
