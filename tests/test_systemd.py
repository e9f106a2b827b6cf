"""The units, and the page that puts them in place, with systemd's own programs as the judge."""

import os
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest

from gateway.config import RULES, Settings
from tests.e2e import wire
from tests.pages import blocks
from tests.processes import PATH, ROOT, lines_until, pasted
from tests.test_supervisor import handed, supervised

__all__ = ["handed"]

SERVICE = (ROOT / "conf/gateway.service").read_text("utf-8")
SOCKET = (ROOT / "conf/gateway.socket").read_text("utf-8")
PAGE = (ROOT / "docs/how-to/systemd.md").read_text("utf-8")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def told(unit: str, key: str) -> list[str]:
    """What a unit says under that key, each time it does."""
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


@needs_systemd
async def test_the_service_is_shut_in() -> None:
    """The exposure level by systemd's own count, of ten; the page tells the same."""
    (command,) = [line for block in blocks(PAGE, "bash") for line in _lines(block, "systemd-an")]
    (level,) = re.findall(r"exposure level for gateway.service: ([\d.]+)", await pasted(command))
    assert float(level) < 2.0
    assert f"an exposure level of {level} of 10" in PAGE


@needs_systemd
async def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """Every key is known to it, every value has a form that it takes."""
    program = f"{sys.executable} {ROOT}/run.py"
    start = "/opt/gateway/.venv/bin/python /opt/gateway/run.py"
    (tmp_path / "gateway.service").write_text(SERVICE.replace(start, program), "utf-8")
    (tmp_path / "gateway.socket").write_text(SOCKET, "utf-8")
    verify = f"systemd-analyze verify {tmp_path}/gateway.service {tmp_path}/gateway.socket 2>&1"
    assert await pasted(verify) == ""


def test_every_secret_may_be_a_credential() -> None:
    """Under the name of its setting, from a file that says whose it is."""
    secrets = [name for name, rule in RULES.items() if rule.secret]
    assert told(SERVICE, "LoadCredential") == [f"{name}:gateway.{name}" for name in secrets]


def test_the_end_may_take_as_long_as_it_does() -> None:
    """systemd does not kill what still drains; the socket is where the settings would listen."""
    defaults = Settings()
    assert int(told(SERVICE, "TimeoutStopSec")[0]) > defaults.drain_timeout + 10
    assert told(SOCKET, "ListenStream") == [f"{defaults.host}:{defaults.server_port}"]


async def test_the_page_puts_it_in_place(tmp_path: Path, handed: socket.socket) -> None:
    """Every line, in a root of its own; what it installs starts, reloads, and lets the app in."""
    port = handed.getsockname()[1]
    environ = _machine(tmp_path)
    *installing, ready, reload, restart, _ = (
        _in_root(block, tmp_path, port) for block in blocks(PAGE, "bash")
    )
    said = await pasted(f"set -e\n{''.join(installing)}", **environ)
    code = re.findall(r"^(gw_\S+)$", said, re.MULTILINE)[0]
    assert said.endswith("The configuration is good. Apps: My app.\n")
    assert (tmp_path / "etc/systemd/system/gateway.service").read_text("utf-8") == SERVICE
    assert (tmp_path / "etc/credstore/gateway.jwt_secret").stat().st_mode & 0o777 == 0o600

    async with supervised(tmp_path / "etc/gateway", handed, **_credentials(tmp_path)) as gateway:
        (tmp_path / "pid").write_text(str(gateway.pid))
        await lines_until(gateway.stderr, "gateway_started")
        assert await pasted(ready) == '{"status":"ok"}'
        headers = {"Authorization": f"Bearer {code}"}
        assert (await wire.get(f"http://127.0.0.1:{port}", "/v1/models", **headers)).status == 200
        await pasted(reload, **environ)
        await lines_until(gateway.stderr, "configuration_reloaded")
        await pasted(restart, **environ)
        await lines_until(gateway.stderr, "gateway_stopped")
    assert (tmp_path / "systemctl").read_text().splitlines() == [
        "daemon-reload",
        "enable --now gateway.socket gateway.service",
        "reload gateway",
        "restart gateway",
    ]


async def test_make_knows_what_the_page_asks_of_it() -> None:
    """The one target, without making it."""
    (typed,) = re.findall(r"^sudo make -C /opt/gateway (\S+)$", PAGE, re.MULTILINE)
    assert "-m pip install" in await pasted(f"make --dry-run --always-make {typed}")


def _lines(block: str, beginning: str) -> list[str]:
    return [line for line in block.splitlines() if line.startswith(beginning)]


def _in_root(block: str, root: Path, port: int) -> str:
    """The block, where the machine's folders are those of the test."""
    rooted = re.sub(r"(?<![\w.])/(opt|etc)\b", rf"{root}/\1", block)
    # The code is told on one stream and the rest on the other, as for a person.
    return rooted.replace("127.0.0.1:5000", f"127.0.0.1:{port}").replace(
        "sudo ", "" if os.geteuid() == 0 else "env "
    ).replace("--conf", "2>&1 --conf")  # fmt: skip


def _machine(root: Path) -> dict[str, str]:
    """A machine whose systemctl notes what it is told, and whose make need not download."""
    bin_ = root / "bin"
    bin_.mkdir()
    (root / "etc/systemd/system").mkdir(parents=True)
    programs = {
        "make": f'[ "$1" = -C ] && ln -s {sys.prefix} "$2/.venv"',
        "systemctl": f'echo "$@" >> {root}/systemctl; case $1 in '
        f"reload) kill -HUP $(cat {root}/pid);; restart) kill -TERM $(cat {root}/pid);; esac",
    }
    for name, does in programs.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin_ / name).chmod(0o755)
    return {"PATH": f"{bin_}:{PATH}", "TOGETHER_AI_API_KEY": "any-word"}


def _credentials(root: Path) -> dict[str, str]:
    """What systemd makes of the credentials that are there."""
    handed_over = root / "run"
    handed_over.mkdir()
    for name, file in (line.split(":") for line in told(SERVICE, "LoadCredential")):
        if (root / "etc/credstore" / file).exists():
            shutil.copy(root / "etc/credstore" / file, handed_over / name)
    assert sorted(os.listdir(handed_over)) == ["jwt_secret", "together_ai_api_key"]
    return {"CREDENTIALS_DIRECTORY": str(handed_over), "JWT_SECRET": ""}
