"""Retention policies of Index State Management: how long data is kept is the team's decision.

A policy that we install carries a mark of its content at the end of its description. It distinguishes a policy
that a team changed from one that an earlier version installed: only the latter is replaced (docs/decisions/0011).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from daswatch.canonical import canonical_json

_MARK = re.compile(r" \[daswatch ([0-9a-f]{12})\]$")
# What the plugin adds to each action.
_ADDED_TO_ACTIONS = frozenset({"retry", "timeout"})


def marked(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body to send for a shipped policy."""
    policy = dict(body["policy"])
    policy["description"] = f"{policy['description']} [daswatch {fingerprint(policy)}]"
    return {**body, "policy": policy}


def mark_of(policy: Mapping[str, Any]) -> str:
    """Return the mark of the installed content; empty if there is none, or the description was rewritten."""
    found = _MARK.search(str(policy.get("description", "")))
    return found[1] if found else ""


def fingerprint(policy: Mapping[str, Any]) -> str:
    """What a policy does, without what the plugin adds to it."""
    content = {
        "default": policy.get("default_state"),
        "indices": [
            {"patterns": one.get("index_patterns"), "priority": str(one.get("priority"))}
            for one in policy.get("ism_template") or ()
        ],
        "states": [_state(state) for state in policy.get("states") or ()],
    }
    return blake2b(canonical_json(content), digest_size=6).hexdigest()


def _state(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": state.get("name"),
        "actions": [
            {name: value for name, value in action.items() if name not in _ADDED_TO_ACTIONS}
            for action in state.get("actions") or ()
        ],
        "transitions": state.get("transitions") or [],
    }
