"""Chunks of an attempt that begins anew; all else is tried from outside."""

from gateway.surfaces.chat_completion import ChunkFramer
from tests.surfaces.attempts import FIRST, JOB, data, written


def test_chunks_of_a_new_attempt_begin_anew() -> None:
    """Its reader, who starts with it, sees a whole answer, of the model that gave it."""
    log, framer = written(), ChunkFramer(JOB, include_usage=True)
    frames = [framer(cursor, event) for cursor, event in log.entries(0, len(log))]
    chunks = data(b"".join(frames[len(FIRST) :]))
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "kept"},
        {},
    ]
    assert {chunk["model"] for chunk in chunks} == {"b"}
    assert chunks[-1]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
