"""websockets on uvloop: python websockets_server.py PORT [--deflate]. /echo and /fanout.

Compression is the library's own: level 6, memLevel 5, windows of 4 KB.
"""

import asyncio
import sys
from contextlib import suppress

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

members: set[ServerConnection] = set()


async def talk(connection: ServerConnection) -> None:
    # A client that leaves while something is sent to it is no error.
    with suppress(ConnectionClosed):
        if connection.request is not None and connection.request.path == "/fanout":
            await fan_out(connection)
        else:
            async for message in connection:
                await connection.send(message)


async def fan_out(connection: ServerConnection) -> None:
    members.add(connection)
    try:
        async for message in connection:
            broadcast(members, message)
    finally:
        members.discard(connection)


async def main(port: int, compression: str | None) -> None:
    # Without what costs and is not compared: keepalive, a limit to messages.
    options = {"compression": compression, "ping_interval": None, "max_size": None, "backlog": 4096}
    async with serve(talk, "127.0.0.1", port, **options):
        await asyncio.get_running_loop().create_future()


uvloop.run(main(int(sys.argv[1]), "deflate" if "--deflate" in sys.argv else None))
