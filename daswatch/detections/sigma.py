"""`detections/<name>/rule.yml` -> Detection: the one place that knows Sigma. Runs when the functions are packaged.

A file holds Sigma rules and, where one event is not enough, a Sigma correlation over them; one of its documents has the
section `daswatch`, for what Sigma has no word for. pySigma reads the rules and makes the Lucene queries; no published
backend makes OpenSearch aggregations of correlations, so these become conditions of a Detection, and aggregations in
`daswatch.queries.saved_query`.

Two fields are text, and a rule means by a value of theirs what their mapping can find quickly: `commandText: drop
table` these words next to each other in any layout, `commandText|contains: 'to program'` these characters anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NoReturn

import yaml
from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend
from sigma.conditions import ConditionFieldEqualsValueExpression
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationTimespan, SigmaCorrelationType
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule
from sigma.types import SigmaString, SpecialChars

from daswatch.detections.actors import lucene_of, read_actors
from daswatch.detections.detection import (
    EVERY_ENGINE,
    Condition,
    Detection,
    DetectionKind,
    EventSequence,
    Explanation,
    FirstSeen,
    KnownClients,
    Level,
    Metric,
    OwnPast,
    Source,
    Suppression,
)
from daswatch.detections.lucene import lucene_exists, lucene_term
from daswatch.detections.necessary import necessary
from daswatch.detections.prefilter import EVERYTHING, NOTHING, simplified
from daswatch.detections.prefilter import Condition as Necessary
from daswatch.detections.yaml_text import read_document, read_documents
from daswatch.documents.actors import ActorEntry, ActorKind
from daswatch.documents.flat_objects import is_inside
from daswatch.errors import RuleError

_TEXT_FIELDS = ("commandText", "errorMessage")
_SUBSTRINGS = {"commandText": "commandText.substring"}
_ACTOR = "actor"
_ACTORS = frozenset(ActorKind) - {ActorKind.APPLICATION}  # an application's events have none
_TRIGRAM = 3  # characters: a shorter substring finds nothing

_SECTION = "daswatch"
_SHARED = "shared"  # the value of a setting that is a list of `_lists.yml`
# One row for each object of a statement whose MAIN row counts already.
_NO_AUX = "NOT class:AUX"
# Sigma's word for one event after another; how many of the first is what Sigma has no word for.
_ORDERED = "temporal_ordered"
_NO_AUX_NECESSARY: Necessary = {"not": {"is": ["class", ["AUX"]]}}
_LISTS = frozenset({"objects"})  # fields of which one event may have several values
_PROMPT_KINDS = frozenset({DetectionKind.EVENT, DetectionKind.THRESHOLD})
_METRICS: Mapping[SigmaCorrelationType, Metric] = {
    SigmaCorrelationType.EVENT_COUNT: "count",
    SigmaCorrelationType.VALUE_COUNT: "distinct",
    SigmaCorrelationType.VALUE_SUM: "sum",
}
_KNOWN_KEYS = frozenset(
    {
        "why",
        "runbook",
        "blind-spots",
        "engines",
        "type",
        "enabled",
        "disabled-because",
        "version",
        "quiet",
        "source",
        "group-by",
        "settings",
        "shared",
        "also",
        "sequence",
        "numbers",
        "first-seen",
        "known-clients",
        "own-past",
        "explained-by",
        "outside",
        "silence",
        "failing",
    }
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# Whether the event's time lies outside these hours, by the clock of a place. Lucene has no words for it.
_OUTSIDE = (
    "def t = doc['@timestamp'].value.withZoneSameInstant(ZoneId.of(params.zone));"
    " int m = t.getHour() * 60 + t.getMinute();"
    " return !params.days.contains(t.getDayOfWeek().getValue()) || m < params.from || m >= params.to"
)


@dataclass(frozen=True, slots=True)
class Override:
    """What a team changes about one detection without editing its rule."""

    enabled: bool | None = None
    level: Level | None = None
    quiet: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tuning:
    """A team's file: overrides and suppressions by detection, and entries of the table of actors by name.

    `assumed` are entries that a backtest takes for those that were there when the events were indexed.
    """

    overrides: Mapping[str, Override] = field(default_factory=dict)
    suppressions: Mapping[str, tuple[Suppression, ...]] = field(default_factory=dict)
    actors: Mapping[str, ActorEntry | None] = field(default_factory=dict)
    assumed: tuple[ActorEntry, ...] = ()


NO_TUNING = Tuning()


def rule_folders() -> list[Traversable]:
    """The folders of `detections/`, by name."""
    folders = (entry for entry in files("detections").iterdir() if entry.is_dir() and not entry.name.startswith("_"))
    return sorted(folders, key=lambda folder: folder.name)


def compile_all(tuning: Tuning = NO_TUNING) -> tuple[Detection, ...]:
    """All detections. Raises RuleError."""
    return _as_shipped() if tuning == NO_TUNING else _compile_all(tuning)


@cache
def _as_shipped() -> tuple[Detection, ...]:
    return _compile_all(NO_TUNING)


def _compile_all(tuning: Tuning) -> tuple[Detection, ...]:
    folders = rule_folders()
    names = {folder.name for folder in folders}
    for name in sorted({*tuning.overrides, *tuning.suppressions} - names):
        raise RuleError(f"tuning: there is no detection {name!r}; `daswatch detections list` shows which there are")
    return tuple(compile_rule(folder.name, _rule(folder), tuning) for folder in folders)


def compile_rule(name: str, text: str, tuning: Tuning = NO_TUNING) -> Detection:
    """One detection from its folder's name and its rule. Raises RuleError."""
    try:
        return _Compiler(name, read_documents(text), tuning).detection()
    except (SigmaError, yaml.YAMLError) as exc:
        raise RuleError(f"{name}: {exc}") from exc
    except KeyError as exc:
        raise RuleError(f"{name}: {exc.args[0]!r} is missing") from exc


def _rule(folder: Traversable) -> str:
    try:
        return folder.joinpath("rule.yml").read_text("utf-8")
    except FileNotFoundError as exc:
        raise RuleError(f"{folder.name}: the folder has no rule.yml") from exc


@cache
def shared_lists() -> dict[str, list[str]]:
    """`_lists.yml`: the lists that several detections use, by name."""
    lists: dict[str, list[str]] = read_document(files("detections").joinpath("_lists.yml").read_text("utf-8"))
    return lists


@cache
def shared_rules() -> list[dict[str, Any]]:
    """`_shared.yml`: the Sigma rules that several detections use."""
    return read_documents(files("detections").joinpath("_shared.yml").read_text("utf-8"))


def read_tuning(text: str) -> Tuning:
    """A team's tuning file, YAML. Raises RuleError that says what is wrong."""
    try:
        content = read_document(text) or {}
    except yaml.YAMLError as exc:
        raise RuleError(f"tuning: {exc}") from exc
    if not isinstance(content, dict) or content.keys() - {"detections", "suppressions", "actors"}:
        raise RuleError("tuning: expected the sections `detections`, `suppressions` and `actors`, and no other")
    overrides = {name: _override(name, entry) for name, entry in (content.get("detections") or {}).items()}
    suppressions: dict[str, list[Suppression]] = {}
    for entry in content.get("suppressions") or ():
        name, suppression = _suppression(entry)
        suppressions.setdefault(name, []).append(suppression)
    by_name = {name: tuple(entries) for name, entries in suppressions.items()}
    return Tuning(overrides, by_name, read_actors(content.get("actors") or {}))


def _override(name: str, entry: object) -> Override:
    if not isinstance(entry, dict) or entry.keys() - {"enabled", "level", "quiet", "settings"}:
        raise RuleError(f"tuning: {name}: expected enabled, level, quiet or settings")
    try:
        level = Level(entry["level"]) if "level" in entry else None
    except ValueError as exc:
        raise RuleError(f"tuning: {name}: level is one of {', '.join(Level)}") from exc
    return Override(entry.get("enabled"), level, str(entry.get("quiet", "")), entry.get("settings") or {})


def _suppression(entry: object) -> tuple[str, Suppression]:
    wanted = {"detection", "when", "owner", "reason", "expires"}
    if not isinstance(entry, dict) or entry.keys() != wanted:
        raise RuleError(f"tuning: a suppression has exactly {', '.join(sorted(wanted))}")
    when, expires = entry["when"], entry["expires"]
    if not isinstance(when, dict) or not when:
        raise RuleError("tuning: a suppression's `when` names fields and their values")
    if not isinstance(expires, date):
        raise RuleError("tuning: a suppression `expires` on a day, such as 2027-01-31")
    if not str(entry["owner"] or "").strip() or not str(entry["reason"] or "").strip():
        raise RuleError("tuning: a suppression has an owner who answers for it, and a reason")
    values = {name: tuple(str(value) for value in _listed(given)) for name, given in when.items()}
    return str(entry["detection"]), Suppression(values, str(entry["owner"]), str(entry["reason"]), expires.isoformat())


class _Compiler:
    """One rule file on its way to a Detection."""

    def __init__(self, name: str, documents: Sequence[Any], tuning: Tuning) -> None:
        self.name = name
        heads = [document for document in documents if _SECTION in document]
        if len(heads) != 1:
            self._wrong(f"exactly one document has the section `{_SECTION}`")
        self.head: dict[str, Any] = heads[0]
        self.section: dict[str, Any] = self.head[_SECTION]
        if unknown := self.section.keys() - _KNOWN_KEYS:
            self._wrong(f"unknown in `{_SECTION}`: {', '.join(sorted(unknown))}")
        self.override = tuning.overrides.get(name, Override())
        self.suppressions = tuning.suppressions.get(name, ())
        self.correlation: dict[str, Any] | None = self.head.get("correlation")
        self.settings = self._settings()
        self.backend = _Backend(ProcessingPipeline(), assumed=tuning.assumed)
        self.numbers = self._numbers()
        documents = [*(document for document in documents if "detection" in document), *self._shared_rules()]
        rules = {document.get("name", ""): self._rule(document) for document in documents}
        self.queries = {name: self._lucene(rule) for name, rule in rules.items()}
        self.necessary = {name: necessary(rule) for name, rule in rules.items()}

    def detection(self) -> Detection:
        """Put everything together."""
        head, section = self.head, self.section
        conditions = (*self._main_condition(), *self._further_conditions())
        sequence = self._sequence()
        first_seen = self._first_seen()
        silence = section.get("silence") or {}
        kind = self._kind(sequence, first_seen)
        enabled = section.get("enabled", True) if self.override.enabled is None else self.override.enabled
        source = Source(section.get("source", Source.EVENTS))
        level = self.override.level or Level(head["level"])
        return Detection(
            name=self.name,
            id=str(head["id"]),
            title=head["title"],
            level=level,
            status=head["status"],
            kind=kind,
            source=source,
            query=self._query(source),
            description=_one_line(head["description"]),
            why=_one_line(section["why"]),
            runbook=tuple(_one_line(step) for step in section["runbook"]),
            false_positives=tuple(_one_line(entry) for entry in head["falsepositives"]),
            blind_spots=tuple(_one_line(entry) for entry in section.get("blind-spots", ())),
            references=tuple(head.get("references", ())),
            attack=tuple(tag.removeprefix("attack.") for tag in head.get("tags", ()) if tag.startswith("attack.")),
            types=tuple(_listed(section["type"])),
            engines=tuple(section.get("engines", EVERY_ENGINE)),
            enabled=enabled,
            disabled_because=_one_line(section.get("disabled-because", "")),
            version=section.get("version", 1),
            group=self._group(),
            window_seconds=_seconds(self.settings["window"]) if "window" in self.settings else 0,
            quiet_seconds=_seconds(self.override.quiet or section.get("quiet", "1h")),
            conditions=conditions,
            script=self._outside(),
            sequence=sequence,
            first_seen=first_seen,
            known_clients=self._known_clients(kind, source),
            own_past=self._own_past(kind, source),
            explanation=self._explanation(kind, source),
            silent_seconds=_seconds(self._value(silence["after"])) if silence else 0,
            forget_seconds=_seconds(self._value(silence["forget"])) if silence else 0,
            suppressions=self.suppressions,
            settings=self.settings,
            prompt=self._prompt(level) if source is Source.EVENTS and kind in _PROMPT_KINDS else None,
        )

    def _wrong(self, what: str) -> NoReturn:
        raise RuleError(f"{self.name}: {what}")

    def _settings(self) -> dict[str, Any]:
        """The tuning values: the correlation's own, the section's, and the team's in their place."""
        settings: dict[str, Any] = {}
        if self.correlation and not self.section.get("silence"):
            settings["window"] = self.correlation["timespan"]
            if self.correlation["type"] != _ORDERED:
                settings["threshold"] = self.correlation["condition"]["gte"]
        own = self.section.get("settings") or {}
        lists = shared_lists()
        settings |= {name: lists[name] if value == _SHARED else value for name, value in own.items()}
        for name, value in self.override.settings.items():
            if name not in settings:
                self._wrong(f"tuning: there is no setting {name!r}; there are {', '.join(settings) or 'none'}")
            if isinstance(settings[name], list) is not isinstance(value, list):
                self._wrong(f"tuning: {name} is {'a list' if isinstance(settings[name], list) else 'one value'}")
            settings[name] = value
        return settings

    def _shared_rules(self) -> list[dict[str, Any]]:
        """The rules of `_shared.yml` that this file names."""
        by_name = {rule["name"]: rule for rule in shared_rules()}
        return [by_name[name] for name in self.section.get("shared", ())]

    def _numbers(self) -> dict[str, Any]:
        """The items whose number is a setting: Sigma's `expand` is for text, so the rule has the number itself."""
        return {item: self.settings[name] for name, item in (self.section.get("numbers") or {}).items()}

    def _value(self, given: Any) -> Any:
        """A value, or the setting that it names as `%name%`."""
        if isinstance(given, str) and given.startswith("%") and given.endswith("%") and len(given) > 2:
            try:
                return self.settings[given[1:-1]]
            except KeyError:
                self._wrong(f"there is no setting {given}")
        return given

    def _kind(self, sequence: EventSequence | None, first_seen: FirstSeen | None) -> DetectionKind:
        if self.section.get("failing"):
            return DetectionKind.FAILING
        if self.section.get("silence"):
            return DetectionKind.SILENCE
        if sequence:
            return DetectionKind.SEQUENCE
        if first_seen:
            return DetectionKind.FIRST_SEEN
        return DetectionKind.THRESHOLD if "window" in self.settings else DetectionKind.EVENT

    def _rule(self, document: dict[str, Any]) -> SigmaRule:
        return SigmaRule.from_dict({**document, "detection": self._expanded(document["detection"])})

    def _lucene(self, rule: SigmaRule) -> str:
        (query,) = self.backend.convert_rule(rule)
        return str(query)

    def _expanded(self, detection: Mapping[str, Any]) -> dict[str, Any]:
        """Sigma's `expand` by our settings; a filter whose list is empty filters nothing and is left out."""
        expanded = {
            name: self._expanded_items(name, items) if name != "condition" else items
            for name, items in detection.items()
        }
        for name in [name for name, items in expanded.items() if items is None]:
            if not name.startswith("filter"):
                self._wrong(f"{name} has an empty list: nothing could match")
            del expanded[name]
        if not any(name.startswith("filter") for name in expanded):
            expanded["condition"] = expanded["condition"].replace(" and not 1 of filter_*", "")
        return expanded

    def _expanded_items(self, name: str, items: Any) -> Any:
        if isinstance(items, list):
            return [item for one in items if (item := self._expanded_items(name, one)) is not None] or None
        if not isinstance(items, dict):
            return items
        expanded = {}
        for key, value in items.items():
            if "|expand" in key:
                values = _listed(self._value(value))
                if not values:
                    return None
                expanded[key.replace("|expand", "")] = values
            else:
                expanded[key] = self.numbers.get(f"{name}.{key}", self._value(value))
        return expanded

    def _rules(self) -> list[str]:
        """The names of the rules of which an event matches one at least."""
        if self.section.get("silence") or self.section.get("failing"):
            return []  # the pulse, and the saved queries' own answers, are looked at otherwise
        if self.correlation:
            return [rule.reference for rule in SigmaCorrelationRule.from_dict(self.head).rules or []]
        return [self.head.get("name", "")] if "detection" in self.head else []

    def _prompt(self, level: Level) -> Necessary | None:
        """What holds of an event that makes a group high or critical on its own; None where none can."""
        further = zip(self._further_conditions(), self.section.get("also", ()), strict=True)
        conditions = [*((condition, {}) for condition in self._main_condition()), *further]
        alone = [
            {"all": [enough, *([self.necessary[entry["rule"]]] if "rule" in entry else [])]}
            for condition, entry in conditions
            if (condition.level or level).rank >= Level.HIGH.rank and (enough := _by_one_event(condition)) != NOTHING
        ]
        if not alone:
            return None
        rule = {"any": [self.necessary[name] for name in self._rules()]}
        return simplified({"all": [_NO_AUX_NECESSARY, rule, {"any": alone}]})

    def _query(self, source: Source) -> str:
        queries = [self.queries[name] for name in self._rules()]
        if not queries:
            return ""
        query = queries[0] if len(queries) == 1 else " OR ".join(f"({query})" for query in queries)
        parts = [f"({query})", *([_NO_AUX] if source is Source.EVENTS else [])]
        return " AND ".join([*parts, *(f"NOT ({_suppressed(entry)})" for entry in self.suppressions)])

    def _group(self) -> tuple[str, ...]:
        if not self.correlation:
            return tuple(self.section.get("group-by", ()))
        fields: list[str] = self.correlation["group-by"]
        if fields[:1] != ["resourceId"]:
            self._wrong("a correlation groups by resourceId first: an alert is about one database")
        return tuple(fields[1:])

    def _main_condition(self) -> Iterator[Condition]:
        if not self.correlation or "threshold" not in self.settings:
            if not self.section.get("also"):
                yield Condition("count", 1)
            return
        rule = SigmaCorrelationRule.from_dict(self.head)
        metric = _METRICS.get(rule.type)
        if metric is None:
            self._wrong(f"correlations of type {rule.type.name.lower()} are not compiled")
        field_name = self.correlation["condition"].get("field", "")
        yield Condition(metric, int(self.settings["threshold"]), field_name)

    def _further_conditions(self) -> Iterator[Condition]:
        for entry in self.section.get("also", ()):
            yield Condition(
                metric=entry.get("metric", "count"),
                at_least=int(self._value(entry["at-least"])),
                field=entry.get("field", ""),
                query=self.queries[entry["rule"]] if "rule" in entry else "",
                level=Level(entry["level"]) if "level" in entry else None,
                across=entry.get("across", ""),
                across_at_least=int(self._value(entry["across-at-least"])) if "across" in entry else 0,
            )

    def _sequence(self) -> EventSequence | None:
        section = self.section.get("sequence")
        if bool(section) is not bool(self.correlation and self.correlation["type"] == _ORDERED):
            self._wrong(f"`sequence` and a correlation of type {_ORDERED} go together")
        if not section or not self.correlation:
            return None
        first, then = (f"({self.queries[name]}) AND {_NO_AUX}" for name in self.correlation["rules"])
        return EventSequence(first, int(self._value(section["count"])), then)

    def _first_seen(self) -> FirstSeen | None:
        section = self.section.get("first-seen")
        if not section:
            return None
        return FirstSeen(
            learn_days=_seconds(self._value(section["learn"])) // 86_400,
            absent_days=_seconds(self._value(section["absent"])) // 86_400 if "absent" in section else 0,
            ipv4_prefix=int(section.get("ipv4-prefix", 32)),
            ipv6_prefix=int(section.get("ipv6-prefix", 128)),
        )

    def _known_clients(self, kind: DetectionKind, source: Source) -> KnownClients | None:
        """What a group is left out by; nothing where its days are 0, by which a team switches it off."""
        section = self.section.get("known-clients")
        if not section:
            return None
        if unknown := section.keys() - {"days", "when", "pace", "few", "hosts", "statements", "any-statement-of"}:
            self._wrong(f"unknown in `known-clients`: {', '.join(sorted(unknown))}")
        if source is not Source.EVENTS or kind in (DetectionKind.SILENCE, DetectionKind.FAILING):
            self._wrong("`known-clients` is for detections of events")
        pace = section.get("pace")
        if pace not in (None, "steady"):
            self._wrong("the `pace` of `known-clients` is steady, or left out")
        if pace and kind not in (DetectionKind.THRESHOLD, DetectionKind.SEQUENCE):
            self._wrong("the `pace` of `known-clients` needs a window")
        for key in ("few", "hosts"):
            if key in section and not pace:
                self._wrong(f"`{key}` of `known-clients` needs a `pace`")
        hosts = section.get("hosts")
        if hosts not in (None, "each", "several"):
            self._wrong("the `hosts` of `known-clients` are each, several, or left out")
        if hosts == "several" and "remoteHost" not in self._group():
            self._wrong("`hosts: several` of `known-clients` is for groups of one host")
        for key in ("when", "any-statement-of"):
            if key in section and section[key] not in self.queries:
                self._wrong(f"the rule {section[key]!r} of `known-clients` is not in this file")
        if section.get("statements") not in (None, "same"):
            self._wrong("the `statements` of `known-clients` are the same, or left out")
        if "any-statement-of" in section and "statements" not in section:
            self._wrong("the `any-statement-of` of `known-clients` needs `statements`")
        days = int(self._value(section["days"]))
        when, any_of = (self.queries[section[key]] if key in section else "" for key in ("when", "any-statement-of"))
        few = int(self._value(section.get("few", 0)))
        known = KnownClients(
            days=days,
            when=when,
            steady=bool(pace),
            same_statements="statements" in section,
            any_statement_of=any_of,
            few=few,
            each_host=hosts == "each",
            several_hosts=hosts == "several",
        )
        return known if days else None

    def _own_past(self, kind: DetectionKind, source: Source) -> OwnPast | None:
        """How much more than before a group has to do; nothing where its days are 0, which switches it off."""
        section = self.section.get("own-past")
        if not section:
            return None
        if section.keys() != {"days", "learn", "times"}:
            self._wrong("`own-past` has `days`, `learn` and `times`")
        if source is not Source.EVENTS or kind is not DetectionKind.THRESHOLD:
            self._wrong("`own-past` is for thresholds of events")
        days, learn, times = (int(self._value(section[name])) for name in ("days", "learn", "times"))
        return OwnPast(days, learn, times) if days else None

    def _explanation(self, kind: DetectionKind, source: Source) -> Explanation | None:
        """What a group is left out by that has it in front of it or behind it."""
        section = self.section.get("explained-by")
        if not section:
            return None
        rules = _listed(section.get("rule"))
        if section.keys() != {"rule", "within", "below"} or not rules or not self.queries.keys() >= set(rules):
            self._wrong("`explained-by` names a `rule` of this file, `within` which time, and `below` which level")
        if source is not Source.EVENTS or kind is DetectionKind.FIRST_SEEN:
            self._wrong("`explained-by` is for detections of events, thresholds and sequences")
        seconds = _seconds(self._value(section["within"]))
        query = " OR ".join(f"({self.queries[rule]})" for rule in rules)
        return Explanation(query, seconds, Level(section["below"]))

    def _outside(self) -> dict[str, Any]:
        """A script query for events outside business hours."""
        section = self.section.get("outside")
        if not section:
            return {}
        begin, end = _minutes(self._value(section["from"])), _minutes(self._value(section["to"]))
        if begin >= end:
            self._wrong("business hours begin before they end, on the same day")
        params = {
            "zone": self._value(section["time-zone"]),
            "days": [_DAYS.index(day) + 1 for day in self._value(section["days"])],
            "from": begin,
            "to": end,
        }
        return {"script": {"script": {"lang": "painless", "source": _OUTSIDE, "params": params}}}


def _by_one_event(condition: Condition) -> Necessary:
    """What holds of an event that fulfills a condition on its own."""
    if condition.across_at_least > 1:
        return NOTHING
    match condition.metric:
        case "count":
            return EVERYTHING if condition.at_least <= 1 else NOTHING
        case "distinct":
            several = condition.at_least <= 1 or condition.field in _LISTS
            return {"several": [condition.field, condition.at_least]} if several else NOTHING
    return {"least": [condition.field, condition.at_least]}


class _Backend(OpensearchLuceneBackend):
    """pySigma's Lucene, with our two text fields, and with flat_objects as all versions of OpenSearch read them."""

    def __init__(self, pipeline: ProcessingPipeline, assumed: Sequence[ActorEntry] = ()) -> None:
        super().__init__(pipeline)
        self._assumed = assumed

    def decide_convert_condition_as_in_expression(self, cond: Any, state: ConversionState) -> bool:
        fields = {arg.field for arg in cond.args if isinstance(arg, ConditionFieldEqualsValueExpression)}
        special = any(name in (*_TEXT_FIELDS, _ACTOR) or is_inside(name) for name in fields)
        return not special and super().decide_convert_condition_as_in_expression(cond, state)

    def convert_condition_field_exists(self, cond: ConditionFieldEqualsValueExpression, state: ConversionState) -> str:
        return lucene_exists(cond.field)

    def convert_condition_field_not_exists(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        return f"NOT {lucene_exists(cond.field)}"

    def convert_condition_field_eq_val_null(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        return f"NOT {lucene_exists(cond.field)}"

    def convert_condition_not(self, cond: Any, state: ConversionState) -> Any:
        if self._is_field_null_condition(cond.args[0]):
            return lucene_exists(cond.args[0].field)
        return super().convert_condition_not(cond, state)

    def convert_condition_field_eq_val_re(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        if is_inside(cond.field):
            raise RuleError(f"{cond.field}: OpenSearch 2.x finds nothing by |re inside a flat_object")
        return super().convert_condition_field_eq_val_re(cond, state)

    def convert_condition_field_eq_val_str(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> str:
        if is_inside(cond.field) and isinstance(cond.value, SigmaString) and str(cond.value) == "*":
            return lucene_exists(cond.field)
        if cond.field == _ACTOR:
            if str(cond.value) not in _ACTORS:
                raise RuleError(f"actor: {cond.value} is none of {', '.join(sorted(_ACTORS))}")
            return lucene_of(str(cond.value), self._assumed)
        if cond.field not in _TEXT_FIELDS:
            return str(super().convert_condition_field_eq_val_str(cond, state))
        value = cond.value
        if not isinstance(value, SigmaString):
            raise RuleError(f"{cond.field} is text")
        if not value.contains_special():
            return lucene_term(cond.field, _text(value))
        inner = value[1:-1]
        contains = value.startswith(SpecialChars.WILDCARD_MULTI) and value.endswith(SpecialChars.WILDCARD_MULTI)
        if not contains or inner.contains_special() or cond.field not in _SUBSTRINGS:
            raise RuleError(f"{cond.field}: only words, and |contains of commandText, can be searched for quickly")
        if len(inner) < _TRIGRAM:
            raise RuleError(f"{cond.field}|contains: a part has {_TRIGRAM} characters or more")
        return lucene_term(_SUBSTRINGS[cond.field], _text(inner))


def _text(value: SigmaString) -> str:
    """A value without wildcards as it is meant, its escapes undone."""
    return "".join(str(part) for part in value.s)


def _suppressed(suppression: Suppression) -> str:
    """What a suppression leaves out, until it expires: an event that arrives later is not left out."""
    fields = (
        "(" + " OR ".join(lucene_term(name, value) for value in values) + ")"
        for name, values in suppression.when.items()
    )
    return " AND ".join([*fields, f"ingestedAt:[* TO {suppression.expires}}}"])


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _seconds(timespan: str) -> int:
    return int(SigmaCorrelationTimespan(timespan).seconds)


def _minutes(clock: str) -> int:
    hours, _, minutes = str(clock).partition(":")
    return int(hours) * 60 + int(minutes or 0)


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


def enabled(detections: Iterable[Detection]) -> list[Detection]:
    """Those that are run."""
    return [detection for detection in detections if detection.enabled]
