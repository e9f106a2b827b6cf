"""What was asked and what became of it, in short: the lines of a list that can be searched.

A page is looked for from its beginning on, and no further than so many jobs: one that looks for
what is rare ends early, and says from where to go on.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from gateway.events import Failed, Usage
from gateway.jobs import Job, Owner, State

# What of a question is kept in the list, and searched, in characters.
PREVIEW = 1000
# Jobs that are looked at for one page.
MOST_LOOKED_AT = 20_000

# Stores keep texts that end at the first NUL.
_NO_NUL = str.maketrans("\x00", " ")
# The same letters in every store; others match as they are written.
_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Place(NamedTuple):
    """Where one stands in a list, whose first has the highest.

    Attributes:
        at: when it was made, or last changed; UTC, seconds since the epoch.
        id: decides between two of the same time.
    """

    at: float
    id: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job in short. Times are UTC, seconds since the epoch.

    Attributes:
        model: that answered, or else the one that was asked for.
        prompt: the beginning of the last user turn.
        cost: in millionths of a US dollar.
    """

    id: str
    owner: Owner
    door: str
    state: State
    attempt: int
    created_at: float
    claimed_at: float | None
    finished_at: float | None
    prompt: str
    model: str
    provider: str | None = None
    first_token_at: float | None = None
    usage: Usage | None = None
    cost: int = 0
    error: Failed | None = None

    @property
    def place(self) -> Place:
        return Place(self.created_at, self.id)


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are wanted; None wants all.

    Attributes:
        since, until: made no earlier than the one, and before the other.
        text: somewhere in the id, the user or the prompt, whatever the case of a to z.
    """

    tenant: str | None = None
    user: str | None = None
    door: str | None = None
    state: State | None = None
    model: str | None = None
    since: float | None = None
    until: float | None = None
    text: str | None = None

    def takes(self, entry: Entry) -> bool:
        """The entry is wanted."""
        owner = entry.owner
        return (
            self.tenant in (None, owner.tenant)
            and self.user in (None, owner.user)
            and self.door in (None, entry.door)
            and self.state in (None, entry.state)
            and self.model in (None, entry.model)
            and (self.since is None or entry.created_at >= self.since)
            and (self.until is None or entry.created_at < self.until)
            and (self.text is None or self._is_in(entry, self.text.translate(_FOLD)))
        )

    def _is_in(self, entry: Entry, text: str) -> bool:
        where = (entry.id, entry.owner.user or "", entry.prompt)
        return any(text in each.translate(_FOLD) for each in where)


class Page(NamedTuple):
    """Some entries, newest first. `next` is what the following page begins below; None ends."""

    entries: list[Entry]
    next: Place | None


def entry_of(job: Job) -> Entry:
    """A job in short."""
    outcome = job.outcome
    failed = outcome.terminal if outcome and isinstance(outcome.terminal, Failed) else None
    return Entry(
        id=job.id,
        owner=job.owner,
        door=job.door,
        state=job.state,
        attempt=job.attempt,
        created_at=job.created_at,
        claimed_at=job.claimed_at,
        finished_at=job.finished_at,
        prompt=job.request.prompt[:PREVIEW].translate(_NO_NUL),
        model=(outcome.model if outcome else None) or job.request.model,
        provider=outcome.provider if outcome else None,
        first_token_at=outcome.first_token_at if outcome else None,
        usage=outcome.usage if outcome else None,
        cost=outcome.cost if outcome else 0,
        # When to try again is of no use later.
        error=msgspec.structs.replace(failed, retry_after_s=None) if failed else None,
    )


def page(entries: Iterable[Entry], wanted: Filter, limit: int, most: int = MOST_LOOKED_AT) -> Page:
    """The first wanted entries.

    Args:
        entries: from the highest place down; no more are taken than are needed.
        most: how many are looked at.
    """
    found: list[Entry] = []
    for looked_at, entry in enumerate(entries, start=1):
        if wanted.takes(entry):
            if len(found) == limit:
                return Page(found, found[-1].place)
            found.append(entry)
        if looked_at == most:
            return Page(found, entry.place)
    return Page(found, None)
