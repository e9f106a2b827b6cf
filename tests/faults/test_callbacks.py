"""Receivers at their worst, and the callbacks that they are owed all the same."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from gateway.webhooks import DeliveryState
from tests.e2e import calls, servers, wire
from tests.e2e.calls import LONG, Inbox
from tests.e2e.proxy import Proxy
from tests.e2e.servers import Server
from tests.engine.house import standing
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import Execution, N8n
from tests.faults.lives import Lives

QUEUED = 10_000 if LONG else 1_000
DOWN_S = 1_800.0
# After the receiver is back, on a clock that jumps.
DRAINED_S = 600.0
OWED = 300 if LONG else 60
QUICK = "together/echo?first=0&gap=0"


@pytest.mark.timeout(600 if LONG else 180)
async def test_a_receiver_that_was_down_gets_all_of_them() -> None:
    """Half an hour's worth is queued when it comes back; within ten minutes each has come, also
    those that had found out that it was down. None comes twice."""
    clock = JumpingClock()
    async with standing(clock) as house:
        house.n8n.broken, house.n8n.trouble = True, 503
        back_at = clock.now() + DOWN_S
        taken: list[float] = []
        all_taken = asyncio.Event()

        def look() -> None:
            house.n8n.broken = clock.now() < back_at
            if not house.n8n.broken:
                taken.append(clock.now() - back_at)
            if len(taken) == QUEUED:
                all_taken.set()

        house.n8n.on_post = look
        await house.owe(*(house.n8n.wait_for(Execution()) for _ in range(QUEUED)))
        await all_taken.wait()
        await house.store.until(DeliveryState.DELIVERED, QUEUED)
        print(f"{QUEUED} callbacks after half an hour of silence: the last after {taken[-1]:.0f} s")
        assert taken[-1] < DRAINED_S
        resumed = Counter(each.resumed for each in house.n8n.executions.values())
        assert resumed == {1: QUEUED}


async def test_they_wait_for_it_across_processes(
    provider: Server, inbox: Inbox, tmp_path: Path
) -> None:
    """A receiver that is away while one process dies and another takes over is told everything."""
    async with (
        Proxy("") as line,
        # A process that dies holds what it was sending for that long, and as much again.
        Lives(tmp_path, provider.origin, CALLBACK_TIMEOUT="1") as lives,
    ):
        server = await lives.begin()
        for number in range(OWED):
            asked = calls.asking(QUICK, "hi", f"{line.origin}/away{number}")
            assert (await wire.post(server.origin, "/init-stream", asked)).status == 200
        await lives.idle(server)
        await server.printed("callback_retried")
        await lives.kill()
        # What takes its time is not sent twice for that.
        await lives.begin(CALLBACK_TIMEOUT="60")
        line.target = inbox.origin
        await inbox.arrived(OWED)
        assert inbox.posts == Counter(f"away{number}" for number in range(OWED))


async def test_a_death_in_mid_post_is_made_up_for(provider: Server, tmp_path: Path) -> None:
    """A receiver that has a callback and does not answer before the process dies gets it again
    from the next process at once, under the same id. It acted on the first: no dead letter."""
    kept = {"DATA_DIR": str(tmp_path / "data"), "CALLBACK_TIMEOUT": "60"}
    async with N8n() as receiver:
        receiver.gate.clear()
        execution = Execution()
        asked = calls.asking(QUICK, "hi", receiver.wait_for(execution))
        with servers.gateway(tmp_path, provider.origin, **kept) as gateway:
            assert (await wire.post(gateway.origin, "/init-stream", asked)).status == 200
            await receiver.arrived(1)
            gateway.send(signal.SIGKILL)
            gateway.process.wait()
        receiver.gate.set()
        with servers.gateway(tmp_path, provider.origin, **kept) as gateway:
            await receiver.arrived(2)
            await gateway.printed("callback_unconfirmed")
        first, second = receiver.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (first.target, first.body) == (second.target, second.body)
    assert execution.resumed == 1


def running() -> web.Response:
    text = 'The execution "1" is running already.'
    return web.json_response({"code": 409, "message": text}, status=409)


def starting() -> web.Response:
    text = "<pre>Cannot POST /webhook-waiting/1</pre>"
    return web.Response(status=404, text=text, content_type="text/html")


def finished() -> web.Response:
    text = 'The execution "1" has finished already.'
    return web.json_response({"code": 409, "message": text}, status=409)


def elsewhere() -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


def giant() -> web.Response:
    return web.Response(body=bytes(50_000_000))


# What a receiver answers, how often before it takes the callback; and how often it was asked when
# that is over, and what was logged then.
BEHAVIOURS: dict[str, tuple[Callable[[], web.Response], int, int, str]] = {
    "running": (running, 4, 5, "callback_delivered"),
    "starting": (starting, 4, 5, "callback_delivered"),
    "finished": (finished, 99, 1, "callback_dead"),
    "elsewhere": (elsewhere, 99, 2, "callback_dead"),
    "giant": (giant, 99, 1, "callback_delivered"),
    "taken": (running, 0, 1, "callback_delivered"),
}


async def test_every_answer_of_n8n(provider: Server, inbox: Inbox, tmp_path: Path) -> None:
    """Not waiting yet, starting, over, leading elsewhere, saying too much: each is asked as often
    as makes sense, resumed at most once, and an operator is told of those that never were."""
    asked: Counter[str] = Counter()

    def behave(name: str) -> web.Response | None:
        asked[name] += 1
        answer, times, _, _ = BEHAVIOURS.get(name, BEHAVIOURS["taken"])
        return answer() if asked[name] <= times else None

    inbox.answers = behave
    with servers.gateway(tmp_path, provider.origin) as gateway:
        memory = gateway.resources()[1]
        urls = {
            name: await calls.init(gateway.origin, inbox, QUICK, "hi", name) for name in BEHAVIOURS
        }
        for name, (_, _, _, end) in BEHAVIOURS.items():
            await gateway.printed(end, calls.job_id_of(urls[name]))
        # Whoever is settled is not asked again, while others are.
        again = await calls.init(gateway.origin, inbox, QUICK, "again", "taken2")
        await gateway.printed("callback_delivered", calls.job_id_of(again))
        assert asked == {name: times for name, (_, _, times, _) in BEHAVIOURS.items()} | {
            "taken2": 1
        }
        assert gateway.resources()[1] - memory < 40
