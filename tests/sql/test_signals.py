"""Signals of statements: what evades nothing, what makes none, and shapes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daswatch.sql.shapes import SCANNERS_OF_CODE, shape
from daswatch.sql.signal_table import SIGNALS
from daswatch.sql.signals import statement_signals
from daswatch.sql.statements import ENGINES

SAMPLES = [
    (signal.name, engine, text) for signal in SIGNALS for engine, texts in signal.samples.items() for text in texts
]
# What a rule takes for certain by itself.
CERTAIN = {"conditional-delay", "error-extraction", "inference", "stacked-statements", "union-probe"}
_BLANKS = {
    "postgresql": (" ", "  ", "\t", "/**/", " /* a /* b */ c */ ", "/* select */"),
    "mysql": (" ", "  ", "\t", "/**/", " /* a b */ ", "/* drop table */"),
    "oracle": (" ", "  ", "\t", "/**/", " /* a b */ ", "/* from dual */"),
    "sqlserver": (" ", "  ", "\t", "/**/", " /* a /* b */ c */ ", "/* exec */"),
}


@pytest.mark.parametrize(
    ("engine", "text", "expected"),
    [
        (
            "postgresql",
            'SELECT u.id, "Name" FROM "public"."Users" u WHERE u.id IN (1,2,3) AND flag != TRUE -- x',
            "select u.id,name from public.users u where u.id in(?)and flag<>true",
        ),
        (
            "mysql",
            "SELECT `a` FROM t WHERE id = -4 || 1 = 1 /*!50000UNION*/ SELECT NULL,0x41, 'x' LIMIT 10",
            "select a from t where id=? or 1=1 union select null,?,? limit ?",
        ),
        (
            "oracle",
            "select * from v$session where sid = :B1 and q'[a]' ^= 'b'",
            "select*from v$session where sid=$ and ?<>?",
        ),
        (
            "sqlserver",
            "SELECT [Id] FROM [dbo].[Order] WHERE [Id]=@p0;WAITFOR DELAY '0:0:5'--",
            "select id from dbo.order where id=@p0;waitfor delay ?",
        ),
        ("postgresql", "DO $$ BEGIN EXECUTE 'drop ' || 'table x'; END $$", "do begin execute ?||?;end"),
        ("mysql", "INSERT INTO t (a, b) VALUES (1, 'x', NULL), (0, 'y', NOW())", "insert into t(a,b)values(?)"),
        ("postgresql", "select 1or 1e0=2 and ((1))=(1)", "select 1 or ?=? and 1=1"),
        ("mysql", "select concat 1.e(version 1.e(1.e)1.e) from t", "select concat(version())from t"),
        (
            "postgresql",
            "select \"user\", user, n'a', E'\\'', $1 from \"select\" where a=?",
            "select user_,user,?,?,$ from select_ where a=?",
        ),
        ("mysql", "create user 'a'@'%' identified by <secret>", "create user ?@? identified by ?"),
        ("sqlserver", "exec\x01master . . xp_cmdshell\u00a0'dir'", "exec master..xp_cmdshell ?"),
        ("postgresql", 'alter role U&"\\0072ds" login', "alter role rds login"),
        ("oracle", "select a from t where b = 'x' || :1 ;", "select a from t where b=?||$"),
    ],
)
def test_shape(engine: str, text: str, expected: str) -> None:
    assert shape(text, engine) == expected


# All samples of a signal are one test, which shows each that is wrong.
of_each_signal = pytest.mark.parametrize("name", sorted({name for name, _, _ in SAMPLES}))


@of_each_signal
def test_case_blanks_and_comments_hide_nothing(name: str) -> None:
    hidden = {
        changed: shape(changed, engine)
        for engine, text in _samples_of(name)
        for changed in _all_disguised(text, engine)
        if name not in statement_signals(changed, engine)
    }

    assert hidden == {}


def _samples_of(name: str) -> list[tuple[str, str]]:
    return [(engine, text) for of, engine, text in SAMPLES if of == name]


def _all_disguised(text: str, engine: str) -> list[str]:
    chosen = random.Random(text)
    return [_with_code(text, engine, lambda code: _disguised(code, engine, chosen)) for _ in range(6)]


@of_each_signal
def test_a_literal_makes_no_signal(name: str) -> None:
    found = {}
    for engine, text in _samples_of(name):
        quoted = text.replace("'", "''")
        if engine == "mysql":
            quoted = quoted.replace("\\", "\\\\")
        for statement in (
            f"insert into posts (id, body) values (5, '{quoted}')",
            f"select id from posts where body = '{quoted}' limit 5",
        ):
            found[statement] = statement_signals(statement, engine)

    assert {statement: signals for statement, signals in found.items() if signals} == {}


@given(text=st.text(max_size=300), engine=st.sampled_from(ENGINES))
def test_any_text_has_an_answer(text: str, engine: str) -> None:
    assert list(statement_signals(text, engine)) == sorted(set(statement_signals(text, engine)))


@given(
    pieces=st.lists(st.sampled_from([text for _, _, text in SAMPLES]) | st.text(max_size=9), max_size=6),
    cut=st.integers(0, 400),
    engine=st.sampled_from(ENGINES),
)
def test_parts_of_statements_have_an_answer(pieces: list[str], cut: int, engine: str) -> None:
    text = " ".join(pieces)[cut:]

    assert statement_signals(text, engine) == statement_signals(text, engine)


# What query builders, object-relational mappers, business intelligence and administrators send.
HONEST = [
    ("postgresql", 'SELECT "t"."id" FROM "t" WHERE ("t"."a" = 5 AND 0 = 1)'),
    ("postgresql", 'SELECT 1 AS one FROM "users" WHERE "users"."email" = \'a\' AND "users"."id" != 5 LIMIT 1'),
    ("postgresql", "SELECT a FROM t WHERE a = 5 AND 1 != 1"),
    ("postgresql", 'SELECT (1) AS "a" FROM "t" WHERE "t"."id" = 5 LIMIT 1'),
    ("postgresql", "SELECT count(*) FROM t WHERE true AND (region = 'x' OR 'x' = 'all')"),
    ("postgresql", "select a, case when b = 0 then null else a / b end from t union all select 'total', sum(a) from t"),
    ("postgresql", "select a from t where b = coalesce(nullif($1, ''), b) and ascii(left(c, 1)) > 64"),
    (
        "postgresql",
        "select u.id from u where exists (select 1 from v where v.id = u.id) and (select count(*) from v) > 3",
    ),
    (
        "postgresql",
        "select date_trunc('day', a), count(*) from t where a > now() - interval '30 days' group by 1 order by 1",
    ),
    ("postgresql", "select set_config('a.b', 'x', true); select * from t where id = 5; select 6"),
    (
        "postgresql",
        (
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = "
            "c.relnamespace WHERE c.relkind IN ('r','p','') ORDER BY 1,2;"
        ),
    ),
    ("postgresql", "select null as table_cat, n.nspname from pg_namespace n union all select null, 'x' from pg_class"),
    (
        "mysql",
        "SELECT `p`.`id` FROM `p` WHERE `p`.`status` = 'open' AND 1 = 1 ORDER BY `p`.`id` DESC LIMIT 15 OFFSET 0",
    ),
    ("mysql", "select * from `users` where 0 = 1 and `users`.`deleted_at` is null"),
    ("mysql", "INSERT INTO wp_options (a, b) VALUES ('x', 'y') ON DUPLICATE KEY UPDATE a = VALUES(a)"),
    (
        "mysql",
        (
            "SELECT IF(`a` > 5, 'x', 'y') AS b, CONCAT(`c`, ' ', `d`) FROM t WHERE e LIKE '%f%' GROUP BY 1 HAVING "
            "COUNT(*) > 1"
        ),
    ),
    ("mysql", "SELECT VERSION(), DATABASE(), USER()"),
    ("mysql", "select id from t where uuid = 0x11ee8c5f2a3b4c5d8e9f0a1b2c3d4e5f"),
    (
        "mysql",
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = database() UNION SELECT "
            "routine_name FROM information_schema.routines"
        ),
    ),
    (
        "oracle",
        (
            "select * from (select a.*, rownum rn from (select * from t where 1=1 and b = :1) a where rownum <= 20) "
            "where rn > 0"
        ),
    ),
    ("oracle", "select nvl(a, 'x') from t where (:p is null or b = :p) and 1 = 1"),
    ("oracle", "insert all into t (a) values (1) into t (a) values (2) select 1 from dual"),
    ("oracle", "select to_char(a / nullif(b, 0)) from t where length(c) > 5 and substr(d, 1, 1) = 'x'"),
    ("oracle", "select user from dual"),
    (
        "sqlserver",
        (
            "SELECT TOP(1) [u].[Id] FROM [Users] AS [u] WHERE ([u].[A] = @__a_0) OR (@__a_0 = N'' AND [u].[B] = "
            "CAST(1 AS bit))"
        ),
    ),
    (
        "sqlserver",
        (
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM [t] AS [t] WHERE [t].[a] = 5) THEN CAST(1 AS bit) ELSE CAST(0 AS "
            "bit) END"
        ),
    ),
    (
        "sqlserver",
        (
            "SET NOCOUNT ON; INSERT INTO [t] ([a]) VALUES (@p0); SELECT [Id] FROM [t] WHERE @@ROWCOUNT = 1 AND [Id] = "
            "scope_identity();"
        ),
    ),
    (
        "sqlserver",
        (
            "exec sp_executesql N'select a from t where b = @p0 and c like @p1', N'@p0 int, @p1 nvarchar(99)', @p0=5, "
            "@p1=N''' or 1=1--'"
        ),
    ),
    ("sqlserver", "if not exists (select * from sys.objects where name = 'x') begin create table x (a int) end"),
    ("sqlserver", "select @@version; select serverproperty('edition'), db_name(), suser_sname()"),
    ("sqlserver", "select a, 0 as b from t where c = 1 union all select a, 1 from u where c = 1 order by b"),
    (
        "sqlserver",
        (
            "declare @n int = 1; while @n < 10 begin update top (500) t set a = 1 where a = 0; set @n += 1; waitfor "
            "delay '00:00:01' end"
        ),
    ),
]


@pytest.mark.parametrize(("engine", "text"), HONEST)
def test_honest_statements_are_not_injected(engine: str, text: str) -> None:
    found = set(statement_signals(text, engine))

    assert not found & (CERTAIN | {"tautology", "comment-cut-off", "encoded-text"}), shape(text, engine)


@pytest.mark.parametrize(
    ("piece", "engine"),
    [
        (piece, engine)
        for engine in ENGINES
        for piece in ("union select ", "a=(", "exec(", "'", "/*", "case when ", "chr(65)||", "or 1=1 ", "--\n")
    ],
)
def test_a_repeated_piece_has_an_answer(piece: str, engine: str) -> None:
    """Each has run into a search that began again at each repetition, in some scanner."""
    assert isinstance(statement_signals(f"select a from t where b = 'x' {piece * 20_000}", engine), tuple)


def _with_code(text: str, engine: str, change: Callable[[str], str]) -> str:
    """The text with its code changed, but not its literals, comments and quoted names."""
    pieces: list[str] = []
    position = 0
    for match in SCANNERS_OF_CODE[engine].finditer(text):
        pieces += (change(text[position : match.start()]), match[0])
        position = match.end()
    return "".join([*pieces, change(text[position:])])


def _disguised(code: str, engine: str, chosen: random.Random) -> str:
    code = re.sub(r"(?<![\n;]) (?!\n)", lambda _: chosen.choice(_BLANKS[engine]), code)
    return "".join(chosen.choice((letter.lower(), letter.upper())) if letter.isascii() else letter for letter in code)
