"""How our own servers are served: a Flask application on gevent.pywsgi, wrapped.

What all of them have in common: /echo leads to their class, /echo/blocking to their function, and / of the wrapped
application to a line of text. With a certificate and its key, all of it is over TLS. --compression names the contexts
that messages are compressed with, for clients that offer it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from flask import Flask
from gevent.pywsgi import WSGIServer

from wsmiddleware import Endpoint, Session, WebSocketMiddleware
from wsmiddleware.protocol.deflate import MODES


def serve(description: str | None, servlet: type[Endpoint], function: Callable[[Session], None], **limits: int) -> None:
    """Serve both styles on the port that the command line says, for ever, with the middleware's options *limits*.

    *description* is for the command's --help.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--certfile")
    parser.add_argument("--keyfile")
    parser.add_argument("--compression", choices=MODES)
    options = vars(parser.parse_args())
    address = ("127.0.0.1", options.pop("port"))
    compression = options.pop("compression")
    files = {name: file for name, file in options.items() if file is not None}
    app = Flask(__name__)
    app.get("/")(lambda: "Hello\n")
    sockets = WebSocketMiddleware(
        app.wsgi_app, max_sessions=100_000, compression=compression, **limits  # type: ignore[arg-type]
    )
    sockets.register("/echo", servlet)
    sockets.register("/echo/blocking", function)
    app.wsgi_app = sockets  # type: ignore[method-assign]
    WSGIServer(address, app, backlog=4096, log=None, **files).serve_forever()
