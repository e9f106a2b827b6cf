"""What Prometheus reads: counted for every request, under labels that do not grow."""

import json
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.engine.n8n import Execution, N8n
from tests.surfaces.running import CODE, JWT_SECRET, QUICK, SILENT, Gateway, Reply, apps, bearer
from tests.surfaces.running import user_token as user

PRICED = "simulator/priced"
MODELS = f"""
[models."{PRICED}"]
provider = "simulator"
upstream = "echo?first=0&gap=0.001"
input_price = 250_000
output_price = 250_000
"""
OF_MODEL = {"model": PRICED, "provider": "simulator"}


async def scraped(gateway: Gateway, **headers: str) -> Reply:
    reply = await gateway.get("/metrics", **headers)
    assert reply.status == 200, reply
    return reply


class Samples(dict[str, list[tuple[dict[str, str], float]]]):
    """Every sample by its name, with its labels."""

    def of(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels."""
        found = [value for have, value in self[name] if labels.items() <= have.items()]
        assert found, (name, labels, self[name])
        return sum(found)


async def samples(gateway: Gateway) -> Samples:
    found = Samples()
    for family in parse((await scraped(gateway)).body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def test_a_request_is_counted_from_its_coming_to_its_end() -> None:
    """Per app, door, provider and model: traffic, latency, tokens, cost."""
    settings: Any = {"models": MODELS, "app_codes": apps(budget={"usd": 4})}
    async with Gateway(**settings) as gateway:
        job_id = await gateway.queue(model=PRICED, text="one two")
        await gateway.over(job_id)
        found = await samples(gateway)
    here = {"app": "shop", "door": "ai_request"}
    assert found.of("gateway_requests_total", **here) == 1
    assert found.of("gateway_requests_ended_total", **here, state="completed") == 1
    assert found.of("gateway_request_duration_seconds_count", door="ai_request") == 1
    assert found.of("gateway_app_request_duration_seconds_count", app="shop") == 1
    assert found.of("gateway_queue_wait_seconds_count", door="ai_request") == 1
    assert found.of("gateway_first_token_seconds_count", **OF_MODEL) == 1
    assert found.of("gateway_run_duration_seconds_count", **OF_MODEL) == 1
    assert found.of("gateway_tokens_total", app="shop", model=PRICED, kind="prompt") == 2
    assert found.of("gateway_tokens_total", app="shop", model=PRICED, kind="completion") == 2
    assert found.of("gateway_cost_dollars_total", app="shop", model=PRICED) == 1.0
    assert found.of("gateway_budget_spent_ratio", app="shop") == 0.25
    assert found.of("gateway_chunks_total", **OF_MODEL) >= 2
    assert found.of("gateway_chunk_gap_seconds_count", **OF_MODEL) >= 1
    assert found.of("gateway_requests_active") == 0


async def test_what_waits_and_runs_is_looked_at() -> None:
    """The queue by app, the slots, the readers: as they are at the moment."""
    async with Gateway(WORKERS=1) as gateway:
        running = await gateway.queue(model=SILENT)
        await gateway.published(running, 1)
        waiting = await gateway.queue(model=SILENT)
        found = await samples(gateway)
        for job_id in (running, waiting):
            await gateway.post(f"/cancel_request/{job_id}", **bearer(CODE))
    assert found.of("gateway_requests_active", state="queued") == 1
    assert found.of("gateway_requests_active", state="processing") == 1
    assert found.of("gateway_queue_depth", app="shop") == 1
    assert found.of("gateway_requests_running", app="shop") == 1
    assert (found.of("gateway_workers"), found.of("gateway_workers_busy")) == (1, 1)
    assert found.of("gateway_queue_oldest_seconds") >= 0
    assert found.of("gateway_queue_capacity") == 10_000


async def test_failures_and_refusals_are_told_by_what_went_wrong() -> None:
    """Tries at a model, jobs that failed, and requests that made none."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(model="simulator/lorem?status=400&refuse=1")
        await gateway.over(job_id)
        await gateway.post("/ai_request", {"app_code": "nobody's"})
        found = await samples(gateway)
    code = "INVALID_REQUEST"
    assert found.of("gateway_errors_total", door="ai_request", code=code) == 1
    assert found.of("gateway_provider_failures_total", model="other", code=code) == 1
    assert found.of("gateway_refusals_total", door="ai_request", code="UNAUTHENTICATED") == 1


async def test_readers_are_counted_while_they_stay_and_when_they_come_back() -> None:
    """How many, for how long, and who resumed."""
    async with Gateway() as gateway:
        job_id = await gateway.queue(model=SILENT)
        url = await gateway.stream(job_id)
        async with gateway.session.get(url):
            await gateway.read_by(1)
            found = await samples(gateway)
            assert found.of("gateway_streams_open", form="text") == 1
        await gateway.unread()
        await gateway.post(f"/cancel_request/{job_id}", **bearer(CODE))
        over = await gateway.queue()
        await gateway.over(over)
        path = (await gateway.stream(over)).removeprefix(gateway.origin)
        await gateway.get(path, **{"Last-Event-ID": "1-3"})
        found = await samples(gateway)
    assert found.of("gateway_streams_open", form="text") == 0
    assert found.of("gateway_stream_duration_seconds_count", form="text") == 2
    assert found.of("gateway_stream_resumes_total", form="text") == 1


async def test_callbacks_are_counted_by_their_outcome() -> None:
    """Also each that met a workflow which did not wait yet."""
    async with N8n() as n8n, Gateway(CALLBACK_ALLOWED_ORIGINS=n8n.origin) as gateway:
        body = {"prompt": "one", "resumeUrl": n8n.wait_for(Execution(races=1))}
        await gateway.post("/init-stream", body, **bearer(CODE))
        await n8n.arrived(2)
        await gateway.quiet()
        found = await samples(gateway)
        while found["gateway_callbacks_pending"] != [({}, 0.0)]:
            found = await samples(gateway)
    assert found.of("gateway_callbacks_total", outcome="raced") == 1
    assert found.of("gateway_callbacks_total", outcome="delivered") == 1
    assert found.of("gateway_callback_duration_seconds_count") == 2
    assert found.of("gateway_dead_letters") == 0


async def test_labels_do_not_grow_with_users_ids_or_names() -> None:
    """Models that nobody listed are one, and no secret or user is anywhere."""
    async with Gateway() as gateway:
        job_ids = []
        for nth in range(5):
            model = f"{QUICK}&tokens={nth + 1}"
            body = {"request_type": "ask", "request": "one", "model": model}
            token = bearer(user(sub=f"user-{nth}"))
            reply = await gateway.post("/ai_request", body, **token)
            job_ids.append(reply.json()["request_id"])
            await gateway.over(job_ids[-1])
        text = (await scraped(gateway)).body.decode()
    models = {
        sample.labels["model"]
        for family in parse(text)
        for sample in family.samples
        if "model" in sample.labels
    }
    assert models == {"other"}
    for told in (*job_ids, "user-", CODE, JWT_SECRET, "127.0.0.1"):
        assert told not in text


async def test_the_process_is_told_of_too() -> None:
    """Version, memory, collector, and how late the loop is."""
    async with Gateway() as gateway:
        found = await samples(gateway)
    assert {
        "gateway_info",
        "process_resident_memory_bytes",
        "process_open_fds",
        "python_gc_collections_total",
        "gateway_loop_lag_seconds_count",
        "gateway_uptime_seconds",
        "gateway_draining",
        "gateway_disk_low",
        "gateway_conversations",
        "gateway_provider_up",
    } <= set(found)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=1.0.0"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
    ],
)
async def test_each_reader_gets_its_form(accept: str, kind: str) -> None:
    """Prometheus asks for OpenMetrics; `curl` gets text."""
    async with Gateway() as gateway:
        reply = await scraped(gateway, Accept=accept)
    assert reply.headers["Content-Type"].startswith(kind.partition(";")[0])
    if accept:
        assert list(parse_open(reply.body.decode()))  # type: ignore[no-untyped-call]


async def test_metrics_are_for_operators() -> None:
    """An app with `admin` by its code; others are told nothing."""
    async with Gateway(app_codes=apps(admin=True), LOCAL_ADMIN="false") as gateway:
        assert (await gateway.get("/metrics")).status == 401
        other = [code for code in apps() if code != CODE]
        assert (await gateway.get("/metrics", **bearer(other[0]))).status == 403
        assert (await gateway.get("/metrics", **bearer(CODE))).status == 200


async def test_usage_is_told_to_operators() -> None:
    """By app, user, model and day; the sums of no user are nobody's."""
    async with Gateway(models=MODELS) as gateway:
        job = await gateway.over(await gateway.queue(model=PRICED, text="one two"))
        day = (await gateway.get("/admin/usage?by=day")).json()
        by_app = (await gateway.get("/admin/usage")).json()
        by_user = (await gateway.get("/admin/usage?by=user")).json()
        later = (await gateway.get(f"/admin/usage?since={job.created_at + 86_400}")).json()
        until = (await gateway.get(f"/admin/usage?by=model&until={job.created_at + 1}")).json()
        wrong = await gateway.get("/admin/usage?by=planet")
    sums = {"jobs": 1, "prompt_tokens": 2, "completion_tokens": 2, "cost_usd": 1.0}
    assert by_app == {"rows": [{"key": "shop", **sums}]}
    assert by_user == {"rows": [{"key": None, "app": "shop", **sums}]}
    assert [(row["jobs"], len(row["key"])) for row in day["rows"]] == [(1, 10)]
    assert later == {"rows": []}
    assert until == {"rows": [{"key": PRICED, **sums}]}
    assert (wrong.status, json.loads(wrong.body)["error"]["field"]) == (400, "by")
