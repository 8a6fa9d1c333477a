"""Servlet style: which callbacks are called, in which order, and what happens if they raise."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextvars import ContextVar

import gevent
import gevent.event
import gevent.local
import pytest
from greenlet import getcurrent, greenlet

from tests.support.loop import Peer, Recorder, Served, both_pollers, echo
from tests.support.wsgi import wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import Close, CloseCause


class Broken(Exception):
    """What endpoints raise here."""


class BrokenBase(BaseException):
    """The same, if nobody expects it."""


def raises(error: BaseException) -> Callable[..., None]:
    """Return an action of a Recorder."""

    def act(*_: object) -> None:
        raise error

    return act


def names(recorder: Recorder) -> list[str]:
    return [call[0] for call in recorder.calls]


def logged(caplog: pytest.LogCaptureFixture) -> list[BaseException | None]:
    """Return what has been logged as an error: the exceptions."""
    assert all(record.levelno == logging.ERROR for record in caplog.records)
    return [record.exc_info and record.exc_info[1] for record in caplog.records]


class TestOrder:
    @both_pollers
    def test_of_a_whole_session(self, serve):
        recorder = Recorder(on_message=echo)
        served = serve(recorder)
        for text in "abc":
            served.peer.send(text)
            assert served.peer.event() == text
        served.peer.start_close()
        assert recorder.calls == [
            ("open",),
            ("message", "a"),
            ("message", "b"),
            ("message", "c"),
            ("close", recorder.event),
        ]

    def test_on_open_needs_no_message(self, serve):
        recorder = Recorder()
        serve(recorder)
        wait_until(lambda: recorder.calls == [("open",)])

    def test_on_open_may_close(self, serve):
        recorder = Recorder(on_open=lambda session: session.close(4000, "no"))
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(4000, "no")]
        assert recorder.calls == [("open",), ("close", recorder.event)]

    def test_on_message_may_close_and_gets_no_more(self, serve):
        recorder = Recorder(on_message=lambda session, message: session.close())
        served = serve(recorder)
        served.peer.send("a", "b", "c")
        assert served.peer.rest() == [Close(1000)]
        assert recorder.calls == [("open",), ("message", "a"), ("close", recorder.event)]

    def test_callbacks_may_wait_for_one_another_s_sessions(self, serve):
        def pass_on(session, message):
            second.session.send(message)
            answers.append(answered.wait())

        answers: list[bool] = []
        answered = gevent.event.Event()
        second = serve(Recorder(on_message=lambda session, message: answered.set()))
        first = serve(Recorder(on_message=pass_on))
        first.peer.send("question")
        assert second.peer.event() == "question"
        second.peer.send("answer")
        wait_until(lambda: answers == [True])


class TestReceive:
    def test_is_for_functions(self, serve):
        recorder = Recorder(on_message=lambda session, message: session.receive())
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(1011)]
        error = recorder.event.error
        assert isinstance(error, RuntimeError)
        assert "expected receive() in a function that is an endpoint, found it with an Endpoint" in str(error)
        with pytest.raises(RuntimeError, match="its messages go to on_message"):
            served.session.receive(0)


ERRORS = [Broken("secret"), gevent.Timeout(), BrokenBase("secret")]


class TestErrors:
    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    @pytest.mark.parametrize("name", ["on_open", "on_message"])
    def test_go_to_on_error_and_end_the_session(self, serve, caplog, name, error):
        recorder = Recorder(**{name: raises(error)})
        served = serve(recorder)
        served.peer.send("message", "another")
        assert served.peer.rest() == [Close(1011)]  # and not a word about the reason
        event = recorder.event
        before = [("open",), ("message", "message")] if name == "on_message" else [("open",)]
        assert recorder.calls == [*before, ("error", error), ("close", event)]
        assert (event.cause, event.code, event.initiator) == (CloseCause.APPLICATION_ERROR, 1011, "server")
        assert event.error is error
        assert event.clean
        assert logged(caplog) == [error]
        assert repr(served.session) in caplog.text

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_of_on_close_are_only_logged(self, serve, caplog, error):
        recorder = Recorder(on_close=raises(error))
        served = serve(recorder)
        served.peer.start_close()
        assert recorder.event.cause is CloseCause.CLIENT_CLOSED
        assert recorder.event.error is None
        served.leave()
        assert names(recorder) == ["open", "close"]
        assert logged(caplog) == [error]

    @pytest.mark.parametrize("second", ERRORS, ids=lambda error: type(error).__name__)
    def test_of_on_error_are_only_logged(self, serve, caplog, second):
        first = Broken("first")
        recorder = Recorder(on_message=raises(first), on_error=raises(second))
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(1011)]
        assert recorder.calls == [("open",), ("message", "message"), ("error", first), ("close", recorder.event)]
        assert recorder.event.error is first
        assert logged(caplog) == [first, second]

    @pytest.mark.parametrize("name", ["on_open", "on_message", "on_close"])
    def test_of_one_session_do_not_harm_another(self, serve, name):
        other = serve(Recorder(on_message=echo))
        for error in ERRORS:
            served = serve(Recorder(**{name: raises(error)}))
            served.peer.send("message")
            served.leave()
            other.peer.send("alive")
            assert other.peer.event() == "alive"

    def test_come_while_on_error_can_still_choose_how_to_close(self, serve):
        recorder = Recorder(on_message=raises(Broken()), on_error=lambda session, error: session.close(4000, "sorry"))
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(4000, "sorry")]
        event = recorder.event
        assert (event.cause, event.code) == (CloseCause.APPLICATION_ERROR, 4000)

    def test_come_while_on_error_can_still_send(self, serve):
        recorder = Recorder(on_message=raises(Broken()), on_error=lambda session, error: session.send("last words"))
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == ["last words", Close(1011)]

    def test_come_while_on_error_may_block(self, serve):
        go_on = gevent.event.Event()
        recorder = Recorder(on_message=raises(Broken()), on_error=lambda session, error: go_on.wait())
        served = serve(recorder)
        served.peer.send("a", "b")
        wait_until(lambda: "error" in names(recorder))
        served.peer.send("c")
        served.peer.start_close()
        assert served.event.cause is CloseCause.APPLICATION_ERROR
        go_on.set()
        assert recorder.event.received_first
        assert names(recorder)[-2:] == ["error", "close"]

    def test_after_the_application_has_closed_are_logged_and_change_nothing(self, serve, caplog):
        def close_and_raise(session, message):
            session.close(4000)
            raise error

        error = Broken()
        recorder = Recorder(on_message=close_and_raise)
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(4000)]
        assert recorder.event.cause is CloseCause.SERVER_CLOSED
        assert logged(caplog) == [error]

    def test_connection_closed_is_none(self, serve, caplog):
        def send_late(session, message):
            session.close()
            session.send("late")

        recorder = Recorder(on_message=send_late)
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(1000)]
        assert recorder.calls == [("open",), ("message", "message"), ("close", recorder.event)]
        assert recorder.event.error is None
        assert caplog.records == []

    def test_connection_closed_of_another_session_is_one(self, serve, caplog):
        gone = serve(Recorder())
        gone.leave()
        recorder = Recorder(on_message=lambda session, message: gone.session.send(message))
        served = serve(recorder)
        served.peer.send("message")
        assert served.peer.rest() == [Close(1011)]
        assert isinstance(recorder.event.error, ConnectionClosed)
        assert len(logged(caplog)) == 1

    @pytest.mark.parametrize("name", ["on_open", "on_message", "on_error", "on_close"])
    def test_a_killed_greenlet_is_none(self, serve, caplog, name):
        def block(*_):
            blocked.append(getcurrent())
            gevent.event.Event().wait()

        blocked: list[greenlet] = []
        actions = {"on_message": raises(Broken())} if name == "on_error" else {}
        recorder = Recorder(**{**actions, name: block})
        served = serve(recorder)
        served.peer.send("message")
        if name == "on_close":
            served.peer.start_close()
        wait_until(lambda: blocked)
        gevent.kill(blocked[0])
        events = served.peer.rest()
        assert len(events) == 1
        if name in ("on_open", "on_message"):
            assert events == [Close(1001)]
            assert caplog.records == []
            assert recorder.event.cause is CloseCause.SERVER_CLOSED
        assert recorder.event
        served.leave()

    def test_that_end_the_process_reach_the_main_greenlet(self):
        result = subprocess.run([sys.executable, "-c", ENDS_THE_PROCESS], capture_output=True, text=True, timeout=60)
        assert result.stdout.splitlines() == [
            f"{name}: main got {error}, the session has ended, others are alive"
            for name in ("on_open", "on_message", "on_error", "on_close")
            for error in ("KeyboardInterrupt()", "SystemExit(3)")
        ], result.stderr


ENDS_THE_PROCESS = """
import logging
import gevent
from tests.support.loop import Recorder, Service, echo
from wsmiddleware.loop.loop import Loop

def run(name, error):
    def end(*_):
        raise error

    actions = {"on_message": lambda *_: 1 / 0} if name == "on_error" else {}
    recorder = Recorder(**{**actions, name: end})
    served = serve(recorder)
    served.peer.send("message")
    if name == "on_close":
        served.peer.start_close()
    try:
        gevent.sleep(10)
    except BaseException as raised:
        assert raised is error, raised
    else:
        raise AssertionError(f"{name}: main got nothing")
    served.leave()
    assert recorder.event
    other.peer.send("alive")
    assert other.peer.event() == "alive"
    print(f"{name}: main got {error!r}, the session has ended, others are alive")

logging.disable()
serve = Service(Loop(gevent.get_hub()))
other = serve(Recorder(on_message=echo))
for name in ("on_open", "on_message", "on_error", "on_close"):
    for error in (KeyboardInterrupt(), SystemExit(3)):
        run(name, error)
"""


class TestIsolation:
    def test_context_variables_are_the_session_s_own(self, serve):
        def write(session, message):
            seen.append((session, variable.get()))
            variable.set(message)
            gevent.sleep(0)
            seen.append((session, variable.get()))

        variable: ContextVar[str] = ContextVar("variable", default="nothing")
        seen: list[tuple[object, str]] = []
        served = [serve(Recorder(on_message=write)) for _ in range(10)]
        for text in ("first", "second"):
            for number, one in enumerate(served):
                one.peer.send(f"{text} {number}")
        wait_until(lambda: len(seen) == 40)
        for number, one in enumerate(served):
            first, second = f"first {number}", f"second {number}"
            assert [value for session, value in seen if session is one.session] == ["nothing", first, first, second]
        assert variable.get() == "nothing"

    def test_context_variables_last_from_on_open_to_on_close(self, serve):
        variable: ContextVar[int] = ContextVar("variable", default=0)
        seen = []
        recorder = Recorder(
            on_open=lambda session: variable.set(1),
            on_message=lambda session, message: variable.set(variable.get() + 1),
            on_error=lambda session, error: variable.set(variable.get() + 10),
            on_close=lambda session, event: seen.append(variable.get()),
        )
        served = serve(recorder)
        served.peer.send("a")
        wait_until(lambda: recorder.messages)
        served.peer.send("b")
        served.peer.leave()
        assert recorder.event
        assert seen == [3]

    @pytest.mark.parametrize("block", [False, True])
    def test_greenlet_locals_of_one_session_are_not_seen_by_another(self, serve, block):
        def write(session, message):
            assert not hasattr(local, "owner")
            local.owner = session
            if block:
                gevent.sleep(0)
                assert local.owner is session

        local = gevent.local.local()
        served = [serve(Recorder(on_message=write)) for _ in range(20)]
        for one in served:
            one.peer.send("message")
        gevent.sleep(0.01)
        assert [one.session.close_event for one in served] == [None] * 20

    def test_nothing_is_left_of_a_session(self, serve):
        def open_and_end() -> weakref.ref[Served]:
            served = serve(Recorder(on_message=lambda session, message: session.send(message)))
            served.peer.send("message")
            assert served.peer.event() == "message"
            served.peer.start_close()
            served.peer.rest()
            served.leave()
            serve.served.remove(served)
            return weakref.ref(served.session)

        references = [open_and_end() for _ in range(5)]
        gc.collect()
        assert [reference() for reference in references] == [None] * 5

    def test_idle_sessions_have_no_greenlets(self, serve):
        def count() -> int:
            gc.collect()
            return sum(isinstance(item, greenlet) and not item.dead for item in gc.get_objects())

        served = [serve(Recorder(on_message=echo), Settings(idle_timeout=60)) for _ in range(3)]
        gevent.sleep(0.01)
        before = count()
        served += [serve(Recorder(on_message=echo), Settings(idle_timeout=60)) for _ in range(50)]
        for one in served:
            one.peer.send("message")
        for one in served:
            assert one.peer.event() == "message"
        assert count() <= before + 16


@pytest.mark.parametrize("finish", [Peer.leave, Peer.start_close])
def test_the_end_of_a_session_ends_its_callbacks(serve, finish):
    recorder = Recorder(on_message=echo)
    served = serve(recorder)
    finish(served.peer)
    assert recorder.event
    served.leave()
    gevent.sleep(0.01)
    assert names(recorder) == ["open", "close"]
