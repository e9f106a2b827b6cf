"""The whole engine over a scripted provider, as a test needs it: the core, and its counters."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import msgspec
from structlog.testing import capture_logs

from gateway import tenants
from gateway.catalog import Catalog, Model
from gateway.engine.auth import Auth, Principal
from gateway.engine.bounds import Bounds, Timeouts
from gateway.engine.core import Ask, Core, read
from gateway.engine.limits import Limits
from gateway.engine.observer import Observers
from gateway.events import Event
from gateway.jobs import Job
from gateway.log import START, Cursor
from gateway.messages import Message, Request
from gateway.stores import StoreAndOutbox
from gateway.stores.memory import MemoryStore
from gateway.tenants import Tenant
from tests.engine.scripted import Play, Scripted

EPOCH = 1_795_214_640.0
ACME = Tenant(name="acme", code_digest=tenants.digest("acme-code"))
BOUNDS = Bounds(
    workers=2,
    queue_max_size=100,
    queue_timeout=900.0,
    connect_timeout=60.0,
    disconnect_grace=10.0,
    abandon_after=300.0,
    drain_timeout=20.0,
    retention=3600.0,
    callback_deadline=86_400.0,
    timeouts=Timeouts(first_token_s=30.0, token_s=20.0, whole_s=300.0),
)


class Rig:
    """One engine. Leaving the block stops it, and finds everything back at zero.

    Attributes:
        callbacks: how often the notifier was told that one is due.
        crashes: how many jobs are meant to meet an error that nobody foresaw.
    """

    def __init__(
        self,
        *,
        tenant: Tenant = ACME,
        store: StoreAndOutbox | None = None,
        bounds: dict[str, Any] | None = None,
        **plays: Sequence[Play],
    ) -> None:
        """Put it together; each model named in `plays` is served by the provider.

        Args:
            bounds: those that are to differ from BOUNDS.
        """
        self.provider = Scripted(**plays)
        self.models: dict[str, Model] = {}
        self.serve(plays)
        self.store = store or MemoryStore()
        self.principal = Principal(tenant=tenant)
        self.rng = Random(0)
        self.callbacks = 0
        self.crashes = 0
        self._capture = capture_logs()
        self.logs: list[Any] = []
        self.core = Core(
            store=self.store,
            providers={"scripted": self.provider},
            catalog=Catalog(self.models),
            auth=Auth([tenant], jwt_secret=None, stream_secret="s" * 32, now=self.now),
            limits=Limits(asyncio.get_running_loop().time),
            bounds=msgspec.structs.replace(BOUNDS, **(bounds or {})),
            now=self.now,
            new_uuid=lambda: str(UUID(int=self.rng.getrandbits(128), version=4)),
            rng=self.rng,
            on_callback=self._called_back,
            observer=Observers(),
        )

    def serve(self, plays: Mapping[str, Sequence[Play]]) -> None:
        """Let the provider serve models by these names too."""
        for name in plays:
            self.provider.plays[name] = plays[name]
            self.models[name] = Model(name=name, provider="scripted", upstream=name)

    def _called_back(self) -> None:
        self.callbacks += 1

    @staticmethod
    def now() -> float:
        return EPOCH + asyncio.get_running_loop().time()

    async def __aenter__(self) -> Self:
        self.logs = self._capture.__enter__()
        await self.core.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.core.stop()
        self._capture.__exit__(kind, error, trace)
        if error is None:
            # What a durable store keeps, the next process goes on with.
            assert self.counters() == {} or self.store.durable
            assert self.provider.streaming == 0
            assert self.crashed() == self.crashes

    def crashed(self) -> int:
        """Jobs that met an error nobody foresaw."""
        return sum(line["event"] == "job_crashed" for line in self.logs)

    def counters(self) -> dict[str, int]:
        """Everything that is counted and is not at zero. Only a test looks this deep inside."""
        core = self.core
        found = {
            "running": core._queue.running,
            "waiting": core._queue.qsize(),
            "reserved": core._queue._reserved,
            "streaming": core._workers._pace.streams,
            "channels": len(core._hub),
            "runs": len(core._workers.runs),
            "cancelling": sum(task.cancelling() for task in core._workers._tasks),
            "claiming": len(core._workers._claiming),
            "marks": len(core._recorder._marked),
            "jobs": len(core._jobs),
            "expiring": len(core._waiting),
            "grace": len(core._grace),
            "owners": len(core._jobs._of),
        }
        return {name: count for name, count in found.items() if count}

    async def submit(self, model: str = "a", **changes: Any) -> Job:
        """Ask a model something; `changes` are those of the Ask or of its Request."""
        request = Request(messages=(Message(role="user", content="12345678"),), model=model)
        mine = {name: changes.pop(name) for name in Request.__struct_fields__ if name in changes}
        ask = Ask(request=msgspec.structs.replace(request, **mine), **{"door": "ask", **changes})
        return await self.core.submit(self.principal, ask)

    async def read(self, job: Job, cursor: Cursor = START) -> list[tuple[str, Event]]:
        """All events after `cursor` with their ids, up to the end of the stream."""
        async with self.core.channel(job) as channel:
            return [(str(at), event) async for at, event in read(channel, cursor)]

    async def events(self, job: Job) -> list[Event]:
        """All events of a job, when it has ended."""
        return [event for _, event in await self.read(job)]

    async def ended(self, job: Job) -> Job:
        """The job when it is over."""
        await self.read(job)
        over = await self.store.get(job.id)
        assert over is not None
        assert over.state.final
        return over

    def at(self) -> float:
        """Seconds since the loop's start."""
        return asyncio.get_running_loop().time() - 1000.0
