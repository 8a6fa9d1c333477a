"""Streams: the byte pipe of one connection, plain or TLS, non-blocking, with one end: ours.

A stream never waits: ``read`` and ``write`` say at once what was possible. All methods are for the loop's thread only.
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from io import IOBase

from wsmiddleware.loop.system import ReadBuffer, end_output, write
from wsmiddleware.protocol.wire import OutBuffer

TLS_RECORD = 16 * 1024
"""Bytes: the most that TLS decrypts at once (RFC 8446 section 5.1)."""


class Stream:
    """The byte pipe that a server gave away."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd
        """The descriptor to watch; -1 once closed."""

    def read(self, buffer: ReadBuffer) -> int:
        """Read into *buffer*; return how many bytes, 0 at the end of the stream, -1 if nothing is there now.

        Raises OSError if the connection has broken.
        """
        raise NotImplementedError

    def write(self, data: OutBuffer) -> int:
        """Write what goes without waiting and return how many bytes that was. Raises OSError as read does."""
        raise NotImplementedError

    def has_buffered(self) -> bool:
        """Say whether bytes wait in the stream itself, where watching the descriptor does not show them."""
        raise NotImplementedError

    def end_output(self) -> None:
        """Tell the peer that nothing more will be written (FIN). Reading goes on. Raises nothing."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the descriptor back to the system. May be called twice. Raises nothing."""
        raise NotImplementedError


class PlainStream(Stream):
    """A TCP or Unix connection: a descriptor and nothing else, for an idle connection should cost next to nothing."""

    __slots__ = ()

    def __init__(self, fd: int) -> None:
        """Own the descriptor *fd* of a connected stream socket from now on."""
        os.set_blocking(fd, False)
        super().__init__(fd)

    def read(self, buffer: ReadBuffer) -> int:
        return buffer.read(self.fd)

    def write(self, data: OutBuffer) -> int:
        return write(self.fd, data)

    def has_buffered(self) -> bool:
        return False

    def end_output(self) -> None:
        end_output(self.fd)

    def close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


class TLSStream(Stream):
    """A TLS connection, on an SSLSocket of ``ssl`` or ``gevent.ssl``.

    Decrypted bytes can wait inside it, invisible to whoever watches the descriptor, hence ``has_buffered``. After a
    write that has not taken everything, the next one must begin with the rest: some of that may be encrypted already.
    A connection that has been reset may look like one that has ended, for ``ssl`` reports both alike.
    """

    __slots__ = ("_socket", "_files", "_is_new", "_tls_is_over")

    def __init__(self, tls_socket: ssl.SSLSocket, *files: IOBase) -> None:
        """Own *tls_socket* from now on, and *files* made of it: it stays open until they are closed."""
        tls_socket.settimeout(0.0)
        super().__init__(tls_socket.fileno())
        self._socket = tls_socket
        self._files = files
        self._is_new = True
        self._tls_is_over = False

    def read(self, buffer: ReadBuffer) -> int:
        self._is_new = False
        if self._tls_is_over:
            return self._discard()
        try:
            buffer.data = self._socket.recv(TLS_RECORD)
        except ssl.SSLZeroReturnError:  # The peer's close_notify, when ours has been sent.
            return 0
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return -1
        return len(buffer.data)

    def write(self, data: OutBuffer) -> int:
        # Record by record: given more, OpenSSL tells of no progress before all has gone.
        sent = 0
        with memoryview(data) as view, suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            while sent < len(view):
                with view[sent : sent + TLS_RECORD] as record:
                    count = self._socket.send(record)
                if count == 0:  # What gevent returns where ssl raises.
                    break
                sent += count
        return sent

    def has_buffered(self) -> bool:
        # Until it has been read from: who has looked into the files may have met the peer's end. That does not show in
        # any other way, but OpenSSL tells it again.
        return self._is_new or self._socket.pending() > 0

    def end_output(self) -> None:
        if not self._tls_is_over:
            try:
                # RFC 8446 section 6.1: each party sends close_notify before it closes its side.
                self._socket.unwrap()
                self._tls_is_over = True  # Both have.
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass  # The peer's is still to come, and perhaps data before it.
            except (OSError, ValueError):
                # OpenSSL has looked for the peer's close_notify and has found data. It reads no more after that.
                self._tls_is_over = True
        # SSLSocket.shutdown would forget the keys, and so read what the peer sends as it is.
        end_output(self.fd)

    def close(self) -> None:
        if self.fd >= 0:
            self.fd = -1
            with suppress(OSError):
                self._socket.close()
            for file in self._files:
                file.close()

    def _discard(self) -> int:
        """Read what cannot be decrypted any more, for the sake of the end behind it."""
        try:
            return -1 if os.read(self.fd, TLS_RECORD) else 0
        except BlockingIOError:
            return -1
