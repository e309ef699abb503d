"""What belongs at an endpoint, and what is to be done there: decided without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from daswatch.content.backups import backups
from daswatch.content.model import Content, ContentKind, LeftOut, Operation, Plan, PlannedStep, WantedContent
from daswatch.content.plan import Found, check_hourly, contains, plan, wanted_content, whole_plan
from daswatch.content.retention import fingerprint, mark_of, marked
from daswatch.content.templates import for_collection, shipped_content, shipped_roles
from daswatch.detections.detection import Level
from daswatch.errors import SettingsError
from daswatch.hourly_indices import HourlyIndices
from daswatch.indices import Indices
from daswatch.queries.monitors import installed_of, monitor, updated
from daswatch.settings import DashboardsEndpoint, Environment, SearchEndpoint
from tests.builders.alerts import a_detection

TOPIC = "arn:aws:sns:eu-west-1:123456789012:monitors"
ROLE = "arn:aws:iam::123456789012:role/ingest"
TODAY = date(2027, 1, 1)
EVENTS_TEMPLATE = (ContentKind.INDEX_TEMPLATE, "das-events")
POLICY = next(content for content in shipped_content() if content.name == "das-events-retention")


def reasons(wanted: WantedContent) -> dict[ContentKind, str]:
    return {one.kind: one.why for one in wanted_content(wanted)[1]}


def test_content_comes_in_the_order_of_installation() -> None:
    wanted = WantedContent(
        detections=(a_detection(),), alert_topic_arn=TOPIC, ingest_role_arns=(ROLE,), audit_logs=True
    )
    content, left_out = wanted_content(wanted)

    assert [one.kind for one in content] == sorted((one.kind for one in content), key=list(ContentKind).index)
    assert {one.kind for one in content} == set(ContentKind)
    assert [(one.kind, one.count) for one in left_out] == [(ContentKind.ROLE_MAPPING, 4)]


def test_names_are_unique_within_a_kind() -> None:
    wanted = WantedContent(detections=(a_detection(),), alert_topic_arn=TOPIC, ingest_role_arns=(ROLE,))
    names = [(one.kind, one.name) for one in wanted_content(wanted)[0]]

    assert len(names) == len(set(names))


def test_roles_and_their_mappings_follow_the_index_prefix() -> None:
    content, _ = wanted_content(WantedContent(index_prefix="audit-events", ingest_role_arns=(ROLE,)))
    role = next(one for one in content if one.kind is ContentKind.ROLE and one.name == "audit-events-ingest")
    mapping = next(one for one in content if one.kind is ContentKind.ROLE_MAPPING)

    assert mapping == Content(ContentKind.ROLE_MAPPING, "audit-events-ingest", {"backend_roles": [ROLE]})
    assert "audit-events-*" in role.body["index_permissions"][0]["index_patterns"]


@pytest.mark.parametrize(
    ("wanted", "kind", "why"),
    [
        (
            WantedContent(),
            ContentKind.ROLE_MAPPING,
            "set INGEST_ROLE_ARN, FINDINGS_ROLE_ARN, POSTURE_ROLE_ARN, ENROLMENT_ROLE_ARN, REPLAY_ROLE_ARN",
        ),
        (WantedContent(detections=(a_detection(),)), ContentKind.MONITOR, "set MONITOR_TOPIC_ARN"),
        (
            WantedContent(detections=(a_detection(),), alert_topic_arn=TOPIC, monitors=False),
            ContentKind.MONITOR,
            "not wanted",
        ),
        (WantedContent(service="aoss"), ContentKind.RETENTION_POLICY, "delete old indices yourself"),
        (WantedContent(service="aoss"), ContentKind.ROLE, "data access policies"),
        (WantedContent(service="aoss", audit_logs=True), ContentKind.AUDIT_LOG, "CloudTrail"),
    ],
)
def test_what_is_left_out_says_why(wanted: WantedContent, kind: ContentKind, why: str) -> None:
    assert why in reasons(wanted)[kind]


def test_no_saved_object_is_planned_for_who_wants_none() -> None:
    content, _ = wanted_content(WantedContent(dashboards=False))

    assert ContentKind.SAVED_OBJECT not in {one.kind for one in content}


# --- collections ---


def test_collection_gets_analysis_and_codec_settings_only() -> None:
    templates = for_collection(shipped_content())
    settings = [one.body["template"].get("settings", {}).get("index", {}) for one in templates]

    assert {one.kind for one in templates} == {ContentKind.INDEX_TEMPLATE}
    assert not any("composed_of" in one.body for one in templates)
    assert {name for one in settings for name in one} == {"analysis", "codec"}
    assert {one["codec"] for one in settings if "codec" in one} == {"zstd"}


def test_a_collection_gets_every_mapping_as_it_is_shipped() -> None:
    """Each template is whole: whether a collection has component templates is not documented for certain."""
    shipped = {
        one.name: one.body["template"].get("mappings", {}) for one in shipped_content() if "template" in one.body
    }
    events = shipped["das-events"]["properties"] | shipped["das-event-fields"]["properties"]

    found = {one.name: one.body["template"]["mappings"] for one in for_collection(shipped_content())}

    assert found.pop("das-events") == {"dynamic": False, "properties": events}
    assert found == {name: shipped[name] for name in found}
    assert len(found) == 13


# --- what a plan shows ---


def test_plan_is_shown_in_rows() -> None:
    role = shipped_roles()[0]
    planned = Plan((PlannedStep(Operation.UPDATE, role, {}),), (LeftOut(ContentKind.MONITOR, 19, "no plugin"),))

    assert [(row.step, row.kind, row.name, row.why) for row in planned.rows] == [
        ("update", "role", role.name, ""),
        ("left out", "monitor", "19 in all", "no plugin"),
    ]
    assert planned.changes
    assert planned.count(Operation.UPDATE) == 1
    assert planned.count(Operation.CREATE) == 0


def test_monitors_need_their_channel() -> None:
    content, left_out = wanted_content(WantedContent(detections=(a_detection(),), alert_topic_arn=TOPIC))

    planned = whole_plan(content, left_out, Found({}, {ContentKind.CHANNEL: "no plugin"}))

    assert not {ContentKind.CHANNEL, ContentKind.MONITOR} & {one.content.kind for one in planned.steps}
    assert "they could notify no one: no plugin" in {one.why for one in planned.left_out}


@pytest.mark.parametrize(
    ("there", "shipped", "same"),
    [
        ({"a": "1"}, {"a": 1}, True),
        ({"a": "true"}, {"a": True}, True),
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({}, {"a": 1}, False),
        (None, {"a": 1}, False),
    ],
)
def test_what_a_service_adds_is_no_difference(there: Any, shipped: Any, same: bool) -> None:
    assert contains(there, shipped) is same


# --- retention ---


def step_of(there: Mapping[str, Any], shipped: Content = POLICY) -> PlannedStep:
    (step,) = plan([shipped], {(shipped.kind, shipped.name): there})
    return step


def with_age(age: str) -> Content:
    """A release of ours that deletes after another time."""
    policy = dict(POLICY.body["policy"])
    first, second, *rest = policy["states"]
    transition = {**second["transitions"][0], "conditions": {"min_index_age": age}}
    policy["states"] = [first, {**second, "transitions": [transition]}, *rest]
    return replace(POLICY, body={"policy": policy})


def test_a_policy_is_marked_with_what_it_does() -> None:
    sent = marked(POLICY.body)["policy"]

    assert mark_of(sent) == fingerprint(sent) == fingerprint(POLICY.body["policy"])
    assert mark_of(POLICY.body["policy"]) == ""


@pytest.mark.parametrize("added", [{"retry": {"count": 3}}, {"timeout": "1d"}])
def test_what_the_plugin_adds_to_actions_is_no_change(added: Mapping[str, Any]) -> None:
    policy = marked(POLICY.body)["policy"]
    states = [{**one, "actions": [{**action, **added} for action in one["actions"]]} for one in policy["states"]]

    assert step_of({"policy": {**policy, "states": states, "schema_version": 21}}).step is Operation.UNCHANGED


def test_a_policy_of_an_earlier_release_is_updated() -> None:
    assert step_of(marked(with_age("100d").body)).step is Operation.UPDATE


@pytest.mark.parametrize(
    "there",
    [
        with_age("3650d").body,  # no mark: a team's own, or a rewritten description
        {"policy": {**with_age("3650d").body["policy"], "description": marked(POLICY.body)["policy"]["description"]}},
        {},
    ],
)
def test_changed_policy_stays(there: Mapping[str, Any]) -> None:
    step = step_of(there)

    assert step.step is Operation.UNCHANGED
    assert "it was changed" in step.why


# --- monitors ---


def body(**changes: Any) -> dict[str, Any]:
    return monitor(a_detection(**changes), "daswatch", Indices())


def test_a_monitor_as_it_was_installed_is_up_to_date() -> None:
    assert updated(body(), body()) == (body(), False, "")


@pytest.mark.parametrize(
    ("installed", "running", "wanted", "result"),
    [
        (True, True, True, True),
        (True, True, False, False),  # the team's tuning
        (True, False, True, False),  # a team switched it off
        (False, True, False, True),  # a team switched it on
        (False, False, True, True),
    ],
)
def test_whether_a_monitor_runs_is_whose_decision_came_last(
    installed: bool, running: bool, wanted: bool, result: bool
) -> None:
    there = {**body(enabled=installed), "enabled": running}

    assert updated(body(enabled=wanted), there)[0]["enabled"] is result


def test_monitor_without_our_trigger_is_replaced_disabled() -> None:
    there = {**body(), "enabled": False, "triggers": []}

    wanted, changed, why = updated(body(), there)

    assert (wanted["enabled"], changed, why) == (False, True, "changed by the team, and kept: switched off")


def test_monitor_of_another_channel_is_changed() -> None:
    assert updated(body(), monitor(a_detection(), "another", Indices()))[1]


def test_a_cron_schedule_is_kept() -> None:
    schedule = {"cron": {"expression": "0 6 * * *", "timezone": "UTC"}}

    wanted, changed, why = updated(body(), {**body(), "schedule": schedule})

    assert (wanted["schedule"], changed) == (schedule, False)
    assert why == "changed by the team, and kept: another schedule"


OWN = {
    "query_level_trigger": {
        "id": "own",
        "name": "page us",
        "severity": "1",
        "condition": {"script": {"source": "return true", "lang": "painless"}},
        "actions": [{"id": "pager", "name": "page", "destination_id": "pager"}],
    }
}
NEWER: dict[str, Any] = {"query": "activity:DDL", "level": Level.HIGH}


def trigger_of(content: Mapping[str, Any], position: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = content["triggers"][position]["query_level_trigger"]
    return found


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("changes", [{}, NEWER])
def test_triggers_of_the_team_survive(position: int, changes: dict[str, Any]) -> None:
    """Before ours or behind it, whether there is anything to update or not."""
    there = body()
    there["triggers"].insert(position, OWN)

    wanted, changed, why = updated(body(**changes), there)

    assert changed is bool(changes)
    assert wanted["triggers"][position] == OWN
    assert trigger_of(wanted, 1 - position) == trigger_of(body(**changes))
    assert "1 more triggers" in why


def test_actions_of_the_team_survive_where_they_are() -> None:
    there = body()
    slack = {"id": "slack", "name": "notify us", "destination_id": "slack", "throttle_enabled": False}
    trigger_of(there)["actions"].insert(0, slack)

    wanted, changed, why = updated(body(**NEWER), there)

    assert changed
    assert trigger_of(wanted)["actions"] == [slack, *trigger_of(body(**NEWER))["actions"]]
    assert "1 more actions" in why


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("severity", "1", "another severity"),
        ("condition", {"script": {"source": "ctx.results[0].hits.total.value > 9", "lang": "painless"}}, "condition"),
    ],
)
def test_changes_of_our_trigger_survive(name: str, value: Any, word: str) -> None:
    there = body()
    trigger_of(there)[name] = value

    same, unchanged, why = updated(body(), there)
    wanted, changed, _ = updated(body(**NEWER), there)

    assert (trigger_of(same)[name], unchanged) == (value, False)
    assert (trigger_of(wanted)[name], changed) == (value, True)
    assert word in why
    assert not updated(body(**NEWER), wanted)[1]


def test_a_throttle_of_our_action_survives() -> None:
    there = body()
    throttle = {"throttle_enabled": True, "throttle": {"value": 10, "unit": "MINUTES"}}
    trigger_of(there)["actions"][0].update(throttle)

    wanted, _, why = updated(body(**NEWER), there)

    (action,) = trigger_of(wanted)["actions"]
    assert {name: action[name] for name in throttle} == throttle
    assert "a throttle" in why


def test_how_dashboards_shows_a_monitor_survives() -> None:
    there = {**body(), "ui_metadata": {"search": {"searchType": "query"}}, "_id": "m1", "schema_version": 8}

    wanted, changed, _ = updated(body(), there)

    assert wanted == {**body(), "ui_metadata": there["ui_metadata"]}
    assert not changed


def earlier(enabled: bool = True, **changes: Any) -> dict[str, Any]:
    """A monitor as earlier releases installed it: the mark is in the trigger's id."""
    content = body(enabled=enabled, **changes)
    trigger = trigger_of(content)
    trigger["id"] = f"bruteforce-user-0123456789abcdef-{'on' if enabled else 'off'}"
    trigger["actions"][0]["name"] = "notify Daswatch"
    trigger["condition"]["script"]["source"] = "ctx.results[0].aggregations.groups.buckets.size() > 0"
    return content


@pytest.mark.parametrize("there", [body(), earlier()])
def test_an_update_keeps_the_triggers_id(there: dict[str, Any]) -> None:
    """What was acknowledged stays so: the plugin deletes the alerts of a trigger that is gone."""
    wanted, changed, why = updated(body(**NEWER), there)

    assert (changed, why) == (True, "")
    assert trigger_of(wanted)["id"] == trigger_of(there)["id"]
    assert trigger_of(wanted)["condition"] == trigger_of(body())["condition"]
    assert trigger_of(wanted)["severity"] == "2"
    assert updated(body(**NEWER), wanted) == (wanted, False, "")


@pytest.mark.parametrize(("running", "result"), [(True, True), (False, False)])
def test_earlier_monitors_keep_what_the_team_switched(running: bool, result: bool) -> None:
    wanted, _, why = updated(body(), {**earlier(), "enabled": running})

    assert wanted["enabled"] is result
    assert bool(why) is not running


def test_a_monitor_without_room_for_our_trigger_is_named() -> None:
    triggers = [{"query_level_trigger": {**OWN["query_level_trigger"], "id": f"t{n}"}} for n in range(10)]

    _, changed, why = updated(body(), {**body(), "triggers": triggers})

    assert not changed
    assert "10 triggers, none of them ours" in why


def numbered(number: int, content: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {**content, "enabled_time": number if content["enabled"] else None, "_id": f"m{number}", **changes}


COPY = {**body(), "triggers": [OWN]}


@pytest.mark.parametrize(
    ("found", "chosen", "others"),
    [
        ([], None, ""),
        ([numbered(1, body())], "m1", ""),
        ([numbered(1, body(), enabled=False, enabled_time=None), numbered(2, body())], "m2", "m1"),  # the one that runs
        ([numbered(2, body(), _id="a"), numbered(1, body(), _id="b")], "b", "a"),  # for longest
        ([numbered(1, COPY), numbered(2, body())], "m2", "m1"),  # with our trigger
        ([numbered(1, COPY), numbered(2, {**body(), "enabled": False})], "m2", "m1"),
        ([numbered(1, COPY)], "m1", ""),
        ([numbered(2, earlier()), numbered(3, COPY), numbered(4, COPY)], "m2", "m3, m4"),
    ],
)
def test_of_monitors_of_one_name_the_installed_is_updated(
    found: list[dict[str, Any]], chosen: str | None, others: str
) -> None:
    installed, note = installed_of(body(), found)

    assert (installed and installed["_id"]) == chosen
    assert note == (f"left alone: {len(others.split(', '))} of the same name ({others})" if others else "")


# --- backups and settings ---


def test_only_what_is_replaced_is_backed_up() -> None:
    content = shipped_content()[0]
    steps = [
        PlannedStep(Operation.CREATE, content),
        PlannedStep(Operation.UNCHANGED, content, {"a": 1}),
        PlannedStep(Operation.UPDATE, replace(content, name="../../x y"), {"_id": "x", "a": 2, "_meta": 3}),
    ]

    files = backups(steps)

    assert list(files) == ["component-template/..-..-x-y.json"]
    assert files["component-template/..-..-x-y.json"] == b'{\n  "a": 2,\n  "_meta": 3\n}'


def test_what_is_wanted_is_read_from_the_environment() -> None:
    variables = {"MONITOR_TOPIC_ARN": TOPIC, "INGEST_ROLE_ARN": ROLE, "MONITORS": "false"}
    environment = Environment(variables)

    wanted = WantedContent.read(environment, index_prefix="audit-events", service="es", detections=())

    environment.check()
    assert wanted == WantedContent(
        index_prefix="audit-events", alert_topic_arn=TOPIC, ingest_role_arns=(ROLE,), monitors=False
    )


def test_every_wrong_arn_is_named() -> None:
    roles = ("INGEST_ROLE_ARN", "FINDINGS_ROLE_ARN", "POSTURE_ROLE_ARN", "ENROLMENT_ROLE_ARN", "REPLAY_ROLE_ARN")
    names = ("MONITOR_TOPIC_ARN", "CHANNEL_ROLE_ARN", *roles)
    environment = Environment(dict.fromkeys(names, "x"))
    WantedContent.read(environment, index_prefix="audit-events", service="es", detections=())

    with pytest.raises(SettingsError) as raised:
        environment.check()

    assert [problem.split()[0] for problem in raised.value.problems] == list(names)


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, DashboardsEndpoint("https://search.example.com/_dashboards", "global")),
        (
            {"DASHBOARDS_URL": "https://dashboards.example.com/", "DASHBOARDS_TENANT": "auditors"},
            DashboardsEndpoint("https://dashboards.example.com", "auditors"),
        ),
    ],
)
def test_dashboards_url_defaults_to_the_endpoint(variables: Mapping[str, str], endpoint: DashboardsEndpoint) -> None:
    environment = Environment(variables)

    assert DashboardsEndpoint.read(environment, SearchEndpoint("https://search.example.com")) == endpoint
    environment.check()


# Indices for each hour.


def planned_days(wanted: str | None, there: str | None) -> Plan:
    """The plan where a template with these days is installed; None of them is one without."""
    hourly = None if wanted is None else HourlyIndices.parse(wanted)
    shipped, left_out = wanted_content(WantedContent(hourly=hourly))
    installed, _ = wanted_content(WantedContent(hourly=None if there is None else HourlyIndices.parse(there)))
    pieces = {(one.kind, one.name): one.body for one in installed}
    return whole_plan(shipped, left_out, Found(pieces, {}, {}))


def days_of(plan: Plan) -> tuple[Operation, str | None]:
    (step,) = [one for one in plan.steps if (one.content.kind, one.content.name) == EVENTS_TEMPLATE]
    return step.step, step.content.body["_meta"].get("hourly")


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("2027-01-15/..", None),
        ("2027-01-15/..", ""),
        ("2027-01-15/2027-02-01", "2027-01-15/.."),
        ("2026-12-01/2027-01-03", "2026-12-01/.."),
        ("2026-12-01/..,", "2026-12-01/.."),
        ("", "2027-01-15/.."),
        ("", None),
        (None, "2026-12-01/.."),
        (None, None),
    ],
)
def test_days_ahead_may_get_an_index_for_each_hour(wanted: str | None, there: str | None) -> None:
    check_hourly(planned_days(wanted, there), TODAY)


@pytest.mark.parametrize(
    ("wanted", "there", "day"),
    [
        ("2027-01-02/..", None, "2027-01-02"),
        ("2026-12-01/..", "", "2026-12-01"),
        ("", "2026-12-01/..", "2026-12-01"),
        ("2026-12-01/2027-01-01", "2026-12-01/..", "2027-01-02"),
        ("2026-12-02/..", "2026-12-01/..", "2026-12-01"),
    ],
)
def test_days_that_may_have_begun_stay_as_they_are(wanted: str, there: str | None, day: str) -> None:
    with pytest.raises(SettingsError, match=f"INDEX_HOURLY would change {day}.*2027-01-03"):
        check_hourly(planned_days(wanted, there), TODAY)


def test_days_are_kept_in_the_template_of_events() -> None:
    assert days_of(planned_days("2027-01-15/..", None)) == (Operation.UPDATE, "2027-01-15/..")
    assert days_of(planned_days("2027-01-15/..", "2027-01-15/..")) == (Operation.UNCHANGED, "2027-01-15/..")
    assert days_of(planned_days(None, "2027-01-15/..")) == (Operation.UNCHANGED, "2027-01-15/..")


def test_a_new_endpoint_takes_any_days() -> None:
    shipped, left_out = wanted_content(WantedContent(hourly=HourlyIndices.parse("2026-01-01/..")))

    check_hourly(whole_plan(shipped, left_out, Found({}, {}, {})), TODAY)
