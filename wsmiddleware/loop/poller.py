"""Which descriptors are ready. Two ways with one interface: an epoll set, or a gevent watcher for each descriptor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gevent.hub import Hub
from gevent.monkey import get_original

from wsmiddleware.loop.streams import READABLE, WRITABLE

MAX_EVENTS = 64
"""Descriptors reported at once. A turn of the loop handles that many; then HTTP requests and timers have theirs."""


class Poller(Protocol):
    """Reports ready descriptors, level-triggered: what is ready and left alone is reported again.

    Used by the loop's thread only.
    """

    def watch(self, fd: int, interest: int, before: int) -> None:
        """Report *fd* when it is ready for *interest* (READABLE, WRITABLE, both, or 0: not at all).

        *before* is what the last call said of it, 0 if there was none. Set it to 0 before closing the descriptor.
        """

    def ready(self) -> list[tuple[int, int]]:
        """Return pairs of a descriptor and what it is ready for. An error or a hang-up counts as both."""

    def close(self) -> None:
        """Stop watching."""


def make_poller(hub: Hub, on_ready: Callable[[], object]) -> Poller:
    """Return the better of the two for this system. *on_ready* is called in *hub* when ready() has something."""
    try:
        get_original("select", "epoll")
    except AttributeError:  # Not Linux.
        return WatcherPoller(hub, on_ready)
    return EpollPoller(hub, on_ready)


class EpollPoller:
    """All descriptors in one epoll set whose own descriptor is watched: gevent is asked once for all of them."""

    def __init__(self, hub: Hub, on_ready: Callable[[], object]) -> None:
        # gevent's patching removes it from the module: the original would block a patched process. Not with timeout 0.
        self._epoll = get_original("select", "epoll")()
        self._watcher = hub.loop.io(self._epoll.fileno(), 1)
        self._on_ready = on_ready
        self._watched = 0

    def watch(self, fd: int, interest: int, before: int) -> None:
        if not interest:
            # Not modify(fd, 0): hang-ups are reported whatever the mask, and a busy loop would follow.
            if before:
                self._epoll.unregister(fd)
                self._watched -= 1
                if not self._watched:
                    self._watcher.stop()  # so that hub.join() need not wait for us
        elif before:
            self._epoll.modify(fd, _TO_EPOLL[interest])
        else:
            self._epoll.register(fd, _TO_EPOLL[interest])
            self._watched += 1
            if self._watched == 1:
                self._watcher.start(self._on_ready)

    def ready(self) -> list[tuple[int, int]]:
        return [(fd, _FROM_EPOLL.get(events, READABLE | WRITABLE)) for fd, events in self._epoll.poll(0, MAX_EVENTS)]

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        self._epoll.close()


_IN, _OUT = 0x1, 0x4
_TO_EPOLL = {READABLE: _IN, WRITABLE: _OUT, READABLE | WRITABLE: _IN | _OUT}
_FROM_EPOLL = {_IN: READABLE, _OUT: WRITABLE}


class WatcherPoller:
    """A gevent watcher for each descriptor, for systems without epoll."""

    def __init__(self, hub: Hub, on_ready: Callable[[], object]) -> None:
        self._loop = hub.loop
        self._on_ready = on_ready
        self._watchers: dict[int, Any] = {}
        self._ready: dict[int, int] = {}

    def watch(self, fd: int, interest: int, before: int) -> None:
        if before:
            watcher = self._watchers.pop(fd)
            watcher.stop()
            watcher.close()
            self._ready.pop(fd, None)
        if interest:
            watcher = self._watchers[fd] = self._loop.io(fd, interest)
            watcher.start(self._report, fd, pass_events=True)

    def ready(self) -> list[tuple[int, int]]:
        found, self._ready = list(self._ready.items()), {}
        return found

    def close(self) -> None:
        for fd in list(self._watchers):
            self.watch(fd, 0, READABLE)

    def _report(self, events: int, fd: int) -> None:
        if not self._ready:
            self._loop.run_callback(self._on_ready)
        self._ready[fd] = events & (READABLE | WRITABLE)
