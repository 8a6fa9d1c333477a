"""The rules of rooms, without a hub around them: who gets what, and what is kept."""

import gc
import weakref
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from wsmiddleware.hub import memory
from wsmiddleware.hub.memory import Rooms
from wsmiddleware.hub.types import Joined, Member, Message, Position


class Someone:
    """A subscriber: all that the rules know of it is its id."""

    def __init__(self, id):
        self.id = id

    def __repr__(self):
        return f"<{self.id}>"


def make_rooms(*, history=3, **limits):
    """Rooms whose epochs are e1, e2, e3, ... in the order they begin."""
    numbers = count(1)
    return Rooms(node="here", history=history, new_epoch=lambda: f"e{next(numbers)}", **limits)


def frame(message):
    return f"{message.position} {message.data}".encode()


@pytest.fixture
def rooms():
    return make_rooms()


@pytest.fixture
def ann():
    return Someone("ann")


@pytest.fixture
def bob():
    return Someone("bob")


class TestPublish:
    def test_numbers_messages_from_one_in_each_room(self, rooms):
        positions = [rooms.publish(name, "x", frame).message.position for name in ["a", "a", "b", "a"]]
        assert positions == [Position("e1", 1), Position("e1", 2), Position("e2", 1), Position("e1", 3)]

    def test_tells_the_message_its_frame_and_who_gets_it(self, rooms, ann, bob):
        rooms.join(ann, "room")
        rooms.join(bob, "room")
        message, made, recipients = rooms.publish("room", "hello", frame, sender="ann")
        assert message == Message(room="room", data="hello", position=Position("e1", 1), sender="ann")
        assert made == b"e1:1 hello"
        assert recipients == [ann, bob]

    def test_goes_to_members_only(self, rooms, ann, bob):
        rooms.join(ann, "room")
        rooms.join(bob, "another room")
        assert rooms.publish("room", "x", frame).recipients == [ann]

    def test_without_members_goes_to_the_history_only(self, rooms):
        assert rooms.publish("room", "x", frame).recipients == []
        assert [message.data for message in rooms.history("room")] == ["x"]

    def test_leaves_out_whom_it_is_told_to(self, rooms, ann, bob):
        rooms.join(ann, "room")
        rooms.join(bob, "room")
        assert rooms.publish("room", "x", frame, exclude=ann).recipients == [bob]
        assert rooms.publish("room", "x", frame).recipients == [ann, bob]

    def test_leaving_out_who_is_not_there_changes_nothing(self, rooms, ann, bob):
        rooms.join(ann, "room")
        assert rooms.publish("room", "x", frame, exclude=bob).recipients == [ann]

    def test_makes_one_frame_per_message(self, rooms, ann, bob):
        rooms.join(ann, "room")
        rooms.join(bob, "room")
        made = []

        def make(message):
            made.append(message)
            return b"frame"

        rooms.publish("room", "x", make)
        assert [message.position for message in made] == [Position("e1", 1)]

    def test_has_not_happened_when_its_frame_cannot_be_made(self, rooms, ann):
        def broken(message):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            rooms.publish("new", "x", broken)
        rooms.join(ann, "room")
        with pytest.raises(ZeroDivisionError):
            rooms.publish("room", "x", broken)
        assert rooms.history("new") == rooms.history("room") == []
        assert rooms.publish("room", "x", frame).message.position.offset == 1


class TestJoinAndLeave:
    def test_begins_behind_the_newest_message(self, rooms, ann):
        rooms.publish("room", "before", frame)
        assert rooms.join(ann, "room") == (Joined(recovered=False, position=Position("e1", 1)), [])
        assert rooms.publish("room", "after", frame).recipients == [ann]

    def test_a_new_room_is_at_offset_zero(self, rooms, ann):
        assert rooms.join(ann, "room").joined.position == Position("e1", 0)

    def test_joining_twice_is_joining_once_with_the_newer_info(self, rooms, ann):
        rooms.join(ann, "room", info="Ann")
        rooms.join(ann, "room", info="Anne")
        assert rooms.members("room") == [Member(id="ann", info="Anne", node="here")]
        assert rooms.publish("room", "x", frame).recipients == [ann]
        rooms.leave(ann, "room")
        assert rooms.members("room") == []

    def test_leaving_ends_the_delivery(self, rooms, ann, bob):
        rooms.join(ann, "room")
        rooms.join(bob, "room")
        rooms.leave(ann, "room")
        assert rooms.publish("room", "x", frame).recipients == [bob]

    def test_leaving_is_idempotent(self, rooms, ann, bob):
        rooms.leave(ann, "nowhere")
        rooms.join(ann, "room")
        rooms.join(ann, "another room")
        rooms.leave(ann, "room")
        rooms.leave(ann, "room")
        rooms.leave(bob, "room")
        assert rooms.members("room") == []
        assert rooms.members("another room") == [Member("ann", None, "here")]

    def test_leaving_everything_leaves_every_room_and_nobody_else(self, rooms, ann, bob):
        for name in ["a", "b", "c"]:
            rooms.join(ann, name)
        rooms.join(bob, "b")
        rooms.leave(ann, "c")
        rooms.leave_all(ann)
        rooms.leave_all(ann)
        assert [rooms.members(name) for name in "abc"] == [[], [Member("bob", None, "here")], []]

    def test_who_left_is_not_held_on_to(self, rooms):
        someone = Someone("someone")
        rooms.join(someone, "room")
        rooms.publish("room", "x", frame, exclude=someone)
        rooms.leave(someone, "room")
        gone = weakref.ref(someone)
        del someone
        gc.collect()
        assert gone() is None

    def test_members_are_listed_in_the_order_they_came(self, rooms, ann, bob):
        carol = Someone("carol")
        for someone in [bob, carol, ann]:
            rooms.join(someone, "room")
        rooms.leave(carol, "room")
        rooms.join(carol, "room")
        assert [member.id for member in rooms.members("room")] == ["bob", "ann", "carol"]

    def test_a_room_that_nobody_made_has_no_members_and_no_history(self, rooms):
        assert rooms.members("room") == rooms.history("room") == []


class TestJoinSince:
    """Five messages were published, and the room keeps three: 3, 4 and 5."""

    @pytest.fixture
    def rooms(self):
        rooms = make_rooms(history=3)
        for number in range(1, 6):
            rooms.publish("room", str(number), frame)
        return rooms

    @pytest.mark.parametrize(
        ("offset", "missed"),
        [
            (2, [b"e1:3 3", b"e1:4 4", b"e1:5 5"]),
            (3, [b"e1:4 4", b"e1:5 5"]),
            (5, []),
        ],
    )
    def test_gives_what_was_missed(self, rooms, ann, offset, missed):
        arrival = rooms.join(ann, "room", since=Position("e1", offset))
        assert arrival == (Joined(recovered=True, position=Position("e1", 5)), missed)

    @pytest.mark.parametrize(
        "since",
        [
            pytest.param(Position("e1", 1), id="one further than the history reaches"),
            pytest.param(Position("e1", 0), id="before everything"),
            pytest.param(Position("e1", -1), id="negative"),
            pytest.param(Position("e1", 6), id="in the future"),
            pytest.param(Position("e0", 4), id="another epoch"),
        ],
    )
    def test_gives_nothing_if_it_cannot_give_all(self, rooms, ann, since):
        arrival = rooms.join(ann, "room", since=since)
        assert arrival == (Joined(recovered=False, position=Position("e1", 5)), [])
        assert rooms.publish("room", "6", frame).recipients == [ann]

    def test_gives_what_came_while_the_session_was_not_a_member(self, rooms, ann):
        left_at = rooms.join(ann, "room").joined.position
        rooms.leave(ann, "room")
        rooms.publish("room", "6", frame)
        assert rooms.join(ann, "room", since=left_at) == (Joined(True, Position("e1", 6)), [b"e1:6 6"])

    def test_gives_a_member_nothing_twice(self, rooms, ann):
        rooms.join(ann, "room", since=Position("e1", 3))
        rooms.publish("room", "6", frame)
        for offset, recovered in [(2, False), (3, True), (6, True), (7, False)]:
            arrival = rooms.join(ann, "room", since=Position("e1", offset))
            assert arrival == (Joined(recovered, Position("e1", 6)), [])

    def test_a_member_that_did_not_recover_has_all_since_it_came(self, rooms, ann):
        rooms.join(ann, "room", since=Position("e0", 5))
        assert rooms.join(ann, "room", since=Position("e1", 5)).joined.recovered
        assert not rooms.join(ann, "room", since=Position("e1", 4)).joined.recovered
        assert not rooms.join(ann, "room", since=Position("e0", 5)).joined.recovered

    def test_a_position_in_the_future_is_forgotten(self, rooms, ann):
        rooms.join(ann, "room", since=Position("e1", 9))
        rooms.publish("room", "6", frame)
        assert rooms.join(ann, "room", since=Position("e1", 6)).joined.recovered


class TestHistory:
    def test_keeps_the_newest(self):
        rooms = make_rooms(history=2)
        for data in ["a", b"b", "c"]:
            rooms.publish("room", data, frame, sender="ann")
        assert rooms.history("room") == [
            Message("room", b"b", Position("e1", 2), "ann"),
            Message("room", "c", Position("e1", 3), "ann"),
        ]

    @pytest.mark.parametrize(
        ("since", "limit", "found"),
        [
            (None, None, "345"),
            (None, 2, "45"),
            (None, 0, ""),
            (None, 9, "345"),
            (Position("e1", 1), None, "345"),
            (Position("e1", 3), None, "45"),
            (Position("e1", 3), 1, "5"),
            (Position("e1", 5), None, ""),
            (Position("e1", 6), None, ""),
            (Position("e0", 5), None, "345"),
            (Position("e0", 5), 1, "5"),
        ],
    )
    def test_selects_by_position_and_number(self, since, limit, found):
        rooms = make_rooms(history=3)
        for data in "12345":
            rooms.publish("room", data, frame)
        assert "".join(message.data for message in rooms.history("room", since=since, limit=limit)) == found

    def test_of_no_length_still_knows_who_missed_nothing(self, ann, bob):
        rooms = make_rooms(history=0)
        rooms.publish("room", "x", frame)
        assert rooms.history("room") == []
        assert rooms.join(ann, "room", since=Position("e1", 1)).joined.recovered
        assert not rooms.join(bob, "room", since=Position("e1", 0)).joined.recovered


class TestRoomsWithoutMembers:
    def test_keep_history_and_epoch(self, rooms, ann):
        rooms.join(ann, "room")
        rooms.publish("room", "x", frame)
        rooms.leave_all(ann)
        assert rooms.join(ann, "room", since=Position("e1", 0)) == (Joined(True, Position("e1", 1)), [b"e1:1 x"])

    def test_are_dropped_least_recently_used_first(self, ann):
        rooms = make_rooms(max_empty_rooms=3)
        rooms.publish("published to", "1", frame)
        rooms.publish("forgotten", "1", frame)
        rooms.publish("read", "1", frame)
        rooms.publish("published to", "2", frame)
        rooms.history("read")
        rooms.join(ann, "left")
        assert len(rooms.history("forgotten")) == 1
        rooms.publish("published to", "3", frame)
        rooms.history("read")
        rooms.leave(ann, "left")  # The fourth.
        assert [len(rooms.history(name)) for name in ["published to", "forgotten", "read"]] == [3, 0, 1]

    def test_come_back_with_a_new_epoch(self, ann):
        rooms = make_rooms(max_empty_rooms=1)
        known = rooms.publish("room", "x", frame).message.position
        rooms.publish("another room", "x", frame)
        assert known == Position("e1", 1)
        assert rooms.join(ann, "room", since=known) == (Joined(False, Position("e3", 0)), [])

    def test_are_not_dropped_while_they_have_members(self, ann):
        rooms = make_rooms(max_empty_rooms=1)
        for name in ["a", "b", "c"]:
            rooms.join(ann, name)
            rooms.publish(name, "x", frame)
        for name in ["d", "e"]:
            rooms.publish(name, "x", frame)
        assert [len(rooms.history(name)) for name in "abcde"] == [1, 1, 1, 0, 1]

    def test_are_dropped_when_they_hold_too_many_bytes(self, ann):
        rooms = make_rooms(max_empty_bytes=100)
        for name in ["a", "b"]:
            rooms.publish(name, "x", lambda message: bytes(50))
        assert [len(rooms.history(name)) for name in "ab"] == [1, 1]
        rooms.publish("c", "x", lambda message: b"one more")
        assert [len(rooms.history(name)) for name in "abc"] == [0, 1, 1]
        rooms.publish("b", "x", lambda message: bytes(50))
        assert [len(rooms.history(name)) for name in "bc"] == [2, 0]

    def test_bytes_that_a_capped_history_gave_up_do_not_count(self):
        rooms = make_rooms(history=2, max_empty_bytes=100)
        rooms.publish("a", "x", lambda message: bytes(20))
        for _ in range(10):
            rooms.publish("b", "x", lambda message: bytes(40))
        assert [len(rooms.history(name)) for name in "ab"] == [1, 2]

    def test_bytes_of_rooms_with_members_do_not_count(self, ann):
        rooms = make_rooms(max_empty_bytes=100)
        rooms.publish("joined", "x", lambda message: bytes(80))
        rooms.publish("a", "x", lambda message: bytes(20))
        rooms.join(ann, "joined")
        rooms.publish("b", "x", lambda message: bytes(80))
        assert [len(rooms.history(name)) for name in ["joined", "a", "b"]] == [1, 1, 1]
        rooms.leave(ann, "joined")
        assert [len(rooms.history(name)) for name in ["joined", "a", "b"]] == [1, 0, 0]

    def test_the_one_used_last_is_kept_however_big(self):
        rooms = make_rooms(max_empty_bytes=100)
        for _ in range(3):
            rooms.publish("big", "x", lambda message: bytes(1000))
        assert len(rooms.history("big")) == 3

    def test_have_limits_by_default(self):
        rooms = make_rooms()
        for number in range(memory.MAX_EMPTY_ROOMS + 1):
            rooms.publish(f"{number}", "x", frame)
        assert rooms.history("0") == []
        assert len(rooms.history("1")) == 1
        for number in range(3):
            rooms.publish(f"big {number}", "x", lambda message: bytes(memory.MAX_EMPTY_BYTES // 2))
        assert [len(rooms.history(f"big {number}")) for number in range(3)] == [0, 1, 1]


HISTORY = 3


class Interleaved(RuleBasedStateMachine):
    """However joins, leaves and publishes interleave, each member gets what it should, in order, and once.

    The model keeps every message of every epoch, so it can say what a membership is owed: all of its room's messages
    after the position where it began, save those it was excluded from.
    """

    positions = Bundle("positions")
    names = st.sampled_from(["a", "b", "c", "d"])
    people = st.sampled_from([Someone(name) for name in ("ann", "bob", "carol")])

    def __init__(self):
        super().__init__()
        self.rooms = make_rooms(history=HISTORY, max_empty_rooms=2)
        self.epoch = {}  # room -> its latest epoch
        self.published = {}  # epoch -> frames: the message at offset n is number n - 1
        self.memberships = {}  # (person, room) -> {"since": Position, "got": frames, "excluded": frames, "info"}
        self.recent = []  # rooms without members, in the order of their last use

    def enter_epoch(self, name, position):
        """A room may change its epoch only when it was dropped, and must when it was."""
        kept = name in self.recent or any(room == name for _, room in self.memberships)
        if kept:
            assert position.epoch == self.epoch[name]
        else:
            assert position.epoch not in self.published
            self.epoch[name] = position.epoch
            self.published[position.epoch] = []

    def note_use(self, name):
        if name in self.recent:
            self.recent.remove(name)
        if not any(room == name for _, room in self.memberships):
            self.recent = [*self.recent, name][-2:]

    @rule(target=positions, person=people, name=names, since=st.none() | positions, info=st.integers())
    def join(self, person, name, since, info):
        return self.check_join(person, name, since, info)

    @rule(person=people, name=names, since=positions, shift=st.integers(-2, 2))
    def join_at_a_made_up_position(self, person, name, since, shift):
        self.check_join(person, name, since._replace(offset=since.offset + shift), None)

    def check_join(self, person, name, since, info):
        joined, missed = self.rooms.join(person, name, since=since, info=info)
        self.enter_epoch(name, joined.position)
        frames = self.published[joined.position.epoch]
        assert joined.position.offset == len(frames)
        membership = self.memberships.get((person, name))
        if membership is not None:
            begun = membership["since"]
            owed = since is not None and since.epoch == begun.epoch and begun.offset <= since.offset <= len(frames)
            assert (joined.recovered, missed) == (owed, [])
            membership["info"] = info
        else:
            reachable = (
                since is not None
                and since.epoch == joined.position.epoch
                and max(len(frames) - HISTORY, 0) <= since.offset <= len(frames)
            )
            assert joined.recovered == reachable
            begun = since if reachable else joined.position
            self.memberships[person, name] = {"since": begun, "got": missed, "excluded": [], "info": info}
        self.note_use(name)
        return joined.position

    @rule(person=people, name=names)
    def leave(self, person, name):
        self.rooms.leave(person, name)
        if self.memberships.pop((person, name), None) is not None:
            self.note_use(name)

    @rule(person=people)
    def end(self, person):
        self.rooms.leave_all(person)
        for name in [name for someone, name in self.memberships if someone is person]:
            del self.memberships[person, name]
            self.note_use(name)

    @rule(target=positions, name=names, exclude=st.none() | people, again=st.integers(0, HISTORY + 1))
    def publish(self, name, exclude, again):
        for _ in range(1 + again):
            message, made, recipients = self.rooms.publish(name, "x", frame, exclude=exclude)
            self.enter_epoch(name, message.position)
            self.published[message.position.epoch].append(made)
            assert message.position.offset == len(self.published[message.position.epoch])
            assert len(set(recipients)) == len(recipients)
            for person in recipients:
                self.memberships[person, name]["got"].append(made)
            if (exclude, name) in self.memberships:
                self.memberships[exclude, name]["excluded"].append(made)
            self.note_use(name)
        return message.position

    @rule(name=names)
    def read(self, name):
        kept = name in self.recent or any(room == name for _, room in self.memberships)
        expected = self.published[self.epoch[name]][-HISTORY:] if kept else []
        assert [frame(message) for message in self.rooms.history(name)] == expected
        if kept:
            self.note_use(name)

    @invariant()
    def every_member_got_exactly_what_it_is_owed(self):
        for (_, name), membership in self.memberships.items():
            since = membership["since"]
            assert since.epoch == self.epoch[name]
            owed = self.published[since.epoch][since.offset :]
            assert membership["got"] == [made for made in owed if made not in membership["excluded"]]

    @invariant()
    def members_are_who_joined_and_did_not_leave(self):
        for name in ["a", "b", "c", "d"]:
            expected = [(p.id, m["info"]) for (p, room), m in self.memberships.items() if room == name]
            assert [(member.id, member.info) for member in self.rooms.members(name)] == expected


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
