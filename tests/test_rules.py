"""The rule of each kind of value: what it takes, what it keeps, what it refuses."""

import math
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest

from gateway import rules
from gateway.problems import Problem, Report
from gateway.rules import Rule


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


ORIGIN = rules.origin("public")
KEY24 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY16 = "whsec_AAAAAAAAAAAAAAAAAAAAAA=="

TAKEN: list[tuple[Rule, Any, Any]] = [
    (rules.whole(1, 9), 1, 1),
    (rules.whole(1, 9), 9, 9),
    (rules.number(0, 1), 0, 0.0),
    (rules.number(0, 1), 0.5, 0.5),
    (rules.seconds(0, 60), 60, 60.0),
    (rules.switch_or_seconds(math.inf), True, math.inf),
    (rules.switch_or_seconds(math.inf), False, 0.0),
    (rules.switch_or_seconds(math.inf), 30, 30.0),
    (rules.flag(), True, True),
    (rules.choice(Colour), "red", Colour.RED),
    (rules.word(("a", "b")), "b", "b"),
    (rules.table(), {"a": 1}, {"a": 1}),
    (rules.text(3), " abc ", "abc"),
    (rules.text(), "Żółć", "Żółć"),
    (rules.prose(), "a\n b ", "a\n b "),
    (rules.key(), "sk-1_/+=", "sk-1_/+="),
    (rules.secret(4), "żó", "żó"),
    (rules.signing_keys(), KEY24, (KEY24,)),
    (rules.signing_keys(), f"{KEY24} {KEY16}", (KEY24, KEY16)),
    (rules.host(), "0.0.0.0", "0.0.0.0"),
    (rules.host(), "::1", "::1"),
    (rules.host(), "my-host.lan", "my-host.lan"),
    (rules.url(), "https://AI.example.org:443/gw/", "https://ai.example.org/gw"),
    (rules.url(), "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    (rules.url("/v1"), "https://api.example.org/v1/", "https://api.example.org"),
    (rules.url("/v1"), "https://api.example.org/openai/v1", "https://api.example.org/openai"),
    (rules.url("/v1"), "https://api.example.org/v11", "https://api.example.org/v11"),
    (rules.url("/v1"), "http://[::1]:8080/v1", "http://[::1]:8080"),
    (ORIGIN, "HTTPS://App.Example.org:443/", "https://app.example.org"),
    (ORIGIN, "http://localhost:3000", "http://localhost:3000"),
    (ORIGIN, "public", "public"),
    (rules.redis_url(), "rediss://:pw@host:6379/0", "rediss://:pw@host:6379/0"),
    (rules.redis_url(), "unix:///run/redis.sock", "unix:///run/redis.sock"),
    (rules.network(), "10.1.2.3/8", "10.0.0.0/8"),
    (rules.network(), "::1", "::1/128"),
    (rules.rate(), "100/hour", "100/hour"),
    (rules.rate(), "100 per Hours", "100/hour"),
    (rules.rate(), "5/second", "5/second"),
    (rules.listed(rules.whole(1, 9)), [3, 1, 3], (3, 1)),
    (rules.listed(rules.text()), [], ()),
    (
        rules.mapped(rules.origin(), rules.origin()),
        {"https://N8N.example.org": "http://n8n:5678"},
        {"https://n8n.example.org": "http://n8n:5678"},
    ),
]

REFUSED: list[tuple[Rule, list[Any]]] = [
    (rules.whole(1, 9), [0, 10, 1.0, True, "1", None, [1], 10**400]),
    (rules.number(0, 1), [-0.1, 1.1, math.nan, math.inf, True, "0.5", None]),
    (rules.switch_or_seconds(math.inf), [-1, "true", math.nan, None]),
    (rules.flag(), [0, 1, "true", None]),
    (rules.choice(Colour), ["green", "RED", 1, [], None]),
    (rules.word(("a", "b")), ["c", "ab", "", 1, ["a"]]),
    (rules.table(), [[], "a", 1]),
    (rules.text(3), ["abcd", " ", "a\nb", "a\0", 1, ["a"]]),
    (rules.prose(), [1, ["a"], {}]),
    (rules.key(), ["a b", "a\r\nb", "ż", "", 1]),
    (rules.secret(4), ["abc", "żx", 1234]),
    (
        rules.signing_keys(),
        [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_AAAA",
            "whsec_!!!!!!!!!!!!!!!!!!!!!!!!",
            f"{KEY24},{KEY24}",
            f"{KEY24} {KEY24} {KEY24}",
            " ",
            1,
        ],
    ),
    (rules.host(), ["a b", "-a", "1::2::3", "http://a", "a:80", 1]),
    (
        rules.url(),
        [
            "ai.example.org",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?x=1",
            "https://a#x",
            "https://a:99999",
            "https://a b",
            "https://a/\n",
            "javascript:alert(1)",
            1,
        ],
    ),
    (
        ORIGIN,
        ["*", "null", "https://*.a", "https://a/path", "a", "https://a?", "https://a,https://b", 1],
    ),
    (rules.redis_url(), ["localhost:6379", "http://a", "redis://", "redis://a b", 1]),
    (rules.network(), ["a", "10.0.0.0/99", 10]),
    (rules.rate(), ["100", "0/hour", "-1/hour", "100/year", "1.5/hour", "/hour", 100]),
    (rules.listed(rules.whole(1, 9)), [3, "3", [3, 10], [None], {"a": 1}]),
    (
        rules.mapped(rules.origin(), rules.origin()),
        [[], "https://a", {"https://a": "b"}, {"a": "https://b"}, {"https://a": 1}],
    ),
]


def refused(rule: Rule, value: Any) -> bool:
    """The rule raises what `read` makes a problem of."""
    try:
        rule.check(value)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(("rule", "value", "kept"), TAKEN)
def test_a_right_value_is_kept_in_one_form(rule: Rule, value: Any, kept: Any) -> None:
    """What may be written in several ways is kept in one, of one type."""
    got = rule.check(value)
    assert (type(got), got) == (type(kept), kept)


@pytest.mark.parametrize(
    ("rule", "value"), [(rule, value) for rule, values in REFUSED for value in values]
)
def test_a_wrong_value_is_refused(rule: Rule, value: Any) -> None:
    """Nothing is guessed: another type, another form or a number out of range is an error."""
    assert refused(rule, value)


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        (rules.whole(0, 99), "42", 42),
        (rules.whole(0, 99), "+7", 7),
        (rules.number(0, 99), "1.5", 1.5),
        (rules.number(0, 99), ".5", 0.5),
        (rules.flag(), "TRUE", True),
        (rules.flag(), "1", True),
        (rules.flag(), "off", False),
        (rules.flag(), "No", False),
        (rules.listed(rules.text()), " a, b ,,c", ("a", "b", "c")),
        (
            rules.mapped(rules.origin(), rules.origin()),
            "https://a=http://b:1, https://c = http://d",
            {"https://a": "http://b:1", "https://c": "http://d"},
        ),
    ],
)
def test_a_variable_is_text_for_a_value(rule: Rule, text: str, value: Any) -> None:
    """Numbers, switches, lists and tables have a form in the environment."""
    assert rule.check(rule.from_text(text)) == value


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (rules.whole(0, 99), "4.0"),
        (rules.whole(0, 99), "1_0"),
        (rules.whole(0, 99), "٤"),
        (rules.whole(0, 99), "9" * 5000),
        (rules.number(0, 99), "nan"),
        (rules.number(0, 99), "1e1"),
        (rules.number(0, 99), "10s"),
        (rules.flag(), "maybe"),
        (rules.mapped(rules.origin(), rules.origin()), "https://a"),
    ],
)
def test_a_variable_that_stands_for_nothing_is_refused(rule: Rule, text: str) -> None:
    """Text that only Python would read as a number, or half a pair, is an error."""
    assert refused(rule, rule.from_text(text))


class Shop(msgspec.Struct):
    name: Annotated[str, rules.text()]
    size: Annotated[int, rules.whole(1, 9)]
    tags: Annotated[list[str], rules.listed(rules.text())]
    code: Annotated[str, rules.key()]
    unruled: int


def test_a_struct_is_the_table_of_its_rules() -> None:
    """A field without a rule cannot be configured."""
    assert list(rules.rules_of(Shop)) == ["name", "size", "tags", "code"]


def test_an_object_is_read_whole() -> None:
    """Right values are kept beside wrong ones, and no secret is shown."""
    found: list[Problem] = []
    raw = {"name": "x", "size": 0, "tags": ["a", 7], "code": "a b", "sizes": 1, "unruled": 1}
    values = rules.read(rules.rules_of(Shop), raw, Report("f", found))
    assert values == {"name": "x"}
    assert [(problem.key, problem.got, problem.hint) for problem in found] == [
        ("size", "0", ""),
        ("tags", "7", ""),
        ("code", None, ""),
        ("sizes", None, "Did you mean size?"),
        ("unruled", None, ""),
    ]


def test_null_and_nothing_are_absent() -> None:
    """A key without a value is as if it were not there, whatever its rule."""
    found: list[Problem] = []
    raw = {"name": "", "size": None, "code": ""}
    assert (rules.read(rules.rules_of(Shop), raw, Report("f", found)), found) == ({}, [])


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        ("a = \n", "valid TOML", "at line 1"),
        ("a = 1\n\na = 2\n", "valid TOML", "at line 3"),
        ("a = " + "9" * 5000, "TOML with numbers and nesting of a sensible size", ""),
        ("a = " + "[" * 5000, "TOML with numbers and nesting of a sensible size", ""),
    ],
    ids=["no value", "twice", "huge", "deep"],
)
def test_a_text_that_is_no_toml_is_one_problem(text: str, expected: str, hint: str) -> None:
    """A slip is found by its line; a monstrous file is refused and does not end the process."""
    found: list[Problem] = []
    assert rules.read_toml(text, Report("f", found)) is None
    assert [(problem.key, problem.expected) for problem in found] == [("", expected)]
    assert hint in found[0].hint
