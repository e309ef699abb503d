"""Shards, copies, refresh and codec of indices: as shipped, as a deployment sets them, as a team set them there.

They are in two component templates: `das-event-settings` for the days of events, `das-copies` for all indices. A
component that we install holds in `_meta` what was installed. So a setting that a team changed is distinguished from
one that an earlier release or another parameter left there: the team's stays (docs/decisions/0024).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from daswatch.settings import Environment

EVENT_SETTINGS = "event-settings"
COPIES = "copies"
CODECS = ("default", "best_compression", "zstd", "zstd_no_dict")
LARGEST_SHARDS, LARGEST_REFRESH, LARGEST_REPLICAS = 100, 60, 9

_META = "daswatch"
_INSTALLED, _CHOSEN, _DEFAULTS = "installed", "chosen", "defaults"
# One decision: a number counts only where nothing expands it.
_REPLICAS = ("number_of_replicas", "auto_expand_replicas")
# What a release without marks installed besides what is still shipped.
_EARLIER = {"number_of_replicas": "1", "auto_expand_replicas": "0-1"}
Flat = dict[str, Any]


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What a deployment sets; empty and 0 leave it as it is at the endpoint, or else as it is shipped."""

    shards: int = 0  # primary shards of a day of events
    replicas: str = ""  # a number, `auto` (up to two, as far as there are nodes) or `domain` (its own default)
    refresh_seconds: int = 0
    codec: str = ""
    write_copies: str = ""  # how many copies acknowledge a write: a number, or `all`

    @classmethod
    def read(cls, environment: Environment) -> IndexSettings:
        """From INDEX_SHARDS, INDEX_REPLICAS, INDEX_REFRESH_SECONDS, INDEX_CODEC and INDEX_WRITE_COPIES."""
        replicas = environment.optional("INDEX_REPLICAS")
        if replicas not in ("", "auto", "domain") and not _is_number(replicas, 0, LARGEST_REPLICAS):
            environment.problem("INDEX_REPLICAS", "is not known", f"0 to {LARGEST_REPLICAS}, auto or domain")
        codec = environment.optional("INDEX_CODEC")
        if codec not in ("", *CODECS):
            environment.problem("INDEX_CODEC", "is not known", " or ".join(CODECS))
        copies = environment.optional("INDEX_WRITE_COPIES")
        if copies not in ("", "all") and not _is_number(copies, 1, LARGEST_REPLICAS + 1):
            environment.problem("INDEX_WRITE_COPIES", "is not known", f"1 to {LARGEST_REPLICAS + 1}, or all")
        elif copies.isdigit() and replicas.isdigit() and int(copies) > int(replicas) + 1:
            environment.problem("INDEX_WRITE_COPIES", "is more than there are", "INDEX_REPLICAS and one, or less")
        elif copies.isdigit() and int(copies) > 1 and not replicas.isdigit() and replicas != "domain":
            # Where replicas expand and fewer nodes are left, the manager fails to remove those that ended.
            environment.problem("INDEX_WRITE_COPIES", "needs INDEX_REPLICAS", "both as numbers, or all")
        return cls(
            shards=_number(environment, "INDEX_SHARDS", LARGEST_SHARDS),
            replicas=replicas,
            refresh_seconds=_number(environment, "INDEX_REFRESH_SECONDS", LARGEST_REFRESH),
            codec=codec,
            write_copies=copies,
        )

    def chosen(self, component: str) -> Flat:
        """The settings of a component that the deployment sets; None leaves a setting out."""
        if component == EVENT_SETTINGS:
            found: Flat = {
                "number_of_shards": self.shards,
                "refresh_interval": f"{self.refresh_seconds}s" if self.refresh_seconds else "",
                "codec": self.codec,
            }
            return {name: value for name, value in found.items() if value}
        if component != COPIES:
            return {}
        copies: Flat = {}
        if self.replicas:
            copies = dict.fromkeys(_REPLICAS)
            if self.replicas == "auto":
                copies["auto_expand_replicas"] = "0-2"
            elif self.replicas.isdigit():
                copies |= {"number_of_replicas": int(self.replicas), "auto_expand_replicas": "false"}
        if write_copies := self.write_copies or self._safe_copies:
            copies["write.wait_for_active_shards"] = write_copies
        return copies

    @property
    def _safe_copies(self) -> str:
        """How many copies acknowledge a write where the number of replicas is set, and this is not.

        Replicas that expand also shrink with the nodes, so `all` is never more than there can be. Of a fixed number
        two: then a node may be lost with its disk, and where there are three copies no write waits for it.
        """
        if self.replicas == "auto":
            return "all"
        return str(min(2, int(self.replicas) + 1)) if self.replicas.isdigit() else "1" if self.replicas else ""


def with_choices(body: Mapping[str, Any], chosen: Flat) -> dict[str, Any]:
    """A shipped component with what a deployment sets."""
    if not chosen:
        return dict(body)
    settings = {name: value for name, value in (_flat_of(body) | chosen).items() if value is not None}
    meta = {**body.get("_meta", {}), _META: {_CHOSEN: sorted(chosen), _DEFAULTS: _flat_of(body)}}
    return {**body, "template": {**body["template"], "settings": {"index": _nested(settings)}}, "_meta": meta}


def has_settings_alone(body: Mapping[str, Any]) -> bool:
    """Whether a component template of ours is one of those whose settings a team may change."""
    return "mappings" not in body["template"]


@dataclass(slots=True)
class _Merged:
    settings: Flat = field(default_factory=dict)
    installed: Flat = field(default_factory=dict)
    chosen: set[str] = field(default_factory=set)
    kept: list[str] = field(default_factory=list)


def settled(shipped: Mapping[str, Any], there: Mapping[str, Any] | None) -> tuple[dict[str, Any], bool, str]:
    """The component to install over what is there, whether that is so already, and what was a team's in words."""
    ours, mark = _flat_of(shipped), (there or {}).get("_meta", {}).get(_META, {})
    theirs = _flat_of(there) if there else {}
    wanted = _mark_of(shipped)
    # A component without a mark is an earlier release's, or a team's.
    installed = mark.get(_INSTALLED) or (wanted.get(_DEFAULTS, ours) | _EARLIER if there else {})
    chosen, before = set(wanted.get(_CHOSEN, ())), set(mark.get(_CHOSEN, ()))
    merged = _Merged()
    for names in _decisions([*ours, *theirs, *installed]):
        now, found, last = (_values(settings, names) for settings in (ours, theirs, installed))
        is_chosen, was_chosen = bool(chosen & set(names)), bool(before & set(names))
        decided = bool(there) and found != last and (names == _REPLICAS or any(found))
        if there and not (is_chosen and now != last) and (decided or (was_chosen and not is_chosen)):
            merged.settings |= _present(theirs, names)
            merged.installed |= _present(installed, names)
            merged.chosen |= before & set(names)
            if decided and found != now:
                merged.kept += [f"{name} {theirs[name]}" for name in names if name in theirs] or [f"no {names[0]}"]
        else:
            merged.settings |= _present(ours, names)
            merged.installed |= _present(ours, names)
            merged.chosen |= chosen & set(names)
    new_mark = {_INSTALLED: merged.installed, _CHOSEN: sorted(merged.chosen)}
    body = {
        **shipped,
        "template": {
            **(there or {}).get("template", {}),
            **shipped["template"],
            "settings": {"index": _nested(merged.settings)},
        },
        "_meta": {**shipped.get("_meta", {}), _META: new_mark},
    }
    same = there is not None and theirs.keys() == merged.settings.keys() and mark == new_mark
    same = same and all(_text(theirs[name]) == _text(value) for name, value in merged.settings.items())
    why = f"changed by the team, and kept: {', '.join(merged.kept)}" if merged.kept else ""
    return body, same, why


def _decisions(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Settings that are decided together; each name once."""
    for name in dict.fromkeys(names):
        if name not in _REPLICAS:
            yield (name,)
    yield _REPLICAS


def _values(settings: Flat, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_text(settings[name]) if name in settings else "" for name in names)


def _present(settings: Flat, names: Iterable[str]) -> Flat:
    return {name: settings[name] for name in names if name in settings}


def _mark_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    mark: Mapping[str, Any] = body.get("_meta", {}).get(_META, {})
    return mark


def _flat_of(body: Mapping[str, Any]) -> Flat:
    """The settings of a component by their dotted names."""
    settings = body.get("template", {}).get("settings", {})
    return dict(_flattened(settings.get("index", {})))


def _flattened(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _nested(settings: Flat) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        holder = nested
        for part in path:
            holder = holder.setdefault(part, {})
        holder[last] = value
    return nested


def _text(value: object) -> str:
    """As OpenSearch gives it back, where it makes text of numbers."""
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(environment: Environment, name: str, largest: int) -> int:
    return environment.whole_number(name, 1, largest)


def _is_number(text: str, smallest: int, largest: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 3 and smallest <= int(text) <= largest
