"""A TCP relay before a server which can stop answering, on a port that stays: warm clients meet the same address.

    with Relay(aws.url) as relay:
        relay.never_answer()  # connections are accepted, and nothing comes back
        relay.vanish()        # packets are dropped: not even a connection is accepted
        relay.answer_after(2) # the server answers, later
        relay.answer()
    relay.answer_from(urls)  # from other servers

Of several servers each connection goes to the next one that takes it, as behind a load balancer. Every change ends the
connections that are open.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit

import pytest

LOOPBACK: Final = "127.0.0.1"
POLL_SECONDS: Final = 0.02
# A connection on loopback is made within microseconds, where there is room for it.
FULL_AFTER_SECONDS: Final = 1.0
BACKLOG: Final = 128
CHUNK: Final = 65_536


class Relay:
    """Passes connections to the server of a URL, or to several in turn."""

    def __init__(self, *upstreams: str) -> None:
        parts = urlsplit(upstreams[0])
        self._upstreams = [_address(upstream) for upstream in upstreams]
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

    def answer_from(self, upstreams: Sequence[str]) -> None:
        """Pass everything on to other servers, at once."""
        self._upstreams = [_address(upstream) for upstream in upstreams]
        self.answer()

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
                close(one)
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
                first = self.accepted
                delay, changed = self._delay, self._changed
            if connection is None:
                self._closing.wait(POLL_SECONDS)
            elif delay is not None:
                threading.Thread(target=self._serve, args=(connection, delay, changed, first), daemon=True).start()

    def _serve(self, client: socket.socket, delay: float, changed: threading.Event, first: int) -> None:
        if delay and changed.wait(delay):
            return
        server = self._connected(first)
        if server is None:
            close(client)
            return
        with self._lock:
            if changed.is_set():
                close(server)
                return
            self._open.append(server)
        back = threading.Thread(target=pump, args=(server, client), daemon=True)
        back.start()
        pump(client, server)

    def _connected(self, first: int) -> socket.socket | None:
        """A connection to one of the servers, of which that is tried before the others."""
        upstreams = self._upstreams
        for number in range(len(upstreams)):
            try:
                return socket.create_connection(upstreams[(first + number) % len(upstreams)])
            except OSError:
                continue  # it is down
        return None

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        with self._lock:
            self._changed.set()
            for one in (*self._open, *self._fillers, self._listener):
                close(one)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Silence: TypeAlias = Callable[[Relay], None]
SILENCES: Final = [pytest.param(Relay.never_answer, id="accepts"), pytest.param(Relay.vanish, id="vanishes")]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes from one end, until one of them is closed; then both are."""
    try:
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    except OSError:
        pass  # the relay has closed one of them, or its peer has
    close(source)
    close(target)


def close(one: socket.socket) -> None:
    """End a connection, also for a thread that reads from it."""
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was not connected, or is closed
    one.close()
