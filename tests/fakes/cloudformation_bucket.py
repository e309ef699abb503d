"""CloudFormation as a custom resource sees it: requests, and a bucket that takes answers, over HTTP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/daswatch/6b2c1a00-0000-11f0-8000-0a0000000001"
SIGNATURE = "Signature=not-to-be-logged%3D"  # stands for what makes the URL a secret


@dataclass
class AnswerBucket:
    """Takes answers; the next requests are answered with `statuses` as long as there are any."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # that were taken
    content_types: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    attempts: int = 0

    @property
    def answer(self) -> dict[str, Any]:
        """The one answer that was taken."""
        (body,) = self.bodies
        return dict(json.loads(body))


@contextmanager
def answer_bucket() -> Iterator[AnswerBucket]:
    """A bucket while this lasts."""
    bucket = AnswerBucket()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bucket.attempts += 1
            bucket.paths.append(self.path)
            status = bucket.statuses.pop(0) if bucket.statuses else 200
            if status == 200:
                bucket.bodies.append(body)
                bucket.content_types.append(self.headers.get("content-type"))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests look at `bucket`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_port}/arn%3Aaws%3Acloudformation/das?X-Amz-{SIGNATURE}"
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def a_request(
    url: str,
    kind: str = "Create",
    properties: Mapping[str, Any] | None = None,
    *,
    resource_type: str = "Custom::ActivityStream",
    **more: Any,
) -> dict[str, Any]:
    """A request as CloudFormation sends it."""
    return {
        "RequestType": kind,
        "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:daswatch-setup",
        "ResponseURL": url,
        "StackId": STACK,
        "RequestId": "5b6f2f7e-0000-4000-8000-000000000002",
        "LogicalResourceId": "OrdersStream",
        "ResourceType": resource_type,
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:…", **(properties or {})},
        **more,
    }
