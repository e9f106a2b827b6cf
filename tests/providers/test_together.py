"""Together does what every provider must, through its SDK."""

from gateway.providers.together import Together
from tests.providers.conformance import ProviderConformance


class TestTogether(ProviderConformance):
    def make(self, base_url: str, key: str) -> Together:
        return Together(key, base_url)
