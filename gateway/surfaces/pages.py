"""The gateway's own pages, and what they load: built files, served as they are.

They hold nothing secret; whoever opens one brings a credential for what it asks the gateway.
"""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from gateway.errors import NotFound
from gateway.surfaces.door import Door
from gateway.surfaces.route import Access, Handler, Reply, Route
from gateway.surfaces.status import shape

# What is asked for, and the file that is the answer.
PAGES = {
    "/": "playground/index.html",
    "/chat": "chat/index.html",
    "/dashboard": "dashboard/index.html",
    "/docs": "docs/index.html",
}
FILES = "/static/{path:.+}"

_HEADERS = {
    # Nothing from elsewhere, nothing inline: text that a model wrote cannot become a script, nor
    # tell another server that it was read.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
# Of the build's own files; what the machine's tables say of them may differ.
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
# The name of such a file changes with what is in it.
_HASHED = "assets/"
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_EVERY_TIME = "no-cache"
_TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


class File(NamedTuple):
    """One file as it is sent. `packed` is gzip's, and empty where that saves nothing."""

    body: bytes
    packed: bytes
    etag: str
    headers: Mapping[str, str]


class Pages:
    """The pages' routes. They are no part of the API, nor of its document."""

    def __init__(self, folder: Path) -> None:
        """Serve what is in `folder`; it is read when somebody first asks for any of it."""
        self._folder = folder
        self._reading: asyncio.Task[dict[str, File]] | None = None
        handlers = {path: self._page(name) for path, name in PAGES.items()}
        handlers[FILES] = self.file
        self.door = Door(
            "pages",
            shape,
            [
                Route("GET", path, handler, Access.OPEN, (Reply(200, "The file."),))
                for path, handler in handlers.items()
            ],
        )

    def _page(self, name: str) -> Handler:
        async def page(request: web.Request) -> web.Response:
            """A page of the gateway's own."""
            return _answer(request, await self._file(name))

        return page

    async def file(self, request: web.Request) -> web.Response:
        """What a page loads."""
        return _answer(request, await self._file(request.match_info["path"]))

    async def _file(self, name: str) -> File:
        """The file of exactly that name: what was not found by reading the folder does not exist.

        Raises:
            NotFound: there is none.
        """
        if self._reading is None:
            # All at once: a page and what it loads belong together, also while an update is
            # being unpacked.
            self._reading = asyncio.create_task(asyncio.to_thread(_read, self._folder))
        # One who leaves must not take the files from who waits beside them.
        files = await asyncio.shield(self._reading)
        if name not in files:
            raise NotFound
        return files[name]


def _read(folder: Path) -> dict[str, File]:
    """Every file below the folder, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): _sent(path.relative_to(folder), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def _sent(name: Path, body: bytes) -> File:
    packed = gzip.compress(body, compresslevel=6, mtime=0)
    hashed = name.as_posix().startswith(_HASHED)
    headers = {
        **_HEADERS,
        "Content-Type": _KINDS.get(name.suffix, "application/octet-stream"),
        "Cache-Control": _FOR_EVER if hashed else _ASK_EVERY_TIME,
    }
    etag = hashlib.sha256(body).hexdigest()[:32]
    return File(body, packed if len(packed) < len(body) else b"", etag, headers)


def _answer(request: web.Request, file: File) -> web.Response:
    """The file, packed where the caller can unpack it; 304 to one who has it already."""
    held = {tag.value for tag in request.if_none_match or ()}
    if file.etag in held or "*" in held:
        response = web.Response(status=304, headers=file.headers)
    elif file.packed and _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")):
        response = web.Response(body=file.packed, headers=file.headers)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = web.Response(body=file.body, headers=file.headers)
    # Weak: packed or not, it is the same file.
    response.headers["ETag"] = f'W/"{file.etag}"'
    return response
