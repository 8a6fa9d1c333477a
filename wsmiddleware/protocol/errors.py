"""What a peer can do wrong. Each error carries the close code that answers it (RFC 6455 section 7.4.1)."""

from __future__ import annotations

from typing import ClassVar

from wsmiddleware.protocol.close import CloseCode


class PeerError(Exception):
    """The peer broke a rule; the text says which. ``Connection`` turns it into a close frame with *code*."""

    code: ClassVar[CloseCode]


class FramingError(PeerError):
    """Bytes that are no frame, or a frame where none of its kind may be."""

    code = CloseCode.PROTOCOL_ERROR


class InvalidText(PeerError):
    """A text message, or the reason of a close frame, that is not UTF-8 (RFC 6455 section 8.1)."""

    code = CloseCode.INVALID_DATA


class InvalidDeflate(PeerError):
    """A compressed message that does not decompress (RFC 7692 section 7.2.2)."""

    code = CloseCode.INVALID_DATA


class MessageTooBig(PeerError):
    """A message longer than the limit."""

    code = CloseCode.MESSAGE_TOO_BIG


class TooManyFragments(PeerError):
    """A message in more empty fragments than anybody needs."""

    code = CloseCode.POLICY_VIOLATION
