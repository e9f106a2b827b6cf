"""`ask`: the answer on the terminal, and nothing left running when nobody reads it."""

import asyncio
import json
import signal
from random import Random

from aiohttp import web

from tests.commands.typing_in import screen, to, typed
from tests.e2e.proxy import Proxy
from tests.processes import pasted, process
from tests.surfaces.running import QUICK, Gateway
from tests.surfaces.teller import MODEL, Teller, told
from tests.until import PATIENCE_S

SLOW = "simulator/echo?first=0&gap=0.05"


async def test_the_answer_is_printed() -> None:
    """It is all there is on standard output, and ends its line."""
    async with Gateway() as gateway:
        assert await typed("ask", "one two", **to(gateway.origin)) == (0, "one two\n", "")


async def test_the_prompt_can_come_from_another_program() -> None:
    """A dash is standard input; line ends inside stay."""
    async with Gateway() as gateway:
        printed = await typed("ask", "-", stdin="one\ntwo\n", **to(gateway.origin))
    assert printed == (0, "one\ntwo\n", "")


async def test_what_is_said_beforehand_reaches_the_model() -> None:
    """System prompt, ceiling and temperature are the model's to go by."""
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        words = ("ask", told("yes"), "--model", MODEL, "--system", "Be kind.")
        given = ("--max-tokens", "9", "--temperature", "0.5")
        assert (await typed(*words, *given, **to(gateway.origin))).out == "yes\n"
    (body,) = teller.bodies
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert (body["max_tokens"], body["temperature"]) == (9, 0.5)


async def test_a_program_gets_one_object() -> None:
    """With the model that answered, and what it took."""
    async with Gateway() as gateway:
        printed = await typed("ask", "one two", "--json", **to(gateway.origin))
        answer = json.loads(printed.out)
        job = await gateway.job(answer.pop("request_id"))
    assert answer.pop("timings")["total_s"] >= 0
    assert answer == {
        "model": QUICK,
        "response": "one two",
        "usage": {
            "prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4, "estimated": False,
        },
    }  # fmt: skip
    assert (job.state, printed.code) == ("completed", 0)


async def test_the_terminal_shows_words_as_they_come_and_ctrl_c_cancels() -> None:
    """The first word stands there while the second is not yet made; the request is stopped."""
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        teller.gate.clear()
        words = ("ask", told("first ", "second"), "--model", MODEL)
        async with screen(*words, **to(gateway.origin)) as shown:
            await shown.shows("first ")
            shown.press(b"\x03")
            assert await shown.ended() == 130
            await shown.shows("Cancelled: ")
        await asyncio.wait_for(teller.left.wait(), PATIENCE_S)
        await gateway.quiet()
        assert "second" not in shown.seen


async def test_a_terminal_obeys_no_model() -> None:
    """What would move the cursor is left out for a person, and exact for a program."""
    said = "\x1b[2Jred\u202e\ttab"
    async with Teller() as teller, Gateway(**teller.settings) as gateway:
        words = ("ask", told(said), "--model", MODEL)
        assert (await typed(*words, **to(gateway.origin))).out == f"{said}\n"
        async with screen(*words, **to(gateway.origin)) as shown:
            assert await shown.ended() == 0
            await shown.shows("tab")
        assert "[2Jred\ttab" in shown.seen
        assert "\x1b" not in shown.seen


async def test_lost_connections_cost_no_word() -> None:
    """Cut again and again, it goes on where it was; nothing is asked twice."""
    prompt = " ".join(str(number) for number in range(200))
    async with Gateway() as gateway, Proxy(gateway.origin) as proxy:
        proxy.cut_at_random(Random(5), most=5200, least=4000)
        words = ("ask", prompt, "--model", "simulator/echo?first=0&gap=0.005")
        printed = await typed(*words, **to(proxy.origin))
        assert printed == (0, f"{prompt}\n", "")
        assert proxy.cuts > 1
        assert len(gateway.core._hub) == 0


async def test_an_answer_that_breaks_off_is_no_success() -> None:
    """What came is printed, why there is no more is said, and the exit code is 1."""
    async with Gateway() as gateway:
        words = ("ask", "one two three", "--model", "simulator/echo?first=0&error=2")
        printed = await typed(*words, **to(gateway.origin))
    assert (printed.code, printed.out) == (1, "one two\n")
    assert printed.err == "The AI service reported an error in mid-stream. (AI_SERVICE_ERROR)\n"


async def test_refusals_are_sentences() -> None:
    """A wrong code, no code, an unknown model, no prompt: what is wrong, and what to do."""
    async with Gateway() as gateway:
        there = to(gateway.origin)
        wrong = await typed("ask", "x", **{**there, "APP_CODE": "gw_nobody"})
        none = await typed("ask", "x", GATEWAY_URL=gateway.origin)
        unknown = await typed("ask", "x", "--model", "nobody", **there)
        empty = await typed("ask", "-", **there)
    hint = "Set APP_CODE to the code of an app: export APP_CODE=gw_…\n"
    assert wrong == (1, "", f"The gateway refused: Unknown app code (UNAUTHENTICATED). {hint}")
    assert (none.code, none.err.endswith(hint)) == (1, True)
    assert unknown.err == "The gateway refused: There is no model nobody (UNKNOWN_MODEL)\n"
    assert empty == (1, "", "There is nothing to ask: standard input is empty.\n")


async def test_a_terminal_without_the_letters_shows_their_numbers() -> None:
    """An answer is not broken off for an old encoding; input in one is a sentence."""
    async with Gateway() as gateway:
        there = to(gateway.origin)
        printed = await typed("ask", "-", stdin="Żó", **there, PYTHONIOENCODING="ascii")
        assert printed == (0, "\\u017b\\xf3\n", "")
        line = "printf 'caf\\351' | python run.py ask - 2>&1 || echo $?"
        assert await pasted(line, **there) == (
            "What came from standard input is no text in UTF-8.\n1\n"
        )


async def test_an_address_that_leads_elsewhere_is_told() -> None:
    """As of a proxy that wants TLS; another kind of stream is told, too."""

    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": "https://ai.example.org/"})

    async def strange(_: web.Request) -> web.Response:
        return web.Response(body=b"data: hello\n\n", content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/api/chat/stream", elsewhere)
    app.router.add_post("/other/api/chat/stream", strange)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        led = await typed("ask", "x", "--url", url)
        other = await typed("ask", "x", "--url", f"{url}/other")
    finally:
        await runner.cleanup()
    assert "it leads to https://ai.example.org/: is the gateway there?" in led.err
    assert other == (1, "", "The stream is none of a gateway's: is this its address?\n")


async def test_nobody_there_is_a_sentence(unused_tcp_port: int) -> None:
    """So is an address that is none."""
    url = f"http://127.0.0.1:{unused_tcp_port}"
    printed = await typed("ask", "x", "--url", f"{url}/")
    assert (printed.code, printed.out) == (1, "")
    assert printed.err.startswith(f"No gateway answers at {url}: Connection refused. ")
    printed = await typed("ask", "x", GATEWAY_URL="gateway.example.org")
    assert printed == (1, "", "GATEWAY_URL: an address looks like https://gateway.example.org.\n")
    assert (await typed("ask", "x", "--url", "example.org")).code == 2


async def test_a_reader_that_has_enough_is_no_error() -> None:
    """`| head` leaves neither a traceback nor a request behind."""
    async with Gateway() as gateway:
        line = "python run.py ask 'one two three' --model '{}' | head -c 3"
        assert await pasted(line.format(SLOW), **to(gateway.origin)) == "one"
        await gateway.quiet()


async def test_a_kill_leaves_the_gateway_to_its_grace() -> None:
    """The request of who is gone is given up, as of any reader that does not come back."""
    async with Gateway(DISCONNECT_GRACE=0) as gateway:
        words = ("ask", "one two", "--model", "simulator/echo?first=0&stall=1")
        async with process(*words, **to(gateway.origin)) as asking:
            assert asking.stdout is not None
            assert await asyncio.wait_for(asking.stdout.readexactly(3), PATIENCE_S) == b"one"
            asking.send_signal(signal.SIGKILL)
            await asking.wait()
            await gateway.unread()
            await gateway.quiet()
