"""The states of a connection, and the closing handshake as a table (RFC 6455 section 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class State(IntEnum):
    """Where the connection is. In order: what is greater than CLOSING reads nothing more."""

    OPEN = 0
    CLOSING = 1
    """Our close frame is out, the peer's is awaited."""

    CLOSED = 2
    """Both close frames have been exchanged."""

    FAILED = 3
    """The peer has broken a rule, or we gave it up: after our close frame nothing that it sends is read."""

    LOST = 4
    """The stream ended first."""


class Move(IntEnum):
    """What can happen to the state."""

    SEND_CLOSE = 0
    RECEIVE_CLOSE = 1
    FAIL = 2
    RECEIVE_EOF = 3


MOVES: Mapping[tuple[int, int], State] = {
    (State.OPEN, Move.SEND_CLOSE): State.CLOSING,
    (State.OPEN, Move.RECEIVE_CLOSE): State.CLOSED,  # and answered at once
    (State.OPEN, Move.FAIL): State.FAILED,
    (State.OPEN, Move.RECEIVE_EOF): State.LOST,
    (State.CLOSING, Move.RECEIVE_CLOSE): State.CLOSED,
    (State.CLOSING, Move.FAIL): State.FAILED,
    (State.CLOSING, Move.RECEIVE_EOF): State.LOST,
}
