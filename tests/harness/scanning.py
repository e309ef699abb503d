"""How much of a text is looked at: patterns that count the characters they pass. No clock is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from daswatch.sql.statements import Patterns


@dataclass
class Work:
    """The characters that all counted patterns passed, and how often they were asked."""

    characters: int = 0
    calls: int = 0

    def add(self, characters: int) -> None:
        self.characters += characters
        self.calls += 1


@dataclass
class CountedPattern:
    """A compiled pattern that counts."""

    pattern_: re.Pattern[str]
    work: Work = field(repr=False)

    @property
    def pattern(self) -> str:
        return self.pattern_.pattern

    def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str, count: int = 0) -> str:
        self.work.add(len(text))
        return self.pattern_.sub(replacement, text, count)

    def finditer(self, text: str, *span: int) -> Iterator[re.Match[str]]:
        position = span[0] if span else 0
        for match in self.pattern_.finditer(text, *span):
            self.work.add(match.end() - position)
            position = match.end()
            yield match
        self.work.add((span[1] if len(span) > 1 else len(text)) - position)

    def findall(self, text: str) -> list[Any]:
        self.work.add(len(text))
        return self.pattern_.findall(text)

    def search(self, text: str, *span: int) -> re.Match[str] | None:
        match = self.pattern_.search(text, *span)
        end = match.end() if match else span[1] if len(span) > 1 else len(text)
        self.work.add(end - (span[0] if span else 0))
        return match

    def match(self, text: str, *span: int) -> re.Match[str] | None:
        match = self.pattern_.match(text, *span)
        self.work.add(match.end() - match.start() if match else 1)
        return match

    def fullmatch(self, text: str, *span: int) -> re.Match[str] | None:
        self.work.add((span[1] if len(span) > 1 else len(text)) - (span[0] if span else 0))
        return self.pattern_.fullmatch(text, *span)


def count_work(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Work:
    """Count what all patterns of these modules do from now on."""
    work = Work()
    for module in modules:
        for name, value in vars(module).copy().items():
            if isinstance(value, Patterns):
                for key in value.expressions:
                    assert value[key]
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, CountedPattern(value, work))
            elif isinstance(value, dict) and any(isinstance(item, re.Pattern) for item in value.values()):
                counted: dict[str, Any] = {key: CountedPattern(item, work) for key, item in value.items()}
                monkeypatch.setattr(module, name, counted)
    return work
