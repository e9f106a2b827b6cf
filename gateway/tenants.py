"""Tenants: the apps that may come in, what each may ask, and how much of it.

On the wire and in `conf/apps.json` a tenant is an `app`. Its code is never kept, only the
SHA-256 of it.
"""

import hashlib
import json
import math
import re
from collections import Counter
from typing import Annotated, Any

import msgspec

from gateway import rules
from gateway.problems import Report, shown
from gateway.spending import Budget

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE | re.ASCII)


class RequestType(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request that an app may make at `/ai_request`. None leaves it to others.

    Attributes:
        cache: seconds for which an answer is given again to the same request; 0 never,
            infinity (`true` in the file) for as long as it is kept.
    """

    name: Annotated[str, rules.text()]
    system_prompt: Annotated[str | None, rules.prose()] = None
    temperature: Annotated[float | None, rules.number(0, 2)] = None
    max_tokens: Annotated[int | None, rules.whole(1, 100_000_000)] = None
    model: Annotated[str | None, rules.text()] = None
    fallback_models: Annotated[tuple[str, ...], rules.listed(rules.text())] = ()
    cache: Annotated[float, rules.switch_or_seconds(math.inf)] = 0.0


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """One app. None in a limit or a list means that there is no such limit.

    Attributes:
        code_digest: SHA-256 of the app code, in hex.
        request_types: what door 3.1 takes from it; nothing else.
        rate_limit: requests in a time, at all doors together, such as `100/hour`.
        max_tokens: ceiling of one answer.
        priority: 0 is first, 9 is last.
        weight: its share of the workers, against that of others.
        max_concurrent: how many of its jobs run at a time.
        allowed_origins: pages that may use it, instead of the gateway's list.
        callback_origins: where its callbacks may go, of what the gateway allows.
        admin: may use the doors for operators.
        budget: what its answers may cost.
    """

    name: Annotated[str, rules.text(100)]
    code_digest: str
    request_types: tuple[RequestType, ...] = ()
    rate_limit: Annotated[str | None, rules.rate()] = None
    max_tokens: Annotated[int | None, rules.whole(1, 100_000_000)] = None
    priority: Annotated[int, rules.whole(0, 9)] = 5
    weight: Annotated[float, rules.number(0.001, 1000)] = 1.0
    max_concurrent: Annotated[int | None, rules.whole(1, 1_000_000)] = None
    allowed_origins: Annotated[tuple[str, ...] | None, rules.listed(rules.origin())] = None
    callback_origins: Annotated[tuple[str, ...] | None, rules.listed(rules.origin("public"))] = None
    allowed_models: Annotated[tuple[str, ...] | None, rules.listed(rules.text())] = None
    allowed_modes: Annotated[tuple[str, ...] | None, rules.listed(rules.text())] = None
    admin: Annotated[bool, rules.flag()] = False
    budget: Budget | None = None

    def request_type(self, name: str) -> RequestType | None:
        """The request type of that name; None if this app may not make such requests."""
        return next((each for each in self.request_types if each.name == name), None)

    def __repr__(self) -> str:
        return f"Tenant(name={self.name!r})"


# Every key that the file may have, but codes.
_SETTINGS = {
    "app_codes",
    "allowed_request_types",
    "budget",
    *(key for part in (Tenant, RequestType, Budget) for key in rules.rules_of(part)),
}


def digest(code: str) -> str:
    """SHA-256 of an app code, in hex: what is kept of it, and what it is found by."""
    # A header may hold what is no text; it then is nobody's code, and no error.
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def parse(text: str | None, report: Report) -> tuple[Tenant, ...]:
    """The apps that `apps.json` lists; what is wrong there goes into the report.

    No app code is ever reported: an app is named by its name, or the last four of its code.

    Args:
        text: the file; None where there is none.
    """
    if text is None:
        return ()
    raw = _load(text, report)
    if raw is None:
        return ()
    codes: dict[str, Any] = rules.read({"app_codes": rules.table()}, raw, report).get(
        "app_codes", {}
    )
    found = [_tenant(code, entry, report) for code, entry in codes.items()]
    tenants = [tenant for tenant in found if tenant]
    _report_repeats(tenants, report)
    return tuple(tenants)


def in_clear(text: str | None) -> bool:
    """Some app code of a valid `apps.json` can be read there."""
    codes = (json.loads(text).get("app_codes") if text else None) or {}
    return any(not _DIGEST.fullmatch(code) for code in codes)


class _RepeatedKey(Exception):
    """One object of the file has a key twice: one of the two would be lost. The text is the key."""


def _load(text: str, report: Report) -> dict[str, Any] | None:
    try:
        raw = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        hint = f"{error.msg} (at line {error.lineno}, column {error.colno})."
        report.add("", "valid JSON", hint=hint)
    except _RepeatedKey as repeated:
        # What is no setting may be somebody's code.
        what = str(repeated) if str(repeated) in _SETTINGS else "An app code"
        report.add("", "each key once", hint=f"{what} is there twice.")
    except (ValueError, RecursionError):
        report.add("", "JSON of a sensible size and depth")
    else:
        if isinstance(raw, dict):
            return raw
        report.add("", 'an object such as {"app_codes": {}}')
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        ((repeated, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _RepeatedKey(repeated)
    return table


def _label(code: str, entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if isinstance(name, str) and name.strip() and name.isprintable():
        return name.strip()[:100]
    # Four of a short code would give away too much of it.
    return f"…{code[-4:]}" if len(code) >= 16 else "the app without a name"


def _tenant(code: str, entry: Any, report: Report) -> Tenant | None:
    part = report.under("app_codes").under(_label(code, entry))
    if not isinstance(entry, dict):
        part.add("", "an object", None)
        return None
    entry = dict(entry)
    types = entry.pop("allowed_request_types", None)
    budget = _budget(entry.pop("budget", None), part)
    known = rules.rules_of(Tenant)
    values = rules.read(known, entry, part, beside=("allowed_request_types", "budget"))
    code_digest = _code_digest(code, part)
    request_types = _request_types(types, part)
    if entry.get("name") in (None, ""):
        part.add("name", known["name"].expected)
    if "name" not in values or code_digest is None:
        return None
    return Tenant(code_digest=code_digest, request_types=request_types, budget=budget, **values)


def _budget(raw: Any, report: Report) -> Budget | None:
    if raw is None:
        return None
    if not isinstance(raw, dict):
        report.add("budget", 'an object such as {"usd": 50, "per": "month"}', shown(raw))
        return None
    part, known = report.under("budget"), rules.rules_of(Budget)
    values = rules.read(known, raw, part)
    if raw.get("usd") in (None, ""):
        part.add("usd", known["usd"].expected)
    return Budget(**values) if "usd" in values else None


def _code_digest(code: str, report: Report) -> str | None:
    match = _DIGEST.fullmatch(code)
    if match:
        return match[1].lower()
    if not code.strip() or code.lower().startswith("sha256:"):
        report.add("", "an app code, or sha256: and 64 hexadecimal digits, as its key")
        return None
    return digest(code)


def _request_types(raw: Any, report: Report) -> tuple[RequestType, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        report.add("allowed_request_types", "a list of names or objects", shown(raw))
        return ()
    found: dict[str, RequestType] = {}
    for index, entry in enumerate(raw):
        part = report.under(f"allowed_request_types[{index}]")
        values = _request_type(entry, part)
        if values.get("name") in found:
            part.add("name", "each name once", shown(values["name"]))
        elif "name" in values:
            found[values["name"]] = RequestType(**values)
    return tuple(found.values())


def _request_type(entry: Any, report: Report) -> dict[str, Any]:
    known = rules.rules_of(RequestType)
    if isinstance(entry, str) and entry:
        entry = {"name": entry}
    if not isinstance(entry, dict):
        report.add("", "a name or an object with a name", shown(entry))
        return {}
    if entry.get("name") in (None, ""):
        report.add("name", known["name"].expected)
    return rules.read(known, entry, report)


def _report_repeats(tenants: list[Tenant], report: Report) -> None:
    names: set[str] = set()
    digests: set[str] = set()
    for tenant in tenants:
        part = report.under("app_codes").under(tenant.name)
        if tenant.name in names:
            part.add("name", "a name that no other app has", shown(tenant.name))
        if tenant.code_digest in digests:
            part.add("", "a code that no other app has")
        names.add(tenant.name)
        digests.add(tenant.code_digest)
