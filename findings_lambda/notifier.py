"""Publishes alerts: messages to the alert topic, findings to Security Hub.

Messages first: they are what people wait for, and they do not wait for Security Hub. Each channel, and each account's
Security Hub, has its own part of the time. What was published comes back in small portions, so that it can be noted
before the next: a function that is killed repeats no more than one portion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from daswatch.alerts.alert import Alert, Publication
from daswatch.alerts.findings import NO_STATEMENTS, Posting, Statements, finding
from daswatch.alerts.links import alert_url, alerts_url, session_urls
from daswatch.alerts.messages import MAX_MESSAGES, Message, message, shared, summary
from daswatch.aws.security_hub import FindingAccounts, portions_in_time
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.errors import TopicUnavailable
from daswatch.indices import Indices

# What findings show of their SQL, by alert id.
ReadStatements = Callable[[Sequence[Alert], Deadline], Mapping[str, Statements]]

_SHORTEST_CALL_SECONDS = 1.0
_MAILING = 0.5  # of the time left, in which messages are begun: findings have the rest
_ANSWER_SECONDS = 10.0  # that SNS gets for its answer: a message that is given up may be delivered all the same
_ANSWERING = 0.7  # but no more than that of the time left


@dataclass(slots=True)
class NotificationResult:
    """What was published, and what was not."""

    findings: int = 0
    messages: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # finding's id -> error code
    unsent: int = 0
    unrecorded: int = 0  # alerts that were published, which could not be noted
    causes: set[str] = field(default_factory=set)


class Notifier:
    """Security Hub and the alert topic, where they are configured."""

    def __init__(
        self,
        *,
        accounts: FindingAccounts | None,
        topic: AlertTopic | None,
        region: str,
        dashboards_url: str,
        indices: Indices,
        statements: ReadStatements | None,
    ) -> None:
        self._accounts = accounts
        self._topic = topic
        self._region = region
        self._dashboards_url = dashboards_url
        self._indices = indices
        self._read_statements = statements

    @property
    def has_topic(self) -> bool:
        """Whether an alert topic is configured."""
        return self._topic is not None

    def send_messages(
        self,
        alerts: Sequence[Alert],
        detections: Mapping[str, Detection],
        deadline: Deadline,
        result: NotificationResult,
    ) -> Iterator[list[Publication]]:
        """Publish the messages about these alerts, one after the other; after each, the alerts that it is about."""
        if self._topic is None:
            return
        begin = deadline.part(_MAILING)
        for number, alike in enumerate(shared(alerts, MAX_MESSAGES - result.messages)):
            needed = _ANSWER_SECONDS if number else _SHORTEST_CALL_SECONDS
            if begin.remaining <= 0 or deadline.remaining < needed:
                result.causes.add("the alert topic: out of time")
                return
            try:
                answer_by = deadline.part(_ANSWERING).at_most(max(begin.remaining, _ANSWER_SECONDS))
                self._topic.publish(self._message(alike, detections), answer_by)
            except TopicUnavailable as exc:
                result.causes.add(str(exc))
                yield [Publication(alert, unknown=exc.maybe_sent) for alert in alike]
                continue
            result.messages += 1
            yield [Publication(alert, message=True) for alert in alike]

    def import_findings(
        self,
        alerts: Sequence[Alert],
        detections: Mapping[str, Detection],
        deadline: Deadline,
        result: NotificationResult,
    ) -> Iterator[list[Publication]]:
        """Import the findings of these alerts, account by account; after each call, those Security Hub knows now.

        A finding that it refuses for good counts as known: it is named in the log, and sending it again would not help.
        """
        by_account: dict[str, list[Alert]] = {}
        for alert in sorted(alerts, key=lambda alert: -alert.level.rank):
            by_account.setdefault(alert.database.aws_account_id, []).append(alert)
        for account_id, portion, mine in portions_in_time(by_account, deadline):
            if self._accounts is None:
                yield [Publication(alert, finding=True) for alert in portion]
                continue
            if mine.remaining < _SHORTEST_CALL_SECONDS:
                result.unsent += len(portion)
                result.causes.add("Security Hub: out of time")
                continue
            posting_account, security_hub = self._accounts.for_account(account_id, mine)
            posting = Posting(posting_account, self._region, self._dashboards_url, self._indices)
            statements = self._read_statements(portion, mine) if self._read_statements else {}
            findings = {
                alert.id: finding(
                    alert, detections.get(alert.detection), posting, statements.get(alert.id, NO_STATEMENTS)
                )
                for alert in portion
            }
            imported = security_hub.import_findings(list(findings.values()), mine)
            result.findings += len(imported.accepted)
            result.refused |= imported.refused
            result.unsent += len(imported.unsent)
            if imported.cause:
                result.causes.add(imported.cause)
            final = {*imported.accepted, *imported.refused}
            yield [Publication(alert, finding=True) for alert in portion if findings[alert.id]["Id"] in final]

    def _message(self, alerts: Sequence[Alert], detections: Mapping[str, Detection]) -> Message:
        if len(alerts) > 1:
            return summary(alerts, alerts_url(self._dashboards_url, alerts, self._indices))
        (alert,) = alerts
        detection = detections.get(alert.detection)
        url = alert_url(self._dashboards_url, alert, detection, self._indices)
        return message(alert, detection, url, session_urls(self._dashboards_url, alert, self._indices))
