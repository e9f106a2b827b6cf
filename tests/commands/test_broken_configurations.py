"""`check-config` over a folder for each mistake that is easily made: all are named precisely."""

import tomllib
from pathlib import Path

import pytest

from gateway.cli import main

BROKEN = tomllib.loads((Path(__file__).parent / "broken.toml").read_text("utf-8"))["broken"]


def broken(folder: Path, file: str, text: str) -> dict[str, str]:
    """The environment of a gateway with this mistake."""
    environ = {"GATEWAY_CONF": str(folder)}
    if file == "environment":
        name, _, value = text.partition("=")
        return {**environ, name: value}
    (folder / file).write_text(text, "utf-8")
    return environ


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case["says"][:50])
def test_a_mistake_is_named(
    case: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line: the file, the key, what was expected, and what is there unless it is secret."""
    assert main(["check-config"], broken(tmp_path, case["file"], case["text"])) == 1
    out, err = capsys.readouterr()
    assert (out, err.replace(f"{tmp_path}/", "")) == ("", f"{case['says']}\n")


def test_all_mistakes_are_named_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of one file do not hide those of another."""
    cases = [case for case in BROKEN if " = " in case["text"] and case["file"] == "gateway.toml"]
    keys: dict[str, dict[str, str]] = {}
    for case in cases:
        if not case["text"].startswith(("workers = ", "[")):
            keys.setdefault(case["text"].partition(" = ")[0], case)
    (tmp_path / "gateway.toml").write_text(
        "\n".join(case["text"] for case in keys.values()), "utf-8"
    )
    (tmp_path / "modes.toml").write_text("[modes.chat]\nrate_limit = 5\n")
    assert main(["check-config"], {"GATEWAY_CONF": str(tmp_path), "WORKERS": "0"}) == 1
    lines = capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()
    assert {case["says"] for case in keys.values()} <= set(lines)
    assert len(lines) == len(keys) + 2


@pytest.mark.parametrize("name", ["gateway.toml", "apps.json", "models.toml", "modes.toml", ".env"])
def test_what_is_no_text_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback for a file in another encoding."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"# caf\xe9\n")
    assert main(["check-config"], {"GATEWAY_CONF": str(tmp_path)}) == 1
    file = name if name == ".env" else f"{tmp_path}/{name}"
    assert capsys.readouterr().err == f"{file}: expected text in UTF-8. Byte 6 is none.\n"


def test_a_mark_at_the_beginning_is_no_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors of other systems write one."""
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("gateway.toml", "workers = 3\n"),
        ("apps.json", '{"app_codes": {}}'),
        (".env", "HEARTBEAT=7\n"),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    typed = ["config", "show", "--changed"]
    assert main(typed, {"GATEWAY_CONF": str(tmp_path)}) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"workers    3      {tmp_path}/gateway.toml",
        "heartbeat  7.0    .env: HEARTBEAT",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("WORKERS=0\r\n", ".env: WORKERS: expected a whole number from 1 to 100000, not 0"),
        (
            'A=1\nHOST 127.0.0.1\nJWT_SECRET="not closed\n',
            ".env: expected NAME=value on each line. Line 2 is none.\n"
            ".env: expected NAME=value on each line. Line 3 is none.",
        ),
    ],
    ids=["value", "form"],
)
def test_a_mistake_in_dotenv_is_named_there(
    text: str,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file, and not the environment that it is read into."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(text, "utf-8")
    assert main(["check-config"], {"GATEWAY_CONF": str(tmp_path)}) == 1
    assert capsys.readouterr().err == f"{says}\n"


def test_a_slip_in_dotenv_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other programs have there is not taken for one."""
    monkeypatch.chdir(tmp_path)
    lines = ["SERVERPORT=6000", "workers=3", "CORS_ORIGINS=", "HOSTNAME=x", "DB_PASSWORD=y"]
    (tmp_path / ".env").write_text("\n".join(lines), "utf-8")
    assert main(["check-config"], {"GATEWAY_CONF": str(tmp_path)}) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if ".env" in line]
    assert told == [
        "warning: .env sets SERVERPORT, which is no setting. Did you mean SERVER_PORT?",
        "warning: .env sets workers, which is no setting. Did you mean WORKERS?",
    ]


def test_an_empty_name_of_a_folder_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """As of a variable of the shell that is not set; not the folder that is shipped."""
    assert main(["check-config", "--conf", ""], {}) == 1
    said = "--conf is empty: it names the folder with gateway.toml.\n"
    assert capsys.readouterr().err == said


def test_a_folder_of_credentials_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its variable; a credential with a mistake is told from the environment."""
    environ = {"GATEWAY_CONF": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path / "none")}
    assert main(["check-config"], environ) == 1
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "jwt_secret").write_text("short\n")
    assert main(["check-config"], environ) == 1
    assert capsys.readouterr().err.splitlines() == [
        "environment: CREDENTIALS_DIRECTORY: expected a folder that can be read. "
        "No such file or directory.",
        "credential: JWT_SECRET: expected a secret of at least 32 bytes",
    ]
