"""The demo in a real browser: what it promises to who opens its page."""

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chromium import Tab, browser, needs_chromium
from tests.processes import ended, lines_until, process

ANSWER = "document.querySelector('[aria-label=Answer] .pane-body').innerText"
PHASE = "document.querySelector('.run-state').dataset.phase"
FACTS = "(document.querySelector('.run-facts')?.textContent ?? '')"
DOORS = ["assistant", "chat", "n8n", "ask", "openai", "job"]

pytestmark = needs_chromium


def press(button: str) -> str:
    """A script that presses the button of that name."""
    return (
        "[...document.querySelectorAll('button')]"
        f".find((each) => each.textContent.startsWith('{button}')).click()"
    )


def choose(door: str) -> str:
    """A script that chooses a door."""
    return f"document.querySelector('input[value={door}]').click()"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Tab]:
    """The demo's page, just opened."""
    async with process("demo") as demo:
        printed = " ".join(await lines_until(demo.stdout, "/init-stream"))
        async with browser(
            tmp_path, re.findall(r"http://127\.0\.0\.1:\d+/#\S+", printed)[0]
        ) as tab:
            await tab.until("document.querySelector('.asker') !== null")
            yield tab
        assert await ended(demo, signal.SIGTERM) == 0


async def test_an_answer_survives_a_cut_and_a_reload(page: Tab) -> None:
    """Streamed, cut, reloaded: the text is whole, and there is only one of it."""
    await page.value(press("Ask"))
    await page.until(f"{ANSWER}.length > 20")
    await page.value(press("Cut the connection"))
    await page.until(f"{FACTS}.includes('2 connections')")
    await page.reload()
    await page.until(f"document.querySelector('.run-state') && {PHASE} === 'done'")
    await page.until(f"{ANSWER}.endsWith('see what happens.')")
    text = await page.value(ANSWER)
    assert text.startswith("This is the gateway's built-in simulator")
    assert text.count("simulator") == 1


@pytest.mark.parametrize("door", DOORS)
async def test_every_door_answers(page: Tab, door: str) -> None:
    """With nothing but what the printed address filled in."""
    await page.value(choose(door))
    await page.value(press("Ask"))
    await page.until(f"{PHASE} === 'done'")
    await page.until(f"{ANSWER}.endsWith('see what happens.')")


async def test_an_answer_can_be_stopped(page: Tab) -> None:
    """The page says so, and has nothing more to stop."""
    await page.value(press("Ask"))
    await page.until(f"{ANSWER}.length > 20")
    await page.value(press("Stop"))
    await page.until(f"{PHASE} === 'stopped'")


@pytest.mark.parametrize("width", [1280, 360])
async def test_nothing_is_wider_than_the_window(page: Tab, width: int) -> None:
    """On a screen and on a telephone, nobody scrolls sideways."""
    await page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    assert await page.value("document.documentElement.scrollWidth") <= width
