"""What the engine needs of a store stays so little that another one can be written."""

import pytest

from gateway.conversations import Conversations
from gateway.outbox import Outbox
from gateway.stores import JobStore, Ledger


@pytest.mark.parametrize("protocol", [JobStore, Ledger, Outbox, Conversations])
def test_a_protocol_is_small(protocol: type) -> None:
    """At most fifteen methods each; what is more wants a protocol of its own."""
    methods = [name for name, value in vars(protocol).items() if callable(value) and name[0] != "_"]
    assert 0 < len(methods) <= 15
