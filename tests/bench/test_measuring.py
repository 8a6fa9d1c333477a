"""Measurements of real servers: every mode does what it says, and leaves nothing behind."""

from __future__ import annotations

import json
import resource
import socket
import time
from threading import Event

import pytest

from tests.bench.conftest import accept, answering
from tests.support.wire import frame
from tests.support.wsgi import PATIENCE, authority, open_sockets, wait_until
from wsmiddleware.bench import BenchError, Mode, Observer, Plan, measure
from wsmiddleware.bench.measuring import allow_descriptors
from wsmiddleware.loop.system import MAX_EVENTS, READABLE, EpollSet

SECONDS = 0.5


class Told(Observer):
    """What a measurement tells of itself."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def progress(self, opened, seconds):
        self.said.append((opened, seconds))

    def all_open(self):
        self.said.append("all open")


def plan(server, path, mode, **options) -> Plan:
    return Plan(f"ws://127.0.0.1:{server.port}{path}", mode, **{"seconds": SECONDS, **options})


class TestEcho:
    @pytest.mark.parametrize("path", ["/echo", "/servlet"])
    @pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
    @pytest.mark.parametrize(
        ("connections", "in_flight", "size"),
        [(1, 1, 1), (10, 1, 125), (10, 16, 126), (3, 100, 32), (2, 1, 65536), (2, 3, 300_000)],
    )
    def test_messages_come_back(self, server, path, text, connections, in_flight, size):
        result = measure(
            plan(server, path, Mode.ECHO, connections=connections, in_flight=in_flight, size=size, text=text)
        )
        assert (result.failed, result.failures) == (0, {})
        assert (result.mode, result.connections, result.opened) == ("echo", connections, connections)
        assert result.messages > 0
        assert result.seconds >= SECONDS
        assert result.rate == pytest.approx(result.messages / result.seconds)
        assert result.megabytes == pytest.approx(result.rate * size / 1e6)
        assert 0 < result.p50 <= result.p90 <= result.p99
        assert 0 < result.client_cpu <= 1

    def test_over_tls(self, tls_server):
        url = f"wss://localhost:{tls_server.port}/echo"
        result = measure(Plan(url, connections=5, in_flight=4, size=20_000, seconds=SECONDS, insecure=True))
        assert (result.failed, result.opened) == (0, 5)
        assert result.messages > 0

    def test_over_tls_with_a_certificate_that_is_trusted(self, tls_server, tmp_path, monkeypatch):
        authority().cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        result = measure(Plan(f"wss://localhost:{tls_server.port}/echo", seconds=SECONDS))
        assert (result.failed, result.opened) == (0, 1)

    def test_raw(self, rogue):
        def script(sock: socket.socket) -> None:
            while data := sock.recv(65536):
                sock.sendall(data)

        url = rogue(script).url
        result = measure(Plan(url, connections=3, in_flight=2, size=1000, seconds=SECONDS, raw=True))
        assert (result.failed, result.opened) == (0, 3)
        assert result.messages > 0

    def test_a_ping_is_no_message(self, rogue):
        assert measure(Plan(rogue(answering(frame(0x9), frame(0x2, b"x"))).url, size=1, seconds=SECONDS)).messages == 1

    def test_pings_are_answered(self, rogue):
        pongs = []

        def script(sock: socket.socket) -> None:
            accept(sock)
            sock.sendall(frame(0x9, b"hi"))
            pongs.append(sock.recv(8))

        measure(Plan(rogue(script).url, Mode.IDLE, seconds=SECONDS))
        assert pongs == [b"\x8a\x82\x00\x00\x00\x00hi"]


class TestFanOut:
    @pytest.mark.parametrize("burst", [1, 16])
    def test_messages_come_to_all(self, server, burst):
        result = measure(plan(server, "/fanout", Mode.FANOUT, connections=7, in_flight=burst))
        assert (result.failed, result.opened) == (0, 7)
        assert result.messages >= 7 * burst
        assert result.p50 > 0

    def test_goes_on_when_a_member_is_lost(self, rogue):
        sockets: list[socket.socket] = []
        all_there = Event()

        def script(sock: socket.socket) -> None:
            accept(sock)
            sockets.append(sock)
            if len(sockets) == 3:
                all_there.set()
            rounds = 0
            while sock.recv(7):  # Only one of them publishes.
                assert all_there.wait(PATIENCE)
                for member in sockets:
                    member.sendall(frame(0x2, b"x"))
                rounds += 1
                if rounds == 2:
                    lost = next(member for member in sockets if member is not sock)
                    sockets.remove(lost)
                    lost.shutdown(socket.SHUT_RDWR)

        result = measure(Plan(rogue(script).url, Mode.FANOUT, connections=3, size=1, seconds=SECONDS))
        assert result.failed == 1
        assert result.messages > 10


class TestIdle:
    def test_connections_are_held(self, server):
        result = measure(plan(server, "/servlet", Mode.IDLE, connections=300))
        assert (result.failed, result.opened, result.messages) == (0, 300, 0)
        assert result.p50 is result.p90 is result.p99 is None
        assert result.seconds >= SECONDS


class TestChurn:
    @pytest.mark.parametrize("path", ["/echo", "/servlet"])
    def test_connections_come_and_go(self, server, path):
        result = measure(plan(server, path, Mode.CHURN, connections=5))
        assert (result.failed, result.failures) == (0, {})
        assert result.messages > 5
        assert result.messages <= result.opened <= result.messages + 5
        assert result.p50 > 0


@pytest.mark.parametrize("mode", Mode)
class TestEveryMode:
    def test_leaves_no_socket_open(self, server, mode):
        before = open_sockets()
        measure(plan(server, "/fanout" if mode is Mode.FANOUT else "/echo", mode, connections=3))
        wait_until(lambda: not server.greenlets)
        wait_until(lambda: open_sockets() <= before)

    def test_tells_how_it_goes_on(self, server, mode):
        told = Told()
        measure(plan(server, "/fanout" if mode is Mode.FANOUT else "/echo", mode, connections=3, seconds=0.5), told)
        at = told.said.index("all open")
        assert all(seconds is None and 0 <= opened <= 3 for opened, seconds in told.said[:at])
        assert len(told.said) > at + 1
        assert all(0 <= seconds < 5 and 0 <= opened <= 3 for opened, seconds in told.said[at + 1 :])

    def test_says_goodbye(self, mode, rogue):
        """The last that a server gets is a close frame."""
        last: list[bytes] = []

        def script(sock: socket.socket) -> None:
            accept(sock)
            data = b""
            while received := sock.recv(65536):
                data += received
                if data.endswith(b"\x88\x82\x00\x00\x00\x00\x03\xe8"):
                    last.append(data)
                    sock.sendall(frame(0x8, b"\x03\xe8"))
                else:
                    sock.sendall(frame(0x2, bytes(32)))

        measure(Plan(rogue(script).url, mode, seconds=SECONDS))
        wait_until(lambda: last)


def test_headers_are_sent(rogue):
    requests: list[bytes] = []

    def script(sock: socket.socket) -> None:
        requests.append(sock.recv(4096))

    measure(Plan(rogue(script).url, headers=(("Origin", "https://example.org"), ("Cookie", "a=b")), seconds=SECONDS))
    assert b"\r\nOrigin: https://example.org\r\nCookie: a=b\r\n" in requests[0]


def test_a_result_is_json(server):
    result = measure(plan(server, "/echo", Mode.ECHO))
    told = json.loads(result.as_json())
    assert told["messages"] == result.messages
    assert told["p99"] == result.p99
    assert "\n" not in result.as_json()


class TestDescriptors:
    @pytest.fixture(autouse=True)
    def limits(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    def test_are_allowed_as_far_as_they_may_be(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        allow_descriptors(150)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, hard)
        allow_descriptors(250)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (250, hard)

    def test_that_are_too_few_are_told(self, monkeypatch):
        monkeypatch.setattr(resource, "getrlimit", lambda which: (200, 300))
        with pytest.raises(BenchError, match="^expected to be allowed 301 open files, found a limit of 300. Use fewer"):
            allow_descriptors(301)


def test_a_system_without_epoll_is_told(monkeypatch):
    monkeypatch.setattr("wsmiddleware.bench.measuring.HAS_EPOLL", False)
    with pytest.raises(BenchError, match="^expected a system with epoll, found one without"):
        measure(Plan("ws://localhost/"))


class TestWaiting:
    """What EpollSet has for us."""

    def test_ends_when_something_is_ready(self):
        ours, peer = socket.socketpair()
        epoll = EpollSet()
        with ours, peer:
            epoll.add(ours.fileno(), READABLE)
            peer.send(b"x")
            assert epoll.wait(60_000) == 1 <= MAX_EVENTS
            assert epoll.fd(0) == ours.fileno()
        epoll.close()

    def test_ends_when_it_takes_too_long(self):
        epoll = EpollSet()
        begun = time.monotonic()
        assert epoll.wait(20) == 0
        assert time.monotonic() - begun >= 0.019
        assert epoll.wait() == 0
        epoll.close()
