"""The configuration as a whole: precedence, everything wrong at once, nothing secret shown."""

from collections.abc import Mapping

import msgspec
import pytest

from gateway.catalog import Catalog
from gateway.config import RULES, Config, Settings, parse
from gateway.jobs import Start
from gateway.problems import ConfigError, Problem

APPS = '{"app_codes": {"abc123hash": {"name": "Shop"}}}'
SECRET = "s3cr3t-" * 5
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def configured(
    toml: str | None = None,
    env: Mapping[str, str] | None = None,
    apps: str | None = APPS,
    models: str | None = None,
) -> Config:
    return parse(toml=toml, env=env or {}, apps=apps, models=models)


def problems(
    toml: str | None = None,
    env: Mapping[str, str] | None = None,
    apps: str | None = APPS,
    models: str | None = None,
) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        configured(toml, env, apps, models)
    return caught.value.problems


def test_nothing_has_to_be_configured() -> None:
    """Without any file or variable the defaults hold."""
    got = configured(apps=None)
    assert (got.settings, got.tenants, got.catalog) == (Settings(), (), Catalog())


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    """Each setting comes from the last source that names it."""
    got = configured("workers = 2\nserver_port = 81", {"SERVER_PORT": "82"}).settings
    assert (got.workers, got.server_port, got.queue_max_size) == (2, 82, 10_000)


def test_an_empty_variable_is_absent() -> None:
    """A line of .env that is not filled in changes nothing."""
    env = {"SERVER_PORT": "", "JWT_SECRET": "  ", "HOST": ""}
    assert configured("server_port = 81", env).settings == Settings(server_port=81)


@pytest.mark.parametrize(
    ("toml", "env", "folder", "chosen"),
    [
        (None, {}, "data", False),
        ('data_dir = "data"', {}, "data", False),
        ('data_dir = "/srv/gateway"', {}, "/srv/gateway", True),
        ('data_dir = ""', {}, None, True),
        ('data_dir = "/srv/gateway"', {"DATA_DIR": ""}, None, True),
        ('data_dir = "/srv/gateway"', {"DATA_DIR": "data"}, "data", True),
        (None, {"DATA_DIR": "  "}, None, True),
    ],
)
def test_there_may_be_no_folder(
    toml: str | None, env: dict[str, str], folder: str | None, chosen: bool
) -> None:
    """Of this setting nothing is a value; and it is known whether somebody chose it."""
    found = configured(toml, env)
    assert (found.settings.data_dir, found.data_dir_chosen) == (folder, chosen)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, ["user tokens are refused."]),
        ({"DATA_DIR": ""}, ["links to streams end with this process"]),
        ({"KEEP_TEXTS": "no"}, ["links to streams end with this process", "KEEP_TEXTS is off"]),
        ({"KEEP_TEXTS": "no", "JWT_SECRET": "s" * 32}, ["KEEP_TEXTS is off"]),
    ],
)
def test_what_ends_with_the_process_is_said(env: dict[str, str], words: list[str]) -> None:
    """Links to streams, where nothing keeps their secret; everything, where no text may be kept."""
    said = [text for text in configured(env=env).warnings if "JWT_S" in text or "KEEP" in text]
    assert len(said) == len(words)
    assert all(word in text for word, text in zip(words, said, strict=True))


def test_other_variables_are_no_concern() -> None:
    """The environment is shared with everything else on the machine."""
    env = {"PATH": "/bin", "WORKER": "x", "workers": "x", "CODE_DIGEST": "x"}
    assert configured(env=env).settings == Settings()


@pytest.mark.parametrize(
    ("env", "field", "value"),
    [
        ({"CORS_ORIGINS": "http://a:1,https://b"}, "allowed_origins", ("http://a:1", "https://b")),
        (
            {"CORS_ORIGINS": "http://a", "ALLOWED_ORIGINS": "http://b"},
            "allowed_origins",
            ("http://b",),
        ),
        ({"TOGETHER_API_KEY": "k1"}, "together_ai_api_key", "k1"),
        ({"TOGETHER_API_KEY": "k1", "TOGETHER_AI_API_KEY": "k2"}, "together_ai_api_key", "k2"),
        ({"TOGETHER_API_KEY": "k1", "TOGETHER_AI_API_KEY": ""}, "together_ai_api_key", "k1"),
        ({"START": "on_connect"}, "start", Start.ON_CONNECT),
        ({"REQUEST_TIMEOUT": "0.5"}, "request_timeout", 0.5),
        ({"DEV_MODE": "True"}, "dev_mode", True),
        ({"CALLBACK_SECRET": f"{WHSEC} {WHSEC}"}, "callback_secret", (WHSEC, WHSEC)),
        (
            {"CALLBACK_ALLOWED_ORIGINS": "public, http://127.0.0.1:5678"},
            "callback_allowed_origins",
            ("public", "http://127.0.0.1:5678"),
        ),
        (
            {"CALLBACK_ORIGIN_REWRITES": "https://n8n.example.org=http://n8n:5678"},
            "callback_origin_rewrites",
            {"https://n8n.example.org": "http://n8n:5678"},
        ),
        (
            {"TOGETHER_BASE_URL": "http://127.0.0.1:9/v1/"},
            "together_base_url",
            "http://127.0.0.1:9",
        ),
        ({"TOGETHER_BASE_URL": "http://127.0.0.1:9"}, "together_base_url", "http://127.0.0.1:9"),
        ({"FALLBACK_MODELS": "gpt-4o,claude-x"}, "fallback_models", ("gpt-4o", "claude-x")),
        ({"ANONYMOUS_APP": "Shop"}, "anonymous_app", "Shop"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8"}, "trusted_proxies", ("10.0.0.0/8",)),
        ({"DEBUG_MODE": "1", "LOG_LEVEL": "error"}, "log_level", "debug"),
        ({"HOST": "0.0.0.0"}, "host", "0.0.0.0"),
        ({"HEARTBEAT": "0"}, "heartbeat", 0.0),
    ],
)
def test_the_environment_sets_a_setting(env: dict[str, str], field: str, value: object) -> None:
    """By the setting's name in capitals, or by another name that is in use for it."""
    assert getattr(configured(env=env).settings, field) == value


def test_every_setting_has_a_rule_that_takes_its_default() -> None:
    """No setting goes unchecked, and no default would be refused in the file."""
    settings = Settings()
    assert list(RULES) == list(Settings.__struct_fields__)
    for name, rule in RULES.items():
        value = getattr(settings, name)
        if value is not None and name != "callback_secret":
            assert rule.check(value) == value, name


FILE = "conf/gateway.toml"
ENV = "environment"

BROKEN: list[tuple[str | None, dict[str, str], str, str, str, str | None, str]] = [
    # file, environment, and then: file, key, expected, got, hint
    ("wrkers = 1", {}, FILE, "wrkers", "a known key", None, "Did you mean workers?"),
    ("zzz = 1", {}, FILE, "zzz", "a known key", None, ""),
    ("port = 1", {}, FILE, "port", "a known key", None, "Did you mean server_port?"),
    ("SERVER_PORT = 1", {}, FILE, "SERVER_PORT", "a known key", None, "Did you mean server_port?"),
    ("cors_origins = []", {}, FILE, "cors_origins", "a known key", None, "allowed_origins?"),
    ("[server]\nport = 1", {}, FILE, "server", "a known key", None, "server_port?"),
    ("host = \n", {}, FILE, "", "valid TOML", None, "line 1"),
    ("workers = 1\nworkers = 2\n", {}, FILE, "", "valid TOML", None, "line 2"),
    ("host = 1", {}, FILE, "host", "an IP address or a host name", "1", ""),
    ('server_port = "5000"', {}, FILE, "server_port", "a whole number", '"5000"', ""),
    ("server_port = 65536", {}, FILE, "server_port", "a whole number from 0 to 65535", "65536", ""),
    ("server_port = true", {}, FILE, "server_port", "a whole number", "true", ""),
    ("workers = 0", {}, FILE, "workers", "a whole number from 1", "0", ""),
    ("request_timeout = nan", {}, FILE, "request_timeout", "a number of seconds", "NaN", ""),
    ("heartbeat = -1", {}, FILE, "heartbeat", "a number of seconds from 0", "-1", ""),
    ('start = "later"', {}, FILE, "start", "one of on_init, on_connect", '"later"', ""),
    ('log_level = "loud"', {}, FILE, "log_level", "one of debug, info", '"loud"', ""),
    ('allowed_origins = ["*"]', {}, FILE, "allowed_origins", "a list, each", '"*"', ""),
    ('allowed_origins = "http://a"', {}, FILE, "allowed_origins", "a list", '"http://a"', ""),
    ("dev_mode = 1", {}, FILE, "dev_mode", "true or false", "1", ""),
    ('jwt_secret = "short"', {}, FILE, "jwt_secret", "a secret of at least 32 bytes", None, ""),
    ('callback_secret = "abc"', {}, FILE, "callback_secret", "whsec_", None, ""),
    ('public_url = "a.example"', {}, FILE, "public_url", "an address", '"a.example"', ""),
    ('redis_url = "http://:pw@a"', {}, FILE, "redis_url", "an address such as redis:", None, ""),
    ('default_model = "gtp-4"', {}, FILE, "default_model", "a model of", '"gtp-4"', "no model"),
    ('fallback_models = ["o1", "x"]', {}, FILE, "fallback_models", "a model of", '"x"', ""),
    ('anonymous_app = "Shpo"', {}, FILE, "anonymous_app", "the name of an app", '"Shpo"', "Shop?"),
    (None, {"SERVER_PORT": "http"}, ENV, "SERVER_PORT", "a whole number", '"http"', ""),
    (None, {"WORKERS": "1.5"}, ENV, "WORKERS", "a whole number", '"1.5"', ""),
    (None, {"REQUEST_TIMEOUT": "5m"}, ENV, "REQUEST_TIMEOUT", "a number of seconds", '"5m"', ""),
    (None, {"DEV_MODE": "maybe"}, ENV, "DEV_MODE", "true or false", '"maybe"', ""),
    (None, {"JWT_SECRET": "short"}, ENV, "JWT_SECRET", "a secret of at least 32", None, ""),
    (None, {"CORS_ORIGINS": "a"}, ENV, "CORS_ORIGINS", "a list, each", '"a"', ""),
    (None, {"TOGETHER_API_KEY": "a b"}, ENV, "TOGETHER_API_KEY", "a key of visible", None, ""),
    (None, {"OPENAI_BASE_URL": "http://u:p@a"}, ENV, "OPENAI_BASE_URL", "an", '"http://…@a"', ""),
    (None, {"DEFAULT_MODEL": "x"}, ENV, "DEFAULT_MODEL", "a model of", '"x"', ""),
    ("workers = 1", {"WORKERS": "x"}, ENV, "WORKERS", "a whole number", '"x"', ""),
]


@pytest.mark.parametrize(
    ("toml", "env", "file", "key", "expected", "got", "hint"),
    BROKEN,
    ids=[f"{row[0] or ''}{row[1] or ''}" for row in BROKEN],
)
def test_a_wrong_setting_is_named(
    toml: str | None,
    env: dict[str, str],
    file: str,
    key: str,
    expected: str,
    got: str | None,
    hint: str,
) -> None:
    """One problem: where it is, what was expected, what is there, and what may have been meant."""
    problem, *others = problems(toml, env)
    assert others == []
    assert (problem.file, problem.key, problem.got) == (file, key, got)
    assert problem.expected.startswith(expected)
    assert hint in problem.hint


def test_everything_wrong_is_told_at_once() -> None:
    """One start finds the faults of all four sources."""
    found = problems(
        'wrkers = 1\nserver_port = "x"\ndefault_model = "x"',
        {"JWT_SECRET": "short", "DEBUG_MODE": "maybe"},
        '{"app_codes": {"a": {"name": "Shop", "weight": 0}, "b": {}}}',
        'models.m = {provider="groq", max_tokens=0}',
    )
    assert [(problem.file, problem.key) for problem in found] == [
        ("conf/models.toml", "models.m.max_tokens"),
        ("conf/apps.json", "app_codes.Shop.weight"),
        ("conf/apps.json", "app_codes.the app without a name.name"),
        ("conf/gateway.toml", "wrkers"),
        ("conf/gateway.toml", "server_port"),
        ("environment", "JWT_SECRET"),
        ("environment", "DEBUG_MODE"),
    ]


def test_the_folder_of_the_files_is_named() -> None:
    """Another folder than conf/ is the one that messages send people to."""
    with pytest.raises(ConfigError) as caught:
        parse(toml="x = 1", env={}, apps="{", models="x = 1", conf_dir="/etc/gateway")
    assert {problem.file for problem in caught.value.problems} == {
        "/etc/gateway/gateway.toml",
        "/etc/gateway/apps.json",
        "/etc/gateway/models.toml",
    }


def test_a_broken_file_causes_no_further_problems() -> None:
    """Names that a broken file may well hold are not called unknown."""
    env = {"DEFAULT_MODEL": "mine", "ANONYMOUS_APP": "Mine", "HOST": "0.0.0.0"}
    assert [problem.file for problem in problems(None, env, "{", "[")] == [
        "conf/models.toml",
        "conf/apps.json",
    ]


@pytest.mark.parametrize(
    ("entry", "key", "got"),
    [
        ('"allowed_models": ["gpt-4o", "x"]', "allowed_models", '"x"'),
        (
            '"allowed_request_types": [{"name": "a", "model": "x"}]',
            "allowed_request_types.a.model",
            '"x"',
        ),
        (
            '"allowed_request_types": [{"name": "a", "fallback_models": ["x"]}]',
            "allowed_request_types.a.fallback_models",
            '"x"',
        ),
        (
            '"allowed_request_types": [{"name": "a", "model": "cool", "temperature": 1.5}]',
            "allowed_request_types.a.temperature",
            "1.5",
        ),
    ],
)
def test_an_app_names_models_that_exist(entry: str, key: str, got: str) -> None:
    """What would fail with the app's first request fails at the start."""
    apps = f'{{"app_codes": {{"abc": {{"name": "Shop", {entry}}}}}}}'
    models = 'models.cool = {provider = "groq", parameters = {temperature = [0, 1]}}'
    found = problems('default_model = "cool"', {}, apps, models)
    assert [(problem.file, problem.key, problem.got) for problem in found] == [
        ("conf/apps.json", f"app_codes.Shop.{key}", got)
    ]


@pytest.mark.parametrize(
    ("host", "apps", "starts"),
    [
        ("127.0.0.1", None, True),
        ("localhost", None, True),
        ("::1", None, True),
        ("0.0.0.0", None, False),
        ("0.0.0.0", '{"app_codes": {}}', False),
        ("example.org", None, False),
        ("0.0.0.0", APPS, True),
    ],
)
def test_strangers_need_an_app_to_talk_to(host: str, apps: str | None, starts: bool) -> None:
    """Beyond this machine the gateway listens only when somebody may come in."""
    if starts:
        assert configured(env={"HOST": host}, apps=apps).settings.host == host
    else:
        (problem,) = problems(env={"HOST": host}, apps=apps)
        assert (problem.key, problem.got) == ("HOST", f'"{host}"')


SECRETS = {
    "JWT_SECRET": SECRET,
    "CALLBACK_SECRET": WHSEC,
    "REDIS_URL": f"redis://:{SECRET}@127.0.0.1",
    "TOGETHER_AI_API_KEY": SECRET,
    "GROQ_API_KEY": SECRET,
    "OPENAI_API_KEY": SECRET,
    "ANTHROPIC_API_KEY": SECRET,
}


def test_settings_are_written_without_their_secrets() -> None:
    """What is printed or logged of them says that a secret is there, and no more."""
    settings = configured(env=SECRETS).settings
    for text in (repr(settings), str(settings.__rich_repr__())):
        assert SECRET not in text
        assert WHSEC not in text
    assert "jwt_secret='…'" in repr(settings)
    assert "jwt_secret=None" in repr(Settings())


@pytest.mark.parametrize("name", SECRETS)
def test_no_message_shows_a_secret(name: str) -> None:
    """A secret that is refused is named, not shown; in the file as in the environment."""
    bad = "do not show\tthis"
    found = problems(f"{name.lower()} = {bad!r}", {name: bad})
    told = [(problem.key, problem.got) for problem in found]
    assert told == [(name.lower(), None), (name, None)]
    assert "show" not in str(ConfigError(found))


def test_no_message_shows_an_app_code() -> None:
    """Not even where everything about the app is wrong."""
    code = "abcdefghijklmnopqrstuvwxyz"
    found = problems(apps=f'{{"app_codes": {{"{code}": {{"name": 1, "x": 2}}}}}}')
    assert [problem.key for problem in found] == ["app_codes.…wxyz.name", "app_codes.…wxyz.x"]
    assert code not in str(ConfigError(found))


SAFE = {"JWT_SECRET": SECRET, "TOGETHER_AI_API_KEY": SECRET}
HASHED = APPS.replace("abc123hash", "sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("env", "apps", "words"),
    [
        ({}, HASHED, None),
        ({"DEV_MODE": "true"}, HASHED, "DEV_MODE is on"),
        ({"ANONYMOUS_APP": "Shop"}, HASHED, "whoever brings no credential is Shop"),
        ({"REDIS_URL": "redis://127.0.0.1:6379/0"}, HASHED, "shares nothing through Redis"),
        ({"JWT_SECRET": ""}, HASHED, "JWT_SECRET is not set"),
        ({"TOGETHER_AI_API_KEY": ""}, HASHED, "TOGETHER_AI_API_KEY is not set"),
        ({"DEFAULT_MODEL": "claude-x"}, HASHED, "ANTHROPIC_API_KEY is not set"),
        (
            {"DEFAULT_MODEL": "simulator/echo", "TOGETHER_AI_API_KEY": ""},
            HASHED,
            None,
        ),
        ({}, HASHED.replace("sha256", "SHA256"), None),
        ({}, None, "No app is configured"),
        ({}, APPS, "an app code in the clear"),
    ],
)
def test_what_is_allowed_but_unwise_is_said(
    env: dict[str, str], apps: str | None, words: str | None
) -> None:
    """Each such thing is a sentence for the start-up log; otherwise there is none."""
    warnings = configured(env=SAFE | env, apps=apps).warnings
    assert len(warnings) == (words is not None)
    assert words is None or words in warnings[0]


def test_bodies_may_be_as_small_as_one_likes() -> None:
    """How small is of use is the operator's to say."""
    assert configured(env={"MAX_BODY_BYTES": "1"}).settings.max_body_bytes == 1


def test_settings_cannot_be_changed() -> None:
    """What was checked at the start holds until the end; another value is another object."""
    settings = Settings()
    with pytest.raises(AttributeError):
        settings.workers = 2  # type: ignore[misc]
    assert msgspec.structs.replace(settings, workers=2).workers == 2
