"""What has been measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """The figures of one measurement."""

    mode: str
    connections: int
    """How many were asked for."""
    opened: int
    """Handshakes that the server has accepted."""
    failed: int
    """Connections that could not be opened, or that broke."""
    failures: dict[str, int]
    """Why, and how many of them. The first few reasons only."""
    connect_seconds: float
    """Until all connections were open or had failed."""
    seconds: float
    """How long was measured after that."""
    messages: int
    """Messages that came back; in the mode churn, connections that went from their beginning to their end."""
    rate: float
    """Messages a second."""
    megabytes: float
    """Payload that came back, in megabytes (10^6 bytes) a second."""
    compressed_to: float | None
    """Bytes that came on the wire, without headers of frames, for each byte of a message; None without compression."""
    p50: float | None
    """The latency that half of all did not exceed, in seconds; None if there were none.

    It is that of a message from its sending to its coming back (echo), of a burst until everybody has all of it
    (fanout), of a connection from its beginning to its end (churn).
    """
    p90: float | None
    """That of 90 percent."""
    p99: float | None
    """That of 99 percent."""
    client_cpu: float
    """Which part of the measured time this client was at work. Near 1, it may be what limits the rate."""

    def as_json(self) -> str:
        """Return all of it in one line."""
        return json.dumps(asdict(self))
