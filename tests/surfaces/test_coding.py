"""The codings of a body: each undone whole, or refused."""

import gzip
import tracemalloc
import zlib
from functools import partial

import pytest

from gateway.errors import GatewayError, InvalidRequest, TooLarge, UnsupportedMediaType
from gateway.surfaces.coding import decoded

BODY = b'{"question": "hi"}'
# Without the time: the names of tests are made of it, and must be the same in every process.
_gzip = partial(gzip.compress, mtime=0)


def _bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", _gzip(BODY)),
        ("X-GZIP ", _gzip(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", _bare(BODY)),
    ],
)
def test_a_body_is_undone_up_to_its_bound(coding: str, data: bytes) -> None:
    """Every coding that is known, in each of its forms."""
    assert decoded(data, coding, len(BODY)) == BODY


@pytest.mark.parametrize(
    ("coding", "data", "error"),
    [
        ("br", BODY, UnsupportedMediaType),
        ("gzip, gzip", _gzip(_gzip(BODY)), UnsupportedMediaType),
        ("gzip", _gzip(BODY + b" "), TooLarge),
        ("deflate", zlib.compress(BODY + b" "), TooLarge),
        ("gzip", BODY, InvalidRequest),
        ("gzip", b"", InvalidRequest),
        ("deflate", b"", InvalidRequest),
        ("gzip", zlib.compress(BODY), InvalidRequest),
        ("gzip", _gzip(BODY)[:-1], InvalidRequest),
        ("gzip", _gzip(BODY) + b"more", InvalidRequest),
    ],
)
def test_what_cannot_be_undone_is_refused(
    coding: str, data: bytes, error: type[GatewayError]
) -> None:
    """Unknown, too long, not coded so, broken off, or with something behind it."""
    with pytest.raises(error) as raised:
        decoded(data, coding, len(BODY))
    assert type(raised.value) is error


def test_a_body_that_unpacks_to_much_is_not_unpacked() -> None:
    """What it takes is about what it may be long."""
    bomb = _gzip(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decoded(bomb, "gzip", 1_000)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
