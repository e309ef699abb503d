"""A TCP relay before a server which can stop answering, on a port that stays: warm clients meet the same address.

    with Relay(aws.url) as relay:
        relay.never_answer()  # connections are accepted, and nothing comes back
        relay.vanish()        # packets are dropped: not even a connection is accepted
        relay.answer_after(2) # the server answers, later
        relay.answer()

Every change ends the connections that are open.
"""

from __future__ import annotations

import select
import socket
import threading
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

LOOPBACK: Final = "127.0.0.1"
POLL_SECONDS: Final = 0.02
# A connection on loopback is made within microseconds, where there is room for it.
FULL_AFTER_SECONDS: Final = 1.0
BACKLOG: Final = 128
CHUNK: Final = 65_536


class Relay:
    """Passes connections to the server of a URL."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname
        assert parts.port
        self._upstream = parts.hostname, parts.port
        self._listener = socket.socket()
        self._listener.bind((LOOPBACK, 0))
        self._listener.listen(BACKLOG)
        self.url = f"{parts.scheme}://{LOOPBACK}:{self._listener.getsockname()[1]}{parts.path}"
        self._lock = threading.Lock()
        self._accepting = threading.Event()
        self._closing = threading.Event()
        self._changed = threading.Event()  # one for each period of one behavior
        self._delay: float | None = 0.0  # None: for ever
        self._open: list[socket.socket] = []
        self._fillers: list[socket.socket] = []
        self.accepted = 0
        self._accepting.set()
        self._thread = threading.Thread(target=self._accept, daemon=True, name="relay")

    def answer(self) -> None:
        """Pass everything on, at once."""
        self.answer_after(0.0)

    def answer_after(self, seconds: float) -> None:
        """Pass the first bytes of each connection on after a while."""
        self._change(seconds)

    def never_answer(self) -> None:
        """Accept connections, and let what they send lie."""
        self._change(None)

    def vanish(self) -> None:
        """Drop packets: with a full backlog, the kernel ignores a SYN."""
        self._change(None)
        with self._lock:
            self._accepting.clear()
            self._listener.listen(0)
            while True:
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((LOOPBACK, self._listener.getsockname()[1]))
                self._fillers.append(filler)
                if not select.select([], [filler], [], FULL_AFTER_SECONDS)[1]:
                    return

    def _change(self, delay: float | None) -> None:
        with self._lock:
            self._changed.set()
            self._changed = threading.Event()
            self._delay = delay
            for one in (*self._open, *self._fillers):
                _close(one)
            self._open, self._fillers = [], []
            self._listener.listen(BACKLOG)
            self._accepting.set()

    def _accept(self) -> None:
        while not self._closing.is_set():
            self._accepting.wait(POLL_SECONDS)
            with self._lock:
                if not self._accepting.is_set() or not select.select([self._listener], [], [], 0)[0]:
                    connection = None
                else:
                    connection, _ = self._listener.accept()
                    self._open.append(connection)
                    self.accepted += 1
                delay, changed = self._delay, self._changed
            if connection is None:
                self._closing.wait(POLL_SECONDS)
            elif delay is not None:
                threading.Thread(target=self._serve, args=(connection, delay, changed), daemon=True).start()

    def _serve(self, client: socket.socket, delay: float, changed: threading.Event) -> None:
        if delay and changed.wait(delay):
            return
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            _close(client)
            return
        with self._lock:
            if changed.is_set():
                _close(server)
                return
            self._open.append(server)
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        with self._lock:
            self._changed.set()
            for one in (*self._open, *self._fillers, self._listener):
                _close(one)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    except OSError:
        pass  # the relay has closed one of them, or its peer has
    _close(source)
    _close(target)


def _close(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was not connected, or is closed
    one.close()
