"""Where the gateway keeps what it is told: by itself, where it is told to, or nowhere."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any

from gateway import enrolment
from tests.e2e import wire
from tests.processes import PATH, ROOT, ended, lines_until
from tests.surfaces.running import QUICK
from tests.until import PATIENCE_S

_APP = "app-code-of-the-shop"
_CANARY = "canary-of-the-data-folder"
# Where callbacks go that nobody waits for.
_NOBODY = "http://127.0.0.1:9"


class Served:
    """A gateway in a working directory of its own."""

    def __init__(self, process: asyncio.subprocess.Process, lines: list[str]) -> None:
        self.process = process
        self.lines = [json.loads(line) for line in lines]
        port = next(line["port"] for line in self.lines if line["event"] == "gateway_started")
        self.origin = f"http://127.0.0.1:{port}"

    async def overview(self) -> Any:
        return (await wire.get(self.origin, "/admin/overview")).json()

    async def init(self, text: str) -> str:
        """The path of the link to a new stream."""
        body = {
            "app_code": _APP,
            "prompt": text,
            "model": QUICK,
            "resumeUrl": f"{_NOBODY}/{len(text)}",
        }
        url: str = (await wire.post(self.origin, "/init-stream", body)).json()["streamUrl"]
        return url.removeprefix(self.origin)

    async def text(self, link: str) -> str:
        stream = await wire.stream(self.origin + link)
        told = await stream.text()
        await stream.close()
        return told


async def begun(here: Path, **environ: str) -> asyncio.subprocess.Process:
    """A gateway whose working directory is `here`, as whoever starts one by hand has it."""
    entry = {"name": "shop", "allowed_request_types": ["chat"]}
    conf = here / "conf"
    if not conf.exists():
        conf.mkdir()
        enrolment.add(conf / "apps.json", _APP, entry)
    return await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "run.py"), "serve", "--conf", str(conf), "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": PATH, "CALLBACK_ALLOWED_ORIGINS": _NOBODY, **environ}, cwd=here,
    )  # fmt: skip


@asynccontextmanager
async def served(here: Path, **environ: str) -> AsyncIterator[Served]:
    """One that serves, and is told to stop at the end of the block."""
    process = await begun(here, **environ)
    try:
        yield Served(process, await lines_until(process.stderr, "gateway_started"))
        assert await ended(process, SIGTERM) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refused(here: Path, **environ: str) -> str:
    """What one says that does not start."""
    process = await begun(here, **environ)
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 1
    return said.decode()


async def test_jobs_are_kept_by_default(tmp_path: Path) -> None:
    """In a folder of its owner's alone; also the links to streams that were handed out are good
    after a restart, and their secret is not in the database."""
    async with served(tmp_path) as gateway:
        link = await gateway.init("one two three")
        assert await gateway.text(link) == "one two three"
        assert (await gateway.overview())["disk"] == {"durable": True, "low": False}
    folder = tmp_path / "data"
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (folder, *folder.iterdir())}
    assert modes.pop("data") == 0o700
    assert set(modes.values()) == {0o600}
    assert {"gateway.db", "stream-secret"} <= set(modes)
    secret = (folder / "stream-secret").read_bytes().strip()
    assert secret not in (folder / "gateway.db").read_bytes()
    async with served(tmp_path) as gateway:
        assert await gateway.text(link) == "one two three"


async def test_a_second_gateway_does_without(tmp_path: Path) -> None:
    """Beside one that has the folder: it says so, and keeps everything in memory."""
    async with served(tmp_path) as first, served(tmp_path) as second:
        (told,) = [line for line in second.lines if line["event"] == "memory_only"]
        assert "in use by another gateway" in told["why"]
        assert (told["level"], told["advice"][:12]) == ("warning", "Set DATA_DIR")
        durable = [(await each.overview())["disk"]["durable"] for each in (first, second)]
        assert durable == [True, False]
        assert await second.text(await second.init("one two")) == "one two"


async def test_a_folder_that_was_chosen_is_insisted_on(tmp_path: Path) -> None:
    """Whoever named it counts on it: another gateway there does not start."""
    async with served(tmp_path, DATA_DIR="data"):
        for environ in ({"DATA_DIR": "data"}, {"DATA_DIR": str(tmp_path / "data")}):
            assert "in use by another gateway" in await refused(tmp_path, **environ)


async def test_a_folder_that_cannot_be_used_names_its_setting(tmp_path: Path) -> None:
    """With what the system says of it, in the last line."""
    (tmp_path / "file").touch()
    for folder, why in (("file", "File exists"), ("file/data", "Not a directory")):
        said = (await refused(tmp_path, DATA_DIR=folder)).splitlines()[-1]
        assert (
            said == f"{folder}: {why}: DATA_DIR must be a folder that can be made, and written to"
        )


async def test_a_folder_that_others_may_look_into_is_told(tmp_path: Path) -> None:
    """At the start; not where it was empty, for it is theirs no more."""
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    async with served(tmp_path, DATA_DIR="data") as gateway:
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert [line for line in gateway.lines if "chmod" in str(line)] == []
    data.chmod(0o750)
    async with served(tmp_path, DATA_DIR="data") as gateway:
        (told,) = [line for line in gateway.lines if "chmod" in str(line)]
        assert (told["level"], told["event"]) == ("warning", "configuration_warning")
        assert "`chmod 700 data`" in told["text"]


async def test_damage_is_never_done_without(tmp_path: Path) -> None:
    """Not in the folder that nobody chose either: what it held is not forgotten in silence."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gateway.db").write_bytes(b"no database" * 1000)
    assert "is damaged" in await refused(tmp_path)
    assert "damaged" in await refused(tmp_path)


async def test_everything_can_be_in_memory(tmp_path: Path) -> None:
    """With an empty DATA_DIR nothing is made on the disk."""
    async with served(tmp_path, DATA_DIR="") as gateway:
        assert await gateway.text(await gateway.init("one")) == "one"
        assert (await gateway.overview())["disk"]["durable"] is False
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["conf"]


async def test_texts_need_not_be_kept(tmp_path: Path) -> None:
    """Nothing that is asked or answered touches the disk, and the start says what that means."""
    async with served(tmp_path, KEEP_TEXTS="false") as gateway:
        warnings = [line.get("text", "") for line in gateway.lines]
        assert [text for text in warnings if text.startswith("KEEP_TEXTS is off")] != []
        assert await gateway.text(await gateway.init(_CANARY)) == _CANARY
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["conf"]
