"""A configuration changes under way: who is inside stays, who comes finds the new one."""

import json
from typing import Any

import pytest
from aiohttp import ClientResponse
from msgspec.structs import replace
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.app import RELOADING
from gateway.config import Config, Settings, parse
from gateway.doors import Patience
from gateway.reloading import AT_ONCE
from tests.surfaces import event_source
from tests.surfaces.running import (
    CODE,
    JWT_SECRET,
    OTHER_CODE,
    QUICK,
    SILENT,
    STUCK,
    WEBHOOK_SECRET,
    Gateway,
    apps,
    bearer,
)
from tests.surfaces.teller import MODEL, Teller, told

TICKING = Patience(tick_s=0.01)
NEW_CODE = "gw_code-of-the-shop-made-anew-0123456789"
PAGE = "https://shop.test"


def configured(
    app_codes: dict[str, Any] | None = None,
    *,
    models: str | None = None,
    modes: str | None = None,
    **settings: str,
) -> Config:
    """What the files say now, where the running gateway is that of the tests."""
    environ = {"JWT_SECRET": JWT_SECRET, "CALLBACK_SECRET": WEBHOOK_SECRET, "RETENTION": "3600"}
    environ["DATA_DIR"] = ""
    return parse(
        toml=None,
        env={**environ, "DEFAULT_MODEL": QUICK, **settings},
        apps=json.dumps({"app_codes": apps() if app_codes is None else app_codes}),
        models=models,
        modes=modes,
    )


def changed(gateway: Gateway, config: Config) -> list[EventDict]:
    """Change the configuration; the lines that are logged."""
    with capture_logs() as lines:
        gateway.app[RELOADING].change(config)
    return lines


async def reads(gateway: Gateway, job_id: str, **headers: str) -> ClientResponse:
    response = await gateway.session.get(f"{gateway.origin}/stream/{job_id}", headers=headers)
    assert response.status == 200
    return response


async def test_a_new_app_comes_in_and_an_old_one_stays() -> None:
    """One more code is good from then on; a stream that is open is not even interrupted."""
    async with Gateway(patience=TICKING) as gateway:
        job_id = await gateway.queue(STUCK)
        stream = await reads(gateway, job_id, **bearer(CODE))
        refused = await gateway.get("/v1/models", **bearer(NEW_CODE))
        more = {**apps(), NEW_CODE: {"name": "third"}}
        (line,) = changed(gateway, configured(more))
        assert (refused.status, line["apps"]) == (401, 3)
        assert (await gateway.get("/v1/models", **bearer(NEW_CODE))).status == 200
        await gateway.ask("POST", f"/cancel_request/{job_id}", headers=bearer(CODE))
        got = [event async for event in event_source.events(stream)]
        assert [event.event for event in got] == ["message", "error"]


@pytest.mark.parametrize("codes", [{}, {NEW_CODE: apps()[CODE]}], ids=["removed", "rotated"])
async def test_whoever_has_left_reads_no_more(codes: dict[str, Any]) -> None:
    """The code is refused at once, and what was opened with it ends; others' streams do not."""
    kept = {OTHER_CODE: apps()[OTHER_CODE], **codes}
    async with Gateway(patience=TICKING) as gateway:
        mine = await gateway.queue(SILENT)
        other = await gateway.queue(SILENT, app_code=OTHER_CODE)
        stream = await reads(gateway, mine, **bearer(CODE))
        socket = await gateway.session.ws_connect(
            f"{gateway.origin}/ws/{mine}", headers=bearer(CODE)
        )
        others = await reads(gateway, other, **bearer(OTHER_CODE))
        changed(gateway, configured(kept))
        assert (await gateway.get(f"/stream/{mine}", **bearer(CODE))).status == 401
        assert [event async for event in event_source.events(stream)] == []
        async for _ in socket:
            pass
        assert socket.close_code == 1001
        await gateway.read_by(1)
        await gateway.core.cancel(await gateway.job(other))
        (ended,) = [event async for event in event_source.events(others)]
        assert json.loads(ended.data)["code"] == "CANCELLED"
        await gateway.core.cancel(await gateway.job(mine))


async def test_an_operator_who_has_left_watches_no_more() -> None:
    """The overview that comes again and again ends where its app may not see it any more."""
    ops = {NEW_CODE: {"name": "ops", "admin": True}}
    async with Gateway(app_codes={**apps(), **ops}, patience=TICKING) as gateway:
        path = f"{gateway.origin}/admin/events"
        async with gateway.session.get(path, headers=bearer(NEW_CODE)) as response:
            await response.content.readuntil(b"\n\n")
            changed(gateway, configured({**apps(), NEW_CODE: {"name": "ops"}}))
            await response.content.read()
        assert (await gateway.get("/admin/events", **bearer(NEW_CODE))).status == 403


async def test_a_link_outlives_the_code() -> None:
    """An EventSource whose app got a new code comes back by its token, and misses nothing."""
    async with Teller() as teller, Gateway(patience=TICKING, **teller.settings) as gateway:
        teller.gate.clear()
        job_id = await gateway.queue(MODEL, told("one", "two"))
        url = await gateway.stream(job_id)
        async with event_source.opened(gateway.session, url) as response:
            await response.content.readuntil(b"data: one\n\n")
            rotated = {NEW_CODE: apps()[CODE], OTHER_CODE: apps()[OTHER_CODE]}
            changed(gateway, configured(rotated))
            assert (await response.content.read()).count(b"id:") == 0
        teller.gate.set()
        rest = await event_source.listen(gateway.session, url, "1-3")
        assert [event.data for event in rest] == [b"two", b"[DONE]"]


async def test_models_and_modes_are_the_new_ones() -> None:
    """A model that was unknown answers, and a mode that was unknown is taken."""
    async with Gateway() as gateway:
        ask = {"prompt": "one", "mode": "haiku"}
        assert (await gateway.post("/assistant/request", ask, **bearer(CODE))).status == 400
        models = '[models.parrot]\nprovider = "simulator"\nupstream = "echo?first=0&gap=0"\n'
        (line,) = changed(
            gateway, configured(models=models, modes='[modes.haiku]\nmodel = "parrot"\n')
        )
        assert (line["models"], line["modes"]) == (1, 1)
        made = (await gateway.post("/assistant/request", ask, **bearer(CODE))).json()
        ended = await gateway.over(made["request_id"])
        assert ended.outcome is not None
        assert (ended.state, ended.outcome.model) == ("completed", "parrot")


async def test_limits_hold_from_then_on() -> None:
    """A tighter rate refuses the next request; a wider cap lets those run that waited."""
    async with Gateway(app_codes=apps(max_concurrent=1), patience=TICKING) as gateway:
        jobs = [await gateway.queue(SILENT) for _ in range(3)]
        await gateway.published(jobs[0], 1)
        assert gateway.core.active_workers == 1
        changed(gateway, configured(apps(max_concurrent=3, rate_limit="1/hour")))
        for job_id in jobs:
            await gateway.published(job_id, 1)
        assert gateway.core.active_workers == 3
        await gateway.queue()
        body = {"app_code": CODE, "request_type": "ask", "request": "x"}
        assert (await gateway.post("/ai_request", body)).status == 429
        for job_id in jobs:
            await gateway.core.cancel(await gateway.job(job_id))


async def test_pages_come_and_go() -> None:
    """An origin that joins the list may call, also by preflight; one that left may not."""
    preflight = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    async with Gateway() as gateway:

        async def may() -> tuple[int, bool]:
            asked = await gateway.ask("OPTIONS", "/ai_request", headers=preflight)
            answered = await gateway.get("/health", Origin=PAGE)
            return asked.status, "Access-Control-Allow-Origin" in answered.headers

        assert await may() == (403, False)
        changed(gateway, configured(ALLOWED_ORIGINS=PAGE))
        assert await may() == (200, True)
        changed(gateway, configured(apps(allowed_origins=[PAGE])))
        assert await may() == (200, True)
        changed(gateway, configured())
        assert await may() == (403, False)


async def test_what_takes_a_restart_is_said_and_waits() -> None:
    """Such a setting is named in the log; nothing goes by half of it, now or at the next change."""
    async with Gateway() as gateway:
        new = configured(WORKERS="7", RETENTION="60", MAX_STREAMS="5")
        done, waits = changed(gateway, new)
        assert (done["event"], done["settings"]) == ("configuration_reloaded", ["max_streams"])
        assert (waits["event"], waits["log_level"]) == ("restart_needed", "warning")
        assert waits["settings"] == ["retention", "workers"]
        assert changed(gateway, new)[1]["settings"] == ["retention", "workers"]
        in_force = gateway.app[RELOADING].config.settings
        assert (in_force.workers, in_force.retention, in_force.max_streams) == (1000, 3600, 5)
        assert [line["event"] for line in changed(gateway, configured())] == [
            "configuration_reloaded"
        ]


async def test_what_cannot_be_taken_changes_nothing() -> None:
    """Apps, models, pages and limits stay together, whichever of them cannot be had."""
    good = configured({NEW_CODE: {"name": "third"}}, models="[models]\n", ALLOWED_ORIGINS=PAGE)
    half = replace(good, settings=replace(good.settings, anonymous_app="nobody"))
    unbuilt = replace(half, settings=replace(half.settings, trusted_proxies=("everywhere",)))
    async with Gateway() as gateway:
        before = gateway.app[RELOADING].config
        for config, slip in ((half, KeyError), (unbuilt, ValueError)):
            with pytest.raises(slip):
                changed(gateway, config)
            assert gateway.app[RELOADING].config is before
            assert gateway.core.catalog is before.catalog
            assert (await gateway.get("/v1/models", **bearer(CODE))).status == 200
            assert (await gateway.get("/v1/models", **bearer(NEW_CODE))).status == 401
            answer = await gateway.get("/health", Origin=PAGE)
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert changed(gateway, configured(ALLOWED_ORIGINS=PAGE))[0]["settings"] == [
            "allowed_origins"
        ]


def test_what_changes_at_once_is_a_setting() -> None:
    """A setting that was renamed would silently wait for a restart."""
    assert set(Settings.__struct_fields__) >= AT_ONCE
