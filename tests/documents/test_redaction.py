"""Redaction: which SQL the index holds, by setting."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from daswatch.documents.redaction import Redaction, read_statement, redacted

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
        ("must be superuser to alter superusers", "must be superuser to alter superusers"),
        ('password authentication failed for user "bob"', "password authentication failed for user ?"),
        ("permission denied for customer Jane Roe", "permission denied for ?"),
        ("permission denied to John s3cret of card s3cret", "permission denied to ?"),
        ("permission denied to create role", "permission denied to create role"),
        ("cannot execute transfer for customer John s3cret", "cannot execute ?"),
        ("cannot execute UPDATE in a read-only transaction", "cannot execute UPDATE in a read-only transaction"),
        ("must be superuser to see what s3cret has", "must be superuser ?"),
        ("no account for jane@example.com", "?"),
        ("customer Jane Roe not found", "?"),
    ],
)
def test_an_error_message_stays_up_to_where_it_quotes(message: str, kept: str) -> None:
    assert redacted({"errorMessage": message}, "postgresql", Redaction.LITERALS)["errorMessage"] == kept


@pytest.mark.parametrize(
    ("engine", "exit_code", "message"),
    [
        ("postgresql", "P0001", "permission denied for table s3cret"),
        ("mysql", "1644", "Access denied for user s3cret"),
        ("oracle", "20001", "ORA-20001: s3cret"),
        ("sqlserver", "0", "s3cret"),
    ],
)
def test_a_message_that_users_raise_is_taken_out(engine: str, exit_code: str, message: str) -> None:
    document = {"errorMessage": message, "exitCode": exit_code}

    assert redacted(document, engine, Redaction.LITERALS)["errorMessage"] == "?"


NATIVE = {
    "engineNativeAuditFields": {
        "schema_name": "dbo",
        "object_id": 7,
        "user_defined_information": "s3cret",
        "additional_information": "<tsql_stack>s3cret</tsql_stack>",
        "RLS_INFO": "SSN = 's3cret'",
        "A_NEW_FIELD": ["s3cret", 17],
    },
    "unknownFields": {"novel": {"deep": "s3cret"}, "count": 17},
    "unknownFieldsText": '{"novel":"s3cret"}',
}


def test_free_fields_keep_names_and_no_text() -> None:
    found = redacted(NATIVE, "sqlserver", Redaction.LITERALS)

    assert found["engineNativeAuditFields"] == {
        "schema_name": "dbo",
        "object_id": 7,
        "user_defined_information": "?",
        "additional_information": "?",
        "RLS_INFO": "?",
        "A_NEW_FIELD": "?",
    }
    assert found["unknownFields"] == {"novel": "?", "count": "?"}
    assert found["unknownFieldsText"] == "?"


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        ("CREATE SESSION, SELECT ANY TABLE", True),
        ("hr", True),
        (7, True),
        ("select a from t where b = 's3cret'", False),
        ("create table s3cret (a int)", False),
        ("it's s3cret", False),
        (["s3cret"], False),
    ],
)
def test_a_field_of_names_keeps_no_statement(item: Any, kept: bool) -> None:
    document = {"engineNativeAuditFields": {"SYSTEM_PRIVILEGE_USED": item}}

    found = redacted(document, "oracle", Redaction.LITERALS)["engineNativeAuditFields"]["SYSTEM_PRIVILEGE_USED"]

    assert found == (item if kept else "?")


@pytest.mark.parametrize("redaction", list(Redaction))
@pytest.mark.parametrize("field", ["SQL_BINDS", "sqlBinds"])
def test_bound_values_of_a_password_statement_are_removed(field: str, redaction: Redaction) -> None:
    """Their names say nothing: what a statement does with a value, the statement says."""
    document = {
        "commandText": "begin dbms_credential.create_credential(:1,:2,:3); end;",
        "engineNativeAuditFields": {field: " #1(1):c #2(1):u #3(8):s3cretPW"},
    }

    assert "s3cret" not in str(redacted(document, "oracle", redaction))


def test_bound_values_of_another_statement_stay() -> None:
    document = {"commandText": "select :1 from t", "engineNativeAuditFields": {"SQL_BINDS": " #1(1):7"}}

    assert redacted(document, "oracle", Redaction.OFF) == document


@pytest.mark.parametrize(
    ("engine", "text", "kept"),
    [
        (
            "postgresql",
            "create function f() returns int language sql set app.x = s3cret set a.b to s3cret as $$ select 1 $$",
            "create function f() returns int language sql set app.x = ? set a.b to ? as $$ select ? $$",
        ),
        (
            "postgresql",
            "create function f() returns int language sql set search_path = hr as $$ select a $$",
            "create function f() returns int language sql set search_path = hr as $$ select a $$",
        ),
        ("oracle", "alter session set tracefile_identifier = s3cret", "alter session set tracefile_identifier = ?"),
        (
            "oracle",
            'alter session set tracefile_identifier = "s3cret" events = x',
            "alter session set tracefile_identifier = ? events = ?",
        ),
        ("oracle", "alter session set current_schema = hr", "alter session set current_schema = hr"),
        ("oracle", "alter session set sql_trace = true", "alter session set sql_trace = true"),
    ],
)
def test_a_setting_takes_words_for_text(engine: str, text: str, kept: str) -> None:
    assert redacted({"commandText": text}, engine, Redaction.LITERALS)["commandText"] == kept


def test_hash_leaves_no_free_field() -> None:
    assert redacted(NATIVE, "sqlserver", Redaction.HASH) == {}


@pytest.mark.parametrize("redaction", list(Redaction))
@pytest.mark.parametrize(
    "changes",
    [
        {"commandText": "alter role bob password 's3cret'"},
        {"commandText": "alter role bob password $1", "paramList": ["s3cret"]},
        {"commandText": "select dblink_connect($1)", "paramList": ["host=h user=u password=s3cret"]},
        {"commandText": "alter role bob password s3cret", "errorMessage": 'syntax error at or near "s3cret"'},
        {"errorMessage": "error in: alter role bob password 's3cret'"},
        {"engineNativeAuditFields": {"statement": "alter role bob password 's3cret'"}},
        {"engineNativeAuditFields": {"nested": [{"password": "s3cret"}]}},
        {"unknownFields": {"sql": {"text": "create user mapping for a server s options (password 's3cret')"}}},
        {"unknownFieldsText": '{"sql":"alter role bob password \'s3cret\'"}'},
        {"unknownFieldsText": orjson.dumps({"sql": f"alter role bob password 's3cret'\n{'z' * 9_000}"}).decode()},
        {"unknownFieldsText": orjson.dumps({"sql": f"{'z' * 90_000} alter role bob password 's3cret'"}).decode()},
        {"unknownFieldsText": '{"a":{"b":[{"adminPassword":"s3cret"},{"pwd":73707}]},"sql":"password \'s3cret\'"}'},
        {"unknownFieldsText": '{"sql":"alter role bob password \'s3cret\'"'},
        {"paramList": ['{"user":"bob","password":"s3cret"}', "7"]},
        {"paramList": [f'{{"sql":"alter role bob password \'s3cret\' {"z" * 140}"}}']},
        {"paramList": ["pwd='s3cret'"] * 5_000},
        {"errorMessage": f"syntax error at or near \"x: alter role bob password 's3cret' {'z' * 140}\""},
        {"errorMessage": 'invalid input syntax for type json: {"password": "s3cret", "x"'},
        {"engineNativeAuditFields": {"SQL_BINDS": f"#1(3):\"alter role bob password 's3cret' {'z' * 140}\""}},
    ],
)
def test_no_field_shows_a_password_in_any_mode(changes: dict[str, Any], redaction: Redaction) -> None:
    assert b"s3cret" not in orjson.dumps(redacted({"engine": "postgresql", **changes}, "postgresql", redaction))


@pytest.mark.parametrize(
    ("redaction", "text"),
    [(Redaction.OFF, "<REDACTED>', <REDACTED>, <REDACTED>)"), (Redaction.LITERALS, "?"), (Redaction.HASH, None)],
)
def test_a_continuation_rows_literals_are_unknown(redaction: Redaction, text: str | None) -> None:
    document = {"engine": "sqlserver", "substatementId": 2, "commandText": "s3 cret', 'x', 'y')"}

    found = redacted(document, "sqlserver", redaction).get("commandText")

    assert found == text


@pytest.mark.parametrize(
    ("redaction", "text", "kept"),
    [
        (Redaction.OFF, "select 's3cret'", "select 's3cret'"),
        (Redaction.OFF, "alter role bob password 's3cret'", "<REDACTED>"),
        (Redaction.LITERALS, "select 's3cret'", "?"),
        (Redaction.HASH, "select 's3cret'", None),
    ],
)
def test_a_text_that_is_not_scanned_shows_nothing_sought(redaction: Redaction, text: str, kept: str | None) -> None:
    assert redacted({"commandText": text}, "postgresql", redaction, scanned=False).get("commandText") == kept


def test_a_password_cannot_be_asked_of_its_hash() -> None:
    texts = [f"create user bob identified by {password}" for password in ("first", "second")]

    assert len({read_statement(text, "oracle").hash for text in texts}) == 1


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


def test_json_without_passwords_stays_as_it_is() -> None:
    text = '{ "b": "the password is not here", "a": 1.50 }'

    assert redacted({"unknownFieldsText": text}, "postgresql", Redaction.OFF)["unknownFieldsText"] == text
