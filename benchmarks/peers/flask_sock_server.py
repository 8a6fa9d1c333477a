"""flask-sock on gevent's pywsgi, patched: python flask_sock_server.py PORT. /echo."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

from flask import Flask  # noqa: E402
from flask_sock import Sock  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from simple_websocket import Server  # noqa: E402

app = Flask(__name__)
sock = Sock(app)


@sock.route("/echo")
def echo(socket: Server) -> None:
    while True:
        socket.send(socket.receive())


WSGIServer(("127.0.0.1", int(sys.argv[1])), app, log=None, backlog=4096).serve_forever()
