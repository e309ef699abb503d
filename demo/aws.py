"""AWS's services on this machine: moto behind real HTTP, for those of SERVICES.

Only what AWS itself runs is stood in for. Clients find it by boto3's own AWS_ENDPOINT_URL_<SERVICE>, so the code under
demonstration does not see a difference.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Self

import boto3
from moto.server import ThreadedMotoServer

from demo.rds import Database

if TYPE_CHECKING:
    from types_boto3_firehose.client import FirehoseClient
    from types_boto3_kinesis.client import KinesisClient
    from types_boto3_kms.client import KMSClient
    from types_boto3_s3.client import S3Client
    from types_boto3_securityhub.client import SecurityHubClient

REGION = "eu-west-1"
DEAD_LETTER_BUCKET = "daswatch-dead-letters"
SERVICES = ("EC2", "FIREHOSE", "KINESIS", "KMS", "ORGANIZATIONS", "RDS", "S3", "SECURITYHUB", "SNS", "STS")


class LocalAws:
    """A moto server in this process, on loopback and a free port."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request otherwise
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)

    @property
    def environment(self) -> dict[str, str]:
        """What points any process's boto3 here. The credentials are moto's: it accepts all."""
        return {
            **{f"AWS_ENDPOINT_URL_{service}": self.url for service in SERVICES},
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def firehose(self) -> FirehoseClient:
        return self.session.client("firehose", endpoint_url=self.url)

    def kinesis(self) -> KinesisClient:
        return self.session.client("kinesis", endpoint_url=self.url)

    def kms(self) -> KMSClient:
        return self.session.client("kms", endpoint_url=self.url)

    def s3(self) -> S3Client:
        return self.session.client("s3", endpoint_url=self.url)

    def create_dead_letter_bucket(self) -> str:
        """The bucket of the dead letters; its name."""
        return self.create_bucket(DEAD_LETTER_BUCKET)

    def create_bucket(self, name: str) -> str:
        """Any bucket; its name."""
        self.s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        return name

    def security_hub(self) -> SecurityHubClient:
        return self.session.client("securityhub", endpoint_url=self.url)

    def create_topic(self) -> str:
        """The alert topic; its ARN."""
        return self.session.client("sns", endpoint_url=self.url).create_topic(Name="daswatch-alerts")["TopicArn"]

    def create_key(self) -> str:
        """A customer key for activity streams; its id."""
        return self.kms().create_key(Description="activity streams")["KeyMetadata"]["KeyId"]

    def create_stream(self, database: Database, shards: int = 1) -> str:
        """The activity stream of a database, named as RDS names it; its ARN."""
        kinesis = self.kinesis()
        kinesis.create_stream(StreamName=database.stream_name, ShardCount=shards)
        kinesis.get_waiter("stream_exists").wait(
            StreamName=database.stream_name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        return kinesis.describe_stream_summary(StreamName=database.stream_name)["StreamDescriptionSummary"]["StreamARN"]

    def close(self) -> None:
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
