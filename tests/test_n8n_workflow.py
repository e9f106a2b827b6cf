"""The workflow for n8n: what a real one needs of it, and its calls against a real gateway."""

import re
import shutil
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from gateway.jobs import Owner
from tests import workflow_picture
from tests.engine.n8n import Execution as Waiting
from tests.engine.n8n import N8n
from tests.processes import ROOT
from tests.surfaces import event_source
from tests.surfaces.running import CODE, JWT_SECRET, OTHER_CODE, Gateway
from tests.workflow import NODES, WORKFLOW, Execution, Response, evaluated, expressions

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
APPS = {CODE: {"name": "My app"}, OTHER_CODE: {"name": "bank"}}
QUESTION = {"prompt": "one two", "userId": "ada", "chatId": "chat-1"}


@pytest.fixture
async def n8n() -> AsyncIterator[N8n]:
    """Where the Wait node waits; it is reached only after a call that came too early."""
    async with N8n() as receiver:
        yield receiver


@pytest.fixture
async def gateway(n8n: N8n) -> AsyncIterator[Gateway]:
    """A gateway that knows the workflow's app, and may call that n8n back."""
    async with Gateway(app_codes=APPS, CALLBACK_ALLOWED_ORIGINS=n8n.origin) as running:
        yield running


# -- what n8n needs of it -------------------------------------------------------------------------


def test_every_node_is_reached_once() -> None:
    """Names are unique, wires lead to nodes, and nothing stands apart."""
    assert len(NODES) == len(WORKFLOW["nodes"])
    assert len({node["id"] for node in NODES.values()}) == len(NODES)
    wires = [
        wire
        for outputs in WORKFLOW["connections"].values()
        for output in outputs["main"]
        for wire in output
    ]
    assert sorted(["Webhook", *(wire["node"] for wire in wires)]) == sorted(NODES)
    assert {(wire["type"], wire["index"]) for wire in wires} == {("main", 0)}
    assert set(WORKFLOW["connections"]) <= set(NODES)


def test_the_wait_is_the_kind_that_can_be_resumed() -> None:
    """By POST, where n8n's default is GET, and not for ever."""
    wait = NODES["Wait for the answer"]
    told = {key: wait["parameters"][key] for key in ("resume", "httpMethod", "limitWaitTime")}
    assert told == {"resume": "webhook", "httpMethod": "POST", "limitWaitTime": True}
    assert (wait["parameters"]["resumeAmount"], wait["parameters"]["resumeUnit"]) == (30, "minutes")
    assert wait["webhookId"] != NODES["Webhook"]["webhookId"]


def test_a_refusal_has_a_way_of_its_own() -> None:
    """The error output of the call is wired, and answers the page with an error's status."""
    assert NODES["Start the stream"]["onError"] == "continueErrorOutput"
    taken, refused = WORKFLOW["connections"]["Start the stream"]["main"]
    assert [taken[0]["node"], refused[0]["node"]] == ["Tell the page", "Say that there is none"]
    assert NODES["Say that there is none"]["parameters"]["options"] == {"responseCode": 502}
    assert NODES["Webhook"]["parameters"]["responseMode"] == "responseNode"


def test_it_holds_no_secret() -> None:
    """The credential is named, for whoever imports it to fill."""
    named = [node["credentials"] for node in NODES.values() if "credentials" in node]
    assert named == [{"jwtAuth": {"id": "", "name": "Gateway (JWT_SECRET)"}}]
    assert not re.search(r"gw_|eyJ|whsec_", (ROOT / "conf/n8n-workflow.json").read_text("utf-8"))


@needs_node
@pytest.mark.parametrize(
    ("item", "whole"),
    [
        ({"body": {"ok": True}}, True),
        ({"body": {"ok": False, "error": {"code": "X"}}}, False),
        ({"streamUrl": "the Wait node's limit is over"}, False),
    ],
)
async def test_the_last_question_has_an_answer_for_each_end(item: object, whole: bool) -> None:
    """Answered, failed, and never called back: a strict IF takes a boolean and nothing else."""
    (asked,) = expressions(NODES["Is it whole?"]["parameters"])
    assert await evaluated(asked, {"Wait for the answer": item}) is whole


def test_the_picture_is_of_this_workflow() -> None:
    """After a change: python -m tests.workflow_picture > docs/how-to/n8n-workflow.svg"""
    drawn = (ROOT / "docs/how-to/n8n-workflow.svg").read_text("utf-8")
    assert drawn == workflow_picture.picture(WORKFLOW)


# -- its calls ------------------------------------------------------------------------------------


@needs_node
async def test_a_page_gets_its_stream_and_the_workflow_its_answer(
    gateway: Gateway, n8n: N8n
) -> None:
    """The link reads the whole text; the answer reaches the branch that uses it."""
    waiting = Waiting(races=2)
    run = Execution(gateway.session, gateway.origin, n8n.wait_for(waiting), JWT_SECRET)
    assert await run.run(QUESTION, n8n) == "Use the answer"
    assert run.response is not None
    assert (run.response.status, set(run.response.body)) == (200, {"streamUrl"})
    got = await event_source.listen(gateway.session, run.response.body["streamUrl"])
    assert event_source.text(got) == "one two"
    given = run.items["Use the answer"]["body"]
    told = {key: given[key] for key in ("userId", "chatId", "prompt", "answer", "ok")}
    assert told == {**QUESTION, "answer": "one two", "ok": True}


@needs_node
@pytest.mark.parametrize(
    ("question", "owner"), [({"prompt": "x"}, "guest"), ({"prompt": "x", "userId": "bo"}, "bo")]
)
async def test_a_job_is_its_users(
    gateway: Gateway, n8n: N8n, question: dict[str, str], owner: str
) -> None:
    """Of whom the page named, or of a guest; what it left out is absent."""
    url = n8n.wait_for(Waiting())
    run = Execution(gateway.session, gateway.origin, url, JWT_SECRET)
    assert await run.run(question, n8n) == "Use the answer"
    job_id = run.items["Start the stream"]["streamUrl"].partition("/stream/")[2].split("?")[0]
    assert (await gateway.job(job_id)).owner == Owner(tenant="My app", user=owner)
    given = run.items["Use the answer"]["body"]
    assert (given["userId"], given["chatId"]) == (owner, None)


@needs_node
async def test_a_page_is_told_of_a_refusal(gateway: Gateway, n8n: N8n) -> None:
    """A wrong secret: 502 with a reason, at once, and no Wait node that waits in vain."""
    run = Execution(gateway.session, gateway.origin, n8n.wait_for(Waiting()), "x" * 40)
    assert await run.run(QUESTION, n8n) == "Say that there is none"
    assert run.response == Response(502, {"error": "The assistant cannot be reached."})


@needs_node
async def test_a_failure_takes_the_other_branch(n8n: N8n) -> None:
    """No provider has a key: the workflow is told why, and does not wait for its limit."""
    async with (
        Gateway(
            app_codes=APPS, CALLBACK_ALLOWED_ORIGINS=n8n.origin, DEFAULT_MODEL="openai/gpt-4o"
        ) as gateway,
        ClientSession() as session,
    ):
        run = Execution(session, gateway.origin, n8n.wait_for(Waiting()), JWT_SECRET)
        assert await run.run(QUESTION, n8n) == "Deal with the failure"
        assert run.items["Deal with the failure"]["body"]["ok"] is False
