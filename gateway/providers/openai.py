"""OpenAI, and every server that speaks its wire, straight over aiohttp.

Groq and local servers are this file with another base URL. The dialect is dialect.py's.
"""

from collections.abc import AsyncGenerator

import msgspec

from gateway.messages import Request
from gateway.providers import Output
from gateway.providers.dialect import Translator, body
from gateway.providers.http_provider import HttpProvider, read

_encode = msgspec.json.Encoder().encode


class OpenAI(HttpProvider):
    """The models of one server that speaks OpenAI's wire."""

    def __init__(self, api_key: str, base_url: str, name: str = "openai") -> None:
        """As every provider over aiohttp."""
        super().__init__(name, base_url, api_key, {"Authorization": f"Bearer {api_key}"})

    def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Ask once and yield the answer; see Provider.stream."""
        content = _encode(body(request, model))
        return read(self._post("/chat/completions", content, request.trace), Translator())
