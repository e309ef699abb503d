"""Settings: every problem at once, each by the variable's name, no value quoted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from daswatch.documents.noise import DEFAULT_EXCLUDED_USERS
from daswatch.documents.redaction import Redaction
from daswatch.errors import SettingsError
from daswatch.settings import SETTINGS, Environment, Reader, SearchEndpoint, StreamSettings
from findings_lambda import settings as findings_settings
from firehose_lambda import settings as firehose_settings
from ingest_lambda.settings import Settings, read_settings
from replay_lambda import settings as replay_settings
from setup_lambda import settings as setup_settings

LEAST = {"OPENSEARCH_ENDPOINT": "https://search.example.com", "DEAD_LETTER_BUCKET": "dead-letters"}


def test_two_settings_are_enough() -> None:
    assert read_settings(LEAST) == Settings(
        search=SearchEndpoint("https://search.example.com"), dead_letter_bucket="dead-letters"
    )


def test_every_setting_is_read() -> None:
    settings = read_settings(
        {
            "OPENSEARCH_ENDPOINT": " https://search.example.com:9200/ ",
            "OPENSEARCH_AUTH": "basic",
            "OPENSEARCH_SERVICE": "aoss",
            "OPENSEARCH_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x",
            "OPENSEARCH_CA_BUNDLE": "/etc/ca.pem",
            "DEAD_LETTER_BUCKET": "my.dead-letters",
            "INDEX_PREFIX": "audit_1-x-events",
            "EXCLUDED_USERS": " RdsAdmin, backup ,,",
            "EVENT_TAGS": " owner, app:tier ,owner",
            "REDACT": "hash",
            "MAX_PLAINTEXT_BYTES": "1024",
            "MAX_DATA_KEYS": "1",
            "MAX_DATA_KEY_AGE_SECONDS": "86400",
            "SOMETHING_ELSE": "x",
        }
    )

    assert settings == Settings(
        search=SearchEndpoint(
            "https://search.example.com:9200",
            "basic",
            "aoss",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x",
            "/etc/ca.pem",
        ),
        dead_letter_bucket="my.dead-letters",
        index_prefix="audit_1-x-events",
        event_tags=("owner", "app:tier"),
        stream=StreamSettings(
            excluded_users=frozenset({"rdsadmin", "backup"}),
            redaction=Redaction.HASH,
            max_plaintext_bytes=1024,
            max_data_keys=1,
            max_data_key_age_seconds=86400,
        ),
    )


def test_blank_settings_take_their_default() -> None:
    blank = dict.fromkeys(("INDEX_PREFIX", "EXCLUDED_USERS", "REDACT", "OPENSEARCH_AUTH", "MAX_DATA_KEYS"), "  ")

    assert read_settings(LEAST | blank) == read_settings(LEAST)


def test_the_default_users_are_awss_own() -> None:
    assert (
        read_settings(LEAST).stream.excluded_users == DEFAULT_EXCLUDED_USERS == {"rdsadmin", "rdssec", "rdsproxyadmin"}
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENSEARCH_ENDPOINT", ""),
        ("OPENSEARCH_ENDPOINT", "search.example.com"),
        ("OPENSEARCH_ENDPOINT", "ftp://search.example.com"),
        ("OPENSEARCH_ENDPOINT", "https://"),
        ("OPENSEARCH_ENDPOINT", "https://[::1"),
        ("OPENSEARCH_ENDPOINT", "https://search.example.com:port"),
        ("OPENSEARCH_AUTH", "kerberos"),
        ("OPENSEARCH_SERVICE", "solr"),
        ("EVENT_TAGS", "env=prod"),
        ("EVENT_TAGS", "env,*"),
        ("DEAD_LETTER_BUCKET", ""),
        ("DEAD_LETTER_BUCKET", "s3://dead-letters"),
        ("DEAD_LETTER_BUCKET", "Dead-Letters"),
        ("INDEX_PREFIX", "DAS"),
        ("INDEX_PREFIX", "-das"),
        ("INDEX_PREFIX", "das*"),
        ("INDEX_PREFIX", "das,other"),
        ("INDEX_PREFIX", "d" * 200 + "-events"),
        ("INDEX_PREFIX", "das"),
        ("INDEX_PREFIX", "das-events-prod"),
        ("INDEX_PREFIX", "das-events-events"),
        ("INDEX_PREFIX", "das-events-prod-events"),
        ("INDEX_PREFIX", "das-drops-events"),
        ("INDEX_PREFIX", "-events"),
        ("INDEX_PREFIX", "acme--events"),
        ("REDACT", "all"),
        ("MAX_PLAINTEXT_BYTES", "64MB"),
        ("MAX_PLAINTEXT_BYTES", "1023"),
        ("MAX_PLAINTEXT_BYTES", "1073741825"),
        ("MAX_PLAINTEXT_BYTES", "٦٤٠٠٠"),
        ("MAX_DATA_KEYS", "0"),
        ("MAX_DATA_KEYS", "-1"),
        ("MAX_DATA_KEY_AGE_SECONDS", "1.5"),
        ("MAX_DATA_KEY_AGE_SECONDS", "9" * 5000),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_should_look_like(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(LEAST | {name: value})

    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"{name} ")
    assert "expected: " in error.value.problems[0]


def test_basic_needs_its_secret() -> None:
    with pytest.raises(SettingsError, match="OPENSEARCH_SECRET_ARN is needed"):
        read_settings(LEAST | {"OPENSEARCH_AUTH": "basic"})


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"OPENSEARCH_AUTH": "x", "REDACT": "x", "INDEX_PREFIX": "X", "MAX_DATA_KEYS": "x"})

    named = {problem.split()[0] for problem in error.value.problems}
    assert named == {
        "OPENSEARCH_ENDPOINT",
        "OPENSEARCH_AUTH",
        "DEAD_LETTER_BUCKET",
        "REDACT",
        "INDEX_PREFIX",
        "MAX_DATA_KEYS",
    }
    assert all(name in str(error.value) for name in named)


def test_no_value_is_quoted_since_it_may_be_a_secret_in_the_wrong_place() -> None:
    names = ("OPENSEARCH_ENDPOINT", "OPENSEARCH_AUTH", "DEAD_LETTER_BUCKET", "INDEX_PREFIX", "REDACT", "MAX_DATA_KEYS")

    with pytest.raises(SettingsError) as error:
        read_settings(dict.fromkeys(names, "P4SSW0RD!"))

    assert "P4SSW0RD" not in str(error.value)


class Recorded(dict[str, str]):
    """An environment that notes what is asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


@pytest.mark.parametrize(
    ("reader", "read"),
    [
        (Reader.INGEST, read_settings),
        (Reader.FINDINGS, findings_settings.read_settings),
        (Reader.SETUP, setup_settings.read_settings),
        (Reader.FIREHOSE, firehose_settings.read_settings),
        (Reader.REPLAY, replay_settings.read_settings),
    ],
)
def test_table_names_what_each_function_reads(reader: Reader, read: Callable[[Mapping[str, str]], object]) -> None:
    environment = Recorded(
        dict.fromkeys(("DEAD_LETTER_BUCKET", "BACKUP_BUCKET"), "my-bucket")
        | {"OPENSEARCH_ENDPOINT": "https://x", "INDEX_HOURLY": ""}
    )

    read(environment)

    asked = environment.asked | {"POWERTOOLS_METRICS_NAMESPACE"}  # powertools reads that
    assert asked == {setting.name for setting in SETTINGS.values() if reader in setting.read_by}


def test_required_settings_are_those_without_which_nothing_is_read() -> None:
    for setting in SETTINGS.values():
        if setting.required and Reader.INGEST in setting.read_by:
            with pytest.raises(SettingsError, match=f"{setting.name} is missing"):
                read_settings({name: value for name, value in LEAST.items() if name != setting.name})


def test_unknown_setting_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        Environment({}).optional("SOMETHING_ELSE")
