"""One job at work: what its provider has said so far, and the means to stop it."""

import asyncio
from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import msgspec

from gateway.catalog import Model, fitted
from gateway.engine.hub import Channel
from gateway.engine.queue import Ticket
from gateway.errors import ProviderError, ProviderTimeout
from gateway.events import (
    Delta,
    Failed,
    Logprobs,
    Restarted,
    Started,
    Terminal,
    ToolCall,
    Usage,
    total,
)
from gateway.jobs import Job, Outcome
from gateway.messages import Request, estimate_tokens
from gateway.providers import Provider

# An answer may not grow beyond this: a provider that never ends must not fill the memory.
MOST_CHARACTERS = 4_000_000

# The end of a job that its process leaves behind, where no other may go on with it.
INTERRUPTED = Failed(code="INTERRUPTED", message="The gateway was stopped.", retryable=True)


class Leg(NamedTuple):
    """One way to get an answer: a model and who serves it."""

    model: Model
    provider: Provider


class HandBack(Exception):
    """The process stops: the job goes back to the queue, or ends if it may not run again."""


Reason = Terminal | ProviderError | HandBack


class Run:
    """A processing job, from its claim to its end, over all tries of all its models.

    It outlives its stay with a worker: while a retry waits, no slot is held.

    Attributes:
        due: loop time by which its provider must have said something. Moving it on costs no more
            than an assignment.
    """

    def __init__(
        self,
        job: Job,
        channel: Channel,
        ticket: Ticket,
        legs: Sequence[Leg],
        *,
        began: float,
        latest: float,
    ) -> None:
        """Begin an attempt that must have ended by `latest` (loop time)."""
        self.job = job
        self.channel = channel
        self.ticket = ticket
        self.legs = legs
        self.leg = 0
        self.tries = 0
        self.latest = latest
        self.began = began
        self.reason: Reason | None = None
        self.retry: asyncio.TimerHandle | asyncio.Task[None] | None = None
        # The provider at which it has a turn that is not used yet.
        self.turn: str | None = None
        self.ended = asyncio.Event()
        self.due = inf
        self._task: asyncio.Task[object] | None = None
        self._look_s = inf
        self._timer: asyncio.TimerHandle | None = None
        # How often a model was asked in this attempt.
        self._asks = 0
        # What tries cost that failed before they showed anything.
        self._failed: Usage | None = None
        self.parts: list[str] = []
        self.size = 0
        self.tool_calls: list[ToolCall] = []
        self.logprobs: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.provider: str | None = None
        self.first_token_at: float | None = None

    def ask(self) -> Request:
        """What to ask the model whose turn it is, in a span of its own where jobs are traced.

        A fallback is asked for what it takes.
        """
        job, request = self.job, self.job.request
        if self.leg:
            request = fitted(request, self.legs[self.leg].model)
        if job.trace is not None:
            self._asks += 1
            trace = job.trace.child(f"ask {job.attempt}.{self._asks}")
            request = msgspec.structs.replace(request, trace=trace)
        return request

    def begin(self) -> None:
        """Tell readers that the attempt begins."""
        channel = self.channel
        # Of a job that was rescued, it has begun already.
        if channel.log.attempt < self.job.attempt:
            channel.begin(self.job.attempt)
        first = self.job.attempt == 1
        channel.publish(Started() if first else Restarted(reason="the earlier attempt was lost"))

    @property
    def shown(self) -> bool:
        """Readers have seen some of this attempt's answer."""
        return self.first_token_at is not None

    @property
    def attended(self) -> bool:
        """A worker is streaming its answer."""
        return self._task is not None

    def interrupted(self) -> bool:
        """It is to be stopped, for `reason`."""
        return self.reason is not None

    # -- stopping -----------------------------------------------------------------------------

    def attend(self, task: "asyncio.Task[object]", now: float, look_s: float) -> None:
        """`task` is streaming for this run from now on, and may be cancelled for it.

        Args:
            now: loop time.
            look_s: `due` is never moved to a time that is nearer than this.
        """
        self._task = task
        self._look_s = look_s
        self._timer = task.get_loop().call_at(min(now + look_s, self.latest), self._look)

    def leave(self) -> None:
        """Nobody streams for this run any more."""
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            # It would keep this alive.
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, due = loop.time(), min(self.due, self.latest)
        # The loop may fire a timer early by its clock's resolution.
        if due > now + 0.001:
            self._timer = loop.call_at(min(due, now + self._look_s), self._look)
        else:
            self._timer = None
            self.time_out(whole=self.latest <= self.due)

    def interrupt(self, reason: Reason) -> bool:
        """Stop the stream, because of `reason`; False if the first reason stands already."""
        if self.reason is not None:
            return False
        self.reason = reason
        if self._task is not None:
            self._task.cancel()
        return True

    def time_out(self, *, whole: bool) -> None:
        """The job ran too long (`whole`), or its provider is silent."""
        if whole:
            self.interrupt(
                Failed(code="TIMEOUT", message="The answer took too long.", retryable=True)
            )
        else:
            self.interrupt(ProviderTimeout("The AI service stopped answering.", retryable=True))

    # -- ending -------------------------------------------------------------------------------

    @property
    def spent(self) -> Usage | None:
        """What this attempt cost so far: the provider's figure, or else an estimate."""
        usage = self.usage
        if usage is None and self.shown:
            usage = estimated_usage(self.job, "".join(self.parts))
        return total(self._failed, usage)

    def outcome(self, terminal: Terminal) -> Outcome:
        """How the job ended, with what answer there is, its tokens counted on every path."""
        return Outcome(
            terminal=terminal,
            answer="".join(self.parts),
            tool_calls=tuple(self.tool_calls),
            logprobs=self.logprobs,
            model=self.model,
            provider=self.provider,
            usage=total(self.job.lost, self.spent),
            first_token_at=self.first_token_at,
        )

    def fail_try(self) -> None:
        """A try came to nothing; what it cost counts."""
        self._failed, self.usage = self.spent, None

    def note(self, output: Delta | ToolCall | Logprobs | Usage) -> None:
        """Keep what the outcome needs of one output."""
        if type(output) is Delta:
            self.parts.append(output.text)
            self.size += len(output.text)
            if self.size > MOST_CHARACTERS:
                raise ProviderError("The answer is longer than the gateway keeps.")
        elif type(output) is ToolCall:
            self.tool_calls.append(output)
        elif type(output) is Logprobs:
            self.logprobs = output.told
        elif type(output) is Usage:
            self.usage = output


def failed(error: ProviderError) -> Failed:
    """The end of a job whose provider has failed for good."""
    return Failed(
        code=error.code,
        message=str(error),
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
    )


def estimated_usage(job: Job, answer: str) -> Usage:
    """What an answer cost, about, where the provider did not come to tell."""
    return Usage(
        prompt_tokens=sum(estimate_tokens(str(m.content)) for m in job.request.messages),
        completion_tokens=estimate_tokens(answer),
        estimated=True,
    )
