"""Jobs by polling: submitted, run by the built-in simulator in one token, looked at when done."""

import asyncio

import msgspec

from bench.proof import Incomplete
from bench.reader import Caller
from bench.row import Figures, Line, Reading, Row
from bench.size import Size
from bench.target import Target


async def polled(target: Target, size: Size) -> Figures:
    """Each caller submits and polls, one job after the other."""
    callers = [await Caller.connect(target.server.port) for _ in range(size.callers)]
    each = size.jobs // size.callers
    before = Reading.of(target)
    polls = await asyncio.gather(*(_call(target, caller, each) for caller in callers))
    spent = Reading.of(target).since(before)
    for caller in callers:
        caller.close()
    jobs = each * size.callers
    return {
        "job": spent.us_per(jobs) / 1e3,
        "polls": sum(polls) / jobs,
        "rate": jobs / spent.wall,
        **spent.busy(),
    }


async def _call(target: Target, caller: Caller, jobs: int) -> int:
    """Have so many jobs done; how many polls they took."""
    submission = target.submission()
    polls = 0
    for _ in range(jobs):
        look = target.look(msgspec.json.decode(await caller.ask(submission))["request_id"])
        status = "queued"
        while status in ("queued", "processing"):
            status = msgspec.json.decode(await caller.ask(look))["status"]
            polls += 1
        if status != "completed":
            raise Incomplete(f"a job is {status}")
    return polls


JOBS = Row(
    "jobs",
    (
        Line("job", "submit + poll", "ms/job", "≤ 0.25 ms"),
        Line("polls", "  polls for a job", "", compared=False),
        Line("rate", "  jobs done", "/s", compared=False),
    ),
    polled,
)
