"""Routes x credentials x roles: who gets in where, and what the others are told."""

import time
from io import BytesIO
from typing import Any, NamedTuple

import jwt
import pytest
import structlog
from multidict import CIMultiDict

from gateway import logs
from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import (
    CODE,
    JWT_SECRET,
    OTHER_CODE,
    WEBHOOK_SECRET,
    Gateway,
    Reply,
    bearer,
    user_token,
)

UNKNOWN = "20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11"


class Jobs(NamedTuple):
    """One job at each door, both of the shop; the second is of its user ann."""

    queued: str
    streamed: str


@pytest.fixture
async def jobs(gateway: Gateway, n8n: N8n) -> Jobs:
    return await made(gateway, n8n)


async def made(gateway: Gateway, n8n: N8n) -> Jobs:
    queued = await gateway.queue()
    body = {
        "n8nToken": user_token(),
        "resumeUrl": n8n.wait_for(Execution()),
        "prompt": "one two",
    }
    streamed = (await gateway.post("/init-stream", body)).headers["X-Request-Id"]
    await gateway.over(queued)
    await gateway.over(streamed)
    await n8n.arrived(1)
    return Jobs(queued, streamed)


BAD: dict[str, str] = {
    "unknown code": "gw_nobody",
    "other secret": user_token(secret="x" * 40),
    "expired": user_token(exp=int(time.time()) - 1),
    "no exp": user_token(exp=None),
    "no app": user_token(app=None),
    "no sub": user_token(sub=None),
    "empty sub": user_token(sub=""),
    "unknown app": user_token(app="nobody"),
    "app is no text": user_token(app=["shop"]),
    "too long a life": user_token(exp=int(time.time()) + 3 * 366 * 86_400),
    "not yet": user_token(nbf=int(time.time()) + 600),
    "exp is text": user_token(exp="tomorrow"),
    "audience of streams": user_token(aud="stream"),
    "HS512": user_token(algorithm="HS512", secret=JWT_SECRET),
    "none": jwt.encode({"app": "shop", "sub": "ann", "exp": 1 << 33}, None, algorithm="none"),
    "none, signed": user_token().rpartition(".")[0] + ".",
    "other signature": user_token()[:-3] + "AAA",
    "very long": user_token(padding="x" * 5_000),
    "no token": "eyJ.eyJ.x",
    "empty": "",
    "digest of a code": "sha256:" + "0" * 64,
}


@pytest.mark.parametrize("name", ["Authorization", "X-App-Code"])
async def test_two_of_one_header_are_refused(gateway: Gateway, name: str) -> None:
    """Whoever passed them on may have gone by the other one."""
    scheme = "Bearer " if name == "Authorization" else ""
    for codes in ((CODE, OTHER_CODE), (CODE, CODE), ("gw_nobody", CODE)):
        headers = CIMultiDict([(name, scheme + code) for code in codes])
        reply = await gateway.ask("GET", "/v1/models", headers=headers)
        assert (reply.status, f"{name} is there twice." in reply.body.decode()) == (401, True)


ROUTES = ["POST /ai_request", "POST /ai_request/batch", "POST /init-stream"]
ROUTES += ["GET /get_request/{queued}", "POST /cancel_request/{queued}", "GET /stream/{queued}"]


async def send(gateway: Gateway, route: str, jobs: Jobs, **headers: str) -> Reply:
    method, _, path = route.format(**jobs._asdict()).partition(" ")
    entry = {"request_type": "ask", "request": "hi"}
    bodies: dict[str, Any] = {
        "/ai_request": entry,
        "/ai_request/batch": {"requests": [entry]},
        "/init-stream": {"prompt": "hi", "resumeUrl": "https://n8n.test/1"},
    }
    return await gateway.ask(method, path, json=bodies.get(path), headers=headers)


@pytest.mark.parametrize("credential", BAD.values(), ids=BAD)
async def test_a_bad_credential_opens_nothing(
    gateway: Gateway, jobs: Jobs, credential: str
) -> None:
    """401 at every route, in every place where it may stand."""
    refused = 0
    for route in ROUTES:
        for headers in (bearer(credential), {"X-App-Code": credential}):
            reply = await send(gateway, route, jobs, **headers)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer"), route
            refused += 1
    path = f"/stream/{jobs.queued}"
    if credential:
        assert (await gateway.get(f"{path}?access_token={credential}")).status == 401
        assert (await gateway.get(path, Cookie=f"access_token={credential}")).status == 401
    for name in ("app_code", "n8nToken"):
        body = {name: credential, "prompt": "hi", "resumeUrl": "https://n8n.test/1"}
        assert (await gateway.post("/init-stream", body)).status == 401
    assert refused == 2 * len(ROUTES)


@pytest.mark.parametrize("scheme", ["Digest", "bearerx", "Token"])
async def test_another_scheme_opens_nothing(gateway: Gateway, jobs: Jobs, scheme: str) -> None:
    """A good code behind a wrong word, also with a good one beside it."""
    headers = {"Authorization": f"{scheme} {CODE}", "X-App-Code": CODE}
    for route in ROUTES:
        assert (await send(gateway, route, jobs, **headers)).status == 401


async def test_a_proxys_password_opens_nothing_and_shuts_nothing(
    gateway: Gateway, jobs: Jobs
) -> None:
    """Browsers send it along, also to where a link leads."""
    password = {"Authorization": f"Basic {CODE}"}
    for route in ROUTES:
        assert (await send(gateway, route, jobs, **password)).status == 401
    path = f"/stream/{jobs.queued}"
    link = (await gateway.stream(jobs.queued)).removeprefix(gateway.origin)
    assert (await gateway.get(path, **password, **{"X-App-Code": CODE})).status == 200
    assert (await gateway.get(link, **password)).status == 200
    body = {"app_code": CODE, "request_type": "ask", "request": "hi"}
    assert (await gateway.post("/ai_request", body, **password)).status == 200


async def test_without_any_credential(gateway: Gateway, jobs: Jobs) -> None:
    """401 where one makes, cancels or streams; an id alone opens a poll of its own door."""
    statuses = {route: (await send(gateway, route, jobs)).status for route in ROUTES}
    assert statuses == {**dict.fromkeys(ROUTES, 401), "GET /get_request/{queued}": 200}
    other = await gateway.get(f"/get_request/{jobs.streamed}")
    unknown = await gateway.get(f"/get_request/{UNKNOWN}")
    assert (other.status, other.body) == (unknown.status, unknown.body)


async def test_a_poll_may_be_closed_too(n8n: N8n) -> None:
    """With POLL_NEEDS_APP_CODE the id alone opens nothing: unknown and known alike."""
    async with Gateway(POLL_NEEDS_APP_CODE="true", CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        jobs = await made(gateway, n8n)
        replies = [await gateway.get(f"/get_request/{id}") for id in (*jobs, UNKNOWN)]
        assert [reply.status for reply in replies] == [401, 401, 401]
        for job_id in jobs:
            assert (await gateway.get(f"/get_request/{job_id}", **bearer(CODE))).status == 200


async def test_an_app_without_credentials_may_be_named(n8n: N8n) -> None:
    """With ANONYMOUS_APP everybody is that app, and nobody else; a bad credential stays bad."""
    async with Gateway(ANONYMOUS_APP="shop", CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        jobs = await made(gateway, n8n)
        for route in (*ROUTES[:2], "GET /get_request/{streamed}", "GET /stream/{streamed}"):
            assert (await send(gateway, route, jobs)).status == 200, route
        body = {"prompt": "hi", "resumeUrl": n8n.wait_for(Execution())}
        assert (await gateway.post("/init-stream", body)).status == 200
        await n8n.arrived(2)
        foreign = await gateway.queue(app_code=OTHER_CODE)
        assert (await gateway.get(f"/stream/{foreign}")).status == 404
        for route in ROUTES:
            assert (await send(gateway, route, jobs, **bearer("gw_nobody"))).status == 401


GOOD = {
    "code as bearer": bearer(CODE),
    "lower-case scheme": {"authorization": f"bearer {CODE}"},
    "code in its header": {"X-App-Code": CODE},
    "user token": bearer(user_token()),
}


@pytest.mark.parametrize("headers", GOOD.values(), ids=GOOD)
async def test_every_form_of_a_good_credential(
    gateway: Gateway, n8n: N8n, headers: dict[str, str]
) -> None:
    """Makes, polls, streams and cancels its own job."""
    made = await send(gateway, "POST /ai_request", Jobs("", ""), **headers)
    assert made.status == 200
    own = Jobs(made.json()["request_id"], "")
    await gateway.over(own.queued)
    for route in ROUTES[3:]:
        assert (await send(gateway, route, own, **headers)).status == 200, route
    body = {"prompt": "hi", "resumeUrl": n8n.wait_for(Execution())}
    assert (await gateway.post("/init-stream", body, **headers)).status == 200
    await n8n.arrived(1)


FOREIGN = {
    "other app": bearer(OTHER_CODE),
    "user of another app": bearer(user_token(app="bank")),
    "other user": bearer(user_token(sub="bob")),
    "the same user of another app": bearer(user_token(app="bank", sub="ann")),
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_somebody_elses_job_is_as_unknown(
    gateway: Gateway, jobs: Jobs, headers: dict[str, str]
) -> None:
    """The same status, the same body, the same headers but for the date."""
    for route in ("GET /get_request/{}", "POST /cancel_request/{}", "GET /stream/{}"):
        method, _, path = route.partition(" ")
        told = []
        for job_id in (*jobs, UNKNOWN, "x"):
            reply = await gateway.ask(method, path.format(job_id), headers=headers)
            names = {name: value for name, value in reply.headers.items() if name != "Date"}
            told.append((reply.status, reply.body, names))
        assert told[0][0] == 404
        assert told == [told[0]] * 4


async def test_an_app_reads_the_jobs_of_all_its_users(gateway: Gateway, jobs: Jobs) -> None:
    """And a user only its own: not those of the app."""
    for job_id in jobs:
        assert (await gateway.get(f"/stream/{job_id}", **bearer(CODE))).status == 200
    mine = bearer(user_token())
    assert (await gateway.get(f"/stream/{jobs.streamed}", **mine)).status == 200
    assert (await gateway.get(f"/stream/{jobs.queued}", **mine)).status == 404


async def test_a_token_beats_the_user_in_a_body(gateway: Gateway, n8n: N8n) -> None:
    """An app code may name any user; a user token only its own."""
    for credential, owner in (({"n8nToken": user_token()}, "ann"), ({"app_code": CODE}, "eve")):
        url = n8n.wait_for(Execution())
        body = {**credential, "prompt": "hi", "userId": "eve", "resumeUrl": url}
        reply = await gateway.post("/init-stream", body)
        job = await gateway.job(reply.headers["X-Request-Id"])
        assert job.owner.user == owner
    await n8n.arrived(2)


async def stream_token(gateway: Gateway, job_id: str) -> str:
    return (await gateway.stream(job_id)).partition("access_token=")[2]


async def test_a_stream_token_reads_one_job(gateway: Gateway, jobs: Jobs) -> None:
    """In query, header or cookie; it reads nothing else, and makes and cancels nothing."""
    token = await stream_token(gateway, jobs.queued)
    path = f"/stream/{jobs.queued}"
    assert (await gateway.get(f"{path}?access_token={token}")).status == 200
    assert (await gateway.get(path, **bearer(token))).status == 200
    assert (await gateway.get(path, Cookie=f"a=b; access_token={token}")).status == 200
    unknown = await gateway.get(f"/stream/{UNKNOWN}", **bearer(token))
    other = await gateway.get(f"/stream/{jobs.streamed}", **bearer(token))
    assert (other.status, other.body) == (404, unknown.body)
    for route in (*ROUTES[:3], "POST /cancel_request/{queued}"):
        assert (await send(gateway, route, jobs, **bearer(token))).status == 403, route
    body = {"n8nToken": token, "prompt": "hi", "resumeUrl": "https://n8n.test/1"}
    assert (await gateway.post("/init-stream", body)).status == 403


async def test_a_token_in_the_query_makes_nothing(gateway: Gateway, jobs: Jobs) -> None:
    """Only what EventSource asks for may carry it there."""
    for credential in (await stream_token(gateway, jobs.queued), user_token(), CODE):
        for path in ("/ai_request", "/init-stream", f"/cancel_request/{jobs.queued}"):
            reply = await gateway.post(f"{path}?access_token={credential}", {"prompt": "hi"})
            assert reply.status == 401


async def test_what_opens_more_than_a_stream_stays_out_of_urls(
    gateway: Gateway, jobs: Jobs
) -> None:
    """A URL is logged and repeated: a good code there, or a user token, is none."""
    for credential in (CODE, user_token()):
        path = f"/stream/{jobs.streamed}"
        assert (await gateway.get(f"{path}?access_token={credential}")).status == 401
        assert (await gateway.get(path, Cookie=f"access_token={credential}")).status == 401


async def test_a_foreign_cookie_is_no_credential(gateway: Gateway, jobs: Jobs) -> None:
    """Other software on the host uses that name, and browsers send what it has set."""
    for value in ("theirs", "", user_token(), CODE, "x" * 5_000, "ey.theirs.too"):
        cookie = {"Cookie": f"access_token={value}"}
        assert (await gateway.get(f"/get_request/{jobs.queued}", **cookie)).status == 200
        assert (await gateway.get(f"/get_request/{jobs.streamed}", **cookie)).status == 404
        link = f"/stream/{jobs.queued}"
        assert (await gateway.get(link, **cookie)).status == 401
        assert (await gateway.get(link, **cookie, **bearer(CODE))).status == 200
        token = await stream_token(gateway, jobs.queued)
        assert (await gateway.get(f"{link}?access_token={token}", **cookie)).status == 200
        assert (await gateway.post("/v1/ask", {"question": "hi"}, **cookie)).status == 401


async def test_a_foreign_cookie_hides_none_of_ours(gateway: Gateway, jobs: Jobs) -> None:
    """Browsers send one of each path, the longest first."""
    ours = f"access_token={await stream_token(gateway, jobs.queued)}"
    path = f"/stream/{jobs.queued}"
    for cookies in (
        f"access_token=theirs; {ours}",
        f"{ours};access_token=theirs",
        f"a=b;{ours} ; c",
    ):
        assert (await gateway.get(path, Cookie=cookies)).status == 200
    assert (await gateway.get(path, Cookie=f"x_{ours}")).status == 401


@pytest.mark.parametrize(("foreign", "status"), [(15, 200), (16, 401)])
async def test_not_every_cookie_is_tried(
    gateway: Gateway, jobs: Jobs, foreign: int, status: int
) -> None:
    """Each costs a signature: no browser has so many of one name, and a head has room for more."""
    ours = f"access_token={await stream_token(gateway, jobs.queued)}"
    cookies = "; ".join([*["access_token=theirs"] * foreign, ours])
    assert (await gateway.get(f"/stream/{jobs.queued}", Cookie=cookies)).status == status


async def test_the_cookie_of_a_stream_stays_a_credential(gateway: Gateway, jobs: Jobs) -> None:
    """For its own job; another is as unknown, and one whose time is over opens nothing."""
    token = await stream_token(gateway, jobs.queued)
    old = _old(gateway, await gateway.job(jobs.queued))
    for value, path, status in (
        (token, jobs.queued, 200),
        (token, jobs.streamed, 404),
        (old, jobs.queued, 401),
    ):
        for door in ("get_request", "stream"):
            cookie = f"access_token={value}"
            assert (await gateway.get(f"/{door}/{path}", Cookie=cookie)).status == status


async def test_a_stream_token_ends(gateway: Gateway, jobs: Jobs) -> None:
    """With its time; and a user token that is made to look like one is none."""
    job = await gateway.job(jobs.queued)
    assert (await gateway.get(f"/stream/{job.id}", **bearer(_old(gateway, job)))).status == 401
    claims = {"aud": "stream", "sub": job.id, "app": "shop", "exp": int(time.time()) + 60}
    forged = jwt.encode(claims, JWT_SECRET, algorithm="HS256")
    assert (await gateway.get(f"/stream/{job.id}", **bearer(forged))).status == 401


def _old(gateway: Gateway, job: Any) -> str:
    return gateway.core.auth.stream_token(job, -10)


async def test_no_secret_is_told(n8n: N8n) -> None:
    """Not in a log line, at any level, nor in an answer: whatever is tried with them."""
    token, wrong = user_token(), user_token(secret="y" * 40)
    out = BytesIO()
    before = structlog.get_config()
    async with Gateway(
        CALLBACK_ALLOWED_ORIGINS=n8n.origin, TOGETHER_AI_API_KEY="tgp_canary-0123456789"
    ) as gateway:
        redactor = logs.Redactor(logs.secrets_of(gateway.config.settings))
        structlog.configure(
            processors=logs.processors(redactor, as_columns=False),
            wrapper_class=structlog.make_filtering_bound_logger(0),
            logger_factory=structlog.BytesLoggerFactory(out),
            cache_logger_on_first_use=False,
        )
        try:
            jobs = await made(gateway, n8n)
            stream = await stream_token(gateway, jobs.queued)
            told = b""
            for credential in (CODE, token, wrong, stream, "gw_wrong-canary-code"):
                for route in ROUTES:
                    for headers in (bearer(credential), {"X-App-Code": credential}):
                        reply = await send(gateway, route, jobs, **headers)
                        told += reply.body + repr(reply.headers).encode()
                reply = await gateway.get(f"/stream/x?access_token={credential}")
                told += reply.body + repr(reply.headers).encode()
                reply = await gateway.post("/ai_request", {"app_code": credential, "request": 1})
                told += reply.body + repr(reply.headers).encode()
        finally:
            structlog.configure(**before)
    said = told + out.getvalue()
    assert b"job_submitted" in said
    secrets = (CODE, token, wrong, stream, "wrong-canary", JWT_SECRET, WEBHOOK_SECRET, "canary")
    assert [secret for secret in secrets if secret.encode() in said] == []


async def test_wrong_credentials_are_limited_by_address(gateway: Gateway) -> None:
    """Past a thousand a minute from one address: 429, and a good one still gets in."""
    limits = gateway.core.limits
    for _ in range(1000):
        limits.spend("1000/minute", "failure", "127.0.0.1")
    reply = await gateway.get(f"/stream/{UNKNOWN}", **bearer("gw_nobody"))
    assert reply.status == 429
    assert 1 <= int(reply.headers["Retry-After"]) <= 60
    assert (await gateway.get(f"/stream/{UNKNOWN}", **bearer(CODE))).status == 404
