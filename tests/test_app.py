"""The parts, put together: what a configuration becomes."""

from pathlib import Path

import pytest

from gateway.app import CORE, build, load
from gateway.config import ConfigError, parse
from tests.surfaces.running import CODE, Gateway, bearer
from tests.surfaces.teller import Teller


def test_the_environment_beats_the_files(tmp_path: Path) -> None:
    """A folder needs no file; what it has is read, and what is wrong there is told."""
    assert load(tmp_path, {}).settings.server_port == 5000
    (tmp_path / "gateway.toml").write_text("server_port = 5001\nworkers = 3\n")
    settings = load(tmp_path, {"SERVER_PORT": "5002"}).settings
    assert (settings.server_port, settings.workers) == (5002, 3)
    (tmp_path / "gateway.toml").write_text("server_prot = 5001\n")
    with pytest.raises(ConfigError, match="server_port"):
        load(tmp_path, {})


def test_a_folder_without_models_has_those_that_are_shipped(tmp_path: Path) -> None:
    """Their limits are known without a copy of the file."""
    assert len(load(tmp_path, {}).catalog.models) > 10


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Not taken for an empty one."""
    with pytest.raises(NotADirectoryError, match="no such folder"):
        load(tmp_path / "none", {})


def test_the_shipped_folder_builds() -> None:
    """A gateway without any app: every route is there, and nothing runs before its start."""
    app = build(load(None, {}))
    paths = {route.resource.canonical for route in app.router.routes() if route.resource}
    assert {"/ai_request", "/init-stream", "/stream/{id}", "/health"} <= paths
    assert app[CORE].active_workers == 0


def test_every_route_can_be_asked_before_it_is_called() -> None:
    """Each has a preflight: a page of a listed origin reaches all of them."""
    config = parse(toml=None, env={"ALLOWED_ORIGINS": "https://a.test"}, apps=None, models=None)
    router = build(config).router
    methods: dict[str, set[str]] = {}
    for route in router.routes():
        assert route.resource is not None
        methods.setdefault(route.resource.canonical, set()).add(route.method)
    assert [path for path, of_path in methods.items() if "OPTIONS" not in of_path] == []


async def test_together_is_asked_with_its_key() -> None:
    """A key in the environment is all that it takes."""
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        job_id = await gateway.queue("together/teller", '["a", "b"]')
        assert (await gateway.over(job_id)).state == "completed"
        said = await gateway.poll(job_id, **bearer(CODE))
        assert said["response"]["ai_response"] == "ab"


async def test_a_provider_without_a_key_is_an_error_of_the_job() -> None:
    """The request is taken, and its end says what is missing, not why."""
    async with Gateway() as gateway:
        job_id = await gateway.queue("together/teller")
        await gateway.over(job_id)
        said = await gateway.poll(job_id)
        assert (said["status"], said["error_code"]) == ("error", "AI_SERVICE_ERROR")
