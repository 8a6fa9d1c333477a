# cython: binding=False
# (What is called most is called quickest by plain descriptors.)
"""What an endpoint holds: one connection, from any thread and any greenlet."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import methodcaller
from types import SimpleNamespace
from typing import Any, TypeVar

from wsmiddleware.environ import Environ, PackedEnviron, unpack
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.callbacks import CallbackChannel
from wsmiddleware.loop.conversation import ConversationChannel
from wsmiddleware.protocol.close import CloseEvent
from wsmiddleware.protocol.frames import BINARY, TEXT
from wsmiddleware.protocol.wire import Payload

Result = TypeVar("Result")


class Session:
    """One WebSocket session.

    All methods can be called from any thread and any greenlet. In the thread that serves the connection they wait, if
    they wait at all, as gevent does: others go on. Another thread waits as a thread.
    """

    __slots__ = ("id", "_environ", "params", "subprotocol", "remote_address", "_channel", "_state", "__weakref__")

    def __init__(
        self,
        channel: CallbackChannel | ConversationChannel,
        *,
        environ: Environ | PackedEnviron,
        params: Mapping[str, object],
        subprotocol: str | None,
        remote_address: str,
    ) -> None:
        """Made by the middleware, for *channel*."""
        self.id = secrets.token_hex(8)
        """A random name, different for each session of all processes."""

        self._environ = environ
        self.params = params
        """What the route's rule found in the path."""

        self.subprotocol = subprotocol
        """The subprotocol agreed on."""

        self.remote_address = remote_address
        """The client's IP address, as far as trusted proxies tell it; empty for a Unix socket."""

        self._channel = channel
        self._state: SimpleNamespace | None = None

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.environ.get('SCRIPT_NAME', '') + self.environ.get('PATH_INFO', '')!a}>"

    @property
    def environ(self) -> Environ:
        """The WSGI environ of the handshake's request, without what belonged to the server's connection."""
        if isinstance(self._environ, tuple):
            self._environ = unpack(self._environ)
        return self._environ

    @property
    def state(self) -> SimpleNamespace:
        """A place for attributes of your own."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    @property
    def close_event(self) -> CloseEvent | None:
        """How the session ended; None until then."""
        return self._channel.close_event

    @property
    def latency(self) -> float | None:
        """Seconds that the last ping took to be answered; None if none was yet."""
        return self._channel.latency

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        return self._channel.buffered

    def send(self, message: str | bytes | bytearray | memoryview, /) -> None:
        """Send *message*: a str as text, bytes as binary. Waits while the send queue is full.

        It leaves when the endpoint returns or waits for something, together with what else was sent until then.

        Raises ConnectionClosed if the session is over or closing, UnicodeEncodeError (a ValueError) for text that
        UTF-8 cannot express, and TypeError for anything else.
        """
        opcode = BINARY
        data: Payload
        if isinstance(message, bytes):
            data = message
        elif isinstance(message, str):
            opcode = TEXT
            data = message.encode()
        elif isinstance(message, bytearray):
            data = message
        elif isinstance(message, memoryview):
            data = message.cast("B") if message.contiguous else message.tobytes()
        else:
            raise TypeError(f"expected a message to be str or bytes, found {type(message).__name__}")
        channel = self._channel
        if channel.loop.is_here():
            channel.send(opcode, data)
        else:
            self._call(methodcaller("send", opcode, data), channel)

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message: str for text, bytes for binary. For functions only.

        Raises TimeoutError after *timeout* seconds without one, ConnectionClosed when the session is over and all
        that had come has been received, and RuntimeError in an Endpoint, whose messages go to on_message.
        """
        return self._run(self._channel.receive, timeout)

    def __iter__(self) -> Session:
        """Iterate over the messages, until the session is over. For functions only."""
        return self

    def __next__(self) -> str | bytes:
        """Return the next message, as receive does."""
        channel = self._channel
        try:
            return channel.receive(None) if channel.loop.is_here() else self.receive()
        except ConnectionClosed:
            raise StopIteration from None

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close, and return at once. What has been sent goes out first; what comes is not received any more.

        Does nothing if the end has begun already. Raises ValueError for a *code* that may not be sent (allowed are
        1000 to 1014 as registered, but 1004 and 1006, and 3000 to 4999; 1005 stands for no code and no reason), and
        for a *reason* of more than 123 bytes.
        """
        with suppress(ConnectionClosed):
            self._run(self._channel.close, code, reason)

    def ping(self, data: bytes = b"") -> None:
        """Send a ping; when it is answered, ``latency`` is known.

        Raises ConnectionClosed as send does, and ValueError for more than 125 bytes.
        """
        self._run(self._channel.ping, data)

    def offer(self, frame: bytes) -> None:
        """For hubs: put a whole unmasked *frame* into the send queue. Never waits and never raises.

        A session whose queue is full is closed (CloseCause.SLOW_CONSUMER); one that is over ignores the frame.
        """
        channel = self._channel
        if channel.loop.is_here():
            channel.loop.run_posted()  # What other threads have offered before comes before.
            channel.offer(frame)
        else:
            channel.loop.post(methodcaller("offer", frame), channel)

    def add_end_callback(self, callback: Callable[[], None]) -> None:
        """Have *callback* called once at the end, before on_close; at once if the session is already over.

        It must be quick and must not raise; it is called by whatever thread or greenlet ends the session.
        """
        self._channel.add_end_callback(callback)

    def _run(self, action: Callable[..., Result], *arguments: Any) -> Result:
        return action(*arguments) if self._channel.loop.is_here() else self._call(action, *arguments)

    def _call(self, action: Callable[..., Result], *arguments: Any) -> Result:
        """Have the loop's thread call *action*. For a session that is over it need not: the loop may be over, too."""
        if self.close_event is not None and action != self._channel.receive:
            raise ConnectionClosed(self.close_event)
        return self._channel.loop.call(action, *arguments)
