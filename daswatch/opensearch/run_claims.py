"""OpenSearch: which function may run the saved queries in a collection, so that no two runs overlap.

A collection has no versions to write over, and shows what was written some ten seconds later. So a run there must not
begin while another function's may go on, or may not be readable yet. A run claims the minutes in which that is so, each
by a document that only one function can create; a function that claimed a minute goes on claiming the next ones, and
another one runs once it claims none any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

from opensearchpy import OpenSearch

from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.indices import Indices
from daswatch.opensearch.request import request
from daswatch.times import iso_milliseconds

# A run that begins at a minute's last second ends in the next one, and a minute after that it can be read.
CLAIMED = 3
_MINUTE = timedelta(minutes=1)
KEPT_MINUTES = 60  # then a claim is removed


class RunClaims:
    """The claims of one function, for as long as it is warm. Raises SearchUnavailable."""

    def __init__(self, client: OpenSearch, indices: Indices) -> None:
        self._client = client
        self._index = indices.runs
        self._claimed: set[datetime] = set()

    def claim(self, now: datetime, deadline: Deadline) -> bool:
        """Claim the minutes of a run that begins now; False where another function claimed one of them.

        A claim whose answer is lost counts as another function's: it lapses, too.
        """
        this_minute = now.replace(second=0, microsecond=0)
        for number in range(CLAIMED):
            minute = this_minute + number * _MINUTE
            if minute not in self._claimed:
                if not self._create(minute, now, deadline):
                    return False
                self._claimed.add(minute)
        self._claimed = {minute for minute in self._claimed if minute >= this_minute}
        self._remove(this_minute - KEPT_MINUTES * _MINUTE, deadline)
        return True

    def _create(self, minute: datetime, now: datetime, deadline: Deadline) -> bool:
        path = f"/{self._index}/_create/{_id(minute)}"
        try:
            request(self._client, "PUT", path, deadline=deadline, body={"since": iso_milliseconds(now)})
        except SearchUnavailable as exc:
            if exc.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def _remove(self, minute: datetime, deadline: Deadline) -> None:
        try:
            request(self._client, "DELETE", f"/{self._index}/_doc/{_id(minute)}", deadline=deadline)
        except SearchUnavailable:
            pass  # none was made then; one that stays disturbs nothing


def _id(minute: datetime) -> str:
    return f"run-{minute:%Y-%m-%dT%H:%M}"
