"""OpenSearch: which prompt look is the last one, so that a flood of requests leads to few looks.

A look finds everything that was written before it begins. So a request is done once a look is claimed that begins
later than its documents were written, by whichever function, and there is one claim at a time: it is written over the
version that was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.indices import Indices
from daswatch.opensearch.request import LENIENT, request
from daswatch.times import iso_milliseconds, moment_of

_LOOK = "look"


@dataclass(frozen=True, slots=True)
class Claim:
    """A look, by the time at which it begins; `version` is that of its document."""

    begins: datetime
    version: tuple[int, int]


class LookClaims:
    """The claims of one deployment. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, indices: Indices) -> None:
        self._client = client
        self._indices = indices

    def last(self, deadline: Deadline) -> Claim | None:
        """The claim of the last look; None before the first."""
        try:
            answer = request(self._client, "GET", f"/{self._indices.runs}/_doc/{_LOOK}", deadline=deadline)
        except SearchUnavailable as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Claim(moment_of(answer["_source"]["since"]), (answer["_seq_no"], answer["_primary_term"]))

    def claim(self, before: Claim | None, begins: datetime, deadline: Deadline) -> bool:
        """Claim the look that begins at a time; False where another function claimed one since `before` was read."""
        path = f"/{self._indices.runs}/_doc/{_LOOK}" if before else f"/{self._indices.runs}/_create/{_LOOK}"
        number, term = before.version if before else (0, 0)
        over = {"if_seq_no": str(number), "if_primary_term": str(term)} if before else {}
        body = {"since": iso_milliseconds(begins)}
        try:
            request(self._client, "PUT", path, deadline=deadline, body=body, params=over)
        except SearchUnavailable as exc:
            if exc.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def refresh(self, events: str, deadline: Deadline) -> None:
        """Let searches find everything that is written to these indices."""
        request(self._client, "POST", f"/{events}/_refresh", deadline=deadline, params=LENIENT)
