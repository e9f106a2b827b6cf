"""On whose behalf it is asked: the app's, a token's user's, or a user's whom the body names."""

import json
from typing import Any

import pytest

from gateway.jobs import Owner
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import (
    CODE,
    OTHER_CODE,
    SILENT,
    Gateway,
    Reply,
    apps,
    bearer,
    user_token,
)

# The body of a request at each door that makes jobs; a workflow's waits at an address of its own.
MAKERS: dict[str, dict[str, Any]] = {
    "/ai_request": {"request_type": "ask", "request": "hi"},
    "/init-stream": {"prompt": "hi"},
    "/assistant/request": {"prompt": "hi"},
    "/api/chat/stream": {"user_prompt": "hi"},
    "/v1/ask": {"question": "hi"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"input": "hi", "background": True},
}


async def ask(gateway: Gateway, n8n: N8n, path: str, body: dict[str, Any], **headers: str) -> Reply:
    """Ask at a door with this in the body beside what it needs."""
    waits = {"resumeUrl": n8n.wait_for(Execution())} if path == "/init-stream" else {}
    return await gateway.post(path, {**MAKERS[path], **waits, **body}, **headers)


async def owner(gateway: Gateway, reply: Reply) -> Owner:
    """Whose the job is that an answer tells of; it is over."""
    assert reply.status in (200, 201), reply
    job_id = reply.headers["X-Request-Id"]
    await gateway.over(job_id)
    return (await gateway.job(job_id)).owner


# -- several credentials --------------------------------------------------------------------------

ANN, BOB = user_token(), user_token(sub="bob")
EXPIRED, FORGED = user_token(exp=1_700_000_000), user_token(secret="x" * 40)
# Beside the code of the shop in the body: who then asks, or nobody.
BESIDE: dict[str, tuple[dict[str, str], str | None]] = {
    "nothing": ({}, "shop"),
    "the same code": (bearer(CODE), "shop"),
    "the same code, twice more": ({**bearer(CODE), "X-App-Code": CODE}, "shop"),
    "a user of the app": (bearer(ANN), "ann"),
    "a user, and the code once more": ({**bearer(ANN), "X-App-Code": CODE}, "ann"),
    "another app": (bearer(OTHER_CODE), None),
    "another app in its header": ({"X-App-Code": OTHER_CODE}, None),
    "a user of another app": (bearer(user_token(app="bank")), None),
    "a user whose time is over": (bearer(EXPIRED), None),
    "a user by another secret": (bearer(FORGED), None),
    "an unknown code": ({"X-App-Code": "gw_nobody"}, None),
    "a user, and an unknown code": ({**bearer(ANN), "X-App-Code": "gw_nobody"}, None),
    "a user, and another app": ({**bearer(ANN), "X-App-Code": OTHER_CODE}, None),
    "no code at all": ({"X-App-Code": ""}, None),
    "another scheme": ({"Authorization": "Token YTpi"}, None),
}


@pytest.mark.parametrize(("headers", "who"), BESIDE.values(), ids=BESIDE)
async def test_all_that_is_brought_must_be_good(
    gateway: Gateway, n8n: N8n, headers: dict[str, str], who: str | None
) -> None:
    """At every door that makes jobs; what a user's token and its app's code make is the user's."""
    for path in MAKERS:
        reply = await ask(gateway, n8n, path, {"app_code": CODE, "user_id": "eve"}, **headers)
        if who is None:
            assert (reply.status, path) == (401, path)
            continue
        want = Owner(tenant="shop", user="eve" if who == "shop" else who)
        assert (await owner(gateway, reply), path) == (want, path)
        again = f"/assistant/request/{reply.headers['X-Request-Id']}"
        assert (await gateway.get(again, **headers)).status == (200 if headers else 401)
    await n8n.arrived(0 if who is None else 1)


@pytest.mark.parametrize(("headers", "who"), BESIDE.values(), ids=BESIDE)
async def test_who_cancels_is_who_makes(
    gateway: Gateway, headers: dict[str, str], who: str | None
) -> None:
    """The body's code counts beside a header as it does when a job is made."""
    jobs = {user: await gateway.queue(model=SILENT, user_id=user) for user in ("ann", "bob", "eve")}
    mine = {"shop": {"ann", "bob", "eve"}, "ann": {"ann"}, None: set()}[who]
    for user, job_id in jobs.items():
        path = f"/cancel_request/{job_id}"
        reply = await gateway.post(path, {"app_code": CODE}, **headers)
        status = 401 if who is None else 200 if user in mine else 404
        assert (reply.status, user) == (status, user)
        assert (await gateway.post(path, {"app_code": CODE})).status == 200


WITH_TOKEN: dict[str, tuple[dict[str, str], dict[str, str], str | None]] = {
    "a user, and the code": ({"n8nToken": ANN, "app_code": CODE}, {}, "ann"),
    "a user, and the code in a header": ({"n8nToken": ANN}, {"X-App-Code": CODE}, "ann"),
    "the same user twice": ({"n8nToken": ANN}, bearer(ANN), "ann"),
    "two users": ({"n8nToken": ANN}, bearer(BOB), None),
    "a user, and another app": ({"n8nToken": ANN, "app_code": OTHER_CODE}, {}, None),
    "a user, and a bad code": ({"n8nToken": ANN, "app_code": "gw_nobody"}, {}, None),
    "a bad token, and the code": ({"n8nToken": EXPIRED, "app_code": CODE}, {}, None),
    "empty is absent": ({"n8nToken": "", "app_code": CODE}, {}, "eve"),
    "both of them": ({"n8nToken": ANN, "app_code": ""}, {}, "ann"),
}


@pytest.mark.parametrize(("body", "headers", "who"), WITH_TOKEN.values(), ids=WITH_TOKEN)
async def test_a_workflow_may_bring_two(
    gateway: Gateway, n8n: N8n, body: dict[str, str], headers: dict[str, str], who: str | None
) -> None:
    """Its token and its app's code, in the body or beside it."""
    reply = await ask(gateway, n8n, "/init-stream", {**body, "userId": "eve"}, **headers)
    if who is None:
        assert (reply.status, reply.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    else:
        assert await owner(gateway, reply) == Owner(tenant="shop", user=who)
        await n8n.arrived(1)


async def test_an_address_is_waited_at_by_one_user(gateway: Gateway, n8n: N8n) -> None:
    """Another of the same app gets no link to the first one's answer."""
    body = {"prompt": "hi", "resumeUrl": n8n.wait_for(Execution())}
    replies = [
        await gateway.post("/init-stream", {**body, "n8nToken": token}) for token in (ANN, ANN, BOB)
    ]
    assert [reply.status for reply in replies] == [200, 200, 409]
    assert replies[0].json() == replies[1].json()
    await owner(gateway, replies[0])
    await n8n.arrived(1)


# -- the user whom a body names -------------------------------------------------------------------

# What a body says, and the user it means.
NAMED: dict[str, tuple[dict[str, Any], str | None]] = {
    "one spelling": ({"user_id": "eve"}, "eve"),
    "the other": ({"userId": "eve"}, "eve"),
    "both": ({"user_id": "eve", "userId": "eve"}, "eve"),
    "null": ({"user_id": None, "userId": "eve"}, "eve"),
    "empty": ({"user_id": "", "userId": "eve"}, "eve"),
    "nobody": ({"user_id": "", "userId": None}, None),
}


@pytest.mark.parametrize("path", MAKERS)
async def test_an_app_asks_for_its_user(gateway: Gateway, n8n: N8n, path: str) -> None:
    """By either name, at every door; the user's own token reads it then, and beats the name."""
    for body, user in NAMED.values():
        reply = await ask(gateway, n8n, path, body, **bearer(CODE))
        assert await owner(gateway, reply) == Owner(tenant="shop", user=user)
        again = f"/assistant/request/{reply.headers['X-Request-Id']}"
        for sub, status in (("eve", 200 if user else 404), ("bob", 404)):
            assert (await gateway.get(again, **bearer(user_token(sub=sub)))).status == status
        reply = await ask(gateway, n8n, path, body, **bearer(ANN))
        assert await owner(gateway, reply) == Owner(tenant="shop", user="ann")
    await n8n.arrived(2 * len(NAMED) if path == "/init-stream" else 0)


@pytest.mark.parametrize("path", MAKERS)
@pytest.mark.parametrize("name", ["user_id", "userId"])
@pytest.mark.parametrize("value", [5, True, ["eve"], {"id": "eve"}])
async def test_a_user_is_named_by_text(
    gateway: Gateway, n8n: N8n, path: str, name: str, value: Any
) -> None:
    """What is none is refused by the name that was sent."""
    reply = await ask(gateway, n8n, path, {name: value}, **bearer(CODE))
    assert (reply.status, f"{name}: expected `str | null`".encode() in reply.body) == (400, True)


@pytest.mark.parametrize("path", MAKERS)
async def test_a_request_is_for_one_user(gateway: Gateway, n8n: N8n, path: str) -> None:
    """Two names that differ are refused: either could be meant. Who may not ask is told first."""
    body = {"user_id": "eve", "userId": "bob"}
    reply = await ask(gateway, n8n, path, body, **bearer(CODE))
    said = b"user_id and userId name different users."
    assert (reply.status, said in reply.body) == (400, True)
    assert (await ask(gateway, n8n, path, body, **bearer("gw_nobody"))).status == 401


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_openai_has_a_word_of_its_own(gateway: Gateway, n8n: N8n, path: str) -> None:
    """`user` comes first there, and is the user where it is alone."""
    for body in ({"user": "eve"}, {"user": "eve", "user_id": "bob"}):
        reply = await ask(gateway, n8n, path, body, **bearer(CODE))
        assert await owner(gateway, reply) == Owner(tenant="shop", user="eve")


async def test_a_provider_is_told_no_user_of_the_gateways(gateway: Gateway, n8n: N8n) -> None:
    """Only `user`, which is OpenAI's; the others would be unknown there."""
    body = {"user": "eve", "user_id": "eve", "userId": "eve"}
    reply = await ask(gateway, n8n, "/v1/chat/completions", body, **bearer(CODE))
    job = await gateway.job(reply.headers["X-Request-Id"])
    assert job.request.extra == {"user": "eve"}


async def test_each_request_of_a_batch_may_name_its_user(gateway: Gateway) -> None:
    """Those that do not are for the batch's; one that names two is refused for itself."""
    entry = MAKERS["/ai_request"]
    users: list[dict[str, Any]] = [{}, {"user_id": "bob"}, {"userId": "bob"}, {"user_id": ""}]
    users += [{"user_id": "bob", "userId": "eve"}, {"userId": 5}]
    body = {"app_code": CODE, "userId": "eve", "requests": [{**entry, **user} for user in users]}
    results = (await gateway.post("/ai_request/batch", body)).json()["results"]
    made = [each["request_id"] for each in results if each["status"] == "success"]
    for job_id in made:
        await gateway.over(job_id)
    owners = [(await gateway.job(job_id)).owner.user for job_id in made]
    assert owners == ["eve", "bob", "bob", "eve"]
    assert [each["error_code"] for each in results[4:]] == ["INVALID_REQUEST"] * 2
    both = {**body, "user_id": "bob"}
    assert (await gateway.post("/ai_request/batch", both)).status == 400


async def test_a_cached_answer_is_its_users(n8n: N8n) -> None:
    """One user's job is given to no other of the app, nor to the app itself."""
    types = [{"name": "ask", "cache": True}]
    async with Gateway(app_codes=apps(allowed_request_types=types)) as gateway:
        body = {**MAKERS["/ai_request"], "app_code": CODE}
        found: list[str] = []
        for user in ("eve", "bob", None, "eve", "bob", None):
            reply = await gateway.post("/ai_request", {**body, "user_id": user})
            assert await owner(gateway, reply) == Owner(tenant="shop", user=user)
            found.append(reply.json()["request_id"])
        assert found[:3] == found[3:]
        assert len(set(found)) == 3


async def test_another_user_is_another_request(gateway: Gateway) -> None:
    """Under the same `Idempotency-Key`: the body is not the same."""
    body = {**MAKERS["/v1/responses"], "app_code": CODE}
    key = {"Idempotency-Key": "k"}
    replies = [
        await gateway.post("/v1/responses", {**body, "user_id": user}, **key)
        for user in ("eve", "eve", "bob")
    ]
    assert [reply.status for reply in replies] == [200, 200, 409]
    await owner(gateway, replies[0])


async def test_a_callback_says_for_whom_it_was(gateway: Gateway, n8n: N8n) -> None:
    """As `userId`, whichever way the workflow wrote it."""
    reply = await ask(gateway, n8n, "/init-stream", {"user_id": "eve"}, **bearer(CODE))
    await owner(gateway, reply)
    await n8n.arrived(1)
    assert [json.loads(post.body)["userId"] for post in n8n.posts] == ["eve"]
