"""`config show` and `check-config --json`: what the gateway is told, and by whom."""

import json
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config import RULES
from gateway.problems import shown

SECRET = "a-secret-of-more-than-thirty-two-bytes"


def run(capsys: pytest.CaptureFixture[str], *typed: str, **environ: str) -> tuple[int, str, str]:
    """One command: its exit code, standard output and standard error."""
    code = main(typed, environ)
    out, err = capsys.readouterr()
    return code, out, err


def test_every_setting_is_shown_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of the file, with the value in force and never a secret."""
    (tmp_path / "gateway.toml").write_text('workers = 3\nfallback_models = ["gpt-4o"]\n')
    environ = {
        "GATEWAY_CONF": str(tmp_path), "JWT_SECRET": SECRET, "DEBUG_MODE": "1",
        "REDIS_URL": "redis://u:hidden@127.0.0.1",
    }  # fmt: skip
    code, out, err = run(capsys, "config", "show", "--json", **environ)
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["setting"] for row in rows] == list(RULES)
    assert "hidden" not in out
    assert SECRET not in out
    by_name = {row.pop("setting"): row for row in rows}
    file = f"{tmp_path}/gateway.toml"
    assert {name: by_name[name] for name in ("workers", "jwt_secret", "log_level", "host")} == {
        "workers": {"value": 3, "from": file},
        "jwt_secret": {"value": "[redacted]", "from": "environment: JWT_SECRET"},
        "log_level": {"value": "debug", "from": "debug_mode, environment: DEBUG_MODE"},
        "host": {"value": "127.0.0.1", "from": "default"},
    }
    assert by_name["fallback_models"] == {"value": ["gpt-4o"], "from": file}


def test_only_what_differs_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting that is set to its default is at its default."""
    (tmp_path / "gateway.toml").write_text("workers = 3\nqueue_timeout = 900\n")
    typed = ("config", "show", "--changed", "--conf", str(tmp_path))
    assert run(capsys, *typed, HEARTBEAT="7")[1].splitlines() == [
        "setting    value  from",
        f"workers    3      {tmp_path}/gateway.toml",
        "heartbeat  7.0    environment: HEARTBEAT",
    ]


def test_a_wrong_configuration_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is said as at the start."""
    code, out, err = run(capsys, "config", "show", "--conf", str(tmp_path), WORKERS="x")
    assert (code, out) == (1, "")
    assert err.startswith("environment: WORKERS: expected a whole number")


@pytest.mark.parametrize("below", ["", "/data"])
def test_a_folder_that_cannot_be_is_no_good_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    """Where it was set, and why; it is not needed where nothing is to be kept."""
    (tmp_path / "file").touch()
    path = f"{tmp_path}/file{below}"
    typed = ("check-config", "--conf", str(tmp_path))
    said = (
        f"expected a folder that can be made, and written to, not {shown(path)}. "
        f"{tmp_path}/file is no folder.\n"
    )
    assert run(capsys, *typed, DATA_DIR=path) == (1, "", f"environment: DATA_DIR: {said}")
    assert run(capsys, *typed, DATA_DIR=path, KEEP_TEXTS="no")[0] == 0
    (tmp_path / "gateway.toml").write_text(f'data_dir = "{path}"\n')
    assert run(capsys, *typed) == (1, "", f"{tmp_path}/gateway.toml: data_dir: {said}")
    assert run(capsys, *typed, DATA_DIR="")[0] == 0


def test_check_config_tells_programs_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Good or not, and each problem in its parts."""
    typed = ("check-config", "--json", "--conf", str(tmp_path))
    code, out, _ = run(capsys, *typed)
    good = json.loads(out)
    assert (code, good["good"], good["apps"]) == (0, True, [])
    assert "No app is configured: every request is refused." in good["warnings"]
    code, out, err = run(capsys, *typed, WORKERS="0")
    assert (code, err) == (1, "")
    assert json.loads(out) == {
        "good": False,
        "problems": [
            {
                "file": "environment", "key": "WORKERS",
                "expected": "a whole number from 1 to 100000", "got": "0", "hint": "",
            }
        ],
    }  # fmt: skip
