"""Moments as people type them."""

import re
from datetime import datetime

from gateway.commands import CommandError

_AGO = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(option: str, text: str | None, now: float) -> float | None:
    """Seconds since the epoch of `12h` ago, a date, or a date and time of this machine's clock.

    Raises:
        CommandError: no such form.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise CommandError(
            f"{option}: {text} is no time. Such are 2026-11-20, 2026-11-20T22:44, and 90m, 12h or "
            "7d for so long ago."
        ) from None
