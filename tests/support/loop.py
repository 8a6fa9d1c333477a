"""Sessions on the test's own gevent hub, with the client's end in the test's hand."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gevent
import gevent.socket
import gevent.ssl
import pytest

from tests.support.wire import client_end, take
from tests.support.wsgi import PATIENCE, authority, server_context, wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.callbacks import CallbackChannel
from wsmiddleware.loop.channel import Channel
from wsmiddleware.loop.conversation import ConversationChannel
from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.poller import EpollPoller, WatcherPoller
from wsmiddleware.loop.settings import Settings
from wsmiddleware.loop.streams import PlainStream, Stream, TLSStream
from wsmiddleware.loop.system import ReadBuffer
from wsmiddleware.protocol.close import Close, CloseEvent
from wsmiddleware.protocol.connection import Event, Ping
from wsmiddleware.protocol.deflate import Deflate
from wsmiddleware.protocol.frames import BINARY, TEXT
from wsmiddleware.protocol.wire import OutBuffer
from wsmiddleware.session import Session

both_pollers = pytest.mark.parametrize("loop", [EpollPoller, WatcherPoller], indirect=True)
"""For tests that are to run with each poller."""

Message: TypeAlias = str | bytes
Ends: TypeAlias = tuple[Stream, socket.socket]
"""The server's end of a connection and the client's."""

SMALL = 4096
"""Bytes of a buffer that is soon full. (Linux takes twice as many.)"""


def tcp_sockets(buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Return the ends of a TCP connection; *buffer* is the size of their buffers."""
    client = socket.socket()
    with socket.socket() as listener:
        if buffer is not None:
            for sock in (listener, client):  # What is accepted has the listener's.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        return listener.accept()[0], client


def tcp(buffer: int | None = None) -> Ends:
    """Return a TCP connection; *buffer* is the size of its buffers."""
    ours, theirs = tcp_sockets(buffer)
    return PlainStream(ours.detach()), theirs


def narrow() -> Ends:
    """Return a TCP connection that does not hold much on its way."""
    return tcp(SMALL)


def packets() -> Ends:
    """Return a connection that keeps the boundaries of writes: what is written at once arrives at once, and alone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return PlainStream(ours.detach()), theirs


def tls(buffer: int | None = None) -> Ends:
    """Return a TLS connection."""
    ours, theirs = tcp_sockets(buffer)
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    client = gevent.socket.socket(fileno=theirs.detach())
    handshake = gevent.spawn(context.wrap_socket, client, server_hostname="localhost")
    server = gevent.socket.socket(fileno=ours.detach())
    server = server_context(gevent.ssl.SSLContext).wrap_socket(server, server_side=True)
    return TLSStream(server), handshake.get()


class Piecemeal(PlainStream):
    """Holds what has come, and gives away a little of it at a time. The descriptor does not show the rest.

    What is to be written it takes in small pieces, too.
    """

    def __init__(self, fd: int, held: bytes, size: int) -> None:
        super().__init__(fd)
        self._held = held
        self._size = size

    def read(self, buffer: ReadBuffer) -> int:
        if not self._held:
            size = super().read(buffer)
            if size <= 0:
                return size
            self._held = buffer.data[:size]
        buffer.data, self._held = self._held[: self._size], self._held[self._size :]
        return len(buffer.data)

    def write(self, data: OutBuffer) -> int:
        try:
            return os.write(self.fd, bytes(data)[: self._size])
        except BlockingIOError:
            return 0

    def has_buffered(self) -> bool:
        return bool(self._held)


def piecemeal(held: bytes = b"", size: int = 100) -> Ends:
    """Return a TCP connection of which *held* has come already, and which goes on in pieces of *size* bytes."""
    stream, client = tcp()
    fd, stream.fd = stream.fd, -1
    return Piecemeal(fd, held, size), client


def byte_by_byte() -> Ends:
    """Return a TCP connection of which one byte at a time is read and written."""
    return piecemeal(size=1)


class Moment:
    """A context that is left after *seconds* at the latest, without an error."""

    def __init__(self, seconds: float) -> None:
        self._timeout = gevent.Timeout(seconds, False)  # type: ignore[arg-type]

    def __enter__(self) -> None:
        self._timeout.start()

    def __exit__(self, *error: Any) -> bool:
        return bool(self._timeout.__exit__(*error))


class Peer:
    """A session's client. It waits as gevent does, so that the loop runs meanwhile."""

    def __init__(self, sock: Any) -> None:
        """*sock* is a socket of the standard library or of gevent."""
        if isinstance(sock, socket.socket):
            sock = gevent.socket.socket(sock.family, sock.type, fileno=sock.detach())
        self.socket: Any = sock
        self.socket.settimeout(PATIENCE)
        self.protocol = client_end(max_message_size=1 << 26)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def write_some(self, data: bytes) -> int:
        """Send what goes without waiting; returns how many bytes that was."""
        self.socket.settimeout(0)
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        finally:
            self.socket.settimeout(PATIENCE)

    def send(self, *messages: Message) -> None:
        """Send all *messages* at once."""
        self.write(self.frames(*messages))

    def frames(self, *messages: Message) -> bytes:
        """Return the bytes of *messages*."""
        for message in messages:
            if isinstance(message, str):
                self.protocol.send_message(TEXT, message.encode())
            else:
                self.protocol.send_message(BINARY, message)
        return take(self.protocol)

    def ping(self, data: bytes = b"") -> None:
        self.protocol.ping(data)
        self.write(take(self.protocol))

    def start_close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame; 1005 stands for one without a code."""
        self.protocol.close(code, reason)
        self.write(take(self.protocol))

    def read(self, size: int = 1 << 16) -> bytes:
        """Wait for bytes; b"" is the end, however it came."""
        try:
            return self.socket.recv(size)
        except ConnectionError:
            return b""

    def read_exactly(self, size: int) -> bytes:
        """Wait for *size* bytes."""
        data = b""
        while len(data) < size:
            piece = self.read(size - len(data))
            assert piece, f"ended after {len(data)} of {size} bytes"
            data += piece
        return data

    def read_now(self) -> bytes:
        """Return what has arrived, without letting the loop run."""
        self.socket.settimeout(0)
        data = b""
        try:
            while piece := self.socket.recv(1 << 16):
                data += piece
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)
        return data

    def event(self) -> Event | None:
        """Wait for the next thing that the server has sent, None for the end. Pings and close frames are answered."""
        while True:
            event = self.protocol.next_event()
            if event is not None:
                if isinstance(event, Ping):
                    self.protocol.pong(event.data)
                if self.protocol.out:
                    self.write(take(self.protocol))
                return event
            data = self.read()
            if not data:
                return None
            self.protocol.receive(data)

    def events(self, count: int) -> list[Event | None]:
        """Wait for *count* events."""
        return [self.event() for _ in range(count)]

    def rest(self) -> list[Event]:
        """Wait for all events until the end."""
        events: list[Event] = []
        while (event := self.event()) is not None:
            events.append(event)
        return events

    def raw_rest(self) -> bytes:
        """Wait for all bytes until the end. Nothing is answered."""
        return b"".join(iter(self.read, b""))

    def end_output(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection as a crash does (TCP only)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def leave(self) -> None:
        """Close the socket without another word."""
        self.socket.close()


class Recorder:
    """An endpoint of either style that writes down what happens to it.

    As an object it has the callbacks; its method ``talk`` is a function for a conversation. What else is to happen in
    a call, a test gives it.
    """

    def __init__(self, **actions: Callable[..., object]) -> None:
        """*actions* are functions named as the callbacks, and called with the same arguments."""
        self.calls: list[tuple[Any, ...]] = []
        self.returned = 0
        """Calls that are over."""
        self._actions = actions
        self._running = 0

    @property
    def messages(self) -> list[Message]:
        return [call[1] for call in self.calls if call[0] == "message"]

    @property
    def event(self) -> CloseEvent:
        """Wait for the last call, assert that it is on_close, and return its event."""
        wait_until(lambda: self.calls and self.calls[-1][0] == "close")
        assert [call[0] for call in self.calls].count("close") == 1
        event = self.calls[-1][1]
        assert isinstance(event, CloseEvent)
        return event

    def on_open(self, session: Session) -> None:
        self._record("open", session)

    def on_message(self, session: Session, message: Message) -> None:
        self._record("message", session, message)

    def on_close(self, session: Session, event: CloseEvent) -> None:
        self._record("close", session, event)

    def on_error(self, session: Session, error: BaseException) -> None:
        self._record("error", session, error)

    def talk(self, session: Session) -> None:
        """As a function."""
        self.on_open(session)
        while True:
            try:
                message = session.receive()
            except ConnectionClosed as closed:
                event = closed.event
                break
            self.on_message(session, message)
        assert event is not None
        self.on_close(session, event)

    def _record(self, name: str, session: Session, *arguments: object) -> None:
        # on_error is called in the place where the other call has raised.
        assert not self._running, "two calls at once"
        self._running += 1
        self.calls.append((name, *arguments))
        try:
            action = self._actions.get(f"on_{name}")
            if action is not None:
                action(session, *arguments)
        finally:
            self._running -= 1
            self.returned += 1


def echo(session: Session, message: Message) -> None:
    """An action of a Recorder."""
    session.send(message)


@dataclass
class Served:
    """A session and its client."""

    channel: Channel
    session: Session
    peer: Peer
    done: list[Channel] = field(default_factory=list)
    """Filled by on_done."""

    def wait(self) -> None:
        """Wait until the descriptor is closed and the endpoint is done."""
        wait_until(lambda: self.done)
        assert self.done == [self.channel]

    def leave(self) -> None:
        """Let the client leave, and wait until all is over."""
        self.peer.leave()
        self.wait()

    def wait_closed(self) -> None:
        """Wait until the descriptor is closed."""
        wait_until(lambda: self.channel.fd < 0)

    @property
    def event(self) -> CloseEvent:
        """Wait for the close event."""
        wait_until(lambda: self.session.close_event)
        event = self.session.close_event
        assert event is not None
        return event


class Service:
    """Begins sessions on *loop*, and sees in the end that nothing is left of them."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.served: list[Served] = []

    def __call__(
        self,
        endpoint: Any,
        settings: Settings = Settings(),  # noqa: B008  it is immutable
        *,
        early: bytes = b"",
        connect: Callable[[], Ends] = tcp,
        params: Mapping[str, object] | None = None,
        deflate: Deflate | None = None,
    ) -> Served:
        """Begin a session: a conversation if *endpoint* can be called, else with callbacks."""
        stream, client = connect()
        done: list[Channel] = []
        channel: CallbackChannel | ConversationChannel
        if callable(endpoint):
            channel = ConversationChannel(
                self.loop, stream, settings, done.append, endpoint, params or {}, Context(), deflate
            )
        else:
            channel = CallbackChannel(self.loop, stream, settings, done.append, endpoint, Context(), deflate)
        session = Session(channel, environ={}, params=params or {}, subprotocol=None, remote_address="")
        channel.session = session
        served = Served(channel, session, Peer(client), done)
        self.served.append(served)
        channel.start(early)
        return served

    def clean_up(self) -> None:
        """Let all clients leave; assert that each session ends, and once."""
        for served in self.served:
            served.peer.leave()
        for served in self.served:
            served.wait()
            assert served.session.close_event is not None


def open_sockets() -> set[str]:
    """Return the sockets that this process has open, by number and identity."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # It was the directory's.
            continue
        if target.startswith("socket:"):
            found.add(f"{fd} {target}")
    return found


NO_CODE = Close(1005)
"""A close frame without a code."""
