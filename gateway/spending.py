"""What answers cost, in millionths of a US dollar, and how much of that an app may spend."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache, reduce
from math import ceil
from typing import Annotated, Literal, NamedTuple

import msgspec

from gateway import rules
from gateway.catalog import Catalog, Model
from gateway.errors import UnknownModel
from gateway.events import Usage
from gateway.jobs import Job, Outcome

By = Literal["app", "user", "model", "day"]
Per = Literal["day", "month"]

MICROS = 1_000_000


def cost(usage: Usage | None, model: Model) -> int:
    """What an answer of that model cost, in millionths of a dollar, a part of one counted whole.

    0 where the model has no price.
    """
    if usage is None:
        return 0
    # A price is of a million tokens: so many millionths for each of them.
    exact = usage.prompt_tokens * (model.input_price or 0.0)
    exact += usage.completion_tokens * (model.output_price or 0.0)
    # What binary fractions add to a whole number is no part of it.
    return ceil(round(exact, 6))


def priced(job: Job, outcome: Outcome, catalog: Catalog) -> Outcome:
    """The outcome of a job with its cost, by the model that answered."""
    try:
        model = catalog.resolve(outcome.model or job.request.model)
    except UnknownModel:
        # It has left the catalog since the job was accepted.
        return outcome
    micros = cost(outcome.usage, model)
    return msgspec.structs.replace(outcome, cost=micros) if micros else outcome


class Spent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What some jobs took together: those of one app, user, model or day.

    Attributes:
        app: whose user `key` is, where it is one.
        cost: in millionths of a dollar.
    """

    key: str
    app: str = ""
    jobs: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0

    def plus(self, more: "Spent") -> "Spent":
        """Both together, as the first."""
        return Spent(
            key=self.key,
            app=self.app,
            jobs=self.jobs + more.jobs,
            prompt_tokens=self.prompt_tokens + more.prompt_tokens,
            completion_tokens=self.completion_tokens + more.completion_tokens,
            cost=self.cost + more.cost,
        )


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What an app may spend in a day or a month, by UTC.

    Attributes:
        soft: the part of it after which callers are warned.
    """

    usd: Annotated[float, rules.number(0.000001, 1e9, "a number of dollars")]
    per: Annotated[Per, rules.word(("day", "month"))] = "month"
    soft: Annotated[float, rules.number(0, 1)] = 0.8

    @property
    def micros(self) -> int:
        """All of it, in millionths of a dollar."""
        return round(self.usd * MICROS)

    def __str__(self) -> str:
        return f"${self.usd:,.2f} a {self.per}" if self.usd >= 1 else f"${self.usd:g} a {self.per}"


class Account(NamedTuple):
    """What sums are kept of: one for each day, and on it for each app, user and model.

    Attributes:
        user: "" for the jobs of no user.
        model: "" for those that no model answered.
    """

    day: str
    tenant: str
    user: str
    model: str

    def key(self, by: By) -> tuple[str, str]:
        """Whose sum it goes into, and the app where that is a user."""
        match by:
            case "app":
                return self.tenant, ""
            case "user":
                return self.user, self.tenant
            case "model":
                return self.model, ""
        return self.day, ""


def account_of(job: Job) -> Account:
    """Where the sums of an ended job go."""
    outcome = job.outcome
    if outcome is None or job.finished_at is None:
        raise AssertionError("only what has ended has a cost")
    return Account(
        day_of(job.finished_at),
        job.owner.tenant,
        job.owner.user or "",
        outcome.model or (job.request.model if outcome.usage else ""),
    )


def spent_by(job: Job) -> Spent:
    """What one ended job took."""
    usage, outcome = (job.outcome.usage if job.outcome else None), job.outcome
    return Spent(
        key="",
        jobs=1,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
        cost=outcome.cost if outcome else 0,
    )


def summed(key: str, app: str, parts: Iterable[Spent]) -> Spent:
    """All of them as one."""
    return reduce(Spent.plus, parts, Spent(key=key, app=app))


def day_of(now: float) -> str:
    """The day of a time, by UTC: 2026-11-21."""
    return _day(int(now // 86_400))


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).date().isoformat()


def first_day(per: Per, now: float) -> str:
    """The first day of the budget's time in which `now` is."""
    day = day_of(now)
    return day if per == "day" else f"{day[:7]}-01"


def anew_s(per: Per, now: float) -> float:
    """Seconds from `now` until the budget begins anew."""
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return midnight.timestamp() + 86_400 - now
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return midnight.replace(year=year, month=month + 1, day=1).timestamp() - now
