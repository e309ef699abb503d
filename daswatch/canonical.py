"""JSON that is the same for the same content, for any value that JSON readers give."""

from __future__ import annotations

import json

import orjson


def canonical_json(value: object) -> bytes:
    """Compact JSON with sorted keys; what is not JSON is kept by its repr.

    Raises RecursionError for values that are nested some thousand levels deep.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # orjson reads more than it writes: it stops at 254 levels, at 64 bits, at unpaired surrogates.
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr).encode("ascii")
