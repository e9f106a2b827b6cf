"""Characters in two halves."""

import pytest

from gateway.providers.surrogates import join, meet


@pytest.mark.parametrize(
    ("text", "want"),
    [("", ""), ("né🙂", "né🙂"), ("\ud83d\ude42", "🙂"), ("\ud83dx\ude42", "\ufffdx\ufffd")],
)
def test_pairs_are_joined(text: str, want: str) -> None:
    """A pair is the character that it means, a lone half U+FFFD."""
    assert join(text) == want


@pytest.mark.parametrize(
    ("half", "text", "want"),
    [
        ("", "é", ("é", "")),
        ("", "a\ud83d", ("a", "\ud83d")),
        ("\ud83d", "\ude42b", ("🙂b", "")),
        ("\ud83d", "\ud83d", ("\ufffd", "\ud83d")),
        ("", "\ud83d", ("", "\ud83d")),
    ],
)
def test_halves_wait_for_each_other(half: str, text: str, want: tuple[str, str]) -> None:
    """A high half at the end waits; one that waited joins what follows."""
    assert meet(half, text) == want
