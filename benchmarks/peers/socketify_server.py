"""socketify, which is uWebSockets: python socketify_server.py PORT. /echo and /fanout."""

import sys

from socketify import App

app = App()

# Without what costs and is not compared: compression, keepalive, limits to messages and to what waits.
OPTIONS = {
    "compression": 0,
    "idle_timeout": 0,
    "max_backpressure": 64 * 1024 * 1024,
    "max_payload_length": 64 * 1024 * 1024,
}

app.ws("/echo", {**OPTIONS, "message": lambda socket, message, opcode: socket.send(message, opcode)})
app.ws(
    "/fanout",
    {
        **OPTIONS,
        "open": lambda socket: socket.subscribe("all"),
        "message": lambda socket, message, opcode: app.publish("all", message, opcode),
    },
)
app.listen({"host": "127.0.0.1", "port": int(sys.argv[1])}, lambda config: None)
app.run()
