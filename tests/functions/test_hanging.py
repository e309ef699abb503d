"""Each function while one of its dependencies does not answer: it ends in time, and the next run goes on.

A dependency accepts connections and never answers, or its packets vanish, or it answers late. The relay's silence has
no end, so the limit separates a bounded wait from an endless one, not a fast machine from a slow one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.activity_streams.custom_resources import CONTENT
from daswatch.aws import clients
from daswatch.detections.detection import dump
from daswatch.detections.sigma import compile_all
from daswatch.errors import DependencyError, KmsUnavailable, ResponseUndelivered, SearchUnavailable
from demo.aws import LocalAws
from demo.delivery import create_delivery_stream, transformation_event
from demo.opensearch import AnyNode
from demo.stream import InvocationContext
from findings_lambda import handler as findings_handler
from firehose_lambda import handler as firehose_handler
from setup_lambda import handler as setup_handler
from tests.builders.events import postgresql_event
from tests.fakes.clock import RealClock, ends_within
from tests.fakes.cloudformation_bucket import AnswerBucket, a_request
from tests.fakes.rds import Rds
from tests.fakes.relay import SILENCES, Relay, Silence
from tests.harness.findings import FindingsFunction, sns
from tests.harness.firehose import FirehoseFunction, firehose_record
from tests.harness.ingest import IngestFunction, sequence_number
from tests.harness.installed import give_back, installed_prefix
from tests.harness.rows import Rows

pytestmark = pytest.mark.node

REMAINING_MS = 6_000
LIMIT_SECONDS = 300.0  # a machine may be slow; a relay that is silent stays so
LATE_SECONDS = 0.5  # of each connection, and a run makes dozens
PLENTY_MS = 60_000
NEXT_RUNS = 5
FINDINGS_MS = 15_000  # a run makes some twenty requests before it comes to what it publishes


# Ingest.


@pytest.fixture(params=["opensearch", "kms", "s3", "firehose", "secretsmanager"])
def dependency(request: pytest.FixtureRequest, ingest: IngestFunction, aws: LocalAws) -> Iterator[tuple[str, Relay]]:
    """A dependency of the ingest function behind a relay."""
    name: str = request.param
    ingest.clock = RealClock()
    with Relay(ingest.url if name == "opensearch" else aws.url) as relay:
        match name:
            case "opensearch":
                settings = {"OPENSEARCH_ENDPOINT": relay.url}
            case "firehose":
                rows = request.getfixturevalue("rows")
                settings = {"AWS_ENDPOINT_URL_FIREHOSE": relay.url, "ROWS_DELIVERY_STREAM": rows.name}
            case "secretsmanager":
                # The node takes any password.
                secret = aws.client("secretsmanager").create_secret(
                    Name=ingest.name, SecretString='{"username": "u", "password": "p"}'
                )
                settings = {
                    "AWS_ENDPOINT_URL_SECRETS_MANAGER": relay.url,
                    "OPENSEARCH_AUTH": "basic",
                    "OPENSEARCH_SECRET_ARN": secret["ARN"],
                }
            case _:
                settings = {f"AWS_ENDPOINT_URL_{name.upper()}": relay.url}
        ingest.configure(**settings)
        yield name, relay


@pytest.fixture
def rows(ingest: IngestFunction, aws: LocalAws) -> Iterator[Rows]:
    name = f"rows-{ingest.name}"
    create_delivery_stream(aws.firehose(), name, aws.create_bucket(name))
    yield Rows(ingest, aws, name)
    aws.firehose().delete_delivery_stream(DeliveryStreamName=name)


def a_batch(ingest: IngestFunction) -> list[dict[str, Any]]:
    """Records of a known data key around one of another database, and one that can never be opened."""
    return [
        ingest.record([postgresql_event(statementId=1)]),
        ingest.record([postgresql_event(statementId=2)], ingest.database(name="B")),
        ingest.delivered(b"no envelope"),
        ingest.record([postgresql_event(statementId=3)]),
    ]


# By dependency: the first record that needs it, and the statements that are written without it.
WITHOUT: dict[str, tuple[int, set[int]]] = {
    "opensearch": (0, {0}),
    "kms": (1, {0, 1}),
    "s3": (2, {0, 1, 2, 3}),
    "firehose": (0, {0, 1, 2, 3}),
    "secretsmanager": (0, set()),
}


def statements(ingest: IngestFunction) -> set[int]:
    return {int(document["statementId"]) for document in ingest.documents()}


@pytest.mark.parametrize("silence", SILENCES)
def test_ingest_writes_what_needs_no_silent_dependency(
    ingest: IngestFunction, dependency: tuple[str, Relay], silence: Silence
) -> None:
    name, relay = dependency
    first, without = WITHOUT[name]
    batch = a_batch(ingest)
    if name != "secretsmanager":  # which is asked once, when the function starts
        assert ingest.invoke(ingest.record([postgresql_event(statementId=0)])) == []
    silence(relay)

    with ends_within(LIMIT_SECONDS):
        named = ingest.invoke(*batch, remaining_ms=REMAINING_MS)

    assert named == [sequence_number(batch[first])]
    assert statements(ingest) == without
    relay.answer()
    assert ingest.invoke(*batch) == []
    assert statements(ingest) >= {1, 2, 3}
    assert len(ingest.dead_letters()) == 1


def test_ingest_waits_for_a_dependency_that_answers_late(ingest: IngestFunction, dependency: tuple[str, Relay]) -> None:
    _, relay = dependency
    batch = a_batch(ingest)
    relay.answer_after(LATE_SECONDS)

    assert ingest.invoke(*batch, remaining_ms=PLENTY_MS) == []

    assert statements(ingest) == {1, 2, 3}


@pytest.mark.parametrize("silence", SILENCES)
def test_many_dead_letters_share_the_time_left(ingest: IngestFunction, aws: LocalAws, silence: Silence) -> None:
    ingest.clock = RealClock()
    batch = [ingest.record([postgresql_event()]), *(ingest.delivered(b"no envelope %d" % n) for n in range(200))]
    with Relay(aws.url) as relay:
        ingest.configure(AWS_ENDPOINT_URL_S3=relay.url)
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            named = ingest.invoke(*batch, remaining_ms=REMAINING_MS)

    assert named == [sequence_number(batch[1])]
    assert len(ingest.documents()) == 1


# Firehose's transformation.


@pytest.fixture
def firehose(
    aws: LocalAws, kms_key_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[FirehoseFunction]:
    function = FirehoseFunction(aws, kms_key_id, secrets.token_hex(6), monkeypatch, capsys)
    yield function
    function.cold_start()


@pytest.mark.parametrize("silence", SILENCES)
def test_firehose_gets_a_failure_while_kms_is_silent(firehose: FirehoseFunction, silence: Silence) -> None:
    record = firehose_record(firehose.sealed(postgresql_event()))
    event = transformation_event([record], firehose.database().stream_arn("eu-west-1"))
    with Relay(firehose.aws.url) as relay:
        firehose.configure(AWS_ENDPOINT_URL_KMS=relay.url)
        silence(relay)

        with ends_within(LIMIT_SECONDS), pytest.raises(KmsUnavailable):
            firehose_handler.handler(event, InvocationContext(remaining_ms=REMAINING_MS))

        relay.answer_after(LATE_SECONDS)
        assert [one["result"] for one in firehose.invoke_event(event)] == ["Ok"]


# Findings.


ELSEWHERE = "arn:aws:lambda:eu-west-1:210987654321:function:findings"  # the databases' account is behind a role


def scheduled(name: str, remaining_ms: int) -> None:
    own = InvocationContext(remaining_ms)
    findings_handler.scheduled({}, InvocationContext(remaining_ms, ELSEWHERE) if name == "sts" else own)


def notified(remaining_ms: int) -> None:
    findings_handler.notified(sns("not a notification"), InvocationContext(remaining_ms=remaining_ms))


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["securityhub", "sts"])
def test_mails_go_out_while_security_hub_is_silent(findings: FindingsFunction, name: str, silence: Silence) -> None:
    with Relay(findings.aws.url) as relay:
        _behind(findings, name, relay)
        # A node that has just started takes seconds for its first answers.
        findings.attack()
        scheduled("", PLENTY_MS)  # as a function that has no role to assume yet
        assert len(findings.mails()) == 1
        findings.resource_id = f"cluster-{secrets.token_hex(8).upper()}"
        findings.attack()
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            scheduled(name, FINDINGS_MS)

        assert len(findings.mails()) == 1
        assert findings.findings() == {}
        _next_runs(findings, name, relay)

    assert len(findings.findings()) == 1
    assert findings.mails() == []


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["opensearch", "sns"])
def test_a_scheduled_run_ends_while_a_dependency_is_silent(
    findings: FindingsFunction, node: AnyNode, name: str, silence: Silence
) -> None:
    findings.attack()
    with Relay(node.url if name == "opensearch" else findings.aws.url) as relay:
        _behind(findings, name, relay)
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            try:
                scheduled(name, FINDINGS_MS)
            except SearchUnavailable:
                assert name == "opensearch"  # the next run looks at the same again

        assert findings.mails() == []
        _next_runs(findings, name, relay)

    assert len(findings.alerts()) == len(findings.findings()) == 1
    # A message that was given up may be delivered all the same.
    assert len(findings.mails()) in ((1, 2) if name == "sns" else (1,))


@pytest.mark.parametrize("name", ["opensearch", "securityhub", "sns", "sts"])
def test_a_scheduled_run_waits_for_what_answers_late(findings: FindingsFunction, node: AnyNode, name: str) -> None:
    findings.attack()
    with Relay(node.url if name == "opensearch" else findings.aws.url) as relay:
        _behind(findings, name, relay)
        relay.answer_after(LATE_SECONDS)

        scheduled(name, PLENTY_MS)

    assert len(findings.findings()) == 1
    assert len(findings.mails()) == 1


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["opensearch", "s3"])
def test_a_notification_is_delivered_again_while_a_dependency_is_silent(
    findings: FindingsFunction, node: AnyNode, name: str, silence: Silence
) -> None:
    with Relay(node.url if name == "opensearch" else findings.aws.url) as relay:
        _behind(findings, name, relay)
        silence(relay)

        with ends_within(LIMIT_SECONDS), pytest.raises(DependencyError):
            notified(REMAINING_MS)

        relay.answer_after(LATE_SECONDS)
        notified(PLENTY_MS)

    assert len(findings.dead_letters()) == 1


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["securityhub", "sns"])
def test_a_notification_is_taken_while_a_channel_is_silent(
    findings: FindingsFunction, name: str, silence: Silence
) -> None:
    """Its alert is written; what could not be published is left to the next scheduled run."""
    findings.attack()
    hits = findings.search.search(index=f"{findings.prefix}-*", body={"size": 12})["hits"]["hits"]
    times = [datetime.fromisoformat(hit["_source"]["@timestamp"]).timestamp() * 1000 for hit in hits]
    key = {name: hits[0]["_source"][name] for name in ("resourceId", "dbUserName", "remoteHost")}
    group = {"key": key, "doc_count": 12, "first": {"value": min(times)}, "last": {"value": max(times)}}
    event = sns(orjson.dumps({"detection": "bruteforce-user", "groups": [group]}).decode())
    with Relay(findings.aws.url) as relay:
        _behind(findings, name, relay)
        silence(relay)

        with ends_within(LIMIT_SECONDS):
            findings_handler.notified(event, InvocationContext(remaining_ms=FINDINGS_MS))

        assert len(findings.alerts()) == 1
        assert (len(findings.mails()), len(findings.findings())) == ((1, 0) if name == "securityhub" else (0, 1))
        _next_runs(findings, name, relay)

    assert len(findings.findings()) == 1


def _behind(function: FindingsFunction, name: str, relay: Relay) -> None:
    if name == "opensearch":
        function.configure(OPENSEARCH_ENDPOINT=relay.url)
    else:
        role = {"FINDINGS_ROLE": "daswatch-findings"} if name == "sts" else {}
        function.configure(**{f"AWS_ENDPOINT_URL_{name.upper()}": relay.url}, **role)


def _next_runs(function: FindingsFunction, name: str, relay: Relay) -> None:
    """Runs after the relay answers again. A write that was given up may arrive later than the first of them looks."""
    relay.answer()
    for _ in range(NEXT_RUNS):
        _let_leases_end(function)
        scheduled(name, PLENTY_MS)
        if function.findings() and not any(alert.pending for alert in function.alerts().values()):
            return


def _let_leases_end(function: FindingsFunction) -> None:
    """As if some minutes had passed since the last run: its indices can be read, and its leases are over."""
    function.search.cluster.health(wait_for_no_initializing_shards=True, request_timeout=60)
    function.search.indices.refresh(index=function.indices.alerts, params={"ignore_unavailable": "true"})
    function.search.update_by_query(
        index=function.indices.alerts,
        body={"script": "ctx._source.remove('leaseUntil')", "query": {"exists": {"field": "leaseUntil"}}},
        params={"ignore_unavailable": "true", "refresh": "true"},
    )


# Setup.


SETUP_SETTINGS = {
    "opensearch": "OPENSEARCH_ENDPOINT",
    "dashboards": "DASHBOARDS_URL",
    "s3": "AWS_ENDPOINT_URL_S3",
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
}


@pytest.fixture
def content(
    search: OpenSearch, node: AnyNode, aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Sets settings of the setup function, with content installed of which one template will be replaced."""
    prefix, name = installed_prefix(search), f"t-{secrets.token_hex(6)}"
    (tmp_path / "detections.json").write_bytes(dump(compile_all()[:1]))

    def configure(**settings: str) -> None:
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        clients.session.cache_clear()

    template = search.indices.get_index_template(name=prefix)["index_templates"][0]["index_template"]
    search.indices.put_index_template(name=prefix, body={**template, "priority": 321})
    secret = aws.client("secretsmanager").create_secret(Name=name, SecretString='{"username": "u", "password": "p"}')
    configure(
        OPENSEARCH_ENDPOINT=node.url,
        OPENSEARCH_AUTH="basic",
        OPENSEARCH_SECRET_ARN=secret["ARN"],
        INDEX_PREFIX=prefix,
        DETECTIONS=str(tmp_path / "detections.json"),
        BACKUP_BUCKET=aws.create_bucket(f"{name}-backups"),
        AWS_ENDPOINT_URL_SECRETS_MANAGER=aws.url,
        **aws.environment,
    )
    yield configure
    give_back(search, prefix)


def fails_in_time_then_succeeds(
    request: Mapping[str, Any], bucket: AnswerBucket, relay: Relay, silence: Silence
) -> None:
    """The answer while a dependency is silent, and the one when it answers late but in time."""
    silence(relay)
    del bucket.bodies[:]
    for remaining_ms in (REMAINING_MS, 5 * REMAINING_MS, 20 * REMAINING_MS):
        with ends_within(LIMIT_SECONDS), suppress(ResponseUndelivered):
            setup_handler.handler(request, InvocationContext(remaining_ms=remaining_ms))
            break
    assert bucket.answer["Status"] == "FAILED"

    relay.answer_after(LATE_SECONDS)
    del bucket.bodies[:]
    setup_handler.handler(request, InvocationContext(remaining_ms=PLENTY_MS))
    assert bucket.answer["Status"] == "SUCCESS", bucket.answer["Reason"]


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", list(SETUP_SETTINGS))
def test_setup_answers_while_an_endpoint_is_silent(
    content: Callable[..., None], bucket: AnswerBucket, node: AnyNode, aws: LocalAws, name: str, silence: Silence
) -> None:
    request = a_request(bucket.url, "Create", {"Version": "1"}, resource_type=CONTENT)
    with Relay(node.url if name in ("opensearch", "dashboards") else aws.url) as relay:
        content(**{SETUP_SETTINGS[name]: relay.url})
        fails_in_time_then_succeeds(request, bucket, relay, silence)


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("name", ["rds", "kms"])
def test_setup_answers_while_rds_or_kms_is_silent(
    rds: Rds, bucket: AnswerBucket, monkeypatch: pytest.MonkeyPatch, name: str, silence: Silence
) -> None:
    alias = "alias/das-" + secrets.token_hex(4)
    rds.aws.kms().create_alias(AliasName=alias, TargetKeyId=rds.key)
    rds.meanwhile = 0
    request = a_request(bucket.url, properties={"Database": rds.cluster(), "KmsKeyId": alias})
    setup_handler.handler(request, InvocationContext(remaining_ms=PLENTY_MS))
    with Relay(rds.aws.url) as relay:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name.upper()}", relay.url)
        clients.session.cache_clear()
        fails_in_time_then_succeeds(request, bucket, relay, silence)


@pytest.mark.parametrize("silence", SILENCES)
def test_setup_fails_in_time_where_no_answer_is_taken(bucket: AnswerBucket, silence: Silence) -> None:
    with Relay(bucket.url) as relay:
        request = a_request(relay.url, "Delete", resource_type=CONTENT, PhysicalResourceId="das-content")
        silence(relay)

        with ends_within(LIMIT_SECONDS), pytest.raises(ResponseUndelivered):
            setup_handler.handler(request, InvocationContext(remaining_ms=REMAINING_MS))

        relay.answer_after(LATE_SECONDS)
        setup_handler.handler(request, InvocationContext(remaining_ms=PLENTY_MS))
    assert bucket.answer["Status"] == "SUCCESS"
