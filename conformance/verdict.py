"""What a report of wstest says. wstest ends with status 0 whatever happens, so this is all that tells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INDEX = "index.json"
"""The file of a report that has the outcome of each case."""

GOOD = frozenset({"OK", "INFORMATIONAL"})
"""What a case and its close may have come to. The suite calls those informational to which no RFC has an answer."""


@dataclass(frozen=True)
class Verdict:
    """How many cases have behaved how, and a sentence about each that is not as it has to be."""

    behaviors: Counter[str] = field(default_factory=Counter)
    problems: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all that were asked for have run, and well."""
        return not self.problems

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.behaviors + other.behaviors, self.problems + other.problems)


def judge(folder: Path, agent: str, expected: Sequence[str]) -> Verdict:
    """Return the verdict about the report in *folder* on an agent, of which the cases *expected* were asked for."""
    file = folder / INDEX
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _refused(f"expected a report of wstest in {file}, found none")
    except ValueError as error:
        return _refused(f"expected a report of wstest in {file}, found what is no JSON: {error}")
    found = report.get(agent) if isinstance(report, dict) else None
    if not found:
        agents = ", ".join(map(repr, report)) or "none"
        return _refused(f"expected cases of the agent {agent!r} in {file}, found these agents: {agents}")
    return _compared(folder, agent, expected, found)


def _refused(problem: str) -> Verdict:
    return Verdict(problems=(problem,))


def _compared(folder: Path, agent: str, expected: Sequence[str], found: dict[str, dict[str, Any]]) -> Verdict:
    problems = []
    for case in expected:
        if case not in found:
            problems.append(f"{agent}, case {case}: expected it in {folder / INDEX}, it has not run")
            continue
        result = found[case]
        behavior, close = result.get("behavior"), result.get("behaviorClose")
        if behavior not in GOOD or close not in GOOD:
            details = folder / str(result.get("reportfile"))
            problems.append(f"{agent}, case {case}: expected OK, found {behavior}; its close: {close}; see {details}")
    for case in sorted(set(found) - set(expected)):
        problems.append(f"{agent}, case {case}: expected only what was asked for in {folder / INDEX}, it has run too")
    return Verdict(Counter(str(result.get("behavior")) for result in found.values()), tuple(problems))
