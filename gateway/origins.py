"""Web origins: `scheme://host[:port]` in the one form in which they can be compared."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """The origin of an http or https address, in lower case and without a default port.

    Raises:
        ValueError: it has none, or carries a user name, or a host in no plain form.
    """
    parts = split(url)
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{name}{port}"


def split(url: str) -> SplitResult:
    """The parts of an absolute http or https address that names a host and no user.

    Raises:
        ValueError: it is something else.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("no address")
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or "@" in parts.netloc or parts.port == 0:
        raise ValueError("no http or https address")
    if ":" in host:
        ipaddress.IPv6Address(host)
    elif not _HOST.fullmatch(host):
        raise ValueError("no host")
    return parts


def is_local(origin: str) -> bool:
    """The origin is of this machine: `localhost`, a name under it, or a loopback address."""
    return is_loopback(urlsplit(origin).hostname or "")


def is_loopback(host: str) -> bool:
    """The host name or address can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
