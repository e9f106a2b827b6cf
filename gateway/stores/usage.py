"""The sums of what ended jobs took: whose sum each goes into, and those in memory."""

from collections import defaultdict

from gateway.jobs import Job, Owner
from gateway.spending import Account, By, Spent, account_of, day_of, spent_by, summed

# Sums are kept so long: a year, and a month to compare it with.
KEPT_S = 400 * 86_400
# Users and models of one app that have sums of their own on one day. Callers name them, and may
# make up any number.
_MOST = {"user": 10_000, "model": 1000}


class Crowd:
    """The users and models of this day that have sums of their own."""

    def __init__(self) -> None:
        self._day = ""
        self._known: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def account(self, job: Job) -> Account:
        """Where the sums of an ended job go: those of nobody, where there are too many others."""
        account = account_of(job)
        if account.day != self._day:
            self._day = account.day
            self._known.clear()
        for field, most in _MOST.items():
            name = getattr(account, field)
            known = self._known[account.tenant, field]
            if len(known) < most:
                known.add(name)
            elif name not in known:
                account = account._replace(**{field: ""})
        return account


def first_kept(before: float) -> str:
    """The first day whose sums are kept when jobs are forgotten that ended before that time."""
    return day_of(max(0.0, before - KEPT_S))


class Sums:
    """One sum for each day, app, user and model."""

    def __init__(self) -> None:
        self._of: dict[Account, Spent] = {}
        self._crowd = Crowd()

    def add(self, job: Job) -> None:
        """Add an ended job to its sums."""
        self._add(self._crowd.account(job), spent_by(job))

    def _add(self, account: Account, more: Spent) -> None:
        known = self._of.get(account)
        self._of[account] = more if known is None else known.plus(more)

    def spent(self, by: By, since: str, until: str) -> list[Spent]:
        """The sums of the days from `since` on and before `until`, the dearest first."""
        parts: defaultdict[tuple[str, str], list[Spent]] = defaultdict(list)
        for account, sum_ in self._of.items():
            if since <= account.day < until:
                parts[account.key(by)].append(sum_)
        found = [summed(key, app, each) for (key, app), each in parts.items()]
        return sorted(found, key=lambda each: (-each.cost, each.key, each.app))

    def disown(self, owner: Owner) -> None:
        """Let what a user took be that of the app, and of nobody."""
        for account, sum_ in list(self._of.items()):
            if (account.tenant, account.user) == (owner.tenant, owner.user or ""):
                del self._of[account]
                self._add(account._replace(user=""), sum_)

    def prune(self, first: str) -> None:
        """Forget the days before `first`."""
        if any(account.day < first for account in self._of):
            self._of = {each: sum_ for each, sum_ in self._of.items() if each.day >= first}
