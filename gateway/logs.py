"""What the process writes about itself: one fact a line, and never a secret in it.

JSON in production, coloured columns on a terminal. Lines of the standard library's loggers, which
aiohttp and the SDKs use, take the same way out. Every string passes `Redactor` last, the text of
tracebacks included, so that no caller has to remember what must not be logged.
"""

import atexit
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from io import FileIO
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, Processor

from gateway.config import RULES, Settings
from gateway.lines import Lines, LinesBehind

REDACTED = "[redacted]"

# A shorter secret would blot out ordinary words wherever they hold it.
_SHORTEST_SECRET = 6

# Counts such as prompt_tokens have such a name too: only what is no number is redacted by its key.
_SECRET_KEY = re.compile(
    r"secret|password|authorization|cookie|(?:token|app_?code|api_?key|credential)s?$"
)
_SHAPES = (
    # In a URL's query.
    r"(?:(?<=[Tt]oken=)|(?<=signature=)|(?<=app_code=)|(?<=api_key=)|(?<=password=))"
    r"[^&\s\"'<>]+",
    r"(?<=://)[^/@\s\"']{1,300}(?=@)",  # user:password@ of an address
    r"(?<=uthorization: Basic )[\w+/=-]+",
    # In JSON, which is an app's own choice of code: nothing else tells that it is one.
    r"(?:(?<=\"app_code\":\")|(?<=\"app_code\": \"))[^\"]+",
    r"(?<=[Bb]earer )\s*[^\s\"',]+",
    r"\beyJ[\w-]+\.[\w-]+\.[\w-]*",  # a JWT
    r"\b(?:gw_|whsec_|sk-|gsk_|tgp_)[\w+/=-]{8,}",
)
# What a text must hold for one of the shapes to be in it.
_MARKS = (
    *("oken=", "signature=", "app_code", "api_key=", "password=", "@", "uthorization: Basic"),
    *("earer ", "eyJ", "gw_", "whsec_", "sk-", "gsk_", "tgp_"),
)
# Besides C0 and C1: what turns the writing direction, and the separators that end a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# Values that hold no text.
_HARMLESS = frozenset({int, float, bool, type(None)})
# Characters of a text that may come again.
SHORT = 100

# One line a second for requests that are no HTTP: a scanner must not fill the disk.
_MALFORMED_EVERY_S = 1.0


class Redactor:
    """A structlog processor that takes secrets out of every value of a line."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Know the secrets of this process, beside what looks like one or is named like one."""
        known = {text for text in secrets if len(text) >= _SHORTEST_SECRET}
        known |= {quote(text, safe="") for text in known}
        # The longest first: one secret may begin with another.
        literal = [re.escape(text) for text in sorted(known, key=len, reverse=True)]
        self._pattern = re.compile("|".join([*literal, *_SHAPES]))
        self._marks = (*known, *_MARKS)
        # Names, states and ids stand in line after line.
        self.clean_short = lru_cache(maxsize=4096)(self.clean)

    def __call__(self, logger: object, method: str, line: EventDict) -> EventDict:
        return {
            key: value if type(value) in _HARMLESS else self.clean(key, value)
            for key, value in line.items()
        }

    def text(self, text: str) -> str:
        """The text with every secret replaced."""
        # Most texts hold none, and looking for a few words is far cheaper than the pattern.
        for mark in self._marks:
            if mark in text:
                return self._pattern.sub(REDACTED, text)
        return text

    def clean(self, key: str, value: Any) -> Any:
        """What may be written of a field, as values that JSON knows."""
        if type(value) in _HARMLESS:
            return value
        if _names_a_secret(key):
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(inner)): self.clean(str(inner), item) for inner, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(key, item) for item in value]
        return self.text(_as_text(value))


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return _SECRET_KEY.search(key.lower().replace("-", "_")) is not None


def _as_text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def printable(logger: object, method: str, line: EventDict) -> EventDict:
    """Escape what could move a terminal's cursor or forge a line; a traceback keeps its lines."""
    return {
        key: _escaped(value, keep="\n" if key == "exception" else "")
        if isinstance(value, str)
        else value
        for key, value in line.items()
    }


def _escaped(text: str, keep: str) -> str:
    return _CONTROL.sub(
        lambda match: (
            match[0] if match[0] in keep else match[0].encode("unicode_escape").decode("ascii")
        ),
        text,
    )


class Json:
    """The structlog processor that writes a line: in one pass, for it is done for every job."""

    def __init__(self, redactor: Redactor) -> None:
        self._clean = redactor.clean
        self._clean_short = redactor.clean_short

    def __call__(self, logger: object, method: str, line: EventDict) -> bytes:
        line = with_traceback(logger, method, of_job(logger, method, line))
        clean, clean_short = self._clean, self._clean_short
        # The fields that every line has come first.
        written = {
            "timestamp": datetime.now(UTC),
            "level": "error" if method == "exception" else method,
            "event": clean("event", line.pop("event", None)),
        }
        for key, value in line.items():
            kind = type(value)
            if kind is str and len(value) <= SHORT:
                written[key] = clean_short(key, value)
            else:
                written[key] = value if kind in _HARMLESS else clean(key, value)
        try:
            return _encode(written)
        except UnicodeEncodeError:
            # A lone surrogate, which some providers send: escaped, as JSON allows.
            return json.dumps(written, default=datetime.isoformat).encode()


_encode = msgspec.json.Encoder().encode


def stamped(logger: object, method: str, line: EventDict) -> EventDict:
    """The line with its time, in UTC."""
    return {**line, "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}


def of_job(logger: object, method: str, line: EventDict) -> EventDict:
    """The line with the job that is at work, where it names none itself."""
    return line if "job_id" in line else merge_contextvars(logger, method, line)


def with_traceback(logger: object, method: str, line: EventDict) -> EventDict:
    """The line with the traceback it names as text, before that is looked at for secrets."""
    # rich, left to itself, would print local variables.
    return (
        structlog.processors.format_exc_info(logger, method, line) if "exc_info" in line else line
    )


def processors(redactor: Redactor, *, as_columns: bool, colours: bool = False) -> list[Processor]:
    """The way of a line from the call to its bytes."""
    if not as_columns:
        return [Json(redactor)]
    columns = structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback
    )
    level = structlog.processors.add_log_level
    return [of_job, with_traceback, redactor, level, stamped, printable, columns, _as_bytes]


def _as_bytes(logger: object, method: str, text: Any) -> bytes:
    return str(text).encode("utf-8", "backslashreplace")


class StdlibRoute(logging.Handler):
    """Sends the standard library's log records through structlog.

    A request that is no HTTP is the sender's fault: it gets a short line without a traceback, at
    most one a second, which counts those left out.
    """

    def __init__(self, log: Any = None) -> None:
        super().__init__()
        self._log = log if log is not None else structlog.get_logger()
        self._malformed_at = float("-inf")
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record with its logger's name and, where it has one, its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._malformed(record, error)
            return
        fields: dict[str, Any] = {"logger": record.name, "message": _message(record)}
        if error is not None:
            fields["exc_info"] = error
        self._log.log(record.levelno, "library_logged", **fields)

    def _malformed(self, record: logging.LogRecord, error: HttpProcessingError) -> None:
        if record.created - self._malformed_at < _MALFORMED_EVERY_S:
            self._left_out += 1
            return
        self._log.info("request_malformed", error=type(error).__name__, left_out=self._left_out)
        self._malformed_at = record.created
        self._left_out = 0


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # A library's wrong format string must not cost the line.
        return f"{record.msg} {record.args}"


def secrets_of(settings: Settings) -> list[str]:
    """Every secret that the settings hold, each part of a list for itself."""
    held: list[str] = []
    for name, rule in RULES.items():
        value = getattr(settings, name)
        if rule.secret and value:
            held += [value] if isinstance(value, str) else value
    return held


def _behind(fileno: int) -> LinesBehind:
    # Unbuffered: a buffer's lock, held by a thread that nobody reads, would spoil the end.
    lines = LinesBehind(FileIO(fileno, "wb", closefd=False))
    atexit.register(lines.close)
    return lines


def configure(
    *, secrets: Iterable[str] = (), level: str = "info", form: str | None = None
) -> Lines:
    """Have the whole process log to standard error. Call once, before the first line.

    JSON is written a moment later, by a thread; what is left is written when what this returns is
    closed, or as the process ends.

    Args:
        secrets: values that must never be written, whatever the field.
        level: the least that is written. Below `warning`, libraries stay silent unless `debug`.
        form: `json` or `console`; None means columns on a terminal and JSON elsewhere.
    """
    out = sys.stderr.buffer
    tty = out.isatty()
    columns = tty if form is None else form == "console"
    lines = Lines(out) if columns else _behind(out.fileno())
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors(Redactor(secrets), as_columns=columns, colours=tty),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.addHandler(StdlibRoute())
    root.setLevel(least if least == logging.DEBUG else max(least, logging.WARNING))
    return lines
