"""A job's place in a trace: what callers say, and what is told to those who come next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trace import NEW, Trace, parse

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
JOB = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"


def test_the_standards_own_example_is_read() -> None:
    """Its header comes back from the span that it names, the state unread."""
    caller = parse(f"00-{TRACE}-{SPAN}-01", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert caller == Trace(
        trace_id=TRACE, span_id=SPAN, state="congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
    )
    assert caller.headers() == {
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7",
    }


def test_who_wants_no_record_gets_none() -> None:
    """The flag is the caller's, and is passed on."""
    caller = parse(f"00-{TRACE}-{SPAN}-00")
    assert caller.sampled is False
    assert caller.of_job(JOB).headers()["traceparent"].endswith("-00")


@pytest.mark.parametrize("flags", ["01", "03", "ff"])
def test_unknown_flags_are_not_passed_on(flags: str) -> None:
    """Only what this version knows."""
    assert parse(f"00-{TRACE}-{SPAN}-{flags}").headers()["traceparent"].endswith("-01")


def test_a_version_to_come_is_read_as_far_as_it_is_known() -> None:
    """As the standard asks."""
    assert parse(f"cc-{TRACE}-{SPAN}-01-what-may-come") == Trace(trace_id=TRACE, span_id=SPAN)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\r\nX: y",
    ],
)
def test_what_is_no_span_begins_a_trace(header: str | None) -> None:
    """A caller's mistake costs no trace."""
    assert parse(header, "a=b") == NEW


@pytest.mark.parametrize("state", ["", "a=b\r\nX: y", "a" * 513, "ä=b"])
def test_a_state_that_cannot_be_passed_on_is_left_out(state: str) -> None:
    """The span is good all the same."""
    assert parse(f"00-{TRACE}-{SPAN}-01", state) == Trace(trace_id=TRACE, span_id=SPAN)


def test_a_job_works_in_its_callers_trace() -> None:
    """Its span's id is in its request id, so that both are found by one."""
    job = parse(f"00-{TRACE}-{SPAN}-01").of_job(JOB)
    assert job == Trace(trace_id=TRACE, span_id="9c3b2a7a3a1f0d11", parent_id=SPAN)


def test_a_job_without_a_caller_begins_its_trace() -> None:
    """The trace is found by the request id, too."""
    assert NEW.of_job(JOB) == Trace(
        trace_id="0b9f6c1e8f0e4d559c3b2a7a3a1f0d11", span_id="9c3b2a7a3a1f0d11"
    )


def test_a_part_has_a_span_of_its_own() -> None:
    """The same name the same one, also in another process."""
    job = NEW.of_job(JOB)
    first, second = job.child("ask 1.1"), job.child("ask 1.2")
    assert (first.trace_id, first.parent_id) == (job.trace_id, job.span_id)
    assert first.span_id != second.span_id != job.span_id
    assert first == NEW.of_job(JOB).child("ask 1.1")


@given(st.text())
def test_no_header_does_harm(text: str) -> None:
    """Whatever comes, what goes on is a header."""
    headers = parse(text, text).of_job(JOB).headers()
    assert all(value.isascii() and value.isprintable() for value in headers.values())
