"""What takes the gateway half a minute to notice. Collected where FAULTS=long is set."""

from tests.e2e import calls, wire
from tests.e2e.calls import Inbox
from tests.e2e.servers import Server
from tests.e2e.test_readers import frozen

_STALL_S = 30.0


async def test_a_frozen_reader_is_cut(gateway: Server, inbox: Inbox) -> None:
    """A reader that takes nothing loses its connection after the stall time; it may resume."""
    prompt = "z" * 99
    model = "together/echo?first=0.5&gap=0&chunk=100&tokens=20000"
    url = await calls.init(gateway.origin, inbox, model, prompt)

    async def connections() -> int:
        return gateway.connections_from_clients()

    async with frozen(url, 20) as stalled:
        await (await wire.stream(url)).text()
        await wire.eventually(connections, len(stalled))
        await wire.eventually(connections, 0, within_s=_STALL_S + 3)
        for stream in stalled:
            stream.thaw()
            words = [frame.data async for frame in stream.frames()]
            assert not stream.ended
            rest = await (await wire.stream(url, after=stream.last_id)).text()
            assert "".join(words) + rest == " ".join([prompt] * 20_000)
