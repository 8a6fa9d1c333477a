"""``python -m demo_flask``: the chat on gevent's WSGI server."""

from gevent import monkey

monkey.patch_all()  # Before anything else is imported, or it would keep the unpatched names.

import argparse  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402

import gevent  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

from demo_flask import create_app  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the chat until SIGINT or SIGTERM. Return the exit status: 0, or 1 with a line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        app = create_app(options.hub)
    except ValueError as error:
        return _fail(f"--hub: {error}")
    except ModuleNotFoundError as error:
        if error.name != "flask":
            raise
        return _fail("Flask is missing. Please install it: pip install 'wsmiddleware[flask]'")
    server = WSGIServer((options.host, options.port), app)
    try:
        server.start()
    except OSError as error:
        reason = str(error.strerror or error).partition(": ('")[0]  # gevent adds the address.
        return _fail(
            f"cannot listen on {options.host}, port {options.port}: {reason}. "
            "Choose another with --host and --port; --port 0 takes any free one."
        )

    def stop() -> None:
        for handler in handlers:
            handler.cancel()  # A second Ctrl-C ends the process at once.
        app.extensions["wsmiddleware"].stop()
        server.stop()

    handlers = [gevent.signal_handler(number, stop) for number in (signal.SIGINT, signal.SIGTERM)]
    print(f"The chat is at {_url(options.host, server.socket.getsockname()[1])} (Ctrl-C stops it)", flush=True)
    server.serve_forever()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo_flask", description="A chat in the browser.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="0 takes any free one (default: %(default)s)")
    parser.add_argument("--hub", default="memory://", metavar="URL", help="where rooms live (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, found {text!r}")
    return number


def _url(host: str, port: int) -> str:
    if host in ("", "0.0.0.0", "::"):
        host = "localhost"  # All addresses: name one that a browser can open.
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _fail(problem: str) -> int:
    print(f"demo_flask: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
