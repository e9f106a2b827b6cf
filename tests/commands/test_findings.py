"""What `doctor` finds on this machine, and what it says to do."""

from pathlib import Path

import pytest

from gateway import descriptors
from gateway.commands.findings import Level, clock, disk, files, provider
from gateway.config import Settings


def levels(folder: Path | None) -> list[Level]:
    return [each.level for each in disk(Settings(data_dir=str(folder) if folder else None))]


def test_nothing_that_is_kept_needs_no_room() -> None:
    """Who keeps no texts has chosen so."""
    (found,) = disk(Settings(keep_texts=False))
    assert (found.level, found.advice) == (Level.OK, "")


def test_the_disk(tmp_path: Path) -> None:
    """In memory, not made yet, open to others, a file in its place."""
    assert levels(None) == [Level.WARNING]
    assert levels(tmp_path / "new" / "data") == [Level.OK]
    (tmp_path / "data").mkdir(mode=0o700)
    assert levels(tmp_path / "data") == [Level.OK]
    (tmp_path / "data").chmod(0o755)
    _, open_to_all = disk(Settings(data_dir=str(tmp_path / "data")))
    assert (open_to_all.level, open_to_all.advice) == (Level.WARNING, f"chmod 700 {tmp_path}/data")
    (tmp_path / "file").touch()
    assert levels(tmp_path / "file") == [Level.ERROR]


@pytest.mark.parametrize(
    ("ahead_s", "level", "said"),
    [
        ({}, Level.WARNING, "there was no other clock to compare with"),
        ({"a.test": 1.2}, Level.OK, "it agrees with a.test's"),
        ({"a.test": 3000.0, "b.test": -0.4}, Level.OK, "it agrees with b.test's"),
        ({"a.test": -7.4}, Level.WARNING, "it is 7 s behind a.test's"),
        ({"a.test": 3600.0}, Level.ERROR, "it is 3600 s ahead of a.test's"),
    ],
)
def test_the_clock(ahead_s: dict[str, float], level: Level, said: str) -> None:
    """Another's that agrees is witness enough; one that is far off makes tokens fail."""
    found = clock(ahead_s)
    assert (found.level, found.text, bool(found.advice)) == (level, said, level is not Level.OK)


@pytest.mark.parametrize(
    ("status", "is_default", "level"),
    [
        ("connected", True, Level.OK),
        ("no key", False, Level.OK),
        ("no key", True, Level.ERROR),
        ("refused", False, Level.ERROR),
        ("unreachable", False, Level.WARNING),
        ("unreachable", True, Level.ERROR),
    ],
)
def test_a_provider(status: str, is_default: bool, level: Level) -> None:
    """What the default model needs weighs more; a key that is refused is always wrong."""
    found = provider("groq", status, is_default=is_default, setting="GROQ_API_KEY")
    assert (found.level, bool(found.advice)) == (level, level is not Level.OK)
    assert found.text.startswith(f"groq: {status}")


def test_the_number_of_files() -> None:
    """Fewer than the settings may want is said, with a way to have more."""
    for settings in (
        Settings(max_streams=1, workers=1),
        Settings(max_streams=10_000_000, workers=100_000),
    ):
        found = files(settings)
        enough = descriptors.most() >= descriptors.wanted(settings)
        assert found.level is (Level.OK if enough else Level.WARNING)
        assert ("MAX_STREAMS" in found.advice) is not enough
