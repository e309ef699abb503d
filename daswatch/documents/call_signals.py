"""What a call of AWS's API does to a database, its copies, its backups and its audit: names for rules to use.

In: the call as CloudTrail recorded it. Out: the values of the document's field `signals`. Services spell parameters in
different cases, values are pairs in lists, and a lowered number is only known next to the old one: so a call is read
once here, and rules name what it means. A call that failed has its signals too; the rule decides whether an attempt
counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from daswatch.documents.noise import VPC_NETWORKS

_ARN = re.compile(r"arn:[\w-]+:[\w-]+:(?P<region>[\w-]*):(?P<account>\d{0,12}):.*", re.ASCII)
_DATABASE_PORTS = {1433, 1521, 2484, 3306, 5432}
_WIDEST_PREFIX = 4  # bits: two halves of the internet, or all global IPv6 addresses, are the internet too
_FIRST_DAY = timedelta(days=1)  # of a database
_FEW_DAYS = 7  # Security Hub's control RDS.11 wants so many days of backups

_MODIFY = ("ModifyDBCluster", "ModifyDBInstance")
_RESTORE = (
    "RestoreDBClusterFromSnapshot",
    "RestoreDBClusterToPointInTime",
    "RestoreDBInstanceFromDBSnapshot",
    "RestoreDBInstanceToPointInTime",
)
_CREATE = ("CreateDBCluster", "CreateDBInstance", "CreateDBInstanceReadReplica")
_DELETE = ("DeleteDBCluster", "DeleteDBInstance")
_SHARE = ("ModifyDBClusterSnapshotAttribute", "ModifyDBSnapshotAttribute")
_COPY = ("CopyDBClusterSnapshot", "CopyDBSnapshot")
_PARAMETERS = ("ModifyDBClusterParameterGroup", "ModifyDBParameterGroup")
_ENDPOINT = ("CreateEndpoint", "ModifyEndpoint")  # of DMS
_START = ("StartDataMigration", "StartReplication", "StartReplicationTask")


@dataclass(frozen=True, slots=True)
class Call:
    """A call, as far as its signals need it."""

    name: str
    account_id: str
    region: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    error: str = ""  # the error's code and message
    at: str = ""  # when it was made, in ISO 8601

    def given(self, *path: str) -> Any:
        """What the request says there; names in lower case, whatever the service writes."""
        return _at(self.request, path)

    def answered(self, *path: str) -> Any:
        """What the response says there."""
        return _at(self.response, path)

    def is_of_another_account(self, arn: object) -> bool:
        """Whether an ARN names an account, and not the call's."""
        found = _ARN.fullmatch(_text(arn))
        return bool(found and found["account"] and self.account_id and found["account"] != self.account_id)

    def is_elsewhere(self, arn: object) -> bool:
        """Whether an ARN names another account or another region than the call's."""
        found = _ARN.fullmatch(_text(arn))
        regions = {found["region"], self.region} - {""} if found else set()
        return self.is_of_another_account(arn) or len(regions) > 1


@dataclass(frozen=True, slots=True)
class CallSignal:
    """A name, what it means, the calls that can mean it, and whether one does."""

    name: str
    meaning: str
    calls: tuple[str, ...]
    holds: Callable[[Call], bool] = lambda call: True


def call_signals(call: Call) -> tuple[str, ...]:
    """The names of what a call does, sorted."""
    return tuple(sorted(one.name for one in CALL_SIGNALS if call.name in one.calls and one.holds(call)))


def recipient(call: Call) -> str:
    """To whom data goes: accounts, a bucket, a vault, a warehouse, hosts, or a region; several are one text.

    Data that is encrypted with another account's key goes to the key.
    """
    if key := _foreign_key(call):
        return key
    match call.name:
        case "ModifyDBClusterSnapshotAttribute" | "ModifyDBSnapshotAttribute":
            return ",".join(sorted(set(_texts(call.given("valuestoadd")))))
        case "StartExportTask":
            return _text(call.given("s3bucketname"))
        case "StartCopyJob":
            return _text(call.given("destinationbackupvaultarn"))
        case "CreateIntegration":
            return _text(call.given("targetarn"))
        case "StartDBInstanceAutomatedBackupsReplication":
            return call.region
        case name if name in _ENDPOINT and _is_target(call):
            return _written_to(call)
        case name if name in _START:
            return _target_endpoint(call)
        case name if name in (*_COPY, *_CREATE, *_RESTORE) and _goes_elsewhere(call):
            return call.region
        case _:
            return ""


def _at(fields: object, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(fields, Mapping):
            return None
        fields = next((value for key, value in fields.items() if str(key).lower() == name), None)
    return fields


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(values: object) -> Iterator[str]:
    yield from (value for value in _listed(values) if isinstance(value, str))


def _listed(values: object) -> list[Any]:
    """The entries of a list, of EC2's `{"items": […]}`, or one that is not in a list."""
    if isinstance(values, Mapping) and values.keys() == {"items"}:
        values = values["items"]
    if values is None:
        return []
    return values if isinstance(values, list) else [values]


def _is(value: object, wanted: bool) -> bool:
    return value is wanted or _text(value).lower() == str(wanted).lower()


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


# Copies of data.


def _is_public(call: Call) -> bool:
    return any(value.lower() == "all" for value in _texts(call.given("valuestoadd")))


def _is_shared(call: Call) -> bool:
    return any(value.lower() != "all" for value in _texts(call.given("valuestoadd")))


def _foreign_key(call: Call) -> str:
    keys = (_text(call.given(name)) for name in ("kmskeyid", "masterusersecretkmskeyid"))
    return next((key for key in keys if call.is_of_another_account(key)), "")


def _has_foreign_key(call: Call) -> bool:
    return bool(_foreign_key(call))


def _goes_to_another_account(call: Call) -> bool:
    return call.is_of_another_account(call.given("destinationbackupvaultarn")) or call.is_of_another_account(
        call.given("targetarn")
    )


_SOURCES = (
    "sourcedbsnapshotidentifier",
    "sourcedbclustersnapshotidentifier",
    "sourcedbinstanceidentifier",
    "sourcedbclusteridentifier",
    "sourcedbinstanceautomatedbackupsarn",
    "replicationsourceidentifier",
    "dbsnapshotidentifier",
    "snapshotidentifier",
    "destinationbackupvaultarn",
)


def _goes_elsewhere(call: Call) -> bool:
    # A secondary cluster of a global database has no master user of its own.
    joins = (
        call.name == "CreateDBCluster" and call.given("globalclusteridentifier") and not call.given("masterusername")
    )
    return bool(joins) or any(call.is_elsewhere(call.given(name)) for name in _SOURCES)


# Replication by AWS DMS. An endpoint is a place, and either the source or the target of data; a task names two by ARN.

_BUCKET_ATTRIBUTE = re.compile(r"(?:^|;)\s*bucketName\s*=\s*([^;\s]+)", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?(\[[^\]]*\]|[^:/\\]*)", re.IGNORECASE)
_PUBLIC_EC2 = re.compile(r"ec2-[\d-]+\.[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?", re.ASCII)
# Hosts that anyone can have: databases, queues and machines of other providers, tunnels, dynamic names.
_OF_OTHER_PROVIDERS = (
    ".aivencloud.com", ".aliyuncs.com", ".appdomain.cloud", ".azure.cn", ".azure.com", ".chinacloudapi.cn",
    ".cockroachlabs.cloud", ".confluent.cloud", ".ddns.net", ".duckdns.org", ".elastic-cloud.com", ".es.io",
    ".googleusercontent.com", ".linodedb.net", ".mongodb.net", ".neon.tech", ".ngrok.app", ".ngrok.dev", ".ngrok.io",
    ".no-ip.org", ".ondigitalocean.com", ".oraclecloud.com", ".psdb.cloud", ".redislabs.com", ".render.com",
    ".rlwy.net", ".scw.cloud", ".supabase.co", ".supabase.com", ".tencentcdb.com", ".tidbcloud.com", ".upstash.io",
    ".vultrdb.com", ".windows.net",
)  # fmt: skip


def _is_target(call: Call) -> bool:
    given = call.given("endpointtype") or call.answered("endpoint", "endpointtype")
    return _text(given).lower() != "source"


def _has_a_target(call: Call) -> bool:
    return _is_target(call) and bool(_written_to(call))


def _has_a_target_outside(call: Call) -> bool:
    if not _is_target(call):
        return False
    resources = (call.given("kinesissettings", "streamarn"), *_settings(call, "secretsmanagersecretid"))
    return (
        bool(_bucket(call))
        or any(call.is_of_another_account(arn) for arn in resources)
        or any(map(_is_outside, _hosts(call)))
    )


def _written_to(call: Call) -> str:
    """The bucket, stream or hosts of an endpoint; else the secret that names them, or the engine of a new one."""
    stream = _text(call.given("kinesissettings", "streamarn"))
    secret = next(_settings(call, "secretsmanagersecretid"), "")
    engine = _text(call.given("enginename")) if call.name == "CreateEndpoint" else ""
    return _bucket(call) or stream or ",".join(sorted(set(_hosts(call)))) or secret or engine


def _bucket(call: Call) -> str:
    """The bucket to which data is written, not one that is only on the way to a warehouse."""
    found = _BUCKET_ATTRIBUTE.search(_text(call.given("extraconnectionattributes")))
    is_bucket = _text(call.given("enginename")).lower() == "s3"
    return _text(call.given("s3settings", "bucketname")) or (found[1] if found and is_bucket else "")


def _hosts(call: Call) -> Iterator[str]:
    named = (
        _text(call.given("servername")),
        _text(call.given("kafkasettings", "broker")),
        _text(call.given("elasticsearchsettings", "endpointuri")),
        *_settings(call, "servername"),
    )
    yield from (host for text in named for part in text.split(",") if (host := _host(part.strip())))


def _settings(call: Call, name: str) -> Iterator[str]:
    """The texts of this name in the settings of any engine."""
    for key, settings in call.request.items():
        if str(key).lower().endswith("settings") and (value := _text(_at(settings, (name,)))):
            yield value


def _host(text: str) -> str:
    """The host of an address or a URL, without its port or instance."""
    try:
        return str(ip_address(text))
    except ValueError:
        found = _HOST.match(text)
        return found[1].strip("[]. ").lower() if found else ""


def _is_outside(host: str) -> bool:
    """Whether a host is certainly not of a VPC: a public address, or a name that anyone can have."""
    try:
        address = ip_address(host)
    except ValueError:
        return bool(_PUBLIC_EC2.fullmatch(host)) or host.endswith(_OF_OTHER_PROVIDERS)
    inside = address.is_loopback or address.is_link_local or any(address in network for network in VPC_NETWORKS)
    return not inside


def _starts_from_scratch(call: Call) -> bool:
    """Whether data is copied from the beginning, or for the first time: a task that is resumed was reported before."""
    kinds = ("startreplicationtasktype", "startreplicationtype", "starttype")
    return not any(_text(call.given(name)).lower() == "resume-processing" for name in kinds)


def _target_endpoint(call: Call) -> str:
    answers = (call.answered(name, "targetendpointarn") for name in ("replicationtask", "replication"))
    return next(filter(None, map(_text, answers)), "")


# Access.


def _is_publicly_accessible(call: Call) -> bool:
    given = call.given("publiclyaccessible")
    if given is None and call.name not in _MODIFY:  # a modified database answers with what it was before
        given = call.answered("publiclyaccessible")
    return _is(given, True)


def _opens_to_the_internet(call: Call) -> bool:
    return any(
        _is_internet(network) and _has_a_database_port(entry)
        for entry in _permissions(call)
        for network in _networks(entry)
    )


def _permissions(call: Call) -> Iterator[Mapping[str, Any]]:
    entries = [
        *_listed(call.given("ippermissions")),
        *(
            _at(rule, ("securitygrouprule",))
            for rule in _listed(call.given("modifysecuritygrouprulesrequest", "securitygrouprule"))
        ),
        *([call.request] if call.given("cidrip") else ()),
    ]
    yield from (entry for entry in entries if isinstance(entry, Mapping))


def _networks(entry: Mapping[str, Any]) -> Iterator[str]:
    for ranges, name in (("ipranges", "cidrip"), ("ipv6ranges", "cidripv6")):
        yield from (_text(_at(one, (name,))) for one in _listed(_at(entry, (ranges,))))
    yield from (_text(_at(entry, (name,))) for name in ("cidrip", "cidripv4", "cidripv6"))


def _is_internet(network: str) -> bool:
    try:
        return ip_network(network, strict=False).prefixlen <= _WIDEST_PREFIX
    except ValueError:
        return False


def _has_a_database_port(entry: Mapping[str, Any]) -> bool:
    begin, end = (_number(_at(entry, (name,))) for name in ("fromport", "toport"))
    if begin is None or end is None:  # all protocols have no ports; RDS's own security groups have none either
        return str(_at(entry, ("ipprotocol",)) or "-1").lower() in ("-1", "all", "tcp")
    return any(begin <= port <= end for port in _DATABASE_PORTS)


def _has_other_password(call: Call) -> bool:
    return call.given("masteruserpassword") is not None


def _has_other_secret(call: Call) -> bool:
    # That Secrets Manager rotates it gives no one access.
    return call.given("managemasteruserpassword") is not None or call.given("masterusersecretkmskeyid") is not None


def _has_other_network(call: Call) -> bool:
    return any(call.given(name) for name in ("vpcsecuritygroupids", "dbsecuritygroups", "dbsubnetgroupname"))


# Deletion and recovery.


def _is_whole(call: Call) -> bool:
    """Whether a deletion takes the data: not of an Aurora cluster's instance, nor of a replica."""
    return call.name == "DeleteDBCluster" or not any(
        call.answered(name) for name in ("dbclusteridentifier", "readreplicasourcedbinstanceidentifier")
    )


def _leaves_no_snapshot(call: Call) -> bool:
    return _is_whole(call) and not call.given("finaldbsnapshotidentifier") and not _is_new(call)


def _deletes_a_new_one(call: Call) -> bool:
    return _is_whole(call) and not call.given("finaldbsnapshotidentifier") and _is_new(call)


def _is_new(call: Call) -> bool:
    """Whether the answer shows that the database was made on the day of the call: restored to try it, or for a test."""
    made = _moment(call.answered("clustercreatetime") or call.answered("instancecreatetime"))
    at = _moment(call.at)
    return made is not None and at is not None and timedelta() <= at - made < _FIRST_DAY


def _moment(value: object) -> datetime | None:
    """A time in ISO 8601, or as CloudTrail writes those of RDS's answers: "Dec 8, 2023 2:55:17 PM", in UTC."""
    text = " ".join(_text(value).split())  # there can be a narrow space
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.strptime(f"{text} +0000", "%b %d, %Y %I:%M:%S %p %z")
        except ValueError:
            return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _takes_backups_along(call: Call) -> bool:
    return _is_whole(call) and _is(call.given("deleteautomatedbackups"), True)


def _was_protected(call: Call) -> bool:
    return "protect" in call.error.lower()


def _has_no_backups(call: Call) -> bool:
    return _number(call.given("backupretentionperiod")) == 0


def _has_shorter_retention(call: Call) -> bool:
    new, old = (
        _number(value) for value in (call.given("backupretentionperiod"), call.answered("backupretentionperiod"))
    )
    if not new:  # not given, or none at all
        return False
    if old is None or old == new:  # no answer, or one that shows the new value
        return new < _FEW_DAYS
    return new < old


# The engine's own audit.

_OFF = frozenset({"", "0", "disabled", "false", "no", "none", "off"})
_SWITCHES = frozenset(
    {
        "audit_sys_operations",
        "audit_trail",
        "c2 audit mode",
        "common criteria compliance enabled",
        "default trace enabled",
        "general_log",
        "log_connections",
        "log_disconnections",
        "log_output",
        "log_statement",
        "rds.force_admin_logging_level",
        "server_audit_events",
        "server_audit_logging",
    }
)
_LEFT_OUT = frozenset(
    {"server_audit_excl_users", "server_audit_incl_users"}
)  # who is named, or is not, is not recorded
_THRESHOLDS = frozenset({"log_min_error_statement", "log_min_messages"})
_AUDIT_OPTIONS = frozenset({"MARIADB_AUDIT_PLUGIN", "SQLSERVER_AUDIT"})


def _parameters(call: Call) -> Iterator[tuple[str, str]]:
    for entry in _listed(call.given("parameters")):
        name, value = (_at(entry, (key,)) for key in ("parametername", "parametervalue"))
        yield _text(name).strip().lower(), str("" if value is None else value).strip().lower()


def _switches_audit_off(call: Call) -> bool:
    return any(_is_audit_off(name, value) for name, value in _parameters(call))


def _is_audit_off(name: str, value: str) -> bool:
    if name in _SWITCHES:
        return value in _OFF
    if name in _LEFT_OUT:
        return bool(value)
    if name in _THRESHOLDS:
        return value in ("fatal", "panic")
    if name == "pgaudit.log":
        return value in _OFF or all(part.strip().startswith("-") for part in value.split(","))
    return False


def _resets_audit(call: Call) -> bool:
    audit = {*_SWITCHES, *_LEFT_OUT, *_THRESHOLDS, "pgaudit.log"}
    return _is(call.given("resetallparameters"), True) or any(name in audit for name, _ in _parameters(call))


def _removes_audit_option(call: Call) -> bool:
    return any(option.upper() in _AUDIT_OPTIONS for option in _texts(call.given("optionstoremove")))


def _makes_tls_optional(call: Call) -> bool:
    if call.name == "ModifyDBProxy":
        return _is(call.given("requiretls"), False)
    return any(
        name in ("rds.force_ssl", "require_secure_transport") and value in _OFF for name, value in _parameters(call)
    )


# The trail that delivers all of these calls.


def _drops_calls(call: Call) -> bool:
    """Whether no selector of a trail takes calls that change something; several selectors add up."""
    basic = _listed(call.given("eventselectors"))
    advanced = _listed(call.given("advancedeventselectors"))
    return bool(basic or advanced) and not any((*map(_takes_changes, basic), *map(_takes_management, advanced)))


def _takes_changes(selector: object) -> bool:
    takes = _at(selector, ("includemanagementevents",))
    return not _is(takes, False) and _text(_at(selector, ("readwritetype",))).lower() != "readonly"


def _takes_management(selector: object) -> bool:
    fields = _listed(_at(selector, ("fieldselectors",)))
    named = {value for field in fields for value in _texts(_at(field, ("equals",)))}
    reads_only = any(
        _text(_at(field, ("field",))).lower() == "readonly" and "true" in _texts(_at(field, ("equals",)))
        for field in fields
    )
    return "Management" in named and not reads_only


CALL_SIGNALS: tuple[CallSignal, ...] = (
    CallSignal("snapshot-public", "a snapshot was made public: every AWS account can restore it", _SHARE, _is_public),
    CallSignal("snapshot-shared", "a snapshot was shared with other accounts", _SHARE, _is_shared),
    CallSignal("snapshot-exported", "a snapshot or a cluster was exported to an S3 bucket", ("StartExportTask",)),
    CallSignal(
        "key-of-another-account",
        "a copy, an export or a database is encrypted with a KMS key of another account",
        (*_COPY, *_CREATE, *_MODIFY, *_RESTORE, "StartExportTask"),
        _has_foreign_key,
    ),
    CallSignal(
        "copied-to-another-account",
        "a backup was copied to another account's vault, or a database is replicated to another account's warehouse",
        ("StartCopyJob", "CreateIntegration"),
        _goes_to_another_account,
    ),
    CallSignal(
        "copied-elsewhere",
        "data was copied from or to another region or account: snapshot, replica, restore, backup or global database",
        (*_COPY, *_CREATE, *_RESTORE, "StartCopyJob"),
        _goes_elsewhere,
    ),
    CallSignal(
        "replicated-elsewhere",
        "a database or its backups are replicated continuously to another region or to a warehouse",
        ("CreateIntegration", "StartDBInstanceAutomatedBackupsReplication"),
    ),
    CallSignal(
        "replication-target",
        "an endpoint was made or changed to which AWS DMS writes the data of databases",
        _ENDPOINT,
        _has_a_target,
    ),
    CallSignal(
        "replication-target-outside",
        "AWS DMS can write data to a bucket, a public address, another provider's host or another account",
        _ENDPOINT,
        _has_a_target_outside,
    ),
    CallSignal(
        "replication-started",
        "AWS DMS copies data from one endpoint to another: a task, replication or migration was started, not resumed",
        _START,
        _starts_from_scratch,
    ),
    CallSignal(
        "database-restored",
        "a database was made of a snapshot, of a point in time, or as a clone: its copy has no activity stream yet",
        _RESTORE,
    ),
    CallSignal(
        "public-access",
        "a database was made, or made to be, publicly accessible",
        (*_CREATE, *_MODIFY, *_RESTORE),
        _is_publicly_accessible,
    ),
    CallSignal(
        "open-to-the-internet",
        "a security group lets the internet connect to the port of a database engine",
        ("AuthorizeDBSecurityGroupIngress", "AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"),
        _opens_to_the_internet,
    ),
    CallSignal("master-password", "the master user's password was set", _MODIFY, _has_other_password),
    CallSignal(
        "master-secret",
        "the master user's secret in Secrets Manager was switched on or off, or given another key",
        _MODIFY,
        _has_other_secret,
    ),
    CallSignal(
        "iam-authentication",
        "logging in with IAM was switched on or off",
        _MODIFY,
        lambda call: call.given("enableiamdatabaseauthentication") is not None,
    ),
    CallSignal(
        "role-added",
        "a database was given an IAM role, with which SQL reaches S3, Lambda and other services",
        ("AddRoleToDBCluster", "AddRoleToDBInstance"),
    ),
    CallSignal(
        "data-api",
        "the Data API was switched on: SQL over HTTPS, without a network path to the database",
        ("EnableHttpEndpoint", "ModifyDBCluster"),
        lambda call: call.name == "EnableHttpEndpoint" or _is(call.given("enablehttpendpoint"), True),
    ),
    CallSignal("network-changed", "a database has other security groups or subnets", _MODIFY, _has_other_network),
    CallSignal(
        "tls-optional", "connections without TLS are allowed", (*_PARAMETERS, "ModifyDBProxy"), _makes_tls_optional
    ),
    CallSignal(
        "deleted-without-snapshot",
        "a cluster or an instance with its own data was deleted without a final snapshot",
        _DELETE,
        _leaves_no_snapshot,
    ),
    CallSignal(
        "new-database-deleted",
        "the same of a database that was made less than a day before, such as a copy that was restored to try it",
        _DELETE,
        _deletes_a_new_one,
    ),
    CallSignal(
        "deleted-with-backups", "a database was deleted with its automated backups", _DELETE, _takes_backups_along
    ),
    CallSignal("deletion-prevented", "a deletion failed because of deletion protection", _DELETE, _was_protected),
    CallSignal(
        "backups-deleted",
        "retained automated backups, or recovery points of AWS Backup, were deleted",
        (
            "DeleteDBClusterAutomatedBackup",
            "DeleteDBInstanceAutomatedBackup",
            "DeleteRecoveryPoint",
            "DisassociateRecoveryPoint",
        ),
    ),
    CallSignal("snapshot-deleted", "a snapshot was deleted", ("DeleteDBClusterSnapshot", "DeleteDBSnapshot")),
    CallSignal("backups-off", "automated backups were switched off", _MODIFY, _has_no_backups),
    CallSignal(
        "retention-lowered",
        f"backups are kept for a shorter time than before or, where that is not known, for fewer than {_FEW_DAYS} days",
        _MODIFY,
        _has_shorter_retention,
    ),
    CallSignal(
        "backup-replication-stopped",
        "backups are no longer replicated to another region",
        ("StopDBInstanceAutomatedBackupsReplication",),
    ),
    CallSignal(
        "deletion-protection-off",
        "deletion protection was switched off",
        (*_MODIFY, "ModifyGlobalCluster"),
        lambda call: _is(call.given("deletionprotection"), False),
    ),
    CallSignal("audit-parameter-off", "a parameter group switches audit or logs off", _PARAMETERS, _switches_audit_off),
    CallSignal(
        "audit-parameters-reset",
        "a parameter group was reset, with its parameters of audit and logs",
        ("ResetDBClusterParameterGroup", "ResetDBParameterGroup"),
        _resets_audit,
    ),
    CallSignal(
        "audit-option-removed", "an option group lost its audit option", ("ModifyOptionGroup",), _removes_audit_option
    ),
    CallSignal(
        "log-export-off",
        "logs are no longer published to CloudWatch Logs",
        _MODIFY,
        lambda call: bool(_listed(call.given("cloudwatchlogsexportconfiguration", "disablelogtypes"))),
    ),
    CallSignal(
        "parameter-group-changed",
        "a database has another parameter group or option group",
        _MODIFY,
        lambda call: any(
            call.given(name) for name in ("dbclusterparametergroupname", "dbparametergroupname", "optiongroupname")
        ),
    ),
    CallSignal(
        "trail-narrowed",
        "a trail records no management events, or only reads: calls that change something are no longer delivered",
        ("PutEventSelectors",),
        _drops_calls,
    ),
)
