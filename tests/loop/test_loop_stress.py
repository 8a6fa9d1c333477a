"""Many sessions at once, with endpoints and clients that do anything at any time: what must hold all the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import pytest
from greenlet import getcurrent, greenlet

from tests.support.loop import Moment, Recorder, Served, Service, both_pollers, narrow, tcp
from tests.support.wire import client_frame, frame
from tests.support.wsgi import PATIENCE, in_thread
from wsmiddleware.exceptions import ConnectionClosed
from wsmiddleware.loop.settings import Settings
from wsmiddleware.protocol.close import ENDINGS, CloseCause, CloseEvent
from wsmiddleware.session import Session

SESSIONS = 25
STEPS = 20

NUMBERED = "numbered"
"""What messages begin with whose order is checked; behind it comes a number."""


# In bytes: these clients do not care whether they may still send.
PING = client_frame(0x9, b"?")
CLOSE = client_frame(0x8, b"\x03\xe8")
LEAVING = client_frame(0x8, b"\x03\xe9")


class Deliberate(Exception):
    """An endpoint's error."""


class Crowd:
    """Sessions whose endpoints and clients act at random."""

    def __init__(self, serve: Service, seed: int) -> None:
        self.random = random.Random(seed)
        self.serve = serve
        self.members: list[Member] = []
        self.blocked: list[greenlet] = []
        """Greenlets that can be killed: they wait in an endpoint."""

    def choice(self, actions: dict[Callable[..., Any], int]) -> Callable[..., Any]:
        return self.random.choices(list(actions), list(actions.values()))[0]

    def run(self) -> None:
        clients = []
        for number in range(SESSIONS):
            self.members.append(Member(self, number))
            clients.append(gevent.spawn(self.members[-1].act_as_client))
        clients.append(gevent.spawn(self.disturb))
        gevent.joinall(clients, PATIENCE, raise_error=True)
        assert all(client.dead for client in clients), "a client hangs"

    def disturb(self) -> None:
        """Do to the sessions what others do: greenlets, threads, timers."""
        for _ in range(60):
            self.disturb_one(self.random.choice(self.members).served.session)
            self.pause()

    def disturb_one(self, session: Session) -> None:
        self.choice(
            {
                lambda: session.offer(frame(0x2, b"offered")): 8,
                lambda: self.send_for_a_moment(session, b"sent" * 500): 8,
                lambda: in_thread(self.try_to, session.send, b"of a thread")(): 2,
                lambda: self.try_to(session.ping): 2,
                lambda: session.close(4000, "by somebody"): 1,
                self.kill: 1,
            }
        )()

    def pause(self) -> None:
        gevent.sleep(self.random.choice([0, 0, 0, 0.001, 0.003]))

    def kill(self) -> None:
        if self.blocked:
            gevent.kill(self.random.choice(self.blocked))

    def try_to(self, send: Callable[..., object], *arguments: object) -> None:
        try:
            send(*arguments)
        except ConnectionClosed:
            pass

    def send_for_a_moment(self, session: Session, message: bytes) -> None:
        with Moment(0.001):
            self.try_to(session.send, message)


class Member:
    """One of them: its endpoint, its client, and what both have seen."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd = crowd
        self.random = crowd.random
        self.overlaps = 0
        self.asked = 0
        """Numbered messages that the client has sent."""
        self.answers: list[int] = []
        """Numbers of those that have come back."""
        self._running = False
        self.recorder = Recorder(
            on_open=self.act_as_endpoint, on_message=self.act_as_endpoint, on_close=self.act_as_endpoint
        )
        self.conversation = number % 2 == 0
        settings = Settings(
            max_message_size=20_000,
            receive_queue=self.random.choice([1, 3, 16]),
            send_queue=self.random.choice([1, 1000, 20_000]),
            idle_timeout=self.random.choice([None, None, 0.05]),
            close_timeout=self.random.choice([0.01, 0.05, 0.2]),
        )
        endpoint = self.recorder.talk if self.conversation else self.recorder
        self.served: Served = crowd.serve(endpoint, settings, connect=self.random.choice([tcp, narrow]))

    def act_as_endpoint(self, session: Session, given: object = None) -> None:
        self.overlaps += self._running
        self._running = True
        try:
            if isinstance(given, str):
                session.send(given)
            actions: dict[Callable[..., Any], int] = {
                lambda: None: 30,
                lambda: gevent.sleep(0): 10,
                lambda: self.block(0.002): 4,
                lambda: session.send(b"x" * self.random.randrange(5000)): 10,
                lambda: self.crowd.send_for_a_moment(session, b"y" * 3000): 4,
                lambda: self.random.choice(self.crowd.members).served.session.offer(frame(0x2, b"offered")): 10,
                self.fail: 1,
            }
            if not isinstance(given, CloseEvent):
                actions[lambda: session.close(self.random.choice([1000, 1001, 4000]))] = 1
            self.crowd.choice(actions)()
        finally:
            self._running = False

    def block(self, seconds: float) -> None:
        self.crowd.blocked.append(getcurrent())
        try:
            gevent.sleep(seconds)
        finally:
            self.crowd.blocked.remove(getcurrent())

    def fail(self) -> None:
        raise self.random.choice([Deliberate(), gevent.Timeout()])

    def act_as_client(self) -> None:
        peer = self.served.peer
        try:
            for _ in range(STEPS):
                self.crowd.choice({self.ask: 10, self.read: 8, self.crowd.pause: 6, lambda: peer.write(PING): 2})()
            # Its last words may have to wait for a server that waits for it to read.
            with Moment(0.3):
                self.crowd.choice(
                    {
                        lambda: (peer.write(LEAVING), self.read_to_the_end()): 4,
                        lambda: peer.write(CLOSE): 2,
                        lambda: (peer.end_output(), self.read_to_the_end()): 2,
                        lambda: peer.write(client_frame(0x1, b"cut")[:-1]): 1,
                        lambda: (peer.write(client_frame(0x3, b"?")), self.read_to_the_end()): 1,
                        lambda: (peer.write(client_frame(0x2, bytes(20_001))), self.read_to_the_end()): 1,
                        self.read_to_the_end: 1,
                        peer.reset: 2,
                        peer.leave: 2,
                    }
                )()
        except OSError:  # The server has cut it off.
            pass
        finally:
            peer.leave()

    def ask(self) -> None:
        count = self.random.choice([1, 1, 2, 5, 30])
        numbers = range(self.asked, self.asked + count)
        data = b"".join(client_frame(0x1, f"{NUMBERED} {number}".encode()) for number in numbers)
        self.asked += count
        cut = self.random.randrange(len(data) + 1)
        with Moment(0.05):  # It may be that the server does not read until we do.
            self.served.peer.write(data[:cut])
            gevent.sleep(0)
            self.served.peer.write(data[cut:])
            return
        raise BrokenPipeError

    def read(self) -> None:
        with Moment(0.002):
            self.note(self.served.peer.event())

    def read_to_the_end(self) -> None:
        while event := self.served.peer.event():
            self.note(event)

    def note(self, event: object) -> None:
        if isinstance(event, str):
            name, number = event.split()
            assert name == NUMBERED
            self.answers.append(int(number))

    def check(self) -> None:
        assert self.overlaps == 0
        names = [call[0] for call in self.recorder.calls]
        assert names[0] == "open"
        assert names.count("open") == 1
        assert self.recorder.messages == [f"{NUMBERED} {number}" for number in range(len(self.recorder.messages))]
        assert self.answers == list(range(len(self.answers)))
        assert len(self.answers) <= len(self.recorder.messages) <= self.asked

        event = self.served.session.close_event
        assert event is not None
        if self.conversation:
            assert names.count("close") <= 1  # A function that raises does not get to it.
        else:
            assert names.count("close") == 1
        if "close" in names:
            assert self.recorder.calls[-1] == ("close", event)
        assert self.recorder.returned == len(names)
        check_event(event)


def check_event(event: CloseEvent) -> None:
    """Assert that what the event says agrees with itself."""
    assert event.initiator == ENDINGS[event.cause].initiator
    assert event.clean is (event.received is not None and event.sent is not None)
    assert (event.received_first is None) is (event.received is None and event.sent is None)
    first = event.received if event.received_first else event.sent
    assert (event.code, event.reason) == (first or (1006, ""))
    assert 0 <= event.silent_in <= event.duration
    assert 0 <= event.silent_out <= event.duration
    if event.cause is CloseCause.NETWORK_LOST:
        assert event.received is event.sent is None
        assert event.error is None or isinstance(event.error, ConnectionError)
    if event.cause in (CloseCause.CLIENT_CLOSED, CloseCause.CLIENT_LEFT):
        assert event.clean
        assert event.received_first
    if event.cause is CloseCause.APPLICATION_ERROR:
        assert isinstance(event.error, (Deliberate, gevent.Timeout))


@both_pollers
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens(serve, seed):
    crowd = Crowd(serve, seed)
    crowd.run()
    for member in crowd.members:
        member.served.wait()
    for member in crowd.members:
        member.check()
