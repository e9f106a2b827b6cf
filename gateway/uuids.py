"""UUIDs of pure chance (version 4, RFC 9562), as text.

An id opens what it names to whoever knows it: it is the system's own randomness, not to be guessed
from others. That is fetched for many at a time, since each time is a system call.
"""

from collections.abc import Callable, Iterator

_AT_ONCE = 256
_BYTES = 16
# Six bits say that it is a random one.
_FIXED = 0xF << 76 | 0x3 << 62
_RANDOM_ONE = 0x4 << 76 | 0x2 << 62


def uuids(chance_of: Callable[[int], bytes]) -> Iterator[str]:
    """One after the other, without an end.

    Args:
        chance_of: so many random bytes, as `os.urandom` gives them.
    """
    while True:
        chance = chance_of(_AT_ONCE * _BYTES)
        for start in range(0, len(chance), _BYTES):
            number = int.from_bytes(chance[start : start + _BYTES])
            digits = f"{number & ~_FIXED | _RANDOM_ONE:032x}"
            yield "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
