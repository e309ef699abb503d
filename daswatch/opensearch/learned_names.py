"""Names of databases for a function that must never wait for them: read in the background, used as they are.

An invocation starts the reading, if it is due, and takes whatever is known at each record. Lambda freezes a function
between invocations, its threads included: a reading that was frozen goes on in the next one, or meets its deadline or a
closed connection there, and is then repeated. What is unknown until then goes without a name, and gets it later
(`daswatch.opensearch.earlier_events`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from daswatch.deadline import Clock, Deadline
from daswatch.errors import DaswatchError
from daswatch.fleet.names import Names, fields_read
from daswatch.indices import Indices
from daswatch.opensearch.database_documents import read_documents

READ_EVERY_SECONDS = 180.0
_LONGEST_READING_SECONDS = 30.0
# Events and evidence are kept for so long by default: what arrives, or is delivered again, may be of a database that
# was deleted since. Without a limit, memory grows with each database that there ever was.
GONE_DAYS = 400


class LearnedNames:
    """The names of one deployment's databases, for as long as a function is warm.

    `client` is its own: a reading that hangs holds no connection that a write needs.
    """

    def __init__(self, client: OpenSearch, indices: Indices, tags: Sequence[str], clock: Clock = time) -> None:
        self._client = client
        self._index = indices.databases
        self._tags = tags
        self._clock = clock
        self._names = Names()
        self._begun: float | None = None
        self._reading: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failures = 0
        self._cause = ""

    def refresh(self) -> None:
        """Start to read the names, unless that is under way or was done lately. Returns at once."""
        now = self._clock.monotonic()
        if self._begun is not None and now - self._begun < READ_EVERY_SECONDS:
            return
        if self._reading and self._reading.is_alive():
            return
        self._begun = now
        self._reading = threading.Thread(target=self._read, daemon=True, name="names")
        self._reading.start()

    def fields(self, account_id: str, region: str, resource_id: str, instance_id: str = "") -> Mapping[str, Any]:
        """What is known of a database now; see Names."""
        return self._names.fields(account_id, region, resource_id, instance_id)

    def failures(self) -> tuple[int, str]:
        """How many readings failed since this was last asked, and why the last one did."""
        with self._lock:
            failed = self._failures, self._cause
            self._failures, self._cause = 0, ""
        return failed

    def _read(self) -> None:
        try:
            deadline = Deadline.after(_LONGEST_READING_SECONDS)
            fields = fields_read(self._tags)
            documents = read_documents(self._client, self._index, deadline, fields, gone_days=GONE_DAYS)
            self._names = Names.of(documents.values(), self._tags)
        except DaswatchError as exc:
            self._failed(str(exc))
        except Exception as exc:  # noqa: BLE001 - whatever the index holds, events are written without names
            self._failed(type(exc).__name__)

    def _failed(self, cause: str) -> None:
        with self._lock:
            self._failures += 1
            self._cause = cause
