"""AWS sessions: the only place that makes one, so that every client has the same region and the same errors.

boto3 reads AWS_DEFAULT_REGION and the profile, but not AWS_REGION, which Lambda sets and the other SDKs read. And what
botocore raises where the answer is not AWS's (a proxy's HTML, another service's XML) is not a BotoCoreError: here it
becomes one, so that a caller that handles a service which does not answer handles that too.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.loaders import Loader, create_loader
from botocore.session import Session

# As botocore declares it, with one more variable: the name in a profile, variables of the environment, default, cast.
_REGION = ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)
_URL = "daswatch_url"  # in the context that botocore keeps of a call
_HTML = (b"<!doctype html", b"<html")
_JSON_PROTOCOLS = ("json", "rest-json")
_REQUEST_IDS = ("x-amz-request-id", "x-amzn-requestid")  # S3's name, and that of the other services


class ForeignAnswerError(HTTPClientError):
    """What answers at a service's endpoint is not AWS; a gateway in between may do so for a moment."""

    fmt = "what answers at {endpoint_url} is not AWS ({what})"

    def __init__(self, endpoint_url: str, what: str) -> None:
        super().__init__(endpoint_url=endpoint_url, what=what)
        self.what = what


def aws_session() -> boto3.Session:
    """A session in AWS_REGION, AWS_DEFAULT_REGION or the profile's region; `region_name` is empty where none is set."""
    session = boto3.Session(botocore_session=botocore_session())
    session.events.register("request-created", _note_url)
    session.events.register("after-call", _check_answer)
    session.events.register("after-call-error", _check_error)
    return session


def botocore_session() -> Session:
    """What a session of boto3 is made of, with the region as above; all of a process share the models of services."""
    session = Session(session_vars={"region": _REGION})
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))
    return session


@cache
def _models(data_path: str | None) -> Loader:
    """botocore's own loader of AWS_DATA_PATH keeps what it has read: megabytes of JSON for each service."""
    return create_loader(data_path)


def unknown_region(region: str) -> str:
    """Why a region may be none, with the name that was probably meant; empty where botocore knows it.

    Not a reason to refuse it by itself: AWS may have opened it since this botocore was released.
    """
    session = boto3.Session(region_name=region, botocore_session=botocore_session())
    known = {
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("ec2", partition_name=partition)
    }
    if region in known:
        return ""
    meant = sorted(get_close_matches(region, sorted(known), 3))
    return f"{region} is not a region of AWS" + (f" (did you mean {' or '.join(meant)}?)" if meant else "")


def origin(url: str) -> str:
    """Scheme and host of a URL: paths and queries of calls have names and signatures in them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _note_url(request: Any, **_: object) -> None:
    request.context[_URL] = origin(request.url)


def _check_answer(http_response: Any, model: Any, context: Mapping[str, Any], **_: object) -> None:
    if http_response.raw is None or model.has_streaming_output or model.has_event_stream_output:
        return
    body = http_response.content.lstrip()[:32].lower()
    service = model.service_model
    protocol = service.resolved_protocol
    if body.startswith(_HTML):
        what = "HTML"
    elif body and protocol in _JSON_PROTOCOLS and body[:1] not in b"{[":
        what = "no JSON"
    elif service.service_name == "s3" and not any(name in http_response.headers for name in _REQUEST_IDS):
        what = "no request id"  # HeadBucket has no body to read
    else:
        return
    raise _foreign(context, f"{http_response.status_code}, {what}")


def _check_error(exception: Exception, context: Mapping[str, Any], **_: object) -> None:
    # The parser's own error would quote the answer. KeyError: XML without what the protocol wraps results in.
    if not isinstance(exception, BotoCoreError):
        raise _foreign(context, f"unreadable: {type(exception).__name__}") from None


def _foreign(context: Mapping[str, Any], what: str) -> ForeignAnswerError:
    return ForeignAnswerError(str(context.get(_URL, "the endpoint")), what)
