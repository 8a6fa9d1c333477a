"""The messages that all connections send, as they go over the wire: made once, alone and several in a row."""

from __future__ import annotations

from collections.abc import Sequence

from wsmiddleware.protocol.wire import OutBuffer

LARGEST = 256 * 1024
"""Bytes of a burst, unless one message has more: about what a system takes at once."""

MOST = 64
"""Messages in a burst, and bursts, unless there are more messages: one burst for each number of them, from each on."""


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
    """Bursts of messages, which follow each other in a cycle."""

    __slots__ = ("limit", "messages", "_frames", "_made", "_sizes", "_whole")

    def __init__(self, frames: Sequence[bytes], sizes: Sequence[int]) -> None:
        """*frames* are the messages: one, or more for a cycle. *sizes* are their bytes without all that."""
        self.messages = len(frames)
        """How many different ones there are."""
        self.limit = max(1, min(MOST // self.messages, LARGEST // max(map(len, frames))))
        """Messages in the largest burst."""
        self._frames = list(frames)
        self._sizes = list(sizes)
        self._whole = sum(sizes)
        self._made: list[list[Burst]] = [[] for _ in frames]

    def of(self, first: int, count: int) -> Burst:
        """Return the burst of *count* messages, from 1 to ``limit``, that begins with number *first* of the cycle."""
        made = self._made[first]
        while len(made) < count:
            numbers = range(first, first + len(made) + 1)
            made.append(Burst(b"".join([self._frames[number % self.messages] for number in numbers])))
        return made[count - 1]

    def size(self, first: int, count: int) -> int:
        """Return the bytes of *count* messages from number *first* on, without header or compression."""
        size = count // self.messages * self._whole
        for number in range(first, first + count % self.messages):
            size += self._sizes[number % self.messages]
        return size
