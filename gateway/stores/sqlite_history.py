"""Jobs in short, as rows of their own beside those of the jobs: a list reads no long texts."""

from collections.abc import Iterator
from typing import Any

import apsw

from gateway import history
from gateway.events import Failed, Usage
from gateway.history import Entry, Filter, Page, Place
from gateway.jobs import Job, Owner, State
from gateway.stores.rows import Columns

# Few beside the others, and found by an index of their own, for which the words must stand here.
_FAILED = "state IN ('error', 'cancelled', 'expired')"

_END = (
    "model, provider, first_token_at, prompt_tokens, completion_tokens, estimated, cost,"
    " error_code, error, retryable"
)
_ENTRY = (
    "id, tenant, user, door, created_at, state, attempt, claimed_at, finished_at,"
    f" prompt, {_END}"
)  # fmt: skip


def insert(db: apsw.Connection, seq: int, job: Job) -> None:
    """Add the line of a new job."""
    entry = history.entry_of(job)
    db.execute(
        "INSERT INTO entries (seq, prompt, model) VALUES (?, ?, ?)",
        (seq, entry.prompt, entry.model),
    )


def finish(db: apsw.Connection, seq: int, job: Job) -> None:
    """Say in the line of a job how it ended."""
    entry = history.entry_of(job)
    usage, error = entry.usage, entry.error
    counted = (
        (usage.prompt_tokens, usage.completion_tokens, usage.estimated) if usage else (None,) * 3
    )
    failed = (error.code, error.message, error.retryable) if error else (None,) * 3
    db.execute(
        f"UPDATE entries SET ({_END}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE seq = ?",  # noqa: S608
        (entry.model, entry.provider, entry.first_token_at, *counted, entry.cost, *failed, seq),
    )


def page(db: apsw.Connection, wanted: Filter, before: Place | None, limit: int) -> Page:
    """The first wanted entries below a place, read no further than needed."""
    where, bound = _indexed(wanted, before)
    rows = db.execute(
        f"SELECT {_ENTRY} FROM jobs JOIN entries USING (seq){where}"  # noqa: S608
        " ORDER BY created_at DESC, id DESC",
        bound,
    )
    return history.page(_entries(rows), wanted, limit)


def _indexed(wanted: Filter, before: Place | None) -> tuple[str, list[Any]]:
    """What of a filter an index finds; everything is looked at once more in the entries."""
    terms: list[tuple[str, tuple[Any, ...]]] = []
    if before is not None:
        terms.append(("(created_at, id) < (?, ?)", before))
    if wanted.since is not None:
        terms.append(("created_at >= ?", (wanted.since,)))
    if wanted.until is not None:
        terms.append(("created_at < ?", (wanted.until,)))
    if wanted.user is not None:
        terms.append(("user = ?", (wanted.user,)))
    elif wanted.tenant is not None:
        terms.append(("tenant = ?", (wanted.tenant,)))
    elif wanted.state is not None and not wanted.state.final:
        terms.append(("finished_at IS NULL AND +state = ?", (wanted.state.value,)))
    elif wanted.state is not None and wanted.state is not State.COMPLETED:
        terms.append((f"{_FAILED} AND state = ?", (wanted.state.value,)))
    where = " AND ".join(term for term, _ in terms)
    return f" WHERE {where}" if where else "", [value for _, values in terms for value in values]


def _entries(rows: Iterator[Columns]) -> Iterator[Entry]:
    for row in rows:
        job_id, tenant, user, door, created_at, state, attempt, claimed_at, finished_at, *rest = row
        prompt, model, provider, first_token_at, asked, said, estimated, cost, *failed = rest
        code, message, retryable = failed
        yield Entry(
            id=job_id,
            owner=Owner(tenant=tenant, user=user),
            door=door,
            state=State(state),
            attempt=attempt,
            created_at=created_at,
            claimed_at=claimed_at,
            finished_at=finished_at,
            prompt=prompt,
            model=model,
            provider=provider,
            first_token_at=first_token_at,
            usage=None
            if asked is None
            else Usage(prompt_tokens=asked, completion_tokens=said, estimated=bool(estimated)),
            cost=cost,
            error=None
            if code is None
            else Failed(code=code, message=message, retryable=bool(retryable)),
        )
