"""For operators: tokens and what they cost, by app, user, model or day."""

from datetime import UTC, datetime
from typing import NotRequired, TypedDict, cast, get_args

from aiohttp import web

from gateway.engine.core import Core
from gateway.errors import InvalidRequest
from gateway.spending import MICROS, By, Spent, day_of
from gateway.surfaces.door import Door, answer
from gateway.surfaces.query import TIME_SAYS, time_of
from gateway.surfaces.record import shape
from gateway.surfaces.route import Access, Parameter, Reply, Route

# An app may have any number of users.
_ROWS_MOST = 1000
_DAY_S = 86_400
_FIRST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class UsageRow(TypedDict):
    """One app, user, model or day; `key` is null for the jobs of no user."""

    key: str | None
    app: NotRequired[str]
    jobs: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class UsageRows(TypedDict):
    """The sums, the dearest first; days in their order."""

    rows: list[UsageRow]


class AdminUsage:
    """`/admin/usage`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.door = Door(
            "admin_usage",
            shape,
            [
                Route(
                    "GET",
                    "/admin/usage",
                    self.usage,
                    Access.ADMIN,
                    (Reply(200, "The sums.", (UsageRows,)),),
                    parameters=(
                        Parameter("by", "query", "What is summed by; apps by default.", By),
                        Parameter("since", "query", TIME_SAYS.format("From that day on")),
                        Parameter("until", "query", TIME_SAYS.format("Before that time")),
                    ),
                    refuses=(InvalidRequest,),
                )
            ],
        )

    async def usage(self, request: web.Request) -> web.Response:
        """What jobs took, by when they ended: whole days, by UTC.

        Sums outlive the jobs themselves. No more than a thousand are told.
        """
        by = _by(request.query.get("by") or "app")
        since, until = time_of(request, "since"), time_of(request, "until")
        first = _FIRST if since is None else since
        # A day that has begun counts.
        end = _LAST if until is None else until + _DAY_S - 1
        rows = await self._core.records.spent(by, _day(first), _day(end))
        if by == "day":
            rows.sort(key=lambda row: row.key)
            rows = rows[-_ROWS_MOST:]
        told: UsageRows = {"rows": [_row(row) for row in rows[:_ROWS_MOST]]}
        return answer(told)


def _by(text: str) -> By:
    if text not in get_args(By):
        raise InvalidRequest(f"by must be one of {', '.join(get_args(By))}.", field="by")
    return cast(By, text)


def _day(time: float) -> str:
    return day_of(min(max(time, _FIRST), _LAST))


def _row(spent: Spent) -> UsageRow:
    row: UsageRow = {
        "key": spent.key or None,
        "jobs": spent.jobs,
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "cost_usd": spent.cost / MICROS,
    }
    return {**row, "app": spent.app} if spent.app else row
