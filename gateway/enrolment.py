"""Adds an app to `conf/apps.json`. The file gets the hash of its code; the code is told once."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway import tenants
from gateway.problems import ConfigError, Problem, Report

PREFIX = "gw_"
# What a code is made of: more than anybody can guess.
CODE_BYTES = 32


def new_code(random_text: str) -> str:
    """An app code, recognisable for people and for scanners that look for lost secrets.

    Args:
        random_text: of `CODE_BYTES` random bytes, fit for a URL.
    """
    return PREFIX + random_text


def add(file: Path, code: str, entry: dict[str, Any]) -> None:
    """Add one app to the file, which is made where there is none.

    Other entries stay as they are. The file is replaced whole: a reader sees the old one or the
    new one, and so does the disk after a power cut. Two calls at once wait for each other.

    Raises:
        ConfigError: the file is wrong, or would be with this app: nothing was changed.
        OSError: it cannot be read or written: nothing was changed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file.parent):
        text = _with(file, code, entry)
        found: list[Problem] = []
        tenants.parse(text, Report(str(file), found))
        if found:
            raise ConfigError(found)
        _replace(file.resolve(), text)


def _with(file: Path, code: str, entry: dict[str, Any]) -> str:
    """The text of the file with one app more."""
    content: Any = {"app_codes": {}}
    if file.exists():
        try:
            content = json.loads(file.read_text("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ConfigError([_problem(file, "valid JSON", f"{error}.")]) from None
    if not isinstance(content, dict) or not isinstance(content.setdefault("app_codes", {}), dict):
        raise ConfigError([_problem(file, 'an object such as {"app_codes": {}}')])
    content["app_codes"][f"sha256:{tenants.digest(code)}"] = entry
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


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
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
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
