"""A server for the application: what it is set to, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from gateway import enrolment
from tests.commands.typing_in import screen
from tests.e2e import wire
from tests.processes import PATH, ROOT, lines_until, process
from tests.surfaces import event_source
from tests.until import PATIENCE_S

CODE = "app-code-of-the-shop"
SLOW = "simulator/echo?first=0&gap=0.05&tokens=20"
QUICK = "simulator/echo?first=0&gap=0"
STUCK = "simulator/echo?first=0&gap=0&stall=1"


async def ask(origin: str, model: str) -> str:
    """The id of a new job."""
    body = {"app_code": CODE, "request_type": "chat", "request": "one two", "model": model}
    answer = await wire.post(origin, "/ai_request", body)
    return str(answer.json()["request_id"])


@asynccontextmanager
async def reading(origin: str, job_id: str) -> AsyncIterator[ClientResponse]:
    """The open stream of a job."""
    headers = {"Authorization": f"Bearer {CODE}"}
    async with (
        ClientSession(headers=headers) as session,
        session.get(f"{origin}/stream/{job_id}") as response,
    ):
        assert response.status == 200
        yield response


def conf(tmp_path: Path) -> str:
    entry = {"name": "shop", "allowed_request_types": ["chat"]}
    enrolment.add(tmp_path / "apps.json", CODE, entry)
    return str(tmp_path)


async def test_sigterm_lets_what_runs_end(tmp_path: Path, unused_tcp_port: int) -> None:
    """A reader gets its answer whole; nothing new is taken meanwhile; the exit code is 0."""
    origin = f"http://127.0.0.1:{unused_tcp_port}"
    typed = ("serve", "--conf", conf(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed, DRAIN_TIMEOUT="60") as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        job_id = await ask(origin, SLOW)
        async with reading(origin, job_id) as response:
            gateway.send_signal(signal.SIGTERM)
            await lines_until(gateway.stderr, "drain_started")
            ready = await wire.get(origin, "/health/ready")
            assert (ready.status, ready.json()) == (503, {"status": "draining"})
            body = {"app_code": CODE, "request_type": "chat", "request": "x"}
            refused = await wire.post(origin, "/ai_request", body)
            assert (refused.status, refused.json()["error_code"]) == (503, "QUEUE_FULL")
            got = [event async for event in event_source.events(response)]
        assert len(got) == 21
        assert got[-1].data == b"[DONE]"
        _, err = await asyncio.wait_for(gateway.communicate(), PATIENCE_S)
        assert gateway.returncode == 0
    lines = [json.loads(line) for line in err.splitlines()]
    assert lines[-1]["event"] == "gateway_stopped"
    assert [line for line in lines if line["level"] == "error"] == []


async def test_a_log_that_hangs_holds_nobody_up(tmp_path: Path, unused_tcp_port: int) -> None:
    """Whatever reads it may stand still: jobs run and end as ever, and so does the process."""
    origin = f"http://127.0.0.1:{unused_tcp_port}"
    typed = ("run.py", "serve", "--conf", conf(tmp_path), "--port", str(unused_tcp_port))
    environ = {"PATH": PATH, "DATA_DIR": "", "LOG_LEVEL": "debug"}
    # asyncio's own would read on.
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, *typed], stderr=subprocess.PIPE, env=environ, cwd=ROOT
    ) as gateway:
        assert gateway.stderr is not None
        while b"gateway_started" not in gateway.stderr.readline():
            pass
        # Nobody reads on, and more is logged now than any pipe takes.
        async with ClientSession() as session:
            for _ in range(3000):
                async with session.post(f"{origin}/ai_request", json={}) as refused:
                    assert refused.status in (401, 429)
        job_id = await ask(origin, QUICK)
        answer = await wire.get(origin, f"/get_request/{job_id}?wait=60")
        assert answer.json()["status"] == "completed"
        gateway.terminate()
        assert gateway.wait(PATIENCE_S) == 0


async def test_what_does_not_end_is_told_so(tmp_path: Path, unused_tcp_port: int) -> None:
    """After the drain's time a stuck job's reader sees an error, and no `[DONE]`."""
    origin = f"http://127.0.0.1:{unused_tcp_port}"
    typed = ("serve", "--conf", conf(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed, DRAIN_TIMEOUT="0.2") as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        async with reading(origin, await ask(origin, STUCK)) as response:
            gateway.send_signal(signal.SIGTERM)
            first, last = [event async for event in event_source.events(response)]
        assert (first.event, first.data) == ("message", b"one")
        assert (last.event, json.loads(last.data)["code"]) == ("error", "INTERRUPTED")
        assert await asyncio.wait_for(gateway.wait(), PATIENCE_S) == 0


async def test_a_gateway_goes_with_its_terminal(tmp_path: Path) -> None:
    """It would else keep the port, and nobody see it; a SIGHUP before is a reload as always."""
    typed = ("serve", "--conf", conf(tmp_path), "--port", "0")
    async with screen(*typed, DATA_DIR="") as terminal:
        await terminal.shows("gateway_started")
        terminal.process.send_signal(signal.SIGHUP)
        await terminal.shows("configuration_reloaded")
        terminal.close()
        await terminal.ended()


# -- reloads ----------------------------------------------------------------------------------


async def reloaded(gateway: asyncio.subprocess.Process) -> dict[str, Any]:
    """What is logged of one SIGHUP."""
    gateway.send_signal(signal.SIGHUP)
    return dict(json.loads((await lines_until(gateway.stderr, '"configuration_re'))[-1]))


async def known(origin: str, code: str = CODE) -> bool:
    """The app of that code may come in."""
    answer = await wire.get(origin, "/v1/models", Authorization=f"Bearer {code}")
    return answer.status == 200


def _link(file: Path) -> None:
    file.symlink_to(file.name)


def _large(file: Path) -> None:
    file.touch()
    os.truncate(file, (64 << 20) + 1)


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (Path.mkdir, "expected a file that can be read. Is a directory."),
        (os.mkfifo, "expected a file that can be read. It is a pipe."),
        (_link, "expected a file that can be read. Too many levels of symbolic links."),
        (
            lambda file: file.symlink_to("gone"),
            "expected a file that can be read. It is a link that leads nowhere.",
        ),
        (_large, "expected a file that can be read. It is larger than 64 MiB."),
        (lambda file: file.write_bytes(b"\xff"), "expected text in UTF-8. Byte 1 is none."),
        (lambda file: file.write_text('{"app_codes": '), "expected valid JSON."),
    ],
    ids=["folder", "pipe", "loop", "nowhere", "large", "bytes", "torn"],
)
async def test_a_reload_that_is_refused_is_not_the_last(
    put: Callable[[Path], object], why: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    """One line says what is there instead of a file; the old apps stay, and the next come in."""
    origin, file = f"http://127.0.0.1:{unused_tcp_port}", tmp_path / "apps.json"
    typed = ("serve", "--conf", conf(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed) as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        file.unlink()
        put(file)
        refused = await reloaded(gateway)
        assert (refused["event"], "exception" in refused) == ("configuration_refused", False)
        (problem,) = refused["problems"]
        assert problem.startswith(f"{file}: {why}")
        assert await known(origin)
        file.rename(tmp_path / "wrong")
        enrolment.add(file, CODE * 2, {"name": "shop"})
        assert (await reloaded(gateway))["event"] == "configuration_reloaded"
        assert (await known(origin), await known(origin, CODE * 2)) == (False, True)


async def test_a_folder_that_is_gone_changes_nothing(tmp_path: Path, unused_tcp_port: int) -> None:
    """Nor does one that is taken away and put back, as by a deployment, end the reloads."""
    origin, folder = f"http://127.0.0.1:{unused_tcp_port}", tmp_path / "conf"
    folder.mkdir()
    typed = ("serve", "--conf", conf(folder), "--port", str(unused_tcp_port))
    async with process(*typed) as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        folder.rename(tmp_path / "away")
        refused = await reloaded(gateway)
        said = f"{folder} is no folder: --conf names the one with gateway.toml."
        assert (refused["problems"], "exception" in refused) == ([said], False)
        assert await known(origin)
        (tmp_path / "away").rename(folder)
        assert (await reloaded(gateway))["event"] == "configuration_reloaded"


_SLIPS_ONCE = """\
import asyncio, sys
from pathlib import Path
from gateway import logs, serving, sources

def read():
    return sources.load(Path(sys.argv[1]), {"SERVER_PORT": "0", "DATA_DIR": ""})

def reread():
    if not slips:
        return read()
    raise slips.pop()

slips = [LookupError("a slip")]
logs.configure(form="json")
sys.exit(asyncio.run(serving.serve(read(), reread)))
"""


async def test_a_slip_in_a_reload_is_logged_and_survived(tmp_path: Path) -> None:
    """What nobody thought of has its traceback in the log, and the next SIGHUP is obeyed."""
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SLIPS_ONCE, conf(tmp_path),
        stderr=asyncio.subprocess.PIPE, env={"PATH": PATH}, cwd=ROOT,
    )  # fmt: skip
    try:
        await lines_until(gateway.stderr, "gateway_started")
        slipped = await reloaded(gateway)
        assert (slipped["event"], slipped["level"]) == ("configuration_refused", "error")
        assert slipped["exception"].endswith("LookupError: a slip")
        assert (await reloaded(gateway))["event"] == "configuration_reloaded"
        gateway.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(gateway.communicate(), PATIENCE_S)
        assert gateway.returncode == 0, err
    finally:
        if gateway.returncode is None:
            gateway.kill()
            await gateway.wait()
