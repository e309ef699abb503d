"""The findings function's runner, as a tool runs it: at an endpoint, with the notifications that it wants."""

from __future__ import annotations

from collections.abc import Sequence

from opensearchpy import OpenSearch

from daswatch.aws.security_hub import FindingAccounts
from daswatch.aws.sns import AlertTopic
from daswatch.detections.detection import Detection
from daswatch.indices import Indices
from daswatch.opensearch.alert_index import AlertIndex
from daswatch.opensearch.bulk import SearchGateway
from daswatch.opensearch.saved_queries import SavedQueries
from daswatch.settings import DEFAULT_EVENT_TAGS
from demo.aws import REGION
from findings_lambda.name_lookup import NameLookup
from findings_lambda.notifier import Notifier
from findings_lambda.runner import DetectionRunner


def detection_runner(
    search: OpenSearch,
    detections: Sequence[Detection],
    indices: Indices,
    accounts: FindingAccounts | None = None,
    topic: AlertTopic | None = None,
    dashboards_url: str = "",
) -> DetectionRunner:
    """A runner that has just started; without accounts and topic it notifies no one."""
    return DetectionRunner(
        detections=detections,
        queries=SavedQueries(search),
        alert_index=AlertIndex(search, indices),
        search=SearchGateway(search),
        notifier=Notifier(
            accounts=accounts,
            topic=topic,
            region=REGION,
            dashboards_url=dashboards_url,
            indices=indices,
            statements=None,
        ),
        indices=indices,
        names=NameLookup(search, indices, DEFAULT_EVENT_TAGS),
    )
