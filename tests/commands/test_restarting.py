"""`serve --reload`: what is changed runs a moment later, and what is broken waits to be mended."""

import asyncio
import signal
from pathlib import Path

import pytest

from gateway.commands.restarting import difference, snapshot
from tests.e2e import wire
from tests.processes import ended, lines_until, process
from tests.until import PATIENCE_S


def test_what_changed_is_named(tmp_path: Path) -> None:
    """New, gone, or written again; files of no concern are none."""
    (tmp_path / "gateway.toml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    before = snapshot(tmp_path)
    (tmp_path / "notes.txt").write_text("more")
    assert difference(before, snapshot(tmp_path)) is None
    (tmp_path / "gateway.toml").write_text("workers = 3\n")
    assert difference(before, snapshot(tmp_path)) == f"{tmp_path}/gateway.toml"
    assert difference(snapshot(tmp_path), {}) is not None
    assert str(Path(__file__).parents[2] / "gateway" / "cli.py") in before


async def test_a_change_starts_it_again_and_a_slip_waits(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """It serves the new configuration; a wrong one is said, and the next one is tried."""
    file, at = tmp_path / "gateway.toml", f"http://127.0.0.1:{unused_tcp_port}"
    typed = ("serve", "--reload", "--conf", str(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed) as watching:
        await lines_until(watching.stderr, "gateway_started")
        file.write_text("wrokers = 3\n")
        lines = await lines_until(watching.stderr, "it starts again after a change")
        assert f"{file} has changed: starting again." in lines
        assert any("Did you mean workers?" in line for line in lines)
        file.write_text("workers = 3\n")
        await lines_until(watching.stderr, "gateway_started")
        assert (await wire.get(at, "/health/live")).status == 200
        # What runs is told of the end, and says so before it is gone.
        watching.send_signal(signal.SIGTERM)
        await lines_until(watching.stderr, "gateway_stopped")
        assert await asyncio.wait_for(watching.wait(), PATIENCE_S) == 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGHUP])
async def test_nothing_is_left_listening(
    tmp_path: Path, unused_tcp_port: int, by: signal.Signals
) -> None:
    """Neither by Ctrl-C nor where the terminal is closed."""
    typed = ("serve", "--reload", "--conf", str(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed) as watching:
        await lines_until(watching.stderr, "gateway_started")
        assert await ended(watching, by) == 0
    async with process("serve", "--conf", str(tmp_path), "--port", str(unused_tcp_port)) as alone:
        await lines_until(alone.stderr, "gateway_started")
