"""A command's failure: the problems, the endpoint, the next step, and the exit code.

In: what a command raised, and the variables that it read. Out: a Failure. This is the one table of exit codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from daswatch.errors import (
    DashboardsUnavailable,
    DaswatchError,
    NotOpenSearch,
    RuleError,
    SearchUnavailable,
    SettingsError,
    TooOld,
)

# Who asks is not known to AWS: then no call is answered.
_NOT_TAKEN = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_SIGN_IN = "sign in: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_BY_STATUS = {
    401: "check OPENSEARCH_AUTH, and the user and password in OPENSEARCH_SECRET_ARN",
    403: "let your role in: the domain's access policy and its role mapping, or the collection's data access policy",
    429: "OpenSearch is overloaded: wait, or run it again in a quiet hour",
}


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1  # something is wrong, was refused or did not answer
    USAGE = 2  # usage, settings or credentials: it could not begin


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong. `endpoint` and `cause` are empty if no endpoint was involved."""

    problems: tuple[str, ...]
    next_step: str = ""
    exit_code: Exit = Exit.FAILED
    endpoint: str = ""
    cause: str = ""

    def as_json(self) -> dict[str, Any]:
        """As JSON output."""
        return {
            "error": {
                "problems": list(self.problems),
                "endpoint": self.endpoint,
                "cause": self.cause,
                "next": self.next_step,
                "exitCode": int(self.exit_code),
            }
        }


class ExplainedError(DaswatchError):
    """A failure that knows its next step and its exit code."""

    exit_code = Exit.FAILED

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem} (next: {next_step})")
        self.problem = problem
        self.next_step = next_step


def explain(exc: Exception, variables: Mapping[str, str]) -> Failure | None:
    """Explain an error; return None for an exception that is a defect of Daswatch."""
    if not isinstance(exc, DaswatchError) and not type(exc).__module__.startswith("botocore."):
        return None
    if isinstance(exc, SettingsError):
        return _of_aws(exc) or Failure(tuple(exc.problems), exit_code=Exit.USAGE)
    if isinstance(exc, RuleError):
        return Failure((str(exc),), exit_code=Exit.USAGE)
    if isinstance(exc, SearchUnavailable | DashboardsUnavailable):
        return _of_aws(exc) or _of_opensearch(exc, variables)
    if found := _of_aws(exc):
        return found
    if isinstance(exc, ExplainedError):
        return Failure((exc.problem,), exc.next_step, exc.exit_code)
    return Failure((str(exc),)) if isinstance(exc, DaswatchError) else None


def _of_opensearch(exc: SearchUnavailable | DashboardsUnavailable, variables: Mapping[str, str]) -> Failure:
    # Here, as below: a command that succeeds does not wait for these imports.
    from daswatch.aws.error_causes import NEXT_STEPS, Cause, no_answer

    url = variables.get("OPENSEARCH_ENDPOINT", "").strip().rstrip("/")
    name, foreign = "OpenSearch", Cause.NOT_OPENSEARCH
    if isinstance(exc, DashboardsUnavailable):
        url = variables.get("DASHBOARDS_URL", "").strip().rstrip("/") or f"{url}/_dashboards"
        name, foreign = "OpenSearch Dashboards", Cause.NOT_DASHBOARDS
    if found := no_answer(exc):
        problem = f"{name} at {url} does not answer ({found.words})"
        return Failure((_with_context(problem, exc),), NEXT_STEPS[found.cause], endpoint=url, cause=found.cause)
    if isinstance(exc, TooOld):
        return Failure((f"{url}: {exc}",), exc.next_step, endpoint=url, cause="too old")
    if exc.status == 0 or isinstance(exc, NotOpenSearch):
        return Failure((f"{url}: {exc}",), NEXT_STEPS[foreign], endpoint=url, cause=foreign)
    return Failure((f"{url}: {exc}",), _BY_STATUS.get(exc.status, ""), endpoint=url, cause=f"answered {exc.status}")


def _with_context(problem: str, exc: Exception) -> str:
    """Keep in the message what was being done when the endpoint did not answer."""
    context, separator, _ = str(exc).partition(": OpenSearch")
    return f"{context}: {problem}" if separator else problem


def _of_aws(exc: Exception) -> Failure | None:
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound

    from daswatch.aws.error_causes import NEXT_STEPS, no_answer, origins

    errors = [one for one in origins(exc) if isinstance(one, BotoCoreError | ClientError)]
    if not errors:
        return None
    error = errors[0]
    region = _region()
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _NOT_TAKEN:
            return Failure((f"AWS does not take these credentials ({code})",), _SIGN_IN, Exit.USAGE, cause=code)
    if isinstance(error, ProfileNotFound):
        return Failure((f"AWS_PROFILE: {error}",), "name a profile of ~/.aws/config", Exit.USAGE, cause="no profile")
    if isinstance(error, NoRegionError):
        problem = "AWS_REGION is missing (expected: the region of the databases, like eu-west-1)"
        return Failure((problem,), "export AWS_REGION=...", Exit.USAGE, cause="no region")
    if any(word in type(error).__name__ for word in ("Credential", "SSO", "Token", "AuthError")):
        return Failure(
            (f"AWS credentials are missing or cannot be read ({type(error).__name__})",),
            _SIGN_IN,
            Exit.USAGE,
            cause="no credentials",
        )
    found = no_answer(error)
    if region and (found or isinstance(error, ClientError)) and (wrong := _wrong_region(region)):
        return Failure(
            (f"AWS_REGION: {wrong}",),
            "export AWS_REGION=..., the region of the databases",
            Exit.USAGE,
            endpoint=found.endpoint if found else "",
            cause="unknown region",
        )
    if found is None:
        return None if isinstance(exc, DaswatchError) else Failure((f"AWS: {error}",))
    return Failure((found.sentence,), NEXT_STEPS[found.cause], endpoint=found.endpoint, cause=found.cause)


def _region() -> str:
    from botocore.exceptions import BotoCoreError

    from daswatch.aws.session import aws_session

    try:
        return aws_session().region_name or ""
    except BotoCoreError:  # a profile that is not there, a configuration that cannot be read
        return ""


def _wrong_region(region: str) -> str:
    from daswatch.aws.session import unknown_region

    return unknown_region(region)
