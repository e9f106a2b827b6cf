"""What a request brings to say who asks: in its headers, its body, its URL or a cookie.

All that is brought on purpose must be good, and of one app; the narrowest of it is who asks, so
that a user's token beside the code of its app is that user's. A link to a stream counts where
nothing else was brought. Browsers send along what is meant for others: a password for a proxy
on the way (Basic), and cookies that other software on the same host has set.
"""

import re
from collections.abc import Iterator
from functools import reduce
from itertools import islice

from aiohttp import hdrs, web

from gateway.engine.core import Core, Principal
from gateway.errors import Unauthenticated
from gateway.surfaces.route import Access
from gateway.surfaces.visit import VISIT

TOKEN_PARAMETER = "access_token"  # noqa: S105
CODE_HEADER = "X-App-Code"

_COOKIE = re.compile(rf"(?:^|;)\s*{TOKEN_PARAMETER}=([^;]*)")
# One for each path and domain is sent; each that is tried costs a signature.
_COOKIES_MOST = 16

_NO_BEARER = "Authorization must be Bearer."


class Credentials:
    """Reads them, and asks the engine whose they are."""

    def __init__(self, core: Core) -> None:
        self._auth = core.auth

    def holder(
        self, request: web.Request, *, code: str | None = None, token: str | None = None
    ) -> Principal | None:
        """Who holds all that the request brings; None where it brings nothing.

        Args:
            code: an app code out of the body.
            token: what the body holds as a token.

        Raises:
            Unauthenticated: some of it is not good, or it is of different callers.
        """
        held = [] if code is None else [self._auth.app(code)]
        if token is not None:
            held.append(self._auth.bearer(token))
        if hdrs.AUTHORIZATION in request.headers or CODE_HEADER in request.headers:
            held += self._in_headers(request)
        if held:
            return reduce(Principal.joined, held)
        holder = self._of_a_link(request) if request[VISIT].access is Access.READ else None
        if holder is None and hdrs.AUTHORIZATION in request.headers:
            raise Unauthenticated(_NO_BEARER)
        return holder

    def brought(self, request: web.Request) -> bool:
        """There are some outside its body, good or not."""
        headers = request.headers
        return (
            hdrs.AUTHORIZATION in headers
            or CODE_HEADER in headers
            or (request.query_string != "" and TOKEN_PARAMETER in request.query)
            or (hdrs.COOKIE in headers and self._in_cookie(request) is not None)
        )

    def _in_headers(self, request: web.Request) -> Iterator[Principal]:
        authorization = _only(request, hdrs.AUTHORIZATION)
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer":
                yield self._auth.bearer(token.strip())
            elif scheme.lower() != "basic":
                raise Unauthenticated(_NO_BEARER)
        code = _only(request, CODE_HEADER)
        if code is not None:
            yield self._auth.app(code)

    def _of_a_link(self, request: web.Request) -> Principal | None:
        """Who came by the link to a stream: more than one job it must not open."""
        token = request.query.get(TOKEN_PARAMETER)
        if not token:
            return self._in_cookie(request)
        principal = self._auth.stream(token)
        if principal is None:
            raise Unauthenticated("Only a stream token may stand in a URL.")
        return principal

    def _in_cookie(self, request: web.Request) -> Principal | None:
        """Who holds the stream token in a cookie; None where there is no such token."""
        # Not `request.cookies`, which knows one of each name: another path's is sent along.
        cookies = ";".join(request.headers.getall(hdrs.COOKIE, ()))
        for cookie in islice(_COOKIE.finditer(cookies), _COOKIES_MOST):
            principal = self._auth.stream(cookie[1].strip())
            if principal is not None:
                return principal
        return None


def _only(request: web.Request, name: str) -> str | None:
    """The one credential in the headers of that name.

    Raises:
        Unauthenticated: there are more, and whoever passed them on may have gone by another.
    """
    brought = request.headers.getall(name, ())
    if len(brought) > 1:
        raise Unauthenticated(f"{name} is there twice.")
    return brought[0] if brought else None
