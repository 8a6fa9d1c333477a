"""Rooms, their members and their latest messages, as data. No I/O, no lock, no clock.

The rules, for one room:

- Messages are numbered 1, 2, 3, … without a hole. The number and the room's epoch are the message's position.
- A member gets each message that is published between its joining and its leaving, unless the publisher excludes it.
- Joining with a position also gives what was published after it, but all of it or nothing: if the history does not
  reach back that far, or the epoch is another, then the newcomer has not recovered. Being a member already, it gets
  nothing twice: it has recovered if it has been given everything after that position before.
- The history holds the latest messages, up to a number that is the same for all rooms.
- A room exists from the first time that anybody joins it or publishes to it. Without members it is only its history,
  and it may be dropped, the least recently used room first, when such rooms are too many or hold too many bytes.
  What is made of its name then is a new room, with a new epoch: the numbers start again, and the epoch tells.

``Rooms`` returns what to give to whom. To keep these promises its user gives it in that order, and lets no other call
come in between: see ``Hub``, which holds a lock meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from wsmiddleware.hub.types import Frame, Joined, Member, Message, Position, Subscriber

MAX_EMPTY_ROOMS = 10_000
"""Rooms without members that are kept for their history. Each costs about 1.5 KB, its messages not counted."""

MAX_EMPTY_BYTES = 64 * 1024 * 1024
"""Bytes of frames in the histories of rooms without members; their messages' data come to as much again.

Whoever may publish to rooms of any name could otherwise fill the memory with rooms that nobody is in.
"""


class Delivery(NamedTuple):
    """A published message, and who is to get it: *frame* for each of *recipients*."""

    message: Message
    frame: Frame
    recipients: list[Subscriber]


class Arrival(NamedTuple):
    """What a join came to, and the frames that the newcomer is to get for it, oldest first."""

    joined: Joined
    missed: list[Frame]


class Rooms:
    """All rooms of one hub.

    *node* is what Member.node says. *history* is the number of messages a room keeps. *new_epoch* makes up a name for
    an epoch, one that no room of this name ever had.
    """

    def __init__(
        self,
        *,
        node: str,
        history: int,
        new_epoch: Callable[[], str],
        max_empty_rooms: int = MAX_EMPTY_ROOMS,
        max_empty_bytes: int = MAX_EMPTY_BYTES,
    ) -> None:
        self._node = node
        self._history = history
        self._new_epoch = new_epoch
        self._max_empty_rooms = max_empty_rooms
        self._max_empty_bytes = max_empty_bytes

        self._rooms: dict[str, _Room] = {}
        self._rooms_of: dict[Subscriber, dict[str, None]] = {}  # where each is a member, in the order it came there
        self._empty: OrderedDict[str, _Room] = OrderedDict()  # those without members, least recently used first
        self._empty_bytes = 0  # the sum of their sizes

    def join(self, subscriber: Subscriber, name: str, *, since: Position | None = None, info: Any = None) -> Arrival:
        """Make *subscriber* a member of the room, or give the member it already is a new *info*."""
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room(self._new_epoch(), self._history)
        elif name in self._empty:
            del self._empty[name]
            self._empty_bytes -= room.size

        missed: list[Frame] = []
        membership = room.members.get(subscriber)
        if membership is None:
            kept = None if since is None else room.after(since)
            if since is None or kept is None:
                membership = _Membership(room.offset, info)
            else:
                membership = _Membership(since.offset, info)
                missed = [frame for _, frame in kept]
            room.members[subscriber] = membership
            self._rooms_of.setdefault(subscriber, {})[name] = None
        else:
            membership.info = info

        recovered = since is not None and since.epoch == room.epoch and membership.since <= since.offset <= room.offset
        return Arrival(Joined(recovered, room.position), missed)

    def leave(self, subscriber: Subscriber, name: str) -> None:
        """End a membership, if there is one."""
        names = self._rooms_of.get(subscriber)
        if names is None or name not in names:
            return
        del names[name]
        if not names:
            del self._rooms_of[subscriber]
        self._remove_member(subscriber, name)

    def leave_all(self, subscriber: Subscriber) -> None:
        """End all memberships of *subscriber*, the oldest first."""
        for name in self._rooms_of.pop(subscriber, ()):
            self._remove_member(subscriber, name)

    def publish(
        self,
        name: str,
        data: str | bytes,
        make_frame: Callable[[Message], Frame],
        *,
        sender: str | None = None,
        exclude: Subscriber | None = None,
    ) -> Delivery:
        """Append a message to the room.

        *make_frame* gets the message with the position that it will have, and must not call back. When it raises,
        nothing has been published.
        """
        room = self._rooms.get(name)
        if room is None:
            room = _Room(self._new_epoch(), self._history)
        message = Message(name, data, Position(room.epoch, room.offset + 1), sender)
        frame = make_frame(message)

        self._rooms[name] = room  # it may be new
        grown = room.append(message, frame)
        if not room.members:
            self._empty[name] = room
            self._empty_bytes += grown
            self._use_empty(name)
        recipients = list(room.members)
        if exclude is not None and exclude in room.members:
            recipients.remove(exclude)
        return Delivery(message, frame, recipients)

    def members(self, name: str) -> list[Member]:
        """Return the room's members, in the order they came."""
        room = self._rooms.get(name)
        if room is None:
            return []
        return [Member(subscriber.id, membership.info, self._node) for subscriber, membership in room.members.items()]

    def history(self, name: str, *, since: Position | None = None, limit: int | None = None) -> list[Message]:
        """Return the messages kept, oldest first; with *limit*, at most that many of the newest.

        Of those, with *since*, only what came after it. A position in another epoch precedes them all.
        """
        room = self._rooms.get(name)
        if room is None:
            return []
        if name in self._empty:
            self._use_empty(name)
        wanted = len(room.log)
        if since is not None and since.epoch == room.epoch:
            wanted = min(wanted, max(room.offset - since.offset, 0))
        if limit is not None:
            wanted = min(wanted, limit)
        return [message for message, _ in room.newest(wanted)]

    def _remove_member(self, subscriber: Subscriber, name: str) -> None:
        room = self._rooms[name]
        del room.members[subscriber]
        if not room.members:
            self._empty[name] = room
            self._empty_bytes += room.size
            self._use_empty(name)

    def _use_empty(self, name: str) -> None:
        """Note the use of a room without members, and drop the others that there is no place for any more."""
        self._empty.move_to_end(name)
        while len(self._empty) > 1 and (
            len(self._empty) > self._max_empty_rooms or self._empty_bytes > self._max_empty_bytes
        ):
            oldest, room = self._empty.popitem(last=False)
            self._empty_bytes -= room.size
            del self._rooms[oldest]


class _Membership:
    """A subscriber in a room: it has been given all that came after the offset *since*."""

    __slots__ = ("info", "since")

    def __init__(self, since: int, info: Any) -> None:
        self.since = since
        self.info = info


class _Room:
    """One room in one epoch."""

    __slots__ = ("epoch", "log", "members", "offset", "size")

    def __init__(self, epoch: str, history: int) -> None:
        self.epoch = epoch
        self.offset = 0  # the newest message's
        self.log: deque[tuple[Message, Frame]] = deque(maxlen=history)  # ends with the newest, no holes
        self.size = 0  # bytes of the frames in the log
        self.members: dict[Subscriber, _Membership] = {}

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.offset)

    def append(self, message: Message, frame: Frame) -> int:
        """Note the next message. Return by how many bytes the log has grown, less than none if it has shrunk."""
        self.offset = message.position.offset
        before = self.size
        if self.log.maxlen:
            if len(self.log) == self.log.maxlen:
                self.size -= len(self.log[0][1])
            self.size += len(frame)
        self.log.append((message, frame))
        return self.size - before

    def after(self, since: Position) -> list[tuple[Message, Frame]] | None:
        """Return all that was published after *since*, or None if that is not known any more (or not yet)."""
        missed = self.offset - since.offset
        if since.epoch != self.epoch or not 0 <= missed <= len(self.log):
            return None
        return self.newest(missed)

    def newest(self, count: int) -> list[tuple[Message, Frame]]:
        """Return the *count* newest entries of the log, oldest first."""
        return list(islice(self.log, len(self.log) - count, None))
