"""What `gateway/uuids.py` makes."""

import os
from itertools import islice
from uuid import RFC_4122, UUID

from gateway.uuids import uuids


def test_each_is_a_random_uuid() -> None:
    """The standard library reads it as one of version 4, and would write it alike."""
    for text in islice(uuids(os.urandom), 1000):
        read = UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, RFC_4122)


def test_all_bits_but_those_of_the_version_are_chance() -> None:
    """Each of 122 bits is both 0 and 1 somewhere among a thousand."""
    numbers = [UUID(text).int for text in islice(uuids(os.urandom), 1000)]
    ever, always = 0, (1 << 128) - 1
    for number in numbers:
        ever |= number
        always &= number
    assert (ever & ~always).bit_count() == 122
    assert len(set(numbers)) == 1000
