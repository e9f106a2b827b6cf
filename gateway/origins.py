"""Which hosts and web origins can only mean this machine."""

import ipaddress
import re

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:\d{1,5})?", re.ASCII | re.IGNORECASE)


def is_local(origin: str) -> bool:
    """A page of that origin is served by this machine: `http://localhost:3000` is one."""
    match = _ORIGIN.fullmatch(origin)
    return match is not None and is_loopback(match[1].strip("[]"))


def is_loopback(host: str) -> bool:
    """The host is `localhost`, a name under it, or a loopback address."""
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
