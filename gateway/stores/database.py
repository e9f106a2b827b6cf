"""One SQLite file: who may open it, in which form it is, one connection that writes and a few
that read.

Every page carries a checksum (https://sqlite.org/cksumvfs.html), so that damage is found when the
file is opened, or at the latest when the page is read, and is never taken for data.
"""

import asyncio
import ctypes
import fcntl
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from errno import EBUSY, EIO, ENOTSUP
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, TypeVar

import apsw
import apsw.sqlite_extra
import structlog

from gateway.errors import StoreUnavailable
from gateway.stores import folder, schema
from gateway.stores.ballast import SIZE_BYTES, Ballast, free_bytes
from gateway.stores.writer import Work, Writer, outages, unavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

FILE = "gateway.db"
# Copies on their way to somebody.
_SNAPSHOT = "gateway-copy-"
# The layer that writes and verifies the checksums, and what it needs of each page, in bytes.
CHECKSUMS = "cksmvfs"
_CHECKSUM_BYTES = 8

_READERS = 4
# The write-ahead log is cut back to this after a burst, bytes.
_MOST_LOG_BYTES = 64 * 1024 * 1024


class StoreUnusable(OSError):
    """The gateway cannot start on this file. Its text says what to do."""


class StoreInUse(StoreUnusable):
    """Another process has it."""


class StoreDamaged(StoreUnusable):
    """It is not what was written. It was put aside, and nothing was begun in its place."""


class Database:
    """The file of a folder, shared by all stores that keep their rows in it."""

    def __init__(
        self, folder: Path, *, ballast: Ballast | None = None, vfs: str | None = None
    ) -> None:
        """Know where it is; nothing is touched before `start`.

        Args:
            vfs: the file layer to go through; None for the one with checksums.
        """
        self.path = folder / FILE
        self.ballast = ballast or Ballast(folder / "ballast")
        self._vfs = vfs or CHECKSUMS
        self._lock: int | None = None
        self._writer: Writer | None = None
        self._db: apsw.Connection | None = None
        self._idle: SimpleQueue[apsw.Connection] = SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the file, made if there is none. Call once, inside the loop.

        Raises:
            StoreUnusable: somebody else has it, it is damaged, or of a newer gateway.
            OSError: the folder cannot be used.
        """
        try:
            self._db = await asyncio.to_thread(self._open)
        except BaseException:
            self._unlock()
            raise
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._writer = Writer(self._db, self.ballast.throw_off)

    async def stop(self) -> None:
        """Write what was asked for, and close. Works unstarted and twice."""
        writer, self._writer = self._writer, None
        pool, self._pool = self._pool, None
        if writer is None or pool is None:
            return
        await writer.stop()
        await asyncio.to_thread(pool.shutdown)
        await asyncio.to_thread(self._close)

    async def write(self, work: Work[T]) -> T:
        """As `Writer.write`."""
        if self._writer is None:
            raise unavailable()
        return await self._writer.write(work)

    async def read(self, work: Work[T]) -> T:
        """What `work` finds; it sees every write that was acknowledged before.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        if self._pool is None:
            raise unavailable()
        loop = asyncio.get_running_loop()
        with outages():
            return await loop.run_in_executor(self._pool, self._read, work)

    def _read(self, work: Work[T]) -> T:
        db = self._idle.get()
        try:
            return work(db)
        finally:
            self._idle.put(db)

    async def backup(self, target: Path) -> None:
        """Copy the whole file as it is now, while it is in use; an older copy is replaced.

        Cancelled, the older copy stays.

        Raises:
            StoreUnavailable: the file cannot be read, or the copy not be written.
        """
        await self.read(partial(_copy, target=target, vfs=self._vfs))

    async def snapshot(self) -> BinaryIO:
        """A copy of the whole file as it is now, open to be read, and gone when it is closed.

        Cancelled, no copy is left.

        Raises:
            StoreUnavailable: the file cannot be read, or there is too little room for a copy.
        """
        copying = asyncio.ensure_future(self.read(self._snapshot))
        try:
            return await asyncio.shield(copying)
        except asyncio.CancelledError:
            # A thread cannot be stopped.
            copying.add_done_callback(_close)
            raise

    # -- in threads ---------------------------------------------------------------------------

    def _open(self) -> apsw.Connection:
        load_checksums()
        folder.make(self.path.parent)
        self._lock = _take(self.path.with_suffix(".lock"))
        for left in self.path.parent.glob(f"{_SNAPSHOT}*"):
            left.unlink()
        if not self.path.exists():
            self._refuse_to_forget()
            self._make()
        try:
            db = self._checked()
        except apsw.Error as error:
            raise self._put_aside(error) if _is_damage(error) else self._unusable(error) from error
        for _ in range(_READERS):
            self._idle.put(self._connect("query_only"))
        self.ballast.take()
        return db

    def _snapshot(self, source: apsw.Connection) -> BinaryIO:
        if free_bytes(self.path.parent) < self.path.stat().st_size + 2 * SIZE_BYTES:
            raise StoreUnavailable("There is too little room on the disk for a copy.")
        handle, name = tempfile.mkstemp(prefix=_SNAPSHOT, dir=self.path.parent)
        os.close(handle)
        copy = Path(name)
        try:
            _copy(source, target=copy, vfs=self._vfs)
            return copy.open("rb")
        finally:
            # Whoever has it open reads on; a process that dies leaves nothing behind.
            copy.unlink()

    def _checked(self) -> apsw.Connection:
        """A connection to a file that is whole, and of today's form."""
        db = self._connect()
        try:
            found = db.execute("PRAGMA quick_check(1)").get
            known = schema.version(db)
            if found != "ok":
                raise apsw.CorruptError(found)
            if known == 0:
                raise apsw.CorruptError("it is empty")
            if _reserved(db) != _CHECKSUM_BYTES:
                raise apsw.CorruptError("its pages have no checksums")
            if known > len(schema.MIGRATIONS):
                raise StoreUnusable(
                    ENOTSUP, "was written by a newer version of the gateway", str(self.path)
                )
            schema.migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _connect(self, *switches: str, path: Path | None = None) -> apsw.Connection:
        db = apsw.Connection(str(path or self.path), vfs=self._vfs)
        db.set_busy_timeout(10_000)
        db.pragma("synchronous", "full")
        db.pragma("journal_size_limit", _MOST_LOG_BYTES)
        # What is forgotten is not left to be read in the file, long texts included.
        db.pragma("secure_delete", True)
        for switch in switches:
            db.pragma(switch, True)
        return db

    def _make(self) -> None:
        """A new file, moved into place when it is whole: one found empty is a damaged one."""
        aside = _begin(self.path.with_suffix(".new"))
        with closing(self._connect(path=aside)) as db:
            _reserved(db, _CHECKSUM_BYTES)
            db.pragma("journal_mode", "wal")
            schema.migrate(db)
        os.replace(aside, self.path)
        sync(self.path.parent)

    def _refuse_to_forget(self) -> None:
        left = [*self.path.parent.glob(f"{FILE}*damaged"), *_beside(self.path)]
        if left:
            raise StoreDamaged(
                EIO,
                f"is not there, but what belongs to one is ({left[0].name}). Put a backup in its "
                "place, or move that away to begin with nothing",
                str(self.path),
            )

    def _unusable(self, error: apsw.Error) -> StoreUnusable:
        return StoreUnusable(EIO, f"cannot be opened ({error})", str(self.path))

    def _put_aside(self, why: apsw.Error) -> StoreDamaged:
        aside = self.path.with_name(f"{FILE}.{os.stat(self.path).st_mtime_ns}.damaged")
        for file in (self.path, *_beside(self.path)):
            os.replace(file, aside.with_name(file.name.replace(FILE, aside.name)))
        log.error("store_damaged", path=str(aside), why=str(why))
        return StoreDamaged(
            EIO,
            f"is damaged ({why}) and was renamed to {aside.name}. Put a backup in its place, or "
            "move that away to begin with nothing",
            str(self.path),
        )

    def _close(self) -> None:
        for _ in range(_READERS):
            self._idle.get().close()
        if self._db is not None:
            # The last to close carries the write-ahead log into the file, and removes it.
            with suppress(apsw.Error):
                self._db.close()
            self._db = None
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def load_checksums() -> None:
    """Have the layer with checksums among those of SQLite in this process."""
    if CHECKSUMS not in apsw.vfs_names():
        with closing(apsw.Connection(":memory:")) as db:
            apsw.sqlite_extra.load(db, "cksumvfs")


def _reserved(db: apsw.Connection, size_bytes: int = -1) -> int:
    """How much of each page is kept for its checksum; set first where a size is given."""
    size = ctypes.c_int(size_bytes)
    db.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(size))
    return size.value


def _is_damage(error: apsw.Error) -> bool:
    """The file is at fault, and not the way to it."""
    return (
        isinstance(error, apsw.CorruptError | apsw.NotADBError)
        or getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
    )


def _take(path: Path) -> int:
    """Hold a lock that ends with this process, however that ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        raise StoreInUse(
            EBUSY, f"is in use by another gateway (process {holder or 'unknown'})", str(path.parent)
        ) from None
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _copy(source: apsw.Connection, *, target: Path, vfs: str) -> None:
    aside = _begin(target.with_name(f"{target.name}.new"))
    with (
        closing(apsw.Connection(str(aside), vfs=vfs)) as db,
        db.backup("main", source, "main") as copying,
    ):
        # In one step: it would begin again whenever something is written between two.
        copying.step()
    os.replace(aside, target)
    sync(target.parent)


def _close(copying: "asyncio.Future[BinaryIO]") -> None:
    if not copying.cancelled() and copying.exception() is None:
        copying.result().close()


def _beside(path: Path) -> list[Path]:
    """What SQLite keeps beside a database."""
    names = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    return [name for name in names if name.exists()]


def _begin(path: Path) -> Path:
    """An empty file that is its owner's alone. SQLite gives what is beside it the same rights."""
    for file in (path, *_beside(path)):
        file.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    return path


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
