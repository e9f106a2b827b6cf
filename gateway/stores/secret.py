"""A secret in a file of its own, so that what is signed with it stays good over restarts."""

import os
from collections.abc import Callable
from errno import EIO
from pathlib import Path

from gateway.stores.ballast import private
from gateway.stores.database import StoreUnusable, sync

_LEAST_CHARACTERS = 32


def kept(path: Path, new: Callable[[], str]) -> str:
    """The secret that the file holds; a new one, whole or not at all, where there is no file.

    Only its owner may read it. Call it with the folder's database open: one process at a time.

    Raises:
        StoreUnusable: the file holds something else.
        OSError: it cannot be read, or not be made.
    """
    if not path.exists():
        _make(path, new())
    path.chmod(0o600)
    secret = path.read_text("ascii", "replace").strip()
    if len(secret) < _LEAST_CHARACTERS:
        raise StoreUnusable(
            EIO,
            "holds no secret. Put a backup in its place, or remove it: links to streams that were "
            "handed out before then end",
            str(path),
        )
    return secret


def _make(path: Path, secret: str) -> None:
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with open(aside, "x", encoding="ascii", opener=private) as file:
        file.write(f"{secret}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    sync(path.parent)
