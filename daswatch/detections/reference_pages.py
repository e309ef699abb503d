"""Render a detection as a Markdown page: description, condition, settings, runbook, false positives, blind spots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from daswatch.detections.detection import Condition, Detection, DetectionKind, Source
from daswatch.detections.samples import Sample

_UNITS = ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))
_PLACES = {
    Source.EVENTS: "das-events-*",
    Source.CONTROL_PLANE: "das-control-plane",
    Source.PULSE: "das-pulse",
}
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")
_TIMESPAN = re.compile(r"\d+[smhdwMy]")
_CODE_OR_SPECIAL = re.compile(r"`[^`]+`|[\\*<>\[\]|]")


def page(detection: Detection, samples: Sequence[Sample] = ()) -> str:
    """Return the page of a detection."""
    return "\n\n".join(_sections(detection, samples)) + "\n"


def index(detections: Iterable[Detection]) -> str:
    """Return a table of detections that links to the page `<name>.md` of each."""
    rows = [
        (
            f"[{one.name}]({one.name}.md)",
            escaped(one.title),
            one.level.value,
            escaped(fires_in_words(one)),
            ", ".join(one.engines),
            "yes" if one.enabled else "no",
        )
        for one in detections
    ]
    listed = table(("detection", "title", "level", "condition", "engines", "enabled"), rows)
    return f"# Detections\n\n{listed}\n"


def fires_in_words(detection: Detection) -> str:
    """Return the conditions, the window and the group in one line."""
    match detection.kind:
        case DetectionKind.SILENCE:
            return (
                f"no data from an instance for {duration(detection.silent_seconds)}; "
                f"not tracked after {duration(detection.forget_seconds)}"
            )
        case DetectionKind.FAILING:
            return "a saved query or a monitor fails to run"
        case DetectionKind.EVENT:
            return f"each event, per {_group_in_words(detection)}"
    return f"{_condition_in_words(detection)}, per {_group_in_words(detection)}"


def duration(seconds: int) -> str:
    """Return a duration in its largest whole unit, such as `15 minutes`."""
    length, one, many = next(unit for unit in _UNITS if seconds % unit[0] == 0)
    return f"{seconds // length} {one if seconds == length else many}"


def escaped(words: str) -> str:
    """Escape Markdown in text; code in backticks stays code."""
    return _CODE_OR_SPECIAL.sub(lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", words)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def attack_url(technique: str) -> str:
    """Return the page of a technique, such as T1078.004."""
    return f"https://attack.mitre.org/techniques/{technique.upper().replace('.', '/')}/"


def _condition_in_words(detection: Detection) -> str:
    if detection.sequence:
        within = duration(detection.window_seconds)
        return f"{detection.sequence.count} or more events of the first step, then one of the second, within {within}"
    if detection.first_seen:
        learned = f"learning period: {duration(detection.first_seen.learn_days * 86_400)}"
        if detection.first_seen.absent_days:
            return f"seen again after {duration(detection.first_seen.absent_days * 86_400)} or more ({learned})"
        return f"never seen before ({learned})"
    words = " or ".join(_metric_in_words(condition) for condition in detection.conditions)
    return f"{words} within {duration(detection.window_seconds)}"


def _metric_in_words(condition: Condition) -> str:
    least = f"{condition.at_least:,}"
    words = {
        "count": f"{least} or more events" if condition.at_least > 1 else "an event",
        "distinct": f"{least} or more distinct values of {condition.field}",
        "sum": f"a total {condition.field} of {least} or more",
        "max": f"a single {condition.field} of {least} or more",
    }[condition.metric]
    if condition.query:
        words += " matching the narrower query"
    if condition.across:
        words += f" with {condition.across_at_least:,} or more distinct values of {condition.across}"
    return f"{words} ({condition.level.value})" if condition.level else words


def _group_in_words(detection: Detection) -> str:
    *others, last = ("database", *detection.group)
    return f"{', '.join(others)} and {last}" if others else last


def _sections(detection: Detection, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# {escaped(detection.title)}"
    facts = (f"level **{detection.level.value}**", ", ".join(detection.engines), f"version {detection.version}")
    yield " · ".join((f"`{detection.name}`", *facts))
    if not detection.enabled:
        yield f"**Disabled.** {escaped(detection.disabled_because)}".rstrip()
    yield escaped(detection.description)
    yield "## Why it matters"
    yield escaped(detection.why)
    yield "## When it fires"
    archived = f"The alert is archived after {duration(detection.quiet_seconds)} without new events."
    yield f"Condition: {escaped(fires_in_words(detection))}. {archived}"
    yield from _explanation(detection)
    yield from _known_clients(detection)
    yield from _own_past(detection)
    yield from _queries(detection)
    yield from _settings(detection)
    yield "## Runbook"
    yield "\n".join(f"{number}. {escaped(step)}" for number, step in enumerate(detection.runbook, 1))
    yield "## False positives"
    yield _listed(detection.false_positives)
    if detection.blind_spots:
        yield "## Blind spots"
        yield _listed(detection.blind_spots)
    yield from _suppressions(detection)
    yield from _samples(samples)
    yield from _sources(detection)


def _explanation(detection: Detection) -> Iterator[str]:
    rule = detection.explanation
    if rule is None:
        return
    yield (
        f"Groups below the level {rule.below.value} are left out where the same group has an event that explains them "
        f"(Lucene), within {duration(rule.seconds)} before or after:"
    )
    yield _code(rule.query)


def _known_clients(detection: Detection) -> Iterator[str]:
    rule = detection.known_clients
    if rule is None:
        return
    few = f", or fewer than {rule.few}" if rule.few else ""
    each = ", or each host was active itself" if rule.each_host else ""
    each += ", or the account's events are from several hosts that were each active" if rule.several_hosts else ""
    pace = f", and their events are evenly spread{few}{each}" if rule.steady else ""
    did = "all sent statements of the same shapes to" if rule.same_statements else "were all active at"
    days = duration(rule.days * 86_400)
    yield f"Groups whose clients {did} the database {days} before are left out{pace}."
    if rule.when:
        yield "Only where every event matches (Lucene):"
        yield _code(rule.when)
    if rule.any_statement_of:
        yield "Where every event matches the following, clients need only have been active then (Lucene):"
        yield _code(rule.any_statement_of)


def _own_past(detection: Detection) -> Iterator[str]:
    rule = detection.own_past
    if rule is None:
        return
    yield (
        f"Groups that do no more than {rule.times} times what the same group did at most in as long a time of the "
        f"{duration(rule.days * 86_400)} before are left out. A database whose events do not go back "
        f"{duration(rule.learn_days * 86_400)} is left out, too."
    )


def _queries(detection: Detection) -> Iterator[str]:
    if detection.query:
        yield f"Query on `{_PLACES[detection.source]}` (Lucene):"
        yield _code(detection.query)
    if detection.sequence:
        yield "First step:"
        yield _code(detection.sequence.first)
        yield "Second step:"
        yield _code(detection.sequence.then)
    for condition in detection.conditions:
        if condition.query:
            yield f"Narrower query for “{escaped(_metric_in_words(condition))}”:"
            yield _code(condition.query)
    if detection.script:
        params: Mapping[str, Any] = detection.script["script"]["script"]["params"]
        hours = f"{_clock(params['from'])} and {_clock(params['to'])} ({params['zone']})"
        yield f"Events between {hours} on {_days(params['days'])} are excluded."


def _settings(detection: Detection) -> Iterator[str]:
    if not detection.settings:
        return
    yield "## Settings"
    yield table(("setting", "value"), [(f"`{name}`", _cell(value)) for name, value in detection.settings.items()])
    yield "To change a setting, add it to your tuning file:"
    lines = [f"      {name}: {_yaml(value)}" for name, value in detection.settings.items()]
    yield _code("\n".join(["detections:", f"  {detection.name}:", "    settings:", *lines]), "yaml")


def _suppressions(detection: Detection) -> Iterator[str]:
    if detection.suppressions:
        yield "## Suppressions"
        rows = [
            (
                escaped(", ".join(f"{name} {' or '.join(values)}" for name, values in one.when.items())),
                escaped(one.reason),
                escaped(one.owner),
                one.expires,
            )
            for one in detection.suppressions
        ]
        yield table(("events", "reason", "owner", "expires"), rows)


def _samples(samples: Sequence[Sample]) -> Iterator[str]:
    for expected, title in (("match", "Matching samples"), ("ignore", "Near misses")):
        own = [f"{sample.engine}: {sample.words}" for sample in samples if sample.expected == expected]
        if own:
            yield f"## {title}"
            yield _listed(own)


def _sources(detection: Detection) -> Iterator[str]:
    yield "## ATT&CK and references"
    techniques = [tag for tag in detection.attack if _TECHNIQUE.fullmatch(tag)]
    tactics = [tag.replace("-", " ") for tag in detection.attack if tag not in techniques]
    lines = [f"Tactics: {', '.join(tactics)}"] if tactics else []
    lines += [f"[{tag.upper()}]({attack_url(tag)})" for tag in techniques]
    shown = {attack_url(tag) for tag in techniques}
    lines += [f"<{url}>" for url in detection.references if url not in shown]
    lines.append(f"Finding type: {', '.join(detection.types)}")
    yield "\n".join(f"- {line}" for line in lines)


def _listed(entries: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(entry)}" for entry in entries)


def _code(text: str, language: str = "text") -> str:
    """Return a code block whose fence is longer than any in the text."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _yaml(value: Any) -> str:
    """Return a value as one line of YAML: JSON is YAML, and durations need no quotes."""
    if isinstance(value, str) and _TIMESPAN.fullmatch(value):
        return value
    return orjson.dumps(value).decode()


def _cell(value: Any) -> str:
    """Return a value for a table cell, which a bar would end even in code."""
    code = _yaml(value).replace("|", "\\|")
    return f"`{code}`"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _days(numbers: Sequence[int]) -> str:
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return ", ".join(names[number - 1] for number in numbers)
