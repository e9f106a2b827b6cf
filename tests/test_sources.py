"""Where the configuration stands, and which of its sources wins."""

from pathlib import Path

import pytest

from gateway.config import RULES
from gateway.problems import ConfigError
from gateway.sources import load, read


def test_the_environment_beats_the_files(tmp_path: Path) -> None:
    """A folder needs no file; what it has is read, and what is wrong there is told."""
    assert load(tmp_path, {}).settings.server_port == 5000
    (tmp_path / "gateway.toml").write_text("server_port = 5001\nworkers = 3\n")
    settings = load(tmp_path, {"SERVER_PORT": "5002"}).settings
    assert (settings.server_port, settings.workers) == (5002, 3)
    (tmp_path / "gateway.toml").write_text("server_prot = 5001\n")
    with pytest.raises(ConfigError, match="server_port"):
        load(tmp_path, {})


def test_a_folder_without_models_has_those_that_are_shipped(tmp_path: Path) -> None:
    """Their limits are known without a copy of the file."""
    assert len(load(tmp_path, {}).catalog.models) > 10


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Not taken for an empty one."""
    with pytest.raises(NotADirectoryError, match="no such folder"):
        load(tmp_path / "none", {})


def test_each_setting_knows_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty is absent wherever it stands; an alias is named as it was typed."""
    (tmp_path / "gateway.toml").write_text('workers = 3\njwt_secret = ""\nserver_port = 5001\n')
    (tmp_path / ".env").write_text("QUEUE_MAX_SIZE=7\nHOST=::1\nLOG_LEVEL=debug\n")
    monkeypatch.chdir(tmp_path)
    environ = {"SERVER_PORT": "5002", "CORS_ORIGINS": "https://a.test", "LOG_LEVEL": ""}
    told = read(tmp_path, {**environ, "HOST": "127.0.0.1"}).origins()
    assert set(told) == set(RULES)
    assert {name: origin for name, origin in told.items() if origin != "default"} == {
        "workers": f"{tmp_path}/gateway.toml",
        "server_port": "environment: SERVER_PORT",
        "allowed_origins": "environment: CORS_ORIGINS",
        "host": "environment: HOST",
        "queue_max_size": ".env: QUEUE_MAX_SIZE",
    }


def test_credentials_beat_the_files_and_yield_to_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is named as the setting; others in its folder are no concern of the gateway."""
    kept = tmp_path / "credentials"
    kept.mkdir()
    for name in ("groq_api_key", "openai_api_key", "together_api_key"):
        (kept / name).write_text(f"{name}-of-the-vault\n")
    (kept / "certificate.pem").write_bytes(b"\xff")
    (tmp_path / "gateway.toml").write_text('groq_api_key = "key-of-the-file"\n')
    (tmp_path / ".env").write_text("GROQ_API_KEY=key-of-dotenv\n")
    monkeypatch.chdir(tmp_path)
    sources = read(
        tmp_path, {"CREDENTIALS_DIRECTORY": str(kept), "OPENAI_API_KEY": "key-of-the-environment"}
    )
    settings = sources.config().settings
    assert (
        settings.groq_api_key, settings.openai_api_key, settings.together_ai_api_key
    ) == (
        "groq_api_key-of-the-vault", "key-of-the-environment", "together_api_key-of-the-vault"
    )  # fmt: skip
    told = sources.origins()
    assert (told["groq_api_key"], told["openai_api_key"], told["together_ai_api_key"]) == (
        "credential: groq_api_key",
        "environment: OPENAI_API_KEY",
        "credential: together_api_key",
    )
