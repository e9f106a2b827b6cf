"""A job's place in a distributed trace: from its caller, through the queue, to whom it asks.

W3C Trace Context: https://www.w3.org/TR/trace-context/. The ids of all spans follow from the
request id, so that a span that began before a restart ends under the same id after it.
"""

import re
from hashlib import sha256

import msgspec

# A version to come may say more behind the flags.
_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_STATE = re.compile(r"[ -~]{1,512}")
_SAMPLED = 1


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One span of a trace, and its parent.

    Attributes:
        trace_id: 32 hexadecimal digits; "" where the trace begins with the next span.
        span_id: 16 of them; "" as well.
        parent_id: "" where there is no parent.
        sampled: whoever began the trace wants it recorded.
        state: what tracing systems along the way tell each other, passed on unread.
    """

    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    sampled: bool = True
    state: str = ""

    def of_job(self, job_id: str) -> "Trace":
        """The span of a job that was asked for in this one."""
        digits = job_id.partition("-")[2].replace("-", "")
        return self._next(digits[16:], self.trace_id or digits)

    def child(self, name: str) -> "Trace":
        """The span of a part of this one's work; each name gives another."""
        return self._next(sha256(f"{self.span_id} {name}".encode()).hexdigest()[:16])

    def _next(self, span_id: str, trace_id: str = "") -> "Trace":
        return msgspec.structs.replace(
            self, trace_id=trace_id or self.trace_id, span_id=span_id, parent_id=self.span_id
        )

    def headers(self) -> dict[str, str]:
        """What tells the next one in line which span it works for."""
        flags = _SAMPLED if self.sampled else 0
        told = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{flags:02x}"}
        return {**told, "tracestate": self.state} if self.state else told


# Nobody began a trace: it begins with the job.
NEW = Trace()


def parse(parent: str | None, state: str | None = None) -> Trace:
    """The caller's span; `NEW` where it names none, or wrongly.

    Args:
        parent: the header `traceparent`, as `state` is `tracestate`.
    """
    match = _PARENT.fullmatch(parent.strip()) if parent is not None else None
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return NEW
    if not int(match["trace"], 16) or not int(match["span"], 16):
        return NEW
    return Trace(
        trace_id=match["trace"],
        span_id=match["span"],
        sampled=bool(int(match["flags"], 16) & _SAMPLED),
        state=state if state is not None and _STATE.fullmatch(state) else "",
    )
