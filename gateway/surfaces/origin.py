"""From whose page a request comes, and where an app may be used.

A browser names the page's origin, and lets no page name another. Who is no browser names none,
and is not concerned. A page that no list knows is the browser's to refuse, which goes by what
cors.py tells it; only of WebSockets it asks nobody.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from gateway.origins import is_local
from gateway.tenants import Tenant

_PORTS = {"http": ":80", "https": ":443"}


class Origins(NamedTuple):
    """The pages from which apps may be used.

    Attributes:
        listed: origins for each app that lists none itself.
        known: those for any app.
        local: pages of this machine are as those listed, for development.
    """

    listed: Collection[str] = ()
    known: Collection[str] = ()
    local: bool = False

    def admit(self, request: web.Request, tenant: Tenant, base_url: Callable[[], str]) -> bool:
        """No page asks, or none that the app must be kept from: the gateway's own never is.

        Args:
            base_url: where the gateway is, as the caller sees it.
        """
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return True
        if request.headers.get("Sec-Fetch-Site") == "same-origin":
            return True
        pages = tenant.allowed_origins
        if pages is not None:
            listed = origin in pages
        else:
            listed = origin in self.listed or (self.local and is_local(origin))
        if listed or is_own(request, origin, base_url):
            return True
        return pages is None and origin not in self.known and hdrs.UPGRADE not in request.headers


def is_own(request: web.Request, origin: str, base_url: Callable[[], str]) -> bool:
    """The gateway itself has served the page: by the address it is asked at, or its public one."""
    scheme, _, place = origin.lower().partition("://")
    # Browsers leave it out of origins; proxies may write it into the Host that they pass on.
    port = _PORTS.get(scheme, "")
    if place and place == request.headers.get(hdrs.HOST, "").lower().removesuffix(port):
        # By whatever name it was reached, whoever stands between and does TLS.
        return True
    own = urlsplit(base_url().lower())
    return (scheme, place) == (own.scheme, own.netloc.removesuffix(port))
