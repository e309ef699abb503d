"""Three accounts through one hub: events, verdicts and findings carry their own account; a wrong role is named."""

from __future__ import annotations

import secrets
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.aws import clients
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from posture_lambda.handler import handler
from tests.builders.events import postgresql_event
from tests.fakes.proxy import Proxy, answer
from tests.fakes.rds import ACCOUNT, Rds
from tests.harness.fleet import REGION, Fleet
from tests.harness.ingest import IngestFunction

HUB = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:daswatch-posture"
ROLE = "daswatch-member"
DENIED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>daswatch-posture is not authorized to perform: sts:AssumeRole</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


def new_accounts(count: int) -> list[str]:
    return [str(secrets.randbelow(9 * 10**11) + 10**11) for _ in range(count)]


def of_account(record: dict[str, Any], account: str) -> dict[str, Any]:
    """A record as the ingest function of another account gets it."""
    parts = record["eventSourceARN"].split(":")
    return {**record, "eventSourceARN": ":".join([*parts[:4], account, *parts[5:]])}


def test_events_of_spokes_carry_their_account(ingest: IngestFunction) -> None:
    accounts = new_accounts(3)
    databases = {account: ingest.database(name=name) for account, name in zip(accounts, "ABC", strict=True)}

    for account, database in databases.items():
        assert ingest.invoke(of_account(ingest.record([postgresql_event()], database), account)) == []

    found = {one["resourceId"]: one["awsAccountId"] for one in ingest.documents()}
    assert found == {database.resource_id: account for account, database in databases.items()}


@pytest.fixture
def hub(search: OpenSearch, node: AnyNode, rds: Rds, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The posture function of the hub, which looks at three spokes through their roles."""
    fleet = Fleet(search, node.url, rds, monkeypatch, new_accounts(1)[0])
    fleet.configure(
        FLEET_ROLE=ROLE,
        FINDINGS_ROLE=ROLE,
        SECURITY_HUB="true",
        AWS_REGION=REGION,
        AWS_ENDPOINT_URL_SECURITYHUB=rds.aws.url,
    )
    yield fleet
    fleet.close()


def findings_of(rds: Rds, account: str) -> list[dict[str, Any]]:
    """What the Security Hub of an account has."""
    return list(rds.at(account, REGION).any_client("securityhub").get_findings()["Findings"])


def test_posture_of_spokes_is_each_accounts_and_a_wrong_role_is_named(
    hub: Fleet, rds: Rds, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other, wrong = new_accounts(3)
    names = {account: rds.at(account, REGION).cluster() for account in (one, other, wrong)}
    with Proxy(rds.aws.url) as proxy:
        proxy.on(lambda request: f"{wrong}%3Arole".encode() in request.body, answer(403, DENIED, "text/xml"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
        clients.session.cache_clear()
        hub.configure(FLEET_ACCOUNTS=",".join(names))

        handler({"source": "aws.events"}, InvocationContext(invoked_function_arn=HUB))

    found = {f"cluster:{one['databaseIdentifier']}": one["awsAccountId"] for one in hub.documents.values()}
    assert found == {names[account]: account for account in (one, other)}
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (line,) = (line for line in lines if "not_looked_at" in line)
    assert line["not_looked_at"].keys() == {f"{wrong}/"}
    assert f"STS AssumeRole of arn:aws:iam::{wrong}:role/{ROLE}: AccessDenied" in line["not_looked_at"][f"{wrong}/"]
    for account in (one, other):
        (finding,) = findings_of(rds, account)
        assert finding["AwsAccountId"] == account
        assert names[account].removeprefix("cluster:") in str(finding)
    assert findings_of(rds, wrong) == []
