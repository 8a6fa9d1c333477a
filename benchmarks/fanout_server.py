"""A fan-out server to measure: a Flask application on gevent.pywsgi, wrapped.

    python benchmarks/fanout_server.py PORT

Every message goes to all connections of its path, the sender's included. /echo is servlet style, /echo/blocking is a
function: the paths are those of the echo server.
"""

from __future__ import annotations

import argparse

from flask import Flask
from gevent.pywsgi import WSGIServer

from wsmiddleware import Endpoint, Hub, Session, WebSocketMiddleware

hub = Hub(history=0)


class FanOut(Endpoint):
    def on_open(self, session: Session) -> None:
        hub.join(session, "servlet")

    def on_message(self, session: Session, message: str | bytes) -> None:
        hub.publish("servlet", message)


def fan_out(session: Session) -> None:
    hub.join(session, "blocking")
    for message in session:
        hub.publish("blocking", message)


def create_app() -> Flask:
    app = Flask(__name__)
    app.get("/")(lambda: "Hello\n")
    sockets = WebSocketMiddleware(app.wsgi_app, max_sessions=100_000)
    sockets.register("/echo", FanOut)
    sockets.register("/echo/blocking", fan_out)
    app.wsgi_app = sockets  # type: ignore[method-assign]
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    port: int = parser.parse_args().port
    WSGIServer(("127.0.0.1", port), create_app(), backlog=4096, log=None).serve_forever()


if __name__ == "__main__":
    main()
