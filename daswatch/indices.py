"""The names of a deployment: everything that it owns at an endpoint is named by its index prefix.

A prefix is a stem and `-events`. Events are in `<stem>-events-…`, alerts in `<stem>-alerts`, and so on; templates,
roles, policies, monitors and saved objects have the stem as well. Deployments with different prefixes share nothing:
`-events`, `-drops`, `-posture`, `-tallies` and `-completeness`, the only names with something behind them, are refused
within a stem, so no pattern of one deployment matches a name of another (docs/decisions/0024).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_INDEX_PREFIX = "das-events"
DEFAULT_STEM = "das"
PREFIX_EXPECTED = "lower case letters, digits, _ and single hyphens, ending in -events, like das-events"
STEM_EXPECTED = (
    "nothing in front of the last -events that holds -events, -drops, -posture, -tallies or -completeness: another "
    "deployment's patterns match"
)

_ENDING = "-events"
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_]*(?:-[a-z0-9_]+)*-events")
_LONGEST = 60  # the subject of a monitor's message, which SNS bounds, has the stem in it
_PATTERNED = ("-events", "-drops", "-posture", "-tallies", "-completeness")  # what has days or months behind it


def problem_of(prefix: str) -> tuple[str, str]:
    """What is wrong with an index prefix, and what it should be; both empty where nothing is."""
    if not _PREFIX.fullmatch(prefix) or len(prefix) > _LONGEST:
        return "is not an index prefix", PREFIX_EXPECTED
    stem = prefix.removesuffix(_ENDING)
    if any(name in stem for name in _PATTERNED):
        return "collides with the indices of another deployment", STEM_EXPECTED
    return "", ""


@dataclass(frozen=True, slots=True)
class Indices:
    """The indices of one deployment, and the stem of all its names."""

    prefix: str = DEFAULT_INDEX_PREFIX

    def __post_init__(self) -> None:
        if any(problem_of(self.prefix)):
            raise ValueError(self.prefix)

    @property
    def stem(self) -> str:
        """What all names begin with."""
        return self.prefix.removesuffix(_ENDING)

    @property
    def is_default(self) -> bool:
        """Whether names are those of a deployment that sets no prefix."""
        return self.stem == DEFAULT_STEM

    @property
    def events(self) -> str:
        """The pattern of all events, dated and undated."""
        return f"{self.prefix}-*"

    @property
    def alerts(self) -> str:
        """The index of alerts."""
        return f"{self.stem}-alerts"

    @property
    def seen(self) -> str:
        """The index of what first-seen detections know."""
        return f"{self.stem}-seen"

    @property
    def runs(self) -> str:
        """The index of how far the saved queries have come."""
        return f"{self.stem}-runs"

    @property
    def pulse(self) -> str:
        """The index of when each instance was last heard."""
        return f"{self.stem}-pulse"

    @property
    def dead_letters(self) -> str:
        """The index of records that can never succeed."""
        return f"{self.stem}-dead-letters"

    @property
    def control_plane(self) -> str:
        """The index of calls of AWS's API."""
        return f"{self.stem}-control-plane"

    @property
    def drops(self) -> str:
        """The template of what was dropped; each month has an index, named by it and the month."""
        return f"{self.stem}-drops"

    @property
    def databases(self) -> str:
        """The index of all databases, by account, region and resource id."""
        return f"{self.stem}-databases"

    @property
    def enrolments(self) -> str:
        """The index of how far each database is enrolled, by account, region and resource id."""
        return f"{self.stem}-enrolments"

    @property
    def replays(self) -> str:
        """The index of who opened evidence, when and which, and how far that came."""
        return f"{self.stem}-replays"

    @property
    def posture(self) -> str:
        """The template of the posture's history; each month has an index, named by it and the month."""
        return f"{self.stem}-posture"

    @property
    def tallies(self) -> str:
        """The template of what was ingested; each day has an index, named by it and the day."""
        return f"{self.stem}-tallies"

    @property
    def completeness(self) -> str:
        """The template of whether anything is missing; each month has an index, named by it and the month."""
        return f"{self.stem}-completeness"

    @property
    def saved_object_start(self) -> str:
        """What the ids of saved objects begin with. Two hyphens are in no stem and no id, so none is another's."""
        return f"{self.stem}-" if self.is_default else f"{self.stem}--"

    def titled(self, title: str) -> str:
        """A title that people see, with the stem where there may be another of that name."""
        return title if self.is_default else f"{title} ({self.stem})"

    def untitled(self, title: str) -> str:
        """The title without what `titled` added."""
        return title if self.is_default else title.removesuffix(f" ({self.stem})")
