"""A notifier with a store, a clock and a receiver around it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from gateway import webhooks
from gateway.destinations import Destination, Policy
from gateway.engine.clock import Clock
from gateway.engine.dialer import HttpDialer
from gateway.engine.notifier import Notifier
from gateway.engine.observer import Observers
from gateway.errors import StoreUnavailable
from gateway.events import Completed, Started
from gateway.jobs import Job, Outcome, Owner
from gateway.log import Cursor
from gateway.messages import Message, Request
from gateway.stores import Batch
from gateway.stores.memory import MemoryStore
from gateway.webhooks import Answer, Delivery, DeliveryState, Silence
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import Execution, N8n
from tests.stores.conformance import callbacks
from tests.until import PATIENCE_S, until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"ok":true,"answer":"zażółć"}'.encode()
DAY = 86_400.0


class WatchedStore(MemoryStore):
    """A store one can wait for, and that can be away.

    Attributes:
        looks: how often it was asked for what is due.
        away: so many calls of `record` fail before one works.
        confused: the next look fails as nobody foresaw.
        unseen: no look works.
        before_looked: awaited between reading what is due and returning it.
        before_recorded: awaited before the next record, and forgotten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.away = 0
        self.confused = False
        self.unseen = False
        self.before_looked: Callable[[], Any] | None = None
        self.before_recorded: Callable[[], Any] | None = None
        self._changed = asyncio.Event()

    async def due(self, now: float, limit: int) -> list[Delivery]:
        self.looks += 1
        if self.confused:
            self.confused = False
            raise RuntimeError("a bug")
        if self.unseen:
            raise StoreUnavailable
        found = await super().due(now, limit)
        if self.before_looked is not None:
            await self.before_looked()
        return found

    async def record(self, delivery: Delivery) -> bool:
        if self.before_recorded is not None:
            hook, self.before_recorded = self.before_recorded, None
            await hook()
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        kept = await super().record(delivery)
        self._changed.set()
        return kept

    async def owe(
        self, number: int, url: str, now: float, lifetime_s: float = DAY, tenant: str = "shop"
    ) -> None:
        """Let a job end that owes a callback."""
        job_id = f"job_{number}"
        request = Request(messages=(Message(role="user", content="hi"),), model="m")
        job = Job(
            id=job_id,
            owner=Owner(tenant=tenant),
            door="n8n",
            request=request,
            created_at=now,
            expires_at=now + 60,
        )
        delivery = Delivery(
            id=f"msg_{number}",
            job_id=job_id,
            tenant=tenant,
            url=url,
            created_at=now,
            deadline=now + lifetime_s,
        )
        await self.insert(job, delivery)
        await self.claim(job_id, now)
        rest = Batch(job_id, Cursor(1, 1), [Started(), Completed()])
        await self.finish(job_id, Outcome(terminal=Completed()), rest, now, BODY)

    async def owed(self, number: int = 1) -> Delivery:
        """One delivery as it is stored now."""
        (found,) = [one for one in await callbacks(self) if one.job_id == f"job_{number}"]
        return found

    async def until(self, state: DeliveryState, count: int = 1) -> None:
        """Return when so many deliveries are in that state."""

        async def reached() -> int:
            return sum(one.state is state for one in await callbacks(self))

        try:
            async with asyncio.timeout(PATIENCE_S):
                while await reached() < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{await reached()} of {count} are {state}") from None


class CountedDialer(HttpDialer):
    """Knows how many of its POSTs are under way."""

    open = 0

    async def post(self, to: Destination, headers: dict[str, str], body: bytes) -> Answer | Silence:
        self.open += 1
        try:
            return await super().post(to, headers, body)
        finally:
            self.open -= 1


class House:
    """A notifier with everything around it.

    Attributes:
        lines: what it logged.
        bugs: how many errors nobody foresaw are meant to be among that.
    """

    def __init__(self, n8n: N8n, store: WatchedStore, clock: Clock) -> None:
        self.n8n = n8n
        self.store = store
        self.clock = clock
        self.policy = Policy.of([n8n.origin])
        self.rewrites: dict[str, str] = {}
        self.lines: list[EventDict] = []
        self.bugs = 0
        self.notifier = self.another_notifier()

    def another_notifier(
        self, withheld: Callable[[str], bool] = lambda _: False, **changes: Any
    ) -> Notifier:
        dialer = CountedDialer("1.2.3")
        notifier = Notifier(
            store=self.store,
            dialer=dialer,
            policy_of=lambda tenant: self.policy if tenant == "shop" else Policy.of([]),
            rewrites=self.rewrites,
            keys=webhooks.parse_secrets([SECRET]),
            clock=self.clock,
            rng=Random(7),
            log=self._logger(),
            observer=Observers(),
            withheld=withheld,
            **changes,
        )
        if isinstance(self.clock, JumpingClock):
            self.clock.busy = lambda: dialer.open > 0
        return notifier

    def _logger(self) -> FilteringBoundLogger:
        def keep(_: object, __: str, line: EventDict) -> EventDict:
            self.lines.append(dict(line))
            raise structlog.DropEvent

        logger: FilteringBoundLogger = structlog.wrap_logger(
            None, [keep], wrapper_class=structlog.make_filtering_bound_logger(0)
        )
        return logger

    async def owe(self, *urls: str, lifetime_s: float = DAY) -> None:
        """Let one job end for each URL."""
        for number, url in enumerate(urls, 1):
            await self.store.owe(number, url, self.clock.now(), lifetime_s)
        self.notifier.wake()

    async def quiet(self) -> None:
        """Return when no attempt is on the way."""
        # Of what is recorded for nobody there is no event. Only a test looks this deep inside.
        await until(lambda: not self.notifier._attempts, lambda: self.notifier._attempts)

    async def settle(self, execution: Execution, state: DeliveryState) -> Delivery:
        """Owe a callback to one execution, and see how it ends."""
        await self.owe(self.n8n.wait_for(execution))
        await self.store.until(state)
        return await self.store.owed()


@asynccontextmanager
async def standing(clock: Clock) -> AsyncIterator[House]:
    async with N8n() as n8n:
        built = House(n8n, WatchedStore(), clock)
        await built.notifier.start()
        try:
            yield built
        finally:
            await built.notifier.stop()
        bugs = [line for line in built.lines if "exc_info" in line]
        assert len(bugs) == built.bugs, bugs
