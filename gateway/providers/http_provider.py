"""A provider over aiohttp: its connections, its refusals, and the reading of what it streams.

What every wire shares: a provider's own file says what is sent, and what comes back means.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import structlog

from gateway.errors import ProviderError
from gateway.providers import Output
from gateway.providers.failures import BROKEN, UNREACHABLE, failure
from gateway.providers.translation import Translation
from gateway.retries import retry_after_s
from gateway.sse import Decoder, EventTooLarge
from gateway.trace import Trace

# Bytes of a refusal's body that are worth a log line.
_SAID_MOST_BYTES = 500
_CONNECT_S = 10.0
# Seconds that an answer's last bytes may take once it has said that it is whole.
_DRAIN_S = 0.25

_log = structlog.get_logger(__name__)


class HttpProvider:
    """The part of a provider that is the same on every wire; see Provider."""

    def __init__(self, name: str, base_url: str, api_key: str, headers: Mapping[str, str]) -> None:
        """Keep what is needed to connect; nothing is opened before `start`.

        Args:
            name: what the catalog calls it.
            base_url: with or without /v1.
            api_key: to be kept out of the log.
            headers: of every request.
        """
        self.name = name
        self._base_url = base_url.rstrip("/").removesuffix("/v1") + "/v1"
        self._api_key = api_key
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool. Connections are made as they are needed."""
        self._session = session_for(self._base_url, self._headers)

    async def stop(self) -> None:
        """Close the pool and every answer under way. Works unstarted and twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def check(self) -> None:
        """Ask for the list of models, which needs a good key; see Provider.check."""
        async with await self._send("GET", "/models"):
            pass

    @asynccontextmanager
    async def _post(
        self, path: str, content: bytes, trace: Trace | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request in JSON; leaving the block closes what is not read to its end.

        Raises:
            ProviderError: there is none, or it is a refusal.
        """
        more = {} if trace is None else trace.headers()
        async with await self._send("POST", path, content, **more) as response:
            yield response

    async def _send(
        self, method: str, path: str, content: bytes | None = None, **headers: str
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise AssertionError("a provider is started before it is asked")
        try:
            response = await self._session.request(
                method,
                f"{self._base_url}{path}",
                data=content,
                headers={"Content-Type": "application/json", **headers},
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            _log.warning("provider_unreachable", provider=self.name, error=type(error).__name__)
            raise ProviderError(UNREACHABLE, retryable=True) from None
        if response.status != 200:
            raise await self._refusal(response)
        return response

    async def _refusal(self, response: aiohttp.ClientResponse) -> ProviderError:
        """What the status means for the caller; the provider's words stay in the log."""
        status = response.status
        _log.warning("provider_refused", provider=self.name, status=status)
        async with response:
            with suppress(aiohttp.ClientError, OSError):
                said = (await response.content.read(_SAID_MOST_BYTES)).decode("utf-8", "replace")
                said = said.replace(self._api_key, "***")
                _log.debug("provider_said", provider=self.name, status=status, said=said)
        return failure(status, retry_after_s(response.headers.get("Retry-After"), time.time()))


def session_for(base_url: str, headers: Mapping[str, str] | None = None) -> aiohttp.ClientSession:
    """A pool of connections to one provider; to be made inside the loop, and closed."""
    return aiohttp.ClientSession(
        # Without a limit: how many may run at once is the workers' to say.
        connector=aiohttp.TCPConnector(limit=0),
        # For the connection alone: how long an answer may take is theirs to say, too.
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=environment_proxy(base_url),
    )


def environment_proxy(url: str) -> str | None:
    """The proxy that the process's environment names for requests to `url`.

    Looked up once: aiohttp's `trust_env` would hand each request to a thread for it.
    """
    parts = urlsplit(url)
    bypassed = proxy_bypass(parts.hostname or "")
    return None if bypassed else getproxies().get(parts.scheme)


async def read(
    answer: AbstractAsyncContextManager[aiohttp.ClientResponse], translation: Translation
) -> AsyncGenerator[list[Output], None]:
    """The events of one streamed answer, open only while they are read; see Provider.stream.

    What comes while the caller looks elsewhere gathers in the socket, and is read in one go.

    Raises:
        ProviderError: the stream broke off, ended early, reported an error, or is not JSON.
    """
    decoder = Decoder()
    async with answer as response:
        content = response.content
        try:
            while not translation.done and (chunk := await content.readany()):
                outputs: list[Output] = []
                translation.at_work = False
                try:
                    for data in decoder.data(chunk):
                        if (delta := translation.feed(data)) is not None:
                            outputs.append(delta)
                except ProviderError:
                    # What came before the failure was said.
                    if outputs:
                        yield outputs
                    raise
                if outputs:
                    # None once the answer is whole: the connection may have another by now.
                    connection = response.connection
                    transport = connection.transport if connection is not None else None
                    if transport is not None:
                        transport.pause_reading()
                    yield outputs
                    if transport is not None:
                        transport.resume_reading()
                elif translation.at_work and not translation.done:
                    yield outputs
        except (aiohttp.ClientError, OSError, EventTooLarge) as error:
            _log.warning("provider_stream_broke", error=type(error).__name__)
            raise ProviderError(BROKEN, retryable=True) from None
        left = translation.end()
        if not content.at_eof():
            await _drain(content)
        yield left


async def _drain(content: aiohttp.StreamReader) -> None:
    """Read to the end: only then can the connection carry another request."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_DRAIN_S):
            while await content.readany():
                pass
