"""What docs/how-to/keep-and-forget.md says: its lines run, and its figures are the defaults."""

import re
import shutil
from pathlib import Path

from gateway.config import Settings
from tests.pages import served, shell
from tests.processes import ROOT, needs_curl
from tests.surfaces.operating import operated

PAGE = (ROOT / "docs/how-to/keep-and-forget.md").read_text("utf-8")
SECONDS = {"an hour": 3600.0, "a week": 7 * 86_400.0, "30 days": 30 * 86_400.0}


@needs_curl
async def test_the_lines_work(tmp_path: Path, unused_tcp_port: int) -> None:
    """As they stand there; and a gateway can go on with the copy that they make."""
    copy = tmp_path / "gateway.db"
    async with served(
        tmp_path, unused_tcp_port, DATA_DIR=str(tmp_path / "data"), TMPDIR=str(tmp_path)
    ) as environ:
        printed = await shell(PAGE, environ, unused_tcp_port)
    assert printed == (
        '{"jobs":[],"next":null}'
        '{"user":"u1","jobs":0,"conversations":0,"status":"deleted"}'
        '{"deliveries":[],"next":null}'
    )
    (tmp_path / "new").mkdir()
    shutil.copy(copy, tmp_path / "new")
    async with operated(DATA_DIR=tmp_path / "new") as gateway:
        assert (await gateway.get("/health/ready")).status == 200


def test_the_times_are_the_defaults() -> None:
    """The table tells each setting as the gateway has it."""
    rows = re.findall(r"\| (an hour|a week|30 days) \| `(\w+)` \|", PAGE)
    defaults = Settings()
    assert len(rows) == 3
    assert {name: SECONDS[time] for time, name in rows} == {
        name: getattr(defaults, name.lower()) for _, name in rows
    }
