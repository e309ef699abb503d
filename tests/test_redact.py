"""Redaction: which SQL the index holds, by setting."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from daswatch.redact import Redaction, redacted

DOCUMENT: dict[str, Any] = {
    "engine": "postgresql",
    "command": "SELECT",
    "commandText": "select * from users where mail = 's3cret' and id = $1",
    "paramList": ["s3cret", "17"],
    "errorMessage": 'duplicate key value violates unique constraint "users_mail": Key (mail)=(s3cret) already exists',
    "statementHash": "0123456789abcdef",
    "dbUserName": "app_rw",
}


def test_off_keeps_everything() -> None:
    assert redacted(DOCUMENT, "postgresql", Redaction.OFF) == DOCUMENT


def test_literals_become_question_marks_and_the_shape_stays() -> None:
    found = redacted(DOCUMENT, "postgresql", Redaction.LITERALS)

    assert found == {
        **DOCUMENT,
        "commandText": "select * from users where mail = ? and id = ?",
        "paramList": ["?", "?"],
        "errorMessage": "duplicate key value violates unique constraint ?",
    }


def test_hash_leaves_no_sql_and_no_message() -> None:
    found = redacted(DOCUMENT, "postgresql", Redaction.HASH)

    assert set(DOCUMENT) - set(found) == {"commandText", "paramList", "errorMessage"}
    assert found["statementHash"] == DOCUMENT["statementHash"]


@pytest.mark.parametrize("redaction", list(Redaction))
def test_the_given_document_stays_as_it_is(redaction: Redaction) -> None:
    before = orjson.dumps(DOCUMENT)

    redacted(DOCUMENT, "postgresql", redaction)

    assert orjson.dumps(DOCUMENT) == before


@pytest.mark.parametrize("redaction", list(Redaction))
def test_a_document_without_sql_is_fine(redaction: Redaction) -> None:
    assert redacted({"command": "CONNECT"}, "mysql", redaction) == {"command": "CONNECT"}


@pytest.mark.parametrize(
    "message",
    [
        'invalid input syntax for type integer: "s3cret"',
        "Key (mail)=(s3cret) already exists.",
        "Key (mail, name)=(s3cret, x) already exists.",
        "Key (lower(mail))=(s3cret) already exists.",
        "Key (note)=(call me (later) s3cret) already exists.",
        "Duplicate entry 's3cret' for key 'users.mail'",
        "Duplicate entry \\'s3cret\\' for key \\'users.mail\\'",
        "Duplicate entry 'it''s s3cret' for key 'users.mail'",
        "Can't find record of 's3cret'",
        "Data truncated: 's3cret",
        'unterminated quoted string at or near "\'s3cret"',
        "Incorrect value: 'a \"s3cret' b\"",
    ],
)
def test_values_in_error_messages_are_taken_out(message: str) -> None:
    found = redacted({"errorMessage": message}, "mysql", Redaction.LITERALS)

    assert "s3cret" not in found["errorMessage"]


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ('relation "no_such_table" does not exist', "relation ?"),
        ("permission denied for table t_orders", "permission denied for table t_orders"),
        ("deadlock detected", "deadlock detected"),
    ],
)
def test_an_error_message_stays_up_to_where_it_quotes(message: str, kept: str) -> None:
    assert redacted({"errorMessage": message}, "postgresql", Redaction.LITERALS)["errorMessage"] == kept


def test_each_engines_own_quoting_is_respected() -> None:
    text = 'select "name" from t'

    by_engine = {
        engine: redacted({"commandText": text}, engine, Redaction.LITERALS)["commandText"]
        for engine in ("postgresql", "mysql", "oracle", "sqlserver")
    }

    assert by_engine == {
        "postgresql": text,
        "mysql": "select ? from t",
        "oracle": text,
        "sqlserver": "select ? from t",  # QUOTED_IDENTIFIER may be off
    }
