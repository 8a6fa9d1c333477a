"""An echo server for conformance tests: gevent.pywsgi with the middleware, on a free port.

    python conformance/echo_server.py --build pure --style servlet --compression shared [--tls]

/echo echoes. It prints one line of JSON as soon as it listens: its port, and the versions it runs on. It ends with
status 1 if the wsmiddleware it has found is of another build than it is told. With TLS, its certificate is made anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import gevent.ssl
import trustme
from gevent.pywsgi import WSGIServer

import wsmiddleware
from wsmiddleware import Endpoint, Session, WebSocketMiddleware
from wsmiddleware.protocol.deflate import MODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LIMIT = 16 * 1024 * 1024
"""Bytes: the largest message of the testsuite."""

DISTRIBUTIONS = ("wsmiddleware", "gevent")

HOT = frozenset(
    f"wsmiddleware.{name}"
    for name in ("protocol.wire", "protocol.connection", "loop.system", "loop.channel", "session")
)
"""Some of the modules that a compiled build has compiled."""


class Echo(Endpoint):
    """Servlet style."""

    def on_message(self, session: Session, message: str | bytes) -> None:
        """Send it back."""
        session.send(message)


def echo(session: Session) -> None:
    """Echo in the blocking style."""
    for message in session:
        session.send(message)


STYLES: Mapping[str, type[Endpoint] | Callable[[Session], None]] = MappingProxyType({"servlet": Echo, "blocking": echo})


def nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer all that is no WebSocket."""
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


def build() -> str:
    """Return which build has been imported: "pure", "compiled", or "mixed", which neither may be."""
    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "wsmiddleware"}
    compiled = {name for name, module in modules.items() if str(module.__file__).endswith(tuple(EXTENSION_SUFFIXES))}
    if not compiled:
        return "pure"
    return "compiled" if compiled >= HOT else "mixed"


def main() -> None:
    """Serve what the command line says, until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", choices=("pure", "compiled"), required=True)
    parser.add_argument("--style", choices=STYLES, required=True)
    parser.add_argument("--compression", choices=MODES, required=True)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    if build() != options.build:
        sys.exit(f"expected the {options.build} build of wsmiddleware, found a {build()} one: {wsmiddleware.__file__}")
    app = WebSocketMiddleware(nothing, compression=options.compression, max_message_size=LIMIT, send_queue=LIMIT)
    app.register("/echo", STYLES[options.style])
    encryption: dict[str, Any] = {}
    if options.tls:
        context = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)
        encryption["ssl_context"] = context
    server = WSGIServer(("127.0.0.1", 0), app, log=None, **encryption)
    server.start()
    versions = {"Python": platform.python_version(), **{name: version(name) for name in DISTRIBUTIONS}}
    print(json.dumps({"port": server.server_port, "versions": versions}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
