"""The message that all connections send, as it goes over the wire: made once, alone and several times in a row."""

from __future__ import annotations

from wsmiddleware.protocol.wire import OutBuffer

LARGEST = 256 * 1024
"""Bytes of a burst, unless one message has more: about what a system takes at once."""

MOST = 64
"""Messages in a burst. There is one burst for each number of messages up to it."""


class Burst:
    """Some messages in a row. Nothing changes it."""

    __slots__ = ("data", "out", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.out = OutBuffer()
        """The same, to be written by ``system.write``."""
        self.out.extend(data)


class Bursts:
    """Bursts of one message, by their number of messages."""

    __slots__ = ("limit", "_frame", "_made")

    def __init__(self, frame: bytes) -> None:
        """*frame* is the message."""
        self.limit = min(MOST, max(1, LARGEST // len(frame)))
        """Messages in the largest burst."""
        self._frame = frame
        self._made: list[Burst] = []

    def of(self, count: int) -> Burst:
        """Return the burst of *count* messages, from 1 to ``limit``."""
        while len(self._made) < count:
            self._made.append(Burst(self._frame * (len(self._made) + 1)))
        return self._made[count - 1]
