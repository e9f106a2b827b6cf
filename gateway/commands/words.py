"""Words as they are typed: each gives the value that it stands for, or says what it must be.

What the configuration has a rule for is held to that rule; it is imported when such a word is
typed, so that help comes at once.
"""

import argparse
import math
import re
from typing import Any
from urllib.parse import urlsplit

from gateway.commands.times import Moment

# The gateway refuses a token that is good for longer.
MOST_HOURS = 366 * 24


def port(text: str) -> int:
    """A port, 0 for any."""
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a whole number from 0 to 65535")
    return int(text)


def hours(text: str) -> float:
    """How long a token is good for."""
    try:
        given = float(text)
    except ValueError:
        given = -1.0
    if not 0 < given <= MOST_HOURS:
        raise argparse.ArgumentTypeError(f"hours are a number above 0, at most {MOST_HOURS}")
    return given


def whole(text: str) -> int:
    """A number of things."""
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise argparse.ArgumentTypeError("a whole number from 0 to 999999")
    return int(text)


def count(text: str) -> int:
    """A number of things that are there."""
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not int(text):
        raise argparse.ArgumentTypeError("a whole number from 1 to 999999")
    return int(text)


def number(text: str) -> float:
    """A number that JSON has a word for."""
    try:
        given = float(text)
    except ValueError:
        given = math.nan
    if not math.isfinite(given):
        raise argparse.ArgumentTypeError("a number such as 0.7")
    return given


def cursor(text: str) -> str:
    """Where in a stream."""
    if not re.fullmatch(r"\d{1,9}-\d{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError("the id of an event looks like 1-57")
    return text


def request_id(text: str) -> str:
    """Which request."""
    from gateway.jobs import is_job_id

    if not is_job_id(text):
        raise argparse.ArgumentTypeError(
            "the id of a request looks like 20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
        )
    return text


def prompt(text: str) -> str:
    """What is asked."""
    if not text.strip():
        raise argparse.ArgumentTypeError("there is nothing to ask: it is empty")
    return text


def moment(text: str) -> Moment:
    """A time."""
    try:
        return Moment.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def program(text: str) -> str:
    """What is typed to run this, in a shell's script."""
    if not re.fullmatch(r"[\w./+-]+", text):
        raise argparse.ArgumentTypeError("the name of a program has no blanks in it")
    return text


def address(text: str) -> str:
    """Where a gateway is, without a slash at its end.

    Raises:
        ArgumentTypeError: no such form.
    """
    try:
        # What reads the port refuses what is none.
        good = re.fullmatch(r"https?://[^/?#@\s]+(/[^?#\s]*)?", text) and urlsplit(text).port != 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError("an address looks like https://gateway.example.org")
    return text.rstrip("/")


# -- by the rules of the configuration --------------------------------------------------------


def name(text: str) -> str:
    """What an app is called."""
    return str(_ruled("text", text, 100))


def line(text: str) -> str:
    """A name of something else."""
    return str(_ruled("text", text))


def host(text: str) -> str:
    """Where to listen."""
    return str(_ruled("host", text))


def rate(text: str) -> str:
    """How many requests in which time."""
    return str(_ruled("rate", text))


def tokens(text: str) -> int:
    """How long an answer may be."""
    return int(_ruled("whole", text, 1, 100_000_000))


def priority(text: str) -> int:
    """Who is first."""
    return int(_ruled("whole", text, 0, 9))


def _ruled(rule: str, text: str, *bounds: int) -> Any:
    from gateway import rules

    made: rules.Rule = getattr(rules, rule)(*bounds)
    try:
        return made.check(made.from_text(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {made.expected}") from None
