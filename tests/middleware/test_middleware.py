"""The middleware: what it lets pass, and what it makes a session of."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from io import BytesIO
from typing import Any

import gevent
import pytest
from werkzeug.exceptions import Unauthorized

from tests.support.joined import RETURNED, JoinedTakeover, said, say_hello
from tests.support.wire import frame
from wsmiddleware import Endpoint, WebSocketMiddleware


def say_place(session):
    session.send(f"{session.environ['SCRIPT_NAME']}|{session.environ['PATH_INFO']}")


def say_params(session, **params):
    session.send(repr(params))


class CountingDict(dict):
    """Notes how it is looked into."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.looks: list[tuple[Any, ...]] = []


def _counted(name: str) -> Any:
    def method(self, *args):
        self.looks.append((name, *args))
        return getattr(super(CountingDict, self), name)(*args)

    return method


for _name in (
    "__contains__ __eq__ __getitem__ __ior__ __iter__ __len__ __or__ __repr__ __setitem__ __delitem__ "
    "clear copy get items keys pop popitem setdefault update values"
).split():
    setattr(CountingDict, _name, _counted(_name))


class TestPassingThrough:
    def test_costs_one_look_into_the_environ(self, app, legacy):
        app.register("/", say_hello)
        environ = CountingDict({"REQUEST_METHOD": "GET", "PATH_INFO": "/"})
        assert app(environ, lambda status, headers: None) is legacy.answer
        assert environ.looks == [("__contains__", "HTTP_UPGRADE")]

    @pytest.mark.parametrize(
        "request_",
        [
            pytest.param({"HTTP_UPGRADE": None}, id="no upgrade"),
            pytest.param({"HTTP_UPGRADE": None, "REQUEST_METHOD": "POST"}, id="no upgrade, POST"),
            pytest.param({"HTTP_UPGRADE": "h2c"}, id="another protocol"),
            pytest.param({"HTTP_UPGRADE": "h2c, TLS/1.0"}, id="other protocols"),
            pytest.param({"HTTP_UPGRADE": "websocket2"}, id="a protocol whose name begins like ours"),
            pytest.param({"HTTP_UPGRADE": ""}, id="no protocol"),
            pytest.param({"path": "/other"}, id="a path that is not registered"),
            pytest.param({"path": "/page/seven"}, id="a path that no converter takes"),
            pytest.param({"path": ""}, id="no path"),
        ],
    )
    def test_hands_on_and_returns_the_very_same_objects(self, app, legacy, join, request_):
        app.register("/socket", say_hello)
        app.register("/page/<int:number>", say_params)
        client = join(**{"path": "/socket", **request_})
        before = dict(client.environ)
        start_response = client.start_response
        answer = app(client.environ, start_response)
        assert answer is legacy.answer
        ((environ, handed_on),) = legacy.calls
        assert environ is client.environ
        assert environ == before
        assert handed_on is start_response

    def test_lets_what_the_application_raises_through(self, join):
        def broken(environ, start_response):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            join(HTTP_UPGRADE=None).ask(WebSocketMiddleware(broken))

    def test_touches_no_iterable(self, join):
        class Untouchable:
            def __iter__(self):
                raise AssertionError("expected the server to iterate")

            def close(self):
                raise AssertionError("expected the server to close")

        untouchable: Any = Untouchable()
        app = WebSocketMiddleware(lambda environ, start_response: untouchable)
        assert app(join("/").environ, lambda *args: None) is untouchable


class TestWrapping:
    @pytest.mark.parametrize("wrapped", [None, "app", 1])
    def test_wraps_what_can_be_called(self, wrapped):
        with pytest.raises(TypeError, match="expected a WSGI application to wrap, found "):
            WebSocketMiddleware(wrapped)

    @pytest.mark.parametrize(
        ("options", "error", "complaint"),
        [
            ({"max_sessions": 0}, ValueError, "expected max_sessions to be 1 or more, found 0"),
            ({"trusted_proxies": "10.0.0.1"}, ValueError, "expected a list of trusted proxies"),
            ({"trusted_proxies": ["proxy"]}, ValueError, "expected a trusted proxy to be an IP address"),
            ({"on_unavailable": "application"}, TypeError, "expected on_unavailable to be .*, found 'application'"),
            ({"max_message_size": 0}, ValueError, "expected max_message_size to be 1 or more, found 0"),
            ({"origin": "*"}, TypeError, "expected options among .*, found origin$"),
        ],
    )
    def test_checks_its_options_at_once(self, legacy, options, error, complaint):
        with pytest.raises(error, match=complaint):
            WebSocketMiddleware(legacy, **options)


class TestRegistering:
    def test_by_decorator_leaves_what_it_decorates(self, app, join):
        def function(session):
            session.send("function")

        class Chat(Endpoint):
            def on_open(self, session):
                session.send("class")
                session.close()

        assert app.route("/function")(function) is function
        assert app.route("/class")(Chat) is Chat
        assert said(join("/function").upgrade(app)) == "function"
        assert join("/class").upgrade(app).receive(7) == frame(0x1, b"class")

    @pytest.mark.parametrize("path", ["/chat", "/chat/<room>", "/chat/*", "*.chat"])
    def test_twice_is_an_error_that_says_which_path(self, app, path):
        app.register(path, Endpoint)
        with pytest.raises(ValueError) as refusal:
            app.register(path, Endpoint)
        assert repr(path) in str(refusal.value)

    @pytest.mark.parametrize("path", ["", "chat", "/chat/<room", "/a*b"])
    def test_of_what_is_no_path_is_an_error(self, app, path):
        with pytest.raises(ValueError, match="expected a URL pattern like "):
            app.register(path, Endpoint)

    def test_checks_that_a_function_takes_the_paths_parameters(self, app, join):
        for path, complaint in [("/chat/<room>", r"\(session, room\)"), ("/chat/*", r"\(session\)")]:
            with pytest.raises(TypeError, match=f"expected a function that can be called with {complaint}"):
                app.register(path, lambda session, name: None)
        with pytest.raises(TypeError, match="expected a subclass of Endpoint or a function"):
            app.route("/chat")(dict)
        assert join("/chat").ask(app).body == b"old page"

    def test_checks_the_options(self, app, join):
        with pytest.raises(TypeError, match="found max_size$"):
            app.register("/", say_hello, max_size=1)
        with pytest.raises(ValueError, match="expected max_message_size"):
            app.route("/", max_message_size=0)(say_hello)
        app.register("/", say_hello)  # what was refused has left nothing behind
        assert said(join("/").upgrade(app)) == "hello"

    def test_works_while_serving(self, app, join):
        assert join("/late").ask(app).body == b"old page"
        app.register("/late", say_hello)
        assert said(join("/late").upgrade(app)) == "hello"


class TestRouting:
    @pytest.mark.parametrize(
        ("path", "params"),
        [
            ("/chat/lobby", {"room": "lobby"}),
            ("/chat/sp%C3%A9".replace("%C3%A9", "\xc3\xa9"), {"room": "spé"}),
            ("/page/7", {"number": 7}),
            ("/wiki/a/b", {"page": "a/b"}),
            ("/files/a/b", {}),
        ],
    )
    def test_hands_the_paths_parameters_over_converted(self, app, join, path, params):
        for pattern in ("/chat/<room>", "/page/<int:number>", "/wiki/<path:page>", "/files/*"):
            app.register(pattern, say_params)
        assert said(join(path).upgrade(app)) == repr(params)

    def test_leaves_them_in_the_session_for_an_endpoint(self, app, join):
        @app.route("/chat/<room>")
        class Chat(Endpoint):
            def on_open(self, session):
                session.send(repr(session.params))

        assert join("/chat/lobby").upgrade(app).receive(19) == frame(0x1, b"{'room': 'lobby'}")

    @pytest.mark.parametrize(
        ("pattern", "script", "path", "place"),
        [
            ("/chat", "", "/chat", "|/chat"),
            ("/chat", "/app", "/chat", "/app|/chat"),
            ("/chat/<room>", "/app", "/chat/x", None),
            ("/chat/*", "", "/chat", "/chat|"),
            ("/chat/*", "/app", "/chat/", "/app/chat|/"),
            ("/chat/*", "/app", "/chat/x/y", "/app/chat|/x/y"),
            ("/*", "/app", "/chat", "/app|/chat"),
            ("*.chat", "/app", "/x/y.chat", "/app|/x/y.chat"),
        ],
    )
    def test_knows_where_the_application_is_mounted(self, app, join, pattern, script, path, place):
        def endpoint(session, room=None):
            say_place(session)

        app.register(pattern, endpoint)
        client = join(path, SCRIPT_NAME=script)
        assert said(client.upgrade(app)) == (place or f"{script}|{path}")
        assert (client.environ["SCRIPT_NAME"], client.environ["PATH_INFO"]) == (script, path)

    def test_does_not_look_for_routes_in_the_script_name(self, app, join):
        app.register("/chat", say_hello)
        assert join("", SCRIPT_NAME="/chat").ask(app).body == b"old page"

    def test_takes_requests_in_which_websocket_is_one_protocol_of_several(self, app, join):
        app.register("/", say_hello)
        assert said(join("/", HTTP_UPGRADE="h2c, WebSocket").upgrade(app)) == "hello"


class TestOptions:
    def test_of_a_route_precede_those_of_the_middleware(self, legacy, join):
        app = WebSocketMiddleware(legacy, origins=["https://a.example"], subprotocols=["one"])
        app.register("/default", say_hello)
        app.register("/own", say_hello, origins="*", subprotocols=["two"])
        offer = {"HTTP_SEC_WEBSOCKET_PROTOCOL": "one, two"}
        assert join("/default", HTTP_ORIGIN="https://b.example").ask(app).status == "403 Forbidden"
        default = join("/default", HTTP_ORIGIN="https://a.example", **offer).upgrade(app)
        assert default.headers["Sec-WebSocket-Protocol"] == "one"
        own = join("/own", HTTP_ORIGIN="https://b.example", **offer).upgrade(app)
        assert own.headers["Sec-WebSocket-Protocol"] == "two"

    def test_none_takes_a_default_back(self, legacy, join):
        app = WebSocketMiddleware(legacy, authorize=lambda environ: Unauthorized())
        app.register("/public", say_hello, authorize=None)
        app.register("/private", say_hello)
        assert said(join("/public").upgrade(app)) == "hello"
        assert join("/private").ask(app).status == "401 UNAUTHORIZED"

    def test_decide_how_much_a_message_may_hold(self, app, join):
        @app.route("/", max_message_size=4)
        def echo(session):
            for message in session:
                session.send(message)

        client = join("/").upgrade(app)
        client.send(0x1, b"1234")
        assert client.receive(6) == frame(0x1, b"1234")
        client.send(0x1, b"12345")
        assert client.receive(4)[2:] == (1009).to_bytes(2, "big")


class TestAuthorizing:
    def test_comes_after_the_handshake_and_before_the_answer(self, app, join):
        events = []
        client = None

        def authorize(environ):
            events.append((client.status, environ is client.environ) if client else None)

        @app.route("/", authorize=authorize)
        def endpoint(session):
            events.append((client.status, "endpoint"))

        for wrong in ({"HTTP_SEC_WEBSOCKET_VERSION": "12"}, {"HTTP_ORIGIN": "https://elsewhere.example"}):
            assert join("/", **wrong).ask(app).status[0] == "4"
        assert events == []
        client = join("/")
        assert client.upgrade(app).receive(4) == RETURNED
        assert events == [("", True), ("101 Switching Protocols", "endpoint")]

    def test_may_answer_with_any_response(self, app, join):
        body = [b"who are you?"]

        def answer(environ, start_response):
            assert environ is client.environ
            start_response("401 Who?", [("WWW-Authenticate", "Basic")])
            return body

        app.register("/", say_hello, authorize=lambda environ: answer)
        client = join("/")
        assert app(client.environ, client.start_response) is body
        assert (client.status, client.headers) == ("401 Who?", {"WWW-Authenticate": "Basic"})
        assert client.environ["test.socket"].fileno() >= 0  # it is still the server's

    def test_that_raises_has_answered_nothing(self, app, join):
        app.register("/", say_hello, authorize=lambda environ: 1 / 0)
        client = join("/")
        with pytest.raises(ZeroDivisionError):
            client.ask(app)
        assert client.status == ""
        assert client.environ["test.socket"].fileno() >= 0

    def test_may_wait(self, app, join):
        app.register("/", say_hello, authorize=lambda environ: gevent.sleep(0.01))
        assert said(join("/").upgrade(app)) == "hello"

    def test_hands_context_variables_to_the_session(self, app, join):
        user: ContextVar[str] = ContextVar("user", default="nobody")

        def say_user(session):
            session.send(user.get())
            user.set("somebody else")

        app.register("/", say_user, authorize=lambda environ: user.set(environ["REMOTE_USER"]) and None)
        ada = join("/", REMOTE_USER="Ada").upgrade(app)
        bob = join("/", REMOTE_USER="Bob").upgrade(app)
        assert [said(ada), said(bob)] == ["Ada", "Bob"]


class TestSessionEnviron:
    def test_is_a_copy_without_what_belongs_to_the_connection(self, app, join):
        environs = []
        app.register("/", lambda session: environs.append(session.environ))
        body = BytesIO(b"body")
        client = join("/", **{"wsgi.input": body, "wsgi.websocket": object(), "HTTP_COOKIE": "a=b"}).upgrade(app)
        assert client.receive(4) == RETURNED
        (environ,) = environs
        assert environ is not client.environ
        assert environ["HTTP_COOKIE"] == "a=b"
        assert environ["wsgi.input"] is not body
        assert environ["wsgi.input"].read() == b""
        assert "wsgi.websocket" not in environ

    @pytest.mark.parametrize(("proxies", "address"), [([], "192.0.2.7"), (["192.0.2.7"], "203.0.113.9")])
    def test_tells_the_address_as_far_as_proxies_are_trusted(self, legacy, join, proxies, address):
        app = WebSocketMiddleware(legacy, trusted_proxies=proxies)
        app.register("/", lambda session: session.send(session.remote_address))
        assert said(join("/", HTTP_X_FORWARDED_FOR="203.0.113.9").upgrade(app)) == address


class TestBytesBehindTheRequest:
    def test_are_the_sessions(self, app, join):
        app.register("/", lambda session: session.send(session.receive().upper()))
        client = join("/", **{"test.early": b"\x81\x85\0\0\0\0early"}).upgrade(app)
        assert said(client) == "EARLY"


class TestAnEndpointThatCannotBeMade:
    def test_is_an_error_before_anything_is_answered(self, app, join):
        @app.route("/")
        class Broken(Endpoint):
            def __init__(self):
                raise ZeroDivisionError

        client = join("/")
        with pytest.raises(ZeroDivisionError):
            client.ask(app)
        assert client.status == ""


class TestClientThatHasGone:
    @pytest.mark.parametrize("step", ["accept", "take"])
    def test_makes_no_session_and_no_error(self, app, join, monkeypatch, caplog, step):
        def gone(*arguments):
            raise BrokenPipeError("gone")

        app.register("/", say_hello)
        monkeypatch.setattr(JoinedTakeover, step, gone)
        caplog.set_level(logging.INFO, "wsmiddleware")
        assert list(app((client := join("/")).environ, client.start_response)) == []
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("INFO", "the client of '/' has gone before its handshake was answered: gone")
        ]
        app.stop(timeout=0)
