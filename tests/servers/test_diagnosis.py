"""What is said when there is no connection to take over: which server, what was expected, what was found, what to do.

Servers that are at hand are run; of the others, what they pass to an application was written down from a run.
"""

from __future__ import annotations

import socket
from io import BytesIO, StringIO
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server as make_wsgiref_server

import pytest
from gevent.pywsgi import WSGIHandler
from werkzeug.serving import make_server as make_werkzeug_server
from werkzeug.test import run_wsgi_app, EnvironBuilder

from tests.support.wsgi import UPGRADE, Server, diagnosis_of, upgrade
from wsmiddleware.exceptions import ConnectionUnavailable, WebSocketError
from wsmiddleware.servers import find


class Noter:
    """An application that notes the diagnosis and answers 501."""

    def __init__(self) -> None:
        self.diagnosis = ""

    def __call__(self, environ, start_response):
        self.diagnosis = diagnosis_of(environ, start_response)
        start_response("501 Not Implemented", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return [b""]
