"""docs/control-plane.md: the table of signals of AWS API calls, from the code and the rules.

python -m tools.control_plane_page   # writes it
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daswatch.detections import reference_pages
from daswatch.detections.detection import Detection, Source
from daswatch.detections.sigma import compile_all
from daswatch.documents.call_signals import CALL_SIGNALS
from tools.markers import with_part

PAGE = Path(__file__).parents[1] / "docs" / "control-plane.md"
BEGIN, END = "<!-- signals: made by python -m tools.control_plane_page -->", "<!-- end of signals -->"


def table() -> str:
    """Each signal with its meaning, the calls that can have it, and the detections that report it."""
    detections = [one for one in compile_all() if one.source is Source.CONTROL_PLANE]
    head = ["Signal", "Meaning", "Calls", "Detection, level"]
    rows = [
        [f"`{one.name}`", one.meaning, ", ".join(one.calls), "<br>".join(_reported(one.name, detections))]
        for one in CALL_SIGNALS
    ]
    return reference_pages.table(head, rows)


def with_table(page: str) -> str:
    """The page with the table of the code. Raises ValueError where the page has no place for it."""
    return with_part(page, BEGIN, END, table())


def _reported(signal: str, detections: list[Detection]) -> Iterator[str]:
    for detection in detections:
        if _names(_selected(detection.query), signal):
            yield f"{detection.name}, {_level(signal, detection)}"


def _selected(query: str) -> str:
    """A query without what it leaves out."""
    while (begin := query.find("(NOT ")) >= 0:
        depth, end = 1, begin + 1
        while depth:
            depth += {"(": 1, ")": -1}.get(query[end], 0)
            end += 1
        query = query[:begin] + query[end:]
    return query


def _level(signal: str, detection: Detection) -> str:
    """The highest level of a condition for which one such call is enough."""
    levels = [
        one.level for one in detection.conditions if one.level and _names(one.query, signal) and one.at_least == 1
    ]
    return max([detection.level, *levels], key=lambda level: level.rank).value


def _names(query: str, signal: str) -> bool:
    return signal in query.replace("\\", "").replace("(", " ").replace(")", " ").replace("signals:", " ").split()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
