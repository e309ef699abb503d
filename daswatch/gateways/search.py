"""OpenSearch: bulk writes that lose and double nothing, and the templates they need.

Every write is a `create` under a deterministic id (or an update that may run twice), so whatever was interrupted is
simply sent again: what arrived the first time answers 409.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import SerializationError, TransportError

from daswatch.bulk import Action, Fate, fate_of, fate_of_request
from daswatch.deadline import Deadline, backoff_seconds
from daswatch.errors import SearchUnavailable
from daswatch.gateways.endpoint import perform, request

# Below this there is no time left for a request to be answered.
_SHORTEST_REQUEST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that can never be written, and OpenSearch's name for the reason (its text may quote the document)."""

    action: Action
    error_type: str


@dataclass(slots=True)
class BulkResult:
    """What became of the actions of one or more bulk requests; `written` counts those of stream records."""

    written: int = 0
    already_there: int = 0
    refused: list[Refusal] = field(default_factory=list)
    unwritten: list[Action] = field(default_factory=list)
    conflicts: list[Action] = field(default_factory=list)  # already there, or there in another version
    cause: str = ""  # why the unwritten are unwritten
    requests: int = 0
    seconds: float = 0.0

    def add(self, other: BulkResult) -> None:
        """Take another result's outcomes into this one."""
        self.written += other.written
        self.already_there += other.already_there
        self.refused += other.refused
        self.unwritten += other.unwritten
        self.conflicts += other.conflicts
        self.cause = self.cause or other.cause
        self.requests += other.requests
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True)
class _Item:
    status: int
    error_type: str


class _RequestFailed(Exception):
    """A bulk request failed as a whole."""

    def __init__(self, fate: Fate, cause: str) -> None:
        super().__init__(cause)
        self.fate = fate
        self.cause = cause


class SearchGateway:
    """An OpenSearch endpoint. `sleep` and `chance` are arguments so that waiting can be tested without waiting."""

    def __init__(
        self,
        client: OpenSearch,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._chance = chance

    def write(self, actions: Sequence[Action], deadline: Deadline, *, refresh: bool = False) -> BulkResult:
        """Write actions, with retries until the deadline; never raises for what OpenSearch answers.

        A request that is too large, or malformed as a whole, is sent again in halves, so that one bad document is found
        and refused alone. What belongs to no stream record, a pulse, is not waited for: the next one brings it again.
        With `refresh`, searches find what was written at once.
        """
        begun = time.perf_counter()
        result = BulkResult()
        pending: list[Sequence[Action]] = [actions]
        attempt = 0
        while pending:
            batch = pending.pop()
            if not batch:
                continue
            if deadline.remaining < _SHORTEST_REQUEST_SECONDS:
                self._give_up(result, [batch, *pending], "out of time")
                break
            try:
                items = self._send(batch, deadline, refresh)
            except _RequestFailed as failure:
                result.requests += 1
                if failure.fate is Fate.REFUSED:
                    if len(batch) == 1:
                        result.refused.append(Refusal(batch[0], failure.cause))
                    else:
                        middle = len(batch) // 2
                        pending += [batch[middle:], batch[:middle]]
                    continue
                wanted = any(action.record is not None for action in batch)
                if failure.fate is Fate.REDELIVER or not wanted or not self._wait(attempt, deadline):
                    self._give_up(result, [batch, *pending], failure.cause)
                    break
                attempt += 1
                pending.append(batch)
                continue
            result.requests += 1
            if items is None:
                result.written += sum(action.record is not None for action in batch)
                continue
            again = self._sort(batch, items, result)
            if not again:
                continue
            if not self._wait(attempt, deadline):
                self._give_up(result, [again, *pending], "OpenSearch is overloaded")
                break
            attempt += 1
            pending.append(again)
        result.seconds = time.perf_counter() - begun
        return result

    def template_names(self, deadline: Deadline) -> set[str]:
        """The names of the installed index templates. Raises SearchUnavailable."""
        path = "/_index_template"
        params = {"filter_path": "index_templates.name"}
        answer = request(self._client, "GET", path, deadline=deadline, params=params)
        if not isinstance(answer, dict):
            raise SearchUnavailable(f"OpenSearch's answer to GET {path} is no list of templates")
        return {entry["name"] for entry in answer.get("index_templates", [])}

    def _send(self, batch: Sequence[Action], deadline: Deadline, refresh: bool) -> list[_Item] | None:
        """One bulk request: None where all went well, otherwise each action's status."""
        try:
            answer = perform(
                self._client,
                "POST",
                "/_bulk",
                deadline=deadline,
                params={
                    "filter_path": "errors,items.*.status,items.*.error.type",
                    **({"refresh": "true"} if refresh else {}),
                },
                body=b"".join([action.lines for action in batch]),
            )
        except SearchConnectionError as exc:
            raise _RequestFailed(Fate.RETRY, f"OpenSearch does not answer ({type(exc).__name__})") from exc
        except SearchUnavailable as exc:  # the password could not be read
            raise _RequestFailed(Fate.REDELIVER if exc.status else Fate.RETRY, str(exc)) from exc
        except SerializationError as exc:
            raise _RequestFailed(Fate.RETRY, "OpenSearch's answer is no JSON") from exc
        except TransportError as exc:
            status = exc.status_code if isinstance(exc.status_code, int) else 503
            fate = fate_of_request(status, str(exc.error))
            raise _RequestFailed(fate, f"OpenSearch answered {status}") from exc
        if not isinstance(answer, dict) or "errors" not in answer:
            raise _RequestFailed(Fate.RETRY, "OpenSearch's answer is no bulk answer")
        if not answer["errors"]:
            return None
        items = [_read_item(item) for item in answer.get("items", [])]
        if len(items) != len(batch):
            raise _RequestFailed(Fate.RETRY, "OpenSearch's answer has another number of items")
        return items

    def _sort(self, batch: Sequence[Action], items: list[_Item], result: BulkResult) -> list[Action]:
        """Note each action's fate; returns those to send again."""
        again: list[Action] = []
        for action, item in zip(batch, items, strict=True):
            match fate_of(item.status, item.error_type):
                case Fate.WRITTEN:
                    result.written += action.record is not None
                case Fate.ALREADY_THERE:
                    result.already_there += 1
                    result.conflicts.append(action)
                case Fate.RETRY if action.record is not None:
                    again.append(action)
                case Fate.RETRY:
                    self._give_up(result, [[action]], "OpenSearch is overloaded")
                case Fate.REDELIVER:
                    self._give_up(result, [[action]], f"OpenSearch answered {item.status} ({item.error_type})")
                case Fate.REFUSED:
                    result.refused.append(Refusal(action, item.error_type))
        return again

    def _wait(self, attempt: int, deadline: Deadline) -> bool:
        """Wait before the next attempt; False where the deadline leaves no time for one."""
        delay = backoff_seconds(attempt, self._chance())
        if deadline.remaining - delay < _SHORTEST_REQUEST_SECONDS:
            return False
        self._sleep(delay)
        return True

    @staticmethod
    def _give_up(result: BulkResult, batches: Sequence[Sequence[Action]], cause: str) -> None:
        for batch in batches:
            result.unwritten += batch
        result.cause = result.cause or cause


def _read_item(item: dict[str, Any]) -> _Item:
    (outcome,) = item.values()
    error = outcome.get("error")
    return _Item(outcome.get("status", 500), error.get("type", "") if isinstance(error, dict) else str(error or ""))
