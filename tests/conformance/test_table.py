"""The table of a run, and its place in a document."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from conformance.run import Outcome
from conformance.servers import targets
from conformance.table import BEGIN, END, table, write
from conformance.verdict import Verdict

DOCUMENTED = Path(__file__).parents[2] / "docs" / "conformance.md"

VERSIONS = {"Python": "3.12.1", "gevent": "26.9.0"}
GOOD = Verdict(Counter({"OK": 244, "INFORMATIONAL": 3}))
BAD = Verdict(Counter({"OK": 240, "FAILED": 1}), ("case 1", "case 2", "case 3"))


@pytest.fixture
def text() -> str:
    verdicts = [GOOD, GOOD, GOOD, BAD]
    found = targets({"pure": Path("python")})
    outcomes = [Outcome(target, 247, verdict, VERSIONS) for target, verdict in zip(found, verdicts, strict=True)]
    return table(outcomes, cases="subset (247)", testsuite="AutobahnTestSuite 25.10.1", day=date(2026, 1, 2))


def test_it_says_when_and_with_what(text):
    assert text.startswith(
        "- Date: 2026-01-02\n"
        "- Testsuite: AutobahnTestSuite 25.10.1, cases: subset (247)\n"
        "- The pure build: Python 3.12.1, gevent 26.9.0\n\n| build |"
    )


def test_each_target_has_a_row(text):
    assert text.splitlines()[6:] == [
        "| pure | servlet | plain | dedicated | 247 | 247 | 244 | 3 | 0 |",
        "| pure | blocking | plain | dedicated | 247 | 247 | 244 | 3 | 0 |",
        "| pure | servlet | TLS | shared | 247 | 247 | 244 | 3 | 0 |",
        "| pure | blocking | TLS | shared | 247 | 241 | 240 | 0 | 3 |",
    ]


def test_it_takes_the_place_of_the_one_before(tmp_path, text):
    document = tmp_path / "document.md"
    document.write_text(f"# Title\n{BEGIN}old\n{END}the rest\n", encoding="utf-8")
    write(document, "first\n")
    write(document, text)
    assert document.read_text(encoding="utf-8") == f"# Title\n{BEGIN}\n{text}\n{END}the rest\n"


@pytest.mark.parametrize("content", ["", BEGIN, END, END + BEGIN])
def test_a_document_without_a_place_for_it_is_left_alone(tmp_path, content):
    document = tmp_path / "document.md"
    document.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="expected the lines '<!-- begin of the table -->' and"):
        write(document, "table\n")
    assert document.read_text(encoding="utf-8") == content


def test_the_document_of_the_project_has_a_place_for_it(tmp_path):
    document = tmp_path / "conformance.md"
    document.write_text(DOCUMENTED.read_text(encoding="utf-8"), encoding="utf-8")
    write(document, "the new table\n")
    assert "\nthe new table\n" in document.read_text(encoding="utf-8")
