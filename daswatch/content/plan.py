"""What belongs at an endpoint, compared with what is there: the plan. Nothing is asked or written here.

What a team decided stays: whether a monitor or a channel is on, a monitor's schedule, a retention policy that it
changed, its own entries in a role mapping (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from daswatch.content.dashboards import SavedObjectError, packed, shipped_objects, unpacked
from daswatch.content.index_settings import has_settings_alone, settled
from daswatch.content.model import Content, ContentKind, LeftOut, Operation, Plan, PlannedStep, WantedContent
from daswatch.content.retention import fingerprint, mark_of
from daswatch.content.templates import for_collection, shipped_content, shipped_roles
from daswatch.errors import SettingsError
from daswatch.hourly_indices import NOTICE, HourlyIndices
from daswatch.indices import Indices
from daswatch.queries.monitors import has_monitor, monitor, monitor_name, updated

_NOT_ON_COLLECTIONS = {
    ContentKind.RETENTION_POLICY: "a Serverless collection keeps everything: delete old indices yourself",
    ContentKind.ROLE: "a Serverless collection has data access policies instead",
    ContentKind.ROLE_MAPPING: "a Serverless collection has data access policies instead",
    ContentKind.AUDIT_LOG: "a Serverless collection has CloudTrail instead",
    ContentKind.CHANNEL: "a Serverless collection has no Notifications plugin",
    ContentKind.MONITOR: "a Serverless collection has no Alerting plugin: the scheduled function runs every detection",
}
_HOURLY = "hourly"  # in `_meta`: the days whose events have an index for each hour
_MAPPING_LISTS = ("backend_roles", "hosts", "users", "and_backend_roles")
_OWN_INDEX_PATTERN_ATTRIBUTES = frozenset({"fields"})  # Dashboards' own list, rewritten when a user refreshes it


@dataclass(frozen=True, slots=True)
class Found:
    """What an endpoint holds: pieces by kind and name, and for kinds that it has no place for, why not."""

    pieces: Mapping[tuple[ContentKind, str], Mapping[str, Any]] = field(default_factory=dict)
    absent: Mapping[ContentKind, str] = field(default_factory=dict)
    notes: Mapping[tuple[ContentKind, str], str] = field(default_factory=dict)  # on single pieces, for the plan


def channel_id(indices: Indices) -> str:
    """The id of the notification channel."""
    return "daswatch" if indices.is_default else f"daswatch-{indices.stem}"


def ingest_role(index_prefix: str) -> str:
    """The name of the ingest function's role: deployments with other prefixes have their own."""
    return f"{index_prefix}-ingest"


def findings_role(index_prefix: str) -> str:
    """The name of the findings function's role."""
    return f"{index_prefix}-findings"


def posture_role(index_prefix: str) -> str:
    """Name of the posture function's role."""
    return f"{index_prefix}-posture"


def enrolment_role(index_prefix: str) -> str:
    """Name of the enrolment function's role."""
    return f"{index_prefix}-enrolment"


def replay_role(index_prefix: str) -> str:
    """Name of the replay function's role."""
    return f"{index_prefix}-replay"


def wanted_content(wanted: WantedContent) -> tuple[list[Content], tuple[LeftOut, ...]]:
    """All that belongs there, in the order of installation; and what is left out whatever is found there."""
    prefix = wanted.index_prefix
    templates = [_dated(one, wanted) for one in shipped_content(prefix, wanted.index_settings)]
    content = [*templates, *shipped_roles(prefix), *_mappings(wanted), *_audit_log(wanted)]
    content += [*_channel(wanted), *_monitors(wanted)]
    if wanted.dashboards:
        objects = shipped_objects(Indices(prefix), wanted.detections)
        content += [Content(ContentKind.SAVED_OBJECT, f"{one.type}/{one.id}", packed(one)) for one in objects]
    reasons = _NOT_ON_COLLECTIONS if wanted.service == "aoss" else _unwanted(wanted)
    left_out = [LeftOut(kind, count, why) for kind, why in reasons.items() if (count := _count(content, kind))]
    if wanted.service == "aoss":
        content = [*for_collection(templates), *(one for one in content if one.kind is ContentKind.SAVED_OBJECT)]
    else:
        left_out += _unmapped(wanted)
    return [one for one in content if one.kind not in reasons], tuple(left_out)


def check_hourly(plan: Plan, today: date) -> None:
    """Raises SettingsError where a day that may have begun would get another form of index."""
    for step in plan.steps:
        recorded = ((step.there or {}).get("_meta") or {}).get(_HOURLY, "")
        wanted = (step.content.body.get("_meta") or {}).get(_HOURLY)
        if step.there is None or wanted is None:
            continue
        changed = HourlyIndices.parse(wanted).first_difference(HourlyIndices.parse(recorded))
        if changed and changed < today + NOTICE:
            now = f"is {recorded!r} there" if recorded else "is not set there"
            problem = f"INDEX_HOURLY would change {changed}, which may have begun: it {now}"
            raise SettingsError([f"{problem} (expected: no change before {today + NOTICE}, docs/sizing.md)"])


def _dated(content: Content, wanted: WantedContent) -> Content:
    """The template of events, with the days whose events have an index for each hour."""
    if wanted.hourly is None or (content.kind, content.name) != (ContentKind.INDEX_TEMPLATE, wanted.index_prefix):
        return content
    meta = {**content.body["_meta"], _HOURLY: str(wanted.hourly)}
    return replace(content, body={**content.body, "_meta": meta})


def plan(
    shipped: Iterable[Content], installed: Mapping[tuple[ContentKind, str], Mapping[str, Any]]
) -> list[PlannedStep]:
    """Compare each piece with what is there under its name."""
    return [_planned(content, installed.get((content.kind, content.name))) for content in shipped]


def whole_plan(shipped: Sequence[Content], left_out: Iterable[LeftOut], found: Found) -> Plan:
    """Return the plan for the wanted content, given what is installed."""
    absent = dict(found.absent)
    if ContentKind.CHANNEL in absent:
        absent.setdefault(ContentKind.MONITOR, f"they could notify no one: {absent[ContentKind.CHANNEL]}")
    if ContentKind.MONITOR in absent:
        absent.setdefault(ContentKind.CHANNEL, f"nothing would use it: {absent[ContentKind.MONITOR]}")
    steps = [
        replace(step, why="; ".join(filter(None, (step.why, found.notes.get((step.content.kind, step.content.name))))))
        for step in plan((one for one in shipped if one.kind not in absent), found.pieces)
    ]
    missing = [LeftOut(kind, count, why) for kind, why in absent.items() if (count := _count(shipped, kind))]
    all_left_out = [left for left in left_out if left.kind not in absent] + missing
    return Plan(tuple(steps), tuple(sorted(all_left_out, key=lambda left: list(ContentKind).index(left.kind))))


def _planned(content: Content, there: Mapping[str, Any] | None) -> PlannedStep:
    body: Mapping[str, Any]
    if content.kind is ContentKind.COMPONENT_TEMPLATE and has_settings_alone(content.body):
        body, same, why = settled(content.body, there)
    elif there is None:
        body, same, why = content.body, False, ""
    else:
        body, same, why = _compared(content, there)
    step = Operation.CREATE if there is None else Operation.UNCHANGED if same else Operation.UPDATE
    return PlannedStep(step, replace(content, body=body), there, why)


def _compared(content: Content, there: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool, str]:
    """The body to install over what is there, whether that is so already, and what is left to the users."""
    body: Mapping[str, Any] = content.body
    same, why = False, ""
    match content.kind:
        case ContentKind.RETENTION_POLICY:
            same, why = _same_policy(content.body["policy"], there.get("policy") or {})
        case ContentKind.ROLE_MAPPING:
            body, same = _merged(content.body, there)
        case ContentKind.AUDIT_LOG:
            body, same = _audited(content.body, there), bool(there.get("enabled"))
        case ContentKind.CHANNEL:
            body, same, why = _channel_there(content.body, there)
        case ContentKind.MONITOR:
            body, changed, why = updated(content.body, there)
            same = not changed
        case ContentKind.SAVED_OBJECT:
            same = _same_object(content.body, there)
        case _:
            body = _with_days(content.body, there)
            same = contains(there, body)
    return body, same, why


def _with_days(body: Mapping[str, Any], there: Mapping[str, Any]) -> Mapping[str, Any]:
    """A template's body; which days are hourly stays as it is there, unless the body says so."""
    recorded = (there.get("_meta") or {}).get(_HOURLY)
    if recorded is None or _HOURLY in (body.get("_meta") or {}):
        return body
    return {**body, "_meta": {**body["_meta"], _HOURLY: recorded}}


def _same_policy(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether nothing is to be done, and why not where the two differ."""
    now, mark, ours = fingerprint(there), mark_of(there), fingerprint(shipped)
    if now == ours:
        return True, ""
    if now == mark:
        return False, ""  # as an earlier version installed it
    return True, "it was changed, and is kept: delete the policy to get the shipped one"


def _merged(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """A mapping with everything that is there and ours added, and whether ours were all there."""
    before = {name: list(there.get(name) or ()) for name in _MAPPING_LISTS}
    after = {
        name: entries + [one for one in shipped.get(name) or () if one not in entries]
        for name, entries in before.items()
    }
    kept = {"description": there["description"]} if there.get("description") else {}
    return {**kept, **{name: entries for name, entries in after.items() if entries}}, before == after


def _audited(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that is there, with ours: the plugin resets what a request leaves out."""
    return {**there, **shipped, "audit": {**(there.get("audit") or {}), **shipped["audit"]}}


def _channel_there(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[dict[str, Any], bool, str]:
    """The shipped channel, on or off as it is there."""
    ours = shipped["config"]
    theirs = there.get("config") or {}
    enabled = bool(theirs.get("is_enabled", True))
    body = {**shipped, "config": {**ours, "is_enabled": enabled}}
    why = "" if enabled else "it was disabled"
    # A role that is no longer wanted is a change, too.
    same_role = (theirs.get("sns") or {}).get("role_arn", "") == ours["sns"].get("role_arn", "")
    return body, contains(theirs, body["config"]) and same_role, why


def _same_object(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    try:
        ours, theirs = unpacked(shipped), unpacked(there)
    except SavedObjectError:
        return False  # what is there cannot even be read
    skipped = _OWN_INDEX_PATTERN_ATTRIBUTES if ours.type == "index-pattern" else frozenset()
    attributes = {name: value for name, value in ours.attributes.items() if name not in skipped}
    return contains(theirs.attributes, attributes) and _named(ours.references) == _named(theirs.references)


def _named(references: Iterable[Mapping[str, str]]) -> set[tuple[str, str, str]]:
    return {(one["name"], one["type"], one["id"]) for one in references}


def _arns(wanted: WantedContent) -> dict[str, tuple[tuple[str, ...], str]]:
    """By role: who gets it, and the setting that names them."""
    return {
        ingest_role(wanted.index_prefix): (wanted.ingest_role_arns, "INGEST_ROLE_ARN"),
        findings_role(wanted.index_prefix): (wanted.findings_role_arns, "FINDINGS_ROLE_ARN"),
        posture_role(wanted.index_prefix): (wanted.posture_role_arns, "POSTURE_ROLE_ARN"),
        enrolment_role(wanted.index_prefix): (wanted.enrolment_role_arns, "ENROLMENT_ROLE_ARN"),
        replay_role(wanted.index_prefix): (wanted.replay_role_arns, "REPLAY_ROLE_ARN"),
    }


def _mappings(wanted: WantedContent) -> list[Content]:
    return [
        Content(ContentKind.ROLE_MAPPING, role, {"backend_roles": list(arns)})
        for role, (arns, _) in _arns(wanted).items()
        if arns
    ]


def _unmapped(wanted: WantedContent) -> list[LeftOut]:
    settings = [setting for arn, setting in _arns(wanted).values() if not arn]
    why = f"the role has no users: set {', '.join(settings)}"
    return [LeftOut(ContentKind.ROLE_MAPPING, len(settings), why)] if settings else []


def _audit_log(wanted: WantedContent) -> list[Content]:
    """Without request bodies, which hold SQL. What is changed there stays, as long as it is enabled."""
    body = {"enabled": True, "audit": {"log_request_body": False}}
    return [Content(ContentKind.AUDIT_LOG, "config", body)] if wanted.audit_logs else []


def _channel(wanted: WantedContent) -> list[Content]:
    indices = Indices(wanted.index_prefix)
    name = channel_id(indices)
    sns = {"topic_arn": wanted.alert_topic_arn}
    if wanted.channel_role_arn:  # the plugin refuses an empty one
        sns["role_arn"] = wanted.channel_role_arn
    config = {
        "name": indices.titled("Daswatch"),
        "description": "Monitor notifications for the Daswatch findings function",
        "config_type": "sns",
        "is_enabled": True,
        "sns": sns,
    }
    return [Content(ContentKind.CHANNEL, name, {"config_id": name, "config": config})]


def _monitors(wanted: WantedContent) -> list[Content]:
    indices = Indices(wanted.index_prefix)
    return [
        Content(ContentKind.MONITOR, monitor_name(one, indices), monitor(one, channel_id(indices), indices))
        for one in wanted.detections
        if has_monitor(one)
    ]


def _unwanted(wanted: WantedContent) -> dict[ContentKind, str]:
    if not wanted.monitors:
        why = "not wanted: the scheduled function runs every detection"
        return {ContentKind.CHANNEL: why, ContentKind.MONITOR: why}
    if not wanted.alert_topic_arn:
        why = "they have no topic to notify: set MONITOR_TOPIC_ARN; the scheduled function runs every detection"
        return {ContentKind.CHANNEL: why, ContentKind.MONITOR: why}
    return {}


def _count(content: Iterable[Content], kind: ContentKind) -> int:
    return sum(one.kind is kind for one in content)


def contains(there: Any, shipped: Any) -> bool:
    """Whether everything that is shipped is there, compared as text; what else is there does not count."""
    if isinstance(shipped, Mapping):
        return isinstance(there, Mapping) and all(
            name in there and contains(there[name], value) for name, value in shipped.items()
        )
    if isinstance(shipped, list | tuple):
        return (
            isinstance(there, list | tuple)
            and len(there) == len(shipped)
            and all(contains(left, right) for left, right in zip(there, shipped, strict=True))
        )
    return _as_text(there) == _as_text(shipped)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
