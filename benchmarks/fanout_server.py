"""A fan-out server to measure: a Flask application on gevent.pywsgi, wrapped.

    python benchmarks/fanout_server.py PORT

Every message goes to all connections of its path, the sender's included. /echo is servlet style, /echo/blocking is a
function: the paths are those of the echo server.
"""

from __future__ import annotations

from suite.serving import serve

from wsmiddleware import Endpoint, Hub, Session

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


def main() -> None:
    serve(__doc__, FanOut, fan_out)


if __name__ == "__main__":
    main()
