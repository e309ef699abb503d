"""Clients of AWS's services; the only place that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from daswatch.aws.session import aws_session
from daswatch.errors import SettingsError

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_firehose.client import FirehoseClient
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_kms.client import KMSClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_organizations.client import OrganizationsClient
    from types_boto3_rds.client import RDSClient
    from types_boto3_s3.client import S3Client
    from types_boto3_secretsmanager.client import SecretsManagerClient
    from types_boto3_securityhub.client import SecurityHubClient
    from types_boto3_sns.client import SNSClient
    from types_boto3_sts.client import STSClient

# What bounds a call is its deadline (`daswatch.time_limit`), and what retries it `api_calls.py`: botocore's retries and
# pauses know no deadline. These end the connection of a call that was given up. An attempt to connect ends within what
# a function keeps back for its answer: later it could succeed, and send a message that was given up.
_AWS = Config(
    connect_timeout=2,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 1},
    tcp_keepalive=True,
    max_pool_connections=8,
)
_making = Lock()  # threads may share a client of boto3, and not the session that makes it


def cloudformation_client() -> Any:
    """CloudFormation in this region. Raises SettingsError without one."""
    if not session().region_name:
        raise SettingsError(["AWS_REGION is missing (expected: the region of the stack, like eu-west-1)"])
    return session().client("cloudformation", config=_AWS)


def cloudwatch_client() -> CloudWatchClient:
    """CloudWatch in this region."""
    return session().client("cloudwatch", config=_AWS)


def firehose_client() -> FirehoseClient:
    """Firehose in the function's region."""
    return session().client("firehose", config=_AWS)


def kinesis_client() -> KinesisClient:
    """Kinesis in this region."""
    return session().client("kinesis", config=_AWS)


def kms_client() -> KMSClient:
    """KMS in the function's region."""
    return session().client("kms", config=_AWS)


def lambda_client(region: str | None = None) -> LambdaClient:
    """Lambda in this region, or in another one."""
    return session().client("lambda", region_name=region, config=_AWS)


def waiting_lambda_client() -> LambdaClient:
    """Lambda in this region, for answers that take as long as a function may run."""
    return session().client("lambda", config=_AWS.merge(Config(read_timeout=900)))


def organizations_client() -> OrganizationsClient:
    """Organizations: one endpoint for all regions of a partition."""
    return session().client("organizations", config=_AWS)


def rds_client() -> RDSClient:
    """RDS in the function's region. Raises SettingsError without a region."""
    if not session().region_name:
        raise SettingsError(["AWS_REGION is missing (expected: the region of the databases, like eu-west-1)"])
    return session().client("rds", config=_AWS)


def regional_client(service: str, region: str, credentials: Mapping[str, str] | None = None) -> Any:
    """EC2, KMS or RDS in a region, as the function's role or as another one, with AssumeRole's names."""
    where = _where(region, credentials)
    with _making:
        match service:
            case "ec2":
                return session().client("ec2", **where)
            case "kms":
                return session().client("kms", **where)
            case "rds":
                return session().client("rds", **where)
    raise ValueError(service)


def _where(region: str | None, credentials: Mapping[str, str] | None) -> dict[str, Any]:
    given = credentials or {}
    return {
        "region_name": region,
        "config": _AWS,
        "aws_access_key_id": given.get("AccessKeyId"),
        "aws_secret_access_key": given.get("SecretAccessKey"),
        "aws_session_token": given.get("SessionToken"),
    }


def s3_client() -> S3Client:
    """S3 in the function's region."""
    return session().client("s3", config=_AWS)


def secrets_manager_client() -> SecretsManagerClient:
    """Secrets Manager in the function's region."""
    return session().client("secretsmanager", config=_AWS)


def security_hub_client(credentials: Mapping[str, str] | None = None) -> SecurityHubClient:
    """Security Hub in the function's region, by default as the function's role."""
    with _making:
        return session().client("securityhub", **_where(None, credentials))


def sns_client() -> SNSClient:
    """SNS in the function's region."""
    return session().client("sns", config=_AWS)


def sts_client() -> STSClient:
    """STS in the function's region: the global endpoint would be another dependency."""
    return session().client("sts", config=_AWS)


@cache
def session() -> boto3.Session:
    """The one session of all clients: each new one would read the configuration and the credentials again."""
    return aws_session()
