"""The guide to detections, and its code blocks."""

from __future__ import annotations

import re

from tests import ROOT

GUIDE = (ROOT / "docs" / "detections.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)


RULE_OF_THE_GUIDE = next(block for block in blocks(GUIDE, "yaml") if block.startswith("title:"))
