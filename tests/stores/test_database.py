"""One file, one writer: who may open it, and what becomes of each operation."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from gateway.errors import Conflict, StoreUnavailable
from gateway.stores.ballast import Ballast
from gateway.stores.database import Database, StoreDamaged, StoreInUse, StoreUnusable
from gateway.stores.schema import MIGRATIONS
from gateway.stores.sqlite import SqliteStore
from tests.stores.conformance import NOW, ended, logged, new_job


def database_in(folder: Path) -> Database:
    return Database(folder, ballast=Ballast(folder / "ballast", 4096))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(database_in(folder))
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = database_in(tmp_path)
    await database.start()
    yield database
    await database.stop()


# -- the file ---------------------------------------------------------------------------------


async def test_what_was_acknowledged_is_there_again(tmp_path: Path) -> None:
    """Jobs, logs and keys, after a stop; which leaves one file, whole in itself."""
    async with opened(tmp_path) as store:
        job = await ended(store, idempotency_key="acme:k", fingerprint="f")
        events = await logged(store, job)
    assert {*os.listdir(tmp_path)} == {"gateway.db", "gateway.lock", "ballast"}
    async with opened(tmp_path) as store:
        assert await store.find("acme:k") == job
        assert await logged(store, job) == events


async def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """The folder that it makes, and every file in it, are its owner's alone."""
    folder = tmp_path / "new" / "data"
    async with opened(folder) as store:
        await store.insert(new_job(), None)
        files = [folder / name for name in os.listdir(folder)]
        rights = {file.name: file.stat().st_mode & 0o777 for file in files}
        assert {"gateway.db", "gateway.db-wal", "gateway.lock", "ballast"} <= set(rights)
        assert set(rights.values()) == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """With a sentence that names the first; when that has stopped, it may."""
    async with opened(tmp_path):
        with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
            await database_in(tmp_path).start()
    async with opened(tmp_path):
        pass


async def test_a_file_of_a_newer_gateway_is_left_alone(tmp_path: Path) -> None:
    """Refused, and neither changed nor renamed."""
    async with opened(tmp_path) as store:
        job = await store.insert(new_job(), None)
        await store._database.write(lambda db: db.pragma("user_version", len(MIGRATIONS) + 1))
    with pytest.raises(StoreUnusable, match="newer version"):
        await database_in(tmp_path).start()
    with apsw.Connection(str(tmp_path / "gateway.db")) as db:
        assert db.execute("SELECT id FROM jobs").get == job.id


@pytest.mark.parametrize("content", [b"", b"something else", b"SQLite format 3\x00" * 500])
async def test_what_is_no_database_is_never_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """It is renamed and refused, also by the next start; to begin anew somebody must say so."""
    (tmp_path / "gateway.db").write_bytes(content)
    with pytest.raises(StoreDamaged, match="renamed to"):
        await database_in(tmp_path).start()
    with pytest.raises(StoreDamaged, match="Put a backup in its place"):
        await database_in(tmp_path).start()
    (aside,) = (tmp_path / name for name in os.listdir(tmp_path) if name.endswith("damaged"))
    assert aside.read_bytes() == content
    aside.unlink()
    async with opened(tmp_path) as store:
        assert await store.unfinished() == []


async def test_a_database_without_checksums_is_not_trusted(tmp_path: Path) -> None:
    """One flipped byte in its head would turn all of them off."""
    async with opened(tmp_path):
        pass
    file = tmp_path / "gateway.db"
    whole = bytearray(file.read_bytes())
    whole[20] = 0
    file.write_bytes(whole)
    with pytest.raises(StoreDamaged):
        await database_in(tmp_path).start()


async def test_a_log_without_its_file_is_not_forgotten(tmp_path: Path) -> None:
    """What is left of a database that somebody removed is not overwritten."""
    (tmp_path / "gateway.db-wal").write_bytes(b"rest")
    with pytest.raises(StoreDamaged, match=r"gateway\.db-wal"):
        await database_in(tmp_path).start()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        await database_in(tmp_path / "file" / "data").start()


async def test_a_backup_is_a_database(tmp_path: Path) -> None:
    """Made while others write, it has all that was acknowledged before it began."""
    async with opened(tmp_path / "data") as store:
        jobs = [await ended(store) for _ in range(20)]
        more = [asyncio.create_task(ended(store)) for _ in range(50)]
        for _ in range(2):
            (tmp_path / "copy").mkdir(exist_ok=True)
            await store._database.backup(tmp_path / "copy" / "gateway.db")
        await asyncio.gather(*more)
    assert (tmp_path / "copy" / "gateway.db").stat().st_mode & 0o777 == 0o600
    async with opened(tmp_path / "copy") as store:
        assert [await store.get(job.id) for job in jobs] == jobs


# -- operations -------------------------------------------------------------------------------


async def test_one_that_fails_does_not_disturb_others(database: Database) -> None:
    """Of those that share a transaction, only the one at fault changes nothing, whether it was
    refused or met a mistake in the middle."""

    def note(number: int) -> None:
        def work(db: apsw.Connection) -> int:
            if number % 10 == 3:
                raise Conflict
            db.execute("INSERT INTO turns VALUES (?, 1, ?, 0, x'')", (number, str(number)))
            return number // (number % 10 - 7)

        tasks.append(asyncio.create_task(database.write(work)))

    tasks: list[asyncio.Task[int]] = []
    for number in range(100):
        note(number)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    failed = {3: Conflict, 7: ZeroDivisionError}
    for number, result in enumerate(results):
        want = failed.get(number % 10)
        assert type(result) is want if want else result == number // (number % 10 - 7)
    stored = await database.read(
        lambda db: db.execute("SELECT seq FROM turns ORDER BY seq").fetchall()
    )
    assert stored == [(number,) for number in range(100) if number % 10 not in failed]


async def test_one_whose_caller_left_is_whole(tmp_path: Path) -> None:
    """It happened or it did not, with all that belongs to it; and the writer goes on."""
    async with opened(tmp_path) as store:
        jobs = [new_job() for _ in range(50)]
        calls = [asyncio.create_task(store.insert(job, None)) for job in jobs]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        last = await store.insert(new_job(), None)
        found = await store.unfinished()
        assert [job for job in found if job in jobs[1::2]] == jobs[1::2]
        assert found[-1] == last
        assert [await logged(store, job) for job in found] == [[]] * len(found)


async def test_a_stopped_one_says_that_it_is_not_there(database: Database) -> None:
    """What was asked for before is done; what comes after is refused."""
    before = asyncio.create_task(database.write(lambda db: db.pragma("user_version")))
    await asyncio.sleep(0)
    await database.stop()
    assert await before == len(MIGRATIONS)
    for ask in (database.write, database.read):
        with pytest.raises(StoreUnavailable):
            await ask(lambda db: db.pragma("user_version"))


async def test_a_snapshot_has_no_name(database: Database, tmp_path: Path) -> None:
    """It is read by whoever has it open, and gone with that; one that nobody waits for is none."""
    names = sorted(await asyncio.to_thread(os.listdir, tmp_path))
    with await database.snapshot() as copy:
        assert (await asyncio.to_thread(copy.read))[:16] == b"SQLite format 3\0"
        assert sorted(await asyncio.to_thread(os.listdir, tmp_path)) == names
    left = asyncio.create_task(database.snapshot())
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait({left})
    await database.stop()
    assert [name for name in await asyncio.to_thread(os.listdir, tmp_path) if "copy" in name] == []


async def test_a_copy_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    """When the next process has the folder."""
    left = tmp_path / "gateway-copy-x7"
    left.write_bytes(b"half")
    async with opened(tmp_path):
        assert not await asyncio.to_thread(left.exists)


async def test_readers_cannot_write(database: Database) -> None:
    """There is one connection that does."""
    with pytest.raises(StoreUnavailable) as told:
        await database.read(lambda db: db.execute("DELETE FROM jobs").fetchall())
    assert isinstance(told.value.__cause__, apsw.ReadOnlyError)


async def test_retention_goes_in_steps(tmp_path: Path) -> None:
    """Also where more has ended than one step forgets."""
    async with opened(tmp_path) as store:
        over = await asyncio.gather(*(ended(store) for _ in range(250)))
        kept = await ended(store, NOW + 100)
        gone = await store.prune(NOW + 50, NOW + 50)
        assert sorted(gone) == sorted((job.id, job.owner) for job in over)
        assert await store.get(kept.id) == kept
        left = await store._database.read(
            lambda db: [db.execute(f"SELECT count(*) FROM {table}").get for table in TABLES]
        )
        assert left == [1, 1, 1, 1, 0]


TABLES = ("jobs", "requests", "entries", "events", "deliveries")
