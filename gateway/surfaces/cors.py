"""Which pages may call the gateway: a strict list of origins, on every answer.

`aiohttp_cors` answers preflights and marks the answers of known routes. Here is what it leaves
open: `Vary: Origin`, answers to unknown paths and methods, and local pages in development.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp_cors
from aiohttp import hdrs, web
from aiohttp_cors.urldispatcher_router_adapter import ResourcesUrlDispatcherRouterAdapter

from gateway import origins

EXPOSED = (
    "X-Request-Id",
    "Retry-After",
    "X-Should-Retry",
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
    allowed: Iterable[str],
    *,
    local: bool,
) -> None:
    """Let pages of the allowed origins use the routes, and no others.

    Args:
        local: pages of this machine too, for development.
    """
    known = dict.fromkeys(allowed, _OPTIONS)
    adapter = _WithLocal if local else ResourcesUrlDispatcherRouterAdapter
    cors = aiohttp_cors.CorsConfig(app, defaults=known, router_adapter=adapter(app.router, known))
    for route in routes:
        cors.add(route)

    async def mend(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers[hdrs.VARY] = hdrs.ORIGIN
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers:
            return
        if origin in known or (local and origins.is_local(origin)):
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ",".join(EXPOSED)

    app.on_response_prepare.append(mend)


class _WithLocal(ResourcesUrlDispatcherRouterAdapter):
    """Lets preflights of local pages pass, whatever their port."""

    async def get_preflight_request_config(
        self, preflight_request: web.Request, origin: str, requested_method: str
    ) -> Mapping[str, Any]:
        config: Mapping[str, Any] = await super().get_preflight_request_config(
            preflight_request, origin, requested_method
        )
        return {origin: _OPTIONS} if origins.is_local(origin) else config
