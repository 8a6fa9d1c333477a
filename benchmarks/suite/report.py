"""Figures as Markdown: one table for each cell, and what they come to for us in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from suite.cells import Cell, Kind
from suite.measure import Figure
from suite.plain_http import Overhead

NONE = "–"

HEADINGS = {
    Kind.ECHO: "Echo",
    Kind.TEXT: "Text and binary",
    Kind.TLS: "Echo over TLS",
    Kind.FANOUT: "Fan-out",
    Kind.IDLE: "Memory of idle connections",
    Kind.CHURN: "Connections that come and go",
    Kind.DEFLATE: "Echo of compressed JSON",
    Kind.HTTP: "Plain HTTP requests",
}

PREFACE = """\
# Results

Written by `benchmarks/run.py`. Absolute figures hold for this machine only. Ratios are of figures of the same run: the
servers took turns, and the median of all rounds counts. The C floor sends the same bytes over TCP, without WebSockets
and without HTTP; a ratio of 1 to it means that all else costs nothing. "Best peer" is the best of the others, the floor
not among them. Latencies are from sending a message to its coming back; with fan-out until everybody has all of a
burst, and with connections that come and go from the first byte to the last.

Compressed JSON (permessage-deflate) is the same 128 messages for all servers. All have to agree to windows of 4 KB, and
to the same contexts: "dedicated" ones may refer to messages before, "shared" ones may not. "Compressed to" is what then
came over the wire of the messages' size, and includes small ones that a server leaves as they are. "Work" is the time
that the server had its CPU for a message; looking for the next one without waiting counts, too.
"""


class Report:
    """All that has been measured so far."""

    def __init__(self, description: Iterable[tuple[str, str]]) -> None:
        """*description* is what has to be known of the machine: names and values."""
        self._description = list(description)
        self._sections: dict[Kind, list[str]] = {}
        self._ours: list[list[str]] = []
        self._values: dict[tuple[str, str], float] = {}  # by cell and server

    def add_cell(self, cell: Cell, figures: Sequence[Figure]) -> str:
        """Add what servers have come to in a cell; return that as a table."""
        for figure in figures:
            if figure.value is not None:
                self._values[cell.title, figure.server.name] = figure.value
        floor = next((figure.value for figure in figures if figure.server.is_floor), None)
        best = _best_peer(cell, figures)
        rival = next((figure for figure in figures if figure.server.name == cell.rival), None if cell.rival else best)
        peers = _peers(figures)
        rows = []
        for figure in sorted(figures, key=lambda figure: _rank(cell, figure)):
            rows.append(self._row(cell, figure, floor, best, peers))
            if figure.server.style:
                self._ours.append(_summary(cell, figure, floor, rival))
        errors = "".join(f"- {figure.server.name}: {figure.error}\n" for figure in figures if figure.error)
        found = table([_columns(cell, peers), *rows])
        return self._add(cell.kind, cell.title, f"{found}\n{errors}" if errors else found)

    def add_http(self, overheads: Iterable[Overhead], aims: Mapping[str, str]) -> str:
        """Add what plain requests take; return that as a table. *aims* are by name of the application."""
        rows = [["application", "bare", "wrapped", "ratio", "aim"]]
        for found in overheads:
            aim = aims.get(found.name, NONE)
            rows.append([found.name, _time(found.bare), _time(found.wrapped), f"{found.ratio:.3f}", aim])
            self._ours.append([f"Plain HTTP, {found.name}", NONE, f"{found.ratio:.3f} × bare", NONE, NONE, aim])
        return self._add(Kind.HTTP, "One request, in process", table(rows))

    def markdown(self) -> str:
        """Return all of it as a document."""
        parts = [PREFACE, table([["what", "found"], *map(list, self._description)])]
        if self._ours:
            columns = ["cell", "style", "figure", "to the C floor", "to the best peer, or the aim's", "aim"]
            parts += ["## wsmiddleware at a glance\n", table([columns, *self._ours])]
        for kind, tables in self._sections.items():
            parts += [f"## {HEADINGS[kind]}\n", *tables]
        return "\n".join(parts)

    def _add(self, kind: Kind, title: str, text: str) -> str:
        section = f"### {title}\n\n{text}"
        self._sections.setdefault(kind, []).append(section)
        return section

    def _row(
        self, cell: Cell, figure: Figure, floor: float | None, best: Figure | None, peers: Sequence[Figure]
    ) -> list[str]:
        name = figure.server.name
        if figure.value is None or figure.result is None:
            return [name, "error", *[NONE] * (len(_columns(cell, peers)) - 2)]
        result = figure.result
        best_value = best.value if best else None
        aim = cell.aims.get(figure.server.style, NONE)
        if cell.in_kilobytes:
            to_connect = f"{result.connect_seconds:.2f} s"
            return [name, f"{figure.value / 1024:.2f}", to_connect, _ratio(figure.value, best_value), aim]
        row = [name, f"{figure.value:,.0f}", f"{result.megabytes:,.1f}", _time(result.p50), _time(result.p99)]
        row += [f"{result.client_cpu:.0%}", _ratio(figure.value, floor), _ratio(figure.value, best_value)]
        if cell.against:
            row.append(_ratio(figure.value, self._values.get((cell.against, name))))
        if cell.rival:
            row.append(_ratio(figure.value, self._values.get((cell.title, cell.rival))))
        if cell.deflate is not None:
            row += [_time(figure.work), f"{result.compressed_to:.1%}" if result.compressed_to is not None else NONE]
            row += [_ratio(figure.value, peer.value) for peer in peers]
        return [*row, aim]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return *rows*, the first of which are the headings, as a Markdown table that can also be read as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        # The first column and the last are words, those between are figures.
        last = len(row) - 1
        cells = [
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if number == 0:
            rules = [
                "-" * width if column in (0, last) else "-" * (width - 1) + ":" for column, width in enumerate(widths)
            ]
            lines.append(f"| {' | '.join(rules)} |")
    return "\n".join(lines) + "\n"


def _columns(cell: Cell, peers: Sequence[Figure]) -> list[str]:
    if cell.in_kilobytes:
        return ["server", "KB/connection", "to connect", "to best peer", "aim"]
    unit = "connections/s" if cell.kind is Kind.CHURN else "messages/s"
    columns = ["server", unit, "MB/s", "p50", "p99", "client busy", "to C floor", "to best peer"]
    columns += ["to binary"] if cell.against else []
    columns += [f"to {cell.rival}"] if cell.rival else []
    if cell.deflate is not None:
        columns += ["work", "compressed to", *(f"to {peer.server.name}" for peer in peers)]
    return [*columns, "aim"]


def _summary(cell: Cell, figure: Figure, floor: float | None, rival: Figure | None) -> list[str]:
    name = figure.server.name.replace("*", "").partition(", ")[2]
    title = f"{HEADINGS[cell.kind]}: {cell.title}"
    if figure.value is None:
        return [title, name, "error", NONE, NONE, cell.aims.get(figure.server.style, NONE)]
    shown = f"{figure.value / 1024:.2f} KB" if cell.in_kilobytes else f"{figure.value:,.0f} /s"
    to_rival = f"{_ratio(figure.value, rival.value)} ({rival.server.name})" if rival else NONE
    return [title, name, shown, _ratio(figure.value, floor), to_rival, cell.aims.get(figure.server.style, NONE)]


def _peers(figures: Iterable[Figure]) -> list[Figure]:
    """Return the figures of others that are there."""
    return [
        figure
        for figure in figures
        if figure.value is not None and not figure.server.style and not figure.server.is_floor
    ]


def _best_peer(cell: Cell, figures: Iterable[Figure]) -> Figure | None:
    return min(_peers(figures), key=lambda figure: _rank(cell, figure), default=None)


def _rank(cell: Cell, figure: Figure) -> float:
    """Return less for the better."""
    if figure.value is None:
        return float("inf")
    return figure.value if cell.in_kilobytes else -figure.value


def _ratio(value: float | None, to: float | None) -> str:
    return f"{value / to:.3f}" if value is not None and to else NONE


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    return f"{seconds * 1e3:,.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} µs"
