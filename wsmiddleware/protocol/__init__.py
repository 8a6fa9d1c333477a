"""The protocol, sans-I/O: bytes in, events out; calls in, bytes out. No gevent, no socket, no clock.

    handshake.py    environ -> Accepted or Refused; with origin.py and forwarded.py
    frames.py       frame headers, masking (RFC 6455 section 5)
    connection.py   the state machine: messages, control frames, the closing handshake, limits
    close.py        close codes, causes, and the CloseEvent that every session ends with
    errors.py       what a peer can do wrong, and the close code for it
"""
