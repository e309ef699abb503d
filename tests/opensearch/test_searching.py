"""docs/searching.md: every recipe is run as its reader sees it, and finds what Python finds in the same documents."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias

import pytest
from opensearchpy import OpenSearch, RequestError

from daswatch.content.templates import shipped_content
from daswatch.documents.document import Document
from daswatch.opensearch.templates import ContentGateway
from daswatch.preview.dql import to_query
from demo.indexed import documents_of, index_all
from demo.traffic import ProducedRecord, produce
from tests.harness.installed import remove
from tools.benchmarks.recipes import PAGE, Recipe, recipes

Source: TypeAlias = Mapping[str, Any]

RECIPES = {recipe.question: recipe for recipe in recipes()}
DEMO_SEED, DEMO_EVENTS = 7, 10_000  # what `make demo` makes: the page says that its values are found there
SAMPLE_OF_SUBSTRING = "198.51.100.23/x.sh"
# As the analyzer of commandText splits.
WORD = re.compile(r"[^\s.,;:()\[\]{}<>=!+\-*/%^&|~?\"'`\\@\x00]+")


def words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def has_phrase(text: str, phrase: str) -> bool:
    return f" {' '.join(words(phrase))} " in f" {' '.join(words(text))} "


def sql(one: Source) -> str:
    return str(one.get("commandText", ""))


def within(one: Source, network: str) -> bool:
    return "remoteIp" in one and ip_address(one["remoteIp"]) in ip_network(network)


def this_week(one: Source) -> bool:
    """Since the beginning of the day seven days ago, as `now-7d/d`."""
    day = (datetime.now(UTC) - timedelta(days=7)).date()
    return bool(one["@timestamp"] >= day.isoformat())


# What each question means, said without a search engine.
MEANING: Mapping[str, Callable[[Source], bool]] = {
    "Who read this table?": lambda one: "fin.invoices" in one.get("objects", ()) and one["activity"] == "DQL",
    "Who changed this table, in any schema?": lambda one: (
        any(name.split(".")[-1] == "timesheets" for name in one.get("objects", ()))
        and one["activity"] == "DML"
        and one["class"] != "AUX"
    ),
    "Which tables are read most, and by whom?": lambda one: one["activity"] == "DQL" and "objects" in one,
    "Which statements contain this text?": lambda one: SAMPLE_OF_SUBSTRING in sql(one).lower(),
    "Which statements contain this phrase?": lambda one: has_phrase(sql(one), "create user"),
    "Which statements contain all of these words?": lambda one: (
        {"invoices", "update"} <= set(words(sql(one))) and "select" not in words(sql(one))
    ),
    "Which events contain this value in any field?": lambda one: (
        "svc_backup9" in words(f"{sql(one)} {one.get('errorMessage', '')}")
        or "svc_backup9" in (*one.get("objects", ()), one.get("dbUserName"))
    ),
    "Who ran this statement, with any values?": lambda one: (
        "SELECT `passengers`.* FROM `passengers` WHERE `passengers`.`booking_id` = " in sql(one)
    ),
    "How many distinct statements does each user run?": lambda one: "statementHash" in one,
    "Which statements are slow?": lambda one: (
        one.get("durationMs", 0) >= 1000 and one["activity"] != "DISCONNECT" and one["class"] != "AUX"
    ),
    "Which statements read many rows?": lambda one: one["activity"] == "DQL" and one.get("rowCount", 0) >= 100_000,
    "Which statements had this parameter value?": lambda one: "JPY" in one.get("paramList", ()),
    "What happened in one session, in order?": lambda one: (
        (one.get("sessionId"), one["instanceId"]) == ("88758", "db-SYNTHETICTRAVELMYWRITER0001")
    ),
    "What did one user do on all engines?": lambda one: one.get("dbUserName", "").lower() == "ops_viktor",
    "Who failed to log in from this network?": lambda one: (
        one["activity"] == "AUTH FAILURE" and within(one, "203.0.113.0/24")
    ),
    "Who connected from outside our networks?": lambda one: "remoteIp" in one and not within(one, "10.0.0.0/8"),
    "Which users logged in for the first time this week?": lambda one: one["activity"] == "CONNECT",
    "What did this application do?": lambda one: one.get("clientApplication") == "psql",
    "Which events come from any version of this application?": lambda one: one.get("clientApplication", "").startswith(
        "Flyway"
    ),
    "Which applications are rare?": lambda one: "clientApplication" in one,
    "What changed in the schema during the last seven days, and by whom?": lambda one: (
        one["activity"] == "DDL" and one["class"] != "AUX" and this_week(one)
    ),
    "Who granted privileges, and to whom?": lambda one: (
        (one["activity"], one["outcome"]) == ("DCL", "success")
        and ("grant" in words(sql(one)) or one.get("command") == "ADD MEMBER")
    ),
    "Who was denied access?": lambda one: one.get("exitCode") in ("42501", "1142", "1044", "942", "1031"),
    "What failed, other than logins?": lambda one: one["outcome"] == "failure" and one["activity"] != "AUTH FAILURE",
    "Which errors contain this phrase?": lambda one: has_phrase(one.get("errorMessage", ""), "permission denied"),
    "What happened on one engine in one account and region?": lambda one: (
        one["engine"] == "oracle" and one["activity"] != "DQL"
    ),
    "Which events have this native audit field?": lambda one: (
        one.get("engineNativeAuditFields", {}).get("SYSTEM_PRIVILEGE_USED") == "CREATE SESSION"
    ),
    "Which events have unknown fields?": lambda one: "unknownFields" in one,
    "Which events have no timestamp of their own?": lambda one: any(
        note.startswith("time-") for note in one.get("ingestNotes", ())
    ),
}
NOT_IN_THE_DEMO = {
    "Which events have unknown fields?",
    "Which events have no timestamp of their own?",
}


@dataclass(frozen=True, slots=True)
class History:
    """Documents in indices of their own, by id, and the index pattern's fields as Dashboards knows them."""

    index: str
    documents: dict[str, Source]
    fields: dict[str, str]
    _meant: dict[str, set[str]] = field(default_factory=dict)

    def meant(self, question: str) -> set[str]:
        """The ids of the documents that a question means."""
        if question not in self._meant:
            self._meant[question] = {one for one, source in self.documents.items() if MEANING[question](source)}
        return self._meant[question]


def odd(event: Mapping[str, Any], record: ProducedRecord) -> ProducedRecord:
    """A record of an event's relatives: of a broken clock, with a field not described yet, and at the same time."""
    events = [
        {**event, "logTime": "soon"},
        {**event, "workloadClass": "batch"},
        *({**event, "substatementId": number} for number in (7, 8, 9)),
    ]
    return replace(record, monitoring_record={**record.monitoring_record, "databaseActivityEventList": events})


def traffic(prefix: str, now: datetime) -> Iterator[Document]:
    """The demo's traffic of the last hour, some of three weeks ago, and a record with odd events."""
    recent = list(produce(DEMO_SEED, now - timedelta(hours=1), DEMO_EVENTS))
    earlier = produce(DEMO_SEED + 1, now - timedelta(days=21), 2_000, scenarios=())
    yield from documents_of([*earlier, *recent], prefix)
    of_the_session = (
        odd(event, record)
        for record in recent
        for event in record.monitoring_record["databaseActivityEventList"]
        if str(event.get("sessionId")) == "88758"
    )
    yield from documents_of([next(of_the_session)], prefix)


@pytest.fixture(scope="module")
def history(search: OpenSearch) -> Iterator[History]:
    prefix = f"t-searching-{secrets.token_hex(4)}-events"
    ContentGateway(search).install_all(shipped_content(prefix))
    documents = list(traffic(prefix, datetime.now(UTC)))
    index_all(search, documents)
    index = f"{prefix}-*"
    search.indices.refresh(index=index)
    capabilities = search.field_caps(index=index, params={"fields": "*"})["fields"]
    fields = {name: as_dashboards_groups(types) for name, types in capabilities.items()}
    yield History(index, {one.id: one.source for one in documents}, fields)
    search.indices.delete(index=index)
    remove(search, prefix)


def as_dashboards_groups(types: Mapping[str, Any]) -> str:
    """A field's type in an index pattern, as far as DQL looks at it."""
    (kind,) = types
    return "date" if kind.startswith("date") else str(kind)


def as_dql(text: str, history: History) -> dict[str, Any]:
    return {"query": to_query(text, history.fields)}


def as_lucene(text: str, _: History) -> dict[str, Any]:
    """With the option that Dashboards adds to each."""
    return {"query": {"query_string": {"query": text, "analyze_wildcard": True}}}


def as_json(text: str, _: History) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(text)
    return body


BODY: Mapping[str, Callable[[str, History], dict[str, Any]]] = {"dql": as_dql, "lucene": as_lucene, "json": as_json}
BLOCKS = [
    pytest.param(recipe, language, text, id=f"{recipe.question} {language} {number}")
    for recipe in RECIPES.values()
    for language in BODY
    for number, text in enumerate(getattr(recipe, language))
]


def ids(search: OpenSearch, history: History, body: Mapping[str, Any]) -> set[str]:
    """The ids of all documents that a query finds."""
    everything = {"query": body["query"], "size": 10_000, "_source": False, "track_total_hits": True}
    found = search.search(index=history.index, body=everything)["hits"]
    assert found["total"]["value"] == len(found["hits"]), "more than one page"
    return {hit["_id"] for hit in found["hits"]}


def test_every_recipe_has_its_meaning_here() -> None:
    assert list(RECIPES) == list(MEANING)


@pytest.mark.parametrize("question", RECIPES)
def test_every_recipe_has_the_query_dsl(question: str) -> None:
    recipe = RECIPES[question]

    assert len(recipe.json) == 1
    assert recipe.body["query"]
    # What the search bar cannot do is grouping; whatever it can is there in both of its languages.
    assert bool(recipe.dql) is bool(recipe.lucene)
    assert recipe.dql or recipe.body["aggs"]


@pytest.mark.node
@pytest.mark.parametrize(("recipe", "language", "text"), BLOCKS)
def test_a_recipe_finds_what_its_question_means(
    recipe: Recipe, language: str, text: str, search: OpenSearch, history: History
) -> None:
    meant = history.meant(recipe.question)

    assert ids(search, history, BODY[language](text, history)) == meant
    assert 0 < len(meant) < len(history.documents)


@pytest.mark.node
@pytest.mark.parametrize("question", RECIPES)
def test_a_body_is_accepted_as_it_stands(question: str, search: OpenSearch, history: History) -> None:
    answer = search.search(index=history.index, body=RECIPES[question].body)

    assert answer["_shards"]["failed"] == 0
    assert not answer["timed_out"]
    assert answer["hits"]["total"]["value"] > 0
    assert all(group.get("buckets", True) for group in answer.get("aggregations", {}).values())


@pytest.mark.node
@pytest.mark.parametrize("question", sorted(RECIPES.keys() - NOT_IN_THE_DEMO))
def test_the_demo_has_an_example(question: str, history: History) -> None:
    assert any(this_week(history.documents[one]) for one in history.meant(question))


@pytest.mark.node
@pytest.mark.parametrize("question", [one.question for one in RECIPES.values() if one.lucene])
def test_lucene_finds_the_same_outside_dashboards(question: str, search: OpenSearch, history: History) -> None:
    (text,) = RECIPES[question].lucene

    assert ids(search, history, {"query": {"query_string": {"query": text}}}) == history.meant(question)


def rows(answer: Mapping[str, Any], name: str, *metrics: str) -> dict[str, list[Any]]:
    """A grouping as keys with what was measured of each: its metrics, and its number of events first."""
    return {
        group["key"]: [group["doc_count"], *(group[metric]["value"] for metric in metrics)]
        for group in answer["aggregations"][name]["buckets"]
    }


def groups(search: OpenSearch, history: History, question: str) -> dict[str, Any]:
    answer: dict[str, Any] = search.search(index=history.index, body=RECIPES[question].body)
    return answer


def sources(history: History, question: str) -> list[Source]:
    return [history.documents[one] for one in history.meant(question)]


@pytest.mark.node
def test_readers_of_a_table_are_counted(search: OpenSearch, history: History) -> None:
    question = "Who read this table?"

    found = rows(groups(search, history, question), "who")

    assert found == {user: [n] for user, n in Counter(one["dbUserName"] for one in sources(history, question)).items()}
    assert len(found) > 1


@pytest.mark.node
def test_tables_come_with_their_readers(search: OpenSearch, history: History) -> None:
    question = "Which tables are read most, and by whom?"
    events = Counter(name for one in sources(history, question) for name in one["objects"])

    answer = groups(search, history, question)

    assert sorted(events.values(), reverse=True)[:10] == [n for (n,) in rows(answer, "table").values()]
    for table in answer["aggregations"]["table"]["buckets"]:
        readers = Counter(
            one["dbUserName"] for one in sources(history, question) if table["key"] in one["objects"]
        ).most_common(3)
        assert [n for _, n in readers] == [group["doc_count"] for group in table["who"]["buckets"]]


@pytest.mark.node
def test_changed_rows_are_counted_once(search: OpenSearch, history: History) -> None:
    question = "Who changed this table, in any schema?"

    found = groups(search, history, question)["aggregations"]["rows"]["value"]

    assert found == sum(one.get("rowCount", 0) for one in sources(history, question)) > 0


@pytest.mark.node
def test_statements_are_counted_by_user(search: OpenSearch, history: History) -> None:
    question = "How many distinct statements does each user run?"
    statements: dict[str, set[str]] = defaultdict(set)
    for one in sources(history, question):
        statements[one["dbUserName"]].add(one["statementHash"])

    found = {
        user: number for user, (_, number) in rows(groups(search, history, question), "user", "statements").items()
    }

    assert found == {user: len(statements[user]) for user in found}  # so few are counted exactly
    assert list(found.values()) == sorted(map(len, statements.values()), reverse=True)[:20]


@pytest.mark.node
def test_the_slowest_statement_comes_first(search: OpenSearch, history: History) -> None:
    question = "Which statements are slow?"
    slowest = max(sources(history, question), key=lambda one: float(one["durationMs"]))

    answer = groups(search, history, question)

    assert answer["hits"]["hits"][0]["_source"] == slowest
    assert next(iter(rows(answer, "statement", "slowest"))) == slowest["statementHash"]


@pytest.mark.node
def test_only_users_without_an_earlier_login_are_new(search: OpenSearch, history: History) -> None:
    question = "Which users logged in for the first time this week?"
    logins = sources(history, question)
    known = {one["dbUserName"] for one in logins if not this_week(one)}

    found = rows(groups(search, history, question), "user").keys()

    assert found == {one["dbUserName"] for one in logins} - known
    assert "svc_backup9" in found
    assert known
    assert not found & known


@pytest.mark.node
def test_rare_applications_are_found(search: OpenSearch, history: History) -> None:
    question = "Which applications are rare?"
    events = Counter(one["clientApplication"] for one in sources(history, question))

    found = rows(groups(search, history, question), "application")

    assert found == {application: [n] for application, n in events.items() if n <= 20}
    assert "pg_dump" in found


@pytest.mark.node
def test_networks_are_reported_by_address_and_user(search: OpenSearch, history: History) -> None:
    question = "Who failed to log in from this network?"
    users: dict[str, set[str]] = defaultdict(set)
    for one in sources(history, question):
        users[one["remoteIp"]].add(one["dbUserName"])

    found = rows(groups(search, history, question), "from", "users")

    assert {address: number for address, (_, number) in found.items()} == {one: len(users[one]) for one in users}


@pytest.mark.node
@pytest.mark.parametrize("size", [100, 7])
def test_a_sessions_pages_hold_every_event_once_and_in_order(size: int, search: OpenSearch, history: History) -> None:
    question = "What happened in one session, in order?"
    body = {**RECIPES[question].body, "size": size}
    found: list[dict[str, Any]] = []
    while page := search.search(index=history.index, body=body)["hits"]["hits"]:
        found += page
        body["search_after"] = page[-1]["sort"]

    assert Counter(hit["_id"] for hit in found) == dict.fromkeys(history.meant(question), 1)
    assert len(found) > size
    times = [hit["_source"]["@timestamp"] for hit in found]
    assert times == sorted(times)
    assert len(set(times)) < len(times)  # or the order of equal ones was not needed


ASTRAY = re.findall(r"^\| (dql|lucene) \| `(.+?)` \| `(.+?)` \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)


def count(search: OpenSearch, history: History, language: str, text: str) -> int:
    """How many events are found; 0 too where the search is refused."""
    try:
        return int(search.count(index=history.index, body=BODY[language](text, history))["count"])
    except RequestError:
        return 0


def test_the_page_warns_of_some_searches() -> None:
    assert len(ASTRAY) > 10


@pytest.mark.node
@pytest.mark.parametrize(("language", "wrong", "right"), ASTRAY)
def test_what_leads_astray_does_and_what_was_meant_does_not(
    language: str, wrong: str, right: str, search: OpenSearch, history: History
) -> None:
    assert count(search, history, language, wrong) == 0
    assert count(search, history, language, right) > 0


def aliases(properties: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, mapped in properties.items():
        if mapped.get("type") == "alias":
            yield f"{path}{name}", mapped["path"]
        yield from aliases(mapped.get("properties", {}), f"{path}{name}.")


def test_the_page_lists_every_alias() -> None:
    template = json.loads(files("index_templates").joinpath("index/das-events.json").read_text("utf-8"))
    listed: dict[str, str] = {}
    for line in re.findall(r"^\| (`[a-z].*) \|$", PAGE.read_text("utf-8").partition("## Tables")[0], re.MULTILINE):
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.split(" | ")]
        for names, fields in (cells[:2], cells[2:]) if len(cells) == 4 else ():
            listed |= zip(names, fields * len(names) if len(fields) == 1 else fields, strict=True)

    assert listed == dict(aliases(template["template"]["mappings"]["properties"]))
