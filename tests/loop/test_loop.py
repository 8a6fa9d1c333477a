"""The loop: fair turns, reused greenlets, timers."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import gevent.event
import gevent.local
from greenlet import getcurrent, greenlet

from tests.support.loop import Peer, Recorder, Service, both_pollers, echo
from tests.support.wsgi import wait_until
from wsmiddleware.loop.channel import MAX_BATCH
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import CloseCause
from wsmiddleware.session import Session


def call(serve: Service, count: int, action: Callable[..., object] = lambda *_: None) -> list[greenlet]:
    """Have on_message called in *count* sessions, in one turn; return the greenlet of each call, when it has begun."""

    def on_message(session: Session, message: object) -> None:
        found.append(getcurrent())
        action(session, message)

    found: list[greenlet] = []
    served = [serve(Recorder(on_message=on_message)) for _ in range(count)]
    gevent.sleep(0.001)
    for one in served:
        one.peer.send("message")
    wait_until(lambda: len(found) == count)
    gevent.sleep(0.001)
    return found


class TestRunners:
    def test_are_never_the_hub(self, serve):
        assert call(serve, 1)[0].parent is gevent.get_hub()

    def test_serve_many_sessions_and_are_used_again(self, serve):
        assert len({*call(serve, 20), *call(serve, 20)}) == 1

    def test_are_used_again_after_they_were_parked(self, serve):
        go_on = gevent.event.Event()
        parked = call(serve, 3, lambda *_: go_on.wait())
        assert len(set(parked)) == 3
        go_on.set()
        gevent.sleep(0)
        assert {*call(serve, 3)} <= {*parked}

    def test_are_not_used_again_when_they_have_greenlet_locals(self, serve):
        local = gevent.local.local()
        found = call(serve, 5, lambda *_: setattr(local, "name", "value"))
        assert len(set(found)) == 5
        assert all(one.dead for one in found)

    def test_are_not_kept_without_bound(self, serve):
        go_on = gevent.event.Event()
        found = call(serve, 100, lambda *_: go_on.wait())
        assert len(set(found)) == 100
        go_on.set()
        wait_until(lambda: sum(not one.dead for one in found) <= 16)
        assert {*call(serve, 1)} <= {*found}

    def test_that_somebody_has_killed_while_they_were_idle_are_not_missed(self, serve):
        killed = call(serve, 1)[0]
        gevent.kill(killed)
        gevent.sleep(0)
        assert killed.dead
        assert call(serve, 1)[0] is not killed


class TestFairness:
    @both_pollers
    def test_many_messages_that_came_at_once_give_way_to_others(self, serve: Service, style: Any) -> None:
        recorder = Recorder()
        served = serve(style(recorder))
        wait_until(lambda: recorder.calls)
        count = 6 * MAX_BATCH
        served.peer.write(served.peer.frames("x") * count)  # At once: all of it is there before it is read.
        seen = set()
        while len(recorder.messages) < count:
            gevent.sleep(0)
            seen.add(len(recorder.messages))
        assert len(seen - {0, count}) >= 2

    @both_pollers
    def test_other_greenlets_and_timers_go_on_in_a_flood(self, serve: Service, style: Any) -> None:
        count = 0

        def ask_again(session: Session, message: object) -> None:
            nonlocal count
            count += 1
            peers[session].write_some(again)

        peers: dict[Session, Peer] = {}
        for _ in range(100):
            served = serve(style(Recorder(on_message=ask_again)))
            peers[served.session] = served.peer
        again = served.peer.frames("again")
        for peer in peers.values():
            peer.write(again * 3)
        wait_until(lambda: count > 1000)
        for _ in range(100):
            gevent.sleep(0)
        begin = monotonic()
        gevent.sleep(0.01)
        assert monotonic() - begin < 2
        again = b""

    @both_pollers
    def test_who_always_has_more_does_not_keep_others_from_being_served(self, serve, style):
        def ask_again(session: Session, message: object) -> None:
            flooding.peer.write_some(again)

        flooding = serve(style(Recorder(on_message=ask_again)))
        again = flooding.peer.frames("again")
        other = serve(style(Recorder(on_message=echo)))
        flooding.peer.send("begin")
        for text in "abc":
            other.peer.send(text)
            assert other.peer.event() == text
        again = b""


class TestIdleSessions:
    @both_pollers
    def test_wake_nobody(self, serve):
        for timeout in (0, 3600) * 20:
            serve(Recorder(), Settings(idle_timeout=timeout))
        gevent.sleep(0.01)  # What is to be done at their beginning is done.
        iterations = serve.loop.hub.loop.iteration
        gevent.sleep(0.3)
        assert serve.loop.hub.loop.iteration - iterations <= 5


class TestTimers:
    def test_many_deadlines_are_each_met_and_none_too_early(self, serve):
        limits = (0.25, 0.05, 0.2, 0.1, 0.15)
        recorders = [Recorder() for _ in limits]
        for recorder, limit in zip(recorders, limits, strict=True):
            serve(recorder, Settings(idle_timeout=limit, close_timeout=0.01))
        for recorder, limit in zip(recorders, limits, strict=True):
            assert recorder.event.cause is CloseCause.IDLE_TIMEOUT
            assert recorder.event.duration >= limit

    def test_a_nearer_deadline_is_met_although_a_farther_was_set_before(self, serve):
        serve(Recorder(), Settings(idle_timeout=60))
        recorder = Recorder()
        serve(recorder, Settings(idle_timeout=0.05, close_timeout=0.01))
        assert recorder.event.cause is CloseCause.IDLE_TIMEOUT
        assert recorder.event.duration < 5

    def test_many_sessions_may_be_due_at_once(self, serve):
        recorders = [Recorder() for _ in range(50)]
        for recorder in recorders:
            serve(recorder, Settings(idle_timeout=0.05, close_timeout=0.01))
        for recorder in recorders:
            assert recorder.event.cause is CloseCause.IDLE_TIMEOUT

    def test_the_end_of_one_may_end_another_that_is_due(self, serve):
        def close_others() -> None:
            for one in served:
                one.session.close(4000)

        served = [serve(Recorder(), Settings(idle_timeout=0.05, close_timeout=0.01)) for _ in range(5)]
        for one in served:
            one.session.add_end_callback(close_others)
        for one in served:
            assert one.event.cause in (CloseCause.IDLE_TIMEOUT, CloseCause.SERVER_CLOSED)
            one.wait()


class TestSpawn:
    def test_runs_in_a_greenlet_that_may_block(self, loop):
        def run() -> None:
            gevent.sleep(0)
            ran.append(getcurrent())

        ran: list[greenlet] = []
        loop.spawn(run)
        assert ran == []
        wait_until(lambda: ran)
        assert ran[0] is not getcurrent()
