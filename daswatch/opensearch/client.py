"""Clients of OpenSearch and of Dashboards from settings, in each way of signing in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import AuthenticationException, SerializationError
from opensearchpy.serializer import JSONSerializer, TextSerializer
from requests_aws4auth import AWS4Auth
from urllib3 import Timeout, make_headers

from daswatch.aws.api_calls import AwsError, Trouble, ask
from daswatch.aws.clients import secrets_manager_client, session
from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable, SettingsError

if TYPE_CHECKING:
    from daswatch.settings import SearchEndpoint

SECRET_SECONDS = 10.0  # between two readings of a password that is refused


def search_client(endpoint: SearchEndpoint) -> OpenSearch:
    """A client of the endpoint in its way of signing in. It never retries by itself: the gateway decides.

    Raises SettingsError where the credentials of sigv4 are not there. A secret is read at the first request.
    """
    return OpenSearch(endpoint.url, **_connection(endpoint), pool_maxsize=2)


def dashboards_client(endpoint: SearchEndpoint, url: str) -> OpenSearch:
    """A client of the Dashboards at `url`, which signs in as at the endpoint; only its transport is of use.

    Raises SettingsError where the credentials of sigv4 are not there. A secret is read at the first request.
    """
    return OpenSearch(url, **_connection(endpoint), serializers={_Lines.mimetype: _Lines()}, pool_maxsize=1)


def _connection(endpoint: SearchEndpoint) -> dict[str, Any]:
    basic = endpoint.auth == "basic"
    return {
        "connection_class": PasswordConnection if basic else Urllib3HttpConnection,
        "http_auth": Password(lambda deadline: _secret(endpoint.secret_arn, deadline)) if basic else _signer(endpoint),
        "ca_certs": endpoint.ca_bundle or None,
        "max_retries": 0,
        "retry_on_timeout": False,
        "serializer": _Orjson(),
    }


class _Lines(TextSerializer):
    """What Dashboards exports, as it comes: a line for each object."""

    mimetype = "application/ndjson"


class _Orjson(JSONSerializer):
    """opensearch-py's JSON, read by orjson: a bulk's answer has a line for each document."""

    def loads(self, s: str) -> Any:
        try:
            return orjson.loads(s)
        except ValueError as exc:
            raise SerializationError(s, exc) from exc


class RequestSigner:
    """Signs opensearch-py's urllib3 requests with requests-aws4auth.

    The pair of RequestsHttpConnection and AWS4Auth costs twice the processor time for each request.
    """

    def __init__(self, auth: AWS4Auth) -> None:
        self._auth = auth

    def __call__(self, method: str, url: str, body: Any) -> dict[str, str]:
        """The headers to add to a request."""
        request = SimpleNamespace(method=method, url=url, body=body, headers={})
        return dict(self._auth(request).headers)


class Password:
    """A user and a password that may be rotated: read at the first request, and again when they are refused."""

    def __init__(
        self, read: Callable[[Deadline], tuple[str, str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._headers: dict[str, str] = {}
        self._read_at = 0.0

    def __call__(self, method: str, url: str, body: Any) -> dict[str, str]:
        """The headers to add to a request."""
        return self._headers

    def provide(self, deadline: Deadline) -> dict[str, str]:
        """The headers as they were read last. Raises SettingsError, SearchUnavailable."""
        with self._lock:
            if not self._headers:
                self._fetch(deadline)
            return self._headers

    def renew(self, refused: Mapping[str, str], deadline: Deadline) -> bool:
        """Whether there are other headers than those that were refused.

        Read at most once in a while: a refusal for another reason must not cause a call for each request.
        """
        with self._lock:
            if self._headers == refused and self._clock() - self._read_at >= SECRET_SECONDS:
                try:
                    self._fetch(deadline)
                except (SearchUnavailable, SettingsError):
                    return False  # the refusal says more
            return self._headers != refused

    def _fetch(self, deadline: Deadline) -> None:
        self._read_at = self._clock()
        user, password = self._read(deadline)
        self._headers = make_headers(basic_auth=f"{user}:{password}")


class PasswordConnection(Urllib3HttpConnection):
    """A connection whose password is read again where OpenSearch answers 401; the request is then repeated once."""

    http_auth: Password

    def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: Any = None,
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Raises SettingsError and SearchUnavailable of the secret too."""
        deadline = Deadline.after(_seconds(timeout) or self.timeout)
        used = self.http_auth.provide(deadline)
        try:
            return super().perform_request(method, url, params, body, timeout, ignore, headers)
        except AuthenticationException:
            if not self.http_auth.renew(used, deadline):
                raise
        return super().perform_request(method, url, params, body, timeout, ignore, headers)


def _seconds(timeout: Any) -> float:
    return timeout.total if isinstance(timeout, Timeout) else timeout  # type: ignore[return-value]


def _signer(endpoint: SearchEndpoint) -> RequestSigner | None:
    if endpoint.auth == "none":
        return None
    found = session()
    credentials = found.get_credentials()
    if credentials is None:
        raise SettingsError(["AWS credentials are missing (expected: the function's role, or a profile)"])
    region = endpoint.region or found.region_name
    if not region:
        raise SettingsError(["AWS_REGION is missing (expected: the region of the OpenSearch endpoint)"])
    return RequestSigner(AWS4Auth(refreshable_credentials=credentials, region=region, service=endpoint.service))


def _secret(secret_arn: str, deadline: Deadline) -> tuple[str, str]:
    try:
        client = secrets_manager_client()
        answer = ask(lambda: client.get_secret_value(SecretId=secret_arn), deadline)
    except AwsError as exc:
        # A denial may be that of a policy which is too new to act, like one of OpenSearch's own.
        status = {Trouble.DENIED: 403, Trouble.REFUSED: 400}.get(exc.trouble, 0)
        raise SearchUnavailable(f"Secrets Manager GetSecretValue of OPENSEARCH_SECRET_ARN: {exc.code}", status) from exc
    try:
        secret = orjson.loads(answer["SecretString"])
        return secret["username"], secret["password"]
    except (KeyError, TypeError, ValueError):
        # The parser's error would quote the secret: it is neither quoted nor chained.
        raise SettingsError(
            ['OPENSEARCH_SECRET_ARN is not such a secret (expected: {"username": …, "password": …})']
        ) from None
