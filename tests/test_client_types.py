"""The browser's client knows the gateway's types as they are."""

from tests.client_types import FILE, source


def test_the_client_s_types_are_fresh() -> None:
    """After a change of the gateway's: python -m tests.client_types"""
    assert FILE.read_text("utf-8") == source()
