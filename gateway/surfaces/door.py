"""What all doors share: credentials out of a request, a body into a struct, errors into answers.

A route is entered with what one must be allowed to do there; one without that cannot be
written. An error is translated once, here, into the shape of its door.
"""

import asyncio
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import ceil
from typing import Any, TypeVar

import msgspec
import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict

from gateway.engine.core import Core, Principal
from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    RateLimited,
    RequestTimeout,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)
from gateway.surfaces import operators
from gateway.surfaces.coding import decoded
from gateway.surfaces.credentials import CODE_HEADER, Credentials
from gateway.surfaces.origin import Origins
from gateway.surfaces.route import Access, Handler, Route
from gateway.surfaces.visit import VISIT, Visit
from gateway.trace import parse

log = structlog.get_logger(__name__)

T = TypeVar("T")
# An error in the shape of a door's own wire. Its return type is in the API document.
Shape = Callable[[GatewayError], Any]

# Plain enough to be repeated in a link.
_SCHEME = re.compile(r"https?")
_HOST = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
# Wrong credentials one address may bring.
_FAILURES = "1000/minute"


class Door:
    """One surface: its routes and the shape of its errors."""

    def __init__(self, name: str, shape: Shape, routes: list[Route]) -> None:
        self.name = name
        self.shape = shape
        self.routes = routes

    def status(self, kind: type[GatewayError]) -> int:
        """The HTTP status of such an error at this door."""
        return kind.status

    def refuse(self, error: GatewayError) -> web.Response:
        """The answer that an error means at this door."""
        response = answer(self.shape(error), status=self.status(type(error)))
        if error.retry_after_s is not None:
            wait_s = whole_seconds(error.retry_after_s)
            response.headers["Retry-After"] = str(wait_s)
            if isinstance(error, RateLimited) and error.limit is not None:
                response.headers.update(allowance(error.limit, remaining=0, reset_s=wait_s))
        if isinstance(error, Unauthenticated):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response


class Desk:
    """What every door needs from outside: the engine, and how the gateway is reached.

    Attributes:
        default_model: who is asked where a request names nobody.
        fallback_models: who is asked in its place, in this order.
        public_url: of the gateway, without a slash at its end; None takes the request's host.
    """

    def __init__(
        self,
        core: Core,
        *,
        default_model: str,
        fallback_models: tuple[str, ...],
        public_url: str | None = None,
        max_body_bytes: int,
        body_timeout_s: float,
        trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (),
        traced: bool = False,
        local_admin: bool = False,
        origins: Origins,
    ) -> None:
        """Serve all doors of one gateway.

        Args:
            body_timeout_s: a body that is not whole after this is given up.
            trusted_proxies: peers whose X-Forwarded-* headers are believed.
            traced: jobs know the span in which they were asked for.
            local_admin: whoever sits at this machine is an operator.
            origins: the pages from which apps may be used that list none.
        """
        self.core = core
        self.credentials = Credentials(core)
        self.default_model = default_model
        self.fallback_models = fallback_models
        self.public_url = public_url
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._trusted = trusted_proxies
        self._traced = traced
        self._local_admin = local_admin
        self._origins = origins

    def guarded(self, door: Door, route: Route) -> Handler:
        """A route's handler, with every error answered in the door's shape."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request[VISIT] = Visit(route.access)
            try:
                try:
                    if route.access is Access.ADMIN:
                        self.admit(request)
                    return await route.handler(request)
                except GatewayError as error:
                    return self._refusal(door, request, error)
            except web.HTTPException:
                raise
            except ConnectionResetError:
                # The caller left before its answer began: there is nobody to tell.
                return web.Response(status=499)
            except Exception:
                log.exception("request_crashed", path=route.path)
                return door.refuse(GatewayError())

        return handle

    def _refusal(self, door: Door, request: web.Request, error: GatewayError) -> web.Response:
        """The answer to a request that is refused."""
        error = self._counted(request, error)
        self.core.observer.refused(door.name, error)
        refusal = door.refuse(error)
        if not request.content.is_eof():
            # The rest of the body is not wanted.
            refusal.force_close()
        return refusal

    def _counted(self, request: web.Request, error: GatewayError) -> GatewayError:
        """Wrong credentials count against their address; past its limit that is the answer."""
        if isinstance(error, Unauthenticated):
            try:
                self.core.limits.spend(_FAILURES, "failure", self.address(request))
            except GatewayError as limited:
                return limited
        return error

    # -- who asks -----------------------------------------------------------------------------

    def principal(
        self, request: web.Request, code: str | None = None, *, token: str | None = None
    ) -> Principal:
        """Who makes this request, and that the route is for them.

        Args:
            code: an app code out of the body.
            token: what the body holds as a token.

        Raises:
            Unauthenticated: no good credential, or not all of them are, and of one app.
            Forbidden: a good one that is not for this.
        """
        holder = self.credentials.holder(request, code=code, token=token)
        if holder is None:
            if request[VISIT].access is Access.OWN:
                # What somebody left is not shown to everybody who brings as little.
                raise Unauthenticated
            holder = self.core.auth.anonymous()
        return self._authorized(request, holder)

    def admit(self, request: web.Request) -> None:
        """See that an operator asks.

        Raises:
            Unauthenticated, Forbidden, UnsupportedMediaType: see `operators.check`.
        """
        headers = request.headers
        brought = hdrs.AUTHORIZATION in headers or CODE_HEADER in headers
        operators.check(
            request,
            self.principal(request) if brought else None,
            local=self._local_admin,
            base_url=lambda: self.base_url(request),
        )

    def _authorized(self, request: web.Request, principal: Principal) -> Principal:
        """The principal, if the route is for them.

        Raises:
            Forbidden: it is not.
        """
        if principal.job_id is not None and request[VISIT].access is not Access.READ:
            raise Forbidden("A stream token only reads.")
        if not self._origins.admit(request, principal.tenant, lambda: self.base_url(request)):
            raise Forbidden("This app may not be used from this page.")
        if request[VISIT].access is Access.MAKE:
            request[VISIT].payer = principal.tenant
        if self._traced:
            headers = request.headers
            trace = parse(headers.get("traceparent"), headers.get("tracestate"))
            return msgspec.structs.replace(principal, trace=trace)
        return principal

    # -- where from, where to -----------------------------------------------------------------

    def address(self, request: web.Request) -> str:
        """The address of the caller: the peer's, or what trusted proxies say."""
        return self._way(request)[-1]

    def _way(self, request: web.Request) -> list[str]:
        """From the peer back to the caller: each but the last is a proxy that is trusted."""
        way = [request.remote or ""]
        for hop in reversed(_listed(request, "X-Forwarded-For")):
            if not hop or not self._is_proxy(way[-1]):
                break
            way.append(hop)
        return way

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def base_url(self, request: web.Request) -> str:
        """Where this gateway is, as the caller sees it; absolute, without a slash at its end.

        Raises:
            InvalidRequest: the request names no host that could be in a link.
        """
        if self.public_url is not None:
            return self.public_url
        # Not `request.host`: where there is none, that asks the system for a name.
        scheme, host = request.scheme, request.headers.get(hdrs.HOST, "")
        if self._trusted and self._is_proxy(request.remote or ""):
            proxies = len(self._way(request)) - 1
            scheme = _told(request, "X-Forwarded-Proto", proxies, scheme)
            host = _told(request, "X-Forwarded-Host", proxies, host)
        if not (_SCHEME.fullmatch(scheme) and _HOST.fullmatch(host)):
            raise InvalidRequest("The Host header names no host.", field="Host")
        return f"{scheme}://{host}"

    # -- what is asked ------------------------------------------------------------------------

    async def body(self, request: web.Request) -> bytes:
        """The bytes of a JSON body.

        Raises:
            UnsupportedMediaType: it is not said to be JSON.
            TooLarge, RequestTimeout: it does not end.
        """
        if request.headers.get(hdrs.CONTENT_TYPE) != "application/json":
            _check_type(request)
        if (request.content_length or 0) > self._max_body_bytes:
            raise TooLarge
        try:
            if request.content.is_eof():
                data = await request.read()
            else:
                async with asyncio.timeout(self._body_timeout_s):
                    data = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge from None
        except web.RequestPayloadError:
            # aiohttp looks at it once more, after the answer; anything else would be logged.
            request.content.set_exception(TimeoutError())
            raise InvalidRequest("The body is not coded as its headers say.") from None
        except TimeoutError:
            raise RequestTimeout from None
        return decoded(data, request.headers.get("Content-Encoding", ""), self._max_body_bytes)


def _listed(request: web.Request, name: str) -> list[str]:
    """What proxies have written in the headers of that name, the nearest of them last."""
    joined = ",".join(request.headers.getall(name, ()))
    return [each.strip() for each in joined.split(",")] if joined else []


def _told(request: web.Request, name: str, proxies: int, default: str) -> str:
    """What the first of so many trusted proxies has written there.

    What stands before it came with the request, which may claim anything. Where no proxy tells
    through how many it came, it is the first of all, as is the custom.
    """
    listed = _listed(request, name)
    return listed[-min(proxies, len(listed))] if listed else default


def _check_type(request: web.Request) -> None:
    kind = request.content_type
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise UnsupportedMediaType
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise InvalidRequest("JSON is written in UTF-8.")


_encode = msgspec.json.Encoder().encode
_HEADERS: CIMultiDict[str] = CIMultiDict(
    {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
)


def answer(value: Any, *, status: int = 200, request_id: str | None = None) -> web.Response:
    """A JSON answer. With a request id in its headers where it made or read a job."""
    response = web.Response(body=_encode(value), status=status, headers=_HEADERS)
    if request_id is not None:
        response.headers["X-Request-Id"] = request_id
    return response


def whole_seconds(wait_s: float) -> int:
    """A wait as `Retry-After` has it: one that is not over too early, and at least one second."""
    return max(1, ceil(wait_s))


def allowance(limit: int, *, remaining: int, reset_s: int) -> dict[str, str]:
    """How many requests there may be, and still may, by the names that OpenAI's clients know.

    Args:
        reset_s: until there may be more.
    """
    return {
        "X-RateLimit-Limit-Requests": str(limit),
        "X-RateLimit-Remaining-Requests": str(remaining),
        "X-RateLimit-Reset-Requests": f"{reset_s}s",
    }
