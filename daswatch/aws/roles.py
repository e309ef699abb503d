"""STS: a role in another account."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from daswatch.alerts.findings import partition
from daswatch.aws.api_calls import AwsError, Trouble, ask
from daswatch.deadline import Deadline

if TYPE_CHECKING:
    from types_boto3_sts.client import STSClient

Credentials = Mapping[str, str]  # AccessKeyId, SecretAccessKey, SessionToken


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """Credentials, and until when they may be used."""

    credentials: Credentials
    until: datetime


def role_arn(account_id: str, name: str, region: str) -> str:
    """The ARN of a role in an account; `region` decides the partition."""
    return f"arn:{partition(region)}:iam::{account_id}:role/{name}"


def assume(
    sts: Callable[[], STSClient],
    arn: str,
    session: str,
    deadline: Deadline,
    chance: Callable[[], float] = random.random,
) -> AssumedRole:
    """Assume a role. Raises AwsError, which may pass where what answered 200 is not STS."""
    answer = ask(lambda: sts().assume_role(RoleArn=arn, RoleSessionName=session), deadline, chance)
    found = answer.get("Credentials")
    if not found:
        raise AwsError("an answer without credentials", Trouble.PASSING)
    credentials = {
        "AccessKeyId": found["AccessKeyId"],
        "SecretAccessKey": found["SecretAccessKey"],
        "SessionToken": found["SessionToken"],
    }
    return AssumedRole(credentials, found["Expiration"])
