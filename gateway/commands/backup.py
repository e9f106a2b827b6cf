"""`backup`: the database of a running gateway, as of one moment, in a file."""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import IO

from aiohttp import ClientResponse

from gateway.commands import CommandError
from gateway.commands.remote import LOST, Call, Remote, remote
from gateway.commands.terminal import say, show_json
from gateway.stores.database import sync

# What every SQLite file begins with: https://www.sqlite.org/fileformat.html
_MAGIC = b"SQLite format 3\0"
_CHUNK_BYTES = 1 << 20


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Fetch it. The file is whole, or as it was."""
    file: Path = typed.file
    if file.is_dir():
        raise CommandError(f"{file} is a folder; name the file.")
    if file.exists() and not typed.force:
        raise CommandError(f"{file} is there already; --force replaces it.")
    if not file.resolve().parent.is_dir():
        raise CommandError(f"{file} cannot be there: {file.parent} is no folder.")
    size = _fetch(remote(typed, environ), file.resolve())
    if typed.json:
        show_json({"file": str(file), "bytes": size})
    else:
        say(f"{file}: {size:,} bytes.")
    return 0


def _fetch(gateway: Remote, file: Path) -> int:
    """Write beside the file, then move over it; the number of bytes."""
    # Readable by its owner only, from its first byte on.
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        # Who typed one name is not told of another.
        raise CommandError(f"{file} cannot be there: {error.strerror}.") from None
    try:
        with open(handle, "wb") as out:
            asyncio.run(_copy(gateway, out))
            out.flush()
            os.fsync(out.fileno())
            size = out.tell()
        _check(Path(name))
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
    sync(file.parent)
    return size


async def _copy(gateway: Remote, out: IO[bytes]) -> None:
    async with gateway, gateway.opened(Call("GET", "/admin/backup")) as response:
        while chunk := await _read(response):
            out.write(chunk)


async def _read(response: ClientResponse) -> bytes:
    try:
        return await response.content.read(_CHUNK_BYTES)
    except LOST as error:
        raise CommandError(f"The backup was cut off: {error}. Try again.") from None


def _check(copy: Path) -> None:
    with copy.open("rb") as found:
        if found.read(len(_MAGIC)) != _MAGIC:
            raise CommandError("What came is no database: is this the gateway's address?")
