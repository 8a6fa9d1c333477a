"""One cell: every server gets the same load, round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from suite.cells import Cell, Kind
from suite.machine import cpu_seconds, pss
from suite.servers import Running, Server, ServerFailed
from wsmiddleware.bench import BenchError, Mode, Observer, Plan, Result, measure

SETTLE = 0.5
"""Seconds between the last handshake and the look at the memory."""

WARM = 10
"""Connections before the first look: what a server needs only once is not to count."""


class Round(NamedTuple):
    """What one server has come to in its turn. As in Figure."""

    value: float
    result: Result
    work: float


@dataclass(frozen=True)
class Figure:
    """What one server has come to in one cell."""

    server: Server
    value: float | None
    """Messages a second, or bytes per connection: the median of all rounds. None if a round has failed."""
    result: Result | None
    """The round that this is from."""
    work: float | None
    """Seconds that the server was at work for a message: the median of all rounds. Others on the machine, who make a
    server wait for its CPU, change it less than the value."""
    error: str = ""
    """Why there is no value."""


def figures(cell: Cell, servers: Sequence[Server], *, rounds: int, seconds: float) -> list[Figure]:
    """Measure *servers* in turn, *rounds* times, *seconds* each; return a figure for each of them."""
    values: dict[str, list[Round]] = {server.name: [] for server in servers}
    errors: dict[str, str] = {}
    for _ in range(rounds):
        for server in servers:
            if server.name not in errors:
                try:
                    values[server.name].append(_round(cell, server, seconds))
                except (ServerFailed, BenchError, OSError) as error:
                    errors[server.name] = str(error)
    return [_figure(server, values[server.name], errors.get(server.name, "")) for server in servers]


def _round(cell: Cell, server: Server, seconds: float) -> Round:
    with Running(server) as running:
        url = f"{'wss' if cell.kind is Kind.TLS else 'ws'}://127.0.0.1:{running.port}{server.path}"
        plan = cell.plan(url, seconds=seconds, raw=server.is_floor)
        begun = cpu_seconds(running.group)
        if cell.in_kilobytes:
            memory = _Memory(running)
            measure(Plan(url, Mode.IDLE, connections=WARM, seconds=0.1))
            memory.before = pss(running.group)
            result = measure(plan, memory)
            value = (memory.after - memory.before) / max(1, result.opened)
        else:
            result = measure(plan)
            value = result.rate
        work = (cpu_seconds(running.group) - begun) / max(1, result.messages)
        running.check()
    if result.failed:
        raise BenchError(f"{result.failed} connections failed: {next(iter(result.failures))}")
    return Round(value, result, work)


def _figure(server: Server, rounds: list[Round], error: str) -> Figure:
    if error:
        return Figure(server, None, None, None, error)
    median = statistics.median_low(found.value for found in rounds)
    result = next(found.result for found in rounds if found.value == median)
    return Figure(server, median, result, statistics.median_low(found.work for found in rounds))


class _Memory(Observer):
    """Looks at a server's memory, in bytes, when all connections are open."""

    def __init__(self, running: Running) -> None:
        self._group = running.group
        self.before = 0
        self.after = 0

    def all_open(self) -> None:
        time.sleep(SETTLE)
        self.after = pss(self._group)
