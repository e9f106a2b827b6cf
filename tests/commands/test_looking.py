"""`history`, `webhooks` and `backup`: what a gateway keeps, seen from the command line."""

import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from aiohttp import web

from tests.commands.typing_in import screen, to, typed
from tests.engine.n8n import SIGNATURE, Execution, N8n
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, Gateway, apps

NOBODYS = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"
ADMIN_CODE = "gw_code-of-the-operator-0123456789"


def with_operator() -> dict[str, Any]:
    return {**apps(), ADMIN_CODE: {"name": "boss", "admin": True}}


# -- history ----------------------------------------------------------------------------------


async def test_history_lists_the_newest_first() -> None:
    """For a person in columns, for a program as the gateway tells it; over its pages' ends."""
    async with Gateway() as gateway:
        ids = [await gateway.queue(QUICK, f"word {number}") for number in range(3)]
        for job_id in ids:
            await gateway.over(job_id)
        person = await typed("history", "--limit", "2", **to(gateway.origin))
        program = await typed("history", "--json", **to(gateway.origin))
        stranger = await typed("history", "--json", **to(gateway.origin, OTHER_CODE))
    head, *rows = person.out.splitlines()
    assert head.split() == ["request", "state", "door", "model", "tokens", "took", "prompt"]
    assert [row.split()[0] for row in rows] == ids[:0:-1]
    assert rows[0].endswith("word 2")
    assert [job["request_id"] for job in json.loads(program.out)] == ids[::-1]
    assert stranger == (0, "[]\n", "")


async def test_a_narrow_terminal_folds_its_columns() -> None:
    """No column begins on one line and ends on the next; the id of a request is whole."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(QUICK, "one two")
        await gateway.over(job_id)
        async with screen("history", COLUMNS="80", **to(gateway.origin)) as shown:
            await shown.shows("one two")
    lines = [line.split() for line in shown.seen.splitlines() if line]
    assert lines[0] == ["request", "state", "door"]
    assert lines[1] == ["model", "tokens", "took", "prompt"]
    assert lines[2] == [job_id, "completed", "ai_request"]
    assert (lines[3][:2], lines[3][-2:]) == ([QUICK, "4"], ["one", "two"])
    assert all(len(line) <= 80 for line in shown.seen.splitlines())


async def test_history_is_searched() -> None:
    """By state, door, model, words and time; a time that is none is a sentence."""
    async with Gateway() as gateway:
        good = await gateway.queue(QUICK, "needle")
        await gateway.over(good)
        bad = await gateway.queue("simulator/echo?status=400", "hay")
        await gateway.over(bad)

        async def found(*words: str) -> list[str]:
            printed = await typed("history", "--json", *words, **to(gateway.origin))
            return [job["request_id"] for job in json.loads(printed.out)]

        assert await found("--state", "error") == [bad]
        assert await found("--search", "needle", "--door", "ai_request") == [good]
        assert await found("--since", "1h", "--model", QUICK) == [good]
        assert await found("--until", "2020-01-01T12:00") == []
        wrong = await typed("history", "--since", "yesterday", **to(gateway.origin))
    assert (wrong.code, "argument --since: 'yesterday' is no time." in wrong.err) == (2, True)


async def test_history_shows_one_request_whole() -> None:
    """What was asked and answered, and what it took."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(QUICK, "one two")
        await gateway.over(job_id)
        printed = await typed("history", job_id, **to(gateway.origin))
        unknown = await typed("history", job_id, **to(gateway.origin, OTHER_CODE))
    fields = dict(line.split(None, 1) for line in printed.out.split("\n\n")[0].splitlines())
    assert (fields["request"], fields["state"], fields["tokens"]) == (job_id, "completed", "2 + 2")
    assert printed.out.endswith("\nuser:\none two\n\nanswer:\none two\n")
    assert unknown == (1, "", "The gateway refused: Request ID not found (REQUEST_NOT_FOUND)\n")


async def test_operators_see_every_app() -> None:
    """By an operator's code; and on the gateway's own machine whatever code is at hand."""
    async with Gateway(app_codes=with_operator()) as gateway:
        job_id = await gateway.queue()
        await gateway.over(job_id)
        for code in (ADMIN_CODE, OTHER_CODE, "gw_nobody", ""):
            environ = {key: text for key, text in to(gateway.origin, code).items() if text}
            printed = await typed("history", "--all", **environ)
            assert [line.split()[:2] for line in printed.out.splitlines()] == [
                ["app", "request"], ["shop", job_id],
            ]  # fmt: skip
        one = await typed("history", job_id, "--all", "--json", **to(gateway.origin, ADMIN_CODE))
        none = await typed("history", "--app", "bank", "--json", **to(gateway.origin, ADMIN_CODE))
    assert json.loads(one.out)["events"][-1]["event"] == "completed"
    assert none.out == "[]\n"


async def test_what_is_no_gateway_is_told_so() -> None:
    """Another server's JSON is no traceback, whatever is asked of it."""
    here = web.Application()
    here.router.add_route("*", "/{path:.*}", _another)
    runner = web.AppRunner(here, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        for words, path in (
            (["history"], "/history"),
            (["history", NOBODYS], f"/history/{NOBODYS}"),
            (["usage"], "/admin/usage"),
            (["webhooks", "list"], "/admin/webhooks"),
            (["webhooks", "show", NOBODYS], f"/admin/webhooks/{NOBODYS}"),
        ):
            told = await typed(*words, **to(url))
            said = f"What answers at {url} is no gateway, by its answer to {path}.\n"
            assert told == (1, "", said)
    finally:
        await runner.cleanup()


async def _another(_: web.Request) -> web.Response:
    return web.json_response({"next": None})


async def test_usage_is_summed_by_what_is_asked_for() -> None:
    """In tokens and money; a program gets the gateway's own rows."""
    async with Gateway() as gateway:
        for text in ("one two", "three"):
            await gateway.over(await gateway.queue(QUICK, text))
        by_app = await typed("usage", **to(gateway.origin))
        by_model = await typed("usage", "--by", "model", "--json", **to(gateway.origin))
        none = await typed("usage", "--until", "2020-01-01", **to(gateway.origin))
        wrong = await typed("usage", "--since", "soon", **to(gateway.origin))
    head, row = (line.split() for line in by_app.out.splitlines())
    assert head == ["app", "jobs", "read", "written", "cost"]
    assert (row[:2], row[3:]) == (["shop", "2"], ["3", "-"])
    (sums,) = json.loads(by_model.out)
    assert (sums["key"], sums["jobs"], sums["completion_tokens"]) == (QUICK, 2, 3)
    assert none.out.split() == head
    assert wrong.code == 2


# -- webhooks ---------------------------------------------------------------------------------


async def test_a_callback_that_was_given_up_is_sent_again() -> None:
    """It is listed as dead, shown with what its receiver said, and replayed."""
    async with N8n() as n8n:
        n8n.script = [web.Response(status=401), web.Response(status=401)]
        url = n8n.wait_for(Execution())
        bare = url.partition("?")[0]
        async with Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
            job_id = await gateway.queue(callback_url=url)
            await gateway.over(job_id)
            here = to(gateway.origin)
            dead = await _until(here, job_id, "dead")
            assert (dead["last_status"], dead["url"]) == (401, bare)
            listed = await typed("webhooks", "list", "--state", "dead", **here)
            assert listed.out.splitlines()[1].split()[:5] == [job_id, "shop", "dead", "2", "401"]
            shown = await typed("webhooks", "show", job_id, **here)
            assert f"url       {bare}\n" in shown.out
            replayed = await typed("webhooks", "replay", job_id, **here)
            assert replayed.err == "It is on its way again, under the same id.\n"
            assert (await _until(here, job_id, "delivered"))["delivery_id"] == dead["delivery_id"]
            again = await typed("webhooks", "replay", job_id, **here)
            assert (again.code, "CONFLICT" in again.err) == (1, True)
            unknown = await typed("webhooks", "show", job_id[:-1] + "x", **here)
            assert (unknown.code, unknown.err[:9]) == (2, "usage: ru")
    assert SIGNATURE not in listed.out + shown.out


async def _until(here: dict[str, str], job_id: str, state: str) -> dict[str, Any]:
    """The callback of a job when it is in that state. What it waits for is on the wire."""
    for _ in range(20):
        printed = await typed("webhooks", "show", job_id, "--json", **here)
        found: dict[str, Any] = json.loads(printed.out)
        if found["state"] == state:
            return found
    raise AssertionError(found)


# -- backup -----------------------------------------------------------------------------------


async def test_a_backup_is_a_whole_database_for_its_owner(tmp_path: Path) -> None:
    """What was answered is in it; it is readable by nobody else, and nothing lies beside it."""
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "copy.db"
    async with Gateway(DATA_DIR=tmp_path / "data", app_codes=with_operator()) as gateway:
        await gateway.over(await gateway.queue(QUICK, "remember me"))
        printed = await typed("backup", str(file), **to(gateway.origin, ADMIN_CODE))
        assert printed == (0, "", f"{file}: {file.stat().st_size:,} bytes.\n")
        before = file.read_bytes()
        refused = await typed("backup", str(file), **to(gateway.origin))
        assert refused == (1, "", f"{file} is there already; --force replaces it.\n")
        assert file.read_bytes() == before
        lost = tmp_path / "nowhere" / "copy.db"
        refused = await typed("backup", str(lost), **to(gateway.origin))
        assert refused == (1, "", f"{lost} cannot be there: {lost.parent} is no folder.\n")
        long = tmp_path / ("x" * 250)
        refused = await typed("backup", str(long), **to(gateway.origin))
        assert refused == (1, "", f"{long} cannot be there: File name too long.\n")
        forced = await typed("backup", str(file), "--force", "--json", **to(gateway.origin))
        assert json.loads(forced.out) == {"file": str(file), "bytes": file.stat().st_size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["copy.db"]
    copy = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    assert copy.execute("PRAGMA integrity_check").get == "ok"
    copy.close()


@asynccontextmanager
async def _answering(*parts: bytes) -> AsyncIterator[str]:
    """Something that says it has a hundred thousand bytes, and ends after these."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        assert request.transport is not None
        if sum(map(len, parts)) < 100_000:
            request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/admin/backup", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([b"SQLite format 3\0"], "The backup was cut off: "),
        ([bytes(100_000)], "What came is no database: "),
    ],
)
async def test_half_a_backup_is_none(tmp_path: Path, parts: list[bytes], said: str) -> None:
    """The file that was there stays as it was."""
    file = tmp_path / "copy.db"
    file.write_text("the old one")
    async with _answering(*parts) as url:
        printed = await typed("backup", str(file), "--force", **to(url, CODE))
    assert (printed.code, said in printed.err) == (1, True)
    assert (os.listdir(tmp_path), file.read_text()) == (["copy.db"], "the old one")


async def test_without_a_folder_there_is_nothing_to_copy(tmp_path: Path) -> None:
    """The gateway says why, and no file is made."""
    async with Gateway() as gateway:
        printed = await typed("backup", str(tmp_path / "copy.db"), GATEWAY_URL=gateway.origin)
    assert (printed.code, "DATA_DIR" in printed.err, os.listdir(tmp_path)) == (1, True, [])
    missing = await typed("backup", str(tmp_path / "none" / "copy.db"))
    assert (missing.code, str(tmp_path / "none") in missing.err) == (1, True)
