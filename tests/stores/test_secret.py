"""A secret is made once, kept to its owner, and never half of one."""

import stat
from pathlib import Path

import pytest

from gateway.stores.database import StoreUnusable
from gateway.stores.secret import kept

SECRET = "0123456789abcdef" * 4


def refuse() -> str:
    raise AssertionError("there is one already")


def test_it_is_made_once(tmp_path: Path) -> None:
    """And read from then on; nobody else on the machine can."""
    file = tmp_path / "secret"
    assert kept(file, lambda: SECRET) == SECRET == kept(file, refuse)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_what_an_interrupted_start_left_is_no_secret(tmp_path: Path) -> None:
    """It was never signed with."""
    (tmp_path / "secret.new").write_text("half")
    assert kept(tmp_path / "secret", lambda: SECRET) == SECRET
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_one_that_others_could_read_is_shut(tmp_path: Path) -> None:
    """As a copy from a backup may be."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o644)
    assert kept(file, refuse) == SECRET
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"\n" * 64, b"\xff"])
def test_a_file_that_holds_none_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is not replaced in silence; the message says what to do."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(StoreUnusable, match="remove it"):
        kept(file, refuse)
    assert file.read_bytes() == content
