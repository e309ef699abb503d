"""OpenSearch: bulk writes that lose and double nothing, and the templates they need.

Every write is a `create` under a deterministic id (or an update that may run twice), so whatever was interrupted is
simply sent again: what arrived the first time answers 409.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as SearchConnectionError
from opensearchpy.exceptions import SerializationError, TransportError

from daswatch.deadline import Deadline
from daswatch.errors import SearchUnavailable
from daswatch.indexing import write_probe
from daswatch.indexing.bulk import (
    AMBIGUOUS,
    FULL_SHARD,
    NO_IDS,
    Action,
    Fate,
    cause_of,
    fate_of,
    fate_of_request,
    is_full_shard,
    may_be_its_own,
    takes_no_ids,
)
from daswatch.opensearch.request import perform, request
from daswatch.retry import OUT_OF_TIME, Left, send_all
from daswatch.settings import Service

# Below this there is no time left for a request to be answered.
_SHORTEST_REQUEST_SECONDS = 0.5
_TOO_LARGE = 413
# How long OpenSearch waits for the copies that must acknowledge a write, before it answers that they are missing.
_SHARDS_WAIT = "5s"
# A document that fails this often while a probe in its shard is taken fails for its own sake; not where more documents
# of one request do so.
_ROUNDS = 5
_MANY = 10
_ERROR_TYPE = re.compile(r"[a-z][a-z0-9_]{0,80}", re.ASCII)
# What a node that is not the manager makes of an error that it cannot pass on: the reason begins with its own name.
_WRAPPER = "not_serializable_exception_wrapper"
# What comes from another node, as on every domain of several, has lost the type `validation_exception`.
_INDEX_REFUSED = re.compile(
    r"Validation Failed: 1: (?:this action would add \[\d+\] total|expected (?:total copies|max cap on auto expand))\b"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action that can never be written, and OpenSearch's name for the reason (its text may quote the document)."""

    action: Action
    error_type: str


@dataclass(slots=True)
class BulkResult:
    """What became of the actions of one or more bulk requests; `written` counts what is required."""

    written: int = 0
    already_there: int = 0
    refused: list[Refusal] = field(default_factory=list)
    unwritten: list[Action] = field(default_factory=list)
    conflicts: list[Action] = field(default_factory=list)  # already there, or there in another version
    cause: str = ""  # why the unwritten are unwritten
    lost: list[Action] = field(default_factory=list)  # what is not required, and is not written
    lost_cause: str = ""
    requests: int = 0
    seconds: float = 0.0

    @property
    def blocked(self) -> bool:
        """Whether what is required stays unwritten: what comes later would have to be delivered again anyway."""
        return bool(self.unwritten)

    def add(self, other: BulkResult) -> None:
        """Take another result's outcomes into this one."""
        self.written += other.written
        self.already_there += other.already_there
        self.refused += other.refused
        self.unwritten += other.unwritten
        self.conflicts += other.conflicts
        self.cause = self.cause or other.cause
        self.lost += other.lost
        self.lost_cause = self.lost_cause or other.lost_cause
        self.requests += other.requests
        self.seconds += other.seconds

    def give_up(self, actions: Iterable[Action], cause: str) -> None:
        """Note actions that are not written, and why."""
        for action in actions:
            if not action.required:
                self.lost.append(action)
                self.lost_cause = self.lost_cause or cause
            else:
                self.unwritten.append(action)
                self.cause = self.cause or cause


@dataclass(frozen=True, slots=True)
class _Item:
    status: int
    error_type: str = ""
    reason: str = ""  # asked for with a probe alone: it may quote the document

    @property
    def fate(self) -> Fate:
        return fate_of(self.status, self.error_type)

    @property
    def cause(self) -> str:
        return cause_of(self.status, self.error_type)

    @property
    def may_be_its_own(self) -> bool:
        return may_be_its_own(self.status, self.error_type)


_CREATED = _Item(201)


class _RequestFailed(Exception):
    """A bulk request failed as a whole; `reason` may quote it."""

    def __init__(self, fate: Fate, cause: str, *, status: int = 0, error_type: str = "", reason: str = "") -> None:
        super().__init__(cause)
        self.fate = fate
        self.cause = cause
        self.status = status
        self.error_type = error_type
        self.reason = reason


class SearchGateway:
    """An OpenSearch endpoint. `chance` is an argument so that pauses can be tested."""

    def __init__(
        self, client: OpenSearch, chance: Callable[[], float] = random.random, service: Service = "es"
    ) -> None:
        self._client = client
        self._chance = chance
        self.is_collection = service == "aoss"

    def write(self, actions: Sequence[Action], deadline: Deadline, *, refresh: bool = False) -> BulkResult:
        """Write actions, with retries until the deadline; never raises for what OpenSearch answers.

        A request that is too large, or malformed as a whole, is sent again in halves, so that one bad document is found
        and refused alone. What is not required, a pulse, is not waited for: the next one brings it again.
        With `refresh`, searches find at once what was written; in a collection they find it some ten seconds later.
        """
        begun = time.perf_counter()
        result = _Writing(self, deadline, refresh=refresh and not self.is_collection).run(actions, self._chance)
        result.seconds = time.perf_counter() - begun
        return result

    def template_names(self, deadline: Deadline) -> set[str]:
        """The names of the installed index templates. Raises SearchUnavailable."""
        path = "/_index_template"
        params = {"filter_path": "index_templates.name"}
        try:
            answer = request(self._client, "GET", path, deadline=deadline, params=params, with_reason=True)
        except SearchUnavailable as exc:
            if not exc.status:
                raise
            asked = ": ".join(filter(None, (f"GET {path}", exc.reason)))
            raise SearchUnavailable(f"{cause_of(exc.status, '')} ({asked})", exc.status) from exc
        try:
            return {entry["name"] for entry in answer.get("index_templates", [])}
        except (AttributeError, KeyError, TypeError) as exc:  # nothing that a record is to blame for
            raise SearchUnavailable(f"OpenSearch's answer to GET {path} is not a list of templates") from exc

    def send(
        self, batch: Sequence[Action], deadline: Deadline, *, with_reason: bool = False, refresh: bool = False
    ) -> list[_Item]:
        """One bulk request; what it says of each action. Raises _RequestFailed."""
        fields = ["errors", "items.*.status", "items.*.error.type", *(["items.*.error.reason"] if with_reason else [])]
        try:
            answer = perform(
                self._client,
                "POST",
                "/_bulk",
                deadline=deadline,
                params=self._params(fields, refresh=refresh),
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
            error_type, reason = _read_error(exc)
            fate, cause = fate_of_request(status, error_type), cause_of(status, error_type)
            raise _RequestFailed(fate, cause, status=status, error_type=error_type, reason=reason) from exc
        items = answer.get("items") if isinstance(answer, dict) and "errors" in answer else None
        if not isinstance(items, list) or len(items) != len(batch):
            raise _RequestFailed(Fate.RETRY, "OpenSearch's answer has another number of items")
        try:
            return [_read_item(item) for item in items]
        except (AttributeError, TypeError, ValueError, KeyError) as exc:
            raise _RequestFailed(Fate.RETRY, "OpenSearch's answer is no bulk answer") from exc

    def _params(self, fields: Sequence[str], *, refresh: bool) -> dict[str, str]:
        params = {"filter_path": ",".join(fields)}
        if not self.is_collection:
            params["timeout"] = _SHARDS_WAIT
        return params | ({"refresh": "true"} if refresh else {})


class _Writing:
    """One call of `write`: what is pending, and what became of the rest."""

    def __init__(self, gateway: SearchGateway, deadline: Deadline, *, refresh: bool) -> None:
        self._gateway = gateway
        self._deadline = deadline
        self._refresh = refresh
        self._result = BulkResult()
        self._taking: set[str] = set()  # indices that took a probe after a request failed as a whole
        self._rounds: Counter[tuple[str, str]] = Counter()  # how often a document failed next to a probe that was taken
        self._failures = 0  # requests that failed as a whole, and might for a document's sake

    def run(self, actions: Sequence[Action], chance: Callable[[], float]) -> BulkResult:
        left, cause = send_all(
            [actions] if actions else [],
            self._send_batch,
            self._deadline,
            shortest=_SHORTEST_REQUEST_SECONDS,
            chance=chance,
        )
        for batch in left:
            self._result.give_up(batch, cause)
        return self._result

    def _send_batch(self, batch: Sequence[Action]) -> Left[Sequence[Action]]:
        try:
            again, cause = self._sort(batch, self._send(batch))
        except _RequestFailed as failure:
            return self._after(failure, batch)
        return Left(again=again or None, cause=cause)

    @property
    def _no_time_left(self) -> bool:
        return self._deadline.remaining < _SHORTEST_REQUEST_SECONDS

    def _send(self, batch: Sequence[Action], *, with_reason: bool = False) -> list[_Item]:
        self._result.requests += 1
        return self._gateway.send(batch, self._deadline, with_reason=with_reason, refresh=self._refresh)

    def _sort(self, batch: Sequence[Action], items: list[_Item]) -> tuple[list[Action], str]:
        """Note each action's fate; returns those to send again, and why."""
        result = self._result
        if items.count(_CREATED) == len(batch):
            self._note_taking(_indices(batch))
            result.written += sum(action.required for action in batch)
            return [], ""
        again: list[Action] = []
        refused: list[Refusal] = []
        failed: list[tuple[Action, _Item]] = []
        cause = ""
        for action, item in zip(batch, items, strict=True):
            match item.fate:
                case Fate.WRITTEN | Fate.ALREADY_THERE:
                    self._note_taken(action, item)
                case Fate.REFUSED if action.required:
                    refused.append(Refusal(action, item.error_type))
                case _ if item.may_be_its_own and action.required and action.index:
                    failed.append((action, item))
                case Fate.RETRY if action.required:
                    again.append(action)
                    cause = item.cause
                case _:
                    result.give_up([action], item.cause)
        settled, why = self._settle(refused, samples=True)
        repeated, doubt = self._repeat(failed)
        return again + settled + repeated, cause or why or doubt

    def _note_taken(self, action: Action, item: _Item) -> None:
        self._note_taking([action.index])
        if item.fate is Fate.WRITTEN:
            self._result.written += action.required
        else:
            self._result.already_there += action.required
            self._result.conflicts.append(action)

    def _repeat(self, failed: Sequence[tuple[Action, _Item]]) -> tuple[list[Action], str]:
        """Send documents again that OpenSearch, or a pipeline, failed on: each next to a probe in its shard.

        A document that fails in every round while its probe is taken is refused. Where many fail, or the probe does
        too, it is not for their own sake. Returns the actions to send again, and why.
        """
        kinds = Counter((action.index, item.error_type) for action, item in failed)
        many = [(action, item) for action, item in failed if kinds[action.index, item.error_type] > _MANY]
        few = [(action, item) for action, item in failed if kinds[action.index, item.error_type] <= _MANY]
        again, why = self._wait_for_domain(many)
        if not few:
            return again, why
        actions = [action for action, _item in few]
        if self._no_time_left:
            self._result.give_up(actions, OUT_OF_TIME)
            return again, why
        try:
            probed, items = self._send_next_to_probes(actions)
        except _RequestFailed as failure:
            if failure.fate is Fate.RETRY:
                return again + actions, failure.cause
            waiting, cause = self._wait_for_domain(few)
            return again + waiting, why or cause
        for action, is_taking, item in zip(actions, probed, items, strict=True):
            if write_probe.is_taken(item.fate):
                self._note_taken(action, item)
            elif item.fate is Fate.REFUSED or not item.may_be_its_own:
                again.append(action)  # it fails in another way now
                why = item.cause
            elif not is_taking:
                waiting, why = self._wait_for_domain([(action, item)])
                again += waiting
            elif self._is_to_blame(action):
                self._result.refused.append(Refusal(action, item.error_type or str(item.status)))
            else:
                again.append(action)
                why = item.cause
        return again, why

    def _send_next_to_probes(self, actions: Sequence[Action]) -> tuple[list[bool], list[_Item]]:
        """Send documents; whether each one's shard takes a probe in the same request, and what becomes of it.

        In a collection neighbors stand in for probes. Raises _RequestFailed.
        """
        if self._gateway.is_collection:
            return [action.index in self._taking for action in actions], self._send(actions)
        probes = [write_probe.probe(action.index, action.document_id) for action in actions]
        items = self._send([*probes, *actions], with_reason=True)
        return [write_probe.is_taken(item.fate) for item in items[: len(probes)]], items[len(probes) :]

    def _is_to_blame(self, action: Action) -> bool:
        """Whether a document has failed often enough while its neighborhood was well."""
        name = (action.index, action.document_id)
        self._rounds[name] += 1
        return self._rounds[name] >= _ROUNDS

    def _wait_for_domain(self, failed: Iterable[tuple[Action, _Item]]) -> tuple[list[Action], str]:
        """What becomes of documents by their fate alone: those to send again, and why; others are given up."""
        again: list[Action] = []
        why = ""
        for action, item in failed:
            if item.fate is Fate.RETRY:
                again.append(action)
                why = item.cause
            else:
                self._result.give_up([action], item.cause)
        return again, why

    def _note_taking(self, indices: Iterable[str]) -> None:
        """In a collection no index is asked for a probe: that it takes documents is known from those it took."""
        if self._gateway.is_collection:
            self._taking.update(indices)

    def _after(self, failure: _RequestFailed, batch: Sequence[Action]) -> Left[Sequence[Action]]:
        """Note what a request's failure means for its actions; returns those to send again."""
        again = Left(again=batch, cause=failure.cause)
        match failure.fate:
            case Fate.RETRY if not any(action.required for action in batch):
                self._result.give_up(batch, failure.cause)
                return Left()
            case Fate.RETRY if not (self._fails_again(failure) and _indices(batch)):
                return again
            case Fate.REDELIVER:
                return Left(again=batch, cause=failure.cause, stop=True)
        unknown = _indices(batch) - self._taking
        if failure.status != _TOO_LARGE and unknown and not self._gateway.is_collection:
            # Before the guilty document is looked for: may a request of ordinary ones fail in the same way?
            try:
                self._look(unknown, [])
            except _RequestFailed as second:
                return again if second.fate is Fate.RETRY else self._after(_of_the_domain(second), batch)
        if failure.fate is Fate.RETRY and not _indices(batch) <= self._taking:
            return again
        if len(batch) > 1:
            middle = len(batch) // 2
            return Left(at_once=(batch[:middle], batch[middle:]))
        (action,) = batch
        if not action.required:
            self._result.give_up(batch, failure.cause)
            return Left()
        if failure.fate is Fate.RETRY and not self._is_to_blame(action):
            return again
        waiting, _ = self._settle([Refusal(action, failure.error_type or failure.cause)], samples=False)
        return Left(again=waiting or None, cause=failure.cause)

    def _fails_again(self, failure: _RequestFailed) -> bool:
        """Whether requests failed so often, and in such a way, that a document may be the cause."""
        self._failures += failure.status == 500
        return failure.status == 500 and self._failures >= _ROUNDS

    def _settle(self, refused: Sequence[Refusal], *, samples: bool) -> tuple[list[Action], str]:
        """Decide whose fault refusals are; returns the actions to send again, and why.

        Each index is asked about a probe, unless it took one after a request failed as a whole; with `samples` about
        the first document of each kind again. A neighbor that was written does not show that the mapping is ours: it
        may lack the field. OpenSearch has no name of its own for a shard that is full, which can happen between two
        documents.
        """
        known = self._taking if self._gateway.is_collection or not samples else set()
        suspects: list[Refusal] = []
        for refusal in refused:
            index = refusal.action.index
            (suspects if index and index not in known else self._result.refused).append(refusal)
        if not suspects:
            return [], ""
        actions = [refusal.action for refusal in suspects]
        if self._no_time_left:
            self._result.give_up(actions, OUT_OF_TIME)
            return [], ""
        firsts = {_kind(refusal): refusal.action for refusal in reversed(suspects)} if samples else {}
        if self._gateway.is_collection:
            return self._settle_in_collection(suspects, firsts)
        try:
            probed, items = self._look(_indices(actions), list(firsts.values()))
        except _RequestFailed as failure:
            if failure.fate is Fate.REFUSED and samples:
                return self._settle(suspects, samples=False)
            if failure.fate is Fate.RETRY:
                return actions, failure.cause
            self._result.give_up(actions, _of_the_domain(failure).cause)
            return [], ""
        second = dict(zip(firsts, items, strict=True))
        again: list[Action] = []
        why = ""
        for refusal in suspects:
            kind = _kind(refusal)
            fate, cause = _verdict(refusal.action.index, probed[refusal.action.index], second.get(kind))
            if fate is Fate.REFUSED:
                self._result.refused.append(refusal)
            elif fate is Fate.REDELIVER:
                self._result.give_up([refusal.action], cause)
            elif fate is Fate.WRITTEN and refusal.action is firsts[kind]:
                self._result.written += 1
            else:
                again.append(refusal.action)
                why = cause
        return again, why

    def _settle_in_collection(
        self, suspects: Sequence[Refusal], firsts: Mapping[tuple[str, str], Action]
    ) -> tuple[list[Action], str]:
        """The same without a probe: whether a collection heeds a sequence number is not documented, and one that does
        not would keep the probe.

        The first document of each kind is sent again, to learn why; the others are refused where a neighbor was
        written, and wait for one otherwise.
        """
        try:
            items = self._send(list(firsts.values()), with_reason=True) if firsts else []
        except _RequestFailed as failure:
            items = []
            cause = failure.cause
        else:
            cause = next((NO_IDS for item in items if takes_no_ids(item.reason)), "")
        taken = {
            action.index
            for action, item in zip(firsts.values(), items, strict=False)
            if write_probe.is_taken(item.fate)
        }
        again: list[Action] = []
        for refusal in suspects:
            if refusal.action.index in taken:
                again.append(refusal.action)
            else:
                why = cause or f"{refusal.action.index} took no document of this request ({refusal.error_type})"
                self._result.give_up([refusal.action], why)
        return again, ""

    def _look(self, indices: Collection[str], again: Sequence[Action]) -> tuple[dict[str, _Item], list[_Item]]:
        """What indices say to their probes, by name; and to documents that are sent again.

        One request; where it is answered, what is not taken is in the answers. Raises _RequestFailed.
        """
        asked = [write_probe.probe(index) for index in sorted(indices)]
        items = self._send([*asked, *again], with_reason=True)
        probed = {action.index: item for action, item in zip(asked, items, strict=False)}
        self._taking |= {index for index, item in probed.items() if write_probe.is_taken(item.fate)}
        return probed, items[len(asked) :]


def _indices(actions: Iterable[Action]) -> set[str]:
    return {action.index for action in actions if action.index and action.required}


def _kind(refusal: Refusal) -> tuple[str, str]:
    return refusal.action.index, refusal.error_type


def _verdict(index: str, probed: _Item, document: _Item | None) -> tuple[Fate, str]:
    """What a refusal means after a look at its index; WRITTEN where the document was taken this time.

    `document` is None where it was not sent again.
    """
    if not write_probe.is_taken(probed.fate):
        if probed.fate is Fate.REFUSED:
            return Fate.REDELIVER, write_probe.refusal(index, probed.status, probed.error_type, probed.reason)
        return probed.fate, probed.cause
    if document is None:
        return Fate.REFUSED, ""
    if is_full_shard(document.error_type, document.reason):
        return Fate.REDELIVER, f"{index}: {FULL_SHARD}"
    if write_probe.is_taken(document.fate):
        return Fate.WRITTEN, OUT_OF_TIME
    return document.fate, document.cause


def _of_the_domain(failure: _RequestFailed) -> _RequestFailed:
    """A failure of a request in which an ordinary document stood."""
    if failure.fate is not Fate.REFUSED:
        return failure
    cause = write_probe.refusal("the endpoint", failure.status, failure.error_type, failure.reason)
    return _RequestFailed(Fate.REDELIVER, cause, status=failure.status, error_type=failure.error_type)


def _read_error(exc: TransportError) -> tuple[str, str]:
    """The type and the reason of an answer's error."""
    error = exc.info.get("error") if isinstance(exc.info, dict) else None
    reason = error.get("reason") if isinstance(error, dict) else None
    reason = reason if isinstance(reason, str) else ""
    return _error_type(exc.error, reason), reason


def _read_item(item: dict[str, Any]) -> _Item:
    """Raises ValueError, or what looking into something else raises, where it is not an item of a bulk answer."""
    (outcome,) = item.values()
    status, error = outcome["status"], outcome.get("error")
    if status == _CREATED.status and error is None:
        return _CREATED
    if not isinstance(status, int):
        raise ValueError
    if not isinstance(error, dict):
        return _Item(status, _error_type(error))
    reason = str(error.get("reason") or "")
    return _Item(status, _error_type(error.get("type"), reason), reason)


def _error_type(value: object, reason: str = "") -> str:
    """OpenSearch's name for an error, of a wrapped one its own; empty for a text, which may quote what was sent."""
    if not isinstance(value, str) or not _ERROR_TYPE.fullmatch(value):
        return ""
    if value == AMBIGUOUS and _INDEX_REFUSED.match(reason):
        return "validation_exception"
    return (_error_type(reason.partition(":")[0]) if value == _WRAPPER else "") or value
