"""What a value of the configuration must be: one rule a key, written beside the key.

A struct carries the rule of each field in its annotation (`Annotated[int, whole(1, 9)]`);
`rules_of` reads them back, so that the struct itself is the table of what may be configured.
"""

import ipaddress
import re
import tomllib
from base64 import b64decode
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, get_type_hints

from gateway.destinations import parse_origin
from gateway.problems import Report, shown

_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d*)?|\.\d+)", re.ASCII)
_RATE = re.compile(r"([1-9]\d{0,8})\s*(?:/|per)\s*(second|minute|hour|day)s?", re.IGNORECASE)
_URL = re.compile(
    r"(?P<origin>https?://[^/?#@\s]+)(?P<path>/[a-z0-9._~/%-]*)?", re.ASCII | re.IGNORECASE
)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_FLAGS = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


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


def read(rules: Mapping[str, Rule], raw: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """The checked values of an object; null and "" are absent, each wrong key is reported.

    Where the rule says that "" clears, it is None instead.
    """
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in rules:
            report.unknown(key, rules)
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

    def check(value: Any) -> str:
        need(isinstance(value, str) and value.isprintable())
        stripped = str(value).strip()
        need(0 < len(stripped) <= max_length)
        return stripped

    return Rule(f"a text of one line, at most {max_length} characters", check)


def folder() -> Rule:
    """A folder's path; "" for none, also where the default is one."""
    return text(4096)._replace(expected='a folder, or "" for none', clears=True)


def prose() -> Rule:
    """Text of any length and any number of lines, kept as it is."""

    def check(value: Any) -> str:
        need(isinstance(value, str))
        return str(value)

    return Rule("a text", check)


def key() -> Rule:
    """A secret that travels in an HTTP header."""

    def check(value: Any) -> str:
        need(isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None)
        return str(value)

    return Rule("a key of visible ASCII characters without blanks", check, secret=True)


def secret(min_bytes: int) -> Rule:
    """A secret for signing."""

    def check(value: Any) -> str:
        need(isinstance(value, str) and len(value.encode()) >= min_bytes)
        return str(value)

    return Rule(f"a secret of at least {min_bytes} bytes", check, secret=True)


def signing_keys() -> Rule:
    """One or two keys of Standard Webhooks, kept as a tuple.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    def check(value: Any) -> tuple[str, ...]:
        need(isinstance(value, str))
        keys = tuple(value.split())
        need(1 <= len(keys) <= 2)
        for each in keys:
            need(each.startswith("whsec_"))
            need(len(b64decode(each.removeprefix("whsec_"), validate=True)) >= 16)
        return keys

    return Rule(
        "whsec_ and at least 16 bytes in base64; two of them, a space between, while rotating",
        check,
        secret=True,
    )


def host() -> Rule:
    """An address or a host name to listen on."""

    def check(value: Any) -> str:
        need(isinstance(value, str))
        if not _HOST.fullmatch(value):
            ipaddress.ip_address(value)
        return str(value)

    return Rule("an IP address or a host name, such as 127.0.0.1", check)


def url(drop: str = "") -> Rule:
    """An http or https address, kept without a slash, or `drop`, at its end."""

    def check(value: Any) -> str:
        match = _URL.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError
        path = (match["path"] or "").rstrip("/").removesuffix(drop).rstrip("/")
        return f"{parse_origin(match['origin'])}{path}"

    return Rule("an address such as https://ai.example.org, without user name and query", check)


def origin(*words: str) -> Rule:
    """A web origin in its one form, or one of the words."""

    def check(value: Any) -> str:
        need(isinstance(value, str))
        return str(value) if value in words else parse_origin(value)

    expected = "an exact origin such as https://app.example.org"
    return Rule(f"{expected} or the word {' or '.join(words)}" if words else expected, check)


def redis_url() -> Rule:
    """Where a Redis is; it may hold a password."""

    def check(value: Any) -> str:
        pattern = r"(rediss?://[^/\s]+|unix:///)\S*"
        need(isinstance(value, str) and re.fullmatch(pattern, value) is not None)
        return str(value)

    return Rule("an address such as redis://127.0.0.1:6379/0", check, secret=True)


def network() -> Rule:
    """An address or a network of addresses, kept as a network."""

    def check(value: Any) -> str:
        need(isinstance(value, str))
        return str(ipaddress.ip_network(value, strict=False))

    return Rule("an IP address or network, such as 10.0.0.0/8", check)


def rate() -> Rule:
    """How many requests in which time, kept as `100/hour`."""

    def check(value: Any) -> str:
        match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError
        return f"{match[1]}/{match[2].lower()}"

    return Rule("a rate such as 100/hour (second, minute, hour or day)", check)


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
