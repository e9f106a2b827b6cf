"""What README.md tells people to type works as it stands there."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.processes import ROOT, ended, lines_until, needs_curl, pasted, process

README = (ROOT / "README.md").read_text("utf-8")
SECRET = "a-secret-of-more-than-thirty-two-bytes"


def commands(beginning: str) -> list[str]:
    """The commands of the README that begin so, each on one line and without its comment."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith(beginning)]


@pytest.mark.parametrize("command", commands("make "))
async def test_each_make_command_is_there(command: str) -> None:
    """Make knows what to do, without doing it."""
    assert await pasted(f"{command} --dry-run")


@needs_curl
async def test_the_way_from_app_to_answer_works_as_written(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """An app is added, the gateway served, a question asked, polled, streamed and resumed."""
    conf = shutil.copytree(ROOT / "conf", tmp_path / "conf")
    environ = {"GATEWAY_CONF": str(conf), "JWT_SECRET": SECRET, "DEFAULT_MODEL": "simulator/lorem"}
    add, serve, token, check = commands("python run.py")
    environ["APP_CODE"] = (await pasted(f"{add} 2>/dev/null", **environ)).strip()
    assert (await pasted(f"{token}", **environ)).count(".") == 2
    assert (await pasted(f"{check} 2>/dev/null", **environ)).startswith("The configuration is good")

    environ["SERVER_PORT"] = str(unused_tcp_port)
    async with process(*serve.split()[2:], **environ) as gateway:
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


@pytest.mark.parametrize("path", re.findall(r"`(conf/[\w.]+)`|\]\((\w+\.md)\)", README))
def test_each_file_it_names_is_there(path: tuple[str, str]) -> None:
    """Nobody is sent to a file that is none."""
    assert (ROOT / "".join(path)).is_file()
