"""Models: who serves each, how much it takes, and which parameters in which range.

A model is found by its name in `conf/models.toml`, else by what its name looks like. The
only file that knows which provider a name belongs to.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any

import msgspec

from gateway import rules, sampling
from gateway.errors import InvalidRequest, UnknownModel
from gateway.messages import Request
from gateway.problems import Report, nearest, shown

PROVIDERS = ("together", "groq", "openai", "anthropic", "simulator")

_NAME = re.compile(r"[!-~]{1,200}")
# Callers may make up names: no more are remembered.
_FOUND_MOST = 1000
_BY_NAME = ((re.compile(r"gpt-.+|o\d.*"), "openai"), (re.compile(r"claude-.+"), "anthropic"))


class Range(msgspec.Struct, frozen=True):
    """A number from `low` to `high`; None where that end is open."""

    low: float
    high: float | None = None
    whole: bool = False

    def takes(self, value: Any) -> bool:
        """The value is such a number. Text, true and NaN are none."""
        kinds = (int,) if self.whole else (int, float)
        # An open end still shuts infinity out: JSON has no word for it.
        high = sys.float_info.max if self.high is None else self.high
        return type(value) in kinds and self.low <= value <= high

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.high is None:
            return f"{kind}, at least {self.low:.12g}"
        return f"{kind} from {self.low:.12g} to {self.high:.12g}"


class Texts(msgspec.Struct, frozen=True):
    """One text, or a list of at most so many; where not `blank`, none is only white space."""

    at_most: int
    blank: bool = True

    def takes(self, value: Any) -> bool:
        """The value is such a text or list; none of the texts is empty."""
        texts = value if isinstance(value, list | tuple) else [value]
        return len(texts) <= self.at_most and all(map(self.holds, texts))

    def holds(self, text: Any) -> bool:
        """The value may be one of the texts."""
        return isinstance(text, str) and bool(text if self.blank else text.strip())

    def __str__(self) -> str:
        form = f"at most {self.at_most} texts"
        return form if self.blank else f"{form}, none of them only white space,"


Limit = Range | Texts

# Every parameter that may have a limit, with the widest that any provider takes.
PARAMETERS: dict[str, Limit] = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1),
    "max_tokens": Range(1, whole=True),
    "stop": Texts(4),
    "top_k": Range(0, whole=True),
    "repetition_penalty": Range(0, 2),
    "frequency_penalty": Range(-2, 2),
    "presence_penalty": Range(-2, 2),
}


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model that can be asked.

    Attributes:
        name: what callers call it.
        upstream: the provider's own name for it.
        context_window: tokens of prompt and answer together; None where it is not known.
        max_tokens: most tokens of one answer; None where it is not known.
        parameters: what it takes, and in which range.
        input_price, output_price: of a million tokens, in US dollars; None where not known.
    """

    name: str
    provider: str
    upstream: str
    context_window: int | None = None
    max_tokens: int | None = None
    parameters: Mapping[str, Limit] = msgspec.field(default_factory=lambda: PARAMETERS)
    input_price: float | None = None
    output_price: float | None = None


DEFAULT_MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"


class Catalog(msgspec.Struct, frozen=True, dict=True):
    """The models known by name, and what each provider's other models take."""

    by_name: Mapping[str, Model] = msgspec.field(
        # Where there is no models.toml, the default model still is one.
        default_factory=lambda: {
            DEFAULT_MODEL: Model(name=DEFAULT_MODEL, provider="together", upstream=DEFAULT_MODEL)
        }
    )
    by_provider: Mapping[str, Mapping[str, Limit]] = {}

    @property
    def models(self) -> tuple[Model, ...]:
        """All models known by name, in the order of the file."""
        return tuple(self.by_name.values())

    def resolve(self, name: str) -> Model:
        """The model of that name: listed, or of a provider that the name tells.

        Raises:
            UnknownModel: neither.
        """
        model = self._found.get(name)
        if model is None:
            model = self._find(name)
            if len(self._found) >= _FOUND_MOST:
                self._found.clear()
            self._found[name] = model
        return model

    @cached_property
    def _found(self) -> dict[str, Model]:
        """What was looked up of late."""
        return {}

    def _find(self, name: str) -> Model:
        listed = self.by_name.get(name)
        if listed is not None:
            return listed
        if not _NAME.fullmatch(name):
            raise UnknownModel(field="model")
        provider, slash, rest = name.partition("/")
        if slash and rest and provider in PROVIDERS:
            return self._of_provider(provider, rest, name)
        for pattern, provider in _BY_NAME:
            if pattern.fullmatch(name):
                return self._unlisted(provider, name, name)
        hint = nearest(name, self.by_name)
        raise UnknownModel(f"There is no model {name}. {hint}".rstrip(), field="model")

    def permits(self, names: Iterable[str], model: Model) -> bool:
        """The model is one of those named, whatever it is called there."""
        wanted = (model.provider, model.upstream)
        known = (self.resolve(name) for name in names)
        return any((each.provider, each.upstream) == wanted for each in known)

    def check(self, model: Model, parameters: Mapping[str, Any]) -> None:
        """Refuse what the model does not take; null is absent.

        Raises:
            InvalidRequest: `field` names the first wrong parameter; the text names the model
                and what it takes.
        """
        for name, value in parameters.items():
            if value is not None:
                _check(model, name, value)

    def _of_provider(self, provider: str, upstream: str, name: str) -> Model:
        for model in self.by_name.values():
            if model.provider == provider and upstream in (model.upstream, model.name):
                return model
        return self._unlisted(provider, upstream, name)

    def _unlisted(self, provider: str, upstream: str, name: str) -> Model:
        limits = self.by_provider.get(provider, PARAMETERS)
        parameters = _taken(provider, upstream, limits)
        return Model(name=name, provider=provider, upstream=upstream, parameters=parameters)


def _taken(provider: str, upstream: str, limits: Mapping[str, Limit]) -> dict[str, Limit]:
    """The limits of a provider's models, as they are for the one of that name."""
    refused = sampling.refused(provider, upstream)
    taken = {name: limit for name, limit in limits.items() if name not in refused}
    stop = taken.get("stop")
    if provider == "anthropic" and isinstance(stop, Texts):
        taken["stop"] = Texts(stop.at_most, blank=False)
    return taken


def _check(model: Model, name: str, value: Any) -> None:
    limit = model.parameters.get(name)
    if limit is None:
        takes = ", ".join(model.parameters) or "none"
        raise InvalidRequest(
            f"The model {model.name} does not take {name[:40]!r}. It takes: {takes}.",
            field=name[:40],
        )
    if not limit.takes(value):
        raise InvalidRequest(f"{name} must be {limit} for the model {model.name}.", field=name)


def fitted(request: Request, model: Model) -> Request:
    """The request as a model takes it that it was not made for: less what that does not take.

    A number out of range becomes the nearest in it; texts that it does not take, or too many, go.
    """
    parameters = {
        name: _nearest_value(limit, value)
        for name, value in request.parameters.items()
        if (limit := model.parameters.get(name)) is not None or name not in PARAMETERS
    }
    wanted, most = request.max_tokens, model.max_tokens
    return msgspec.structs.replace(
        request,
        parameters=parameters,
        max_tokens=min(wanted, most) if wanted and most else wanted,
    )


def _nearest_value(limit: Limit | None, value: Any) -> Any:
    if limit is None or limit.takes(value):
        return value
    if isinstance(limit, Texts):
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple):
            # For the provider to refuse.
            return value
        return [text for text in texts if limit.holds(text)][: limit.at_most]
    if not isinstance(value, int | float):
        return value
    return max(limit.low, value if limit.high is None else min(limit.high, value))


# The file ---------------------------------------------------------------------------------


class _File(msgspec.Struct):
    providers: Annotated[dict[str, Any], rules.table()]
    models: Annotated[dict[str, Any], rules.table()]


class _Provider(msgspec.Struct):
    parameters: Annotated[dict[str, Any], rules.table()]


class _Entry(msgspec.Struct):
    provider: Annotated[str, rules.word(PROVIDERS)]
    upstream: Annotated[str, rules.text()]
    context_window: Annotated[int, rules.whole(1, 100_000_000)]
    max_tokens: Annotated[int, rules.whole(1, 100_000_000)]
    parameters: Annotated[dict[str, Any], rules.table()]
    input_price: Annotated[float, rules.number(0, 1_000_000)]
    output_price: Annotated[float, rules.number(0, 1_000_000)]


def parse(text: str | None, report: Report) -> Catalog:
    """The catalog that `models.toml` describes; what is wrong there goes into the report.

    Args:
        text: the file; None where there is none.
    """
    raw = None if text is None else rules.read_toml(text, report)
    if raw is None:
        return Catalog()
    file = rules.read(rules.rules_of(_File), raw, report)
    by_provider = {
        name: _provider(name, entry, report.under("providers"))
        for name, entry in file.get("providers", {}).items()
    }
    models = [
        _model(name, entry, by_provider, report.under("models").under(name))
        for name, entry in file.get("models", {}).items()
    ]
    return Catalog({model.name: model for model in models if model}, by_provider)


def _provider(name: str, entry: Any, report: Report) -> Mapping[str, Limit]:
    if name not in PROVIDERS:
        report.unknown(name, PROVIDERS)
    if not isinstance(entry, dict):
        report.add(name, "a table", shown(entry))
        return {}
    part = report.under(name)
    values = rules.read(rules.rules_of(_Provider), entry, part)
    if "parameters" not in values:
        return PARAMETERS
    return _limits({}, values["parameters"], part.under("parameters"))


def _model(
    name: str, entry: Any, by_provider: Mapping[str, Mapping[str, Limit]], report: Report
) -> Model | None:
    if not isinstance(entry, dict):
        report.add("", "a table", shown(entry))
        return None
    values = rules.read(rules.rules_of(_Entry), entry, report)
    if "provider" not in entry:
        report.add("provider", f"one of {', '.join(PROVIDERS)}")
    if "provider" not in values:
        return None
    if not _NAME.fullmatch(name):
        report.add("", "a name of at most 200 visible ASCII characters")
    limits = dict(by_provider.get(values["provider"], PARAMETERS))
    if "max_tokens" in limits and "max_tokens" in values:
        limits["max_tokens"] = _capped(limits["max_tokens"], values["max_tokens"])
    own = values.pop("parameters", {})
    listed = _limits(limits, own, report.under("parameters"))
    parameters = _taken(values["provider"], values.get("upstream", name), listed)
    return Model(name=name, **{"upstream": name, **values}, parameters=parameters)


def _capped(limit: Limit, ceiling: int) -> Limit:
    # A range given for all models of a provider stays; an open one ends at the model's ceiling.
    if isinstance(limit, Range) and limit.high is None:
        return Range(limit.low, ceiling, limit.whole)
    return limit


def _limits(
    start: Mapping[str, Limit], own: Mapping[str, Any], report: Report
) -> Mapping[str, Limit]:
    limits = dict(start)
    for name, value in own.items():
        if name not in PARAMETERS:
            report.unknown(name, PARAMETERS)
        elif value is False:
            limits.pop(name, None)
        else:
            limit = _limit(PARAMETERS[name], value)
            if limit is None:
                report.add(name, _form(PARAMETERS[name]), shown(value))
            else:
                limits[name] = limit
    return limits


def _limit(kind: Limit, value: Any) -> Limit | None:
    if isinstance(kind, Texts):
        return Texts(value) if type(value) is int and value > 0 else None
    numbers = (int,) if kind.whole else (int, float)
    if not isinstance(value, list) or len(value) not in (1, 2):
        return None
    if not all(type(each) in numbers and abs(each) <= sys.float_info.max for each in value):
        return None
    if value[-1] < value[0]:
        return None
    return Range(value[0], value[1] if len(value) == 2 else None, kind.whole)


def _form(kind: Limit) -> str:
    if isinstance(kind, Texts):
        return "how many texts at most, or false"
    return "[lowest, highest], [lowest], or false"
