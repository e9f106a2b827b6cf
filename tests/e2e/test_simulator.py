"""The simulated provider as a process, on whatever event loop is installed."""

from tests.e2e import wire
from tests.e2e.servers import Server


async def test_the_process_streams(provider: Server) -> None:
    """An answer comes word by word, and is counted as ended."""
    body = {
        "model": "echo?first=0&gap=0",
        "stream": True,
        "messages": [{"role": "user", "content": "one two"}],
    }
    answer = await wire.post(
        provider.origin, "/v1/chat/completions", body, Authorization="Bearer k"
    )
    assert answer.body.count(b'"content":"one"') == 1
    assert answer.body.endswith(b"data: [DONE]\n\n")
    said = (await wire.get(provider.origin, "/simulator/stats")).json()
    assert said == {"requests": 1, "refused": 0, "open": 0, "ended": 1, "closed_early": 0}
