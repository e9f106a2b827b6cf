"""A provider that plays what a test tells it, on the loop's time."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from gateway.events import Completed, Delta, ToolCall, Usage
from gateway.messages import Request
from gateway.providers import Output

# A number of seconds to wait, something to say, an error to fail with, or no more than a sign.
Step = float | Delta | ToolCall | Usage | Completed | Exception | None
Play = Sequence[Step]

FOREVER = 1e9
HELLO: Play = [
    Delta(text="Hel"),
    Delta(text="lo"),
    Usage(prompt_tokens=3, completion_tokens=2),
    Completed(),
]


class Scripted:
    """Plays the next play of the model that is asked, and its last one ever after.

    Attributes:
        calls: when each call came, in seconds from the loop's start, and for which model.
        requests: what each call asked.
        streaming: calls that have not been closed.
        farewell: the error with which a call ends that is closed in the middle of a wait.
    """

    name = "scripted"

    def __init__(self, **plays: Sequence[Play]) -> None:
        self.plays = plays
        self.calls: list[tuple[float, str]] = []
        self.requests: list[Request] = []
        self.streaming = 0
        self.farewell: Exception | None = None

    async def stream(self, request: Request, model: str) -> AsyncGenerator[list[Output], None]:
        plays = self.plays[model]
        count = sum(called == model for _, called in self.calls)
        self.calls.append((asyncio.get_running_loop().time() - 1000.0, model))
        self.requests.append(request)
        self.streaming += 1
        try:
            # What comes without a wait in between comes in one read.
            arrived: list[Output] = []
            for step in plays[min(count, len(plays) - 1)]:
                if step is None:
                    yield []
                    continue
                if not isinstance(step, Exception | float | int):
                    arrived.append(step)
                    continue
                if arrived:
                    yield arrived
                    arrived = []
                if isinstance(step, Exception):
                    raise step
                await asyncio.sleep(step)
            if arrived:
                yield arrived
        except asyncio.CancelledError:
            if self.farewell is not None:
                raise self.farewell from None
            raise
        finally:
            self.streaming -= 1

    async def check(self) -> None:
        """There is no key to check."""

    async def start(self) -> None:
        """There is nothing to open."""

    async def stop(self) -> None:
        """There is nothing to close."""
