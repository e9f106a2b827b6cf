"""The configuration: texts in, checked values out, or everything that is wrong at once.

Defaults, then `gateway.toml`, then the environment; each wins over the one before. Nothing
is read here: the caller brings the texts and the environment.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from gateway import catalog as catalogs
from gateway import modes as all_modes
from gateway import rules, tenants
from gateway.catalog import DEFAULT_MODEL, Catalog
from gateway.errors import InvalidRequest, UnknownModel
from gateway.jobs import Start
from gateway.modes import PLAIN, Mode, Modes
from gateway.origins import is_loopback
from gateway.problems import ConfigError, Problem, Report, nearest, shown
from gateway.rules import Rule
from gateway.tenants import RequestType, Tenant

ENVIRONMENT = "environment"

A_MODEL = "a model of models.toml, or one named as openai/gpt-4o is"

_DAY = 86_400
_YEAR = 366 * _DAY


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, checked; `conf/gateway.toml` says what each means. Times in seconds."""

    # Where it listens, and how it is seen.
    host: Annotated[str, rules.host()] = "127.0.0.1"
    server_port: Annotated[int, rules.whole(0, 65_535)] = 5000
    public_url: Annotated[str | None, rules.url()] = None
    trusted_proxies: Annotated[tuple[str, ...], rules.listed(rules.network())] = ()
    max_body_bytes: Annotated[int, rules.whole(1, 1 << 30)] = 1 << 20

    # Who may come in.
    allowed_origins: Annotated[tuple[str, ...], rules.listed(rules.origin())] = ()
    jwt_secret: Annotated[str | None, rules.secret(32)] = None
    anonymous_app: Annotated[str | None, rules.text(100)] = None
    poll_needs_app_code: Annotated[bool, rules.flag()] = False
    local_admin: Annotated[bool, rules.flag()] = True
    dev_mode: Annotated[bool, rules.flag()] = False

    # What one user of the assistant may do.
    user_max_active: Annotated[int, rules.whole(1, 1_000_000)] = 5
    user_rate_limit: Annotated[str, rules.rate()] = "60/minute"

    # The queue and the runs.
    workers: Annotated[int, rules.whole(1, 100_000)] = 1000
    queue_max_size: Annotated[int, rules.whole(1, 10_000_000)] = 10_000
    queue_timeout: Annotated[float, rules.seconds(0.01, _YEAR)] = 900.0
    request_timeout: Annotated[float, rules.seconds(0.01, _DAY)] = 300.0
    first_token_timeout: Annotated[float, rules.seconds(0.01, _DAY)] = 60.0
    token_timeout: Annotated[float, rules.seconds(0.01, _DAY)] = 30.0
    start: Annotated[Start, rules.choice(Start)] = Start.ON_INIT
    connect_timeout: Annotated[float, rules.seconds(0.01, _DAY)] = 60.0
    abandon_after: Annotated[float, rules.seconds(0.01, _YEAR)] = 300.0
    on_disconnect: Annotated[str, rules.word(("cancel", "continue"))] = "cancel"
    disconnect_grace: Annotated[float, rules.seconds(0, _DAY)] = 10.0
    drain_timeout: Annotated[float, rules.seconds(0, _DAY)] = 30.0

    # Streams.
    heartbeat: Annotated[float, rules.seconds(0, _DAY)] = 15.0
    stream_max_age: Annotated[float, rules.seconds(1, _YEAR)] = 900.0
    max_streams: Annotated[int, rules.whole(1, 10_000_000)] = 10_000
    max_streams_per_app: Annotated[int, rules.whole(1, 10_000_000)] = 5_000

    # Callbacks.
    callback_allowed_origins: Annotated[tuple[str, ...], rules.listed(rules.origin("public"))] = ()
    callback_origin_rewrites: Annotated[
        Mapping[str, str], rules.mapped(rules.origin(), rules.origin())
    ] = msgspec.field(default_factory=dict)
    callback_secret: Annotated[tuple[str, ...], rules.signing_keys()] = ()
    callback_timeout: Annotated[float, rules.seconds(0.01, 3600)] = 15.0
    callback_deadline: Annotated[float, rules.seconds(1, _YEAR)] = 86_400.0

    # What is kept.
    data_dir: Annotated[str | None, rules.folder()] = "data"
    keep_texts: Annotated[bool, rules.flag()] = True
    redis_url: Annotated[str | None, rules.redis_url()] = None
    retention: Annotated[float, rules.seconds(0, 10 * _YEAR)] = 3600.0
    dead_letter_retention: Annotated[float, rules.seconds(0, 10 * _YEAR)] = 7.0 * _DAY
    conversation_retention: Annotated[float, rules.seconds(0, 10 * _YEAR)] = 30.0 * _DAY

    # Models and those who serve them.
    default_model: Annotated[str, rules.text()] = DEFAULT_MODEL
    fallback_models: Annotated[tuple[str, ...], rules.listed(rules.text())] = ()
    together_ai_api_key: Annotated[str | None, rules.key()] = None
    groq_api_key: Annotated[str | None, rules.key()] = None
    openai_api_key: Annotated[str | None, rules.key()] = None
    anthropic_api_key: Annotated[str | None, rules.key()] = None
    # Without /v1: providers write it themselves.
    together_base_url: Annotated[str, rules.url(drop="/v1")] = "https://api.together.ai"
    groq_base_url: Annotated[str, rules.url(drop="/v1")] = "https://api.groq.com/openai"
    openai_base_url: Annotated[str, rules.url(drop="/v1")] = "https://api.openai.com"
    anthropic_base_url: Annotated[str, rules.url(drop="/v1")] = "https://api.anthropic.com"
    together_requests_per_minute: Annotated[int, rules.whole(0, 1_000_000)] = 0
    groq_requests_per_minute: Annotated[int, rules.whole(0, 1_000_000)] = 0
    openai_requests_per_minute: Annotated[int, rules.whole(0, 1_000_000)] = 0
    anthropic_requests_per_minute: Annotated[int, rules.whole(0, 1_000_000)] = 0

    # What it tells its operator.
    log_level: Annotated[str, rules.word(("debug", "info", "warning", "error"))] = "info"
    log_format: Annotated[str, rules.word(("json", "console"))] = "json"
    debug_mode: Annotated[bool, rules.flag()] = False
    otlp_endpoint: Annotated[str | None, rules.url(drop="/v1/traces")] = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Name and value of each setting, for a person; secrets are only said to be there."""
        pairs = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "…" if RULES[name].secret and value else value) for name, value in pairs]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


RULES: dict[str, Rule] = rules.rules_of(Settings)

# The environment's other names; the setting's own name wins.
ALIASES = {"CORS_ORIGINS": "allowed_origins", "TOGETHER_API_KEY": "together_ai_api_key"}

# The setting that holds each provider's key.
KEYS = {
    "together": "together_ai_api_key",
    "groq": "groq_api_key",
    "openai": "openai_api_key",
    "anthropic": "anthropic_api_key",
}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that the gateway is told, checked.

    Attributes:
        data_dir_chosen: the folder was set, and is not only the default.
        warnings: sentences for the start-up log: what is allowed, but should be known.
    """

    settings: Settings
    tenants: tuple[Tenant, ...]
    catalog: Catalog
    modes: Modes = msgspec.field(default_factory=lambda: PLAIN)
    data_dir_chosen: bool = False
    warnings: tuple[str, ...] = ()


def parse(
    *,
    toml: str | None,
    env: Mapping[str, str],
    apps: str | None,
    models: str | None,
    modes: str | None = None,
    conf_dir: str = "conf",
) -> Config:
    """Check all five sources together.

    Args:
        toml: the text of `gateway.toml`, as `apps` is that of `apps.json`, `models` that of
            `models.toml` and `modes` that of `modes.toml`; None where there is no such file.
        env: environment variables; unknown ones are no concern, empty ones are absent.
        conf_dir: the folder of the files, for the messages.

    Raises:
        ConfigError: everything that is wrong, in all of them.
    """
    found: list[Problem] = []
    model_report = Report(f"{conf_dir}/models.toml", found)
    app_report = Report(f"{conf_dir}/apps.json", found)
    mode_report = Report(f"{conf_dir}/modes.toml", found)
    catalog = catalogs.parse(models, model_report)
    known_tenants = tenants.parse(apps, app_report)
    known_modes = all_modes.parse(modes, mode_report)
    given = _Given(toml, env, conf_dir, found)
    # Behind a broken file nothing is known of its names: looking for them reports phantoms.
    models_known, apps_known, modes_known = model_report.clean, app_report.clean, mode_report.clean
    if models_known:
        _check_models(given, catalog)
        for tenant in known_tenants:
            _check_tenant_models(tenant, catalog, app_report.under("app_codes").under(tenant.name))
        for mode in known_modes.values():
            _check_kind(mode, catalog, mode_report.under("modes").under(mode.name))
    if modes_known:
        for tenant in known_tenants:
            part = app_report.under("app_codes").under(tenant.name)
            _check_tenant_modes(tenant, known_modes, part)
    if apps_known:
        _check_tenants(given, known_tenants)
    if found:
        raise ConfigError(found)
    warnings = _warnings(given.settings, known_tenants, catalog, tenants.in_clear(apps))
    return Config(
        settings=given.settings,
        tenants=known_tenants,
        catalog=catalog,
        modes=known_modes,
        data_dir_chosen=given.chose("data_dir"),
        warnings=warnings,
    )


class _Given:
    """The settings as they were given, and where each of them was."""

    def __init__(
        self, toml: str | None, env: Mapping[str, str], conf_dir: str, found: list[Problem]
    ) -> None:
        self._file = Report(f"{conf_dir}/gateway.toml", found)
        self._environment = Report(ENVIRONMENT, found)
        self._env_names = variables(env)
        values = _from_toml(toml, self._file) | self._from_env(env)
        if values.get("debug_mode"):
            values["log_level"] = "debug"
        self.settings = Settings(**values)

    def chose(self, field: str) -> bool:
        """Somebody set it: in the environment, or in the file to something else than is shipped."""
        default = Settings.__struct_defaults__[Settings.__struct_fields__.index(field)]
        return field in self._env_names or getattr(self.settings, field) != default

    def _from_env(self, env: Mapping[str, str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field, name in self._env_names.items():
            rule, text = RULES[field], env[name].strip()
            values |= rules.read({name: rule}, {name: rule.from_text(text)}, self._environment)
        return {field: values[name] for field, name in self._env_names.items() if name in values}

    def add(self, field: str, expected: str, got: str, hint: str = "") -> None:
        """Note a problem with a setting where the setting was made."""
        if field in self._env_names:
            self._environment.add(self._env_names[field], expected, shown(got), hint)
        else:
            self._file.add(field, expected, shown(got), hint)


def variables(env: Mapping[str, str]) -> dict[str, str]:
    """Which variable each setting is taken from, of those that the environment sets."""
    names = {field: name for name, field in ALIASES.items() if env.get(name, "").strip()}
    return names | {name: name.upper() for name in RULES if _is_set(name, env)}


def _is_set(field: str, env: Mapping[str, str]) -> bool:
    name = field.upper()
    return bool(env.get(name, "").strip()) or (RULES[field].clears and name in env)


def _from_toml(text: str | None, report: Report) -> dict[str, Any]:
    raw = None if text is None else rules.read_toml(text, report)
    if raw is None:
        return {}
    for key in [key for key in raw if key not in RULES]:
        alias = ALIASES.get(key.upper())
        report.unknown(key, [alias] if alias else RULES)
        del raw[key]
    return rules.read(RULES, raw, report)


def _check_models(given: _Given, catalog: Catalog) -> None:
    settings = given.settings
    names = [("default_model", settings.default_model)]
    names += [("fallback_models", name) for name in settings.fallback_models]
    for field, name in names:
        hint = _unknown_model(catalog, name)
        if hint:
            given.add(field, A_MODEL, name, hint)


def _unknown_model(catalog: Catalog, name: str) -> str:
    try:
        catalog.resolve(name)
    except UnknownModel as error:
        return str(error)
    return ""


def _check_tenant_models(tenant: Tenant, catalog: Catalog, report: Report) -> None:
    for name in tenant.allowed_models or ():
        _report_unknown(catalog, name, "allowed_models", report)
    for kind in tenant.request_types:
        _check_kind(kind, catalog, report.under("allowed_request_types").under(kind.name))


def _check_kind(kind: RequestType | Mode, catalog: Catalog, report: Report) -> None:
    for name in kind.fallback_models:
        _report_unknown(catalog, name, "fallback_models", report)
    if kind.model and not _report_unknown(catalog, kind.model, "model", report):
        _report_temperature(catalog, kind.model, kind.temperature, report)


def _check_tenant_modes(tenant: Tenant, modes: Modes, report: Report) -> None:
    for name in tenant.allowed_modes or ():
        if name not in modes:
            report.add("allowed_modes", "a mode of modes.toml", shown(name), nearest(name, modes))


def _report_unknown(catalog: Catalog, name: str, key: str, report: Report) -> bool:
    hint = _unknown_model(catalog, name)
    if hint:
        report.add(key, A_MODEL, shown(name), hint)
    return bool(hint)


def _report_temperature(
    catalog: Catalog, model: str, temperature: float | None, report: Report
) -> None:
    try:
        catalog.check(catalog.resolve(model), {"temperature": temperature})
    except InvalidRequest as error:
        report.add("temperature", "what its model takes", shown(temperature), str(error))


def _check_tenants(given: _Given, known: tuple[Tenant, ...]) -> None:
    settings = given.settings
    names = [tenant.name for tenant in known]
    if settings.anonymous_app is not None and settings.anonymous_app not in names:
        hint = nearest(settings.anonymous_app, names)
        given.add("anonymous_app", "the name of an app in apps.json", settings.anonymous_app, hint)
    if not known and not is_loopback(settings.host):
        given.add(
            "host",
            "a loopback address while no app is configured",
            settings.host,
            "`python run.py app add NAME` adds one.",
        )


def _warnings(
    settings: Settings, known: tuple[Tenant, ...], catalog: Catalog, codes_in_clear: bool
) -> tuple[str, ...]:
    provider = catalog.resolve(settings.default_model).provider
    key = KEYS.get(provider)
    durable = settings.keep_texts and settings.data_dir is not None
    sentences = (
        (
            settings.dev_mode,
            "DEV_MODE is on: pages on this machine, and callbacks to any address where "
            "CALLBACK_ALLOWED_ORIGINS names none, are allowed. It is not for production.",
        ),
        (
            settings.anonymous_app is not None,
            f"ANONYMOUS_APP is set: whoever brings no credential is {settings.anonymous_app}.",
        ),
        (
            settings.jwt_secret is None,
            "JWT_SECRET is not set: user tokens are refused"
            + ("." if durable else ", and links to streams end with this process."),
        ),
        (
            not settings.keep_texts,
            "KEEP_TEXTS is off: nothing is written to the disk. Requests, answers, conversations "
            "and callbacks that are still owed end with this process.",
        ),
        (
            settings.redis_url is not None,
            "REDIS_URL is set, but this version shares nothing through Redis.",
        ),
        (not known, "No app is configured: every request is refused."),
        (
            codes_in_clear,
            "apps.json holds an app code in the clear: `sha256:` and its SHA-256 would do.",
        ),
        (
            key is not None and getattr(settings, key) is None,
            f"{(key or '').upper()} is not set: the default model, {settings.default_model}, "
            "cannot answer.",
        ),
    )
    return tuple(sentence for holds, sentence in sentences if holds)
