"""What can go wrong, split by what the caller does about it.

::

    DaswatchError
    ├── SettingsError        stop: the deployment's settings must be corrected
    ├── RuleError            stop: a detection's rule or a team's tuning is wrong; nothing is compiled
    ├── SavedObjectError     stop: a saved object's file or an export is not what Dashboards writes (dashboards.py)
    ├── PanelError           stop: a panel asks for what we do not translate (panels.py)
    ├── StreamRefused        stop: an activity stream cannot be started or stopped; the message says what is needed
    ├── RequestError         stop: CloudFormation's request is none that we can follow
    ├── EvidenceDamaged      go on with the next object: the rest of this one cannot be read
    ├── DependencyError      retry: what we depend on does not serve us now
    │   ├── NotAnActivityStream  the function is connected to another source; until that changes, its records wait
    │   ├── TimeLimitReached
    │   ├── KmsUnavailable
    │   ├── SearchUnavailable
    │   │   ├── NotOpenSearch    another server answers at the endpoint
    │   │   ├── TooOld           the endpoint's version of OpenSearch lacks what the templates and queries need
    │   │   └── TemplatesMissing `daswatch setup` has to be run; until then the records wait in the stream
    │   ├── DashboardsUnavailable
    │   ├── TopicUnavailable
    │   ├── RdsUnavailable
    │   ├── FleetUnavailable
    │   ├── ConsumersUnavailable
    │   ├── FunctionUnavailable
    │   ├── ResponseUndelivered
    │   ├── EvidenceUnavailable
    │   ├── ReadingUnrecorded
    │   └── ArchiveUnavailable
    └── RecordError          dead-letter: this stream record or notification can never succeed
        ├── NotificationError        a monitor's message that cannot be read
        ├── EnvelopeError            the record is not an envelope of an activity stream
        ├── DecryptError             the envelope does not open
        └── MonitoringRecordError    decrypted, but not a monitoring record

Every message and detail is written to logs and to the dead-letter index: none may quote a payload, SQL text or a key.
"""

from __future__ import annotations

from enum import StrEnum

# The first version that was seen to take all templates and to find with all queries what the newest one finds.
LEAST_OPENSEARCH = (2, 13)


class Reason(StrEnum):
    """Why a stream record, or a part of it, became a dead letter."""

    NOT_AN_ACTIVITY_STREAM = "not-an-activity-stream"
    NOT_BASE64 = "not-base64"
    NOT_JSON = "not-json"
    NOT_AN_ENVELOPE = "not-an-envelope"
    ANOTHER_TYPE = "another-type"
    DATA_KEY_MISSING = "data-key-missing"
    DATA_KEY_REFUSED = "data-key-refused"
    NOT_DECRYPTABLE = "not-decryptable"
    NOT_GZIP = "not-gzip"
    TOO_LARGE = "too-large"
    TRAILING_BYTES = "trailing-bytes"
    NOT_A_MONITORING_RECORD = "not-a-monitoring-record"
    EVENTS_NOT_A_LIST = "events-not-a-list"
    EVENT_NOT_AN_OBJECT = "event-not-an-object"
    EVENT_TOO_DEEP = "event-too-deep"
    NOT_A_NOTIFICATION = "not-a-notification"
    DOCUMENT_REFUSED = "document-refused"
    ROW_REFUSED = "row-refused"
    UNEXPECTED = "unexpected"


class DaswatchError(Exception):
    """The root: whatever Daswatch raises on purpose."""


class SettingsError(DaswatchError):
    """Settings are missing or wrong; the message names each with what it should look like."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("settings: " + "; ".join(problems))
        self.problems = problems


class RuleError(DaswatchError):
    """A rule, its tuning or a suppression is wrong; the message names the detection and what to correct."""


class StreamRefused(DaswatchError):
    """An activity stream cannot be switched as wanted; the message says why and what to do first."""


class RequestError(DaswatchError):
    """CloudFormation's request, or its properties, are none that we can follow; the message names what is wrong."""


class EvidenceDamaged(DaswatchError):
    """An object of evidence is cut, changed, or lacks what it is about; what is whole of it was read."""


class DependencyError(DaswatchError):
    """A service that we need does not serve us now: fail the batch, deliver it again."""


class NotAnActivityStream(DependencyError):
    """The function reads a source that is not an activity stream; `arn` is empty where it is not an ARN either."""

    def __init__(self, arn: str) -> None:
        super().__init__(
            f"{arn or 'the event source'} is not an activity stream (aws-rds-das-cluster-… or aws-rds-das-db-…): "
            "delete the event source mapping that reads it"
        )


class TimeLimitReached(DependencyError):
    """The time of the invocation did not suffice."""


class KmsUnavailable(DependencyError):
    """KMS throttles, times out, or denies us the key: it says nothing about the record itself.

    `is_passing` is False where the same call fails until a person acts: a key that is deleted, disabled or denied.
    `key` is its ARN, where KMS names it.
    """

    def __init__(self, message: str, *, is_passing: bool = True, key: str = "") -> None:
        super().__init__(message)
        self.is_passing = is_passing
        self.key = key


class SearchUnavailable(DependencyError):
    """OpenSearch refuses or does not answer; `status` is what it answered, 0 for nothing or nonsense.

    `reason` is OpenSearch's own sentence where the request holds nothing that it may not quote.
    """

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class NotOpenSearch(SearchUnavailable):
    """What answers at the endpoint is not OpenSearch; `found` says how that is seen."""

    def __init__(self, found: str, status: int = 0) -> None:
        super().__init__(f"what answers is not OpenSearch: {found}", status)
        self.found = found


class TooOld(SearchUnavailable):
    """OpenSearch answers, in a version before LEAST_OPENSEARCH; `next_step` says what to do."""

    def __init__(self, number: str) -> None:
        least = ".".join(map(str, LEAST_OPENSEARCH))
        super().__init__(f"OpenSearch {number} is too old: Daswatch needs {least} or newer", 200)
        self.next_step = f"upgrade the domain to OpenSearch {least} or newer; the tests run on 2.19 and 3.x"


class TemplatesMissing(SearchUnavailable):
    """The index template is not installed, so a write would create a guessed mapping."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"index template {name!r} is not installed at this endpoint: run `daswatch setup`, "
            "then the records are delivered again; nothing was written"
        )
        self.name = name


class DashboardsUnavailable(DependencyError):
    """Dashboards refuses or does not answer; `status` is what it answered, 0 for nothing or nonsense."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TopicUnavailable(DependencyError):
    """SNS did not take a message; where `maybe_sent`, it may have done so without an answer that arrived in time."""

    def __init__(self, message: str, *, maybe_sent: bool = False) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class RdsUnavailable(DependencyError):
    """RDS throttles, does not answer, or denies us the call."""


class FleetUnavailable(DependencyError):
    """An account or its regions cannot be looked at."""


class ConsumersUnavailable(DependencyError):
    """Lambda or Firehose does not describe what consumes the activity streams."""


class FunctionUnavailable(DependencyError):
    """A function that we invoke cannot be, or fails."""


class ResponseUndelivered(DependencyError):
    """CloudFormation's bucket did not take the response: the stack waits, so it has to be sent again."""


class ArchiveUnavailable(DependencyError):
    """S3 did not take a dead letter, or a backup."""


class EvidenceUnavailable(DependencyError):
    """S3 does not list, give or tag objects of evidence."""


class ReadingUnrecorded(DependencyError):
    """A reading of evidence cannot be noted: then none is opened."""


class RecordError(DaswatchError):
    """A stream record that can never succeed; `reason` is counted, `detail` explains it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class NotificationError(RecordError):
    """A monitor's message that cannot be read."""


class EnvelopeError(RecordError):
    """The record is not an envelope of an activity stream."""


class DecryptError(RecordError):
    """The envelope does not open: a wrong key, a changed or truncated message, or one that is too large."""


class MonitoringRecordError(RecordError):
    """The record is decrypted, but not a monitoring record."""
