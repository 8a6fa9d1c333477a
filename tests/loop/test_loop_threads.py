"""The way into a loop from other threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import pytest
from greenlet import getcurrent

from tests.support.loop import Recorder, both_pollers
from tests.support.wire import frame
from tests.support.wsgi import PATIENCE, in_thread, wait_until
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.loop import Loop
from wsmiddleware.protocol.close import Close


def in_threads(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Call *function* with numbers from 0, each in a thread of its own, all at once; return what they return."""
    results = [in_thread(function, number) for number in range(count)]
    return [result() for result in results]


class TestIsHere:
    def test_tells_the_loop_s_thread_from_others(self, loop):
        assert loop.is_here()
        assert gevent.spawn(loop.is_here).get()
        assert in_thread(loop.is_here)() is False


class TestPost:
    def test_calls_in_the_order_of_posting_and_in_the_loop_s_thread(self, loop):
        def note(number: int) -> None:
            assert loop.is_here()
            called.append(number)

        called: list[int] = []
        in_thread(lambda: [loop.post(note, number) for number in range(1000)])()
        wait_until(lambda: len(called) == 1000)
        assert called == list(range(1000))

    def test_does_not_wait(self, loop):
        called: list[str] = []
        loop.post(called.append, "x")
        assert called == []
        wait_until(lambda: called)

    def test_of_many_threads_keeps_each_one_s_order(self, loop):
        called: list[tuple[int, int]] = []
        in_threads(8, lambda thread: [loop.post(called.append, (thread, number)) for number in range(200)])
        wait_until(lambda: len(called) == 1600)
        for thread in range(8):
            assert [number for who, number in called if who == thread] == list(range(200))

    def test_wakes_a_loop_that_has_nothing_else_to_do(self, loop):
        event = gevent.event.Event()
        result = in_thread(loop.post, event.set)
        assert event.wait(PATIENCE)
        result()

    def test_is_done_at_once_for_who_must_not_overtake_it(self, loop):
        called: list[str] = []
        loop.post(called.append, "a")
        loop.post(called.append, "b")
        loop.run_posted()
        assert called == ["a", "b"]
        gevent.sleep(0.001)
        assert called == ["a", "b"]


class TestCall:
    def test_returns_what_the_action_returns(self, loop):
        assert in_thread(loop.call, divmod, 7, 3)() == (2, 1)

    @pytest.mark.parametrize("error", [ValueError("wrong"), gevent.Timeout(), KeyboardInterrupt()], ids=repr)
    def test_raises_what_the_action_raises(self, loop, error):
        def fail() -> None:
            raise error

        def call() -> BaseException | None:
            try:
                loop.call(fail)
            except BaseException as raised:
                return raised
            return None

        assert in_thread(call)() is error

    def test_runs_in_a_greenlet_that_may_block(self, loop):
        def wait() -> object:
            assert loop.is_here()
            gevent.sleep(0)
            go_on.wait()
            return getcurrent()

        go_on = gevent.event.Event()
        result = in_thread(loop.call, wait)
        gevent.sleep(0.01)
        go_on.set()
        assert result() is not getcurrent()

    def test_that_blocks_does_not_keep_others_waiting(self, loop):
        go_on = gevent.event.Event()
        blocked = [in_thread(loop.call, go_on.wait) for _ in range(3)]
        assert in_threads(3, lambda number: loop.call(abs, -number)) == [0, 1, 2]
        go_on.set()
        assert [result() for result in blocked] == [True] * 3

    def test_comes_after_what_the_thread_has_posted(self, loop):
        def post_and_call() -> list[str]:
            loop.post(called.append, "posted")
            loop.call(called.append, "called")
            return list(called)

        called: list[str] = []
        assert in_thread(post_and_call)() == ["posted", "called"]


class TestSessions:
    @both_pollers
    def test_messages_of_eight_threads_arrive_whole_and_in_order(self, serve, style):
        def send(thread: int) -> None:
            for number in range(50):
                served.session.send(f"{thread} {number} " + "x" * (thread * 100))

        served = serve(style(Recorder()))
        sending = [in_thread(send, thread) for thread in range(8)]
        messages = [str(message).split() for message in served.peer.events(8 * 50)]
        for result in sending:
            result()
        for thread in range(8):
            own = [(number, filler) for who, number, *filler in messages if who == str(thread)]
            assert own == [(str(number), ["x" * thread * 100] * bool(thread)) for number in range(50)]

    def test_a_thread_gets_the_errors_of_send(self, serve, style):
        def send(message: Any) -> BaseException | None:
            try:
                served.session.send(message)
            except Exception as error:
                return error
            return None

        served = serve(style(Recorder()))
        assert isinstance(in_thread(send, 1)(), TypeError)
        served.peer.leave()
        served.wait()
        error = in_thread(send, "late")()
        assert isinstance(error, ConnectionClosed)
        assert error.event is served.session.close_event

    def test_a_thread_can_ping_and_close(self, serve, style):
        served = serve(style(Recorder()))
        in_thread(served.session.ping, b"?")()
        in_thread(served.session.close, 4000, "done")()
        assert served.peer.events(2) == [(b"?",), Close(4000, "done")]

    def test_what_a_thread_has_offered_is_not_overtaken(self, serve):
        served = serve(Recorder())

        def offer_and_send() -> None:
            served.session.offer(frame(0x1, b"offered"))
            served.session.send("sent")

        in_thread(offer_and_send)()
        assert served.peer.events(2) == ["offered", "sent"]

    def test_end_callbacks_can_be_added_by_threads_while_it_ends(self, serve):
        def add(thread: int) -> None:
            for number in range(100):
                served.session.add_end_callback(lambda number=number: called.append((thread, number)))

        called: list[tuple[int, int]] = []
        served = serve(Recorder())
        gevent.sleep(0.001)
        adding = [in_thread(add, thread) for thread in range(4)]
        served.peer.leave()
        for result in adding:
            result()
        served.wait()
        assert sorted(called) == [(thread, number) for thread in range(4) for number in range(100)]


IN_A_PATCHED_PROCESS = """
from gevent import monkey
monkey.patch_all()
import threading, gevent
from gevent.threadpool import ThreadPool
from tests.support.loop import Recorder, Service, echo
from tests.support.wsgi import wait_until
from wsmiddleware.loop.loop import Loop

loop = Loop(gevent.get_hub())
serve = Service(loop)
served = serve(Recorder(on_message=echo))

# What is a thread for the application is a greenlet here.
thread = threading.Thread(target=lambda: (loop.is_here() and served.session.send("from a greenlet")))
thread.start()
print(served.peer.event())
thread.join()

done = []
def native():
    assert not loop.is_here()
    served.session.send("from a thread")
    done.append(loop.call(divmod, 7, 3))

monkey.get_original("_thread", "start_new_thread")(native, ())
print(served.peer.event())
wait_until(lambda: done)
print(*done)
served.peer.send("echo")
print(served.peer.event())
"""


def test_native_threads_are_told_from_greenlets_in_a_patched_process():
    result = subprocess.run([sys.executable, "-c", IN_A_PATCHED_PROCESS], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines() == ["from a greenlet", "from a thread", "(2, 1)", "echo"], result.stderr


class TestALoopThatDoesNotRun:
    def calling(self, loop: Loop, errors: list[str]) -> None:
        with pytest.raises(RuntimeError) as error:
            loop.call(int)
        errors.append(str(error.value))

    def test_is_given_up(self, loop, monkeypatch):
        monkeypatch.setattr("wsmiddleware.loop.loop.UNRESPONSIVE", 0.02)
        errors: list[str] = []
        thread = threading.Thread(target=self.calling, args=(loop, errors))
        thread.start()
        thread.join(PATIENCE)  # Meanwhile the hub of this thread cannot run.
        assert len(errors) == 1
        assert errors[0].startswith("expected the session's loop to run, found that it has not")

    def test_is_nobody_s_after_its_thread_even_if_another_gets_its_ident(self):
        loop = in_thread(lambda: Loop(gevent.get_hub()))()
        wait_until(loop.has_ended)
        assert not any(in_threads(8, lambda number: loop.is_here()))
        errors: list[str] = []
        in_thread(self.calling, loop, errors)()
        assert errors[0].endswith("has its server, or its thread, ended?")
        loop.close()
