"""OpenAI's provider does what every provider must, over aiohttp alone."""

from gateway.providers.openai import OpenAI
from tests.providers.conformance import ProviderConformance


class TestOpenAI(ProviderConformance):
    def make(self, base_url: str, key: str) -> OpenAI:
        return OpenAI(key, base_url)
