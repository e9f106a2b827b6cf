"""Requests that lead to no route: refused in the words of the door they stand before."""

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.errors import Forbidden, MethodNotAllowed, NotFound
from gateway.surfaces.door import Door
from gateway.surfaces.route import Handler

# No route is deeper.
_MOST_SEGMENTS = 5


def strays(doors: list[Door]) -> Middleware:
    """Answer unknown paths, wrong methods and refused preflights for all doors."""
    nearest = _Nearest(doors)

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return nearest.to(request).refuse(NotFound())
        except web.HTTPForbidden:
            return nearest.to(request).refuse(Forbidden("Pages of this origin may not do that."))
        except web.HTTPMethodNotAllowed as error:
            refusal = nearest.to(request).refuse(MethodNotAllowed())
            refusal.headers["Allow"] = error.headers["Allow"]
            return refusal

    return refuse


class _Nearest:
    """Which door a path stands before: the one whose route begins most like it."""

    def __init__(self, doors: list[Door]) -> None:
        self._first = doors[0]
        self._by_prefix: dict[str, Door] = {}
        for door in doors:
            for route in door.routes:
                prefix = route.path.partition("/{")[0]
                while prefix:
                    self._by_prefix.setdefault(prefix, door)
                    prefix = prefix.rpartition("/")[0]

    def to(self, request: web.Request) -> Door:
        """The door before which the request stands; the first where it stands before none."""
        path = "/".join(request.path.split("/", _MOST_SEGMENTS)[:_MOST_SEGMENTS])
        while path and path not in self._by_prefix:
            path = path.rpartition("/")[0]
        return self._by_prefix.get(path, self._first)
