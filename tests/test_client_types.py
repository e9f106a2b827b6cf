"""The browser's side knows the gateway's types as they are."""

from tests.client_types import sources


def test_the_browser_s_types_are_fresh() -> None:
    """After a change of the gateway's: python -m tests.client_types"""
    assert {file: file.read_text("utf-8") for file in sources()} == sources()
