"""What operators see of the gateway as a whole: the overview, watched or not, and a backup."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from aiohttp import ClientResponse

from gateway import __version__
from gateway.doors import Patience
from gateway.sse import Decoder
from gateway.stores.database import CHECKSUMS, load_checksums
from tests.e2e import wire
from tests.engine.n8n import Execution, N8n
from tests.surfaces.operating import OPS, called_back, operated
from tests.surfaces.running import OTHER_CODE, SILENT, Gateway


@pytest.fixture
async def gateway(n8n: N8n) -> AsyncIterator[Gateway]:
    async with operated(
        CALLBACK_ALLOWED_ORIGINS=n8n.origin, WORKERS="2", patience=Patience(tick_s=0.02)
    ) as running:
        yield running


async def test_the_overview_tells_it_all(gateway: Gateway, n8n: N8n) -> None:
    """What waits, runs and is owed, of whom, and how all that is needed for it stands."""
    await called_back(gateway, n8n.wait_for(Execution()), "delivered")
    await called_back(gateway, n8n.wait_for(Execution(waits=0)), "dead")
    n8n.broken = True
    pending = await gateway.queue(callback_url=n8n.wait_for(Execution()))
    await gateway.over(pending)
    held = [await gateway.queue(SILENT) for _ in range(2)]
    waiting = [await gateway.queue(SILENT), await gateway.queue(SILENT, app_code=OTHER_CODE)]
    told = (await gateway.get("/admin/overview", **OPS)).json()
    assert 0 <= told.pop("uptime_s") < 600
    assert 0 <= told["queue"].pop("oldest_wait_s") < 600
    assert 0 <= told["callbacks"].pop("oldest_pending_s") < 600
    assert told == {
        "draining": False,
        "version": __version__,
        "queue": {
            "size": 2,
            "capacity": 10_000,
            "apps": [
                {"app": "bank", "waiting": 1, "running": 0},
                {"app": "shop", "waiting": 1, "running": 2},
            ],
        },
        "workers": {"count": 2, "busy": 2},
        "readers": 0,
        "providers": [
            {"name": name, "status": "no key"}
            for name in ("together", "groq", "openai", "anthropic")
        ]
        + [{"name": "simulator", "status": "connected"}],
        "breakers": [],
        "callbacks": {"pending": 1, "dead": 1, "delivered": 1},
        "conversations": 0,
        "disk": {"durable": False, "low": False},
    }
    for job_id in (*waiting, *held):
        await gateway.core.cancel(await gateway.job(job_id))
    await gateway.quiet()
    told = (await gateway.get("/admin/overview", **OPS)).json()
    assert told["queue"] == {"size": 0, "capacity": 10_000, "oldest_wait_s": None, "apps": []}


async def test_the_overview_comes_again_and_again(gateway: Gateway) -> None:
    """As events, each with what has changed; one who watches holds up no other, nor the end."""
    async with (
        gateway.session.get(f"{gateway.origin}/admin/events", headers=OPS) as first,
        gateway.session.get(f"{gateway.origin}/admin/events", headers=OPS) as second,
    ):
        assert first.content_type == "text/event-stream"
        assert first.headers["Cache-Control"] == "no-cache, no-store, no-transform"
        told = [each async for each in _overviews(first, 3)]
        assert [each["queue"]["size"] for each in told] == [0, 0, 0]
        assert told[0]["uptime_s"] < told[1]["uptime_s"] < told[2]["uptime_s"]
        held = [await gateway.queue(SILENT) for _ in range(3)]
        async with asyncio.timeout(20):
            async for each in _overviews(second, 1_000_000):
                if each["queue"]["size"] == 1:
                    break
        for job_id in held:
            await gateway.core.cancel(await gateway.job(job_id))
        async with asyncio.timeout(20):
            await gateway._runner.cleanup()
            assert await first.content.read() is not None
            assert first.content.at_eof()


async def _overviews(response: ClientResponse, count: int) -> AsyncIterator[Any]:
    decoder = Decoder()
    async for data in response.content.iter_any():
        for event in decoder.feed(data):
            assert event.event == "overview"
            yield json.loads(event.data)
            count -= 1
            if not count:
                return


async def test_so_many_may_watch() -> None:
    """One more is asked to come later; who leaves makes room."""
    async with operated(patience=Patience(tick_s=0.02)) as gateway:
        watching = [
            await gateway.session.get(f"{gateway.origin}/admin/events", headers=OPS)
            for _ in range(100)
        ]
        refused = await gateway.get("/admin/events", **OPS)
        assert (refused.status, refused.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert refused.headers["Retry-After"] == "5"
        for response in watching:
            response.close()
        # That a caller has left is heard of by sockets, and told to nobody.
        await wire.eventually(lambda: _opened(gateway), 200, every_s=0.01)


async def _opened(gateway: Gateway) -> int:
    async with gateway.session.get(f"{gateway.origin}/admin/events", headers=OPS) as response:
        return response.status


async def test_a_backup_is_a_whole_database(tmp_path: Path) -> None:
    """Of one moment, while jobs come; nothing of it stays in the folder."""
    folder = tmp_path / "data"
    async with operated(DATA_DIR=folder) as gateway:
        told = (await gateway.get("/admin/overview", **OPS)).json()
        assert told["disk"]["durable"] is True
        jobs = [await gateway.queue() for _ in range(20)]
        kept = sorted(file.name for file in folder.iterdir())
        coming = [asyncio.create_task(gateway.queue()) for _ in range(20)]
        backups = await asyncio.gather(*(gateway.get("/admin/backup", **OPS) for _ in range(3)))
        assert [each.status for each in backups] == [200, 200, 200]
        assert [each.headers["Content-Type"] for each in backups] == [
            "application/octet-stream"
        ] * 3
        assert sorted(file.name for file in folder.iterdir()) == kept
        for job_id in [*jobs, *(await asyncio.gather(*coming))]:
            await gateway.over(job_id)
    load_checksums()
    for number, backup in enumerate(backups):
        copy = tmp_path / f"copy-{number}.db"
        copy.write_bytes(backup.body)
        with closing(apsw.Connection(str(copy), vfs=CHECKSUMS)) as db:
            assert db.execute("PRAGMA integrity_check").get == "ok"
            found = {row[0] for row in db.execute("SELECT id FROM jobs")}
        assert found >= set(jobs)


async def test_a_backup_can_be_gone_on_with(tmp_path: Path) -> None:
    """Put in a folder of its own, it is what the gateway was; its file is its owner's alone."""
    async with operated(DATA_DIR=tmp_path / "old") as gateway:
        job_id = await gateway.queue(text="one two three")
        await gateway.over(job_id)
        assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o700
        backup = await gateway.get("/admin/backup", **OPS)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "gateway.db").write_bytes(backup.body)
    async with operated(DATA_DIR=tmp_path / "new") as gateway:
        told = await gateway.poll(job_id)
        assert told["response"]["ai_response"] == "one two three"


async def test_nothing_is_copied_from_memory(gateway: Gateway) -> None:
    """It says why not, and what would help."""
    reply = await gateway.get("/admin/backup", **OPS)
    assert (reply.status, reply.json()) == (
        409,
        {
            "error": {
                "code": "CONFLICT",
                "message": "Everything is in memory: without DATA_DIR there is nothing to copy.",
            }
        },
    )
