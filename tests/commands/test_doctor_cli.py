"""`daswatch doctor` against a deployment: all is well, and then one part after the other is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from opensearchpy import OpenSearch
from typer.testing import CliRunner, Result

from daswatch.aws import clients, deployment_lookup
from daswatch.cli import app
from daswatch.doctor import endpoint_checks
from demo.aws import REGION
from demo.opensearch import AnyNode
from tests.fakes.proxy import Proxy
from tests.fakes.proxy import answer as refuse
from tests.fakes.rds import ACCOUNT, Rds
from tests.harness.deployed import Deployed

pytestmark = pytest.mark.usefixtures("one_key_for_all")


@pytest.fixture
def one_key_for_all(monkeypatch: pytest.MonkeyPatch, rds: Rds) -> None:
    """Every client of ours finds moto."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", rds.aws.url)
    clients.session.cache_clear()


@pytest.fixture
def deployed(rds: Rds, node: AnyNode, search: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    one = Deployed(rds, node.url, search)
    one.make()
    one.forget()
    one.fill()
    monkeypatch.setattr(endpoint_checks, "SHARDS_PER_HEAP_GIB", 10_000)  # the node has the indices of other tests, too
    monkeypatch.setattr(deployment_lookup, "cloudformation_client", lambda: one.cloudformation())
    yield one
    one.forget()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments], env={"COLUMNS": "250"})


def doctor(code: int = 0) -> dict[str, Any]:
    """What it prints for machines."""
    result = run("--output", "json")
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout))


def named(answer: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = (check for check in answer["checks"] if check["name"] == name)
    return dict(one)


def test_healthy_deployment_needs_no_fix(deployed: Deployed) -> None:
    answer = doctor()

    assert {one["name"]: one for one in answer["checks"] if one["status"] != "ok"} == {}
    assert (answer["broken"], answer["first"]) == (0, None)
    subjects = {one["subject"] for one in answer["checks"]}
    assert subjects == {
        "stack",
        "functions",
        "activity streams",
        "reading",
        "OpenSearch",
        "content",
        "data",
        "findings",
        "evidence",
        "alarms and topics",
    }


def test_table_by_subject_ends_with_what_to_fix_first(deployed: Deployed) -> None:
    result = run()

    assert result.exit_code == 0, result.output
    assert "daswatch: " in result.stdout
    assert "0 broken" in result.stdout
    assert result.stdout.rstrip().endswith("No problems found.")


Breakage = Callable[[Deployed], None]


def disable_key(one: Deployed) -> None:
    one.client("kms").disable_key(KeyId=one.rds.key)


def stop_stream(one: Deployed) -> None:
    one.rds.run_stream(one.database, status="stopped")


def stop_reading(one: Deployed) -> None:
    one.client("lambda").update_event_source_mapping(UUID=one.mapping, Enabled=False)


def change_reading(one: Deployed) -> None:
    one.client("lambda").update_event_source_mapping(UUID=one.mapping, BatchSize=7)


def delete_mapping(one: Deployed) -> None:
    one.client("lambda").delete_event_source_mapping(UUID=one.mapping)


def delete_function(one: Deployed) -> None:
    one.client("lambda").delete_function(FunctionName=one.names["ingest"])


def delete_kinesis_stream(one: Deployed) -> None:
    one.client("kinesis").delete_stream(StreamName=f"aws-rds-das-{one.resource_id}")


def delete_evidence(one: Deployed) -> None:
    one.client("firehose").delete_delivery_stream(DeliveryStreamName=one.names["evidence"])


def ring(one: Deployed) -> None:
    one.alarm(one.names["alarm"], "ALARM")


def delete_alarm(one: Deployed) -> None:
    one.client("cloudwatch").delete_alarms(AlarmNames=[one.names["alarm"]])


def unsubscribe(one: Deployed) -> None:
    sns = one.client("sns")
    for subscription in sns.list_subscriptions_by_topic(TopicArn=one.topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def disable_hub(one: Deployed) -> None:
    one.client("securityhub").disable_security_hub()


def fall_silent(one: Deployed) -> None:
    one.search.indices.delete(index="das-pulse")


def lose_records(one: Deployed) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for reason in ("not-json", "not-json", "data-key-refused"):
        one.put("das-dead-letters", {"ingestedAt": now, "reason": reason, "resourceId": one.resource_id})


def stand_still(one: Deployed) -> None:
    since = datetime.now(UTC) - timedelta(hours=3)
    one.put("das-runs", {"since": since.isoformat(timespec="milliseconds"), "behind": {}}, "scheduled")


def fall_behind(one: Deployed) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    one.put("das-runs", {"since": now, "behind": {"mass-read": now}}, "scheduled")


def drop_all(one: Deployed) -> None:
    one.search.indices.delete(index="das-events-*")


def fail_the_stack(one: Deployed) -> None:
    one.status = "UPDATE_ROLLBACK_FAILED"


@pytest.mark.parametrize(
    ("breakage", "status", "reason", "fix"),
    [
        (fail_the_stack, "broken", "UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        (stop_stream, "broken", "daswatch stream start cluster:", "do what the reason says"),
        (disable_key, "broken", "no record can be decrypted", "aws kms enable-key"),
        (stop_reading, "broken", "nothing is read", "update-event-source-mapping"),
        (change_reading, "warning", "BatchSize is 7, not 200", "daswatch enrol"),
        (delete_mapping, "broken", "no function reads it", "daswatch enrol"),
        (delete_function, "broken", "does not exist", "Drift"),
        (delete_kinesis_stream, "broken", "", "RDS"),
        (delete_evidence, "broken", "does not exist", "daswatch enrol"),
        (ring, "broken", "Records can never be indexed", "docs/deploy.md, Alarms"),
        (delete_alarm, "broken", "the alarm was deleted", "Drift"),
        (unsubscribe, "warning", "no subscription", "AlertEmail"),
        (disable_hub, "broken", "not subscribed", "enable-security-hub"),
        (fall_silent, "broken", "no record of it", "mapping"),
        (lose_records, "warning", "2 not-json, 1 data-key-refused", "another database's"),
        (stand_still, "broken", "3 h ago", "each-minute"),
        (fall_behind, "warning", "mass-read", "log of the findings function"),
        (drop_all, "warning", "none has ever been indexed", "run a statement"),
    ],
    ids=lambda one: one.__name__ if callable(one) else "",
)
def test_problem_comes_first(deployed: Deployed, breakage: Breakage, status: str, reason: str, fix: str) -> None:
    breakage(deployed)
    try:
        answer = doctor(code=1 if status == "broken" else 0)
    finally:
        deployed.client("kms").enable_key(KeyId=deployed.rds.key)

    first = answer["first"]
    assert first["status"] == status
    assert reason in first["reason"]
    assert fix in first["fix"]


def test_missing_template_is_fixed_by_setup(deployed: Deployed) -> None:
    template = deployed.search.indices.get_index_template(name="das-pulse")["index_templates"][0]["index_template"]
    deployed.search.indices.delete_index_template(name="das-pulse")
    try:
        answer = doctor(code=1)
    finally:
        deployed.search.indices.put_index_template(name="das-pulse", body=template)

    assert answer["first"]["name"] == "index template"
    assert "1 missing: das-pulse" in answer["first"]["reason"]
    assert "daswatch setup" in answer["first"]["fix"]


def test_shards_of_yesterday_and_of_the_node_are_counted(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    yesterday = f"das-events-{datetime.now(UTC) - timedelta(days=1):%Y.%m.%d}"
    for hour in ("07", "08"):
        deployed.search.index(index=f"{yesterday}.{hour}", body={}, params={"refresh": "true"})
    monkeypatch.setattr(endpoint_checks, "SHARDS_PER_HEAP_GIB", 1)
    monkeypatch.setattr(endpoint_checks, "LARGEST_SHARD_BYTES", 10)

    answer = doctor()

    largest, number = named(answer, "yesterday's shards"), named(answer, "shards")
    assert (largest["status"], number["status"]) == ("warning", "warning")
    assert yesterday in largest["reason"]
    assert number["reason"].endswith("with 1.0 GiB of heap in the data nodes: AWS advises 0 at most") or (
        "AWS advises 1 at most" in number["reason"]
    )


def test_denied_look_up_is_unknown_and_others_go_on(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> Any:
        client = boto3.client("kms", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
        stub = Stubber(client)
        stub.add_client_error("describe_key", "AccessDeniedException", "User is not authorized", 400)
        stub.activate()
        return client

    monkeypatch.setattr(deployment_lookup, "kms_client", denied)

    answer = doctor()

    (unseen,) = (one for one in answer["checks"] if one["status"] == "unknown")
    assert unseen["name"] == f"{deployed.database}, key"
    assert "kms:DescribeKey is missing" in unseen["reason"]
    assert "allow kms:DescribeKey" in unseen["fix"]
    assert named(answer, deployed.database + ", pulse")["status"] == "ok"


def test_environment_overrides_the_functions_settings(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSEARCH_ENDPOINT", "http://127.0.0.1:9")

    answer = doctor(code=1)

    check = named(answer, "http://127.0.0.1:9")
    assert (check["status"], check["subject"]) == ("broken", "OpenSearch")
    assert "no answer" in check["reason"]


REFUSALS = {
    "the access policy": (b'{"Message": "User: nobody is not authorized to perform: es:ESHttpGet"}', "access policy"),
    "fine-grained access control": (
        b'{"error": {"type": "security_exception", "reason": "no permissions for [indices:data/read]"}, "status": 403}',
        "Mapped users",
    ),
}


@pytest.mark.parametrize("who", REFUSALS)
def test_refusals_differ_and_checks_of_aws_go_on(who: str, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    body, fix = REFUSALS[who]
    with Proxy(deployed.url) as proxy:
        proxy.on(lambda request: True, refuse(403, body))
        monkeypatch.setenv("OPENSEARCH_ENDPOINT", proxy.url)

        answer = doctor()

        check = named(answer, proxy.url)
    assert check["status"] == "unknown"
    assert who in check["reason"]
    assert fix in check["fix"]
    assert named(answer, f"{deployed.database}, key")["status"] == "ok"


def test_missing_stack_is_reported_with_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("--stack", "another")

    assert result.exit_code == 1, result.output
    assert "does not exist" in result.stdout
    assert f"this checks {REGION}" in result.stdout
    assert "First: another: deploy it" in result.stdout


def test_without_a_stack_the_endpoint_alone_is_looked_at(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSEARCH_ENDPOINT", deployed.url)
    monkeypatch.setenv("OPENSEARCH_AUTH", "none")

    result = run("--endpoint-only", "--output", "json")

    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert named(answer, deployed.url)["status"] == "ok"
    assert {check["subject"] for check in answer["checks"]} == {"OpenSearch", "content", "data", "findings"}


def test_the_endpoint_alone_has_to_be_named() -> None:
    result = run("--endpoint-only")

    assert result.exit_code == 2
    assert "OPENSEARCH_ENDPOINT is missing" in result.output


def test_without_a_region_it_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    clients.session.cache_clear()

    result = run()

    assert result.exit_code == 2
    assert "AWS_REGION is missing" in result.output


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    clients.session.cache_clear()

    result = run()

    assert result.exit_code == 2
    assert "AWS credentials are missing" in result.output


def test_firehose_of_an_earlier_release_keeps_its_name(deployed: Deployed) -> None:
    own = deployed.names["evidence"]
    delete_evidence(deployed)
    deployed.deliver(own.replace(f"evidence-{deployed.resource_id}", "EvidenceOrders-1ABC2DEF3GHI"))

    checks = [check for check in doctor()["checks"] if check["subject"] == "evidence"]

    assert [(check["name"], check["status"]) for check in checks] == [(deployed.database, "ok")]


def test_name_that_moved_is_enrolled_again(deployed: Deployed) -> None:
    """After a switchover, another database has the name."""
    rds, name = deployed.rds, deployed.database
    rds.rename(name)
    rds.rename(rds.cluster(), to=name)

    check = named(doctor(), name)

    assert (check["status"], check["subject"]) == ("warning", "activity streams")
    assert "the activity stream is stopped: it starts" in check["reason"]
    assert "daswatch enrol" in check["fix"]


def test_name_that_no_database_has_is_broken(deployed: Deployed) -> None:
    name = deployed.database
    deployed.rds.rename(name)

    check = named(doctor(1), name)

    assert check["reason"] == "no database has this name here"
    assert "parameter Databases" in check["fix"]


@pytest.mark.parametrize(
    ("notes", "name", "status"),
    [
        ({"evidenceStart": "complete"}, "begin", "ok"),
        ({"evidenceStart": "complete, lost: from 10:00 to 11:00"}, "db:ledger, begin", "warning"),
        ({"evidenceStart": "not yet: Firehose has delivered nothing"}, "db:ledger, begin", "warning"),
        ({"evidenceGaps": ["10:00 to 11:00"]}, "db:ledger, gap", "warning"),
    ],
)
def test_evidence_that_misses_records_is_shown(
    deployed: Deployed, notes: dict[str, Any], name: str, status: str
) -> None:
    document = {"databaseIdentifier": "ledger", "databaseKind": "db", "resourceId": "db-1", **notes}
    deployed.put("das-enrolments", {**document, "state": "watched", "awsAccountId": ACCOUNT, "awsRegion": REGION})

    check = named(doctor(), name)

    assert (check["status"], check["subject"]) == (status, "evidence")


def test_what_enrolment_could_not_do_is_broken(deployed: Deployed) -> None:
    failed = {
        "databaseIdentifier": "ledger",
        "databaseKind": "db",
        "resourceId": "db-1",
        "awsAccountId": ACCOUNT,
        "awsRegion": REGION,
        "state": "failed",
        "reason": "RDS refused StartActivityStream",
        "since": "2026-11-05T10:00:00.000Z",
    }
    deployed.put("das-enrolments", failed)

    check = named(doctor(1), "db:ledger, enrolment")

    assert check["reason"] == "RDS refused StartActivityStream (since 2026-11-05T10:00)"
