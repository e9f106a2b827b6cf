"""Where the callbacks are kept that are owed, were made, or were given up."""

from typing import NamedTuple, Protocol

from gateway.history import Place
from gateway.webhooks import Delivery, DeliveryState


class Backlog(NamedTuple):
    """How many callbacks wait to be sent, since when the oldest is owed, and how many are dead.

    `oldest_at` is UTC, seconds since the epoch; None where none waits.
    """

    pending: int
    oldest_at: float | None
    dead: int


class Outbox(Protocol):
    """The callbacks of jobs. They come with their jobs, by `Store.insert`, and go with them.

    Every method is atomic: it happens whole or not at all, also when its caller is cancelled.
    A change is durable, as far as the store is, before the method returns.

    Raises (any method):
        StoreUnavailable: nothing was changed.
    """

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Pending deliveries whose next attempt is due, the longest due first."""
        ...

    async def record(self, delivery: Delivery) -> bool:
        """Replace a delivery by its newer version; False if its job is forgotten, and stays so."""
        ...

    async def replay(self, job_id: str, now: float, lifetime_s: float) -> Delivery | None:
        """Let a callback be sent again, as `webhooks.replay` says; None if there is none.

        In one step with reading what it is: of two at once, one is refused.

        Raises:
            Conflict: it is on its way, or arrived; nothing was changed.
        """
        ...

    async def delivery(self, job_id: str) -> Delivery | None:
        """The callback of a job; None if it owes none or is unknown."""
        ...

    async def deliveries(
        self,
        *,
        tenant: str | None,
        state: DeliveryState | None,
        before: Place | None,
        limit: int,
    ) -> list[Delivery]:
        """Callbacks owed or made, that of the newest job first.

        Args:
            tenant, state: only of that; None for all.
            before: only of jobs that stand lower than that; None for all.
            limit: at most so many.
        """
        ...

    async def backlog(self) -> Backlog:
        """What waits and what is dead."""
        ...


def place_of(delivery: Delivery) -> Place:
    """Where a callback stands among others: where its job does."""
    return Place(delivery.created_at, delivery.job_id)
