"""A Flask application with a login: its pages work as before, and its session cookie guards the socket."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask, Response, redirect, request, session, url_for
from werkzeug.exceptions import Unauthorized

from tests.support.logs import logged
from tests.support.talk import CLOSE, TEXT, handshake, talk
from tests.support.wsgi import PATIENCE, Server, headers_of
from wsmiddleware import Endpoint, WebSocketMiddleware

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ADA = b"name=Ada&password=analytical"


def make_site(static: Path) -> Flask:
    site = Flask(__name__, static_folder=str(static), static_url_path="/static")
    site.secret_key = "not so secret"

    @site.get("/")
    def index() -> Any:
        if "user" not in session:
            return redirect(url_for("login", next=request.path))
        return f"<h1>Hello {session['user']}</h1>"

    @site.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if request.method != "POST":
            return '<form method="post"><input name="name"><input name="password" type="password"></form>'
        if request.form["password"] != "analytical":
            return "Wrong password", 401
        session["user"] = request.form["name"]
        return redirect(request.args.get("next", url_for("index")))

    @site.post("/logout")
    def logout() -> Any:
        session.clear()
        return redirect(url_for("login"))

    @site.get("/stream")
    def stream() -> Response:
        return Response((f"line {number}\n" for number in range(1000)), mimetype="text/plain")

    @site.post("/upload")
    def upload() -> Any:
        body = request.get_data()
        return {"length": len(body), "digest": hashlib.sha256(body).hexdigest()}

    @site.get("/boom")
    def boom() -> Any:
        raise ZeroDivisionError

    @site.errorhandler(404)
    def missing(error: Exception) -> Any:
        return f"Nothing at {request.path}", 404

    return site


def guard(site: Flask) -> WebSocketMiddleware:
    """Give *site* a socket for those who are signed in."""

    def signed_in(environ: dict[str, Any]) -> Any:
        with site.request_context(environ):
            if "user" not in session:
                return Unauthorized("Sign in first")
            environ["site.user"] = session["user"]
            return None

    app = WebSocketMiddleware(site.wsgi_app, authorize=signed_in)

    @app.route("/live")
    class Live(Endpoint):
        def on_open(self, session):
            session.send(f"Hello {session.environ['site.user']}")

        def on_message(self, session, message):
            session.send(f"{session.environ['site.user']}: {message}")

    @app.route("/live/blocking")
    def live(session):
        for message in session:
            session.send(f"{session.environ['site.user']}: {message}")

    return app


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def cookie(self) -> str:
        return dict(self.headers)["Set-Cookie"].partition(";")[0]


def ask(
    server: Server, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Ask for a page on a connection of its own. What is different each time, the time, is left out."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request(method, path, body, {"Host": "localhost", **(headers or {})})
    response: HTTPResponse = connection.getresponse()
    answer = Answer(response.status, [item for item in response.getheaders() if item[0] != "Date"], response.read())
    connection.close()
    return answer


def sign_in(server: Server) -> dict[str, str]:
    """Return the header that says that it is Ada."""
    return {"Cookie": ask(server, "/login", "POST", ADA, FORM).cookie()}


class Sites(NamedTuple):
    plain: Server
    wrapped: Server


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The same application twice, as it is and with a socket."""
    static = tmp_path_factory.mktemp("static")
    (static / "app.js").write_text("console.log('hello')")
    (static / "big.bin").write_bytes(bytes(range(256)) * 4096)
    site = make_site(static)
    with Server(site) as plain, Server(guard(site)) as wrapped:
        yield Sites(plain, wrapped)
        assert plain.error_log.getvalue() == wrapped.error_log.getvalue() == ""


@pytest.fixture
def wrapped(sites: Sites) -> Server:
    return sites.wrapped


class TestPages:
    @pytest.mark.parametrize(
        ("status", "request_"),
        [
            (302, {"path": "/"}),
            (200, {"path": "/login"}),
            (200, {"path": "/login?next=/", "method": "HEAD"}),
            (200, {"path": "/login", "method": "OPTIONS"}),
            (405, {"path": "/logout"}),
            (401, {"path": "/login", "method": "POST", "body": b"name=Eve&password=?", "headers": FORM}),
            (400, {"path": "/login", "method": "POST", "body": b"name=Eve", "headers": FORM}),
            (200, {"path": "/stream"}),
            (200, {"path": "/upload", "method": "POST", "body": bytes(3_000_000)}),
            (200, {"path": "/static/app.js"}),
            (200, {"path": "/static/big.bin"}),
            (206, {"path": "/static/big.bin", "headers": {"Range": "bytes=100-199"}}),
            (304, {"path": "/static/app.js", "headers": {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}}),
            (404, {"path": "/static/missing.js"}),
            (404, {"path": "/missing/%C3%A9?x=1"}),
            (404, {"path": "/missing", "headers": {"Upgrade": "websocket"}}),
            (404, {"path": "/live"}),
            (404, {"path": "/live", "headers": {"Upgrade": "h2c", "Connection": "Upgrade"}}),
            (500, {"path": "/boom"}),
        ],
        ids=str,
    )
    def test_are_the_same_as_before_to_the_byte(self, sites, status, request_):
        before, after = ask(sites.plain, **request_), ask(sites.wrapped, **request_)
        assert after == before
        assert after.status == status

    def test_of_a_user_are_the_same_as_before(self, sites):
        for reader, writer in (sites, reversed(sites)):
            answer = ask(reader, "/", headers=sign_in(writer))
            assert (answer.status, answer.body) == (200, b"<h1>Hello Ada</h1>")

    def test_come_one_after_the_other_on_one_connection(self, wrapped):
        connection = HTTPConnection("127.0.0.1", wrapped.port, timeout=PATIENCE)
        for path, status in (("/login", 200), ("/stream", 200), ("/missing", 404), ("/boom", 500), ("/login", 200)):
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, bool(response.read())) == (status, True)
        connection.close()

    def test_can_be_asked_for_without_a_server(self, tmp_path):
        site = make_site(tmp_path)
        site.wsgi_app = guard(site)
        client = site.test_client()
        assert client.get("/login").status_code == 200
        assert client.get("/").location == "/login?next=/"
        assert client.get("/live").status_code == 404


class TestLogin:
    def test_leads_to_where_one_wanted_to_go_and_logout_back(self, wrapped):
        answer = ask(wrapped, "/")
        assert (answer.status, dict(answer.headers)["Location"]) == (302, "/login?next=/")
        answer = ask(wrapped, "/login?next=/", "POST", ADA, FORM)
        assert (answer.status, dict(answer.headers)["Location"]) == (302, "/")
        cookie = {"Cookie": answer.cookie()}
        assert ask(wrapped, "/", headers=cookie).body == b"<h1>Hello Ada</h1>"
        answer = ask(wrapped, "/logout", "POST", headers=cookie)
        assert (answer.status, dict(answer.headers)["Location"]) == (302, "/login")
        assert answer.cookie() == "session="


class TestSocket:
    def test_is_for_who_has_signed_in(self, wrapped):
        with talk(wrapped, "/live", sign_in(wrapped)) as live:
            assert live.receive() == (0x81, b"Hello Ada")
            live.send(TEXT, b"it works")
            assert live.receive() == (0x81, b"Ada: it works")
        with talk(wrapped, "/live/blocking", sign_in(wrapped)) as live:
            live.send(TEXT, b"it works")
            assert live.receive() == (0x81, b"Ada: it works")

    @pytest.mark.parametrize(
        "fields", [{}, {"Cookie": "session="}, {"Cookie": "session=eyJ1c2VyIjoiQWRhIn0.aaaaaa.forged"}]
    )
    def test_is_closed_to_all_others_who_get_a_page(self, wrapped, fields):
        with wrapped.connect() as client:
            client.send(handshake("/live", fields))
            head, body = client.receive_response()
            assert head.startswith(b"HTTP/1.1 401 UNAUTHORIZED\r\n")
            assert headers_of(head)["content-type"] == "text/html; charset=utf-8"
            assert b"<p>Sign in first</p>" in body
            client.send(b"GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.receive_response()[1].startswith(b"<form")

    def test_is_closed_to_pages_of_others_even_with_the_cookie(self, wrapped):
        with wrapped.connect() as client:
            client.send(handshake("/live", {**sign_in(wrapped), "Origin": "https://evil.example"}))
            assert client.receive_head().startswith(b"HTTP/1.1 403 ")

    def test_goes_on_while_its_user_turns_pages(self, wrapped):
        cookie = sign_in(wrapped)
        with talk(wrapped, "/live", {**cookie, "Origin": "http://localhost"}) as live:
            assert live.receive() == (0x81, b"Hello Ada")
            for path, status in (("/", 200), ("/stream", 200), ("/boom", 500), ("/missing", 404)):
                assert ask(wrapped, path, headers=cookie).status == status
                live.send(TEXT, path.encode())
                assert live.receive() == (0x81, f"Ada: {path}".encode())
            live.send(CLOSE, b"\x03\xe9")
            assert live.receive_close() == (1001, "")

    def test_shows_no_user_to_another(self, wrapped):
        bob = {"Cookie": ask(wrapped, "/login", "POST", ADA.replace(b"Ada", b"Bob"), FORM).cookie()}
        with talk(wrapped, "/live", sign_in(wrapped)) as one, talk(wrapped, "/live", bob) as other:
            assert [one.receive(), other.receive()] == [(0x81, b"Hello Ada"), (0x81, b"Hello Bob")]
            for live, name in ((other, b"Bob"), (one, b"Ada"), (other, b"Bob")):
                live.send(TEXT, b"me")
                assert live.receive() == (0x81, name + b": me")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Of what is logged at ERROR, only the page that is broken is to blame."""
    yield
    assert set(logged(caplog, logging.ERROR)) <= {"Exception on /boom [GET]"}
