"""The conditions of what is watched, each quarter of an hour: counted, and published where one begins or ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from daswatch.aws.metrics import read_metrics
from daswatch.aws.sns import AlertTopic
from daswatch.deadline import Deadline
from daswatch.enrolment.conditions import QUARTER, Conditions, WatchedStream, judged, last_quarter, message, queries_of
from daswatch.errors import ConsumersUnavailable, TopicUnavailable

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What a look at a quarter found. `cause` says what could not be asked or published."""

    conditions: Conditions = field(default_factory=Conditions)
    cause: str = ""

    @property
    def names(self) -> Mapping[str, list[str]]:
        """The databases by their condition now."""
        return {str(condition): sorted(names) for condition, names in self.conditions.now.items()}


class Watch:
    """Looks at the metrics of the streams of one account and region."""

    def __init__(self, metrics: Callable[[], CloudWatchClient], topic: AlertTopic | None, where: str) -> None:
        """Without a topic, nothing is published. `where` is the account and region, in words."""
        self._metrics = metrics
        self._topic = topic
        self._where = where

    def look(self, streams: list[WatchedStream], now: datetime, deadline: Deadline) -> WatchReport:
        """Judge the last quarter, and publish what changed since the one before. Raises nothing of AWS's."""
        quarter = last_quarter(now)
        try:
            values = read_metrics(
                self._metrics(), queries_of(streams), quarter - QUARTER, quarter + QUARTER, deadline.part(0.7)
            )
        except ConsumersUnavailable as exc:
            return WatchReport(cause=str(exc))
        found = judged(streams, values, quarter)
        changed = message(found, self._where)
        if changed and self._topic:
            try:
                self._topic.publish(changed, deadline)
            except TopicUnavailable as exc:
                return WatchReport(found, str(exc))
        return WatchReport(found)
