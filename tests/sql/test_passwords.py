"""Passwords: gone from every statement that sets or proves one, in every mode; ordinary statements stay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.sql.passwords import REDACTED, fragment_without_passwords, may_hold_password, without_passwords
from daswatch.sql.secret_locations import CALLS, HINTS, SECRET_NAMES
from demo.traffic import produce
from tests.corpus import ENGINES, statements

SECRET = "s3cretPW"
SETTING = statements("sets_password")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_password_becomes_redacted(engine: str) -> None:
    """Each statement of the corpus whose password stays is shown."""
    found = {text: without_passwords(text, engine) for of, text in SETTING if of == engine}

    assert found
    assert [text for text, one in found.items() if "s3cret" in one.text or not one.found] == []
    assert [text for text, one in found.items() if REDACTED not in one.text and "@p" not in one.text] == []


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ordinary_statement_keeps_its_text(engine: str) -> None:
    """Each statement of the corpus that is changed is shown with what it becomes."""
    became = {text: without_passwords(text, engine).text for of, text in statements("keeps_text") if of == engine}

    assert became
    assert {text: after for text, after in became.items() if after != text} == {}


@pytest.mark.parametrize(
    ("engine", "text", "expected"),
    [
        ("postgresql", "CREATE ROLE a PASSWORD 'x' LOGIN", "CREATE ROLE a PASSWORD <REDACTED> LOGIN"),
        (
            "mysql",
            r"CREATE USER \'a\' IDENTIFIED BY \'x\' ACCOUNT LOCK",
            r"CREATE USER \'a\' IDENTIFIED BY <REDACTED> ACCOUNT LOCK",
        ),
        (
            "oracle",
            "ALTER USER a IDENTIFIED BY x REPLACE y",
            "ALTER USER a IDENTIFIED BY <REDACTED> REPLACE <REDACTED>",
        ),
        (
            "oracle",
            "CREATE USER a IDENTIFIED BY x QUOTA 1M ON u",
            "CREATE USER a IDENTIFIED BY <REDACTED> QUOTA 1M ON u",
        ),
        ("sqlserver", "EXEC sp_addlogin 'a', 'x', 'master'", "EXEC sp_addlogin 'a', <REDACTED>, 'master'"),
        ("sqlserver", "EXEC('DROP LOGIN a')", "EXEC('DROP LOGIN a')"),
        ("postgresql", "CREATE USER a WITH PASSWORD <REDACTED>", "CREATE USER a WITH PASSWORD <REDACTED>"),
        ("postgresql", "SET app.api_key = 'x'", "SET app.api_key = <REDACTED>"),
        ("postgresql", "SET app.private_key = 'x'", "SET app.private_key = <REDACTED>"),
        ("postgresql", "UPDATE t SET api_key = 'x'", "UPDATE t SET api_key = 'x'"),
    ],
)
def test_the_rest_of_the_statement_stays(engine: str, text: str, expected: str) -> None:
    assert without_passwords(text, engine).text == expected


@pytest.mark.parametrize("count", [600, 5_000])
def test_more_passwords_than_any_statement_has_end_the_text(count: int) -> None:
    text = "create role a password 'x'; " * count + "create role b password 's3cretPW'"

    found = without_passwords(text, "postgresql").text

    assert "s3cret" not in found
    assert "'x'" not in found


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 6])
def test_statements_in_strings_in_strings_are_found(levels: int) -> None:
    text = "create login bob with password = 's3cretPW'"
    for _ in range(levels):
        text = f"exec('{text.replace(chr(39), chr(39) * 2)}')"

    assert "s3cret" not in without_passwords(text, "sqlserver").text


def test_the_demos_traffic_keeps_every_text() -> None:
    changed = [
        text
        for record in produce(11, datetime(2031, 3, 4, tzinfo=UTC), 3_000)
        for event in record.monitoring_record["databaseActivityEventList"]
        if (text := event.get("commandText")) and without_passwords(text, event["serverType"].lower()).text != text
    ]

    assert changed == []


# Canaries: a secret of any shape, in each engine's statements, with any spacing, case and comments between the words.
words_between = st.sampled_from([" ", "  ", "\n", "\t", " /* x */ ", "/**/ "])
secrets = st.text("abcdefghijkXYZ0123456789!.+_ -", min_size=1, max_size=20).map(lambda tail: f"zq9{tail}zq9")
bare_secrets = st.text("abcdefghijkXYZ0123456789_", max_size=20).map(lambda tail: f"zq9{tail}zq9")

TEMPLATES = {
    "postgresql": [
        "create|role|bob|login|password|{string}",
        "alter|user|bob|with|encrypted|password|{string}|valid|until|'2030-01-01'",
        "create|user|mapping|for|bob|server|s|options (user 'u',|password|{string})",
        "create|subscription|s|connection|'host=h password=''{plain}'''|publication|p",
        "do $$ begin execute 'alter role bob password ''{plain}'''; end $$",
        "select 1;|alter|role|bob|password|{string}",
        "select|\"hmac\"|('text',|{string},|'sha256')",
        "select|transport.import_from_server('h', 5432, 'u',|{string},|'d',|{string},|true)",
        "insert|into|events|values|('{json}',|'x')",
        "select|set_config('app.password',|{string},|false)",
    ],
    "mysql": [
        "create|user|'bob'@'%'|identified|by|{string}",
        "alter|user|bob|identified|with|mysql_native_password|by|{string}|replace|{string}",
        "set|password|for|'bob'@'%'|=|{string}",
        "change|master|to|master_host='h',|master_password|=|{string}",
        "call mysql.rds_set_external_master('h', 3306, 'u', {string}, 'l', 4, 0)",
        "call|`mysql`|.|`rds_set_external_source`|('h', 3306, 'u',|{string},|'l', 4, 0)",
        "alter|user|bob|identified|by|random|password|replace|{string}",
        "insert|into|`mysql`|.|`servers`|values|('s', 'h', 'd', 'u',|{string},|3306)",
        "insert|into|events|values|('{json}',|'x')",
    ],
    "oracle": [
        "create|user|bob|identified|by|{bare}|quota|1m|on|users",
        'alter|user|bob|identified|by|"{plain}"|replace|"{plain}"',
        "create|database|link|l|connect|to|u|identified|by|{bare}|using|'tns'",
        "administer|key|management|set|keystore|open|identified|by|{bare}",
        "begin|execute|immediate|'create user bob identified by {bare}';|end;",
        "administer|key|management|export|encryption|keys|with|secret|{bare}|to|'/x'|identified|by|{bare}",
        "alter|pluggable|database|p|unplug|into|'/x'|encrypt|using|{bare}",
        "begin|\"DBMS_CLOUD\"|.|\"CREATE_CREDENTIAL\"|('c', 'u',|{string});|end;",
    ],
    "sqlserver": [
        "create|login|bob|with|password|=|N{string},|check_policy|=|off",
        "use|hr|alter|login|bob|with|password|=|{string}|old_password|=|{string}",
        "exec|sp_addlogin|bob,|{bare}",
        "open|symmetric|key|k|decryption|by|password|=|{string}",
        "exec('create login bob with password = ''{plain}''')",
        "exec|sp_addlinkedsrvlogin|'s',|'false',|null,|'u',|{string}",
        "exec|msdb.dbo.sysmail_add_account_sp|'a','e','d','r','x','h','t',25,'u',|{string}",
        "exec|sp_executesql|N'alter login bob with password = @p',|N'@p sysname',|{string}",
        "insert|into|events|values|(N'{json}',|'x')",
    ],
}
# What is assigned to a variable is a password as soon as a statement behind takes it for one.
VARIABLES = {
    "postgresql": ["do $$|declare|p|text|:=|{string};|begin|execute|format('alter role bob password %L',|p);|end|$$"],
    "mysql": ["set|@p|=|{string};|set|@s|=|concat('alter user bob identified by ',|quote(@p))"],
    "oracle": [
        "declare|p|clob|:=|{string};|begin|execute|immediate|'create role r identified by '|<concatenated>|p;|end;"
    ],
    "sqlserver": ["declare|@p|nvarchar(50)|=|{string};|exec('alter login bob with password = ' + @p)"],
}


@st.composite
def password_statements(draw: st.DrawFn, *sets: dict[str, list[str]]) -> tuple[str, str]:
    engine = draw(st.sampled_from(ENGINES))
    template = draw(st.sampled_from([template for templates in sets for template in templates[engine]]))
    secret, bare = draw(secrets), draw(bare_secrets)
    text = template.replace("{string}", f"'{secret}'").replace("{plain}", secret).replace("{bare}", bare)
    text = text.replace("{json}", f'{{"user": "bob", "db_password": "{secret}"}}')
    cased = [draw(st.sampled_from([part, part.upper() if part.isidentifier() else part])) for part in text.split("|")]
    return engine, "".join(part + draw(words_between) for part in cased).replace("<concatenated>", "||")


@settings(max_examples=400)
@given(password_statements(TEMPLATES, VARIABLES))
def test_no_canary_stays_in_any_spelling(statement: tuple[str, str]) -> None:
    engine, text = statement

    found = without_passwords(text, engine)

    assert "zq9" not in found.text
    assert found.found


@settings(max_examples=200)
@given(password_statements(TEMPLATES), st.integers(0, 100))
def test_a_statement_cut_anywhere_shows_no_password(statement: tuple[str, str], percent: int) -> None:
    engine, text = statement
    cut = text[: len(text) * percent // 100]

    assert "zq9" not in without_passwords(cut, engine).text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("cretPW', check_policy = off", "<REDACTED>', check_policy = off"),
        ("'s3cretPW', check_policy = off", "<REDACTED>, check_policy = off"),
        ("WORD = N's3cretPW' must_change", "WORD = <REDACTED> must_change"),
        ("select a from t where b = 1", "select a from t where b = 1"),
        ("my s3cret PW', check_policy = off", "<REDACTED>', check_policy = off"),
        ("s3''cretPW' must_change", "<REDACTED>' must_change"),
        ('s3cretPW", default_database = hr', '<REDACTED>", default_database = hr'),
        ('= "s3cretPW", default_database = hr', "= <REDACTED>, default_database = hr"),
        ("= (N's3cretPW')", "= (<REDACTED>)"),
        ("('s3cretPW', 'x')", "(<REDACTED>, <REDACTED>)"),
        ("the new one */ 's3cretPW', check_policy = off", "the new one */ <REDACTED>, check_policy = off"),
        ("the new one\n = 's3cretPW', check_policy = off", "the new one\n = <REDACTED>, check_policy = off"),
        (" a'; create login b with password = 's3cretPW'", "<REDACTED>'; create login b with password = <REDACTED>"),
        (
            "drop table t; create login b with password = 's3cretPW'",
            "drop table t; create login b with password = <REDACTED>",
        ),
    ],
)
def test_a_continuation_hides_the_end_of_a_password(text: str, kept: str) -> None:
    assert fragment_without_passwords(text, "sqlserver", continued=True).text == kept


@pytest.mark.parametrize(
    "text",
    [
        "=/*c*/N's3cretPW'",
        ",'s3cretPW'",
        "'u','s3cretPW'",
        "=\n--x\n's3cretPW'",
        "/* x */ 's3cretPW'",
        "{encrypt N's3cretPW'}",
        "0x0200s3cretPW hashed",
        "s3cretPW hashed",
        "s3cretPW a b', @c=1",
        "s3cretPW a b c'; go",
        ", 's3cretPW', 'master'",
        "/* x */ = 's3cretPW'",
        " (N's3cretPW')",
        "s3cretPW'",
        "s3cretPW', default_database=hr",
        "a\ns3cretPW b' must_change",
        "-- x\n= 's3cretPW'",
        "= --x\n/*y*/ N's3cretPW'",
        "'u', 'x', 's3cretPW', 1",
        "s3cretPW');",
        "s3cretPW') at linked",
        "a''s3cretPW'",
        "s3cretPW' + ''''",
        '"s3cretPW"',
        "{Encrypt 's3cretPW'}, 'odbc'",
        "s3cretPW c d e f g h', @name='x'",
        "=s3cretPW, b",
        "s3cretPW e', N'x'",
    ],
)
def test_a_continuations_head_shows_no_password(text: str) -> None:
    """It may begin in the password, in a comment in front of it, or in a list of arguments that has it."""
    found = fragment_without_passwords(text, "sqlserver", continued=True)

    assert "s3cret" not in found.text


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("mysql", "You have an error in your SQL syntax near 'identified by 's3cretPW'' at line 1"),
        ("mysql", r"You have an error near \'password = \'s3cretPW\'\' at line 1"),
        ("postgresql", "syntax error at or near \"x\" in: alter role bob password 's3cretPW'"),
        ("sqlserver", "P: create login b with password = 's3cretPW'"),
    ],
)
def test_a_message_that_quotes_a_statement_shows_no_password(engine: str, message: str) -> None:
    assert "s3cret" not in fragment_without_passwords(message, engine).text


@pytest.mark.parametrize(
    ("engine", "statement"),
    [
        ("postgresql", "alter role bob password 's3cretPW'"),
        ("mysql", "alter user bob identified by 's3cretPW'"),
        ("oracle", "alter user bob identified by s3cretPW"),
        ("sqlserver", "create login bob with password = 's3cretPW'"),
    ],
)
@pytest.mark.parametrize("length", [0, 140, 5_000])
def test_a_quoted_statement_in_a_message_shows_no_password(engine: str, statement: str, length: int) -> None:
    """A message quotes in double quotes, which are a name's in a statement; a statement is longer than a name."""
    message = f'syntax error at or near "{statement} {"z" * length}" at line 1'

    assert "s3cret" not in fragment_without_passwords(message, engine).text


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["api_key", "private_key"])
def test_names_of_keys_are_looked_into(engine: str, name: str) -> None:
    assert may_hold_password(f"set app.{name} = 'x'", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_call_with_a_secret_has_a_hint(engine: str) -> None:
    """A text without a hint is not read at all, so each call, its package or what it names has to hold one."""
    named = {name for name, call in CALLS[engine].items() if not call.names_value}

    without = {
        name
        for name in named
        if not any(hint in f"{CALLS[engine][name].package}.{name}(" for hint in HINTS[engine])
        and not name.startswith(SECRET_NAMES)
    }

    assert without <= {"auth", "open_connection", "create_request_context", "set_persistent_token", "set_session_token"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ('{"password": "x", "user": "bob"}', '{"password": "<REDACTED>", "user": "bob"}'),
        ('{"a": {"apiSecret": "x"}}', '{"a": {"apiSecret": "<REDACTED>"}}'),
        (r"{\"pwd\": \"x\", \"n\": 1}", r"{\"pwd\": \"<REDACTED>\", \"n\": 1}"),
        ('{"passwords": 3, "password": null, "secret": true}', '{"passwords": 3, "password": null, "secret": true}'),
        ("<password>x</password>", "<password><REDACTED></password>"),
    ],
)
def test_json_and_xml_in_a_literal_keep_the_rest(value: str, kept: str) -> None:
    text = f"insert into events values (1, '{value}', 'x')"

    assert without_passwords(text, "oracle").text == f"insert into events values (1, '{kept}', 'x')"


def test_passwords_of_several_statements_are_followed_each() -> None:
    text = "; ".join(f"execute immediate 'alter user {name} identified by ' || 's3cretPW'" for name in "abc")

    assert "s3cret" not in without_passwords(f"begin {text}; end;", "oracle").text


def test_a_long_script_keeps_what_is_not_the_password() -> None:
    """A short variable is found as a word; its letter stands everywhere."""
    lines = "".join(f"insert into pupils (p_name, p_place) values ('pupil {n}', 'Paris'); " for n in range(900))
    text = (
        f"declare p varchar2(30) := '{SECRET}'; begin {lines}execute immediate 'alter user pp identified by '||p; end;"
    )

    found = without_passwords(text, "oracle").text

    assert found == text.replace(f"'{SECRET}'", REDACTED)
