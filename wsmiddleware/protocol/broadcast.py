"""One message for many receivers: encoded once, and compressed once."""

from __future__ import annotations

from wsmiddleware.protocol.deflate import compress_alone
from wsmiddleware.protocol.frames import RSV1, encode_frame


class Broadcast(bytes):
    """A whole unmasked frame. It knows its compressed form, too, for receivers that have agreed on compression."""

    _opcode: int
    _payload_at: int
    _compressed: bytes | None
    _tried: bool

    def __new__(cls, opcode: int, payload: bytes) -> Broadcast:
        """Make the frame of a message, with *opcode* TEXT or BINARY."""
        broadcast = super().__new__(cls, encode_frame(opcode, payload))
        broadcast._opcode = opcode
        broadcast._payload_at = len(broadcast) - len(payload)
        broadcast._compressed = None
        broadcast._tried = False
        return broadcast

    def compressed(self) -> bytes | None:
        """Return the frame with the message compressed, without reference to any other (RFC 7692 section 7.2.1).

        None if that does not make it smaller. From any thread: who comes while another one is at it compresses, too.
        """
        if not self._tried:
            payload = compress_alone(self[self._payload_at :])
            self._compressed = None if payload is None else encode_frame(self._opcode | RSV1, payload)
            self._tried = True
        return self._compressed
