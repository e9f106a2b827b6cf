"""`batch`: every line is answered once, however often the program is stopped on the way."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from tests.commands.typing_in import screen, to, typed
from tests.e2e.proxy import Proxy
from tests.processes import lines_until, process
from tests.surfaces.running import QUICK, Gateway, apps
from tests.surfaces.teller import MODEL, Teller, told
from tests.until import PATIENCE_S, until


def files(folder: Path, *lines: Any) -> tuple[str, str]:
    """Where the questions are, these, and where the answers go."""
    source = folder / "in.jsonl"
    source.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return str(source), str(folder / "out.jsonl")


def read(folder: Path, name: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


async def test_every_line_has_its_answer(tmp_path: Path) -> None:
    """With the request's id, the model and the tokens; the sum is told at the end."""
    where = files(tmp_path, "one", {"id": "b", "prompt": "two three"})
    async with Gateway() as gateway:
        printed = await typed("batch", *where, **to(gateway.origin))
        again = await typed("batch", *where, "--json", **to(gateway.origin))
        jobs = [await gateway.job(line["request_id"]) for line in read(tmp_path)]
    lines = {line["id"]: line for line in read(tmp_path)}
    assert {id: line["answer"] for id, line in lines.items()} == {"1": "one", "b": "two three"}
    assert lines["b"]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert (lines["b"]["line"], lines["b"]["model"], lines["b"]["finish_reason"]) == (
        2, QUICK, "stop",
    )  # fmt: skip
    assert (printed.code, printed.out) == (0, "")
    assert printed.err.startswith("2 questions, 0 answered before.\n2 answered; ")
    assert {job.priority for job in jobs} == {9}
    summary = json.loads(again.out)
    assert summary.pop("took_s") >= 0
    assert summary == {
        "total": 2, "before": 2, "answered": 0, "failed": 0,
        "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": None,
    }  # fmt: skip


async def test_a_killed_run_is_gone_on_with_and_nothing_asked_twice(tmp_path: Path) -> None:
    """Requests that were under way at the kill are found again by their keys."""
    questions = [told(f"answer {number}") for number in range(20)]
    where = files(tmp_path, *questions)
    async with Teller() as teller, Gateway(**teller.settings, DEFAULT_MODEL=MODEL) as gateway:
        teller.gate.clear()
        async with process("batch", *where, "--concurrency", "5", **to(gateway.origin)) as first:
            await lines_until(first.stderr, "20 questions")
            await until(lambda: len(teller.bodies) == 5, every_s=0.01)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        teller.gate.set()
        printed = await typed("batch", *where, **to(gateway.origin))
        assert printed.code == 0
        assert len(teller.bodies) == 20
    assert sorted(line["answer"] for line in read(tmp_path)) == sorted(
        f"answer {number}" for number in range(20)
    )


async def test_ctrl_c_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    """On a terminal there is a bar with rate, time left and tokens; what is done stays done."""
    gated = {"id": "gated", "prompt": told("two ", "never"), "model": MODEL}
    where = files(tmp_path, "one", gated)
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        words = ("batch", *where, "--concurrency", "1")
        async with screen(*words, **to(gateway.origin)) as shown:
            await shown.shows("1/2")
            await shown.shows(" left")
            assert "/s" in shown.seen
            assert "tokens" in shown.seen
            shown.press(b"\x03")
            assert await shown.ended() == 130
            await shown.shows("Stopped. The same command goes on from here.")
        teller.gate.set()
        assert (await typed("batch", *where, **to(gateway.origin))).code == 0
    assert [line["id"] for line in read(tmp_path)] == ["1", "gated"]


async def test_failures_are_kept_apart_and_tried_again(tmp_path: Path) -> None:
    """A later run asks them anew; what succeeds then leaves the file of failures."""
    wrong = {"id": "wrong", "prompt": "x", "model": "nobody"}
    broken = {"id": "broken", "prompt": told("one"), "model": MODEL}
    where = files(tmp_path, wrong, broken, "fine")
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        teller.cuts = 1_000
        words = ("batch", *where, "--retries", "0")
        printed = await typed(*words, **to(gateway.origin))
        assert printed.code == 1
        assert f"1 answered, 2 failed: see {tmp_path}/out.failed.jsonl; " in printed.err
        failed = {line["id"]: line for line in read(tmp_path, "out.failed.jsonl")}
        assert {id: line["code"] for id, line in failed.items()} == {
            "wrong": "model_not_found", "broken": "ai_service_error",
        }  # fmt: skip
        teller.cuts = 0
        assert (await typed(*words, **to(gateway.origin))).code == 1
    (left,) = read(tmp_path, "out.failed.jsonl")
    assert (left["id"], left["attempts"], left["error"]) == (
        "wrong", 2, "There is no model nobody",
    )  # fmt: skip
    assert {line["id"] for line in read(tmp_path)} == {"3", "broken"}


async def test_a_limit_is_waited_for(tmp_path: Path) -> None:
    """429 says when to come again; every line is answered in the end."""
    where = files(tmp_path, *(f"word {number}" for number in range(5)))
    async with Gateway(app_codes=apps(rate_limit="3/second")) as gateway:
        printed = await typed("batch", *where, **to(gateway.origin))
    assert (printed.code, len(read(tmp_path))) == (0, 5)


async def test_a_providers_limit_is_a_failure_of_its_request(tmp_path: Path) -> None:
    """It is asked again as another request: this one has failed, whenever it is looked for."""
    full = "simulator/echo?first=0&gap=0&status=429&refuse=1&retry_after=60"
    where = files(tmp_path, {"id": "1", "prompt": "one", "model": full})
    async with Gateway(REQUEST_TIMEOUT=30) as gateway:
        printed = await typed("batch", *where, **to(gateway.origin))
    assert (printed.code, [line["answer"] for line in read(tmp_path)]) == (0, ["one"])


async def test_a_gateway_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    """Where nobody answers for a moment, nothing fails; it is said, as there is no bar to see."""
    where = files(tmp_path, "one", "two")
    async with (
        Gateway() as gateway,
        Proxy("") as proxy,
        process("batch", *where, **to(proxy.origin)) as started,
    ):
        await until(lambda: proxy.connections > 1, every_s=0.01)
        proxy.target = gateway.origin
        _, err = await asyncio.wait_for(started.communicate(), PATIENCE_S)
        assert started.returncode == 0
    assert err.decode().splitlines()[1] == "Waiting: the gateway cannot be reached."
    assert err.count(b"Waiting") == 1
    assert len(read(tmp_path)) == 2


async def test_a_limit_that_is_far_off_ends_it(tmp_path: Path) -> None:
    """Nobody waits for hours at a bar that stands still; the rest is for another run."""
    where = files(tmp_path, "one", "two")
    async with Gateway(app_codes=apps(rate_limit="1/day")) as gateway:
        printed = await typed("batch", *where, "--concurrency", "1", **to(gateway.origin))
    assert (printed.code, len(read(tmp_path))) == (1, 1)
    assert "The gateway refused: The limit of 1/day is reached." in printed.err


async def test_answers_are_priced_by_the_catalog(tmp_path: Path) -> None:
    """By the model that answered; one without a price has no cost rather than none."""
    prices = "input_price = 2.0\noutput_price = 10.0\n"
    (tmp_path / "models.toml").write_text(
        f'[models."together/teller"]\nprovider = "together"\n{prices}', "utf-8"
    )
    where = files(tmp_path, {"prompt": told("one"), "model": MODEL}, "two")
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        words = ("batch", *where, "--conf", str(tmp_path), "--json")
        summary = json.loads((await typed(*words, **to(gateway.origin))).out)
    priced, free = sorted(read(tmp_path), key=lambda line: str(line["id"]))
    used = priced["usage"]
    cost_usd = (used["prompt_tokens"] * 2 + used["completion_tokens"] * 10) / 1e6
    assert priced["cost_usd"] == summary["cost_usd"] == cost_usd
    assert "cost_usd" not in free


async def test_a_wrong_code_ends_it_at_once(tmp_path: Path) -> None:
    """It holds for every line: nothing is written down as a failure."""
    where = files(tmp_path, *("x" for _ in range(50)))
    async with Gateway() as gateway:
        printed = await typed("batch", *where, **to(gateway.origin, "gw_nobody"))
    assert printed.code == 1
    assert "The gateway refused: Unknown app code" in printed.err
    assert read(tmp_path) == []
    assert not (tmp_path / "out.failed.jsonl").exists()


async def test_wrong_files_are_sentences(tmp_path: Path) -> None:
    """A missing, wrong or doubly used file is named, and nothing is asked."""
    source, target = files(tmp_path, 5)
    printed = await typed("batch", source, target)
    assert (printed.code, printed.err) == (
        1, f"{source}:1: expected a text, or an object with prompt or messages.\n",
    )  # fmt: skip
    files(tmp_path, "one")
    assert "OUT is the same as IN" in (await typed("batch", source, source)).err
    missing = await typed("batch", f"{source}.not", target)
    assert (missing.code, missing.err) == (1, f"{source}.not: No such file or directory\n")
    assert not (tmp_path / "out.jsonl").exists()
