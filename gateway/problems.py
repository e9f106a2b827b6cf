"""What is wrong with a configuration, as data: all of it at once, and never a secret."""

import difflib
import json
import re
from collections.abc import Iterable

import msgspec

# A key may be half of the one that was meant: `port` of `server_port`.
_KEY_LIKENESS = 0.45
# user:password@ of an address.
_USER_INFO = re.compile(r"//[^/@\s]*@")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend.

    Attributes:
        file: the file, or `environment`.
        key: the setting as it is named there; "" where the whole file is at fault.
        expected: what would be right, in words.
        got: what is there instead; None where it is missing or may be a secret.
        hint: one sentence that may help; "" where there is none.
    """

    file: str
    key: str
    expected: str
    got: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        got = "" if self.got is None else f", not {self.got}"
        hint = f". {self.hint}" if self.hint else ""
        return f"{where}: expected {self.expected}{got}{hint}"


class ConfigError(Exception):
    """The configuration cannot be used. `str` is a line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Report:
    """Where the problems of one file, or of one part of it, are noted down."""

    def __init__(self, file: str, found: list[Problem] | None = None, prefix: str = "") -> None:
        """Note problems of `file` in `found`, a list that several reports may share."""
        self.file = file
        self.found = [] if found is None else found
        self._prefix = prefix

    @property
    def clean(self) -> bool:
        """Nothing is wrong with the file, as far as it was looked at."""
        return all(problem.file != self.file for problem in self.found)

    def under(self, key: str) -> "Report":
        """The report of a part: its keys are written after `key` and a dot."""
        return Report(self.file, self.found, f"{self._prefix}{key}.")

    def add(self, key: str, expected: str, got: str | None = None, hint: str = "") -> None:
        """Note one problem; `got` as `shown` gives it."""
        name = f"{self._prefix}{key}" if key else self._prefix.removesuffix(".")
        # A quoted key may hold anything, also the end of a line.
        name = name if name.isprintable() else shown(name)
        self.found.append(Problem(file=self.file, key=name, expected=expected, got=got, hint=hint))

    def unknown(self, key: str, known: Iterable[str]) -> None:
        """Note a key that means nothing here, with the nearest that does."""
        # Written in capitals, as in the environment, it is still the key that was meant.
        self.add(key, "a known key", hint=nearest(key.lower(), known, _KEY_LIKENESS))


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """`Did you mean …?` with the known name that looks most like it; "" if none does.

    Args:
        likeness: that it has at least, from 0 to 1.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"Did you mean {close[0]}?" if close else ""


def shown(value: object) -> str:
    """A value for a message: as JSON, short, without the password of an address."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        # Python writes no number of thousands of digits; TOML can in hexadecimal ones.
        return "what is too large or too deep to show"
    text = _USER_INFO.sub("//…@", text)
    return text if len(text) <= 80 else f"{text[:79]}…"
