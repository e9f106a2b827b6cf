"""Where a callback may go: the rules for a URL, and for each address behind it.

A URL is judged as text when a caller names it, and again before each attempt; the address it
leads to is judged when the socket is made (`is_public`), because a name may lead elsewhere by
then. A URL is never normalised on its way: its path and query reach the receiver byte for byte.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, Self

import msgspec

from gateway.errors import InvalidRequest

PUBLIC = "public"

_MOST_CHARACTERS = 4_096
_DEFAULT_PORT = {"http": 80, "https": 443}
# Plain ASCII only: what a client would fold to other characters is never taken for a name.
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_.-]+|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<tail>[/?#][\x21-\x5b\x5d-\x7e]*)?",
    re.ASCII | re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
# Some resolvers and clients read such a last label as part of an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")

# Public by their registry entry, yet never a stranger's server: relays and translators, which
# lead to any IPv4 address; protocol assignments; one cloud's metadata service.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "224.0.0.0/3")
)
_NOT_PUBLIC_6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# The only block from which addresses have been given out: mapped, compatible, NAT64, site-local
# and multicast forms all lie outside it.
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")


class Destination(NamedTuple):
    """Where one attempt goes.

    Attributes:
        url: what is called.
        origin: of the URL that the caller gave, for caps and logs.
        trusted: the operator named the origin, so its address may be a private one.
    """

    url: str
    origin: str
    trusted: bool


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The origins that callbacks may go to.

    Attributes:
        origins: those the operator named, in the form that `parse_origin` returns.
        public: any other public host too, by https on port 443.
        anywhere: any URL at all, for development.
    """

    origins: frozenset[str] = frozenset()
    public: bool = True
    anywhere: bool = False

    @classmethod
    def of(cls, entries: Iterable[str], *, dev_mode: bool = False) -> Self:
        """The policy that a list in the configuration means.

        A filled list is the whole list, and the word `public` in it stands for public https;
        an empty one means public https only, or in development everything.

        Raises:
            ValueError: an entry is neither that word nor an origin.
        """
        listed = set(entries)
        return cls(
            origins=frozenset(parse_origin(entry) for entry in listed - {PUBLIC}),
            public=not listed or PUBLIC in listed,
            anywhere=dev_mode and not listed,
        )


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int
    tail: str

    @property
    def origin(self) -> str:
        port = "" if self.port == _DEFAULT_PORT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def parse_origin(text: str) -> str:
    """The one way to write an origin: lower case, no default port, no path.

    Raises:
        ValueError: the text is no origin; the sentence says why.
    """
    try:
        place = _parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r} {error}") from None
    if place.tail not in ("", "/"):
        raise ValueError(f"{text!r} must be an origin such as https://n8n.example.com, no more")
    return place.origin


def check_url(url: str, policy: Policy, *, field: str = "resumeUrl") -> str:
    """The origin of a URL that callbacks may go to.

    Raises:
        InvalidRequest: they may not; `field` is named.
    """
    try:
        place = _parse(url)
        _check(place, policy)
    except ValueError as error:
        raise InvalidRequest(f"{field} {error}", field=field) from None
    return place.origin


def destination(url: str, policy: Policy, rewrites: Mapping[str, str]) -> Destination:
    """Where an attempt for `url` goes under the policy of this moment.

    Args:
        rewrites: from origins as callers name them to origins as this network does.

    Raises:
        InvalidRequest: nowhere.
    """
    origin = check_url(url, policy)
    trusted = policy.anywhere or origin in policy.origins or origin in rewrites
    return Destination(rewrite(url, rewrites), origin, trusted)


def rewrite(url: str, rewrites: Mapping[str, str]) -> str:
    """The URL at another origin where one is set for it; path and query byte for byte.

    Raises:
        ValueError: the text is no URL.
    """
    place = _parse(url)
    origin = rewrites.get(place.origin)
    return url if origin is None else origin + place.tail


@lru_cache(maxsize=1024)
def target(url: str) -> str:
    """What a URL calls, written in one way; a fragment is never sent.

    Raises:
        ValueError: the text is no URL.
    """
    place = _parse(url)
    tail = place.tail.partition("#")[0]
    return place.origin + (tail if tail.startswith("/") else f"/{tail}")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """The address belongs to a host on the open internet, and leads nowhere else."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _NOT_PUBLIC_4)
    return (
        address in _GLOBAL_UNICAST_6
        and address.is_global
        and address.scope_id is None
        and not any(address in block for block in _NOT_PUBLIC_6)
    )


# Each callback asks several times.
@lru_cache(maxsize=1024)
def _parse(url: str) -> _Place:
    match = _URL.fullmatch(url) if len(url) <= _MOST_CHARACTERS else None
    if match is None:
        raise ValueError(
            "must be an absolute http or https URL in ASCII, without a user name, "
            f"of at most {_MOST_CHARACTERS} characters"
        )
    scheme = match["scheme"].lower()
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 0 < port < 65_536:
        raise ValueError("must have a port from 1 to 65535")
    return _Place(scheme, _parse_host(match["host"].lower()), port, match["tail"] or "")


def _parse_host(host: str) -> str:
    address = _literal(host)
    if address is not None:
        return f"[{address}]" if address.version == 6 else str(address)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("must name its host plainly, without a dot at the end")
    return host


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    if not host.startswith("[") and not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        raise ValueError("must write an IP address in its usual form") from None


def _check(place: _Place, policy: Policy) -> None:
    if policy.anywhere or place.origin in policy.origins:
        return
    if not policy.public:
        raise ValueError("must have an origin that the configuration allows for callbacks")
    if place.scheme != "https" or place.port != _DEFAULT_PORT["https"]:
        raise ValueError("must be https on port 443, or have an origin that is allowed by name")
    if not _may_be_public(place.host):
        raise ValueError("must lead to a public host, or have an origin that is allowed by name")


def _may_be_public(host: str) -> bool:
    address = _literal(host)
    if address is not None:
        return is_public(address)
    return "." in host and not host.endswith(_LOCAL_NAMES)
