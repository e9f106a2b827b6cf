"""Where the configuration stands: files of a folder, `.env`, credentials, and the environment.

Each later one wins over those before it; `gateway.config` says what is right in them.
"""

import errno
import os
import stat
import tomllib
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from msgspec.structs import replace

from gateway import config as configs
from gateway.config import ALIASES, ENVIRONMENT, RULES, Config
from gateway.problems import ConfigError, Problem, nearest

# The folder that comes with the gateway.
SHIPPED = Path(__file__).parents[1] / "conf"
DEFAULT = "default"
_DOTENV = Path(".env")
# How like a setting's name another is that was probably meant as one, from 0 to 1.
_SLIP = 0.85
# What is larger was put there by mistake.
_FILE_MOST_BYTES = 64 << 20


class Sources(NamedTuple):
    """The texts, as they were when they were read; None where there is no such file.

    Attributes:
        dotenv: what `.env` in the working directory says.
        credentials: what the files in the folder `$CREDENTIALS_DIRECTORY` say, by the name of
            the setting in capitals. systemd fills it: https://systemd.io/CREDENTIALS/
    """

    folder: Path
    toml: str | None
    apps: str | None
    models: str | None
    modes: str | None
    dotenv: Mapping[str, str]
    credentials: Mapping[str, str]
    environ: Mapping[str, str]

    @property
    def _variables(self) -> dict[str, str]:
        return {**self.dotenv, **self.credentials, **self.environ}

    def config(self) -> Config:
        """All of it, checked.

        Raises:
            ConfigError: everything that is wrong there.
        """
        try:
            config = configs.parse(
                toml=self.toml,
                apps=self.apps,
                models=self.models,
                modes=self.modes,
                env=self._variables,
                conf_dir=str(self.folder),
            )
        except ConfigError as error:
            raise ConfigError(map(self._placed, error.problems)) from None
        return replace(config, warnings=(*config.warnings, *self._slips()))

    def _placed(self, problem: Problem) -> Problem:
        """The problem where it can be mended: a variable may come from a file."""
        if problem.file != ENVIRONMENT:
            return problem
        file, _, _ = self._origin(problem.key).partition(": ")
        return replace(problem, file=file)

    def _slips(self) -> list[str]:
        """A sentence for each name in `.env` that is nearly one of a setting, but none.

        Other programs may have names of their own there: only what looks like a slip is told.
        """
        known = {*ALIASES, *(name.upper() for name in RULES)}
        return [
            f".env sets {name}, which is no setting. {hint}"
            for name in self.dotenv
            if name not in known and (hint := nearest(name.upper(), known, likeness=_SLIP))
        ]

    def origins(self) -> dict[str, str]:
        """Where each setting is taken from: `default`, the file, `.env`, a credential or the
        environment, the last three with the name that it has there. For texts of which `config`
        finds no fault.
        """
        texts = tomllib.loads(self.toml or "")
        filled = {key for key, value in texts.items() if value != "" or RULES[key].clears}
        variables = configs.variables(self._variables)
        file = str(self.folder / "gateway.toml")
        found = {name: file if name in filled else DEFAULT for name in RULES}
        return found | {name: self._origin(variable) for name, variable in variables.items()}

    def _origin(self, variable: str) -> str:
        if variable in self.environ:
            return f"environment: {variable}"
        if variable in self.credentials:
            return f"credential: {variable.lower()}"
        return f".env: {variable}"


def read(folder: Path | None, environ: Mapping[str, str]) -> Sources:
    """The texts of a folder, of `.env` and of the environment.

    Args:
        folder: None for the one that comes with the gateway.

    Raises:
        ConfigError: every file that is no text, or cannot be read.
        OSError: the folder cannot be read.
    """
    folder = folder or SHIPPED
    if not folder.is_dir():
        raise NotADirectoryError(20, "there is no such folder", str(folder))
    found: list[Problem] = []
    sources = Sources(
        folder=folder,
        toml=_text(folder / "gateway.toml", found),
        apps=_text(folder / "apps.json", found),
        models=_text(folder / "models.toml", found) or _text(SHIPPED / "models.toml", found),
        modes=_text(folder / "modes.toml", found) or _text(SHIPPED / "modes.toml", found),
        dotenv=_dotenv(_text(_DOTENV, found), found),
        credentials=_credentials(environ.get("CREDENTIALS_DIRECTORY"), found),
        environ=environ,
    )
    if found:
        raise ConfigError(found)
    return sources


def load(folder: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration from all of its sources.

    Raises:
        ConfigError: everything that is wrong there.
        OSError: the folder cannot be read.
    """
    return read(folder, environ).config()


def _dotenv(text: str | None, found: list[Problem]) -> dict[str, str]:
    """What `.env` sets; a line that is none is a problem, and not shown: it may hold a secret."""
    wrong = [each.original.line for each in parse_stream(StringIO(text)) if each.error]
    for line in wrong:
        expected, hint = "NAME=value on each line", f"Line {line} is none."
        found.append(Problem(file=str(_DOTENV), key="", expected=expected, hint=hint))
    if wrong:
        return {}
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def _credentials(folder: str | None, found: list[Problem]) -> dict[str, str]:
    """The files that are named as settings are; others are no concern of the gateway."""
    try:
        files = sorted(Path(folder).iterdir()) if folder else []
    except OSError as error:
        key, expected = "CREDENTIALS_DIRECTORY", "a folder that can be read"
        found.append(Problem(file=ENVIRONMENT, key=key, expected=expected, hint=_why(error)))
        return {}
    known = {*RULES, *(alias.lower() for alias in ALIASES)}
    return {file.name.upper(): _text(file, found) or "" for file in files if file.name in known}


def _text(file: Path, found: list[Problem]) -> str | None:
    """What a file says; None where there is none, or where it is no text."""
    try:
        # Editors of other systems begin a file with a mark.
        return _content(file).decode("utf-8-sig")
    except FileNotFoundError:
        if not file.is_symlink():
            return None
        expected, hint = "a file that can be read", "It is a link that leads nowhere."
    except UnicodeDecodeError as error:
        expected, hint = "text in UTF-8", f"Byte {error.start + 1} is none."
    except OSError as error:
        expected, hint = "a file that can be read", _why(error)
    found.append(Problem(file=str(file), key="", expected=expected, hint=hint))
    return None


def _content(file: Path) -> bytes:
    """All of a file, which may be replaced or taken away meanwhile.

    Raises:
        OSError: there is none, or it is none to be read.
    """
    with open(file, "rb", opener=_at_once) as opened:
        mode = os.fstat(opened.fileno()).st_mode
        if stat.S_ISFIFO(mode):
            raise OSError(errno.ESPIPE, "It is a pipe")
        # A device that has nothing to say says None.
        content = opened.read(_FILE_MOST_BYTES + 1) or b""
    if len(content) > _FILE_MOST_BYTES:
        raise OSError(errno.EFBIG, f"It is larger than {_FILE_MOST_BYTES >> 20} MiB")
    return content


def _at_once(name: str, flags: int) -> int:
    # A pipe that nobody writes to would be waited for, and with it every later reading.
    return os.open(name, flags | os.O_NONBLOCK)


def _why(error: OSError) -> str:
    return f"{error.strerror}."
