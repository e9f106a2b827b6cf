"""What answers cost, and when a budget begins anew."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.catalog import Catalog, Model
from gateway.events import Completed, Usage
from gateway.jobs import Job, Outcome, Owner
from gateway.messages import Request
from gateway.spending import Budget, anew_s, cost, day_of, first_day, priced


def model_at(input_price: float | None, output_price: float | None) -> Model:
    return Model(
        name="m",
        provider="openai",
        upstream="m",
        input_price=input_price,
        output_price=output_price,
    )


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("prompt", "completion", "prices", "micros"),
    [
        (1_000_000, 0, (2.5, 10.0), 2_500_000),
        (0, 1_000_000, (2.5, 10.0), 10_000_000),
        (1000, 500, (0.15, 0.6), 450),
        (10, 0, (0.1, 0.1), 1),
        (30, 0, (0.1, 0.1), 3),
        (1, 0, (0.18, 0.18), 1),
        (0, 0, (2.5, 10.0), 0),
        (1000, 500, (None, None), 0),
        (1000, 500, (None, 2.0), 1000),
    ],
)
def test_an_answer_costs_its_tokens(
    prompt: int, completion: int, prices: tuple[float | None, float | None], micros: int
) -> None:
    """Read and written tokens have prices of their own; a part of a millionth is a whole one."""
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    assert cost(usage, model_at(*prices)) == micros


def test_nothing_said_costs_nothing() -> None:
    """A job that no model answered is free."""
    assert cost(None, model_at(2.5, 10.0)) == 0


@given(
    st.integers(0, 10**7), st.integers(0, 10**7), st.sampled_from([0.05, 0.1, 0.18, 0.59, 2.5, 75])
)
def test_the_cost_is_never_below_the_price(prompt: int, completion: int, price: float) -> None:
    """A budget is not overdrawn by rounding, nor spent by more than a millionth a job."""
    got = cost(Usage(prompt_tokens=prompt, completion_tokens=completion), model_at(price, price))
    exact = (prompt + completion) * price
    assert exact - 0.001 <= got <= exact + 1


@pytest.mark.parametrize(
    ("per", "now", "first", "anew"),
    [
        ("day", "2026-11-21T13:00:00", "2026-11-21", "2026-11-22T00:00:00"),
        ("month", "2026-11-21T13:00:00", "2026-11-01", "2026-12-01T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01T00:00:00"),
        ("month", "2028-02-29T00:00:00", "2028-02-01", "2028-03-01T00:00:00"),
        ("day", "2026-12-31T23:59:59", "2026-12-31", "2027-01-01T00:00:00"),
        ("day", "2027-01-01T00:00:00", "2027-01-01", "2027-01-02T00:00:00"),
    ],
)
def test_a_budget_begins_anew_with_its_day_or_month(
    per: str, now: str, first: str, anew: str
) -> None:
    """Days and months are UTC's, over the year's end and leap days."""
    kind = Budget(usd=1, per=per).per  # type: ignore[arg-type]
    assert first_day(kind, at(now)) == first
    assert at(now) + anew_s(kind, at(now)) == at(anew)


def test_a_day_is_utcs() -> None:
    """The sums of a job are those of the day on which it ended, by UTC."""
    assert day_of(at("2026-11-21T23:59:59")) == "2026-11-21"


@pytest.mark.parametrize(
    ("budget", "text", "micros"),
    [
        (Budget(usd=1234.5), "$1,234.50 a month", 1_234_500_000),
        (Budget(usd=0.002, per="day"), "$0.002 a day", 2000),
    ],
)
def test_a_budget_reads_as_a_sentence_does(budget: Budget, text: str, micros: int) -> None:
    """A refusal tells its caller what the budget is."""
    assert (str(budget), budget.micros) == (text, micros)


JOB = Job(
    id="20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    owner=Owner(tenant="acme"),
    door="ask",
    request=Request(messages=(), model="asked"),
    created_at=0.0,
    expires_at=900.0,
)
USAGE = Usage(prompt_tokens=1000, completion_tokens=100)


@pytest.mark.parametrize(
    ("outcome", "micros"),
    [
        (Outcome(terminal=Completed(), model="answered", usage=USAGE), 1200),
        (Outcome(terminal=Completed(), usage=USAGE), 11_000),
        (Outcome(terminal=Completed(), model="gone", usage=USAGE), 0),
        (Outcome(terminal=Completed(), model="answered"), 0),
    ],
)
def test_an_outcome_has_the_price_of_the_model_that_answered(outcome: Outcome, micros: int) -> None:
    """Where none did, tokens that were lost are those of the model that was asked."""
    models = {
        "answered": Model(
            name="answered", provider="openai", upstream="x", input_price=1, output_price=2
        ),
        "asked": Model(
            name="asked", provider="openai", upstream="y", input_price=10, output_price=10
        ),
    }
    assert priced(JOB, outcome, Catalog(models)) == replace(outcome, cost=micros)
