"""Moments as people type them."""

import re
from datetime import datetime
from typing import NamedTuple, Self

_AGO = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Moment(NamedTuple):
    """A time, or how long ago it was."""

    seconds: float
    is_ago: bool

    @classmethod
    def of(cls, text: str) -> Self:
        """Of `12h` ago, a date, or a date and time of this machine's clock.

        Raises:
            ValueError: no such form; its text says which there are.
        """
        ago = _AGO.fullmatch(text)
        if ago:
            return cls(int(ago[1]) * _SECONDS[ago[2]], is_ago=True)
        try:
            return cls(datetime.fromisoformat(text).astimezone().timestamp(), is_ago=False)
        except (ValueError, OverflowError, OSError):
            raise ValueError(
                f"{text!r} is no time. Such are 2026-11-20, 2026-11-20T22:44, and 90m, 12h or 7d "
                "for so long ago."
            ) from None

    def epoch(self, now: float) -> float:
        """Seconds since the epoch."""
        return now - self.seconds if self.is_ago else self.seconds
