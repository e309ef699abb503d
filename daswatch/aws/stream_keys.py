"""KMS: the key of an activity stream, found by its alias or created."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import RdsUnavailable, StreamRefused
from daswatch.fleet.database import KeyState
from daswatch.fleet.remedy import NewKey

if TYPE_CHECKING:
    from types_boto3_kms.client import KMSClient


def find_key(kms: KMSClient, alias: str, deadline: Deadline) -> str:
    """The ARN of the key that an alias names; empty where there is no such alias.

    Raises StreamRefused where the key is not enabled or KMS refuses to describe it, RdsUnavailable without an answer.
    """
    try:
        found = ask(lambda: kms.describe_key(KeyId=alias), deadline).get("KeyMetadata", {})
    except AwsError as exc:
        if exc.code.startswith("NotFound"):
            return ""
        raise _refused("DescribeKey", alias, exc) from exc
    arn, state = found.get("Arn", ""), found.get("KeyState", "")
    if not arn:  # what answered 200 is not KMS
        raise RdsUnavailable("KMS DescribeKey: an answer without a key")
    if state != KeyState.ENABLED:
        raise StreamRefused(f"{alias} names the key {arn}, which is {state}: enable it, or give another key")
    return arn


def create_key(kms: KMSClient, key: NewKey, deadline: Deadline) -> str:
    """Create a key that rotates, with its alias; its ARN. Raises StreamRefused, RdsUnavailable.

    No call is made again where it may have had its effect: a second key would go unnoticed.
    """
    try:
        created = ask(
            lambda: kms.create_key(Description=key.description, Policy=key.policy), deadline, repeatable=False
        )
    except AwsError as exc:
        raise _refused("CreateKey", key.alias, exc) from exc
    arn = created["KeyMetadata"].get("Arn", "")
    try:
        ask(lambda: kms.enable_key_rotation(KeyId=arn), deadline)
        ask(lambda: kms.create_alias(AliasName=key.alias, TargetKeyId=arn), deadline, repeatable=False)
    except AwsError as exc:
        what = f"the key {arn} was created, and is not complete: give it as --kms-key, or schedule its deletion"
        # Without a cause, which would be explained in place of the key that is there now.
        raise StreamRefused(f"{what}; {exc.code}: {exc.words}") from None
    return arn


def _refused(call: str, alias: str, exc: AwsError) -> StreamRefused | RdsUnavailable:
    if exc.status == 0:
        return RdsUnavailable(f"KMS {call}: {exc.code}")
    return StreamRefused(f"KMS {call} for {alias}: {exc.code}: {exc.words}")
