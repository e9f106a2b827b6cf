"""The folder of all that is kept: how it is made, and why another cannot be it."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_USABLE = os.R_OK | os.W_OK | os.X_OK


def make(folder: Path) -> None:
    """See that the folder is there; its owner's alone, where nothing was in it.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_shared(folder) and folder.stat().st_uid == os.geteuid() and not any(folder.iterdir()):
        # One that holds something may be shared on purpose; what is written into it is private.
        # Some file systems know no rights: whoever mounted one is told that it is open.
        with suppress(OSError):
            folder.chmod(0o700)


def is_shared(folder: Path) -> bool:
    """Others on this machine may look into it."""
    return stat.S_IMODE(folder.stat().st_mode) & 0o077 != 0


def objection(folder: Path) -> str:
    """A sentence: why nothing can be kept there by whoever asks; "" where it can be."""
    if os.path.exists(folder):
        return _objection(folder, _USABLE)
    above = next(each for each in folder.absolute().parents if os.path.exists(each))
    return _objection(above, os.W_OK | os.X_OK)


def _objection(place: Path, rights: int) -> str:
    if not os.path.isdir(place):
        return f"{place} is no folder."
    usable = os.access(place, rights, effective_ids=os.access in os.supports_effective_ids)
    return "" if usable else f"{place} cannot be written."
