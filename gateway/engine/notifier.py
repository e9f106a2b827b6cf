"""Delivers the callbacks that ended jobs owe: at least once, under a stable id.

The store is the truth; what is here can be lost at any time. Before a POST is sent it is
recorded as an ambiguous attempt that falls due again when its lease is over, so that a crash in
mid-POST is neither forgotten nor taken for an answer. One POST of a URL is on the way at a time,
and none follows a 2xx.

Whose callbacks are slow, or fail, or are too many harms nobody else: an app's callbacks to an
origin have a line of their own, and no app has all the places that there are.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from gateway import webhooks
from gateway.destinations import Destination, Policy, destination
from gateway.engine.clock import Clock
from gateway.engine.dialer import Dialer
from gateway.engine.observer import Observer
from gateway.engine.receiver import Receiver
from gateway.engine.receivers import Receivers
from gateway.errors import InvalidRequest, StoreUnavailable
from gateway.outbox import Outbox
from gateway.webhooks import Answer, Delivery, DeliveryState, Silence

# An attempt that is so much later than its time-out belongs to a process that died.
_LEASE_S = 15.0
# The store is asked this often even where nothing is known to be due.
_POLL_S = 5.0
_STORE_PAUSE_S = 1.0
# While flushing, between two looks at whether what is due is on its way.
_FLUSH_PAUSE_S = 0.01
# Deliveries held in memory, with their bodies: in all, and those that wait in one line. An app has
# no more waiting than there is room left, so that room is left whoever else has a crowd. What is
# beyond a share is put off, so that it does not hide what is due to others.
_MOST_HELD = 2_048
_MOST_IN_LINE = 512
_BATCH = 256
# An app has so many times as many POSTs on the way as there are places left: alone, three quarters.
_TIMES_LEFT = 3


class Notifier:
    """Takes what is due from the store, and sends it.

    Attributes:
        delivered: callbacks that arrived since the start.
    """

    def __init__(
        self,
        *,
        store: Outbox,
        dialer: Dialer,
        policy_of: Callable[[str], Policy],
        rewrites: Mapping[str, str],
        keys: Sequence[bytes],
        clock: Clock,
        rng: Random,
        log: FilteringBoundLogger,
        observer: Observer,
        withheld: Callable[[str], bool],
        most_per_origin: int = 8,
        most: int = 64,
        grace_s: float = 2.0,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            policy_of: where a tenant's callbacks may go, asked before each attempt.
            rewrites: from public origins to this network's own, as `parse_origin` writes them.
            keys: what callbacks are signed with; none leaves them unsigned.
            withheld: the callback of the job of this id is not to be sent for the moment.
            most_per_origin: POSTs of one app on the way to one origin, as long as they are quick.
            most: POSTs on the way in all; one app may have thrice as many as are left to others.
            grace_s: how long `stop` waits for answers before it gives them up.
        """
        self.delivered = 0
        self._store = store
        self._dialer = dialer
        self._policy_of = policy_of
        self._rewrites = rewrites
        self._keys = keys
        self._clock = clock
        self._rng = rng
        self._log = log
        self._observer = observer
        self._withheld = withheld
        self._most = most
        self._grace_s = grace_s
        self._receivers = Receivers(most_per_origin)
        # How many POSTs are on the way, by app.
        self._under_way: Counter[str] = Counter()
        # Job ids of what waits for its receiver or is on the way: the store calls it due meanwhile.
        self._held: set[str] = set()
        self._full = False
        # When something falls due, as far as this process knows.
        self._times: list[float] = []
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._attempts: set[asyncio.Task[None]] = set()
        self._posting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to deliver. Call once, inside the loop."""
        await self._dialer.start()
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop delivering. Works unstarted and twice.

        A POST without an answer by then stays owed, and is ambiguous from now on.
        """
        loop, self._loop = self._loop, None
        if loop is None:
            return
        self._stopping.set()
        loop.cancel()
        await asyncio.wait([loop])
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=self._grace_s)
        # Only what waits for a receiver is cut: what is being recorded must be recorded.
        for task in self._posting:
            task.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts)
        await self._dialer.stop()

    async def flush(self, within_s: float) -> None:
        """Send what is due now, for `within_s` at most; what is due later is not waited for."""
        until = self._clock.now() + within_s
        while (left_s := until - self._clock.now()) > 0:
            if self._attempts:
                await asyncio.wait(
                    self._attempts, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
            elif await self._store.due(self._clock.now(), 1):
                self.wake()
                await asyncio.sleep(_FLUSH_PAUSE_S)
            else:
                return

    def wake(self) -> None:
        """Look for what is due now: a job has ended, or a callback is to be sent again."""
        self._woken.set()

    async def _run(self) -> None:
        reclaimed = False
        while True:
            self._woken.clear()
            try:
                if not reclaimed:
                    await self._reclaim()
                    reclaimed = True
                await self._take()
                self._dispatch()
            except Exception:
                self._log.exception("callbacks_not_taken")
            await self._clock.wait(self._woken, self._idle_s())

    def _idle_s(self) -> float:
        now = self._clock.now()
        at = min(self._receivers.ready_at(now), *self._times[:1], now + _POLL_S)
        return max(0.0, at - now)

    async def _reclaim(self) -> None:
        """Let be due what an earlier process had on the way: its lease holds for nobody now."""
        now = self._clock.now()
        for delivery in await self._store.due(now + self._dialer.timeout_s + _LEASE_S, _MOST_HELD):
            if delivery.begun:
                await self._record(replace(delivery, next_at=min(delivery.next_at, now)))

    async def _take(self) -> None:
        now = self._clock.now()
        while self._times and self._times[0] <= now:
            heapq.heappop(self._times)
        self._full = len(self._held) >= _MOST_HELD
        if self._full:
            return
        limit = len(self._held) + _BATCH
        # What is settled or hastened while the store reads may be in its answer as it was before.
        held = self._held.copy()
        due = await self._store.due(now, limit)
        held |= self._held
        taken = [delivery for delivery in due if delivery.job_id not in held]
        fresh = [delivery for delivery in taken if not self._withheld(delivery.job_id)]
        if fresh and len(due) == limit:
            self.wake()
        waiting = self._receivers.waiting()
        put_off = [later for delivery in fresh if (later := self._admit(delivery, now, waiting))]
        # Together, so that a store with group commit pays once.
        await asyncio.gather(*(self._put_off(delivery) for delivery in put_off))

    def _admit(self, delivery: Delivery, now: float, waiting: Counter[str]) -> Delivery | None:
        """Let a delivery wait for its receiver; or the version of it to be recorded instead.

        Args:
            waiting: how many do, by app.
        """
        try:
            origin = self._destination(delivery).origin
        except InvalidRequest as error:
            return replace(delivery, state=DeliveryState.DEAD, note=f"Not sent: {error}.")
        receiver = self._receivers.of(delivery.tenant, origin)
        if webhooks.expired(delivery, now):
            receiver.gave_up(delivery)
            return webhooks.expire(delivery)
        if delivery.unheard and receiver.closed_until > now:
            return webhooks.put_off(delivery, receiver.turn_away(delivery))
        if waiting[delivery.tenant] >= _MOST_HELD - len(self._held):
            until = receiver.book(delivery, waiting[delivery.tenant], now)
            return webhooks.put_off(delivery, until)
        if len(receiver) >= _MOST_IN_LINE:
            return webhooks.put_off(delivery, receiver.book(delivery, len(receiver), now))
        waiting[delivery.tenant] += 1
        self._held.add(delivery.job_id)
        self._receivers.add(delivery, origin)
        return None

    async def _put_off(self, delivery: Delivery) -> None:
        await self._record(delivery)
        if delivery.state is DeliveryState.DEAD:
            self._log.error("callback_dead", job_id=delivery.job_id, note=delivery.note)
            self._observer.called_back(delivery, None)

    def _destination(self, delivery: Delivery) -> Destination:
        return destination(delivery.url, self._policy_of(delivery.tenant), self._rewrites)

    def _dispatch(self) -> None:
        now = self._clock.now()
        for app, origin in self._receivers.in_turn(now):
            if self._launch(app, self._receivers.of(app, origin), now):
                # So that no origin starves another.
                self._receivers.served(app, origin)

    def _launch(self, app: str, receiver: Receiver, now: float) -> bool:
        served = False
        while self._has_place(app) and (delivery := receiver.next(now)) is not None:
            served = True
            self._under_way[app] += 1
            task = asyncio.create_task(self._attempt(receiver, delivery))
            self._attempts.add(task)
            task.add_done_callback(self._ended)
        return served

    def _has_place(self, app: str) -> bool:
        return self._under_way[app] < _TIMES_LEFT * (self._most - len(self._attempts))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._attempts.discard(task)
        if self._stopping.is_set():
            return
        self._dispatch()
        if self._full and len(self._held) < _MOST_HELD // 2:
            self.wake()

    async def _attempt(self, receiver: Receiver, delivery: Delivery) -> None:
        try:
            await self._deliver(receiver, delivery)
        except asyncio.CancelledError:
            pass  # Only `stop` cancels, and only a POST: all is recorded.
        except StoreUnavailable:
            self._log.warning("callback_not_recorded", job_id=delivery.job_id)
        except Exception:
            self._log.exception("callback_not_tried", job_id=delivery.job_id)
        finally:
            receiver.released(delivery)
            self._held.discard(delivery.job_id)
            self._under_way -= Counter([delivery.tenant])

    async def _deliver(self, receiver: Receiver, delivery: Delivery) -> None:
        to = self._destination(delivery)
        started_at = self._clock.now()
        lease_until = started_at + self._dialer.timeout_s + _LEASE_S
        begun = replace(webhooks.begin(delivery, started_at), next_at=lease_until)
        if not await self._store.record(begun):
            # Its job was forgotten while it waited here: nothing of it leaves any more.
            return
        if self._stopping.is_set():
            await self._record(delivery)
            return
        answer = await self._post(to, begun)
        now = self._clock.now()
        after = webhooks.classify(delivery, answer, now, self._rng, started_at=started_at)
        await self._record(after)
        took_s = now - started_at
        self._observe(after, to.origin, took_s)
        await self._judge(receiver, after, answer, now, took_s)

    async def _post(self, to: Destination, begun: Delivery) -> Answer | Silence:
        if begun.body is None:
            raise AssertionError("a pending delivery has a body")
        headers = webhooks.sign(begun.id, begun.body, self._keys, self._clock.wall())
        if (trace := begun.attempt_trace) is not None:
            headers |= trace.headers()
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("an attempt is a task")
        self._posting.add(task)
        try:
            return await self._dialer.post(to, headers, begun.body)
        except asyncio.CancelledError:
            await self._record(replace(begun, begun=False, next_at=self._clock.now()))
            raise
        finally:
            self._posting.discard(task)

    async def _record(self, delivery: Delivery) -> None:
        """Record, however long the store is away: a 2xx forgotten would be sent again."""
        while True:
            try:
                await self._store.record(delivery)
                break
            except StoreUnavailable:
                self._log.warning("callback_not_recorded", job_id=delivery.job_id)
                if self._stopping.is_set():
                    return
                await self._clock.wait(self._stopping, _STORE_PAUSE_S)
        if delivery.state is DeliveryState.PENDING:
            heapq.heappush(self._times, delivery.next_at)
            if self._times[0] == delivery.next_at:
                self.wake()

    async def _hasten_all(self, job_ids: Sequence[str], now: float) -> None:
        # There may be very many, and each is held with its body meanwhile: some at a time.
        for start in range(0, len(job_ids), _BATCH):
            if self._stopping.is_set():
                return
            some = job_ids[start : start + _BATCH]
            await asyncio.gather(*(self._hasten(each, now) for each in some))

    async def _hasten(self, job_id: str, now: float) -> None:
        """Let a delivery be due now, unless something has become of it since it failed."""
        if job_id in self._held:
            return
        # Nobody else may send it until its new time is recorded.
        self._held.add(job_id)
        try:
            stored = await self._store.delivery(job_id)
            if stored is not None and stored.state is DeliveryState.PENDING:
                await self._record(replace(stored, next_at=min(stored.next_at, now)))
        finally:
            self._held.discard(job_id)

    def _observe(self, delivery: Delivery, origin: str, took_s: float) -> None:
        self._observer.called_back(delivery, took_s)
        log = self._log.bind(
            job_id=delivery.job_id,
            delivery_id=delivery.id,
            origin=origin,
            attempts=delivery.attempts,
            status=delivery.last_status,
            took_s=round(took_s, 3),
        )
        match delivery.state:
            case DeliveryState.DELIVERED:
                self.delivered += 1
                log.info("callback_delivered")
            case DeliveryState.UNCONFIRMED:
                log.warning("callback_unconfirmed", note=delivery.note)
            case DeliveryState.DEAD:
                log.error("callback_dead", note=delivery.note)
            case _:
                log.info("callback_retried", note=delivery.note)

    async def _judge(
        self,
        receiver: Receiver,
        after: Delivery,
        answer: Answer | Silence,
        now: float,
        took_s: float,
    ) -> None:
        """Note how the receiver did.

        One that closes lets go of those that met its silence before; one that opens, of those
        that did meanwhile.
        """
        if isinstance(answer, Answer) and answer.status >= 500 and not after.unheard:
            receiver.broke(after, now, took_s)
            return
        if not after.unheard or answer is Silence.NOT_PUBLIC:
            knocked = receiver.arrived(after, took_s)
            await self._hasten_all(sorted(knocked), now)
            return
        receiver.failed(after, now, took_s, self._rng)
        if receiver.closed_until > now:
            self._held.difference_update(waiting.job_id for waiting in receiver.drain())
            self.wake()
