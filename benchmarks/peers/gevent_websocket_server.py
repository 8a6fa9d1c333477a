"""gevent-websocket on gevent's pywsgi: python gevent_websocket_server.py PORT. /echo and /fanout."""

import sys

from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

members: set[WebSocket] = set()


def app(environ, start_response):
    socket = environ["wsgi.websocket"]
    if environ["PATH_INFO"] == "/fanout":
        members.add(socket)
        try:
            while (message := socket.receive()) is not None:
                for member in list(members):
                    member.send(message)
        finally:
            members.discard(socket)
    else:
        while (message := socket.receive()) is not None:
            socket.send(message)
    return []


address = ("127.0.0.1", int(sys.argv[1]))
WSGIServer(address, app, handler_class=WebSocketHandler, log=None, backlog=4096).serve_forever()
