"""Known clients: a group that would fire is left out if all its clients were active at the database long before.

In: a detection with `known_clients`, a group that fired, and OpenSearch's answers. Out: the searches about the group's
clients and about their past, and the decision. A name can be claimed by anyone, so a client is a user, an application
and a network together. Where anything is unclear, the group fires (docs/decisions/0034-actors.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import pairwise
from statistics import median
from typing import Any

from daswatch.detections.detection import Detection, KnownClients
from daswatch.documents.activity import Activity
from daswatch.queries.saved_query import (
    Candidate,
    Search,
    event_indices,
    filters_of,
    group_filters,
    one_event,
    query_string,
    sources_of,
)
from daswatch.times import iso_milliseconds, moment_of

MAX_CLIENTS = 20  # of one group; more are not known
_MOST_HOSTS = 200  # users, applications and addresses of one group, before they are put together by network
_SEVERAL_HOSTS = 2
_HOST_FIELDS = ("remoteIp", "remoteHost")
_MOST_EVENTS = 5_000  # of one group whose times are compared
_PREFIXES = {4: 24, 6: 64}  # a client's network, by the version of its address
CLIENT_FIELDS = ("dbUserName", "clientApplication", "remoteIp", "remoteHost")
_MILLISECOND = timedelta(milliseconds=1)
_MOST_STATEMENTS = 400  # of the clients of one group, where each has to be known

# What an even pace is. A service that has a stale password waits between its attempts, and waits equally long.
_ROUND_SECONDS = 1.0  # a pool opens its connections together
_MOST_IN_A_ROUND = 10  # connections, the default size of most pools
_SHORTEST_WAIT_SECONDS = 5.0
_TOLERANCE = 0.4  # of the usual wait: many services add a quarter of it at random
_TOLERANCE_OF_TWO = 0.25  # of the usual wait, around twice its length: an attempt was left out
_EVEN_SHARE = 0.75  # of the waits, and of the clients that have made a second attempt
_BACKED_OFF = 3.0  # times the first wait, where a service waits longer after each attempt
_FEWEST_WAITS = 4  # of several clients together, which also agree with one another
_FEWEST_WAITS_ALONE = 8  # of one: a patient guesser waits evenly, too, and makes few attempts


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent events, and from where: a network, or the name of a host."""

    user: str
    application: str
    network: str
    statement: str = ""  # the hash of its shape, where that has to be the same


def client_of(key: Mapping[str, Any], *, host: bool = False) -> Client:
    """The client of a bucket of CLIENT_FIELDS; its network is the host alone where that is asked for."""
    address = key["remoteIp"]
    if address:
        parsed = ip_address(address)
        prefix = parsed.max_prefixlen if host else _PREFIXES[parsed.version]
        network = str(ip_network((parsed, prefix), strict=False))
    else:
        network = key["remoteHost"] or ""
    return Client(key["dbUserName"] or "", key["clientApplication"] or "", network, key.get("statementHash") or "")


def known_clients_of(detection: Detection) -> KnownClients:
    """The section of a detection that has one."""
    if detection.known_clients is None:
        raise ValueError(detection.name)
    return detection.known_clients


def looked_at_since(detection: Detection, group: Candidate) -> datetime:
    """The begin of the time in which a group's clients are looked at.

    A window that has moved on holds only the last attempts of a client, of which no pace can be seen.
    """
    first, last = moment_of(group.first_seen), moment_of(group.last_seen)
    window = detection.window_seconds if known_clients_of(detection).steady else 0
    return min(first, last - timedelta(seconds=window))


def clients_query(detection: Detection, group: Candidate) -> dict[str, Any]:
    """The body of the search for a group's clients and, where their pace counts, for the times of their events."""
    rule = known_clients_of(detection)
    begin = iso_milliseconds(looked_at_since(detection, group))
    until = iso_milliseconds(moment_of(group.last_seen) + _MILLISECOND)
    fields = CLIENT_FIELDS + (("statementHash",) if rule.same_statements else ())
    aggregations: dict[str, Any] = {
        "clients": {
            "composite": {
                "size": _most(rule.same_statements) + 1,
                "sources": sources_of(fields),
            }
        }
    }
    if rule.when:
        aggregations["others"] = {"filter": {"bool": {"must_not": [query_string(rule.when)]}}}
    if rule.any_statement_of:
        aggregations["compared"] = {"filter": {"bool": {"must_not": [query_string(rule.any_statement_of)]}}}
        aggregations["senders"] = {"composite": {"size": _most(False) + 1, "sources": sources_of(CLIENT_FIELDS)}}
    body: dict[str, Any] = {
        "size": 0,
        "track_total_hits": False,
        "query": {
            "bool": {
                "filter": [
                    *filters_of(detection),
                    {"range": {"@timestamp": {"gte": begin, "lt": until}}},
                    *group_filters(group.resource_id, _looked_at(rule, group.group)),
                ]
            }
        },
        "aggs": aggregations,
    }
    if rule.steady:
        body |= {
            "size": _MOST_EVENTS,
            "track_total_hits": True,
            "_source": False,
            "sort": [{"@timestamp": "asc"}],
            "docvalue_fields": [{"field": "@timestamp", "format": "epoch_millis"}, *CLIENT_FIELDS],
        }
        if detection.sequence:  # the pace is that of the first step
            body["post_filter"] = query_string(detection.sequence.first)
    return body


def _looked_at(rule: KnownClients, group: Mapping[str, str]) -> dict[str, str]:
    """The group, or all hosts of its account."""
    return {name: value for name, value in group.items() if not rule.several_hosts or name != "remoteHost"}


def read_clients(detection: Detection, answer: Mapping[str, Any], group: Candidate) -> frozenset[Client]:
    """The clients of which a group can be left out; none where it fires in any case."""
    rule = known_clients_of(detection)
    aggregations = answer.get("aggregations")
    if not aggregations:
        return frozenset()
    any_statement = bool(rule.any_statement_of) and not aggregations["compared"]["doc_count"]
    compared = rule.same_statements and not any_statement
    buckets = aggregations["senders" if any_statement else "clients"]["buckets"]
    host = group.group["remoteHost"] if rule.several_hosts else ""
    evenly = not rule.steady or _is_unhurried(_of_host(answer["hits"], host), rule.few)
    if evenly:
        buckets = [bucket for bucket in buckets if not host or host in _hosts_of(bucket["key"])]
    elif rule.several_hosts:
        if len({_hosts_of(bucket["key"]) for bucket in buckets}) < _SEVERAL_HOSTS:
            return frozenset()
    elif not rule.each_host:
        return frozenset()
    clients = {client_of(bucket["key"], host=not evenly) for bucket in buckets}
    if len(buckets) > _most(compared) or len({replace(client, statement="") for client in clients}) > MAX_CLIENTS:
        return frozenset()
    if compared and not all(client.statement for client in clients):
        return frozenset()
    if any(not client.user or not client.network for client in clients):
        return frozenset()
    if rule.when and aggregations["others"]["doc_count"]:
        return frozenset()
    return frozenset(clients)


def _hosts_of(key: Mapping[str, Any]) -> tuple[str, str]:
    return key["remoteIp"] or "", key["remoteHost"] or ""


def _of_host(hits: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """The events of one host, or all; of those that were not returned, none is known to be another's."""
    own = [hit for hit in hits["hits"] if not host or [host] in (hit["fields"].get(name) for name in _HOST_FIELDS)]
    missing = hits["total"]["value"] - len(hits["hits"])
    return {"total": {"value": len(own) + missing}, "hits": own}


def earlier_query(detection: Detection, group: Candidate, client: Client) -> dict[str, Any]:
    """The body of the search for one event of a client that is old enough; a failed login is none."""
    days = timedelta(days=known_clients_of(detection).days)
    network = "remoteIp" if "/" in client.network else "remoteHost"
    terms = {"resourceId": group.resource_id, "dbUserName": client.user, network: client.network}
    if client.application:
        terms["clientApplication"] = client.application
    if client.statement:
        terms["statementHash"] = client.statement
    before = iso_milliseconds(moment_of(group.first_seen) - days)
    filters = [{"range": {"@timestamp": {"lte": before}}}, *({"term": {name: value}} for name, value in terms.items())]
    return one_event({"filter": filters, "must_not": [{"term": {"activity": str(Activity.AUTH_FAILURE)}}]})


def is_explicable(detection: Detection, group: Candidate) -> bool:
    """Whether another event may explain that a group fires."""
    return detection.explanation is not None and group.level.rank < detection.explanation.below.rank


def explanation_query(detection: Detection, group: Candidate, index: str, prefix: str) -> Search:
    """The search for one event that explains a group: of the same group, around its events.

    It is in `index`, or, where that is empty, in the indices under the prefix.
    """
    rule = detection.explanation
    if rule is None:
        raise ValueError(detection.name)
    around = timedelta(seconds=rule.seconds)
    begin, end = moment_of(group.first_seen) - around, moment_of(group.last_seen) + around
    filters = [
        query_string(rule.query),
        {"range": {"@timestamp": {"gte": iso_milliseconds(begin), "lte": iso_milliseconds(end)}}},
        *group_filters(group.resource_id, group.group),
    ]
    return Search(index or event_indices(begin.date(), end.date(), prefix), one_event({"filter": filters}))


def is_steady(attempts: Iterable[Sequence[float]]) -> bool:
    """Whether each client's attempts, in seconds and in their order, are evenly spread.

    A client with one attempt has no pace: accounts that are tried once each are a spray. One that waited once is
    compared with the others.
    """
    rounds = [_rounds(own) for own in attempts]
    if any(size > _MOST_IN_A_ROUND for own in rounds for _, size in own):
        return False
    waits = [[later - earlier for (earlier, _), (later, _) in pairwise(own)] for own in rounds]
    waiting = [own for own in waits if own]
    fewest = _FEWEST_WAITS if len(waiting) > 1 else _FEWEST_WAITS_ALONE
    if sum(map(len, waiting)) < fewest or len(waiting) < _EVEN_SHARE * len(waits):
        return False
    usual = median(median(own) for own in waiting)
    return all(_is_even(own, usual if len(own) == 1 else median(own)) for own in waiting)


def _is_even(waits: Sequence[float], usual: float) -> bool:
    near = sum(
        abs(wait - usual) <= _TOLERANCE * usual or abs(wait - 2 * usual) <= _TOLERANCE_OF_TWO * usual for wait in waits
    )
    return usual >= _SHORTEST_WAIT_SECONDS and (near >= _EVEN_SHARE * len(waits) or _backs_off(waits))


def _backs_off(waits: Sequence[float]) -> bool:
    """Whether each wait is about as long as the one before, or longer, and the last a multiple of the first."""
    longer = all(later >= (1 - _TOLERANCE) * earlier for earlier, later in pairwise(waits))
    return longer and waits[-1] >= _BACKED_OFF * waits[0]


def _rounds(attempts: Sequence[float]) -> list[tuple[float, int]]:
    """The begin of each round, and how many attempts it has."""
    rounds: list[tuple[float, int]] = []
    last = 0.0
    for at in attempts:
        if rounds and at - last <= _ROUND_SECONDS:
            rounds[-1] = rounds[-1][0], rounds[-1][1] + 1
        else:
            rounds.append((at, 1))
        last = at
    return rounds


def _is_unhurried(hits: Mapping[str, Any], few: int) -> bool:
    """Whether events are few, or evenly spread."""
    return _has_few_events(hits, few) or _has_steady_events(hits)


def _has_few_events(hits: Mapping[str, Any], few: int) -> bool:
    return bool(hits["total"]["value"] == len(hits["hits"]) < few)


def _has_steady_events(hits: Mapping[str, Any]) -> bool:
    if hits["total"]["value"] > len(hits["hits"]):
        return False
    attempts: dict[tuple[str, ...], list[float]] = {}
    for hit in hits["hits"]:
        fields = hit["fields"]
        host = fields.get("remoteIp") or fields.get("remoteHost")
        client = tuple(str(value) for value in (fields.get("dbUserName"), fields.get("clientApplication"), host))
        attempts.setdefault(client, []).append(float(fields["@timestamp"][0]) / 1000)
    return is_steady(attempts.values())


def _most(same_statements: bool) -> int:
    return _MOST_STATEMENTS if same_statements else _MOST_HOSTS
