"""A hub with sessions: framing, threads, and how sessions end."""

import gc
import subprocess
import sys
import threading
import weakref
from itertools import pairwise

import gevent
import pytest

from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.hub import Hub, Joined, Member, Message, Position
from wsmiddleware.hub.hub import _start_empty_after_fork

WAIT = 20
"""Seconds after which a test gives up on something that takes milliseconds."""


class FakeSession:
    """A session as a hub sees it (hub.types.Subscriber). *queue* is how many frames it takes before it is too slow."""

    def __init__(self, id="session", queue=None):
        self.id = id
        self.close_event = None
        self.frames = []
        self.callbacks = []
        self.queue = queue
        self.lock = threading.Lock()  # as in the real one: frames come from all threads

    def offer(self, frame):
        with self.lock:
            slow = self.close_event is None and self.queue is not None and len(self.frames) >= self.queue
            if self.close_event is None and not slow:
                self.frames.append(frame)
        if slow:
            self.end("too slow")

    def add_end_callback(self, callback):
        with self.lock:
            over = self.close_event is not None
            if not over:
                self.callbacks.append(callback)
        if over:
            callback()

    def end(self, event="the close event"):
        with self.lock:
            self.close_event = event
            callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


def text(content):
    """Return the frame of a short text message."""
    return b"\x81" + bytes([len(content)]) + content


def run_threads(*targets):
    """Run each target in a thread of its own, all at once, and pass on what they raise."""
    errors = []
    start = threading.Barrier(len(targets))

    def run(target):
        try:
            start.wait(WAIT)
            target()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    for error in errors:
        raise error


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def ann():
    return FakeSession("ann")


@pytest.fixture
def bob():
    return FakeSession("bob")


class TestMaking:
    @pytest.mark.parametrize(
        ("url", "complaint"),
        [
            ("rats://host", r"supported: memory://\), found the scheme 'rats'$"),
            ("memory", r"supported: memory://\), found no scheme$"),
            ("", r"supported: memory://\), found no scheme$"),
            ("MEMORY://", r"supported: memory://\), found the scheme 'MEMORY'$"),
            ("memory://host", "expected memory:// and nothing after it"),
        ],
    )
    def test_refuses_an_unknown_url_and_says_what_is_supported(self, url, complaint):
        with pytest.raises(ValueError, match=complaint):
            Hub(url)

    def test_does_not_show_a_password_when_it_refuses_a_url(self):
        for url in ("rats://me:secret@host", "memory://me:secret@host"):
            with pytest.raises(ValueError) as refusal:
                Hub(url)
            assert "secret" not in str(refusal.value)

    def test_refuses_a_negative_history(self):
        with pytest.raises(ValueError, match="expected 0 or more, found -1$"):
            Hub(history=-1)

    def test_keeps_fifty_messages_by_default(self, hub):
        for number in range(60):
            hub.publish("room", str(number))
        assert [message.data for message in hub.history("room")] == [str(number) for number in range(10, 60)]

    def test_names_itself_at_random(self, hub):
        assert hub.node != Hub().node
        assert 0 < len(hub.node) <= 16

    def test_begins_epochs_at_random(self, hub):
        epochs = {hub.publish(str(room), "x").epoch for room in range(100)}
        assert len(epochs) == 100
        assert all(Position.parse(f"{epoch}:1") for epoch in epochs)


class TestPublish:
    def test_sends_text_as_text_and_bytes_as_binary(self, hub, ann):
        hub.join(ann, "room")
        hub.publish("room", "é")
        hub.publish("room", b"\x00\xff")
        hub.publish("room", "")
        assert ann.frames == [b"\x81\x02\xc3\xa9", b"\x82\x02\x00\xff", b"\x81\x00"]

    def test_offers_the_same_frame_to_all_members(self, hub, ann, bob):
        hub.join(ann, "room")
        hub.join(bob, "room")
        hub.publish("room", "x" * 1000)
        assert ann.frames[0] is bob.frames[0]

    def test_returns_the_position_and_keeps_the_message(self, hub, ann):
        position = hub.publish("room", "x", sender=ann)
        assert position.offset == 1
        assert hub.history("room") == [Message("room", "x", position, "ann")]
        assert hub.publish("room", b"y") == (position.epoch, 2)
        assert hub.history("room", limit=1) == [Message("room", b"y", Position(position.epoch, 2), None)]
        assert hub.history("room", since=position) == hub.history("room", limit=1)

    def test_leaves_out_the_excluded_but_not_the_sender(self, hub, ann, bob):
        hub.join(ann, "room")
        hub.join(bob, "room")
        hub.publish("room", "a", exclude=ann)
        hub.publish("room", "b", sender=ann)
        assert ann.frames == [text(b"b")]
        assert bob.frames == [text(b"a"), text(b"b")]

    @pytest.mark.parametrize("room", ["", "x" * 100_000, "*", "a/b:c?[d]", "\N{SNOWMAN}", "\x00", "\ud800"], ids=ascii)
    def test_a_room_may_have_any_name(self, hub, ann, room):
        hub.join(ann, room)
        hub.publish(room, "x")
        hub.publish(room + "!", "y")
        assert ann.frames == [text(b"x")]
        assert [message.room for message in hub.history(room)] == [room]

    @pytest.mark.parametrize("data", [None, 1, bytearray(b"x"), memoryview(b"x"), ["x"], {"x": 1}], ids=type)
    def test_refuses_data_of_other_types(self, hub, ann, data):
        hub.join(ann, "room")
        with pytest.raises(
            TypeError, match=f"expected data to publish to be str or bytes, found {type(data).__name__}"
        ):
            hub.publish("room", data)
        assert ann.frames == hub.history("room") == []

    def test_refuses_text_that_utf8_cannot_express(self, hub, ann):
        hub.join(ann, "room")
        with pytest.raises(UnicodeEncodeError):
            hub.publish("room", "\ud800")
        assert ann.frames == hub.history("room") == []

    def test_does_not_wait_for_a_slow_member(self, hub, ann):
        slow = FakeSession("slow", queue=2)
        hub.join(slow, "room")
        hub.join(ann, "room")
        for content in ("a", "b", "c", "d"):
            hub.publish("room", content)
        assert slow.frames == [text(b"a"), text(b"b")]
        assert ann.frames == [text(b"a"), text(b"b"), text(b"c"), text(b"d")]
        assert [member.id for member in hub.members("room")] == ["ann"]


class TestRender:
    def test_makes_what_members_get(self, ann):
        hub = Hub(render=lambda message: f"{message.position.offset} {message.data!r}")
        hub.join(ann, "room")
        hub.publish("room", "a")
        hub.publish("room", "b")
        assert ann.frames == [text(b"1 'a'"), text(b"2 'b'")]
        assert [message.data for message in hub.history("room")] == ["a", "b"]

    def test_may_turn_text_into_binary_and_back(self, ann):
        hub = Hub(render=lambda message: b"bytes" if isinstance(message.data, str) else "text")
        hub.join(ann, "room")
        hub.publish("room", "text")
        hub.publish("room", b"bytes")
        assert ann.frames == [b"\x82\x05bytes", b"\x81\x04text"]

    def test_runs_once_per_message_however_many_get_it_and_come_back_for_it(self):
        def render(message):
            rendered.append(message)
            return "x"

        rendered: list[Message] = []
        hub = Hub(render=render)
        start = hub.join(FakeSession(), "room").position
        for number in range(5):
            hub.join(FakeSession(str(number)), "room")
        positions = [hub.publish("room", "a", sender=FakeSession("me")), hub.publish("room", b"b")]
        for number in range(5):
            hub.join(FakeSession(str(number)), "room", since=start)
        assert rendered == [
            Message("room", "a", positions[0], "me"),
            Message("room", b"b", positions[1], None),
        ]

    def test_that_raises_has_published_nothing(self, ann):
        def render(message):
            return f"{1 / int(message.data):.0f}"

        hub = Hub(render=render)
        hub.join(ann, "room")
        with pytest.raises(ZeroDivisionError):
            hub.publish("room", "0")
        assert ann.frames == hub.history("room") == []
        assert hub.publish("room", "1").offset == 1
        assert ann.frames == [text(b"1")]

    def test_must_return_str_or_bytes(self, ann):
        hub = Hub(render=lambda message: None)
        hub.join(ann, "room")
        with pytest.raises(TypeError, match="expected render to return str or bytes, found NoneType"):
            hub.publish("room", "x")
        assert ann.frames == hub.history("room") == []

    @pytest.mark.parametrize(
        "use",
        [
            lambda hub, session: hub.publish("another room", "x"),
            lambda hub, session: hub.join(session, "another room"),
            lambda hub, session: hub.leave(session, "room"),
            lambda hub, session: hub.members("room"),
            lambda hub, session: hub.history("room"),
        ],
        ids=["publish", "join", "leave", "members", "history"],
    )
    def test_must_not_use_its_hub(self, ann, use):
        hub = Hub(render=lambda message: use(hub, ann) or "x")
        hub.join(ann, "room")
        with pytest.raises(RuntimeError, match="inside the hub's render function"):
            hub.publish("room", "x")
        assert ann.frames == hub.history("room") == []
        assert [member.id for member in hub.members("room")] == ["ann"]

    def test_may_use_another_hub(self, ann):
        log = Hub()
        hub = Hub(render=lambda message: str(log.publish("log", message.data).offset))
        hub.join(ann, "room")
        hub.publish("room", "x")
        assert ann.frames == [text(b"1")]

    def test_that_lets_other_greenlets_run_gets_them_refused_instead_of_a_standstill(self, ann):
        def render(message):
            gevent.sleep(0.001)
            return "slow"

        hub = Hub(render=render)
        hub.join(ann, "room")
        publishing, other = gevent.spawn(hub.publish, "room", "x"), gevent.spawn(hub.members, "room")
        gevent.joinall([publishing], timeout=WAIT, raise_error=True)
        with pytest.raises(RuntimeError, match="or waited and so let another greenlet come here"):
            other.get(timeout=WAIT)
        assert ann.frames == [text(b"slow")]
        assert [member.id for member in hub.members("room")] == ["ann"]


class TestJoin:
    def test_starts_with_what_comes_next(self, hub, ann):
        position = hub.publish("room", "before")
        assert hub.join(ann, "room") == Joined(recovered=False, position=position)
        hub.publish("room", "after")
        assert ann.frames == [text(b"after")]

    def test_since_a_position_starts_with_what_was_missed(self, hub, ann):
        known, *_, newest = [hub.publish("room", content) for content in ("a", "b", "c")]
        assert hub.join(ann, "room", since=known) == Joined(recovered=True, position=newest)
        hub.publish("room", "d")
        assert ann.frames == [text(b"b"), text(b"c"), text(b"d")]

    def test_sends_nothing_when_the_history_does_not_reach_back(self, ann):
        hub = Hub(history=1)
        known, *_, newest = [hub.publish("room", content) for content in ("a", "b", "c")]
        assert hub.join(ann, "room", since=known) == Joined(recovered=False, position=newest)
        assert ann.frames == []

    def test_sends_nothing_for_a_position_of_another_hub(self, hub, ann):
        hub.publish("room", "a")
        assert not hub.join(ann, "room", since=Hub().publish("room", "a")).recovered
        assert ann.frames == []

    def test_without_history_recovers_who_missed_nothing(self, ann, bob):
        hub = Hub(history=0)
        first, second = hub.publish("room", "a"), hub.publish("room", "b")
        assert hub.join(ann, "room", since=second).recovered
        assert not hub.join(bob, "room", since=first).recovered
        assert hub.history("room") == []

    def test_twice_updates_the_info_and_doubles_nothing(self, hub, ann):
        position = hub.publish("room", "a")
        hub.join(ann, "room", info={"name": "Ann"})
        again = hub.join(ann, "room", since=position, info={"name": "Anne"})
        assert again == Joined(recovered=True, position=position)
        assert hub.members("room") == [Member("ann", {"name": "Anne"}, hub.node)]
        hub.publish("room", "b")
        assert ann.frames == [text(b"b")]

    def test_of_a_session_that_is_over_raises(self, hub, ann):
        ann.end()
        with pytest.raises(ConnectionClosed) as error:
            hub.join(ann, "room")
        assert error.value.event is ann.close_event
        assert hub.members("room") == []

    def test_of_a_session_that_what_it_missed_is_too_much_for(self, hub):
        start = hub.publish("room", "a")
        hub.publish("room", "b")
        hub.publish("room", "c")
        slow = FakeSession(queue=1)
        hub.join(slow, "room", since=start)
        assert slow.close_event == "too slow"
        assert hub.members("room") == []

    def test_refuses_a_position_that_is_still_text(self, hub, ann):
        for call in (hub.history, lambda room, since: hub.join(ann, room, since=since)):
            with pytest.raises(TypeError, match=r"expected since to be a Position \(.*\), found str$"):
                call("room", since="e:1")
        assert hub.members("room") == []


class TestBadArguments:
    @pytest.mark.parametrize("room", [None, 1, b"room", ("room",)], ids=repr)
    def test_a_room_has_a_str_for_a_name(self, hub, ann, room):
        for call in (
            lambda: hub.join(ann, room),
            lambda: hub.leave(ann, room),
            lambda: hub.publish(room, "x"),
            lambda: hub.members(room),
            lambda: hub.history(room),
        ):
            with pytest.raises(TypeError, match=f"name of a room to be a str, found {type(room).__name__}$"):
                call()

    def test_a_limit_is_not_negative(self, hub):
        with pytest.raises(ValueError, match="expected 0 or more, found -1$"):
            hub.history("room", limit=-1)


class TestLeaving:
    def test_ends_the_membership(self, hub, ann, bob):
        hub.join(ann, "room")
        hub.join(bob, "room")
        hub.leave(ann, "room")
        hub.leave(ann, "room")
        hub.leave(ann, "another room")
        hub.publish("room", "x")
        assert (ann.frames, bob.frames) == ([], [text(b"x")])
        assert [member.id for member in hub.members("room")] == ["bob"]

    def test_happens_by_itself_at_the_end_of_the_session_in_all_rooms(self, hub, ann, bob):
        for room in "abc":
            hub.join(ann, room)
            hub.join(bob, room)
        ann.end()
        assert [[member.id for member in hub.members(room)] for room in "abc"] == [["bob"]] * 3

    def test_happens_in_all_hubs(self, ann):
        hubs = [Hub(), Hub()]
        for hub in hubs:
            hub.join(ann, "room")
        ann.end()
        assert [hub.members("room") for hub in hubs] == [[], []]

    def test_needs_one_callback_however_often_the_session_comes_and_goes(self, hub, ann):
        for _ in range(100):
            hub.join(ann, "room")
            hub.leave(ann, "room")
        assert len(ann.callbacks) == 1

    def test_after_the_end_is_nothing_special(self, hub, ann):
        hub.join(ann, "room")
        ann.end()
        hub.leave(ann, "room")
        assert hub.members("room") == []

    def test_happens_when_the_session_ends_in_the_middle_of_a_join(self, hub):
        class EndsInBetween(FakeSession):
            def add_end_callback(self, callback):
                self.end()
                super().add_end_callback(callback)

        hub.join(EndsInBetween(), "room")
        assert hub.members("room") == []

    def test_happens_when_a_known_session_ends_in_the_middle_of_a_join(self, hub):
        class EndsWhenAsked(FakeSession):
            """Ends right after the hub has seen that it has not."""

            about_to_end = False
            event = None

            @property
            def close_event(self):
                seen = self.event
                if self.about_to_end:
                    self.about_to_end = False
                    self.end()
                return seen

            @close_event.setter
            def close_event(self, event):
                self.event = event

        session = EndsWhenAsked()
        hub.join(session, "room")
        session.about_to_end = True
        hub.join(session, "another room")
        assert hub.members("room") == hub.members("another room") == []

    def test_waits_when_the_session_ends_in_the_middle_of_a_publish(self):
        class EndsWhenOffered(FakeSession):
            def offer(self, frame):
                offered.append(self.id)
                self.end()
                offered.append(len(self.callbacks))

        offered: list[object] = []
        first, second = EndsWhenOffered("first"), EndsWhenOffered("second")
        hub = Hub(render=lambda message: second.end() or "x")
        hub.join(first, "room")
        hub.join(second, "room")
        hub.publish("room", "x")
        assert offered == ["first", 0, "second", 0]
        assert hub.members("room") == []

    def test_lets_go_of_the_session(self, hub):
        session = FakeSession()
        hub.join(session, "room", info="info")
        hub.publish("room", "x", sender=session)
        session.end()
        gone = weakref.ref(session)
        del session
        gc.collect()
        assert gone() is None


class TestThreads:
    @pytest.fixture(autouse=True)
    def switch_threads_often(self):
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(usual)

    def test_all_members_get_the_same_order_whoever_publishes(self):
        hub = Hub(render=lambda message: str(message.position.offset))
        members = [FakeSession(str(number)) for number in range(5)]
        for member in members:
            hub.join(member, "room")
        returned: list[list[int]] = [[] for _ in range(8)]

        def publisher(positions):
            return lambda: positions.extend(hub.publish("room", "x").offset for _ in range(250))

        run_threads(*[publisher(positions) for positions in returned])
        everything = [text(str(offset).encode()) for offset in range(1, 2001)]
        for member in members:
            assert member.frames == everything
        assert sorted(sum(returned, [])) == list(range(1, 2001))
        assert all(earlier < later for positions in returned for earlier, later in pairwise(positions))

    def test_no_thread_gets_in_between_the_frames_of_one_publish_or_join(self, hub):
        class Looks(FakeSession):
            def offer(self, frame):
                with pytest.raises(RuntimeError):  # This thread is still inside, so no other one can be.
                    hub.members("room")
                super().offer(frame)

        start = hub.publish("room", "a")
        hub.publish("room", "b")
        member = Looks()
        hub.join(member, "room", since=start)
        hub.publish("room", "c")
        assert member.frames == [text(b"b"), text(b"c")]

    def test_who_comes_back_amid_publishing_misses_nothing_and_gets_nothing_twice(self):
        hub = Hub(history=10_000, render=lambda message: str(message.position.offset))
        start = hub.join(FakeSession("watcher"), "room").position
        returned: list[bytes] = []

        def publish():
            for _ in range(500):
                hub.publish("room", "x")

        def come_back():
            known = start
            for number in range(100):
                session = FakeSession(str(number))
                assert hub.join(session, "room", since=known).recovered
                hub.leave(session, "room")
                returned.extend(session.frames)
                known = Position(start.epoch, len(returned))
            last = FakeSession("last")
            assert hub.join(last, "room", since=known).recovered
            lasting.append(last)

        lasting: list[FakeSession] = []
        run_threads(publish, publish, publish, come_back)
        assert returned + lasting[0].frames == [text(str(offset).encode()) for offset in range(1, 1501)]

    def test_sessions_that_end_amid_everything_are_gone(self):
        hub = Hub(history=5)
        sessions = [FakeSession(str(number), queue=200 if number % 2 else None) for number in range(40)]

        def come(some):
            for session in some:
                for room in "abc":
                    try:
                        hub.join(session, room, since=hub.publish(room, "x"))
                    except ConnectionClosed:
                        assert session.close_event is not None

        def go(some):
            for session in some:
                hub.publish("b", "y", exclude=session)
                session.end()

        run_threads(*[work for part in range(4) for work in (lambda s=sessions[part::4]: (come(s), go(s)),)])
        run_threads(*[lambda w=work, s=sessions[::-1]: w(s) for work in (come, go)])
        assert [hub.members(room) for room in "abc"] == [[], [], []]

    def test_joins_race_with_the_end_and_lose(self):
        hub = Hub()
        sessions = [FakeSession(str(number)) for number in range(300)]

        def join(room):
            for session in sessions:
                try:
                    hub.join(session, room)
                except ConnectionClosed:
                    assert session.close_event is not None

        def end():
            for session in sessions:
                session.end()

        run_threads(lambda: join("a"), lambda: join("b"), end)
        assert hub.members("a") == hub.members("b") == []


IN_A_FORKED_CHILD = """
import os, threading
from wsmiddleware.hub import Hub

class Session:
    id, close_event = "parent's", None
    def offer(self, frame): print("offered", flush=True)
    def add_end_callback(self, callback): self.callback = callback

inside, go_on = threading.Event(), threading.Event()
hub = Hub(render=lambda message: inside.set() or go_on.wait(10) and "x")
node, session = hub.node, Session()
hub.join(session, "room")
thread = threading.Thread(target=hub.publish, args=("room", "x"))
thread.start()
inside.wait(10)
pid = os.fork()  # while another thread is inside the hub
if pid == 0:
    go_on.set()
    session.callback()
    print("child", hub.members("room"), hub.node != node, hub.publish("room", "x").offset, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
go_on.set()
thread.join(10)
print("parent", len(hub.members("room")), hub.node == node, hub.publish("room", "x").offset)
"""


class TestFork:
    def test_a_child_process_starts_with_an_empty_hub(self):
        # From Python 3.12 on, a fork among threads earns a warning that it may hang: so no -W error here.
        result = subprocess.run([sys.executable, "-c", IN_A_FORKED_CHILD], capture_output=True, text=True, timeout=60)
        assert result.stdout.splitlines() == ["child [] True 1", "offered", "offered", "parent 1 True 2"], result.stderr
        assert result.returncode == 0

    def test_empties_every_hub(self, hub, ann):
        node = hub.node
        hub.join(ann, "room")
        hub.publish("room", "x")
        _start_empty_after_fork()
        assert hub.members("room") == hub.history("room") == []
        assert hub.node != node
        ann.end()
