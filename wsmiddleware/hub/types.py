"""The values a hub takes and gives, and what it needs of a session. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from wsmiddleware.protocol.close import CloseEvent

Frame: TypeAlias = bytes
"""One whole message as it goes over the wire: an unmasked RFC 6455 frame (§5.2), header and payload."""

_POSITION = re.compile(r"([0-9A-Za-z_-]{1,64}):(0|[1-9][0-9]{0,18})")
"""Nineteen digits are more messages than a room can have, and keep int() cheap for whatever a client sends."""


class Position(NamedTuple):
    """A place in a room's sequence of messages: that of one message, or the end of all published so far.

    Clients keep it as text, ``str(position)``, and come back with it; ``Position.parse`` reads it.
    """

    epoch: str
    """One life of the room. When its sequence had to start again, the epoch is another one."""

    offset: int
    """Counts the room's messages in this epoch: the first is 1, and 0 is before it."""

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read back what ``str(position)`` wrote.

        Raises ValueError for everything else, whatever its type: *text* usually comes from a client.
        """
        match = _POSITION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            found = repr(text)
            raise ValueError(
                "expected a position as str(position) writes it, like '5f2c9a01:42', "
                f"found {found if len(found) <= 80 else found[:77] + '...'}"
            )
        return cls(match[1], int(match[2]))


class Message(NamedTuple):
    """What was published, as the room's history keeps it: before rendering."""

    room: str
    data: str | bytes
    position: Position
    sender: str | None
    """The id of the session it was published for, if the publisher named one."""


class Member(NamedTuple):
    """One session's membership in a room. It is an identity, not the session: that may live in another process."""

    id: str
    """The session's id."""

    info: Any
    """What the session joined with."""

    node: str
    """The hub that the session joined through, see Hub.node."""


class Joined(NamedTuple):
    """What a join came to."""

    recovered: bool
    """Whether everything after the asked-for position has been sent, so that the client misses nothing."""

    position: Position
    """The end of the room's sequence at the moment of joining: what comes live comes after it."""


class Subscriber(Protocol):
    """What a hub uses of a session. All of it can be called from any thread and greenlet, and none of it waits.

    A session calls its end callbacks while it holds no lock of its own: a hub offers frames under its lock, and a
    callback takes that lock.
    """

    @property
    def id(self) -> str:
        """What tells the session from all others."""

    @property
    def close_event(self) -> CloseEvent | None:
        """How the session ended; None as long as it has not."""

    def offer(self, frame: Frame) -> None:
        """Put *frame* at the end of the send queue. Never waits and never raises.

        A session whose queue is full is closed for being too slow; one that is over ignores the frame.
        """

    def add_end_callback(self, callback: Callable[[], None]) -> None:
        """Have *callback* called once, at the end, before on_close; at once, if the session is already over."""
