"""Anthropic's provider does what every provider must, on a wire of its own."""

from gateway.providers.anthropic import Anthropic
from tests.providers.conformance import ProviderConformance


class TestAnthropic(ProviderConformance):
    path = "/v1/messages"

    def make(self, base_url: str, key: str) -> Anthropic:
        return Anthropic(key, base_url)
