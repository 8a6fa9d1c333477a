"""Measure wsmiddleware and its peers side by side, on this machine.

    python benchmarks/run.py                         all of it, into benchmarks/RESULTS.md
    python benchmarks/run.py --quick --peers none    does it work?
    python benchmarks/run.py --only echo,fanout --peers picows,socketify

What is measured is the wsmiddleware that is installed in the interpreter that runs this, which also runs the load
client. The peers get a virtual environment of their own. Servers run on CPU 0 and the client on CPU 1, one server at a
time, in turns; the median of all rounds counts. Needs Linux; a C compiler for the floor that all else is compared with.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from suite import machine, peers, plain_http, servers
from suite.cells import CELLS, HTTP_AIMS, Cell, Kind
from suite.measure import figures
from suite.report import Report
from suite.servers import Server

from wsmiddleware.bench.measuring import allow_descriptors

ROOT = peers.BENCHMARKS.parent
RESULTS = peers.BENCHMARKS / "RESULTS.md"
BUILD = peers.BENCHMARKS / ".build"

DESCRIPTORS = 6000
"""For the cell with the most connections. Servers inherit it."""


class Bench:
    """What has been prepared for all cells."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Install and compile what is needed. Raises subprocess.CalledProcessError and FileNotFoundError."""
        self._options = options
        self._python = Path(sys.executable)
        if options.peers:
            self._python = peers.environment(options.venv)
        self.versions = machine.versions_in(self._python, peers.names()) if options.peers else {}

    def servers(self, cell: Cell) -> list[Server]:
        """Return what is to be measured in a cell: the floor, ours, the peers."""
        kind = cell.kind
        certificate = peers.certificate(self._python, BUILD / "certificate") if kind is Kind.TLS else None
        found = list(self._floor(kind))
        found += servers.ours(cell, machine.build(), certificate)
        if self._options.pure and machine.build() != "pure":
            found += servers.ours(cell, "pure", certificate, ROOT)
        for name in self._options.peers:
            if kind in servers.PEERS[name]:
                found += servers.peer(name, cell, self._python, certificate)
        return found

    def _floor(self, kind: Kind) -> Iterator[Server]:
        if kind in (Kind.ECHO, Kind.TEXT, Kind.FANOUT) and not self._options.no_floor:
            name = "raw_fanout" if kind is Kind.FANOUT else "raw_echo"
            program = peers.floor(name, BUILD)
            yield Server(name=servers.FLOOR, command=(str(program),), is_floor=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what *arguments* say; return the exit status: 0, or 1 with a line on stderr."""
    options = parse(arguments)
    if options.python:
        given = sys.argv[1:] if arguments is None else list(arguments)
        os.execv(options.python, [options.python, __file__, *_without_python(given)])
    try:
        allow_descriptors(DESCRIPTORS)
        bench = Bench(options)
        report = Report(machine.description(bench.versions))
        machine.pin_client()
        run(options, bench, report)
    except subprocess.CalledProcessError as error:
        return _fail(f"expected this to succeed, found that it failed (see above): {' '.join(map(str, error.cmd))}")
    except FileNotFoundError as error:
        return _fail(f"expected the program {error.filename!r}, found none. Install it, or see --no-floor and --peers.")
    return 0


def run(options: argparse.Namespace, bench: Bench, report: Report) -> None:
    """Measure, print each table as soon as it is there, and write all of it."""
    for kind in options.only:
        if kind is Kind.HTTP:
            print(report.add_http(plain_http.overheads(options.seconds * options.rounds), HTTP_AIMS), flush=True)
            continue
        for cell in cells(kind, options.quick):
            measured = figures(cell, bench.servers(cell), rounds=options.rounds, seconds=options.seconds)
            print(report.add_cell(cell, measured), flush=True)
    if options.output:
        options.output.write_text(report.markdown(), encoding="utf-8")
        print(f"written to {options.output}", file=sys.stderr)


def cells(kind: Kind, quick: bool) -> list[Cell]:
    """Return the cells of a kind."""
    return [cell.quick() if quick else cell for cell in CELLS if cell.kind is kind]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options. Ends the process for wrong ones, as argparse does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = ",".join(kind.value for kind in Kind)
    parser.add_argument("--only", type=_kinds, default=list(Kind), metavar="KIND,...", help=f"of {kinds}")
    names = ",".join(servers.PEERS)
    parser.add_argument(
        "--peers", type=_peers, default=list(servers.PEERS), metavar="NAME,...", help=f"none, or of {names}"
    )
    parser.add_argument("--rounds", type=int, help="how often each server gets its turn (default: 5, 1 with --quick)")
    parser.add_argument("--seconds", type=float, help="how long a turn is (default: 2, 0.5 with --quick)")
    parser.add_argument("--quick", action="store_true", help="short, with fewer connections: to see whether it works")
    parser.add_argument("--pure", action="store_true", help="measure this checkout's Python source too")
    parser.add_argument("--no-floor", action="store_true", help="without the C floor")
    parser.add_argument(
        "--venv", type=Path, default=BUILD / "venv",
        help="where the peers are, or get installed (default: benchmarks/.build/venv)",
    )  # fmt: skip
    parser.add_argument("--python", help="the interpreter whose wsmiddleware is measured, instead of this one")
    parser.add_argument(
        "--output", type=Path, help="where to write the tables (default: benchmarks/RESULTS.md, if all is measured)"
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0.5 if options.quick else 2.0)
    if options.output is None and not options.quick and options.only == list(Kind):
        options.output = RESULTS
    return options


def _kinds(text: str) -> list[Kind]:
    try:
        chosen = [Kind(name) for name in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return [kind for kind in Kind if kind in chosen]


def _peers(text: str) -> list[str]:
    chosen = [] if text == "none" else text.split(",")
    for name in chosen:
        if name not in servers.PEERS:
            raise argparse.ArgumentTypeError(f"expected none, or of {', '.join(servers.PEERS)}; found {name!r}")
    return chosen


def _without_python(arguments: Sequence[str]) -> Iterator[str]:
    """Yield all arguments but --python and its value."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--python":
            next(rest, None)
        elif not argument.startswith("--python="):
            yield argument


def _fail(problem: str) -> int:
    print(f"run.py: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
