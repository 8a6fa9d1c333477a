"""One connection on the loop: from readiness to messages, from messages to bytes, and its one end.

What comes in:

    readiness -> stream.read -> protocol.receive -> protocol.next_event -> the inbox, or the endpoint at once

The inbox is bounded. When it is full, nothing more is parsed and the descriptor is not watched for reading, so that
TCP tells the client to wait. Control frames are answered whenever they are met, whatever the endpoint does.

What goes out: everything is appended to ``protocol.out`` and leaves by ``flush`` (of Line). What the system does not
take at once is a backlog; the endpoint gets no further message until it is gone.

The end has two steps. First the *session* ends: the close event is made, once, and told. Then the *transport* ends:
what is still to be written goes out, then our end of the stream is closed, then what the client may still be sending
is thrown away until it closes too or a deadline passes. (Closing a socket with unread data resets the connection, and
a reset can destroy the close frame on its way.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from gevent import GreenletExit

from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.line import Line
from wsmiddleware.loop.loop import Loop
from wsmiddleware.loop.settings import Settings
from wsmiddleware.loop.streams import Stream
from wsmiddleware.loop.system import READABLE, WRITABLE, monotonic
from wsmiddleware.protocol.close import (
    ENDINGS,
    Close,
    CloseCause,
    CloseCode,
    CloseEvent,
    cause_of_close,
    cause_of_failure,
    close_event,
)
from wsmiddleware.protocol.connection import Connection, Failed, Ping, Pong
from wsmiddleware.protocol.deflate import Deflate
from wsmiddleware.protocol.states import State
from wsmiddleware.protocol.wire import Payload

log = logging.getLogger("wsmiddleware.session")

MAX_BATCH = 1024
"""Messages, or KB of decompressed ones, that one session gets before others have their turn. A read can bring more."""

_OPEN = int(State.OPEN)
_MAX_BATCH = MAX_BATCH


class Channel(Line):
    """One connection. Subclasses give what comes in to an endpoint, by ``attend``.

    All methods are for the loop's thread only.
    """

    __slots__ = (
        "settings",
        "session",
        "close_event",
        "latency",
        "_protocol",
        "_on_done",
        "_inbox",
        "_inbox_size",
        "_deflates",
        "_taken",
        "_receive_queue",
        "_owed_pong",
        "_ping_sent",
        "_cause",
        "_error",
        "_deadline",
        "_idle_timeout",
        "_end_callbacks",
        "_began",
        "_last_in",
        "_last_message",
    )

    def __init__(
        self,
        loop: Loop,
        stream: Stream,
        settings: Settings,
        on_done: Callable[[Channel], None],
        deflate: Deflate | None = None,
    ) -> None:
        """Own *stream* from now on. *on_done* is called last, when descriptor and endpoint are done.

        *deflate* is there if compression has been agreed on.
        """
        self._protocol = Connection(max_message_size=settings.max_message_size, deflate=deflate)
        super().__init__(loop, stream, self._protocol.out, settings.send_queue)
        self.settings = settings
        self.session: object = None
        """What the endpoint knows of this channel; set it before start."""
        self.close_event: CloseEvent | None = None
        self.latency: float | None = None
        """Seconds that the last answered ping took."""

        self._on_done: Callable[[Channel], None] | None = on_done

        # What comes in.
        self._receive_queue = settings.receive_queue
        self._inbox: list[str | bytes] = []  # short: a list costs an idle connection less than a deque
        self._inbox_size = 0  # bytes, or characters
        self._deflates = deflate is not None
        self._taken = 0  # messages since the last turn of ours began

        # What goes out.
        self._owed_pong: bytes | None = None
        self._ping_sent: tuple[bytes, float] | None = None

        # The end.
        self._cause: CloseCause | None = None
        self._error: BaseException | None = None
        self._deadline: float | None = None
        self._idle_timeout = settings.idle_timeout or 0.0
        self._end_callbacks: list[Callable[[], None]] = []

        # Times, in seconds of the monotonic clock.
        self._began = self._last_in = self._last_message = self._last_out

    def start(self, early: bytes) -> None:
        """Begin to serve; *early* is what came right behind the handshake's request."""
        self._set_interest()
        self._set_timer()
        if early:
            self._protocol.receive(early)
            self.fill_inbox()
        self.loop.schedule(self, READABLE if self._stream.has_buffered() else 0)

    # For the endpoint, by way of its session

    def send(self, opcode: int, data: Payload) -> None:
        """Send a message, TEXT or BINARY; waits while the send queue is full. Raises ConnectionClosed."""
        if not self._has_room():
            self._wait_for_room()
        self._protocol.send_message(opcode, data)
        self._sent_message()

    def offer(self, frame: bytes) -> None:
        """Send a whole frame, without waiting: a session whose queue is full is closed for being too slow."""
        if self._protocol.state != _OPEN:
            return
        if self._out.size() >= self._send_queue:
            self.flush()
            if self._out.size() >= self._send_queue and not self._is_broken():
                self._fail(
                    CloseCause.SLOW_CONSUMER,
                    f"expected at most {self._send_queue} bytes waiting to be read, found {self.buffered}",
                )
            if self._protocol.state != _OPEN or self._is_broken():
                return
        self._protocol.send_frame(frame)
        self._sent_message()

    def ping(self, data: bytes) -> None:
        """Send a ping; waits as send. Raises ValueError for more than 125 bytes, and ConnectionClosed."""
        self._wait_for_room()
        self._protocol.ping(data)
        self._ping_sent = (data, monotonic())
        self.loop.flush_soon(self)

    def close(self, code: int, reason: str, cause: CloseCause = CloseCause.SERVER_CLOSED) -> None:
        """Begin the closing handshake; does nothing if the end has begun already. Raises ValueError for a bad code."""
        if self._protocol.state != _OPEN:
            return
        self._protocol.close(code, reason)
        self._decide(cause)
        self._clear_inbox()
        self._wake_senders()
        self._deadline = monotonic() + self.settings.close_timeout
        self._set_timer()
        self.loop.flush_soon(self)
        self.fill_inbox()  # The client's close frame may be among what has come already.
        self._resume()

    def add_end_callback(self, callback: Callable[[], None]) -> None:
        """Have *callback* called at the end, before the endpoint is told; at once if it is over. From any thread."""
        self._end_callbacks.append(callback)
        if self.close_event is not None:
            self._run_end_callbacks()

    # For the loop

    def on_ready(self, readiness: int) -> None:
        """Read, parse, write and attend to the endpoint. In a runner."""
        self._taken = 0
        try:
            if readiness & WRITABLE and self._backlog:
                self.flush()
            if readiness & READABLE:
                self._read()
            self.attend()
        except Exception as error:
            # Ours, not the endpoint's: its errors do not come here. The others must not suffer from it.
            log.exception("unexpected error in the channel of descriptor %d: its connection is dropped", self.fd)
            self._lose(error)

    def drained(self) -> None:
        if self._inbox or self._paused:
            self.wake()  # Messages have waited for this.
        if self._owed_pong is not None:
            self._pong(self._owed_pong)
            self.loop.flush_soon(self)

    def on_parked(self) -> None:
        """The endpoint blocks: what it has sent leaves now, and what came behind its message is looked through."""
        self.fill_inbox()  # Control frames are answered, and the loop's buffer is needed by others.
        self.flush()

    def on_time(self, now: float) -> None:
        """A deadline may have passed. In the hub."""
        if self._deadline is not None and now >= self._deadline:
            self._lose(None)  # The client has not answered our close frame, or not ended the connection.
        elif self._is_idle(now):
            code = ENDINGS[CloseCause.IDLE_TIMEOUT].code
            assert code is not None
            self.close(code, "idle for too long", CloseCause.IDLE_TIMEOUT)
        self._set_timer()

    # For subclasses

    def attend(self) -> None:
        """Give the endpoint what there is for it."""
        raise NotImplementedError

    def receive(self, timeout: float | None) -> str | bytes:
        """Return the next message, for endpoints that ask for it."""
        raise NotImplementedError

    def wake(self) -> None:
        """Have attend called, by whoever may. The session has ended, or the inbox is not empty any more."""
        self.loop.schedule(self)

    def next_message(self) -> str | bytes | None:
        """Return the next message, from the inbox or parsed just now; None if there is none. Answers control frames."""
        if self.loop.closed:
            return None
        if self._inbox:
            message = self._inbox.pop(0)
            self._inbox_size -= len(message)
            return message
        if self._taken >= _MAX_BATCH:
            self._give_way()
            return None
        while True:
            event = self._protocol.next_event()
            if isinstance(event, (str, bytes)):
                self._last_message = self.loop.now
                self._taken += 1
                if self._deflates:
                    self._taken += len(event) >> 10
                if self._protocol.state == _OPEN:
                    return event
            elif event is None:
                self._resume()
                return None
            else:
                self._control(event)

    def fill_inbox(self) -> None:
        """Parse into the inbox until it is full; then no more is read until it is empty.

        It is also full with the bytes of a largest message: a few bytes can make many large ones, if compressed.
        """
        while len(self._inbox) < self._receive_queue and self._inbox_size < self.settings.max_message_size:
            event = self._protocol.next_event()
            if isinstance(event, (str, bytes)):
                self._last_message = self.loop.now
                if self._protocol.state == _OPEN:
                    self._inbox.append(event)
                    self._inbox_size += len(event)
            elif event is None:
                return
            else:
                self._control(event)
        self._pause()

    def _clear_inbox(self) -> None:
        self._inbox.clear()
        self._inbox_size = 0

    def endpoint_raised(self, error: BaseException) -> None:
        """The user's code has raised *error*: what follows from that, for all callbacks and functions."""
        if isinstance(error, ConnectionClosed) and self._protocol.state != _OPEN:
            return  # It has met the end of its own session. (Another session's is an error like others.)
        if isinstance(error, GreenletExit):  # Somebody has killed the greenlet: an orderly end.
            self.close(CloseCode.GOING_AWAY, "")
            return
        log.error("the endpoint of %s raised", self.session, exc_info=error)
        self._decide(CloseCause.APPLICATION_ERROR, error)
        self.tell_error(error)
        self.close(CloseCode.INTERNAL_ERROR, "")
        self.pass_on(error)

    def tell_error(self, error: BaseException) -> None:
        """Tell the endpoint what it raised, if it wants to know."""

    def pass_on(self, error: BaseException) -> None:
        """Raise *error* in the main greenlet if it is Ctrl-C or sys.exit: that is not for this session alone."""
        hub = self.loop.hub
        if isinstance(error, hub.SYSTEM_ERROR):
            hub.handle_system_error(type(error), error)

    def done(self) -> None:
        """Call on_done, if the descriptor is closed and the endpoint has been told."""
        if self.fd < 0 and self._on_done is not None and self.endpoint_is_done():
            on_done, self._on_done = self._on_done, None
            on_done(self)

    def endpoint_is_done(self) -> bool:
        """Say whether the endpoint has been told of the end, and has returned."""
        raise NotImplementedError

    def _expect_open(self) -> None:
        if self._protocol.state != _OPEN or self.close_event is not None:
            raise ConnectionClosed(self.close_event)

    # What comes in

    def _read(self) -> None:
        buffer = self.loop.buffer
        while self.fd >= 0 and not self._paused:
            try:
                size = self._stream.read(buffer)
            except OSError as error:
                self._lose(error)
                return
            if size < 0:
                if self._is_broken():
                    self._lose(self._error)
                return
            if size == 0:
                self._lose(None)
                return
            self._last_in = self.loop.now
            self._protocol.receive(buffer.data, size)
            if not self._stream.has_buffered():
                return
            self.fill_inbox()

    def _give_way(self) -> None:
        """Go on in a later round."""
        self._pause()
        self.wake()

    def _pause(self) -> None:
        self._protocol.keep_rest()
        self._paused = True
        self._set_interest()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._set_interest()
            if self._stream.has_buffered():
                self.loop.schedule(self, READABLE)

    def _control(self, event: Ping | Pong | Close | Failed) -> None:
        if isinstance(event, Ping):
            if self._backlog:
                # Section 5.5.3: it is enough to answer the latest. Who sends pings and reads nothing gets no more.
                self._owed_pong = event.data
            else:
                self._pong(event.data)
                self.loop.flush_soon(self)
        elif isinstance(event, Pong):
            if self._ping_sent is not None and self._ping_sent[0] == event.data:
                self.latency = monotonic() - self._ping_sent[1]
                self._ping_sent = None
        elif isinstance(event, Close):
            self._decide(cause_of_close(event))
            self._end()
        else:
            self._decide(cause_of_failure(event.error.code), event.error)
            self._end()

    def _pong(self, data: bytes) -> None:
        self._owed_pong = None
        self._protocol.pong(data)

    # What goes out

    def _sent_message(self) -> None:
        if self._idle_timeout:
            self._last_message = monotonic()
        if not self.flush_due:
            self.loop.flush_soon(self)

    def _has_room(self) -> bool:
        return self._protocol.state == _OPEN and self._out.size() < self._send_queue

    def _wait_for_room(self) -> None:
        self._expect_open()
        while not self._has_room():
            self.flush()
            self._expect_open()
            if self._has_room() and not self._is_broken():
                return
            self._wait_to_send()
            self._expect_open()

    # The end

    def _decide(self, cause: CloseCause, error: BaseException | None = None) -> None:
        """What decides first is the cause."""
        if self._cause is None:
            self._cause = cause
            self._error = error

    def _fail(self, cause: CloseCause, reason: str) -> None:
        """End the session now, without waiting for the client's close frame."""
        code = ENDINGS[cause].code
        assert code is not None
        self._decide(cause)
        self._protocol.fail(code, reason)
        self._clear_inbox()
        self._end()

    def _lose(self, error: BaseException | None) -> None:
        """The stream has ended, with a system's *error* or without."""
        if error is None:
            self._write_last()
        self._protocol.receive_eof()
        if self.close_event is None:
            self._decide(CloseCause.NETWORK_LOST, error or self._error)
            self._end()
        self._release()

    def cannot_write(self, error: OSError) -> None:
        """The client is gone. What it sent before may say that it left the page: that is read first."""
        if self._paused or self.close_event is not None:
            self._lose(error)
            return
        if self._cause is None:
            self._error = error  # in case that nothing says more
        self._out.clear()
        self._backlog = False
        self.loop.schedule(self, READABLE)

    def _is_broken(self) -> bool:
        """Say whether nothing can be written any more, while what came before is still being read."""
        return self._cause is None and self._error is not None

    def _end(self) -> None:
        """The session is over, once and for all. Make the event, tell it, and begin to end the transport."""
        protocol, cause = self._protocol, self._cause
        assert self.close_event is None and cause is not None
        now = monotonic()
        self.close_event = close_event(
            cause,
            received=protocol.received,
            sent=protocol.sent,
            received_first=protocol.received_first,
            began=self._began,
            last_in=self._last_in,
            last_out=self._last_out,
            now=now,
            error=self._error,
        )
        self._ending = True
        self._deadline = now + self.settings.close_timeout
        self._set_timer()
        self._resume()
        self.loop.flush_soon(self)
        self._wake_senders()
        self._run_end_callbacks()
        self.wake()

    def _run_end_callbacks(self) -> None:
        while self._end_callbacks:
            try:
                callback = self._end_callbacks.pop(0)
            except IndexError:  # Another thread has taken the last one.
                return
            try:
                callback()
            except Exception:
                log.exception("error in a callback at the end of a session, ignored")

    def _release(self) -> None:
        if self.fd >= 0:
            self._deadline = None
            self._close_stream()
            self.done()

    # Time

    def _set_timer(self) -> None:
        if self.fd >= 0:
            when = self._deadline
            if when is None and self._idle_timeout:
                when = self._last_message + self._idle_timeout
            self.loop.set_timer(self, when)

    def _is_idle(self, now: float) -> bool:
        limit = self._idle_timeout
        return limit > 0 and self._deadline is None and now - self._last_message >= limit
