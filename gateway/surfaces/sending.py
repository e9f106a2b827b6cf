"""Writing to a caller who may have stopped reading."""

import asyncio

from aiohttp import web


async def send(
    request: web.Request, response: web.StreamResponse, data: bytes, stall_s: float
) -> None:
    """Write a part of an answer that has begun.

    Raises:
        ConnectionResetError: the caller has gone, or took nothing for `stall_s`.
    """
    try:
        async with asyncio.timeout(stall_s):
            await response.write(data)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from None
