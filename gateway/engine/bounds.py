"""What bounds the engine: how many, how large, how long."""

from collections.abc import Mapping

import msgspec


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long a run may take, in seconds: to its first token, between two, and in all."""

    first_token_s: float
    token_s: float
    whole_s: float


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one process; times in seconds, sizes in jobs.

    Attributes:
        dead_letter_retention: of jobs whose callback was given up, if that is longer.
        requests_per_minute: by provider; 0, or none, for as many as there are.
    """

    workers: int
    queue_max_size: int
    queue_timeout: float
    connect_timeout: float
    disconnect_grace: float
    abandon_after: float
    drain_timeout: float
    retention: float
    dead_letter_retention: float = 0.0
    callback_deadline: float
    timeouts: Timeouts
    requests_per_minute: Mapping[str, int] = {}
