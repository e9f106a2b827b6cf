"""What `gateway/logs.py` writes, and what it never does."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp.http_exceptions import BadStatusLine
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs
from tests.until import PATIENCE_S

ROOT = Path(__file__).parents[1]
CANARY = "canary/4f1d&x="


def bound_log(out: io.BytesIO, *, as_columns: bool = False, secrets: tuple[str, ...] = ()) -> Any:
    """A logger that writes to `out` the way the process's own does."""
    return structlog.wrap_logger(
        structlog.BytesLogger(out),
        processors=logs.processors(logs.Redactor(secrets), as_columns=as_columns),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def written(out: io.BytesIO) -> list[dict[str, Any]]:
    """The lines as values, without their times."""
    lines = [msgspec.json.decode(line) for line in out.getvalue().splitlines()]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    return lines


def test_a_line_is_one_json_object() -> None:
    """Time, level and event come first; the fields keep their types."""
    out = io.BytesIO()
    bound_log(out).info("job_finished", job_id="20261120T224400Z-x", took_s=1.5, tokens=12)
    assert list(json.loads(out.getvalue())) == [
        "timestamp", "level", "event", "job_id", "took_s", "tokens",
    ]  # fmt: skip
    assert written(out) == [
        {
            "level": "info",
            "event": "job_finished",
            "job_id": "20261120T224400Z-x",
            "took_s": 1.5,
            "tokens": 12,
        }
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"anything": f"before {CANARY} after"},
        {"url": "https://h/x?k=canary%2F4f1d%26x%3D"},
        {"nested": {"list": [{"deep": CANARY}]}},
        {"nested": {CANARY: 1}},
        {"raw": CANARY.encode()},
        {"error": ValueError(CANARY)},
    ],
)
@pytest.mark.parametrize("as_columns", [False, True])
def test_a_known_secret_is_never_written(fields: dict[str, Any], as_columns: bool) -> None:
    """Wherever it hides: in text, in a URL, in a key, in bytes, in an error."""
    out = io.BytesIO()
    bound_log(out, as_columns=as_columns, secrets=(CANARY,)).info("seen", **fields)
    assert b"canary" not in out.getvalue()
    assert b"[redacted]" in out.getvalue()


@pytest.mark.parametrize(
    "key",
    [
        "token", "access_token", "n8nToken", "app_code", "X-App-Code", "api_key", "apikey",
        "TOGETHER_API_KEY", "JWT_SECRET", "callback_secret", "Authorization", "set-cookie",
        "password", "app_codes",
    ],
)  # fmt: skip
def test_a_field_named_like_a_secret_is_redacted(key: str) -> None:
    """Nobody has to know the value beforehand."""
    out = io.BytesIO()
    bound_log(out).info("seen", **{key: "plain"}, headers={key: ["plain"]})
    assert written(out) == [
        {
            "level": "info",
            "event": "seen",
            key: "[redacted]",
            "headers": {key: "[redacted]"},
        }
    ]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("GET /stream/1?access_token=abc.d-f&x=1", "GET /stream/1?access_token=[redacted]&x=1"),
        ("authorization: Bearer abc.d-f", "authorization: Bearer [redacted]"),
        ("got eyJhbGciOi.eyJzdWI.c2ln here", "got [redacted] here"),
        ("code gw_0123456789abcdef", "code [redacted]"),
        ("key sk-proj-0123456789", "key [redacted]"),
        ("whsec_c2VjcmV0c2VjcmV0", "[redacted]"),
        ("/x?user=ann&n8nToken=abc#top", "/x?user=ann&n8nToken=[redacted]"),
        ("/webhook-waiting/1?signature=0a1b2c", "/webhook-waiting/1?signature=[redacted]"),
        ("/x?app_code=abc123hash&api_key=k&b=1", "/x?app_code=[redacted]&api_key=[redacted]&b=1"),
        ("redis://ann:s3cret@127.0.0.1:6379/0", "redis://[redacted]@127.0.0.1:6379/0"),
        ("Authorization: Basic YW5uOnMzY3JldA==", "Authorization: Basic [redacted]"),
        ('{"app_code": "abc123hash","x":1}', '{"app_code": "[redacted]","x":1}'),
        ('{"app_code":"abc123hash"}', '{"app_code":"[redacted]"}'),
        ("model lorem?tokens=200 of ann@example.org", "model lorem?tokens=200 of ann@example.org"),
        ("http://127.0.0.1:5000/a/b", "http://127.0.0.1:5000/a/b"),
        ("prompt_tokens, bearers of news", "prompt_tokens, bearers of news"),
    ],
)
def test_what_looks_like_a_secret_is_redacted(text: str, want: str) -> None:
    """Tokens in URLs and headers go, ordinary words stay."""
    assert logs.Redactor().text(text) == want


def test_a_secret_is_found_however_deep_it_lies() -> None:
    """In lists, tables, bytes and errors within each other, by value, shape or name."""
    out = io.BytesIO()
    deep = {
        "calls": [
            {"url": "/stream/1?access_token=abc.def", "headers": {"X-Api-Key": ["plain"]}},
            (b"Bearer abc.def", ValueError(f"refused {CANARY}")),
        ],
        f"of {CANARY}": {"app_code": "abc123hash", "tokens": 3},
    }
    bound_log(out, secrets=(CANARY,)).info("seen", deep=deep)
    assert written(out) == [
        {
            "level": "info",
            "event": "seen",
            "deep": {
                "calls": [
                    {
                        "url": "/stream/1?access_token=[redacted]",
                        "headers": {"X-Api-Key": "[redacted]"},
                    },
                    ["Bearer [redacted]", "refused [redacted]"],
                ],
                "of [redacted]": {"app_code": "[redacted]", "tokens": 3},
            },
        }
    ]


def test_counts_of_tokens_are_no_secrets() -> None:
    """A number is written whatever its name says."""
    out = io.BytesIO()
    bound_log(out).info("seen", prompt_tokens=3, max_tokens=None)
    assert written(out) == [
        {"level": "info", "event": "seen", "prompt_tokens": 3, "max_tokens": None}
    ]


def test_a_traceback_is_redacted_and_holds_no_local_variables() -> None:
    """What went wrong can be read; what it went wrong with cannot."""
    out = io.BytesIO()
    local = "canary-local"
    try:
        raise ValueError(f"refused {CANARY} {len(local)}")
    except ValueError:
        bound_log(out, secrets=(CANARY,)).exception("job_failed")
    (line,) = written(out)
    assert "ValueError: refused [redacted] 12" in line["exception"]
    assert "canary-local" not in line["exception"].replace('local = "canary-local"', "")


@given(st.text(), st.text())
def test_one_call_writes_one_line(name: str, value: str) -> None:
    """No text, lone surrogates and line separators included, can forge a second line."""
    out = io.BytesIO()
    bound_log(out).info(name, value=value + "\n\r\u2028\ud83d{}")
    assert out.getvalue().count(b"\n") == 1
    json.loads(out.getvalue())


@given(st.text())
def test_columns_cannot_be_forged(value: str) -> None:
    """On a terminal, control characters are shown and not obeyed."""
    out = io.BytesIO()
    bound_log(out, as_columns=True).info("seen " + value, value="\x1b[2J\r\n\u202e" + value)
    text = out.getvalue().decode()
    assert text.endswith("\n")
    assert all(char.isprintable() or char not in "\x1b\r\n\x9b\u2028\u202e" for char in text[:-1])


def record(name: str, message: str, error: BaseException | None, at: float) -> logging.LogRecord:
    """What a library's logger hands to its handlers."""
    exc_info = (type(error), error, None) if error is not None else None
    made = logging.LogRecord(name, logging.WARNING, "x.py", 1, message, (), exc_info)
    made.created = at
    return made


def test_a_librarys_line_takes_the_same_way() -> None:
    """Its logger's name and message are fields, and secrets in it are redacted too."""
    out = io.BytesIO()
    logs.StdlibRoute(bound_log(out)).handle(record("asyncio", "slow: Bearer abc", None, 1.0))
    assert written(out) == [
        {
            "level": "warning",
            "event": "library_logged",
            "logger": "asyncio",
            "message": "slow: Bearer [redacted]",
        }
    ]


def test_a_librarys_wrong_format_string_is_still_a_line() -> None:
    """A mistake in a library's call costs its formatting, not the line."""
    out = io.BytesIO()
    made = record("lib", "%d of", None, 1.0)
    made.args = ("x",)
    logs.StdlibRoute(bound_log(out)).handle(made)
    assert written(out)[0]["message"] == "%d of ('x',)"


def test_a_flood_of_requests_that_are_no_http_costs_a_line_a_second() -> None:
    """The line has no traceback and counts those left out since the last."""
    out = io.BytesIO()
    route = logs.StdlibRoute(bound_log(out))
    for at in (10.0, 10.1, 10.9, 11.1):
        route.handle(record("aiohttp.server", "Error handling", BadStatusLine("\x16"), at))
    malformed = {"level": "info", "event": "request_malformed", "error": "BadStatusLine"}
    assert written(out) == [malformed | {"left_out": 0}, malformed | {"left_out": 2}]


SERVER = """
import asyncio
from aiohttp import web
import structlog
from gateway import logs

async def main():
    logs.configure(secrets=["canary-secret"])
    app = web.Application()
    app.router.add_get("/", lambda request: 1 / 0)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    for sent in [b"GET /canary-secret HTTP/x\\r\\n\\r\\n"] * 100 + [b"GET / HTTP/1.0\\r\\n\\r\\n"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await reader.read()
        writer.close()
    structlog.get_logger().info("served", note="canary-secret")
    structlog.get_logger().debug("not written")
    await runner.cleanup()

asyncio.run(main())
"""


def test_a_process_writes_json_where_nobody_watches() -> None:
    """A real server: a handler's fault has its traceback, a hundred wrong requests have none."""
    done = subprocess.run(
        [sys.executable, "-c", SERVER],
        capture_output=True,
        timeout=PATIENCE_S,
        check=True,
        cwd=ROOT,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == b""
    assert b"canary" not in done.stderr
    assert {line["event"] for line in lines} == {"request_malformed", "library_logged", "served"}
    assert len(lines) < 20
    assert [line["logger"] for line in lines if "ZeroDivisionError" in str(line)] == [
        "aiohttp.server"
    ]
    assert done.stderr.count(b"Traceback") == 1
    assert lines[-1]["note"] == "[redacted]"


def test_the_form_named_decides_where_a_terminal_does_not() -> None:
    """Columns where nobody's terminal is, and the level that was asked for."""
    code = (
        "import structlog; from gateway import logs\n"
        "logs.configure(form='console', level='debug')\n"
        "structlog.get_logger().debug('seen', x=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=PATIENCE_S, check=True, cwd=ROOT
    )
    assert "[debug" in done.stderr.decode()
    assert "seen" in done.stderr.decode()


def test_a_log_that_nobody_reads_ends_nothing() -> None:
    """The program that it was piped into may have ended, or its terminal be closed."""
    code = (
        "import os, structlog; from gateway import logs\n"
        "out, into = os.pipe(); os.close(out); os.dup2(into, 2)\n"
        "logs.configure()\n"
        "for _ in range(1000): structlog.get_logger().info('said', to='nobody')\n"
        "print('there', flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=PATIENCE_S, check=True, cwd=ROOT
    )
    assert done.stdout == b"there\n"
