"""The folder of all that is kept: whose it is, and what cannot be it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.stores import folder


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_one_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever is above it, which is made too."""
    data = tmp_path / "deep" / "data"
    folder.make(data)
    assert (rights(data), folder.is_shared(data)) == (0o700, False)


def test_an_empty_one_becomes_its_owners_alone(tmp_path: Path) -> None:
    """Somebody made it for the gateway, and did not think of others."""
    for mode in (0o755, 0o770, 0o701):
        tmp_path.chmod(mode)
        folder.make(tmp_path)
        assert rights(tmp_path) == 0o700


def test_one_that_holds_something_stays_as_it_is(tmp_path: Path) -> None:
    """It may be shared on purpose."""
    (tmp_path / "file").touch()
    tmp_path.chmod(0o750)
    folder.make(tmp_path)
    assert (rights(tmp_path), folder.is_shared(tmp_path)) == (0o750, True)


def test_what_can_be_one(tmp_path: Path) -> None:
    """A folder, or a place where one can be made."""
    for place in (tmp_path, tmp_path / "data", tmp_path / "deep" / "data"):
        assert folder.objection(place) == ""


def test_what_cannot_be_one(tmp_path: Path) -> None:
    """A file, or what would be below one."""
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "data", file / "deep" / "data"):
        assert folder.objection(place) == f"{file} is no folder."


def test_what_may_not_be_one() -> None:
    """A folder in which whoever asks may not write."""
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o555)
        with as_nobody():
            found = [folder.objection(each) for each in (place, place / "data")]
        place.chmod(0o700)
    assert found == [f"{place} cannot be written."] * 2


@contextmanager
def as_nobody() -> Iterator[None]:
    """Not as root, who may write anywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
