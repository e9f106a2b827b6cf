"""How many files a gateway may have open, tried in processes of their own."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from gateway import descriptors
from gateway.config import Settings
from tests.e2e import wire
from tests.processes import PATH, ROOT, lines_until, pasted

LIMITED = "ulimit -Sn {soft}; ulimit -Hn {hard}; "
ALLOWED = """
import resource
from gateway import descriptors
descriptors.allow({count})
print(*resource.getrlimit(resource.RLIMIT_NOFILE), descriptors.most())
"""


def test_each_reader_and_each_job_is_a_file() -> None:
    """And there is room for what is open beside them."""
    assert descriptors.wanted(Settings(max_streams=10, workers=5)) == 315


@pytest.mark.parametrize(
    ("soft", "hard", "count", "then"),
    [(100, 400, 300, 300), (100, 400, 500, 400), (200, 400, 150, 200)],
    ids=["raised", "bounded", "enough"],
)
async def test_as_many_are_allowed_as_may_be(soft: int, hard: int, count: int, then: int) -> None:
    """Never fewer than before, and never more than the process may."""
    line = LIMITED.format(soft=soft, hard=hard) + f"python -c '{ALLOWED.format(count=count)}'"
    assert await pasted(line) == f"{then} {hard} {hard}\n"


async def _allowed(origin: str) -> float:
    text = (await wire.get(origin, "/metrics")).body.decode()
    (told,) = re.findall(r"^process_max_fds (\S+)", text, re.MULTILINE)
    return float(told)


@pytest.mark.skipif(sys.platform != "linux", reason="nothing else tells it of a process")
async def test_a_gateway_allows_itself_what_its_settings_want(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """From its start on, and after a reload, whatever its shell began with."""
    settings = tmp_path / "gateway.toml"
    settings.write_text("max_streams = 80\nworkers = 20\n")
    line = LIMITED.format(soft=256, hard=512)
    line += f"exec python run.py serve --conf {tmp_path} --port {unused_tcp_port}"
    origin = f"http://127.0.0.1:{unused_tcp_port}"
    gateway = await asyncio.create_subprocess_exec(
        "bash", "-c", line, env={"PATH": PATH, "DATA_DIR": ""}, cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await lines_until(gateway.stderr, "gateway_started")
        assert await _allowed(origin) == 400
        settings.write_text("max_streams = 1000\nworkers = 20\n")
        gateway.send_signal(signal.SIGHUP)
        await lines_until(gateway.stderr, "configuration_reloaded")
        assert await _allowed(origin) == 512
    finally:
        gateway.terminate()
        await gateway.communicate()
    assert gateway.returncode == 0
