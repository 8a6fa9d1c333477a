"""aiohttp on uvloop: python aiohttp_server.py PORT [--deflate LEVEL | CERTIFICATE KEY]. /echo and /fanout.

With the files, over TLS. aiohttp compresses with the constant Z_BEST_SPEED of its zlib module; for another LEVEL than
that, 1, the module is one that has another, and with it the memLevel that the others compress with.
"""

import ssl
import sys
import zlib
from types import SimpleNamespace
from typing import Any

import uvloop
from aiohttp import WSMessage, WSMsgType, set_zlib_backend, web

compress = False
members: set[web.WebSocketResponse] = set()


async def upgrade(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=compress, max_msg_size=0)
    await socket.prepare(request)
    return socket


async def send(socket: web.WebSocketResponse, message: WSMessage) -> None:
    if message.type == WSMsgType.TEXT:
        await socket.send_str(message.data)
    else:
        await socket.send_bytes(message.data)


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = await upgrade(request)
    async for message in socket:
        await send(socket, message)
    return socket


async def fan_out(request: web.Request) -> web.WebSocketResponse:
    socket = await upgrade(request)
    members.add(socket)
    try:
        async for message in socket:
            for member in list(members):
                await send(member, message)
    finally:
        members.discard(socket)
    return socket


def compress_with(level: int) -> None:
    global compress
    compress = True
    if level != zlib.Z_BEST_SPEED:

        def compressobj(**options: Any) -> Any:
            return zlib.compressobj(memLevel=5, **options)

        set_zlib_backend(SimpleNamespace(**{**vars(zlib), "Z_BEST_SPEED": level, "compressobj": compressobj}))


def main(port: int, *files: str) -> None:
    context = None
    if files[:1] == ("--deflate",):
        compress_with(int(files[1]))
        files = ()
    if files:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    app = web.Application()
    app.router.add_get("/echo", echo)
    app.router.add_get("/fanout", fan_out)
    options = {"access_log": None, "backlog": 4096, "print": None}
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=context, loop=uvloop.new_event_loop(), **options)


main(int(sys.argv[1]), *sys.argv[2:])
