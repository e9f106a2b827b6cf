"""Room that is held back while there is some, and given up when there is none."""

from pathlib import Path

import pytest

from gateway.errors import StoreFull
from gateway.stores.ballast import Ballast, free_bytes


class Disk:
    """A disk with as much room as a test says."""

    def __init__(self, folder: Path, room: int) -> None:
        self.room = room
        self.path = folder / "ballast"
        self.ballast = Ballast(self.path, 1000, lambda _: self.room)


def accepts(disk: Disk) -> bool:
    try:
        disk.ballast.require_room()
    except StoreFull:
        return False
    return True


def test_it_takes_its_room_and_no_more(tmp_path: Path) -> None:
    """A file of its size, for nobody else to read; twice is as once."""
    disk = Disk(tmp_path, 2000)
    disk.ballast.take()
    disk.ballast.take()
    found = disk.path.stat()
    assert (found.st_size, found.st_mode & 0o777, found.st_blocks > 0) == (1000, 0o600, True)


def test_it_leaves_room_for_others(tmp_path: Path) -> None:
    """Where it would fill the disk it is not taken on."""
    disk = Disk(tmp_path, 1999)
    disk.ballast.take()
    assert not disk.path.exists()
    assert not accepts(disk)


def test_what_is_new_is_refused_before_the_disk_is_full(tmp_path: Path) -> None:
    """While what runs may still write; and taken again as soon as there is room."""
    disk = Disk(tmp_path, 5000)
    accepted = []
    for room in (5000, 1000, 999, 1000):
        disk.room = room
        accepted.append(accepts(disk))
    assert accepted == [True, True, False, True]


def test_what_was_thrown_off_is_taken_on_again(tmp_path: Path) -> None:
    """When there is room for it beside what is held back anyway; nothing new before that."""
    disk = Disk(tmp_path, 5000)
    disk.ballast.take()
    assert disk.ballast.throw_off() is True
    assert disk.ballast.throw_off() is False
    disk.room = 1999
    assert (accepts(disk), disk.path.exists()) == (False, False)
    disk.room = 2000
    assert (accepts(disk), disk.path.exists()) == (True, True)


def test_it_says_whether_room_is_low(tmp_path: Path) -> None:
    """Without changing anything: as what is new would be taken, or not; also while what is held
    back for the last has still to be taken on."""
    disk = Disk(tmp_path, 1999)
    low = [disk.ballast.low]
    disk.room = 2000
    low.append(disk.ballast.low)
    disk.ballast.take()
    low.append(disk.ballast.low)
    disk.room = 999
    low.append(disk.ballast.low)
    low.append(Ballast(tmp_path / "none" / "ballast", 1000).low)
    assert (low, disk.path.exists()) == ([True, False, False, True, True], True)


def test_a_folder_that_is_gone_is_no_room(tmp_path: Path) -> None:
    """It refuses, as for every other reason."""
    ballast = Ballast(tmp_path / "nowhere" / "ballast", 1000)
    with pytest.raises(StoreFull):
        ballast.require_room()


def test_the_room_of_a_disk_is_known(tmp_path: Path) -> None:
    """As the operating system tells it."""
    assert free_bytes(tmp_path) > 0
