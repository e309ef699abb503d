"""OpenSearch: hours are checked for what is missing, and their verdicts written.

The function checks each hour once it is over, and again those in which something was missing, for a day: Lambda may
deliver that late. The command checks what it is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daswatch.deadline import Deadline
from daswatch.enrolment.first_records import SPAN
from daswatch.evidence.completeness import (
    HOUR,
    Before,
    Document,
    FleetInstances,
    HourKnown,
    Instance,
    MinuteCounts,
    Verdict,
    differing,
    document_id,
    document_of,
    hour_of,
    hours_between,
    judged,
)
from daswatch.evidence.digests import Digests, document_words, record_words
from daswatch.evidence.gap_findings import REPORTED, DatabaseGap, gaps_of
from daswatch.indexing.tallies import KEPT
from daswatch.opensearch.completeness_index import CompletenessIndex, Pair
from daswatch.times import iso_milliseconds

# An hour is judged so long after its end: what arrived in its last second is in the index, and can be found.
SETTLED = timedelta(minutes=10)
# Lambda delivers records again until they are 23 hours old.
LATE = timedelta(hours=25)
# What a replay counted is found so long afterwards.
_FOUND = timedelta(minutes=1)
_MOST_HOURS = 6  # that a run catches up on
_SHORTEST_SECONDS = 20.0  # for an hour


@dataclass(slots=True)
class CompletenessReport:
    """What a run checked: hours, and of how many instances' hours something is missing or unknown."""

    hours: int = 0
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    cause: str = ""  # why it ended early; the next run goes on there


class CompletenessCheck:
    """Checks hours of one deployment. Raises SearchUnavailable."""

    def __init__(self, index: CompletenessIndex) -> None:
        self._index = index

    def run(self, fleet: FleetInstances, now: datetime, deadline: Deadline) -> CompletenessReport:
        """Check what is due: new hours first, then those in which something was missing, or has gone since.

        Of what is older than a day, the hours of which a replay has brought something back.
        """
        report = CompletenessReport()
        for hour in self._due(now, deadline):
            if deadline.remaining < _SHORTEST_SECONDS:
                report.cause = "out of time"
                break
            for document in self.check(hour, fleet, now, deadline).values():
                verdict = Verdict(document["verdict"])
                report.verdicts[verdict] = report.verdicts.get(verdict, 0) + 1
            report.hours += 1
        return report

    def check(self, hour: datetime, fleet: FleetInstances, now: datetime, deadline: Deadline) -> dict[str, Document]:
        """Judge all instances of an hour, and write the verdicts."""
        tallied = self._index.tallied(hour, deadline)
        replayed = self._index.replayed(hour, deadline)
        indexed = self._index.indexed(hour, deadline)
        before = self._index.before(hour, deadline)
        archives = set(self._index.manifested(hour, deadline))
        instances = {*tallied, *before, *archives}
        known_pairs = {(one.resource_id, one.instance_id) for one in instances}
        instances |= {Instance(*pair) for pair in indexed.keys() - known_pairs}
        documents: dict[str, Document] = {}
        for instance in sorted(instances, key=lambda one: (one.resource_id, one.instance_id)):
            pair = (instance.resource_id, instance.instance_id)
            minutes, there = tallied.get(instance, {}), indexed.get(pair, {})
            missing = {
                minute: self._missing(pair, hour + timedelta(minutes=minute), deadline)
                for minute in differing(minutes, there)
            }
            known = HourKnown(
                minutes=minutes,
                indexed=there,
                missing=missing,
                dead_letters=self._unprocessed(pair, hour, minutes, deadline),
                replayed=replayed.get(pair, ()),
                before=before.get(instance, Before()),
                is_present=fleet.has(instance),
                is_instance=bool(instance.instance_id),
            )
            if not minutes and not there and not known.is_present and instance not in archives:
                continue  # stopped or removed
            archive = self._index.archive(instance.resource_id, hour, deadline) if instance in archives else None
            documents[document_id(instance, hour)] = document_of(
                instance, hour, known, judged(known, archive), iso_milliseconds(now), fleet.name_of(instance)
            )
        self._index.write(documents, deadline)
        return documents

    def gaps(self, now: datetime, deadline: Deadline) -> dict[str, DatabaseGap]:
        """What is missing of each database, by resource id, in hours that can be checked again and are not settling."""
        return gaps_of(self._index.holes(now - REPORTED, deadline))

    def _missing(self, pair: Pair, minute: datetime, deadline: Deadline) -> int:
        """How many of the documents that were counted in a minute are not in the index."""
        counted = Digests()
        for text in self._index.counted_digests(pair, minute, deadline):
            counted.take(document_words(text))
        for text in self._index.indexed_digests(pair, minute, deadline):
            counted.mark_all(document_words(text))
        return counted.unmarked

    def _unprocessed(
        self, pair: Pair, hour: datetime, minutes: Mapping[int, MinuteCounts], deadline: Deadline
    ) -> dict[int, int]:
        """How many dead letters of each minute no tally has as processed.

        A replay of the archive knows when a record arrived to within an object.
        """
        letters: dict[int, Digests] = {}
        together = Digests()
        for minute in sorted(minute for minute, counts in minutes.items() if counts.dead_letters):
            letters[minute] = Digests()
            for text in self._index.dead_letter_digests(pair, hour + timedelta(minutes=minute), deadline):
                letters[minute].take(record_words(text))
                together.take(record_words(text))
        if letters:
            begin, until = (hour + timedelta(minutes=minute) for minute in (min(letters), max(letters)))
            for text in self._index.processed_digests(pair[0], begin - SPAN, until + SPAN, deadline):
                found = [word for word in record_words(text) if together.mark(word) is not None]
                for one in letters.values():
                    one.mark_all(found)
        return {minute: one.unmarked for minute, one in letters.items()}

    def _due(self, now: datetime, deadline: Deadline) -> list[datetime]:
        settled = hour_of(now - SETTLED)  # the first that is not over
        last = self._index.last_hour(deadline)
        if last is None:
            first = self._index.first_tally(now - LATE, deadline)
            if first is None:
                return []
            last = hour_of(first) - HOUR
        begin = max(last + HOUR, hour_of(now - LATE))
        new = hours_between(begin, settled)[:_MOST_HOURS]
        late, kept = hour_of(now - LATE), hour_of(now - KEPT)
        replayed = self._index.hours_replayed(kept, deadline)
        again = {
            hour
            for hour, checked in self._index.hours_with_holes(kept, deadline).items()
            if hour >= late or (hour in replayed and replayed[hour] + _FOUND > checked)
        }
        again |= self._index.recount(late, settled, deadline)
        return [*new, *sorted(hour for hour in again if hour not in new and hour < settled)]
