"""A loopback HTTP proxy that misbehaves on demand, in front of a real OpenSearch or of moto.

    with Proxy(node.url) as proxy:
        proxy.on(bulk, sequence(answer(429), cut_answer))  # the first two bulks; all later ones pass

A behaviour takes an `Exchange` and returns the `Response` for the client. It may forward the request, or only a part of
it, before; where it raises `Dropped` the client's connection ends without an answer.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import urlsplit

import orjson

from daswatch.deadline import Clock

LOOPBACK: Final = "127.0.0.1"
UPSTREAM_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
JOIN_SECONDS: Final = 10.0
# Of one connection only, and set again by `http.client` and by the server.
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a RST


class Dropped(Exception):
    """The connection ends here, without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sent."""

    method: str
    path: str  # with its query
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_bulk(self) -> bool:
        return self.path.partition("?")[0] == "/_bulk"


@dataclass(frozen=True, slots=True)
class Response:
    """What the client gets. With `sent_bytes` the body is cut there: announced whole, then the connection ends."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent_bytes: int | None = None

    @classmethod
    def of_json(cls, status: int, content: Any) -> Response:
        return cls(status, {"content-type": "application/json"}, orjson.dumps(content))

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and the way to the server behind the proxy. `closing` is set when the proxy closes."""

    request: Request
    upstream: str  # host:port
    closing: threading.Event

    def forward(self, body: bytes | None = None) -> Response:
        """The server's answer to the request, or to the request with another body. Raises Dropped without one."""
        request = self.request
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection = http.client.HTTPConnection(self.upstream, timeout=UPSTREAM_SECONDS)
        try:
            connection.request(request.method, request.path, request.body if body is None else body, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Response(answer.status, kept, answer.read())
        except (OSError, http.client.HTTPException) as exc:
            raise Dropped from exc
        finally:
            connection.close()


Behaviour: TypeAlias = Callable[[Exchange], Response]
Predicate: TypeAlias = Callable[[Request], bool]


def bulk(request: Request) -> bool:
    """Bulk requests."""
    return request.is_bulk


def bulk_with(text: bytes) -> Predicate:
    """Bulk requests with a document that holds this text."""
    return lambda request: request.is_bulk and text in request.body


def template_check(request: Request) -> bool:
    """The question which index templates are installed."""
    return request.path.startswith("/_index_template?")


def kms_decrypt(request: Request) -> bool:
    """Calls of KMS Decrypt."""
    return request.headers.get("X-Amz-Target") == "TrentService.Decrypt"


def forward(exchange: Exchange) -> Response:
    """Pass the request and its answer."""
    return exchange.forward()


def answer(status: int, body: bytes = b"", content_type: str = "application/json") -> Behaviour:
    """Answer without asking the server."""
    return lambda _: Response(status, {"content-type": content_type}, body)


def drop(exchange: Exchange) -> Response:
    """End the connection before the server sees the request."""
    raise Dropped


def drop_answer(exchange: Exchange) -> Response:
    """Let the server do it, and end the connection before its answer."""
    exchange.forward()
    raise Dropped


def cut_answer(exchange: Exchange) -> Response:
    """Let the server do it, and end the connection in the middle of its answer."""
    whole = exchange.forward()
    return Response(whole.status, whole.headers, whole.body, sent_bytes=len(whole.body) // 2)


def replace_answer(body: bytes, content_type: str = "application/json") -> Behaviour:
    """Let the server do it, and answer 200 with something else."""

    def behave(exchange: Exchange) -> Response:
        exchange.forward()
        return Response(200, {"content-type": content_type}, body)

    return behave


def hang(exchange: Exchange) -> Response:
    """Hold the request, until the proxy closes; the server never sees it."""
    exchange.closing.wait()
    raise Dropped


def delay(seconds: float, clock: Clock) -> Behaviour:
    """Pass the request after a while, by the client's clock."""

    def behave(exchange: Exchange) -> Response:
        clock.sleep(seconds)
        return exchange.forward()

    return behave


def withhold(status: int, chosen: Callable[[bytes], bool], error_type: str, reason: str = "") -> Behaviour:
    """Answer with this status for the chosen items of a bulk, by their lines; only the others reach the server."""

    def behave(exchange: Exchange) -> Response:
        lines = exchange.request.body.splitlines(keepends=True)
        pairs = [(head, source) for head, source in zip(lines[::2], lines[1::2], strict=True)]
        withheld = [chosen(head + source) for head, source in pairs]
        let_through = [head + source for (head, source), held in zip(pairs, withheld, strict=True) if not held]
        passed: list[Any] = []
        if let_through:
            whole = exchange.forward(b"".join(let_through)).json
            # The client asks for the items only where something went wrong.
            passed = whole.get("items") or [{"create": {"status": 201}}] * len(let_through)
        rest = iter(passed)
        refused = {"create": {"status": status, "error": {"type": error_type, "reason": reason}}}
        items = [refused if held else next(rest) for held in withheld]
        return Response.of_json(200, {"errors": any(withheld), "items": items})

    return behave


def sequence(*behaviours: Behaviour, then: Behaviour = forward) -> Behaviour:
    """One behaviour for each request, in order, and `then` for all later ones."""
    waiting = iter(behaviours)
    lock = threading.Lock()

    def behave(exchange: Exchange) -> Response:
        with lock:
            chosen = next(waiting, then)
        return chosen(exchange)

    return behave


def too_late(clock: Clock) -> Behaviour:
    """Hold each request for an hour by the client's clock; the server never sees it."""

    def behave(exchange: Exchange) -> Response:
        clock.sleep(3600)
        raise Dropped

    return behave


def for_seconds(seconds: float, behaviour: Behaviour, clock: Clock) -> Behaviour:
    """This behaviour from its first request on for a time of the client's clock, and forwarding afterwards."""
    until: list[float] = []

    def behave(exchange: Exchange) -> Response:
        now = clock.monotonic()
        if not until:
            until.append(now + seconds)
        return (behaviour if now < until[0] else forward)(exchange)

    return behave


@dataclass(slots=True)
class Rule:
    """Requests of one kind meet one behaviour; `hits` counts them."""

    predicate: Predicate
    behaviour: Behaviour
    hits: int = 0


class Proxy:
    """A proxy of one server, on a free port of the loopback. Without rules it forwards everything."""

    def __init__(self, upstream_url: str) -> None:
        self._upstream = urlsplit(upstream_url).netloc
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._rules: list[Rule] = []
        self._connections: set[socket.socket] = set()
        self._bulks_in_flight = 0
        self._server = _Server((LOOPBACK, 0), self)
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), name="proxy")
        self._thread.start()

    def on(self, predicate: Predicate, behaviour: Behaviour) -> Rule:
        """From now on, requests of this kind meet this behaviour; of several rules that fit the latest counts."""
        rule = Rule(predicate, behaviour)
        with self._changed:
            self._rules.insert(0, rule)
        return rule

    def behave(self) -> None:
        """Forward everything from now on."""
        with self._changed:
            self._rules.clear()

    @property
    def bulks_in_flight(self) -> int:
        """Bulk requests that have come and are not answered."""
        with self._changed:
            return self._bulks_in_flight

    def wait_for_bulk(self, timeout: float) -> bool:
        """Wait until a bulk request is on its way to the server; False after `timeout` seconds without one."""
        with self._changed:
            return self._changed.wait_for(lambda: self._bulks_in_flight > 0, timeout)

    def exchange(self, request: Request) -> Response:
        """What the client gets for a request. Raises Dropped."""
        behaviour: Behaviour = forward
        with self._changed:
            rule = next((rule for rule in self._rules if rule.predicate(request)), None)
            if rule is not None:
                rule.hits += 1
                behaviour = rule.behaviour
            self._bulks_in_flight += request.is_bulk
            self._changed.notify_all()
        try:
            return behaviour(Exchange(request, self._upstream, self._closing))
        finally:
            with self._changed:
                self._bulks_in_flight -= request.is_bulk

    def opened(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.add(connection)

    def ended(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.discard(connection)

    def close(self) -> None:
        """End all connections and wait for the threads."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join(JOIN_SECONDS)
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended by itself
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away, or was killed, is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.proxy.opened(self.connection)

    def finish(self) -> None:
        self.server.proxy.ended(self.connection)
        super().finish()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = Request(self.command, self.path, dict(self.headers.items()), body)
        try:
            response = self.server.proxy.exchange(request)
        except Dropped:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[: response.sent_bytes])
        if response.sent_bytes is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is the handler's."""
