"""Installing everything at a domain: a real node for templates, stand-ins for what is published nowhere."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any, Literal

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.aws import clients
from daswatch.content.dashboards import read_ndjson, shipped_objects
from daswatch.content.index_settings import IndexSettings
from daswatch.content.model import ContentKind, Operation, Plan, WantedContent
from daswatch.content.plan import channel_id, check_hourly
from daswatch.content.templates import shipped_content
from daswatch.detections.detection import by_name
from daswatch.detections.sigma import compile_all
from daswatch.errors import DashboardsUnavailable, SearchUnavailable, SettingsError
from daswatch.hourly_indices import DAILY, HourlyIndices
from daswatch.indices import Indices
from daswatch.opensearch.client import dashboards_client
from daswatch.opensearch.dashboards import DashboardsGateway
from daswatch.opensearch.installation import Installation
from daswatch.queries.monitors import has_monitor, monitor_name
from daswatch.settings import DashboardsEndpoint, SearchEndpoint
from demo.aws import REGION
from demo.opensearch import AnyNode
from tests.fakes.opensearch_plugins import ALERTING, DASHBOARDS, NOTIFICATIONS, POLICIES, Domain, failure
from tests.fakes.proxy import Request, Response
from tests.harness.installed import give_back, installed_prefix, remove

pytestmark = pytest.mark.node

TOPIC, CHANNEL_ROLE = "arn:aws:sns:eu-west-1:123456789012:monitors", "arn:aws:iam::123456789012:role/channel"
DETECTIONS = compile_all()
ONE = "bruteforce-user"


class Place:
    """A domain and what is wanted there."""

    def __init__(self, domain: Domain, prefix: str) -> None:
        self.domain = domain
        self.indices = Indices(prefix)
        self.channel = channel_id(self.indices)
        self.pattern = ("index-pattern", f"{self.indices.saved_object_start}events")
        self.retention = f"{prefix}-retention"  # the name of the events' policy
        self.wanted = WantedContent(
            index_prefix=prefix, detections=DETECTIONS, alert_topic_arn=TOPIC, channel_role_arn=CHANNEL_ROLE
        )
        self.saved: dict[str, bytes] = {}
        endpoint = SearchEndpoint(domain.url, auth="none")
        self.installation = Installation.at(endpoint, DashboardsEndpoint(f"{domain.url}/_dashboards"))

    def plan(self, **changes: Any) -> Plan:
        return self.installation.plan(replace(self.wanted, **changes))

    def install(self, **changes: Any) -> Plan:
        """Plan and execute; what was planned."""
        plan = self.plan(**changes)
        self.installation.execute(plan, self.saved.__setitem__)
        return plan

    def change(self, name: str, **changes: Any) -> None:
        """As a newer release has it: other words of a detection, or another threshold."""
        known = by_name(self.wanted.detections)
        known[name] = replace(known[name], **changes)
        self.wanted = replace(self.wanted, detections=tuple(known.values()))


@pytest.fixture
def fresh(search: OpenSearch, node: AnyNode) -> Iterator[Place]:
    """A domain without anything of ours."""
    domain = Domain(node.url)
    prefix = f"t-{secrets.token_hex(5)}-events"
    yield Place(domain, prefix)
    domain.close()
    remove(search, prefix)


@pytest.fixture
def place(search: OpenSearch, node: AnyNode) -> Iterator[Place]:
    """A domain that has our templates, as they are, and nothing else."""
    domain = Domain(node.url)
    prefix = installed_prefix(search)
    yield Place(domain, prefix)
    domain.close()
    give_back(search, prefix)


def test_days_of_hourly_indices_stay_through_other_installations(place: Place) -> None:
    place.install(hourly=HourlyIndices.parse("2031-01-15/.."))
    template = place.installation.plan(place.wanted)
    assert not template.changes

    with pytest.raises(SettingsError, match="INDEX_HOURLY would change 2031-01-15"):
        check_hourly(place.plan(hourly=DAILY), date(2031, 2, 1))


def monitor_of(place: Place, name: str = ONE) -> dict[str, Any]:
    return place.domain.alerting.named(f"daswatch {place.indices.stem} {name}")


def policy_of(place: Place) -> dict[str, Any]:
    """The retention policy as it is there, to be changed and put back."""
    return deepcopy(place.domain.policies.policies[place.retention]["policy"])


def changed(plan: Plan) -> list[tuple[Operation, ContentKind, str]]:
    return [(one.step, one.content.kind, one.content.name) for one in plan.to_do]


def whys(plan: Plan) -> dict[str, str]:
    return {one.content.name: one.why for one in plan.steps if one.why}


def test_everything_is_installed_in_order(fresh: Place) -> None:
    plan = fresh.install()

    kinds = [one.content.kind for one in plan.steps]
    assert kinds == sorted(kinds, key=list(ContentKind).index)
    assert set(kinds) == set(ContentKind) - {ContentKind.ROLE, ContentKind.ROLE_MAPPING, ContentKind.AUDIT_LOG}
    expected = {monitor_name(one, fresh.indices) for one in DETECTIONS if has_monitor(one)}
    assert {one["name"] for one in fresh.domain.alerting.monitors.values()} == expected
    sns = {"topic_arn": TOPIC, "role_arn": CHANNEL_ROLE}
    assert fresh.domain.notifications.channels[fresh.channel]["sns"] == sns
    actions = [trigger["actions"][0] for trigger in triggers(fresh)]
    assert {action["destination_id"] for action in actions} == {fresh.channel}
    assert fresh.domain.dashboards.objects[fresh.pattern]["attributes"]["title"] == f"{fresh.wanted.index_prefix}-*"


def triggers(place: Place) -> list[dict[str, Any]]:
    return [one["triggers"][0]["query_level_trigger"] for one in place.domain.alerting.monitors.values()]


def test_a_second_run_changes_nothing(place: Place) -> None:
    place.install()
    writes = len(place.domain.writes)

    plan = place.install()

    assert not plan.changes
    assert len(place.domain.writes) == writes
    assert place.saved == {}


def test_every_monitor_is_installed_at_a_fresh_endpoint(fresh: Place, search: OpenSearch) -> None:
    """No index is there yet: what a monitor names has to exist, and a pattern need not."""
    search.indices.delete(index=fresh.indices.control_plane, params={"ignore_unavailable": "true"})

    fresh.install()

    indices = {
        index for one in fresh.domain.alerting.monitors.values() for index in one["inputs"][0]["search"]["indices"]
    }
    assert indices == {f"{fresh.wanted.index_prefix}-*", f"{fresh.indices.control_plane}*"}
    assert len(fresh.domain.alerting.monitors) == sum(has_monitor(one) for one in DETECTIONS)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_monitor_on_a_missing_index_is_refused(place: Place, method: str) -> None:
    place.install()
    body = deepcopy(monitor_of(place))
    body["inputs"][0]["search"]["indices"] = [f"{place.wanted.index_prefix}-gone"]
    path = f"{ALERTING}/monitors" + ("/m0001" if method == "PUT" else "")

    refused = place.domain.alerting.answer(Request(method, path, {}, orjson.dumps(body)))

    assert refused.status == 404
    assert refused.json["error"]["reason"] == f"Configured indices are not found: [{place.wanted.index_prefix}-gone]"


@pytest.mark.parametrize("index_from_the_start", [True, False])
def test_no_monitor_yet_is_not_a_missing_plugin(place: Place, index_from_the_start: bool) -> None:
    place.domain.alerting.index_from_the_start = index_from_the_start

    assert {one.step for one in place.plan().steps if one.content.kind is ContentKind.MONITOR} == {Operation.CREATE}


def test_monitors_found_in_part_are_not_installed_again(place: Place) -> None:
    place.install()
    place.domain.alerting.shards = 2

    with pytest.raises(SearchUnavailable, match="a part of the monitors only"):
        place.plan()


def test_a_plan_only_reads(fresh: Place) -> None:
    plan = fresh.plan()

    assert plan.count(Operation.CREATE) > 20
    assert fresh.domain.writes == []


def test_saved_objects_are_one_import_for_the_global_tenant(place: Place) -> None:
    place.install()

    assert place.domain.dashboards.imports == 1
    assert {headers["securitytenant"] for headers, _ in place.domain.dashboards.requests} == {"global"}


@pytest.mark.parametrize("service", ["es", "aoss"])
def test_requests_to_dashboards_are_signed(
    place: Place, service: Literal["es", "aoss"], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", REGION)
    clients.session.cache_clear()
    client = dashboards_client(SearchEndpoint(place.domain.url, service=service), f"{place.domain.url}/_dashboards")
    clients.session.cache_clear()
    gateway = DashboardsGateway(client, "auditors")

    gateway.import_objects(shipped_objects(place.indices))

    assert gateway.get([place.pattern])
    for headers, body in place.domain.dashboards.requests:
        assert f"/{REGION}/{service}/aws4_request" in headers["authorization"]
        assert headers["x-amz-content-sha256"] == sha256(body).hexdigest()
        assert headers["securitytenant"] == "auditors"
    assert len(place.domain.dashboards.requests) == 2


# --- what is not there ---


@pytest.mark.parametrize(
    ("prefix", "kinds", "why"),
    [
        (POLICIES, {ContentKind.RETENTION_POLICY}, "no Index State Management"),
        (NOTIFICATIONS, {ContentKind.CHANNEL, ContentKind.MONITOR}, "no Notifications plugin"),
        (ALERTING, {ContentKind.CHANNEL, ContentKind.MONITOR}, "no Alerting plugin"),
        (DASHBOARDS, {ContentKind.SAVED_OBJECT}, "no Dashboards answers"),
    ],
)
def test_unsupported_content_is_left_out_with_the_reason(
    place: Place, prefix: str, kinds: set[ContentKind], why: str
) -> None:
    place.domain.without(prefix)

    plan = place.install()

    reasons = {one.kind: one.why for one in plan.left_out}
    assert kinds <= set(reasons)
    assert all(why in reasons[kind] for kind in kinds)
    assert not kinds & {one.content.kind for one in plan.steps}
    assert not place.plan().changes


def test_a_channel_that_may_not_publish_to_sns_is_left_out(place: Place) -> None:
    place.domain.notifications.allowed = ("slack",)

    plan = place.install()

    assert {ContentKind.CHANNEL, ContentKind.MONITOR} <= {one.kind for one in plan.left_out}
    assert place.domain.alerting.monitors == {}


@pytest.mark.parametrize(
    ("changes", "why"), [({"monitors": False}, "not wanted"), ({"alert_topic_arn": ""}, "MONITOR_TOPIC_ARN")]
)
def test_monitors_without_a_topic_are_left_out(place: Place, changes: dict[str, Any], why: str) -> None:
    plan = place.install(**changes)

    assert why in {one.kind: one.why for one in plan.left_out}[ContentKind.MONITOR]
    assert not [write for write in place.domain.writes if ALERTING in write or NOTIFICATIONS in write]


def test_collection_gets_templates_and_saved_objects_only(place: Place) -> None:
    for prefix in (ALERTING, NOTIFICATIONS, POLICIES):
        place.domain.fail(prefix, failure(403, "security_exception", "no"))

    plan = place.plan(service="aoss")

    assert {one.content.kind for one in plan.steps} == {ContentKind.INDEX_TEMPLATE, ContentKind.SAVED_OBJECT}
    taken = {
        ContentKind.INDEX_TEMPLATE,
        ContentKind.SAVED_OBJECT,
        ContentKind.COMPONENT_TEMPLATE,
    }  # templates hold their components
    assert {one.kind for one in plan.left_out} == set(ContentKind) - taken - {
        ContentKind.ROLE_MAPPING,
        ContentKind.AUDIT_LOG,
    }


# --- what users decided ---


def test_a_monitor_switched_off_stays_off(place: Place) -> None:
    place.install()
    monitor_of(place)["enabled"] = False

    assert not place.plan().changes
    assert whys(place.plan()) == {f"daswatch {place.indices.stem} {ONE}": "changed by the team, and kept: switched off"}

    place.change(ONE, query='activity:"AUTH FAILURE" AND dbUserName:*')
    plan = place.install()

    assert (Operation.UPDATE, ContentKind.MONITOR, f"daswatch {place.indices.stem} {ONE}") in changed(plan)
    assert monitor_of(place)["enabled"] is False
    assert not place.plan().changes


def test_a_schedule_and_actions_of_ones_own_survive_an_update(place: Place) -> None:
    place.install()
    schedule = {"period": {"interval": 10, "unit": "MINUTES"}}
    own = {"id": "slack", "name": "notify us", "destination_id": "slack"}
    monitor_of(place)["schedule"] = schedule
    monitor_of(place)["triggers"][0]["query_level_trigger"]["actions"].append(own)
    place.change(ONE, query='activity:"AUTH FAILURE" AND dbUserName:*')

    plan = place.install()

    assert whys(plan)[f"daswatch {place.indices.stem} {ONE}"].endswith("kept: another schedule, 1 more actions")
    assert monitor_of(place)["schedule"] == schedule
    assert own in monitor_of(place)["triggers"][0]["query_level_trigger"]["actions"]
    assert not place.plan().changes


def test_a_teams_tuning_switches_a_monitor_that_nobody_touched(place: Place) -> None:
    place.install()
    place.change(ONE, enabled=False)

    plan = place.install()

    assert (Operation.UPDATE, ContentKind.MONITOR, f"daswatch {place.indices.stem} {ONE}") in changed(plan)
    assert monitor_of(place)["enabled"] is False
    assert whys(plan) == {}
    place.change(ONE, enabled=True)
    place.install()
    assert monitor_of(place)["enabled"] is True


def test_triggers_of_ones_own_survive_an_update(place: Place) -> None:
    place.install()
    own = {**deepcopy(monitor_of(place)["triggers"][0]["query_level_trigger"]), "id": "own", "name": "page us"}
    monitor_of(place)["triggers"].insert(0, {"query_level_trigger": own})
    assert not place.plan().changes
    place.change(ONE, query='activity:"AUTH FAILURE" AND dbUserName:*')

    place.install()

    assert monitor_of(place)["triggers"][0] == {"query_level_trigger": own}
    assert [one["query_level_trigger"]["id"] for one in monitor_of(place)["triggers"]] == ["own", ONE]
    assert not place.plan().changes


@pytest.mark.parametrize(
    "changes",
    [{"triggers": []}, {"enabled": False}, {}],
    ids=["without our trigger", "switched off", "as it is"],
)
def test_a_copy_of_a_monitor_is_left_alone_and_named(place: Place, changes: dict[str, Any]) -> None:
    """Names are not unique; the copy has the lower id, which decides nothing."""
    place.install()
    copy = deepcopy(place.domain.alerting.copy(f"daswatch {place.indices.stem} {ONE}", "a-copy", **changes))
    place.change(ONE, query='activity:"AUTH FAILURE" AND dbUserName:*')

    plan = place.install()

    assert place.domain.alerting.monitors["a-copy"] == copy
    assert whys(plan)[f"daswatch {place.indices.stem} {ONE}"] == "left alone: 1 of the same name (a-copy)"
    assert not place.plan().changes


def test_a_replaced_monitor_is_backed_up(place: Place) -> None:
    place.install()
    before = deepcopy(monitor_of(place))
    place.change(ONE, query='activity:"AUTH FAILURE" AND dbUserName:*')

    place.install()

    assert orjson.loads(place.saved[f"monitor/daswatch-{place.indices.stem}-{ONE}.json"]) == before


def test_a_channel_switched_off_stays_off_whatever_the_topic(place: Place) -> None:
    place.install()
    place.domain.notifications.channels[place.channel]["is_enabled"] = False
    assert not place.plan().changes

    plan = place.install(alert_topic_arn=f"{TOPIC}-2", channel_role_arn="")

    channel = place.domain.notifications.channels[place.channel]
    assert whys(plan) == {place.channel: "it was disabled"}
    assert (channel["is_enabled"], channel["sns"]) == (False, {"topic_arn": f"{TOPIC}-2"})
    assert (
        orjson.loads(place.saved[f"notification-channel/{place.channel}.json"])["config"]["sns"]["topic_arn"] == TOPIC
    )


def test_a_retention_policy_that_was_changed_is_never_replaced(place: Place) -> None:
    place.install()
    policy = policy_of(place)
    policy["states"][1]["transitions"] = []  # nothing is ever deleted
    place.domain.policies.put(place.retention, policy)

    plan = place.install()

    assert not plan.changes
    assert "it was changed" in whys(plan)[place.retention]
    assert policy_of(place)["states"][1]["transitions"] == []


def test_retention_policy_of_an_earlier_release_is_replaced(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def earlier(prefix: str, settings: IndexSettings) -> list[Any]:
        text = orjson.dumps([one.body for one in shipped_content(prefix)]).replace(b'"400d"', b'"100d"')
        return [replace(one, body=body) for one, body in zip(shipped_content(prefix), orjson.loads(text), strict=True)]

    with monkeypatch.context() as patch:
        patch.setattr("daswatch.content.plan.shipped_content", earlier)
        place.install()

    plan = place.install()

    assert changed(plan) == [(Operation.UPDATE, ContentKind.RETENTION_POLICY, place.retention)]
    assert policy_of(place)["states"][1]["transitions"][0]["conditions"] == {"min_index_age": "400d"}
    assert b"100d" in place.saved[f"retention-policy/{place.retention}.json"]
    assert not place.plan().changes


def test_changed_saved_object_is_backed_up_as_an_export(place: Place) -> None:
    place.install()
    place.domain.dashboards.objects[place.pattern]["attributes"]["title"] = "mine-*"

    plan = place.install()

    assert changed(plan) == [(Operation.UPDATE, ContentKind.SAVED_OBJECT, f"index-pattern/{place.pattern[1]}")]
    (kept,) = read_ndjson(place.saved["saved-objects.ndjson"])
    assert kept.attributes["title"] == "mine-*"
    assert place.domain.dashboards.objects[place.pattern]["attributes"]["title"] == f"{place.wanted.index_prefix}-*"
    assert not place.plan().changes


def test_unreadable_object_is_backed_up_and_replaced(place: Place) -> None:
    place.install()
    search = f"{place.indices.saved_object_start}detection-{ONE}"
    place.domain.dashboards.objects["search", search]["attributes"] = {"kibanaSavedObjectMeta": "broken"}

    place.install()

    assert b"broken" in place.saved["saved-objects.ndjson"]
    assert not place.plan().changes


def test_a_refreshed_list_of_fields_is_no_change(place: Place) -> None:
    place.install()
    place.domain.dashboards.objects[place.pattern]["attributes"]["fields"] = '[{"name":"x","type":"string"}]'

    assert not place.plan().changes


def test_a_template_that_was_changed_is_backed_up(place: Place, search: OpenSearch) -> None:
    place.install()
    prefix = place.wanted.index_prefix
    body = search.indices.get_index_template(name=prefix)["index_templates"][0]["index_template"]
    search.indices.put_index_template(name=prefix, body={**body, "priority": 7})

    plan = place.install()

    assert changed(plan) == [(Operation.UPDATE, ContentKind.INDEX_TEMPLATE, prefix)]
    assert orjson.loads(place.saved[f"index-template/{prefix}.json"])["priority"] == 7
    assert not place.plan().changes


# --- failures ---


def test_a_failing_step_is_named_and_a_second_run_completes(place: Place) -> None:
    place.domain.fail(f"{ALERTING}/monitors", failure(503, "unavailable", "the plugin restarts"))

    with pytest.raises(SearchUnavailable, match=r"monitor daswatch .*OpenSearch answered 503.*run it again"):
        place.install()
    assert place.domain.notifications.channels
    assert place.domain.dashboards.objects == {}

    place.domain.recover(ALERTING, place.domain.alerting.answer)
    plan = place.install()

    assert {kind for _, kind, _ in changed(plan)} == {ContentKind.MONITOR, ContentKind.SAVED_OBJECT}
    assert not place.plan().changes


FEW = tuple(one for one in DETECTIONS if one.name in (ONE, "superuser-grant", "das-tamper-control-plane"))
WRITES = 12  # a template, six policies, the channel, three monitors, the import


@pytest.fixture
def prepared(place: Place, search: OpenSearch) -> None:
    """What is there of an earlier run: all templates but the last."""
    place.wanted = replace(place.wanted, detections=FEW)
    shipped = shipped_content(place.wanted.index_prefix)
    *_, last = (one.name for one in shipped if one.kind is ContentKind.INDEX_TEMPLATE)
    search.indices.delete_index_template(name=last)


def state_of(place: Place) -> Any:
    """What is at the endpoint, without what numbers the writes."""
    domain = place.domain
    monitors = sorted(
        (
            {name: value for name, value in one.items() if name not in ("enabled_time", "last_update_time")}
            for one in domain.alerting.monitors.values()
        ),
        key=lambda one: str(one["name"]),
    )
    policies = {name: one["policy"] for name, one in domain.policies.policies.items()}
    return monitors, domain.notifications.channels, policies, domain.dashboards.objects


@pytest.mark.usefixtures("prepared")
def test_interruptions_cover_every_write(place: Place) -> None:
    place.install()

    assert len(place.domain.writes) == WRITES


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("after", range(WRITES))
def test_interrupted_setup_completes_in_the_next_run(place: Place, after: int, done: bool) -> None:
    """Wherever it ends, before a write or behind it with its answer lost, the next run ends in the same state."""
    # GIVEN a run that ends at one of its writes
    end_of_interruption = place.domain.interrupt(after, done=done)
    with pytest.raises((SearchUnavailable, DashboardsUnavailable), match="run it again"):
        place.install()

    # WHEN setup runs again
    end_of_interruption()
    place.install()

    # THEN everything is there, once
    interrupted = state_of(place)
    assert not place.plan().changes
    assert len(place.domain.alerting.monitors) == len(FEW)
    for stand_in in (place.domain.alerting.monitors, place.domain.notifications.channels):
        stand_in.clear()
    place.domain.policies.policies.clear()
    place.domain.dashboards.objects.clear()
    place.install()
    assert state_of(place) == interrupted


def test_a_refusal_quotes_the_plugins_own_sentence(place: Place) -> None:
    reason = f"Configured indices are not found: [{place.indices.control_plane}]"
    place.domain.fail(f"{ALERTING}/monitors", failure(404, "alerting_exception", reason))

    with pytest.raises(SearchUnavailable, match=re.escape(f"alerting_exception: {reason};")):
        place.install()


def test_a_refused_saved_object_is_named(place: Place) -> None:
    place.domain.dashboards.refused = {f"{place.indices.saved_object_start}detection-{ONE}"}

    with pytest.raises(
        DashboardsUnavailable,
        match=rf"refused 1 of \d+ .*search/{place.indices.saved_object_start}detection-{ONE} \(unsupported_ty",
    ):
        place.install()

    place.domain.dashboards.refused = set()
    assert {kind for _, kind, _ in changed(place.install())} == {ContentKind.SAVED_OBJECT}


def test_a_channel_that_was_made_meanwhile_is_written_over(place: Place) -> None:
    plan = place.plan()
    place.domain.notifications.channels[place.channel] = {"sns": {"topic_arn": "arn:x"}, "is_enabled": True}

    place.installation.execute(plan, place.saved.__setitem__)

    assert place.domain.notifications.channels[place.channel]["sns"]["topic_arn"] == TOPIC


def test_nothing_is_replaced_when_it_cannot_be_backed_up(place: Place) -> None:
    place.install()
    place.domain.dashboards.objects[place.pattern]["attributes"]["title"] = "mine-*"

    def full(name: str, content: bytes) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        place.installation.execute(place.plan(), full)

    assert place.domain.dashboards.objects[place.pattern]["attributes"]["title"] == "mine-*"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (Response(200, {"content-type": "text/html"}, b"<html>log in</html>"), "not the API of Dashboards"),
        (Response.of_json(401, {"statusCode": 401, "message": "Authentication required"}), "Authentication required"),
    ],
)
def test_what_is_no_dashboards_is_reported(place: Place, answer: Response, shown: str) -> None:
    place.domain.recover(DASHBOARDS, lambda request: answer)

    with pytest.raises(DashboardsUnavailable, match=shown):
        place.plan()


def test_dashboards_that_do_not_answer_are_reported(node: AnyNode) -> None:
    installation = Installation.at(
        SearchEndpoint(node.url, auth="none"), DashboardsEndpoint("http://127.0.0.1:9/_dashboards")
    )

    with pytest.raises(DashboardsUnavailable, match=r"does not answer .*: correct DASHBOARDS_URL"):
        installation.plan(WantedContent())
