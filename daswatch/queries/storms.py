"""Storms: too many groups of one detection and database at once are combined into one summary.

In: what fired now, and which alerts are open. Out: the groups that get an alert of their own, and a summary for each
database and detection that has more. Every group costs a search, an alert, a finding and a part of a message, and a
database's users decide how many there are: so their number is bounded here, before any of that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from daswatch.alerts.alert import GROUPS, Firing, alert_id
from daswatch.alerts.text import shortened, shown_group
from daswatch.queries.saved_query import Candidate

MAX_OPEN = 100  # alerts of one detection and database
MAX_GROUPS = 1_000  # per run; beyond, each detection and database gets an equal share

_FIRST_GROUPS = 5  # listed in a summary
_GROUP_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Storm:
    """Groups of one detection and database that get one alert together. Its group is empty: all of them."""

    detection: str
    summary: Candidate
    total: int  # groups that fired
    kept: int  # with their own alerts
    first: tuple[Mapping[str, str], ...]  # most severe of the others

    @property
    def alert_id(self) -> str:
        """The id of the summary alert."""
        return alert_id(self.detection, self.summary.resource_id, self.summary.group)

    def summarized(self, firing: Firing) -> Firing:
        """Return the firing of the summary, with the number of groups and the first of them."""
        first = "; ".join(shortened(_text(group), _GROUP_LENGTH) for group in self.first)
        own = f", {self.kept} of them with their own alerts" if self.kept else ""
        return replace(
            firing,
            title=f"{firing.title} (many groups)",
            metrics={GROUPS: self.total},
            note=f"{self.total} groups fired at once{own}. First of the {'others' if self.kept else 'groups'}: {first}",
        )


def divide(found: Sequence[tuple[str, Candidate]], open_alerts: Collection[str]) -> tuple[list[int], list[Storm]]:
    """Return the positions of the groups with their own alerts, and the storms of the others.

    Open alerts come first, so that they go on being updated; then the most severe groups. No detection and database
    gets more than MAX_OPEN open alerts, however many runs it takes: what fires beyond is the storm's.
    """
    by_pair: dict[tuple[str, str], list[int]] = {}
    for position, (detection, candidate) in enumerate(found):
        by_pair.setdefault((detection, candidate.resource_id), []).append(position)
    already_open: dict[tuple[str, str], int] = {}
    for name in open_alerts:
        detection, resource_id, _ = name.rsplit("/", 2)
        if name != alert_id(detection, resource_id, {}):
            already_open[detection, resource_id] = already_open.get((detection, resource_id), 0) + 1
    share = _share([len(positions) for positions in by_pair.values()])

    kept: list[int] = []
    storms = []
    for pair, positions in by_pair.items():
        known = {position for position in positions if alert_id(*pair, found[position][1].group) in open_alerts}
        room = max(0, MAX_OPEN - already_open.get(pair, 0))
        if len(positions) <= share and len(positions) - len(known) <= room:
            kept += positions
            continue
        known_first = sorted(positions, key=lambda position: (position not in known, *_rank(found[position][1])))
        own = known_first[: min(share, len(known) + room)]
        others = [found[position][1] for position in known_first[len(own) :]]
        kept += own
        storms.append(_storm(pair, [found[position][1] for position in positions], others))
    return sorted(kept), storms


def _share(sizes: Sequence[int]) -> int:
    """Return the limit per detection and database that keeps the total within MAX_GROUPS."""
    share = MAX_OPEN
    while share > 1 and sum(min(size, share) for size in sizes) > MAX_GROUPS:
        share -= 1
    return share


def _rank(candidate: Candidate) -> tuple[int, int, list[tuple[str, str]]]:
    return -candidate.level.rank, -candidate.count, sorted(candidate.group.items())


def _storm(pair: tuple[str, str], everything: Sequence[Candidate], others: Sequence[Candidate]) -> Storm:
    detection, resource_id = pair
    summary = Candidate(
        resource_id=resource_id,
        group={},
        count=sum(candidate.count for candidate in everything),
        first_seen=min(candidate.first_seen for candidate in everything),
        last_seen=max(candidate.last_seen for candidate in everything),
        level=max((candidate.level for candidate in others), key=lambda level: level.rank),
    )
    first = tuple(candidate.group for candidate in others[:_FIRST_GROUPS])
    return Storm(detection, summary, len(everything), len(everything) - len(others), first)


def _text(group: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in shown_group(group).items())
