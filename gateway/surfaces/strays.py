"""Requests that lead to no route: refused in the words of the door they stand before."""

from aiohttp import web

from gateway.errors import Forbidden, MethodNotAllowed, NotFound
from gateway.surfaces.door import Door

# No route is deeper.
_MOST_SEGMENTS = 5


class Strays:
    """Answers unknown paths, wrong methods and refused preflights for all doors."""

    def __init__(self, doors: list[Door]) -> None:
        self._first = doors[0]
        self._by_prefix: dict[str, Door] = {}
        for door in doors:
            for route in door.routes:
                prefix = route.path.partition("/{")[0]
                while prefix:
                    self._by_prefix.setdefault(prefix, door)
                    prefix = prefix.rpartition("/")[0]

    def install(self, app: web.Application) -> None:
        """Take what none of the application's routes takes. Call it after they were added.

        A route of its own: a middleware would cost all that are no strays.
        """
        known = tuple(app.router.resources())

        async def refuse(request: web.Request) -> web.Response:
            allowed: set[str] = set()
            for resource in known:
                allowed |= (await resource.resolve(request))[1]
            if not allowed:
                return self._nearest(request).refuse(NotFound())
            refusal = self._nearest(request).refuse(MethodNotAllowed())
            refusal.headers["Allow"] = ",".join(sorted(allowed))
            return refusal

        app.router.add_route("*", r"/{path:[\s\S]*}", refuse)

    def forbid(self, request: web.Request) -> web.Response:
        """Tell a page's preflight that it may not do what it asks for."""
        error = Forbidden("Pages of this origin may not do that.")
        return self._nearest(request).refuse(error)

    def _nearest(self, request: web.Request) -> Door:
        """The door whose route begins most like the path; the first where none does."""
        path = "/".join(request.path.split("/", _MOST_SEGMENTS)[:_MOST_SEGMENTS])
        while path and path not in self._by_prefix:
            path = path.rpartition("/")[0]
        return self._by_prefix.get(path, self._first)
