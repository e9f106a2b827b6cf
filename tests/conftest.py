"""What holds for every test: on the build machine, nothing may be skipped."""

import os
import resource
import signal
from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.ports import quiet_port

# A shell ignores Ctrl-C for what it runs in the background, nohup ignores hangups, and whoever is
# started under them would too. What is handled here, if by nothing, is as ever to them.
for _signal in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, lambda *_: None)

# A thousand readers are a thousand files; a shell allows about as many, and more where asked.
_FILES = 4096
_allowed, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
if 0 < _allowed < _FILES and (_most >= _FILES or _most == resource.RLIM_INFINITY):
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _most))

# How fast a machine is says nothing of what it runs.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# What test files share explains its failures as they do. Said here, before anything imports it.
for _shared in (
    "tests.engine.rig",
    "tests.stores.conformance",
    "tests.stores.callback_conformance",
    "tests.stores.conversation_conformance",
    "tests.stores.usage_conformance",
):
    pytest.register_assert_rewrite(_shared)

_STRICT = os.environ.get("CI") == "true"


@pytest.fixture
def unused_tcp_port() -> int:
    """In place of pytest-asyncio's, which is one that the kernel may give to any client."""
    return quiet_port()


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> Callable[[], int]:
    """As `unused_tcp_port`, for several."""
    return quiet_port


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if _STRICT and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI=true, where nothing may be skipped. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped file into a failed one."""
    report = yield
    _refuse_skip(report)
    return report
