"""Clients for AWS and OpenSearch from settings; the only place that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import orjson
from botocore.config import Config
from botocore.exceptions import ClientError
from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import SerializationError
from opensearchpy.serializer import JSONSerializer, TextSerializer
from requests_aws4auth import AWS4Auth

from daswatch.errors import SearchUnavailable, SettingsError
from daswatch.gateways.session import aws_session

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_firehose.client import FirehoseClient
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_kms.client import KMSClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_rds.client import RDSClient
    from types_boto3_s3.client import S3Client
    from types_boto3_securityhub.client import SecurityHubClient
    from types_boto3_sns.client import SNSClient
    from types_boto3_sts.client import STSClient

    from daswatch.settings import SearchEndpoint

# Kept short: a call that hangs would eat the invocation, and the records are delivered again.
_AWS = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 4},
    tcp_keepalive=True,
    max_pool_connections=8,
)
# RDS counts calls of the whole account and region, and answers slowly where there are many databases.
_RDS = _AWS.merge(Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 8}))
# Its gateway retries, within its own deadline; one call carries up to a hundred findings.
_SECURITY_HUB = _AWS.merge(Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}))
# Its gateway retries, within its own deadline. What Firehose took without saying so in time is there twice later.
_FIREHOSE = _AWS.merge(Config(read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1}))

_DASHBOARDS_SECONDS = 60  # an import of hundreds of saved objects takes some ten


def cloudformation_client() -> Any:
    """CloudFormation in this region. Raises SettingsError without one."""
    if not _session().region_name:
        raise SettingsError(["AWS_REGION is missing (expected: the region of the stack, like eu-west-1)"])
    return _session().client("cloudformation", config=_AWS)


def cloudwatch_client() -> CloudWatchClient:
    """CloudWatch in this region."""
    return _session().client("cloudwatch", config=_AWS)


def firehose_client() -> FirehoseClient:
    """Firehose in the function's region. It never retries by itself."""
    return _session().client("firehose", config=_FIREHOSE)


def kinesis_client() -> KinesisClient:
    """Kinesis in this region."""
    return _session().client("kinesis", config=_AWS)


def kms_client() -> KMSClient:
    """KMS in the function's region."""
    return _session().client("kms", config=_AWS)


def lambda_client() -> LambdaClient:
    """Lambda in this region."""
    return _session().client("lambda", config=_AWS)


def rds_client() -> RDSClient:
    """RDS in the function's region, with retries where it throttles. Raises SettingsError without a region."""
    if not _session().region_name:
        raise SettingsError(["AWS_REGION is missing (expected: the region of the databases, like eu-west-1)"])
    return _session().client("rds", config=_RDS)


def s3_client() -> S3Client:
    """S3 in the function's region."""
    return _session().client("s3", config=_AWS)


def security_hub_client(credentials: Mapping[str, str] | None = None) -> SecurityHubClient:
    """Security Hub in the function's region, by default as the function's role.

    `credentials` are those of another role, with AssumeRole's names. It never retries by itself.
    """
    if credentials is None:
        return _session().client("securityhub", config=_SECURITY_HUB)
    return _session().client(
        "securityhub",
        config=_SECURITY_HUB,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def sns_client() -> SNSClient:
    """SNS in the function's region."""
    return _session().client("sns", config=_AWS)


def sts_client() -> STSClient:
    """STS in the function's region: the global endpoint would be another dependency."""
    return _session().client("sts", config=_AWS)


@cache
def _session() -> boto3.Session:
    # One for all clients: each session reads the configuration and the credentials anew.
    return aws_session()


def search_client(endpoint: SearchEndpoint) -> OpenSearch:
    """A client of the endpoint in its way of signing in. It never retries by itself: the gateway decides.

    Raises SettingsError where the credentials it needs are not there.
    """
    return OpenSearch(
        endpoint.url,
        connection_class=Urllib3HttpConnection,
        http_auth=_authentication(endpoint),
        ca_certs=endpoint.ca_bundle or None,
        max_retries=0,
        retry_on_timeout=False,
        serializer=_Orjson(),
        pool_maxsize=2,
    )


def dashboards_client(endpoint: SearchEndpoint, url: str) -> OpenSearch:
    """A client of the Dashboards at `url`, which signs in as at the endpoint; only its transport is of use.

    Raises SettingsError where the credentials it needs are not there.
    """
    return OpenSearch(
        url,
        connection_class=Urllib3HttpConnection,
        http_auth=_authentication(endpoint),
        ca_certs=endpoint.ca_bundle or None,
        max_retries=0,
        retry_on_timeout=False,
        timeout=_DASHBOARDS_SECONDS,
        serializer=_Orjson(),
        serializers={_Lines.mimetype: _Lines()},
        pool_maxsize=1,
    )


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


def _authentication(endpoint: SearchEndpoint) -> Any:
    if endpoint.auth == "none":
        return None
    if endpoint.auth == "basic":
        return _basic(endpoint.secret_arn)
    session = _session()
    credentials = session.get_credentials()
    if credentials is None:
        raise SettingsError(["AWS credentials are missing (expected: the function's role, or a profile)"])
    if not session.region_name:
        raise SettingsError(["AWS_REGION is missing (expected: the region of the OpenSearch endpoint)"])
    return RequestSigner(
        AWS4Auth(refreshable_credentials=credentials, region=session.region_name, service=endpoint.service)
    )


def _basic(secret_arn: str) -> tuple[str, str]:
    try:
        answer = _session().client("secretsmanager", config=_AWS).get_secret_value(SecretId=secret_arn)
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        # A denial may be that of a policy which is too new to act, like one of OpenSearch's own.
        status = 403 if code.startswith("AccessDenied") else 400
        raise SearchUnavailable(f"Secrets Manager GetSecretValue of OPENSEARCH_SECRET_ARN: {code}", status) from exc
    try:
        secret = orjson.loads(answer["SecretString"])
        return secret["username"], secret["password"]
    except (KeyError, TypeError, ValueError):
        # The parser's error would quote the secret: it is not told, nor chained.
        raise SettingsError(
            ['OPENSEARCH_SECRET_ARN is no such secret (expected: {"username": …, "password": …})']
        ) from None
