"""`gateway`: the command line from anywhere, and its page."""

import re
from pathlib import Path

import pytest

from gateway import __version__
from tests import cli_page
from tests.processes import PATH, ROOT, pasted

PAGE = (ROOT / "docs/reference/cli.md").read_text("utf-8")


@pytest.fixture
def linked(tmp_path: Path) -> str:
    """A PATH with `gateway` in it, in a folder whose name needs quoting."""
    folder = tmp_path / "pro grams"
    folder.mkdir()
    (folder / "gateway").symlink_to(ROOT / "gateway" / "launcher")
    return f"{folder}:{PATH}"


async def test_a_link_to_it_runs_the_gateways_own_code(linked: str, tmp_path: Path) -> None:
    """From any folder, also one with a package of that name; it calls itself as it was typed."""
    (tmp_path / "gateway.py").write_text("raise SystemExit('the wrong one')")
    assert await pasted(f"cd '{tmp_path}'; gateway --version", PATH=linked) == (
        f"gateway {__version__}\n"
    )
    printed = await pasted("gateway app --help", PATH=linked)
    assert printed.startswith("usage: gateway app ")


async def test_what_is_typed_arrives_as_it_is(linked: str, tmp_path: Path) -> None:
    """Blanks, quotes and dollars are one word; the exit code comes back."""
    name = 'My $APP\'s "app"'
    (tmp_path / "name").write_text(name)
    add = f'gateway app add "$(cat "{tmp_path}/name")" --conf "{tmp_path}" 2>/dev/null'
    assert (await pasted(add, PATH=linked)).startswith("gw_")
    assert name in await pasted(f'gateway app list --conf "{tmp_path}"', PATH=linked)
    assert await pasted("gateway srve 2>/dev/null || echo $?", PATH=linked) == "2\n"


async def test_the_module_calls_itself_as_it_is_typed() -> None:
    """Not by the name of a file inside it."""
    assert (await pasted("python -m gateway --help")).startswith("usage: python -m gateway ")


def test_the_page_is_that_of_the_grammar() -> None:
    """After a change of the grammar: python -m tests.cli_page > docs/reference/cli.md"""
    assert cli_page.page() == PAGE


async def test_make_links_it() -> None:
    """The page's word on `.venv/bin` is what the Makefile does."""
    printed = await pasted("make --dry-run --always-make .venv/runs")
    assert re.search(r"ln -sf \.\./\.\./gateway/launcher \.venv/bin/gateway", printed)
