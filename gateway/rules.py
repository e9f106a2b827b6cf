"""What a value of the configuration must be: one rule a key, written beside the key.

A struct carries the rule of each field in its annotation (`Annotated[int, whole(1, 9)]`);
`rules_of` reads them back, so that the struct itself is the table of what may be configured.
"""

import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, get_type_hints

from gateway.destinations import parse_origin
from gateway.problems import Report, shown
from gateway.webhooks import parse_secrets

_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)", re.ASCII)
_RATE = re.compile(r"([1-9]\d{0,8})\s*(?:/|per)\s*(second|minute|hour|day)s?", re.IGNORECASE)
_URL = re.compile(r"(https?://[^/?#@\s]+)(/[a-z0-9._~/%-]*)?", re.ASCII | re.IGNORECASE)
_REDIS_URL = re.compile(r"(rediss?://[^/\s]+|unix:///)\S*")
_KEY = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_FLAGS = dict.fromkeys(("true", "1", "yes", "on"), True)
_FLAGS |= dict.fromkeys(("false", "0", "no", "off"), False)


class Rule(NamedTuple):
    """What one value must be.

    Attributes:
        expected: that, in words.
        check: gives the value as it is kept, or raises ValueError.
        from_text: what the text of an environment variable stands for; it may give back
            something that `check` then refuses.
        secret: the value must never be shown.
        clears: "" is a value too, and means None; else it leaves the default.
    """

    expected: str
    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str
    secret: bool = False
    clears: bool = False


def rules_of(struct: type) -> dict[str, Rule]:
    """The rule of each field whose annotation carries one."""
    return {
        name: rule
        for name, hint in get_type_hints(struct, include_extras=True).items()
        for rule in getattr(hint, "__metadata__", ())
        if isinstance(rule, Rule)
    }


def read(
    rules: Mapping[str, Rule],
    raw: Mapping[str, Any],
    report: Report,
    *,
    beside: Iterable[str] = (),
) -> dict[str, Any]:
    """The checked values of an object; null and "" are absent, each wrong key is reported.

    Where the rule says that "" clears, it is None instead.

    Args:
        beside: keys that the caller has read and taken out; another may be meant for one.
    """
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in rules:
            report.unknown(key, [*rules, *beside])
        elif value == "" and rules[key].clears:
            values[key] = None
        elif value is not None and value != "":
            try:
                values[key] = rules[key].check(value)
            except ValueError as error:
                wrong = error.item if isinstance(error, WrongItem) else value
                got = None if rules[key].secret else shown(wrong)
                report.add(key, rules[key].expected, got)
    return values


class WrongItem(ValueError):
    """One item of a list is wrong: it is what a message should show."""

    def __init__(self, item: Any) -> None:
        super().__init__()
        self.item = item


def read_toml(text: str, report: Report) -> dict[str, Any] | None:
    """What a TOML text says; None, and a problem with its line, where it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        report.add("", "valid TOML", hint=f"{error}.")
    except (ValueError, RecursionError):
        report.add("", "TOML with numbers and nesting of a sensible size")
    return None


def need(condition: bool) -> None:
    """Refuse the value unless the condition holds.

    Raises:
        ValueError: it does not.
    """
    if not condition:
        raise ValueError


def whole(low: int, high: int) -> Rule:
    """An integer; true and 1.0 are none."""

    def check(value: Any) -> int:
        need(type(value) is int and low <= value <= high)
        return int(value)

    return Rule(
        f"a whole number from {low} to {high}",
        check,
        lambda text: int(text) if _WHOLE.fullmatch(text) else text,
    )


def number(low: float, high: float, unit: str = "a number") -> Rule:
    """An integer or a float, kept as a float; true and NaN are none."""

    def check(value: Any) -> float:
        need(type(value) in (int, float) and low <= value <= high)
        return float(value)

    return Rule(
        f"{unit} from {low:g} to {high:.12g}",
        check,
        lambda text: float(text) if _NUMBER.fullmatch(text) else text,
    )


def seconds(low: float, high: float) -> Rule:
    """A duration."""
    return number(low, high, "a number of seconds")


def switch_or_seconds(on: float) -> Rule:
    """A duration; false is none of it, and true is `on`."""
    duration = seconds(0, 1e9)

    def check(value: Any) -> float:
        if type(value) is bool:
            return on if value else 0.0
        return float(duration.check(value))

    return Rule(f"true, false, or {duration.expected}", check)


def flag() -> Rule:
    """true or false; in the environment also 1, 0, yes, no, on, off."""

    def check(value: Any) -> bool:
        need(type(value) is bool)
        return bool(value)

    return Rule("true or false", check, lambda text: _FLAGS.get(text.lower(), text))


def choice(words: type[StrEnum]) -> Rule:
    """One word of a closed set."""
    return Rule(f"one of {', '.join(words)}", words)


def word(words: tuple[str, ...]) -> Rule:
    """One word of those."""

    def check(value: Any) -> str:
        need(value in words)
        return str(value)

    return Rule(f"one of {', '.join(words)}", check)


def table() -> Rule:
    """A table whose keys have rules of their own."""

    def check(value: Any) -> dict[str, Any]:
        need(isinstance(value, dict))
        return dict(value)

    return Rule("a table", check)


def text(max_length: int = 200) -> Rule:
    """A line of text, without blanks around it."""

    def keep(given: str) -> str:
        stripped = given.strip()
        need(given.isprintable() and 0 < len(stripped) <= max_length)
        return stripped

    return _textual(f"a text of one line, at most {max_length} characters", keep)


def folder() -> Rule:
    """A folder's path; "" for none, also where the default is one."""
    return text(4096)._replace(expected='a folder, or "" for none', clears=True)


def prose() -> Rule:
    """Text of any length and any number of lines, kept as it is."""
    return _textual("a text", str)


def key() -> Rule:
    """A secret that travels in an HTTP header."""
    expected = "a key of visible ASCII characters without blanks"
    return _textual(expected, lambda given: _matched(_KEY, given)[0], secret=True)


def secret(min_bytes: int) -> Rule:
    """A secret for signing."""

    def keep(given: str) -> str:
        need(len(given.encode()) >= min_bytes)
        return given

    return _textual(f"a secret of at least {min_bytes} bytes", keep, secret=True)


def signing_keys() -> Rule:
    """One or two keys of Standard Webhooks, kept as a tuple.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    def keep(given: str) -> tuple[str, ...]:
        words = tuple(given.split())
        need(len(parse_secrets(words)) > 0)
        return words

    return _textual(
        "whsec_ and at least 16 bytes in base64; two of them, a space between, while rotating",
        keep,
        secret=True,
    )


def host() -> Rule:
    """An address or a host name to listen on."""

    def keep(given: str) -> str:
        if not _HOST.fullmatch(given):
            ipaddress.ip_address(given)
        return given

    return _textual("an IP address or a host name, such as 127.0.0.1", keep)


def url(drop: str = "") -> Rule:
    """An http or https address, kept without a slash, or `drop`, at its end."""

    def keep(given: str) -> str:
        origin, path = _matched(_URL, given).groups(default="")
        return parse_origin(origin) + path.rstrip("/").removesuffix(drop).rstrip("/")

    return _textual("an address such as https://ai.example.org, without user name and query", keep)


def origin(*words: str) -> Rule:
    """A web origin in its one form, or one of the words."""
    expected = "an exact origin such as https://app.example.org"
    return _textual(
        f"{expected} or the word {' or '.join(words)}" if words else expected,
        lambda given: given if given in words else parse_origin(given),
    )


def redis_url() -> Rule:
    """Where a Redis is; it may hold a password."""
    expected = "an address such as redis://127.0.0.1:6379/0"
    return _textual(expected, lambda given: _matched(_REDIS_URL, given)[0], secret=True)


def network() -> Rule:
    """An address or a network of addresses, kept as a network."""
    expected = "an IP address or network, such as 10.0.0.0/8"
    return _textual(expected, lambda given: str(ipaddress.ip_network(given, strict=False)))


def rate() -> Rule:
    """How many requests in which time, kept as `100/hour`."""

    def keep(given: str) -> str:
        count, unit = _matched(_RATE, given.strip()).groups()
        return f"{count}/{unit.lower()}"

    return _textual("a rate such as 100/hour (second, minute, hour or day)", keep)


def _textual(expected: str, keep: Callable[[str], Any], *, secret: bool = False) -> Rule:
    """A text, as `keep` gives it back; what that refuses with a ValueError is refused."""

    def check(value: Any) -> Any:
        need(isinstance(value, str))
        return keep(value)

    return Rule(expected, check, secret=secret)


def _matched(pattern: re.Pattern[str], given: str) -> re.Match[str]:
    match = pattern.fullmatch(given)
    if match is None:
        raise ValueError
    return match


def listed(item: Rule) -> Rule:
    """A list of such values, kept as a tuple in its order, without repeats."""

    def check(value: Any) -> tuple[Any, ...]:
        need(isinstance(value, list | tuple))
        return tuple(dict.fromkeys(_item(item, each) for each in value))

    return Rule(f"a list, each of it {item.expected}", check, _split, item.secret)


def mapped(name: Rule, value: Rule) -> Rule:
    """A table from such names to such values; `name=value,name=value` in the environment."""

    def check(table: Any) -> dict[Any, Any]:
        need(isinstance(table, dict))
        return {name.check(k): value.check(v) for k, v in table.items()}

    def from_text(text: str) -> Any:
        pairs = [each.partition("=") for each in _split(text)]
        return {k.strip(): v.strip() for k, _, v in pairs}

    return Rule(f"a table, each name and each value {value.expected}", check, from_text)


def _item(rule: Rule, value: Any) -> Any:
    try:
        return rule.check(value)
    except ValueError:
        raise WrongItem(value) from None


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
