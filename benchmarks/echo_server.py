"""An echo server to measure: a Flask application on gevent.pywsgi, wrapped.

    python benchmarks/echo_server.py PORT [--certfile FILE --keyfile FILE]

/echo is servlet style, /echo/blocking is a function. The wrapped application answers / with a line of text. With a
certificate and its key, all of it is over TLS.
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
    parser.add_argument("--certfile")
    parser.add_argument("--keyfile")
    options = vars(parser.parse_args())
    address = ("127.0.0.1", options.pop("port"))
    files = {name: file for name, file in options.items() if file is not None}
    WSGIServer(address, create_app(), backlog=4096, log=None, **files).serve_forever()


if __name__ == "__main__":
    main()
