"""An echo server to measure: a Flask application on gevent.pywsgi, wrapped.

    python benchmarks/echo_server.py PORT [--certfile FILE --keyfile FILE] [--compression shared|dedicated]

/echo is servlet style, /echo/blocking is a function. The wrapped application answers / with a line of text. With a
certificate and its key, all of it is over TLS.
"""

from __future__ import annotations

from suite.serving import serve

from wsmiddleware import Endpoint, Session

LIMIT = 16 * 1024 * 1024
"""Bytes: the largest message that the benchmarks send is 4 MB."""


class Echo(Endpoint):
    def on_message(self, session: Session, message: str | bytes) -> None:
        session.send(message)


def echo(session: Session) -> None:
    for message in session:
        session.send(message)


def main() -> None:
    serve(__doc__, Echo, echo, max_message_size=LIMIT, send_queue=LIMIT)


if __name__ == "__main__":
    main()
