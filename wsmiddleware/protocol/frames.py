"""Frames on the wire (RFC 6455 section 5): headers, masking, the payload of close frames.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
    |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
    |N|V|V|V|       |S|             |   (if payload len==126/127)   |
    | |1|2|3|       |K|             |                               |
    +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
    |    Extended payload length continued, if payload len == 127   |
    + - - - - - - - - - - - - - - - +-------------------------------+
    |                               |Masking-key, if MASK set to 1  |
    +-------------------------------+-------------------------------+
"""

from __future__ import annotations

from wsmiddleware.protocol.close import Close, CloseCode, is_sendable
from wsmiddleware.protocol.errors import FramingError, InvalidText
from wsmiddleware.protocol.wire import Payload, apply_mask, encode_header

# Plain integers: the parser compares them for every frame.
CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

RESERVED = 0x70
RSV1 = 0x40
"""On the first frame of a message: it is compressed (RFC 7692 section 6)."""
OPCODE = 0x0F
LENGTH = 0x7F

MAX_CONTROL = 125
"""Bytes of payload in a control frame (section 5.5)."""

def encode_frame(opcode: int, payload: Payload, fin: bool = True, mask: bytes = b"") -> bytes:
    """Return a whole frame. Servers send without *mask*, clients with four random bytes (section 5.3)."""
    header = encode_header(opcode, len(payload), fin, mask)
    return header + (apply_mask(payload, mask) if mask else payload)


def encode_close(close: Close) -> bytes:
    """Return the payload of a close frame; code 1005 means that there is none."""
    if close.code == CloseCode.NO_STATUS:
        return b""
    return close.code.to_bytes(2, "big") + close.reason.encode()


def decode_close(payload: bytes) -> Close:
    """Return what a close frame's payload says (section 5.5.1). Raises FramingError and InvalidText."""
    if not payload:
        return Close(int(CloseCode.NO_STATUS))
    if len(payload) == 1:
        raise FramingError("expected a close frame with a code of two bytes or with nothing, found one byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_sendable(code):
        raise FramingError(f"expected a close code that may be sent, found {code}")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise InvalidText("expected a close frame's reason to be UTF-8, found something else") from None
