"""What touches every byte on the wire: masking, and putting frames into a buffer.

``wire.pyx`` says the same in C, and takes this module's place in compiled builds.
"""

from __future__ import annotations

import codecs
from typing import TypeAlias

Payload: TypeAlias = bytes | bytearray | memoryview

FIN = 0x80
MASKED = 0x80

CHUNK = 8192
"""Bytes that are masked at once, a multiple of four: the key is then made once for many of them."""


def apply_mask(data: Payload, mask: bytes, offset: int = 0) -> bytes:
    """Return *data* masked or unmasked with the four bytes *mask* (RFC 6455 section 5.3).

    *offset* is where in the payload *data* begins.
    """
    length = len(data)
    if offset & 3:
        mask = mask[offset & 3 :] + mask[: offset & 3]
    if length <= CHUNK:
        return _xor(data, int.from_bytes((mask * ((length + 3) >> 2))[:length], "little"))
    key = int.from_bytes(mask * (CHUNK >> 2), "little")
    whole = length - length % CHUNK
    view = memoryview(data)
    parts = [_xor(view[at : at + CHUNK], key) for at in range(0, whole, CHUNK)]
    parts.append(apply_mask(view[whole:], mask))
    return b"".join(parts)


def _xor(data: Payload, key: int) -> bytes:
    # One operation on big numbers is the fastest that Python offers without compiling.
    return (int.from_bytes(data, "little") ^ key).to_bytes(len(data), "little")


def unmask(data: bytes, mask_at: int, start: int, stop: int) -> bytes:
    """Return ``data[start:stop]``, the payload of a frame from its beginning, unmasked; the mask is at *mask_at*."""
    return apply_mask(data[start:stop], data[mask_at : mask_at + 4])


class TextCheck:
    """Whether bytes that come in parts are UTF-8."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def add(self, part: bytes) -> bool:
        """Say whether it still can be UTF-8, now that *part* has come. After a no, no more calls are made."""
        try:
            self._decoder.decode(part)
        except UnicodeDecodeError:
            return False
        begun, _ = self._decoder.getstate()
        # Half of a surrogate: CPython wants to see the third byte before it refuses.
        return not b"\xed\xa0" <= begun < b"\xee"


class PartialPayload:
    """A frame's payload of which a part has come."""

    __slots__ = ("missing", "_payload", "_mask")

    def __init__(self, length: int, mask: bytes) -> None:
        """Expect *length* bytes, at least one, masked with the four bytes *mask* unless that is empty."""
        self.missing = length
        """Bytes that have not come yet."""
        self._payload = bytearray()
        self._mask = mask

    def add(self, data: bytes, start: int, stop: int) -> int:
        """Take from ``data[start:stop]`` what belongs to the payload; return how many bytes that is."""
        part = data[start : min(stop, start + self.missing)]
        self._payload += apply_mask(part, self._mask, len(self._payload)) if self._mask else part
        self.missing -= len(part)
        return len(part)

    def add_last_to(self, text: TextCheck, size: int) -> bool:
        """Add the *size* bytes that came last, unmasked, to *text*; return what it says."""
        return text.add(bytes(self._payload[len(self._payload) - size :]))

    def take(self) -> bytes:
        """Return the payload, which must be whole; no more calls are made then."""
        return bytes(self._payload)


def encode_header(opcode: int, length: int, fin: bool = True, mask: bytes = b"") -> bytes:
    """Return the header of a frame with *length* bytes of payload; *mask* is four bytes, or empty for no masking."""
    first = opcode | FIN if fin else opcode
    masked = MASKED if mask else 0
    if length < 126:
        return bytes((first, masked | length)) + mask
    if length < 65536:
        return bytes((first, masked | 126)) + length.to_bytes(2, "big") + mask
    return bytes((first, masked | 127)) + length.to_bytes(8, "big") + mask


class OutBuffer(bytearray):
    """Bytes that are to be written, in order."""

    def append_frame(self, opcode: int, payload: Payload) -> None:
        """Append a whole unmasked frame, or nothing of it if that raises."""
        size = len(payload) if isinstance(payload, bytes) else memoryview(payload).nbytes
        self.extend(encode_header(opcode, size) + payload)

    def size(self) -> int:
        """Return how many they are."""
        return len(self)

    def consume(self, size: int) -> None:
        """Take out the first *size* bytes: they have been written."""
        del self[:size]
