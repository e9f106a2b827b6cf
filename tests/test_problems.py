"""Problems of a configuration: what is written about them, and what never is."""

import pytest

from gateway.problems import ConfigError, Problem, Report, nearest, shown


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem(file="conf/gateway.toml", key="workers", expected="a number", got='"x"'),
            'conf/gateway.toml: workers: expected a number, not "x"',
        ),
        (
            Problem(file="environment", key="JWT_SECRET", expected="32 bytes"),
            "environment: JWT_SECRET: expected 32 bytes",
        ),
        (
            Problem(file="conf/apps.json", key="", expected="valid JSON", hint="See line 3."),
            "conf/apps.json: expected valid JSON. See line 3.",
        ),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    """The file comes first, then the key, what is right, what is there, and a hint."""
    assert str(problem) == line


def test_an_error_is_all_its_problems() -> None:
    """Each problem has a line of its own."""
    first = Problem(file="a", key="k", expected="x")
    second = Problem(file="b", key="l", expected="y")
    error = ConfigError([first, second])
    assert (error.problems, str(error)) == ((first, second), "a: k: expected x\nb: l: expected y")


def test_a_part_of_a_file_is_named_by_its_path() -> None:
    """Keys of a part stand behind the name of the part; the part itself has no dot at its end."""
    found: list[Problem] = []
    part = Report("conf/apps.json", found).under("app_codes").under("Shop")
    part.add("weight", "a number", "0")
    part.add("", "an object")
    part.unknown("wieght", ["weight", "priority"])
    part.unknown("two\nlines", ["weight"])
    assert found == [
        Problem(file="conf/apps.json", key="app_codes.Shop.weight", expected="a number", got="0"),
        Problem(file="conf/apps.json", key="app_codes.Shop", expected="an object"),
        Problem(
            file="conf/apps.json",
            key="app_codes.Shop.wieght",
            expected="a known key",
            hint="Did you mean weight?",
        ),
        Problem(file="conf/apps.json", key='"app_codes.Shop.two\\nlines"', expected="a known key"),
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("wrkers", "Did you mean workers?"), ("zzz", ""), ("hosts", "Did you mean host?")],
)
def test_the_nearest_name_is_a_hint(name: str, hint: str) -> None:
    """A slip of the pen is recognised; a word that looks like nothing known is left alone."""
    assert nearest(name, ["workers", "host"]) == hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "ü"], '[1, "ü"]'),
        ("http://joe:hunter2@host/", '"http://…@host/"'),
        ("x" * 100, '"' + "x" * 78 + "…"),
        ([1 << 20_000], "what is too large or too deep to show"),
    ],
)
def test_a_value_is_shown_short_and_without_passwords(value: object, text: str) -> None:
    """As JSON, cut after 80 characters; what stands before the @ of an address is left out."""
    assert shown(value) == text
