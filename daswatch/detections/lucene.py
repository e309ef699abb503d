"""Lucene queries for a detection, its database and its group: quoted, and without SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping

from daswatch.documents.flat_objects import ANY_VALUE, is_inside
from daswatch.documents.redaction import SQL_FIELDS

_SPECIAL_IN_FIELD = re.compile(r"([^\w.@])")
_SPECIAL_IN_PHRASE = re.compile(r'(["\\])')


def lucene_term(field: str, value: str) -> str:
    """`field:"value"`, safely quoted; for an empty value, what finds the documents without the field."""
    if not value:
        return f"NOT {lucene_exists(field)}"
    name = _SPECIAL_IN_FIELD.sub(r"\\\1", field)
    phrase = _SPECIAL_IN_PHRASE.sub(r"\\\1", value)
    return f'{name}:"{phrase}"'


def lucene_exists(field: str) -> str:
    """What finds the documents with the field, on every version of OpenSearch."""
    name = _SPECIAL_IN_FIELD.sub(r"\\\1", field)
    return f"{name}:{ANY_VALUE}" if is_inside(field) else f"_exists_:{name}"


def group_query(query: str, resource_id: str, group: Mapping[str, str]) -> str:
    """A detection's query, narrowed to one database and one group.

    Without a resource id it is not narrowed to a database. Fields that hold SQL do not narrow it either.
    """
    database = {"resourceId": resource_id} if resource_id else {}
    narrowing = {name: value for name, value in {**database, **group}.items() if not holds_sql(name)}
    terms = [lucene_term(name, value) for name, value in narrowing.items()]
    return " AND ".join([f"({query})", *terms] if query else terms)


def holds_sql(field: str) -> bool:
    """Whether a field, or the field that it is a subfield of, holds what people typed."""
    return field.partition(".")[0] in SQL_FIELDS
