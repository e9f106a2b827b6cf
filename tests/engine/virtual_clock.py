"""An event loop whose clock jumps: hours pass at once, and always in the same order.

When nothing is ready, time moves to the next timer. Nothing ever sleeps, and a test that waits
for what nobody will do fails at once: it runs out of virtual time.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Seconds of virtual time after which a test is taken for stuck.
_LONGEST_S = 6 * 3600.0


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves the clock to it."""

    now = 1000.0
    threads = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or self.threads:
            # Only another thread can bring the next step: that takes real time.
            blocking: list[Any] = super().select(timeout and None)
            return blocking
        ready: list[Any] = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A selector loop on virtual time. Not for sockets: their peers live in real time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *_: Any) -> None:
        # It waits for a thread, from Python 3.12 on with a time-out that would be over at once.
        self._jumping.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.threads -= 1

    def _thread_done(self, _: object) -> None:
        self._jumping.threads -= 1


def jumping(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a loop of its own that jumps; it must leave no task behind."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(_alone(test(*args, **kwargs)))

    return run


async def _alone(test: Awaitable[None]) -> None:
    async with asyncio.timeout(_LONGEST_S):
        await test
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks were left behind: {left}"


async def settle() -> None:
    """Let everything happen that can happen now, without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)
