"""RDS in all accounts and regions -> inventory and posture. Only wires components."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from daswatch.aws.clients import (
    organizations_client,
    regional_client,
    security_hub_client,
    sts_client,
)
from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.fleet import FleetLookup, accounts_of
from daswatch.aws.security_hub import FindingAccounts
from daswatch.deadline import Deadline
from daswatch.indices import Indices
from daswatch.opensearch.client import search_client
from daswatch.opensearch.completeness_check import CompletenessCheck
from daswatch.opensearch.completeness_index import CompletenessIndex
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.earlier_events import EarlierEvents
from posture_lambda.auditor import Auditor, read_place
from posture_lambda.findings import PostureFindings
from posture_lambda.settings import Settings, read_settings
from posture_lambda.telemetry import SERVICE, emit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Audit all accounts and regions, or the one of an RDS event. Raises SettingsError, SearchUnavailable,
    FleetUnavailable, RequestError."""
    function = warm_function(context.invoked_function_arn)
    report = function.auditor.run(read_place(event), datetime.now(UTC), Deadline.of(context))
    emit(function.telemetry, report, context.aws_request_id)
    return {"databases": len(report.audit.present), "coveredPercent": round(report.audit.coverage.percent, 1)}


class Function:
    """State kept between warm invocations."""

    def __init__(self, settings: Settings, account_id: str, region: str) -> None:
        scope = settings.scope
        client = search_client(settings.search)
        indices = Indices(settings.index_prefix)
        index = DatabaseIndex(client, indices, settings.search.service)
        hubs = FindingAccounts(account_id, region, security_hub_client, sts_client, settings.findings_role)
        self.telemetry = Telemetry(SERVICE)
        self.auditor = Auditor(
            lookup=lambda regions: FleetLookup(account_id, region, regional_client, sts_client, scope.role, regions),
            accounts=lambda deadline: accounts_of(scope, account_id, organizations_client, deadline),
            index=index,
            earlier_events=EarlierEvents(client, indices, settings.search.service),
            tags=settings.event_tags,
            regions=scope.regions,
            completeness=CompletenessCheck(CompletenessIndex(client, indices, settings.search.service)),
            findings=PostureFindings(hubs, index, region, indices, settings.places) if settings.security_hub else None,
            demands_sync=scope.demands_sync,
        )


@cache
def warm_function(invoked_function_arn: str) -> Function:
    """The function of this environment, the same for as long as it is warm. Raises SettingsError."""
    region, account_id = invoked_function_arn.split(":")[3:5]
    return Function(read_settings(os.environ), account_id, region)
