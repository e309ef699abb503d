"""What the worst texts cost: hashing, redaction and classification of 100 KB of each shape, for each engine.

No OpenSearch takes part. The figure is the slowest shape's processor time; docs/decisions/0022-text.md has the bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from opensearchpy import OpenSearch

from daswatch.documents.redaction import Redaction, redacted
from daswatch.sql.statements import ENGINES, leading_words
from tools.benchmarks.figures import Figures

_LENGTH = 100_000  # characters
_ROUNDS = 3  # the best of them counts: what else runs on the machine is not the text's doing

# What texts are made of that cost most: units to repeat, and what stands in front of them.
UNITS = (
    *(
        "'",
        '"',
        "''",
        "'a',",
        "$$",
        "$$a$$,",
        "$a$",
        "$a$b",
        "/*",
        "*/",
        "/**/",
        "--",
        "--\n",
        "--\r",
        "#",
        "`",
        "`a`,",
    ),
    *(
        "[",
        "]",
        "[a],",
        "(",
        ")",
        "((1),",
        "(1),(",
        "1,",
        "1,1 ,",
        "-1",
        "- 1 ",
        "e'",
        "E'\\",
        "\\'",
        "\\\\'",
        "\\\\\\'",
    ),
    *(
        "\\",
        "q'[",
        "nq'(",
        "n'",
        "_x'",
        ":a",
        ":",
        "?",
        "?, (",
        ";",
        "a ",
        "a.",
        "é",
        "set a to b;",
        "alter ",
        "select ",
    ),
    *(
        "with a as (",
        "do $$",
        "create function f() as $$",
        "language sql ",
        "/*!1",
        "/*!1 '*/",
        "null,",
        "is not null ",
    ),
    *("update A ", "0x", "1e-", "$1,", "@a=", "exec a b,", "exec [", "sp_addlogin a,", "password ", "password='"),
    *(
        "password 'x'",
        "password(",
        "password [",
        "password:=",
        "identified by ",
        "identified by a,",
        "a_password",
        "://",
    ),
    *("a://b:c@", "secret=", "crypt(a,", "user mapping a 'x' ", "'a'||", "'password '||'x'", "'identified by '"),
    *("'password=''x'''", "/*password '*/", "'host=a password='", "openrowset('a','b';'c';", "mysql.user insert "),
    *("current of [", "\0", "\r", "İ", "begin ", "declare @password x=", "password for a", "--password=", "sqlcmd "),
    *("{", "decryptbycert(1,", "<redacted>", "aaaapassword", "pgp_sym_encrypt("),
    *('"a".', '1e"', '"a" ', "[] ", "update pg_authid --password declare a cursor $1,", '{"password":"x",'),
    *('\\"password\\":\\"', "format('password %L',", "identified by ' || a;", "@a=@b,", "a := b;", "<password>"),
    *("set @a = 'password = ';", "'password ' + @a ", "random replace ", "sqlcmd -P", "'", "mysql.user update ", "_pw"),
    *(
        "set_config('password',",
        "json_object('password',",
        "create user mapping x 'x' ",
        "update mysql.user set host=a,",
    ),
    *(".pwd", ".passphrase", "[passphrase", "pwd[", "%pwd", "v.", "v[]", "v := ", "exec ", 'e+""1.', "[a]]'b],"),
)
PREFIXES = (
    *("", "select ", "with x as (select 1) select ", "create function f() language sql as $$", "do $$ ", "select '"),
    *(
        "alter role bob password ",
        "insert into t values (",
        "exec p ",
        "declare c cursor ",
        "select * from dblink(",
        "/*",
    ),
    "begin execute immediate 'alter user b identified by password '||v; ",
)


def worst_texts(progress: Callable[[str], None], _client: OpenSearch, _url: str, figures: Figures) -> None:
    """The slowest text of each setting, in ms per 100 KB."""
    shapes = [
        (engine, (PREFIXES[number % len(PREFIXES)] + unit * _LENGTH)[:_LENGTH])
        for engine in ENGINES
        for number, unit in enumerate(UNITS)
    ]
    for redaction in (Redaction.OFF, Redaction.LITERALS):
        progress(f"the worst of {len(shapes)} texts, redaction {redaction}")
        slowest = max(_best_ms(engine, text, redaction) for engine, text in shapes)
        name = "statement_hash_ms_per_100kb_worst"
        figures.add(**{name if redaction is Redaction.OFF else f"{name}_{redaction}": slowest})


def _best_ms(engine: str, text: str, redaction: Redaction) -> float:
    return min(_ms(engine, text, redaction) for _ in range(_ROUNDS))


def _ms(engine: str, text: str, redaction: Redaction) -> float:
    started = time.process_time()
    redacted({"commandText": text}, engine, redaction)
    leading_words(text, engine)
    return (time.process_time() - started) * 1000
