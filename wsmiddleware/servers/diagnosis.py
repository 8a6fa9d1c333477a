"""What to say when no server gives its connection away: which server it looks like, and what to do about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Sign: TypeAlias = "Callable[[WSGIEnvironment, StartResponse], str | None]"
"""Looks for the mark of a server. Returns what it has found, None if nothing."""


class Suspect(NamedTuple):
    """A server that there is no adapter for, or one whose adapter has failed."""

    name: str
    signs: tuple[Sign, ...]
    """Any of them is enough."""
    remedy: str


def key(name: str) -> Sign:
    """The mark is a key in the environ."""
    return lambda environ, start_response: f"environ[{name!r}]" if name in environ else None


def software(prefix: str) -> Sign:
    """The mark is the beginning of SERVER_SOFTWARE."""

    def sign(environ: WSGIEnvironment, start_response: StartResponse) -> str | None:
        value = str(environ.get("SERVER_SOFTWARE", ""))
        return f"SERVER_SOFTWARE {value!r}" if value.startswith(prefix) else None

    return sign


def maker(package: str) -> Sign:
    """The mark is the package that start_response comes from."""

    def sign(environ: WSGIEnvironment, start_response: StartResponse) -> str | None:
        name = describe(start_response)
        return f"start_response is {name}" if name.startswith(package + ".") else None

    return sign


def input_in_memory(environ: WSGIEnvironment, start_response: StartResponse) -> str | None:
    """The mark is a body that is only bytes: there is no connection that it could come from."""
    body = environ.get("wsgi.input")
    return f"wsgi.input is {describe(body)}" if isinstance(body, (BytesIO, StringIO)) else None


NOT_YET = "This server is not supported yet: serve the application with gevent.pywsgi.WSGIServer"
NEVER = "This server keeps its connections to itself: serve the application with gevent.pywsgi.WSGIServer"

SUSPECTS = (
    Suspect("uWSGI", (key("uwsgi.version"),), NOT_YET),
    Suspect("mod_wsgi", (key("mod_wsgi.version"),), NEVER),
    Suspect(
        "gunicorn",
        (key("gunicorn.socket"), software("gunicorn/")),
        "Of its workers only gevent_pywsgi is supported yet: run gunicorn with -k gevent_pywsgi, "
        "or serve the application with gevent.pywsgi.WSGIServer",
    ),
    Suspect("eventlet", (key("eventlet.input"),), NOT_YET),
    Suspect("waitress", (key("waitress.client_disconnected"), software("waitress")), NOT_YET),
    Suspect("cheroot", (software("Cheroot/"),), NOT_YET),
    Suspect("granian", (software("Granian"),), NEVER),
    Suspect("werkzeug's development server", (key("werkzeug.socket"), software("Werkzeug/")), NOT_YET),
    Suspect("wsgiref", (software("WSGIServer/"),), NOT_YET),
    Suspect("an ASGI server", (key("asgi.scope"), maker("a2wsgi"), maker("asgiref"), maker("hypercorn")), NEVER),
    Suspect(
        "gevent.pywsgi",
        (software("gevent/"),),
        "Middleware has put its own start_response before that of pywsgi, and it answers later or in some other way: "
        "put WebSocketMiddleware around that middleware, not into it",
    ),
    Suspect(
        "a test client",
        (maker("werkzeug.test"), maker("webtest"), maker("httpx"), input_in_memory),
        "A request that is made in memory has no connection: serve the application with gevent.pywsgi.WSGIServer "
        "on port 0 and connect to it",
    ),
)
"""It is the first that shows a sign. Test clients come last: under any server, middleware may keep bodies in memory."""


def diagnose(environ: WSGIEnvironment, start_response: StartResponse) -> str:
    """Return what to say about a request that no adapter knows."""
    name, mark, remedy = "an unknown server", f"SERVER_SOFTWARE {environ.get('SERVER_SOFTWARE')!r}", NOT_YET
    for suspect in SUSPECTS:
        marks = filter(None, (sign(environ, start_response) for sign in suspect.signs))
        if found := next(marks, None):
            name, mark, remedy = suspect.name, found, suspect.remedy
            break
    return explain(
        f"{name} ({mark})",
        expected="start_response to be, or to call, the method of the gevent.pywsgi.WSGIHandler that has made the "
        "environ, or wsgi.websocket to be one of gevent-websocket",
        found=f"start_response is {describe(start_response)}, wsgi.input is {_entry(environ, 'wsgi.input')}, "
        f"wsgi.websocket is {_entry(environ, 'wsgi.websocket')}",
        remedy=remedy,
    )


def explain(server: str, *, expected: str, found: str, remedy: str) -> str:
    """Return the text of a diagnosis, in the form that all have."""
    return f"{server} gives no connection away: expected {expected}; found {found}. {remedy}."


def describe(thing: object) -> str:
    """Return the full name of a function, a method or a class, and of anything else that of its class.

    The value itself stays out of it: it may be the client's, and secret.
    """
    named = thing if inspect.isroutine(thing) or isinstance(thing, type) else type(thing)
    return f"{getattr(named, '__module__', None) or 'builtins'}.{named.__qualname__}"


def _entry(environ: WSGIEnvironment, name: str) -> str:
    return describe(environ[name]) if name in environ else "missing"
