"""One disagreement: both sides of it, and what can be asked about them."""

from __future__ import annotations

from functools import cached_property

from fuzz.anatomy import Message, Part, dissect, inflate, reaches_beyond_window
from fuzz.ends import Make, decided_at
from fuzz.reading import Reading
from fuzz.streams import TEXT, Stream
from wsmiddleware.protocol.connection import SLACK


class Side:
    """What one of the two has heard, and where it ended."""

    def __init__(self, reading: Reading, make: Make, scene: Scene) -> None:
        self.events = reading.events
        self.end = reading.end
        self._make = make
        self._scene = scene

    @cached_property
    def at(self) -> int | None:
        """How many bytes had come when it ended; None: it never did."""
        return decided_at(self._make, self._scene.stream)

    @cached_property
    def part(self) -> Part | None:
        """The frame in which it ended."""
        at = self.at
        if at is None:
            return None
        return next((part for part in self._scene.parts if part.start < at <= part.end), None)

    @property
    def code(self) -> int | None:
        """The close code with which it failed the stream; None: it did not."""
        return self.end.code if self.end is not None and self.end.how == "failed" else None

    def failed_first(self, *codes: int) -> Part | None:
        """Return the frame that it failed with one of *codes*; None if it did not.

        Nor if it had heard something else than the other till then, or the other ended sooner.
        """
        other = self._scene.theirs if self is self._scene.ours else self._scene.ours
        if self.code not in codes or self.events != other.events[: len(self.events)]:
            return None
        if other.at is not None and self.at is not None and other.at < self.at:
            return None
        return self.part


class Scene:
    """A stream that we and another have read differently."""

    def __init__(self, stream: Stream, ours: Reading, theirs: Reading, make_ours: Make, make_theirs: Make) -> None:
        self.stream = stream
        self.ours = Side(ours, make_ours, self)
        self.theirs = Side(theirs, make_theirs, self)

    @cached_property
    def parts(self) -> list[Part]:
        """The frames of the stream."""
        return dissect(self.stream)

    @property
    def both_in_one(self) -> bool:
        """Whether both ended in the same frame, or in none."""
        return self.ours.part is self.theirs.part

    @property
    def first_end(self) -> int:
        """How many bytes had come when the first of both ended, or all if none did."""
        size = len(self.stream.data)
        return min(self.ours.at or size, self.theirs.at or size)

    def compressed_before(self, at: int) -> list[Message]:
        """Return the compressed messages that begin before a position, in order."""
        found: list[Message] = []
        for part in self.parts:
            message = part.message
            if message is not None and message.is_compressed and message.parts[0] is part and part.start < at:
                found.append(message)
        return found

    def inflated(self, part: Part, *, whole: bool = False) -> tuple[bytes, bool, bool]:
        """Return what anatomy.inflate says of a compressed message, as far as a frame of it, or of the *whole*."""
        message = part.message
        assert message is not None
        earlier = self.compressed_before(message.parts[0].start)
        parts = message.parts if whole else [other for other in message.parts if other.start <= part.start]
        return inflate(self.stream.setting, [*earlier, Message(message.opcode, True, parts)])

    def reaches_beyond_window(self, part: Part) -> bool:
        """Return what anatomy.reaches_beyond_window says of the compressed message of a frame."""
        assert part.message is not None
        return reaches_beyond_window(self.stream.setting, self.compressed_before(part.message.parts[0].start + 1))

    def is_too_long(self, part: Part) -> bool:
        """Say whether the header of a data frame claims more than we let a message have."""
        message = part.message
        if message is None or not part.has_length:
            return False
        limit = self.stream.setting.limit
        most = 2 * limit + SLACK if message.is_compressed else limit
        return message.length_before(part) + part.length > most

    def content(self, part: Part) -> bytes:
        """Return what a message comes to, as far as a frame of it."""
        message = part.message
        assert message is not None
        if message.is_compressed:
            return self.inflated(part)[0]
        return b"".join(other.payload for other in message.parts if other.start <= part.start)

    def left_for(self, part: Part) -> int:
        """Return how many bytes a message may come to from one of its frames on."""
        message = part.message
        assert message is not None
        before = [other for other in message.parts if other.start < part.start]
        return self.stream.setting.limit - (len(self.content(before[-1])) if before else 0)

    def is_text(self, part: Part) -> bool:
        return part.message is not None and part.message.opcode == TEXT
