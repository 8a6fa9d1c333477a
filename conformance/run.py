"""Runs wstest for all targets and batches, several processes at a time, and gathers the verdicts."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from conformance.cases import Batch
from conformance.servers import Server, Target
from conformance.verdict import Verdict, judge

PATIENCE = 3600.0
"""Seconds after which a batch is given up that takes a few minutes at most."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a target has come to."""

    target: Target
    cases: int
    """How many were asked for."""
    verdict: Verdict
    versions: Mapping[str, str]
    """Of what the target runs on."""


def run(
    targets: Sequence[Target], batches: Sequence[Batch], *, wstest: Path, folder: Path, jobs: int, tell: Tell
) -> list[Outcome]:
    """Run all batches against all targets, *jobs* at a time; return the outcomes in the order of the targets.

    The reports go to *folder*, in the place of earlier ones on the same targets. *tell* is called with a line for each
    batch that is through.

    Raises ServerFailed if a server does not start, FileNotFoundError if an interpreter or *wstest* does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for target in targets:
        if (earlier := folder / _file(target.agent)).exists():
            shutil.rmtree(earlier)
    verdicts = {target: Verdict() for target in targets}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(target, folder / f"{_file(target.agent)}.log")) for target in targets]
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        stack.callback(pool.shutdown, cancel_futures=True)
        # Batch by batch: the subset of all targets is what is known first, and the small batches are the last.
        waiting: dict[Future[Verdict], tuple[Server, Batch]] = {
            pool.submit(_run_batch, server, batch, wstest, folder): (server, batch)
            for batch in batches
            for server in servers
        }
        begun = time.monotonic()
        for count, future in enumerate(as_completed(waiting), 1):
            server, batch = waiting[future]
            verdict = future.result()
            verdicts[server.target] += verdict
            state = "good" if verdict.good else f"{len(verdict.problems)} PROBLEMS"
            tell(
                f"[{count}/{len(waiting)}, {time.monotonic() - begun:.0f} s] {server.target.agent}, {batch.name}: "
                f"{verdict.behaviors.total()} of {len(batch.cases)} cases, {state}"
            )
        for server in servers:
            verdicts[server.target] += _last_words(server)
    asked = sum(len(batch.cases) for batch in batches)
    return [Outcome(server.target, asked, verdicts[server.target], server.versions) for server in servers]


def suite_version(wstest: Path) -> str:
    """Return name and version of the testsuite. Raises subprocess.CalledProcessError if *wstest* does not run."""
    done = subprocess.run([wstest, "--autobahnversion"], check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1]


def _run_batch(server: Server, batch: Batch, wstest: Path, folder: Path) -> Verdict:
    agent = server.target.agent
    place = folder / _file(agent) / _file(batch.name)
    place.mkdir(parents=True)
    spec = place / "spec.json"
    # Ids, not patterns: the pattern 12.*.1 matches 12.1.10, too.
    said = {
        "outdir": str(place),
        "servers": [{"agent": agent, "url": server.url}],
        "cases": batch.cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    spec.write_text(json.dumps(said), encoding="utf-8")
    with (place / "wstest.log").open("wb") as log:
        try:
            subprocess.run(
                [wstest, "--mode", "fuzzingclient", "--spec", spec],
                cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            problem = f"{agent}, {batch.name}: expected wstest to end, it has not after {PATIENCE:g} s; see {log.name}"
            return Verdict(problems=(problem,))
    return judge(place, agent, batch.cases)


def _last_words(server: Server) -> Verdict:
    """Stop a server; return what it has to do with the outcome: it must have run on, and have nothing to complain."""
    agent, problems = server.target.agent, []
    status = server.stop()
    if status != -signal.SIGTERM:
        problems.append(f"{agent}: expected its server to run until it is stopped, it has ended with status {status}")
    if complaints := server.complaints():
        problems.append(f"{agent}: expected its server to be silent, it said:\n{complaints}")
    return Verdict(problems=tuple(problems))


def _file(name: str) -> str:
    return name.replace(" ", "-")
