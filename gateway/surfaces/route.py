"""Routes: what is asked where, who may ask, and what is answered.

The API document is written from them, so a route that says nothing of its answers cannot be.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import msgspec
from aiohttp import web

from gateway.errors import GatewayError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refusals = tuple[type[GatewayError], ...]


class Access(StrEnum):
    """What a route lets its caller do."""

    OPEN = "open"
    MAKE = "make"
    READ = "read"
    CANCEL = "cancel"
    # To see and forget what one's own requests left.
    OWN = "own"
    # To see everybody's, and how the gateway is.
    ADMIN = "admin"


class Parameter(NamedTuple):
    """What a route reads beside a body. Only those in the path must be there."""

    name: str
    place: Literal["path", "query", "header"]
    says: str
    kind: Any = str


class Body(NamedTuple):
    """A JSON body.

    Attributes:
        kind: the struct that decodes it.
        example: one that is accepted.
        needs: the fields that must be there. The struct lets them be absent, so that who asks is
            looked at before what is asked.
        required: there must be a body.
    """

    kind: type[msgspec.Struct]
    example: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    required: bool = True


class Events(NamedTuple):
    """A stream of server-sent events.

    Attributes:
        example: how some of them are sent.
        data: what each says, after its name, which several may share: a type is that of its JSON,
            `str` is any text, a literal that very text.
        beside: what the JSON of each has, too.
    """

    example: str
    data: tuple[tuple[str, Any], ...]
    beside: Any = None


class Reply(NamedTuple):
    """An answer that is no refusal.

    Attributes:
        kinds: what its JSON is, one of these; none where it has none.
        events: what it says as a stream; None where it is none.
        media: what its bytes are, where they are neither.
        job: it names a job in `X-Request-Id`.
    """

    status: int
    says: str
    kinds: tuple[Any, ...] = ()
    events: Events | None = None
    media: str = ""
    job: bool = False


class Route(NamedTuple):
    """One method of one path. The handler's docstring says what it does.

    Attributes:
        refuses: what can go wrong here; what every route of its access may refuse is understood.
        bare: a request without any credential may be answered too.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    replies: tuple[Reply, ...]
    body: Body | None = None
    parameters: tuple[Parameter, ...] = ()
    refuses: Refusals = ()
    bare: bool = False


# Of a number in a body: its place in the queue. Others are refused with a sentence.
PRIORITY = msgspec.Meta(
    description="0 is first, 9 is last; none is better than the app's own.",
    extra_json_schema={"minimum": 0, "maximum": 9},
)
# The name of an event that is sent without one.
MESSAGE = "message"
JOB_ID = Parameter("id", "path", "The id of a request, as the answer that made it names it.")
