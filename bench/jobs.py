"""Jobs by polling: submitted, run by the built-in simulator in one token, looked at when done."""

import asyncio

import msgspec

from bench.proof import Incomplete
from bench.reader import Caller
from bench.row import Figures, Line, Reading, Row
from bench.size import Size
from bench.target import Target

# Submitted one after the other before the first of them is looked at: time enough to be done.
_IN_HAND = 10


async def polled(target: Target, size: Size) -> Figures:
    """Each caller submits some jobs, then polls them, again and again."""
    callers = [await Caller.connect(target.server.port) for _ in range(size.callers)]
    turns = -(-size.jobs // (size.callers * _IN_HAND))
    before = Reading.of(target)
    polls = await asyncio.gather(*(_call(target, caller, turns) for caller in callers))
    spent = Reading.of(target).since(before)
    for caller in callers:
        caller.close()
    jobs = turns * size.callers * _IN_HAND
    return {
        "job": spent.us_per(jobs) / 1e3,
        "polls": sum(polls) / jobs,
        "rate": jobs / spent.wall,
        **spent.busy(),
    }


async def _call(target: Target, caller: Caller, turns: int) -> int:
    """Have so many turns of jobs done; how many polls they took."""
    submission = target.submission()
    polls = 0
    for _ in range(turns):
        answers = [msgspec.json.decode(await caller.ask(submission)) for _ in range(_IN_HAND)]
        for answer in answers:
            polls += await _until_done(caller, target.look(answer["request_id"]))
    return polls


async def _until_done(caller: Caller, look: bytes) -> int:
    polls, status = 0, "queued"
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
