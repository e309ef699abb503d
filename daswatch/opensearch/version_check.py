"""Whether what answers is an OpenSearch that Daswatch works with, before anything else is asked or planned.

A server that answers 404 to everything looks like an empty OpenSearch otherwise: all content "to create".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from opensearchpy import OpenSearch
from opensearchpy.exceptions import SerializationError, TransportError

from daswatch.deadline import Deadline
from daswatch.errors import LEAST_OPENSEARCH, NotOpenSearch, SearchUnavailable, TooOld
from daswatch.opensearch.request import command_deadline, request

_REFUSED = (401, 403)  # the Security plugin answers in plain text, a domain's access policy in words of its own
_BUSY = (429, 502, 503, 504)  # a load balancer in front of a domain answers for it, in HTML
_TAGLINE = "The OpenSearch Project"
_NO_INDEX = "das-no-such-index-*"


def check_opensearch(client: OpenSearch, service: Literal["es", "aoss"], deadline: Deadline | None = None) -> None:
    """Raises NotOpenSearch where another server answers, TooOld where it is, SearchUnavailable where none answers.

    A refusal passes: a role that may search need not be allowed `GET /`, and the next request says the same otherwise.
    A Serverless collection does not answer `GET /`, and has no version: it is known by how it answers a search of no
    index.
    """
    deadline, number = deadline or command_deadline(), ""
    try:
        if service == "aoss":
            path, params = f"/{_NO_INDEX}/_search", {"size": "0"}
            answer = request(client, "GET", path, deadline=deadline, params=params)
            found = "" if isinstance(_part(answer, "hits").get("hits"), list) else "its answer to a search has no hits"
        else:
            answer = request(client, "GET", "/", deadline=deadline)
            found, number = _distribution(answer), _version(answer)
    except SearchUnavailable as exc:
        if isinstance(exc.__cause__, SerializationError):
            raise NotOpenSearch("it answers without JSON") from exc
        if exc.status in _REFUSED:
            return
        if exc.status in (0, *_BUSY) or not _answered(exc) or _in_words_of_opensearch(exc):
            raise
        raise NotOpenSearch(f"it answers {exc.status}, not as OpenSearch does", exc.status) from exc
    if found:
        raise NotOpenSearch(found)
    if number and is_too_old(number):
        raise TooOld(number)


def is_too_old(number: str) -> bool:
    """Whether a version is before LEAST_OPENSEARCH; what cannot be read is not."""
    found = re.match(r"(\d+)\.(\d+)", number)
    return found is not None and (int(found[1]), int(found[2])) < LEAST_OPENSEARCH


def _distribution(answer: Any) -> str:
    """What else it is than OpenSearch; empty where it is."""
    version = _part(answer, "version")
    number = version.get("number")
    tagline = str(answer.get("tagline", "")) if isinstance(answer, Mapping) else ""
    # In compatibility mode (`compatibility.override_main_response_version`) only the tagline names OpenSearch.
    if number and (version.get("distribution") == "opensearch" or tagline.startswith(_TAGLINE)):
        return ""
    if "You Know, for Search" in tagline:
        return f"it is Elasticsearch {number}"
    return "its answer to GET / names no version of OpenSearch"


def _version(answer: Any) -> str:
    """OpenSearch's own number; empty in compatibility mode, where it gives that of Elasticsearch."""
    version = _part(answer, "version")
    return str(version.get("number", "")) if version.get("distribution") == "opensearch" else ""


def _part(answer: Any, name: str) -> Mapping[str, Any]:
    part = answer.get(name) if isinstance(answer, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _answered(exc: SearchUnavailable) -> bool:
    """Whether the endpoint itself answered; a password that cannot be read has a status, too."""
    return isinstance(exc.__cause__, TransportError)


def _in_words_of_opensearch(exc: SearchUnavailable) -> bool:
    cause = exc.__cause__
    return isinstance(cause, TransportError) and isinstance(cause.info, Mapping) and "error" in cause.info
