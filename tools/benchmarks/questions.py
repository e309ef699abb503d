"""The recipes of docs/searching.md as a benchmark asks them: with other values each time, and as one would have to ask
over the mapping of the published sample.

That mapping has eight fields. It knows neither tables, sessions, hosts, applications, outcomes, error codes, rows nor
durations, so that many a question cannot be asked there at all: a process id, for one, is that of many sessions on many
databases. Others come near only by the text of the statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from tools.benchmarks.recipes import Recipe

Source: TypeAlias = Mapping[str, Any]
Body: TypeAlias = dict[str, Any]

_RARE = re.compile(r"[0-9a-f]{6,}")  # numbers, and digits of tokens and ids
_RESERVED = re.compile(r"[*?\\]")  # of a wildcard query
_NONE = "params.earlier == 0"
_LOGINS = ("CONNECT", "LOGON", "LOGIN SUCCEEDED", "DATABASE AUTHENTICATION SUCCEEDED")
_SCHEMA_CHANGES = ("create", "alter", "drop", "truncate", "comment", "rename")
_PHRASES = (
    *("create user", "create table", "drop table", "alter table", "create index", "drop user", "grant select"),
    *("truncate table", "create role", "revoke all", "add member", "alter user", "to program"),
)
_ERRORS = ("permission denied", "duplicate key", "deadlock detected", "does not exist", "command denied", "lock wait")
_NETWORKS = ("203.0.113.0/24", "10.40.0.0/16", "10.41.0.0/16", "10.42.0.0/16", "198.51.100.0/24", "10.20.8.0/22")


class Harvest:
    """Values to ask for, out of some of the documents that were indexed."""

    def __init__(self, documents: Sequence[Source], random: Random) -> None:
        self._documents = documents
        self._random = random
        self._with: dict[str, list[Source]] = {}
        self._fragments: set[str] = set()

    def document(self, field: str) -> Source:
        """A document that has this field."""
        if field not in self._with:
            self._with[field] = [one for one in self._documents if field in one]
        return self._random.choice(self._with[field])

    def value(self, field: str) -> str:
        value = self.document(field)[field]
        return str(self._random.choice(value) if isinstance(value, list) else value)

    def one_of(self, values: Sequence[str]) -> str:
        return self._random.choice(values)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def native(self) -> tuple[str, str]:
        """A native audit field of text, and its value."""
        while True:
            native = self.document("engineNativeAuditFields")["engineNativeAuditFields"]
            field, value = self._random.choice(list(native.items()))
            if isinstance(value, str):
                return field, value

    def fragment(self) -> str:
        """A piece of some statement around a number or a token, never the same twice."""
        while True:
            text = self.value("commandText")
            runs = list(_RARE.finditer(text))
            if not runs:
                continue
            run = self._random.choice(runs)
            begin = max(run.start() - self._random.randint(0, 4), 0)
            fragment = text[begin : run.end()][:16]
            if len(fragment) >= 8 and fragment not in self._fragments:
                self._fragments.add(fragment)
                return fragment


@dataclass(frozen=True, slots=True)
class Asked:
    """What a recipe is asked for this time, and the same question over the sample's mapping.

    `values` take the place of what stands in the recipe's body. `over_sample` is None where the sample's mapping has no
    field for the question.
    """

    values: Mapping[str | int, str | int]
    over_sample: Body | None = None

    def body(self, recipe: Recipe) -> Body:
        """The recipe's own body with these values. Raises ValueError for what the recipe does not have."""
        if missing := [literal for literal in self.values if json.dumps(literal).strip('"') not in recipe.json[0]]:
            raise ValueError(f"{recipe.question} The recipe has no {missing}")
        body: Body = self._with_values(recipe.body)
        return body

    def _with_values(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {self._with_values(key): self._with_values(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._with_values(item) for item in node]
        if not isinstance(node, str):
            return self.values.get(node, node)
        for literal, value in self.values.items():
            node = node.replace(str(literal), str(value)) if isinstance(literal, str) else node
        return node


def _literally(text: str) -> str:
    return _RESERVED.sub(r"\\\g<0>", text)


def _contains(text: str) -> Body:
    return {"wildcard": {"commandText": {"value": f"*{_literally(text)}*", "case_insensitive": True}}}


def _begins(field: str, *texts: str) -> Body:
    return _any(*({"prefix": {field: {"value": text, "case_insensitive": True}}} for text in texts))


def _all(*filters: Body) -> Body:
    return {"bool": {"filter": list(filters)}}


def _any(*alternatives: Body) -> Body:
    return {"bool": {"should": list(alternatives), "minimum_should_match": 1}}


def _done(*words: str) -> Body:
    """Statements that begin so; in Aurora MySQL only their text shows it, since its command is QUERY for all."""
    return _any(_begins("command", *words), _all({"term": {"command": "QUERY"}}, _begins("commandText", *words)))


def _by_user(query: Body) -> Body:
    return {"query": query, "aggs": {"who": {"terms": {"field": "dbUserName", "size": 100}}}}


def _newest_first(query: Body) -> Body:
    return {"query": query, "sort": [{"logTime": "desc"}]}


def read_this_table(harvest: Harvest) -> Asked:
    table = harvest.value("objects")
    reads = _any(_begins("command", "SELECT"), _all({"term": {"command": "QUERY"}}, _begins("commandText", "select")))
    return Asked({"fin.invoices": table}, _by_user(_all(_contains(table.rpartition(".")[2]), reads)))


def changed_this_table(harvest: Harvest) -> Asked:
    table = harvest.value("objects").rpartition(".")[2]
    return Asked({"timesheets": table}, _by_user(_all(_contains(table), _done("insert", "update", "delete", "merge"))))


def tables_read_most(_: Harvest) -> Asked:
    return Asked({})


def piece_of_text(harvest: Harvest) -> Asked:
    """Asked of the sample in one case only, which is faster."""
    fragment = harvest.fragment()
    sample = {"query": {"wildcard": {"commandText": f"*{_literally(fragment)}*"}}}
    return Asked({"198.51.100.23/x.sh": fragment}, sample)


def words_in_a_row(harvest: Harvest) -> Asked:
    words = harvest.one_of(_PHRASES)
    return Asked({"create user": words}, {"query": _contains(words)})


def all_of_these(harvest: Harvest) -> Asked:
    table, word = harvest.value("objects").rpartition(".")[2], harvest.one_of(("update", "delete", "insert", "grant"))
    sample = {"bool": {"filter": [_contains(table), _contains(word)], "must_not": [_contains("select")]}}
    return Asked({"invoices update": f"{table} {word}"}, {"query": sample})


def anywhere(harvest: Harvest) -> Asked:
    word = harvest.one_of((harvest.value("dbUserName"), harvest.value("objects").rpartition(".")[2]))
    return Asked({"svc_backup9": word}, {"query": _any(_contains(word), {"term": {"dbUserName": word}})})


def same_statement(harvest: Harvest) -> Asked:
    return Asked({"5f57777e0b3e979f": harvest.value("statementHash")})


def statements_by_user(_: Harvest) -> Asked:
    return Asked({})


def slow_statements(harvest: Harvest) -> Asked:
    return Asked({1000: harvest.number(500, 5_000)})


def big_reads(harvest: Harvest) -> Asked:
    return Asked({100_000: harvest.number(200, 200_000)})


def parameter(harvest: Harvest) -> Asked:
    return Asked({"JPY": harvest.value("paramList")})


def one_session(harvest: Harvest) -> Asked:
    one = harvest.document("sessionId")
    return Asked({"88758": one["sessionId"], "db-SYNTHETICTRAVELMYWRITER0001": one["instanceId"]})


def one_person(harvest: Harvest) -> Asked:
    user = harvest.value("dbUserName")
    sample = {"term": {"dbUserName": {"value": user, "case_insensitive": True}}}
    return Asked({"ops_viktor": user}, {"query": sample, "sort": [{"logTime": "asc"}]})


def failed_logins_of_a_network(harvest: Harvest) -> Asked:
    return Asked({"203.0.113.0/24": harvest.one_of(_NETWORKS)})


def from_outside(harvest: Harvest) -> Asked:
    return Asked({"10.0.0.0/8": harvest.one_of(("10.0.0.0/8", "10.20.0.0/14", "10.0.0.0/9"))})


def first_logins(harvest: Harvest) -> Asked:
    since = harvest.value("@timestamp")
    sample = {
        "size": 0,
        "query": {"terms": {"command": _LOGINS}},
        "aggs": {
            "user": {
                "terms": {"field": "dbUserName", "size": 10_000},
                "aggs": {
                    "earlier": {"filter": {"range": {"logTime": {"lt": _to_the_second(since)}}}},
                    "first": {"min": {"field": "logTime"}},
                    "new": {"bucket_selector": {"buckets_path": {"earlier": "earlier>_count"}, "script": _NONE}},
                },
            }
        },
    }
    return Asked({"now-7d/d": since}, sample)


def an_application(harvest: Harvest) -> Asked:
    return Asked({"psql": harvest.value("clientApplication")})


def versions_of_an_application(harvest: Harvest) -> Asked:
    return Asked({"Flyway": harvest.value("clientApplication")[:5]})


def rare_applications(harvest: Harvest) -> Asked:
    return Asked({20: harvest.number(5, 100)})


def schema_changes(harvest: Harvest) -> Asked:
    since = harvest.value("@timestamp")
    sample = {
        "query": _all(_done(*_SCHEMA_CHANGES), {"range": {"logTime": {"gte": _to_the_second(since)}}}),
        "sort": [{"logTime": "desc"}],
        "aggs": {
            "day": {
                "date_histogram": {"field": "logTime", "calendar_interval": "day"},
                "aggs": {"who": {"terms": {"field": "dbUserName"}}},
            }
        },
    }
    return Asked({"now-7d/d": since}, sample)


def grants(_: Harvest) -> Asked:
    return Asked({}, _newest_first(_done("grant", "add member")))


def denied(harvest: Harvest) -> Asked:
    return Asked({"42501": harvest.value("exitCode")})


def failures(_: Harvest) -> Asked:
    return Asked({})


def errors_that_say(harvest: Harvest) -> Asked:
    return Asked({"permission denied": harvest.one_of(_ERRORS)})


def one_kind_of_database(harvest: Harvest) -> Asked:
    return Asked({"oracle": harvest.value("engine")})


def native_field(harvest: Harvest) -> Asked:
    field, value = harvest.native()
    sample = {"query": {"term": {f"engineNativeAuditFields.{field}.keyword": value}}}
    return Asked({"SYSTEM_PRIVILEGE_USED": field, "CREATE SESSION": value}, sample)


def unknown_fields(_: Harvest) -> Asked:
    return Asked({})


def undated(_: Harvest) -> Asked:
    groups = {"what": {"terms": {"field": "command"}}, "database": {"terms": {"field": "databaseName"}}}
    return Asked({}, {"query": {"bool": {"must_not": [{"exists": {"field": "logTime"}}]}}, "aggs": groups})


def _to_the_second(time: str) -> str:
    """As the sample keeps times."""
    return time[:19].replace("T", " ")


# Each recipe, in the page's order: a recipe that is missing here fails a test.
QUESTIONS: Mapping[str, Callable[[Harvest], Asked]] = {
    "Who read this table?": read_this_table,
    "Who changed this table, in any schema?": changed_this_table,
    "Which tables are read most, and by whom?": tables_read_most,
    "Which statements contain this text?": piece_of_text,
    "Which statements contain this phrase?": words_in_a_row,
    "Which statements contain all of these words?": all_of_these,
    "Which events contain this value in any field?": anywhere,
    "Who ran this statement, with any values?": same_statement,
    "How many distinct statements does each user run?": statements_by_user,
    "Which statements are slow?": slow_statements,
    "Which statements read many rows?": big_reads,
    "Which statements had this parameter value?": parameter,
    "What happened in one session, in order?": one_session,
    "What did one user do on all engines?": one_person,
    "Who failed to log in from this network?": failed_logins_of_a_network,
    "Who connected from outside our networks?": from_outside,
    "Which users logged in for the first time this week?": first_logins,
    "What did this application do?": an_application,
    "Which events come from any version of this application?": versions_of_an_application,
    "Which applications are rare?": rare_applications,
    "What changed in the schema during the last seven days, and by whom?": schema_changes,
    "Who granted privileges, and to whom?": grants,
    "Who was denied access?": denied,
    "What failed, other than logins?": failures,
    "Which errors contain this phrase?": errors_that_say,
    "What happened on one engine in one account and region?": one_kind_of_database,
    "Which events have this native audit field?": native_field,
    "Which events have unknown fields?": unknown_fields,
    "Which events have no timestamp of their own?": undated,
}
