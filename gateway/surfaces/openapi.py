"""`GET /openapi.json`: what every door takes and answers, written from its routes.

https://spec.openapis.org/oas/v3.1.1
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_origin, get_type_hints

import msgspec
from aiohttp import web

from gateway import __version__
from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidRequest,
    OverBudget,
    RateLimited,
    RequestTimeout,
    StoreFull,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from gateway.surfaces.budget import HEADER
from gateway.surfaces.credentials import CODE_HEADER, TOKEN_PARAMETER
from gateway.surfaces.door import Door, answer
from gateway.surfaces.route import (
    MESSAGE,
    Access,
    Body,
    Events,
    Parameter,
    Refusals,
    Reply,
    Route,
)
from gateway.surfaces.status import shape

Item = dict[str, Any]

_REF = "#/components/schemas/{name}"
# What a path holds beside a parameter's name is aiohttp's own.
_PATTERN = re.compile(r"\{(\w+):[^}]*\}")
_DESCRIPTION = """\
Every request makes a job, whose id is in `X-Request-Id`. A job made at one door can be read at
every other by whoever owns it."""
# What is refused wherever somebody is asked who they are, and wherever a body is read.
_AT_ANY_DOOR: Refusals = (Unauthenticated, Forbidden, RateLimited, Unavailable)
# Where a body is read, and what it asks for costs something.
_OF_A_JOB: Refusals = (OverBudget, StoreFull)
_OF_A_BODY: Refusals = (InvalidRequest, RequestTimeout, TooLarge, UnsupportedMediaType)

_APP: list[Item] = [{"bearer": []}, {"appCode": []}]
_TOKEN: list[Item] = [{"tokenInQuery": []}, {"tokenInCookie": []}]
_SCHEMES: Item = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An app code, a user's JWT (HS256), or, where a job is read, its token.",
    },
    "appCode": {
        "type": "apiKey",
        "in": "header",
        "name": CODE_HEADER,
        "description": "An app code. A JSON body may hold it too, as `app_code`.",
    },
    "tokenInQuery": {
        "type": "apiKey",
        "in": "query",
        "name": TOKEN_PARAMETER,
        "description": "The token of one job's stream: it reads that job and nothing else.",
    },
    "tokenInCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": TOKEN_PARAMETER,
        "description": "The same token.",
    },
}
_HEADERS: Item = {
    "RequestId": {
        "description": "The job, at every door.",
        "required": True,
        "schema": {"type": "string"},
    },
    "BudgetWarning": {
        "description": "How much of the app's budget is spent, once most of it is.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "How many requests the limit allows that is reached.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimitRemaining": {
        "description": "How many of them are left.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimitReset": {
        "description": "How long until there are more, in seconds, such as `30s`.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds after which another try may succeed, where somebody knows.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WwwAuthenticate": {
        "description": "Which credential is asked for.",
        "required": True,
        "schema": {"type": "string"},
    },
}


_BUDGET: Item = {"$ref": "#/components/headers/BudgetWarning"}
_AGAIN = {"Retry-After": "RetryAfter"}
_REFUSAL_HEADERS = {
    401: {"WWW-Authenticate": "WwwAuthenticate"},
    402: _AGAIN,
    429: {
        **_AGAIN,
        "X-RateLimit-Limit-Requests": "RateLimit",
        "X-RateLimit-Remaining-Requests": "RateLimitRemaining",
        "X-RateLimit-Reset-Requests": "RateLimitReset",
    },
    503: _AGAIN,
    507: _AGAIN,
}


class ApiDocument:
    """The route, and the document over all doors."""

    def __init__(self, doors: Iterable[Door], *, public_url: str | None) -> None:
        """Describe `doors`, and this one.

        Args:
            public_url: where the gateway is; None says that it is where the document is.
        """
        route = Route(
            "GET",
            "/openapi.json",
            self.get,
            Access.OPEN,
            (Reply(200, "An OpenAPI document.", (dict[str, Any],)),),
        )
        self.door = Door("openapi", shape, [route])
        self._doors = [*doors, self.door]
        self._public_url = public_url

    async def get(self, request: web.Request) -> web.Response:
        """Answer with this document."""
        return answer(self._encoded)

    @cached_property
    def _encoded(self) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(document(self._doors, self._public_url)))


def document(doors: Iterable[Door], public_url: str | None) -> Item:
    """Everything that the doors take and answer."""
    routes = [_Documented(door, route) for door in doors for route in door.routes]
    schemas = _Schemas([kind for each in routes for kind in each.kinds()])
    bodies = {each.route.body.kind: each.route.body for each in routes if each.route.body}
    for body in bodies.values():
        schemas.require(body)
    paths: defaultdict[str, Item] = defaultdict(dict)
    responses: Item = {}
    for each in routes:
        paths[each.path][each.route.method.lower()] = each.operation(schemas)
        responses |= each.refusals(schemas)
    about = {"title": "AI streaming gateway", "version": __version__}
    told: Item = {"openapi": "3.1.1", "info": {**about, "description": _DESCRIPTION}}
    if public_url is not None:
        told["servers"] = [{"url": public_url}]
    return {
        **told,
        "tags": [{"name": name, "description": says} for name, says in _tags(routes).items()],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.components,
            "responses": responses,
            "headers": _HEADERS,
            "securitySchemes": _SCHEMES,
        },
    }


class _Schemas:
    """The JSON schemas of some types, and the components that they name."""

    def __init__(self, kinds: list[Any]) -> None:
        schemas, self.components = msgspec.json.schema_components(kinds, ref_template=_REF)
        for component in self.components.values():
            if "description" in component:
                # A docstring's indentation, which Python 3.13 leaves out, is code to Markdown.
                component["description"] = inspect.cleandoc(component["description"])
        self._of = dict(zip(kinds, schemas, strict=True))

    def one_of(self, kinds: tuple[Any, ...]) -> Item:
        """The schema of a value that is of one of these types."""
        schemas = [self._of[kind] for kind in kinds]
        return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}

    def require(self, body: Body) -> None:
        """Say that a body must have what the struct itself lets be absent, or null."""
        component = self.components[body.kind.__name__]
        for name in body.needs:
            kinds = component["properties"][name]["anyOf"]
            given = [each for each in kinds if each != {"type": "null"}]
            component["properties"][name] = given[0] if len(given) == 1 else {"anyOf": given}
            component.setdefault("required", []).append(name)


class _Documented(NamedTuple):
    """One route of a door, as the document tells it."""

    door: Door
    route: Route

    @property
    def path(self) -> str:
        return _PATTERN.sub(r"{\1}", self.route.path)

    @property
    def _makes(self) -> bool:
        """What is asked for there costs something."""
        return self.route.access is Access.MAKE and self.route.body is not None

    def kinds(self) -> Iterator[Any]:
        """Every type whose schema is asked for."""
        yield _error_of(self.door)
        if self.route.body is not None:
            yield self.route.body.kind
        for parameter in self.route.parameters:
            yield parameter.kind
        for reply in self.route.replies:
            yield from reply.kinds
            if reply.events is not None:
                yield from (kind for _, kind in reply.events.data)
                if reply.events.beside is not None:
                    yield reply.events.beside

    def operation(self, schemas: _Schemas) -> Item:
        """The operation object."""
        route = self.route
        summary, _, more = (inspect.getdoc(route.handler) or "").partition("\n\n")
        told: Item = {"tags": [self.door.name], "summary": " ".join(summary.split())}
        if more:
            told["description"] = more
        told["operationId"] = f"{route.method.lower()}{re.sub('[^a-z0-9]+', '_', self.path)}"
        told["operationId"] = told["operationId"].rstrip("_")
        if route.access is not Access.OPEN:
            told["security"] = self._security()
        if route.parameters:
            told["parameters"] = [_parameter(each, schemas) for each in route.parameters]
        if route.body is not None:
            told["requestBody"] = _body(route.body, schemas)
        return {**told, "responses": self._responses(schemas)}

    def _security(self) -> list[Item]:
        """What may come in; an empty one says that it can do without any in its headers."""
        body = self.route.body
        coded = body is not None and "app_code" in body.kind.__struct_fields__
        token = _TOKEN if self.route.access is Access.READ else []
        bare = self.route.bare or self.route.access is Access.ADMIN
        return [*_APP, *token, *([{}] if coded or bare else [])]

    def _responses(self, schemas: _Schemas) -> Item:
        told = {reply.status: _reply(reply, schemas) for reply in self.route.replies}
        if self._makes:
            for answer in told.values():
                answer.setdefault("headers", {})[HEADER] = _BUDGET
        for status, kinds in sorted(self._refused().items()):
            if status in told:
                raise AssertionError(f"{self.path}: {status} is an answer and a refusal")
            told[status] = {"$ref": f"#/components/responses/{self._name(kinds)}"}
        return {str(status): response for status, response in told.items()}

    def refusals(self, schemas: _Schemas) -> Item:
        """Every refusal that the route may answer, as components by their names."""
        found = self._refused().items()
        return {self._name(kinds): self._refusal(status, kinds, schemas) for status, kinds in found}

    def _name(self, kinds: list[type[GatewayError]]) -> str:
        return "-".join([self.door.name, *(kind.__name__ for kind in kinds)])

    def _refused(self) -> dict[int, list[type[GatewayError]]]:
        """Every error that the route may end with, by its status at this door."""
        route = self.route
        kinds = [*route.refuses, GatewayError]
        if route.access is not Access.OPEN:
            kinds += _AT_ANY_DOOR
        if route.body is not None:
            kinds += _OF_A_BODY
            if self._makes:
                kinds += _OF_A_JOB
        found: defaultdict[int, list[type[GatewayError]]] = defaultdict(list)
        for kind in sorted(set(kinds), key=lambda kind: kind.__name__):
            found[self.door.status(kind)].append(kind)
        return found

    def _refusal(self, status: int, kinds: list[type[GatewayError]], schemas: _Schemas) -> Item:
        told: Item = {"description": " ".join(kind.default for kind in kinds)}
        if status in _REFUSAL_HEADERS:
            told["headers"] = {
                name: {"$ref": f"#/components/headers/{component}"}
                for name, component in _REFUSAL_HEADERS[status].items()
            }
        content = {
            "schema": schemas.one_of((_error_of(self.door),)),
            "examples": {kind.__name__: {"value": self.door.shape(kind())} for kind in kinds},
        }
        return {**told, "content": {"application/json": content}}


def _stream(events: Events, schemas: _Schemas) -> Item:
    """The schema of an event stream, which is that of each of its events."""
    told = [_event(name, kind, events.beside, schemas) for name, kind in events.data]
    return told[0] if len(told) == 1 else {"anyOf": told}


def _event(name: str, kind: Any, beside: Any, schemas: _Schemas) -> Item:
    data = schemas.one_of((kind,))
    if kind is not str and get_origin(kind) is not Literal:
        if beside is not None:
            data = {"allOf": [data, schemas.one_of((beside,))]}
        data = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    named = {} if name == MESSAGE else {"event": {"const": name}}
    fields = {**named, "id": {"type": "string"}, "data": data}
    return {"type": "object", "properties": fields, "required": [*named, "data"]}


def _error_of(door: Door) -> Any:
    """The type of a door's errors."""
    return get_type_hints(door.shape)["return"]


def _tags(routes: list[_Documented]) -> dict[str, str]:
    """What each door is for, as its module says."""
    modules = {each.door.name: inspect.getmodule(each.route.handler) for each in routes}
    return {name: (inspect.getdoc(of) or "").partition("\n")[0] for name, of in modules.items()}


def _parameter(parameter: Parameter, schemas: _Schemas) -> Item:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.says,
        "required": parameter.place == "path",
        "schema": schemas.one_of((parameter.kind,)),
    }


def _body(body: Body, schemas: _Schemas) -> Item:
    content = {"schema": schemas.one_of((body.kind,)), "example": body.example}
    return {"required": body.required, "content": {"application/json": content}}


def _reply(reply: Reply, schemas: _Schemas) -> Item:
    content: Item = {}
    if reply.kinds:
        content["application/json"] = {"schema": schemas.one_of(reply.kinds)}
    if reply.events is not None:
        schema = _stream(reply.events, schemas)
        content["text/event-stream"] = {"schema": schema, "example": reply.events.example}
    if reply.media:
        content[reply.media] = {}
    told: Item = {"description": reply.says}
    if reply.job:
        told["headers"] = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    return {**told, "content": content} if content else told
