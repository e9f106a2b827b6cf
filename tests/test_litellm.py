"""Moving from LiteLLM: the example is what its configuration becomes, and every key is one."""

import re
import shutil
import tomllib
from pathlib import Path

import yaml
from msgspec.structs import fields

from gateway import sources
from gateway.catalog import Model
from gateway.config import RULES
from gateway.modes import Mode
from gateway.tenants import RequestType, Tenant
from tests.pages import blocks, python
from tests.processes import ROOT, lines_until, pasted, process

PAGE = (ROOT / "docs/how-to/litellm.md").read_text("utf-8")


def moved(folder: Path) -> Path:
    """The configuration that a reader of the page has in the end."""
    conf = shutil.copytree(ROOT / "conf", folder / "conf")
    models, settings = blocks(PAGE, "toml")
    (conf / "models.toml").write_text(models, "utf-8")
    text = (conf / "gateway.toml").read_text("utf-8")
    for line in settings.splitlines():
        text, count = re.subn(rf"^{line.split()[0]} = .*$", line, text, flags=re.MULTILINE)
        assert count == 1
    (conf / "gateway.toml").write_text(text, "utf-8")
    return conf


def test_the_example_says_the_same(tmp_path: Path) -> None:
    """Each model under its name at its provider, the fallback, and the time-out."""
    (before,) = (yaml.safe_load(block) for block in blocks(PAGE, "yaml"))
    after = sources.load(moved(tmp_path), {})
    told = {each["model_name"]: each["litellm_params"]["model"] for each in before["model_list"]}
    found = {model.name: f"{model.provider}/{model.upstream}" for model in after.catalog.models}
    assert found == {name: model.replace("_ai/", "/") for name, model in told.items()}
    (fallbacks,) = before["litellm_settings"]["fallbacks"]
    settings = after.settings
    assert fallbacks == {settings.default_model: list(settings.fallback_models)}
    assert settings.request_timeout == before["litellm_settings"]["request_timeout"]


async def test_a_program_goes_on(tmp_path: Path, unused_tcp_port: int) -> None:
    """With the address, the app's code, and the name of the model that it had."""
    conf = moved(tmp_path)
    environ = {"GATEWAY_CONF": str(conf), "SERVER_PORT": str(unused_tcp_port)}
    (add,) = blocks(PAGE, "bash")
    environ["APP_CODE"] = (await pasted(f"{add.strip()} 2>/dev/null", **environ)).strip()
    async with process("simulate", PYTHONUNBUFFERED="1") as simulator:
        environ["TOGETHER_BASE_URL"] = (await lines_until(simulator.stdout, "http://"))[-1]
        environ["TOGETHER_AI_API_KEY"] = "any-word"
        async with process("serve", **environ) as gateway:
            await lines_until(gateway.stderr, "gateway_started")
            printed = await python(blocks(PAGE, "python")[0], tmp_path, environ, unused_tcp_port)
    assert printed.endswith("see what happens.")


def test_every_key_of_the_table_is_one() -> None:
    """What is named on this side can be set."""
    rows = re.findall(r"^\| `.*\| (.*?) \| .*\|$", PAGE, re.MULTILINE)
    named = {each for row in rows for each in re.findall(r"`([a-z_]+)`", row)}
    kinds = (Tenant, RequestType, Mode, Model)
    known = {*RULES, *(field.name for kind in kinds for field in fields(kind))}
    assert len(rows) > 20
    assert named <= known
    variables = {each for row in rows for each in re.findall(r"`([A-Z_]+)`", row)}
    assert {each.lower() for each in variables} <= set(RULES)


def test_the_files_are_as_toml_has_them() -> None:
    """A reader who pastes them gets no error of form."""
    for block in blocks(PAGE, "toml"):
        tomllib.loads(block)
