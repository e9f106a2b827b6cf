"""Hosts and origins of this machine."""

import pytest

from gateway.origins import is_local, is_loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    """A name that merely begins like one, and an address of all interfaces, are not."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("origin", "local"),
    [
        ("http://localhost:3000", True),
        ("https://localhost", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:5173", True),
        ("http://localhost.evil.example", False),
        ("http://localhost@evil.example", False),
        ("http://evil.example/localhost", False),
        ("https://app.example.org", False),
        ("file://localhost", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin_is_local_by_its_host(origin: str, local: bool) -> None:
    """Nothing but the host counts, and only of an http or https origin."""
    assert is_local(origin) is local
