"""Activities against real parsers: PostgreSQL's own (pglast), and sqlglot for the other engines.

The statements are those of the demo's traffic, of the detections' samples, of docs/activities.md and of `corpus/`. What
a parser cannot read is skipped and counted; what it reads otherwise is listed with the reason.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import Any

import pglast
import pytest
import sqlglot
from pglast import ast, enums
from sqlglot import expressions as exp

from daswatch.documents.activity import Activity, activity_of
from tests.harness.statements import statements

DIALECTS = {"mysql": "mysql", "oracle": "oracle", "sqlserver": "tsql"}
# As each engine writes an event whose text alone says what it is.
TEXT_ALONE: dict[str, dict[str, Any]] = {
    "postgresql": {"command": "???", "class": "MISC"},
    "mysql": {"command": "QUERY", "class": "MAIN"},
    "oracle": {"command": None, "class": "Standard"},
    "sqlserver": {"command": "BATCH COMPLETED", "class": "DATABASE"},
}
SKIPPED_AT_MOST = {"postgresql": 0.1, "mysql": 0.25, "oracle": 0.4, "sqlserver": 0.35}
AGREEMENT = 0.995

# What a parser reads otherwise, as a pattern of the statement, with the reason.
DIFFERENT = {
    "mysql": {
        "^explain analyze (update|delete)": "it runs the statement; sqlglot takes every EXPLAIN for a description"
    },
    "sqlserver": {"#": "what a batch does to its own temporary tables counts last"},
}


def of_postgresql(text: str) -> Activity | None:
    """What PostgreSQL's parser says that a text is; None where it cannot read it, or where it is several statements."""
    try:
        parsed = pglast.parse_sql(text)
    except pglast.parser.ParseError:
        return None
    return of_node(parsed[0].stmt) if len(parsed) == 1 else None


_OTHER = (
    ast.TransactionStmt, ast.VariableSetStmt, ast.VacuumStmt, ast.ListenStmt, ast.NotifyStmt, ast.UnlistenStmt,
    ast.LockStmt, ast.CheckPointStmt, ast.DiscardStmt, ast.DeallocateStmt, ast.ClosePortalStmt, ast.ConstraintsSetStmt,
    ast.LoadStmt, ast.ReindexStmt,
)  # fmt: skip
_RIGHTS = (
    ast.GrantStmt, ast.GrantRoleStmt, ast.CreateRoleStmt, ast.AlterRoleStmt, ast.AlterRoleSetStmt, ast.DropRoleStmt,
    ast.AlterDefaultPrivilegesStmt, ast.ReassignOwnedStmt, ast.DropOwnedStmt,
)  # fmt: skip
_WRITES = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)


def of_node(node: Any) -> Activity:
    if isinstance(node, _WRITES):
        return Activity.DML
    if isinstance(node, _OTHER):
        return Activity.OTHER
    if isinstance(node, _RIGHTS) or getattr(node, "renameType", None) == enums.ObjectType.OBJECT_ROLE:
        return Activity.DCL
    match node:
        case ast.SelectStmt():
            if node.withClause and any(isinstance(one.ctequery, _WRITES) for one in node.withClause.ctes or ()):
                return Activity.DML
            return Activity.DDL if node.intoClause else Activity.DQL
        case ast.CopyStmt():
            writes = node.is_from or (node.query is not None and of_node(node.query) is Activity.DML)
            return Activity.DML if writes else Activity.DQL
        case ast.ExplainStmt():
            options = {one.defname: one.arg for one in node.options or ()}
            value = options.get("analyze")
            off = getattr(value, "sval", "on") in ("off", "false") or getattr(value, "ival", 1) == 0
            on = "analyze" in options and not off
            return of_node(node.query) if on else Activity.DQL
        case ast.PrepareStmt():
            return of_node(node.query)
        case ast.FetchStmt():
            return Activity.OTHER if node.ismove else Activity.DQL
        case ast.DeclareCursorStmt() | ast.VariableShowStmt():
            return Activity.DQL
        case ast.ExecuteStmt() | ast.DoStmt() | ast.CallStmt():
            return Activity.EXEC
    return Activity.DDL


_BY_WEIGHT = (Activity.DCL, Activity.DDL, Activity.DML, Activity.EXEC, Activity.DQL, Activity.OTHER)


def of_sqlglot(text: str, engine: str) -> Activity | None:
    """What sqlglot says; None where it cannot read a part of it, or takes that for an unknown command."""
    if engine == "mysql":
        text = text.replace("\\'", "'").replace('\\"', '"')
    try:
        parsed = sqlglot.parse(text, dialect=DIALECTS[engine])
    except sqlglot.errors.SqlglotError:
        return None
    found = [of_expression(one, engine) for one in parsed if one is not None]
    if not found or None in found or (engine != "sqlserver" and len(found) > 1):
        return None
    return next(one for one in _BY_WEIGHT if one in found)


_GROUPS: tuple[tuple[Activity, tuple[type[Any], ...]], ...] = (
    (Activity.DML, (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.LoadData)),
    (Activity.DDL, (exp.Create, exp.Drop, exp.Alter, exp.TruncateTable, exp.Comment)),
    (Activity.DCL, (exp.Grant, exp.Revoke)),
    (Activity.OTHER, (exp.Set, exp.Use, exp.Transaction, exp.Commit, exp.Rollback, exp.Declare)),
    (Activity.DQL, (exp.Query, exp.Describe, exp.Show)),
)


def of_expression(one: object, engine: str) -> Activity | None:
    if isinstance(one, exp.Select) and engine == "sqlserver" and one.args.get("into"):
        return Activity.DDL
    return next((activity for activity, kinds in _GROUPS if isinstance(one, kinds)), None)


@pytest.mark.parametrize("engine", TEXT_ALONE)
def test_activity_agrees_with_parser(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    texts = statements(engine)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    known = DIFFERENT.get(engine, {})
    for text in texts:
        expected = of_postgresql(text) if engine == "postgresql" else of_sqlglot(text, engine)
        if expected is None:
            counts["skipped"] += 1
            continue
        found = activity_of({**TEXT_ALONE[engine], "commandText": text}, engine)
        if found is expected:
            counts["agree"] += 1
        elif any(re.search(pattern, text, re.IGNORECASE | re.DOTALL) for pattern in known):
            counts["differ for a reason"] += 1
        else:
            counts["differ"] += 1
            wrong.append(f"{found.value} instead of {expected.value}: {text[:200]}")
    with capsys.disabled():
        print(f"\n{engine}: {len(texts)} statements, {dict(counts)}")

    compared = len(texts) - counts["skipped"]
    assert compared >= 100
    assert counts["skipped"] <= SKIPPED_AT_MOST[engine] * len(texts)
    assert not wrong
    assert counts["agree"] >= AGREEMENT * compared
