"""permessage-deflate (RFC 7692): what is agreed on in the handshake, and payloads made small and whole again.

Messages are compressed one by one, each ending at a byte (section 7.2.1). With *context takeover* a message may refer
to what earlier ones contained, within a window of up to 32 KB. That makes similar messages much smaller, and costs each
connection the memory of both windows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from wsmiddleware.protocol.errors import InvalidDeflate, MessageTooBig
from wsmiddleware.protocol.extensions import Extension
from wsmiddleware.protocol.wire import Payload

Mode: TypeAlias = Literal["shared", "dedicated"]
"""Shared: no context takeover, and no memory between messages. Dedicated: contexts of its own for each connection."""

MODES: tuple[Mode, ...] = get_args(Mode)

NAME = "permessage-deflate"

MIN_SIZE = 64
"""Bytes of a message from which compressing is tried."""

MAX_BITS = 15
"""The window that both ends have if nothing else is agreed on, as a power of two: 32 KB."""

LEAST_BITS = 8

OWN_BITS = 12
"""The windows that contexts of our own have: as 15 would, it makes JSON small, in an eighth of the memory."""

_MEMORY = 5
"""zlib's memLevel, for OWN_BITS: 16 KB of hash table and buffer."""

_LEVEL = 6

_TAIL = b"\x00\x00\xff\xff"
"""The end of an empty block without compression: what a flush ends with. It is not sent (section 7.2.1)."""

_LAST_BLOCK = b"\x01\x00\x00\xff\xff"
"""An empty block that is the last one. Who understands it was at the end of a block before."""

MAX_FINAL_BLOCKS = 100
"""In one message. Who cannot flush ends each with one (section 7.2.3.4), or each piece. Each costs a new context."""

_MAX_WINDOW = 1 << MAX_BITS

_WINDOW_BITS = ("server_max_window_bits", "client_max_window_bits")
_NO_TAKEOVER = ("server_no_context_takeover", "client_no_context_takeover")


class Agreed(NamedTuple):
    """What both ends have agreed on."""

    server_takeover: bool
    client_takeover: bool
    server_bits: int
    client_bits: int
    extension: Extension
    """Our answer, for the header field."""

    def deflate(self) -> Deflate:
        """Return the server's end of a connection."""
        return Deflate(
            out_takeover=self.server_takeover,
            out_bits=self.server_bits,
            in_takeover=self.client_takeover,
            in_bits=self.client_bits,
        )


def agree(offers: Iterable[Extension], mode: Mode) -> Agreed | None:
    """Return what comes of the first offer that can be accepted (section 5.1); None if there is none."""
    for offer in offers:
        if offer.name == NAME:
            asked = _read(offer.parameters)
            if asked is not None:
                return _answer(asked, mode)
    return None


def _read(parameters: list[tuple[str, str | None]]) -> dict[str, int | None] | None:
    """Return what an offer asks for, None if it has to be declined (section 7.1: unknown, repeated, out of range)."""
    asked: dict[str, int | None] = {}
    for name, value in parameters:
        if name in asked:
            return None
        if name in _NO_TAKEOVER and value is None:
            asked[name] = None
        elif name == "client_max_window_bits" and value is None:
            asked[name] = MAX_BITS
        elif name in _WINDOW_BITS and value in _BITS:
            asked[name] = _BITS[value]
        else:
            return None
    return asked


_BITS: dict[str | None, int] = {str(bits): bits for bits in range(LEAST_BITS, MAX_BITS + 1)}
"""Section 7.1.2: "a decimal integer value without leading zeroes between 8 to 15 inclusive"."""


def _answer(asked: dict[str, int | None], mode: Mode) -> Agreed:
    parameters: list[tuple[str, str | None]] = []
    takeover = {}
    for name in _NO_TAKEOVER:
        # Both may be in the answer without having been asked for (sections 7.1.1.1 and 7.1.1.2).
        takeover[name] = mode == "dedicated" and name not in asked
        if not takeover[name]:
            parameters.append((name, None))
    server_bits = min(asked.get("server_max_window_bits") or MAX_BITS, OWN_BITS)
    if "server_max_window_bits" in asked:
        parameters.append(("server_max_window_bits", str(server_bits)))
    client_bits = MAX_BITS
    if "client_max_window_bits" in asked:
        # Only then may the answer say it (section 7.1.2.2).
        client_bits = min(asked["client_max_window_bits"] or MAX_BITS, OWN_BITS if mode == "dedicated" else MAX_BITS)
        if client_bits < MAX_BITS:
            parameters.append(("client_max_window_bits", str(client_bits)))
    return Agreed(
        takeover["server_no_context_takeover"],
        takeover["client_no_context_takeover"],
        server_bits,
        client_bits,
        Extension(NAME, parameters),
    )


class Deflate:
    """One end's two contexts: of what goes out, and of what comes in. Without takeover they hold nothing."""

    __slots__ = (
        "_out_takeover",
        "_out_bits",
        "_in_takeover",
        "_in_bits",
        "_compressor",
        "_decompressor",
        "_final_blocks",
    )

    def __init__(self, *, out_takeover: bool, out_bits: int, in_takeover: bool, in_bits: int) -> None:
        """*out_bits* and *in_bits* are powers of two, the windows' sizes in bytes."""
        self._out_takeover = out_takeover
        self._out_bits = out_bits
        self._in_takeover = in_takeover
        self._in_bits = in_bits
        self._compressor: Any = None
        self._decompressor: Any = None
        self._final_blocks = 0  # of the message that is being decompressed

    def compress(self, payload: Payload) -> bytes | None:
        """Return the payload of a message compressed; None if it is better sent as it is."""
        if not self._out_takeover:
            return compress_alone(payload, self._out_bits)
        if len(payload) < MIN_SIZE:
            return None
        if self._compressor is None:
            self._compressor = _new_compressor(self._out_bits)
        # Smaller or not: it is in the window now, so the peer has to get it compressed.
        return _finish(self._compressor, payload)

    def reads_foreign(self, bits: int = OWN_BITS) -> bool:
        """Say whether the peer can read a message that was compressed elsewhere, with a window of *bits*."""
        return bits <= self._out_bits

    def sent_foreign(self) -> None:
        """Take note that the peer gets such a message: it will be in its window, and is not in ours."""
        self._compressor = None

    def decompress(self, data: bytes, final: bool, limit: int, before: bytes | bytearray) -> bytes:
        """Return what a piece of a message's compressed payload comes to, the last one if *final*.

        *before* is what the pieces before came to, and *limit* the bytes that this one may come to: no more than one
        byte above that is ever made. Raises MessageTooBig, and InvalidDeflate for what is not DEFLATE (RFC 1951).
        """
        if not final and not data:
            return b""
        end = _TAIL if final else b""
        made: list[bytes] = []
        rest, size = data + end, 0
        # Who leaves out the byte that has to follow a final block (section 7.2.3.4) is understood, too.
        while rest != end or not self._final_blocks or self._decompressor is not None:
            if self._decompressor is None:
                # What stands behind a final block may refer to this message. (By the letter also to those before; but
                # who ends with one has no flush, and begins anew with each message.)
                window = b"".join([before[-_MAX_WINDOW:], *made])[-_MAX_WINDOW:]
                self._decompressor = zlib.decompressobj(-self._in_bits, window)
            try:
                made.append(self._decompressor.decompress(rest, limit - size + 1))
            except zlib.error as error:
                raise InvalidDeflate(f"expected a compressed message to be DEFLATE, found {error}") from None
            size += len(made[-1])
            if size > limit:
                if final and not self._in_takeover and len(self._decompressor.unconsumed_tail) < len(end):
                    self._expect_whole_block()  # The tail was read: has the message more content, or no end?
                most = len(before) + limit
                raise MessageTooBig(f"expected a message of at most {most} bytes, found that a compressed one has more")
            if not self._decompressor.eof:
                break
            rest, self._decompressor = self._decompressor.unused_data, None
            self._final_blocks += 1
            if self._final_blocks > MAX_FINAL_BLOCKS and (rest or not final):
                raise InvalidDeflate(f"expected at most {MAX_FINAL_BLOCKS} final blocks in a message, found more")
            if not rest:
                break
        if final:
            self._final_blocks = 0
            if self._decompressor is not None and not self._in_takeover:
                self._expect_whole_block()
                self._decompressor = None
        return made[0] if len(made) == 1 else b"".join(made)

    def _expect_whole_block(self) -> None:
        """Raise InvalidDeflate unless the message has ended with a block. Its context is of no use afterwards."""
        decompressor = self._decompressor
        try:
            is_whole = decompressor.eof or (
                not decompressor.decompress(decompressor.unconsumed_tail + _LAST_BLOCK, 1) and decompressor.eof
            )
        except zlib.error:
            is_whole = False
        if not is_whole:
            raise InvalidDeflate("expected a compressed message to end with a whole block, found a part of one")


def compress_alone(payload: Payload, bits: int = OWN_BITS) -> bytes | None:
    """Return the payload of a message compressed, without reference to others; None if that does not make it smaller.

    *bits* is the window that the receiver has at least.
    """
    if len(payload) < MIN_SIZE:
        return None
    compressed = _finish(_new_compressor(bits), payload)
    return compressed if len(compressed) < len(payload) else None


def _new_compressor(bits: int) -> Any:
    if bits > LEAST_BITS:
        return zlib.compressobj(_LEVEL, zlib.DEFLATED, -bits, _MEMORY)
    # zlib has no windows of 256 bytes. Without references to what came before, none is needed.
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, -LEAST_BITS - 1, _MEMORY, zlib.Z_HUFFMAN_ONLY)


def _finish(compressor: Any, payload: Payload) -> bytes:
    compressed: bytes = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return compressed[: -len(_TAIL)]
