"""The house rules that a machine can hold; style.md's spirit is for people."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
UNFINISHED = re.compile(r"\bTO[D]O\b|\bFIX[M]E\b|\bX[X]X\b|NotImplemented[E]rror")
# Where anything may arrive, and is logged with its job's id instead of ending the process.
BOUNDARIES = {
    "gateway/surfaces/door.py",
    "gateway/engine/notifier.py",
    # A form that fails keeps no job from ending.
    "gateway/engine/recorder.py",
    "gateway/engine/worker.py",
    # One reload that fails must not be the last.
    "gateway/serving.py",
    # What goes wrong in the thread that writes is raised where the caller waits.
    "gateway/stores/writer.py",
}


def broken_rules(name: str, source: str) -> list[str]:
    """Every house rule that the file breaks, as a sentence that says what to do."""
    tree = ast.parse(source)
    broken = []
    if Path(name).stem in VAGUE:
        broken.append(f"{name}: name the file after the one noun it is about")
    if ast.get_docstring(tree) is None:
        broken.append(f"{name}: begin with one sentence that says what the file is for")
    if len(source.splitlines()) > 400:
        broken.append(f"{name}: over 400 lines; which second noun wants a file of its own?")
    if UNFINISHED.search(source):
        broken.append(f"{name}: finish it, or leave it out and say so in the changelog")
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            broken.append(
                f"{name}:{node.lineno}: no `global`; pass the object that holds the state"
            )
        if isinstance(node, ast.ExceptHandler) and _is_broad(node) and name not in BOUNDARIES:
            broken.append(
                f"{name}:{node.lineno}: name the errors; all are caught at the boundaries"
            )
    return broken


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """It swallows anything. To tidy up and raise again swallows nothing."""
    caught = "BaseException" if handler.type is None else ast.unparse(handler.type)
    raised_again = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    return re.search(r"\b(Base)?Exception\b", caught) is not None and not raised_again


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_the_house_rules(path: Path) -> None:
    """Every Python file reads as the others do."""
    assert broken_rules(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("gateway/utils.py", '"""Doc."""\n'),
        ("gateway/log.py", "x = 1\n"),
        ("gateway/log.py", '"""Doc."""\n' * 401),
        ("gateway/log.py", '"""Doc."""\n# T\x4fDO later\n'),
        ("gateway/log.py", '"""Doc."""\ndef f():\n    global x\n'),
        ("gateway/log.py", '"""Doc."""\ntry:\n    f()\nexcept Exception:\n    pass\n'),
        (
            "gateway/log.py",
            '"""Doc."""\ntry:\n    f()\nexcept (KeyError, BaseException):\n    pass\n',
        ),
        ("gateway/log.py", '"""Doc."""\ntry:\n    f()\nexcept:\n    pass\n'),
    ],
)
def test_a_broken_rule_is_found(name: str, source: str) -> None:
    """The rules can fail: each of these breaks exactly one."""
    assert len(broken_rules(name, source)) == 1
