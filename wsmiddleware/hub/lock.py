"""A lock between native threads, for sections that never wait and never let another greenlet run.

A gevent lock would tie the hub to a gevent loop in each thread, and a publisher may be a plain thread without one. A
native lock has its own danger: if its holder waits inside and another greenlet of the same thread wants the lock, then
the whole thread stands still for ever. So the lock knows which thread holds it, and refuses instead.
"""

from __future__ import annotations

from _thread import LockType
from collections import deque
from collections.abc import Callable
from types import TracebackType

from gevent.monkey import get_original

# In a patched process, the usual ones are about greenlets, not threads.
_allocate_lock: Callable[[], LockType] = get_original("_thread", "allocate_lock")
_get_ident: Callable[[], int] = get_original("_thread", "get_ident")


class SectionLock:
    """Lets one thread at a time into the sections it guards: ``with lock: ...``.

    Entering raises RuntimeError with the text *refusal* when this very thread is inside already.
    """

    def __init__(self, refusal: str) -> None:
        self._refusal = refusal
        self._lock = _allocate_lock()
        self._holder: int | None = None
        self._due: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        thread = _get_ident()
        if self._holder == thread:
            raise RuntimeError(self._refusal)
        self._lock.acquire()
        self._holder = thread

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            while self._due:
                self._due.popleft()()
        finally:
            self._holder = None
            self._lock.release()

    def run(self, action: Callable[[], None]) -> None:
        """Run *action*, which must not raise, in a section of its own.

        That is now, or, if this thread is inside already, at the end of the section it is in: for calls that cannot
        be refused.
        """
        self._due.append(action)
        if self._holder != _get_ident():
            with self:
                pass  # The end of each section runs what is due.
