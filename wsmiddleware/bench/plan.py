"""What to measure: a mode, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wsmiddleware.protocol.deflate import MODES
from wsmiddleware.protocol.deflate import Mode as Contexts


class Mode(Enum):
    """What the connections do."""

    ECHO = "echo"
    """Each has some messages on their way; for every one that comes back it sends the next."""

    FANOUT = "fanout"
    """One publishes a burst; when all connections have all of it, it publishes the next."""

    IDLE = "idle"
    """They are opened and held."""

    CHURN = "churn"
    """Each connects, sends one message, gets it back, closes, and begins anew."""


@dataclass(frozen=True)
class Plan:
    """One measurement. Raises ValueError for numbers that make no sense."""

    url: str
    """Like ws://host:port/path, or wss:// for TLS."""

    mode: Mode = Mode.ECHO

    connections: int = 1

    in_flight: int = 1
    """ECHO: messages on their way in each connection. FANOUT: messages published at once. Else it has no meaning."""

    size: int = 32
    """Bytes of payload in a message. Without a meaning if there is compression."""

    seconds: float = 5.0
    """How long to measure, from the moment when all connections are open."""

    text: bool = False
    """Whether to send text messages instead of binary ones."""

    deflate: Contexts | None = None
    """Whether to send a corpus of JSON, compressed (RFC 7692), and which contexts the server has to have: "shared" ones
    refer to nothing before a message, "dedicated" ones may."""

    headers: tuple[tuple[str, str], ...] = ()
    """Names and values for the handshake. One that every handshake has (Host) takes its place."""

    insecure: bool = False
    """Whether to trust any certificate."""

    patience: float = 10.0
    """Seconds without any handshake answered after which those that are still waiting have failed."""

    raw: bool = False
    """Whether to send payloads alone over TCP, without WebSockets: for servers that show what the system costs."""

    def __post_init__(self) -> None:
        _expect("connections", self.connections, 1)
        _expect("in_flight", self.in_flight, 1)
        _expect("size", self.size, 1)
        for name, seconds in (("seconds", self.seconds), ("patience", self.patience)):
            if not 0 < seconds < float("inf"):
                raise ValueError(f"expected {name} to be more than 0, found {seconds}")
        if self.raw and self.mode not in (Mode.ECHO, Mode.FANOUT):
            raise ValueError(f"expected the mode echo or fanout for a raw connection, found {self.mode.value}")
        if self.deflate is not None and self.raw:
            raise ValueError("expected a connection without compression if it is raw, found one with it")
        if self.deflate is not None and self.deflate not in MODES:
            raise ValueError(f'expected deflate to be "shared", "dedicated" or None, found {self.deflate!r}')


def _expect(name: str, number: int, least: int) -> None:
    if number < least:
        raise ValueError(f"expected {name} to be {least} or more, found {number}")
