"""From whose page a request comes, and where an app may be used.

A browser names the page's origin, and lets no page name another. Who is no browser names none,
and is not concerned.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from gateway.origins import is_local
from gateway.tenants import Tenant


class Origins(NamedTuple):
    """The pages from which an app may be used that lists none itself.

    Attributes:
        listed: their origins.
        local: pages of this machine too, for development.
    """

    listed: Collection[str] = ()
    local: bool = False

    def admit(self, request: web.Request, tenant: Tenant, base_url: Callable[[], str]) -> bool:
        """No page asks, or one from which the app may be used: the gateway's own always are.

        Args:
            base_url: where the gateway is, as the caller sees it.
        """
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return True
        if tenant.allowed_origins is not None:
            known = origin in tenant.allowed_origins
        else:
            known = origin in self.listed or (self.local and is_local(origin))
        if known or request.headers.get("Sec-Fetch-Site") == "same-origin":
            return True
        return is_own(request, origin, base_url)


def is_own(request: web.Request, origin: str, base_url: Callable[[], str]) -> bool:
    """The gateway itself has served the page: by the address it is asked at, or its public one."""
    host = request.headers.get(hdrs.HOST, "")
    if host and origin.partition("://")[2].lower() == host.lower():
        # By whatever name it was reached, whoever stands between and does TLS.
        return True
    own = urlsplit(base_url())
    return origin.lower() == f"{own.scheme}://{own.netloc}".lower()
