"""docs/coverage.md: ATT&CK techniques by engine with the detections that a sample shows, and what is not seen.

python -m tools.coverage_page   # writes it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import orjson

from daswatch.detections.detection import Detection
from daswatch.detections.reference_pages import attack_url, escaped, table
from daswatch.detections.samples import CONTROL_PLANE, Sample, samples_of
from daswatch.detections.sigma import compile_all
from tools.markers import with_part

PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
ATTACK = Path(__file__).with_name("attack-17.0.json")
ENGINES = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "oracle": "Oracle",
    "sqlserver": "SQL Server",
    CONTROL_PLANE: "AWS API",
}
# ATT&CK's own order of tactics is not the order of their numbers.
TACTICS = (
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
    "defense-evasion", "credential-access", "discovery", "lateral-movement", "collection", "command-and-control",
    "exfiltration", "impact",
)  # fmt: skip
_WORDS_IN_LOWER_CASE = {"and"}


@dataclass(frozen=True, slots=True)
class Attack:
    """MITRE ATT&CK (Enterprise) of one version."""

    version: str
    techniques: Mapping[str, str]  # T1078.004 -> Cloud Accounts
    tactics: Mapping[str, frozenset[str]]  # of each technique

    def name(self, technique: str) -> str:
        """The name; of a sub-technique with its technique's."""
        parent, dot, _ = technique.partition(".")
        return f"{self.techniques[parent]}: {self.techniques[technique]}" if dot else self.techniques[technique]


@dataclass(frozen=True, slots=True)
class Shown:
    """A detection with the techniques of which a sample of an engine shows that it fires."""

    detection: Detection
    techniques: Mapping[str, frozenset[str]]  # by engine

    def of(self, tactic: str, engine: str, attack: Attack) -> frozenset[str]:
        """Its techniques of a tactic: those that ATT&CK has there, if the detection is tagged with the tactic too."""
        if tactic not in self.detection.attack:
            return frozenset()
        return frozenset(one for one in self.techniques.get(engine, ()) if tactic in attack.tactics[one])


def read_attack() -> Attack:
    """ATT&CK as it is pinned in the repository."""
    content = orjson.loads(ATTACK.read_bytes())
    tactics = {technique: frozenset(names) for technique, names in content["technique_tactics"].items()}
    return Attack(content["version"], content["techniques"], tactics)


def shown(detections: Iterable[Detection], attack: Attack) -> list[Shown]:
    """Each detection with what its matching samples show: the techniques that they name, or all of the rule."""
    return [Shown(one, _techniques(one, samples_of(one.name), attack)) for one in detections]


def _techniques(detection: Detection, samples: Iterable[Sample], attack: Attack) -> dict[str, frozenset[str]]:
    own = [tag for tag in detection.attack if tag.upper() in attack.techniques]
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.expected == "match":
            found.setdefault(sample.engine, set()).update(tag.upper() for tag in sample.attack or own)
    return {engine: frozenset(names) for engine, names in found.items()}


def overview(rows: Sequence[Shown], attack: Attack) -> str:
    """A square for each detection, by tactic and engine."""
    return table(
        ("tactic", *ENGINES.values()),
        [
            (f"[{_title(tactic)}](#{tactic})", *(_squares(rows, tactic, engine, attack) for engine in ENGINES))
            for tactic in TACTICS
        ],
    )


def matrix(rows: Sequence[Shown], attack: Attack) -> str:
    """A table of techniques for each tactic, with the detections by engine."""
    return "\n\n".join(_tactic(tactic, rows, attack) for tactic in TACTICS)


def blind_spots(rows: Iterable[Shown]) -> str:
    """What each detection does not see, by its own words."""
    return "\n".join(
        _wrapped(f"- **{one.detection.name}**: {' '.join(escaped(text) for text in one.detection.blind_spots)}")
        for one in rows
        if one.detection.blind_spots
    )


def with_tables(page: str) -> str:
    """The page with the tables of the corpus. Raises ValueError where the page has no place for one."""
    attack = read_attack()
    rows = shown(compile_all(), attack)
    for name, text in (
        ("overview", overview(rows, attack)),
        ("matrix", matrix(rows, attack)),
        ("blind spots", blind_spots(rows)),
    ):
        begin, end = f"<!-- {name}: made by python -m tools.coverage_page -->", f"<!-- end of {name} -->"
        page = with_part(page, begin, end, text)
    return page


def _squares(rows: Sequence[Shown], tactic: str, engine: str, attack: Attack) -> str:
    here = [one for one in rows if one.of(tactic, engine, attack)]
    enabled = sum(one.detection.enabled for one in here)
    return "■" * enabled + "□" * (len(here) - enabled) or "·"


def _tactic(tactic: str, rows: Sequence[Shown], attack: Attack) -> str:
    techniques = sorted({found for one in rows for engine in ENGINES for found in one.of(tactic, engine, attack)})
    if not techniques:
        return f"### {_title(tactic)}\n\nNo detection."
    techniques_table = table(
        ("technique", *ENGINES.values()),
        [
            (
                f"[{technique}]({attack_url(technique)}) {attack.name(technique)}",
                *(_detections(rows, technique, tactic, engine, attack) for engine in ENGINES),
            )
            for technique in techniques
        ],
    )
    return f"### {_title(tactic)}\n\n{techniques_table}"


def _detections(rows: Sequence[Shown], technique: str, tactic: str, engine: str, attack: Attack) -> str:
    return "<br>".join(_link(one.detection) for one in rows if technique in one.of(tactic, engine, attack))


def _link(detection: Detection) -> str:
    link = f"[{detection.name}](../detections/{detection.name}/rule.yml)"
    return link if detection.enabled else f"*{link}*"


def _title(tactic: str) -> str:
    words = (word if word in _WORDS_IN_LOWER_CASE else word.capitalize() for word in tactic.split("-"))
    return " ".join(words)


def _wrapped(entry: str) -> str:
    return fill(entry, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
