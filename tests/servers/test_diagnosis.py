"""What is said when there is no connection to take over: which server it is, what was found, and what to do.

What is at hand is run. Of the other servers, what they pass to an application was noted from a run of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http.server import HTTPServer
from io import BytesIO, StringIO
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import make_server as make_wsgiref_server

import pytest
from werkzeug.serving import make_server as make_werkzeug_server
from werkzeug.test import Client as WerkzeugClient

from tests.support.wsgi import PATIENCE, diagnosis_of
from wsmiddleware.exceptions import ConnectionUnavailable, WebSocketError
from wsmiddleware.servers import find


class Noter:
    """An application that notes the diagnosis."""

    def __init__(self) -> None:
        self.diagnosis = ""

    def __call__(self, environ, start_response):
        self.diagnosis = diagnosis_of(environ, start_response)
        start_response("501 Not Implemented", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return [b""]


def diagnosis_under(make_server: Callable[[Noter], HTTPServer]) -> str:
    """Run a server, send it one request, and return what the application had to say."""
    noter = Noter()
    server = make_server(noter)
    thread = Thread(target=server.handle_request)
    thread.start()
    with pytest.raises(HTTPError) as raised:
        urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=PATIENCE)
    raised.value.close()
    thread.join(PATIENCE)
    server.server_close()
    assert raised.value.code == 501
    return noter.diagnosis


def from_module(name: str, qualified_name: str = "Response.start_response"):
    """Return a start_response that says it comes from there."""

    def start_response(status, headers, exc_info=None):
        pass

    start_response.__module__, start_response.__qualname__ = name, qualified_name
    return start_response


class TestTheText:
    def test_says_what_was_expected_what_was_found_and_what_to_do(self):
        environ = {"SERVER_SOFTWARE": "gunicorn/27.0.1", "gunicorn.socket": object(), "wsgi.input": BytesIO()}
        assert diagnosis_of(environ, from_module("gunicorn.http.wsgi")) == (
            "gunicorn (environ['gunicorn.socket']) gives no connection away: expected start_response to be, or to "
            "call, the method of the gevent.pywsgi.WSGIHandler that has made the environ, or wsgi.websocket to be one "
            "of gevent-websocket; found start_response is gunicorn.http.wsgi.Response.start_response, wsgi.input is "
            "_io.BytesIO, wsgi.websocket is missing. Of its workers only gevent_pywsgi is supported yet: run gunicorn "
            "with -k gevent_pywsgi, or serve the application with gevent.pywsgi.WSGIServer."
        )

    def test_is_the_error_s_text_too(self):
        with pytest.raises(WebSocketError) as raised:
            find({"wsgi.input": BytesIO()}, from_module("tests"))
        assert isinstance(raised.value, ConnectionUnavailable)
        assert str(raised.value) == raised.value.diagnosis != ""

    def test_tells_nothing_that_a_client_has_sent(self):
        environ = {"HTTP_COOKIE": "secret", "HTTP_AUTHORIZATION": "secret", "wsgi.input": StringIO("secret")}
        assert "secret" not in diagnosis_of(environ, from_module("tests"))

    def test_names_what_stands_under_wsgi_websocket(self):
        assert "wsgi.websocket is builtins.NoneType" in diagnosis_of({"wsgi.websocket": None}, from_module("tests"))
        assert "wsgi.websocket is builtins.object" in diagnosis_of({"wsgi.websocket": object()}, from_module("tests"))

    @pytest.mark.parametrize(
        ("start_response", "name"),
        [
            (print, "builtins.print"),
            (StringIO().write, "builtins.StringIO.write"),
            (partial(print), "functools.partial"),
            (Noter, "tests.servers.test_diagnosis.Noter"),
            (Noter(), "tests.servers.test_diagnosis.Noter"),
            (None, "builtins.NoneType"),
        ],
    )
    def test_names_a_start_response_of_any_kind(self, start_response, name):
        assert f"found start_response is {name}, wsgi.input is missing" in diagnosis_of({}, start_response)


class TestTestClients:
    """A request that somebody has made in memory."""

    REMEDY = "A request that is made in memory has no connection: serve the application with"

    def test_of_werkzeug(self):
        noter = Noter()
        WerkzeugClient(noter).get("/", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
        assert noter.diagnosis.startswith("a test client (start_response is werkzeug.test.run_wsgi_app.")
        assert self.REMEDY in noter.diagnosis

    @pytest.mark.parametrize(
        "start_response",
        [
            from_module("webtest.lint", "middleware.<locals>.lint_app.<locals>.start_response_wrapper"),
            from_module("httpx._transports.wsgi", "WSGITransport.handle_request.<locals>.start_response"),
        ],
        ids=["webtest", "httpx"],
    )
    def test_of_others(self, start_response):
        diagnosis = diagnosis_of({"wsgi.input": object()}, start_response)
        assert diagnosis.startswith(f"a test client (start_response is {start_response.__module__}.")
        assert self.REMEDY in diagnosis

    @pytest.mark.parametrize("body", [BytesIO(), StringIO()])
    def test_of_an_unknown_kind_shows_by_its_body(self, body):
        diagnosis = diagnosis_of({"SERVER_SOFTWARE": "home-made", "wsgi.input": body}, from_module("tests"))
        assert diagnosis.startswith(f"a test client (wsgi.input is _io.{type(body).__name__})")
        assert self.REMEDY in diagnosis


class TestServersThatAreNotSupportedYet:
    REMEDY = "This server is not supported yet: serve the application with gevent.pywsgi.WSGIServer."

    def test_wsgiref(self):
        class Silent(WSGIRequestHandler):
            def log_message(self, *arguments):
                pass

        diagnosis = diagnosis_under(lambda app: make_wsgiref_server("127.0.0.1", 0, app, handler_class=Silent))
        assert diagnosis.startswith("wsgiref (SERVER_SOFTWARE 'WSGIServer/0.2")
        assert diagnosis.endswith(self.REMEDY)

    def test_werkzeug_s(self):
        diagnosis = diagnosis_under(lambda app: make_werkzeug_server("127.0.0.1", 0, app))
        assert diagnosis.startswith("werkzeug's development server (environ['werkzeug.socket'])")
        assert diagnosis.endswith(self.REMEDY)

    @pytest.mark.parametrize(
        ("name", "environ"),
        [
            ("uWSGI (environ['uwsgi.version'])", {"uwsgi.version": b"2.0.31"}),
            ("eventlet (environ['eventlet.input'])", {"eventlet.input": object()}),
            ("waitress (environ['waitress.client_disconnected'])", {"waitress.client_disconnected": print}),
            ("waitress (SERVER_SOFTWARE 'waitress')", {"SERVER_SOFTWARE": "waitress"}),
            ("cheroot (SERVER_SOFTWARE 'Cheroot/11.1.2 Server')", {"SERVER_SOFTWARE": "Cheroot/11.1.2 Server"}),
            ("werkzeug's development server (SERVER_SOFTWARE", {"SERVER_SOFTWARE": "Werkzeug/3.1.9"}),
            ("an unknown server (SERVER_SOFTWARE 'Netscape')", {"SERVER_SOFTWARE": "Netscape"}),
            ("an unknown server (SERVER_SOFTWARE None)", {}),
        ],
    )
    def test_others(self, name, environ):
        diagnosis = diagnosis_of({"wsgi.input": object(), **environ}, from_module("tests"))
        assert diagnosis.startswith(name)
        assert diagnosis.endswith(self.REMEDY)

    @pytest.mark.parametrize("environ", [{"gunicorn.socket": object()}, {"SERVER_SOFTWARE": "gunicorn/27.0.1"}])
    def test_gunicorn_but_for_one_worker(self, environ):
        diagnosis = diagnosis_of({"wsgi.input": object(), **environ}, from_module("gunicorn.http.wsgi"))
        assert diagnosis.startswith("gunicorn (")
        assert "run gunicorn with -k gevent_pywsgi" in diagnosis


class TestServersThatGiveNothingAway:
    REMEDY = "This server keeps its connections to itself: serve the application with gevent.pywsgi.WSGIServer."

    @pytest.mark.parametrize(
        ("name", "environ", "start_response"),
        [
            ("granian (SERVER_SOFTWARE 'Granian')", {"SERVER_SOFTWARE": "Granian"}, from_module("granian.wsgi")),
            ("mod_wsgi (environ['mod_wsgi.version'])", {"mod_wsgi.version": (5, 0, 2)}, print),
            ("an ASGI server (environ['asgi.scope'])", {"asgi.scope": {}}, from_module("a2wsgi.wsgi")),
            ("an ASGI server (start_response is a2wsgi.wsgi.", {}, from_module("a2wsgi.wsgi")),
            ("an ASGI server (start_response is asgiref.wsgi.", {}, from_module("asgiref.wsgi")),
            ("an ASGI server (start_response is hypercorn.app_wr", {}, from_module("hypercorn.app_wrappers")),
        ],
    )
    def test_are_named(self, name, environ, start_response):
        diagnosis = diagnosis_of({"wsgi.input": object(), **environ}, start_response)
        assert diagnosis.startswith(name)
        assert diagnosis.endswith(self.REMEDY)


class TestTheOrder:
    @pytest.mark.parametrize(
        ("name", "environ", "start_response"),
        [
            ("waitress", {"SERVER_SOFTWARE": "waitress"}, from_module("waitress.task")),
            ("an ASGI server", {}, from_module("hypercorn.app_wrappers")),
            ("gevent.pywsgi", {"SERVER_SOFTWARE": "gevent/26.9 Python/3.11"}, from_module("some.middleware")),
        ],
    )
    def test_a_body_in_memory_does_not_hide_the_server(self, name, environ, start_response):
        assert diagnosis_of({"wsgi.input": BytesIO(), **environ}, start_response).startswith(name + " (")
