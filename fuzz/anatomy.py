"""A stream taken apart, and what is wrong with each frame: RFC 6455 section 5 once more, without our parser.

What is wrong does not end it: it goes on as if the frame were right, so that somebody who overlooks a fault can be
followed.
"""

from __future__ import annotations

import zlib
from codecs import getincrementaldecoder
from dataclasses import dataclass, field

from fuzz.streams import CLOSE, CONTINUATION, PONG, RSV1, TAIL, Setting, Stream, xor

LAST_BLOCK = b"\x01\x00\x00\xff\xff"
"""An empty final block: who can read it was between two blocks."""


@dataclass
class Part:
    """One frame of a stream, of which the end may be missing."""

    start: int
    """Where its first byte is."""
    end: int
    """Where the next frame begins, or would."""
    opcode: int
    fin: bool
    length: int
    """As the header claims; 0 if the header is not whole."""
    faults: frozenset[str]
    """What is wrong with the header: reserved, opcode, control, order, unmasked, length."""
    payload: bytes
    """Unmasked, as far as it has come."""
    has_length: bool
    """Whether the header has come as far as the length."""
    is_whole: bool
    message: Message | None
    """Which this is a part of; None for control frames."""
    open_message: Message | None
    """Which was not finished when this one began."""

    @property
    def is_control(self) -> bool:
        return self.opcode >= CLOSE

    @property
    def is_compressed(self) -> bool:
        return self.message is not None and self.message.is_compressed


@dataclass
class Message:
    """A message in one or more frames."""

    opcode: int
    is_compressed: bool
    parts: list[Part] = field(default_factory=list)

    @property
    def payload(self) -> bytes:
        """What its frames hold, as it came."""
        return b"".join(part.payload for part in self.parts)

    def length_before(self, part: Part) -> int:
        """Return the sum of the lengths of the frames before one."""
        return sum(other.length for other in self.parts if other.start < part.start)


def dissect(stream: Stream) -> list[Part]:
    """Return the frames of a stream, the last one perhaps not whole."""
    parts: list[Part] = []
    message: Message | None = None
    at = 0
    while at < len(stream.data):
        part = _part(stream, at, message)
        parts.append(part)
        if not part.is_control:
            if part.opcode != CONTINUATION or message is None:
                rsv = stream.data[at] >> 4 & 7
                message = Message(part.opcode, bool(stream.setting.bits) and bool(rsv & RSV1))
            message.parts.append(part)
            part.message = message
            if part.fin:
                message = None
        at = part.end
    return parts


def _part(stream: Stream, start: int, message: Message | None) -> Part:
    data = stream.data
    first = data[start]
    second = data[start + 1] if start + 1 < len(data) else None
    opcode, fin = first & 15, bool(first & 0x80)
    if second is None:
        return Part(start, len(data), opcode, fin, 0, frozenset(), b"", False, False, None, message)
    faults = set(_faults(stream.setting, first, second, message))
    length, at = second & 127, start + 2
    has_length = True
    if length > 125:
        size = 2 if length == 126 else 8
        digits = data[at : at + size]
        has_length = len(digits) == size
        at += size
        length = int.from_bytes(digits, "big") if has_length else 0
        if has_length and (length <= (125 if size == 2 else 0xFFFF) or length >> 63):
            faults.add("length")
    mask = b""
    if second & 0x80:
        mask = data[at : at + 4]
        at += 4
    payload = data[at : at + length]
    if mask:
        payload = xor(payload, mask.ljust(4, b"\0"))
    is_whole = has_length and at + length <= len(data)
    end = at + length if is_whole else len(data)
    return Part(start, end, opcode, fin, length, frozenset(faults), payload, has_length, is_whole, None, message)


def _faults(setting: Setting, first: int, second: int, message: Message | None) -> list[str]:
    rsv, opcode, fin = first >> 4 & 7, first & 15, first >> 7
    found = []
    if rsv and not (rsv == RSV1 and setting.bits and opcode in (1, 2)):
        found.append("reserved")
    if 2 < opcode < CLOSE or opcode > PONG:
        found.append("opcode")
    if opcode >= CLOSE and (not fin or second & 127 > 125):
        found.append("control")
    if opcode < CLOSE and (opcode == CONTINUATION) is (message is None):
        found.append("order")
    if not second & 0x80:
        found.append("unmasked")
    return found


def is_no_text(data: bytes) -> bool:
    """Say whether *data* cannot be the beginning of any UTF-8."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        decoder.decode(data)
    except UnicodeDecodeError:
        return True
    return _is_half_a_surrogate(decoder.getstate()[0])


def ends_in_half_a_surrogate(data: bytes) -> bool:
    """Say whether *data* is UTF-8 but for the last two bytes, which no third can make a character."""
    return _is_half_a_surrogate(data[-2:]) and not is_no_text(data[:-2])


def whole_characters(data: bytes) -> bytes:
    """Return as much of *data* as is UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start]
    return data


def _is_half_a_surrogate(data: bytes) -> bool:
    return len(data) == 2 and data[0] == 0xED and data[1] >= 0xA0


def inflate(setting: Setting, messages: list[Message]) -> tuple[bytes, bool, bool]:
    """Decompress the last of compressed messages as plainly as can be.

    Returns what it comes to as far as it can be read, whether it ends between two blocks and before what is put behind
    it, and whether a final block was in any of them. After that the first two may be wrong.
    """
    decompressor = zlib.decompressobj(-setting.bits)
    data = b""
    is_whole = True
    is_final = False
    for message in messages:
        if not setting.takeover:
            decompressor = zlib.decompressobj(-setting.bits)
        data, is_whole = b"", True
        for part in message.parts:
            made, decompressor, is_readable = _as_far_as_it_goes(decompressor, part.payload)
            data += made
            is_whole = is_whole and is_readable
        if message.parts[-1].fin and message.parts[-1].is_whole:
            end, decompressor, is_ended = _as_far_as_it_goes(decompressor, TAIL)
            rest, last, is_last = _as_far_as_it_goes(decompressor.copy(), LAST_BLOCK)
            is_whole = is_whole and is_ended and is_last and last.eof and not end and not rest
            data += end
        is_final = is_final or decompressor.eof
    return data, is_whole, is_final


def reaches_beyond_window(setting: Setting, messages: list[Message]) -> bool:
    """Say whether the last of compressed messages cannot be read byte by byte, though it can be frame by frame.

    Zlib notices a reference beyond the window only if it goes to what came in a piece before.
    """
    *earlier, last = messages
    decompressor = zlib.decompressobj(-setting.bits)
    for message in earlier if setting.takeover else ():
        for payload in (*(part.payload for part in message.parts), TAIL):
            _, decompressor, _ = _as_far_as_it_goes(decompressor, payload)
    pieces = [part.payload for part in last.parts]
    pieces[-1] += TAIL
    return _can_be_read(decompressor.copy(), pieces) and not _can_be_read(
        decompressor, [bytes([byte]) for payload in pieces for byte in payload]
    )


def _can_be_read(decompressor: zlib._Decompress, pieces: list[bytes]) -> bool:
    try:
        for piece in pieces:
            decompressor.decompress(piece)
    except zlib.error:
        return False
    return True


def _as_far_as_it_goes(decompressor: zlib._Decompress, data: bytes) -> tuple[bytes, zlib._Decompress, bool]:
    """Return what *data* comes to, the decompressor behind it, and whether all of it could be read.

    In one piece, if that can be: see reaches_beyond_window().
    """
    once = decompressor.copy()
    try:
        return once.decompress(data), once, True
    except zlib.error:
        made = b""
    try:
        for byte in data:
            made += decompressor.decompress(bytes([byte]))
    except zlib.error:
        pass  # That far it goes.
    return made, decompressor, False
