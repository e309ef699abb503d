"""Templates and indices of a prefix that only one test uses at a time: the node is shared.

Installing the templates takes longer than most tests, so a later test gets what an earlier one gives back unchanged.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from opensearchpy import OpenSearch

from daswatch.content.templates import shipped_content
from daswatch.indices import Indices
from daswatch.opensearch.templates import ContentGateway

_PATHS = ("_index_template", "_component_template")
# A write that a test gave up may arrive after its end: a prefix rests while at least this many other tests run.
_RESTING = 6

# By client: the templates of each prefix as they were installed, and the prefixes that no test uses, oldest first.
_installed: WeakKeyDictionary[OpenSearch, dict[str, Mapping[str, Any]]] = WeakKeyDictionary()
_free: WeakKeyDictionary[OpenSearch, deque[str]] = WeakKeyDictionary()


def installed_prefix(search: OpenSearch) -> str:
    """A prefix with the shipped templates and without indices, for one test."""
    free = _free.setdefault(search, deque())
    if len(free) >= _RESTING:
        prefix = free.popleft()
        _delete_indices(search, prefix)
        return prefix
    prefix = f"t-{secrets.token_hex(6)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    _installed.setdefault(search, {})[prefix] = _templates(search, prefix)
    return prefix


def give_back(search: OpenSearch, prefix: str) -> None:
    """Delete the indices; keep the prefix for a later test where its templates are what was installed."""
    _delete_indices(search, prefix)
    if _templates(search, prefix) == _installed.setdefault(search, {}).get(prefix):
        _free.setdefault(search, deque()).append(prefix)
    else:
        _delete_templates(search, prefix)


def remove(search: OpenSearch, prefix: str) -> None:
    """Delete the indices and templates of a prefix, as far as there are any."""
    _delete_indices(search, prefix)
    _delete_templates(search, prefix)


def _own(prefix: str) -> str:
    return f"{Indices(prefix).stem}-*"


def _templates(search: OpenSearch, prefix: str) -> Mapping[str, Any]:
    return {
        path: search.transport.perform_request("GET", f"/{path}/{_own(prefix)}", params={"ignore": 404})
        for path in _PATHS
    }


def _delete_indices(search: OpenSearch, prefix: str) -> None:
    search.indices.delete(index=_own(prefix))


def _delete_templates(search: OpenSearch, prefix: str) -> None:
    for path in _PATHS:
        search.transport.perform_request("DELETE", f"/{path}/{_own(prefix)}", params={"ignore": 404})
