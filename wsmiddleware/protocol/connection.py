"""One end of a WebSocket connection after the handshake, sans-I/O (RFC 6455).

Five verbs: ``receive`` and ``receive_eof`` take what came, ``next_event`` says what it means, calls like
``send_message`` say what should go, and ``out`` holds the bytes to write (who has written some takes them out).

Events are the messages themselves, str and bytes, and Ping, Pong, Close and Failed. Parsing goes on only when
``next_event`` is called, so who has no place for another message just does not ask for it.

The closing handshake is a table, states.MOVES: what has happened, in which state, leads where. What is not in it is
ignored if the peer does it (it may not have heard yet), and an error if the application does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from wsmiddleware.protocol.broadcast import Broadcast
from wsmiddleware.protocol.close import MAX_REASON, Close, CloseCode, is_sendable, shorten
from wsmiddleware.protocol.deflate import Deflate
from wsmiddleware.protocol.errors import FramingError, InvalidText, MessageTooBig, PeerError, TooManyFragments
from wsmiddleware.protocol.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LENGTH,
    MAX_CONTROL,
    OPCODE,
    PING,
    PONG,
    RESERVED,
    RSV1,
    TEXT,
    decode_close,
    encode_close,
    encode_frame,
)
from wsmiddleware.protocol.states import MOVES, Move, State
from wsmiddleware.protocol.wire import FIN, MASKED, OutBuffer, PartialPayload, Payload, TextCheck, unmask

MAX_EMPTY_FRAGMENTS = 1_000
"""Fragments without payload in one message. The others are bounded by the size of the message."""

SLACK = 1024
"""Bytes that a compressed payload may have above twice the size of the largest message. What is longer is no
compression: only blocks without content are."""


_OPEN = int(State.OPEN)
_CLOSING = int(State.CLOSING)


class Ping(NamedTuple):
    """A ping: answer it with ``pong(data)``."""

    data: bytes


class Pong(NamedTuple):
    """A pong, asked for or not."""

    data: bytes


class Failed(NamedTuple):
    """The peer broke a rule. It has been told, and nothing more is read."""

    error: PeerError


Event: TypeAlias = str | bytes | Ping | Pong | Close | Failed


class Connection:
    """The state of one connection: what has come in part, what is to go out, and who has closed."""

    __slots__ = (
        "state",
        "received",
        "sent",
        "received_first",
        "out",
        "_max_message_size",
        "_new_mask",
        "_deflate",
        "_data",
        "_position",
        "_end",
        "_partial",
        "_final",
        "_opcode",
        "_message",
        "_text",
        "_empty_fragments",
        "_is_compressed",
        "_payload_size",
    )

    def __init__(
        self,
        *,
        max_message_size: int,
        new_mask: Callable[[], bytes] | None = None,
        deflate: Deflate | None = None,
    ) -> None:
        """Begin in state OPEN.

        *max_message_size* is in bytes, of a message that is not compressed or not any more. *new_mask* makes this the
        client's end: it returns four random bytes per frame. *deflate* is there if compression has been agreed on.
        """
        self.state: int = _OPEN
        """A State, as a plain int."""

        self.received: Close | None = None
        """The peer's close frame."""
        self.sent: Close | None = None
        """Ours."""
        self.received_first: bool | None = None
        """Whether the peer's came first."""

        self.out = OutBuffer()
        """Bytes to write, in order."""

        self._max_message_size = max_message_size
        self._new_mask = new_mask
        self._deflate = deflate

        # What has come and is not parsed yet is _data from _position to _end.
        self._data = b""
        self._position = 0
        self._end = 0

        # The data frame whose payload is still coming, if there is one.
        self._partial: PartialPayload | None = None
        self._final = True

        # The message whose fragments are still coming; opcode CONTINUATION: there is none.
        self._opcode = CONTINUATION
        self._message: bytearray | None = None
        self._text: TextCheck | None = None
        self._empty_fragments = 0
        self._is_compressed = False
        self._payload_size = 0  # bytes of its frames until now, as they came

    # What comes

    def receive(self, data: bytes, size: int = -1) -> None:
        """Take the first *size* bytes of *data*, by default all, that came from the peer.

        Call next_event until it returns None, or keep_rest: until then *data* belongs to the connection.
        """
        if self.state > _CLOSING:
            return  # Section 1.4: "after receiving a control frame indicating the connection should be closed, a peer
            # discards any further data received".
        if size < 0:
            size = len(data)
        if self._position < self._end:
            data = self._data[self._position : self._end] + data[:size]
            size = len(data)
        self._data = data
        self._position = 0
        self._end = size

    def keep_rest(self) -> None:
        """Keep what is not parsed yet in memory of our own, and let go of the data it came in."""
        if self._position < self._end:
            self._data = self._data[self._position : self._end]
        else:
            self._data = b""
        self._end -= self._position
        self._position = 0

    def receive_eof(self) -> None:
        """Take note that nothing more will come."""
        self.state = MOVES.get((self.state, Move.RECEIVE_EOF), self.state)
        self._forget()

    def next_event(self) -> Event | None:
        """Return the next thing that the peer has sent, None if more bytes are needed. Raises nothing."""
        if self._position == self._end:
            self.keep_rest()
            return None
        if self._opcode == CONTINUATION and self._new_mask is None:
            message = self._whole_message()
            if message is not None:
                return message
        return self._next_parsed()

    # What goes

    def send_message(self, opcode: int, data: Payload) -> None:
        """Send a message: *opcode* is TEXT, with *data* in UTF-8, or BINARY."""
        self._expect_open()
        if self._deflate is not None:
            compressed = self._deflate.compress(data)
            if compressed is not None:
                opcode |= RSV1
                data = compressed
        self._put(opcode, data)

    def send_frame(self, frame: bytes) -> None:
        """Send a whole message, an unmasked frame that has been made for many receivers; the server's end only.

        A Broadcast is sent compressed where that has been agreed on.
        """
        self._expect_open()
        if self._deflate is not None and isinstance(frame, Broadcast):
            compressed = frame.compressed() if self._deflate.reads_foreign() else None
            if compressed is not None:
                self._deflate.sent_foreign()
                frame = compressed
        self.out.extend(frame)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping. Raises ValueError if *data* is longer than 125 bytes."""
        if len(data) > MAX_CONTROL:
            raise ValueError(f"expected at most {MAX_CONTROL} bytes for a ping, found {len(data)}")
        self._expect_open()
        self._put(PING, data)

    def pong(self, data: bytes) -> None:
        """Answer a ping: section 5.5.2, "unless it already received a Close frame". Then it does nothing."""
        if self.state <= _CLOSING:
            self._put(PONG, data)

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake. Raises ValueError for what may not stand in a close frame."""
        if code != CloseCode.NO_STATUS and not is_sendable(code):
            raise ValueError(
                f"expected a close code that may be sent (1000 to 1014 as registered, 3000 to 4999), found {code}"
            )
        if code == CloseCode.NO_STATUS and reason:
            raise ValueError("expected a close code with the reason, found 1005, which means that there is none")
        if len(reason.encode()) > MAX_REASON:
            raise ValueError(f"expected at most {MAX_REASON} bytes for a close reason, found {len(reason.encode())}")
        self._expect_open()
        self._send_close(Close(int(code), reason))
        self.state = MOVES[self.state, Move.SEND_CLOSE]

    def fail(self, code: int, reason: str) -> None:
        """Give the peer up (section 7.1.7): tell it why, unless a close frame is out already, and read no more."""
        state = MOVES.get((self.state, Move.FAIL))
        if state is None:
            return
        if self.sent is None:
            self._send_close(Close(int(code), shorten(reason)))
        self.state = state
        self._forget()

    def _send_close(self, close: Close) -> None:
        self._put(CLOSE, encode_close(close))
        self.sent = close
        if self.received_first is None:
            self.received_first = False

    def _put(self, opcode: int, data: Payload) -> None:
        if self._new_mask is None:
            self.out.append_frame(opcode, data)
        else:
            self._put_masked(opcode, data)

    def _put_masked(self, opcode: int, data: Payload) -> None:
        assert self._new_mask is not None
        self.out.extend(encode_frame(opcode, data, mask=self._new_mask()))

    def _expect_open(self) -> None:
        if self.state != _OPEN:
            raise RuntimeError(f"expected an open connection to send on, found one that is {State(self.state).name}")

    # Parsing

    def _whole_message(self) -> bytes | str | None:
        """Return the next message if it is in one masked frame that has come whole, which is what most are.

        Nothing else is decided here: for all other bytes, right and wrong, None is returned and _parse is asked. It
        would say the same of these, in twice the time.
        """
        data = self._data
        position = self._position
        if self._end - position < 6:
            return None
        first = data[position]
        if first != FIN | BINARY and first != FIN | TEXT:
            return None
        length = data[position + 1] - MASKED
        mask_at = position + 2
        if length > MAX_CONTROL:
            length = data[position + 2] << 8 | data[position + 3] if length == 126 else 0
            mask_at += 2
            if length <= MAX_CONTROL:
                return None
        start = mask_at + 4
        if length < 0 or length > self._max_message_size or length > self._end - start:
            return None
        payload = unmask(data, mask_at, start, start + length)
        message: bytes | str = payload
        if first == FIN | TEXT:
            try:
                message = payload.decode()
            except UnicodeDecodeError:
                return None
        self._position = start + length
        return message

    def _next_parsed(self) -> Event | None:
        """next_event, the long way."""
        try:
            event = self._parse()
        except PeerError as error:
            self.fail(error.code, str(error))
            return Failed(error)
        if event is None:
            self.keep_rest()
        return event

    def _parse(self) -> Event | None:
        """Return the next event, None if bytes are missing for it. Raises PeerError."""
        while True:
            if self._partial is not None:
                if not self._fill(self._partial):
                    return None
                event = self._end_frame(self._partial.take(), self._final)
                self._partial = None
                if event is not None:
                    return event
                continue

            data = self._data
            position = self._position
            end = self._end
            if end - position < 2:
                return None
            first = data[position]
            second = data[position + 1]
            opcode = first & OPCODE
            length = second & LENGTH
            self._check_header(first, second, opcode, length)
            position += 2
            if length > MAX_CONTROL:
                size = 2 if length == 126 else 8
                if end - position < size:
                    return None
                length = _extended_length(data, position, size)
                position += size
            mask_at = -1
            if second & MASKED:
                if end - position < 4:
                    return None
                mask_at = position
                position += 4

            if opcode >= CLOSE:
                if end - position < length:
                    return None
                self._position = position + length
                return self._control(opcode, _payload(data, mask_at, position, position + length))

            self._begin_frame(first, opcode, length)
            final = first & FIN != 0
            if end - position < length:
                self._position = position
                self._partial = PartialPayload(length, data[mask_at : mask_at + 4] if mask_at >= 0 else b"")
                self._final = final
                continue
            self._position = position + length
            payload = _payload(data, mask_at, position, position + length)
            if not final and self._opcode == TEXT and not self._is_compressed:
                self._expect_text(self._text_so_far().add(payload))
            event = self._end_frame(payload, final)
            if event is not None:
                return event

    def _check_header(self, first: int, second: int, opcode: int, length: int) -> None:
        """Check all that the first two bytes of a frame tell (section 5.2). Raises FramingError."""
        reserved = first & RESERVED
        if reserved and (reserved != RSV1 or self._deflate is None or (opcode != TEXT and opcode != BINARY)):
            # "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values." One is, for the
            # first frame of a message (RFC 7692 section 6).
            raise FramingError(f"expected reserved bits to be 0, found {reserved >> 4:03b}")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise FramingError(f"expected a known opcode, found {opcode:#x}")
            # Section 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
            # fragmented."
            if not first & FIN:
                raise FramingError("expected a control frame in one piece, found a fragment")
            if length > MAX_CONTROL:
                raise FramingError(f"expected a control frame of at most {MAX_CONTROL} bytes, found a longer one")
        elif opcode > BINARY:
            raise FramingError(f"expected a known opcode, found {opcode:#x}")
        elif opcode == CONTINUATION:
            if self._opcode == CONTINUATION:
                raise FramingError("expected a new message, found a continuation of none")
        elif self._opcode != CONTINUATION:
            raise FramingError("expected the continuation of a message, found a new one")
        # Section 5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask".
        if self._new_mask is None and not second & MASKED:
            raise FramingError("expected a client's frame to be masked, found one that is not")
        if self._new_mask is not None and second & MASKED:
            raise FramingError("expected a server's frame not to be masked, found one that is")

    def _begin_frame(self, first: int, opcode: int, length: int) -> None:
        if opcode != CONTINUATION:
            self._opcode = opcode
            self._is_compressed = first & RSV1 != 0
            self._payload_size = 0
        most = 2 * self._max_message_size + SLACK if self._is_compressed else self._max_message_size
        if length > most - self._payload_size:  # Not the sum: what a client claims can be more than 63 bits hold.
            found = "much more, and compressed" if self._is_compressed else "a longer one"
            raise MessageTooBig(f"expected a message of at most {self._max_message_size} bytes, found {found}")
        self._payload_size += length

    def _fill(self, partial: PartialPayload) -> bool:
        """Put what has come of a payload to its beginning; say whether it is whole now."""
        size = partial.add(self._data, self._position, self._end)
        self._position += size
        if self._opcode == TEXT and not self._is_compressed and size and (partial.missing or not self._final):
            self._expect_text(partial.add_last_to(self._text_so_far(), size))
        return not partial.missing

    def _text_so_far(self) -> TextCheck:
        if self._text is None:
            self._text = TextCheck()
        return self._text

    def _expect_text(self, is_text: bool) -> None:
        # As it comes: who sends nonsense learns it now, not at the end of the message.
        if not is_text:
            raise _invalid_text()

    def _end_frame(self, payload: bytes, final: bool) -> Event | None:
        """Take a frame's *payload*; return the message if this is the *final* piece of it."""
        is_empty = not payload
        if self._is_compressed:
            payload = self._decompress(payload, final)
        if not final or self._message is not None:
            if self._message is None:
                self._message = bytearray()
            self._message += payload
            if is_empty and not final:
                self._empty_fragments += 1
                if self._empty_fragments > MAX_EMPTY_FRAGMENTS:
                    raise TooManyFragments(f"expected at most {MAX_EMPTY_FRAGMENTS} empty fragments in a message")
            if not final:
                return None
            payload = bytes(self._message)
            self._message = None
            self._empty_fragments = 0
        opcode, self._opcode = self._opcode, CONTINUATION
        if opcode != TEXT:
            return payload
        self._text = None
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise _invalid_text() from None

    def _decompress(self, payload: bytes, final: bool) -> bytes:
        before = self._message if self._message is not None else b""
        assert self._deflate is not None
        payload = self._deflate.decompress(payload, final, self._max_message_size - len(before), before)
        if not final and self._opcode == TEXT:
            self._expect_text(self._text_so_far().add(payload))
        return payload

    def _control(self, opcode: int, payload: bytes) -> Event:
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        close = decode_close(payload)
        self.received = close
        if self.sent is None:
            # Section 5.5.1: "the endpoint typically echos the status code it received".
            self.received_first = True
            self._send_close(Close(close.code))
        self.state = MOVES[self.state, Move.RECEIVE_CLOSE]
        self._forget()
        return close

    def _forget(self) -> None:
        self._data = b""
        self._position = 0
        self._end = 0
        self._partial = None
        self._message = None
        self._text = None
        self._deflate = None


def _payload(data: bytes, mask_at: int, start: int, stop: int) -> bytes:
    return unmask(data, mask_at, start, stop) if mask_at >= 0 else data[start:stop]


def _extended_length(data: bytes, start: int, size: int) -> int:
    # Section 5.2: of eight bytes "the most significant bit MUST be 0", and "the minimal number of bytes MUST be used to
    # encode the length".
    if size == 8 and data[start] & 0x80:
        raise FramingError("expected a length of 63 bits, found one of 64")
    length = 0
    for at in range(start, start + size):
        length = length << 8 | data[at]
    if length <= (MAX_CONTROL if size == 2 else 0xFFFF):
        raise FramingError(f"expected the shortest form of the length {length}, found {size} more bytes for it")
    return length


def _invalid_text() -> InvalidText:
    return InvalidText("expected a text message to be UTF-8, found something else")
