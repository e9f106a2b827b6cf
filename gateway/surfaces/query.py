"""What the query of a list asks for: which page, of what, from when on."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from gateway.errors import InvalidRequest
from gateway.history import Filter, Place
from gateway.jobs import State, is_job_id
from gateway.surfaces.body import clean
from gateway.surfaces.route import Parameter

Word = TypeVar("Word", bound=StrEnum)

StateName = Literal["queued", "processing", "completed", "error", "cancelled", "expired"]

_PAGE = 50
_PAGE_MOST = 200
_TEXT_MOST = 200

_Limit = Annotated[int, msgspec.Meta(ge=1, le=_PAGE_MOST)]
_Text = Annotated[str, msgspec.Meta(max_length=_TEXT_MOST)]
PAGING = (
    Parameter("limit", "query", f"At most so many, {_PAGE} where nothing is said.", _Limit),
    Parameter("before", "query", "The `next` of an earlier page: what follows it."),
)
TIME_SAYS = "{}: UTC, seconds since the epoch or as 2026-11-20T22:44:00Z."
FILTERS = (
    Parameter("user", "query", "Only this user's.", _Text),
    Parameter("door", "query", "Only those made at this door.", _Text),
    Parameter("state", "query", "Only those in this state.", StateName),
    Parameter("model", "query", "Only those of this model.", _Text),
    Parameter("q", "query", "Only those with this in their id, user or prompt's beginning.", _Text),
    Parameter("since", "query", TIME_SAYS.format("Made no earlier")),
    Parameter("until", "query", TIME_SAYS.format("Made before")),
    *PAGING,
)


def wanted(request: web.Request, **of: Any) -> Filter:
    """What the query asks for.

    Args:
        of: what it is held to, whatever it asks.

    Raises:
        InvalidRequest: a value of it is none; `field` says which.
    """
    return msgspec.structs.replace(
        Filter(
            user=text_of(request, "user"),
            door=text_of(request, "door"),
            state=word_of(request, "state", State),
            model=text_of(request, "model"),
            since=time_of(request, "since"),
            until=time_of(request, "until"),
            text=text_of(request, "q"),
        ),
        **of,
    )


def text_of(request: web.Request, name: str) -> str | None:
    """A text of the query; None where there is none.

    Raises:
        InvalidRequest: it is too long.
    """
    text = request.query.get(name) or None
    if text is not None and len(text) > _TEXT_MOST:
        raise InvalidRequest(f"{name} has at most {_TEXT_MOST} characters.", field=name)
    return text


def word_of(request: web.Request, name: str, words: type[Word]) -> Word | None:
    """A word of the query, one of a closed set; None where there is none.

    Raises:
        InvalidRequest: it is another.
    """
    word = request.query.get(name)
    if not word:
        return None
    if word not in set(words):
        raise InvalidRequest(f"{name} is one of {', '.join(words)}.", field=name)
    return words(word)


def time_of(request: web.Request, name: str) -> float | None:
    """A time of the query, in seconds since the epoch; None where there is none.

    Raises:
        InvalidRequest: it is no time.
    """
    text = request.query.get(name)
    if not text:
        return None
    try:
        return _finite(text)
    except ValueError:
        pass
    try:
        # A plus that was not escaped is a space by now.
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{clean(name)} is no time.", field=name) from None


def _finite(text: str) -> float:
    found = float(text)
    if not isfinite(found):
        raise ValueError(text)
    return found


def limit_of(request: web.Request) -> int:
    """How many the query wants at most.

    Raises:
        InvalidRequest: no number, or one out of range.
    """
    text = request.query.get("limit")
    if not text:
        return _PAGE
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 0 < int(text) <= _PAGE_MOST):
        raise InvalidRequest(f"limit must be from 1 to {_PAGE_MOST}.", field="limit")
    return int(text)


def before_of(request: web.Request, is_id: Callable[[str], bool] = is_job_id) -> Place | None:
    """The place that `written` wrote; None where the query has none.

    Args:
        is_id: what stands in the list has such ids.

    Raises:
        InvalidRequest: anything else.
    """
    text = request.query.get("before")
    if not text:
        return None
    at, _, id = text.partition("~")
    try:
        place = Place(_finite(at), id)
    except ValueError:
        place = Place(0.0, "")
    if not is_id(place.id):
        raise InvalidRequest("before must be the `next` of an earlier page.", field="before")
    return place


def written(place: Place | None) -> str | None:
    """A place as `before_of` reads it."""
    return None if place is None else f"{place.at!r}~{place.id}"
