"""One thread that writes. What arrives while one transaction goes to the disk shares the next."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

import apsw
import structlog

from gateway.errors import GatewayError, StoreUnavailable
from gateway.jobs import IllegalMove

log = structlog.get_logger(__name__)

T = TypeVar("T")
# One step of a store. It may be run again after a rollback, and refuses before it writes.
Work = Callable[[apsw.Connection], T]

# Operations that share a transaction at most.
_MOST = 2_000

# What the disk does to a database; everything else is a mistake in the program.
_OUTAGES = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)


class _Order(NamedTuple):
    work: Work[Any]
    future: "asyncio.Future[Any]"


class _Done(NamedTuple):
    future: "asyncio.Future[Any]"
    value: Any = None
    error: BaseException | None = None


class Writer:
    """Runs the operations of all callers in their order, and tells each what became of its own.

    An operation is durable when its caller is told. One that fails changes nothing, and does not
    disturb those it shares a transaction with.
    """

    def __init__(self, db: apsw.Connection, on_full: Callable[[], bool]) -> None:
        """Write through `db`, which belongs to the writer's thread from `start` on.

        Args:
            on_full: called when the disk is full; whether it made room.
        """
        self._db = db
        self._on_full = on_full
        self._loop = asyncio.get_running_loop()
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        # A process that fails to stop the store still ends: what is not committed is not told.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._closed = False
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Have `work` done in a transaction; what it returned, when that is durable.

        Cancelled, it is still done, whole or not at all.

        Raises:
            StoreUnavailable: nothing was changed.
            whatever `work` raises: nothing was changed.
        """
        if self._closed:
            raise unavailable()
        future: asyncio.Future[T] = self._loop.create_future()
        self._orders.put(_Order(work, future))
        return await future

    async def stop(self) -> None:
        """Do what was asked for, and end the thread."""
        self._closed = True
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join)

    # -- in its thread ------------------------------------------------------------------------

    def _run(self) -> None:
        last = False
        while not last:
            orders, last = self._next()
            if orders:
                self._tell(self._together(orders))

    def _next(self) -> tuple[list[_Order], bool]:
        """What has been asked for, after waiting for the first; whether that is all."""
        orders: list[_Order] = []
        with suppress(Empty):
            order = self._orders.get()
            while order is not None:
                orders.append(order)
                if len(orders) == _MOST:
                    return orders, False
                order = self._orders.get_nowait()
            return orders, True
        return orders, False

    def _together(self, orders: Sequence[_Order]) -> list[_Done]:
        try:
            with transaction(self._db):
                return [_attempt(self._db, order) for order in orders]
        except apsw.FullError:
            made_room = self._on_full()
            log.warning("disk_full", operations=len(orders), made_room=made_room)
        except Exception as error:
            log.warning("transaction_failed", operations=len(orders), error=str(error))
        # Each by itself: only those that are at fault, or for which there is no room, fail.
        return [self._alone(order) for order in orders]

    def _alone(self, order: _Order) -> _Done:
        try:
            with transaction(self._db):
                return _attempt(self._db, order)
        except _OUTAGES as error:
            return _Done(order.future, error=unavailable(error))
        except Exception as error:
            return _Done(order.future, error=error)

    def _tell(self, done: Sequence[_Done]) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_resolve, done)


def unavailable(error: apsw.Error | None = None) -> StoreUnavailable:
    """What a caller is told where the database cannot do its work."""
    told = StoreUnavailable()
    told.__cause__ = error
    return told


@contextmanager
def outages() -> Iterator[None]:
    """Turn what the disk does to a database into what callers are told."""
    try:
        yield
    except _OUTAGES as error:
        raise unavailable(error) from error


@contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """What is written inside happens whole or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk has rolled it back already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _attempt(db: apsw.Connection, order: _Order) -> _Done:
    try:
        return _Done(order.future, order.work(db))
    except (GatewayError, IllegalMove) as refusal:
        return _Done(order.future, error=refusal)


def _resolve(done: Sequence[_Done]) -> None:
    for future, value, error in done:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
