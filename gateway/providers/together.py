"""Together.ai through its official SDK, which builds the requests and knows the errors.

The SDK's own reading of a streamed answer costs 54 to 96 µs of CPU a chunk, ours 1 to 19 (see
bench/provider.py). So it is asked for the bare response, and the bytes are read from aiohttp,
on which it runs here: httpx's own pool slows down with the square of its open streams.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import httpx
import msgspec
import structlog
from together import (
    APIConnectionError,
    APIStatusError,
    AsyncStream,
    AsyncTogether,
    RequestOptions,
)

from gateway.errors import ProviderError
from gateway.messages import Request
from gateway.providers import Output
from gateway.providers.dialect import Translator, body
from gateway.providers.failures import UNREACHABLE, failure
from gateway.providers.http_provider import read, session_for
from gateway.retries import retry_after_s
from gateway.trace import Trace

_RESPONSE = "aiohttp_response"

# To ask again, and when to give up, is the worker's to decide. Said with each request, as are
# whole addresses, because the SDK takes longest over what it has to fill in: a third of its time.
_ONCE: RequestOptions = {"max_retries": 0, "timeout": None, "headers": {}}

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class Together:
    """The models of together.ai, or of a server that speaks like it."""

    name = "together"

    def __init__(self, api_key: str, base_url: str) -> None:
        """Keep what is needed to connect; nothing is opened before `start`.

        Args:
            base_url: with or without /v1.
        """
        self._api_key = api_key
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._client: AsyncTogether | None = None

    async def start(self) -> None:
        """Open the connection pool. Connections are made as they are needed."""
        self._client = AsyncTogether(
            api_key=self._api_key,
            base_url=self._base_url,
            http_client=_Client(session_for(self._base_url)),
            default_headers={"Accept-Encoding": "identity"},
        )

    async def stop(self) -> None:
        """Close the pool and every answer under way. Works unstarted and twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Ask once and yield the answer; see Provider.stream."""
        return read(self._answer(request, model), Translator())

    @asynccontextmanager
    async def _answer(self, request: Request, model: str) -> AsyncIterator[aiohttp.ClientResponse]:
        response = await self._post(_encode(body(request, model)), request.trace)
        try:
            yield response.extensions[_RESPONSE]
        finally:
            # Without it the provider goes on generating, and billing.
            await response.aclose()

    async def check(self) -> None:
        """Ask for the list of models, which needs a good key; see Provider.check."""
        try:
            response = await self._opened().get(
                f"{self._base_url}/v1/models", cast_to=httpx.Response, options=_ONCE
            )
        except (APIStatusError, APIConnectionError) as error:
            raise self._failure(error) from None
        await response.aclose()

    async def _post(self, content: bytes, trace: Trace | None) -> httpx.Response:
        """The response to a request for a streamed answer, its body unread."""
        try:
            response = await self._opened().post(
                f"{self._base_url}/v1/chat/completions",
                cast_to=httpx.Response,
                content=content,
                options={**_ONCE, "headers": trace.headers()} if trace else _ONCE,
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except (APIStatusError, APIConnectionError) as error:
            raise self._failure(error) from None
        # The SDK's types overlook that this `cast_to` asks for the response itself.
        return cast(httpx.Response, response)

    def _opened(self) -> AsyncTogether:
        if self._client is None:
            raise AssertionError("a provider is started before it is asked")
        return self._client

    def _failure(self, error: APIStatusError | APIConnectionError) -> ProviderError:
        """What the SDK's error means for the caller; the provider's words stay in the log."""
        if isinstance(error, APIConnectionError):
            _log.warning("provider_unreachable", provider=self.name, error=type(error).__name__)
            return ProviderError(UNREACHABLE, retryable=True)
        status = error.status_code
        _log.warning("provider_refused", provider=self.name, status=status)
        said = error.response.text.replace(self._api_key, "***")[:500]
        _log.debug("provider_said", provider=self.name, status=status, said=said)
        wait_s = retry_after_s(error.response.headers.get("Retry-After"), time.time())
        return failure(status, wait_s)


class _Client(httpx.AsyncClient):
    """Lets the SDK send over aiohttp, and hands out aiohttp's response.

    What httpx would do on the way, for redirects, cookies and credentials, is not wanted here,
    and would cost 70 µs a request; its layers over the reader, 8 µs for each chunk that comes
    alone.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Send over a session, which ends with this."""
        super().__init__(transport=httpx.AsyncBaseTransport(), trust_env=False)
        self._session = session

    def build_request(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        content: Any = None,
        headers: Any = None,
        **unused: Any,
    ) -> httpx.Request:
        """What the SDK says, and nothing of this client's own."""
        return httpx.Request(method, url, content=content, headers=headers)

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **unused: object
    ) -> httpx.Response:
        """Send, and return as soon as the headers are there; with the body unless `stream`.

        Raises:
            httpx.TransportError: there is no response.
        """
        try:
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
            )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except aiohttp.ClientError as error:
            raise httpx.ConnectError(str(error)) from error
        # The reader's bytes are decoded already, should a proxy have compressed them.
        headers = [pair for pair in response.raw_headers if pair[0].lower() != b"content-encoding"]
        answer = httpx.Response(
            response.status,
            headers=headers,
            stream=_Stream(response),
            extensions={_RESPONSE: response},
            request=request,
        )
        if not stream:
            await answer.aread()
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()
        await super().aclose()


class _Stream(httpx.AsyncByteStream):
    """The body as httpx reads it: for errors and whole answers."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except aiohttp.ClientError as error:
            raise httpx.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Free the connection; one that is not read to its end is closed."""
        self._response.release()
        await self._response.wait_for_close()
