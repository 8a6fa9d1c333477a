"""Servers: how the client's connection is found and taken from the WSGI server that runs.

    takeover.py         Takeover: what a server gives away; the questions that most servers answer alike
    pywsgi.py           gevent.pywsgi, plain and TLS
    geventwebsocket.py  gevent.pywsgi with gevent-websocket's handler
    diagnosis.py        what to say when no server gives anything away

Everything is found through the two arguments of the WSGI call. There is no looking elsewhere: what a module, a thread
or a greenlet holds may be about another request, another copy of the module, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wsmiddleware.exceptions import ConnectionUnavailable
from wsmiddleware.servers import geventwebsocket, pywsgi
from wsmiddleware.servers.diagnosis import diagnose
from wsmiddleware.servers.takeover import Takeover

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["Takeover", "find"]

_ADAPTERS: tuple[Callable[[WSGIEnvironment, StartResponse], Takeover | None], ...] = (
    geventwebsocket.find,  # Before pywsgi, which it runs on: its 101 is on the wire already.
    pywsgi.find,
)


def find(environ: WSGIEnvironment, start_response: StartResponse) -> Takeover:
    """Return the client's connection, ready to be taken. Nothing has happened to it yet.

    *environ* and *start_response* are those of the WSGI call, or what other middleware has made of them. Called in the
    server's thread and greenlet, before anything has been answered.

    Raises ConnectionUnavailable if the server is not known, or does not give the connection away.
    """
    for adapter in _ADAPTERS:
        takeover = adapter(environ, start_response)
        if takeover is not None:
            return takeover
    raise ConnectionUnavailable(diagnose(environ, start_response))
