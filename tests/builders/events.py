"""One plausible event for each engine; tests vary what they are about."""

from __future__ import annotations

from typing import Any


def postgresql_event(**changes: Any) -> dict[str, Any]:
    """A read of Aurora PostgreSQL, version 1.1."""
    return {
        "logTime": "2031-03-04 11:22:33.444555+00",
        "statementId": 6,
        "substatementId": 1,
        "objectType": "TABLE",
        "command": "SELECT",
        "objectName": "public.t_orders",
        "databaseName": "appdb",
        "dbUserName": "app_rw",
        "remoteHost": "10.9.8.7",
        "remotePort": "40112",
        "sessionId": "730f68c4.5234",
        "rowCount": 12,
        "commandText": "select * from t_orders where id = 17;",
        "paramList": [],
        "pid": 21044,
        "clientApplication": "psql",
        "exitCode": None,
        "class": "READ",
        "serverVersion": "14.7.1",
        "serverType": "PostgreSQL",
        "serviceName": "Amazon Aurora PostgreSQL-Compatible edition",
        "serverHost": "10.9.0.5",
        "netProtocol": "TCP",
        "dbProtocol": "Postgres 3.0",
        "type": "record",
        "startTime": "2031-03-04 11:22:33.441000+00",
        "errorMessage": None,
        **changes,
    }


def mysql_event(**changes: Any) -> dict[str, Any]:
    """A read of Aurora MySQL, its MAIN row."""
    return {
        "logTime": "2031-03-04 11:22:33.444555+00",
        "type": "record",
        "clientApplication": None,
        "pid": 4410,
        "dbUserName": "shop_rw",
        "databaseName": "shop",
        "remoteHost": "10.9.8.7",
        "remotePort": "51544",
        "command": "QUERY",
        "commandText": "SELECT * FROM t_cart WHERE id < 9",
        "paramList": None,
        "objectType": "TABLE",
        "objectName": "t_cart",
        "statementId": 900101,
        "substatementId": 1,
        "exitCode": "0",
        "sessionId": "88031",
        "rowCount": 2,
        "serverHost": "shop-node-1",
        "serverType": "MySQL",
        "serviceName": "Amazon Aurora MySQL",
        "serverVersion": "MySQL 5.7.12",
        "startTime": "2031-03-04 11:22:33.440100+00",
        "endTime": "2031-03-04 11:22:33.444554+00",
        "transactionId": "0",
        "dbProtocol": "MySQL",
        "netProtocol": "TCP",
        "errorMessage": "",
        "class": "MAIN",
        **changes,
    }


def oracle_event(**changes: Any) -> dict[str, Any]:
    """A read of RDS for Oracle; as documented, without a type."""
    return {
        "class": "Standard",
        "clientApplication": "JDBC Thin Client",
        "command": "SELECT",
        "commandText": "select count(*) from t_gl",
        "dbid": "4002003001",
        "databaseName": "LEDGER",
        "dbProtocol": "oracle",
        "dbUserName": "FIN_APP",
        "endTime": None,
        "errorMessage": None,
        "exitCode": 0,
        "logTime": "2031-03-04 11:22:33.444555",
        "netProtocol": "tcp",
        "objectName": "T_GL",
        "objectType": "FIN_APP",
        "paramList": [],
        "pid": 30222,
        "remoteHost": "10.9.8.7",
        "remotePort": "44120",
        "rowCount": None,
        "serverHost": "10.9.0.9",
        "serverType": "oracle",
        "serverVersion": "19.0.0.0.ru-2030-10.rur-2030-10.r1.EE.1",
        "serviceName": "oracle-ee",
        "sessionId": 3120045566,
        "startTime": None,
        "statementId": 44,
        "substatementId": None,
        "transactionId": None,
        "engineNativeAuditFields": {},
        **changes,
    }


def sqlserver_event(**changes: Any) -> dict[str, Any]:
    """A read of RDS for SQL Server; exit code 1 is success."""
    return {
        "class": "TABLE",
        "clientApplication": "payroll-svc",
        "command": "SELECT",
        "commandText": "select * from [hr].[dbo].[t_pay]",
        "databaseName": "hr",
        "dbProtocol": "SQLSERVER",
        "dbUserName": "hr_app",
        "endTime": None,
        "errorMessage": None,
        "exitCode": 1,
        "logTime": "2031-03-04 11:22:33.4445556+00",
        "netProtocol": None,
        "objectName": "t_pay",
        "objectType": "TABLE",
        "paramList": None,
        "pid": None,
        "remoteHost": "10.9.8.7",
        "remotePort": None,
        "rowCount": 0,
        "serverHost": "10.9.0.11",
        "serverType": "SQLSERVER",
        "serverVersion": "15.00.4073.23.v1.R1",
        "serviceName": "sqlserver-ee",
        "sessionId": 71,
        "startTime": None,
        "statementId": "0x00112233445566778899aabbccddeeff",
        "substatementId": 1,
        "transactionId": "5500124",
        "type": "record",
        "engineNativeAuditFields": {},
        **changes,
    }
