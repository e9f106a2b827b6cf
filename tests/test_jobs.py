"""The state table, held over every walk through it."""

from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import Cancelled, Completed, Expired, Failed, Terminal
from gateway.jobs import (
    MOVES,
    IllegalMove,
    Job,
    Outcome,
    Owner,
    State,
    finish,
    is_job_id,
    move,
    new_job_id,
)
from gateway.messages import Message, Request

ID = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
NEW = Job(
    id=ID,
    owner=Owner(tenant="acme"),
    door="ask",
    request=Request(messages=(Message(role="user", content="hi"),), model="m"),
    created_at=1.0,
    expires_at=901.0,
)
ENDS: list[tuple[Terminal, State]] = [
    (Completed(), State.COMPLETED),
    (Failed(code="TIMEOUT", message="late"), State.ERROR),
    (Cancelled(), State.CANCELLED),
    (Expired(), State.EXPIRED),
]


@given(st.lists(st.sampled_from(State), max_size=12))
def test_every_walk_obeys_the_table(wishes: list[State]) -> None:
    """A move is made whole if the table has it, and refused if not; a final state is final."""
    job, claims = NEW, 0
    for now, wish in enumerate(wishes, start=2):
        if wish not in MOVES[job.state]:
            with pytest.raises(IllegalMove, match=f"from {job.state} to {wish}"):
                move(job, wish, now)
            continue
        was_final = job.state.final
        job = move(job, wish, now)
        claims += wish is State.PROCESSING
        assert not was_final
        assert (job.state, job.attempt) == (wish, claims)
        assert job.finished_at == (now if job.state.final else None)
        if wish in (State.PROCESSING, State.QUEUED):
            assert job.claimed_at == (now if wish is State.PROCESSING else None)
    kept = {"state", "attempt", "claimed_at", "finished_at"}
    assert {
        name for name in NEW.__struct_fields__ if getattr(job, name) != getattr(NEW, name)
    } <= kept


def test_the_final_states() -> None:
    """Four states are final; from the two others, each of the four can be reached or is far."""
    assert [state for state in State if state.final] == [state for _, state in ENDS]
    assert MOVES[State.QUEUED] == {
        State.PROCESSING, State.ERROR, State.CANCELLED, State.EXPIRED
    }  # fmt: skip
    assert MOVES[State.PROCESSING] == set(State) - {State.PROCESSING}


@pytest.mark.parametrize(("terminal", "state"), ENDS)
def test_a_terminal_event_decides_the_state(terminal: Terminal, state: State) -> None:
    """A job ends once, in the state that its last event means."""
    outcome = Outcome(terminal=terminal, answer="so far")
    running = move(NEW, State.PROCESSING, 2.0)
    ended = finish(running, outcome, 3.0)
    assert ended == msgspec.structs.replace(running, state=state, finished_at=3.0, outcome=outcome)
    with pytest.raises(IllegalMove):
        finish(ended, outcome, 4.0)


def test_a_job_that_never_ran_cannot_be_complete() -> None:
    """An answer needs a worker."""
    with pytest.raises(IllegalMove):
        finish(NEW, Outcome(terminal=Completed()), 2.0)


def test_a_job_survives_its_storage() -> None:
    """A job with everything set is read back as it was."""
    job = finish(
        msgspec.structs.replace(NEW, state=State.PROCESSING, context={"chat": [1, None]}),
        Outcome(terminal=Failed(code="TIMEOUT", message="late", retryable=True), answer="żółć"),
        3.0,
    )
    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job


def test_a_new_id_tells_its_time() -> None:
    """An id is the second of its making, in UTC, and a random UUID."""
    moments = (1795214640.9, 1795214641.0, 1795214640.0, 1795218299.9)
    made = [new_job_id(now, lambda: "0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11") for now in moments]
    assert made == [
        f"20261120T{at}Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
        for at in ("224400", "224401", "224400", "234459")
    ]


@given(st.floats(min_value=0, max_value=253402300799))
def test_what_is_made_is_an_id(now: float) -> None:
    """Every id that is given out is known as one."""
    assert is_job_id(new_job_id(now, lambda: str(uuid4())))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID + "\n",
        " " + ID,
        ID.upper(),
        ID.replace("-4d55", "-1d55"),
        ID.replace("-9c3b", "-7c3b"),
        ID.replace("2026", "٢٠٢٦"),
        ID.replace("Z", ""),
        ID[:-1],
        "../" + ID[3:],
    ],
)
def test_another_shape_is_no_id(text: str) -> None:
    """What cannot be an id is never looked up."""
    assert not is_job_id(text)
