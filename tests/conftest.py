"""Where the tests import from. And: in CI (the environment variable CI is set) a skipped test is a failed test."""

import os
import sys
from pathlib import Path
from typing import Any

import gevent
import hypothesis
import pytest

# The tests import each other from the root ("from tests.support ..."). It comes last: the packages are those installed,
# this checkout for "make test", a wheel for tox.
sys.path.append(str(Path(__file__).parents[1]))

# A busy machine is no fault of a test.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("tests")

CI_MAY_LACK: tuple[str, ...] = ()
"""What a CI machine may do without, as the whole reason that tests give for skipping."""


@pytest.fixture(autouse=True)
def _clock_of_the_hub() -> None:
    # gevent counts from when its loop last ran: after a minute of tests without it, a timeout of 20 s is over at once.
    gevent.get_hub().loop.update_now()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    _fail_if_skipped(report, item.path)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    _fail_if_skipped(report, collector.path if isinstance(collector, pytest.File) else collector.nodeid)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport, where: object) -> None:
    if not os.environ.get("CI") or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason in CI_MAY_LACK:
        return
    report.outcome = "failed"
    report.longrepr = (
        f"{where}: expected no test to skip in CI, found one that does: {reason}\n"
        "Provide what it needs, or list that reason in CI_MAY_LACK, tests/conftest.py."
    )
