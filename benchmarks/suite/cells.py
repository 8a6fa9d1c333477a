"""What is measured: each cell is one load that all servers get, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from wsmiddleware.bench import Mode, Plan
from wsmiddleware.protocol.deflate import Mode as Contexts


class Kind(Enum):
    """A group of cells, to be chosen with --only."""

    ECHO = "echo"
    TEXT = "text"
    TLS = "tls"
    FANOUT = "fanout"
    IDLE = "idle"
    CHURN = "churn"
    DEFLATE = "deflate"
    HTTP = "http"


_CHROMIUM_142 = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

CHROMIUM = (
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("User-Agent", _CHROMIUM_142),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9"),
    ("Cookie", "session=eyJpZCI6IjVmMmM5YTAxIn0.aSR1Zw.k3Yy0mYd0m3tq0v5cVt3mY1nB8s"),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
)
"""The headers that Chromium sends with a handshake, besides those that it has to have."""


@dataclass(frozen=True)
class Cell:
    """One load."""

    kind: Kind
    title: str
    connections: int
    in_flight: int = 1
    size: int = 32
    text: bool = False
    deflate: Contexts | None = None
    """The contexts that all servers compress with. The messages are a corpus then, and *size* has no meaning."""
    headers: tuple[tuple[str, str], ...] = ()
    against: str = ""
    """The title of a cell before this one; each server's figure is set in relation to what it was there."""
    rival: str = ""
    """The peer that the aims name; else they are about the C floor, or the best."""
    aims: Mapping[str, str] = field(default_factory=dict)
    """What our figure should come to, by style ("servlet", "blocking"), in words."""

    def quick(self) -> Cell:
        """Return a smaller one, to see whether all of it works."""
        if self.connections <= QUICK_CONNECTIONS:
            return self
        return replace(self, connections=QUICK_CONNECTIONS, title=f"{self.title} (quick: {QUICK_CONNECTIONS})", aims={})

    @property
    def in_kilobytes(self) -> bool:
        """Whether the figure is memory per connection, and less is better. Else it is messages a second."""
        return self.kind is Kind.IDLE

    def plan(self, url: str, *, seconds: float, raw: bool) -> Plan:
        """Return the load for one server."""
        mode = {Kind.FANOUT: Mode.FANOUT, Kind.IDLE: Mode.IDLE, Kind.CHURN: Mode.CHURN}.get(self.kind, Mode.ECHO)
        return Plan(
            url, mode, connections=self.connections, in_flight=self.in_flight, size=self.size, seconds=seconds,
            text=self.text, deflate=self.deflate, headers=self.headers, insecure=True, raw=raw, patience=30.0,
        )  # fmt: skip


KB, MB = 1024, 1024 * 1024

_BINARY = "100 connections, 1 in flight, 1 KB, binary"


def _aims(servlet: str, blocking: str) -> Mapping[str, str]:
    return {"servlet": servlet, "blocking": blocking}


_EVERY_PEER = _aims("every peer", "every peer")

_CONTEXTS: tuple[Contexts, ...] = ("dedicated", "shared")

CELLS = (
    Cell(Kind.ECHO, "1 connection, 1 in flight, 32 B", 1, aims=_aims("0.95", "0.90")),
    Cell(Kind.ECHO, "100 connections, 1 in flight, 32 B", 100, aims=_aims("0.95", "0.75")),
    Cell(Kind.ECHO, "100 connections, 16 in flight, 32 B", 100, 16, aims=_aims("0.95", "0.75")),
    Cell(Kind.ECHO, "100 connections, 1 in flight, 1 KB", 100, size=KB, aims=_aims("1.10", "0.90")),
    Cell(Kind.ECHO, "20 connections, 1 in flight, 64 KB", 20, size=64 * KB, aims=_aims("1.00", "0.90")),
    Cell(Kind.ECHO, "8 connections, 1 in flight, 4 MB", 8, size=4 * MB, aims=_EVERY_PEER),
    Cell(Kind.TEXT, _BINARY, 100, size=KB),
    Cell(Kind.TEXT, "100 connections, 1 in flight, 1 KB, text", 100, size=KB, text=True, against=_BINARY),
    Cell(Kind.TLS, "100 connections, 1 in flight, 32 B, TLS", 100, aims=_EVERY_PEER),
    Cell(Kind.FANOUT, "1,000 connections, one message at a time, 64 B", 1000, size=64),
    Cell(Kind.FANOUT, "1,000 connections, bursts of 16, 64 B", 1000, 16, size=64),
    Cell(Kind.IDLE, "5,000 connections", 5000, aims=_aims("2 KB", "10 KB")),
    Cell(
        Kind.IDLE,
        "5,000 connections, with the headers of Chromium",
        5000,
        headers=CHROMIUM,
        aims=_aims("5 KB", "10 KB"),
    ),
    Cell(
        Kind.CHURN,
        "50 at a time: connect, one echo, close",
        50,
        rival="gevent-websocket",
        aims=_aims("1.4", "1.4"),
    ),
    *(
        Cell(Kind.DEFLATE, f"{title}, {contexts}", count, text=True, deflate=contexts, aims=_EVERY_PEER)
        for contexts in _CONTEXTS
        for count, title in ((1, "1 connection, 1 in flight"), (100, "100 connections, 1 in flight"))
    ),
)

QUICK_CONNECTIONS = 100
"""The most that --quick opens."""

HTTP_AIMS: Mapping[str, str] = {"Flask": "1.01"}
"""What plain requests should come to, by the names in ``plain_http``."""
