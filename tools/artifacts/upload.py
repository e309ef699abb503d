"""Artifacts and template to S3, where CloudFormation and Lambda take them from. What is there stays as it is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import BotoCoreError, ClientError

from tools.artifacts.errors import DeployError
from tools.artifacts.manifest import NAME, Manifest

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_PREFIX = "daswatch"

OnUpload = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Where the artifacts are, and what was done for it."""

    bucket: str
    prefix: str
    template_url: str
    sent: tuple[str, ...]  # keys
    skipped: tuple[str, ...]


def prefix_of(manifest: Manifest) -> str:
    """The template's ArtifactPrefix of a build."""
    return f"{_PREFIX}/{manifest.digest}"


def uploads(dist: Path, manifest: Manifest, template: Path) -> dict[str, Path]:
    """Keys and files of a build. The manifest is the last: where it is, everything is.

    The template has a name of its own content, since it changes without the artifacts.
    """
    prefix = prefix_of(manifest)
    keys = {f"{prefix}/{one.path}": dist / one.path for one in manifest.artifacts}
    template_digest = hashlib.sha256(template.read_bytes()).hexdigest()[:32]
    return {**keys, f"{_PREFIX}/templates/{template_digest}.yaml": template, f"{prefix}/{NAME}": dist / NAME}


def upload(
    s3: S3Client, bucket: str, dist: Path, manifest: Manifest, template: Path, step: OnUpload = lambda key, size: None
) -> Uploaded:
    """Send what the bucket has not yet; `step` hears each key and its bytes. Raises DeployError."""
    check_bucket(s3, bucket)
    files = uploads(dist, manifest, template)
    sent: list[str] = []
    skipped: list[str] = []
    for key, path in files.items():
        there = _is_there(s3, bucket, key)
        if not there:
            _put(s3, bucket, key, path)
        (skipped if there else sent).append(key)
        step(key, path.stat().st_size)
    (template_key,) = [key for key, path in files.items() if path == template]
    return Uploaded(
        bucket=bucket,
        prefix=prefix_of(manifest),
        template_url=_url(s3.meta.endpoint_url, bucket, template_key),
        sent=tuple(sent),
        skipped=tuple(skipped),
    )


def upload_template(s3: S3Client, bucket: str, text: str) -> str:
    """Upload a template that is in no file; its URL. Raises DeployError."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "template.yaml"
        path.write_text(text, "utf-8")
        key = f"daswatch/template-{hashlib.sha256(text.encode()).hexdigest()[:32]}.yaml"
        _put(s3, bucket, key, path)
    return _url(s3.meta.endpoint_url, bucket, key)


def sizes(files: Mapping[str, Path]) -> int:
    """The bytes of an upload."""
    return sum(path.stat().st_size for path in files.values())


def _url(endpoint: str, bucket: str, key: str) -> str:
    """The address that CloudFormation takes a template from."""
    parts = urlsplit(endpoint)
    return urlunsplit((parts.scheme, f"{bucket}.{parts.netloc}", f"/{key}", "", ""))


def check_bucket(s3: S3Client, bucket: str) -> None:
    """Whether artifacts can be taken from it: Lambda does so only within its own region. Raises DeployError."""
    try:
        answer = s3.head_bucket(Bucket=bucket)
    except ClientError as exc:
        raise _refused(f"the bucket {bucket}", exc) from exc
    except BotoCoreError as exc:
        raise DeployError(f"S3 cannot be asked ({exc})", "set AWS_PROFILE or credentials, and AWS_REGION") from exc
    region = answer.get("BucketRegion") or s3.meta.region_name
    if region != s3.meta.region_name:
        raise DeployError(
            f"the bucket {bucket} is in {region}, the stack would be in {s3.meta.region_name}",
            f"name a bucket in {s3.meta.region_name}, or set AWS_REGION={region}: "
            "Lambda takes code only from buckets of its region",
        )


def _is_there(s3: S3Client, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as exc:
        if exc.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise _refused(f"s3://{bucket}/{key}", exc) from exc
    return True


def _put(s3: S3Client, bucket: str, key: str, path: Path) -> None:
    data = path.read_bytes()
    try:
        # In one piece, with its checksum: S3 refuses what has changed on the way.
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=data,
            ChecksumSHA256=base64.b64encode(hashlib.sha256(data).digest()).decode("ascii"),
        )
    except (ClientError, BotoCoreError) as exc:
        raise DeployError(
            f"s3://{bucket}/{key} cannot be written ({exc})",
            "the caller needs s3:PutObject and s3:GetObject on it; then run it again: what is there is not sent again",
        ) from exc


def _refused(what: str, exc: ClientError) -> DeployError:
    status = exc.response["ResponseMetadata"]["HTTPStatusCode"]
    if status == 404:
        return DeployError(f"{what} does not exist", "create it: aws s3 mb s3://NAME, in the region of the stack")
    if status == 301:
        return DeployError(f"{what} is in another region", "set AWS_REGION to the bucket's, or name another bucket")
    return DeployError(
        f"{what} is not readable (S3 answered {status})",
        "the caller needs s3:ListBucket on the bucket, and s3:GetObject and s3:PutObject on its objects",
    )
