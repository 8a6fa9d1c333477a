"""A run: all batches against all targets. Servers are real, wstest is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import run as running
from conformance import servers
from conformance.cases import Batch
from conformance.run import Outcome, run, suite_version
from conformance.servers import Target, targets
from tests.support.build import BUILD

TARGETS = targets({BUILD: Path(sys.executable)})[:2]
BATCHES = [Batch("one", ("1.1.1", "1.1.2")), Batch("the other", ("12.1.1",))]


def run_with(
    wstest: Path, folder: Path, told: list[str] | None = None, wanted: list[Target] = TARGETS[:1]
) -> list[Outcome]:
    tell = (told if told is not None else []).append
    return run(wanted, BATCHES, wstest=wstest, folder=folder, jobs=2, tell=tell)


def test_every_target_gets_every_batch(wstest: Callable[..., Path], tmp_path: Path) -> None:
    told: list[str] = []
    outcomes = run_with(wstest(), tmp_path / "reports", told, TARGETS)
    assert [outcome.target for outcome in outcomes] == TARGETS
    for outcome in outcomes:
        assert outcome.verdict.problems == ()
        assert (outcome.cases, outcome.verdict.behaviors) == (3, {"OK": 3})
    assert len(told) == 4
    assert all(line.endswith(" cases, good") for line in told)


def test_wstest_is_asked_for_ids_one_by_one(wstest: Callable[..., Path], tmp_path: Path) -> None:
    (outcome,) = run_with(wstest(), tmp_path / "reports")
    specs = [json.loads(file.read_text()) for file in sorted((tmp_path / "reports").rglob("spec.json"))]
    assert [spec["cases"] for spec in specs] == [["1.1.1", "1.1.2"], ["12.1.1"]]
    assert {spec["servers"][0]["agent"] for spec in specs} == {outcome.target.agent}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("report['1.1.2']['behavior'] = 'FAILED'", "case 1.1.2: expected OK, found FAILED; its close: OK"),
        ("report.pop('1.1.2')", "case 1.1.2: expected it in"),
        ("report.clear()", "expected cases of the agent"),
        ("sys.exit()", "expected a report of wstest in"),
    ],
)
def test_a_bad_report_is_told(wstest: Callable[..., Path], tmp_path: Path, line: str, problem: str) -> None:
    told: list[str] = []
    (outcome,) = run_with(wstest(f"if '1.1.2' in report: {line}"), tmp_path / "reports", told)
    (found,) = outcome.verdict.problems
    assert problem in found
    assert sorted(line.endswith("1 PROBLEMS") for line in told) == [False, True]


def test_an_earlier_report_does_not_count(wstest: Callable[..., Path], tmp_path: Path) -> None:
    run_with(wstest(), tmp_path / "reports")
    (outcome,) = run_with(wstest("sys.exit()"), tmp_path / "reports")
    assert outcome.verdict.behaviors == {}
    assert len(outcome.verdict.problems) == 2


def test_wstest_that_does_not_end_is_given_up(
    wstest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.01)
    (outcome,) = run_with(wstest("import threading; threading.Event().wait()"), tmp_path / "reports")
    assert len(outcome.verdict.problems) == 2
    assert "expected wstest to end, it has not after 0.01 s; see " in outcome.verdict.problems[0]


FAILING = """
import json, os, socket, sys

listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"port": listener.getsockname()[1], "versions": {}}), flush=True)
print("all is lost", file=sys.stderr, flush=True)
connection = listener.accept()
os._exit(3)
"""
"""A server that ends at the first connection, which ends with it and not before."""


def test_a_server_that_fails_is_told(
    wstest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "failing.py"
    failing.write_text(FAILING, encoding="utf-8")
    monkeypatch.setattr(servers, "PROGRAM", failing)
    tell: list[str] = []
    (outcome,) = run(TARGETS[:1], BATCHES[:1], wstest=wstest(), folder=tmp_path / "out", jobs=1, tell=tell.append)
    ended, said = outcome.verdict.problems
    assert ended.endswith("expected its server to run until it is stopped, it has ended with status 3")
    assert said.endswith("expected its server to be silent, it said:\nall is lost")


def test_the_testsuite_says_its_version(wstest: Callable[..., Path]) -> None:
    assert suite_version(wstest()) == "AutobahnTestSuite 1.2.3"
