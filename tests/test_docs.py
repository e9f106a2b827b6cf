"""What docs/ tells people to type works as it stands there, and what it lists is all there is."""

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from gateway.app import build
from gateway.sources import load
from tests import errors_page, events_page, settings_page
from tests.chromium import needs_chromium
from tests.e2e.calls import Inbox
from tests.pages import blocks, python, served, shell
from tests.processes import ROOT, needs_curl
from tests.reader import Site

DOCS = {file.stem: file.read_text("utf-8") for file in sorted(ROOT.glob("docs/*/*.md"))}
# What nobody runs: data, drawings, and what is shown only.
SHOWN = {"json", "mermaid", "text"}
ANSWER = "built-in simulator"


@needs_curl
async def test_the_reference_calls_work(tmp_path: Path, unused_tcp_port: int) -> None:
    """Every curl line is answered, and those that ask a model have its words."""
    async with served(tmp_path, unused_tcp_port) as environ:
        printed = await shell(DOCS["api"], environ, unused_tcp_port)
    assert '"status":"completed"' in printed
    assert printed.count(ANSWER) == 2
    assert printed.count('"finished":true') == 1
    assert printed.count("data: [DONE]") == 1
    assert printed.endswith('{"status":"ok"}')


@needs_curl
async def test_the_workflow_is_called_back(tmp_path: Path, unused_tcp_port: int) -> None:
    """The call of the n8n page is accepted, and its Wait node gets the fields that are shown."""
    page = DOCS["n8n"]
    shown = json.loads(blocks(page, "json")[0])
    async with (
        Inbox() as inbox,
        served(tmp_path, unused_tcp_port, CALLBACK_ALLOWED_ORIGINS=inbox.origin) as environ,
    ):
        here = page.replace("http://127.0.0.1:5678/webhook-waiting/1", f"{inbox.origin}/waits")
        told = json.loads(await shell(here, environ, unused_tcp_port))
        assert (told["ok"], set(told)) == (True, {"ok", "streamUrl"})
        await inbox.arrived(1)
        body = inbox.bodies["waits"]
    assert set(body) == set(shown)
    told_again = {"userId", "chatId", "prompt", "ok", "status"}
    assert {key: body[key] for key in told_again} == {key: shown[key] for key in told_again}


@pytest.mark.parametrize("number", range(len(blocks(DOCS["openai-sdk"], "python"))))
async def test_each_sdk_example_works(number: int, tmp_path: Path, unused_tcp_port: int) -> None:
    """OpenAI's own package runs it to its end, without a warning."""
    code = blocks(DOCS["openai-sdk"], "python")[number]
    async with served(tmp_path, unused_tcp_port) as environ:
        printed = await python(code, tmp_path, environ, unused_tcp_port)
    assert "assert" in code or printed.count("happens.") == 1


@needs_curl
async def test_operators_get_in_as_the_page_says(tmp_path: Path, unused_tcp_port: int) -> None:
    """The app that the line makes is for operators; on the gateway's machine no code is asked."""
    quiet = DOCS["dashboard"].replace("--admin\n", "--admin 2>/dev/null\n")
    async with served(tmp_path, unused_tcp_port) as environ:
        printed = await shell(quiet, environ, unused_tcp_port)
        apps = json.loads((Path(environ["GATEWAY_CONF"]) / "apps.json").read_text("utf-8"))
    code, told = printed.split("\n", 1)
    (operators,) = (each for each in apps["app_codes"].values() if each["name"] == "Operators")
    assert (code.startswith("gw_"), operators["admin"]) == (True, True)
    assert told.startswith('{"uptime_s":')
    assert told.endswith('{"deliveries":[],"next":null}')


@needs_curl
async def test_metrics_are_read_by_the_line(tmp_path: Path, unused_tcp_port: int) -> None:
    """Whoever sits at the machine needs no credential."""
    async with served(tmp_path, unused_tcp_port) as environ:
        printed = await shell(DOCS["metrics"], environ, unused_tcp_port)
    assert 'gateway_requests_active{state="queued"} 0.0' in printed


@needs_curl
@needs_chromium
async def test_a_page_reads_by_the_snippet(tmp_path: Path, unused_tcp_port: int) -> None:
    """The shell's lines stream; the page's script shows the whole answer and closes."""
    page = DOCS["eventsource"]
    async with (
        Site().open() as site,
        served(tmp_path, unused_tcp_port, ALLOWED_ORIGINS=site.origin) as environ,
    ):
        printed = await shell(page, environ, unused_tcp_port)
        assert "event: complete" in printed
        assert printed.endswith("data: [DONE]\n\n")
        stream_url = re.findall(r'"stream_url":"([^"]+)"', printed)[0]
        (snippet,) = blocks(page, "js")
        async with site.reads(stream_url, snippet, tmp_path / "profile") as tab:
            await tab.until("output.textContent.endsWith('happens.')")
            assert (await tab.value("output.textContent")).count(ANSWER) == 1


@pytest.mark.parametrize("name", DOCS)
def test_every_block_is_run_or_plainly_not(name: str) -> None:
    """A block in a language that is run stands on a page whose blocks are run."""
    run = {
        "api": {"bash"},
        "n8n": {"bash"},
        "dashboard": {"bash"},
        # By test_keeping_page.py.
        "keep-and-forget": {"bash"},
        "openai-sdk": {"python"},
        "eventsource": {"bash", "js"},
        # The latter by test_monitoring.py.
        "metrics": {"bash", "yaml"},
        # By web/client/test/howto.test.ts.
        "browser-client": {"html", "js"},
        # By web/test/howto.test.ts.
        "fetch-and-websocket": {"js"},
        # Each by a file of tests of its own.
        "systemd": {"bash"},
        "nginx": {"bash"},
        "docker": {"bash"},
        "first-stream": {"bash", "python", "html"},
        "litellm": {"bash", "python", "toml", "yaml"},
    }
    found = re.findall(r"^```(.*)\n(?:.*\n)*?```$", DOCS[name], re.MULTILINE)
    assert set(found) <= SHOWN | run.get(name, set())


def test_the_settings_are_those_of_the_file() -> None:
    """After a change of the file: python -m tests.settings_page > docs/reference/settings.md"""
    toml = (ROOT / "conf/gateway.toml").read_text("utf-8")
    assert DOCS["settings"] == settings_page.page(toml)


@pytest.mark.parametrize("made", [events_page, errors_page])
def test_what_is_made_from_the_code_is_fresh(made: ModuleType) -> None:
    """After a change: python -m tests.events_page > docs/reference/events.md, and so on."""
    name = made.__name__.rpartition(".")[2].removesuffix("_page")
    assert DOCS[name] == made.page()


def test_every_path_is_told() -> None:
    """The reference names each path of the application, and no other."""
    app = build(load(ROOT / "conf", {}))
    # The one for every method takes what no other takes.
    routes = [route for route in app.router.routes() if route.method != "*"]
    paths = {route.resource.canonical for route in routes if route.resource is not None}
    told = re.findall(r"(?:GET|POST|DELETE) (/[\w/{}.-]*)`", DOCS["api"])
    assert set(told) == paths


@pytest.mark.parametrize("name", DOCS)
def test_links_lead_somewhere(name: str) -> None:
    """Nobody is sent to a page that is none."""
    (folder,) = {file.parent for file in ROOT.glob(f"docs/*/{name}.md")}
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", DOCS[name])
    assert [each for each in targets if not (folder / each).is_file()] == []
