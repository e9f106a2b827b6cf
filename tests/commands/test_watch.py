"""`watch`: what becomes of a request, from any of its events on."""

import json
import signal
from random import Random

from tests.commands.typing_in import to, typed
from tests.e2e.proxy import Proxy
from tests.processes import lines_until, process
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, STUCK, Gateway

TEXT = "one two three"


async def test_a_person_sees_the_text_and_remarks() -> None:
    """The text alone is on standard output; stages and the end are beside it."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(QUICK, TEXT)
        printed = await typed("watch", job_id, **to(gateway.origin))
    assert printed[:2] == (0, f"{TEXT}\n")
    remarks = printed.err.splitlines()
    assert remarks[-4:-1] == ["[processing]", "[generating]", "[finalizing]"]
    assert remarks[-1].startswith(f"[complete: {QUICK}, 4 + 3 tokens, ")


async def test_a_program_sees_every_event_by_its_id() -> None:
    """After one of them come exactly the others; after the last there is nothing, and no error."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(QUICK, TEXT)
        await gateway.over(job_id)
        whole = await typed("watch", job_id, "--json", **to(gateway.origin))
        events = [json.loads(line) for line in whole.out.splitlines()]
        middle = next(each["id"] for each in events if each["event"] == "response_chunk")
        rest = await typed("watch", job_id, "--json", "--after", middle, **to(gateway.origin))
        over = await typed("watch", job_id, "--after", events[-1]["id"], **to(gateway.origin))
    assert "".join(each["data"].get("text", "") for each in events) == TEXT
    assert events[-1]["event"] == "complete"
    after = [each["id"] for each in events].index(middle) + 1
    assert [json.loads(line) for line in rest.out.splitlines()] == events[after:]
    assert over == (0, "", "")


async def test_lost_connections_cost_no_event() -> None:
    """Nothing is lost and nothing comes twice."""
    text = " ".join(str(number) for number in range(150))
    async with Gateway() as gateway, Proxy(gateway.origin) as proxy:
        proxy.cut_at_random(Random(3), most=11000, least=9000)
        job_id = await gateway.queue("simulator/echo?first=0&gap=0.005", text)
        printed = await typed("watch", job_id, **to(proxy.origin))
    assert (printed.code, printed.out) == (0, f"{text}\n")
    assert proxy.cuts > 1


async def test_ctrl_c_stops_watching_only_and_says_how_to_go_on() -> None:
    """The request goes on; the words to paste take up where it was left."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(STUCK, TEXT)
        async with process("watch", job_id, **to(gateway.origin)) as watching:
            await lines_until(watching.stderr, "[generating]")
            assert watching.stdout is not None
            assert await watching.stdout.readexactly(3) == b"one"
            watching.send_signal(signal.SIGINT)
            (line,) = await lines_until(watching.stderr, "Go on with: ")
            assert await watching.wait() == 130
        assert line == f"Go on with: watch {job_id} --after 1-3"
        assert (await gateway.job(job_id)).state == "processing"
        await gateway.post(f"/cancel_request/{job_id}", {"app_code": CODE})
        await gateway.over(job_id)


async def test_no_whole_answer_is_exit_code_1() -> None:
    """A failure is told as the last remark."""
    async with Gateway() as gateway:
        job_id = await gateway.queue("simulator/echo?status=400", TEXT)
        await gateway.over(job_id)
        printed = await typed("watch", job_id, **to(gateway.origin))
    assert (printed.code, printed.out) == (1, "")
    assert printed.err.splitlines()[-1].startswith("[INVALID_REQUEST: ")


async def test_what_is_not_theirs_is_refused() -> None:
    """Another app's request is unknown; what is no id is not even asked for."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(QUICK, TEXT)
        foreign = await typed("watch", job_id, **to(gateway.origin, OTHER_CODE))
        await gateway.over(job_id)
    assert foreign == (1, "", "The gateway refused: Request ID not found (REQUEST_NOT_FOUND)\n")
    assert (await typed("watch", "1-2")).code == 2
    assert (await typed("watch", job_id, "--after", "yesterday")).code == 2
