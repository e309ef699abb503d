"""Texts that a statement executes: put together from constants, in each engine's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.sql.executed_text import UNKNOWN, ExecutedText, executed_texts
from daswatch.sql.signals import statement_signals
from daswatch.sql.statements import ENGINES

ASSEMBLED = [
    ("postgresql", "do $$ begin execute 'drop ' || 'table x'; end $$", "drop table x"),
    ("postgresql", "do $$ begin execute format('drop %s %I', 'table', 'x'); end $$", "drop table x"),
    ("postgresql", "do $$ begin execute format('drop %2$s %1$I', 'x', 'table'); end $$", "drop table x"),
    ("postgresql", "do $$ begin execute 'drop table ' || quote_ident(r.name); end $$", f"drop table {UNKNOWN}"),
    (
        "postgresql",
        "do $$ begin execute convert_from(decode('64726f70207461626c652078', 'hex'), 'utf8'); end $$",
        "drop table x",
    ),
    (
        "postgresql",
        "do $$ begin execute convert_from(decode('ZHJvcCB0YWJsZSB4', 'base64'), 'utf8'); end $$",
        "drop table x",
    ),
    ("postgresql", "do $$ begin execute E'\\x64rop table x'; end $$", "drop table x"),
    (
        "postgresql",
        "do $$ declare q text := 'drop '; begin q := q || chr(116)||'able x'; execute q; end $$",
        "drop table x",
    ),
    ("postgresql", "do $$ begin execute reverse('x elbat pord'); end $$", "drop table x"),
    ("postgresql", "do $$ begin execute replace('dr-op table x', '-', ''); end $$", "drop table x"),
    ("postgresql", "select dblink_exec('host=a', 'drop ' || 'table x')", "drop table x"),
    ("mysql", "prepare s from concat('drop ', 'table x')", "drop table x"),
    ("mysql", "set @q = 0x64726f70207461626c652078", "drop table x"),
    ("mysql", "set @q := concat(char(100, 114), 'op table x')", "drop table x"),
    ("mysql", "set @q = unhex('64726f70207461626c652078')", "drop table x"),
    ("mysql", "set @q = concat_ws(' ', 'drop', 'table', 'x')", "drop table x"),
    ("oracle", "begin execute immediate 'drop ' || chr(116) || 'able x'; end;", "drop table x"),
    (
        "oracle",
        "declare q varchar2(99) := q'[drop ]'; begin q := q || 'table x'; execute immediate q; end;",
        "drop table x",
    ),
    ("oracle", "begin dbms_utility.exec_ddl_statement(lower('drop ') || 'table x'); end;", "drop table x"),
    (
        "oracle",
        "begin execute immediate utl_raw.cast_to_varchar2(hextoraw('64726f70207461626c652078')); end;",
        "drop table x",
    ),
    ("sqlserver", "exec('drop ' + 'table x')", "drop table x"),
    ("sqlserver", "declare @q nvarchar(max) = nchar(100) + N'rop table x'; exec sp_executesql @q", "drop table x"),
    ("sqlserver", "declare @q varchar(99) select @q = 0x64726f70207461626c652078 exec(@q)", "drop table x"),
    ("sqlserver", "declare @q varchar(99); set @q = 'drop'; set @q += ' table x'; execute (@q)", "drop table x"),
    ("sqlserver", "declare @p sysname = 'xp_' + 'cmdshell'; exec @p 'dir'", "exec xp_cmdshell"),
]
WHOLE = [
    ("postgresql", "do 'begin drop table x; end'", "begin drop table x; end"),
    ("postgresql", "select * from dblink('host=a', 'select 1 from b') as t(a int)", "select 1 from b"),
    ("postgresql", "select cron.schedule('nightly', '0 3 * * *', $$delete from x$$)", "delete from x"),
    ("postgresql", "select query_to_xml('select * from x', true, false, '')", "select * from x"),
    ("postgresql", "create function f() returns int as 'select 5 from x' language sql", "select 5 from x"),
    ("mysql", "prepare s from 'drop table x'", "drop table x"),
    ("oracle", "begin execute immediate 'drop table x'; end;", "drop table x"),
    (
        "oracle",
        "begin dbms_scheduler.create_job(job_name => 'J', job_action => 'begin delete from x; end;'); end;",
        "begin delete from x; end;",
    ),
    ("oracle", "begin open c for 'select a from x'; end;", "select a from x"),
    (
        "sqlserver",
        "exec sp_executesql N'select a from x where b = @p', N'@p int', @p = 5",
        "select a from x where b = @p",
    ),
    ("sqlserver", "exec msdb.dbo.sp_add_jobstep @job_name = 'j', @command = N'drop table x'", "drop table x"),
    ("sqlserver", "select * from openquery(srv, 'select ''a'' from x')", "select 'a' from x"),
]
NONE = [
    ("postgresql", "execute stmt_1('drop table x')"),
    ("postgresql", "insert into posts values ('execute ''drop table x''')"),
    ("mysql", "set @a = 'drop table x'"),
    ("mysql", "execute s using @a"),
    ("oracle", "select 'execute immediate ''drop table x''' from dual"),
    ("sqlserver", "exec p 'drop table x'"),
    ("sqlserver", "exec sp_executesql @unknown"),
]


@pytest.mark.parametrize(("engine", "text", "executed"), ASSEMBLED)
def test_constants_are_put_together(engine: str, text: str, executed: str) -> None:
    assert ExecutedText(executed, assembled=True) in executed_texts(text, engine)
    assert "dynamic-code" in statement_signals(text, engine)


@pytest.mark.parametrize(("engine", "text", "executed"), WHOLE)
def test_a_whole_text_is_executed(engine: str, text: str, executed: str) -> None:
    assert executed_texts(text, engine) == [ExecutedText(executed, assembled=False)]
    assert "dynamic-code" not in statement_signals(text, engine)


@pytest.mark.parametrize(("engine", "text"), NONE)
def test_a_value_is_not_executed(engine: str, text: str) -> None:
    assert executed_texts(text, engine) == []


@pytest.mark.parametrize("depth", [1, 2])
def test_texts_within_each_other_have_their_signals(depth: int) -> None:
    text = "select a from t where b = 'x' union select null, null"
    for _ in range(depth):
        text = "exec('{}')".format(text.replace("'", "''"))

    assert "union-probe" in statement_signals(text, "sqlserver")


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        ("sqlserver", "exec(" * 20_000),
        ("sqlserver", "exec('a'+" * 20_000),
        ("sqlserver", "set @a=@a+@a;" * 20_000),
        ("sqlserver", "set @a='xy';" + "set @a=replace(@a,'x','xyxy');" * 500 + "exec(@a)"),
        ("postgresql", "do $$ begin execute repeat(repeat('drop table x;', 9999), 9999); end $$"),
        ("postgresql", "dblink(" * 20_000),
        ("oracle", "execute immediate q:=(" * 20_000),
        ("mysql", "set @a=concat(@a,@a,'x');" * 5_000),
    ],
)
def test_texts_that_are_put_together_stay_small(engine: str, text: str) -> None:
    found = executed_texts(text, engine)

    assert len(found) <= 50
    assert all(len(executed.text) <= 16_400 for executed in found)


@given(text=st.text(alphabet="exc do'$(),+|=@:;q \n\\", max_size=200), engine=st.sampled_from(ENGINES))
def test_any_text_is_read(text: str, engine: str) -> None:
    assert all(executed.text for executed in executed_texts(text, engine))
