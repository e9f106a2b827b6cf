"""The parts, put together: what a configuration becomes."""

from gateway.app import CORE, build
from gateway.config import parse
from gateway.sources import load
from tests.surfaces.running import CODE, Gateway, bearer
from tests.surfaces.teller import Teller


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
    # What takes those who go astray takes every method.
    del methods["/{path}"]
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
