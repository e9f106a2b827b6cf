"""`serve --reload`: a gateway that is started again when its code or its configuration changes.

This process only watches; the gateway is a child of it, and is always started afresh. What ends
by itself, of a wrong setting or a slip in the code, is started again after the next change.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event

from gateway.commands.terminal import say

_PACKAGE = Path(__file__).parents[1]
_CONFIGURATION = {".toml", ".json"}
_LOOK_EVERY_S = 0.3
# For what runs: a developer does not wait for a drain.
_GOODBYE_S = 2.0

# When each file was last written, and how large it is.
Snapshot = dict[str, tuple[int, int]]


def run(typed: argparse.Namespace, folder: Path, environ: Mapping[str, str]) -> int:
    """Serve until told to stop.

    Args:
        folder: of the configuration.
    """
    told = Event()
    # The last: the terminal was closed, which the child in its own group is not told.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: told.set())
    while not told.is_set():
        before = snapshot(folder)
        child = _started(typed, folder, environ)
        changed = _changed(child, before, folder, told)
        _end(child)
        if changed:
            say(f"{changed} has changed: starting again.")
    return 0


def snapshot(folder: Path) -> Snapshot:
    """How every file that matters stands now."""
    found: Snapshot = {}
    for file in _files(folder):
        try:
            stat = file.stat()
        except OSError:
            # It went between the look at the folder and the look at the file.
            continue
        found[str(file)] = (stat.st_mtime_ns, stat.st_size)
    return found


def difference(before: Snapshot, after: Snapshot) -> str | None:
    """A file that changed, came or went; None where none did."""
    touched = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return min(touched, default=None)


def _files(folder: Path) -> Iterator[Path]:
    yield from _PACKAGE.rglob("*.py")
    yield from (file for file in folder.iterdir() if file.suffix in _CONFIGURATION)
    yield Path(".env")


def _started(
    typed: argparse.Namespace, folder: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    options = [f"--conf={folder}"]
    options += [f"--host={typed.host}"] if typed.host else []
    options += [f"--port={typed.port}"] if typed.port is not None else []
    path = os.pathsep.join(filter(None, (str(_PACKAGE.parent), environ.get("PYTHONPATH"))))
    # A group of its own: Ctrl-C comes here, and is passed on once.
    return subprocess.Popen(  # noqa: S603
        # Not another package of that name in the working directory.
        [sys.executable, "-P", "-m", "gateway", "serve", *options],
        env={**environ, "PYTHONPATH": path},
        process_group=0,
    )


def _changed(
    child: subprocess.Popen[bytes], before: Snapshot, folder: Path, told: Event
) -> str | None:
    """Wait for a change, and until it is whole; None when told to stop."""
    changed: str | None = None
    ended = False
    while not told.wait(_LOOK_EVERY_S):
        now = snapshot(folder)
        news = difference(before, now)
        if changed and not news:
            return changed
        changed, before = news or changed, now
        if not ended and child.poll() is not None:
            ended = True
            say(f"The gateway ended with {child.returncode}; it starts again after a change.")
    return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let what runs come to its end for a moment, and no longer."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            child.send_signal(number)
        try:
            child.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            continue
        return
    child.wait()
