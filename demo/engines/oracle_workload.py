"""A general ledger on RDS for Oracle: its application, its batch runs, its people, and AWS's own users."""

from __future__ import annotations

from demo.engines.oracle import sql
from demo.engines.session import Client
from demo.engines.workload import Role, Work, clients

_account = sql(
    "DQL", "SELECT", "GL_ACCOUNTS",
    "SELECT a.account_id, a.account_number, a.account_name, a.currency_code, a.department_code, a.closed_on "
    "FROM gl_accounts a WHERE a.account_number = :1 AND a.department_code = :2",
    binds=("account", "department"),
)  # fmt: skip
_lines = sql(
    "DQL", "SELECT", "GL_LINES",
    "SELECT l.line_id, l.journal_id, l.account_number, l.debit, l.credit, l.description, l.posted_on FROM "
    "gl_lines l WHERE l.journal_id = :1 ORDER BY l.line_id",
    binds=("id",),
)  # fmt: skip
_balance = sql(
    "DQL", "SELECT", "GL_BALANCES",
    "select /*+ INDEX(b gl_balances_pk) */ b.opening, b.debit, b.credit, b.closing from gl_balances b where "
    "b.account_number = {account} and b.period = '{month}'",
)  # fmt: skip
_invoice = sql(
    "DQL", "SELECT", "INVOICES",
    "SELECT * FROM (SELECT i.*, ROWNUM rn FROM (SELECT invoice_id, supplier_name, amount, currency_code, "
    "due_on FROM invoices WHERE status = :1 AND due_on <= TO_DATE(:2, 'YYYY-MM-DD') ORDER BY due_on) i "
    "WHERE ROWNUM <= :3)",
    binds=("status", "day", "page"),
)  # fmt: skip
_journal = sql(
    "DML", "INSERT", "GL_JOURNALS",
    "INSERT INTO gl_journals (journal_id, period, description, created_by, created_on) VALUES "
    "(gl_journals_seq.NEXTVAL, :1, :2, 'FIN_APP', SYSTIMESTAMP) RETURNING journal_id INTO :3",
    binds=("month", "note", "id"),
)  # fmt: skip
_line = sql(
    "DML", "INSERT", "GL_LINES",
    "INSERT INTO gl_lines (journal_id, account_number, debit, credit, currency_code, description) VALUES "
    "(:1, :2, :3, :4, :5, :6)",
    binds=("id", "account", "amount", "amount", "currency", "note"),
)  # fmt: skip
_pay = sql(
    "DML", "UPDATE", "INVOICES",
    "UPDATE invoices SET status = :1, paid_on = TO_DATE(:2, 'YYYY-MM-DD'), payment_reference = :3 WHERE "
    "invoice_id = :4",
    binds=("status", "day", "hex8", "id"),
)  # fmt: skip
_merge = sql(
    "DML", "MERGE", "GL_BALANCES",
    "MERGE INTO gl_balances b\nUSING (\n    SELECT account_number, SUM(debit) debit, SUM(credit) credit\n   "
    " FROM gl_lines\n    WHERE period = '{month}' AND account_number BETWEEN {account} AND {account}\n    "
    "GROUP BY account_number\n) s\nON (b.account_number = s.account_number AND b.period = '{month}')\nWHEN "
    "MATCHED THEN UPDATE SET b.debit = s.debit, b.credit = s.credit\nWHEN NOT MATCHED THEN INSERT "
    "(account_number, period, debit, credit) VALUES (s.account_number, '{month}', s.debit, s.credit)",
    milliseconds=(50, 2_000),
)  # fmt: skip
_post = sql(
    "EXEC", "EXECUTE", "GL_POSTING", "BEGIN gl_posting.post_journal(:1, :2); END;", binds=("id", "month"),
)  # fmt: skip
_block = sql(
    "EXEC", "PL/SQL EXECUTE", None,
    "DECLARE\n  n PLS_INTEGER;\nBEGIN\n  SELECT COUNT(*) INTO n FROM gl_lines WHERE journal_id = {id};\n  "
    "IF n = 0 THEN\n    gl_posting.reject({id}, '{note}');\n  END IF;\nEND;",
)  # fmt: skip
_commit = sql("OTHER", "COMMIT", None, "COMMIT", milliseconds=(0.1, 2.0))
_session_settings = sql(
    "OTHER",
    "ALTER SESSION",
    None,
    "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD' NLS_NUMERIC_CHARACTERS = '.,'",
)
_lines_of_many = sql(
    "DQL", "SELECT", "GL_LINES",
    "SELECT journal_id, account_number, debit, credit FROM gl_lines WHERE journal_id IN ({ids})",
    milliseconds=(5, 80),
)  # fmt: skip
_supplier_note = sql(
    "DML", "INSERT", "SUPPLIER_NOTES",
    "INSERT INTO supplier_notes (supplier_name, city, body, written_on) VALUES ('{name} & Söhne', '{city}', "
    "'{note}', DATE '{day}')",
)  # fmt: skip

_LEDGER = Role(
    clients(
        "FIN_APP", "JDBC Thin Client", ("10.22.4.17", "10.22.4.18", "ledger-3.example.internal"), "LEDGER"
    ),
    (
        Work((_account, _balance), 6),
        Work((_lines,), 5),
        Work((_invoice,), 3),
        Work((_journal, _line, _line, _post, _commit), 2),
        Work((_pay, _commit), 2),
        Work((_block,), 1),
        Work((_supplier_note,), 1),
        Work((_lines,), 1, times=(3, 16)),
        Work((_lines_of_many,), 1),
    ),
    share=0.68,
    pool=8,
    opening=(_session_settings,),
    failing=(
        sql("DML", "INSERT", "GL_LINES",
            "INSERT INTO gl_lines (journal_id, account_number, debit, credit) VALUES (:1, :2, :3, :4)",
            binds=("id", "account", "amount", "amount"), failed=2291),
        sql("DML", "UPDATE", "INVOICES", "UPDATE invoices SET status = :1 WHERE invoice_id = :2",
            binds=("status", "id"), failed=60),
    ),
)  # fmt: skip

_CLOSING = Role(
    clients("FIN_BATCH", "SQL*Plus", ("batch-1.example.internal",), "LEDGER"),
    (
        Work((
            _merge,
            sql("DML", "DELETE", "GL_IMPORT_ERRORS",
                "delete from gl_import_errors where period = '{month}' and resolved_on < date '{day}'"),
            sql("DQL", "SELECT", "GL_BALANCES",
                "-- trial balance\n/* period close, step 3 */\nWITH sums AS (\n  SELECT department_code, "
                "SUM(closing) closing\n  FROM gl_balances JOIN gl_accounts USING (account_number)\n  WHERE "
                "period = '{month}'\n  GROUP BY department_code\n)\nSELECT s.department_code, s.closing, "
                "d.title\nFROM sums s JOIN departments d ON d.code = s.department_code\nORDER BY 1",
                milliseconds=(200, 5_000)),
            sql("EXEC", "EXECUTE", "GL_REPORTS", "BEGIN gl_reports.trial_balance('{month}', {batch}); END;"),
            _commit,
        )),
    ),
    share=0.06,
    lifetime=(1, 2),
    opening=(_session_settings,),
)  # fmt: skip

_MIGRATIONS = Role(
    clients("FIN_MIGRATOR", "Liquibase 4.29", ("ci-runner-8.example.internal",), "LEDGER"),
    (
        Work((
            sql("DQL", "SELECT", "DATABASECHANGELOG",
                "SELECT ID, AUTHOR, FILENAME, MD5SUM, ORDEREXECUTED FROM FIN.DATABASECHANGELOG ORDER BY "
                "ORDEREXECUTED"),
            sql("DDL", "CREATE TABLE", "GL_ACCRUALS",
                "CREATE TABLE FIN.GL_ACCRUALS_{hex8} (\n    ACCRUAL_ID NUMBER(19) GENERATED ALWAYS AS "
                "IDENTITY,\n    ACCOUNT_NUMBER NUMBER(10) NOT NULL,\n    PERIOD VARCHAR2(7 CHAR) NOT "
                "NULL,\n    AMOUNT NUMBER(19, 2) DEFAULT 0 NOT NULL,\n    CONSTRAINT GL_ACCRUALS_{hex8}_PK "
                "PRIMARY KEY (ACCRUAL_ID)\n)"),
            sql("DDL", "CREATE INDEX", "GL_ACCRUALS_IX",
                "CREATE INDEX FIN.GL_ACCRUALS_{hex8}_IX ON FIN.GL_ACCRUALS_{hex8} (ACCOUNT_NUMBER, PERIOD) "
                "ONLINE"),
            sql("DDL", "ALTER TABLE", "INVOICES", "ALTER TABLE FIN.INVOICES ADD (ACCRUAL_{hex8} NUMBER(19))"),
            sql("DDL", "COMMENT", "INVOICES",
                "COMMENT ON COLUMN FIN.INVOICES.DUE_ON IS 'Fälligkeit, nicht Buchungstag'"),
            sql("DDL", "CREATE PACKAGE BODY", "GL_REPORTS",
                "CREATE OR REPLACE PACKAGE BODY FIN.GL_REPORTS AS\n  PROCEDURE trial_balance(p VARCHAR2, "
                "run NUMBER) IS\n  BEGIN\n    INSERT INTO report_runs (run_id, period) VALUES (run, p);\n  "
                "END;\nEND GL_REPORTS;"),
            sql("DML", "INSERT", "DATABASECHANGELOG",
                "INSERT INTO FIN.DATABASECHANGELOG (ID, AUTHOR, FILENAME, DATEEXECUTED, ORDEREXECUTED, "
                "MD5SUM) VALUES ('{hex8}', 'finance', 'ledger.xml', SYSTIMESTAMP, {batch}, '9:{token}')"),
            _commit,
        )),
    ),
    share=0.04,
    lifetime=(1, 1),
)  # fmt: skip

_PEOPLE = Role(
    (
        Client("A_LINDQVIST", "sqlplus@finance-12 (TNS V1-V3)", "10.42.2.12", "LEDGER"),
        Client("C_ROSSI", "SQL Developer", "10.42.2.18", "LEDGER"),
    ),
    (
        Work((sql("DQL", "SELECT", "GL_BALANCES",
                  "select account_number, closing from gl_balances where period = '{month}' and closing < 0 "
                  "order by 2"),),
             3),
        Work((sql("DQL", "SELECT", "INVOICES", "select * from fin.invoices where invoice_id = {id}"),), 3),
        Work((sql("DQL", "SELECT", "GL_JOURNALS",
                  "select description, count(*)\n  from fin.gl_journals\n where period = '{month}'\n group "
                  "by description\nhaving count(*) > {few}"),), 2),
        Work((sql("DQL", "EXPLAIN", None,
                  "explain plan for select * from fin.gl_lines where account_number = {account}"),),
             1),
        Work((
            sql("DML", "UPDATE", "SUPPLIER_NOTES",
                "update fin.supplier_notes set body = '{note}' where note_id = {id}"),
            _commit,
        ), 1),
    ),
    share=0.06,
    lifetime=(3, 12),
    failing=(
        sql("DQL", "SELECT", "INVOICE", "select * from fin.invoice where invoice_id = {id}", failed=942),
        sql("DQL", "SELECT", "INVOICES", "select invoice_id form fin.invoices", failed=923),
    ),
    failures=0.06,
    slips=0.08,
)  # fmt: skip

_INTRUSION_BY_NAME = Role(
    (Client("RDSADMIN", "JDBC Thin Client", "203.0.113.12", "LEDGER"),),
    (Work((_commit,)),),
    share=0.001,
    locked_out=True,
)

_AWS = Role(
    (
        Client("RDSADMIN", None, "localhost", "LEDGER"),
        Client("RDSADMIN", "JDBC Thin Client", "localhost", "LEDGER"),
        Client("RDSSEC", "JDBC Thin Client", "localhost", "LEDGER"),
        Client("rdssec", None, "localhost", "LEDGER"),
    ),
    (
        Work((sql("OTHER", "SELECT", "V_$SESSION", "select count(*) from v$session where status = 'ACTIVE'",
                  schema="SYS"),), 3),
        Work((sql("OTHER", "ALTER DATABASE", None, "ALTER DATABASE BEGIN BACKUP"),
              sql("OTHER", "ALTER DATABASE", None, "ALTER DATABASE END BACKUP")), 1),
        Work((sql("OTHER", "EXECUTE", "RDSADMIN_UTIL", "begin rdsadmin.rdsadmin_util.checkpoint; end;",
                  schema="RDSADMIN"),), 1),
    ),
    share=0.1,
    lifetime=(4, 20),
    aws=True,
)  # fmt: skip

_ALL = (_LEDGER, _CLOSING, _MIGRATIONS, _PEOPLE, _INTRUSION_BY_NAME, _AWS)


def roles(version: str) -> tuple[Role, ...]:
    """The ledger's roles, the same for every version."""
    return _ALL
