"""How much of each work is done: for figures, for a quick look, for the tests."""

from typing import NamedTuple


class Size(NamedTuple):
    """Numbers of things, and times in seconds, of one measurement of each row.

    Attributes:
        runs: times that everything is measured.
        streams, tokens, gap_s: paced streams, the chunks of each, the time between two.
        ramp_s: over which the paced streams begin.
        window_s: over which they are measured once they flow.
        probes, probe_each_s: how many short ones come while the others flow; one each so often.
        bulk_streams, bulk_tokens: streams as fast as the upstream sends.
        readers: of the one job.
        fast_frames, paced_frames, lag_frames: that the one job has for each of its readers.
        paced_gap_s, lag_gap_s: between two frames.
        jobs, callers: submitted and polled, over so many connections.
        idle: readers of the stalled job.
        lone: streams one after the other.
    """

    runs: int
    streams: int
    tokens: int
    gap_s: float
    ramp_s: float
    window_s: float
    probes: int
    probe_each_s: float
    bulk_streams: int
    bulk_tokens: int
    readers: int
    fast_frames: int
    paced_frames: int
    paced_gap_s: float
    lag_frames: int
    lag_gap_s: float
    jobs: int
    callers: int
    idle: int
    lone: int


FULL = Size(
    runs=5, streams=1000, tokens=450, gap_s=0.02, ramp_s=1.0, window_s=2.0,
    probes=100, probe_each_s=0.025, bulk_streams=100, bulk_tokens=2500,
    readers=1000, fast_frames=400, paced_frames=60, paced_gap_s=0.05,
    lag_frames=300, lag_gap_s=0.01,
    jobs=8000, callers=32, idle=5000, lone=50,
)  # fmt: skip

QUICK = FULL._replace(
    runs=2, streams=500, tokens=250, window_s=1.0, probes=50, bulk_tokens=500,
    fast_frames=100, paced_frames=25, lag_frames=200, jobs=1500, idle=2000, lone=20,
)  # fmt: skip

TINY = FULL._replace(
    runs=1, streams=5, tokens=60, gap_s=0.01, ramp_s=0.02, window_s=0.05, probes=2,
    bulk_streams=3, bulk_tokens=20, readers=4, fast_frames=5, paced_frames=5, paced_gap_s=0.01,
    lag_frames=5, jobs=8, callers=2, idle=8, lone=2,
)  # fmt: skip
