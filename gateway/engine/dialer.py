"""One POST to a callback's receiver, behind a guard that sees every address before it is called.

A check of the URL or of its name is not enough: a literal address asks no resolver, and a name
may lead elsewhere a moment later. So the guard sits where the socket is made. Origins that the
operator named go through a session without it; the two share nothing.
"""

import errno
import socket
from ipaddress import ip_address
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from gateway.destinations import Destination, is_public
from gateway.webhooks import Answer, Silence

_TIMEOUT_S = 15.0
_MAX_ANSWER_BYTES = 20_000


class Dialer(Protocol):
    """Makes the POSTs of a notifier.

    Attributes:
        timeout_s: no POST takes longer.
    """

    timeout_s: float

    async def post(self, to: Destination, headers: dict[str, str], body: bytes) -> Answer | Silence:
        """POST once; what came back, or why nothing did. Raises nothing but cancellation.

        Cancelling closes the connection; whether the POST arrived is then unknown.
        """
        ...

    async def start(self) -> None:
        """Open what lives as long as the process. Call once, inside the loop."""
        ...

    async def stop(self) -> None:
        """Close it. Works unstarted and twice."""
        ...


class NotPublic(OSError):
    """A receiver's address is not one that a caller may name."""

    def __init__(self) -> None:
        # The same words for every address: a name with several is refused as one.
        super().__init__(errno.EACCES, "the address is not public")


class HttpDialer:
    """Dials over aiohttp: no redirects, proxies, cookies, DNS cache or kept connections."""

    def __init__(
        self,
        version: str,
        *,
        timeout_s: float = _TIMEOUT_S,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Prepare; `start` opens the sessions.

        Args:
            version: of the gateway, for the User-Agent.
            timeout_s: for one POST in all, its answer included.
            resolver: in place of the system's; closed by its owner.
        """
        # n8n's "Ignore bots" refuses a client's own name, and lets this form pass.
        self._agent = f"Mozilla/5.0 (compatible; ai-streaming-gateway/{version})"
        self.timeout_s = timeout_s
        self._resolver = resolver
        self._trusted: aiohttp.ClientSession | None = None
        self._guarded: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._trusted = self._session(None)
        self._guarded = self._session(guarded_socket)

    async def stop(self) -> None:
        for session in (self._trusted, self._guarded):
            if session is not None:
                await session.close()
        self._trusted = self._guarded = None

    async def post(self, to: Destination, headers: dict[str, str], body: bytes) -> Answer | Silence:
        session = self._trusted if to.trusted else self._guarded
        if session is None:
            raise AssertionError("a dialer is started before it dials")
        try:
            async with session.post(
                # Encoded already: a signature in the query must arrive byte for byte.
                URL(to.url, encoded=True),
                data=body,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
            ) as response:
                return await _read(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _silence(error)

    def _session(self, socket_factory: aiohttp.SocketFactoryType | None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            socket_factory=socket_factory,
            limit=0,
            # A kept connection may be closed by the receiver as the next POST is written:
            # nobody could tell whether that one arrived.
            force_close=True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=self.timeout_s, connect=self.timeout_s * 2 / 3),
            headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
        )


def guarded_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for one concrete address.

    Raises:
        NotPublic: it must not be called; no socket was made.
    """
    family, kind, protocol, _, place = address
    if family not in (socket.AF_INET, socket.AF_INET6) or not is_public(ip_address(place[0])):
        raise NotPublic
    return socket.socket(family=family, type=kind, proto=protocol)


async def _read(response: aiohttp.ClientResponse) -> Answer:
    # The status is the answer: a body that is late or torn does not take it back.
    body = b""
    try:
        while chunk := await response.content.read(_MAX_ANSWER_BYTES - len(body)):
            body += chunk
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    return Answer(
        status=response.status,
        content_type=response.content_type,
        retry_after=response.headers.get("Retry-After"),
        body=body,
    )


def _silence(error: Exception) -> Silence:
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.__cause__, NotPublic)
        return Silence.NOT_PUBLIC if refused else Silence.UNREACHABLE
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL):
        return Silence.UNREACHABLE
    if isinstance(error, TimeoutError):
        return Silence.TIMED_OUT
    return Silence.CUT
