"""STS: who calls AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import DependencyError, ReadingUnrecorded
from daswatch.evidence.readings import Caller

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient


def caller(
    client: STSClient, deadline: Deadline, failure: Callable[[str], DependencyError] = ReadingUnrecorded
) -> Caller:
    """The identity that calls AWS. Raises `failure` where STS names none; by default, so that no evidence is opened."""
    try:
        answer = ask(client.get_caller_identity, deadline)
    except AwsError as exc:
        raise failure(f"STS GetCallerIdentity: {exc.code}: {exc.words}") from exc
    if not answer.get("Arn"):
        raise failure("STS GetCallerIdentity: an answer without an ARN")
    return Caller(answer["Arn"], answer.get("UserId", ""), answer.get("Account", ""))
