"""The command line as people use it: what it prints, what it leaves behind, how it ends."""

import asyncio
import json
import re
import signal
import stat
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import jwt
import pytest

from gateway import enrolment
from gateway.cli import main
from gateway.tenants import digest
from tests.processes import ended, lines_until, needs_curl, pasted, process
from tests.until import PATIENCE_S

SLOW = "simulator/lorem?tokens=10000&gap=0.02"
SECRET = "a-secret-of-more-than-thirty-two-bytes"


def run(capsys: pytest.CaptureFixture[str], *typed: str, **environ: str) -> tuple[int, str, str]:
    """One command in this process: its exit code, standard output and standard error."""
    code = main(typed, environ)
    out, err = capsys.readouterr()
    return code, out, err


def apps(conf: Path) -> dict[str, Any]:
    """The apps in the file, by their keys."""
    found: dict[str, Any] = json.loads((conf / "apps.json").read_text("utf-8"))["app_codes"]
    return found


# -- app add ----------------------------------------------------------------------------------


def test_app_add_prints_the_code_and_keeps_its_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code is on standard output alone; the file has nothing to steal in it."""
    code, out, _err = run(capsys, "app", "add", "Flash Cards", GATEWAY_CONF=str(tmp_path))
    app_code = out.removesuffix("\n")
    assert code == 0
    assert re.fullmatch(r"gw_[\w-]{43}", app_code)
    assert apps(tmp_path) == {
        f"sha256:{digest(app_code)}": {
            "name": "Flash Cards",
            "allowed_request_types": ["chat"],
            "rate_limit": "100/hour",
            "max_tokens": 1000,
            "priority": 5,
        }
    }
    assert stat.S_IMODE((tmp_path / "apps.json").stat().st_mode) == 0o600


def test_app_add_takes_the_apps_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is typed is what the app may do."""
    typed = "app add x --type quiz --type hint --rate-limit 5/minute --max-tokens 9 --priority 0"
    assert run(capsys, *typed.split(), "--conf", str(tmp_path))[0] == 0
    (entry,) = apps(tmp_path).values()
    assert entry == {
        "name": "x",
        "allowed_request_types": ["quiz", "hint"],
        "rate_limit": "5/minute",
        "max_tokens": 9,
        "priority": 0,
    }


def test_app_add_keeps_everything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other entries, their order and the file's mode stay as they were."""
    file = tmp_path / "apps.json"
    before = {"abc123hash": {"name": "Żółć", "allowed_request_types": [{"name": "a"}]}}
    file.write_text(json.dumps({"app_codes": before}), "utf-8")
    file.chmod(0o640)
    assert run(capsys, "app", "add", "x", "--conf", str(tmp_path))[0] == 0
    assert next(iter(apps(tmp_path).items())) == ("abc123hash", before["abc123hash"])
    assert len(apps(tmp_path)) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["apps.json"]


@pytest.mark.parametrize(
    ("held", "typed", "said"),
    [
        ('{"app_codes": {"c": {"name": "x"}}}', [], 'expected a name that no other app has'),
        ("{", [], "expected valid JSON"),
        ("[]", [], 'expected an object such as {"app_codes": {}}'),
        ('{"app_codes": []}', [], 'expected an object such as {"app_codes": {}}'),
    ],
)  # fmt: skip
def test_app_add_refuses_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], held: str, typed: list[str], said: str
) -> None:
    """A wrong file or option is explained; no code is shown, the file stays."""
    file = tmp_path / "apps.json"
    file.write_text(held, "utf-8")
    code, out, err = run(capsys, "app", "add", "x", *typed, "--conf", str(tmp_path))
    assert (code, out, file.read_text("utf-8")) == (1, "", held)
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["apps.json"]


async def test_apps_added_at_once_are_all_kept(tmp_path: Path) -> None:
    """Two people adding an app at the same moment both find theirs."""
    file = tmp_path / "apps.json"
    names = [f"app {number}" for number in range(20)]
    await asyncio.gather(
        *(asyncio.to_thread(enrolment.add, file, f"code {name}", {"name": name}) for name in names)
    )
    assert sorted(entry["name"] for entry in apps(tmp_path).values()) == sorted(names)


# -- token, check-config ----------------------------------------------------------------------


def test_token_names_app_user_and_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A JWT by HS256 with the claims that the gateway asks for."""
    environ = {"JWT_SECRET": SECRET, "GATEWAY_CONF": str(tmp_path)}
    run(capsys, "app", "add", "shop", **environ)
    typed = ("token", "--app", "shop", "--user", "u1", "--hours", "2")
    code, out, err = run(capsys, *typed, **environ)
    claims = jwt.decode(out.strip(), SECRET, algorithms=["HS256"])
    assert (code, err) == (0, "")
    assert claims.pop("exp") == pytest.approx(time.time() + 7200, abs=30)
    assert claims == {"app": "shop", "sub": "u1"}


def test_token_says_when_no_gateway_would_take_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that no app has is a typing error more often than not."""
    environ = {"JWT_SECRET": SECRET, "GATEWAY_CONF": str(tmp_path)}
    code, out, err = run(capsys, "token", "--app", "shpo", "--user", "u1", **environ)
    assert (code, out.count(".")) == (0, 2)
    assert "no app is named shpo" in err


def test_token_without_a_secret_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message holds a line to paste."""
    code, out, err = run(capsys, "token", "--app", "a", "--user", "u", GATEWAY_CONF=str(tmp_path))
    assert (code, out) == (1, "")
    assert re.search(r"export JWT_SECRET=[\w-]{43}\n", err)


def test_check_config_tells_everything_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each problem has a line with its file and key."""
    (tmp_path / "gateway.toml").write_text("workers = 0\nqueue_max_sise = 5\n", "utf-8")
    (tmp_path / "apps.json").write_text("{", "utf-8")
    code, out, err = run(capsys, "check-config", "--conf", str(tmp_path), SERVER_PORT="high")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 4
    for said in ("gateway.toml: workers:", "queue_max_size?", "apps.json:", "SERVER_PORT:"):
        assert said in err


def test_check_config_names_the_apps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is good is said with the apps that may come in."""
    run(capsys, "app", "add", "shop", "--conf", str(tmp_path))
    code, out, _err = run(capsys, "check-config", "--conf", str(tmp_path))
    assert (code, out) == (0, "The configuration is good. Apps: shop.\n")


# -- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "", "srve", "app", "app add", "serve --port high", "serve --port 65536", "demo --port -1",
        "serve --host !", "app add x --rate-limit often", "app add x --priority 10",
        "app add x --max-tokens 0", "app add x --type ", "app rotate \t", "token --app a --user ",
        "token --app a", "token --app a --user u --hours 0", "token --app a --user u --hours nan",
    ],
)  # fmt: skip
def test_what_is_wrongly_typed_ends_with_2(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is shown, and nothing is done."""
    with pytest.raises(SystemExit) as ended:
        main(typed.split(" ") if typed else [], {})
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage:")


@pytest.mark.parametrize("typed", ["serve", "check-config", "app add x", "token --app a --user u"])
def test_a_folder_that_is_none_is_named(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--conf with a wrong path is a sentence, not a start with defaults."""
    code, out, err = run(capsys, *typed.split(), "--conf", "/nowhere/conf")
    assert (code, out) == (1, "")
    assert err == "/nowhere/conf is no folder: --conf names the one with gateway.toml.\n"


async def test_streams_that_are_closed_lead_nowhere() -> None:
    """As some starters of programs leave them; what is an error is not told as a result."""
    refused = "python run.py ask x --url http://127.0.0.1:9"
    for line, code in (
        (f"{refused} 2>&-", 1),
        (f"{refused} <&- >&- 2>&-", 1),
        ("python run.py ask - <&- 2>/dev/null", 1),
        ("python run.py check-config >&- 2>/dev/null", 0),
    ):
        assert await pasted(f"{line}; echo $?") == f"{code}\n"


# -- servers, as processes --------------------------------------------------------------------


@needs_curl
async def test_each_line_of_the_demo_works_as_printed() -> None:
    """Asked, polled and streamed by paste; the callback arrives in the demo's own terminal."""
    async with process("demo", "--port", "0") as demo:
        printed = await lines_until(demo.stdout, "/init-stream")
        asked, polled, streamed = [line for line in printed if line.startswith("curl ")]
        assert json.loads(await pasted(asked))["status"] == "success"
        assert json.loads(await pasted(polled))["status"] in {"queued", "processing", "completed"}
        stream = await pasted(streamed)
        assert stream.endswith("data: [DONE]\n\n")
        assert "simulator" in stream
        await lines_until(demo.stdout, "A callback arrived, signed")
        assert await ended(demo, signal.SIGINT) == 0


async def test_the_demos_page_comes_with_a_place_for_callbacks() -> None:
    """The page is the gateway's own, and what its address fills in is let through."""
    async with process("demo") as demo, aiohttp.ClientSession() as session:
        printed = " ".join(await lines_until(demo.stdout, "/init-stream"))
        page, fragment = re.findall(r"(http://127\.0\.0\.1:\d+)/#(\S+)", printed)[0]
        async with session.get(page) as response:
            assert (response.status, response.content_type) == (200, "text/html")
        place = unquote(fragment.removeprefix("resumeUrl=")).format(random="word")
        asked = {"prompt": "Hello", "resumeUrl": place}
        async with session.post(f"{page}/init-stream", json=asked) as response:
            assert (await response.json())["ok"]
        await lines_until(demo.stdout, "A callback arrived, signed")
        assert await ended(demo, signal.SIGTERM) == 0


async def test_serve_runs_until_it_is_told_to_stop(
    tmp_path: Path, unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answers at the port that was typed, and leaves with 0 on SIGTERM."""
    run(capsys, "app", "add", "shop", "--conf", str(tmp_path))
    typed = ("serve", "--conf", str(tmp_path), "--port", str(unused_tcp_port))
    async with process(*typed, DEFAULT_MODEL="simulator/lorem", JWT_SECRET=SECRET) as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{unused_tcp_port}/health") as response,
        ):
            assert "queue_size" in await response.json()
        assert await ended(gateway, signal.SIGTERM) == 0


async def test_a_reader_that_leaves_is_no_error(tmp_path: Path, unused_tcp_port: int) -> None:
    """Not on the loop that serves in earnest either: the log stays quiet."""
    environ = {"GATEWAY_CONF": str(tmp_path), "DRAIN_TIMEOUT": "0"}
    app_code, url = "app-code-of-the-shop", f"http://127.0.0.1:{unused_tcp_port}"
    enrolment.add(
        tmp_path / "apps.json", app_code, {"name": "shop", "allowed_request_types": ["chat"]}
    )
    asked = {"app_code": app_code, "request_type": "chat", "request": "x", "model": SLOW}
    typed = ("serve", "--port", str(unused_tcp_port))
    async with process(*typed, **environ) as gateway:
        await lines_until(gateway.stderr, "gateway_started")
        headers = {"Authorization": f"Bearer {app_code}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(f"{url}/ai_request", json=asked) as response:
                request_id = (await response.json())["request_id"]
            async with session.get(f"{url}/stream/{request_id}") as response:
                assert response.status == 200
                await response.content.readuntil(b"data: ")
        gateway.send_signal(signal.SIGTERM)
        _out, err = await asyncio.wait_for(gateway.communicate(), PATIENCE_S)
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line for line in lines if line["level"] == "error"] == []
    assert gateway.returncode == 0


@pytest.mark.parametrize("typed", ["serve", "demo", "simulate"])
async def test_a_taken_port_is_a_sentence(typed: str, tmp_path: Path) -> None:
    """No traceback for what happens to everybody once."""
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(taken.sockets[0].getsockname()[1])
    environ = {"GATEWAY_CONF": str(tmp_path), "DEFAULT_MODEL": "simulator/lorem"}
    async with taken, process(typed, "--port", port, **environ) as started:
        out, err = await asyncio.wait_for(started.communicate(), PATIENCE_S)
    assert started.returncode == 1
    assert b"choose another port with --port" in err
    assert b"Traceback" not in out + err


async def test_simulate_says_where_it_listens_and_answers_there() -> None:
    """It speaks OpenAI's wire at the address it prints."""
    async with process("simulate", PYTHONUNBUFFERED="1") as simulator:
        (line,) = await lines_until(simulator.stdout, "http://")
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer any"}) as session,
            session.get(f"{re.findall('http://[0-9.:]+', line)[0]}/v1/models") as response,
        ):
            assert (await response.json())["object"] == "list"
        assert await ended(simulator, signal.SIGINT) == 0
