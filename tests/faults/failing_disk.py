"""A disk that a test may fill, or cut the power of: a layer between SQLite and the files.

A power cut keeps what was synced. Of what was written since, each sector may be there or not.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import apsw

from gateway.stores.database import CHECKSUMS, load_checksums

_SECTOR = 512

# A place in a file and what is there now; or, without bytes, the new end of the file.
_Change = tuple[int, bytes | None]


class Disk(apsw.VFS):
    """The files of one database.

    Attributes:
        name: what SQLite knows it by.
        full: whether there is no room, asked before each write.
        on_step: called before each write and each sync, in the thread that makes it.
    """

    def __init__(self, name: str) -> None:
        load_checksums()
        super().__init__(name, CHECKSUMS)
        self.name = name
        self.full: Callable[[], bool] = lambda: False
        self.on_step: Callable[[], None] = lambda: None
        self.synced: dict[str, bytes] = {}
        self.unsynced: defaultdict[str, list[_Change]] = defaultdict(list)

    def xOpen(self, name: Any, flags: list[int]) -> "DiskFile":
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.synced.pop(filename, None)
        self.unsynced.pop(filename, None)

    def after_power_cut(self, folder: Path, rng: Random) -> None:
        """Put into a folder what the disk would hold if the power went now."""
        for name, content in self.synced.items():
            image = bytearray(content)
            for at, data in self.unsynced[name]:
                _change(image, at, data, rng)
            (folder / Path(name).name).write_bytes(image)


class DiskFile(apsw.VFSFile):
    """One file of them, and what of it would survive."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__(CHECKSUMS, name, flags)
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        if self._path and self._path not in disk.synced:
            disk.synced[self._path] = Path(self._path).read_bytes()

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.on_step()
        if self._disk.full():
            raise apsw.FullError
        super().xWrite(data, offset)
        # Read back: a layer below has put the checksum in.
        with open(self._path, "rb") as file:
            file.seek(offset)
            self._disk.unsynced[self._path].append((offset, file.read(len(bytes(data)))))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._disk.unsynced[self._path].append((newsize, None))

    def xSync(self, flags: int) -> None:
        self._disk.on_step()
        super().xSync(flags)
        self._disk.synced[self._path] = Path(self._path).read_bytes()
        self._disk.unsynced.pop(self._path, None)


def _change(image: bytearray, at: int, data: bytes | None, rng: Random) -> None:
    if data is None:
        if rng.random() < 0.5:
            del image[at:]
        return
    for start in range(0, len(data), _SECTOR):
        if rng.random() < 0.5:
            part = data[start : start + _SECTOR]
            place = at + start
            image.extend(bytes(max(0, place - len(image))))
            image[place : place + len(part)] = part
