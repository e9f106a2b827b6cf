"""Whatever happens to the process, the power or the disk: what was acknowledged is there.

FAULTS=long makes the tests long. The seed of each round is in its failure.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

import pytest

from gateway.errors import StoreUnavailable
from gateway.stores.ballast import Ballast
from gateway.stores.database import StoreDamaged
from gateway.stores.sqlite import SqliteStore
from tests.faults.failing_disk import Disk
from tests.faults.store_work import NOW, check, delivery_of, job_of, one, store_in, work
from tests.processes import ROOT

LONG = os.environ.get("FAULTS") == "long"
KILLS = 200 if LONG else 5
CUTS = 1000 if LONG else 30
DAMAGES = 60 if LONG else 15

_names = count()


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk(f"failing-{next(_names)}")
    yield disk
    disk.unregister()


@asynccontextmanager
async def opened(store: SqliteStore) -> AsyncIterator[SqliteStore]:
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


# -- the process ----------------------------------------------------------------------------------


def killed(folder: Path, first: int, after: int) -> dict[int, str]:
    """What a process said was stored until it was killed, so many words after its first: it goes
    on meanwhile, so that anything may be under way."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.store_work", str(folder), str(first)],
        stdout=subprocess.PIPE, cwd=ROOT, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        lines += process.stdout.readlines()
    # The last line may be torn.
    said = [line.split() for line in lines if line.endswith("\n")]
    return {int(number): step for number, step in said}


@pytest.mark.timeout(1200 if LONG else 180)
async def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """Over many kills of one database, at any moment."""
    acknowledged: dict[int, str] = {}
    for seed in range(KILLS):
        after = Random(seed).randrange(1, 2000)
        said = await asyncio.to_thread(killed, tmp_path, seed * 1_000_000, after)
        async with opened(store_in(tmp_path)) as store:
            assert await check(store, said) == [], f"seed {seed}"
        acknowledged |= said
    assert len(acknowledged) > 20 * KILLS
    async with opened(store_in(tmp_path)) as store:
        assert await check(store, acknowledged) == []


# -- the power ------------------------------------------------------------------------------------


@pytest.mark.timeout(1200 if LONG else 180)
async def test_a_power_cut_loses_nothing(tmp_path: Path, disk: Disk) -> None:
    """Before any write and any sync, with any part of what was not synced on the disk."""
    rng = Random(7)
    acknowledged: dict[int, str] = {}
    cuts: list[tuple[Path, dict[int, str]]] = []

    def cut() -> None:
        if len(cuts) < CUTS and rng.random() < 0.05:
            folder = tmp_path / f"cut-{len(cuts)}"
            folder.mkdir()
            # What is acknowledged now was synced before now.
            cuts.append((folder, acknowledged.copy()))
            disk.after_power_cut(folder, rng)

    disk.on_step = cut
    (tmp_path / "live").mkdir()
    async with opened(store_in(tmp_path / "live", vfs=disk.name)) as store:
        for first in count(0, 100):
            await work(store, first, 100, acknowledged.__setitem__)
            if len(cuts) == CUTS:
                break
    for number, (folder, said) in enumerate(cuts):
        if (folder / "gateway.db").exists():
            async with opened(store_in(folder)) as store:
                assert await check(store, said) == [], f"cut {number}"
        else:
            assert said == {}, f"cut {number}"
    assert len(cuts[-1][1]) > CUTS


# -- the disk -------------------------------------------------------------------------------------


async def refused(store: SqliteStore, number: int) -> bool:
    """Whether a new job is not taken, and leaves nothing behind."""
    job = job_of(number)
    try:
        await store.insert(job, delivery_of(job))
    except StoreUnavailable as refusal:
        return refusal.retryable and await store.get(job.id) is None
    return False


async def test_a_full_disk_loses_nothing(tmp_path: Path, disk: Disk) -> None:
    """What runs ends on the room that was held back; what is new is refused until there is more,
    and then taken again by the same process."""
    room = [10_000_000]
    ballast = Ballast(tmp_path / "ballast", 100_000, lambda _: room[0])
    disk.full = lambda: room[0] == 0 and (tmp_path / "ballast").exists()
    acknowledged: dict[int, str] = {}
    async with opened(store_in(tmp_path, vfs=disk.name, ballast=ballast)) as store:
        await work(store, 0, 50, acknowledged.__setitem__)
        accepted = asyncio.Barrier(51)

        async def run(number: int) -> None:
            await store.insert(job_of(number), delivery_of(job_of(number)))
            await accepted.wait()
            # Its insert finds it there already, and needs no room.
            await one(store, number, acknowledged.__setitem__)

        running = [asyncio.create_task(run(number)) for number in range(100, 150)]
        await accepted.wait()
        room[0] = 0
        await asyncio.gather(*running)
        assert [await refused(store, number) for number in range(200, 203)] == [True] * 3
        room[0] = 10_000_000
        await work(store, 300, 50, acknowledged.__setitem__)
        assert set(acknowledged.values()) == {"h"}
        assert await check(store, acknowledged) == []
    async with opened(store_in(tmp_path)) as store:
        assert await check(store, acknowledged) == []


async def test_where_no_room_is_left_at_all_nothing_is_half_done(
    tmp_path: Path, disk: Disk
) -> None:
    """Every operation is refused and changes nothing; none of what was acknowledged is lost."""
    full = False
    disk.full = lambda: full
    acknowledged: dict[int, str] = {}
    async with opened(store_in(tmp_path, vfs=disk.name)) as store:
        await work(store, 0, 50, acknowledged.__setitem__)
        waits, runs = job_of(100), job_of(101)
        for job in (waits, runs):
            await store.insert(job, delivery_of(job))
        claimed = await store.claim(runs.id, NOW)
        full = True
        with pytest.raises(StoreUnavailable):
            await store.claim(waits.id, NOW)
        with pytest.raises(StoreUnavailable):
            await store.requeue(runs.id, spent=True, lost=None)
        assert (await store.get(waits.id), await store.get(runs.id)) == (waits, claimed)
        full = False
        assert await check(store, acknowledged) == []
        await work(store, 200, 20, acknowledged.__setitem__)
        assert await check(store, acknowledged) == []


# -- damage ---------------------------------------------------------------------------------------


def flip(file: bytearray, rng: Random) -> None:
    file[rng.randrange(len(file))] ^= 1 << rng.randrange(8)


def scribble(file: bytearray, rng: Random) -> None:
    at, size = rng.randrange(len(file)), rng.randrange(1, 5000)
    file[at : at + size] = rng.randbytes(len(file[at : at + size]))


def blank(file: bytearray, rng: Random) -> None:
    at = rng.randrange(0, len(file), 4096)
    file[at : at + 4096] = bytes(4096)


def cut_off(file: bytearray, rng: Random) -> None:
    del file[rng.randrange(len(file)) :]


def swap(file: bytearray, rng: Random) -> None:
    one, other = rng.sample(range(0, len(file), 4096), 2)
    file[one : one + 4096], file[other : other + 4096] = (
        file[other : other + 4096],
        file[one : one + 4096],
    )


DAMAGE: list[Callable[[bytearray, Random], None]] = [flip, scribble, blank, cut_off, swap]


@pytest.mark.timeout(300 if LONG else 180)
async def test_damage_is_found(tmp_path: Path) -> None:
    """Whatever it is and wherever: the start is refused, and the file is kept for a rescue."""
    async with opened(store_in(tmp_path)) as store:
        await work(store, 0, 200, lambda number, step: None)
    whole = (tmp_path / "gateway.db").read_bytes()
    for seed in range(DAMAGES):
        rng = Random(seed)
        damaged = bytearray(whole)
        DAMAGE[seed % len(DAMAGE)](damaged, rng)
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "gateway.db").write_bytes(damaged)
        with pytest.raises(StoreDamaged):
            await store_in(folder).start()
        (aside,) = (name for name in os.listdir(folder) if name.endswith("damaged"))
        assert (folder / aside).read_bytes() == damaged, f"seed {seed}"
