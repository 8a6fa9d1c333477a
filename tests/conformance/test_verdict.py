"""What a report has to be like for a good verdict: complete, and each case OK with a clean close."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.verdict import Verdict, judge

AGENT = "pure servlet plain"
CASES = ("1.1.1", "7.1.6", "12.1.10")


def result(behavior: str = "OK", close: str = "OK") -> dict[str, Any]:
    return {"behavior": behavior, "behaviorClose": close, "duration": 2, "reportfile": "details.json"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def report(folder: Path, **changed: Any) -> None:
    """Write a report on all CASES, each OK but for those *changed*; None leaves one out."""
    found = {case: result() for case in CASES} | {name[1:].replace("_", "."): value for name, value in changed.items()}
    index = {AGENT: {case: value for case, value in found.items() if value is not None}}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def test_all_cases_ok(folder):
    report(folder)
    verdict = judge(folder, AGENT, CASES)
    assert verdict.good
    assert verdict.behaviors == {"OK": 3}


def test_informational_cases_are_good(folder):
    report(folder, c7_1_6=result("INFORMATIONAL", "INFORMATIONAL"))
    verdict = judge(folder, AGENT, CASES)
    assert verdict.good
    assert verdict.behaviors == {"OK": 2, "INFORMATIONAL": 1}


@pytest.mark.parametrize("behavior", ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "SOMETHING NEW"])
def test_a_case_that_is_not_ok_is_named_with_its_file(folder, behavior):
    report(folder, c1_1_1=result(behavior))
    verdict = judge(folder, AGENT, CASES)
    assert not verdict.good
    assert verdict.problems == (
        f"{AGENT}, case 1.1.1: expected OK, found {behavior}; its close: OK; see {folder / 'details.json'}",
    )
    assert verdict.behaviors == {"OK": 2, behavior: 1}


@pytest.mark.parametrize("close", ["FAILED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT"])
def test_a_close_that_is_not_clean_is_named(folder, close):
    report(folder, c7_1_6=result("OK", close))
    (problem,) = judge(folder, AGENT, CASES).problems
    assert f"case 7.1.6: expected OK, found OK; its close: {close}" in problem


def test_a_result_without_a_close_is_not_good(folder):
    report(folder, c7_1_6={"behavior": "OK"})
    (problem,) = judge(folder, AGENT, CASES).problems
    assert "case 7.1.6: expected OK, found OK; its close: None" in problem


def test_a_case_that_is_missing_is_named(folder):
    report(folder, c12_1_10=None)
    (problem,) = judge(folder, AGENT, CASES).problems
    assert "case 12.1.10: expected it in" in problem
    assert problem.endswith("it has not run")


def test_a_case_that_nobody_has_asked_for_is_named(folder):
    report(folder, c12_1_11=result())
    (problem,) = judge(folder, AGENT, CASES).problems
    assert "case 12.1.11: expected only what was asked for" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "found none", id="no report"),
        pytest.param("", "found what is no JSON", id="an empty file"),
        pytest.param("{}", "found these agents: none", id="an empty report"),
        pytest.param("[]", "found these agents: none", id="another kind of report"),
        pytest.param('{"pure servlet plain": {}}', "found these agents: 'pure servlet plain'", id="no cases"),
        pytest.param('{"another": {"1.1.1": {}}}', "found these agents: 'another'", id="another agent"),
    ],
)
def test_a_report_that_says_nothing_is_refused(folder, text, problem):
    if text is not None:
        (folder / "index.json").write_text(text, encoding="utf-8")
    verdict = judge(folder, AGENT, CASES)
    assert not verdict.good
    assert problem in verdict.problems[0]


def test_verdicts_of_batches_add_up(folder):
    report(folder, c1_1_1=result("FAILED"))
    one = judge(folder, AGENT, CASES)
    both = Verdict() + one + one
    assert both.behaviors == {"OK": 4, "FAILED": 2}
    assert both.problems == one.problems * 2
