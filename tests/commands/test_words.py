"""Words as they are typed, and the values that they stand for."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

import pytest

from gateway.commands import words
from gateway.commands.times import Moment

ID = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"


@pytest.mark.parametrize(
    ("word", "text", "value"),
    [
        (words.port, "0", 0),
        (words.hours, "0.5", 0.5),
        (words.whole, "0", 0),
        (words.count, "999999", 999_999),
        (words.number, "-.7", -0.7),
        (words.cursor, "1-57", "1-57"),
        (words.request_id, ID, ID),
        (words.prompt, " why\n", " why\n"),
        (words.program, "./run.py", "./run.py"),
        (words.address, "https://example.org/gateway/", "https://example.org/gateway"),
        (words.address, "http://[::1]:5000", "http://[::1]:5000"),
        (words.name, " Żółć ", "Żółć"),
        (words.line, "quiz", "quiz"),
        (words.host, "::1", "::1"),
        (words.rate, "5 per Minute", "5/minute"),
        (words.tokens, "100000000", 100_000_000),
        (words.priority, "0", 0),
    ],
)
def test_a_word_stands_for_a_value(word: Callable[[str], Any], text: str, value: Any) -> None:
    """Whatever form it is typed in."""
    assert word(text) == value


@pytest.mark.parametrize(
    ("word", "text", "said"),
    [
        (words.port, "٣", "a port is a whole number from 0 to 65535"),
        (words.hours, "inf", "hours are a number above 0, at most 8784"),
        (words.whole, "-1", "a whole number from 0 to 999999"),
        (words.count, "0", "a whole number from 1 to 999999"),
        (words.number, "1e999", "a number such as 0.7"),
        (words.cursor, "57", "the id of an event looks like 1-57"),
        (words.request_id, "../health", f"the id of a request looks like {ID}"),
        (words.prompt, " \n", "there is nothing to ask: it is empty"),
        (words.program, "rm -r", "the name of a program has no blanks in it"),
        (words.address, "http://a:0", "an address looks like https://gateway.example.org"),
        (words.address, "http://[::1", "an address looks like https://gateway.example.org"),
        (words.name, "", "expected a text of one line, at most 100 characters"),
        (words.priority, "1.0", "expected a whole number from 0 to 9"),
    ],
)
def test_what_is_no_such_word_is_told_how_one_looks(
    word: Callable[[str], Any], text: str, said: str
) -> None:
    """In a sentence for whoever typed it."""
    with pytest.raises(ArgumentTypeError) as caught:
        word(text)
    assert str(caught.value) == said


def test_a_moment_is_a_time_or_so_long_ago() -> None:
    """A time without a zone is this machine's; what no clock can show is none."""
    assert words.moment("90m").epoch(10_000.0) == 4600.0
    assert words.moment("2w") == Moment(1_209_600, is_ago=True)
    assert words.moment("1970-01-02T00:00+00:00").epoch(10_000.0) == 86_400.0
    for text in ("", "soon", "5y", "1234567d", "2026-13-01", "0001-01-01"):
        with pytest.raises(ArgumentTypeError, match=f"^'{text}' is no time. Such are 2026-11-20,"):
            words.moment(text)
