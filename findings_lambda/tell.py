"""Tells about alerts: findings to Security Hub, one message for each episode to the alert topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from daswatch.alerts import Alert, Due, told
from daswatch.deadline import Deadline
from daswatch.detections import Detection
from daswatch.errors import DependencyError
from daswatch.findings import Posting, finding
from daswatch.gateways.security_hub import FindingAccounts
from daswatch.gateways.topics import AlertTopic
from daswatch.links import alert_url
from daswatch.messages import message

# The redacted statements behind an alert; asked for only where a setting allows SQL in findings.
Statements = Callable[[Alert, Deadline], Sequence[str]]


@dataclass(slots=True)
class Telling:
    """What was told, and what was not."""

    findings: int = 0
    messages: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # finding's id -> error code
    unsent: int = 0
    causes: set[str] = field(default_factory=set)


class Teller:
    """Security Hub and the alert topic, as far as there are any."""

    def __init__(
        self,
        *,
        accounts: FindingAccounts | None,
        topic: AlertTopic | None,
        region: str,
        dashboards_url: str,
        statements: Statements,
    ) -> None:
        self._accounts = accounts
        self._topic = topic
        self._region = region
        self._dashboards_url = dashboards_url
        self._statements = statements

    @property
    def has_topic(self) -> bool:
        """Whether anybody wants messages."""
        return self._topic is not None

    def tell(
        self,
        dues: Iterable[tuple[Alert, Due]],
        detections: Mapping[str, Detection],
        now: datetime,
        deadline: Deadline,
    ) -> tuple[list[Alert], Telling]:
        """Tell what is due; the alerts as they are after it, and what came of it."""
        telling = Telling()
        listed = list(dues)
        posted = self._post([alert for alert, what in listed if what.finding], detections, deadline, telling)
        after = []
        for alert, what in listed:
            mailed = what.message and self._publish(alert, detections.get(alert.detection), telling, deadline)
            after.append(told(alert, now, finding=alert.id in posted, message=mailed))
        return after, telling

    def _post(
        self, alerts: Sequence[Alert], detections: Mapping[str, Detection], deadline: Deadline, telling: Telling
    ) -> set[str]:
        """Import findings, account by account; the ids of the alerts that Security Hub knows now, or never will."""
        if self._accounts is None:
            return {alert.id for alert in alerts}
        by_account: dict[str, list[Alert]] = {}
        for alert in alerts:
            by_account.setdefault(alert.database.aws_account_id, []).append(alert)
        done: set[str] = set()
        for account_id, own in by_account.items():
            posting_account, security_hub = self._accounts.for_account(account_id, deadline)
            posting = Posting(posting_account, self._region, self._dashboards_url)
            findings = {
                alert.id: finding(alert, detections.get(alert.detection), posting, self._statements(alert, deadline))
                for alert in own
            }
            result = security_hub.import_findings(list(findings.values()), deadline)
            telling.findings += len(result.accepted)
            telling.refused |= result.refused
            telling.unsent += len(result.unsent)
            if result.cause:
                telling.causes.add(result.cause)
            # A finding that is refused for good is told in the log; to send it again each minute would help nobody.
            final = {*result.accepted, *result.refused}
            done |= {name for name, one in findings.items() if one["Id"] in final}
        return done

    def _publish(self, alert: Alert, detection: Detection | None, telling: Telling, deadline: Deadline) -> bool:
        if self._topic is None:
            return False
        try:
            url = alert_url(self._dashboards_url, alert, detection)
            self._topic.publish(message(alert, detection, url), deadline)
        except DependencyError as exc:
            telling.causes.add(str(exc))
            return False
        telling.messages += 1
        return True
