"""Where each engine's SQL holds a secret: names, phrases, and the arguments of procedures and functions.

Tables alone; `daswatch/sql/passwords.py` reads texts by them. Sources: the engines' and Amazon RDS' documentation of
each statement that takes a password, a passphrase or a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Without one of these a text holds nothing to look for; most texts have none.
_HINTS = ("passw", "pwd", "identified", "secret", "credential", "passphrase", "://", "_pw", "_pass")
HINTS = {
    "postgresql": (
        *(*_HINTS, "mapping", "crypt", "hmac", "table_import_from_s3", "import_from_server", "program"),
        *("authorization", "http_header", "private_key", "api_key", "dbserver", "jdbc:"),
    ),
    "mysql": (
        *(*_HINTS, "authentication_str", "set_external", "binlog_ssl", "mysql", "crypt", "challenge_resp", "encode("),
        *("decode(", "asymmetric_", "keyring_key", "private_key", "api_key"),
    ),
    "oracle": (
        *(*_HINTS, "wallet", "authenticat", "bind_s", "open_ssl", "utl_smtp", "utl_tcp", "user$", "link$", "migrate"),
        *("pluggable", "crypt", "apex_", "sqlplus", "db_connect_info", "request_context"),
        *("authorization", "private_key", "api_key", "api-key", "xs_principal", "utl_http", "jdbc:", "encryption key"),
    ),
    "sqlserver": (
        *(*_HINTS, "approle", "srvlogin", "addlogin", "users_login", "proxy_account", "distributor", "crypt", "bycert"),
        *("byasymkey", "key_source", "openrowset", "net user", "net use", "sqlcmd", "bcp ", "subscriber", "cmdshell"),
        *("subscription", "distpublisher", "reader_agent", "snapshot", "link_publication", "sysmail_", "jobstep"),
        *("environment_var", "distributiondb", "log_shipping", "private_key", "api_key"),
    ),
}

# The ends of names whose value is a secret.
SECRET_NAMES = (
    *("password", "passwd", "passwrd", "pwd", "passphrase", "secret", "secret_key", "secret_access_key"),
    *("session_token", "authentication_string", "rolpassword", "key_source", "identity_value"),
    *("_pass", "_pw", "userpass", "hashicorp_secret_id", "api_key", "private_key"),
)
# What else the name of a parameter, a header or a member ends with whose value is a secret.
NAMES_OF_SECRETS = (
    *(*SECRET_NAMES, "authorization", "api-key", "apikey", "access_key", "auth-token"),
    *("vault-token", "secret_id", "registration_pass"),
)
# Columns of the engines' own tables: a value in one is a secret in an ordinary UPDATE too.
CATALOG_COLUMNS = frozenset({"authentication_string", "rolpassword"})

# The engines' own tables of credentials: a word of their names, and where it is one.
CREDENTIAL_TABLES: dict[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "postgresql": (
        ("pg_authid", "pg_shadow", "pg_user_mapping"),
        re.compile(r"\bpg_(?:authid|shadow|user_mapping)\b"),
    ),
    "mysql": (
        ("mysql",),
        re.compile(
            r"\bmysql`?\s*+\.\s*+`?"
            r"(?:user|servers|global_priv|slave_master_info|slave_relay_log_info|password_history)\b"
        ),
    ),
    "oracle": (("user$", "link$"), re.compile(r"\b(?:user|link)\$")),
    "sqlserver": (("sys",), re.compile(r"\bsys\.?(?:xlogins|logins|sql_logins|lnklgns)\b")),
}

# Privileges and states in those tables: an UPDATE of nothing else keeps its text.
_HARMLESS_COLUMN = (
    r"[`\"]?(?:\w+_priv|rol(?!password)\w+|max_\w+|host|user|plugin|account_locked|password_(?:expired|lifetime))[`\"]?"
)
HARMLESS_UPDATE = re.compile(rf"\bset\s++(?:{_HARMLESS_COLUMN}\s*+=\s*+[^\s,;]++\s*+(?:,\s*+)?+)++(?:where\b|;|\Z)")

# Words behind which a secret stands, where no name announces it; in Oracle's key management a secret needs no quotes.
PHRASES: dict[str, tuple[str, ...]] = {
    "postgresql": (),
    "mysql": (r"random\s++(?:password\s++)?replace", r"challenge_response\s++as"),
    "oracle": (
        *(r"migrate\s++using", r"(?:set|create)\s++(?:encryption\s++)?+key(?=\s*+')"),
        r"encrypt\s++using",
        r"decrypt\s++using",
        r"with\s++secret",
    ),
    "sqlserver": (),
}


@dataclass(frozen=True, slots=True)
class Call:
    """Which arguments of a procedure or function are secret, by position, from 1, and by name.

    `of_data` is a function over data, such as an encryption: it is called in ordinary statements, with columns.
    Where a call sets what an argument names, `names_value`, all arguments behind the name of a secret are secret, and
    the one that is named as its value, wherever it stands; of `pairs` the next one.
    A name that others may use for their own procedures counts behind a package that begins with `package`.
    """

    positions: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    of_data: bool = False
    names_value: bool = False
    pairs: bool = False
    package: str = ""


def _call(*positions: int, names: tuple[str, ...] = (), package: str = "") -> Call:
    return Call(frozenset(positions), frozenset(names), package=package)


def _from(position: int) -> Call:
    """A rarely used procedure with several secrets behind a position."""
    return Call(frozenset(range(position, MAX_ARGUMENTS + 1)))


def _data(*positions: int, names: tuple[str, ...] = (), package: str = "") -> Call:
    return Call(frozenset(positions), frozenset(names), of_data=True, package=package)


MAX_ARGUMENTS = 24
EVERY_ARGUMENT = Call(frozenset(range(1, MAX_ARGUMENTS + 1)))
_NAMES_VALUE = Call(names_value=True)
_PAIRS = Call(of_data=True, names_value=True, pairs=True)

CALLS: dict[str, dict[str, Call]] = {
    "postgresql": {
        "create_aws_credentials": _call(2, 3),
        "table_import_from_s3": _call(8, 9),
        "import_from_server": _call(4, 6),
        "set_config": _NAMES_VALUE,
        "http_header": _NAMES_VALUE,
        **dict.fromkeys(("json_object", "json_build_object", "jsonb_build_object", "hstore"), _PAIRS),
        "crypt": _data(1),
        **dict.fromkeys(("hmac", "encrypt", "decrypt", "encrypt_iv", "decrypt_iv"), _data(2)),
        **dict.fromkeys(("pgp_sym_encrypt", "pgp_sym_encrypt_bytea"), _data(2)),
        **dict.fromkeys(("pgp_sym_decrypt", "pgp_sym_decrypt_bytea"), _data(2)),
        **dict.fromkeys(("pgp_pub_decrypt", "pgp_pub_decrypt_bytea"), _data(2, 3)),
    },
    "mysql": {
        **dict.fromkeys(("password", "old_password", "validate_password_strength"), _call(1)),
        **dict.fromkeys(("json_object", "json_set", "json_insert", "json_replace"), _PAIRS),
        "encrypt": _data(1),
        **dict.fromkeys(("aes_encrypt", "aes_decrypt", "des_encrypt", "des_decrypt", "encode", "decode"), _data(2)),
        **dict.fromkeys(("asymmetric_encrypt", "asymmetric_decrypt", "asymmetric_sign"), _data(3)),
        "create_asymmetric_pub_key": _data(2),
        "keyring_key_store": _call(3),
        "rds_import_binlog_ssl_material": _call(1),
        **dict.fromkeys(
            (
                *("rds_set_external_master", "rds_set_external_master_with_auto_position"),
                *("rds_set_external_master_with_delay", "rds_set_external_master_gtid"),
                *("rds_set_external_source", "rds_set_external_source_with_auto_position"),
                *("rds_set_external_source_with_auto_position_for_channel", "rds_set_external_source_gtid"),
                *("rds_set_external_source_with_delay", "rds_set_external_source_with_delay_for_channel"),
                "rds_set_external_source_for_channel",
            ),
            _call(4),
        ),
    },
    "oracle": {
        "set_wallet": _call(2),
        "create_request_context": _call(2, package="utl_http"),
        "request": _call(4, package="utl_http"),
        "request_pieces": _call(5, package="utl_http"),
        "set_header": Call(names_value=True, package="utl_http"),
        "secure_connection": _call(2, package="utl_tcp"),
        **dict.fromkeys(("command", "command_replies"), _call(2, 3, package="utl_smtp")),
        "set_password": _call(2, 4, package="xs_principal"),
        "set_verifier": _call(2, package="xs_principal"),
        "set_agent_registration_pass": _call(1),
        "json_object": _PAIRS,
        "set_authentication": _call(3),
        "set_credential": _call(3),
        "auth": _call(3),
        **dict.fromkeys(("simple_bind_s", "bind_s", "open_ssl"), _call(3)),
        "authenticate_user": _call(4, package="dbms_ldap_utl"),
        **dict.fromkeys(("create_credential", "update_credential"), _call(3)),
        "open_connection": _call(5, 6, 11),  # of UTL_SMTP and UTL_TCP, behind the wallet's path
        **dict.fromkeys(("encrypt", "decrypt", "mac"), _data(3, names=("key",), package="dbms_crypto")),
        **{
            f"{name}{kind}crypt": _data(2, names=("key", "key_string"), package="dbms_obfuscation_toolkit")
            for name in ("des", "des3")
            for kind in ("en", "de")
        },
        "create_user": Call(frozenset(range(2, 9)), package="apex_"),
        "change_current_user_pw": _call(1, package="apex_"),
        "reset_password": _call(2, 3, package="apex_"),
        "reset_pw": _call(2, package="apex_"),
        "is_login_password_valid": _call(2, package="apex_"),
        "login": _call(2, package="apex_"),
        "make_rest_request": _call(4, 13, package="apex_"),
        "oauth_authenticate": _call(3, package="apex_"),
        **dict.fromkeys(("set_persistent_credentials", "set_session_credentials"), _call(3)),
        **dict.fromkeys(("set_persistent_token", "set_session_token"), _call(2)),
        "db_connect_info": _call(2),
        **dict.fromkeys(("set_parameter", "set_attribute", "set_property", "set_remap_param"), _NAMES_VALUE),
    },
    "sqlserver": {
        "sp_addlogin": _call(2),
        "sp_password": _call(1, 2, names=("@old", "@new")),
        "sp_addlinkedsrvlogin": _call(5),
        "sp_setapprole": _call(2),
        "sp_addapprole": _call(2),
        "sp_approlepassword": _call(2, names=("@newpwd",)),
        "sp_change_users_login": _call(4),
        "sp_xp_cmdshell_proxy_account": _call(2),
        "sp_control_dbmasterkey_password": _call(2),
        # Replication: distributors, publishers, subscribers, and the jobs of their agents.
        "sp_adddistributor": _call(3),
        "sp_adddistributiondb": _call(13),
        "sp_attachsubscription": _from(5),
        "sp_changesubscriptiondtsinfo": _call(3),
        "sp_add_log_shipping_primary_database": _from(9),
        "sp_change_log_shipping_primary_database": _from(7),
        "sp_add_log_shipping_secondary_primary": _from(11),
        "sp_change_log_shipping_secondary_primary": _from(8),
        "sp_changedistributor_password": _call(1),
        "sp_adddistpublisher": _call(5),
        "sp_changereplicationserverpasswords": _from(3),
        **dict.fromkeys(("sp_addsubscriber", "sp_changesubscriber"), _call(4)),
        "sp_link_publication": _call(6),
        **dict.fromkeys(("sp_addlogreader_agent", "sp_changelogreader_agent"), _call(2, 5)),
        **dict.fromkeys(("sp_addqreader_agent", "sp_changeqreader_agent"), _call(2)),
        **dict.fromkeys(("sp_addpublication_snapshot", "sp_changepublication_snapshot"), _from(14)),
        "sp_addpushsubscription_agent": _from(6),
        "sp_addmergepushsubscription_agent": _from(6),
        "sp_addpullsubscription_agent": _from(8),
        "sp_addmergepullsubscription_agent": _from(8),
        **dict.fromkeys(
            (
                *("sp_changedistpublisher", "sp_changesubscription", "sp_change_subscription_properties"),
                *("sp_changemergesubscription", "sp_changemergepullsubscription", "sp_changepublication"),
                *("sp_changemergepublication", "sp_serveroption", "sp_oasetproperty", "xp_regwrite"),
                *("xp_instance_regwrite", "set_object_parameter_value", "set_execution_parameter_value"),
                *("sp_set_session_context", "sp_change_log_shipping_secondary_database"),
            ),
            _NAMES_VALUE,
        ),
        # Mail, and the variables of Integration Services' environments, which may be sensitive.
        "sysmail_add_account_sp": _call(10),
        "sysmail_update_account_sp": _call(11),
        "create_environment_variable": _call(6, names=("@value",)),
        "set_environment_variable_value": _call(4, names=("@value",)),
        **dict.fromkeys(("encryptbypassphrase", "decryptbypassphrase", "pwdencrypt", "pwdcompare"), _data(1)),
        **dict.fromkeys(("decryptbycert", "decryptbyasymkey", "signbycert", "signbyasymkey"), _data(3)),
        **dict.fromkeys(("decryptbykeyautocert", "decryptbykeyautoasymkey"), _data(2)),
    },
}

# What a program's command line has in front of a password, after the program's own name; NET has none (`NET_TOKEN`).
_BIG_P, _SMALL_P = r"\s[-/]P\s*+", r"\s-p\s*+"
_BEHIND_USER = r"\s(?:-u|--user)[ =]?\s*+[^\s:'\"]{1,100}+:"
_BEHIND_SLASH = r"\A\s++(?:[^\s/]++\s++)??[\w$#]{1,130}+/"
COMMAND_LINES: dict[str, str] = {
    **dict.fromkeys(("sqlcmd", "osql", "isql", "bcp"), _BIG_P),
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin"), r"\s-p(?=[^\s-])"),
    **dict.fromkeys(("curl", "wget"), _BEHIND_USER),
    **dict.fromkeys(("sqlplus", "sqlldr", "expdp", "impdp", "rman"), _BEHIND_SLASH),
    **dict.fromkeys(("sshpass", "psexec"), _SMALL_P),
    **dict.fromkeys(("plink", "pscp", "psftp", "putty"), r"\s-pw\s++"),
    "schtasks": r"\s/(?i:r?p)\s++",
    "cmdkey": r"\s/(?i:pass):",
    "wmic": r"\s/(?i:password):",
    "smbclient": r"\s(?:-U|--user)[ =]?\s*+[^\s%'\"]{1,100}+%",
    **dict.fromkeys(("dtexec", "dtutil"), r"\s[-/](?i:de(?:crypt)?|sourcep(?:assword)?|destp(?:assword)?)\s++"),
    "powershell": r"(?i:convertto-securestring)\s++(?:-(?i:string)\s++)?+",
    "net": "",
}
SLASHED = frozenset(program for program, head in COMMAND_LINES.items() if head == _BEHIND_SLASH)
# In front of a password in an Oracle connection: `//user/secret@host`, `jdbc:oracle:thin:user/secret@host`.
EASY_CONNECT = r"(?:(?:\A|[\"\s])(?://)?|\bjdbc:oracle:\w{1,10}:)[\w$#.-]{1,130}/"
