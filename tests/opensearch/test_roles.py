"""The roles of the functions, at a node with the real Security plugin: enough for the work, and not more.

Who has an IAM role is, to the plugin, a user whose backend role is that ARN.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from daswatch.aws.cloudwatch import Telemetry
from daswatch.aws.fleet import FleetLookup
from daswatch.content.model import ContentKind, Operation, WantedContent
from daswatch.content.plan import findings_role, ingest_role
from daswatch.deadline import Deadline
from daswatch.detections.samples import samples_of
from daswatch.detections.sigma import compile_all
from daswatch.errors import Reason
from daswatch.fleet.database import FleetDatabase
from daswatch.fleet.inventory import Look
from daswatch.fleet.names import Names
from daswatch.opensearch import client as opensearch_client
from daswatch.opensearch.database_index import DatabaseIndex
from daswatch.opensearch.earlier_events import EarlierEvents, Named
from daswatch.opensearch.installation import Installation
from demo.aws import REGION, LocalAws
from demo.opensearch_security import SecuredNode
from demo.rds import ACCOUNT_ID
from ingest_lambda.handler import warm_function
from posture_lambda import telemetry as posture_telemetry
from posture_lambda.auditor import Auditor
from tests.builders.events import postgresql_event
from tests.harness.ingest import IngestFunction
from tests.harness.names import named
from tests.harness.nodes import QuickNode
from tests.harness.replay_function import Replaying
from tests.harness.runs import RunHarness

pytestmark = pytest.mark.node

INGEST_ARN = "arn:aws:iam::123456789012:role/daswatch-ingest"
FINDINGS_ARN = "arn:aws:iam::123456789012:role/daswatch-findings"
POSTURE_ARN = "arn:aws:iam::123456789012:role/daswatch-posture"
REPLAY_ARN = "arn:aws:iam::123456789012:role/daswatch-replay"


class QuickSecuredNode(QuickNode, SecuredNode):
    """A secured node that starts quickly."""


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredNode]:
    with QuickSecuredNode.start_secured() as node:
        yield node


@pytest.fixture(scope="module")
def admin(secured: SecuredNode) -> Iterator[OpenSearch]:
    with OpenSearch(secured.url, timeout=60, **secured.admin) as client:
        only_their_own_roles(client)
        yield client


def only_their_own_roles(admin: OpenSearch) -> None:
    """By default the plugin gives everybody the role own_index, and with it bulk, msearch and mget."""
    admin.transport.perform_request("DELETE", "/_plugins/_security/api/rolesmapping/own_index")


class Users:
    """Users of the node by their backend role."""

    def __init__(self, node: SecuredNode, admin: OpenSearch) -> None:
        self._node = node
        self._admin = admin

    def create(self, backend_role: str) -> tuple[str, str]:
        """A user who has the role; name and password."""
        name, password = f"u-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        self.set_password(name, password, backend_role)
        return name, password

    def set_password(self, name: str, password: str, backend_role: str) -> None:
        """The user has this password from now on."""
        body = {"password": password, "backend_roles": [backend_role]}
        self._admin.transport.perform_request("PUT", f"/_plugins/_security/api/internalusers/{name}", body=body)

    def client(self, backend_role: str) -> OpenSearch:
        """A client that signs in as such a user."""
        return OpenSearch(self._node.url, http_auth=self.create(backend_role), ca_certs=self._node.ca_file, timeout=60)


@pytest.fixture(scope="module")
def users(secured: SecuredNode, admin: OpenSearch) -> Users:
    return Users(secured, admin)


def install(admin: OpenSearch, prefix: str) -> None:
    installation = Installation(admin, None)
    wanted = WantedContent(
        index_prefix=prefix, ingest_role_arns=(INGEST_ARN,), findings_role_arns=(FINDINGS_ARN,), dashboards=False
    )
    installation.execute(installation.plan(wanted), lambda name, content: None)
    assert not installation.plan(wanted).changes


def named_database(resource_id: str) -> dict[str, Any]:
    """What names are made of in a document of the inventory."""
    return {
        "databaseIdentifier": "orders",
        "resourceId": resource_id,
        "awsAccountId": ACCOUNT_ID,
        "awsRegion": REGION,
    }


@pytest.fixture
def ingest(
    secured: SecuredNode,
    admin: OpenSearch,
    users: Users,
    aws: LocalAws,
    kms_key_id: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[IngestFunction]:
    """The ingest function, signed in as a user who has nothing but its role."""
    function = IngestFunction(secured.url, aws, kms_key_id, admin, secrets.token_hex(6), monkeypatch, capsys)
    function.install()
    install(admin, function.prefix)
    name, password = users.create(INGEST_ARN)
    secret = aws.client("secretsmanager").create_secret(
        Name=name, SecretString=orjson.dumps({"username": name, "password": password}).decode()
    )
    function.configure(
        OPENSEARCH_AUTH="basic",
        OPENSEARCH_SECRET_ARN=secret["ARN"],
        OPENSEARCH_CA_BUNDLE=secured.ca_file,
        AWS_ENDPOINT_URL_SECRETS_MANAGER=aws.url,
    )
    yield function
    function.close()


def test_the_ingest_function_can_do_its_work_with_its_role_alone(ingest: IngestFunction) -> None:
    record = ingest.record([postgresql_event()])

    assert ingest.invoke(record, ingest.delivered(b"no envelope")) == []
    assert ingest.invoke(record) == []  # delivered again: already there

    assert len(ingest.documents()) == 1
    assert len(ingest.dead_letters()) == 1
    assert ingest.pulses()["db-WRITER"]["lastEvent"]


def test_roles_of_spokes_write_and_no_others_do(admin: OpenSearch, users: Users) -> None:
    """The plugin takes a pattern of ARNs: accounts that join are known by the name of their role."""
    prefix = f"t{secrets.token_hex(4)}-events"
    installation = Installation(admin, None)
    spokes = "arn:aws:iam::*:role/daswatch-ingest-*"
    wanted = WantedContent(index_prefix=prefix, ingest_role_arns=(INGEST_ARN, spokes), dashboards=False)
    installation.execute(installation.plan(wanted), lambda name, content: None)

    def write(backend_role: str) -> bool:
        body = [{"create": {"_index": f"{prefix}-2031.03.04"}}, {"@timestamp": "2031-03-04T10:00:00Z"}]
        client = users.client(backend_role)
        try:
            return not client.bulk(body=body)["errors"]
        except AuthorizationException:
            return False
        finally:
            client.close()

    assert write(INGEST_ARN)
    assert write("arn:aws:iam::333333333333:role/daswatch-ingest-us-east-1")
    assert not write("arn:aws:iam::333333333333:role/other-ingest-us-east-1")
    assert not write("arn:aws:iam::333333333333:role/daswatch-posture-us-east-1")


def test_ingest_function_reads_names_with_its_role_alone(admin: OpenSearch, ingest: IngestFunction) -> None:
    document = named_database(ingest.database().resource_id)
    admin.index(index=ingest.indices.databases, body=document, params={"refresh": "true"})
    names = warm_function().names
    names.refresh()
    assert names._reading is not None
    names._reading.join(30)

    assert ingest.invoke(ingest.record([postgresql_event()])) == []

    assert "names_unread" not in ingest.log
    assert [one["databaseIdentifier"] for one in ingest.documents()] == ["orders"]


def posture_user(admin: OpenSearch, prefix: str) -> str:
    """A backend role that has the posture function's role and nothing else."""
    role = f"{prefix}-posture"
    backend_role = f"{POSTURE_ARN}-{role}"
    path = f"/_plugins/_security/api/rolesmapping/{role}"
    admin.transport.perform_request("PUT", path, body={"backend_roles": [backend_role]})
    return backend_role


def test_posture_function_names_events_with_its_role_alone(
    admin: OpenSearch, users: Users, ingest: IngestFunction
) -> None:
    ingest.invoke(ingest.record([postgresql_event()]))
    admin.indices.refresh(index=f"{ingest.prefix}-*")
    client = users.client(posture_user(admin, ingest.prefix))
    names = Names.of([named_database(ingest.database().resource_id)], ("env",))

    assert EarlierEvents(client, ingest.indices).name(names, Deadline.after(60)) == Named(1)

    assert [one["databaseIdentifier"] for one in ingest.documents()] == ["orders"]
    for refused in (bulk_of(f"{ingest.prefix}-2031.03.04", "delete"), bulk_of(ingest.indices.alerts)):
        with pytest.raises(AuthorizationException):
            refused(client)


def test_posture_run_works_with_its_role_alone(
    admin: OpenSearch, users: Users, ingest: IngestFunction, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest.invoke(ingest.record([postgresql_event()]))
    admin.indices.refresh(index=f"{ingest.prefix}-*")
    database = named(ingest.database())
    client = users.client(posture_user(admin, ingest.prefix))
    auditor = Auditor(
        lambda regions: cast(FleetLookup, OneRegion(database)),
        lambda deadline: [ACCOUNT_ID],
        DatabaseIndex(client, ingest.indices),
        EarlierEvents(client, ingest.indices),
        tags=("env",),
    )

    report = auditor.run(None, datetime.now(UTC), Deadline.after(60))

    capsys.readouterr()
    posture_telemetry.emit(Telemetry(posture_telemetry.SERVICE), report, "r-1")
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert not [line for line in lines if "names_cause" in line]
    assert [line["events_named"] for line in lines if "events_named" in line] == [1]
    assert [one["databaseIdentifier"] for one in ingest.documents()] == ["orders"]
    admin.indices.refresh(index=f"{ingest.indices.posture}-*")
    assert admin.count(index=f"{ingest.indices.posture}-*")["count"] == 1


def test_replay_function_works_with_its_role_alone(
    admin: OpenSearch,
    users: Users,
    ingest: IngestFunction,
    aws: LocalAws,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    role = f"{ingest.prefix}-replay"
    backend_role = f"{REPLAY_ARN}-{role}"
    path = f"/_plugins/_security/api/rolesmapping/{role}"
    admin.transport.perform_request("PUT", path, body={"backend_roles": [backend_role]})
    name, password = users.create(backend_role)
    secret = aws.client("secretsmanager").create_secret(
        Name=name, SecretString=orjson.dumps({"username": name, "password": password}).decode()
    )
    replaying = Replaying(ingest, capsys, tmp_path)
    replaying.configure(OPENSEARCH_SECRET_ARN=secret["ARN"])
    dated, undated = ingest.record([postgresql_event()]), ingest.record([postgresql_event(logTime="no time")])
    keys = [replaying.batch(dated), replaying.letter(undated, Reason.DOCUMENT_REFUSED)]

    assert replaying.run().run.objects_whole == 2
    assert replaying.done(keys) == keys
    assert len(ingest.documents()) == 2
    assert replaying.run(hours=1).run.objects_done_before == 2

    client = users.client(backend_role)
    for refused in (bulk_of(f"{ingest.prefix}-2031.03.04", "delete"), bulk_of(ingest.indices.alerts)):
        with pytest.raises(AuthorizationException):
            refused(client)


@dataclass(frozen=True)
class OneRegion:
    """A fleet of one database, in place of RDS."""

    database: FleetDatabase

    def look(self, accounts: Sequence[str], deadline: Deadline) -> list[Look]:
        return [Look(self.database.place, (self.database,))]


def test_a_rotated_password_is_read_again_while_warm(ingest: IngestFunction, users: Users, aws: LocalAws) -> None:
    first, second, third = (ingest.record([postgresql_event(statementId=number)]) for number in (1, 2, 3))
    secret_arn = os.environ["OPENSEARCH_SECRET_ARN"]
    ingest.monkeypatch.setattr(opensearch_client, "SECRET_SECONDS", 0.0)
    secrets_manager = aws.client("secretsmanager")
    name = orjson.loads(secrets_manager.get_secret_value(SecretId=secret_arn)["SecretString"])["username"]
    assert ingest.invoke(first) == []

    rotated = secrets.token_urlsafe(24)
    users.set_password(name, rotated, INGEST_ARN)
    assert ingest.invoke(second) == [second["kinesis"]["sequenceNumber"]]
    assert "401" in ingest.log["cause"]

    secrets_manager.put_secret_value(
        SecretId=secret_arn, SecretString=orjson.dumps({"username": name, "password": rotated}).decode()
    )
    assert ingest.invoke(second, third) == []

    assert len(ingest.documents()) == 3


def test_drops_can_be_counted_with_the_ingest_role(admin: OpenSearch, users: Users) -> None:
    install(admin, "das-events")
    lines = [{"create": {"_index": "das-drops-2031.03", "_id": "a"}}, {"@timestamp": "2031-03-04T12:00:00Z"}]

    answer = users.client(INGEST_ARN).bulk(body=b"".join(orjson.dumps(line) + b"\n" for line in lines))

    assert [item["create"]["status"] for item in answer["items"]] == [201]


def bulk_of(index: str, action: str = "create") -> Callable[[OpenSearch], Any]:
    """A bulk whose one item is refused, as opensearch-py raises a refused request."""

    def send(client: OpenSearch) -> None:
        source: dict[str, Any] = {"doc": {}} if action == "update" else {}
        lines = [{action: {"_index": index, "_id": "x"}}, *([] if action == "delete" else [source])]
        answer = client.bulk(body=b"".join(orjson.dumps(line) + b"\n" for line in lines))
        outcome = answer["items"][0][action]
        if outcome["status"] == 403:
            raise AuthorizationException(403, outcome["error"]["type"], {})

    return send


BY_NOBODY: dict[str, Callable[[OpenSearch], Any]] = {
    "delete an event": bulk_of("das-events-2031.03.04", "delete"),
    "write elsewhere": bulk_of("payroll"),
    "search elsewhere": lambda client: client.search(index="payroll"),
    "delete an index": lambda client: client.indices.delete(index="das-events-2031.03.04"),
    "change a mapping": lambda client: client.indices.put_mapping(index="das-events-2031.03.04", body={}),
    "change a template": lambda client: client.indices.put_index_template(
        name="das-drops", body={"index_patterns": ["das-drops-*"]}
    ),
    "change a role": lambda client: client.transport.perform_request(
        "PUT", "/_plugins/_security/api/roles/x", body={"cluster_permissions": ["*"]}
    ),
    "see the cluster's settings": lambda client: client.cluster.get_settings(),
}
BY_INGEST: dict[str, Callable[[OpenSearch], Any]] = {
    "search events": lambda client: client.search(index="das-events-*"),
    "count events": lambda client: client.count(index="das-events-*"),
    "read an event": lambda client: client.get(index="das-events-2031.03.04", id="x"),
    "change an event": bulk_of("das-events-2031.03.04", "update"),
    "write an alert": bulk_of("das-alerts"),
    "delete a pulse": bulk_of("das-pulse", "delete"),
    "read a dead letter": lambda client: client.search(index="das-dead-letters"),
    "name a database": bulk_of("das-databases"),
}
BY_FINDINGS: dict[str, Callable[[OpenSearch], Any]] = {
    "write an event": bulk_of("das-events-2031.03.04"),
    "write a pulse": bulk_of("das-pulse", "update"),
    "delete an alert": bulk_of("das-alerts", "delete"),
    "name a database": bulk_of("das-databases"),
    "read a dead letter": lambda client: client.search(index="das-dead-letters"),
}


@pytest.fixture(scope="module")
def signed_in(admin: OpenSearch, users: Users) -> dict[str, OpenSearch]:
    """Clients with either role; what they are refused exists."""
    install(admin, "das-events")
    for index in ("das-events-2031.03.04", "das-alerts", "das-pulse", "das-dead-letters", "das-databases", "payroll"):
        if not admin.indices.exists(index=index):
            admin.indices.create(index=index)
        admin.index(index=index, id="x", body={}, params={"refresh": "true"})
    return {arn: users.client(arn) for arn in (INGEST_ARN, FINDINGS_ARN)}


@pytest.mark.parametrize("what", [*BY_NOBODY, *BY_INGEST])
def test_the_ingest_role_may_not(signed_in: Mapping[str, OpenSearch], what: str) -> None:
    with pytest.raises(AuthorizationException):
        (BY_NOBODY | BY_INGEST)[what](signed_in[INGEST_ARN])


@pytest.mark.parametrize("what", [*BY_NOBODY, *BY_FINDINGS])
def test_the_findings_role_may_not(signed_in: Mapping[str, OpenSearch], what: str) -> None:
    with pytest.raises(AuthorizationException):
        (BY_NOBODY | BY_FINDINGS)[what](signed_in[FINDINGS_ARN])


def test_findings_function_works_with_its_role_alone(admin: OpenSearch, users: Users, aws: LocalAws) -> None:
    now = datetime(2031, 3, 4, 12, 30, tzinfo=UTC)
    place = RunHarness(admin, aws, [replace(one, enabled=True) for one in compile_all()])
    try:
        install(admin, place.prefix)
        for detection in ("bruteforce-user", "first-seen-application"):
            place.happen(next(one for one in samples_of(detection) if one.expected == "match"), now)
        place.search = users.client(FINDINGS_ARN)

        first = place.run(now + timedelta(minutes=1))
        second = place.run(now + timedelta(minutes=2))

        place.search = admin
        assert not first.failing
        assert not second.failing
        assert "bruteforce-user" in {alert.detection for alert in place.alerts().values()}
        assert admin.indices.exists(index=place.indices.runs)
        assert admin.indices.exists(index=place.indices.seen)
    finally:
        place.search = admin
        place.close()


def test_a_mapping_keeps_what_users_entered(admin: OpenSearch) -> None:
    role = ingest_role("t-merged-events")
    wanted = WantedContent(index_prefix="t-merged-events", ingest_role_arns=(INGEST_ARN,), dashboards=False)
    path = f"/_plugins/_security/api/rolesmapping/{role}"
    install(admin, "t-merged-events")
    admin.transport.perform_request(
        "PUT", path, body={"users": ["mira"], "backend_roles": ["auditors"], "hosts": ["*.example.com"]}
    )
    installation = Installation(admin, None)
    saved: dict[str, bytes] = {}

    plan = installation.plan(wanted)
    installation.execute(plan, saved.__setitem__)

    mapping = admin.transport.perform_request("GET", path)[role]
    assert mapping["users"] == ["mira"]
    assert mapping["backend_roles"] == ["auditors", INGEST_ARN]
    assert mapping["hosts"] == ["*.example.com"]
    assert orjson.loads(saved[f"role-mapping/{role}.json"])["users"] == ["mira"]
    assert not installation.plan(wanted).changes


def test_who_may_not_manage_roles_is_reported_what_to_do(admin: OpenSearch, users: Users) -> None:
    body = {"cluster_permissions": ["indices:admin/index_template/get", "cluster:admin/component_template/get"]}
    admin.transport.perform_request("PUT", "/_plugins/_security/api/roles/t-looks", body=body)
    admin.transport.perform_request(
        "PUT", "/_plugins/_security/api/rolesmapping/t-looks", body={"backend_roles": ["looks"]}
    )
    installation = Installation(users.client("looks"), None)

    plan = installation.plan(WantedContent(dashboards=False))

    assert "may not manage roles" in {one.kind: one.why for one in plan.left_out}[ContentKind.ROLE]
    with pytest.raises(Exception, match="map them to security_manager or all_access"):
        installation.plan(WantedContent(ingest_role_arns=(INGEST_ARN,), dashboards=False))


def test_a_role_that_was_widened_is_backed_up_and_narrowed(admin: OpenSearch) -> None:
    role, wanted = findings_role("t-wide-events"), WantedContent(index_prefix="t-wide-events", dashboards=False)
    path = f"/_plugins/_security/api/roles/{role}"
    admin.transport.perform_request("PUT", path, body={"cluster_permissions": ["*"]})
    installation = Installation(admin, None)
    saved: dict[str, bytes] = {}

    plan = installation.plan(wanted)
    installation.execute(plan, saved.__setitem__)

    assert {one.content.name: one.step for one in plan.steps}[role] is Operation.UPDATE
    assert orjson.loads(saved[f"role/{role}.json"])["cluster_permissions"] == ["*"]
    assert "*" not in admin.transport.perform_request("GET", path)[role]["cluster_permissions"]


def test_audit_log_is_enabled_and_stays_as_a_team_changes_it(admin: OpenSearch) -> None:
    path = "/_plugins/_security/api/audit"
    installation, saved = Installation(admin, None), dict[str, bytes]()
    wanted = WantedContent(dashboards=False, audit_logs=True)

    def there() -> dict[str, Any]:
        config: dict[str, Any] = admin.transport.perform_request("GET", path)["config"]
        return config

    before = {**there(), "enabled": False}  # as on a new domain of OpenSearch Service
    before["audit"]["ignore_users"] = ["kibanaserver", "probe"]
    admin.transport.perform_request("PUT", f"{path}/config", body=before)

    installation.execute(installation.plan(wanted), saved.__setitem__)

    assert there() == {**before, "enabled": True, "audit": {**before["audit"], "log_request_body": False}}
    assert orjson.loads(saved["audit-log/config.json"]) == before
    admin.transport.perform_request("PUT", f"{path}/config", body={**before, "enabled": True})
    assert not installation.plan(wanted).changes
