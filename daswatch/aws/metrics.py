"""CloudWatch: values of many metrics, read in as few calls as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from daswatch.aws.api_calls import AwsError, ask
from daswatch.deadline import Deadline
from daswatch.errors import ConsumersUnavailable

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient

MAX_QUERIES_PER_CALL = 500  # GetMetricData
_CALL_SECONDS = 20.0


def read_metrics(
    client: CloudWatchClient, queries: Sequence[Mapping[str, Any]], begin: datetime, end: datetime, deadline: Deadline
) -> dict[str, dict[datetime, float]]:
    """The values of each query by its id and the begin of each period. Raises ConsumersUnavailable."""
    found: dict[str, dict[datetime, float]] = {}
    for first in range(0, len(queries), MAX_QUERIES_PER_CALL):
        parameters: dict[str, Any] = {
            "MetricDataQueries": list(queries[first : first + MAX_QUERIES_PER_CALL]),
            "StartTime": begin,
            "EndTime": end,
        }
        while True:
            try:
                page = ask(partial(client.get_metric_data, **parameters), deadline.at_most(_CALL_SECONDS))
            except AwsError as exc:
                raise ConsumersUnavailable(f"CloudWatch GetMetricData: {exc.code}: {exc.words}") from exc
            for one in page["MetricDataResults"]:
                values = dict(zip(one["Timestamps"], one["Values"], strict=True))
                found.setdefault(one["Id"], {}).update(values)
            if not page.get("NextToken"):
                break
            parameters["NextToken"] = page["NextToken"]
    return found
