"""The files for Prometheus and Grafana: they speak of what /metrics has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.engine.n8n import Execution, N8n
from tests.pages import blocks
from tests.surfaces.running import CODE, Gateway, apps, bearer

ROOT = Path(__file__).parents[1]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "conf/grafana-dashboard.json").read_text("utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((ROOT / "conf/alerts.yml").read_text("utf-8"))
HOW_TO = (ROOT / "docs/how-to/metrics.md").read_text("utf-8")

_METRIC = re.compile(r"\b(?:gateway|process|python)_[a-z0-9_]+")
_LABELS = re.compile(r"by \(([^)]*)\)|(\w+)=\"|\{\{ ?(?:\$labels\.)?(\w+) ?\}\}")
# What Prometheus itself gives every sample, and what a histogram's buckets have.
_ALWAYS = {"job", "le"}


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def rules() -> Iterator[dict[str, Any]]:
    return (rule for group in ALERTS["groups"] for rule in group["rules"])


def queries() -> list[tuple[str, str]]:
    """Each query, and what is written with its labels."""
    shown = [
        (target["expr"], target.get("legendFormat", ""))
        for panel in panels()
        for target in panel["targets"]
    ]
    told = [(rule["expr"], str(rule["annotations"]).replace("$value", "")) for rule in rules()]
    return shown + told


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def labels() -> dict[str, set[str]]:
    """The labels of each sample, by its name, of a gateway where a bit of everything happened."""
    models = '[models."simulator/x"]\nprovider = "simulator"\nupstream = "echo?first=0&gap=0"\n'
    async with (
        N8n() as n8n,
        Gateway(
            CALLBACK_ALLOWED_ORIGINS=n8n.origin,
            DEFAULT_MODEL="simulator/x",
            models=models,
            app_codes=apps(budget={"usd": 1}),
        ) as gateway,
    ):
        body = {"prompt": "one two", "resumeUrl": n8n.wait_for(Execution())}
        await gateway.post("/init-stream", body, **bearer(CODE))
        await n8n.arrived(1)
        failing = await gateway.queue(model="simulator/lorem?status=400&refuse=1")
        await gateway.over(failing)
        path = (await gateway.stream(failing)).removeprefix(gateway.origin)
        await gateway.get(path)
        await gateway.get(path, **{"Last-Event-ID": "1-1"})
        await gateway.post("/ai_request", {})
        held = await gateway.queue(model="simulator/x?stall=0")
        text = (await gateway.get("/metrics")).body.decode()
        await gateway.post(f"/cancel_request/{held}", **bearer(CODE))
    return {
        sample.name: {*sample.labels} for family in parse(text) for sample in family.samples
    } | {
        # Nothing is spared here.
        "gateway_model_spared": {"model", "provider"}
    }


@pytest.mark.parametrize(("query", "told"), queries(), ids=[query for query, _ in queries()])
def test_a_query_speaks_of_what_there_is(
    query: str, told: str, labels: dict[str, set[str]]
) -> None:
    """Each metric is told, and each label is one of a metric in the query."""
    named = set(_METRIC.findall(query))
    assert named <= set(labels) or query.startswith("up{")
    have = _ALWAYS.union(*(labels[name] for name in named if name in labels))
    for match in _LABELS.finditer(query + told):
        wanted = (match[1] or match[2] or match[3]).replace(" ", "").split(",")
        assert {*wanted} <= have
    assert query.count("(") == query.count(")")


def test_the_page_speaks_of_what_there_is(labels: dict[str, set[str]]) -> None:
    """Its table names metrics of the gateway, and its alerts are those of the file."""
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in labels}
    assert {*re.findall(r"`(gateway_\w+)`", HOW_TO)} <= families
    assert {*re.findall(r"\*\*(Gateway\w+)\*\*", HOW_TO)} <= {rule["alert"] for rule in rules()}


def test_every_metric_is_shown(labels: dict[str, set[str]]) -> None:
    """What nobody looks at need not be measured."""
    seen = {name for query, _ in queries() for name in _METRIC.findall(query)}
    families = {re.sub("_(bucket|sum|count|created)$", "", name) for name in labels}
    unseen = {
        name
        for name in families
        if name.startswith("gateway_") and not any(each.startswith(name) for each in seen)
    }
    assert unseen == {
        "gateway_info",
        "gateway_app_request_duration_seconds",
        "gateway_requests_running",
        "gateway_conversations",
        "gateway_draining",
        "gateway_uptime_seconds",
    }


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Each panel has an id and a place of its own, and the reader chooses the data source."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        mine = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not places & mine
        places |= mine
    for panel in panels():
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_prometheus_is_set_up_under_the_name_that_the_alerts_know() -> None:
    """The page's lines are YAML, and load the file of alerts."""
    (shown,) = blocks(HOW_TO, "yaml")
    told = yaml.safe_load(shown)
    (job,) = told["scrape_configs"]
    assert f'up{{job="{job["job_name"]}"}} == 0' in [rule["expr"] for rule in rules()]
    assert told["rule_files"] == ["alerts.yml"]


def test_an_alert_says_how_bad_it_is_and_what_it_means() -> None:
    """Whoever is woken knows why."""
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
