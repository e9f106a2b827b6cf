"""What chats leave: kept when an answer is whole, sent along, listed, read, deleted, one's own."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.jobs import State
from tests.surfaces.chatting import PATH, ask, asking, chat, messages
from tests.surfaces.running import CODE, OTHER_CODE, QUICK, Gateway, Reply, bearer, user_token
from tests.surfaces.teller import MODEL, Teller, told

ANN, BOB = user_token(sub="ann"), user_token(sub="bob")
UNKNOWN = {
    "error": {
        "code": "NOT_FOUND",
        "message": "There is no such conversation.",
        "param": "conversation_id",
    }
}


async def listed(gateway: Gateway, credential: str = CODE, query: str = "") -> Any:
    reply = await gateway.get(f"/api/conversations{query}", **bearer(credential))
    assert reply.status == 200, reply
    return reply.json()


async def begin(gateway: Gateway, credential: str = CODE, **body: Any) -> str:
    """A conversation with one turn; its id."""
    said = await chat(gateway, credential, save_conversation=True, **body)
    return str(said.conversation_id)


async def delete(gateway: Gateway, conversation_id: str, credential: str = CODE) -> Reply:
    path = f"/api/conversations/{conversation_id}"
    return await gateway.ask("DELETE", path, headers=bearer(credential))


# Keeping ---------------------------------------------------------------------------------------


async def test_a_conversation_goes_on(teller: Teller) -> None:
    """Each question is sent with what was said before it; the system prompt is not kept."""
    async with Gateway(DEFAULT_MODEL=MODEL, **teller.settings) as gateway:
        first, second = told("Hi", " there"), told("Yes")
        said = await chat(
            gateway, user_prompt=first, system_prompt="Be brief.", save_conversation=True
        )
        assert str(UUID(said.conversation_id, version=4)) == said.conversation_id
        assert await messages(gateway, said.conversation_id) == [first, "Hi there"]
        more = await chat(gateway, user_prompt=second, conversation_id=said.conversation_id)
        assert more.conversation_id == said.conversation_id
        assert await messages(gateway, said.conversation_id) == [first, "Hi there", second, "Yes"]
    assert teller.bodies[1]["messages"] == [
        {"role": "user", "content": first},
        {"role": "assistant", "content": "Hi there"},
        {"role": "user", "content": second},
    ]


@pytest.mark.parametrize(
    ("save", "has_id", "kept"),
    [
        (None, False, False),
        (False, False, False),
        (True, False, True),
        (None, True, True),
        (False, True, False),
        (True, True, True),
    ],
)
async def test_what_is_kept(gateway: Gateway, save: bool | None, has_id: bool, kept: bool) -> None:
    """What the body says; if it says nothing, what goes on with a conversation."""
    earlier = await begin(gateway, user_prompt="earlier") if has_id else None
    said = await chat(gateway, save_conversation=save, conversation_id=earlier)
    assert (said.conversation_id is not None) is (has_id or kept)
    if said.conversation_id is not None:
        want = ["earlier", "earlier"] * has_id + ["one two", "one two"] * kept
        assert await messages(gateway, said.conversation_id) == want
    assert len((await listed(gateway))["conversations"]) == (has_id or kept)


async def test_the_turn_is_there_when_the_end_is_seen(gateway: Gateway) -> None:
    """Who reads `finished` finds the conversation with the answer, every time."""
    for _ in range(50):
        async with asking(gateway, save_conversation=True) as (_, data):
            conversation_id = (await anext(data))["conversation_id"]
            async for frame in data:
                if frame["finished"]:
                    break
            assert await messages(gateway, conversation_id) == ["one two", "one two"]


async def test_a_conversation_is_there_before_its_first_answer(teller: Teller) -> None:
    """Empty, as long as there is no whole turn."""
    teller.gate.clear()
    async with Gateway(DEFAULT_MODEL=MODEL, **teller.settings) as gateway:
        body = {"user_prompt": told("a", "b"), "save_conversation": True}
        async with asking(gateway, **body) as (_, data):
            conversation_id = (await anext(data))["conversation_id"]
            assert await messages(gateway, conversation_id) == []
            teller.gate.set()
            assert [frame["content"] async for frame in data] == ["a", "b", ""]


@pytest.mark.parametrize("model", ["echo?first=0&gap=0&cut=1", "echo?first=0&status=400"])
async def test_a_failed_answer_leaves_no_question_behind(gateway: Gateway, model: str) -> None:
    """The conversation is as before, and can be gone on with."""
    conversation_id = await begin(gateway, user_prompt="a b")
    failed = await chat(gateway, model=f"simulator/{model}", conversation_id=conversation_id)
    assert failed.last["error"]["code"]
    assert await messages(gateway, conversation_id) == ["a b", "a b"]
    await chat(gateway, user_prompt="c", conversation_id=conversation_id)
    assert await messages(gateway, conversation_id) == ["a b", "a b", "c", "c"]
    new = await chat(gateway, model=f"simulator/{model}", save_conversation=True)
    assert await messages(gateway, new.conversation_id) == []


async def test_turns_side_by_side_are_all_kept(gateway: Gateway) -> None:
    """Each question next to its own answer."""
    conversation_id = await begin(gateway, user_prompt="0")
    asked = [f"{number} and more" for number in range(1, 21)]
    await asyncio.gather(
        *(chat(gateway, user_prompt=text, conversation_id=conversation_id) for text in asked)
    )
    said = await messages(gateway, conversation_id)
    assert said[::2] == said[1::2]
    assert sorted(said[::2]) == sorted(["0", *asked])


async def test_health_counts_them(gateway: Gateway) -> None:
    """Those that are there now."""

    async def count() -> int:
        kept: int = (await gateway.get("/health")).json()["conversations_in_memory"]
        return kept

    assert await count() == 0
    first, _ = await begin(gateway), await begin(gateway)
    await chat(gateway, conversation_id=first)
    await chat(gateway)
    assert await count() == 2
    await delete(gateway, first)
    assert await count() == 1


# Trimming --------------------------------------------------------------------------------------

MODELS = """
[models.small]
provider = "together"
context_window = {window}
"""


@pytest.mark.parametrize(
    ("window", "turns"),
    [
        # The question takes 14 tokens, the system prompt 7, the answer 20; each turn 14 and 13.
        (20, 0),
        (41, 0),
        (67, 0),
        (68, 1),
        (94, 1),
        (95, 2),
        (121, 2),
        (122, 3),
        (1000, 3),
    ],
)
async def test_history_is_trimmed_to_the_window(teller: Teller, window: int, turns: int) -> None:
    """Whole turns go, the oldest first; the system prompt and the question always stay."""
    models = MODELS.format(window=window)
    async with Gateway(models=models, DEFAULT_MODEL="small", **teller.settings) as gateway:
        conversation_id = await begin(gateway, user_prompt=told("a" * 36))
        for letter in "bc":
            await chat(gateway, user_prompt=told(letter * 36), conversation_id=conversation_id)
        kept = await messages(gateway, conversation_id)
        await chat(
            gateway,
            user_prompt=told("d" * 36),
            system_prompt="Be a friend.",
            conversation_id=conversation_id,
            hyperparameters={"max_tokens": 20},
        )
    sent = [message["content"] for message in teller.bodies[-1]["messages"]]
    assert sent == ["Be a friend.", *kept[len(kept) - 2 * turns :], told("d" * 36)]


# Listing, reading, deleting --------------------------------------------------------------------


async def test_a_deleted_conversation_is_unknown(gateway: Gateway) -> None:
    """To read, to delete, to list and to go on with."""
    conversation_id = await begin(gateway)
    reply = await delete(gateway, conversation_id)
    assert (reply.status, reply.json()) == (
        200,
        {"conversation_id": conversation_id, "status": "deleted"},
    )
    path = f"/api/conversations/{conversation_id}"
    for again in (
        await delete(gateway, conversation_id),
        await gateway.get(path, **bearer(CODE)),
        await ask(gateway, conversation_id=conversation_id),
    ):
        assert (again.status, again.json()) == (404, UNKNOWN)
    assert await listed(gateway) == {"conversations": [], "next": None}


async def test_an_answer_under_way_does_not_bring_a_deleted_one_back(teller: Teller) -> None:
    """The answer itself goes on to its reader."""
    teller.gate.clear()
    async with Gateway(DEFAULT_MODEL=MODEL, **teller.settings) as gateway:
        body = {"user_prompt": told("a", "b"), "save_conversation": True}
        async with asking(gateway, **body) as (response, data):
            conversation_id = (await anext(data))["conversation_id"]
            assert (await delete(gateway, conversation_id)).status == 200
            teller.gate.set()
            assert [frame["content"] async for frame in data] == ["a", "b", ""]
            job = await gateway.job(response.headers["X-Request-Id"])
        assert job.state is State.COMPLETED
        assert (await delete(gateway, conversation_id)).status == 404


async def test_the_last_changed_is_listed_first(gateway: Gateway) -> None:
    """With its times and how much it holds."""
    first, second = await begin(gateway), await begin(gateway)
    await chat(gateway, conversation_id=first)
    found = (await listed(gateway))["conversations"]
    assert [(each["conversation_id"], each["message_count"]) for each in found] == [
        (first, 4),
        (second, 2),
    ]
    for each in found:
        assert set(each) == {"conversation_id", "created_at", "updated_at", "message_count"}
        assert each["created_at"] <= each["updated_at"]


async def test_a_long_list_comes_in_pages(gateway: Gateway) -> None:
    """Each says where the next one begins; the last says that there is none."""
    made = [await begin(gateway) for _ in range(7)]
    got: list[str] = []
    query = "?limit=3"
    for size in (3, 3, 1):
        page = await listed(gateway, query=query)
        assert len(page["conversations"]) == size
        got += [each["conversation_id"] for each in page["conversations"]]
        query = f"?limit=3&before={page['next']}"
    assert page["next"] is None
    assert got == made[::-1]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=1e2", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("before=x", "before"),
        ("before=nan~0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11", "before"),
        ("before=inf~0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11", "before"),
        ("before=1.0~x", "before"),
        ("before=" + "9" * 5000 + "~0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11", "before"),
    ],
)
async def test_a_wrong_page_is_refused(gateway: Gateway, query: str, param: str) -> None:
    """400, naming the parameter."""
    reply = await gateway.get(f"/api/conversations?{query}", **bearer(CODE))
    error = reply.json()["error"]
    assert (reply.status, error["code"], error["param"]) == (400, "INVALID_REQUEST", param)


# Ownership -------------------------------------------------------------------------------------


async def test_a_conversation_is_its_owners_alone(gateway: Gateway) -> None:
    """The user's and the app's; to everybody else as unknown as one that never was."""
    conversation_id = await begin(gateway, ANN)
    path = f"/api/conversations/{conversation_id}"
    for stranger in (BOB, OTHER_CODE):
        answers = [
            await gateway.get(path, **bearer(stranger)),
            await ask(gateway, stranger, conversation_id=conversation_id),
            await delete(gateway, conversation_id, stranger),
            await gateway.get(f"/api/conversations/{uuid4()}", **bearer(stranger)),
            await gateway.get("/api/conversations/abc-123", **bearer(stranger)),
            await ask(gateway, stranger, conversation_id="abc-123"),
        ]
        assert [(each.status, each.json()) for each in answers] == [(404, UNKNOWN)] * 6
        assert (await listed(gateway, stranger))["conversations"] == []
    for owner in (ANN, CODE):
        assert await messages(gateway, conversation_id, owner) == ["one two", "one two"]
        assert len((await listed(gateway, owner))["conversations"]) == 1


async def test_an_app_may_name_its_user(gateway: Gateway) -> None:
    """Then only that user's conversations are gone on with and listed."""
    anns = await begin(gateway, user_id="ann")
    assert await messages(gateway, anns, ANN) == ["one two", "one two"]
    refused = await ask(gateway, conversation_id=anns, user_id="bob")
    assert (refused.status, refused.json()) == (404, UNKNOWN)
    assert (await chat(gateway, conversation_id=anns, user_id="ann")).conversation_id == anns
    bobs = await begin(gateway, BOB, user_id="ann")
    found = {
        query: [
            each["conversation_id"]
            for each in (await listed(gateway, query=query))["conversations"]
        ]
        for query in ("", "?user_id=ann", "?user_id=bob", "?user_id=eve")
    }
    assert found == {
        "": [bobs, anns],
        "?user_id=ann": [anns],
        "?user_id=bob": [bobs],
        "?user_id=eve": [],
    }


async def test_a_stream_token_opens_no_conversation(gateway: Gateway) -> None:
    """It reads one job: 403 for everything else; without any credential 401."""
    said = await chat(gateway, save_conversation=True)
    token = gateway.core.auth.stream_token(await gateway.job(said.job_id), 60)
    paths = ["/api/conversations", f"/api/conversations/{said.conversation_id}"]
    for path in paths:
        assert (await gateway.get(path, **bearer(token))).status == 403
        assert (await gateway.get(f"{path}?access_token={token}")).status == 401
    assert (await delete(gateway, said.conversation_id, token)).status == 403
    assert await messages(gateway, said.conversation_id) == ["one two", "one two"]


async def test_unknown_paths_are_answered_in_the_doors_shape(gateway: Gateway) -> None:
    """Also methods that a path does not take."""
    for method, path, status in (
        ("GET", PATH, 405),
        ("PUT", f"/api/conversations/{uuid4()}", 405),
    ):
        reply = await gateway.ask(method, path, headers=bearer(CODE))
        assert reply.status == status
        assert set(reply.json()["error"]) == {"code", "message"}


async def test_the_model_told_first_is_the_one_that_was_asked(gateway: Gateway) -> None:
    """The default one where the body names none."""
    assert (await chat(gateway)).frames[0][1]["model"] == QUICK
