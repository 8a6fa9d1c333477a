"""Handshakes that are wrong: each gets a clear answer, and harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.logs import logged
from tests.support.talk import PAGE, Logs, echo, echoing, handshake, pages, talk
from tests.support.wsgi import Client, Server, headers_of, wait_until
from wsmiddleware import WebSocketMiddleware

METHOD = "405 Method Not Allowed"
BAD = "400 Bad Request"
ORIGIN = "403 Forbidden"
VERSION = "426 Upgrade Required"

HIXIE_76 = {
    "Sec-WebSocket-Key1": "4 @1  46546xW%0l 1 5",
    "Sec-WebSocket-Key2": "12998 5 Y3 1  .P00",
    "Sec-WebSocket-Version": None,
    "Sec-WebSocket-Key": None,
}
"""The handshake of draft-hixie-thewebsocketprotocol-76 and draft-ietf-hybi-thewebsocketprotocol-00, section 1.2."""

HIXIE_75 = {"WebSocket-Protocol": "sample", "Sec-WebSocket-Version": None, "Sec-WebSocket-Key": None}

MALFORMED = [
    pytest.param({"method": "POST"}, METHOD, "Expected the method GET, found 'POST'.", id="POST"),
    pytest.param({"method": "PUT"}, METHOD, "Expected the method GET, found 'PUT'.", id="PUT"),
    pytest.param({"method": "OPTIONS"}, METHOD, "Expected the method GET, found 'OPTIONS'.", id="OPTIONS"),
    pytest.param({"method": "get"}, METHOD, "Expected the method GET, found 'get'.", id="get"),
    pytest.param({"Host": None}, BAD, "Expected a Host, found none.", id="no Host"),
    pytest.param({"Connection": None}, BAD, "Expected Connection: Upgrade, found none.", id="no Connection"),
    pytest.param({"Connection": "keep-alive"}, BAD, "found 'keep-alive'.", id="Connection: keep-alive"),
    pytest.param({"Connection": "Upgraded"}, BAD, "found 'Upgraded'.", id="Connection: Upgraded"),
    pytest.param({"Connection": ""}, BAD, "found ''.", id="Connection empty"),
    pytest.param(
        {"Sec-WebSocket-Version": None}, VERSION, "Expected Sec-WebSocket-Version: 13, found none.", id="no version"
    ),
    *(
        pytest.param({"Sec-WebSocket-Version": version}, VERSION, f"found '{version}'.", id=f"version {version}")
        for version in ("0", "8", "12", "14", "13, 8", "013", "1 3", "")
    ),
    pytest.param(
        HIXIE_76, VERSION, "found none, and Sec-WebSocket-Key1, as in the drafts hixie-76 and hybi-00.", id="hixie-76"
    ),
    pytest.param(HIXIE_75, VERSION, "found none, and WebSocket-Protocol, as in the draft hixie-75.", id="hixie-75"),
    pytest.param(
        {"Sec-WebSocket-Key": None},
        BAD,
        "Expected one Sec-WebSocket-Key, 16 random bytes in base64, found none.",
        id="no key",
    ),
    *(
        pytest.param({"Sec-WebSocket-Key": key}, BAD, f"found '{key}'.", id=f"key {name}")
        for name, key in {
            "empty": "",
            "no base64": "not base64, but 24 long",
            "15 bytes": "AQIDBAUGBwgJCgsMDQ4P",
            "17 bytes": "AQIDBAUGBwgJCgsMDQ4PEBE=",
            "without padding": "dGhlIHNhbXBsZSBub25jZQ",
            "twice": "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        }.items()
    ),
    *(
        pytest.param(
            {"Sec-WebSocket-Protocol": offer}, BAD, f"to be a list of names, found '{offer}'.", id=f"protocols {offer}"
        )
        for offer in ("a b", "chat;q=1", "a, b/c", "(chat)")
    ),
    *(
        pytest.param(
            {"Sec-WebSocket-Extensions": offer}, BAD, f"with parameters, found '{offer}'.", id=f"extensions {offer}"
        )
        for offer in ("=;,", "permessage-deflate;", "a b", 'a; b="', "a; b=c d")
    ),
    *(
        pytest.param(
            {"Origin": origin},
            ORIGIN,
            f"Expected Origin to be that of a page of this host, 'localhost', found '{origin}'.",
            id=f"Origin {origin}",
        )
        for origin in (
            "http://evil.example",
            "http://localhost:81",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://localhost, http://evil.example",
            "null",
            "",
            "localhost",
            "http://localhost/",
            "javascript:alert(1)",
        )
    ),
]


def ask(change: dict[str, str | None]) -> bytes:
    """Return a handshake that is malformed in one way."""
    fields = {name: value for name, value in change.items() if name != "method"}
    return handshake(fields=fields, method=change.get("method") or "GET")


def assert_serves_pages(client: Client) -> None:
    """Assert that the connection is at the beginning of a request."""
    client.send(PAGE)
    head, body = client.receive_response()
    assert (head[:17], body) == (b"HTTP/1.1 200 OK\r\n", b"page /page")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(echoing()) as server:
        yield server


@pytest.fixture(autouse=True)
def logs(server, caplog) -> Iterator[Logs]:
    """Whatever a client has sent: afterwards the server serves, and has nothing to complain about."""
    logs = Logs(server)
    yield logs
    with talk(server) as session:
        assert session.echoes()
    assert logged(caplog, logging.ERROR) == []
    assert logs.errors == ""


class TestAnswer:
    @pytest.mark.parametrize(("change", "status", "text"), MALFORMED)
    def test_says_what_was_expected_and_what_was_found(self, server, logs, caplog, change, status, text):
        with server.connect() as client:
            client.send(ask(change))
            head, body = client.receive_response()
            assert head.startswith(f"HTTP/1.1 {status}\r\n".encode())
            assert text in body.decode("ascii")
            headers = headers_of(head)
            assert headers.pop("date")
            assert headers.pop("content-length") == str(len(body))
            assert headers.pop("content-type") == "text/plain; charset=utf-8"
            assert headers == {METHOD: {"allow": "GET"}, VERSION: {"sec-websocket-version": "13"}}.get(status, {})

            # The log says the same, in one line.
            assert caplog.messages == [f"refused a handshake for '/echo' from 127.0.0.1: {body.decode()[:-1]}"]
            wait_until(lambda: logs.accesses)
            method = change.get("method", "GET")
            assert logs.accesses == [(f"{method} /echo HTTP/1.1", status[:3])]

            # And the connection is as good as before.
            assert_serves_pages(client)
            client.send(handshake())
            assert client.receive_head().startswith(b"HTTP/1.1 101 ")

    def test_comes_in_pieces_just_as_well(self, server):
        with server.connect() as client:
            request = handshake(fields={"Sec-WebSocket-Key": "x"})
            for start in range(0, len(request), 40):
                client.send(request[start : start + 40])
            assert client.receive_response()[0].startswith(b"HTTP/1.1 400 ")

    def test_shows_not_all_of_a_flood(self, server, caplog):
        with server.connect() as client:
            client.send(handshake(fields={"Origin": "x" * 5000}))
            head, body = client.receive_response()
            assert head.startswith(b"HTTP/1.1 403 ")
            assert len(body) < 600
            assert len(caplog.messages[0]) < 800

    def test_shows_bytes_that_are_no_text_in_ascii(self, server):
        with server.connect() as client:
            client.send(handshake(fields={"Origin": "http://\xff\x80\x7f"}))
            assert rb"found 'http://\xff\x80\x7f'." in client.receive_response()[1]


class TestHead:
    def test_gets_no_body_so_that_the_next_answer_is_not_taken_for_it(self, server):
        with server.connect() as client:
            client.send(handshake(method="HEAD"))
            head = client.receive_head()
            assert head.startswith(b"HTTP/1.1 405 ")
            assert int(headers_of(head)["content-length"]) > 0
            assert_serves_pages(client)


class TestBody:
    """A body that a refused request brings is neither a request nor a frame, whatever it looks like."""

    SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

    @pytest.mark.parametrize(
        ("method", "status", "text"),
        [
            ("POST", METHOD, b"Expected the method GET"),
            ("GET", BAD, b"Expected a handshake without a body, found one."),
        ],
    )
    @pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
    def test_is_skipped(self, server, method, status, text, chunked):
        if chunked:
            field, body = (
                {"Transfer-Encoding": "chunked"},
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.SMUGGLED), self.SMUGGLED),
            )
        else:
            field, body = {"Content-Length": str(len(self.SMUGGLED))}, self.SMUGGLED
        with server.connect() as client:
            client.send(handshake(fields=field, method=method) + body)
            head, answer = client.receive_response()
            assert head.startswith(f"HTTP/1.1 {status}\r\n".encode())
            assert text in answer
            assert_serves_pages(client)


class TestHttpVersion:
    @pytest.mark.parametrize("connection", ["Upgrade", "Upgrade, keep-alive"])
    def test_1_0_has_no_upgrade_and_no_further_request(self, server, connection):
        with server.connect() as client:
            client.send(handshake(fields={"Connection": connection}, version="HTTP/1.0"))
            head, body = client.receive_response()
            assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"Expected HTTP/1.1, found 'HTTP/1.0'" in body
            assert headers_of(head)["connection"] == "close"
            assert client.receive_to_the_end() == b""

    def test_that_was_asked_to_close_is_closed(self, server):
        with server.connect() as client:
            client.send(handshake(fields={"Connection": "close"}))
            assert client.receive_response()[0].startswith(b"HTTP/1.1 400 ")
            assert client.receive_to_the_end() == b""


class TestWhatIsNotMalformed:
    @pytest.mark.parametrize(
        "fields",
        [
            {"Connection": "keep-alive, Upgrade"},
            {"Connection": "upgrade"},
            {"Upgrade": "WebSocket"},
            {"Upgrade": "h2c, websocket"},
            {"Origin": "http://localhost"},
            {"Origin": "https://LOCALHOST:443"},
            {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
            {"Sec-WebSocket-Protocol": "unknown, other"},
            {"Sec-WebSocket-Protocol": ", ,"},
            {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, x-unknown"},
            {"Sec-WebSocket-Extensions": ', ,foo; bar="a", '},
            {"Cookie": "\xff=\xfe"},
            {"Content-Length": "0"},
        ],
        ids=str,
    )
    def test_is_accepted(self, server, fields):
        with talk(server, fields=fields) as session:
            assert headers_of(session.head).keys() == {"upgrade", "connection", "sec-websocket-accept", "date"}
            assert session.echoes()

    @pytest.mark.parametrize("path", ["/page", "/echo/more", "/ech%6f%ff", "/"])
    def test_a_wrong_handshake_for_another_path_is_the_applications(self, server, path):
        with server.connect() as client:
            client.send(handshake(path, {"Sec-WebSocket-Version": None}, method="POST"))
            assert client.receive_response()[0].startswith(b"HTTP/1.1 200 ")

    def test_another_upgrade_is_the_applications(self, server):
        with server.connect() as client:
            client.send(handshake(fields={"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}))
            assert client.receive_response()[1] == b"page /echo"


class TestOverTls:
    def test_refuses_just_as_well(self):
        with Server(echoing(), tls=True) as server:
            with server.connect() as client:
                for change, status, text in [parameter.values for parameter in MALFORMED[::8]]:
                    client.send(ask(change))
                    head, body = client.receive_response()
                    assert head.startswith(f"HTTP/1.1 {status}\r\n".encode())
                    assert text in body.decode()
            with talk(server) as session:
                assert session.echoes()
            assert server.error_log.getvalue() == ""


class TestNamedOrigins:
    def test_are_told_to_who_comes_from_elsewhere(self):
        app = WebSocketMiddleware(pages, origins=["https://a.example", "b.example:8080"])
        app.register("/echo", echo)
        with Server(app) as server:
            for origin in ("https://a.example", "http://b.example:8080", None):
                with talk(server, fields={"Origin": origin}) as session:
                    assert session.echoes()
            with server.connect() as client:
                client.send(handshake(fields={"Origin": "http://localhost"}))
                head, body = client.receive_response()
                assert head.startswith(b"HTTP/1.1 403 ")
                assert b"Expected Origin to be one of 'https://a.example, b.example:8080', found 'http" in body
