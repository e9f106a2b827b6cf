"""Ports for those who must know theirs before they listen."""

import contextlib
import secrets
import socket

# Below those that a kernel hands out: nobody else gets the port before it is listened at.
_PORTS = range(20_000, 32_000)


def quiet_port() -> int:
    """A port that is free, and that no client is given by chance.

    Not by the seed of the test: another run of the same may be under way.
    """
    for _ in range(100):
        port = secrets.choice(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")
