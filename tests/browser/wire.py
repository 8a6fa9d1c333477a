"""A wire that can be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Wire:
    """A TCP relay to the chat. When it is cut, connections end without a goodbye and new ones come to nothing."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._whole = True
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            self._whole = False
            for end in self._ends:
                with suppress(OSError):  # It may have ended by itself.
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._whole = True

    def close(self) -> None:
        self.cut()
        with suppress(OSError):  # Wakes the accepting thread; not all systems allow it on a listener.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._whole:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    near.close()
                    continue
                self._ends |= {near, far}
            threads = [threading.Thread(target=_pump, args=pair, daemon=True) for pair in ((near, far), (far, near))]
            for thread in threads:
                thread.start()
            threading.Thread(target=self._finish, args=(near, far, threads), daemon=True).start()

    def _finish(self, near: socket.socket, far: socket.socket, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join()
        with self._lock:
            self._ends -= {near, far}
            near.close()
            far.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # A reset ends a direction like an end of file.
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
