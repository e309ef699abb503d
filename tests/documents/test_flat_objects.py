"""Fields of type flat_object: queries of their parts find the same on every version of OpenSearch."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch

from daswatch.content.dashboards import shipped_objects
from daswatch.content.templates import shipped_content
from daswatch.detections.lucene import lucene_exists, lucene_term
from daswatch.detections.saved_searches import saved_search
from daswatch.detections.sigma import compile_all, compile_rule
from daswatch.documents.flat_objects import FLAT_OBJECTS, is_inside
from daswatch.errors import RuleError
from daswatch.indices import Indices
from daswatch.queries.monitors import has_monitor, monitor
from tests import ROOT

DOCS = ROOT / "docs"
# Where values lie, and what else a query could take them for.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "text": {"a": "x"},
    "inner": {"a": {"b": "x"}},
    "list": {"a": {"b": [{"c": "x"}]}},
    "longer name": {"ab": "x"},
    "false": {"a": False},
    "number": {"a": 7},
    "null": {"a": None},
    "empty": {"a": ""},
    "no value": {"a": []},
    "nothing inside": {"a": {}},
    "as a value": {"z": "a"},
    "mixed": {"a": [{"b": "y"}, 1]},
}
FOUND = {
    "unknownFields.a": {"text", "false", "number", "empty", "mixed"},
    "unknownFields.a.b": {"inner", "mixed"},
    "unknownFields.a.b.c": {"list"},
    "unknownFields": set(DOCUMENTS) - {"null", "no value", "nothing inside"},
}


@pytest.fixture(scope="module")
def index(search: OpenSearch) -> Iterator[str]:
    """An index with the documents."""
    name = f"t-flat-objects-{secrets.token_hex(4)}"
    search.indices.create(
        index=name, body={"mappings": {"dynamic": False, "properties": {"unknownFields": {"type": "flat_object"}}}}
    )
    for identity, content in DOCUMENTS.items():
        search.index(index=name, id=identity, body={"unknownFields": content})
    search.indices.refresh(index=name)
    yield name
    search.indices.delete(index=name)


def found(search: OpenSearch, index: str, query: str) -> set[str]:
    body = {"query": {"query_string": {"query": query}}, "size": len(DOCUMENTS)}
    return {hit["_id"] for hit in search.search(index=index, body=body)["hits"]["hits"]}


@pytest.mark.parametrize("field", FOUND)
def test_a_value_at_a_path_is_found(field: str, search: OpenSearch, index: str) -> None:
    assert found(search, index, lucene_exists(field)) == FOUND[field]
    assert found(search, index, lucene_term(field, "")) == set(DOCUMENTS) - FOUND[field]


def test_all_flat_objects_that_are_searched_are_known() -> None:
    mapped = set()
    for content in shipped_content():
        # Only the indices that a detection or a search looks at: parts of the others are not asked for.
        if content.name in ("das-event-fields", "das-control-plane"):
            properties = content.body["template"]["mappings"]["properties"]
            mapped |= {name for name, mapping in properties.items() if mapping["type"] == "flat_object"}
    assert mapped == FLAT_OBJECTS


@pytest.mark.parametrize(
    ("condition", "query"),
    [
        ({"requestParameters.a.b|exists": True}, "requestParameters.a.b:[* TO *]"),
        ({"requestParameters.a.b|exists": False}, "NOT requestParameters.a.b:[* TO *]"),
        ({"requestParameters.a.b": None}, "NOT requestParameters.a.b:[* TO *]"),
        ({"requestParameters.a.b": "*"}, "requestParameters.a.b:[* TO *]"),
        (
            {"requestParameters.a.b": ["c", "*"]},
            "requestParameters.a.b:c OR requestParameters.a.b:[* TO *]",
        ),
        ({"requestParameters|exists": True}, "_exists_:requestParameters"),
        ({"eventName|exists": True}, "_exists_:eventName"),
    ],
)
def test_a_rule_asks_for_values(condition: dict[str, Any], query: str) -> None:
    assert compile_rule("flat", rule(condition)).query == f"({query})"


def test_a_rule_that_excludes_null_asks_for_values() -> None:
    document = json.loads(rule({"requestParameters.a.b": None}))
    document["detection"]["condition"] = "not selection"

    assert compile_rule("flat", json.dumps(document)).query == "(requestParameters.a.b:[* TO *])"


def test_a_regular_expression_inside_is_refused() -> None:
    with pytest.raises(RuleError, match=r"requestParameters\.a: OpenSearch 2\.x finds nothing"):
        compile_rule("flat", rule({"requestParameters.a|re": "b.*"}))


def rule(condition: dict[str, Any]) -> str:
    """A rule about calls of AWS's API; JSON is YAML."""
    return json.dumps(
        {
            "title": "t",
            "id": "34ba62d6-8bb1-450d-b11c-979f9de07ed8",
            "status": "test",
            "description": "d",
            "level": "low",
            "falsepositives": ["f"],
            "logsource": {"product": "aws"},
            "detection": {"selection": condition, "condition": "selection"},
            "daswatch": {"why": "w", "runbook": ["r"], "type": "t", "source": "control-plane"},
        }
    )


# `_exists_:f.x`, `f.x:*`, `f.x : *` and `f.x:/…/` in query languages, and an `exists` in the query DSL.
_UNEQUAL = re.compile(
    r'_exists_\s*:\s*([\w.]+)|([\w.]+)\s*:\s*(?:\*(?!\w)|/)|"exists"\s*:\s*\{\s*"field"\s*:\s*"([\w.]+)"'
)


def unequal(text: str) -> list[str]:
    """The parts of flat_objects that a text asks for in a way that depends on the version."""
    return [name for match in _UNEQUAL.finditer(text) if is_inside(name := next(filter(None, match.groups())))]


@pytest.mark.parametrize(
    "text",
    [
        "a:b AND _exists_:unknownFields.x",
        "unknownFields.x : *",
        "NOT unknownFields.x.y:*",
        "requestParameters.x:/b.*/",
        '{"query": {"exists": {"field": "engineNativeAuditFields.x"}}}',
    ],
)
def test_a_query_that_depends_on_the_version_is_seen(text: str) -> None:
    assert len(unequal(text)) == 1


def text_of(content: object) -> str:
    """As JSON, in which JSON inside is read as well."""
    return orjson.dumps(content).decode().replace('\\"', '"')


def test_no_shipped_query_depends_on_the_version() -> None:
    detections = compile_all()
    texts = {
        **{f"{one.name}, detection": text_of(one) for one in detections},
        **{f"{one.name}, saved search": text_of(saved_search(one, Indices())) for one in detections},
        **{f"{one.name}, monitor": text_of(monitor(one, "c", Indices())) for one in detections if has_monitor(one)},
        **{saved.id: text_of(saved.attributes) for saved in shipped_objects(Indices())},
        **{page.name: page.read_text("utf-8") for page in DOCS.glob("*.md")},
    }
    assert {name: names for name, text in texts.items() if (names := unequal(text))} == {}
