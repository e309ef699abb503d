"""Whether what an endpoint holds is what was sent: services fill in defaults, and write numbers as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def contains(there: Any, shipped: Any) -> bool:
    """Whether everything that is shipped is there, compared as text; what else is there does not count."""
    if isinstance(shipped, Mapping):
        return isinstance(there, Mapping) and all(
            name in there and contains(there[name], value) for name, value in shipped.items()
        )
    if isinstance(shipped, list | tuple):
        return (
            isinstance(there, list | tuple)
            and len(there) == len(shipped)
            and all(contains(left, right) for left, right in zip(there, shipped, strict=True))
        )
    return _as_text(there) == _as_text(shipped)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
