"""How many files the process may have open: each reader is one, and each job at its provider."""

import resource
from math import inf

from gateway.config import Settings

# The store and the log, and what is asked beside streams.
_BESIDE = 300


def wanted(settings: Settings) -> int:
    """So many may be open at once, by the settings."""
    return settings.max_streams + settings.workers + _BESIDE


def most() -> float:
    """So many the process may allow itself; infinite where nothing bounds it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return inf if hard == resource.RLIM_INFINITY else hard


def allow(count: int) -> None:
    """Let so many be open, or as many as may be; never fewer than before.

    Shells and containers begin with 1024, for the sake of programs older than epoll.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = int(min(count, most()))
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    except (OSError, ValueError):
        # Some systems have a bound below the one they tell; what was allowed still is.
        return
