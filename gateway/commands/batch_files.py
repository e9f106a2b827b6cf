"""The files of a batch: what is asked, what was answered, what failed.

The answers are the state: a line of them is a question that needs not be asked again. A run that
was killed in the middle of a line leaves a part of it, which the next run takes away.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from gateway.commands import CommandError

# How each line begins that is written here.
_BEGINNING = b'{"id": '
_PROBLEMS_MOST = 10
_ID_MOST = 200


class Question(NamedTuple):
    """One line of what is asked.

    Attributes:
        id: the line's own, else its number.
        line: its number, from 1.
        body: for OpenAI's door.
        digest: of the body; another question under the same id has another.
    """

    id: str
    line: int
    body: dict[str, Any]
    digest: str


class Defaults(NamedTuple):
    """What holds where a line says nothing."""

    model: str | None = None
    system: str | None = None


class _Wrong(ValueError):
    """A line is no question; the text says why."""


def questions(source: Path, defaults: Defaults) -> Iterator[Question]:
    """The questions of a file, of which `check` found nothing wrong.

    Raises:
        OSError: it cannot be read.
    """
    with source.open(encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, start=1):
            if text.strip():
                yield _question(number, text, defaults)


def check(source: Path, defaults: Defaults) -> dict[str, str]:
    """The digest of each question by its id, if every line of the file is one.

    Raises:
        CommandError: what is wrong, line by line; nothing has been asked yet.
        OSError: it cannot be read.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    with source.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                question = _question(number, text, defaults)
                if question.id in found:
                    raise _Wrong(f"the id {question.id} is there twice")
                found[question.id] = question.digest
            except UnicodeDecodeError:
                problems.append(f"{source}:{number}: it is no UTF-8.")
            except _Wrong as wrong:
                problems.append(f"{source}:{number}: {wrong}.")
            if len(problems) == _PROBLEMS_MOST:
                problems.append("…")
                break
    if problems:
        raise CommandError("\n".join(problems))
    return found


def _question(number: int, text: str, defaults: Defaults) -> Question:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong("it is no JSON") from None
    fields = {"prompt": value} if isinstance(value, str) else value
    if not isinstance(fields, dict):
        raise _Wrong("expected a text, or an object with prompt or messages")
    fields = dict(fields)
    own = [fields.pop(name) for name in ("id", "custom_id") if name in fields]
    if "body" in fields:
        fields = _openais(fields)
    body = _body(fields, defaults)
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return Question(_id(own, number), number, body, digest[:16])


def _id(own: list[Any], number: int) -> str:
    if not own or own[0] is None:
        return str(number)
    if type(own[0]) not in (str, int) or not 0 < len(str(own[0])) <= _ID_MOST:
        raise _Wrong(f"id must be a text of at most {_ID_MOST} characters, or a whole number")
    return str(own[0])


def _openais(fields: dict[str, Any]) -> dict[str, Any]:
    """The body of a line of OpenAI's batch files.

    https://platform.openai.com/docs/guides/batch
    """
    url = fields.get("url", "/v1/chat/completions")
    if url != "/v1/chat/completions":
        raise _Wrong(f"only /v1/chat/completions can be asked here, not {url}")
    if not isinstance(fields["body"], dict):
        raise _Wrong("body must be an object")
    return dict(fields["body"])


def _body(fields: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    prompt, messages = fields.pop("prompt", None), fields.pop("messages", None)
    system = fields.pop("system", None)
    if messages is None:
        if not isinstance(prompt, str) or not prompt.strip():
            raise _Wrong("expected prompt, a text that is not empty, or messages")
        messages = [{"role": "user", "content": prompt}]
    elif prompt is not None or not isinstance(messages, list) or not messages:
        raise _Wrong("expected messages, a list that is not empty, and no prompt beside it")
    if system is None and not any(_is_system(each) for each in messages):
        system = defaults.system
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    # An answer is fetched whole; the request goes on when this program is stopped.
    fixed = {"messages": messages, "stream": False, "on_disconnect": "continue"}
    model = {"model": defaults.model} if defaults.model else {}
    return {**model, **fields, **fixed}


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


# -- what is kept -----------------------------------------------------------------------------


class Kept:
    """The answers and failures of a batch, held for this run alone.

    Attributes:
        answered: the ids of the questions that have answers.
        attempts: how often each other question has failed, over all runs.
    """

    def __init__(self, target: Path, out: IO[bytes], asked: Mapping[str, str]) -> None:
        self._out = out
        self._target = target
        self.failures = failures_of(target)
        self.answered = self._answered(asked)
        self._failed = {
            line["id"]: line
            for line in _lines(self.failures)
            if line["id"] in asked and line["id"] not in self.answered
        }
        self.attempts = {
            key: int(line["attempts"])
            for key, line in self._failed.items()
            if line["sha256"] == asked[key]
        }

    def _answered(self, asked: Mapping[str, str]) -> set[str]:
        found = set()
        for line in _lines(self._target):
            if line["id"] in asked and asked[line["id"]] != line["sha256"]:
                raise CommandError(
                    f"The question {line['id']} is not the one that {self._target} has the answer "
                    "to. Choose another file for the answers, or take that line out of it."
                )
            found.add(line["id"])
        return found & set(asked)

    def answer(self, question: Question, told: dict[str, Any]) -> None:
        """Add an answer; it is with the system when this returns."""
        self._failed.pop(question.id, None)
        self.answered.add(question.id)
        self._out.write(_line(question, told))
        self._out.flush()

    def fail(self, question: Question, attempts: int, told: dict[str, Any]) -> None:
        """Add a failure, which takes the place of an earlier one."""
        line = _line(question, {"attempts": attempts, **told})
        self._failed[question.id] = json.loads(line)
        with self.failures.open("ab") as out:
            out.write(line)

    def settle(self) -> None:
        """Leave in the file of failures what is still one; no file where nothing is."""
        os.fsync(self._out.fileno())
        if not self._failed:
            self.failures.unlink(missing_ok=True)
            return
        fresh = self.failures.with_name(f".{self.failures.name}.new")
        with fresh.open("wb") as out:
            for line in self._failed.values():
                out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self.failures)


def failures_of(target: Path) -> Path:
    """Where the failures of a batch are: out.failed.jsonl beside out.jsonl."""
    return target.with_name(f"{target.stem}.failed{target.suffix or '.jsonl'}")


@contextmanager
def kept(target: Path, asked: Mapping[str, str]) -> Iterator[Kept]:
    """The answers so far, and a place for more.

    Raises:
        CommandError: another run has the file, or it is no batch's.
        OSError: it cannot be written.
    """
    with target.open("ab+") as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"Another batch is writing {target}.") from None
        for file in (target, failures_of(target)):
            _mend(file)
        answers = Kept(target, out, asked)
        try:
            yield answers
        finally:
            answers.settle()


def _mend(file: Path) -> None:
    """Take away what a killed run left of its last line.

    Raises:
        CommandError: it is not what a run leaves; nothing is taken away.
    """
    if not file.exists():
        return
    with file.open("rb+") as out:
        whole = 0
        for number, line in enumerate(out, start=1):
            if line.endswith(b"\n"):
                whole += len(line)
                _parsed(file, number, line)
            elif not line.startswith(_BEGINNING[: len(line)]):
                raise _foreign(file, number)
        out.truncate(whole)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        with file.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                yield _parsed(file, number, raw)


def _parsed(file: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        raise _foreign(file, number) from None
    if not isinstance(line, dict) or not {"id", "sha256"} <= set(line):
        raise _foreign(file, number)
    return line


def _foreign(file: Path, number: int) -> CommandError:
    return CommandError(
        f"{file}:{number}: this is no line of a batch. Choose another file for the answers."
    )


def _line(question: Question, told: dict[str, Any]) -> bytes:
    value = {"id": question.id, "line": question.line, **told, "sha256": question.digest}
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
