"""The runner of the benchmarks, without peers and with the least load: does it measure, and does it tell?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wsmiddleware
from tests.support.build import BUILD

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

PACKAGES = Path(wsmiddleware.__file__).parents[1]
"""Where what is tested comes from, the checkout or an installed wheel."""

TIMEOUT = 50
"""Seconds after which a run is given up that takes a few."""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def rows(printed: str, title: str) -> dict[str, list[str]]:
    """Return the rows of the table under a title, by their first column."""
    table = printed.partition(f"### {title}\n")[2].partition("###")[0]
    lines = [line.strip("| ").split("|") for line in table.splitlines() if line.startswith("|")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines[2:]}


def test_plain_requests(tmp_path: Path) -> None:
    done = run("--quick", "--peers", "none", "--only", "http", "--output", tmp_path / "results.md")
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout, "One request, in process")
    assert set(found) == {"trivial application", "Flask"}
    written = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "## wsmiddleware at a glance" in written
    assert done.stdout.strip() in written
    assert f"| {BUILD}" in written


TITLES = {
    "tls": "100 connections, 1 in flight, 32 B, TLS",
    "fanout": "1,000 connections, bursts of 16, 64 B (quick: 100)",
    "idle": "5,000 connections, with the headers of Chromium (quick: 100)",
    "deflate": "100 connections, 1 in flight, shared",
    "churn": "50 at a time: connect, one echo, close",
}
"""One cell of each way to measure. (Text and more echoes are measured as TLS is.)"""


@pytest.mark.parametrize("kind", TITLES)
def test_our_servers_in_both_styles(kind: str) -> None:
    done = run("--quick", "--peers", "none", "--only", kind)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout, TITLES[kind])
    ours = [f"**wsmiddleware, {style}** ({BUILD})" for style in ("servlet", "blocking")]
    assert set(found) - {"C floor (no WebSocket)"} == set(ours)
    for name in ours:
        assert found[name][0] != "error", done.stdout
        assert float(found[name][0].replace(",", "")) > 0


MEASURE = f"""
import sys
sys.path.insert(0, {str(BENCHMARKS)!r})
from suite.cells import CELLS, Kind
from suite.measure import figures
from suite.report import Report
from suite.servers import Server

server = Server("broken", (sys.executable, "-c", sys.argv[1]), "/echo")
cell = next(cell.quick() for cell in CELLS if cell.kind is Kind.CHURN)
print(Report([]).add_cell(cell, figures(cell, [server], rounds=1, seconds=0.1)))
"""

COMPLAINING = f"""
import sys
sys.path.insert(0, {str(BENCHMARKS)!r})
import echo_server
print("all is lost", file=sys.stderr, flush=True)
echo_server.main()
"""


@pytest.mark.parametrize(
    ("server", "told"),
    [
        pytest.param("raise SystemError('no')", "it ended with status 1: SystemError: no", id="it ends"),
        pytest.param(COMPLAINING, "it said: all is lost", id="it complains"),
    ],
)
def test_a_server_that_fails_is_told(server: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, server],
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert rows(done.stdout, "50 at a time: connect, one echo, close")["broken"][0] == "error"
    assert f"- broken: {told}\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--only", "tea"), "'tea' is not a valid Kind"),
        (("--peers", "tea"), "expected none, or of picows, websockets"),
    ],
)
def test_wrong_options_are_told(arguments: tuple[str, ...], problem: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert problem in done.stderr
