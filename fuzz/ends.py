"""Who reads a stream: our connection in a given build, and two other libraries, each as the server's end.

Each is driven as an application would: what a library leaves to its user (wsproto the limit, websockets the decoding of
text) is done here, in the way that its documentation or its own higher layers do it.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from websockets.extensions.permessage_deflate import PerMessageDeflate as WebsocketsDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from wsproto.connection import Connection as WsprotoConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from fuzz.builds import Build
from fuzz.reading import End, Heard, Reading
from fuzz.streams import Setting, Stream

_SILENT = logging.Logger("fuzz", level=logging.CRITICAL)
"""websockets logs what its peer does wrong."""


class Listener:
    """One end that hears."""

    def __init__(self) -> None:
        self.events: list[Heard] = []
        self.end: End | None = None

    def receive(self, chunk: bytes) -> None:
        """Hear some more. Nothing more may come after an end."""
        raise NotImplementedError


Make: TypeAlias = Callable[[Setting], Listener]
"""Makes a listener that has agreed on what a setting says."""


def read(make: Make, setting: Setting, chunks: Iterable[bytes]) -> Reading:
    """Return what a new listener hears. What it raises is part of that: none of them should."""
    listener = make(setting)
    try:
        for chunk in chunks:
            listener.receive(chunk)
            if listener.end is not None:
                break
    except Exception as error:
        listener.end = End("raised", 0, repr(error))
    return Reading(tuple(listener.events), listener.end)


def decided_at(make: Make, stream: Stream) -> int | None:
    """Return how many bytes a listener needs until it ends; None if it does not.

    In the chunks of the stream: wsproto decompresses each by itself, and zlib then notices more.
    """

    def ends_in(size: int) -> bool:
        begun = Stream(stream.setting, stream.data[:size], tuple(cut for cut in stream.cuts if cut < size))
        return read(make, begun.setting, begun.chunks()).end is not None

    size = len(stream.data)
    if not ends_in(size):
        return None
    return bisect_left(range(size), True, key=ends_in)


class Ours(Listener):
    """wsmiddleware.protocol.connection.Connection."""

    def __init__(self, build: Build, setting: Setting) -> None:
        super().__init__()
        self.connection = build.new_connection(setting.limit, setting.bits, setting.takeover)
        self._classes = build.classes

    def receive(self, chunk: bytes) -> None:
        connection = self.connection
        connection.receive(chunk)
        while (event := connection.next_event()) is not None:
            if isinstance(event, str):
                self.events.append(("text", event))
            elif isinstance(event, bytes):
                self.events.append(("binary", event))
            elif isinstance(event, self._classes.Ping):
                self.events.append(("ping", event.data))
                connection.pong(event.data)
            elif isinstance(event, self._classes.Pong):
                self.events.append(("pong", event.data))
            elif isinstance(event, self._classes.Close):
                self.end = End("closed", event.code, event.reason)
            else:
                assert isinstance(event, self._classes.Failed)
                self.end = End("failed", int(event.error.code))

    def sent(self) -> bytes:
        """Return all that the connection has answered."""
        return bytes(self.connection.out)


def ours(build: Build) -> Make:
    """Return who makes listeners of a build."""
    return lambda setting: Ours(build, setting)


class Wsproto(Listener):
    """wsproto.connection.Connection. It has no limit of its own: its user counts."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._limit = setting.limit
        extensions: list[Extension] = []
        if setting.bits:
            deflate = WsprotoDeflate(
                client_no_context_takeover=not setting.takeover, client_max_window_bits=setting.bits
            )
            # As after a handshake; an empty offer asks for nothing else.
            deflate.finalize("permessage-deflate")
            extensions.append(deflate)
        self._connection = WsprotoConnection(ConnectionType.SERVER, extensions)
        self._parts: list[Any] = []
        self._size = 0

    def receive(self, chunk: bytes) -> None:
        self._connection.receive_data(chunk)
        for event in self._connection.events():
            if isinstance(event, Message):
                self._add(event)
            elif isinstance(event, Ping):
                self.events.append(("ping", bytes(event.payload)))
            elif isinstance(event, Pong):
                self.events.append(("pong", bytes(event.payload)))
            elif isinstance(event, CloseConnection):
                if self._connection.state is ConnectionState.REMOTE_CLOSING:
                    self.end = End("closed", int(event.code), event.reason or "")
                else:
                    self.end = End("failed", int(event.code))
            if self.end is not None:
                break

    def _add(self, event: Message[Any]) -> None:
        data = event.data
        self._parts.append(data)
        self._size += len(data.encode() if isinstance(data, str) else data)
        if self._size > self._limit:
            self.end = End("failed", 1009)
        elif event.message_finished:
            if isinstance(event, TextMessage):
                self.events.append(("text", "".join(self._parts)))
            else:
                assert isinstance(event, BytesMessage)
                self.events.append(("binary", b"".join(self._parts)))
            self._parts = []
            self._size = 0


class Websockets(Listener):
    """websockets.server.ServerProtocol. It leaves the putting together of messages and the decoding to its user."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self._protocol = ServerProtocol(state=State.OPEN, max_size=setting.limit, logger=_SILENT)
        if setting.bits:
            self._protocol.extensions = [WebsocketsDeflate(not setting.takeover, True, setting.bits, 15)]
        self._opcode = Opcode.CONT
        self._parts: list[bytes] = []

    def receive(self, chunk: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(chunk)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            self._take(frame)
            if self.end is not None:
                return
        error = protocol.parser_exc
        if error is not None:
            assert protocol.close_sent is not None
            code = int(protocol.close_sent.code)
            self.end = End("raised", 0, repr(error)) if code == 1011 else End("failed", code)

    def _take(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            self.events.append(("ping", data))
        elif frame.opcode is Opcode.PONG:
            self.events.append(("pong", data))
        elif frame.opcode is Opcode.CLOSE:
            close = self._protocol.close_rcvd
            assert close is not None
            self.end = End("closed", int(close.code), close.reason)
        else:
            if frame.opcode is not Opcode.CONT:
                self._opcode = frame.opcode
            self._parts.append(data)
            if frame.fin:
                self._finish(b"".join(self._parts))
                self._parts = []

    def _finish(self, message: bytes) -> None:
        if self._opcode is Opcode.BINARY:
            self.events.append(("binary", message))
            return
        try:
            self.events.append(("text", message.decode()))
        except UnicodeDecodeError:
            self.end = End("failed", 1007)


PEERS: dict[str, Make] = {"wsproto": Wsproto, "websockets": Websockets}
"""The others, by the names of their packages."""

WSPROTO_LEAST_BITS = 9
"""wsproto does not agree on a window of 256 bytes, because zlib has none."""


def peers_for(setting: Setting) -> dict[str, Make]:
    """Return those who can agree on a setting."""
    if 0 < setting.bits < WSPROTO_LEAST_BITS:
        return {name: make for name, make in PEERS.items() if name != "wsproto"}
    return PEERS
