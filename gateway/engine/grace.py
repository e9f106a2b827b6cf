"""How long a job goes on that nobody reads: for most for ever, for some only a while."""

import asyncio
from collections.abc import Callable

from gateway.engine.bounds import Bounds
from gateway.jobs import Job, OnDisconnect


class Grace:
    """One timer for each live job that is to end when nobody wants it any more."""

    def __init__(self, bounds: Bounds, run_out: Callable[[Job], None]) -> None:
        """Know how long each kind of job goes on unread; those not named go on for ever.

        Args:
            run_out: called with a job that nobody has wanted for so long.
        """
        self._lasts_s = {
            OnDisconnect.CANCEL: bounds.disconnect_grace,
            OnDisconnect.ABANDON: bounds.abandon_after,
        }
        self._run_out = run_out
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def begin(self, job: Job, *, at_least_s: float = 0.0) -> None:
        """Nobody reads the job from now on; count from here, whatever was counted before."""
        lasts_s = self._lasts_s.get(job.on_disconnect)
        if lasts_s is not None:
            self.end(job.id)
            loop = asyncio.get_running_loop()
            self._timers[job.id] = loop.call_later(max(lasts_s, at_least_s), self._over, job)

    def end(self, job_id: str) -> None:
        """The job is over."""
        timer = self._timers.pop(job_id, None)
        if timer is not None:
            timer.cancel()

    def _over(self, job: Job) -> None:
        del self._timers[job.id]
        self._run_out(job)
