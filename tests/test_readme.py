"""What README.md tells people to type works as it stands there."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chromium import needs_chromium
from tests.pages import blocks, python, served
from tests.processes import PATH, ROOT, ended, lines_until, needs_curl, pasted, process
from tests.reader import Site

README = (ROOT / "README.md").read_text("utf-8")
SECRET = "a-secret-of-more-than-thirty-two-bytes"


def commands(beginning: str) -> list[str]:
    """The commands of the README that begin so, each on one line and without its comment."""
    lines = "".join(blocks(README, "bash")).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith(beginning)]


@pytest.mark.parametrize("command", commands("make "))
async def test_each_make_command_is_there(command: str) -> None:
    """Make knows what to do, without doing it."""
    assert await pasted(f"{command} --dry-run")


@needs_curl
async def test_the_way_from_app_to_answer_works_as_written(
    tmp_path: Path, unused_tcp_port: int, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """A simulator plays the provider; an app asks, polls, streams and resumes."""
    simulator_port = unused_tcp_port_factory()
    (simulate,) = re.findall(r"`python run\.py (simulate [^`]+)`", README)
    (base_url,) = re.findall(r"`TOGETHER_BASE_URL=([^`]+)`", README)
    conf = shutil.copytree(ROOT / "conf", tmp_path / "conf")
    environ = {
        "GATEWAY_CONF": str(conf),
        "JWT_SECRET": SECRET,
        "TOGETHER_AI_API_KEY": "any-word",
        "TOGETHER_BASE_URL": base_url.replace("9000", str(simulator_port)),
    }
    add, serve, token, check = commands("python run.py")
    environ["APP_CODE"] = (await pasted(f"{add} 2>/dev/null", **environ)).strip()
    assert (await pasted(f"{token}", **environ)).count(".") == 2
    assert (await pasted(f"{check} 2>/dev/null", **environ)).startswith("The configuration is good")

    environ["SERVER_PORT"] = str(unused_tcp_port)
    simulated = simulate.replace("9000", str(simulator_port)).split()
    async with (
        process(*simulated, PYTHONUNBUFFERED="1") as simulator,
        process(*serve.split()[2:], **environ) as gateway,
    ):
        await lines_until(simulator.stdout, "http://")
        await lines_until(gateway.stderr, "gateway_started")
        ask, poll, stream, resume = (
            line.replace(":5000", f":{unused_tcp_port}") for line in commands("curl")
        )
        environ["REQUEST_ID"] = json.loads(await pasted(ask, **environ))["request_id"]
        whole = await pasted(stream, **environ)
        assert whole.endswith("data: [DONE]\n\n")
        assert json.loads(await pasted(poll, **environ))["status"] == "completed"
        rest = await pasted(resume, **environ)
        assert whole.endswith(rest[rest.index("id: ") :])
        assert "id: 1-5\n" not in rest
        assert await ended(gateway, signal.SIGTERM) == 0


async def test_the_terminal_answers_as_written(tmp_path: Path, unused_tcp_port: int) -> None:
    """Asked, for a whole file, looked back upon, and found in good health."""
    ask, batch, history, doctor = commands("gateway ")
    (tmp_path / "gateway").symlink_to(ROOT / "gateway" / "launcher")
    (tmp_path / "questions.jsonl").write_text('"one"\n"two"\n')
    async with served(tmp_path, unused_tcp_port) as environ:
        environ |= {
            "GATEWAY_URL": f"http://127.0.0.1:{unused_tcp_port}",
            "PATH": f"{tmp_path}:{PATH}",
        }
        here = f"cd '{tmp_path}'; "
        assert (await pasted(here + ask, **environ)).endswith("see what happens.\n")
        await pasted(f"{here}{batch} 2>/dev/null", **environ)
        assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 2
        assert (await pasted(here + history, **environ)).count("completed") == 3
        assert "words come one by one" in await pasted(here + doctor, **environ)


async def test_openais_sdk_streams_as_written(tmp_path: Path, unused_tcp_port: int) -> None:
    """A program of OpenAI's needs the address and the code, and prints the answer."""
    (code,) = blocks(README, "python")
    async with served(tmp_path, unused_tcp_port) as environ:
        printed = await python(code, tmp_path, environ, unused_tcp_port)
    assert printed.endswith("see what happens.")


@needs_curl
@needs_chromium
async def test_a_page_reads_as_written(tmp_path: Path, unused_tcp_port: int) -> None:
    """The script shows the whole text, and neither the end's mark nor anything twice."""
    (snippet,) = blocks(README, "js")
    async with (
        Site().open() as site,
        served(
            tmp_path, unused_tcp_port,
            ALLOWED_ORIGINS=site.origin, CALLBACK_ALLOWED_ORIGINS=site.origin,
        ) as environ,
    ):  # fmt: skip
        asked = {"app_code": environ["APP_CODE"], "prompt": "one", "resumeUrl": f"{site.origin}/"}
        started = await pasted(
            f"curl -sS http://127.0.0.1:{unused_tcp_port}/init-stream "
            f"-H 'Content-Type: application/json' -d '{json.dumps(asked)}'"
        )
        url = json.loads(started)["streamUrl"]
        async with site.reads(url, snippet, tmp_path / "profile") as tab:
            await tab.until("document.querySelector('output').textContent.endsWith('happens.')")
            await tab.until("stream.readyState === EventSource.CLOSED")
            text = await tab.value("document.querySelector('output').textContent")
    assert text.startswith("This is")
    assert text.endswith("see what happens.")
    assert text.count("simulator") == 1


@pytest.mark.parametrize("path", re.findall(r"`(conf/[\w.]+)`|\]\(([\w/-]+\.md)\)", README))
def test_each_file_it_names_is_there(path: tuple[str, str]) -> None:
    """Nobody is sent to a file that is none."""
    assert (ROOT / "".join(path)).is_file()
