"""An echo server to measure: a Flask application on gevent.pywsgi, wrapped.

    python benchmarks/echo_server.py PORT

/echo is servlet style, /echo/blocking is a function. The wrapped application answers / with a line of text.
"""

from __future__ import annotations

import argparse

from flask import Flask
from gevent.pywsgi import WSGIServer

from wsmiddleware import Endpoint, Session, WebSocketMiddleware

LIMIT = 16 * 1024 * 1024
"""Bytes: the largest message that the benchmarks send is 4 MB."""


class Echo(Endpoint):
    def on_message(self, session: Session, message: str | bytes) -> None:
        session.send(message)


def echo(session: Session) -> None:
    for message in session:
        session.send(message)


def create_app() -> Flask:
    app = Flask(__name__)
    app.get("/")(lambda: "Hello\n")
    sockets = WebSocketMiddleware(app.wsgi_app, max_message_size=LIMIT, send_queue=LIMIT, max_sessions=100_000)
    sockets.register("/echo", Echo)
    sockets.register("/echo/blocking", echo)
    app.wsgi_app = sockets  # type: ignore[method-assign]
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    port: int = parser.parse_args().port
    WSGIServer(("127.0.0.1", port), create_app(), backlog=4096, log=None).serve_forever()


if __name__ == "__main__":
    main()
