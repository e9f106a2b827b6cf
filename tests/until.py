"""Waiting for what happens without telling anybody: it has to be looked at again and again."""

import asyncio
from collections.abc import Callable

# For a machine that does much else; what never comes is noticed all the same.
PATIENCE_S = 60.0


async def until(
    holds: Callable[[], object], shown: Callable[[], object] = str, every_s: float = 0.0
) -> None:
    """Wait until something is true.

    Args:
        shown: what to say of it where it never is.
        every_s: the pause between two looks; 0 looks in each turn of the loop.
    """
    loop = asyncio.get_running_loop()
    late = loop.time() + PATIENCE_S
    while not holds():
        assert loop.time() < late, f"after {PATIENCE_S:.0f} s it is not so: {shown()}"
        await asyncio.sleep(every_s)
