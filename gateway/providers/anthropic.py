"""Anthropic, straight over aiohttp.

What is sent is anthropic_request.py's, what comes back anthropic_answer.py's.
"""

from collections.abc import AsyncGenerator

import msgspec

from gateway.messages import Request
from gateway.providers import Output
from gateway.providers.anthropic_answer import Translator
from gateway.providers.anthropic_request import body
from gateway.providers.http_provider import HttpProvider, read

# Not the one of 2026-10-21: that takes no `temperature`, from no model.
_VERSION = "2023-06-01"

_encode = msgspec.json.Encoder().encode


class Anthropic(HttpProvider):
    """The models of Anthropic, or of a server that speaks its wire."""

    def __init__(self, api_key: str, base_url: str) -> None:
        """As every provider over aiohttp."""
        headers = {"x-api-key": api_key, "anthropic-version": _VERSION}
        super().__init__("anthropic", base_url, api_key, headers)

    def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        """Ask once and yield the answer; see Provider.stream."""
        content = _encode(body(request, model))
        return read(self._post("/messages", content, request.trace), Translator())
