"""What the providers over aiohttp share."""

import pytest

from gateway.providers.http_provider import environment_proxy


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy of the URL's scheme is used, but not for hosts that the environment exempts."""
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "inside.test")
    urls = ["https://api.test/v1", "https://inside.test/v1"]
    assert [environment_proxy(url) for url in urls] == ["http://proxy.test:3128", None]
