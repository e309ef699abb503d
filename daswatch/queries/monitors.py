"""Detection -> the body of a monitor of OpenSearch's Alerting plugin, for domains that have it.

Query-level monitors, with the grouping inside the query: of the plugin's kinds only these can send what they counted.
The message is JSON for `findings_lambda.handler.notified`; people read the one that goes out for the alert.
What a monitor cannot see or send is found by the schedule (docs/decisions/0021).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daswatch.alerts.alert import group_hash
from daswatch.canonical import canonical_json
from daswatch.detections.detection import Detection, DetectionKind, Level
from daswatch.indices import Indices
from daswatch.queries.saved_query import ARRIVAL_OVERLAP, Window, index_of, overlap, saved_query

_INTERVAL_MINUTES = 1
_GROUPS_JUDGED = 50_000  # in one search; search.max_buckets allows 65,535 by default
_MESSAGE_BYTES = 262_144  # SNS
_REST_OF_MESSAGE_BYTES = 8_192  # names, times, the error of a condition
_VALUE_BYTES = 6 * 1_024  # of a keyword in JSON: ignore_above characters, each as long as \u0001
_NUMBERS_BYTES = 512  # of a group: its counts and times, and the names of its fields
# Distinct values are counted exactly up to this many, and take as many bytes for each group that is judged.
_LEAST_PRECISION, _MOST_PRECISION = 100, 3_000
_MOST_TRIGGERS = 10  # of a monitor
_THROTTLE = frozenset({"throttle_enabled", "throttle", "action_execution_policy"})
_OF_THE_EDITOR = ("ui_metadata",)  # how Dashboards shows a monitor that was edited there
_SEVERITIES = {
    Level.CRITICAL: "1",
    Level.HIGH: "2",
    Level.MEDIUM: "3",
    Level.LOW: "4",
    Level.INFORMATIONAL: "5",
}
# A sequence is looked at event by event, what was seen before is kept elsewhere, and silence leaves no document.
_BY_RUNNER_ONLY = frozenset(
    {DetectionKind.SEQUENCE, DetectionKind.FIRST_SEEN, DetectionKind.SILENCE, DetectionKind.FAILING}
)

# A pattern without an index is answered without aggregations. A search that failed has no results: then this throws,
# which the plugin takes for met and reports. A guard for that as well would keep a broken query silent.
CONDITION = "ctx.results[0].containsKey('aggregations') && ctx.results[0].aggregations.groups.buckets.size() > 0"
CONDITION_ON_HITS = "ctx.results[0].hits.total.value > 0"
_EARLIER_CONDITIONS = frozenset({"ctx.results[0].aggregations.groups.buckets.size() > 0"})

# What any monitor sends so that its notification becomes an alert; `docs/detections.md` explains it.
_HEAD = (
    '"monitor": "{{ctx.monitor.name}}", "trigger": "{{ctx.trigger.name}}", "severity": "{{ctx.trigger.severity}}", '
    '"periodStart": "{{ctx.periodStart}}", "periodEnd": "{{ctx.periodEnd}}", "error": "{{ctx.error}}"'
)


def _if_there(name: str, found: str, absent: str) -> str:
    """Mustache that prints one of two things; what is absent has to be JSON all the same."""
    return f"{{{{^{name}}}}}{absent}{{{{/{name}}}}}{{{{#{name}}}}}{found}{{{{/{name}}}}}"


# By the first bucket, since a section about the list would print it once for each.
_BUCKETS = _if_there("aggregations.groups.buckets.0", "{{#toJson}}aggregations.groups.buckets{{/toJson}}", "[]")
_GROUPS_FOUND = _if_there("ctx.results", _BUCKETS, "[]")
_TOTAL_FOUND = _if_there("ctx.results", _if_there("hits.total", "{{value}}", "null"), "0")
_HITS_FOUND = _if_there("ctx.results", "{{#toJson}}hits.hits{{/toJson}}", "[]")
MESSAGE_WITH_GROUPS = f'{{{_HEAD}, "groups": {_GROUPS_FOUND}}}'
MESSAGE_WITH_HITS = f'{{{_HEAD}, "total": {_TOTAL_FOUND}, "hits": {_HITS_FOUND}}}'
SUBJECT = "Daswatch: {{ctx.monitor.name}}"


@dataclass(frozen=True, slots=True)
class _Mark:
    """What was installed, kept in the name of our action: the plugin stores another text of the query."""

    fingerprint: str
    enabled: bool
    severity: str

    def __str__(self) -> str:
        return f"notify Daswatch ({self.fingerprint} {'on' if self.enabled else 'off'} {self.severity})"


_MARK = re.compile(r"\(([0-9a-f]{16}) (on|off) ([1-5])\)")
# Earlier releases kept it in the trigger's id, so that each update took the acknowledgements away.
_EARLIER_ID = r"-[0-9a-f]{16}-(on|off)"


def has_monitor(detection: Detection) -> bool:
    """Whether a monitor can express it; else the scheduled runner alone does."""
    return detection.kind not in _BY_RUNNER_ONLY


def monitor_name(detection: Detection, indices: Indices) -> str:
    """The name in the plugin; it is found again by it."""
    return f"daswatch {detection.name}" if indices.is_default else f"daswatch {indices.stem} {detection.name}"


def most_groups(detection: Detection) -> int:
    """How many groups a message has room for, however long their values are."""
    group_bytes = (1 + len(detection.group)) * _VALUE_BYTES + _NUMBERS_BYTES * (1 + len(detection.conditions))
    return max(1, (_MESSAGE_BYTES - _REST_OF_MESSAGE_BYTES) // group_bytes)


def monitor(detection: Detection, channel_id: str, indices: Indices) -> dict[str, Any]:
    """The body for `POST _plugins/_alerting/monitors`."""
    search = {"indices": _patterns(detection, indices), "query": _search(detection)}
    message = message_template(detection)
    fingerprint = group_hash(
        {
            "search": canonical_json(search).decode(),
            "level": detection.level.value,
            "condition": CONDITION,
            "subject": SUBJECT,
            "message": message,
        }
    )
    severity = _SEVERITIES[detection.level]
    return {
        "type": "monitor",
        "monitor_type": "query_level_monitor",
        "name": monitor_name(detection, indices),
        "enabled": detection.enabled,
        "schedule": {"period": {"interval": _INTERVAL_MINUTES, "unit": "MINUTES"}},
        "inputs": [{"search": search}],
        "triggers": [
            {
                "query_level_trigger": {
                    "id": detection.name,
                    "name": detection.title,
                    "severity": severity,
                    "condition": {"script": {"source": CONDITION, "lang": "painless"}},
                    "actions": [
                        {
                            "id": f"{detection.name}-sns",
                            "name": str(_Mark(fingerprint, detection.enabled, severity)),
                            "destination_id": channel_id,
                            "subject_template": {"source": SUBJECT, "lang": "mustache"},
                            "message_template": {"source": message, "lang": "mustache"},
                            "throttle_enabled": False,
                        }
                    ],
                }
            }
        ],
    }


def installed_of(
    shipped: Mapping[str, Any], found: Sequence[Mapping[str, Any]]
) -> tuple[Mapping[str, Any] | None, str]:
    """Of the monitors that have our name the one that was installed, and what to say of the others.

    Ours has our trigger. A copy may have it as well: then ours is the one that runs, and of several the one that has
    been running for longest, since an update keeps that time.
    """
    own = [one for one in found if _own_trigger(shipped, one)]
    chosen = min(
        own or found,
        key=lambda one: (not one.get("enabled"), one.get("enabled_time") or 0, str(one["_id"])),
        default=None,
    )
    others = sorted(str(one["_id"]) for one in found if one is not chosen)
    return chosen, f"left alone: {len(others)} of the same name ({', '.join(others)})" if others else ""


def updated(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[dict[str, Any], bool, str]:
    """A shipped monitor with what a team decided about the one that is there.

    Returns the body to send, whether it differs from what is there, and the team's choices in words. A team's are
    whether the monitor runs, once that differs from what was installed; its schedule; triggers and actions of its own;
    and of our trigger the severity, the condition and the throttle, where they are not those installed. Our trigger
    keeps its id, and with it what was acknowledged.
    """
    ours = _only_trigger(shipped)
    theirs = _own_trigger(shipped, there)
    (our_action,) = ours["actions"]
    actions, triggers = theirs.get("actions") or (), there.get("triggers") or ()
    action = next((one for one in actions if one.get("id") == our_action["id"]), None)

    def is_own(one: Mapping[str, Any]) -> bool:
        return bool(theirs) and _inner(one) is theirs

    others = [one for one in triggers if not is_own(one)]
    if not theirs and len(others) >= _MOST_TRIGGERS:
        return dict(there), False, f"it has {_MOST_TRIGGERS} triggers, none of them ours: delete one"
    mark, wanted = _mark_of(theirs, action), _mark_of(ours, our_action)
    running = bool(there.get("enabled"))
    installed = mark.enabled if mark else shipped["enabled"]
    schedule = there.get("schedule") or shipped["schedule"]
    kept = dict(_kept_of_trigger(mark, theirs))
    throttle = {name: value for name, value in (action or {}).items() if name in _THROTTLE and value}
    trigger = {
        "query_level_trigger": {
            **ours,
            **kept,
            "actions": _put_in(actions, lambda one: one is action, {**our_action, **throttle}),
        }
    }
    body = {
        **shipped,
        **{name: there[name] for name in _OF_THE_EDITOR if there.get(name)},
        "enabled": shipped["enabled"] if running is installed else running,
        "schedule": schedule,
        "triggers": _put_in(triggers, is_own, trigger),
    }
    more_actions = len(actions) - (action is not None)
    choices = {
        "switched on": running and not installed,
        "switched off": installed and not running,
        "another schedule": not _same_schedule(schedule, shipped["schedule"]),
        f"{len(others)} more triggers": bool(others),
        f"{more_actions} more actions": bool(more_actions),
        "another severity": "severity" in kept,
        "another condition": "condition" in kept,
        "a throttle, which delays what alerts learn": bool(throttle.get("throttle_enabled")),
    }
    changed = mark != wanted or action is None or action.get("destination_id") != our_action["destination_id"]
    return body, changed, _in_words([choice for choice, made in choices.items() if made])


def _put_in(
    entries: Sequence[Mapping[str, Any]], is_ours: Callable[[Mapping[str, Any]], bool], ours: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """With ours in its place, or as the last where it is missing: people may have put theirs before it."""
    replaced = [ours if is_ours(one) else one for one in entries]
    return replaced if any(one is ours for one in replaced) else [*replaced, ours]


def _in_words(choices: Sequence[str]) -> str:
    return f"changed by the team, and kept: {', '.join(choices)}" if choices else ""


def _kept_of_trigger(mark: _Mark | None, theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What stays of our trigger as it is there."""
    if theirs.get("id"):
        yield "id", theirs["id"]
    if mark and mark.severity and theirs.get("severity") != mark.severity:
        yield "severity", theirs.get("severity")
    source = ((theirs.get("condition") or {}).get("script") or {}).get("source")
    if source and source not in {CONDITION, *_EARLIER_CONDITIONS}:
        yield "condition", theirs["condition"]


def _mark_of(trigger: Mapping[str, Any], action: Mapping[str, Any] | None) -> _Mark | None:
    found = _MARK.search(str((action or {}).get("name", "")))
    if found:
        return _Mark(found[1], found[2] == "on", found[3])
    earlier = re.search(_EARLIER_ID + "$", str(trigger.get("id", "")))
    return _Mark("", earlier[1] == "on", "") if earlier else None


def _own_trigger(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our trigger in a monitor that is there, wherever it stands; empty without one."""
    own_id = re.compile(re.escape(_only_trigger(shipped)["id"]) + f"(?:{_EARLIER_ID})?")
    triggers = (_inner(one) for one in there.get("triggers") or ())
    return next((one for one in triggers if own_id.fullmatch(str(one.get("id", "")))), {})


def _only_trigger(shipped: Mapping[str, Any]) -> Mapping[str, Any]:
    (trigger,) = shipped["triggers"]
    return _inner(trigger)


def _inner(trigger: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = trigger.get("query_level_trigger") or {}
    return found


def _same_schedule(there: Mapping[str, Any], shipped: Mapping[str, Any]) -> bool:
    period, ours = there.get("period") or {}, shipped["period"]
    return (period.get("interval"), period.get("unit")) == (ours["interval"], ours["unit"])


def message_template(detection: Detection) -> str:
    """The mustache text that our own monitors send; `limit` is how many groups it takes."""
    head = f'"detection": "{detection.name}", "limit": {most_groups(detection)}'
    return f"{{{head}, {MESSAGE_WITH_GROUPS.removeprefix('{')}"


def _patterns(detection: Detection, indices: Indices) -> list[str]:
    """Where it looks: the plugin refuses a monitor on an index that does not exist, and takes any pattern."""
    return [name if "*" in name else f"{name}*" for name in index_of(detection, indices.events, indices).split(",")]


def _search(detection: Detection) -> dict[str, Any]:
    body = saved_query(detection, Window("", "", ""))
    body["query"]["bool"]["filter"][-1] = _period(detection)
    body["track_total_hits"] = True
    groups = body["aggs"]["groups"]
    groups["composite"]["size"] = _GROUPS_JUDGED
    for number, condition in enumerate(detection.conditions):
        metric = groups["aggs"].get(f"m{number}", {})
        distinct = metric.get("cardinality") or metric.get("aggs", {}).get("value", {}).get("cardinality")
        if distinct:
            distinct["precision_threshold"] = min(_MOST_PRECISION, max(_LEAST_PRECISION, condition.at_least))
    # Of those that fire a message takes the latest, so that what is new comes in whatever went on before.
    groups["aggs"]["latest"] = {
        "bucket_sort": {"sort": [{"last": {"order": "desc"}}], "size": most_groups(detection)},
    }
    return body


def _period(detection: Detection) -> dict[str, Any]:
    """The window, as the plugin fills it in: the schedule's own period, in epoch milliseconds, and what overlaps.

    Periods follow each other without a gap, so any schedule looks at everything.
    """
    if detection.window_seconds:
        name = "@timestamp"
        seconds = detection.window_seconds + int(overlap(detection).total_seconds()) - 60 * _INTERVAL_MINUTES
    else:
        name, seconds = "ingestedAt", int(ARRIVAL_OVERLAP.total_seconds())
    return {
        "range": {
            name: {"from": f"{{{{period_start}}}}||-{seconds}s", "to": "{{period_end}}", "format": "epoch_millis"}
        }
    }
