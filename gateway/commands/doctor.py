"""`doctor`: whether everything that the gateway needs is as it should be, and what to do if not."""

import argparse
import asyncio
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway import logs
from gateway.commands import conf, reaching
from gateway.commands.findings import Finding, Level, clock, disk, files, provider
from gateway.commands.remote import Remote, code_of, remote, url_of
from gateway.commands.terminal import printable, show_json
from gateway.commands.words import address
from gateway.config import KEYS, Config
from gateway.problems import ConfigError

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


def run(typed: argparse.Namespace, environ: dict[str, str]) -> int:
    """Examine everything and say what was found; 1 if something is an error."""
    # What goes wrong is told by the findings.
    logs.configure(level="critical")
    # Asked first: what is wrongly typed ends here.
    gateway = remote(typed, environ)
    findings = asyncio.run(_examine(typed, environ, gateway))
    if typed.json:
        show_json([each._asdict() for each in findings])
    else:
        _tell(findings)
    return 1 if any(each.level is Level.ERROR for each in findings) else 0


def _tell(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for each in findings:
        line = Text().append(f"{each.level:<8}", style=_STYLES[each.level])
        advice = f" → {printable(each.advice)}" if each.advice else ""
        text = printable(" ".join(each.text.split()))
        console.print(line.append(f"{each.check:<14}{text}{advice}"))


async def _examine(
    typed: argparse.Namespace, environ: Mapping[str, str], gateway: Remote
) -> list[Finding]:
    config: Config | None = None
    try:
        config = good = conf.read(typed, environ).config()
        found = [*_configuration(good), *await _surroundings(good)]
    except ConfigError as error:
        found = _wrong(error)
    async with gateway:
        health = await reaching.health(gateway)
    found += health
    if any(each.level is Level.ERROR for each in health):
        return found
    return found + await _way(typed, environ, config)


def _configuration(config: Config) -> list[Finding]:
    names = ", ".join(sorted(each.name for each in config.tenants)) or "none"
    warnings = [Finding("configuration", Level.WARNING, each) for each in config.warnings]
    return [Finding("configuration", Level.OK, f"it is good; apps: {names}"), *warnings]


def _wrong(error: ConfigError) -> list[Finding]:
    return [Finding("configuration", Level.ERROR, str(each)) for each in error.problems]


async def _surroundings(config: Config) -> list[Finding]:
    settings = config.settings
    default = config.catalog.resolve(settings.default_model).provider
    statuses = await reaching.providers(settings)
    found = [
        provider(name, status, is_default=name == default, setting=KEYS[name].upper())
        for name, status in statuses.items()
    ]
    used = [name for name, status in statuses.items() if status != "no key"]
    urls = [getattr(settings, f"{name}_base_url") for name in used]
    found += [clock(await reaching.clocks(urls, time.time()))]
    return [*found, *disk(settings), files(settings)]


async def _way(
    typed: argparse.Namespace, environ: Mapping[str, str], config: Config | None
) -> list[Finding]:
    """The way from a caller to the gateway, by its public address where it has one."""
    public: Any = config.settings.public_url if config is not None else None
    code = code_of(typed, environ)
    if code is None and (config is None or config.settings.anonymous_app is None):
        text = "not tried: it takes the code of an app"
        return [Finding("streaming", Level.WARNING, text, "export APP_CODE=gw_…")]
    url = address(public) if public else url_of(typed, environ)
    async with Remote(url, code) as way:
        return await reaching.streaming(way)
