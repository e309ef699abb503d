"""STS: who calls AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import ReadingUnrecorded
from daswatch.evidence.readings import Caller

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient


def caller(client: STSClient, deadline: Deadline) -> Caller:
    """The identity that calls AWS. Raises ReadingUnrecorded where STS names none: then no evidence is opened."""
    try:
        answer = ask(client.get_caller_identity, deadline)
    except AwsError as exc:
        raise ReadingUnrecorded(f"STS GetCallerIdentity: {exc.code}") from exc
    if not answer.get("Arn"):
        raise ReadingUnrecorded("STS GetCallerIdentity: an answer without an ARN")
    return Caller(answer["Arn"], answer.get("UserId", ""), answer.get("Account", ""))
