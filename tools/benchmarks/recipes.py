"""The recipes of docs/searching.md, exactly as their reader sees them: tests and benchmarks run these."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "searching.md"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question, and the searches that answer it, by their language, in the page's order."""

    question: str
    dql: tuple[str, ...]
    lucene: tuple[str, ...]
    json: tuple[str, ...]

    @property
    def body(self) -> dict[str, Any]:
        """The query DSL as a body of `_search`, of which each recipe has one."""
        (text,) = self.json
        body: dict[str, Any] = json.loads(text)
        return body


def recipes(page: str | None = None) -> list[Recipe]:
    """All recipes of a page: its headings that are questions, with the code below them."""
    text = PAGE.read_text("utf-8") if page is None else page
    sections = (section.partition("\n") for section in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:])
    return [_recipe(heading.strip(), content) for heading, _, content in sections if heading.strip().endswith("?")]


def _recipe(question: str, content: str) -> Recipe:
    blocks: dict[str, list[str]] = {"dql": [], "lucene": [], "json": []}
    for language, text in _BLOCK.findall(content):
        if language not in blocks:
            raise ValueError(f"{question}: no search is written in {language}")
        blocks[language].append(text.strip())
    return Recipe(question, **{language: tuple(texts) for language, texts in blocks.items()})
