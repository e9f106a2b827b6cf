"""Who comes in with which credential, who does not, and who may read what."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest

from gateway import tenants
from gateway.engine.auth import Auth, Principal, new_stream_secret
from gateway.errors import Unauthenticated
from gateway.jobs import Job, Owner
from gateway.messages import Request
from gateway.tenants import Tenant

NOW = 1_795_214_640.0
SECRET = "a user secret of at least 32 bytes"
LONG = "a user secret of at least 64 bytes, as HS512 wants to have it, at the least"
ACME = Tenant(name="acme", code_digest=tenants.digest("acme-code"))
OTHER = Tenant(name="other", code_digest=tenants.digest("other-code"))
YEAR = 366 * 86_400
CLAIMS: dict[str, Any] = {"app": "acme", "sub": "zoë", "exp": NOW + 60}
JOB = Job(
    id="20261120T224400Z-0b9f6c1e-8f0e-4d55-9c3b-2a7a3a1f0d11",
    owner=Owner(tenant="acme", user="zoë"),
    door="ask",
    request=Request(messages=(), model="a"),
    created_at=NOW,
    expires_at=NOW + 900,
)


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        return self.time


def auth(now: Callable[[], float] = Clock(), **changes: Any) -> Auth:  # noqa: B008
    settings = {"jwt_secret": SECRET, "stream_secret": "s" * 32, **changes}
    return Auth([ACME, OTHER], now=now, **settings)


def token(key: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    """A user token; a claim that is None is left out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    """A token put together by hand."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in (header, claims)]
    return ".".join([*(part.rstrip(b"=").decode() for part in parts), signature])


def signed(claims: bytes) -> str:
    """Any bytes, rightly signed."""
    return jwt.api_jws.encode(claims, SECRET, algorithm="HS256")


def claiming(**changes: Any) -> str:
    """Any claims, rightly signed."""
    return signed(json.dumps({**CLAIMS, **changes}).encode())


# -- app codes ------------------------------------------------------------------------------------


def test_an_app_code_lets_its_app_in() -> None:
    """As itself, for no user in particular."""
    assert auth().app("acme-code") == auth().bearer("acme-code") == Principal(tenant=ACME)


@pytest.mark.parametrize(
    "code",
    [
        *("", " ", "acme-code ", "ACME-CODE", "acme", "żółć", "\x00", "\udcff", "\ud83d"),
        *("a" * 1_000_000, tenants.digest("acme-code"), f"sha256:{tenants.digest('acme-code')}"),
        *(b"acme-code\xff".decode("latin-1"), "a.b.c", "..", "ey..", "ey.\udcff.x"),
    ],
    ids=lambda code: ascii(code[:20]),
)
def test_any_other_text_is_nobodys_code(code: str) -> None:
    """Whatever it is made of, it is refused as a wrong code is, and never an error."""
    for way_in in (auth().app, auth().bearer, auth().user):
        with pytest.raises(Unauthenticated):
            way_in(code)


def test_nobody_comes_in_without_a_credential() -> None:
    """Unless one app is named for those; then as that app."""
    with pytest.raises(Unauthenticated):
        auth().anonymous()
    assert auth(anonymous_app="other").anonymous() == Principal(tenant=OTHER)


def test_an_app_is_found_by_its_name() -> None:
    """For what the queue needs to know of it."""
    assert (auth().tenant("acme"), auth().tenant("nobody")) == (ACME, None)


# -- user tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"exp": NOW + YEAR},
        {"exp": NOW + 0.5},
        {"nbf": NOW},
        {"iat": NOW + 9999},
        {"aud": "someone-else"},
        {"aud": ["a", "b"]},
        {"iss": "x", "jti": "y"},
    ],
)
def test_a_user_token_names_its_user(changes: dict[str, Any]) -> None:
    """It needs no audience, and may have any; what it says besides is not looked at."""
    zoe = Principal(tenant=ACME, user="zoë", proven=True)
    assert auth().bearer(token(**changes)) == auth().user(token(**changes)) == zoe


BAD_TOKENS = {
    "expired": token(exp=NOW - 1),
    "expired just now": token(exp=NOW),
    "not good yet": token(nbf=NOW + 1),
    "no exp": token(exp=None),
    "no sub": token(sub=None),
    "no app": token(app=None),
    "empty sub": token(sub=""),
    "sub is a number": claiming(sub=7),
    "sub is half a character": token(sub="\ud800"),
    "app is a list": token(app=["acme"]),
    "app is unknown": token(app="nobody"),
    "exp is text": claiming(exp="soon"),
    "exp is infinite": token(exp=float("inf")),
    "exp is no number": token(exp=float("nan")),
    "exp is a list": claiming(exp=[NOW + 60]),
    "exp is true": claiming(exp=True),
    "nbf is text": claiming(nbf="soon"),
    "nbf is no number": claiming(nbf=float("nan")),
    "exp is too far": token(exp=NOW + YEAR + 1),
    "wrong secret": token(key="another secret of at least 32 bytes"),
    "HS512": token(key=LONG, algorithm="HS512"),
    "HS384": token(key=LONG, algorithm="HS384"),
    "alg none": forged({"alg": "none"}, CLAIMS),
    "alg None": forged({"alg": "None", "typ": "JWT"}, CLAIMS, "x"),
    "RS256": forged({"alg": "RS256"}, CLAIMS, token().split(".")[2]),
    "no alg": forged({}, CLAIMS, "x"),
    "no signature": token().rsplit(".", 1)[0] + ".",
    "another's signature": token().rsplit(".", 1)[0] + "." + token(sub="adam").split(".")[2],
    "changed claims": forged(
        {"alg": "HS256", "typ": "JWT"}, {**CLAIMS, "sub": "adam"}, token().split(".")[2]
    ),
    "critical extension": jwt.encode(CLAIMS, SECRET, headers={"crit": ["b64"], "b64": False}),
    "claims are a list": signed(b"[]"),
    "claims are no JSON": signed(b"\xff"),
    "claims are deep": signed(b"[" * 2900),
    "not ASCII": token() + "ż",
    "lone surrogate": token()[:-1] + "\udcff",
    "stream token's audience": token(aud="stream"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused(name: str) -> None:
    """Expired, forged, of another algorithm, or of the wrong shape: 401 at both ways in."""
    for way_in in (auth().bearer, auth().user):
        with pytest.raises(Unauthenticated) as refused:
            way_in(BAD_TOKENS[name])
        assert BAD_TOKENS[name] not in str(refused.value)


def test_a_long_token_is_refused_unread() -> None:
    """Also one that would be good."""
    long = token(pad="x" * 4096)
    for way_in in (auth().bearer, auth().user):
        with pytest.raises(Unauthenticated, match="too long"):
            way_in(long)


def test_a_token_confused_with_a_public_key_is_refused() -> None:
    """A key that looks like a public one is still nothing but the bytes of HS256."""
    pem = "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----"
    claimed = forged({"alg": "RS256", "typ": "JWT"}, CLAIMS, "x" * 342)
    with pytest.raises(Unauthenticated):
        auth(jwt_secret=pem).bearer(claimed)


def test_no_user_token_is_taken_without_a_secret() -> None:
    """None is configured: nobody can sign."""
    for key in (SECRET, "None" * 8):
        with pytest.raises(Unauthenticated):
            auth(jwt_secret=None).bearer(token(key=key))


# -- stream tokens --------------------------------------------------------------------------------


def test_a_stream_token_reads_its_job() -> None:
    """And no other, not even one of the same user."""
    reader = auth().bearer(auth().stream_token(JOB, 600))
    assert reader == Principal(tenant=ACME, job_id=JOB.id)
    assert reader.may_read(JOB.id, JOB.owner)
    assert not reader.may_read(JOB.id[:-1] + "2", JOB.owner)


@pytest.mark.parametrize(("life_s", "lasts_s"), [(60, 60), (3600, 3600), (1e9, 3600)])
def test_a_stream_token_ends(life_s: float, lasts_s: float) -> None:
    """With its life, and after an hour at the latest, counted from the job's creation."""
    clock = Clock()
    made = auth(clock).stream_token(JOB, life_s)
    clock.time = NOW + lasts_s - 1
    assert auth(clock).bearer(made).job_id == JOB.id
    clock.time = NOW + lasts_s
    with pytest.raises(Unauthenticated):
        auth(clock).bearer(made)


def test_the_same_job_has_the_same_token() -> None:
    """So that a repeated request gets the first answer again."""
    assert auth().stream_token(JOB, 60) == auth().stream_token(JOB, 60)


def test_neither_token_passes_for_the_other() -> None:
    """Their keys differ, even where both are derived from one secret."""
    one = auth(jwt_secret=SECRET, stream_secret=SECRET)
    stream = one.stream_token(JOB, 60)
    with pytest.raises(Unauthenticated):
        one.user(stream)
    assert one.bearer(stream).job_id == JOB.id
    posing = token(sub=JOB.id, aud="stream")
    with pytest.raises(Unauthenticated):
        one.bearer(posing)


def test_a_stream_token_outlives_its_process() -> None:
    """Where the next one signs with the same secret; what was signed with another is refused."""
    before, after = auth(stream_secret="s" * 64), auth(stream_secret="t" * 64)
    after.sign_streams_with("s" * 64)
    assert after.bearer(before.stream_token(JOB, 600)).job_id == JOB.id
    before.sign_streams_with("u" * 64)
    with pytest.raises(Unauthenticated):
        before.bearer(after.stream_token(JOB, 600))


def test_a_stream_token_of_another_gateway_is_refused() -> None:
    """Its secret is another one; and so is that of a removed app."""
    foreign = auth(stream_secret="t" * 32).stream_token(JOB, 60)
    gone = msgspec.structs.replace(JOB, owner=Owner(tenant="removed"))
    for bad in (foreign, auth().stream_token(gone, 60)):
        with pytest.raises(Unauthenticated):
            auth().bearer(bad)


def test_a_secret_made_for_a_process_is_long_and_its_own() -> None:
    """Where none is configured: 256 bits, as hex."""
    assert new_stream_secret(lambda count: b"\x01" * count) != new_stream_secret(bytes)
    assert len(new_stream_secret(bytes)) == 64


# -- owners ---------------------------------------------------------------------------------------

APP = Principal(tenant=ACME)
ZOE = Principal(tenant=ACME, user="zoë", proven=True)


@pytest.mark.parametrize(
    ("principal", "named", "user"),
    [(APP, None, None), (APP, "adam", "adam"), (ZOE, None, "zoë"), (ZOE, "adam", "zoë")],
)
def test_whose_a_job_is(principal: Principal, named: str | None, user: str | None) -> None:
    """The app's, and the user's whom its token names; without a token, whom the body names."""
    assert principal.owner(named) == Owner(tenant="acme", user=user)


@pytest.mark.parametrize(
    ("principal", "readable"),
    [
        (APP, {"acme", "acme zoë", "acme adam"}),
        (ZOE, {"acme zoë"}),
        (Principal(tenant=ACME, user="adam", proven=True), {"acme adam"}),
        (Principal(tenant=OTHER), {"other", "other zoë"}),
        (Principal(tenant=OTHER, user="zoë", proven=True), {"other zoë"}),
        (Principal(tenant=ACME, job_id="another"), set()),
        (
            Principal(tenant=OTHER, job_id=JOB.id),
            {"acme", "acme zoë", "acme adam", "other", "other zoë"},
        ),
    ],
)
def test_who_may_read_what(principal: Principal, readable: set[str]) -> None:
    """An app all of its own; a user its own only; a stream token its one job."""
    owners = {
        "acme": Owner(tenant="acme"),
        "acme zoë": Owner(tenant="acme", user="zoë"),
        "acme adam": Owner(tenant="acme", user="adam"),
        "other": Owner(tenant="other"),
        "other zoë": Owner(tenant="other", user="zoë"),
    }
    assert {name for name, owner in owners.items() if principal.may_read(JOB.id, owner)} == readable


LINK = Principal(tenant=ACME, job_id=JOB.id)


@pytest.mark.parametrize(
    ("one", "another", "both"),
    [
        (APP, APP, APP),
        (APP, ZOE, ZOE),
        (ZOE, ZOE, ZOE),
        (APP, LINK, LINK),
        (ZOE, LINK, None),
        (ZOE, Principal(tenant=ACME, user="adam", proven=True), None),
        (LINK, Principal(tenant=ACME, job_id="another"), None),
        (APP, Principal(tenant=OTHER), None),
        (APP, Principal(tenant=OTHER, user="zoë", proven=True), None),
        (ZOE, Principal(tenant=OTHER, user="zoë", proven=True), None),
    ],
)
def test_who_holds_two_credentials(
    one: Principal, another: Principal, both: Principal | None
) -> None:
    """The narrower one; None is nobody who could be known by both. Their order is no matter."""
    for first, second in ((one, another), (another, one)):
        if both is None:
            with pytest.raises(Unauthenticated, match="different"):
                first.joined(second)
        else:
            assert first.joined(second) == both
