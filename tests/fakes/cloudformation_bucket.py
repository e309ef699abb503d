"""CloudFormation as a custom resource sees it: requests, and a bucket that takes answers, over HTTP on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/daswatch/6b2c1a00-0000-11f0-8000-0a0000000001"
SIGNATURE = "Signature=not-to-be-logged%3D"  # stands for what makes the URL a secret


@dataclass
class AnswerBucket:
    """Takes answers; the next requests are answered with `statuses` as long as there are any."""

    url: str
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # that were taken
    content_types: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)  # with their queries, as sent
    attempts: int = 0

    @property
    def answer(self) -> dict[str, Any]:
        """The one answer that was taken."""
        (body,) = self.bodies
        return dict(json.loads(body))

    def take(self, request: Request) -> Response:
        """The bucket's response to a request."""
        self.attempts += 1
        self.paths.append(request.environ["REQUEST_URI"])
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.bodies.append(request.data)
            self.content_types.append(request.headers.get("content-type"))
        return Response(status=status)


def answer_bucket(server: HTTPServer) -> AnswerBucket:
    """A bucket at a server."""
    bucket = AnswerBucket(server.url_for(f"/arn%3Aaws%3Acloudformation/das?X-Amz-{SIGNATURE}"))
    server.expect_request(re.compile("/arn:.*"), "PUT").respond_with_handler(bucket.take)
    return bucket


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
