"""Callbacks against a receiver that behaves as a real n8n was measured to, row by row."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from gateway.webhooks import DeliveryState
from tests.engine.house import BODY, SECRET, House, standing
from tests.engine.jumping_clock import JumpingClock
from tests.engine.n8n import SIGNATURE, Execution


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Everything running, on a clock that jumps."""
    async with standing(JumpingClock()) as built:
        yield built


async def test_a_waiting_workflow_is_resumed_once(house: House) -> None:
    """One POST, at the URL byte for byte, which the official verifier accepts."""
    delivery = await house.settle(Execution(), DeliveryState.DELIVERED)
    (post,) = house.n8n.posts
    assert post.target == f"/webhook-waiting/1?signature={SIGNATURE}"
    assert Webhook(SECRET).verify(post.body, post.headers) == json.loads(BODY)
    assert (post.body, post.headers["webhook-id"]) == (BODY, "msg_1")
    assert (delivery.attempts, delivery.last_status, delivery.note) == (1, 200, "")
    assert not delivery.ambiguous


async def test_a_workflow_not_waiting_yet_is_asked_until_it_waits(house: House) -> None:
    """A race of a minute costs nothing; each attempt has the same id and a signature of its own."""
    moments = []
    house.n8n.on_post = lambda: moments.append(house.clock.now())
    delivery = await house.settle(Execution(races=18), DeliveryState.DELIVERED)
    gaps = [after - before for before, after in pairwise(moments)]
    assert house.n8n.executions["1"].resumed == 1
    assert delivery.attempts == 19
    assert [(line["event"], line["status"]) for line in house.lines] == [
        *[("callback_retried", 409)] * 18,
        ("callback_delivered", 200),
    ]
    assert max(gaps) <= 5.001
    assert {post.headers["webhook-id"] for post in house.n8n.posts} == {"msg_1"}
    assert len({post.headers["webhook-signature"] for post in house.n8n.posts}) > 10
    for post in house.n8n.posts:
        Webhook(SECRET).verify(post.body, post.headers)


@pytest.mark.parametrize("failed", [False, True])
async def test_a_workflow_that_is_over_gets_a_dead_letter(house: House, failed: bool) -> None:
    """Nobody resumed it, and nothing can."""
    execution = Execution(waits=0)
    execution.failed = failed
    delivery = await house.settle(execution, DeliveryState.DEAD)
    assert (delivery.attempts, delivery.last_status, delivery.ambiguous) == (1, 409, False)
    assert "Wait node's limit" in delivery.note


async def test_a_resume_whose_answer_was_lost_is_unconfirmed(house: House) -> None:
    """The workflow went on, the connection broke; the next attempt finds it finished."""
    execution = Execution()
    execution.lost = 1
    delivery = await house.settle(execution, DeliveryState.UNCONFIRMED)
    assert execution.resumed == 1
    assert (delivery.attempts, delivery.last_status, delivery.ambiguous) == (2, 409, True)
    told = [line["event"] for line in house.lines]
    assert told == ["callback_retried", "callback_unconfirmed"]


async def test_an_unknown_execution_is_asked_for_during_a_minute(house: House) -> None:
    """Then it is a dead letter with a hint."""
    began = house.clock.now()
    await house.owe(f"{house.n8n.origin}/webhook-waiting/9?signature={SIGNATURE}")
    await house.store.until(DeliveryState.DEAD)
    delivery = await house.store.owed()
    assert 60 <= house.clock.now() - began < 62
    assert delivery.attempts > 5
    assert "not kept" in delivery.note


async def test_a_restart_of_n8n_is_waited_for(house: House) -> None:
    """While it starts it knows no path, in HTML; the execution survives."""
    house.n8n.starting = True
    began = house.clock.now()

    def started() -> None:
        house.n8n.starting = house.clock.now() < began + 120

    house.n8n.on_post = started
    delivery = await house.settle(Execution(), DeliveryState.DELIVERED)
    assert delivery.attempts > 9
    assert house.n8n.executions["1"].resumed == 1


async def test_a_wrong_signature_is_tried_twice(house: House) -> None:
    """Then it is a dead letter, whose note holds no signature."""
    execution = Execution()
    url = house.n8n.wait_for(execution).replace("signature=a", "signature=b")
    await house.owe(url)
    await house.store.until(DeliveryState.DEAD)
    delivery = await house.store.owed()
    assert (len(house.n8n.posts), delivery.last_status) == (2, 401)
    assert (delivery.note, execution.resumed) == (
        "401: the signature in the URL was refused.",
        0,
    )


@pytest.mark.parametrize("status", [302, 403, 410, 422])
async def test_a_refusal_is_tried_twice(house: House, status: int) -> None:
    """A redirect too: it is not followed."""
    location = f"{house.n8n.origin}/inside"
    house.n8n.script = [
        web.Response(status=status, headers={"Location": location}) for _ in range(2)
    ]
    delivery = await house.settle(Execution(), DeliveryState.DEAD)
    assert (delivery.attempts, delivery.last_status) == (2, status)
    assert {post.target for post in house.n8n.posts} == {
        f"/webhook-waiting/1?signature={SIGNATURE}"
    }


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_trouble_is_tried_again_when_the_receiver_asks(house: House, status: int) -> None:
    """Retry-After is kept to, and then the answer arrives."""
    moments = []
    house.n8n.on_post = lambda: moments.append(house.clock.now())
    house.n8n.script = [web.Response(status=status, headers={"Retry-After": "40"})]
    await house.settle(Execution(), DeliveryState.DELIVERED)
    assert moments[1] - moments[0] == pytest.approx(40, abs=0.1)


async def test_the_second_wait_node_is_not_resumed_by_the_first_s_answer(house: House) -> None:
    """After a 2xx nothing more is sent, however often somebody looks for what is due."""
    execution = Execution(waits=2)
    await house.settle(execution, DeliveryState.DELIVERED)
    looks = house.store.looks
    while house.store.looks < looks + 20:
        house.notifier.wake()
        await asyncio.sleep(0)
    assert (execution.resumed, execution.waits, len(house.n8n.posts)) == (1, 1, 1)
