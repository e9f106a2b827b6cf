"""A JSON body as a value: read strictly, and its texts cleaned."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from math import isinf
from typing import Any, TypeVar

import msgspec

from gateway.errors import InvalidRequest
from gateway.nesting import is_too_deep

T = TypeVar("T")

# A step of the path in msgspec's errors, which name no key of what is free in its fields.
_ANY = "[...]"
_STEP = re.compile(r"\.\w+|\[\d+\]|\[\.\.\.\]")
_FIELD_MOST = 200


def decode(data: bytes, kind: type[T]) -> T:
    """A JSON body as a struct. Unknown fields are ignored; null is absent.

    Raises:
        InvalidRequest: no JSON, or not of that shape; `field` names what is wrong.
    """
    if is_too_deep(data):
        raise InvalidRequest("The body is nested too deeply.")
    try:
        value = _decoder(kind).decode(data)
        _repeats.decode(data.decode())
    except msgspec.ValidationError as error:
        raise _invalid(error, data) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidRequest("The body is not valid JSON.") from None
    return value


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    # msgspec keeps the last of two; another reader on the way may have gone by the first.
    if len(dict(pairs)) != len(pairs):
        name = _named(Counter(name for name, _ in pairs).most_common(1)[0][0])
        raise InvalidRequest(f"{name} is there twice.", field=name)


_repeats = json.JSONDecoder(object_pairs_hook=_refuse_repeats)


def _named(key: str) -> str:
    """A key that somebody chose, fit for a message."""
    return clean(key)[:40]


def _invalid(error: msgspec.ValidationError, data: bytes) -> InvalidRequest:
    """The refusal of a body with a wrong type or a missing field, naming the field."""
    text, _, path = str(error).partition(" - at `$")
    field = (_infinite(path, data) if _ANY in path else path.strip("`.").removeprefix(".")) or None
    if field is None and "required field `" in text:
        field = text.partition("required field `")[2].rstrip("`")
    if field is None:
        return InvalidRequest(f"{text}.")
    return InvalidRequest(f"{field}: {text[0].lower()}{text[1:]}.", field=field)


def _infinite(path: str, data: bytes) -> str:
    """The name of the number that is none, at a path that leaves out keys; as far as is known."""
    try:
        name = _place(json.loads(data), _STEP.findall(path))
    except (ValueError, RecursionError):
        name = None
    return (path.partition(_ANY)[0] if name is None else name).removeprefix(".")[:_FIELD_MOST]


def _place(value: Any, steps: list[str]) -> str | None:
    """The name of the first number that is none at the end of those steps; None if all are."""
    if not steps:
        return "" if type(value) is float and isinf(value) else None
    step, *rest = steps
    for key, inner in _inside(value, step):
        name = _place(inner, rest)
        if name is not None:
            return (step if isinstance(value, list) else f".{_named(key)}") + name
    return None


def _inside(value: Any, step: str) -> Iterable[tuple[str, Any]]:
    """What is one step further, by its keys."""
    if isinstance(value, dict):
        key = step[1:]
        return value.items() if step == _ANY else [(key, value[key])] if key in value else ()
    index = step[1:-1]
    if isinstance(value, list) and index.isdecimal() and int(index) < len(value):
        return [(index, value[int(index)])]
    return ()


def required(name: str, value: str | None) -> str:
    """A text that must be there.

    Raises:
        InvalidRequest: it is absent or empty.
    """
    if not value:
        raise InvalidRequest(f"{name} is required.", field=name)
    return value


def text_field(name: str, value: str, most_characters: int = 1_000_000) -> str:
    """A text that must not be empty, without its control characters.

    Raises:
        InvalidRequest: nothing is left of it.
    """
    cleaned = clean(value)
    if not cleaned.strip():
        raise InvalidRequest(f"{name} must not be empty.", field=name)
    if len(cleaned) > most_characters:
        raise InvalidRequest(f"{name} is too long.", field=name)
    return cleaned


def priority(wanted: int | None) -> int | None:
    """A place in the queue, from 0, which is first, to 9.

    Raises:
        InvalidRequest: it is none.
    """
    if wanted is not None and not 0 <= wanted <= 9:
        raise InvalidRequest("priority must be from 0 to 9.", field="priority")
    return wanted


# C0 and C1 but for tab, line feed and carriage return.
_CONTROLS = dict.fromkeys(
    code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"
)


def clean(text: str) -> str:
    """The text without control characters; every other character stays."""
    return text.translate(_CONTROLS) if not text.isprintable() else text
