"""The image and the compose file: no engine runs here, so linters and their own commands judge."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import RULES, Settings, parse
from tests.e2e import wire
from tests.pages import blocks, served
from tests.processes import PATH, ROOT, pasted

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
GATEWAY = COMPOSE["services"]["gateway"]
PAGE = (ROOT / "docs/how-to/docker.md").read_text("utf-8")
IGNORE = (ROOT / ".dockerignore").read_text("utf-8")


def said(instruction: str) -> list[str]:
    """What the last stage says with that instruction, each time it does."""
    stage = DOCKERFILE.rpartition("\nFROM ")[2].replace("\\\n", " ")
    return re.findall(rf"^{instruction} +(.*)$", stage, re.MULTILINE)


@pytest.mark.skipif(shutil.which("hadolint", path=PATH) is None, reason="hadolint is not installed")
async def test_the_linter_finds_no_fault() -> None:
    """hadolint reads the Dockerfile, and the shell in it."""
    assert await pasted("hadolint Dockerfile") == ""


async def test_the_compose_file_is_of_its_schema() -> None:
    """By the specification of compose itself."""
    checked = await pasted("check-jsonschema --builtin-schema vendor.compose-spec compose.yaml")
    assert "ok" in checked


def test_the_image_is_made_of_files_that_are_there() -> None:
    """What it copies exists, and is let through to the build; nothing else is."""
    copied = [each for line in said("COPY") if "--from" not in line for each in line.split()[:-1]]
    assert [each for each in copied if not (ROOT / each).exists()] == []
    let_in = set(re.findall(r"^!(.+)$", IGNORE, re.MULTILINE))
    assert {each.partition("/")[0] for each in copied} | {"requirements.txt"} == let_in
    assert "*" in IGNORE.splitlines()


def test_it_runs_as_nobody_in_particular() -> None:
    """Not as root, on a root that cannot be written, and its database's folder is its own."""
    (user,) = said("USER")
    assert user.isdecimal()
    assert int(user) > 0
    assert said("VOLUME") == ["/var/lib/gateway"]
    assert GATEWAY["read_only"] is True
    assert GATEWAY["cap_drop"] == ["ALL"]
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert int(GATEWAY["stop_grace_period"].rstrip("s")) > Settings().drain_timeout + 10


async def test_the_health_check_knows_a_healthy_gateway(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """Its command, as it stands there, against one that is ready and against none."""
    (check,) = said("HEALTHCHECK")
    python, option, code = json.loads(check[check.index("[") :])
    assert (python, option) == ("python", "-c")
    command = f"{python} -c {json.dumps(code)} 2>/dev/null && echo healthy || echo not"
    environ = {"SERVER_PORT": str(unused_tcp_port)}
    assert await pasted(command, **environ) == "not\n"
    async with served(tmp_path, unused_tcp_port):
        assert await pasted(command, **environ) == "healthy\n"


def test_its_settings_are_settings() -> None:
    """What the compose file sets is understood; n8n's callbacks find their way inside."""
    environ = {name: _filled(text) for name, text in GATEWAY["environment"].items()}
    assert {name.lower() for name in environ} <= set(RULES)
    secrets = {name.upper() for name, rule in RULES.items() if rule.secret} - {"REDIS_URL"}
    assert secrets <= set(environ)
    settings = parse(toml=None, env=environ, apps=None, models=None).settings
    n8n = COMPOSE["services"]["n8n"]
    own = n8n["environment"]["WEBHOOK_URL"].rstrip("/")
    assert own in settings.callback_allowed_origins
    assert settings.callback_origin_rewrites == {own: "http://n8n:5678"}
    assert {volume.split(":")[0] for volume in n8n["volumes"]} >= {"./conf/n8n-workflow.json"}


def test_the_image_starts_as_the_command_line_is() -> None:
    """Entry and command are words that run.py takes; what it sets in the image, too."""
    assert (said("ENTRYPOINT"), said("CMD")) == (['["python", "run.py"]'], ['["serve"]'])
    (told,) = said("ENV")
    names = {pair.partition("=")[0] for pair in told.split()}
    known = {*(name.upper() for name in RULES), "PATH", "PYTHONDONTWRITEBYTECODE", "GATEWAY_CONF"}
    assert names <= known


async def test_the_page_starts_both(tmp_path: Path, unused_tcp_port: int) -> None:
    """Every line: what Docker would do inside is done here, the rest is noted."""
    for name in (".env.example", "conf"):
        kind: Any = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        kind(ROOT / name, tmp_path / name)
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/typed\n'
        f'case "$*" in *" app add "*) exec {sys.executable} {ROOT}/run.py app add "My app" '
        f"--conf {tmp_path}/conf 2>&1;; esac\n"
    )
    docker.chmod(0o755)
    lines = "".join(blocks(PAGE, "bash")).replace("127.0.0.1:5000", f"127.0.0.1:{unused_tcp_port}")
    async with served(tmp_path / "other", unused_tcp_port):
        printed = await pasted(
            f"set -e; cd {tmp_path}\n{lines}", PATH=f"{docker.parent}:{PATH}", HOME=str(tmp_path)
        )
        health = await wire.get(f"http://127.0.0.1:{unused_tcp_port}", "/health/ready")
    assert re.search(r"^gw_\S+$", printed, re.MULTILINE)
    assert printed.endswith(health.body.decode())
    secret = (tmp_path / ".env").read_text().partition("JWT_SECRET=")[2].splitlines()[0]
    assert len(secret) > 32
    typed = (tmp_path / "typed").read_text().splitlines()
    mount = f"--volume {tmp_path}/conf:/etc/gateway"
    assert f"run --rm --user {os.getuid()} {mount} gateway app add My app" in typed
    assert (COMPOSE["name"], GATEWAY["image"]) == ("gateway", "gateway")


def _filled(text: str) -> str:
    """A value whose variables have their defaults, or a long enough secret."""
    default = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text)
    return re.sub(r"\$\{\w+:\?.*?\}", "s" * 40, default)
