"""Detection -> the body of a monitor of OpenSearch's Alerting plugin, for domains that have it.

Query-level monitors, with the grouping inside the query: of the plugin's kinds only these can send what they counted.
The message is JSON for `findings_lambda.handler.notified`; people read the one that goes out for the alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daswatch.alerts import group_hash
from daswatch.canonical import canonical_json
from daswatch.detections import Detection, Kind, Level
from daswatch.queries import ARRIVAL_OVERLAP, Window, index_of, overlap, saved_query

_INTERVAL_MINUTES = 1
_GROUPS = 500  # a message of SNS has 256 KB
_SEVERITIES = {
    Level.CRITICAL: "1",
    Level.HIGH: "2",
    Level.MEDIUM: "3",
    Level.LOW: "4",
    Level.INFORMATIONAL: "5",
}
# A sequence is looked at event by event, what was seen before is kept elsewhere, and silence leaves no document.
_BY_RUNNER_ONLY = frozenset({Kind.SEQUENCE, Kind.FIRST_SEEN, Kind.SILENCE, Kind.FAILING})

CONDITION = "ctx.results[0].aggregations.groups.buckets.size() > 0"

# What any monitor sends so that its notification becomes an alert; `docs/detections.md` explains it.
_HEAD = (
    '"monitor": "{{ctx.monitor.name}}", "trigger": "{{ctx.trigger.name}}", "severity": "{{ctx.trigger.severity}}", '
    '"periodStart": "{{ctx.periodStart}}", "periodEnd": "{{ctx.periodEnd}}", "error": "{{ctx.error}}"'
)
# A monitor whose search failed has no results, and has to say so in JSON all the same.
_EMPTY, _BEGIN, _END = "{{^ctx.results}}%s{{/ctx.results}}", "{{#ctx.results}}", "{{/ctx.results}}"
_GROUPS_FOUND = f"{_EMPTY % '[]'}{_BEGIN}{{{{#toJson}}}}aggregations.groups.buckets{{{{/toJson}}}}{_END}"
_TOTAL_FOUND = f"{_EMPTY % '0'}{_BEGIN}{{{{hits.total.value}}}}{_END}"
_HITS_FOUND = f"{_EMPTY % '[]'}{_BEGIN}{{{{#toJson}}}}hits.hits{{{{/toJson}}}}{_END}"
MESSAGE_WITH_GROUPS = f'{{{_HEAD}, "groups": {_GROUPS_FOUND}}}'
MESSAGE_WITH_HITS = f'{{{_HEAD}, "total": {_TOTAL_FOUND}, "hits": {_HITS_FOUND}}}'
SUBJECT = "Daswatch: {{ctx.monitor.name}}"


def has_monitor(detection: Detection) -> bool:
    """Whether a monitor can express it; else the scheduled runner alone does."""
    return detection.kind not in _BY_RUNNER_ONLY


def monitor_name(detection: Detection) -> str:
    """The name in the plugin; it is found again by it."""
    return f"daswatch {detection.name}"


def monitor(detection: Detection, channel_id: str, events: str) -> dict[str, Any]:
    """The body for `POST _plugins/_alerting/monitors`; `events` is the events' index pattern."""
    search = _search(detection)
    message = message_template(detection)
    # The plugin rewrites the query it stores, so what was installed is told apart by this.
    fingerprint = group_hash(
        {
            "query": canonical_json(search).decode(),
            "level": detection.level.value,
            "condition": CONDITION,
            "subject": SUBJECT,
            "message": message,
        }
    )
    return {
        "type": "monitor",
        "monitor_type": "query_level_monitor",
        "name": monitor_name(detection),
        "enabled": detection.enabled,
        "schedule": {"period": {"interval": _INTERVAL_MINUTES, "unit": "MINUTES"}},
        "inputs": [{"search": {"indices": index_of(detection, events).split(","), "query": search}}],
        "triggers": [
            {
                "query_level_trigger": {
                    "id": f"{detection.name}-{fingerprint}-{'on' if detection.enabled else 'off'}",
                    "name": detection.title,
                    "severity": _SEVERITIES[detection.level],
                    "condition": {"script": {"source": CONDITION, "lang": "painless"}},
                    "actions": [
                        {
                            "id": f"{detection.name}-sns",
                            "name": "tell Daswatch",
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


def brought_up_to_date(shipped: Mapping[str, Any], there: Mapping[str, Any]) -> tuple[dict[str, Any], bool, str]:
    """A shipped monitor with what a team decided about the one that is there.

    Returns the body to send, whether it differs from what is there, and the team's choices in words. A team's are
    whether the monitor runs, once that differs from what was installed; its schedule; and actions of its own.
    """
    ours = trigger_of(shipped)
    theirs = trigger_of(there)
    before = str(theirs.get("id", ""))
    installed = before.endswith("-on") if before.endswith(("-on", "-off")) else shipped["enabled"]
    running = bool(there.get("enabled"))
    choices = []
    if running is not installed:
        choices.append("somebody switched it on" if running else "somebody switched it off")
    schedule = there.get("schedule") or shipped["schedule"]
    if not _same_schedule(schedule, shipped["schedule"]):
        choices.append("somebody changed its schedule")
    own_ids = {action["id"] for action in ours["actions"]}
    added = [action for action in theirs.get("actions") or () if action.get("id") not in own_ids]
    if added:
        choices.append(f"{len(added)} actions of somebody's own")
    trigger = {**ours, "actions": [*ours["actions"], *added]}
    body = {
        **shipped,
        "enabled": shipped["enabled"] if running is installed else running,
        "schedule": schedule,
        "triggers": [{"query_level_trigger": trigger}],
    }
    told = {action.get("id"): action.get("destination_id") for action in theirs.get("actions") or ()}
    changed = before != ours["id"] or any(
        told.get(action["id"]) != action["destination_id"] for action in ours["actions"]
    )
    return body, changed, ", ".join(choices)


def trigger_of(monitor: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first trigger: ours have one."""
    for trigger in monitor.get("triggers") or ():
        found: Mapping[str, Any] = trigger.get("query_level_trigger") or {}
        return found
    return {}


def _same_schedule(there: Mapping[str, Any], shipped: Mapping[str, Any]) -> bool:
    period, ours = there.get("period") or {}, shipped["period"]
    return (period.get("interval"), period.get("unit")) == (ours["interval"], ours["unit"])


def message_template(detection: Detection) -> str:
    """The mustache text that our own monitors send."""
    return f'{{"detection": "{detection.name}", {MESSAGE_WITH_GROUPS.removeprefix("{")}'


def _search(detection: Detection) -> Mapping[str, Any]:
    body = saved_query(detection, Window("", "", ""))
    body["query"]["bool"]["filter"][-1] = _period(detection)
    body["track_total_hits"] = True
    body["aggs"]["groups"]["composite"]["size"] = _GROUPS
    return body


def _period(detection: Detection) -> dict[str, Any]:
    """The window, as the plugin fills it in: `{{period_end}}` is in epoch milliseconds."""
    if detection.window_seconds:
        name, seconds = "@timestamp", detection.window_seconds + int(overlap(detection).total_seconds())
    else:
        name, seconds = "ingestedAt", int(ARRIVAL_OVERLAP.total_seconds()) + 60 * _INTERVAL_MINUTES
    return {
        "range": {name: {"from": f"{{{{period_end}}}}||-{seconds}s", "to": "{{period_end}}", "format": "epoch_millis"}}
    }
