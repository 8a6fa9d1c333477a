"""One disagreement, and what can be asked about it."""

from __future__ import annotations

from functools import cached_property

from fuzz.anatomy import SLACK, Message, Part, dissect, inflate, reaches_beyond_window
from fuzz.ends import Make, decided_at
from fuzz.reading import End, Reading
from fuzz.streams import TEXT, Stream


class Scene:
    """A stream that we and another have read differently."""

    def __init__(self, stream: Stream, ours: Reading, theirs: Reading, make_ours: Make, make_theirs: Make) -> None:
        self.stream = stream
        self.ours = ours
        self.theirs = theirs
        self._make_ours = make_ours
        self._make_theirs = make_theirs

    @cached_property
    def parts(self) -> list[Part]:
        """The frames of the stream."""
        return dissect(self.stream)

    @cached_property
    def ours_at(self) -> int | None:
        """How many bytes had come when we ended; None: never."""
        return decided_at(self._make_ours, self.stream)

    @cached_property
    def theirs_at(self) -> int | None:
        """How many bytes had come when they ended; None: never."""
        return decided_at(self._make_theirs, self.stream)

    @cached_property
    def our_part(self) -> Part | None:
        """The frame in which we ended."""
        return self._part_at(self.ours_at)

    @cached_property
    def their_part(self) -> Part | None:
        """The frame in which they ended."""
        return self._part_at(self.theirs_at)

    def _part_at(self, at: int | None) -> Part | None:
        if at is None:
            return None
        return next((part for part in self.parts if part.start < at <= part.end), None)

    @cached_property
    def our_code(self) -> int | None:
        """The close code with which we failed the stream; None: we did not."""
        return _failure(self.ours.end)

    @cached_property
    def their_code(self) -> int | None:
        """The close code with which they failed it."""
        return _failure(self.theirs.end)

    @cached_property
    def we_were_first(self) -> bool:
        """Whether we failed it, heard nothing else than they till then, and they were not sooner."""
        return (
            self.our_code is not None
            and self.ours.events == self.theirs.events[: len(self.ours.events)]
            and (self.theirs_at is None or self.ours_at is None or self.ours_at <= self.theirs_at)
        )

    @cached_property
    def they_were_first(self) -> bool:
        """The same of them."""
        return (
            self.their_code is not None
            and self.theirs.events == self.ours.events[: len(self.theirs.events)]
            and (self.ours_at is None or self.theirs_at is None or self.theirs_at <= self.ours_at)
        )

    @cached_property
    def both_in_one(self) -> bool:
        """Whether both ended in the same frame, or in none."""
        return self.our_part is self.their_part

    @cached_property
    def differing(self) -> Message | None:
        """The first message of which something else was heard; None if the difference is in what was not a message."""
        same = 0
        for same, (one, other) in enumerate(zip(self.ours.events, self.theirs.events, strict=False)):  # noqa: B007
            if one != other:
                break
        else:
            same = min(len(self.ours.events), len(self.theirs.events))
        count = 0
        for part in self.parts:
            if part.is_control or part.fin:
                if count == same:
                    return part.message
                count += 1
        return self.parts[-1].message if self.parts else None

    def compressed_before(self, at: int | None) -> list[Message]:
        """Return the compressed messages that begin before a position, in order."""
        found: list[Message] = []
        for part in self.parts:
            message = part.message
            if message is not None and message.is_compressed and message.parts[0] is part:
                if at is None or part.start < at:
                    found.append(message)
        return found

    def inflated(self, message: Message, until: Part | None = None) -> tuple[bytes, bool, bool]:
        """Return what anatomy.inflate says of a compressed message, by default of all its frames."""
        earlier = self.compressed_before(message.parts[0].start)
        parts = [part for part in message.parts if until is None or part.start <= until.start]
        return inflate(self.stream.setting, [*earlier, Message(message.opcode, True, parts)])

    def reaches_beyond_window(self, message: Message) -> bool:
        """Return what anatomy.reaches_beyond_window says of a compressed message."""
        return reaches_beyond_window(self.stream.setting, self.compressed_before(message.parts[0].start + 1))

    def is_too_long(self, part: Part) -> bool:
        """Say whether the header of a data frame claims more than we let a message have."""
        message = part.message
        if message is None or not part.has_length:
            return False
        limit = self.stream.setting.limit
        most = 2 * limit + SLACK if message.is_compressed else limit
        return message.length_before(part) + part.length > most

    def content(self, message: Message, until: Part) -> bytes:
        """Return what a message comes to, as far as a frame."""
        if message.is_compressed:
            return self.inflated(message, until)[0]
        return b"".join(part.payload for part in message.parts if part.start <= until.start)

    def left_for(self, part: Part) -> int:
        """Return how many bytes a message may come to from one of its frames on."""
        message = part.message
        assert message is not None
        before = [other for other in message.parts if other.start < part.start]
        return self.stream.setting.limit - (len(self.content(message, before[-1])) if before else 0)

    def is_text(self, part: Part) -> bool:
        return part.message is not None and part.message.opcode == TEXT


def _failure(end: End | None) -> int | None:
    return end.code if end is not None and end.how == "failed" else None
