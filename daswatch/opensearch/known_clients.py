"""OpenSearch: which groups that fired are left out: explained, of known clients, or no more than their own past.

Asked wherever groups fire, by one mechanism.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from daswatch.deadline import Deadline
from daswatch.detections.detection import Detection
from daswatch.indices import Indices
from daswatch.opensearch.saved_queries import SavedQueries, SearchFailure
from daswatch.queries.known_clients import (
    Client,
    clients_query,
    earlier_query,
    explanation_query,
    is_explicable,
    looked_at_since,
    read_clients,
)
from daswatch.queries.own_past import is_usual, last_day, learned_query, own_past_query, read_own_past
from daswatch.queries.saved_query import Candidate, Fired, Search, event_indices, was_there
from daswatch.times import moment_of

_MOST_GROUPS = 200  # that are looked at; further ones fire
_MOST_PASTS = 1_000  # the same of those whose past is not remembered
_REMEMBERED_PASTS = 20_000


def is_judged(detection: Detection) -> bool:
    """Whether a detection's groups fire only after a look at who made them, or at what is around them."""
    return bool(detection.known_clients or detection.explanation or detection.own_past)


@dataclass(slots=True)
class Judged:
    """Which groups fire, how many are left out by detection, and which detections could not be judged."""

    fired: list[Fired] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)  # detection's name -> cause
    searches: int = 0


class KnownClientLookup:
    """The events of one deployment, or of one index."""

    def __init__(self, queries: SavedQueries, indices: Indices, index: str = "") -> None:
        self._queries = queries
        self._indices = indices
        self._index = index
        self._pasts: dict[tuple[str, datetime], tuple[int, ...]] = {}  # by alert and the end of its past
        self._learned: set[tuple[str, str]] = set()  # detections, and databases that they can compare with their past

    def judge(self, found: Sequence[Fired], deadline: Deadline) -> Judged:
        """Leave out what only known clients did. Raises SearchUnavailable; a search that fails is in the result."""
        judged = Judged()
        if not any(is_judged(detection) for detection, _ in found):
            judged.fired += found
            return judged
        explained = self._explained(found, judged, deadline)
        positions = [
            position
            for position, (detection, _) in enumerate(found)
            if detection.known_clients and position not in explained
        ]
        asked = [found[position] for position in positions[:_MOST_GROUPS]]
        clients = self._clients(asked, judged, deadline)
        past = self._past(asked, clients, judged, deadline)
        known = {
            position
            for number, (position, own) in enumerate(zip(positions, clients, strict=False))
            if own and all((number, client) in past for client in own)
        }
        known |= self._usual(found, known | explained, judged, deadline)
        for position, pair in enumerate(found):
            name = pair[0].name
            if name in judged.failures:
                continue
            if position in known or position in explained:
                judged.left_out[name] += 1
            else:
                judged.fired.append(pair)
        return judged

    def _explained(self, found: Sequence[Fired], judged: Judged, deadline: Deadline) -> set[int]:
        """The positions of groups that an event around them explains."""
        asked = [(position, pair) for position, pair in enumerate(found) if is_explicable(*pair)][:_MOST_GROUPS]
        if not asked:
            return set()
        searches = [explanation_query(*pair, self._index, self._indices.prefix) for _, pair in asked]
        judged.searches += len(searches)
        explained = set()
        for (position, (detection, _)), answer in zip(asked, self._queries.answers(searches, deadline), strict=True):
            if isinstance(answer, SearchFailure):
                judged.failures[detection.name] = answer.cause
            elif was_there(answer):
                explained.add(position)
        return explained

    def _usual(self, found: Sequence[Fired], left_out: Collection[int], judged: Judged, deadline: Deadline) -> set[int]:
        """The positions of groups that did as much before, or whose database is too new to say.

        A group whose past cannot be read fires.
        """
        if len(self._pasts) > _REMEMBERED_PASTS:
            self._pasts.clear()
        ends = {
            position: (group.alert_id(detection.name), last_day(group))
            for position, (detection, group) in enumerate(found)
            if detection.own_past and position not in left_out
        }
        if not ends:
            return set()
        asked = [position for position, end in ends.items() if end not in self._pasts][:_MOST_PASTS]
        searches = [own_past_query(*found[position], self._index, self._indices.prefix) for position in asked]
        judged.searches += len(searches)
        for position, answer in zip(asked, self._queries.answers(searches, deadline), strict=True):
            if not isinstance(answer, SearchFailure):
                self._pasts[ends[position]] = read_own_past(found[position][0], answer)
        pasts = {position: self._pasts[end] for position, end in ends.items() if end in self._pasts}
        usual = {position for position, past in pasts.items() if is_usual(*found[position], past)}
        return usual | self._new_databases(found, ends.keys() - usual, judged, deadline)

    def _new_databases(
        self, found: Sequence[Fired], positions: Collection[int], judged: Judged, deadline: Deadline
    ) -> set[int]:
        """The positions of groups whose database has no event that is old enough to compare with."""
        unusual: dict[tuple[str, str], list[int]] = {}
        for position in sorted(positions):
            detection, group = found[position]
            if (detection.name, group.resource_id) not in self._learned:
                unusual.setdefault((detection.name, group.resource_id), []).append(position)
        asked = {key: min(own, key=lambda number: found[number][1].first_seen) for key, own in unusual.items()}
        everywhere = self._index or self._indices.events
        searches = [Search(everywhere, learned_query(*found[position])) for position in asked.values()]
        judged.searches += len(searches)
        new: set[int] = set()
        for key, answer in zip(asked, self._queries.answers(searches, deadline), strict=True):
            if isinstance(answer, SearchFailure):
                continue
            if was_there(answer):
                self._learned.add(key)
            else:
                new.update(unusual[key])
        return new

    def _clients(self, asked: Sequence[Fired], judged: Judged, deadline: Deadline) -> list[frozenset[Client]]:
        searches = [
            Search(self._index_of(detection, group), clients_query(detection, group)) for detection, group in asked
        ]
        judged.searches += len(searches)
        clients = []
        for (detection, group), answer in zip(asked, self._queries.answers(searches, deadline), strict=True):
            if isinstance(answer, SearchFailure):
                judged.failures[detection.name] = answer.cause
                clients.append(frozenset[Client]())
            else:
                clients.append(read_clients(detection, answer, group))
        return clients

    def _past(
        self, asked: Sequence[Fired], clients: Sequence[frozenset[Client]], judged: Judged, deadline: Deadline
    ) -> set[tuple[int, Client]]:
        """The clients of each group, by its number, that were there before."""
        wanted = [(number, client) for number, own in enumerate(clients) for client in own]
        everywhere = self._index or self._indices.events
        searches = [Search(everywhere, earlier_query(*asked[number], client)) for number, client in wanted]
        judged.searches += len(searches)
        past = set()
        for one, answer in zip(wanted, self._queries.answers(searches, deadline), strict=True):
            # All indices are asked: where an old one cannot answer, what is recent is not kept back for it, and fires.
            if not isinstance(answer, SearchFailure) and was_there(answer):
                past.add(one)
        return past

    def _index_of(self, detection: Detection, group: Candidate) -> str:
        first, last = looked_at_since(detection, group).date(), moment_of(group.last_seen).date()
        return self._index or event_indices(first, last, self._indices.prefix)
