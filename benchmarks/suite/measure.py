"""One cell: every server gets the same load, round by round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from suite.cells import Cell, Kind
from suite.machine import pss
from suite.servers import Running, Server, ServerFailed
from wsmiddleware.bench import BenchError, Mode, Observer, Plan, Result, measure

SETTLE = 0.5
"""Seconds between the last handshake and the look at the memory."""

WARM = 10
"""Connections before the first look: what a server needs only once is not to count."""


@dataclass(frozen=True)
class Figure:
    """What one server has come to in one cell."""

    server: Server
    value: float | None
    """Messages a second, or bytes per connection: the median of all rounds. None if a round has failed."""
    result: Result | None
    """The round that this is from."""
    error: str = ""
    """Why there is no value."""


def figures(cell: Cell, servers: Sequence[Server], *, rounds: int, seconds: float) -> list[Figure]:
    """Measure *servers* in turn, *rounds* times, *seconds* each; return a figure for each of them."""
    values: dict[str, list[tuple[float, Result]]] = {server.name: [] for server in servers}
    errors: dict[str, str] = {}
    for _ in range(rounds):
        for server in servers:
            if server.name not in errors:
                try:
                    values[server.name].append(_round(cell, server, seconds))
                except (ServerFailed, BenchError, OSError) as error:
                    errors[server.name] = str(error)
    return [_figure(server, values[server.name], errors.get(server.name, "")) for server in servers]


def _round(cell: Cell, server: Server, seconds: float) -> tuple[float, Result]:
    with Running(server) as running:
        url = f"{'wss' if cell.kind is Kind.TLS else 'ws'}://127.0.0.1:{running.port}{server.path}"
        plan = cell.plan(url, seconds=seconds, raw=server.is_floor)
        if cell.in_kilobytes:
            memory = _Memory(running)
            measure(Plan(url, Mode.IDLE, connections=WARM, seconds=0.1))
            memory.before = pss(running.group)
            result = measure(plan, memory)
            value = (memory.after - memory.before) / max(1, result.opened)
        else:
            result = measure(plan)
            value = result.rate
        running.check()
    if result.failed:
        raise BenchError(f"{result.failed} connections failed: {next(iter(result.failures))}")
    return value, result


def _figure(server: Server, values: list[tuple[float, Result]], error: str) -> Figure:
    if error:
        return Figure(server, None, None, error)
    median = statistics.median_low(value for value, _ in values)
    return Figure(server, median, next(result for value, result in values if value == median))


class _Memory(Observer):
    """Looks at a server's memory, in bytes, when all connections are open."""

    def __init__(self, running: Running) -> None:
        self._group = running.group
        self.before = 0
        self.after = 0

    def all_open(self) -> None:
        time.sleep(SETTLE)
        self.after = pss(self._group)
