"""`app list`, `rotate` and `remove`: who may come in, changed without losing anybody else."""

import asyncio
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway import enrolment
from gateway.cli import main
from gateway.tenants import digest

CLEAR = "a-code-of-the-bank-in-the-clear"
ENTRIES: dict[str, Any] = {
    f"sha256:{digest('gw_shop')}": {"name": "shop", "rate_limit": "5/minute"},
    CLEAR: {"name": "bank", "allowed_request_types": ["ask", {"name": "sum"}], "priority": 0},
    "short": {"name": "Żółć"},
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder with three apps, one of them with a code that is much too short."""
    file = tmp_path / "apps.json"
    file.write_text(json.dumps({"app_codes": ENTRIES}), "utf-8")
    file.chmod(0o640)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], conf: Path, *typed: str) -> tuple[int, str, str]:
    """One `app` command: its exit code, standard output and standard error."""
    code = main(("app", *typed), {"GATEWAY_CONF": str(conf)})
    out, err = capsys.readouterr()
    return code, out, err


def held(conf: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((conf / "apps.json").read_text("utf-8"))["app_codes"]
    return found


def test_a_list_tells_no_code(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four characters tell two codes apart; of a short one not even those are shown."""
    _, out, _ = run(capsys, conf, "list", "--json")
    last = digest("gw_shop")[-4:]
    assert [(app["name"], app["code"]) for app in json.loads(out)] == [
        ("shop", f"sha256:…{last}"),
        ("bank", "…lear"),
        ("Żółć", "…"),
    ]
    code, out, err = run(capsys, conf, "list")
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "name  code          types     rate limit  max tokens  priority",
        f"shop  sha256:…{last}  -         5/minute    -           -",
        "bank  …lear         ask, sum  -           -           0",
    ]
    assert "short" not in out
    assert CLEAR not in out


def test_a_list_of_nobody_says_how_to_add(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file is no error."""
    assert run(capsys, tmp_path, "list", "--json")[:2] == (0, "[]\n")
    assert run(capsys, tmp_path, "list")[2] == "There is none yet: `app add NAME` adds one.\n"


def test_a_rotated_app_keeps_all_but_its_code(
    conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new code is shown once, the file holds its hash, in the old one's place."""
    code, out, err = run(capsys, conf, "rotate", "bank")
    app_code = out.strip()
    assert (code, bool(re.fullmatch(r"gw_[\w-]{43}", app_code))) == (0, True)
    assert app_code not in err
    first, _, third = ENTRIES
    assert list(held(conf).items()) == [
        (first, ENTRIES[first]),
        (f"sha256:{digest(app_code)}", ENTRIES[CLEAR]),
        (third, ENTRIES[third]),
    ]
    assert stat.S_IMODE((conf / "apps.json").stat().st_mode) == 0o640


def test_a_removed_app_is_gone_alone(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others stay as they are, and no file lies about."""
    assert run(capsys, conf, "remove", "Żółć")[:2] == (0, "")
    assert held(conf) == {key: ENTRIES[key] for key in list(ENTRIES)[:2]}
    assert run(capsys, conf, "remove", "bank", "--json")[1] == (
        '{\n  "name": "bank",\n  "removed": true\n}\n'
    )
    assert [file.name for file in conf.iterdir()] == ["apps.json"]


def test_a_new_operator_may_use_the_doors_for_operators(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its entry says so; that of others says nothing of it."""
    run(capsys, tmp_path, "add", "me", "--admin", "--json")
    run(capsys, tmp_path, "add", "you")
    assert [entry.get("admin") for entry in held(tmp_path).values()] == [True, None]


@pytest.mark.parametrize("verb", ["rotate", "remove"])
@pytest.mark.parametrize(
    ("name", "said"),
    [("bnak", "No app is named bnak. Did you mean bank?\n"), ("xyz", "No app is named xyz.\n")],
)
def test_an_unknown_name_changes_nothing(
    conf: Path, capsys: pytest.CaptureFixture[str], verb: str, name: str, said: str
) -> None:
    """The nearest name is offered, never taken."""
    before = (conf / "apps.json").read_bytes()
    assert run(capsys, conf, verb, name) == (1, "", said)
    assert (conf / "apps.json").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected valid JSON"),
        ('{"app_codes": {"a": {"name": "x"}, "a": {"name": "y"}}}', "expected each key once"),
        ('{"app_codes": {"a": {"name": "x"}, "b": {"name": "x"}}}', "2 apps are named x"),
        ('{"app_codes": {"a": {"name": "x"}, "b": {"nam": "y"}}}', "Did you mean name?"),
    ],
)
def test_a_wrong_file_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """What a change would lose or hide is said instead."""
    (tmp_path / "apps.json").write_text(text)
    code, out, err = run(capsys, tmp_path, "rotate", "x")
    assert (code, out, said in err) == (1, "", True)
    assert (tmp_path / "apps.json").read_text() == text


async def test_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    """Apps come, change and go at the same moment; none of it undoes another."""
    file = tmp_path / "apps.json"
    for number in range(20):
        enrolment.add(file, f"code {number}", {"name": f"app {number}"})

    def change(number: int) -> None:
        if number % 2:
            enrolment.remove(file, f"app {number}")
        else:
            enrolment.rotate(file, f"app {number}", f"new {number}")

    await asyncio.gather(*(asyncio.to_thread(change, number) for number in range(20)))
    assert held(tmp_path) == {
        f"sha256:{digest(f'new {number}')}": {"name": f"app {number}"} for number in range(0, 20, 2)
    }
