"""Lists of jobs end where they should, and say from where to go on."""

from collections.abc import Iterator

from gateway.history import Entry, Filter, Page, Place, page
from gateway.jobs import Owner, State


def entry(number: int, door: str = "ask") -> Entry:
    return Entry(
        id=f"job-{number}",
        owner=Owner(tenant="acme"),
        door=door,
        state=State.QUEUED,
        attempt=0,
        created_at=float(number),
        claimed_at=None,
        finished_at=None,
        prompt="",
        model="m",
    )


def test_a_page_takes_no_more_than_it_needs() -> None:
    """Of a long list only so many are read that it is known whether more follow."""
    taken: list[int] = []

    def numbers() -> Iterator[Entry]:
        for number in range(100, 0, -1):
            taken.append(number)
            yield entry(number)

    assert page(numbers(), Filter(), 2) == Page([entry(100), entry(99)], Place(99.0, "job-99"))
    assert taken == [100, 99, 98]


def test_what_is_rare_is_looked_for_step_by_step() -> None:
    """One page looks at so many jobs and no more; the next one goes on below them."""
    entries = [entry(number) for number in (9, 8, 7, 6)] + [entry(5, "chat")]
    chats = Filter(door="chat")
    assert page(entries, chats, 10, most=4) == Page([], Place(6.0, "job-6"))
    assert page(entries[4:], chats, 10, most=4) == Page([entry(5, "chat")], None)
