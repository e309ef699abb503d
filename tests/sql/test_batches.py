"""Batches of T-SQL: their statements, found without separators; and texts that are made to be expensive."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.documents.activity import Activity, activity_of
from daswatch.documents.noise import AWS_USERS
from daswatch.sql.account_names import gives_name
from daswatch.sql.batches import batch_statements

ENGINES = ("postgresql", "mysql", "oracle", "sqlserver")


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1", ["SELECT"]),
        ("set nocount on delete from t", ["DELETE FROM T"]),
        ("select a into b from c", ["SELECT A INTO B FROM", "SELECT INTO B"]),
        ("insert into b select a from c", ["INSERT INTO B SELECT A", "SELECT A FROM C"]),
        ("delete t output deleted.a into x", ["DELETE T OUTPUT DELETED A"]),
        ("fetch next from c into @a", []),
        ("with c as (delete from t) select a from c", ["SELECT A FROM C"]),
        ("declare c cursor for select a from t for update of a", ["SELECT A FROM T FOR"]),
        ("create proc p as drop table t", ["CREATE PROC P AS DROP"]),
        ("create or alter trigger t on u after delete as grant x to y", ["CREATE OR ALTER TRIGGER T"]),
        ("alter function f() returns int as begin drop table t end", ["ALTER FUNCTION F"]),
        ("drop proc p drop table t", ["DROP PROC P DROP TABLE", "DROP TABLE T"]),
        ("enable trigger a on b; enable x", ["ENABLE TRIGGER A ON B"]),
        ("xp_cmdshell 'dir'", ["EXEC XP_CMDSHELL"]),
        ("[xp_cmdshell] 'dir' -- drop table t", ["EXEC [XP_CMDSHELL]"]),
        ('"sp_who"', ['EXEC "SP_WHO"']),
        ("retry: delete from t", ["DELETE FROM T"]),
        ("@a = 1", []),
        ("", []),
        (";;;((", []),
        ("select ')' ; delete from t", ["SELECT", "DELETE FROM T"]),
        ("select 1) delete from t", ["SELECT", "DELETE FROM T"]),
        ("select 1 as [a]]'b]; drop table t", ["SELECT AS", "DROP TABLE T"]),
        ("select a as [a]]--b]; drop table t", ["SELECT A AS", "DROP TABLE T"]),
        ("select a as [a]]/*b]; drop table t", ["SELECT A AS", "DROP TABLE T"]),
        ("select [delete], \"drop\" from t /* grant /* x */ */", ["SELECT"]),
    ],
)  # fmt: skip
def test_statements_of_batch(text: str, statements: list[str]) -> None:
    assert [" ".join(words) for words in batch_statements(text)] == statements


# Repeated to 100 KB, each of these takes many minutes in a scanner that looks back, or ahead, from each of them.
UNITS = (
    "@", "#", "[", "]", '"', "'", "`", "(", ")", "$$", "$a$", "/*", "*/", "--", "\\'", "/*!1", "q'[", "select ",
    "into ",
    "drop ", "create proc ", "with a as (", "(delete from ", "explain (", "explain analyze ", "prepare p (", "copy (",
    "create user ", "rdsadmin,", 'U&"', "sp_addlogin ", "name = rdsadmin ", "a,", "é",
)  # fmt: skip
HEADS = ("", "with x as ", "explain (analyze) ", "prepare p (", "copy (", "create user rdsadmin2, ")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("unit", UNITS)
def test_hostile_text_gets_its_answer(engine: str, unit: str) -> None:
    for head in HEADS:
        text = head + unit * (100_000 // len(unit))
        command = "BATCH COMPLETED" if engine == "sqlserver" else "QUERY"

        assert activity_of({"command": command, "commandText": text}, engine) in Activity
        assert gives_name(text, engine, AWS_USERS) in (True, False)


@given(
    st.sampled_from(ENGINES), st.lists(st.sampled_from([*UNITS, *HEADS, " ", ";", "t", "1", "rdsadmin "]), max_size=60)
)
@settings(max_examples=300)
def test_generated_text_gets_its_answer(engine: str, units: list[str]) -> None:
    text = "".join(units)

    assert activity_of({"command": "SELECT", "class": "READ", "commandText": text}, engine) in Activity
    assert activity_of({"command": "QUERY", "class": "MAIN", "commandText": text}, engine) in Activity
    assert gives_name(text, engine, AWS_USERS) in (True, False)
