"""A servlet application, made with Webware's own tools: its pages work as before, and a socket stands beside them.

It runs in a process of its own: Webware changes the working folder, sys.path, stdout and signal handlers.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.program import BEGINNING
from tests.support.talk import TEXT, Talk, handshake
from tests.support.wsgi import PATIENCE, Client

SERVLETS = {
    "Order.py": """
from Page import Page

class Order(Page):

    def title(self):
        return "Order"

    def writeContent(self):
        fields = sorted(self.request().fields().items())
        self.writeln(f"<p>{self.request().method()}: {self.htmlEncode(repr(fields))}</p>")
""",
    "Cart.py": """
from Page import Page

class Cart(Page):

    def writeContent(self):
        session = self.session()
        session.setValue("things", session.value("things", 0) + 1)
        self.writeln(f"<p>{session.value('things')} in the cart</p>")
""",
    "Report.py": """
from HTTPServlet import HTTPServlet

class Report(HTTPServlet):

    def respondToGet(self, transaction):
        response = transaction.response()
        response.setHeader("Content-Type", "text/plain")
        for number in range(1000):
            response.write(f"line {number}\\n")
            if number % 100 == 0:
                response.flush()
""",
    "Away.py": """
from Page import Page

class Away(Page):

    def respond(self, transaction):
        self.response().sendRedirect("Main")
""",
    "Broken.py": """
from Page import Page

class Broken(Page):

    def writeContent(self):
        raise ZeroDivisionError
""",
    "style.css": "h1 { color: green }\n",
}
"""The files of the context Shop, besides those that Webware makes."""

PROGRAM = """
import gevent
import runpy
from gevent.fileobject import FileObject
from gevent.pywsgi import WSGIServer
from http.cookies import SimpleCookie
from werkzeug.exceptions import Forbidden
from wsmiddleware import WebSocketMiddleware

stdin, stdout, stderr = sys.stdin, sys.stdout, sys.stderr  # Webware puts its log in their place
servlets = runpy.run_path("Scripts/WSGIScript.py")["application"]

def cart_of(environ):
    cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("_SID_")
    return cookie and servlets.session(cookie.value, None)

def with_a_cart(environ):
    return None if cart_of(environ) else Forbidden("Put something into your cart first")

app = WebSocketMiddleware(servlets)

@app.route("/Shop/live", authorize=with_a_cart)
def live(session):
    for message in session:
        session.send(f"{message}: {cart_of(session.environ).value('things')} things")

@app.route("/echo/*")
def echo(session):
    for message in session:
        session.send(message)

servers = [
    WSGIServer(("127.0.0.1", 0), application, log=log, error_log=stderr)
    for application, log in ((servlets, None), (app, stderr))
]
for server in servers:
    server.start()
    print(server.server_port, file=stdout, flush=True)
FileObject(stdin).read()
app.stop()
for server in servers:
    server.stop()
servlets.shutDown()
print("stopped", file=stdout, flush=True)
"""


class Site(NamedTuple):
    folder: Path
    plain: int
    wrapped: int
    """The ports of the two servers, without and with the middleware. They serve one and the same application."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("webware") / "site"
    make = [sys.executable, "-m", "webware.Scripts.WebwareCLI", "make", "--context-name", "Shop", str(folder)]
    made = subprocess.run(make, capture_output=True, text=True, timeout=30, cwd=folder.parent)
    assert (made.returncode, made.stderr) == (0, ""), made.stderr
    for name, source in SERVLETS.items():
        (folder / "Shop" / name).write_text(source, encoding="utf-8")

    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with open(folder.parent / "stderr", "w+", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGINNING + PROGRAM],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield Site(folder, *(int(process.stdout.readline()) for _ in range(2)))
            printed, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        stderr.seek(0)
        lines = stderr.read().splitlines()
    assert printed == "stopped\n"
    # The access log, and nothing else.
    assert [line for line in lines if not line.startswith("127.0.0.1 - - [")] == []
    assert [line.split('"')[1] for line in lines if '" 101 ' in line] == SESSIONS


SESSIONS: list[str] = []
"""The request lines of all sessions that tests have begun."""


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def cookie(self) -> dict[str, str]:
        """The header that brings the session's cookie back."""
        return {"Cookie": dict(self.headers)["Set-Cookie"].partition(";")[0]}


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Ask for a page. What is different each time, the time, is left out."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request(method, path, body, {"Host": "localhost", **(headers or {})})
    response = connection.getresponse()
    answer = Answer(response.status, [item for item in response.getheaders() if item[0] != "Date"], response.read())
    connection.close()
    return answer


def connect(port: int) -> Client:
    return Client(socket.create_connection(("127.0.0.1", port), PATIENCE))


def talk(site: Site, path: str, fields: Mapping[str, str] | None = None) -> Talk:
    session = Talk(connect(site.wrapped), path, fields)
    SESSIONS.append(f"GET {path} HTTP/1.1")
    return session


FORM = {"Content-Type": "application/x-www-form-urlencoded"}

UPLOAD = b"\r\n".join(
    [
        b"--x",
        b'Content-Disposition: form-data; name="text"',
        b"",
        b"hello",
        b"--x",
        b'Content-Disposition: form-data; name="more"',
        b"",
        b"world" * 1000,
        b"--x--",
        b"",
    ]
)


class TestPages:
    @pytest.mark.parametrize(
        ("status", "expected", "request_"),
        [
            (200, b"Welcome to Webware for Python!", {"path": "/"}),
            (200, b"Welcome to Webware for Python!", {"path": "/Shop/Main"}),
            (200, b"", {"path": "/Shop/Main", "method": "HEAD"}),
            (200, b"GET: [('a', 'b'), ('c', '&lt;d&gt;')]", {"path": "/Shop/Order?a=b&c=%3Cd%3E"}),
            (
                200,
                b"POST: [('a', 'b'), ('c', 'd')]",
                {"path": "/Shop/Order?a=b", "method": "POST", "body": b"c=d", "headers": FORM},
            ),
            (
                200,
                b"POST: [('more', 'worldworld",
                {
                    "path": "/Shop/Order",
                    "method": "POST",
                    "body": UPLOAD,
                    "headers": {"Content-Type": "multipart/form-data; boundary=x"},
                },
            ),
            (200, b"line 999\n", {"path": "/Shop/Report"}),
            (200, b"h1 { color: green }", {"path": "/Shop/style.css"}),
            (302, b"", {"path": "/Shop/Away"}),
            (500, b"The site is having technical difficulties with this page.", {"path": "/Shop/Broken"}),
            (404, b"", {"path": "/Shop/Nothing"}),
            (404, b"", {"path": "/Shop/live"}),
            (404, b"", {"path": "/Shop/Nothing", "headers": {"Upgrade": "websocket", "Connection": "Upgrade"}}),
            (200, b"Welcome", {"path": "/", "headers": {"Upgrade": "h2c", "Connection": "Upgrade"}}),
            (200, b"Welcome", {"path": "/Examples/Welcome"}),
            (200, b"", {"path": "/Examples/ListBox"}),
            (200, b"", {"path": "/Examples/Colors"}),
            (200, b"", {"path": "/Examples/ajaxsuggest.js"}),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_are_the_same_as_before_to_the_byte(self, site, status, expected, request_):
        cart = ask(site.plain, "/Shop/Cart").cookie
        request_ = {**request_, "headers": {**cart, **request_.get("headers", {})}}
        before, after = ask(site.plain, **request_), ask(site.wrapped, **request_)
        assert after == before
        assert after.status == status
        assert expected in after.body

    def test_share_their_sessions(self, site):
        first = ask(site.wrapped, "/Shop/Cart")
        assert b"<p>1 in the cart</p>" in first.body
        for number, port in enumerate((site.plain, site.wrapped, site.wrapped, site.plain), 2):
            assert f"<p>{number} in the cart</p>".encode() in ask(port, "/Shop/Cart", headers=first.cookie).body
        assert b"<p>1 in the cart</p>" in ask(site.wrapped, "/Shop/Cart").body

    def test_that_change_on_the_disk_change_in_the_browser(self, site):
        servlet = site.folder / "Shop" / "New.py"
        assert ask(site.wrapped, "/Shop/New").status == 404
        servlet.write_text((site.folder / "Shop" / "Order.py").read_text().replace("Order", "New"))
        assert b"<p>GET: []</p>" in ask(site.wrapped, "/Shop/New").body

    def test_break_alone(self, site):
        log = site.folder / "Logs" / "Application.log"
        before = log.read_text().count("ZeroDivisionError")
        assert ask(site.wrapped, "/Shop/Broken").status == 500
        assert ask(site.wrapped, "/Shop/Main").status == 200
        assert log.read_text().count("ZeroDivisionError") > before


class TestSocket:
    def test_works_beside_the_pages(self, site):
        with talk(site, "/echo/beside") as session:
            for path in ("/Shop/Main", "/Shop/Report", "/Shop/Broken", "/Shop/Nothing"):
                assert session.echoes()
                assert ask(site.wrapped, path).body
            assert session.echoes()

    def test_may_have_a_path_among_those_of_servlets_and_know_their_sessions(self, site):
        cart = ask(site.wrapped, "/Shop/Cart").cookie
        with talk(site, "/Shop/live", cart) as session:
            session.send(TEXT, b"now")
            assert session.receive() == (0x81, b"now: 1 things")
            ask(site.plain, "/Shop/Cart", headers=cart)
            session.send(TEXT, b"then")
            assert session.receive() == (0x81, b"then: 2 things")

    @pytest.mark.parametrize("fields", [{}, {"Cookie": "_SID_=20000101000000-0123456789abcdef"}])
    def test_is_closed_to_who_has_no_session(self, site, fields):
        with connect(site.wrapped) as client:
            client.send(handshake("/Shop/live", fields))
            head, body = client.receive_response()
            assert head.startswith(b"HTTP/1.1 403 FORBIDDEN\r\n")
            assert b"Put something into your cart first" in body

    def test_does_not_exist_without_the_middleware(self, site):
        with connect(site.plain) as client:
            client.send(handshake("/Shop/live"))
            assert client.receive_head().startswith(b"HTTP/1.1 404 ")
