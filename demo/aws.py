"""AWS's services on this machine: moto behind real HTTP, for those of SERVICES.

Only what AWS itself runs is stood in for. Clients find it by boto3's own AWS_ENDPOINT_URL_<SERVICE>, so the code under
demonstration does not see a difference.
"""

from __future__ import annotations

import logging
from functools import cache
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import boto3
from moto.server import ThreadedMotoServer

from daswatch.aws.session import botocore_session
from demo.rds import ACCOUNT_ID, Database

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
        self.session = boto3.Session("testing", "testing", region_name=REGION, botocore_session=botocore_session())
        self._session = cache(self._make_session)
        self._client = cache(self._make_client)
        self._making = Lock()  # a session may not be shared by threads

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

    def client(self, service: Any, region: str = REGION, account: str = ACCOUNT_ID) -> Any:
        """A service in a region of an account. The same client is used again: to make one takes longer than a call."""
        with self._making:
            return self._client(service, region, account)

    def _make_client(self, service: Any, region: str, account: str) -> Any:
        return self._session(account).client(service, region_name=region, endpoint_url=self.url)

    def _make_session(self, account: str) -> boto3.Session:
        if account == ACCOUNT_ID:
            return self.session
        # moto knows another account by the role that was assumed.
        sts = self.session.client("sts", endpoint_url=self.url)
        role = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/test", RoleSessionName="test")["Credentials"]
        secrets = role["AccessKeyId"], role["SecretAccessKey"], role["SessionToken"]
        return boto3.Session(*secrets, botocore_session=botocore_session())

    def firehose(self) -> FirehoseClient:
        return self.client("firehose")  # type: ignore[no-any-return]

    def kinesis(self) -> KinesisClient:
        return self.client("kinesis")  # type: ignore[no-any-return]

    def kms(self) -> KMSClient:
        return self.client("kms")  # type: ignore[no-any-return]

    def s3(self) -> S3Client:
        return self.client("s3")  # type: ignore[no-any-return]

    def create_dead_letter_bucket(self) -> str:
        """The bucket of the dead letters; its name."""
        return self.create_bucket(DEAD_LETTER_BUCKET)

    def create_bucket(self, name: str) -> str:
        """Any bucket; its name."""
        self.s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        return name

    def security_hub(self) -> SecurityHubClient:
        return self.client("securityhub")  # type: ignore[no-any-return]

    def create_topic(self) -> str:
        """The alert topic; its ARN."""
        return str(self.client("sns").create_topic(Name="daswatch-alerts")["TopicArn"])

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
