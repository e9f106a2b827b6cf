"""Who may use the doors for operators.

An app whose configuration says so, by its code; and without any credential whoever sits at this
machine. The latter is only taken for granted of a request that nobody could have passed on: not a
proxy beside the gateway, and not another site's page in a browser on this machine, whose requests
come from here as well.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address

from aiohttp import HttpVersion11, hdrs, web

from gateway.engine.core import Principal
from gateway.errors import Forbidden, Unauthenticated, UnsupportedMediaType
from gateway.origins import is_loopback
from gateway.surfaces.origin import is_own

# What a proxy adds to what it passes on.
_PASSED_ON = ("forwarded", "via", "x-forwarded", "x-real-ip", "x-client-ip", "cf-connecting-ip")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?", re.ASCII | re.IGNORECASE)
# What a browser says of the page that asks, where it says anything.
_OF_ITS_OWN = ("same-origin", "none")


def check(
    request: web.Request, principal: Principal | None, *, local: bool, base_url: Callable[[], str]
) -> None:
    """See that the request is an operator's.

    Args:
        principal: who brought a credential; None who brought none.
        local: whoever sits at this machine needs none.
        base_url: where the gateway is, as the caller sees it.

    Raises:
        Unauthenticated: a credential is needed.
        Forbidden: a good one of somebody else, or a page that is not the gateway's own.
        UnsupportedMediaType: something is to be changed by what a form could send.
    """
    if principal is None:
        if not (local and _is_from_here(request)):
            raise Unauthenticated("The code of an app with `admin` is needed.")
    elif principal.job_id is not None or principal.proven or not principal.tenant.admin:
        raise Forbidden('Only an app with "admin": true may do that.')
    changes = request.method not in (hdrs.METH_GET, hdrs.METH_HEAD)
    if (changes or principal is None) and not _is_own_page(request, base_url):
        raise Forbidden("Only the gateway's own pages may do that.")
    if changes and request.content_type != "application/json":
        raise UnsupportedMediaType


def _is_from_here(request: web.Request) -> bool:
    hosts = request.headers.getall(hdrs.HOST, [])
    return (
        _is_this_machine(request.remote or "")
        and not _is_passed_on(request.headers)
        # Proxies that add nothing speak the old version unless they are told otherwise.
        and request.version >= HttpVersion11
        # A name of somebody else's that leads here makes their page one of the gateway's.
        and len(hosts) == 1
        and (host := _HOST.fullmatch(hosts[0])) is not None
        and is_loopback(host[1].strip("[]"))
    )


def _is_this_machine(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _is_passed_on(headers: Mapping[str, str]) -> bool:
    return any(name.lower().startswith(_PASSED_ON) for name in headers)


def _is_own_page(request: web.Request, base_url: Callable[[], str]) -> bool:
    """No page asks, or one that the gateway itself has served."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OF_ITS_OWN:
        return False
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or is_own(request, origin, base_url)
