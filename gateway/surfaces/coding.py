"""The codings of a body: undone once it has all come, and no further than it may be long.

The server would undo them as it reads, also in what a refusal leaves unread: one small body that
unpacks to gigabytes would keep everybody waiting.
https://www.rfc-editor.org/rfc/rfc9110#section-8.4
"""

import zlib

from gateway.errors import InvalidRequest, TooLarge, UnsupportedMediaType

_FIELD = "Content-Encoding"
# How zlib is told which form it meets.
_GZIP = zlib.MAX_WBITS + 16
_ZLIB = zlib.MAX_WBITS
_BARE = -zlib.MAX_WBITS
# The method that a zlib stream names in its first byte. Some clients send it without that byte.
_DEFLATED = 8


def decoded(data: bytes, coding: str, most_bytes: int) -> bytes:
    """A body as it was before it was coded.

    Args:
        coding: what its Content-Encoding says; "" where there is none.

    Raises:
        UnsupportedMediaType: the coding is not known here.
        TooLarge: there are more than `most_bytes` of it.
        InvalidRequest: it is not coded so.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedMediaType(f"{_FIELD} must be gzip or deflate, or absent.", field=_FIELD)
    unpacker = zlib.decompressobj(_window(name, data))
    try:
        body = unpacker.decompress(data, most_bytes + 1)
    except zlib.error:
        raise _miscoded() from None
    if len(body) > most_bytes:
        raise TooLarge
    if not unpacker.eof or unpacker.unused_data:
        raise _miscoded()
    return body


def _window(name: str, data: bytes) -> int:
    if name != "deflate":
        return _GZIP
    return _ZLIB if data[:1] and data[0] & 0x0F == _DEFLATED else _BARE


def _miscoded() -> InvalidRequest:
    return InvalidRequest("The body is not coded as its headers say.", field=_FIELD)
