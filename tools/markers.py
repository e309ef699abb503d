"""The part of a page between two markers, which a generator owns."""

from __future__ import annotations


def replaced(page: str, begin: str, end: str, content: str) -> str | None:
    """The page with other content between its markers; None where it lacks one of them."""
    before, found, rest = page.partition(begin)
    _, ends, after = rest.partition(end)
    return f"{before}{begin}\n{content}\n{end}{after}" if found and ends else None
