"""Passwords: gone from every statement that sets or proves one, in every mode; ordinary statements stay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daswatch.passwords import REDACTED, fragment_without_passwords, without_passwords
from demo.traffic import produce
from tests.corpus import ENGINES, statements

SECRET = "s3cretPW"
SETTING = statements("sets_password")


@pytest.mark.parametrize(("engine", "text"), SETTING)
def test_a_password_becomes_redacted(engine: str, text: str) -> None:
    found = without_passwords(text, engine)

    assert "s3cret" not in found.text
    assert found.found
    assert REDACTED in found.text or "@p" in found.text


@pytest.mark.parametrize(("engine", "text"), statements("keeps_text"))
def test_an_ordinary_statement_keeps_its_text(engine: str, text: str) -> None:
    assert without_passwords(text, engine).text == text


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
    ],
    "mysql": [
        "create|user|'bob'@'%'|identified|by|{string}",
        "alter|user|bob|identified|with|mysql_native_password|by|{string}|replace|{string}",
        "set|password|for|'bob'@'%'|=|{string}",
        "change|master|to|master_host='h',|master_password|=|{string}",
        "call mysql.rds_set_external_master('h', 3306, 'u', {string}, 'l', 4, 0)",
    ],
    "oracle": [
        "create|user|bob|identified|by|{bare}|quota|1m|on|users",
        'alter|user|bob|identified|by|"{plain}"|replace|"{plain}"',
        "create|database|link|l|connect|to|u|identified|by|{bare}|using|'tns'",
        "administer|key|management|set|keystore|open|identified|by|{bare}",
        "begin|execute|immediate|'create user bob identified by {bare}';|end;",
    ],
    "sqlserver": [
        "create|login|bob|with|password|=|N{string},|check_policy|=|off",
        "use|hr|alter|login|bob|with|password|=|{string}|old_password|=|{string}",
        "exec|sp_addlogin|bob,|{bare}",
        "open|symmetric|key|k|decryption|by|password|=|{string}",
        "exec('create login bob with password = ''{plain}''')",
        "exec|sp_addlinkedsrvlogin|'s',|'false',|null,|'u',|{string}",
    ],
}


@st.composite
def password_statements(draw: st.DrawFn) -> tuple[str, str]:
    engine = draw(st.sampled_from(ENGINES))
    template = draw(st.sampled_from(TEMPLATES[engine]))
    secret, bare = draw(secrets), draw(bare_secrets)
    text = template.replace("{string}", f"'{secret}'").replace("{plain}", secret).replace("{bare}", bare)
    cased = [draw(st.sampled_from([part, part.upper() if "zq9" not in part else part])) for part in text.split("|")]
    return engine, "".join(part + draw(words_between) for part in cased)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(password_statements())
def test_no_canary_stays_in_any_spelling(statement: tuple[str, str]) -> None:
    engine, text = statement

    found = without_passwords(text, engine)

    assert "zq9" not in found.text
    assert found.found


@settings(max_examples=200, deadline=None, derandomize=True)
@given(password_statements(), st.integers(0, 100))
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
        (" a'; create login b with password = 's3cretPW'", " a'; create login b with password = <REDACTED>"),
        (
            "drop table t; create login b with password = 's3cretPW'",
            "drop table t; create login b with password = <REDACTED>",
        ),
    ],
)
def test_a_continuation_hides_the_end_of_a_password(text: str, kept: str) -> None:
    assert fragment_without_passwords(text, "sqlserver", continued=True).text == kept


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
