"""Lines of the log go out whatever becomes of their reader, and hold nobody up."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

import pytest

from gateway.lines import Lines, LinesBehind


def line(number: int) -> bytes:
    return json.dumps({"event": "said", "number": number, "text": "x" * 200}).encode()


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The two ends of a pipe: to read from, and to write to."""
    ends = os.pipe()
    out, into = os.fdopen(ends[0], "rb"), os.fdopen(ends[1], "wb")
    yield out, into
    out.close()
    with suppress(BrokenPipeError):
        into.close()


def read_on(out: BinaryIO) -> list[Any]:
    return [json.loads(each) for each in out]


def test_what_is_left_is_written_at_the_end() -> None:
    """In order and whole, though no moment has passed."""
    out = BytesIO()
    lines = LinesBehind(out, behind_s=3600)
    for number in range(2500):
        lines.info(line(number))
    lines.close()
    assert out.getvalue() == b"".join(line(number) + b"\n" for number in range(2500))


def test_lines_go_out_a_moment_later(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    """Nobody has to end for that."""
    out, into = pipe
    lines = LinesBehind(into, behind_s=0.001)
    lines.warning(line(1))
    assert json.loads(out.readline())["number"] == 1
    lines.close()


def test_a_reader_that_hangs_holds_nobody_up(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    """What it has not read is kept up to a bound; the lines beyond are counted, and told of."""
    out, into = pipe
    lines = LinesBehind(into, behind_s=0.001, most=1000)
    for number in range(50_000):
        lines.info(line(number))
    found: list[Any] = []
    reading = threading.Thread(target=lambda: found.extend(read_on(out)))
    reading.start()
    lines.close(grace_s=10)
    into.close()
    reading.join()
    numbers = [each["number"] for each in found if each["event"] == "said"]
    lost = [each["lines"] for each in found if each["event"] == "log_lines_lost"]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    assert lost
    assert len(numbers) + sum(lost) == 50_000


def test_an_end_waits_for_no_reader(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    """A process ends all the same, with the lines that nobody takes."""
    out, into = pipe
    lines = LinesBehind(into, behind_s=0.001)
    for number in range(5000):
        lines.info(line(number))
    lines.close(grace_s=0.05)
    # Its thread, which is still at it, comes to its end now.
    reading = threading.Thread(target=read_on, args=(out,))
    reading.start()
    lines.close(grace_s=10)
    into.close()
    reading.join()


@pytest.mark.parametrize("kind", [Lines, LinesBehind])
def test_a_reader_who_left_fails_nothing(
    kind: type[Lines], pipe: tuple[BinaryIO, BinaryIO]
) -> None:
    """Nor does a stream that is closed."""
    out, into = pipe
    lines = kind(into)
    out.close()
    for number in range(5000):
        lines.error(line(number))
    with suppress(BrokenPipeError):
        into.close()
    lines.error(line(1))
    if isinstance(lines, LinesBehind):
        lines.close()
