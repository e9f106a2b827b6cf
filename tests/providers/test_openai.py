"""OpenAI's provider does what every provider must, and so do those that speak like it."""

from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.providers.openai import OpenAI
from tests.providers.conformance import ProviderConformance


class TestOpenAI(ProviderConformance):
    def make(self, base_url: str, key: str) -> OpenAI:
        return OpenAI(key, base_url)


class TestGroq(ProviderConformance):
    def make(self, base_url: str, key: str) -> OpenAI:
        return OpenAI(key, base_url, name="groq")


async def test_a_server_may_live_below_a_path() -> None:
    """Groq's wire begins at /openai/v1; whatever comes before /v1 is kept."""
    asked: list[str] = []

    async def models(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"object": "list", "data": []})

    app = web.Application()
    app.router.add_get("/{path:.*}", models)
    async with TestServer(app) as server:
        for base_url in ("/openai", "/openai/v1/", ""):
            provider = OpenAI("key", str(server.make_url(base_url)))
            await provider.start()
            await provider.check()
            await provider.stop()
    assert asked == ["/openai/v1/models", "/openai/v1/models", "/v1/models"]
