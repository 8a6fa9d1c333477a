"""What comes from the server: counted, by the headers of frames alone. Payloads of messages are not looked at."""

from __future__ import annotations

from wsmiddleware.bench.errors import ReplyError
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
)
from wsmiddleware.protocol.wire import FIN, MASKED

_NO = "no extension was agreed on"
_ONLY = "RSV1 on the first frame of a message is all that was agreed on"


class Reader:
    """Counts messages."""

    __slots__ = ("has_control", "_payload")

    def __init__(self) -> None:
        self.has_control = False
        """Whether a ping or a close frame waits to be taken care of."""
        self._payload = 0

    def take_payload(self) -> int:
        """Return how many bytes of messages have come since the last time."""
        payload, self._payload = self._payload, 0
        return payload

    def feed(self, data: bytes, start: int, stop: int) -> int:
        """Take ``data[start:stop]``; return how many messages are complete with it. Raises ReplyError."""
        raise NotImplementedError


class RawReader(Reader):
    """Every so many bytes are a message."""

    __slots__ = ("_size", "_begun")

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._begun = 0

    def feed(self, data: bytes, start: int, stop: int) -> int:
        self._payload += stop - start
        self._begun += stop - start
        count = self._begun // self._size
        self._begun -= count * self._size
        return count


class FrameReader(Reader):
    """Frames as a server sends them (RFC 6455 section 5.2), messages in one frame or in several."""

    __slots__ = ("pings", "close", "_size", "_rest", "_left", "_opcode", "_final", "_begun", "_message", "_control")

    def __init__(self, size: int | None) -> None:
        """*size* is how many bytes of payload each message has to have. None: any number, for they may be compressed
        (RFC 7692 section 6)."""
        super().__init__()
        self.pings: list[bytes] = []
        """Payloads of pings that nobody has answered."""
        self.close: bytes | None = None
        """The payload of the close frame, once it has come. What comes behind it is not read."""
        self._size = -1 if size is None else size
        self._rest = b""  # a header that is not whole
        self._left = 0  # bytes of the frame's payload that are to come
        self._opcode = 0
        self._final = False
        self._begun = False  # a message has begun, and has had _message bytes so far
        self._message = 0
        self._control = b""

    def feed(self, data: bytes, start: int, stop: int) -> int:
        count = 0
        if self._rest:
            data = self._rest + data[start:stop]
            start, stop = 0, len(data)
            self._rest = b""
        while start < stop and self.close is None:
            if self._left == 0:
                size = self._begin_frame(data, start, stop)
                if size == 0:
                    self._rest = data[start:stop]
                    break
                start += size
            taken = min(self._left, stop - start)
            if self._opcode >= CLOSE:
                self._control += data[start : start + taken]
            else:
                self._payload += taken
            start += taken
            self._left -= taken
            if self._left == 0:
                count += self._end_frame()
        return count

    def _begin_frame(self, data: bytes, start: int, stop: int) -> int:
        """Read a header; return its size, 0 if it is not whole."""
        if stop - start < 2:
            return 0
        first, second = data[start], data[start + 1]
        self._check(first, second)
        length = second & LENGTH
        size = 2
        if length > 125:
            size = 4 if length == 126 else 10
            if stop - start < size:
                return 0
            if size == 10 and data[start + 2] & 0x80:
                _fail(first, second, "its length has more than 63 bits")
            length = 0
            for at in range(start + 2, start + size):
                length = length << 8 | data[at]
        self._opcode = first & OPCODE
        self._final = bool(first & FIN)
        if self._opcode < CLOSE:
            if self._size >= 0:
                missing = self._size - self._message
                if length > missing or (self._final and length < missing):
                    raise ReplyError(
                        f"expected messages of {self._size} bytes, found one with {length} bytes"
                        f"{f' after {self._message}' if self._message else ''}. Does this path send back what it gets?"
                    )
                self._message += length
        self._left = length
        return size

    def _check(self, first: int, second: int) -> None:
        opcode = first & OPCODE
        if first & RESERVED and not self._may_be_compressed(first):
            _fail(first, second, f"reserved bits are set: {_NO if self._size >= 0 else _ONLY}")
        if second & MASKED:
            _fail(first, second, "a server masks nothing")
        if opcode >= CLOSE:
            if opcode > PONG or not first & FIN or second & LENGTH > MAX_CONTROL:
                _fail(first, second, "there is no such control frame")
        elif opcode > BINARY:
            _fail(first, second, "there is no such opcode")
        elif self._begun != (opcode == CONTINUATION):
            _fail(first, second, "the last message has not ended" if self._begun else "there is nothing to continue")

    def _may_be_compressed(self, first: int) -> bool:
        return self._size < 0 and first & RESERVED == RSV1 and first & OPCODE in (TEXT, BINARY)

    def _end_frame(self) -> int:
        """Return 1 if a message ends with it."""
        if self._opcode >= CLOSE:
            payload, self._control = self._control, b""
            if self._opcode == PING:
                self.pings.append(payload)
                self.has_control = True
            elif self._opcode == CLOSE:
                self.close = payload
                self.has_control = True
            return 0
        self._begun = not self._final
        if self._begun:
            return 0
        self._message = 0
        return 1


def _fail(first: int, second: int, problem: str) -> None:
    raise ReplyError(f"expected a frame of RFC 6455, found one that begins with {first:02x} {second:02x}: {problem}")
