"""The tutorial, from its first line to its last, with a page in a real browser."""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.chromium import browser, needs_chromium
from tests.pages import blocks
from tests.processes import PATH, ROOT, lines_until, needs_curl, pasted

PAGE = (ROOT / "docs/tutorial/first-stream.md").read_text("utf-8")
OUTPUT = "document.querySelector('output').textContent"


@needs_curl
@needs_chromium
async def test_the_tutorial_works_as_written(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """The page streams, the back end is told the whole answer, and a lost link mends itself."""
    ports = {"8000": unused_tcp_port_factory(), "5000": unused_tcp_port_factory()}
    environ = {
        "PATH": PATH,
        "GATEWAY_CONF": str(shutil.copytree(ROOT / "conf", tmp_path / "conf")),
        "SERVER_PORT": str(ports["5000"]),
        "DATA_DIR": str(tmp_path / "data"),
    }
    (tmp_path / "backend.py").write_text(_here(blocks(PAGE, "python")[0], ports), "utf-8")
    (tmp_path / "index.html").write_text(blocks(PAGE, "html")[0], "utf-8")
    make, enrol, start, ask, backend = (_here(block, ports) for block in blocks(PAGE, "bash"))
    assert "source .venv/bin/activate" in make
    where = f"cd {tmp_path}; exec python -W error {backend.split()[1]}"
    typed = f"{enrol}{start}{_asked(ask)}\necho\n{where}"
    terminal = await asyncio.create_subprocess_exec(
        "bash", "-c", f"set -e\n{typed}", cwd=ROOT, env=environ, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await lines_until(terminal.stderr, "gateway_started")
        await lines_until(terminal.stdout, '"request_id"')
        at = f"http://127.0.0.1:{ports['8000']}/"
        await pasted(f"curl -s --retry 40 --retry-delay 1 --retry-connrefused -o /dev/null {at}")
        async with browser(tmp_path / "profile", at) as tab:
            await tab.value("form.requestSubmit()")
            await tab.until(f"{OUTPUT}.length > 20")
            assert not (await tab.value(OUTPUT)).endswith("happens.")
            await tab.until(f"{OUTPUT}.endsWith('happens.')")
            whole = await tab.value(OUTPUT)
        (told,) = [
            line
            for line in await lines_until(terminal.stdout, "whole answer:")
            if line.startswith("whole answer:")
        ]
        assert told == f"whole answer: {whole}"
    finally:
        # The gateway in the background, too.
        os.killpg(terminal.pid, signal.SIGKILL)
        await terminal.communicate()


def test_what_it_makes_is_made_of_what_make_knows() -> None:
    """The environment's target, and the place where it puts the environment."""
    (target,) = re.findall(r"^make (\S+)$", PAGE, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert target.replace(".venv", "$(VENV)") + ":" in makefile
    assert sys.version_info >= (3, 11)


def _here(text: str, ports: dict[str, int]) -> str:
    for written, port in ports.items():
        text = text.replace(f'"127.0.0.1", {written}', f'"127.0.0.1", {port}')
        text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{port}")
    return text


def _asked(ask: str) -> str:
    """The call, once the gateway that was just started answers."""
    return ask.replace("curl -sS", "curl -sS --retry 40 --retry-delay 1 --retry-connrefused", 1)
