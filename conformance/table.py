"""The outcome of a run as Markdown, and its place in a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from conformance.run import Outcome

BEGIN, END = "<!-- begin of the table -->\n", "<!-- end of the table -->\n"
"""The lines of a document between which the table goes."""

COLUMNS = ("build", "style", "transport", "compression", "cases", "ran", "OK", "informational", "problems")


def table(outcomes: Sequence[Outcome], *, cases: str, testsuite: str, day: date) -> str:
    """Return what was run, by what and when, and a line for each target. *cases* are those chosen, in words."""
    return "\n".join(_lines(outcomes, cases, testsuite, day)) + "\n"


def around(document: Path) -> tuple[str, str]:
    """Return what stands in a document before its table and behind it.

    Raises ValueError if it has no place for a table, OSError if it cannot be read.
    """
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN.strip()!r} and {END.strip()!r} in {document}, found one or none")
    return before + begin, end + after


def write(document: Path, text: str) -> None:
    """Put a table into a document, in the place of the one that is there. Raises what ``around`` does."""
    before, after = around(document)
    document.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def _lines(outcomes: Sequence[Outcome], cases: str, testsuite: str, day: date) -> Iterator[str]:
    yield f"- Date: {day.isoformat()}"
    yield f"- Testsuite: {testsuite}, cases: {cases}"
    for build, versions in {outcome.target.build: outcome.versions for outcome in outcomes}.items():
        yield f"- The {build} build: " + ", ".join(f"{name} {number}" for name, number in versions.items())
    yield ""
    yield _row(COLUMNS)
    yield _row(["---"] * 4 + ["---:"] * (len(COLUMNS) - 4))
    for outcome in outcomes:
        target, verdict = outcome.target, outcome.verdict
        ran, behaviors = verdict.behaviors.total(), verdict.behaviors
        numbers = (outcome.cases, ran, behaviors["OK"], behaviors["INFORMATIONAL"], len(verdict.problems))
        yield _row([target.build, target.style, target.transport, target.compression, *map(str, numbers)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
