"""Depth of JSON, told without reading it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.nesting import DEEPEST, is_too_deep


@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_the_deepest_is_read_and_one_more_is_not(pair: tuple[bytes, bytes]) -> None:
    """Arrays and objects count alike, closed or not."""
    begin, end = pair
    assert not is_too_deep(begin * DEEPEST + b"1" + end * DEEPEST)
    assert is_too_deep(begin * (DEEPEST + 1) + b"1" + end * (DEEPEST + 1))
    assert is_too_deep(begin * 100_000)


def test_wide_is_not_deep() -> None:
    """However many there are beside each other."""
    assert not is_too_deep(json.dumps([[{}]] * 10_000).encode())


@given(st.text(alphabet='[{"\\a', max_size=50))
def test_brackets_in_texts_do_not_count(text: str) -> None:
    """Nor behind a quote that is escaped."""
    assert not is_too_deep(json.dumps([text] * 2_000).encode())


@pytest.mark.parametrize("inside", [b'\\"', b"\\", b'\\\\"', b"x", b"["])
def test_a_text_without_an_end_is_read_once(inside: bytes) -> None:
    """In a time that grows with the body: with its square, these would take hours."""
    assert not is_too_deep(b"[]" * DEEPEST + b'"' + inside * 400_000)
