"""The table of actors: the shipped entries, a team's own, and how a rule asks for an actor."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from daswatch.detections.actors import actor_entries, lucene_of, read_actors, shipped_actors
from daswatch.detections.sigma import NO_TUNING, Tuning, compile_rule, read_tuning
from daswatch.documents.actors import ActorEntry, ActorKind, ActorTable
from daswatch.errors import RuleError
from tests import ROOT
from tests.detections.test_tuning import RULE

OWN = """
actors:
  shop-migrator: {kind: migration, users: [shop_release], networks: [10.20.*], reason: The pipeline of the shop.}
  test-accounts: {kind: test, users: tester, reason: Ours are called otherwise.}
  office-clients:
"""


def shipped(user: str, application: str = "") -> str:
    return ActorTable(shipped_actors()).actor_of({"dbUserName": user, "clientApplication": application})


@pytest.mark.parametrize(
    ("user", "application", "expected"),
    [
        ("shop", "Flyway by Redgate", "migration"),
        ("deploy", "node-pg-migrate", "migration"),
        ("flyway_shop", "", "migration"),
        ("app_migrator", "PostgreSQL JDBC Driver", "migration"),
        ("gh-ost", "", "migration"),
        ("shop", "pg_dump", "dump"),
        ("backup", "", "backup"),
        ("system", "expdp@bastion (TNS V1-V3)", "dump"),
        ("backup", "pg_dump", "backup"),
        ("app", "walreceiver", "replication"),
        ("repl_user", "", "replication"),
        ("a", "SQLBackupAndFTP", "backup"),
        ("datadog", "", "monitoring"),
        ("a", "Ignite Monitor", "monitoring"),
        ("DBSNMP", "OEM.SystemPool", "monitoring"),
        ("a", "nri-postgresql", "monitoring"),
        ("a", "SQL Sentry Server", "monitoring"),
        ("a", "postgres_exporter", "monitoring"),
        ("a", "Metabase v0.50 [a1b2]", "bi"),
        ("a", "Tableau Desktop 2030.4", "bi"),
        ("looker", "PostgreSQL JDBC Driver", "bi"),
        ("a", "Mashup Engine (PowerBIDesktop)", "bi"),
        ("a", "dbt", "etl"),
        ("C##DBZUSER", "JDBC Thin Client", "etl"),
        ("dms_user", "AWS DMS", "etl"),
        ("fivetran", "", "etl"),
        ("a", "pg_16394_sync_16388_7301", "replication"),
        ("vault_admin", "vault", "rotation"),
        ("a", "SecretsManagerRotation", "rotation"),
        ("partman", "pg_partman_bgw", "maintenance"),
        ("a", "SQLAgent - TSQL JobStep (Job 0x01 : Step 1)", "scheduler"),
        ("a", "oracle@ip-10-0-0-1 (J003)", "scheduler"),
        ("a", "pg_cron scheduler", "scheduler"),
        ("a", "pgbench", "test"),
        ("ci_runner", "", "test"),
        ("a", "Microsoft SQL Server Management Studio - Query", "administration"),
        ("a", "DBeaver 24.1 - Main <shop>", "administration"),
        ("a", "SQL*Plus", "administration"),
        ("a", "sqlplus@ws11 (TNS V1-V3)", "administration"),
        ("a", "Microsoft Office 2016", "person"),
        # What a client calls itself comes before its account's name: a person types, under the account of a tool.
        ("flyway", "psql", "administration"),
        # What scripts do under the account of a job, with the same clients.
        ("SEC_AUDIT", "sqlplus@sec01 (TNS V1-V3)", "audit"),
        ("dev_refresh", "sqlcmd", "restore"),
        ("a", "pg_restore", "restore"),
        ("REL_MGR", "SQLcl", "deployment"),
        ("deploy", "DBeaver 24.1", "administration"),
        ("a", "Oracle Identity Governance", "provisioning"),
        ("idm_sync", "", "provisioning"),
        ("ODI_WORK", "ODI Agent", "load"),
        ("feed_loader", "", "load"),
        ("sidekiq", "", "job"),
        ("oncall", "", "operator"),
        ("oncall", "psql", "administration"),
        ("a", "ipython-sql", "person"),
        ("a", "pg_gather.V27", "monitoring"),
        ("webapp", "webapp-api", ""),
        ("WEBAPP", "JDBC Thin Client", ""),
        ("svc_app", "Core .Net SqlClient Data Provider", ""),
        ("root", "", ""),
        ("postgres", "", ""),
        ("sa", ".Net SqlClient Data Provider", ""),
        ("rails_app", "puma: cluster worker 1", ""),
        ("v-token-readonly-4Zr8", "orders", ""),
    ],
)
def test_the_tools_that_are_in_use_everywhere_are_known(user: str, application: str, expected: str) -> None:
    assert shipped(user, application) == expected


def test_shipped_entries_are_distinct_and_of_every_kind() -> None:
    entries = shipped_actors()
    # An entry of two fields takes what both say; its patterns may be in another entry, too.
    patterns = Counter(
        (field, pattern)
        for entry in entries
        if not (entry.users and entry.applications)
        for field in ("users", "applications", "networks")
        for pattern in getattr(entry, field)
    )

    assert {entry.kind for entry in entries} == set(ActorKind) - {ActorKind.APPLICATION}
    assert [pattern for pattern, count in patterns.items() if count > 1] == []


def test_a_team_adds_replaces_and_removes_entries() -> None:
    entries = actor_entries(read_tuning(OWN).actors)
    table = ActorTable(entries)

    assert [entry.name for entry in entries[:2]] == ["shop-migrator", "test-accounts"]
    assert {entry.name for entry in shipped_actors()} - {entry.name for entry in entries} == {"office-clients"}
    clients = [("shop_release", "10.20.1.1"), ("shop_release", "10.2.1.1"), ("tester", ""), ("ci_runner", "")]
    found = [table.actor_of({"dbUserName": user, "remoteIp": host}) for user, host in clients]
    assert found == ["migration", "", "test", ""]


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ("[]", "expected entries by name"),
        ("{a: 1}", "expected kind, users"),
        ("{a: {kind: migration, user: [x], reason: r}}", "expected kind, users"),
        ("{a: {kind: wizard, users: [x], reason: r}}", "kind is one of"),
        ("{a: {kind: etl, users: [x]}}", "has a reason"),
        ("{a: {kind: etl, reason: r}}", "has users, applications or networks"),
        ("{a: {kind: etl, users: [], reason: r}}", "leave something out"),
        ("{a: {kind: etl, users: ['*'], reason: r}}", "leave something out"),
        ("{a: {kind: etl, networks: [10.2/99], reason: r}}", "is not a network"),
    ],
)
def test_a_wrong_entry_is_named(entry: str, wrong: str) -> None:
    with pytest.raises(RuleError, match=wrong):
        read_actors(yaml.safe_load(entry))
    with pytest.raises(RuleError, match=wrong) if entry != "[]" else pytest.raises(RuleError):
        read_tuning(f"actors: {entry if entry != '[]' else '[1]'}")


def with_filter(value: str, tuning: Tuning = NO_TUNING) -> str:
    rule = RULE.replace("dbUserName|expand: '%allowed-users%'", f"actor: {value}")
    return compile_rule("table-drop", rule, tuning).query


def test_a_rule_asks_for_an_actor_by_its_kind() -> None:
    assert with_filter("[migration, etl]").endswith("AND (NOT (actor:migration OR actor:etl))) AND NOT class:AUX")
    with pytest.raises(RuleError, match="migraton is none of"):
        with_filter("migraton")
    with pytest.raises(RuleError, match="application is none of"):
        with_filter("application")


def test_a_backtest_asks_as_if_entries_had_been_there() -> None:
    own = (
        ActorEntry("a", ActorKind.MIGRATION, "r", users=("deploy*", 'o"dd/')),
        ActorEntry("b", ActorKind.ETL, "r", applications=("load",), networks=("10.0.0.0/8", "host-*")),
    )

    assert lucene_of("migration", own) == (
        r"(((dbUserName:/[dD][eE][pP][lL][oO][yY].*/ OR dbUserName:/[oO]\"[dD][dD]\//)) OR "
        r"(actor:migration AND NOT ((clientApplication:/[lL][oO][aA][dD]/) AND "
        r'(remoteIp:"10.0.0.0/8" OR remoteHost:/[hH][oO][sS][tT]-.*/))))'
    )
    assert lucene_of("migration", own) in with_filter("migration", Tuning(assumed=own))
    assert lucene_of("bi", ()) == "actor:bi"


def test_every_kind_is_documented() -> None:
    page = (ROOT / "docs" / "detections.md").read_text("utf-8")

    assert [kind for kind in ActorKind if f"`{kind}`" not in page and f"kind: {kind}`" not in page] == []
