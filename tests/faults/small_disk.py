"""A disk of its own for one process: small, real, and to be filled by a test."""

import os
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.e2e.servers import Server

# The gateway holds 64 MiB back, and wants as much again before it does.
_SIZE = "256m"
_STEPS = (1 << 20, 1 << 12)
_AS_ROOT = ("unshare", "--mount")
_AS_ANYBODY = ("unshare", "--user", "--map-root-user", "--mount")


@cache
def _way() -> tuple[str, ...] | None:
    """How this machine lets a process have a file system that nobody else sees; None: not."""
    for way in (_AS_ROOT, _AS_ANYBODY):
        with suppress(OSError):
            tried = subprocess.run(
                [*way, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
            )
            if not tried.returncode:
                return way
    return None


def may_be_had() -> bool:
    """This machine lets the user who runs the tests mount one."""
    return _way() is not None


def within(folder: Path) -> list[str]:
    """The command that gives the process after it such a disk at `folder`, gone with it."""
    way = _way()
    assert way is not None
    folder.mkdir(exist_ok=True)
    mount = f'mount -t tmpfs -o size={_SIZE} none "$0" && exec "$@"'
    return [*way, "sh", "-c", mount, str(folder)]


class SmallDisk:
    """The disk as the process sees it, seen from outside."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._folder = Path(f"/proc/{server.process.pid}/root{folder}")
        self._filler = self._folder / "filler"

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        """Take what room is left, to the last page."""
        file = os.open(self._filler, os.O_RDWR | os.O_CREAT)
        try:
            for step in _STEPS:
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file, os.fstat(file).st_size, step)
        finally:
            os.close(file)

    def empty(self) -> None:
        """Give it back."""
        self._filler.unlink()
