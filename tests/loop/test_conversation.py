"""Blocking style: a function that talks over its session until it returns."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any

import gevent
import gevent.event
import gevent.local
import pytest
from greenlet import getcurrent, greenlet

from tests.support.loop import Message, Moment, Peer, Recorder, Served, both_pollers
from tests.support.wire import client_frame
from tests.support.wsgi import PATIENCE, in_thread, wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause
from wsmiddleware.protocol.connection import Pong
from wsmiddleware.session import Session


def echo(session: Session) -> None:
    for message in session:
        session.send(message)


class Talk:
    """A function that does what the test sends it: each item is called with the session, in the function's greenlet."""

    def __init__(self) -> None:
        self.greenlet: greenlet | None = None
        self.over = False
        self._actions: list[Any] = []
        self._asked = gevent.event.Event()

    def __call__(self, session: Session) -> None:
        self.greenlet = getcurrent()
        try:
            while True:
                self._asked.wait()
                self._asked.clear()
                while self._actions:
                    action, result = self._actions.pop(0)
                    try:
                        result.set(action(session))
                    except Exception as error:
                        result.set_exception(error)
        finally:
            self.over = True

    def do(self, action: Callable[[Session], Any]) -> gevent.event.AsyncResult[Any]:
        result: gevent.event.AsyncResult[Any] = gevent.event.AsyncResult()
        self._actions.append((action, result))
        self._asked.set()
        return result

    def end(self) -> None:
        assert self.greenlet is not None
        gevent.kill(self.greenlet)


@pytest.fixture
def talk():
    talk = Talk()
    yield talk
    if not talk.over:
        wait_until(lambda: talk.greenlet)
        talk.end()


def receive(session: Session) -> Message:
    return session.receive()


class TestConversation:
    @both_pollers
    def test_is_a_loop_over_messages(self, serve):
        served = serve(echo)
        for message in ("a", b"b", ""):
            served.peer.send(message)
            assert served.peer.event() == message
        served.peer.send("x", "y", b"z")
        assert served.peer.events(3) == ["x", "y", b"z"]
        served.peer.start_close()
        assert served.peer.rest() == [Close(1000)]
        assert served.event.cause is CloseCause.CLIENT_CLOSED

    def test_gets_the_parameters_of_the_path(self, serve):
        def greet(session: Session, *, name: str, number: int) -> None:
            session.send(f"{name} {number}")

        served = serve(greet, params={"name": "Ann", "number": 5})
        assert served.peer.event() == "Ann 5"

    def test_begins_without_a_message(self, serve):
        served = serve(lambda session: session.send("first"))
        assert served.peer.event() == "first"

    @both_pollers
    def test_that_waits_for_something_else_lets_others_go_on(self, serve):
        def wait(session: Session) -> None:
            go_on.wait()

        go_on = gevent.event.Event()
        blocked = [serve(wait) for _ in range(3)]
        others = [serve(echo) for _ in range(3)]
        for text in "abc":
            for other in others:
                other.peer.send(text)
                assert other.peer.event() == text
        go_on.set()
        for one in blocked:
            assert one.peer.rest() == [Close(1000)]

    @both_pollers
    def test_two_hundred_at_once(self, serve):
        def slow_echo(session: Session) -> None:
            for message in session:
                go_on.wait()
                session.send(message)

        go_on = gevent.event.Event()
        served = [serve(slow_echo) for _ in range(200)]
        for number, one in enumerate(served):
            one.peer.send(str(number), "again")
        gevent.sleep(0.01)
        go_on.set()
        for number, one in enumerate(served):
            assert one.peer.events(2) == [str(number), "again"]


class TestReceive:
    def test_returns_what_has_come_already_in_order(self, serve, talk):
        served = serve(talk)
        served.peer.send("a", b"b", "c")
        gevent.sleep(0.01)
        assert [talk.do(receive).get() for _ in range(3)] == ["a", b"b", "c"]

    def test_waits_for_what_comes(self, serve, talk):
        served = serve(talk)
        result = talk.do(receive)
        gevent.sleep(0.01)
        assert not result.ready()
        served.peer.send("late")
        assert result.get() == "late"

    @pytest.mark.parametrize("timeout", [0, -1, 0.0])
    def test_with_no_time_returns_what_is_there_or_raises(self, serve, talk, timeout):
        served = serve(talk)
        with pytest.raises(TimeoutError, match=f"expected a message within {timeout} seconds, found none"):
            talk.do(lambda session: session.receive(timeout)).get()
        served.peer.send("a", "b")
        gevent.sleep(0.01)
        assert talk.do(lambda session: [session.receive(timeout), session.receive(timeout)]).get() == ["a", "b"]
        with pytest.raises(TimeoutError):
            talk.do(lambda session: session.receive(timeout)).get()

    @both_pollers
    def test_gives_up_in_time(self, serve, talk):
        served = serve(talk)
        begin = monotonic()
        with pytest.raises(TimeoutError, match=r"expected a message within 0\.05 seconds, found none"):
            talk.do(lambda session: session.receive(0.05)).get()
        assert 0.049 <= monotonic() - begin < 5
        served.peer.send("late")
        assert talk.do(lambda session: session.receive(60)).get() == "late"

    def test_is_not_disturbed_by_a_timeout_that_has_not_come(self, serve, talk):
        def receive_and_wait(session: Session) -> Message:
            served.peer.send("message")  # It has come before the time begins, but has not been read.
            message = session.receive(0.02)
            gevent.sleep(0.05)
            return message

        served = serve(talk)
        assert talk.do(receive_and_wait).get() == "message"

    def test_does_not_give_up_because_of_control_frames(self, serve, talk):
        served = serve(talk)
        result = talk.do(lambda session: session.receive(60))
        served.peer.ping(b"?")
        assert served.peer.event() == Pong(b"?")
        gevent.sleep(0.01)
        assert not result.ready()
        served.peer.send("message")
        assert result.get() == "message"

    def test_of_two_at_once_is_refused(self, serve, talk):
        served = serve(talk)
        result = talk.do(receive)
        gevent.sleep(0.01)
        with pytest.raises(RuntimeError, match="one greenlet to receive from a session at a time, found two"):
            served.session.receive()
        served.peer.send("message")
        assert result.get() == "message"
        served.peer.send("another")
        assert served.session.receive(60) == "another"

    def test_of_another_greenlet(self, serve, talk):
        served = serve(talk)
        result = talk.do(lambda session: gevent.spawn(session.receive).get())
        served.peer.send("message")
        assert result.get() == "message"

    def test_of_another_thread(self, serve, talk):
        served = serve(talk)
        result = in_thread(served.session.receive, 60)
        served.peer.send("message")
        assert result() == "message"

        def fail() -> str:
            with pytest.raises(TimeoutError) as timeout:
                served.session.receive(0.01)
            return str(timeout.value)

        assert "expected a message within 0.01 seconds" in in_thread(fail)()

    def test_can_be_given_up_by_a_timeout_of_gevent(self, serve, talk):
        def receive_for_a_moment(session: Session) -> Message | None:
            with Moment(0.02):
                return session.receive()
            return None

        served = serve(talk)
        assert talk.do(receive_for_a_moment).get() is None
        result = talk.do(receive)
        served.peer.send("message")
        assert result.get() == "message"

    def test_once_given_up_does_not_wake_the_greenlet_in_another_place(self, serve, talk):
        def give_up_and_wait(session: Session) -> bool:
            for _ in range(2):
                with Moment(0.01):
                    session.receive()
                with pytest.raises(TimeoutError):
                    session.receive(0.01)
            waiting.set()
            return go_on.wait(0.05)

        waiting, go_on = gevent.event.Event(), gevent.event.Event()
        served = serve(talk)
        result = talk.do(give_up_and_wait)
        waiting.wait()
        served.peer.send("message")
        assert result.get() is False
        assert talk.do(receive).get() == "message"

    @both_pollers
    def test_leaves_what_is_too_much_at_the_client(self, serve, talk):
        served = serve(talk, Settings(receive_queue=3))
        messages = [str(number) for number in range(1000)]
        served.peer.send(*messages)
        gevent.sleep(0.01)
        received = talk.do(lambda session: [session.receive() for _ in range(1000)]).get()
        assert received == messages


class TestTheEnd:
    @both_pollers
    def test_of_the_function_closes_the_session(self, serve):
        served = serve(lambda session: session.send("bye"))
        assert served.peer.rest() == ["bye", Close(1000)]
        event = served.event
        assert (event.cause, event.code, event.clean) == (CloseCause.SERVER_CLOSED, 1000, True)
        served.leave()

    @pytest.mark.parametrize("error", [ValueError("secret"), gevent.Timeout(), BaseException()], ids=repr)
    def test_by_an_error_closes_it_with_1011(self, serve, caplog, error):
        def fail(session: Session) -> None:
            raise error

        served = serve(fail)
        assert served.peer.rest() == [Close(1011)]
        event = served.event
        assert (event.cause, event.code, event.error) == (CloseCause.APPLICATION_ERROR, 1011, error)
        assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [error]
        served.leave()

    def test_by_connection_closed_is_no_error(self, serve, caplog):
        def talk_on(session: Session) -> None:
            while True:
                session.receive()

        served = serve(talk_on)
        served.leave()
        assert served.session.close_event.error is None
        assert caplog.records == []

    def test_by_connection_closed_of_another_session_is_one(self, serve, caplog):
        gone = serve(echo)
        gone.leave()
        served = serve(lambda session: gone.session.send("late"))
        assert served.peer.rest() == [Close(1011)]
        assert isinstance(served.event.error, ConnectionClosed)
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("where", [receive, lambda session: gevent.event.Event().wait()])
    def test_by_killing_its_greenlet_is_an_orderly_one(self, serve, talk, caplog, where):
        served = serve(talk)
        talk.do(where)
        gevent.sleep(0.01)
        talk.end()
        assert served.peer.rest() == [Close(1001)]
        assert served.event.cause is CloseCause.SERVER_CLOSED
        served.leave()
        assert caplog.records == []

    def test_by_the_application_inside_the_function(self, serve):
        caught = []

        def close(session: Session) -> None:
            session.close(4000, "enough")
            with pytest.raises(ConnectionClosed):
                session.send("late")
            try:
                session.receive()
            except ConnectionClosed as closed:
                caught.append(closed.event)

        served = serve(close)
        served.peer.send("not received")
        assert served.peer.rest() == [Close(4000, "enough")]
        served.leave()
        assert caught == [served.event]
        assert served.event.clean

    @pytest.mark.parametrize("in_a_thread", [False, True])
    def test_by_another_ends_a_receive_that_waits(self, serve, talk, in_a_thread):
        served = serve(talk)
        result = talk.do(receive)
        gevent.sleep(0.01)
        if in_a_thread:
            in_thread(served.session.close, 4000)()
        else:
            served.session.close(4000)
        assert served.peer.event() == Close(4000)
        with pytest.raises(ConnectionClosed) as closed:
            result.get()
        assert closed.value.event is served.event

    @pytest.mark.parametrize("finish", [Peer.leave, Peer.reset, Peer.start_close])
    def test_comes_after_the_messages_before_it(self, serve, talk, finish):
        served = serve(talk)
        served.peer.send("a", "b")
        gevent.sleep(0.01)
        finish(served.peer)
        event = served.event
        assert [talk.do(receive).get() for _ in range(2)] == ["a", "b"]
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as closed:
                talk.do(receive).get()
            assert closed.value.event is event
        with pytest.raises(ConnectionClosed):
            talk.do(lambda session: session.receive(0)).get()

    def test_ends_iteration(self, serve, talk):
        served = serve(talk)
        result = talk.do(list)
        served.peer.send("a", "b")
        served.peer.start_close()
        assert result.get() == ["a", "b"]

    def test_can_be_ignored_by_the_function(self, serve, talk):
        served = serve(talk)
        served.peer.start_close()
        assert served.peer.rest() == [Close(1000)]
        served.peer.leave()
        served.wait_closed()
        for _ in range(3):
            with pytest.raises(ConnectionClosed):
                talk.do(lambda session: session.send("late")).get()
            gevent.sleep(0.001)
        assert served.done == []
        talk.end()
        served.leave()

    def test_is_noticed_while_the_function_waits_for_something_else(self, serve, talk):
        told = []
        served = serve(talk)
        served.session.add_end_callback(lambda: told.append("hub"))
        served.peer.write(client_frame(0x1, b"a") + client_frame(0x8, b"\x03\xe9"))
        assert served.peer.read_exactly(4) == b"\x88\x02\x03\xe9"
        assert served.event.cause is CloseCause.CLIENT_LEFT
        assert told == ["hub"]
        assert talk.do(receive).get() == "a"

    def test_wakes_another_greenlet_that_receives(self, serve):
        def leave_a_receiver(session: Session) -> None:
            receivers.append(gevent.spawn(list, session))
            gevent.sleep(0)

        receivers: list[Any] = []
        served = serve(leave_a_receiver)
        assert served.peer.rest() == [Close(1000)]
        assert receivers[0].get(timeout=PATIENCE) == []


class TestIsolation:
    def test_context_variables_and_greenlet_locals_are_the_function_s_own(self, serve):
        def remember(session: Session) -> None:
            for message in session:
                session.send(f"{variable.get()} {getattr(local, 'value', 'nothing')}")
                variable.set(str(message))
                local.value = message

        variable: ContextVar[str] = ContextVar("variable", default="nothing")
        local = gevent.local.local()
        served = [serve(remember) for _ in range(3)]
        for one, text in zip(served, "abc", strict=True):
            one.peer.send(text, text)
            assert one.peer.events(2) == ["nothing nothing", f"{text} {text}"]
        for one, text in zip(served, "abc", strict=True):
            one.peer.send("again")
            assert one.peer.event() == f"{text} {text}"
        assert variable.get() == "nothing"
        assert not hasattr(local, "value")

    def test_nothing_is_left_of_a_session(self, serve):
        def open_and_end() -> list[weakref.ref[Any]]:
            served: Served = serve(echo)
            served.peer.send("message")
            assert served.peer.event() == "message"
            served.peer.start_close()
            served.peer.rest()
            served.leave()
            serve.served.remove(served)
            return [weakref.ref(served.session)]

        references = [reference for _ in range(5) for reference in open_and_end()]
        gc.collect()
        assert [reference() for reference in references] == [None] * 5

    def test_an_endpoint_of_each_style_can_talk_to_the_other(self, serve):
        def pass_on(session: Session, message: Message) -> None:
            conversation.session.send(message)

        def answer(session: Session) -> None:
            for message in session:
                callbacks.session.send(f"answer to {message}")

        conversation = serve(answer)
        callbacks = serve(Recorder(on_message=pass_on))
        callbacks.peer.send("question")
        assert conversation.peer.event() == "question"
        conversation.peer.send("question")
        assert callbacks.peer.event() == "answer to question"
