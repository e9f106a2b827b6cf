"""Apps: what their file says, and that their codes are never said."""

import hashlib
import json
import math
from typing import Any

import pytest

from gateway.problems import Problem, Report
from gateway.spending import Budget
from gateway.tenants import RequestType, Tenant, digest, in_clear, parse

CODE = "gw_0123456789abcdefghijklmnopqrstuv"
HASHED = "sha256:" + hashlib.sha256(CODE.encode()).hexdigest()


def read(codes: Any) -> tuple[tuple[Tenant, ...], list[Problem]]:
    found: list[Problem] = []
    return parse(json.dumps({"app_codes": codes}), Report("apps.json", found)), found


def test_the_documents_example_is_an_app() -> None:
    """The requirements' own JSON is taken as it stands."""
    text = """
    {
      "app_codes": {
        "abc123hash": {
          "name": "FlashCards App",
          "allowed_request_types": ["generate_flashcard", "explain_concept", "create_quiz"],
          "rate_limit": "100/hour",
          "max_tokens": 1000
        }
      }
    }
    """
    found: list[Problem] = []
    tenants = parse(text, Report("apps.json", found))
    want = Tenant(
        name="FlashCards App",
        code_digest=hashlib.sha256(b"abc123hash").hexdigest(),
        request_types=tuple(
            RequestType(name=name)
            for name in ("generate_flashcard", "explain_concept", "create_quiz")
        ),
        rate_limit="100/hour",
        max_tokens=1000,
    )
    assert (tenants, found) == ((want,), [])


def test_every_key_of_an_app_is_kept() -> None:
    """Nothing that may be written in the file is lost."""
    entry = {
        "name": "Shop",
        "allowed_request_types": [
            "plain",
            {
                "name": "rich",
                "system_prompt": "Be brief.\n",
                "temperature": 0.3,
                "max_tokens": 50,
                "model": "gpt-4o",
                "fallback_models": ["gpt-4o-mini"],
                "cache": True,
            },
            {"name": "kept", "cache": 60},
        ],
        "rate_limit": "5 per minute",
        "max_tokens": 9,
        "priority": 0,
        "weight": 2,
        "max_concurrent": 3,
        "allowed_origins": ["https://Shop.example.org"],
        "callback_origins": ["public", "http://n8n:5678"],
        "allowed_models": ["gpt-4o"],
        "allowed_modes": [],
        "admin": True,
        "budget": {"usd": 20, "per": "day", "soft": 0.5},
    }
    rich = RequestType(
        name="rich",
        system_prompt="Be brief.\n",
        temperature=0.3,
        max_tokens=50,
        model="gpt-4o",
        fallback_models=("gpt-4o-mini",),
        cache=math.inf,
    )
    want = Tenant(
        name="Shop",
        code_digest=digest(CODE),
        request_types=(
            RequestType(name="plain"),
            rich,
            RequestType(name="kept", cache=60.0),
        ),
        rate_limit="5/minute",
        max_tokens=9,
        priority=0,
        weight=2.0,
        max_concurrent=3,
        allowed_origins=("https://shop.example.org",),
        callback_origins=("public", "http://n8n:5678"),
        allowed_models=("gpt-4o",),
        allowed_modes=(),
        admin=True,
        budget=Budget(usd=20.0, per="day", soft=0.5),
    )
    assert read({CODE: entry}) == ((want,), [])


def test_what_is_absent_or_null_limits_nothing() -> None:
    """A name is enough; then no request type is allowed, and nothing else is bounded."""
    keys = set(Tenant.__struct_fields__) - {"name", "code_digest", "request_types"}
    nothing: dict[str, Any] = dict.fromkeys(keys)
    want = Tenant(name="Shop", code_digest=digest(CODE))
    assert read({CODE: {"name": "Shop", "allowed_request_types": None, **nothing}}) == ((want,), [])


@pytest.mark.parametrize(
    "key", [CODE, HASHED, HASHED.upper(), HASHED.upper().replace("SHA256", "sha256")]
)
def test_a_code_is_kept_as_its_digest(key: str) -> None:
    """The code in the clear and its SHA-256 in the file mean the same app."""
    tenants, problems = read({key: {"name": "Shop"}})
    assert ([tenant.code_digest for tenant in tenants], problems) == ([digest(CODE)], [])


@pytest.mark.parametrize("code", ["żółć", "\udc80", ""])
def test_any_text_has_a_digest(code: str) -> None:
    """What a caller sends as a code is looked up, and never an error."""
    assert len(digest(code)) == 64


def test_a_request_type_is_found_by_its_name() -> None:
    """A type that is not listed is not there."""
    tenant = Tenant(name="x", code_digest="", request_types=(RequestType(name="a"),))
    assert (tenant.request_type("a"), tenant.request_type("b")) == (RequestType(name="a"), None)


def test_a_tenant_is_written_without_its_digest() -> None:
    """The digest of a short code is nearly the code: it stays out of logs and tracebacks."""
    assert repr(Tenant(name="Shop", code_digest=digest("abc"))) == "Tenant(name='Shop')"


@pytest.mark.parametrize(
    ("codes", "clear"), [({CODE: {}}, True), ({HASHED: {}}, False), ({}, False)]
)
def test_codes_in_the_clear_are_noticed(codes: dict[str, Any], clear: bool) -> None:
    """Only digests, or no app at all, leave nothing to read."""
    assert in_clear(json.dumps({"app_codes": codes})) is clear


def test_no_file_holds_no_code() -> None:
    """A missing file is no app, nor is one that says null."""
    found: list[Problem] = []
    for text in (None, '{"app_codes": null}'):
        assert (parse(text, Report("apps.json", found)), in_clear(text)) == ((), False)
    assert found == []


APP = "app_codes.Shop"


@pytest.mark.parametrize(
    ("entry", "key", "expected", "got", "hint"),
    [
        ({"rate_limt": "1/hour"}, f"{APP}.rate_limt", "a known key", None, "rate_limit"),
        (
            {"allowed_request_type": []},
            f"{APP}.allowed_request_type",
            "a known key",
            None,
            "Did you mean allowed_request_types?",
        ),
        ({"code_digest": "x"}, f"{APP}.code_digest", "a known key", None, ""),
        ({"rate_limit": "lots"}, f"{APP}.rate_limit", "a rate such as", '"lots"', ""),
        ({"rate_limit": 100}, f"{APP}.rate_limit", "a rate such as", "100", ""),
        ({"max_tokens": 0}, f"{APP}.max_tokens", "a whole number from 1", "0", ""),
        ({"priority": 10}, f"{APP}.priority", "a whole number from 0 to 9", "10", ""),
        ({"priority": 1.5}, f"{APP}.priority", "a whole number from 0 to 9", "1.5", ""),
        ({"weight": 0}, f"{APP}.weight", "a number from 0.001", "0", ""),
        ({"max_concurrent": True}, f"{APP}.max_concurrent", "a whole number", "true", ""),
        (
            {"allowed_origins": ["https://a", "*"]},
            f"{APP}.allowed_origins",
            "a list, each of it an exact origin",
            '"*"',
            "",
        ),
        ({"allowed_models": "gpt-4o"}, f"{APP}.allowed_models", "a list", '"gpt-4o"', ""),
        ({"admin": "yes"}, f"{APP}.admin", "true or false", '"yes"', ""),
        ({"name": 7}, "app_codes.…stuv.name", "a text of one line", "7", ""),
        ({"name": None}, "app_codes.…stuv.name", "a text of one line", None, ""),
        (
            {"allowed_request_types": "a"},
            f"{APP}.allowed_request_types",
            "a list of names",
            '"a"',
            "",
        ),
        (
            {"allowed_request_types": ["a", 1]},
            f"{APP}.allowed_request_types[1]",
            "a name or an object",
            "1",
            "",
        ),
        (
            {"allowed_request_types": [{"model": "gpt-4o"}]},
            f"{APP}.allowed_request_types[0].name",
            "a text of one line",
            None,
            "",
        ),
        (
            {"allowed_request_types": ["a", {"name": "a"}]},
            f"{APP}.allowed_request_types[1].name",
            "each name once",
            '"a"',
            "",
        ),
        (
            {"allowed_request_types": [{"name": "a", "temprature": 1}]},
            f"{APP}.allowed_request_types[0].temprature",
            "a known key",
            None,
            "Did you mean temperature?",
        ),
        (
            {"allowed_request_types": [{"name": "a", "cache": "yes"}]},
            f"{APP}.allowed_request_types[0].cache",
            "true, false, or a number of seconds",
            '"yes"',
            "",
        ),
        ({"budget": 20}, f"{APP}.budget", "an object such as", "20", ""),
        ({"budget": {}}, f"{APP}.budget.usd", "a number of dollars", None, ""),
        ({"budget": {"usd": 0}}, f"{APP}.budget.usd", "a number of dollars", "0", ""),
        (
            {"budget": {"usd": 1, "per": "week"}},
            f"{APP}.budget.per",
            "one of day, month",
            '"week"',
            "",
        ),
        ({"budget": {"usd": 1, "soft": 2}}, f"{APP}.budget.soft", "a number from 0 to 1", "2", ""),
        ({"budget": {"usd": 1, "hard": 2}}, f"{APP}.budget.hard", "a known key", None, ""),
    ],
)
def test_a_wrong_app_says_where_and_what(
    entry: dict[str, Any], key: str, expected: str, got: str | None, hint: str
) -> None:
    """One problem, with the name of the app in its path and never its code."""
    _, found = read({CODE: {"name": "Shop", **entry}})
    assert [(problem.key, problem.got) for problem in found] == [(key, got)]
    assert found[0].expected.startswith(expected)
    assert hint in found[0].hint
    assert CODE not in str(found)


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        ("{", "valid JSON", "(at line 1, column 2)"),
        ('{\n"app_codes": {,}}', "valid JSON", "(at line 2, column 15)"),
        ("[]", 'an object such as {"app_codes": {}}', ""),
        ('{"app_codes": {"a": {}, "a": {}}}', "each key once", "is there twice"),
        ("[" * 100_000, "JSON of a sensible size and depth", ""),
        ('{"app_codes": ' + "9" * 5000 + "}", "JSON of a sensible size and depth", ""),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem(text: str, expected: str, hint: str) -> None:
    """A slip is found by its line; a key twice would lose one of the two."""
    found: list[Problem] = []
    assert parse(text, Report("apps.json", found)) == ()
    assert [(problem.key, problem.expected) for problem in found] == [("", expected)]
    assert hint in found[0].hint


@pytest.mark.parametrize(
    ("codes", "keys"),
    [
        ({"short": 1}, ["app_codes.the app without a name"]),
        ({CODE: []}, ["app_codes.…stuv"]),
        ({"": {"name": "Shop"}}, ["app_codes.Shop"]),
        ({"sha256:abc": {"name": "Shop"}}, ["app_codes.Shop"]),
        ({"SHA256:abc": {"name": "Shop"}}, ["app_codes.Shop"]),
        ({"a": {"name": "Shop"}, "b": {"name": " Shop"}}, ["app_codes.Shop.name"]),
        ({CODE: {"name": "Shop"}, HASHED: {"name": "Till"}}, ["app_codes.Till"]),
        ([], ["app_codes"]),
    ],
)
def test_apps_and_codes_are_well_formed_and_unique(codes: Any, keys: list[str]) -> None:
    """An entry that is none, an impossible code, and a name or code used twice are found."""
    assert [problem.key for problem in read(codes)[1]] == keys
