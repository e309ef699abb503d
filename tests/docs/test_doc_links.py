"""Files, folders and sections that the documents name or link to exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import ROOT

PAGES = sorted([*ROOT.glob("*.md"), ROOT / "terraform" / "README.md", *(ROOT / "docs").rglob("*.md")])
_ANYWHERE = (
    "daswatch|demo|tests|tools|docs|dashboards|detections|index_templates|remediation|athena|terraform|[a-z]+_lambda"
)
_IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_IDS)
def test_links_lead_to_files_and_sections(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("page", PAGES, ids=_IDS)
def test_named_paths_exist(page: Path) -> None:
    """A path in backticks is one of the checkout; `*` and `<name>` stand for any name."""
    named = re.findall(rf"`((?:{_ANYWHERE})/[\w./*<>-]*)`", page.read_text("utf-8"))

    assert [path for path in named if not any(ROOT.glob(re.sub(r"<[\w-]+>", "*", path).rstrip("/")))] == []
