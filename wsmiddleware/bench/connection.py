"""One connection of a load: connects, shakes hands, sends messages, counts what comes back, closes.

    connecting -> securing -> asking -> open -> closing -> closed

Securing is for TLS only; raw connections are open as soon as they are connected. Whatever goes wrong leads to closed.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from errno import EINPROGRESS
from typing import Any

from wsmiddleware.bench.bursts import Bursts
from wsmiddleware.bench.errors import ReplyError, broken, closed, nobody_there
from wsmiddleware.bench.latency import Stamps
from wsmiddleware.bench.offer import Offer
from wsmiddleware.bench.reader import FrameReader, RawReader, Reader
from wsmiddleware.bench.target import answer_size
from wsmiddleware.loop.system import READABLE, WRITABLE, EpollSet, ReadBuffer, monotonic, write
from wsmiddleware.protocol.errors import PeerError
from wsmiddleware.protocol.frames import CLOSE, PONG, decode_close, encode_frame

_CONNECTING = 0
_SECURING = 1
_ASKING = 2
_OPEN = 3
_CLOSING = 4
_CLOSED = 5

_TLS_READ = 16 * 1024
"""Bytes: TLS never gives more at once."""

_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Owner:
    """Whom connections belong to: what they have in common, and who is told of what happens to them."""

    __slots__ = (
        "address", "bursts", "buffer", "content", "context", "epoll", "family", "host", "make_reader", "offer",
        "payload", "request",
    )  # fmt: skip

    def __init__(
        self,
        *,
        family: int,
        address: Any,
        host: str,
        request: bytes,
        context: ssl.SSLContext | None,
        bursts: Bursts,
        make_reader: Callable[[], FrameReader | RawReader],
        offer: Offer | None,
    ) -> None:
        """Connections go to *address* of *family*, secured by *context* for *host* unless that is None, and send
        *request* unless it is empty. If there is an *offer* of compression in it, the server has to accept it."""
        self.family = family
        self.address = address
        self.host = host
        self.request = request
        self.context = context
        self.bursts = bursts
        self.make_reader = make_reader
        self.offer = offer
        self.payload = 0
        """Bytes of messages that have come, as they came: compressed ones count as what they are on the wire."""
        self.content = 0
        """The same when nothing is compressed."""
        self.epoll = EpollSet()
        self.buffer = ReadBuffer()

    def opened(self, connection: Connection) -> None:
        """The server has accepted the WebSocket."""
        raise NotImplementedError

    def replied(self, connection: Connection, count: int) -> None:
        """An open connection has got *count* messages. May raise ReplyError."""
        raise NotImplementedError

    def ended(self, connection: Connection, reason: str | None) -> None:
        """The connection is closed: in order (None), or for a *reason*. Told once."""
        raise NotImplementedError


class Connection:
    """One connection. It belongs to the thread of its owner."""

    __slots__ = (
        "fd", "state", "stamps", "started", "replies",
        "_owner", "_socket", "_reader", "_interest", "_head", "_rest", "_next", "_due", "_waiting", "_controls",
    )  # fmt: skip

    def __init__(self, owner: Owner, first: int) -> None:
        """Nothing happens before ``connect``. Messages, those to send and those to come, begin with number *first*."""
        self.fd = -1
        """Its descriptor, -1 when that is closed."""
        self.state = _CONNECTING
        self.stamps = Stamps()
        """When the messages went out that are on their way."""
        self.started = monotonic()
        self.replies = 0
        """Messages that have come."""
        self._owner = owner
        self._socket: socket.socket | None = None
        self._reader: Reader = owner.make_reader()
        self._interest = 0  # what the epoll set watches for
        self._head = b""  # the beginning of the server's answer
        self._rest: memoryview | None = None  # what has been begun to be sent
        self._next = first % owner.bursts.messages  # the number of the message to send after that
        self._due = self._next  # the number of the message to come
        self._waiting = 0  # messages to send
        self._controls: list[bytes] = []  # frames to send before those

    def connect(self) -> None:
        """Begin. The owner may be told of a failure at once."""
        try:
            sock = self._socket = socket.socket(self._owner.family, socket.SOCK_STREAM)
            self.fd = sock.fileno()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(self._owner.address)
            if number not in (0, EINPROGRESS):
                raise OSError(number, os.strerror(number))
            self._watch(WRITABLE)
        except OSError as error:
            self._fail_to_connect(error)

    def send(self, count: int) -> None:
        """Send *count* messages, behind those that wait already."""
        self._waiting += count
        if self._rest is None:
            try:
                self._flush()
            except OSError as error:
                self.end(broken(error))

    def start_close(self) -> None:
        """Send a close frame; when the server's has come, this is the end."""
        if self.state == _OPEN:
            self.state = _CLOSING
            self._waiting = 0
            self._send_control(CLOSE, b"\x03\xe8")

    def end(self, reason: str | None) -> None:
        """Close the connection, now, and tell the owner why; None if it has ended in order."""
        if self.state != _CLOSED:
            self.drop()
            self._owner.ended(self, reason)

    def drop(self) -> None:
        """Close the connection, now, and tell nobody."""
        self.state = _CLOSED
        if self._socket is not None:
            if self._interest:
                self._watch(0)
            self.fd = -1
            self._socket.close()
            self._socket = self._rest = None

    def on_ready(self, readiness: int) -> None:
        """The descriptor is ready."""
        try:
            if self.state == _OPEN or self.state == _CLOSING:
                if readiness & READABLE:
                    self._read()
                if readiness & self._interest & WRITABLE:
                    self._flush()
            elif self.state == _ASKING:
                self._read()
            elif self.state == _CONNECTING:
                self._connected()
            elif self.state == _SECURING:
                self._secure()
        except ReplyError as error:
            self.end(str(error))
        except OSError as error:
            self.end(broken(error))

    def _connected(self) -> None:
        assert self._socket is not None
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._fail_to_connect(OSError(number, os.strerror(number)))
        elif self._owner.context is not None:
            self.state = _SECURING
            self._socket = self._owner.context.wrap_socket(
                self._socket, server_hostname=self._owner.host, do_handshake_on_connect=False
            )
            self._secure()
        else:
            self._ask()

    def _secure(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(READABLE)
        except ssl.SSLWantWriteError:
            self._watch(WRITABLE)
        except ssl.SSLCertVerificationError as error:
            self.end(
                f"expected a certificate for {self._owner.host} that this machine trusts, found another: "
                f"{error.verify_message}. Say --insecure to trust any."
            )
        except OSError as error:
            self.end(f"expected a server that speaks TLS, found none: {error}. Does it want ws:// instead of wss://?")
        else:
            self._ask()

    def _ask(self) -> None:
        if self._owner.request:
            self.state = _ASKING
            self._rest = memoryview(self._owner.request)
            self._flush()
        else:
            self._watch(READABLE)
            self._open()

    def _open(self) -> None:
        self.state = _OPEN
        self._owner.opened(self)

    def _read(self) -> None:
        if self._owner.context is not None:
            self._read_tls()
            return
        size = self._owner.buffer.read(self.fd)
        if size > 0:
            self._received(self._owner.buffer.data, size)
        elif size == 0:
            self._end_of_stream()

    def _read_tls(self) -> None:
        # What OpenSSL has read already is not reported by the epoll set.
        waiting = True
        while waiting and isinstance(self._socket, ssl.SSLSocket):
            try:
                data = self._socket.recv(_TLS_READ)
            except _LATER:
                return
            if data:
                waiting = self._socket.pending() > 0
                self._received(data, len(data))
            else:
                self._end_of_stream()

    def _received(self, data: bytes, size: int) -> None:
        start = 0
        if self.state == _ASKING:
            data = self._head + data[:size]
            size = len(data)
            start = answer_size(data)
            if start == 0:
                self._head = data
                return
            self._head = b""
            if self._owner.offer is not None:
                self._owner.offer.expect_accepted(data[:start])
            self._open()
        if start < size:
            count = self._reader.feed(data, start, size)
            self._owner.payload += self._reader.take_payload()
            if count and self.state == _OPEN:
                bursts = self._owner.bursts
                self._owner.content += bursts.size(self._due, count)
                self._due = (self._due + count) % bursts.messages
                self.replies += count
                self._owner.replied(self, count)
            if self._reader.has_control:
                self._answer()

    def _answer(self) -> None:
        reader = self._reader
        assert isinstance(reader, FrameReader)
        reader.has_control = False
        if self.state == _OPEN:
            for payload in reader.pings:
                self._send_control(PONG, payload)
        reader.pings.clear()
        if reader.close is None:
            return
        if self.state == _CLOSING:
            # Section 7.1.1 would have us wait for the server to end the connection, but some never do.
            self.end(None)
        elif self.state == _OPEN:
            self._send_control(CLOSE, reader.close[:2])
            self.end(_closed(reader.close))

    def _end_of_stream(self) -> None:
        if self.state == _ASKING:
            answer_size(self._head, ended=True)
        raise ReplyError("expected a close frame before the connection ends, found none")

    def _send_control(self, opcode: int, payload: bytes) -> None:
        # Masking with zeros costs the server the same.
        self._controls.append(encode_frame(opcode, payload, mask=bytes(4)))
        self.send(0)

    def _flush(self) -> None:
        """Send what goes without waiting, and watch for more room if something is left."""
        bursts = self._owner.bursts
        while True:
            if self._rest is not None:
                if not self._send_rest():
                    self._watch(READABLE | WRITABLE)
                    return
            elif self._controls:
                self._rest = memoryview(self._controls.pop(0))
            elif self._waiting:
                count = min(self._waiting, bursts.limit)
                burst = bursts.of(self._next, count)
                self._next = (self._next + count) % bursts.messages
                self._waiting -= count
                sent = 0
                if self._owner.context is None:
                    sent = write(self.fd, burst.out)
                if sent < burst.size:
                    self._rest = memoryview(burst.data)[sent:]
            else:
                break
        self._watch(READABLE)

    def _send_rest(self) -> bool:
        """Send of the rest what goes; return whether that is all."""
        assert self._socket is not None and self._rest is not None
        try:
            sent = self._socket.send(self._rest)
        except _LATER:
            return False
        self._rest = self._rest[sent:] if sent < len(self._rest) else None
        return True

    def _watch(self, interest: int) -> None:
        if interest == self._interest:
            return
        if not interest:
            self._owner.epoll.remove(self.fd)
        elif self._interest:
            self._owner.epoll.change(self.fd, interest)
        else:
            self._owner.epoll.add(self.fd, interest)
        self._interest = interest

    def _fail_to_connect(self, error: OSError) -> None:
        self.end(nobody_there(self._owner.address, error))


def _closed(payload: bytes) -> str:
    try:
        return closed(decode_close(payload))
    except PeerError as error:
        return f"expected the connection to stay open, found a close frame that cannot be: {error}"
