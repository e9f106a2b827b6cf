"""Room on the disk that is held back, so that what runs can end where the disk is full."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.errors import StoreFull

SIZE_BYTES = 64 * 1024 * 1024
# Of a file system that cannot set room aside by itself, so much is filled at a time.
_CHUNK = bytes(1024 * 1024)


def free_bytes(folder: Path) -> int:
    """What the file system of a folder has room for."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Ballast:
    """A file that only takes room. Thrown off when a write finds the disk full, and taken on
    again when there is enough.

    Belongs to the thread that writes.
    """

    def __init__(
        self,
        path: Path,
        size_bytes: int = SIZE_BYTES,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """Know where it is to be; nothing is on the disk before `take`.

        Args:
            free: how many bytes there is room for in a folder.
        """
        self._path = path
        self._size_bytes = size_bytes
        self._free = free

    def take(self) -> None:
        """Have it on the disk, unless there is too little room for it."""
        with suppress(OSError):
            if self._held() or self._free(self._path.parent) < 2 * self._size_bytes:
                return
            try:
                self._fill()
            except OSError:
                self.throw_off()

    def throw_off(self) -> bool:
        """Make room; False if there is none left to make."""
        held = self._held()
        self._path.unlink(missing_ok=True)
        return held

    def require_room(self) -> None:
        """See that something new may be taken in.

        Raises:
            StoreFull: what room is left belongs to what runs.
        """
        self.take()
        if not self._held() or self._free(self._path.parent) < self._size_bytes:
            raise StoreFull

    @property
    def low(self) -> bool:
        """Nothing new would be taken in. May be asked in any thread."""
        try:
            # What was thrown off would be taken on first.
            wanted = self._size_bytes * (1 if self._held() else 2)
            return self._free(self._path.parent) < wanted
        except OSError:
            return True

    def _held(self) -> bool:
        try:
            return self._path.stat().st_size == self._size_bytes
        except FileNotFoundError:
            return False

    def _fill(self) -> None:
        with open(self._path, "wb", opener=private) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
                return
            for at in range(0, self._size_bytes, len(_CHUNK)):
                file.write(_CHUNK[: self._size_bytes - at])


def private(path: str, flags: int) -> int:
    """An opener for `open`: a file that is made can be read by its owner alone."""
    return os.open(path, flags, 0o600)
