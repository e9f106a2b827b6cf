"""Each row of the benchmark does its work whole, on both servers; figures are for people."""

import io

import pytest
from rich.console import Console

from bench.__main__ import ROWS, measure
from bench.machine import cores
from bench.proof import Incomplete, Proof
from bench.report import Report, Rounds
from bench.row import Line, Row
from bench.size import TINY

_SCRIPT = "lorem?tokens=2"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_row_is_measured_on_both_servers(row: Row) -> None:
    """One run gives every line of the row a figure, beside the bare server's."""
    rounds = await measure(row, TINY, cores())
    assert (len(rounds.gateway), len(rounds.bare)) == (1, 1)
    for figures in (*rounds.gateway, *rounds.bare):
        assert {line.key for line in row.lines} <= set(figures)


def test_rows_are_told_apart_by_their_names() -> None:
    """A name on the command line means one row."""
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_a_report_shows_medians_spread_and_the_ratio_of_each_round() -> None:
    """The ratio is taken round by round: what disturbs a round disturbs both servers."""
    row = Row("work", (Line("it", "some work", "µs", "≤ 2 ×"),), measure=_unused)
    gateway = [{"it": 2.0}, {"it": 8.0}, {"it": 3.0}]
    bare = [{"it": 1.0}, {"it": 4.0}, {"it": 3.0}]
    shown = io.StringIO()
    Report(Console(file=shown, width=144)).add(Rounds(row, gateway, bare, {}))
    *_, line, _ = shown.getvalue().splitlines()
    want = "some work µs 3.00 (2.00–8.00) 3.00 (1.00–4.00) 2.00 (1.00–2.00) ≤ 2 ×"
    assert line.split() == want.split()


async def _unused(target: object, size: object) -> dict[str, float]:
    raise AssertionError("a report measures nothing")


def _stream(*events: str) -> list[bytes]:
    body = "".join(events).encode()
    return [b"HTTP/1.1 200 OK\r\n\r\n", b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n"]


_THIS, _TEXT = "id: 1-3\ndata: This\n\n", "id: 1-4\ndata:  text\n\n"
_DONE = "id: 1-6\ndata: [DONE]\n\n"


def test_a_whole_stream_is_good() -> None:
    """The text in order, with growing ids, and the stream's end."""
    Proof(_SCRIPT).check(_stream(":\nretry: 1000\n", _THIS, _TEXT, _DONE))


@pytest.mark.parametrize(
    "pieces",
    [
        _stream(_THIS, _DONE),
        _stream(_THIS, _TEXT),
        _stream(_TEXT, _THIS, _DONE),
        _stream(_THIS, _THIS, _TEXT, _DONE),
        _stream(_THIS, _TEXT, _DONE)[:-1],
        [b"HTTP/1.1 503 Service Unavailable\r\n\r\n"],
    ],
    ids=["a token lost", "no end", "out of order", "a token twice", "broken off", "refused"],
)
def test_a_stream_that_is_not_whole_is_found(pieces: list[bytes]) -> None:
    """No figure is made of an answer that did not arrive."""
    with pytest.raises(Incomplete):
        Proof(_SCRIPT).check(pieces)
