"""What `doctor` finds, and what this machine alone can be asked."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from gateway import descriptors
from gateway.config import Settings
from gateway.stores import folder
from gateway.stores.ballast import free_bytes

# The gateway takes nothing new below twice its ballast; a warning comes well before.
_FREE_LEAST = 256 << 20
_FREE_GOOD = 1 << 30
_SKEW_S, _SKEW_MOST_S = 2.0, 30.0


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Finding(NamedTuple):
    """One line of the examination.

    Attributes:
        check: what was looked at, in a word.
        advice: what to do; "" where nothing is.
    """

    check: str
    level: Level
    text: str
    advice: str = ""


def disk(settings: Settings) -> list[Finding]:
    """Where jobs are kept, and whether there is room."""
    if not settings.keep_texts:
        return [Finding("disk", Level.OK, "KEEP_TEXTS is off: nothing is written")]
    if not settings.data_dir:
        text = "everything is in memory, and gone with the process"
        return [Finding("disk", Level.WARNING, text, "Set DATA_DIR to a folder.")]
    path = Path(settings.data_dir)
    why = folder.objection(path)
    if why:
        text = f"nothing can be kept in {path}: {why.rstrip('.')}"
        return [Finding("disk", Level.ERROR, text, "Let the gateway's user own a folder there.")]
    if not path.exists():
        return [Finding("disk", Level.OK, f"{path} will be made at the first start")]
    found = [_room(path)]
    if folder.is_shared(path):
        text = f"others on this machine may look into {path}"
        found.append(Finding("disk", Level.WARNING, text, f"chmod 700 {path}"))
    return found


def _room(folder: Path) -> Finding:
    free = free_bytes(folder)
    text = f"{free / (1 << 30):.1f} GiB free in {folder}"
    if free < _FREE_LEAST:
        advice = "Make room: the gateway takes no requests that it cannot keep."
        return Finding("disk", Level.ERROR, text, advice)
    if free < _FREE_GOOD:
        return Finding("disk", Level.WARNING, text, "Make room, or shorten RETENTION.")
    return Finding("disk", Level.OK, text)


def files(settings: Settings) -> Finding:
    """Whether so many connections can be open as the settings allow."""
    wanted, most = descriptors.wanted(settings), descriptors.most()
    text = f"{most} files may be open here; MAX_STREAMS and WORKERS may want {wanted}"
    if most >= wanted:
        return Finding("files", Level.OK, text)
    advice = f"Raise it (ulimit -Hn {wanted}, LimitNOFILE= of the service), or lower MAX_STREAMS."
    return Finding("files", Level.WARNING, text, advice)


def clock(ahead_s: dict[str, float]) -> Finding:
    """Whether this machine's clock is right, by those of others.

    Args:
        ahead_s: how far this clock is ahead of that of each host that told its time.
    """
    if not ahead_s:
        text = "there was no other clock to compare with"
        return Finding("clock", Level.WARNING, text, "Check it: timedatectl")
    # One of them may be wrong; the nearest is the witness.
    host, off_s = min(ahead_s.items(), key=lambda each: abs(each[1]))
    if abs(off_s) <= _SKEW_S:
        return Finding("clock", Level.OK, f"it agrees with {host}'s")
    way = "ahead of" if off_s > 0 else "behind"
    level = Level.ERROR if abs(off_s) > _SKEW_MOST_S else Level.WARNING
    advice = "Set it: timedatectl set-ntp true. Tokens and signatures depend on it."
    return Finding("clock", level, f"it is {abs(off_s):.0f} s {way} {host}'s", advice)


def provider(name: str, status: str, *, is_default: bool, setting: str) -> Finding:
    """How a provider is, as `Checkup` names it."""
    what = f"{name}: {status}"
    match status:
        case "connected":
            return Finding("provider", Level.OK, what)
        case "refused":
            advice = f"It does not know the key: make a new one, and set {setting}."
            return Finding("provider", Level.ERROR, what, advice)
        case "no key":
            if is_default:
                advice = f"The default model is its: set {setting}, or another DEFAULT_MODEL."
                return Finding("provider", Level.ERROR, what, advice)
            return Finding("provider", Level.OK, f"{what}, not used")
    advice = "Is this machine online, and the provider's base URL right?"
    return Finding("provider", Level.ERROR if is_default else Level.WARNING, what, advice)
