"""`usage`: what answers took and cost, summed, for operators."""

import argparse
import asyncio
import time
from typing import Any

from gateway.commands.remote import Call, Remote, remote
from gateway.commands.terminal import show_json, show_table

_PATH = "/admin/usage"


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Print the sums."""
    now = time.time()
    wanted = {
        "by": typed.by,
        "since": typed.since and typed.since.epoch(now),
        "until": typed.until and typed.until.epoch(now),
    }
    rows = asyncio.run(_rows(remote(typed, environ), wanted))
    if typed.json:
        show_json(rows)
        return 0
    apps = any("app" in row for row in rows) and typed.by != "app"
    head = (typed.by, "jobs", "read", "written", "cost")
    show_table(("app", *head) if apps else head, [_row(row, apps=apps) for row in rows])
    return 0


async def _rows(gateway: Remote, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    async with gateway:
        told = await gateway.json(Call("GET", _PATH, params=wanted), "rows")
    rows: list[dict[str, Any]] = told["rows"]
    return rows


def _row(row: dict[str, Any], *, apps: bool) -> list[Any]:
    sums = [row["key"], f"{row['jobs']:,}"]
    sums += [f"{row[name]:,}" for name in ("prompt_tokens", "completion_tokens")]
    cost = f"${row['cost_usd']:,.4f}" if row["cost_usd"] else None
    return [*([row.get("app")] if apps else []), *sums, cost]
