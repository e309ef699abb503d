"""Detection -> a page that people read: what it is, why it matters, when it fires, what to do then. Markdown."""

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
    """Everything about one detection."""
    return "\n\n".join(_sections(detection, samples)) + "\n"


def index(detections: Iterable[Detection]) -> str:
    """A table of all detections, each with a link to its page `<name>.md`."""
    rows = [
        (
            f"[{one.name}]({one.name}.md)",
            _text(one.title),
            one.level.value,
            _text(fires_in_words(one)),
            ", ".join(one.engines),
            "yes" if one.enabled else "no",
        )
        for one in detections
    ]
    table = _table(("detection", "what", "level", "fires", "engines", "enabled"), rows)
    return f"# Detections\n\n{table}\n"


def fires_in_words(detection: Detection) -> str:
    """When it fires: the conditions, the window and the group, in one line."""
    match detection.kind:
        case DetectionKind.SILENCE:
            return (
                f"an instance was not heard for {duration(detection.silent_seconds)}; "
                f"after {duration(detection.forget_seconds)} it is taken for removed"
            )
        case DetectionKind.FAILING:
            return "OpenSearch cannot run a saved query or a monitor"
        case DetectionKind.EVENT:
            return f"each event; one alert for each {_group_in_words(detection)}"
    return f"{_condition_in_words(detection)}, for one {_group_in_words(detection)}"


def duration(seconds: int) -> str:
    """A length of time in its largest whole unit, such as `15 minutes`."""
    length, one, many = next(unit for unit in _UNITS if seconds % unit[0] == 0)
    return f"{seconds // length} {one if seconds == length else many}"


def _condition_in_words(detection: Detection) -> str:
    if detection.sequence:
        within = duration(detection.window_seconds)
        return f"{detection.sequence.count} or more events of the first step, then one of the last, within {within}"
    if detection.first_seen:
        learned = f"learned for {duration(detection.first_seen.learn_days * 86_400)}"
        if detection.first_seen.absent_days:
            return f"seen again after {duration(detection.first_seen.absent_days * 86_400)} or more ({learned})"
        return f"never seen before ({learned})"
    words = " or ".join(_metric_in_words(condition) for condition in detection.conditions)
    return f"{words} within {duration(detection.window_seconds)}"


def _metric_in_words(condition: Condition) -> str:
    least = f"{condition.at_least:,}"
    words = {
        "count": f"{least} or more events" if condition.at_least > 1 else "an event",
        "distinct": f"{least} or more different values of {condition.field}",
        "sum": f"{condition.field} adding up to {least} or more",
        "max": f"one {condition.field} of {least} or more",
    }[condition.metric]
    if condition.query:
        words += " that the narrower query finds"
    return f"{words} ({condition.level.value})" if condition.level else words


def _group_in_words(detection: Detection) -> str:
    *others, last = ("database", *detection.group)
    return f"{', '.join(others)} and {last}" if others else last


def _sections(detection: Detection, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# {_text(detection.title)}"
    facts = (f"level **{detection.level.value}**", ", ".join(detection.engines), f"version {detection.version}")
    yield " · ".join((f"`{detection.name}`", *facts))
    if not detection.enabled:
        yield f"**Not enabled.** {_text(detection.disabled_because)}".rstrip()
    yield _text(detection.description)
    yield "## Why it matters"
    yield _text(detection.why)
    yield "## When it fires"
    archived = f"After {duration(detection.quiet_seconds)} without news its alert is archived."
    yield f"It fires for: {_text(fires_in_words(detection))}. {archived}"
    yield from _queries(detection)
    yield from _settings(detection)
    yield "## What to do"
    yield "\n".join(f"{number}. {_text(step)}" for number, step in enumerate(detection.runbook, 1))
    yield "## When it is nothing"
    yield _listed(detection.false_positives)
    if detection.blind_spots:
        yield "## What it does not see"
        yield _listed(detection.blind_spots)
    yield from _suppressions(detection)
    yield from _samples(samples)
    yield from _sources(detection)


def _queries(detection: Detection) -> Iterator[str]:
    if detection.query:
        yield f"It looks in `{_PLACES[detection.source]}` for (Lucene):"
        yield _code(detection.query)
    if detection.sequence:
        yield "The first step:"
        yield _code(detection.sequence.first)
        yield "The last step:"
        yield _code(detection.sequence.then)
    for condition in detection.conditions:
        if condition.query:
            yield f"The narrower query of “{_text(_metric_in_words(condition))}”:"
            yield _code(condition.query)
    if detection.script:
        params: Mapping[str, Any] = detection.script["script"]["script"]["params"]
        hours = f"{_clock(params['from'])} and {_clock(params['to'])} ({params['zone']})"
        yield f"It leaves out what happens between {hours} on a {_days(params['days'])}."


def _settings(detection: Detection) -> Iterator[str]:
    if not detection.settings:
        return
    yield "## Settings"
    yield _table(("setting", "value"), [(f"`{name}`", _cell(value)) for name, value in detection.settings.items()])
    yield "To change one, write it into your tuning file:"
    lines = [f"      {name}: {_yaml(value)}" for name, value in detection.settings.items()]
    yield _code("\n".join(["detections:", f"  {detection.name}:", "    settings:", *lines]), "yaml")


def _suppressions(detection: Detection) -> Iterator[str]:
    if detection.suppressions:
        yield "## Suppressed"
        rows = [
            (
                _text(", ".join(f"{name} {' or '.join(values)}" for name, values in one.when.items())),
                _text(one.reason),
                _text(one.owner),
                one.expires,
            )
            for one in detection.suppressions
        ]
        yield _table(("events", "reason", "owner", "until"), rows)


def _samples(samples: Sequence[Sample]) -> Iterator[str]:
    for expected, title in (("match", "Samples that it finds"), ("ignore", "Near misses that it leaves alone")):
        own = [f"{sample.engine}: {sample.words}" for sample in samples if sample.expected == expected]
        if own:
            yield f"## {title}"
            yield _listed(own)


def _sources(detection: Detection) -> Iterator[str]:
    yield "## ATT&CK and references"
    techniques = [tag for tag in detection.attack if _TECHNIQUE.fullmatch(tag)]
    tactics = [tag.replace("-", " ") for tag in detection.attack if tag not in techniques]
    lines = [f"Tactics: {', '.join(tactics)}"] if tactics else []
    lines += [f"[{tag.upper()}]({_attack_url(tag)})" for tag in techniques]
    shown = {_attack_url(tag) for tag in techniques}
    lines += [f"<{url}>" for url in detection.references if url not in shown]
    lines.append(f"Type of its finding: {', '.join(detection.types)}")
    yield "\n".join(f"- {line}" for line in lines)


def _attack_url(tag: str) -> str:
    return f"https://attack.mitre.org/techniques/{tag.upper().replace('.', '/')}/"


def _listed(entries: Iterable[str]) -> str:
    return "\n".join(f"- {_text(entry)}" for entry in entries)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str, language: str = "text") -> str:
    """A code block whose fence is longer than any that the text holds."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _text(words: str) -> str:
    """Words as Markdown that shows them as they are; code in backticks stays code."""
    return _CODE_OR_SPECIAL.sub(lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", words)


def _yaml(value: Any) -> str:
    """A value in YAML, in one line: JSON is YAML, too, and lengths of time need no quotes."""
    if isinstance(value, str) and _TIMESPAN.fullmatch(value):
        return value
    return orjson.dumps(value).decode()


def _cell(value: Any) -> str:
    """A value in a table's cell, which a bar would end even in code."""
    code = _yaml(value).replace("|", "\\|")
    return f"`{code}`"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _days(numbers: Sequence[int]) -> str:
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return " or ".join(names[number - 1] for number in numbers)
