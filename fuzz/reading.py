"""What somebody heard in a stream: messages and control frames, and how it ended."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["text", "binary", "ping", "pong"]

Heard: TypeAlias = tuple[Kind, str | bytes]


class End(NamedTuple):
    """Why nothing more is read."""

    how: Literal["closed", "failed", "raised"]
    """A close frame came; the stream broke a rule; the reader itself broke."""

    code: int
    """The close code received, or the one that answers the broken rule; 0 if the reader broke."""

    reason: str = ""
    """The reason received, or what was raised."""

    def __str__(self) -> str:
        return f"{self.how} {self.code or ''} {self.reason}".strip()


class Reading(NamedTuple):
    """All that was heard."""

    events: tuple[Heard, ...]
    end: End | None
    """None: the stream could go on."""

    def __str__(self) -> str:
        events = ", ".join(f"{kind} {_short(data)}" for kind, data in self.events)
        return f"[{events}] {self.end or 'still open'}"


def _short(data: str | bytes) -> str:
    return repr(data) if len(data) <= 40 else f"{data[:40]!r}... ({len(data)})"
