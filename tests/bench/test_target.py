"""URLs, requests and the answers to them."""

from __future__ import annotations

import socket
import ssl

import pytest

from wsmiddleware.bench.errors import BenchError, ReplyError
from wsmiddleware.bench.target import ACCEPT, KEY, MAX_HEAD, Target, answer_size
from wsmiddleware.protocol.forwarded import TrustedProxies
from wsmiddleware.protocol.handshake import Accepted, shake_hands
from wsmiddleware.protocol.origin import Origins

ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
).encode()

TEXT = "Content-Type: text/plain; charset=utf-8\r\n"


class TestParse:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("ws://localhost:8000/echo", Target("localhost", 8000, "/echo", False)),
            ("wss://example.org", Target("example.org", 443, "/", True)),
            ("ws://example.org/a/b?c=d&e", Target("example.org", 80, "/a/b?c=d&e", False)),
            ("ws://[::1]:8000/", Target("::1", 8000, "/", False)),
        ],
    )
    def test_takes_a_url_apart(self, url, expected):
        assert Target.parse(url) == expected

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost:8000",
            "http://localhost/",
            "ws:///path",
            "ws://localhost:x/",
            "ws://localhost:99999/",
            "ws://localhost/#fragment",
            "ws://localhost/a b",
            "ws://localhost/\r\nX: y",
        ],
    )
    def test_refuses_what_is_no_url_of_a_websocket(self, url):
        with pytest.raises(ValueError, match="^expected a URL like ws://host:port/path or wss://host/path, found "):
            Target.parse(url)


class TestRequest:
    def fields(self, request: bytes) -> dict[str, str]:
        lines = request.decode().split("\r\n")
        assert lines[0] == "GET /echo HTTP/1.1" and lines[-2:] == ["", ""]
        pairs = [line.split(": ", 1) for line in lines[1:-2]]
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)

    def test_is_what_the_rfc_asks_for(self):
        fields = self.fields(Target.parse("ws://localhost:8000/echo").request())
        assert fields == {
            "Host": "localhost:8000",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13",
        }

    def test_is_what_our_handshake_accepts(self):
        fields = self.fields(Target.parse("ws://localhost:8000/echo").request())
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
        environ |= {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1"}
        answer = shake_hands(environ, origins=Origins(None), subprotocols=(), proxies=TrustedProxies(()))
        assert isinstance(answer, Accepted)
        assert dict(answer.headers)["Sec-WebSocket-Accept"] == ACCEPT

    @pytest.mark.parametrize(
        ("url", "host"),
        [
            ("ws://example.org/echo", "example.org"),
            ("wss://example.org/echo", "example.org"),
            ("ws://example.org:443/echo", "example.org:443"),
            ("ws://[::1]/echo", "[::1]"),
            ("ws://[::1]:81/echo", "[::1]:81"),
        ],
    )
    def test_names_the_port_unless_it_is_the_usual_one(self, url, host):
        assert self.fields(Target.parse(url).request())["Host"] == host

    def test_has_what_is_added(self):
        fields = self.fields(Target.parse("ws://localhost/echo").request([("Origin", "https://example.org")]))
        assert fields["Origin"] == "https://example.org"

    def test_has_what_takes_the_place_of_something(self):
        fields = self.fields(Target.parse("ws://localhost/echo").request([("HOST", "example.org")]))
        assert fields["HOST"] == "example.org"
        assert "Host" not in fields

    @pytest.mark.parametrize("header", [("", "x"), ("a b", "x"), ("a", "x\r\ny: z"), ("ä", "x"), ("a", "\u20ac")])
    def test_refuses_what_cannot_stand_in_it(self, header):
        with pytest.raises(ValueError, match="^expected a header like 'Name: value', found "):
            Target.parse("ws://localhost/").request([header])


class TestAnswer:
    def test_is_known_by_its_size(self):
        assert answer_size(ANSWER) == len(ANSWER)
        assert answer_size(ANSWER + b"\x82\x00") == len(ANSWER)

    def test_is_waited_for(self):
        for size in range(len(ANSWER)):
            assert answer_size(ANSWER[:size]) == 0

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ("HTTP/1.1 404 Not Found\r\n\r\n", "expected the status 101, found 'HTTP/1.1 404 Not Found'. Check"),
            (
                f"HTTP/1.1 403 Forbidden\r\n{TEXT}Content-Length: 9\r\n\r\nname it\r\n",
                "as a header. It says: 'name it'",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n<html>", "found 'HTTP/1.1 200 OK'. Check that the URL is for WebSockets"),
            ("HTTP/1.0 101 Yes\r\n\r\n", "expected the status 101, found 'HTTP/1.0 101 Yes'"),
            ("SSH-2.0-OpenSSH\r\n", "expected an answer in HTTP, found b'SSH-2.0-OpenSSH\\r\\n'"),
            ("H" + "x" * MAX_HEAD, "expected an answer in HTTP"),
            ("HTTP/1.1 101 Yes\r\nX: " + "x" * MAX_HEAD, "expected an answer in HTTP"),
            ("HTTP/1.1 101 Yes\r\n\r\n", f"expected Sec-WebSocket-Accept: {ACCEPT} in the 101, found none"),
            ("HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n", "in the 101, found 'x'"),
        ],
    )
    def test_of_another_kind_is_refused(self, answer, expected):
        with pytest.raises(ReplyError) as error:
            answer_size(answer.encode())
        assert expected in str(error.value)

    def test_of_another_kind_is_waited_for_if_it_explains_itself(self):
        answer = f"HTTP/1.1 403 Forbidden\r\n{TEXT}Content-Length: 7\r\n\r\nname it".encode()
        for size in range(len(answer)):
            assert answer_size(answer[:size]) == 0
        with pytest.raises(ReplyError, match="It says: 'name it'$"):
            answer_size(answer)
        with pytest.raises(ReplyError, match="It says: 'name'$"):
            answer_size(answer[:-3], ended=True)

    def test_that_ends_too_early(self):
        with pytest.raises(ReplyError, match="^expected an answer to the handshake, found the end of the connection$"):
            answer_size(ANSWER[:-1], ended=True)


class TestResolve:
    def test_says_that_there_is_no_such_host(self, monkeypatch):
        def fail(*arguments, **options):
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(BenchError, match="^expected the host 'nowhere' to have an address, found none: .* Check"):
            Target.parse("ws://nowhere/").resolve()

    def test_takes_the_address_that_answers(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as gone:
            listening, closed = listener.getsockname(), gone.getsockname()
            gone.close()
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (closed, listening)]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
            assert Target.parse("ws://localhost/").resolve() == (socket.AF_INET, listening)

    def test_takes_the_first_if_none_answers(self, monkeypatch):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (1, 2)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
        assert Target.parse("ws://localhost/").resolve() == (socket.AF_INET, ("127.0.0.1", 1))


class TestContext:
    def test_is_for_tls_only(self):
        assert Target.parse("ws://localhost/").context(insecure=False) is None

    @pytest.mark.parametrize(("insecure", "mode"), [(False, ssl.CERT_REQUIRED), (True, ssl.CERT_NONE)])
    def test_looks_at_the_certificate_unless_told_otherwise(self, insecure, mode):
        context = Target.parse("wss://localhost/").context(insecure)
        assert context is not None
        assert context.verify_mode == mode
        assert context.check_hostname is not insecure
