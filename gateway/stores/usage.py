"""The sums of what ended jobs took, in memory."""

from collections import defaultdict

from gateway.jobs import Job, Owner
from gateway.spending import Account, By, Spent, account_of, spent_by, summed


class Sums:
    """One sum for each day, app, user and model."""

    def __init__(self) -> None:
        self._of: dict[Account, Spent] = {}

    def add(self, job: Job) -> None:
        """Add an ended job to its sums."""
        self._add(account_of(job), spent_by(job))

    def _add(self, account: Account, more: Spent) -> None:
        known = self._of.get(account)
        self._of[account] = summed("", "", [known, more] if known else [more])

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
