"""What each app has spent of its budget: known in memory, so that a request costs no look-up.

The sums are the store's: after a restart they are read from there.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

import structlog

from gateway.errors import OverBudget
from gateway.jobs import Job
from gateway.spending import MICROS, Per, anew_s, first_day
from gateway.stores import Store
from gateway.tenants import Tenant

log = structlog.get_logger(__name__)

# Later than every day.
_EVER = "9"


class Budgets:
    """What every app has spent this day and this month.

    A job counts when it ends: what runs when the budget is spent is still answered.
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

    def check(self, tenant: Tenant) -> None:
        """Refuse where everything is spent.

        Raises:
            OverBudget: with the time after which there is more.
        """
        budget = tenant.budget
        if budget is not None and self.spent(tenant) >= budget.micros:
            raise OverBudget(
                f"The budget of {budget} is spent. It begins anew with the next {budget.per}.",
                retryable=True,
                retry_after_s=anew_s(budget.per, self._now()),
            )

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
        cost = job.outcome.cost if job.outcome else 0
        if not cost:
            return
        for per in get_args(Per):
            self._of(per)[job.owner.tenant] += cost
        if tenant is not None and tenant.budget is not None:
            self._tell(tenant, cost)

    def _tell(self, tenant: Tenant, cost: int) -> None:
        budget, after = tenant.budget, self.spent(tenant)
        if budget is None:
            return
        before = after - cost
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
