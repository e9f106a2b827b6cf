"""A file imports its own floor or lower: the layout's promise, read from the imports."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOF = {"__main__", "app", "cli", "commands", "demo", "enrolment", "logs", "serving", "simulate"}
ROOF |= {"doors", "gauges", "lag", "lines", "metrics", "reloading", "sources", "supervisor"}
ROOF |= {"connections", "descriptors", "farewell", "tallies", "tracer"}
FLOORS = {"providers": 1, "stores": 1, "engine": 2, "surfaces": 3}
NAMES = ("a value", "an adapter", "the engine", "a surface", "the roof")
# What waits, tells the time, rolls dice or leaves the process. (A Random is handed in.)
IMPURE = {"asyncio", "http", "os", "random", "secrets", "select", "socket", "ssl", "subprocess"}
IMPURE |= {"threading", "time"}
PURE = sys.stdlib_module_names - IMPURE | {"msgspec", "gateway"}


def floor(module: str) -> int:
    """The floor of a module of the package: 0 is the ground, 4 the roof."""
    name = module.split(".")[1] if "." in module else ""
    return 4 if name in ROOF else FLOORS.get(name, 0)


def objection(module: str, imported: str) -> str | None:
    """Why the module may not import that dotted name; None if it may."""
    here = floor(module)
    there = floor(imported) if imported.startswith("gateway.") else 0
    concrete = there == 1 and imported.split(".")[2].islower()
    if here == 0 and imported.split(".")[0] not in PURE and imported != "random.Random":
        return f"{module} is a value: it takes what {imported} gives as an argument"
    if there > here:
        return f"{module} is {NAMES[here]} and may not see {imported}: that is {NAMES[there]}"
    if here == 2 and (concrete or imported.startswith("aiohttp.web")):
        return f"{module} is the engine and sees only protocols, not {imported}: pass it in"
    if here == 3 and there in {1, 2} and not imported.startswith("gateway.engine.core"):
        return f"{module} is a surface and asks gateway.engine.core, not {imported}"
    return None


def imports(source: str) -> list[str]:
    """Every name that the source imports, dotted."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize(
    "path", sorted((ROOT / "gateway").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_file_imports_its_own_floor_or_lower(path: Path) -> None:
    """No file of the gateway sees more of the house than its floor allows."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = [objection(module, name) for name in imports(path.read_text("utf-8"))]
    assert [text for text in found if text] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.log", "import asyncio"),
        ("gateway.log", "from gateway.engine.hub import Hub"),
        ("gateway.stores.memory", "from gateway.engine import hub"),
        ("gateway.engine.worker", "from gateway.stores.memory import MemoryStore"),
        ("gateway.engine.worker", "from aiohttp import web"),
        ("gateway.surfaces.stream", "from gateway.engine.hub import Hub"),
        ("gateway.surfaces.stream", "from gateway.providers import Provider"),
        ("gateway.engine.worker", "from gateway import app"),
    ],
)
def test_an_import_of_a_higher_floor_is_objected_to(module: str, source: str) -> None:
    """The rule can fail: each of these is refused with a sentence."""
    assert [objection(module, name) for name in imports(source)] != [None]
