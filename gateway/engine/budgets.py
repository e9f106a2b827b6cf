"""What each app has spent of its budget: known in memory, so that a request costs no look-up.

The sums are the store's: after a restart they are read from there.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

import structlog
from msgspec.structs import replace

from gateway.catalog import Catalog
from gateway.engine.run import estimated_usage
from gateway.errors import OverBudget
from gateway.events import Usage
from gateway.jobs import Job
from gateway.spending import MICROS, Per, anew_s, cost, first_day
from gateway.stores import Store
from gateway.tenants import Tenant

log = structlog.get_logger(__name__)

# Newer answers count a tenth; what is assumed before the first.
_EWMA = 0.1
_ANSWER_TOKENS = 200.0
# When what is under way may be over, seconds.
_AGAIN_S = 5.0
# Later than every day.
_EVER = "9"


class Budgets:
    """What every app has spent this day and this month.

    A job counts when it ends, with what it cost; until then, with what it may. What runs when the
    budget is spent is still answered.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        """Count nothing before `start`.

        Args:
            now: UTC, seconds since the epoch.
        """
        self._store = store
        self._now = now
        # By the first day of each: what is of another day or month is not looked at any more.
        self._spent: dict[Per, tuple[str, Counter[str]]] = {}
        # What the jobs that have not ended may cost: each with its app's name, and for each app.
        self._running: dict[str, tuple[str, int]] = {}
        self._reserved: Counter[str] = Counter()
        # How long the answers of each app are, about.
        self._answer_tokens: dict[str, float] = {}

    async def start(self) -> None:
        """Learn what has been spent before.

        Raises:
            StoreUnavailable: nothing is known.
        """
        now = self._now()
        for per in get_args(Per):
            first = first_day(per, now)
            rows = await self._store.spent("app", first, _EVER)
            self._spent[per] = (first, Counter({row.key: row.cost for row in rows}))

    def spent(self, tenant: Tenant) -> int:
        """What it has spent of its budget, in millionths of a dollar."""
        return 0 if tenant.budget is None else self._of(tenant.budget.per)[tenant.name]

    def _of(self, per: Per) -> Counter[str]:
        first = first_day(per, self._now())
        known, sums = self._spent.get(per, ("", Counter()))
        if known != first:
            sums = Counter()
            self._spent[per] = (first, sums)
        return sums

    def reserve(self, job: Job, tenant: Tenant, catalog: Catalog) -> None:
        """Refuse where everything is spent, or will be by what runs; else count the job among that.

        Until it has ended, a job counts as what those of its app cost of late would for its
        prompt: a burst of requests goes beyond the budget by little more than one of them.

        Raises:
            OverBudget: with the time after which there is more.
        """
        budget = tenant.budget
        if budget is None:
            return
        left = budget.micros - self.spent(tenant)
        if left <= 0:
            raise OverBudget(
                f"The budget of {budget} is spent. It begins anew with the next {budget.per}.",
                retryable=True,
                retry_after_s=anew_s(budget.per, self._now()),
            )
        if left <= self._reserved[tenant.name]:
            raise OverBudget(
                f"What is under way may spend the rest of the budget of {budget}.",
                retryable=True,
                retry_after_s=_AGAIN_S,
            )
        expected = cost(self._expected(job), catalog.resolve(job.request.model))
        self._running[job.id] = (tenant.name, expected)
        self._reserved[tenant.name] += expected

    def release(self, job_id: str) -> None:
        """The job is over, or was not made after all. Works twice."""
        tenant, expected = self._running.pop(job_id, ("", 0))
        if expected:
            self._reserved[tenant] -= expected

    def _expected(self, job: Job) -> Usage:
        answer = self._answer_tokens.get(job.owner.tenant, _ANSWER_TOKENS)
        most = job.request.max_tokens
        tokens = round(answer if most is None else min(answer, most))
        return replace(estimated_usage(job, ""), completion_tokens=tokens)

    def shares(self, tenants: Iterable[Tenant]) -> dict[str, float]:
        """Which part of its budget each of them has spent that has one."""
        return {
            tenant.name: self.spent(tenant) / tenant.budget.micros
            for tenant in tenants
            if tenant.budget is not None
        }

    def warning(self, tenant: Tenant) -> str | None:
        """A sentence for callers where most of the budget is spent."""
        budget, spent = tenant.budget, self.spent(tenant)
        if budget is None or spent < budget.soft * budget.micros:
            return None
        return f"{min(100, spent * 100 // budget.micros)}% of {budget} is spent."

    def add(self, job: Job, tenant: Tenant | None) -> None:
        """Count what an ended job cost; say so where that crosses a line.

        Args:
            tenant: whose it was; None where that has left the configuration.
        """
        self.release(job.id)
        outcome = job.outcome
        if outcome is None or not outcome.cost:
            return
        if outcome.usage is not None:
            self._learn(job.owner.tenant, outcome.usage.completion_tokens)
        for per in get_args(Per):
            self._of(per)[job.owner.tenant] += outcome.cost
        if tenant is not None and tenant.budget is not None:
            self._tell(tenant, outcome.cost)

    def _learn(self, tenant: str, answer_tokens: int) -> None:
        old = self._answer_tokens.get(tenant, float(answer_tokens))
        self._answer_tokens[tenant] = old + _EWMA * (answer_tokens - old)

    def _tell(self, tenant: Tenant, added: int) -> None:
        budget, after = tenant.budget, self.spent(tenant)
        if budget is None:
            return
        before = after - added
        for event, line in (
            ("budget_spent", budget.micros),
            ("budget_nearly_spent", budget.soft * budget.micros),
        ):
            if before < line <= after:
                log.warning(
                    event,
                    app=tenant.name,
                    spent_usd=after / MICROS,
                    budget_usd=budget.usd,
                    per=budget.per,
                )
                return
