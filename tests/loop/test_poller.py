"""Both pollers: what is ready is reported, again and again; what is not asked for is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import gevent
import pytest

from tests.support.loop import tcp_sockets
from tests.support.wsgi import PATIENCE, in_thread, wait_until
from wsmiddleware.loop.poller import EpollPoller, Poller, WatcherPoller, make_poller
from wsmiddleware.loop.system import MAX_EVENTS, READABLE, WRITABLE

BOTH = READABLE | WRITABLE


class Polling:
    """A poller, and what it has reported."""

    def __init__(self, kind: type[EpollPoller] | type[WatcherPoller], hub=None) -> None:
        self.calls = 0
        self.poller: Poller = kind(hub or gevent.get_hub(), self.on_ready)

    def on_ready(self) -> None:
        self.calls += 1

    def ready(self) -> list[tuple[int, int]]:
        return [(self.poller.fd(i), self.poller.readiness(i)) for i in range(self.poller.poll())]

    def find(self, fd: int) -> int:
        """Wait until *fd* is reported; returns what for."""
        found: dict[int, int] = {}

        def has_found() -> bool:
            found.update(self.ready())
            return fd in found

        wait_until(lambda: self.calls)
        wait_until(has_found)
        return found[fd]

    def finds_nothing(self) -> bool:
        """Say whether nothing is reported, and that without being asked to look again and again."""
        for _ in range(3):  # What has been on its way may come.
            gevent.sleep(0)
            gevent.sleep(0.001)
            self.ready()
        self.calls = 0
        gevent.sleep(0.01)
        return self.calls == 0 and self.ready() == []


@pytest.fixture(params=[EpollPoller, WatcherPoller])
def polling(request) -> Iterator[Polling]:
    polling = Polling(request.param)
    yield polling
    polling.poller.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, peer = tcp_sockets()
    ours.setblocking(False)
    with ours, peer:
        yield ours, peer


def fill(sock: socket.socket) -> None:
    """Write until no more goes."""
    with pytest.raises(BlockingIOError):
        while True:
            sock.send(b"x" * 65536)


def drain(sock: socket.socket) -> None:
    """Read until there is no more."""
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            sock.recv(65536)


class TestReports:
    def test_what_has_arrived(self, polling, ends):
        ours, peer = ends
        polling.poller.watch(ours.fileno(), READABLE, 0)
        assert polling.finds_nothing()
        peer.sendall(b"x")
        assert polling.find(ours.fileno()) == READABLE

    def test_room_for_writing(self, polling, ends):
        polling.poller.watch(ends[0].fileno(), WRITABLE, 0)
        assert polling.find(ends[0].fileno()) == WRITABLE

    def test_no_room_where_there_is_none(self, polling, ends):
        ours, peer = ends
        fill(ours)
        polling.poller.watch(ours.fileno(), WRITABLE, 0)
        assert polling.finds_nothing()
        drain(peer)
        assert polling.find(ours.fileno()) == WRITABLE

    def test_both(self, polling, ends):
        ours, peer = ends
        polling.poller.watch(ours.fileno(), BOTH, 0)
        assert polling.find(ours.fileno()) == WRITABLE
        peer.sendall(b"x")
        wait_until(lambda: polling.find(ours.fileno()) == BOTH)

    def test_again_what_is_left_alone(self, polling, ends):
        ours, peer = ends
        polling.poller.watch(ours.fileno(), READABLE, 0)
        peer.sendall(b"x")
        for _ in range(5):
            polling.calls = 0
            assert polling.find(ours.fileno()) == READABLE
        ours.recv(1)
        assert polling.finds_nothing()

    @pytest.mark.parametrize("interest", [READABLE, WRITABLE, BOTH])
    def test_the_end_to_who_watches_for_either(self, polling, ends, interest):
        ours, peer = ends
        fill(ours)
        polling.poller.watch(ours.fileno(), interest, 0)
        assert polling.finds_nothing()
        peer.close()  # Unread data is left: this is a reset.
        assert polling.find(ours.fileno()) & interest == interest

    def test_the_rest_of_many_without_anything_new(self, polling):
        pairs = [socket.socketpair() for _ in range(MAX_EVENTS + 1)]
        for ours, peer in pairs:
            peer.sendall(b"x")
            polling.poller.watch(ours.fileno(), READABLE, 0)
        wait_until(lambda: polling.calls)
        assert len(polling.ready()) == MAX_EVENTS
        polling.calls = 0
        wait_until(lambda: polling.calls)
        for ours, peer in pairs:
            polling.poller.watch(ours.fileno(), 0, READABLE)
            ours.close()
            peer.close()

    def test_all_of_many(self, polling):
        pairs = [socket.socketpair() for _ in range(150)]
        waiting = {}
        for ours, peer in pairs:
            polling.poller.watch(ours.fileno(), READABLE, 0)
            waiting[ours.fileno()] = ours
            peer.sendall(b"x")

        def found_all() -> bool:
            for fd, _ in polling.ready():
                # Only the newest are left alone. They must not keep the others from being reported.
                waiting.pop(fd, None)
            return not waiting

        wait_until(found_all)
        for ours, peer in pairs:
            polling.poller.watch(ours.fileno(), 0, READABLE)
            ours.close()
            peer.close()


class TestWatch:
    @pytest.mark.parametrize("before", [READABLE, WRITABLE, BOTH])
    @pytest.mark.parametrize("after", [READABLE, WRITABLE, BOTH])
    def test_changes_its_mind(self, polling, ends, before, after):
        ours, peer = ends
        peer.sendall(b"x")
        polling.poller.watch(ours.fileno(), before, 0)
        wait_until(lambda: polling.find(ours.fileno()) == before)
        polling.poller.watch(ours.fileno(), after, before)
        for _ in range(3):
            wait_until(lambda: polling.find(ours.fileno()) == after)

    def test_of_nothing_reports_nothing_although_the_peer_has_gone(self, polling, ends):
        ours, peer = ends
        polling.poller.watch(ours.fileno(), READABLE, 0)
        peer.sendall(b"x")
        polling.find(ours.fileno())
        polling.poller.watch(ours.fileno(), 0, READABLE)
        assert polling.finds_nothing()
        peer.close()
        assert polling.finds_nothing()

    def test_forgets_what_has_been_seen_but_not_reported(self, polling, ends):
        ours, peer = ends
        polling.poller.watch(ours.fileno(), READABLE, 0)
        peer.sendall(b"x")
        wait_until(lambda: polling.calls)
        polling.poller.watch(ours.fileno(), 0, READABLE)
        assert polling.ready() == []

    def test_again_after_a_break(self, polling, ends):
        ours, peer = ends
        peer.sendall(b"x")
        for _ in range(3):
            polling.poller.watch(ours.fileno(), READABLE, 0)
            polling.calls = 0
            assert polling.find(ours.fileno()) == READABLE
            polling.poller.watch(ours.fileno(), 0, READABLE)
            assert polling.finds_nothing()

    def test_of_a_number_that_is_used_again(self, polling):
        for _ in range(3):
            ours, peer = socket.socketpair()
            with ours, peer:
                polling.poller.watch(ours.fileno(), READABLE, 0)
                assert polling.finds_nothing()
                peer.sendall(b"x")
                assert polling.find(ours.fileno()) == READABLE
                polling.poller.watch(ours.fileno(), 0, READABLE)


class TestClose:
    def test_ends_the_reports_and_leaves_the_descriptors_open(self, polling, ends):
        ours, peer = ends
        polling.poller.watch(ours.fileno(), BOTH, 0)
        polling.find(ours.fileno())
        polling.poller.close()
        gevent.sleep(0)
        polling.calls = 0
        peer.sendall(b"x")
        gevent.sleep(0.01)
        assert polling.calls == 0
        assert ours.recv(1) == b"x"

    def test_gives_its_own_descriptors_back(self, polling, ends):
        before = set(os.listdir("/proc/self/fd"))
        other = type(polling)(type(polling.poller))
        other.poller.watch(ends[0].fileno(), READABLE, 0)
        other.poller.close()
        assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", [EpollPoller, WatcherPoller])
def test_a_hub_need_not_wait_for_a_poller_that_watches_nothing(kind):
    def use_another_hub() -> bool:
        hub = gevent.get_hub()
        polling = Polling(kind, hub)
        ours, peer = socket.socketpair()
        polling.poller.watch(ours.fileno(), READABLE, 0)
        peer.sendall(b"x")
        while not polling.calls:
            gevent.sleep(0.001)
        polling.poller.watch(ours.fileno(), 0, READABLE)
        ours.close()
        peer.close()
        joined = hub.join(timeout=PATIENCE)
        polling.poller.close()
        hub.destroy()
        return bool(joined)

    assert in_thread(use_another_hub)()


class TestMakePoller:
    def test_prefers_epoll(self):
        poller = make_poller(gevent.get_hub(), lambda: None)
        assert isinstance(poller, EpollPoller)
        poller.close()

    def test_does_without(self, monkeypatch):
        monkeypatch.setattr("wsmiddleware.loop.poller.HAS_EPOLL", False)
        poller = make_poller(gevent.get_hub(), lambda: None)
        assert isinstance(poller, WatcherPoller)
        poller.close()

    def test_finds_epoll_in_a_patched_process(self):
        script = (
            "from gevent import monkey, get_hub; monkey.patch_all()\n"
            "from wsmiddleware.loop.poller import make_poller\n"
            "print(type(make_poller(get_hub(), print)).__name__)"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert result.stdout == "EpollPoller\n", result.stderr
