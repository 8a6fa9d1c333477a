"""Hub: rooms for sessions. The lock, the framing and the sessions' ends around the rules of ``memory``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.hub.lock import SectionLock
from wsmiddleware.hub.memory import Rooms
from wsmiddleware.hub.types import Frame, Joined, Member, Message, Position, Subscriber
from wsmiddleware.protocol.broadcast import Broadcast
from wsmiddleware.protocol.frames import BINARY, TEXT

_REFUSAL = (
    "this thread is inside the hub's render function, where the hub cannot be used. render must be quick and pure: "
    "expected it to return without calling its hub and without waiting (for I/O, a lock, a sleep), found that it "
    "called the hub, or waited and so let another greenlet come here. Do such things before publish() or after it"
)


class Hub:
    """Rooms that sessions join, and that anybody can publish to.

    All methods can be called from any thread and any greenlet, and none waits for a client. They keep these promises:

    - All members of a room get its messages in the same order, that of their positions.
    - Who joins with *since* gets what it missed and then what comes live, without a gap and without a repeat.
    - A session that ends leaves all its rooms before its on_close runs.
    - What has been published has been put into each member's send queue when publish returns. A member whose queue
      is full is closed (CloseCause.SLOW_CONSUMER); the others do not wait for it.

    A room's name is any str. Rooms need not be created, and those without members are kept for their history as long
    as they are among the latest (see ``memory.MAX_EMPTY_ROOMS`` and ``memory.MAX_EMPTY_BYTES``). In a forked child
    process a hub is empty: the sessions are the parent's.
    """

    def __init__(
        self, url: str = "memory://", *, history: int = 50, render: Callable[[Message], str | bytes] | None = None
    ) -> None:
        """Make a hub without rooms.

        *url* says where rooms live: "memory://" is this process.

        *history* is the number of messages that each room keeps for newcomers and for who comes back; 0 keeps none.
        A client that comes back may be sent all of them at once: together they should fit into its send queue.

        *render* makes of a message what members get, str for a text message and bytes for a binary one; the message's
        data by default. It is the place to put the position in. It runs once per message, however many members there
        are, and in the order of positions, so it must be quick and pure: it must not wait, nor use the hub. When it
        raises, publish does, and nothing has been published.

        Raises ValueError for a *url* of another kind, and for a negative *history*.
        """
        _check_url(url)
        if history < 0:
            raise ValueError(f"history is a number of messages: expected 0 or more, found {history}")
        self._history_size = history
        self._render = render
        self._start_empty()
        _hubs.add(self)

    @property
    def node(self) -> str:
        """This hub's own name, a random one: what Member.node says of those who joined through it."""
        return self._node

    def join(self, session: Subscriber, room: str, *, since: Position | None = None, info: Any = None) -> Joined:
        """Make *session* a member of *room*: from now on it is sent what is published there.

        *since* is the position up to which its client knows the room. What was published after it is sent first, if
        the room still has all of that; the returned ``recovered`` says whether it had. If not, nothing is sent: ask
        history() for what there is. (A message is sent again even to who was excluded when it was published.)

        *info* is what members() tells of the session. Use values that JSON can express, and do not change them
        afterwards. A second join changes the info, and has no other effect: ``recovered`` says then whether the
        session has already been sent everything after *since*.

        Raises ConnectionClosed if the session is over. If it ends later, even during the call, it leaves by itself.
        Raises TypeError for a *room* that is no str and for a *since* that is no Position.
        """
        _check_room(room)
        _check_since(since)
        if session.close_event is not None:
            raise ConnectionClosed(session.close_event)
        with self._lock:
            joined, missed = self._rooms.join(session, room, since=since, info=info)
            for frame in missed:
                session.offer(frame)
            unwatched = session not in self._watched
            self._watched.add(session)
        if unwatched:
            # After joining, not before: a session that ended in between calls back at once, and then has to leave.
            session.add_end_callback(partial(self._session_ended, session))
        return joined

    def leave(self, session: Subscriber, room: str) -> None:
        """End the membership of *session* in *room*; nothing happens if there is none.

        Raises TypeError for a *room* that is no str.
        """
        _check_room(room)
        with self._lock:
            self._rooms.leave(session, room)

    def publish(
        self,
        room: str,
        data: str | bytes,
        *,
        exclude: Subscriber | None = None,
        sender: Subscriber | None = None,
    ) -> Position:
        """Send *data* to all members of *room*, except *exclude*, and add it to the room's history.

        Members get a text message for a str and a binary one for bytes, unless render decides otherwise. The id of
        *sender* becomes the message's sender; it need not be a member, and gets the message if it is one.

        Returns the message's position. Raises TypeError for a *room* that is no str and for *data* that is neither
        str nor bytes, UnicodeEncodeError (a ValueError) for text that UTF-8 cannot express, RuntimeError when called
        by render, and what render raises. Then nothing has been published.
        """
        _check_room(room)
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"expected data to publish to be str or bytes, found {type(data).__name__}")
        with self._lock:
            delivery = self._rooms.publish(
                room, data, self._frame, sender=None if sender is None else sender.id, exclude=exclude
            )
            for member in delivery.recipients:
                member.offer(delivery.frame)
        return delivery.message.position

    def members(self, room: str) -> list[Member]:
        """Return who is in *room*, in the order they came. Raises TypeError for a *room* that is no str."""
        _check_room(room)
        with self._lock:
            return self._rooms.members(room)

    def history(self, room: str, *, since: Position | None = None, limit: int | None = None) -> list[Message]:
        """Return the messages that *room* keeps, oldest first, as published (not rendered).

        With *since*, only what came after that position, as far as it is kept: it may not be all of it, and if the
        position's epoch is not the room's, then it is the whole history. *limit* takes that many of the newest.

        Raises ValueError for a negative *limit*, TypeError for a *room* that is no str and for a *since* that is no
        Position.
        """
        _check_room(room)
        _check_since(since)
        if limit is not None and limit < 0:
            raise ValueError(f"limit is a number of messages: expected 0 or more, found {limit}")
        with self._lock:
            return self._rooms.history(room, since=since, limit=limit)

    def _start_empty(self) -> None:
        self._lock = SectionLock(_REFUSAL)  # held while rooms change and frames are handed over, and by render
        self._node = secrets.token_hex(4)
        self._rooms = Rooms(node=self._node, history=self._history_size, new_epoch=partial(secrets.token_hex, 8))
        self._watched: set[Subscriber] = set()  # sessions that call _session_ended at their end

    def _session_ended(self, session: Subscriber) -> None:
        # The end may come from within this hub, of a session that has just been offered one frame too many.
        self._lock.run(partial(self._forget, session))

    def _forget(self, session: Subscriber) -> None:
        self._watched.discard(session)
        self._rooms.leave_all(session)

    def _frame(self, message: Message) -> Frame:
        content = message.data if self._render is None else self._render(message)
        if isinstance(content, str):
            return Broadcast(TEXT, content.encode())
        if isinstance(content, bytes):
            return Broadcast(BINARY, content)
        raise TypeError(f"expected render to return str or bytes, found {type(content).__name__}")


def _check_url(url: str) -> None:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme != "memory":
        # Not the whole URL: it may contain a password.
        found = f"the scheme {scheme!r}" if separator else "no scheme"
        raise ValueError(f"expected the URL of a hub (supported: memory://), found {found}")
    if rest:
        raise ValueError("expected memory:// and nothing after it: memory has neither host nor path")


def _check_room(room: str) -> None:
    if not isinstance(room, str):
        raise TypeError(f"expected the name of a room to be a str, found {type(room).__name__}")


def _check_since(since: Position | None) -> None:
    if since is not None and not isinstance(since, Position):
        raise TypeError(f"expected since to be a Position (Position.parse reads one), found {type(since).__name__}")


_hubs: WeakSet[Hub] = WeakSet()


def _start_empty_after_fork() -> None:
    # Of the parent's threads only one lives on: another one's lock would stay taken for ever.
    for hub in list(_hubs):
        hub._start_empty()


os.register_at_fork(after_in_child=_start_empty_after_fork)
