"""`batch`: every line of a file is asked once, whatever stops the program in between."""

import argparse
import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from gateway import catalog as catalogs
from gateway.catalog import Catalog
from gateway.commands import CommandError, batch_files, conf
from gateway.commands.batch_files import Defaults, Kept, Question
from gateway.commands.remote import Call, Refused, Remote, Unreachable, remote
from gateway.commands.tally import Tally
from gateway.commands.terminal import printable, say, show_json
from gateway.errors import UnknownModel
from gateway.events import Usage
from gateway.problems import ConfigError, Report
from gateway.spending import MICROS, cost

# An answer that takes longer is asked for again, under the same key: it is the same answer.
_SILENCE_S = 600.0
# How often in a row one question may find no gateway, and the longest rest between two tries.
_LOST_MOST = 10
_REST_MOST_S = 15.0
# What wants to be waited for longer ends the run, which can be gone on with then.
_WAIT_MOST_S = 3600.0
# Another try of the same question may go well.
_PASSING = {408, 425, 429}
# They hold for every question: there is no point in the next one.
_FOR_ALL = {401, 402, 403}
# Behind everybody who waits for an answer.
_LAST = 9


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Ask what has no answer yet; 1 where something has none in the end."""
    source, target = typed.source, typed.target
    defaults = Defaults(typed.model, typed.system)
    asked = batch_files.check(source, defaults)
    if target.exists() and target.samefile(source):
        raise CommandError("The answers need a file of their own: OUT is the same as IN.")
    gateway, catalog = remote(typed, environ), _catalog(typed, environ)
    with batch_files.kept(target, asked) as answers:
        tally = Tally(total=len(asked), before=len(answers.answered), began_at=time.monotonic())
        say(f"{tally.total} questions, {tally.before} answered before.")
        scope = str(target.resolve())
        batch = Batch(gateway, answers, tally, catalog, scope=scope, retries=typed.retries)
        rest = (each for each in batch_files.questions(source, defaults))
        try:
            asyncio.run(batch.ask_all(rest, typed.concurrency))
        except KeyboardInterrupt:
            say("Stopped. The same command goes on from here.")
            raise
        finally:
            _sum_up(tally, answers.failures, as_json=typed.json)
    return 1 if tally.failed else 0


def _catalog(typed: argparse.Namespace, environ: dict[str, str]) -> Catalog:
    sources = conf.read(typed, environ)
    report = Report(str(sources.folder / "models.toml"))
    catalog = catalogs.parse(sources.models, report)
    if report.found:
        raise ConfigError(report.found)
    return catalog


def _cost(catalog: Catalog, name: str, usage: dict[str, int]) -> float | None:
    """What an answer cost, in US dollars; None where its model has no price here."""
    try:
        model = catalog.resolve(name)
    except UnknownModel:
        return None
    if model.input_price is None and model.output_price is None:
        return None
    read, written = usage["prompt_tokens"], usage["completion_tokens"]
    return cost(Usage(prompt_tokens=read, completion_tokens=written), model) / MICROS


def _sum_up(tally: Tally, failures: Path, *, as_json: bool) -> None:
    took_s = time.monotonic() - tally.began_at
    if as_json:
        told = {**msgspec.to_builtins(tally), "took_s": round(took_s, 3)}
        del told["began_at"]
        show_json(told)
        return
    failed = f", {tally.failed} failed: see {failures}" if tally.failed else ""
    say(f"{tally.answered} answered{failed}; {tally.spent()}; {took_s:.1f} s.")


class Batch:
    """The questions of one run, asked a few at a time."""

    def __init__(
        self,
        gateway: Remote,
        answers: Kept,
        tally: Tally,
        catalog: Catalog,
        *,
        scope: str,
        retries: int,
    ) -> None:
        """Ask nothing yet.

        Args:
            catalog: by whose prices answers are counted.
            scope: what keeps the same question in two batches apart.
            retries: of a question that fails, in this run.
        """
        self._gateway = gateway
        self._answers = answers
        self._tally = tally
        self._catalog = catalog
        self._scope = scope
        self._retries = retries
        self._not_before = 0.0
        self._note = ""

    async def ask_all(self, questions: Iterator[Question], concurrency: int) -> None:
        """Ask every question that has no answer. Cancelled, what is done stays done.

        Raises:
            CommandError: no question can be asked any more.
        """
        rest = (each for each in questions if each.id not in self._answers.answered)
        with _bar(self._tally) as shown:
            async with self._gateway:
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(concurrency):
                            group.create_task(self._ask_some(rest, shown))
                except ExceptionGroup as errors:
                    raise errors.exceptions[0] from None

    async def _ask_some(self, rest: Iterator[Question], shown: "_Bar") -> None:
        for question in rest:
            await self._ask(question, shown)
            shown.update(self._tally, self._note)

    async def _ask(self, question: Question, shown: "_Bar") -> None:
        """Ask one question until it is answered, or has failed for good."""
        before = attempts = self._answers.attempts.get(question.id, 0)
        lost = 0
        while True:
            await self._turn(shown)
            try:
                call = self._call(question, attempts)
                completion = await self._gateway.json(call, "id", "choices", "model", "usage")
                break
            except Unreachable:
                lost += 1
                if lost > _LOST_MOST:
                    raise
                self._rest("the gateway cannot be reached", min(_REST_MOST_S, float(lost)))
            except Refused as error:
                if error.status in _FOR_ALL:
                    raise
                # A provider's limit has made its request fail: that is over.
                failed = error.status == 429 and error.request_id is not None
                if error.status in (429, 503) and error.retry_after_s is not None and not failed:
                    if error.retry_after_s > _WAIT_MOST_S:
                        raise
                    self._rest(error.said, error.retry_after_s)
                    continue
                attempts += 1
                passing = error.status >= 500 or error.status in _PASSING
                if not passing or attempts - before > self._retries:
                    self._tally.failed += 1
                    told = {"code": error.code, "error": error.said, "status": error.status}
                    self._answers.fail(question, attempts, told)
                    return
                await asyncio.sleep(min(_REST_MOST_S, 2.0 ** (attempts - before - 1)))
        self._keep(question, completion)

    def _call(self, question: Question, attempts: int) -> Call:
        # The failure of an earlier attempt is what its key stands for: the next has another.
        told = f"{self._scope}\0{question.id}\0{question.digest}\0{attempts}"
        key = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        return Call(
            "POST",
            "/v1/chat/completions",
            {"priority": _LAST, **question.body},
            headers={"Idempotency-Key": f"batch-{key}"},
            silence_s=_SILENCE_S,
        )

    def _keep(self, question: Question, completion: dict[str, Any]) -> None:
        request_id = completion["id"].removeprefix("chatcmpl-")
        (choice,) = completion["choices"]
        usage = completion["usage"]
        cost_usd = _cost(self._catalog, completion["model"], usage)
        told = {
            "request_id": request_id,
            "answer": choice["message"].get("content") or "",
            "tool_calls": choice["message"].get("tool_calls"),
            "finish_reason": choice["finish_reason"],
            "model": completion["model"],
            "usage": usage,
            "cost_usd": cost_usd,
        }
        kept = {name: value for name, value in told.items() if value is not None}
        self._answers.answer(question, kept)
        self._tally.count(usage, cost_usd)

    # -- pace ---------------------------------------------------------------------------------

    def _rest(self, why: str, seconds: float) -> None:
        """Ask nothing for a while, whichever question it is."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)
        self._note = f"waiting {seconds:.0f} s: {why}"

    async def _turn(self, shown: "_Bar") -> None:
        while (rest_s := self._not_before - time.monotonic()) > 0:
            shown.update(self._tally, self._note)
            await asyncio.sleep(rest_s)
        self._note = ""


class _Bar:
    """The progress, for a person who watches."""

    def __init__(self, progress: Progress, tally: Tally) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=tally.total, completed=tally.before, told="")
        self._said = ""

    def update(self, tally: Tally, note: str) -> None:
        """Show how far it is; `note` where nothing goes on. Where there is no bar that is said in
        a line, once for each reason.
        """
        if self._progress.disable:
            why = note.partition(": ")[2]
            if why and why != self._said:
                say(f"Waiting: {why.removesuffix('.')}.")
            self._said = why
            return
        now = time.monotonic()
        remaining_s = tally.remaining_s(now)
        parts = [f"{tally.rate(now):.1f}/s"]
        if remaining_s is not None:
            parts.append(f"{_clock(remaining_s)} left")
        parts.append(tally.spent())
        if tally.failed:
            parts.append(f"{tally.failed} failed")
        if note:
            parts.append(printable(note))
        self._progress.update(self._task, completed=tally.done, told="  ".join(parts))


class _Told(ProgressColumn):
    """What is said beside the bar: where the terminal is narrow, this is cut, and not the count."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["told"], no_wrap=True, overflow="ellipsis")


@contextmanager
def _bar(tally: Tally) -> Iterator[_Bar]:
    console = Console(stderr=True, highlight=False)
    columns = (
        BarColumn(bar_width=24, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _Told(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        shown = _Bar(progress, tally)
        shown.update(tally, "")
        yield shown


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
