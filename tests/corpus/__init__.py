"""Statements of the four engines, one a line: the engine, a tab, the statement. All were written for these tests."""

from __future__ import annotations

from pathlib import Path

ENGINES = ("postgresql", "mysql", "oracle", "sqlserver")


def statements(name: str) -> list[tuple[str, str]]:
    """The (engine, statement) pairs of one file."""
    lines = (Path(__file__).parent / f"{name}.tsv").read_text("utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if line and not line.startswith("#"))
    return [(engine, text) for engine, text in pairs]
