"""The few system calls of the loop.

``system.pyx`` says the same in C, where a call makes no Python objects; in compiled builds it takes our place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

from gevent.monkey import get_original

from wsmiddleware.protocol.wire import OutBuffer, Payload

__all__ = ["READ_SIZE", "ReadBuffer", "monotonic", "thread_ident", "write", "write_frame"]

READ_SIZE = 256 * 1024
"""Bytes asked for at once. A connection that has more gets its next turn when the others have had theirs."""

# In a patched process, the usual one is about greenlets, not threads.
thread_ident: Callable[[], int] = get_original("_thread", "get_ident")


class ReadBuffer:
    """Where bytes from the network arrive. One serves all connections of a loop, one after the other."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b""
        """The last read's bytes are at its beginning. The next read may overwrite them, unless somebody holds it."""

    def read(self, fd: int) -> int:
        """Read what has arrived at the socket *fd*; return how many bytes, 0 at the end, -1 if there is nothing now.

        Raises OSError if the connection has broken.
        """
        try:
            self.data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return -1
        return len(self.data)


def write(fd: int, data: OutBuffer) -> int:
    """Write what goes without waiting to the socket *fd*; return how many bytes that was. Raises OSError as read does.

    (Python ignores SIGPIPE; a broken pipe is an error like others.)
    """
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def write_frame(fd: int, header: bytes, payload: Payload) -> int:
    """Write *header* and *payload* as one, without copying them together. As write."""
    try:
        return os.writev(fd, (header, payload))
    except BlockingIOError:
        return 0
