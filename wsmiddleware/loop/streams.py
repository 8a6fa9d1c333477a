"""Streams: the byte pipe of one connection, plain or TLS, non-blocking, with one end: ours.

A stream never waits. ``read`` and ``write`` say at once what was possible; what to wait for then is ``wants``.
All methods are called by the loop's thread only.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from io import IOBase
from typing import Protocol, TypeAlias

READ_SIZE = 64 * 1024
"""Bytes asked for at once: what a loopback or LAN sender has in flight, and small enough to stay in the CPU's cache."""

READABLE = 1
WRITABLE = 2

Buffer: TypeAlias = bytes | bytearray | memoryview


class Stream(Protocol):
    """The byte pipe that a server gave away."""

    fd: int
    """The descriptor to watch; -1 once closed."""

    def read(self) -> bytes | None:
        """Return bytes that have arrived, b"" at the end of the stream, None if nothing is there now.

        Raises OSError if the connection has broken.
        """

    def write(self, data: Buffer) -> int:
        """Write what goes without waiting and return how many bytes that was. Raises OSError as read does."""

    def has_buffered(self) -> bool:
        """Say whether bytes wait in the stream itself, where watching the descriptor does not show them."""

    def end_output(self) -> None:
        """Tell the peer that nothing more will be written (FIN). Reading goes on. Raises nothing."""

    def close(self) -> None:
        """Give the descriptor back to the system. May be called twice. Raises nothing."""


class PlainStream:
    """A TCP or Unix connection: a descriptor and nothing else, for an idle connection should cost next to nothing."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        """Own the descriptor *fd* of a connected stream socket from now on."""
        os.set_blocking(fd, False)
        self.fd = fd

    def read(self) -> bytes | None:
        try:
            return os.read(self.fd, READ_SIZE)
        except BlockingIOError:
            return None

    def write(self, data: Buffer) -> int:
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0

    def has_buffered(self) -> bool:
        return False

    def end_output(self) -> None:
        _send_fin(self.fd)

    def close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


class TLSStream:
    """A TLS connection, on an SSLSocket of ``ssl`` or ``gevent.ssl``.

    Decrypted bytes can wait inside it, invisible to whoever watches the descriptor, hence ``has_buffered``. After a
    write that has not taken everything, the next one must begin with the rest: some of that may be encrypted already.
    """

    __slots__ = ("fd", "_socket", "_files", "_tls_is_over")

    def __init__(self, tls_socket: ssl.SSLSocket, *files: IOBase) -> None:
        """Own *tls_socket* from now on, and *files* made of it: it stays open until they are closed."""
        tls_socket.settimeout(0.0)
        self.fd = tls_socket.fileno()
        self._socket = tls_socket
        self._files = files
        self._tls_is_over = False

    def read(self) -> bytes | None:
        if self._tls_is_over:
            return self._discard()
        try:
            return self._socket.recv(READ_SIZE)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return None

    def write(self, data: Buffer) -> int:
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0

    def has_buffered(self) -> bool:
        return not self._tls_is_over and self._socket.pending() > 0

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
        _send_fin(self.fd)

    def close(self) -> None:
        if self.fd >= 0:
            self.fd = -1
            with suppress(OSError):
                self._socket.close()
            for file in self._files:
                file.close()

    def _discard(self) -> bytes | None:
        """Read what cannot be decrypted any more, for the sake of the end behind it."""
        try:
            return None if os.read(self.fd, READ_SIZE) else b""
        except BlockingIOError:
            return None


def _send_fin(fd: int) -> None:
    with suppress(OSError, ValueError):  # The peer may have gone, then there is nobody to tell; or fd is -1.
        sock = socket.socket(fileno=fd)
        try:
            sock.shutdown(socket.SHUT_WR)
        finally:
            sock.detach()
