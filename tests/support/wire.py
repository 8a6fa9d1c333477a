"""The wire: frames built as RFC 6455 describes them, not with the code under test, and both ends of a connection."""

from __future__ import annotations

import gc
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wsmiddleware.protocol.connection import Connection, Event, Failed
from wsmiddleware.protocol.deflate import Deflate
from wsmiddleware.protocol.errors import PeerError
from wsmiddleware.protocol.states import State

MASK = bytes.fromhex("37 fa 21 3d")
"""The masking key of the examples in RFC 6455, section 5.7."""

LIMIT = 1 << 20
"""The size of message up to which the ends below go, unless a test wants another."""

CUT_SHORT = 2 + 4 + 125
"""Bytes that a connection may have to keep besides messages: a control frame that is not whole yet, or a header."""


class Events(list[Event]):
    """A list that is equal to one of the same events of the same types.

    Ping, Pong and Close are tuples, and tuples are equal if their items are: a Ping to a Pong.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and list(map(_typed, self)) == list(map(_typed, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


def _typed(event: Event) -> tuple[type, Event]:
    return type(event), event


def xor(data: bytes, mask: bytes, offset: int = 0) -> bytes:
    """Mask *data* as section 5.3 defines it, octet by octet."""
    return bytes(octet ^ mask[(offset + i) % 4] for i, octet in enumerate(data))


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"") -> bytes:
    """Build the frame of section 5.2; without *mask* it is one that a server sends."""
    first, masked, length = fin << 7 | rsv << 4 | opcode, bool(mask) << 7, len(payload)
    if length < 126:
        header = bytes([first, masked | length])
    elif length < 1 << 16:
        header = bytes([first, masked | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([first, masked | 127]) + length.to_bytes(8, "big")
    return header + mask + (xor(payload, mask) if mask else payload)


def client_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = MASK) -> bytes:
    """Build a frame that a client sends."""
    return frame(opcode, payload, fin=fin, rsv=rsv, mask=mask)


TAIL = b"\x00\x00\xff\xff"
"""What a flush ends with, and is not sent (RFC 7692 section 7.2.1)."""


def squeeze(data: bytes, bits: int = 15, mode: int = zlib.Z_SYNC_FLUSH, level: int = 9) -> bytes:
    """Return the payload of a message compressed, with a window of *bits*; zlib ends it with *mode*."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (compressor.compress(data) + compressor.flush(mode)).removesuffix(TAIL)


def server_end(*, max_message_size: int = LIMIT, deflate: Deflate | None = None) -> Connection:
    return Connection(max_message_size=max_message_size, deflate=deflate)


def client_end(
    *, max_message_size: int = LIMIT, new_mask: Callable[[], bytes] = lambda: MASK, deflate: Deflate | None = None
) -> Connection:
    return Connection(max_message_size=max_message_size, new_mask=new_mask, deflate=deflate)


class Side(NamedTuple):
    """One end, for tests that hold for both."""

    make: Callable[..., Connection]
    """Make a connection that is this end."""

    own: Callable[..., bytes]
    """Build a frame that this end sends."""

    peer: Callable[..., bytes]
    """Build a frame that comes to this end."""


SERVER = Side(server_end, own=frame, peer=client_frame)
CLIENT = Side(client_end, own=client_frame, peer=frame)


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut *data* into pieces of *size* bytes; the last may be shorter."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def drain(connection: Connection) -> Events:
    """Return all events that there are."""
    return Events(iter(connection.next_event, None))


def hear(connection: Connection, *chunks: bytes) -> Events:
    """Let *chunks* come, one after the other, and return all events."""
    events = Events()
    for chunk in chunks:
        connection.receive(chunk)
        events += drain(connection)
    return events


def take(connection: Connection) -> bytes:
    """Return what is to be written, and note that it has been."""
    written = bytes(connection.out)
    connection.out.clear()
    return written


def kept_by(connection: Connection) -> int:
    """Return how many bytes of what has come the connection still holds, whatever the names of its attributes.

    A compiled connection shows the garbage collector none of them: there it is 0.
    """
    held = gc.get_referents(connection)
    return sum(len(item) for item in held if isinstance(item, (bytes, bytearray)) and item is not connection.out)


def keeps_nothing(connection: Connection) -> bool:
    """Say whether the connection holds nothing of what has come, except perhaps the latest mask."""
    return kept_by(connection) <= len(MASK)


def assert_fails(side: Side, chunks: bytes | Iterable[bytes], error: type[PeerError], match: str = "") -> Events:
    """Let *chunks* come to a new end, and assert that the last of them breaks the connection with that *error*.

    "Breaks" is: the last event says so, the peer is told with the error's code, the text in both is the same and
    contains *match*, and what comes after that is not read. Return the events before the failure.
    """
    connection = side.make()
    *before, last = [chunks] if isinstance(chunks, bytes) else chunks
    events = hear(connection, *before)
    assert connection.state == State.OPEN, f"failed before the last chunk: {events}"
    events += hear(connection, last)
    return assert_failed(connection, side, events, error, match)


def assert_failed(connection: Connection, side: Side, events: Events, error: type[PeerError], match: str) -> Events:
    """As assert_fails, for a connection that has got everything already and has answered with nothing else."""
    assert events, "did not fail: nothing happened"
    *before, failed = events
    assert isinstance(failed, Failed), f"did not fail: {failed}"
    assert type(failed.error) is error
    text = str(failed.error)
    assert match in text
    assert connection.state == State.FAILED
    assert connection.sent == (error.code, text)
    assert connection.received is None
    assert take(connection) == side.own(0x8, error.code.to_bytes(2, "big") + text.encode())
    assert hear(connection, side.peer(0x1, b"more")) == []
    assert keeps_nothing(connection)
    return Events(before)


class ConnectionPair:
    """A server's end and a client's end, back to back. What one writes, the other reads when carry is called."""

    def __init__(
        self, *, max_message_size: int = LIMIT, deflates: tuple[Deflate | None, Deflate | None] = (None, None)
    ) -> None:
        self.server = server_end(max_message_size=max_message_size, deflate=deflates[0])
        self.client = client_end(max_message_size=max_message_size, deflate=deflates[1])

    def carry(self, size: int = 1 << 16) -> tuple[Events, Events]:
        """Carry in chunks of *size* until both are silent. Return what the server and what the client heard."""
        at_server, at_client = Events(), Events()
        while self.server.out or self.client.out:
            to_server, to_client = take(self.client), take(self.server)
            at_server += hear(self.server, *pieces(to_server, size))
            at_client += hear(self.client, *pieces(to_client, size))
        return at_server, at_client
