"""A payroll on RDS for SQL Server: its service, its month-end runs, its people, and AWS's own users.

The audit specifications of this database report everything. By default a stream of SQL Server would show
little but failed logins.
"""

from __future__ import annotations

from demo.engines.session import Client
from demo.engines.sqlserver import reads, sql
from demo.engines.workload import Role, Work, clients

_employee = sql(
    "DQL", "SELECT", "TABLE", "Employees",
    "(@p0 int)SELECT TOP(1) [e].[EmployeeId], [e].[DisplayName], [e].[DepartmentCode], [e].[HiredOn], "
    "[e].[LeftOn]\r\nFROM [dbo].[Employees] AS [e]\r\nWHERE [e].[EmployeeId] = {employee}",
    rows=(0, 1),
)  # fmt: skip
_time_sheets = sql(
    "DQL", "SELECT", "TABLE", "TimeSheets",
    "SELECT [t].[TimeSheetId], [t].[EmployeeId], [t].[WorkedOn], [t].[Hours], [t].[CostCentre], "
    "[t].[ApprovedBy]\r\nFROM [dbo].[TimeSheets] AS [t]\r\nWHERE [t].[EmployeeId] = {employee} AND "
    "[t].[WorkedOn] >= '{day}'\r\nORDER BY [t].[WorkedOn] DESC",
    rows=(0, 31),
)  # fmt: skip
_slips = sql(
    "DQL", "SELECT", "TABLE", "PaySlips",
    "SELECT [s].[PaySlipId], [s].[PayRunId], [s].[Gross], [s].[Net], [s].[CurrencyCode] FROM "
    "[dbo].[PaySlips] AS [s] WHERE [s].[EmployeeId] = {employee} AND [s].[Period] = N'{month}'",
    rows=(0, 1),
)  # fmt: skip
_book_hours = sql(
    "DML", "INSERT", "TABLE", "TimeSheets",
    "INSERT INTO [dbo].[TimeSheets] ([EmployeeId], [WorkedOn], [Hours], [CostCentre], [Remark])\r\nOUTPUT "
    "INSERTED.[TimeSheetId]\r\nVALUES ({employee}, '{day}', {few}, N'{department}', N'{note}');",
    rows=(1, 1),
)  # fmt: skip
_approve = sql(
    "DML", "UPDATE", "TABLE", "TimeSheets",
    "UPDATE [dbo].[TimeSheets] SET [ApprovedBy] = {employee}, [ApprovedAt] = SYSUTCDATETIME() WHERE "
    "[TimeSheetId] = {id} AND [ApprovedBy] IS NULL",
    reads("TimeSheets"), rows=(0, 1),
)  # fmt: skip
_withdraw = sql(
    "DML", "DELETE", "TABLE", "TimeSheets", "DELETE FROM [dbo].[TimeSheets] WHERE [TimeSheetId] = {id}",
    reads("TimeSheets"), rows=(0, 1),
)  # fmt: skip
_overview = sql(
    "DQL", "SELECT", "VIEW", "OpenTimeSheets",
    "SELECT [DepartmentCode], COUNT_BIG(*) AS [Open] FROM [dbo].[OpenTimeSheets] WHERE [DepartmentCode] = "
    "N'{department}' GROUP BY [DepartmentCode]",
    rows=(0, 1),
)  # fmt: skip
_calculate = sql(
    "EXEC", "EXECUTE", "STORED PROCEDURE", "usp_CalculatePaySlip",
    "EXEC [dbo].[usp_CalculatePaySlip] @EmployeeId = {employee}, @Period = N'{month}', @Gross = {salary}",
    milliseconds=(2, 60),
)  # fmt: skip
_sheets_of_many = sql(
    "DQL", "SELECT", "TABLE", "TimeSheets",
    "SELECT [t].[TimeSheetId], [t].[Hours] FROM [dbo].[TimeSheets] AS [t] WHERE [t].[TimeSheetId] IN ({ids})",
    rows=(100, 600), milliseconds=(3, 60),
)  # fmt: skip
_rename_employee = sql(
    "DML", "UPDATE", "TABLE", "Employees",
    "UPDATE [dbo].[Employees] SET [DisplayName] = N'{name}', [City] = N'{city}' WHERE [EmployeeId] = "
    "{employee}",
    rows=(1, 1),
)  # fmt: skip

_SERVICE = Role(
    clients("payroll_app", "payroll-svc", ("10.23.4.17", "10.23.4.18", "EC2AMAZ-PAYROLL3"), "hr"),
    (
        Work((_employee, _time_sheets), 6),
        Work((_slips,), 4),
        Work((_book_hours,), 4),
        Work((_approve,), 3),
        Work((_overview,), 2),
        Work((_calculate,), 2),
        Work((_withdraw,), 1),
        Work((_rename_employee,), 1),
        Work((_time_sheets,), 1, times=(3, 16)),
        Work((_sheets_of_many,), 1),
    ),
    share=0.72,
    pool=8,
    failing=(
        sql("DQL", "SELECT", "TABLE", "PayRunLocks",
            "SELECT [LockedBy] FROM [dbo].[PayRunLocks] WHERE [PayRunId] = {batch}", denied=True),
    ),
)  # fmt: skip

_MONTH_END = Role(
    clients("payroll_batch", "SQLAgent - TSQL JobStep (Job 0x8A41 : Step 1)", ("EC2AMAZ-PAYBATCH",), "hr"),
    (
        Work((
            sql("EXEC", "EXECUTE", "STORED PROCEDURE", "usp_OpenPayRun",
                "EXECUTE dbo.usp_OpenPayRun @Period = N'{month}', @Batch = {batch}"),
            sql("DML", "INSERT", "TABLE", "PayRunItems",
                "-- month end\r\n/* step 2 of 4 */\r\nWITH hours AS (\r\n    SELECT EmployeeId, SUM(Hours) "
                "AS Hours\r\n    FROM dbo.TimeSheets\r\n    WHERE WorkedOn >= '{day}'\r\n    GROUP BY "
                "EmployeeId\r\n)\r\nINSERT INTO dbo.PayRunItems (PayRunId, EmployeeId, Hours)\r\nSELECT "
                "{batch}, EmployeeId, Hours FROM hours",
                reads("TimeSheets"), rows=(20, 400), milliseconds=(50, 900)),
            sql("DQL", "SELECT", "TABLE", "PayRunItems",
                "SELECT d.Code, d.Title, SUM(i.Hours) AS Hours FROM dbo.PayRunItems i JOIN dbo.Departments "
                "d ON d.Code = i.DepartmentCode WHERE i.PayRunId = {batch} GROUP BY d.Code, d.Title ORDER "
                "BY Hours DESC",
                rows=(4, 30), milliseconds=(20, 900)),
            sql("DML", "UPDATE", "TABLE", "LeaveBalances",
                "MERGE dbo.LeaveBalances AS target USING dbo.PayRunItems AS source ON target.EmployeeId = "
                "source.EmployeeId AND source.PayRunId = {batch} WHEN MATCHED THEN UPDATE SET target.Days = "
                "target.Days + {rate};", rows=(20, 400)),
        )),
    ),
    share=0.05,
    lifetime=(1, 2),
)  # fmt: skip

_MIGRATIONS = Role(
    clients("hr_deploy", "EntityFramework", ("ci-runner-9.example.internal",), "hr"),
    (
        Work((
            sql("DQL", "SELECT", "TABLE", "__EFMigrationsHistory",
                "SELECT [MigrationId], [ProductVersion] FROM [__EFMigrationsHistory] ORDER BY [MigrationId]",
                rows=(40, 60)),
            sql("DDL", "ALTER", "SCHEMA", "dbo",
                "CREATE TABLE [hr].[dbo].[Allowances_{hex8}](\r\n    [AllowanceId] int IDENTITY NOT "
                "NULL,\r\n    [EmployeeId] int NOT NULL,\r\n    [Amount] decimal(12, 2) NOT NULL,\r\n    "
                "[Reason] nvarchar(200) NULL,\r\n    CONSTRAINT [PK_Allowances_{hex8}] PRIMARY KEY "
                "([AllowanceId])\r\n)"),
            sql("DDL", "ALTER", "TABLE", "Employees",
                "ALTER TABLE [dbo].[Employees] ADD [Allowance_{hex8}] int NULL"),
            sql("DDL", "ALTER", "TABLE", "TimeSheets",
                "CREATE NONCLUSTERED INDEX [IX_TimeSheets_{hex8}] ON [dbo].[TimeSheets] ([EmployeeId], "
                "[WorkedOn])"),
            sql("DDL", "CREATE", "VIEW", "AllowancesByMonth",
                "CREATE VIEW [dbo].[AllowancesByMonth_{hex8}] AS\r\nSELECT EmployeeId, SUM(Amount) AS "
                "Amount FROM dbo.Allowances GROUP BY EmployeeId"),
            sql("DML", "INSERT", "TABLE", "__EFMigrationsHistory",
                "INSERT INTO [__EFMigrationsHistory] ([MigrationId], [ProductVersion])\r\nVALUES "
                "(N'{month}_{hex8}', N'8.0.6');", rows=(1, 1)),
        )),
    ),
    share=0.04,
    lifetime=(1, 1),
)  # fmt: skip

_STUDIO = "Microsoft SQL Server Management Studio - Query"
_PEOPLE = Role(
    (
        Client("HR\\k.ivanova", _STUDIO, "10.43.2.51", "hr"),
        Client("hr_support", _STUDIO, "10.43.2.52", "hr"),
        Client("hr_reports", ".Net SqlClient Data Provider", "local machine", "hr"),
    ),
    (
        Work((sql("DQL", "SELECT", "TABLE", "TimeSheets",
                  "select CostCentre, sum(Hours)\r\nfrom dbo.TimeSheets\r\nwhere WorkedOn >= "
                  "'{day}'\r\ngroup by CostCentre", rows=(3, 20)),), 4),
        Work((sql("DQL", "SELECT", "TABLE", "PayRunItems",
                  "SELECT TOP (1000) [PayRunId]\r\n      ,[EmployeeId]\r\n      ,[Hours]\r\n  FROM "
                  "[hr].[dbo].[PayRunItems]\r\n  WHERE [PayRunId] = {batch}", rows=(100, 1_000)),), 2),
        Work((sql("DQL", "SELECT", "VIEW", "OpenTimeSheets",
                  "select * from dbo.OpenTimeSheets where DepartmentCode = '{department}' -- für die Prüfung",
                  rows=(0, 40)),), 2),
        Work((sql("DQL", "SELECT", "TABLE", "Departments",
                  "select Title from dbo.Departments where Code = '{department}' union all select Title from "
                  "dbo.ClosedDepartments where Code = '{department}'", rows=(0, 1)),), 1),
        Work((sql("DML", "UPDATE", "TABLE", "TimeSheets",
                  "begin tran;\r\nupdate dbo.TimeSheets set Remark = N'{note}' where TimeSheetId = "
                  "{id};\r\ncommit;",
                  reads("TimeSheets"), rows=(1, 1)),), 1),
        Work((sql("EXEC", "EXECUTE", "STORED PROCEDURE", "sp_help", "exec sp_help 'dbo.TimeSheets'"),), 1),
    ),
    share=0.07,
    lifetime=(3, 12),
    failing=(
        sql("DQL", "SELECT", "TABLE", "PayRunLocks", "select * from dbo.PayRunLocks", denied=True),
    ),
    failures=0.03,
    slips=0.1,
)  # fmt: skip

_INTRUSION_BY_NAME = Role(
    (Client("rdsadmin", "Python", "203.0.113.12", "hr"),), (Work((_overview,)),), share=0.001, locked_out=True
)

_AWS = Role(
    clients("rdsadmin", "RdsAdminService", ("local machine",), "rdsadmin"),
    (
        Work((sql("OTHER", "SELECT", "TABLE", "rds_configuration",
                  "select name, value from [rdsadmin].[dbo].[rds_configuration]", rows=(4, 9)),), 2),
        Work((sql("OTHER", "EXECUTE", "STORED PROCEDURE", "rds_task_status",
                  "exec msdb.dbo.rds_task_status"),), 1),
    ),
    share=0.09,
    lifetime=(4, 20),
    aws=True,
)  # fmt: skip

_ALL = (_SERVICE, _MONTH_END, _MIGRATIONS, _PEOPLE, _INTRUSION_BY_NAME, _AWS)


def roles(version: str) -> tuple[Role, ...]:
    """The payroll's roles, the same for every version."""
    return _ALL
