"""A supervisor starts the gateway, is told how it is, reloads it, and replaces it unnoticed."""

import asyncio
import json
import os
import shutil
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector

from gateway.sse import ServerEvent
from gateway.supervisor import Supervisor, inherited
from tests.e2e import wire
from tests.processes import PATH, ROOT, lines_until
from tests.surfaces import event_source
from tests.until import PATIENCE_S

CODE = "gw_code-of-the-shop-0123456789abcdef"
SECRET = "a-secret-of-more-than-thirty-two-bytes"
SLOW = "simulator/echo?first=0&gap=0.2&tokens=20"
QUICK = "simulator/echo?first=0&gap=0"
STUCK = "simulator/echo?first=0&gap=0&stall=1"


class Listener:
    """The end of the supervisor: what it is told, one line at a time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    async def hears(self, *words: str) -> dict[str, str]:
        """The next word that is one of these, with all that was said with it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                heard = loop.sock_recv(self._socket, 4096)
                said = (await asyncio.wait_for(heard, PATIENCE_S)).decode()
            except TimeoutError:
                raise AssertionError(f"{words[0]} was not said") from None
            told = dict(line.split("=", 1) for line in said.splitlines())
            if any(word in told for word in words):
                return told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A supervisor's socket, of each kind there is."""
    address = f"@{uuid.uuid4()}" if request.param == "abstract" else str(tmp_path / "notify")
    listening = Listener(address)
    yield listening
    listening.close()


def conf(tmp_path: Path, apps: dict[str, Any] | None = None) -> Path:
    """A folder with one app, or with these."""
    tmp_path.mkdir(exist_ok=True)
    entry = {"name": "shop", "allowed_request_types": ["chat"]}
    listed = {CODE: entry} if apps is None else apps
    (tmp_path / "apps.json").write_text(json.dumps({"app_codes": listed}), "utf-8")
    return tmp_path


@asynccontextmanager
async def supervised(
    folder: Path, handed: socket.socket, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`run.py serve` with a listening socket, as systemd hands it over; killed at the end."""
    script = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec python run.py serve --conf "$1"'
    started = await asyncio.create_subprocess_exec(
        "bash", "-c", script, str(handed.fileno()), str(folder),
        stderr=asyncio.subprocess.PIPE, pass_fds=[handed.fileno()], cwd=ROOT,
        env={"PATH": PATH, "JWT_SECRET": SECRET, "DATA_DIR": str(folder / "data"), **environ},
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@pytest.fixture
def handed() -> Any:
    """A socket that listens for as long as the supervisor wants, whoever accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        yield listening


def origin(handed: socket.socket) -> str:
    return f"http://127.0.0.1:{handed.getsockname()[1]}"


async def ask(session: ClientSession, at: str, model: str) -> str:
    """The id of a new job."""
    body = {"app_code": CODE, "request_type": "chat", "request": "one two", "model": model}
    async with session.post(f"{at}/ai_request", json=body) as response:
        answer = await response.json()
        assert response.status == 200, answer
        return str(answer["request_id"])


async def _opened(session: ClientSession, at: str) -> ClientResponse:
    """The stream of a new job, which has begun."""
    job_id = await ask(session, at, SLOW)
    headers = {"Authorization": f"Bearer {CODE}"}
    return await session.get(f"{at}/stream/{job_id}", headers=headers)


async def _read(response: ClientResponse) -> list[ServerEvent]:
    """A stream to its end, without coming back."""
    async with response:
        return [event async for event in event_source.events(response)]


# -- what is said ---------------------------------------------------------------------------------


async def test_each_word_is_a_datagram(listener: Listener) -> None:
    """Ready, reloading with the time of the machine's clock, stopping."""
    supervisor = Supervisor.of({"NOTIFY_SOCKET": listener.address}, 1)
    supervisor.ready("Well.")
    assert await listener.hears("READY") == {"READY": "1", "STATUS": "Well."}
    supervisor.reloading()
    told = await listener.hears("RELOADING")
    assert told.keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert told["MONOTONIC_USEC"].isdecimal()
    supervisor.stopping()
    assert (await listener.hears("STOPPING"))["STOPPING"] == "1"


async def test_signs_of_life_come_from_the_loop(listener: Listener) -> None:
    """Each before the time is over after which it is taken for dead; none after the end."""
    environ = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "500000", "WATCHDOG_PID": "7"}
    supervisor = Supervisor.of(environ, 7)
    supervisor.start()
    for _ in range(3):
        # On the same loop: what holds up the signs holds this up as long.
        await asyncio.sleep(0.45)
    supervisor.stop()
    supervisor.stop()
    supervisor.ready("Silent.")
    # The first at the start, and one in each of those times.
    said = [await listener.hears("WATCHDOG", "READY") for _ in range(4)]
    assert said == [{"WATCHDOG": "1"}] * 4
    await listener.hears("READY")


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "8"}, {"WATCHDOG_USEC": "often"}],
    ids=["none", "another's", "no number"],
)
async def test_nobody_is_told_without_need(listener: Listener, environ: dict[str, str]) -> None:
    """A watchdog of another process, or none, gets no sign."""
    supervisor = Supervisor.of({"NOTIFY_SOCKET": listener.address, **environ}, 7)
    supervisor.start()
    supervisor.ready("First.")
    assert (await listener.hears("READY"))["STATUS"] == "First."
    supervisor.stop()


async def test_a_supervisor_that_is_gone_costs_nothing(tmp_path: Path) -> None:
    """Nobody listens at the address, or there is none: the gateway goes on."""
    Supervisor.of({"NOTIFY_SOCKET": str(tmp_path / "none")}, 1).ready("Alone.")
    Supervisor.of({}, 1).ready("Alone.")


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": "7"}]
)
def test_sockets_for_another_process_are_left_alone(environ: dict[str, str]) -> None:
    """They are taken only by the process that they were meant for."""
    assert inherited(environ, 7) == []


# -- a whole process under it ---------------------------------------------------------------------


async def test_a_change_is_let_in_by_sighup(
    tmp_path: Path, handed: socket.socket, listener: Listener
) -> None:
    """A wrong file is refused whole, with each of its faults; a good one lets a new app in."""
    folder = conf(tmp_path / "conf")
    at = origin(handed)
    async with supervised(folder, handed, NOTIFY_SOCKET=listener.address) as gateway:
        assert str(handed.getsockname()[1]) in (await listener.hears("READY"))["STATUS"]
        await lines_until(gateway.stderr, "gateway_started")

        statuses: list[str] = []

        async def reloaded() -> dict[str, Any]:
            gateway.send_signal(signal.SIGHUP)
            await listener.hears("RELOADING")
            statuses.append((await listener.hears("READY"))["STATUS"])
            return dict(json.loads((await lines_until(gateway.stderr, '"configuration_'))[-1]))

        conf(folder, {CODE: {"name": "shop", "prioritty": 3}, "x" * 20: {"name": "n", "weight": 0}})
        refused = await reloaded()
        assert refused["event"] == "configuration_refused"
        assert [each.split(": ")[1] for each in refused["problems"]] == [
            "app_codes.shop.prioritty",
            "app_codes.n.weight",
        ]
        bearer = {"Authorization": f"Bearer {CODE}"}
        assert (await wire.get(at, "/v1/models", **bearer)).status == 200
        conf(folder, {"x" * 20: {"name": "other"}})
        (folder / "gateway.toml").write_text('anonymous_app = "other"\n', "utf-8")
        done = await reloaded()
        assert (done["apps"], done["settings"]) == (1, ["anonymous_app"])
        assert ["refused" in status for status in statuses] == [True, False]
        assert "whoever" in (await lines_until(gateway.stderr, "ANONYMOUS_APP"))[-1]
        assert (await wire.get(at, "/v1/models", **bearer)).status == 401
        assert (await wire.get(at, "/v1/models")).status == 200
        other = {"Authorization": "Bearer " + "x" * 20}
        assert (await wire.get(at, "/v1/models", **other)).status == 200
        gateway.send_signal(signal.SIGTERM)
        assert await listener.hears("STOPPING")


async def test_a_restart_refuses_nobody(tmp_path: Path, handed: socket.socket) -> None:
    """Who connects between one process and the next is answered, and not with a refusal; no text
    is broken, not by a change of the configuration either.
    """
    folder = conf(tmp_path / "conf")
    at = origin(handed)
    answered: list[int] = []
    over = asyncio.Event()

    async def hammer(session: ClientSession) -> None:
        while not over.is_set():
            async with session.get(f"{at}/health/ready") as response:
                answered.append(response.status)
            await ask(session, at, QUICK)

    async def visit(session: ClientSession) -> None:
        # A browser keeps its connection, most of the time unused.
        while not over.is_set():
            async with session.get(f"{at}/health/ready") as response:
                answered.append(response.status)
            await asyncio.sleep(0.05)

    connector = TCPConnector(force_close=True, limit=0)
    async with (
        ClientSession(connector=connector, timeout=ClientTimeout(50)) as session,
        ClientSession(timeout=ClientTimeout(50)) as browser,
    ):
        async with supervised(folder, handed) as first:
            await lines_until(first.stderr, "gateway_started")
            hammers = [asyncio.create_task(hammer(session)) for _ in range(4)]
            hammers.append(asyncio.create_task(visit(browser)))
            # Each is open before the end begins: a later one would wait for the next process.
            streams = [await _opened(session, at) for _ in range(50)]
            reading = [asyncio.create_task(_read(stream)) for stream in streams]
            first.send_signal(signal.SIGHUP)
            await lines_until(first.stderr, "configuration_reloaded")
            first.send_signal(signal.SIGTERM)
            for got in await asyncio.gather(*reading):
                assert (len(got), got[-1].data) == (21, b"[DONE]")
            await asyncio.wait_for(first.communicate(), PATIENCE_S)
            assert first.returncode == 0
        before = len(answered)
        async with supervised(folder, handed):
            while len(answered) < before + 20:
                await asyncio.wait(hammers, timeout=0.05)
                if any(task.done() for task in hammers):
                    break
            over.set()
            await asyncio.gather(*hammers)
    assert set(answered) == {200}, "a process that ends still took connections"


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="no systemd here")
async def test_systemds_own_starter_hands_the_socket_over(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """What starts the gateway at the first connection is answered by it."""
    folder = conf(tmp_path / "conf")
    started = await asyncio.create_subprocess_exec(
        "systemd-socket-activate", "-l", f"127.0.0.1:{unused_tcp_port}", f"-EPATH={PATH}",
        f"-EDATA_DIR={tmp_path}/data",
        "python", "run.py", "serve", "--conf", str(folder),
        env={"PATH": PATH}, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await lines_until(started.stderr, "Listening on")
        assert (await wire.get(f"http://127.0.0.1:{unused_tcp_port}", "/health")).status == 200
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), PATIENCE_S) == 0
    finally:
        if started.returncode is None:
            os.kill(started.pid, signal.SIGKILL)
        await started.communicate()
