"""The part of a page between two markers, which a generator owns."""

from __future__ import annotations


def replaced(page: str, begin: str, end: str, content: str) -> str | None:
    """The page with other content between its markers; None where it lacks one of them."""
    before, found, rest = page.partition(begin)
    _, ends, after = rest.partition(end)
    return f"{before}{begin}\n{content}\n{end}{after}" if found and ends else None


def with_part(page: str, begin: str, end: str, content: str) -> str:
    """The page with other content between its markers, apart from these. Raises ValueError where it lacks one."""
    found = replaced(page, begin, end, f"\n{content}\n")
    if found is None:
        raise ValueError(f"the page has no place for what the code has: {begin} … {end}")
    return found
