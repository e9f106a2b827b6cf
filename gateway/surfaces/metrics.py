"""`GET /metrics`: what Prometheus reads.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable

from aiohttp import hdrs, web

from gateway.surfaces.door import Door
from gateway.surfaces.overview import Overview, Overviews
from gateway.surfaces.record import shape
from gateway.surfaces.route import Access, Reply, Route

# Everything that is counted and measured, in the form that an Accept header asks for, and which
# that is. What stands in the overview is as it is now.
Render = Callable[[Overview, str], tuple[bytes, str]]


class MetricsDoor:
    """The one route."""

    def __init__(self, overviews: Overviews, render: Render) -> None:
        self._overviews = overviews
        self._render = render
        self.door = Door(
            "metrics",
            shape,
            [
                Route(
                    "GET",
                    "/metrics",
                    self.metrics,
                    Access.ADMIN,
                    (Reply(200, "Prometheus' text, or OpenMetrics'.", media="text/plain"),),
                )
            ],
        )

    async def metrics(self, request: web.Request) -> web.Response:
        """Everything that is counted and measured, for Prometheus."""
        overview = await self._overviews.look()
        body, kind = self._render(overview, request.headers.get(hdrs.ACCEPT, ""))
        headers = {hdrs.CONTENT_TYPE: kind, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(body=body, headers=headers)
