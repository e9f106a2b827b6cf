"""What systemd, or another supervisor that speaks its protocol, gives the gateway and is told.

It may hand over sockets that listen already, wait for word that the gateway is ready, and want
a sign of life now and then. Without one of these in the environment nothing is done.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

import asyncio
import socket
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

# The first socket that is handed over; the others follow.
_FIRST_SOCKET = 3
# A sign of life comes so often in the time after which the gateway is taken for dead.
_BEATS = 3


class Supervisor:
    """The one who started this process, if it wants to know of it.

    Every word is one datagram, sent without waiting: a supervisor that does not listen costs
    nothing.
    """

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        """Talk to nobody yet.

        Args:
            address: of its datagram socket: a path, or `@` and an abstract name; None for nobody.
            watchdog_s: silence after which it ends the process; None where it does not.
        """
        self._address = "\0" + address[1:] if address and address[0] == "@" else address
        self._beat_s = watchdog_s / _BEATS if watchdog_s else None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> "Supervisor":
        """The one that the environment names."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        watched = microseconds.isdecimal() and environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        return cls(environ.get("NOTIFY_SOCKET"), int(microseconds) / 1e6 if watched else None)

    def start(self) -> None:
        """Give signs of life, from the loop itself: where it is stuck, they stop."""
        if self._beat_s is not None:
            self._say("WATCHDOG=1")
            self._timer = asyncio.get_running_loop().call_later(self._beat_s, self.start)

    def stop(self) -> None:
        """Give none any more. Works unstarted and twice."""
        if self._timer is not None:
            self._timer.cancel()

    def ready(self, status: str) -> None:
        """Requests are taken, by the configuration as it stands.

        Args:
            status: a sentence for `systemctl status`.
        """
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is read again; `ready` ends it."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._say("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        """Nothing new is taken; what runs comes to its end."""
        self._say("STOPPING=1", "STATUS=Ending what runs.")

    def _say(self, *words: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            speaker.setblocking(False)
            try:
                speaker.sendto("\n".join(words).encode(), self._address)
            except OSError as error:
                log.warning("supervisor_not_reached", said=words[0], reason=error.strerror)


def inherited(environ: Mapping[str, str], pid: int) -> list[socket.socket]:
    """The listening sockets that were handed over to this process; to be called once."""
    count = environ.get("LISTEN_FDS", "")
    if not count.isdecimal() or environ.get("LISTEN_PID") != str(pid):
        return []
    return [socket.socket(fileno=_FIRST_SOCKET + number) for number in range(int(count))]
