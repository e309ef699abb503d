"""What a test installed under a prefix of its own, gone again: the node is shared."""

from __future__ import annotations

from opensearchpy import OpenSearch

from daswatch.indices import Indices


def remove(search: OpenSearch, prefix: str) -> None:
    """Delete the indices and templates of a prefix, as far as there are any."""
    names = f"{Indices(prefix).stem}-*"
    search.indices.delete(index=names)
    for path in ("_index_template", "_component_template"):
        search.transport.perform_request("DELETE", f"/{path}/{names}", params={"ignore": 404})
