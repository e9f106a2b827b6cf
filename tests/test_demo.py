"""The demo's page in a real browser: what it promises to who opens it."""

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chromium import Tab, browser, needs_chromium
from tests.processes import ended, lines_until, process

ANSWER = "document.getElementById('answer').textContent"
STATE = "document.getElementById('state').textContent"
ASK = "document.querySelector('form button').click()"

pytestmark = needs_chromium


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Tab]:
    """The demo's page, just opened."""
    async with process("demo") as demo:
        printed = " ".join(await lines_until(demo.stdout, "/init-stream"))
        async with browser(tmp_path, re.findall(r"http://127\.0\.0\.1:\d+/", printed)[0]) as tab:
            yield tab
        assert await ended(demo, signal.SIGTERM) == 0


async def test_an_answer_survives_a_cut_and_a_reload(page: Tab) -> None:
    """Streamed, cut, reloaded: the text is whole, as who polled and who was called back has it."""
    await page.value(ASK)
    await page.until(f"{ANSWER}.length > 20")
    await page.value("document.getElementById('cut').click()")
    await page.until("document.getElementById('facts').textContent.includes('2 connections')")
    await page.reload()
    await page.until(f"{STATE} === 'Done'")
    text = await page.value(ANSWER)
    assert text.startswith("This is the gateway's built-in simulator")
    assert text.endswith("see what happens.")
    for way, holds in [("polled", "completed"), ("called", "deliveryId"), ("events", " complete ")]:
        shown = f"document.getElementById('{way}').textContent"
        await page.until(f"{shown}.includes('{holds}')")
        assert text in await page.value(shown)


async def test_an_answer_can_be_cancelled(page: Tab) -> None:
    """The page says so, and has nothing more to cancel."""
    await page.value(ASK)
    await page.until(f"{ANSWER}.length > 20")
    await page.value("document.getElementById('cancel').click()")
    await page.until(f"{STATE} === 'The request was cancelled by the caller.'")
    assert await page.value("document.getElementById('cancel').disabled")


@pytest.mark.parametrize("width", [1280, 360])
async def test_nothing_is_wider_than_the_window(page: Tab, width: int) -> None:
    """On a screen and on a telephone, nobody scrolls sideways."""
    await page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    assert await page.value("document.documentElement.scrollWidth") <= width
