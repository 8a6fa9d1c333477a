"""The few system calls of the loop.

``system.pyx`` says the same in C, where a call makes no Python objects; in compiled builds it takes our place.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any
from weakref import getweakrefcount as weakref_count

from gevent.monkey import get_original

from wsmiddleware.loop.member import Member
from wsmiddleware.protocol.wire import OutBuffer

__all__ = [
    "HAS_EPOLL",
    "MAX_EVENTS",
    "READABLE",
    "READ_SIZE",
    "WRITABLE",
    "EpollSet",
    "ReadBuffer",
    "end_output",
    "monotonic",
    "run_in",
    "thread_ident",
    "weakref_count",
    "write",
]

READABLE = 1
WRITABLE = 2

MAX_EVENTS = 64
"""Descriptors reported at once, and served in one round of the loop."""

READ_SIZE = 256 * 1024
"""Bytes asked for at once. A connection that has more gets its next turn when the others have had theirs."""

# In a patched process, the usual one is about greenlets, not threads.
thread_ident: Callable[[], int] = get_original("_thread", "get_ident")


def run_in(context: Context, member: Member) -> None:
    """Have *member* work in *context*."""
    context.run(member.work)


try:
    # gevent's patching removes it from the module, for it would block all of a patched process. Not with timeout 0,
    # and only who owns the whole thread waits longer.
    _epoll: Any = get_original("select", "epoll")
except AttributeError:  # Not Linux.
    _epoll = None

HAS_EPOLL = _epoll is not None
"""Whether this system can make an EpollSet."""

_IN, _OUT = 0x1, 0x4
_TO_EPOLL = {READABLE: _IN, WRITABLE: _OUT, READABLE | WRITABLE: _IN | _OUT}
_FROM_EPOLL = {_IN: READABLE, _OUT: WRITABLE}


class EpollSet:
    """Descriptors, and which of them are ready."""

    __slots__ = ("_epoll", "_found")

    def __init__(self) -> None:
        self._epoll = _epoll()
        self._found: list[tuple[int, int]] = []

    def fileno(self) -> int:
        """Return the descriptor that is readable when one in the set is ready."""
        number: int = self._epoll.fileno()
        return number

    def add(self, fd: int, interest: int) -> None:
        """Take *fd* into the set, for READABLE, WRITABLE or both. Raises OSError, as the others do."""
        self._epoll.register(fd, _TO_EPOLL[interest])

    def change(self, fd: int, interest: int) -> None:
        """Say again what a member is in the set for."""
        self._epoll.modify(fd, _TO_EPOLL[interest])

    def remove(self, fd: int) -> None:
        """Take *fd* out of the set."""
        self._epoll.unregister(fd)

    def wait(self, timeout: int = 0) -> int:
        """Look which are ready; return how many, MAX_EVENTS at most.

        If none is, wait for the first, *timeout* milliseconds at most. The thread stands still meanwhile, and all of
        its greenlets do.
        """
        self._found = self._epoll.poll(timeout / 1000, MAX_EVENTS)
        return len(self._found)

    def fd(self, index: int) -> int:
        """Return a descriptor that the last wait has found."""
        return self._found[index][0]

    def readiness(self, index: int) -> int:
        """Return what it is ready for. An error or a hang-up counts as both."""
        return _FROM_EPOLL.get(self._found[index][1], READABLE | WRITABLE)

    def close(self) -> None:
        """Give the set's descriptor back; nothing happens to those in it."""
        self._epoll.close()


class ReadBuffer:
    """Where bytes from the network arrive. One serves all connections of a loop, one after the other."""

    __slots__ = ("data", "_memory")

    def __init__(self) -> None:
        self.data = b""
        """The last read's bytes are at its beginning. The next read may overwrite them, unless somebody holds it."""
        # os.read would make bytes of READ_SIZE each time, and the C library have the system map and unmap them.
        self._memory = (memoryview(bytearray(READ_SIZE)),)

    def read(self, fd: int) -> int:
        """Read what has arrived at the socket *fd*; return how many bytes, 0 at the end, -1 if there is nothing now.

        Raises OSError if the connection has broken.
        """
        try:
            size = os.readv(fd, self._memory)
        except BlockingIOError:
            return -1
        self.data = bytes(self._memory[0][:size])
        return size


def end_output(fd: int) -> None:
    """Tell the peer of the socket *fd* that nothing more will be written (FIN). Raises nothing: it may have gone."""
    with suppress(OSError, ValueError):
        sock = socket.socket(fileno=fd)
        try:
            sock.shutdown(socket.SHUT_WR)
        finally:
            sock.detach()


def write(fd: int, data: OutBuffer) -> int:
    """Write what goes without waiting to the socket *fd*; return how many bytes that was. Raises OSError as read does.

    (Python ignores SIGPIPE; a broken pipe is an error like others.)
    """
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
