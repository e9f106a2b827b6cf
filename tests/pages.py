"""Running what a page of the documentation tells people to type, against a gateway of its own.

A page is written for port 5000, and for Together.ai, whose part a simulator plays.
"""

import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.processes import ROOT, lines_until, pasted, process

_SECRET = "a-secret-of-more-than-thirty-two-bytes"
# A refusal is no answer that a page may show without saying so.
_STRICT = 'set -euo pipefail; curl() { command curl --fail-with-body "$@"; }\n'


def blocks(page: str, language: str) -> list[str]:
    """What stands on a page in that language, in its order."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@asynccontextmanager
async def served(folder: Path, port: int, **environ: str) -> AsyncIterator[dict[str, str]]:
    """A gateway with one app; what a reader of the page has in the environment."""
    conf = shutil.copytree(ROOT / "conf", folder / "conf")
    async with process("simulate", PYTHONUNBUFFERED="1") as simulator:
        provider = (await lines_until(simulator.stdout, "http://"))[-1]
        environ |= {
            "GATEWAY_CONF": str(conf),
            "JWT_SECRET": _SECRET,
            "TOGETHER_AI_API_KEY": "any-word",
            "TOGETHER_BASE_URL": provider,
            "SERVER_PORT": str(port),
        }
        environ["APP_CODE"] = (
            await pasted('python run.py app add "My app" 2>/dev/null', **environ)
        ).strip()
        async with process("serve", **environ) as gateway:
            await lines_until(gateway.stderr, "gateway_started")
            yield environ


async def shell(page: str, environ: dict[str, str], port: int) -> str:
    """What the shell blocks of a page print, one after the other in one shell."""
    return await pasted(_STRICT + _ported("\n".join(blocks(page, "bash")), port), **environ)


async def python(code: str, folder: Path, environ: dict[str, str], port: int) -> str:
    """What a Python block prints."""
    script = folder / "snippet.py"
    script.write_text(_ported(code, port), "utf-8")
    return await pasted(f"'{sys.executable}' '{script}'", **environ)


def _ported(text: str, port: int) -> str:
    return text.replace("127.0.0.1:5000", f"127.0.0.1:{port}")
