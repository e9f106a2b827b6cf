"""What is asked and answered is on the disk where it may be kept, and nowhere where it may not."""

import asyncio
from pathlib import Path

from tests.engine.n8n import Execution, N8n
from tests.surfaces.operating import OPS, operated
from tests.surfaces.running import CODE, QUICK, bearer

_CANARY = "canary-of-the-disk"


async def test_no_text_is_in_the_folder(tmp_path: Path, n8n: N8n) -> None:
    """Of jobs, answers, conversations and callbacks; where texts are kept, they all are there."""
    found = {}
    for keep in ("true", "false"):
        folder = tmp_path / keep
        folder.mkdir()
        async with operated(
            KEEP_TEXTS=keep, DATA_DIR=folder, CALLBACK_ALLOWED_ORIGINS=n8n.origin
        ) as gateway:
            url = n8n.wait_for(Execution())
            asked = await gateway.queue(text=f"{_CANARY} 1", callback_url=url)
            await gateway.over(asked)
            chat = {
                "user_prompt": f"{_CANARY} 2",
                "save_conversation": True,
                "model": QUICK,
            }
            await gateway.post("/api/chat/stream", chat, **bearer(CODE))
            await n8n.arrived(1 if keep == "true" else 2)
            told = (await gateway.get("/admin/overview", **OPS)).json()
            assert told["disk"]["durable"] is (keep == "true")
            assert (await gateway.get(f"/history/{asked}", **bearer(CODE))).status == 200
            during = await asyncio.to_thread(count, folder)
        found[keep] = (during, await asyncio.to_thread(count, folder))
    assert min(found["true"]) > 2
    assert found["false"] == (0, 0)


def count(folder: Path) -> int:
    """How often the canary is in the files of a folder."""
    return sum(
        file.read_bytes().count(_CANARY.encode())
        for file in folder.iterdir()
        if file.name != "ballast"
    )
