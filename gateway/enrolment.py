"""Changes who is in `conf/apps.json`. The file gets the hash of a code; the code is told once."""

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway import tenants
from gateway.problems import ConfigError, Problem, Report, nearest

PREFIX = "gw_"
# What a code is made of: more than anybody can guess.
_CODE_BYTES = 32

# What stands in the file: an app for each code, or hash of one.
Codes = dict[str, Any]


class UnknownApp(Exception):
    """No app of the file has that name; the text says which one might be meant."""


def new_code() -> str:
    """An app code, recognisable for people and for scanners that look for lost secrets."""
    return PREFIX + secrets.token_urlsafe(_CODE_BYTES)


def add(file: Path, code: str, entry: dict[str, Any]) -> None:
    """Add one app to the file, which is made where there is none.

    Other entries stay as they are. The file is replaced whole: a reader sees the old one or the
    new one, and so does the disk after a power cut. Two calls at once wait for each other.

    Raises:
        ConfigError: the file is wrong, or would be with this app: nothing was changed.
        OSError: it cannot be read or written: nothing was changed.
    """
    _change(file, lambda codes: {**codes, _key(code): entry})


def rotate(file: Path, name: str, code: str) -> None:
    """Give an app another code; it keeps its place and all else. As `add` does it.

    Raises:
        UnknownApp, ConfigError, OSError: nothing was changed.
    """

    def rotated(codes: Codes) -> Codes:
        old = _find(codes, name)
        return {_key(code) if key == old else key: entry for key, entry in codes.items()}

    _change(file, rotated)


def remove(file: Path, name: str) -> None:
    """Take an app out of the file. As `add` does it.

    Raises:
        UnknownApp, ConfigError, OSError: nothing was changed.
    """

    def rest(codes: Codes) -> Codes:
        gone = _find(codes, name)
        return {key: entry for key, entry in codes.items() if key != gone}

    _change(file, rest)


def codes_of(file: Path) -> Codes:
    """The entries of the file as they stand there; none where there is no file.

    Raises:
        ConfigError: the file is wrong.
        OSError: it cannot be read.
    """
    content = _content(file)
    _check(file, json.dumps(content))
    codes: Codes = content["app_codes"]
    return codes


def _key(code: str) -> str:
    return f"sha256:{tenants.digest(code)}"


def _find(codes: Codes, name: str) -> str:
    names = {
        key: str(entry.get("name")).strip()
        for key, entry in codes.items()
        if isinstance(entry, dict)
    }
    found = [key for key, each in names.items() if each == name.strip()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownApp(f"{len(found)} apps are named {name}: rename all but one of them.")
    raise UnknownApp(f"No app is named {name}. {nearest(name, names.values())}".strip())


def _change(file: Path, change: Callable[[Codes], Codes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file.parent):
        content = _content(file)
        content["app_codes"] = change(content["app_codes"])
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        _check(file, text)
        _replace(file.resolve(), text)


def _check(file: Path, text: str) -> None:
    found = _problems(file, text)
    if found:
        raise ConfigError(found)


def _problems(file: Path, text: str) -> list[Problem]:
    report = Report(str(file))
    tenants.parse(text, report)
    return report.found


def _content(file: Path) -> dict[str, Any]:
    """What the file holds; an object with no apps where there is none."""
    content: Any = {"app_codes": {}}
    if file.exists():
        try:
            text = file.read_text("utf-8-sig")
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError([_problem(file, "valid JSON", f"{error}.")]) from None
        # One key twice is lost in the object; all else may be what a change is to mend.
        repeats = [each for each in _problems(file, text) if each.expected == "each key once"]
        if repeats:
            raise ConfigError(repeats)
    if not isinstance(content, dict) or not isinstance(content.setdefault("app_codes", {}), dict):
        raise ConfigError([_problem(file, 'an object such as {"app_codes": {}}')])
    return content


def _problem(file: Path, expected: str, hint: str = "") -> Problem:
    return Problem(file=str(file), key="", expected=expected, hint=hint)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder until the block is left, also by a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(file: Path, text: str) -> None:
    """Write beside the file, then move over it. A new file is for its owner's eyes only."""
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        error.filename = str(file)
        raise
    try:
        with open(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(name, mode)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
