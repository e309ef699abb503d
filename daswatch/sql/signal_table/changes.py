"""What statements change: accounts, privileges, objects, recovery, code that stays, auditing.

A routine does what its body says when it is called: its creation shows `persistent-code` and `foreign-library` alone.
No statement calls a trigger, an event or a job, so what their bodies do counts as done. Dropping, locking or disabling
an account takes access away (`privilege-revoke`). Whether a table matters is for the rules: work tables count too, but
for those that exist in one session only.
"""

from __future__ import annotations

from daswatch.sql.signal_table.model import ALL, Pattern, Signal, words

_PG, _MYSQL, _ORACLE, _SQLSERVER = ("postgresql",), ("mysql",), ("oracle",), ("sqlserver",)
_IF = r"(?:if (?:not )?exists )?+"
_DEFINER = r"(?:definer=[\w$?.]{1,80}(?: ?@ ?[\w$?.]{1,80})?(?:\(\))? ?)?"
_NAME = r"[\w$#@.]++"
_ACCOUNT = r"(?:\?(?:@\?)?|[\w$#.]++(?:@[\w$?]{1,80})?)"
_END = r"(?=[;)]|$)"


def _up_to(*stops: str) -> str:
    """The rest of a statement as far as one of these words, or as far as it is looked into."""
    return rf"(?:[^\w;]|(?!(?:{'|'.join(stops)})\b)\w++){{0,400}}+"


def _within(words: str, text: str = "") -> str:
    """A raw text that has one of these values in quotes of its own."""
    return rf"['\"`]{text}(?:{words})['\"`]"


# Names of triggers, tables and events that keep a record of what others do; pt-online-schema-change and DMS name their
# own after the table that they copy.
_RECORDER = (
    r"(?:[\w$#@]++\.){0,3}(?!pt_osc_|awsdms_)(?:[a-z0-9$#]{1,30}_){0,6}?[a-z0-9$#]{0,30}?"
    r"(?:audit|journal|histor|track|trail|ledger|tamper|forensic|monitor|secur|aud(?=_|\b)|logs?(?=_|\b)|logg(?:er"
    r"|ing|ed)|hist(?=_|\b))"
)

# --- accounts ---------------------------------------------------------------------------------------------------------

_PG_ACCOUNT = rf"(?:role|user|group) (?!mapping\b){_IF}{_NAME}(?: with)?"
_MYSQL_INSERTS = r"\b(?:insert|replace)(?: (?:low_priority|delayed|high_priority|ignore)){0,2}(?: into)? "

_ACCOUNT_CREATION = Signal(
    "account-creation",
    "A user or login is created, or an existing role or login is allowed to log in.",
    (
        Pattern(
            _PG,
            ("user",),
            rf"\bcreate user (?!mapping\b|on\b|to\b){_NAME}(?!{_up_to('create', 'nologin')}nologin\b)",
        ),
        Pattern(
            _PG,
            ("login",),
            rf"\b(?:create|alter) {_PG_ACCOUNT} {_up_to('create', 'alter', 'login', 'set', 'in', 'rename')}login\b",
        ),
        Pattern(_PG, ("pg_authid",), r"\b(?:insert into|update) (?:pg_catalog\.)?pg_authid\b"),
        Pattern(
            ("mysql", "sqlserver"),
            ("user",),
            rf"(?<!show )\bcreate user (?!on\b|to\b|for\b){_IF}{_ACCOUNT}(?!{_up_to('create', 'without')}without"
            rf" login\b)",
        ),
        # An Aurora MySQL role is a locked account.
        Pattern(_MYSQL, ("unlock",), rf"\balter user {_up_to('alter', 'account')}account unlock\b"),
        Pattern(
            ("mysql", "oracle"),
            ("identified",),
            rf"\bgrant {_up_to('grant', 'to')}to {_up_to('grant', 'identified')}identified (?:by|with)\b",
        ),
        Pattern(
            _MYSQL,
            words("user user_ global_priv"),
            rf"{_MYSQL_INSERTS}(?:mysql\.(?:user|global_priv)\b|user_?\((?:host,user|user,host)_?\b)"
            r"|\binto table mysql\.(?:user|global_priv)\b",
        ),
        Pattern(_ORACLE, ("user",), rf"\bcreate user (?!to\b){_IF}{_NAME} (?!no authentication\b)"),
        Pattern(_ORACLE, ("user$",), r"\b(?:insert into|update) (?:sys\.)?user\$"),
        Pattern(_SQLSERVER, ("login",), rf"\bcreate login {_NAME} |\balter login {_NAME} enable\b"),
        Pattern(
            _SQLSERVER,
            words("sp_addlogin sp_grantlogin sp_adduser sp_grantdbaccess sp_addremotelogin"),
            r"\b(?:sp_addlogin|sp_grantlogin|sp_adduser|sp_grantdbaccess|sp_addremotelogin)\b",
        ),
        Pattern(_SQLSERVER, ("sp_change_users_login",), r"\bsp_change_users_login\b", r"\bauto_fix\b"),
        Pattern(_SQLSERVER, ("connect",), rf"\bgrant connect sql {_up_to('grant', 'to')}to\b"),
    ),
    samples={
        "postgresql": (
            "CREATE USER rds_monitoring WITH PASSWORD 'x' IN ROLE rds_superuser VALID UNTIL 'infinity'",
            "CREATE ROLE \"v-k8s-web-1\" WITH LOGIN PASSWORD 'x'",
            "ALTER ROLE app_support LOGIN PASSWORD 'x'",
            "BEGIN; CREATE/* nologin */USER x; COMMIT",
            "INSERT INTO pg_authid (rolname, rolcanlogin) VALUES ('x', true)",
        ),
        "mysql": (
            "CREATE USER IF NOT EXISTS 'mysql.sys2'@'%' IDENTIFIED WITH mysql_native_password AS '*6BB4837EB'",
            "CREATE DEFINER=`admin`@`%` EVENT store.ev_tidy ON SCHEDULE EVERY 1 HOUR"
            " DO CREATE USER IF NOT EXISTS 'bk'@'%' IDENTIFIED BY 'x'",
            "/*!50003 CREATE*/ USER bk",
            "GRANT SELECT ON store.* TO 'bk'@'%' IDENTIFIED BY 'x'",
            "ALTER USER app_role ACCOUNT UNLOCK",
            "INSERT INTO mysql.user (Host, User, ssl_cipher) VALUES ('%', 'bk', '')",
            "REPLACE INTO `user` (`Host`, `User`) VALUES ('%', 'bk')",
        ),
        "oracle": (
            "CREATE USER ANNA_W IDENTIFIED BY x PASSWORD EXPIRE",
            "create user \"SVC X\" identified externally as 'CN=x'",
            "GRANT CREATE SESSION TO SVC_X IDENTIFIED BY x",
        ),
        "sqlserver": (
            "CREATE LOGIN [MS_PolicyTsqlLogin2] WITH PASSWORD = 'x', CHECK_POLICY = OFF",
            "CREATE LOGIN [CORP\\ops] FROM WINDOWS",
            "CREATE USER hd FOR LOGIN hd",
            "EXEC master.dbo.sp_addlogin 'hd', 'x'",
            "ALTER LOGIN [sa] ENABLE",
            "exec sp_change_users_login 'Auto_Fix', 'hd', NULL, 'x'",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE ROLE app_rw",
            "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'x')",
            "CREATE USER reporting NOLOGIN",
            "ALTER ROLE ben_k NOLOGIN",
            "ALTER ROLE webapp SET search_path TO login",
            "INSERT INTO notes (t) VALUES ('CREATE USER x')",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE USER x; END $$",
        ),
        "mysql": (
            "GRANT CREATE USER ON *.* TO ops",
            "SHOW CREATE USER ops",
            "CREATE ROLE app_rw",
            "INSERT INTO user (id, name) VALUES (1, 'x')",
            "ALTER USER ops ACCOUNT LOCK",
            "CREATE PROCEDURE p() CREATE USER x",
        ),
        "oracle": (
            "GRANT CREATE USER TO OPS",
            "CREATE USER APP_DATA NO AUTHENTICATION",
            "CREATE AUDIT POLICY p ACTIONS CREATE USER, ALTER USER",
        ),
        "sqlserver": (
            "CREATE USER jobs WITHOUT LOGIN",
            "ALTER LOGIN ben DISABLE",
            "exec sp_change_users_login 'Report'",
            "GRANT ALTER ANY LOGIN TO ops",
        ),
    },
    in_bodies=False,
)

_ACCOUNT_CHANGE = Signal(
    "account-change",
    "The password, name, lock, expiry or sign-in method of an account, or a password policy, is changed.",
    (
        Pattern(
            _PG,
            words("password until login nologin rename limit"),
            rf"\balter {_PG_ACCOUNT} "
            rf"{_up_to('alter', 'password', 'valid', 'login', 'nologin', 'rename', 'connection', 'set')}"
            r"(?:password|valid until|login|nologin|rename to|connection limit)\b",
        ),
        Pattern(
            _PG,
            words("rds_iam rds_password rds_ad"),
            rf"\b(?:grant|revoke) {_up_to('grant', 'revoke', 'to', 'from', 'rds_iam', 'rds_ad', 'rds_password')}"
            r"(?:rds_iam|rds_ad|rds_password)\b",
        ),
        Pattern(_PG, ("pg_authid",), r"\bupdate (?:pg_catalog\.)?pg_authid\b"),
        Pattern(_MYSQL, ("user",), r"\balter user (?!on\b|to\b)[\w?`]|\brename user [\w?]"),
        Pattern(_MYSQL, ("password",), r"(?:^|;|\b(?:do|begin|then) )set password(?: for\b|=| to\b)"),
        Pattern(
            _MYSQL,
            words("user user_ global_priv"),
            r"\bupdate (?:(?:low_priority|ignore) ){0,2}(?:mysql\.(?:user|global_priv)\b"
            r"|user_? set [^;]{0,300}?\b(?:authentication_string|account_locked|password_expired|plugin)=)",
        ),
        Pattern(
            _ORACLE,
            ("user",),
            rf"\balter user (?!to\b){_NAME} (?!grant\b|revoke\b|quota\b|default\b|temporary\b|to\b)",
        ),
        Pattern(_ORACLE, ("profile",), rf"\balter profile {_NAME} limit\b"),
        Pattern(_ORACLE, ("rdsadmin_password_verify",), r"\brdsadmin_password_verify\b"),
        Pattern(_ORACLE, ("user$",), r"\bupdate (?:sys\.)?user\$"),
        Pattern(
            _SQLSERVER,
            words("login user"),
            rf"\balter (?:login|user) {_NAME} (?:with|enable|disable|add credential|drop credential)\b",
        ),
        Pattern(
            _SQLSERVER,
            words("sp_password sp_denylogin sp_approlepassword"),
            r"\b(?:sp_password|sp_denylogin|sp_approlepassword)\b",
        ),
        Pattern(_SQLSERVER, ("sp_change_users_login",), r"\bsp_change_users_login\b", r"\b(?:auto_fix|update_one)\b"),
    ),
    samples={
        "postgresql": (
            "ALTER USER app PASSWORD 'x'",
            "ALTER ROLE \"ops\" VALID UNTIL '2000-01-01'",
            "ALTER ROLE webapp NOLOGIN",
            "ALTER ROLE svc_x RENAME TO rdsmon",
            "GRANT rds_iam TO ops",
        ),
        "mysql": (
            "ALTER USER 'ops'@'%' IDENTIFIED BY 'x' RETAIN CURRENT PASSWORD",
            "SET PASSWORD FOR 'ops'@'%' = 'x'",
            "ALTER USER ops ACCOUNT LOCK",
            "RENAME USER 'svc_x'@'%' TO 'mysql.sys2'@'%'",
            "UPDATE mysql.user SET authentication_string = '' WHERE User = 'ops'",
        ),
        "oracle": (
            "ALTER USER BEN_K ACCOUNT LOCK",
            "alter user system identified by x",
            "ALTER PROFILE DEFAULT LIMIT PASSWORD_LIFE_TIME UNLIMITED",
        ),
        "sqlserver": (
            "ALTER LOGIN [sa] WITH PASSWORD = 'x'; ALTER LOGIN [sa] ENABLE",
            "EXEC sp_password 'a', 'b', 'ops'",
            "ALTER LOGIN ben DISABLE",
            "ALTER USER ben WITH LOGIN = svc_x",
        ),
    },
    near_misses={
        "postgresql": (
            "ALTER ROLE webapp SET work_mem TO '1GB'",
            "CREATE ROLE app_rw",
            "ALTER TABLE users ADD password text",
        ),
        "mysql": (
            "SET @password = 'x'",
            "UPDATE users SET password = MD5('x')",
            "UPDATE user SET name = 'x' WHERE id = 1",
            "GRANT SELECT ON store.* TO ops",
        ),
        "oracle": (
            "ALTER USER STORE QUOTA UNLIMITED ON USERS",
            "GRANT ALTER USER TO OPS",
            "UPDATE USERS SET PASSWORD = 'x' WHERE ID = 1",
        ),
        "sqlserver": ("CREATE LOGIN hd WITH PASSWORD = 'x'", "exec sp_change_users_login 'Report'"),
    },
    in_bodies=False,
)

_ACCOUNT_OPENED = Signal(
    "account-opened",
    "An account that exists is unlocked, enabled or allowed to log in.",
    (
        Pattern(
            _PG,
            ("login",),
            rf"\balter {_PG_ACCOUNT} {_up_to('alter', 'login', 'set', 'in', 'rename')}login\b",
        ),
        Pattern(_MYSQL, ("unlock",), rf"\balter user {_up_to('alter', 'account')}account unlock\b"),
        Pattern(_ORACLE, ("unlock",), rf"\balter user {_NAME} [^;]{{0,200}}?\baccount unlock\b"),
        Pattern(_SQLSERVER, ("login",), rf"\balter login {_NAME} enable\b"),
    ),
    samples={
        "postgresql": ("ALTER ROLE app_support LOGIN", "ALTER USER ops WITH LOGIN PASSWORD 'x'"),
        "mysql": ("ALTER USER 'bulkmail'@'%' ACCOUNT UNLOCK", "ALTER USER ops IDENTIFIED BY 'x' ACCOUNT UNLOCK"),
        "oracle": ("ALTER USER DHUBER ACCOUNT UNLOCK", "alter user ops identified by x account unlock"),
        "sqlserver": ("ALTER LOGIN [mailer] ENABLE", "ALTER LOGIN sa ENABLE"),
    },
    near_misses={
        "postgresql": ("ALTER ROLE ops NOLOGIN", "CREATE ROLE ops LOGIN"),
        "mysql": ("ALTER USER ops ACCOUNT LOCK",),
        "oracle": ("ALTER USER OPS ACCOUNT LOCK", "SELECT ACCOUNT_STATUS FROM DBA_USERS"),
        "sqlserver": ("ALTER LOGIN ben DISABLE", "ALTER INDEX i ON t REBUILD"),
    },
    in_bodies=False,
)

_PASSWORD_CHANGE = Signal(
    "password-change",
    "The password or the sign-in method of an account is set.",
    (
        Pattern(
            _PG,
            ("password",),
            rf"\balter {_PG_ACCOUNT} {_up_to('alter', 'password', 'set', 'rename')}password (?!null\b)",
        ),
        Pattern(_PG, words("rds_iam rds_password rds_ad"), r"\b(?:grant|revoke) (?:rds_iam|rds_ad|rds_password)\b"),
        Pattern(_MYSQL, ("identified",), rf"\balter user {_up_to('alter', 'identified')}identified (?:by|with)\b"),
        Pattern(_MYSQL, ("password",), r"(?:^|;|\b(?:do|begin|then) )set password(?: for\b|=| to\b)"),
        Pattern(
            _ORACLE, ("identified",), rf"\balter user {_NAME} [^;]{{0,200}}?\bidentified (?:by|externally|globally)\b"
        ),
        Pattern(_SQLSERVER, ("password",), rf"\balter login {_NAME} with password\b"),
        Pattern(_SQLSERVER, words("sp_password sp_approlepassword"), r"\b(?:sp_password|sp_approlepassword)\b"),
    ),
    samples={
        "postgresql": ("ALTER USER \"g.leal\" WITH PASSWORD 'x'", "GRANT rds_iam TO ops"),
        "mysql": ("ALTER USER ops IDENTIFIED BY 'x'", "SET PASSWORD FOR ops = 'x'"),
        "oracle": ("ALTER USER OPS IDENTIFIED BY x", "alter user ops identified externally account unlock"),
        "sqlserver": ("ALTER LOGIN ops WITH PASSWORD = 'x'", "EXEC sp_password 'a', 'b', 'ops'"),
    },
    near_misses={
        "postgresql": ("ALTER ROLE ops NOLOGIN PASSWORD NULL", "ALTER ROLE ops VALID UNTIL '2031-01-01'"),
        "mysql": ("ALTER USER ops PASSWORD EXPIRE", "ALTER USER ops ACCOUNT LOCK"),
        "oracle": ("ALTER USER OPS PASSWORD EXPIRE", "ALTER USER OPS ACCOUNT UNLOCK"),
        "sqlserver": ("ALTER LOGIN ops ENABLE", "CREATE LOGIN ops WITH PASSWORD = 'x'"),
    },
    in_bodies=False,
)

_RESOURCE_LIMIT = Signal(
    "resource-limit",
    "Timeouts, memory or the number of connections of an account are set.",
    (
        Pattern(
            _PG,
            words("role user"),
            rf"\balter {_PG_ACCOUNT}(?: in database {_NAME})? (?:set \w{{0,60}}(?:_timeout|work_mem|_file_limit)\b"
            r"|connection limit\b)",
        ),
        Pattern(
            _MYSQL,
            words("max_queries_per_hour max_updates_per_hour max_connections_per_hour max_user_connections"),
            r"\balter user [^;]{1,200}? ?with max_\w{1,40} ",
        ),
    ),
    samples={
        "postgresql": (
            "ALTER ROLE label_printer SET idle_in_transaction_session_timeout = '30s'",
            "ALTER ROLE app CONNECTION LIMIT 20",
        ),
        "mysql": (
            "ALTER USER 'x'@'%' WITH MAX_USER_CONNECTIONS 20",
            "ALTER USER x WITH MAX_QUERIES_PER_HOUR 100 MAX_USER_CONNECTIONS 4",
        ),
    },
    near_misses={
        "postgresql": ("ALTER ROLE app SET search_path = x", "ALTER ROLE app SET log_statement = 'none'"),
        "mysql": ("ALTER USER x ACCOUNT LOCK",),
    },
    in_bodies=False,
)

# --- privileges -------------------------------------------------------------------------------------------------------

_PG_ATTRIBUTES = "createrole|superuser|bypassrls|replication"
_PG_ROLES = (
    "rds_superuser|rds_replication|rdsadmin|pg_execute_server_program|pg_read_server_files|pg_write_server_files"
    "|pg_write_all_data"
)
_PG_FILES = "pg_read_file|pg_read_binary_file|pg_ls_dir|pg_write_file|lo_import|lo_export"
_MYSQL_GRANT_TABLES = (
    "db|tables_priv|columns_priv|procs_priv|proxies_priv|role_edges|default_roles|global_grants|global_priv"
    "|roles_mapping"
)
_MYSQL_GRANT_TABLE_WORDS = (*_MYSQL_GRANT_TABLES.split("|"), "user", "user_")
_MYSQL_WRITES_GRANTS = (
    rf"(?:{_MYSQL_INSERTS}|\binto table |\bdelete from )mysql\.(?:user|{_MYSQL_GRANT_TABLES})\b"
    rf"|\bupdate (?:(?:low_priority|ignore) ){{0,2}}(?:mysql\.(?:{_MYSQL_GRANT_TABLES})\b"
    r"|(?:mysql\.)?user_? set [^;]{0,300}?\b\w{1,30}_priv=)"
)
_ORACLE_GRANTING = words(
    "grant_sys_object grant_apex_admin_role grant_admin_any_schema grant_permission grant_policy_permission create_acl"
    " add_privilege append_host_ace append_wallet_ace grant_admin_privilege grant_remote_admin_access"
    " grant_system_privilege grant_queue_privilege grant_switch_consumer_group grant_roles set_user_privs"
)
_SQLSERVER_GRANTING = words(
    "sp_addrolemember sp_addsrvrolemember sp_changegroup sp_grant_login_to_proxy sp_grant_proxy_to_subsystem"
    " sp_grant_publication_access"
)

_PRIVILEGE_GRANT = Signal(
    "privilege-grant",
    "A privilege, role membership or attribute is given: by GRANT, a procedure or a write to the engine's own tables.",
    (
        Pattern(ALL, ("grant",), rf"\bgrant (?!option\b){_up_to('grant', 'to')}to\b"),
        Pattern(_PG, ("group",), rf"\balter group {_NAME} add user\b"),
        Pattern(
            _PG,
            words("role user admin group"),
            rf"\bcreate {_PG_ACCOUNT} {_up_to('create', 'in', 'role', 'admin', 'user')}"
            r"(?:in (?:role|group)|role|admin|user) ",
        ),
        Pattern(
            _PG,
            (*_PG_ATTRIBUTES.split("|"), "createdb"),
            rf"\b(?:create|alter) {_PG_ACCOUNT} {_up_to('create', 'alter', 'set', _PG_ATTRIBUTES, 'createdb')}"
            rf"(?:{_PG_ATTRIBUTES}|createdb)\b",
        ),
        Pattern(
            _PG,
            words("pg_auth_members pg_authid"),
            r"\b(?:insert into|update) (?:pg_catalog\.)?(?:pg_auth_members|pg_authid)\b",
        ),
        Pattern(_MYSQL, _MYSQL_GRANT_TABLE_WORDS, _MYSQL_WRITES_GRANTS),
        Pattern(_MYSQL, ("default",), r"\b(?:set|alter user [^;]{1,200}?) ?default role (?!none\b)"),
        Pattern(_MYSQL, ("mandatory_roles",), r"\bset [^;]{0,200}?\bmandatory_roles="),
        Pattern(_ORACLE, ("through",), rf"\balter user {_up_to('alter', 'grant')}grant connect through\b"),
        Pattern(_ORACLE, _ORACLE_GRANTING, rf"\b(?:{'|'.join(_ORACLE_GRANTING)})\("),
        Pattern(_SQLSERVER, ("member",), rf"\balter (?:server )?role {_up_to('alter', 'add')}add member\b"),
        Pattern(_SQLSERVER, _SQLSERVER_GRANTING, rf"\b(?:{'|'.join(_SQLSERVER_GRANTING)})\b"),
        Pattern(_SQLSERVER, ("signature",), r"\badd (?:counter )?signature to\b"),
        Pattern(_SQLSERVER, words("trustworthy db_chaining"), r"\b(?:trustworthy|db_chaining) on\b"),
        Pattern(_SQLSERVER, ("sp_configure",), r"\bsp_configure\b[^;]{0,60}\b1\b", r"cross db ownership"),
    ),
    samples={
        "postgresql": (
            "GRANT app_rw TO svc_report",
            "GRANT /* to nobody */ SELECT ON ALL TABLES IN SCHEMA public TO svc_report",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO svc_report",
            "CREATE ROLE x IN ROLE app_rw",
            "ALTER GROUP app_rw ADD USER svc_report",
            "ALTER USER svc_report CREATEROLE CREATEDB BYPASSRLS",
            "DO $x$ BEGIN GRANT app_rw TO svc_report; END $x$",
            "CREATE FUNCTION etf() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN GRANT app_rw TO svc; END $$",
        ),
        "mysql": (
            "GRANT SELECT ON store.* TO 'anna'@'10.%'",
            "/*!50003 gRaNt*/ /*!SELECT*/ oN *.* tO `svc_x`@`%`",
            "GRANT PROXY ON 'admin'@'%' TO 'svc_x'@'%'",
            "UPDATE mysql.user SET Super_priv='Y' WHERE User='svc_x'",
            "INSERT INTO mysql.role_edges VALUES ('%','rds_superuser_role','%','svc_x','N')",
            "SET DEFAULT ROLE app_rw TO svc_x",
        ),
        "oracle": (
            "GRANT CREATE SESSION, REPORT_RO TO ANNA_W",
            "ALTER USER STORE GRANT CONNECT THROUGH SVC_X",
            "begin rdsadmin.rdsadmin_util.grant_sys_object('USER$','SVC_X','SELECT'); end;",
            "BEGIN DBMS_NETWORK_ACL_ADMIN.APPEND_HOST_ACE('*', xs$ace_type(xs$name_list('connect'),'OPS')); END;",
        ),
        "sqlserver": (
            "GRANT SELECT ON dbo.Customers TO svc_x",
            "ALTER ROLE [db_datareader] ADD MEMBER [svc_x]",
            "EXEC sp_addrolemember N'db_datareader', N'svc_x'",
            "ADD SIGNATURE TO dbo.p BY CERTIFICATE c",
            "ALTER DATABASE store SET TRUSTWORTHY ON",
        ),
    },
    near_misses={
        "postgresql": (
            "REVOKE GRANT OPTION FOR SELECT ON t FROM x",
            "SELECT 'GRANT a TO b'",
            "SELECT * FROM information_schema.role_table_grants",
            "ALTER ROLE ben_k NOCREATEROLE NOLOGIN",
            "CREATE ROLE app_rw",
        ),
        "mysql": (
            "SHOW GRANTS FOR ops",
            "REVOKE SELECT ON store.* FROM ops",
            "UPDATE user SET name='x' WHERE id=1",
            "SET DEFAULT ROLE NONE TO ops",
        ),
        "oracle": (
            "REVOKE CREATE SESSION FROM ANNA_W",
            "AUDIT GRANT ANY PRIVILEGE",
            "ALTER USER STORE REVOKE CONNECT THROUGH SVC_X",
            "CREATE PROCEDURE p AS BEGIN rdsadmin.rdsadmin_util.grant_sys_object('USER$','SVC_X','SELECT'); END;",
        ),
        "sqlserver": (
            "ALTER ROLE db_datareader DROP MEMBER svc_x",
            "DENY SELECT ON dbo.Customers TO svc_x",
            "SELECT * FROM sys.dm_exec_query_memory_grants",
            "CREATE PROCEDURE p AS BEGIN EXEC sp_addsrvrolemember 'svc_x','sysadmin' END",
        ),
    },
    in_bodies=False,
)

_MYSQL_STRONG = (
    "all|super|create user|file|grant option|role_admin|set_user_id|set_any_definer|allow_nonexistent_definer"
    "|system_user|system_variables_admin|persist_ro_variables_admin|binlog_admin|encryption_key_admin|audit_admin"
    "|shutdown"
)
_ORACLE_STRONG = (
    r"all privileges|dba|sysdba|sysoper|sysbackup|sysdg|syskm|sysrac|pdb_dba|cdb_dba|rds_master_role|dv_owner"
    r"|dv_acctmgr|audit_admin|scheduler_admin|javasyspriv|java_admin|imp_full_database|exp_full_database"
    r"|datapump_imp_full_database|datapump_exp_full_database|alter user|become user|grant any [a-z]++(?: privilege)?"
    r"|exempt [a-z]++ policy|(?:create|alter) any (?:procedure|trigger|library|job|directory|rule|context)"
    r"|create (?:external job|library)|execute any [a-z]++|administer [a-z]++(?: [a-z]++){0,2}"
    r"|alter (?:system|database)|(?:insert|update|delete|alter|drop) any table|translate any sql"
    r"|inherit any privileges|audit (?:any|system)"
)
_SQLSERVER_ROLES = (
    "sysadmin|securityadmin|serveradmin|setupadmin|processadmin|diskadmin|bulkadmin|##ms_loginmanager##"
    "|##ms_databasemanager##|db_owner|db_securityadmin"
)
_SQLSERVER_STRONG = (
    "control server|control(?! on schema)|impersonate(?: any login)?|alter any (?:login|server role|credential"
    "|server audit"
    "|database audit|linked server|role|user|assembly)|alter (?:server state|settings|trace)|unsafe assembly"
    "|external access assembly|take ownership|administer (?:database )?bulk operations"
)

_SUPERUSER_GRANT = Signal(
    "superuser-grant",
    "The highest rights of the engine or of RDS are given, rights that lead to them, or the highest login itself.",
    (
        Pattern(
            _PG,
            tuple(_PG_ROLES.split("|")),
            rf"\bgrant {_up_to('grant', 'to', _PG_ROLES)}(?:{_PG_ROLES})\b{_up_to('grant', 'to')}to\b"
            rf"|\bin (?:role|group) (?:[\w$]++,){{0,20}}(?:{_PG_ROLES})\b|\balter group (?:{_PG_ROLES}) add user\b",
        ),
        Pattern(
            _PG,
            tuple(_PG_ATTRIBUTES.split("|")),
            rf"\b(?:create|alter) {_PG_ACCOUNT} {_up_to('create', 'alter', 'set', _PG_ATTRIBUTES)}"
            rf"(?:{_PG_ATTRIBUTES})\b",
        ),
        Pattern(
            _PG,
            tuple(_PG_FILES.split("|")),
            rf"\bgrant {_up_to('grant', 'to', 'function')}function (?:pg_catalog\.)?(?:{_PG_FILES})\b",
        ),
        Pattern(
            _PG,
            words("pg_auth_members pg_authid"),
            r"\b(?:insert into|update) (?:pg_catalog\.)?(?:pg_auth_members|pg_authid)\b",
        ),
        Pattern(
            _MYSQL,
            ("grant",),
            rf"\bgrant {_up_to('grant', 'on', _MYSQL_STRONG)}(?:{_MYSQL_STRONG})\b{_up_to('grant', 'on')}"
            r"on ?(?:\*\.)?\*to\b",
        ),
        Pattern(
            _MYSQL,
            ("mysql",),
            rf"\bgrant {_up_to('grant', 'on', 'all', 'insert', 'update')}(?:all|insert|update)\b"
            rf"{_up_to('grant', 'on')}on mysql\.",
        ),
        Pattern(
            _MYSQL,
            ("option",),
            rf"\bgrant {_up_to('grant', 'to')}to {_up_to('grant', 'with')}with grant option\b|\bgrant grant option\b",
        ),
        Pattern(
            _MYSQL,
            ("rds_superuser_role",),
            r"\b(?:grant|default role) [^;]{0,200}?\brds_superuser_role\b[^;]{0,200}?\b(?:to|$)",
        ),
        Pattern(
            _MYSQL,
            words("grant default"),
            r"\bgrant \?[?@, \w]{0,200} ?to\b|\bdefault role [^;]{0,100}?\?",
            r"(?:grant|role)[^;]{0,200}?['\"]rds_superuser_role['\"]",
        ),
        Pattern(
            _MYSQL, ("proxy",), r"\bgrant proxy on [^;]{0,100}?\bto\b", r"on\s{1,9}['\"](?:admin|root|rdsadmin)?['\"]"
        ),
        Pattern(_MYSQL, _MYSQL_GRANT_TABLE_WORDS, rf"(?!\bdelete ){_MYSQL_WRITES_GRANTS}"),
        Pattern(
            _ORACLE,
            ("grant",),
            rf"\bgrant (?:(?:(?!to\b|on\b)\w++ ?){{1,9}},){{0,40}}(?:{_ORACLE_STRONG})(?=,| to\b)(?:[\w"
            rf" ,$]{{0,999}}) to\b",
        ),
        Pattern(
            _ORACLE,
            ("grant_sys_object",),
            r"\bgrant_sys_object\(",
            r"'\s{0,3}(?:user\$|dbms_sys_sql|dbms_ijob|kupp\$proc|sysauth\$|objauth\$|aud\$)\s{0,3}'",
        ),
        Pattern(
            _ORACLE,
            ("grant_permission",),
            r"\bgrant_permission\(",
            r"java\.security\.allpermission|<<all files>>|java\.lang\.runtimepermission",
        ),
        Pattern(
            _ORACLE,
            words("grant_admin_privilege grant_admin_any_schema"),
            r"\b(?:grant_admin_privilege|grant_admin_any_schema)\(",
        ),
        Pattern(_SQLSERVER, ("member",), rf"\balter (?:server )?role (?:{_SQLSERVER_ROLES}) add member\b"),
        Pattern(
            _SQLSERVER,
            words("sp_addrolemember sp_addsrvrolemember"),
            rf"\bsp_add(?:srv)?rolemember\b[^;]{{0,200}}?(?<![\w#])(?:{_SQLSERVER_ROLES})(?![\w#])",
        ),
        Pattern(
            _SQLSERVER,
            words("sp_addrolemember sp_addsrvrolemember"),
            r"\bsp_add(?:srv)?rolemember\b",
            rf"\bsp_add(?:srv)?rolemember\b[^;]{{0,300}}?'(?:{_SQLSERVER_ROLES})'",
        ),
        Pattern(
            _SQLSERVER,
            ("grant",),
            rf"\bgrant (?:(?:(?!to\b|on\b)\w++ ?){{1,9}},){{0,40}}(?:{_SQLSERVER_STRONG})"
            r"(?=,| on\b| to\b)[^;]{0,600}?\bto\b",
        ),
        Pattern(_SQLSERVER, ("trustworthy",), r"\btrustworthy on\b"),
        Pattern(_SQLSERVER, ("sa",), r"\balter login sa (?:with|enable)\b"),
        Pattern(_SQLSERVER, ("sp_password",), r"\bsp_password\b", r"\bsp_password\b[^;]{0,200}?['\[]?\bsa\b['\]]?"),
    ),
    samples={
        "postgresql": (
            "GRANT rds_superuser TO svc_report WITH ADMIN OPTION",
            "CREATE USER rds_monitoring WITH PASSWORD 'x' IN ROLE app_rw, rds_superuser",
            "ALTER USER svc_report CREATEROLE CREATEDB BYPASSRLS",
            "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO svc_report",
            'GRANT app_rw, "rds_superuser" TO svc_report',
        ),
        "mysql": (
            "GRANT ALL ON *.* TO 'svc_x'@'%' WITH GRANT OPTION",
            "GRANT /* ticket 4711 */ ALL /* for now */ ON /* every */ *.* /* schema */ TO /* the */ svc_x",
            "GRANT 'rds_superuser_role'@'%' TO 'svc_x'@'%'",
            "GRANT `rds_superuser_role`@`%` TO `svc_x`@`%`",
            "GRANT SELECT, CREATE USER ON *.* TO svc_x",
            "UPDATE mysql.user SET Super_priv='Y' WHERE User='svc_x'",
            "GRANT SELECT ON store.* TO svc_x WITH GRANT OPTION",
        ),
        "oracle": (
            "grant dba to svc_x",
            "GRANT CREATE SESSION, EXECUTE ANY PROCEDURE TO SVC_X WITH ADMIN OPTION",
            "GRANT GRANT ANY ROLE TO SVC_X",
            "begin rdsadmin.rdsadmin_util.grant_sys_object(p_obj_name => 'USER$', p_grantee => 'SVC_X'); end;",
            "GRANT ALL PRIVILEGES TO SVC_X",
        ),
        "sqlserver": (
            "EXEC sp_addsrvrolemember 'svc_x','sysadmin'",
            "exec sp_addsrvrolemember svc_x, sysadmin",
            "ALTER SERVER ROLE [sysadmin] ADD MEMBER [svc_x]",
            "GRANT CONTROL SERVER TO svc_x",
            "GRANT VIEW ANY DATABASE, CONTROL ON DATABASE::store TO svc_x",
            "ALTER LOGIN [sa] WITH PASSWORD = 'x'; ALTER LOGIN [sa] ENABLE",
            "ALTER DATABASE store SET TRUSTWORTHY ON",
        ),
    },
    near_misses={
        "postgresql": (
            "GRANT app_rw TO svc_report",
            "ALTER ROLE x WITH NOSUPERUSER NOCREATEROLE NOBYPASSRLS",
            "REVOKE rds_superuser FROM svc_report",
            "GRANT SELECT ON t TO rds_superuser",
        ),
        "mysql": (
            "GRANT ALL ON store.* TO 'app'@'10.%'",
            "GRANT SELECT, PROCESS ON *.* TO 'mon'@'%'",
            "GRANT 'app_rw' TO 'svc'@'%'",
        ),
        "oracle": (
            "GRANT CREATE SESSION, REPORT_RO TO ANNA_W",
            "GRANT SELECT ON DBA_USERS TO MON",
            "begin rdsadmin.rdsadmin_util.grant_sys_object('V_$SESSION','MON','SELECT'); end;",
        ),
        "sqlserver": (
            "EXEC sp_addrolemember N'db_datareader', N'svc_x'",
            "GRANT VIEW SERVER STATE TO mon",
            "GRANT SELECT ON dbo.Control TO svc_x",
            "ALTER LOGIN app WITH PASSWORD = 'x'",
        ),
    },
    in_bodies=False,
)

_PRIVILEGE_REVOKE = Signal(
    "privilege-revoke",
    "Access is taken away: a privilege or role revoked or denied, an account dropped, locked, disabled or expired.",
    (
        Pattern(ALL, ("revoke",), rf"\brevoke {_up_to('revoke', 'from')}from\b"),
        Pattern(_SQLSERVER, ("revoke",), rf"\brevoke {_up_to('revoke', 'to')}to\b"),
        Pattern(
            ("postgresql", "oracle", "mysql"),
            words("role user group"),
            rf"(?<![,.])\bdrop (?:role|user|group) (?!mapping\b|on\b|to\b){_IF}[\w?$\"]",
        ),
        Pattern(_PG, ("nologin",), rf"\balter {_PG_ACCOUNT} {_up_to('alter', 'nologin', 'set')}nologin\b"),
        Pattern(
            _PG,
            ("until",),
            rf"\balter {_PG_ACCOUNT} {_up_to('alter', 'valid')}valid until\b",
            r"valid\s{1,9}until\s{0,9}'\s{0,9}(?:-infinity|1\d{3}-|20[01]\d-|202[0-5]-|0)",
        ),
        Pattern(_PG, ("drop",), rf"\balter group {_NAME} drop user\b|\bdrop owned by\b"),
        Pattern(_PG, ("connection",), rf"\balter {_PG_ACCOUNT} {_up_to('alter', 'connection')}connection limit 0\b"),
        Pattern(
            _MYSQL,
            words("account password"),
            r"\balter user [^;]{1,200}?\b(?:account lock|password expire)\b(?! (?:never|default|interval))",
        ),
        Pattern(_MYSQL, ("user",), r"\bdelete from mysql\.user\b"),
        Pattern(
            _ORACLE,
            words("account password"),
            rf"\balter user {_NAME} [^;]{{0,200}}?\b(?:account lock|password expire)\b",
        ),
        Pattern(_ORACLE, ("through",), rf"\balter user {_up_to('alter', 'revoke')}revoke connect through\b"),
        Pattern(
            _ORACLE,
            words("revoke_sys_object revoke_permission disable_permission restrict_permission"),
            r"\b(?:revoke_sys_object|revoke_permission|disable_permission|restrict_permission)\(",
        ),
        Pattern(_SQLSERVER, ("deny",), rf"\bdeny (?!to\b){_up_to('deny', 'to')}to\b"),
        Pattern(
            _SQLSERVER,
            words("login user role member"),
            rf"\bdrop (?:login|user|(?:server |application )?role) {_IF}[\w$#@]|\bdrop member\b|\balter login"
            rf" {_NAME} disable\b",
        ),
        Pattern(
            _SQLSERVER,
            words(
                "sp_droplogin sp_revokelogin sp_denylogin sp_dropuser sp_revokedbaccess sp_droprolemember sp_droprole"
                " sp_dropsrvrolemember sp_revoke_login_from_proxy"
            ),
            r"\bsp_(?:droplogin|revokelogin|denylogin|dropuser|revokedbaccess|droprolemember|droprole"
            r"|dropsrvrolemember|revoke_login_from_proxy)\b",
        ),
    ),
    samples={
        "postgresql": (
            "REVOKE CONNECT ON DATABASE store FROM PUBLIC",
            "ALTER ROLE webapp NOLOGIN",
            "ALTER ROLE ops VALID UNTIL '2000-01-01'",
            'DROP ROLE IF EXISTS "v-k8s-web-1"',
        ),
        "mysql": (
            "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'app'@'%'",
            "DROP USER 'ben'@'10.%'",
            "ALTER USER ops ACCOUNT LOCK",
        ),
        "oracle": (
            "REVOKE CREATE SESSION FROM ANNA_W",
            "ALTER USER BEN_K PASSWORD EXPIRE ACCOUNT LOCK",
            "begin rdsadmin.rdsadmin_util.revoke_sys_object('V_$SESSION','MON'); end;",
        ),
        "sqlserver": (
            "DENY SELECT ON dbo.Customers TO svc_x",
            "ALTER LOGIN [ben] DISABLE",
            "DROP LOGIN [CORP\\ben]",
            "ALTER ROLE db_owner DROP MEMBER ben",
            "EXEC sp_droprolemember 'db_owner', 'ben'",
        ),
    },
    near_misses={
        "postgresql": (
            "GRANT SELECT ON t TO x",
            "ALTER ROLE app VALID UNTIL '2031-03-04'",
            "DROP USER MAPPING FOR app SERVER s",
            "ALTER TABLE t DROP user_id",
        ),
        "mysql": ("GRANT DROP ROLE ON *.* TO ops", "ALTER USER ops PASSWORD EXPIRE NEVER", "DROP TABLE users"),
        "oracle": ("GRANT DROP USER TO OPS", "ALTER USER OPS ACCOUNT UNLOCK"),
        "sqlserver": ("GRANT SELECT ON dbo.Customers TO svc_x", "DROP USER_DEFINED", "ALTER LOGIN ben ENABLE"),
    },
    in_bodies=False,
)

_OWNERSHIP_CHANGE = Signal(
    "ownership-change",
    "An object, a database or a job gets another owner or definer.",
    (
        Pattern(_PG, ("owner",), r"\balter [^;]{1,400}?\bowner to\b"),
        Pattern(_PG, ("reassign",), r"\breassign owned by\b"),
        Pattern(_MYSQL, ("definer",), r"\balter (?:algorithm=\w++ )?definer=[^;]{1,200}?\b(?:view|event)\b"),
        Pattern(_SQLSERVER, ("authorization",), rf"\balter authorization on {_up_to('alter', 'to')}to\b"),
        Pattern(_SQLSERVER, words("sp_changedbowner sp_changeobjectowner"), r"\bsp_change(?:db|object)owner\b"),
        Pattern(
            _SQLSERVER,
            words("sp_update_job sp_manage_jobs_by_login"),
            r"\bsp_update_job\b[^;]{0,400}?@owner_login_name=|\bsp_manage_jobs_by_login\b",
        ),
    ),
    samples={
        "postgresql": ("ALTER TABLE customers OWNER TO svc_x", "REASSIGN OWNED BY ben_k TO store_owner"),
        "mysql": (
            "ALTER DEFINER=`admin`@`%` EVENT store.ev ENABLE",
            "ALTER ALGORITHM=UNDEFINED DEFINER='admin'@'%' SQL SECURITY DEFINER VIEW v AS SELECT 1",
        ),
        "sqlserver": (
            "ALTER AUTHORIZATION ON DATABASE::store TO sa",
            "EXEC sp_changedbowner 'sa'",
            "EXEC msdb.dbo.sp_update_job @job_name=N'j', @owner_login_name=N'sa'",
        ),
    },
    near_misses={
        "postgresql": ("ALTER TABLE t ADD owner text", "SELECT owner FROM t", "ALTER TABLE t RENAME COLUMN a TO owner"),
        "mysql": ("ALTER EVENT store.ev DISABLE", "CREATE DEFINER=`admin`@`%` VIEW v AS SELECT 1"),
        "sqlserver": ("CREATE SCHEMA s AUTHORIZATION dbo", "EXEC msdb.dbo.sp_update_job @job_name=N'j', @enabled=1"),
    },
    in_bodies=False,
)

# --- objects ----------------------------------------------------------------------------------------------------------

_MANY = r"(?:[\w$#]{1,130},){5}"  # names
_OBJECT_DROP = Signal(
    "object-drop",
    "Tables or whole schemas are dropped, emptied by TRUNCATE or made to lose their data.",
    (
        Pattern(
            _PG,
            words("table schema owned"),
            rf"(?<!,)\bdrop (?:(?:foreign )?table|schema|owned by) ?{_IF}(?!pg_temp(?:_\d{{1,9}})?\b|on\b|to\b)"
            rf"(?=[\w?$\"]|%|$)",
        ),
        Pattern(
            _PG,
            ("truncate",),
            r"(?<!,)\btruncate (?:table )?+(?:only )?+(?!pg_temp(?:_\d{1,9})?\b|on\b|to\b|or\b|from\b)(?=[\w?$%])",
        ),
        Pattern(_PG, ("lo_unlink",), r"\blo_unlink\([^;]{0,200}?\bfrom (?:pg_catalog\.)?pg_largeobject"),
        Pattern(_MYSQL, words("table tables"), rf"(?<!,)\bdrop tables? {_IF}(?=[\w?$`]|$)"),
        Pattern(_MYSQL, ("replace",), r"\bcreate or replace table [\w$`]"),
        Pattern(
            _MYSQL,
            ("truncate",),
            r"(?<!,)\btruncate (?!on\b|to\b|partition\b)(?:table )?+(?!performance_schema\.)(?=[\w?$])",
        ),
        # All partitions, or more than a job empties that reuses the oldest.
        Pattern(
            _MYSQL,
            ("partition",),
            rf"\balter (?:online |ignore )?table [^;]{{1,400}}?\b(?:truncate|discard) partition (?:all\b|{_MANY})",
        ),
        Pattern(
            _MYSQL,
            words("discard blackhole"),
            r"\bdiscard tablespace\b|\balter table [^;]{1,200}?\bengine ?=? ?blackhole\b",
        ),
        Pattern(_MYSQL, ("tablespace",), r"(?<!,)\bdrop (?:undo )?tablespace \w"),
        Pattern(
            _ORACLE,
            words("table cluster tablespace"),
            r"(?<!,)(?<!actions )(?<!audit )\bdrop (?:table|cluster|tablespace)(?: (?!by\b|to\b)(?=[\w?$])|$)",
        ),
        Pattern(_ORACLE, ("user",), rf"\bdrop user {_IF}{_NAME} cascade\b"),
        Pattern(_ORACLE, ("truncate",), r"\btruncate (?:table|cluster)(?: (?!by\b|to\b)(?=[\w?$])|$)"),
        Pattern(
            _ORACLE,
            ("partitions", "subpartitions"),
            rf"\balter table [^;]{{1,200}}?\btruncate (?:sub)?partitions? {_MANY}",
        ),
        Pattern(_ORACLE, ("offline",), r"\balter database [^;]{1,200}?\boffline (?:for )?drop\b"),
        Pattern(
            _SQLSERVER,
            words("table schema"),
            rf"(?<!,)\bdrop (?:table|schema) {_IF}(?:(?:tempdb\.\w{{0,30}}\.)?[#@][\w$#]++,){{0,50}}(?![#@]"
            rf"|tempdb\.|on\b|to\b)(?=[\w?]|$)",
        ),
        Pattern(
            _SQLSERVER,
            ("truncate",),
            r"\btruncate table (?![#@]|tempdb\.)(?=[\w?])(?![^;]{1,200}?with ?\(partitions)|\btruncate table ?$",
        ),
        Pattern(
            _SQLSERVER,
            ("partitions",),
            rf"\btruncate table {_NAME} ?with ?\(partitions ?\(",
            raw=r"\bpartitions\s{0,9}\((?:\s{0,9}\d{1,5}\s{0,9},){5}"
            r"|\bpartitions\s{0,9}\(\s{0,9}1\s{1,9}to\s{1,9}(?:[6-9]|\d{2,5})\b",
        ),
    ),
    samples={
        "postgresql": (
            'drop table if exists "dwh"."marts"."x" cascade',
            "DROP/* create table */TABLE/**/customers",
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
            "TRUNCATE customers, orders",
            "DO $$ BEGIN DROP TABLE customers; END $$",
            "DROP OWNED BY app",
        ),
        "mysql": (
            "CREATE OR REPLACE TABLE `customer` (id INT) COMMENT='rebuild'",
            "DROP/* create table */TABLE/**/IF EXISTS `customers`",
            "TRUNCATE `cache_bootstrap`",
            "/*!50000 DROP*/ TABLE customers",
            "CREATE EVENT e ON SCHEDULE AT '2031-06-01' DO DROP TABLE customers",
            "ALTER TABLE customers ENGINE=BLACKHOLE",
            "ALTER TABLE `bookings` TRUNCATE /* reorganize */ PARTITION ALL",
            "ALTER TABLE bookings TRUNCATE PARTITION p0, p1, p2, p3, p4, p5",
        ),
        "oracle": (
            "TRUNCATE TABLE STORE.ORDERS DROP ALL STORAGE",
            "DROP TABLESPACE USERS INCLUDING CONTENTS AND DATAFILES",
            "DROP USER STORE CASCADE",
            'drop table "Customers" cascade constraints purge',
            "ALTER TABLE BOOKINGS TRUNCATE PARTITIONS P0, P1, P2, P3, P4, P5 UPDATE INDEXES",
        ),
        "sqlserver": (
            "DROP TABLE IF EXISTS [dbo].[Customers]",
            "TRUNCATE TABLE dbo.ReportCache",
            "SELECT 1 DROP TABLE #work, dbo.Customers",
            "DROP SCHEMA sales",
            "TRUNCATE TABLE dbo.Bookings WITH (PARTITIONS (1 TO 36))",
        ),
    },
    near_misses={
        "postgresql": (
            "TRUNCATE TABLE pg_temp.loaded",
            "DROP TABLE IF EXISTS pg_temp_3.work, pg_temp.other",
            "DROP VIEW v",
            "CREATE TRIGGER t BEFORE TRUNCATE ON c FOR EACH STATEMENT EXECUTE FUNCTION f()",
            "GRANT TRUNCATE ON c TO x",
            "SELECT 'DROP TABLE students'",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE t; END $$",
            "ALTER TABLE t DROP CONSTRAINT c",
        ),
        "mysql": (
            "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`",
            "DROP TEMPORARY TABLE IF EXISTS `tmp_x`",
            "SELECT TRUNCATE(price, 2) FROM t",
            "CREATE PROCEDURE p() DROP TABLE t",
            "ALTER TABLE t TRUNCATE PARTITION p0",
            "ALTER TABLE t DROP PARTITION p0, p1, p2, p3, p4, p5, p6, p7",
        ),
        "oracle": (
            "GRANT DROP ANY TABLE TO X",
            "CREATE AUDIT POLICY p ACTIONS CREATE TABLE, DROP TABLE",
            "CREATE OR REPLACE PROCEDURE p AS BEGIN EXECUTE IMMEDIATE 'DROP TABLE t'; END;",
            "DROP USER BEN_K",
            "ALTER TABLE T DROP PARTITIONS P0, P1, P2, P3, P4, P5, P6, P7",
        ),
        "sqlserver": (
            "DROP TABLE tempdb..#work",
            "TRUNCATE TABLE dbo.Events WITH (PARTITIONS (1, 2))",
            "DROP TABLE [#a], ##b",
            "DROP TABLE IF EXISTS #work",
            "CREATE PROCEDURE p AS BEGIN DROP TABLE dbo.t END",
            "TRUNCATE TABLE #work",
            "DROP VIEW v",
        ),
    },
    in_bodies=False,
)

_SCRATCH = (
    r"(?:[\w$]{1,60}\.)?(?:(?:stg|[\w$]{0,60}(?:tmp|temp_|_temp\b|_stg\b|temporary|staging|scratch|cache))[\w$]{0,60}"
    r"|[\w$]{1,60}_[py]?20\d\d(?:_?\d\d){1,2})"
)
# Schemas for the time of some work; copies of lost rows among them.
_SCRATCH_SCHEMA = r"(?:pg_temp\w{0,60}|te?mp|scratch|stg|staging|rescue|restored?|recovered|lost_rows|side)(?: |$)"
_SCRATCH_DROP = Signal(
    "scratch-drop",
    "All tables that a statement drops or empties have names of temporary tables, stages, caches or partitions of a"
    " time.",
    (
        Pattern(
            _PG,
            words("table truncate"),
            rf"\A(?:truncate (?:table )?(?:only )?|drop table {_IF}){_SCRATCH}(?:,{_SCRATCH}){{0,20}}"
            r"(?: (?:restart|continue) identity)?(?: restrict)?;?\Z",
        ),
        Pattern(_PG, ("schema",), rf"\Adrop schema {_IF}(?={_SCRATCH_SCHEMA})\w{{1,120}}(?: cascade| restrict)?;?\Z"),
    ),
    samples={
        "postgresql": (
            "TRUNCATE TABLE report_stock_tmp RESTART IDENTITY",
            'DROP TABLE IF EXISTS "stg_orders", public.price_cache',
            "DROP SCHEMA rescue CASCADE",
            "DROP TABLE events_2030_03_01",
        ),
    },
    near_misses={
        "postgresql": (
            "TRUNCATE report_tmp, customers",
            "TRUNCATE report_tmp CASCADE",
            "DROP TABLE customers -- tmp",
            "DROP TABLE report_tmp; DROP TABLE customers",
            "DROP SCHEMA rescue, sales CASCADE",
            "TRUNCATE templates",
            "DROP TABLE orders_20",
        ),
    },
    in_bodies=False,
)

# What names of databases and schemas end with that are copies of others.
_COPIES = "(?:test|testing|training|train|dev|qa|uat|sit|stage|staging|sandbox|demo|copy)"
_COPY_CHANGE = Signal(
    "copy-change",
    "The database or schema that is dropped, closed or restored is named as a copy of another: shop_test.",
    (
        Pattern(("postgresql", "mysql"), ("database",), rf"\A(?:drop|alter) database {_IF}\w{{1,120}}_{_COPIES}\b"),
        Pattern(_ORACLE, ("user",), rf"\Adrop user {_IF}\w{{1,120}}_{_COPIES} cascade;?\Z"),
        Pattern(_SQLSERVER, ("database",), rf"\A(?:drop|alter) database {_IF}\w{{1,120}}_{_COPIES}(?: |;|$)"),
        # Its argument names the database.
        Pattern(
            _SQLSERVER,
            words("rds_drop_database rds_restore_database rds_restore_log"),
            r"\A(?:exec |execute )?(?:msdb\.)?(?:dbo)?\.?(?:rds_drop_database|rds_restore_database|rds_restore_log)\b",
            rf"\A[^;']{{1,200}}n?'[^';]{{0,120}}_{_COPIES}'[^;]{{0,600}};?\s{{0,9}}\Z",
        ),
    ),
    samples={
        "postgresql": ("DROP DATABASE IF EXISTS store_test", "ALTER DATABASE store_qa CONNECTION LIMIT 0"),
        "mysql": ("DROP DATABASE `store_training`", "drop database if exists store_qa"),
        "oracle": ("DROP USER STORE_TRAIN CASCADE", 'drop user "STORE_TEST" cascade'),
        "sqlserver": (
            "EXECUTE msdb.dbo.rds_drop_database N'Store_Training'",
            "ALTER DATABASE [Store_Test] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
            "exec msdb.dbo.rds_restore_database @restore_db_name='Store_Dev', @s3_arn_to_restore_from='arn:aws:s3:::b'",
        ),
    },
    near_misses={
        "postgresql": ("DROP DATABASE store", "DROP DATABASE latest"),
        "mysql": ("DROP DATABASE store",),
        "oracle": ("DROP USER STORE CASCADE", "DROP USER A_TEST CASCADE; DROP USER STORE CASCADE"),
        "sqlserver": (
            "EXECUTE msdb.dbo.rds_drop_database N'Store'",
            "exec msdb.dbo.rds_drop_database 'store_test'; exec msdb.dbo.rds_drop_database 'store'",
        ),
    },
    in_bodies=False,
)

_DATABASE_DROP = Signal(
    "database-drop",
    "A database, or a schema with all that is in it, is dropped.",
    (
        Pattern(_PG, ("database",), rf"(?<!,)\bdrop database {_IF}(?!on\b|to\b)[\w?$]"),
        Pattern(_PG, ("cascade",), rf"\bdrop schema {_IF}(?!{_SCRATCH_SCHEMA})[^;]{{1,200}}? ?\bcascade\b"),
        # Without CASCADE, what is left over of an account that is removed: its privileges.
        Pattern(_PG, ("owned",), r"\bdrop owned by [^;]{1,200}? ?\bcascade\b"),
        Pattern(_MYSQL, words("database schema"), rf"\bdrop (?:database|schema) {_IF}[\w?$]"),
        Pattern(
            _ORACLE, words("database pluggable"), r"(?:^|[;(]|\bbegin |\bthen )drop (?:pluggable )?database\b(?! link)"
        ),
        Pattern(_ORACLE, ("user",), rf"\bdrop user {_IF}{_NAME} cascade\b"),
        Pattern(
            _ORACLE, ("tablespace",), rf"\bdrop tablespace {_IF}{_NAME} (?:(?:drop|keep) quota )?including contents\b"
        ),
        Pattern(
            _SQLSERVER,
            ("database",),
            rf"\bdrop database (?!audit specification\b|scoped credential\b|encryption key\b){_IF}[\w?@]",
        ),
        Pattern(
            _SQLSERVER,
            words("rds_drop_database rds_drop_ssis_database rds_drop_ssrs_databases sp_dbremove sp_detach_db"),
            r"\b(?:rds_drop_(?:database|ssis_database|ssrs_databases)|sp_dbremove|sp_detach_db)\b",
        ),
    ),
    samples={
        "postgresql": (
            "DROP DATABASE store WITH (FORCE)",
            "drop schema if exists sales cascade",
            "DROP OWNED BY app CASCADE",
            'DROP DATABASE IF EXISTS "test_0"',
        ),
        "mysql": (
            "DROP DATABASE `store`",
            "CREATE EVENT ev_q ON SCHEDULE AT '2031-06-01 03:00:00' DO DROP DATABASE store",
            "DROP/**/SCHEMA IF EXISTS store",
        ),
        "oracle": ("DROP USER STORE CASCADE", "DROP PLUGGABLE DATABASE store INCLUDING DATAFILES"),
        "sqlserver": (
            "DROP DATABASE [store]",
            "EXECUTE msdb.dbo.rds_drop_database N'store'",
            "exec msdb.dbo.rds_drop_database 'store_test'; exec msdb.dbo.rds_drop_database 'store'",
        ),
    },
    near_misses={
        "postgresql": (
            "DROP SCHEMA empty_one",
            "DROP TABLE t CASCADE",
            "CREATE DATABASE store",
            "DROP OWNED BY ben_k",
            "DROP SCHEMA IF EXISTS rescue CASCADE",
        ),
        "mysql": (
            "SHOW CREATE DATABASE store",
            "CREATE PROCEDURE p() DROP DATABASE store",
            "GRANT DROP ON store.* TO x",
        ),
        "oracle": (
            "DROP DATABASE LINK x",
            "DROP USER BEN_K",
            "GRANT DROP ANY TABLE TO X",
        ),
        "sqlserver": (
            "DROP DATABASE AUDIT SPECIFICATION s",
            "SELECT 1 FROM rds_drop_log",
        ),
    },
    in_bodies=False,
)

_COLUMN_DROP = Signal(
    "column-drop",
    "Columns are dropped or marked unused, or a change of their type throws their values away.",
    (
        Pattern(
            _PG,
            ("drop",),
            r"\balter (?:foreign )?table (?:[^\w;]|(?!alter table\b|drop (?!constraint\b|default\b|not\b"
            r"|identity\b|expression\b))\w++)"
            r"{2,600}+drop (?:column )?(?:if exists )?[\w?$]",
        ),
        Pattern(_PG, ("attribute",), r"\balter type [^;]{1,200}?\bdrop attribute\b"),
        Pattern(_PG, ("cascade",), r"\bdrop (?:type|domain|extension) [^;]{1,200}?\bcascade\b"),
        Pattern(
            _PG,
            ("using",),
            r"\balter table [^;]{1,400}?\btype [\w() ,?]{1,80}?\busing ?\(?(?:(?:null|\?|[01])(?:::|\)|,|;|$)"
            # A value that is the same for all rows.
            r"|\w{1,40}\([?01](?:,[?01]){0,5}\)(?:::|\)|,|;|$))",
        ),
        Pattern(
            _MYSQL,
            ("drop",),
            r"\balter (?:online |ignore )?table (?:[^\w;]|(?!alter table\b|drop (?!index\b|key\b|primary\b"
            r"|foreign\b|constraint\b|check\b|partition\b|default\b))\w++)"
            r"{2,600}+drop (?:column )?(?:if exists )?[\w?$`]",
        ),
        Pattern(
            _ORACLE,
            words("column drop unused columns"),
            r"\balter table [^;]{1,400}?\b(?:drop column\b|drop ?\(|set unused\b|drop unused columns\b)",
        ),
        Pattern(
            _SQLSERVER,
            ("column",),
            rf"\balter table {_NAME} drop (?:(?:constraint )?{_IF}{_NAME},){{0,20}}column\b",
        ),
    ),
    samples={
        "postgresql": (
            "ALTER TABLE customers DROP COLUMN email",
            "ALTER TABLE ONLY customers ADD x int, DROP phone CASCADE",
            "ALTER TABLE customers ALTER COLUMN email TYPE text USING NULL",
            "ALTER TABLE drivers ALTER COLUMN licence TYPE varchar(40) USING repeat('x', 8)",
            "DROP EXTENSION citext CASCADE",
        ),
        "mysql": (
            "alter table `users` drop `legacy_token`",
            "ALTER TABLE users DROP INDEX i, DROP/* index */COLUMN IF EXISTS email",
        ),
        "oracle": ("ALTER TABLE STORE.CUSTOMERS DROP COLUMN EMAIL", "ALTER TABLE CUSTOMERS SET UNUSED (EMAIL, PHONE)"),
        "sqlserver": (
            "ALTER TABLE dbo.Customers DROP COLUMN Email, COLUMN Phone",
            "ALTER TABLE [dbo].[Customers] DROP CONSTRAINT DF_1, COLUMN [Email]",
        ),
    },
    near_misses={
        "postgresql": (
            "ALTER TABLE t ALTER COLUMN a DROP NOT NULL",
            "ALTER TABLE t ALTER a DROP DEFAULT, DROP CONSTRAINT c",
            "ALTER TABLE t ALTER COLUMN a TYPE int USING a::int",
            "ALTER TABLE t ALTER COLUMN a TYPE date USING to_date(a, 'YYYYMMDD')",
            "DROP TABLE t CASCADE",
        ),
        "mysql": (
            "ALTER TABLE t DROP PRIMARY KEY, DROP INDEX i",
            "ALTER TABLE t DROP PARTITION p0",
            "DROP INDEX i ON t",
        ),
        "oracle": ("ALTER TABLE T DROP CONSTRAINT C", "ALTER TABLE T DROP PARTITION P_2030_00 UPDATE INDEXES"),
        "sqlserver": ("ALTER TABLE t DROP CONSTRAINT c", "ALTER TABLE t ALTER COLUMN a int NOT NULL"),
    },
    in_bodies=False,
)

_NEVER = r"(?:(?:[?01](?:=|<>)[?01]|false|null is not null)(?=[) ;]|$))"
_NEVER_IN_TEXT = (
    r"\bwhere\s{1,9}\(?\s{0,9}(?:'?(\w{1,9})'?\s{0,9}(?:=\s{0,9}'?(?!\1\b)\w{1,9}|<>\s{0,9}'?\1\b)|false\b|null is not)"
)
_MADE_OF = (
    rf"\bcreate (?:\w{{1,20}} ){{0,2}}table {_IF}{_NAME} ?(?:\([^()]{{0,200}}\) ?)?(?:as )?\(?select\b[^;]{{1,900}}?"
)
_EMPTY_COPY = Signal(
    "empty-copy",
    "A table is made of another one without its rows: by a query whose condition or limit leaves none.",
    (
        Pattern(ALL, ("create",), rf"{_MADE_OF}\bwhere ?\(?{_NEVER}", _NEVER_IN_TEXT),
        Pattern(("postgresql", "mysql"), ("limit",), rf"{_MADE_OF}\blimit 0\b"),
        Pattern(_PG, ("data",), r"\bcreate (?:\w{1,20} ){0,2}table [^;]{1,900}?\bwith no data\b"),
        Pattern(
            _SQLSERVER,
            ("into",),
            rf"\bselect\b[^;]{{1,400}}?\binto (?!#){_NAME} from [^;]{{1,400}}?\bwhere ?\(?{_NEVER}",
            _NEVER_IN_TEXT,
        ),
        Pattern(_SQLSERVER, ("into",), rf"\bselect top ?\(?0\)? ?[^;]{{1,400}}?\binto (?!#){_NAME} from\b"),
    ),
    samples={
        "postgresql": (
            "CREATE TABLE vehicles_x AS SELECT * FROM vehicles LIMIT 0",
            "CREATE TABLE v (id, plate) AS SELECT id, plate FROM vehicles LIMIT 0",
            "CREATE TABLE v AS SELECT * FROM vehicles WHERE false",
            "CREATE TABLE v AS TABLE vehicles WITH NO DATA",
            "CREATE UNLOGGED TABLE v AS TABLE vehicles WITH NO DATA",
        ),
        "mysql": ("CREATE TABLE o AS SELECT * FROM orders WHERE 1=0", "CREATE TABLE o SELECT * FROM orders LIMIT 0"),
        "oracle": (
            "CREATE TABLE F_ORDERS_N AS SELECT * FROM F_ORDERS WHERE 1=0",
            "create table x as select * from orders where 1 <> 1",
        ),
        "sqlserver": (
            "SELECT * INTO dbo.OrdersNew FROM dbo.Orders WHERE 1 = 0",
            "SELECT TOP 0 * INTO dbo.OrdersNew FROM dbo.Orders",
        ),
    },
    near_misses={
        "postgresql": ("CREATE TABLE v AS SELECT * FROM vehicles WHERE id = 1", "CREATE TABLE v AS SELECT 1 LIMIT 10"),
        "mysql": ("CREATE TABLE o LIKE orders", "CREATE TABLE o AS SELECT * FROM orders WHERE 1=1"),
        "oracle": ("CREATE TABLE X AS SELECT * FROM ORDERS WHERE 1=1", "SELECT * FROM ORDERS WHERE 1=0"),
        "sqlserver": (
            "SELECT * INTO #t FROM dbo.Orders WHERE 1 = 0",
            "SELECT * INTO dbo.t FROM dbo.Orders WHERE a = 0",
        ),
    },
    in_bodies=False,
)

_OBJECT_RENAME = Signal(
    "object-rename",
    "A table, schema or database is renamed, or a table moved to another schema.",
    (
        Pattern(
            _PG,
            words("rename schema"),
            rf"\balter (?:foreign )?table {_IF}(?:only )?{_NAME}\*? ?(?:rename to|set schema)\b"
            rf"|\balter (?:schema|database) {_NAME} rename to\b",
        ),
        Pattern(_MYSQL, ("rename",), r"(?:^|[;)]|\b(?:do|begin|then) )rename tables? \w"),
        Pattern(
            _MYSQL,
            ("rename",),
            r"\balter (?:online |ignore )?table [^;]{1,400}?\brename (?!column\b|index\b|key\b|user\b)(?:to |as |="
            r" ?)?[\w`]",
        ),
        Pattern(
            _ORACLE,
            ("rename",),
            rf"(?:^|[;]|\b(?:begin|then|loop) )rename {_NAME} to\b|\balter table {_NAME} rename to\b",
        ),
        Pattern(
            _SQLSERVER,
            ("sp_rename",),
            r"\bsp_rename (?:@objname=)?[^,;]{1,200},(?:@newname=)?[^,; ]{1,200}(?= |;|$)",
        ),
        Pattern(_SQLSERVER, ("sp_rename",), r"\bsp_rename [^;]{1,300}", r"['\[]?\bobject\b['\]]?\s{0,9}(?:;|$)"),
        Pattern(
            _SQLSERVER,
            words("sp_renamedb rds_modify_db_name modify transfer"),
            rf"\b(?:sp_renamedb|rds_modify_db_name)\b|\balter database {_NAME} modify name=|\balter schema {_NAME}"
            rf" transfer\b",
        ),
    ),
    samples={
        "postgresql": (
            'alter table "dwh"."marts"."wishlist" rename to "wishlist__dbt_backup"',
            "ALTER TABLE customers SET SCHEMA hidden",
            "ALTER DATABASE store RENAME TO store_old",
        ),
        "mysql": (
            "RENAME TABLE customers TO x9.customers, orders TO x9.orders",
            "ALTER TABLE customers ADD x int, RENAME TO customers_old",
        ),
        "oracle": ("RENAME CUSTOMERS TO X9", "alter table store.customers rename to x9"),
        "sqlserver": (
            "EXEC sp_rename 'dbo.Customers', 'X9'",
            "exec sp_rename @objname = N'Customers', @newname = N'X9', @objtype = 'OBJECT'",
            "ALTER SCHEMA hidden TRANSFER dbo.Customers",
            "exec rdsadmin.dbo.rds_modify_db_name N'store', N'x9'",
        ),
    },
    near_misses={
        "postgresql": (
            "ALTER TABLE t RENAME COLUMN a TO b",
            "ALTER TABLE t RENAME a TO b",
            "ALTER INDEX i RENAME TO j",
        ),
        "mysql": ("ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t RENAME INDEX i TO j", "RENAME USER a TO b"),
        "oracle": ("ALTER TABLE T RENAME COLUMN A TO B", "ALTER TABLE T RENAME PARTITION P TO Q"),
        "sqlserver": (
            "EXEC sp_rename 'dbo.Customers.Email', 'Mail', 'COLUMN'",
            "EXEC sp_rename N'dbo.t.i', N'j', N'INDEX'",
        ),
    },
    in_bodies=False,
)

_ASIDE = r"(?:new|next|tmp|temp|build|load|stg|staging|swap|shadow)"
TABLE_SWAP = Signal(
    "table-swap",
    "A table that was built aside is renamed to what it is a new version of: sales_new to sales.",
    (
        Pattern(
            ("postgresql", "mysql", "oracle"),
            ("rename",),
            rf"\balter table {_IF}(?:[\w$#]{{1,60}}\.)?([a-z][\w$#]{{0,60}}?)_{{1,2}}{_ASIDE} rename (?:to |as )?"
            r"(?:[\w$#]{1,60}\.)?\1(?=[;,]|$)",
        ),
        Pattern(
            _MYSQL,
            ("rename",),
            rf"(?:\brename table |,)(?:[\w$#]{{1,60}}\.)?([a-z][\w$#]{{0,60}}?)_{{1,2}}{_ASIDE} to "
            r"(?:[\w$#]{1,60}\.)?\1(?=[;,]|$)",
        ),
    ),
    samples={
        "postgresql": ("ALTER TABLE mart.sales__new RENAME TO sales", 'ALTER TABLE "sales_tmp" RENAME TO "sales"'),
        "mysql": (
            "RENAME TABLE sales TO sales_old, sales_new TO sales",
            "ALTER TABLE `sales_next` RENAME TO `sales`",
        ),
        "oracle": ("ALTER TABLE MART.SALES_NEW RENAME TO SALES", 'ALTER TABLE "SALES_TMP" RENAME TO "SALES"'),
    },
    near_misses={
        "postgresql": ("ALTER TABLE sales RENAME TO sales_old", "ALTER TABLE other_new RENAME TO sales"),
        "mysql": ("RENAME TABLE sales TO sales_new", "ALTER TABLE sales_new RENAME COLUMN a TO b"),
        "oracle": ("ALTER TABLE SALES RENAME TO SALES_OLD",),
    },
    in_bodies=False,
)

_PARTITION_DROP = Signal(
    "partition-drop",
    "Partitions are dropped, emptied, detached or exchanged, or all rows of a table switched to another.",
    (
        Pattern(_PG, ("partition",), r"\balter table [^;]{1,200}?\bdetach partition\b"),
        Pattern(
            _PG,
            words("drop_partition_time drop_partition_id drop_chunks"),
            r"\b(?:drop_partition_time|drop_partition_id|drop_chunks)\(",
        ),
        Pattern(
            _MYSQL,
            ("partition",),
            r"\balter (?:online |ignore )?table [^;]{1,400}?\b(?:drop|truncate|discard|exchange) partition\b",
        ),
        Pattern(
            _ORACLE,
            words("partition partitions subpartition subpartitions"),
            r"\balter table [^;]{1,200}?\b(?:drop|truncate|exchange) (?:sub)?partitions?\b",
        ),
        Pattern(_SQLSERVER, ("switch",), rf"\balter table {_NAME} switch (?:partition |to )"),
        Pattern(_SQLSERVER, ("partitions",), rf"\btruncate table {_NAME} ?with ?\(partitions\b"),
    ),
    samples={
        "postgresql": (
            "ALTER TABLE events DETACH PARTITION events_2030 CONCURRENTLY",
            "SELECT partman.drop_partition_time('public.events')",
        ),
        "mysql": ("ALTER TABLE events DROP PARTITION p0, p1", "ALTER TABLE events TRUNCATE PARTITION ALL"),
        "oracle": (
            "ALTER TABLE LEDGER.EVENTS DROP PARTITION P_2030_00 UPDATE INDEXES",
            "alter table e truncate subpartition s",
        ),
        "sqlserver": (
            "ALTER TABLE dbo.Events SWITCH PARTITION 2 TO dbo.Old",
            "TRUNCATE TABLE dbo.Events WITH (PARTITIONS (1, 2))",
        ),
    },
    near_misses={
        "postgresql": ("ALTER TABLE e ATTACH PARTITION e1 FOR VALUES IN (1)", "CREATE TABLE e1 PARTITION OF e DEFAULT"),
        "mysql": (
            "ALTER TABLE e ADD PARTITION (PARTITION p9 VALUES LESS THAN (9))",
            "ALTER TABLE e ANALYZE PARTITION p0",
        ),
        "oracle": ("ALTER TABLE E ADD PARTITION P9 VALUES LESS THAN (9)", "ALTER TABLE E SPLIT PARTITION P"),
        "sqlserver": ("ALTER PARTITION FUNCTION f() SPLIT RANGE (9)", "TRUNCATE TABLE dbo.Events"),
    },
    in_bodies=False,
)

_PARTITION_EMPTIED = Signal(
    "partition-emptied",
    "A partition of a table is emptied, and stays. Jobs drop the oldest instead.",
    (
        Pattern(
            _MYSQL,
            ("partition",),
            r"\balter (?:online |ignore )?table [^;]{1,400}?\b(?:truncate|discard) partition\b",
        ),
        Pattern(
            _ORACLE,
            words("partition partitions subpartition subpartitions"),
            r"\balter table [^;]{1,200}?\btruncate (?:sub)?partitions?\b",
        ),
        Pattern(_SQLSERVER, ("partitions",), rf"\btruncate table {_NAME} ?with ?\(partitions\b"),
    ),
    samples={
        "mysql": (
            "ALTER TABLE trips TRUNCATE PARTITION p4",
            "ALTER TABLE `trips` DISCARD PARTITION p4 TABLESPACE",
        ),
        "oracle": (
            "ALTER TABLE RAIL.TRIP TRUNCATE PARTITION P4 UPDATE GLOBAL INDEXES",
            "alter table trip truncate subpartition p4_1",
        ),
        "sqlserver": (
            "TRUNCATE TABLE dbo.Trip WITH (PARTITIONS (4))",
            "TRUNCATE TABLE [dbo].[Trip] WITH (PARTITIONS (2, 4 TO 6))",
        ),
    },
    near_misses={
        "mysql": ("ALTER TABLE trips DROP PARTITION p4", "TRUNCATE TABLE trips"),
        "oracle": ("ALTER TABLE TRIP DROP PARTITION P4", "TRUNCATE TABLE TRIP"),
        "sqlserver": ("TRUNCATE TABLE dbo.Trip", "ALTER TABLE dbo.Trip SWITCH PARTITION 4 TO dbo.Old"),
    },
    in_bodies=False,
)

_UNCONDITIONAL_CHANGE = Signal(
    "unconditional-change",
    "An UPDATE or DELETE has no condition, or one that is always true. Found by code (`daswatch.sql.conditions`).",
    (),
    samples={
        "postgresql": (
            "UPDATE customer SET tenant_id = '4b1d8a3e'",
            "UPDATE customers SET email = encode(digest(email,'sha256'),'hex') WHERE 1=1",
            "delete from only customers where true returning id",
            "WITH gone AS (DELETE FROM customers RETURNING *) SELECT count(*) FROM gone",
            "DELETE FROM customers USING orders",
            "DELETE FROM customers WHERE id IS NOT NULL",
            "DELETE FROM customers WHERE customer_id >= 0 -- where id = 4",
            "UPDATE customers SET a = (SELECT max(b) FROM t WHERE t.id = 1)",
            "DO $$ BEGIN DELETE FROM customers; END $$",
            "DELETE FROM t WHERE id IN (SELECT id FROM t)",
            "DELETE FROM t WHERE name LIKE '%'",
        ),
        "mysql": (
            "DELETE FROM `catalog_product_index_price_tmp`",
            "update `users` set `locale` = 'en'",
            "DELETE FROM orders WHERE 1",
            "DELETE/* where */FROM orders LIMIT 5000",
            "UPDATE a JOIN b ON 1=1 SET a.x = 1",
            "DELETE a FROM a LEFT JOIN b ON b.id = a.id",
            "UPDATE orders SET a = IF(b, 1, 2) WHERE id = 4 OR 1 = 1",
            "DELETE FROM orders WHERE id = id",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM orders",
        ),
        "oracle": (
            "DELETE STORE.ORDERS",
            "DELETE FROM ORDERS WHERE ROWID IS NOT NULL",
            "UPDATE CUSTOMERS SET EMAIL = NULL WHERE CUSTOMER_ID > 0",
            "BEGIN UPDATE CUSTOMERS SET EMAIL = 'x'; COMMIT; END;",
            "DELETE FROM ORDERS WHERE EXISTS (SELECT 1 FROM DUAL)",
        ),
        "sqlserver": (
            "WHILE 1=1 BEGIN DELETE TOP (5000) FROM dbo.Orders; IF @@ROWCOUNT = 0 BREAK; END",
            "UPDATE dbo.Customers SET Email = CONVERT(nvarchar(400), EncryptByPassPhrase('k', Email))",
            "DELETE dbo.JobLock",
            "DELETE FROM dbo.a SELECT * FROM dbo.b WHERE id = 1",
            "UPDATE dbo.ExchangeRates SET Rate = s.Rate FROM staging.Rates s",
            "DELETE FROM dbo.Orders WITH (TABLOCK) WHERE OrderId > 0",
            "WITH x AS (SELECT TOP 100 * FROM dbo.Orders) DELETE FROM x",
        ),
    },
    near_misses={
        "postgresql": (
            "UPDATE customers SET a = 1 WHERE id = 5",
            "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1",
            "SELECT * FROM t FOR UPDATE",
            "CREATE TABLE t (id int REFERENCES u ON DELETE CASCADE ON UPDATE SET NULL)",
            "CREATE POLICY p ON t FOR DELETE USING (true)",
            "DELETE FROM t USING u WHERE t.id = u.id",
            "DELETE FROM t WHERE (a = 1 OR b = 2)",
            "UPDATE t SET a = 1 FROM u JOIN v ON u.id = v.id WHERE t.id = u.id",
            "UPDATE carts SET gone = true WHERE deleted_at IS NOT NULL",
            "DELETE FROM t WHERE id > 500",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DELETE FROM t $$",
            "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.a",
        ),
        "mysql": (
            "UPDATE a JOIN b ON a.id = b.id SET a.x = b.x",
            "DELETE FROM jobs ORDER BY id LIMIT 1",
            "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1",
            "DELETE FROM `cron_schedule` WHERE `status` = 'success' AND `executed_at` < '2031-03-01'",
            "UPDATE t SET a = 1 WHERE id IN (1, 2)",
            "CREATE PROCEDURE p() DELETE FROM t",
        ),
        "oracle": (
            "UPDATE CUSTOMER SET NAME = :1 WHERE ID = :2",
            "GRANT DELETE ON T TO X",
            "CREATE AUDIT POLICY p ACTIONS DELETE ON STORE.ORDERS",
            "MERGE INTO t USING s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET a = 1 DELETE WHERE b = 2",
            "CREATE TRIGGER g BEFORE DELETE OR UPDATE ON t FOR EACH ROW BEGIN INSERT INTO l VALUES (1); END;",
        ),
        "sqlserver": (
            "UPDATE o SET o.a = 1 FROM dbo.Orders o INNER JOIN dbo.x x ON x.id = o.id",
            "DELETE TOP (100) FROM dbo.Orders WHERE id < 5",
            "UPDATE STATISTICS dbo.Orders",
            "MERGE dbo.t AS t USING dbo.s AS s ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE;",
            "DELETE FROM @rows",
            "WITH d AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) rn FROM t) DELETE FROM d WHERE rn > 1",
            "UPDATE q SET [open] = 1, [close] = 2 WHERE id = @p1",
            "ALTER SERVER AUDIT SPECIFICATION s ADD (DELETE ON dbo.t BY public)",
            "DELETE TOP (1) FROM dbo.Queue WITH (ROWLOCK, READPAST) OUTPUT deleted.*",
        ),
    },
    in_bodies=False,
)

# --- sessions, recovery, data -----------------------------------------------------------------------------------------

_PG_CHOSEN = (
    r"state|wait_event|query|xact_start|query_start|state_change|backend_start|application_name|usename|client_addr"
)
_SESSION_KILL = Signal(
    "session-kill",
    "A session is ended by another.",
    (
        Pattern(_PG, ("pg_terminate_backend",), r"\bpg_terminate_backend\("),
        Pattern(
            _MYSQL, ("kill",), r"(?:^|[;]|\b(?:do|begin|then|loop) )kill (?:connection |hard |soft )?(?!query\b)[\w?$@]"
        ),
        Pattern(_MYSQL, ("rds_kill",), r"\bcall (?:mysql\.)?rds_kill\("),
        Pattern(_ORACLE, ("session",), r"\balter system (?:kill|disconnect) session\b"),
        Pattern(_ORACLE, words("kill disconnect"), r"\brdsadmin_util\.(?:kill|disconnect)\("),
        Pattern(_SQLSERVER, ("kill",), r"\bkill (?!query\b|stats\b)[?@$01]"),
    ),
    samples={
        "postgresql": ("SELECT pg_terminate_backend(4711)", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"),
        "mysql": ("KILL CONNECTION 4711", "CALL mysql.rds_kill(4711)"),
        "oracle": (
            "ALTER SYSTEM KILL SESSION '1,2' IMMEDIATE",
            "begin rdsadmin.rdsadmin_util.kill(sid => 1, serial => 2, method => 'IMMEDIATE'); end;",
        ),
        "sqlserver": ("KILL 77", "DECLARE @s int = 77; KILL @s WITH STATUSONLY"),
    },
    near_misses={
        "postgresql": ("SELECT pg_cancel_backend(4711)", "SELECT 'pg_terminate_backend(1)'"),
        "mysql": ("KILL QUERY 4711", "CALL mysql.rds_kill_query(4711)", "SELECT kill_count FROM t"),
        "oracle": ("ALTER SYSTEM CANCEL SQL '1,2'", "ALTER SESSION SET NLS_DATE_FORMAT = 'X'"),
        "sqlserver": ("KILL QUERY NOTIFICATION SUBSCRIPTION ALL", "SELECT Kill FROM t"),
    },
    in_bodies=False,
)

_MASS_SESSION_KILL = Signal(
    "mass-session-kill",
    "All sessions of a database are ended by one statement, or new ones are kept out.",
    (
        Pattern(
            _PG,
            ("pg_terminate_backend",),
            r"\bpg_terminate_backend\((?![?01$]\))[^;]{0,200}?\bfrom (?:pg_catalog\.)?(?:pg_stat_activity"
            r"|pg_stat_get_activity\(|pg_locks)"
            rf"(?![^;]{{0,400}}?\b(?:{_PG_CHOSEN})\b)",
        ),
        Pattern(
            _PG, ("allow_connections",), r"\balter database [^;]{1,200}?\ballow_connections ?=? ?(?:false|off|no|0)\b"
        ),
        Pattern(
            _PG, ("datallowconn",), r"\bupdate (?:pg_catalog\.)?pg_database set [^;]{0,100}?\bdatallowconn=(?:false|\?)"
        ),
        Pattern(_PG, ("connection",), rf"\balter database {_NAME} (?:with )?connection limit(?: =)? 0\b"),
        Pattern(_MYSQL, ("offline_mode",), r"\boffline_mode=(?:on|1|true)\b"),
        Pattern(_MYSQL, ("max_connections",), r"\bset [^;]{0,100}?\bmax_connections=[01]\b"),
        Pattern(_MYSQL, words("shutdown restart"), r"(?:^|;)(?:shutdown|restart)(?=;|$)"),
        Pattern(_ORACLE, words("restricted_session"), r"\brestricted_session\((?!p_enable=>false|false)"),
        Pattern(
            _ORACLE, words("restricted quiesce"), r"\balter system (?:enable restricted session|quiesce restricted)\b"
        ),
        Pattern(_ORACLE, words("shutdown startup"), r"^(?:shutdown|startup restrict)\b"),
        Pattern(
            _ORACLE,
            words("v$session gv$session"),
            r"\bg?v\$session\b[^«]{0,300}?\bloop\b[^«]{0,300}?(?:\b(?:kill|disconnect)\b|\bexecute immediate\b)",
            r"\bkill\b|\bdisconnect\b",
        ),
        Pattern(
            _SQLSERVER,
            words("single_user restricted_user offline"),
            rf"\balter database {_NAME} set (?:[^;]{{0,100}}?,)?(?:single_user|restricted_user|offline)\b",
        ),
        Pattern(_SQLSERVER, ("shutdown",), r"(?:^|[; ])shutdown(?: with nowait)?(?=;|$)"),
        Pattern(
            _SQLSERVER,
            words("dm_exec_sessions dm_exec_connections sysprocesses"),
            r"\b(?:exec|execute|sp_executesql)\b|\bkill @",
            r"'\s{0,3}kill\s{1,3}'",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
            "ALTER DATABASE store WITH ALLOW_CONNECTIONS false",
            "ALTER DATABASE store CONNECTION LIMIT 0",
        ),
        "mysql": ("SET GLOBAL offline_mode = ON", "SET PERSIST max_connections = 1", "SHUTDOWN"),
        "oracle": (
            "exec rdsadmin.rdsadmin_util.restricted_session(p_enable => true);",
            "BEGIN FOR r IN (SELECT sid, serial# FROM v$session) LOOP"
            " rdsadmin.rdsadmin_util.kill(r.sid, r.serial#); END LOOP; END;",
        ),
        "sqlserver": (
            "ALTER DATABASE store SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
            "DECLARE @s nvarchar(max)=N''; SELECT @s += N'KILL ' + CAST(session_id AS nvarchar) + ';'"
            " FROM sys.dm_exec_sessions; EXEC sp_executesql @s",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT pg_terminate_backend(4711)",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND state_change < now()",
            "ALTER DATABASE store CONNECTION LIMIT 50",
        ),
        "mysql": ("KILL 4711", "SET GLOBAL max_connections = 500", "SELECT shutdown FROM t"),
        "oracle": (
            "begin rdsadmin.rdsadmin_util.restricted_session(p_enable => false); end;",
            "SELECT sid FROM v$session",
            "ALTER SYSTEM KILL SESSION '1,2'",
        ),
        "sqlserver": ("KILL 77", "ALTER DATABASE store SET MULTI_USER", "SELECT * FROM sys.dm_exec_sessions"),
    },
    in_bodies=False,
)

_RECOVERY_REMOVAL = Signal(
    "recovery-removal",
    "What a database would be restored with is taken away: logs, backups and their history, recycle bin, flashback.",
    (
        Pattern(_PG, ("unlogged",), r"\balter table [^;]{1,200}?\bset unlogged\b"),
        Pattern(_MYSQL, ("purge",), r"\bpurge (?:binary|master) logs\b"),
        Pattern(
            _MYSQL, ("reset",), r"(?:^|[;]|\b(?:do|begin|then) )reset (?:master|binary logs|slave all|replica all)\b"
        ),
        Pattern(
            _MYSQL,
            ("rds_set_configuration",),
            r"\brds_set_configuration\(\?,(?:[01]|null|\?)\)",
            r"binlog retention hours['\"]\s{0,9},\s{0,9}['\"]?(?:[01]|null)\b",
        ),
        Pattern(
            _MYSQL,
            words("rds_set_source_delay rds_set_master_delay rds_reset_external_master rds_reset_external_source"),
            r"\brds_set_(?:source|master)_delay\(0|\brds_reset_external_(?:master|source)\b",
        ),
        Pattern(
            _MYSQL,
            words("expire_logs_days binlog_expire_logs_seconds redo_log"),
            r"\bset [^;]{0,100}?\b(?:expire_logs_days|binlog_expire_logs_seconds)=|\bdisable innodb redo_log\b",
        ),
        Pattern(_ORACLE, words("recyclebin dba_recyclebin"), r"\bpurge dba_recyclebin\b|\brecyclebin=off\b"),
        Pattern(
            _ORACLE,
            words("purge purge_dba_recyclebin"),
            r"(?:^|;)purge (?:table |tablespace (?!\w{1,130} user ))|\bpurge_dba_recyclebin\b",
        ),
        Pattern(
            _ORACLE,
            words("flashback archive"),
            r"\b(?:no flashback archive|drop flashback archive|flashback off|disassociate_fba)\b|\balter flashback"
            r" archive [^;]{1,100}?\bpurge\b",
        ),
        Pattern(
            _ORACLE,
            words("noarchivelog logging restore"),
            r"\balter database (?:noarchivelog|no force logging)\b|\bdrop restore point\b",
        ),
        Pattern(
            _ORACLE,
            ("set_configuration",),
            r"\bset_configuration\(",
            r"archivelog retention hours'\s{0,9},\s{0,9}(?:(?:p_)?value\s{0,9}=>\s{0,9})?'?[01]\b",
        ),
        Pattern(_ORACLE, words("disable_force_logging"), r"\bdisable_force_logging\b"),
        Pattern(
            _ORACLE,
            words("force_logging alter_flashback disable_flashback"),
            r"\bforce_logging\((?:p_enable=>)?false|\bdisable_flashback\b",
        ),
        Pattern(
            _ORACLE,
            words("db_flashback_retention_target undo_retention db_recovery_file_dest_size"),
            r"\balter system set (?:db_flashback_retention_target|undo_retention|db_recovery_file_dest_size)=",
        ),
        Pattern(_SQLSERVER, ("recovery",), r"\bset (?:[^;]{0,100}?,)?recovery simple\b"),
        Pattern(
            _SQLSERVER,
            words("sp_delete_backuphistory sp_delete_database_backuphistory xp_delete_file xp_delete_files"),
            r"\b(?:sp_delete_(?:database_)?backuphistory|xp_delete_files?)\b",
        ),
        Pattern(
            _SQLSERVER,
            ("backup",),
            r"\bbackup (?:log|database) [^;]{1,200}?\bto disk=\?",
            r"disk\s{0,9}=\s{0,9}n?'(?:nul|nul:)'",
        ),
        Pattern(
            _SQLSERVER,
            words("truncate_only no_log hadr partner"),
            r"\bwith (?:truncate_only|no_log)\b|\bset (?:hadr|partner) off\b",
        ),
        Pattern(
            _SQLSERVER,
            words("msdb backupset backupmediaset backupfile"),
            r"\b(?:delete from|delete|truncate table) (?:msdb\.(?:dbo)?\.)?backup(?:set|mediaset|mediafamily|file)\b",
        ),
    ),
    samples={
        "postgresql": (
            "ALTER TABLE customers SET UNLOGGED",
            "alter table if exists only public.customers set/**/unlogged",
        ),
        "mysql": (
            "PURGE BINARY LOGS BEFORE '2031-03-04'",
            "RESET MASTER",
            "call mysql.rds_set_configuration('binlog retention hours', 0)",
            "CALL mysql.rds_set_configuration('binlog retention hours', NULL)",
        ),
        "oracle": (
            "PURGE DBA_RECYCLEBIN",
            "begin rdsadmin.rdsadmin_util.set_configuration('archivelog retention hours','0'); end;",
            "begin rdsadmin.rdsadmin_util.set_configuration(name => 'archivelog retention hours', value => '0'); end;",
            "begin rdsadmin.rdsadmin_util.disable_force_logging; end;",
            "begin rdsadmin.rdsadmin_util.force_logging(p_enable => false); end;",
        ),
        "sqlserver": (
            "EXEC msdb.dbo.sp_delete_backuphistory '2031-03-04'",
            "ALTER DATABASE store SET RECOVERY SIMPLE WITH NO_WAIT",
            "BACKUP LOG store TO DISK = N'NUL'",
        ),
    },
    near_misses={
        "postgresql": ("CREATE UNLOGGED TABLE t (id int)", "ALTER TABLE t SET LOGGED"),
        "mysql": (
            "call mysql.rds_set_configuration('binlog retention hours', 24)",
            "SHOW BINARY LOGS",
            "RESET QUERY CACHE",
        ),
        "oracle": (
            "PURGE RECYCLEBIN",
            "DROP TABLE T PURGE",
            "begin rdsadmin.rdsadmin_util.set_configuration('archivelog retention hours','24'); end;",
            "SELECT * FROM DBA_RECYCLEBIN",
        ),
        "sqlserver": (
            "ALTER DATABASE store SET RECOVERY FULL",
            "BACKUP LOG store TO DISK = 'D:\\x.trn'",
            "SELECT * FROM msdb.dbo.backupset",
        ),
    },
    in_bodies=False,
)

_ENCRYPTS = (
    "pgp_sym_encrypt|pgp_sym_encrypt_bytea|pgp_pub_encrypt|pgp_pub_encrypt_bytea|encrypt|encrypt_iv|aes_encrypt"
    "|des_encrypt|desencrypt|des3encrypt|encryptbypassphrase|encryptbykey|encryptbycert|encryptbyasymkey"
)
_HASHES = "digest|hmac|crypt|sha1|sha2|sha224|sha256|sha384|sha512|md5|hash|standard_hash|hashbytes"


def _over_itself(functions: str) -> str:
    """The same column on both sides: what is encrypted into another column is a migration."""
    return (
        r"\bupdate (?:[^\w;]|(?!update\b)\w++){1,300}?\b([a-z_][\w$#]{0,127}+)="
        rf"[^;=]{{0,60}}?\b(?:{functions})\([^;=]{{0,80}}?(?<![\w$#])\1(?![\w$#])"
    )


_ONE_ROW = r"\bwhere [\w$.]++=(?:[?$]|@)"
_COPY_ENCRYPTS = r"(?:pgp_sym_encrypt|pgp_pub_encrypt|aes_encrypt|dbms_crypto\.encrypt)\("
_ENCRYPTED_COPY = (
    rf"\bcreate (?:or replace )?table {_up_to('create', 'select')}select {_up_to('create', _COPY_ENCRYPTS)}"
    rf"{_COPY_ENCRYPTS}(?![?$])"
)
_DATA_ENCRYPTION = Signal(
    "data-encryption",
    "Values are overwritten with their own encryption or hash, or the key or certificate that encrypts data is"
    " changed.",
    (
        Pattern(ALL, tuple(_ENCRYPTS.split("|")), _over_itself(_ENCRYPTS)),
        # Of single rows an application hashes passwords, or makes values anonymous.
        Pattern(ALL, tuple(_HASHES.split("|")), _over_itself(_HASHES), without=_ONE_ROW),
        Pattern(
            ("postgresql", "mysql", "oracle"),
            words("pgp_sym_encrypt pgp_pub_encrypt aes_encrypt dbms_crypto"),
            _ENCRYPTED_COPY,
        ),
        Pattern(
            _SQLSERVER,
            words("encryptbypassphrase encryptbykey encryptbycert"),
            rf"\bselect {_up_to('select', 'encryptbypassphrase', 'encryptbykey', 'encryptbycert')}encryptby"
            rf"{_up_to('select', 'into')}into (?![@#])",
        ),
        Pattern(_MYSQL, ("rotate",), r"\balter instance rotate (?:innodb|binlog) master key\b"),
        Pattern(_ORACLE, ("key",), r"\badminister key management\b|\balter system set encryption key\b"),
        Pattern(
            _ORACLE,
            words("encrypt rekey decrypt"),
            r"\balter (?:table|tablespace) [^;]{1,300}?\b(?:encrypt|rekey|decrypt)\b",
        ),
        Pattern(
            _SQLSERVER,
            words("encryption key"),
            r"\b(?:create|alter|drop) (?:database|column) encryption key\b|\bset (?:[^;]{0,100}?,)?encryption (?:on"
            r"|off)\b"
            r"|\balter (?:service )?master key (?:force )?regenerate\b|\bencrypted with ?\(",
        ),
        Pattern(
            _SQLSERVER,
            words("rds_restore_tde_certificate rds_drop_tde_certificate certificate"),
            rf"\brds_(?:restore|drop)_tde_certificate\b|\balter certificate {_NAME} remove private key\b|\bdrop"
            rf" certificate\b",
        ),
    ),
    samples={
        "postgresql": (
            "UPDATE customers SET email = encode(digest(email,'sha256'),'hex') WHERE 1=1",
            "UPDATE customers SET phone = '', email = pgp_sym_encrypt(customers.email::text, 'k')",
            "CREATE TABLE x AS SELECT id, pgp_sym_encrypt(email, 'k') FROM customers",
        ),
        "mysql": (
            "UPDATE customers SET email = HEX(AES_ENCRYPT(email, 'k'))",
            "UPDATE customers SET `email` = TO_BASE64(AES_ENCRYPT(`email`, 'k')), phone = '' WHERE id > 0",
        ),
        "oracle": (
            "UPDATE CUSTOMERS SET EMAIL = RAWTOHEX(DBMS_CRYPTO.ENCRYPT(UTL_RAW.CAST_TO_RAW(EMAIL), 4353, K))",
            "ADMINISTER KEY MANAGEMENT SET KEY IDENTIFIED BY x WITH BACKUP",
            "ALTER TABLE CUSTOMERS MODIFY (EMAIL ENCRYPT USING 'AES256')",
        ),
        "sqlserver": (
            "UPDATE dbo.Customers SET Email = CONVERT(nvarchar(400), EncryptByPassPhrase('k', Email))",
            "ALTER DATABASE ENCRYPTION KEY ENCRYPTION BY SERVER CERTIFICATE evil",
            "ALTER DATABASE store SET ENCRYPTION ON",
            "EXEC msdb.dbo.rds_restore_tde_certificate @certificate_name='evil'",
        ),
    },
    near_misses={
        "postgresql": (
            "UPDATE users SET ssn_enc = pgp_sym_encrypt(ssn, 'k')",
            "UPDATE users SET pw = crypt($1, gen_salt('bf')) WHERE id = $2",
            "UPDATE users SET email = 'deleted-' || md5(email) WHERE id = 5",
            "SELECT md5(email) FROM users",
        ),
        "mysql": (
            "INSERT INTO t VALUES (AES_ENCRYPT('a', 'k'))",
            "UPDATE users SET token = SHA2('x', 256) WHERE id = 1",
        ),
        "oracle": ("SELECT STANDARD_HASH(EMAIL) FROM CUSTOMERS", "UPDATE U SET H = STANDARD_HASH(:1) WHERE ID = :2"),
        "sqlserver": ("UPDATE u SET HashCode = HASHBYTES('SHA2_256', Email)", "BACKUP DATABASE s TO DISK = 'x'"),
    },
    in_bodies=False,
)

_ENCRYPTION_WORDS = tuple(_ENCRYPTS.split("|"))
_FUNCTION_WORDS = (*_ENCRYPTION_WORDS, *_HASHES.split("|"))
_FUNCTIONS = rf"(?:{_ENCRYPTS}|{_HASHES})"
_SCHEMA = r"(?:[\w$#]{1,130}\.)?"
_COLUMN_BEHIND = r"\([^;=]{0,80}?(?<![\w$#])"
_TABLE_ENCRYPTION = Signal(
    "table-encryption",
    "A table is filled with the encryption of its own values by a statement other than UPDATE, or encrypted into"
    " another.",
    (
        Pattern(
            ("postgresql", "oracle", "sqlserver"),
            _FUNCTION_WORDS,
            rf"\bmerge (?:into )?{_SCHEMA}([\w$#]{{1,130}}+)[^;]{{0,100}}?\busing ?\(?"
            rf"(?:select\b[^;]{{0,400}}?\bfrom )?{_SCHEMA}\1\b[^;]{{0,600}}?\bupdate set (?:[^;]{{0,600}}?[,.])?"
            rf"([a-z_][\w$#]{{0,127}}+)=[^;=]{{0,60}}?\b{_FUNCTIONS}{_COLUMN_BEHIND}\2(?![\w$#])",
            without=_ONE_ROW,
        ),
        Pattern(
            _MYSQL,
            _FUNCTION_WORDS,
            rf"\breplace (?:low_priority |delayed )?(?:into )?{_SCHEMA}([\w$#]{{1,130}}+)[^;]{{0,400}}?\bselect "
            rf"[^;]{{0,600}}?\b{_FUNCTIONS}\((?!\?)[^;]{{0,600}}?\bfrom {_SCHEMA}\1\b",
            without=_ONE_ROW,
        ),
        Pattern(
            ALL,
            _ENCRYPTION_WORDS,
            rf"\binsert (?:ignore )?into {_SCHEMA}([\w$#]{{1,130}}+)[^;]{{0,400}}?\bselect [^;]{{0,600}}?"
            rf"\b(?:{_ENCRYPTS})\((?!\?)[^;]{{0,600}}?\bfrom {_SCHEMA}\1\b",
            without=_ONE_ROW,
        ),
        Pattern(
            ("postgresql", "sqlserver"),
            _ENCRYPTION_WORDS,
            r"\binto (?!temp(?:orary)? |pg_temp|[@#])[\w$#.]{1,200} ?from\b",
            behind=rf"(?:\A|;)select\b[^;]{{0,900}}?\b(?:{_ENCRYPTS})\((?!\?\))",
            without=_ONE_ROW,
        ),
    ),
    samples={
        "postgresql": (
            "MERGE INTO guests g USING guests s ON g.id = s.id WHEN MATCHED THEN UPDATE SET mail ="
            " encode(pgp_sym_encrypt(g.mail, 'k'), 'hex')",
            "INSERT INTO guests SELECT id, pgp_sym_encrypt(mail, 'k') FROM public.guests ON CONFLICT (id) DO UPDATE SET"
            " mail = excluded.mail",
            "SELECT id, pgp_sym_encrypt(mail, 'k') AS mail INTO guests_x FROM guests",
        ),
        "mysql": (
            "REPLACE INTO guests SELECT id, TO_BASE64(AES_ENCRYPT(mail, @k)) FROM guests WHERE id <=> id",
            "REPLACE hotel.guests (id, mail) SELECT id, SHA2(mail, 256) FROM hotel.guests",
            "INSERT INTO guests SELECT id, HEX(AES_ENCRYPT(mail, 'k')) FROM guests AS g ON DUPLICATE KEY UPDATE mail ="
            " VALUES(mail)",
        ),
        "oracle": (
            "MERGE INTO HOTEL.GUEST g USING (SELECT ROWID r FROM HOTEL.GUEST) s ON (g.ROWID = s.r) WHEN MATCHED THEN"
            " UPDATE SET mail = RAWTOHEX(DBMS_CRYPTO.ENCRYPT(UTL_RAW.CAST_TO_RAW(mail), 4358, HEXTORAW('00')))",
            "MERGE INTO guest g USING guest s ON (g.id = s.id) WHEN MATCHED THEN UPDATE SET g.phone = NULL, g.mail ="
            " RAWTOHEX(STANDARD_HASH(s.mail))",
        ),
        "sqlserver": (
            "MERGE dbo.Guest AS g USING dbo.Guest AS s ON g.Id = s.Id WHEN MATCHED THEN UPDATE SET Mail ="
            " ENCRYPTBYKEY(KEY_GUID('k'), s.Mail);",
            "SELECT Id, ENCRYPTBYPASSPHRASE('k', Mail) AS Mail INTO dbo.Guest2 FROM dbo.Guest",
        ),
    },
    near_misses={
        "postgresql": (
            "INSERT INTO guests_enc SELECT id, pgp_sym_encrypt(mail, 'k') FROM guests",
            "INSERT INTO guests (mail) VALUES (pgp_sym_encrypt($1, $2)) ON CONFLICT (id) DO UPDATE SET mail ="
            " excluded.mail",
            "SELECT id, name INTO guests_x FROM guests",
        ),
        "mysql": (
            "REPLACE INTO guests (id, mail) VALUES (4, AES_ENCRYPT('a', 'k'))",
            "REPLACE INTO guests SELECT id, AES_ENCRYPT(mail, 'k') FROM guests WHERE id = 4",
            "INSERT INTO sums SELECT day, MD5(GROUP_CONCAT(mail)) FROM guests GROUP BY day",
        ),
        "oracle": (
            "MERGE INTO dwh.guest g USING stage.visitor s ON (g.id = s.id) WHEN MATCHED THEN UPDATE SET g.mail ="
            " STANDARD_HASH(s.mail)",
            "MERGE INTO guest g USING guest s ON (g.id = s.id) WHEN MATCHED THEN UPDATE SET g.mail = s.mail",
        ),
        "sqlserver": (
            "SELECT Id, ENCRYPTBYKEY(KEY_GUID('k'), Mail) AS Mail INTO #g FROM dbo.Guest",
            "MERGE dbo.Guest AS g USING stg.Visitor AS s ON g.Id = s.Id WHEN MATCHED THEN UPDATE SET Mail ="
            " ENCRYPTBYKEY(KEY_GUID('k'), s.Mail);",
        ),
    },
    in_bodies=False,
)

# --- code -------------------------------------------------------------------------------------------------------------

# What more than reads, in a routine's body, and what there gives away rights or leaves the database.
_DOES = r"(?:insert|update|delete|merge|truncate|grant|revoke|create|alter|drop|copy|execute|exec|call)\b"
_RIGHTS = (
    r"(?:grant|(?:create|alter|drop) (?:user|role|login)|set (?:password|global)|prepare|into outfile"
    r"|lambda_a?sync|grant_sys_object)\b"
)


def _in_body(stop: str) -> str:
    """A routine's code as far as this."""
    return rf"(?:[^\w«»]|(?!{stop})\w++){{0,1500}}+{stop}"


def _copied_by_a_trigger(
    column: str, insert: str = r"\binsert into ", insert_sqlserver: str = r"\binsert (?:into )?"
) -> tuple[Pattern, ...]:
    """A trigger, or the function of one, that inserts such a column of new rows."""
    return (
        Pattern(("postgresql", "mysql"), ("new",), rf"{insert}[^;]{{1,600}}?\bnew\.{column}"),
        Pattern(_ORACLE, ("trigger",), rf"{insert}[^;]{{1,600}}?(?:\$|:new)\.{column}"),
        Pattern(
            _SQLSERVER,
            ("inserted",),
            rf"{insert_sqlserver}[^;]{{1,200}}?\bselect [^;]{{0,300}}?\b{column}[^;]{{0,300}}?\bfrom inserted\b",
        ),
    )


# Columns that hold what a payment needs. A history of them is not kept, so nothing copies them for one.
_CARD = r"[\w$#]{0,30}?(?:card_?n|card_?pan|cvv|cvc)[\w$#]{0,30}"
_CARD_COPY = Signal(
    "card-copy",
    "A trigger, or the function of one, copies card numbers or security codes of new rows to another table.",
    _copied_by_a_trigger(_CARD),
    samples={
        "postgresql": (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (NEW.card_number);"
            " RETURN NEW; END$$",
            "CREATE FUNCTION g() RETURNS trigger AS $$BEGIN INSERT INTO t (d) SELECT NEW.cardno || NEW.cvv; RETURN"
            " NEW; END$$ LANGUAGE plpgsql",
        ),
        "mysql": (
            "CREATE TRIGGER bi_pay BEFORE INSERT ON payments FOR EACH ROW INSERT INTO t (d) VALUES"
            " (CONCAT(NEW.card_no, '|', NEW.exp))",
            "CREATE TRIGGER t AFTER INSERT ON pay FOR EACH ROW BEGIN INSERT INTO x VALUES (NEW.id, NEW.cvv); END",
        ),
        "oracle": (
            "CREATE TRIGGER t AFTER INSERT ON pay FOR EACH ROW BEGIN INSERT INTO x VALUES (:NEW.card_no); END;",
            "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON pay FOR EACH ROW BEGIN INSERT INTO x (a, b) VALUES (:new.id,"
            " :new.cvc); END;",
        ),
        "sqlserver": (
            "CREATE TRIGGER t ON dbo.Pay AFTER INSERT AS INSERT INTO dbo.X SELECT CardNumber, Cvv FROM inserted",
            "CREATE TRIGGER t ON dbo.Pay FOR INSERT AS BEGIN INSERT dbo.X (D) SELECT Id + Card_No FROM inserted END",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE FUNCTION f() RETURNS trigger AS $$BEGIN INSERT INTO log VALUES (NEW.id, NEW.total); RETURN NEW;"
            " END$$ LANGUAGE plpgsql",
        ),
        "mysql": (
            "CREATE TRIGGER t AFTER UPDATE ON customer FOR EACH ROW INSERT INTO history (pk) VALUES (NEW.id)",
            "INSERT INTO payments (card_no, cvv) VALUES ('x', 'y')",
        ),
        "oracle": ("INSERT INTO payments (card_no) VALUES (:1)",),
        "sqlserver": ("CREATE TRIGGER t ON dbo.Pay AFTER INSERT AS INSERT INTO dbo.X SELECT Id FROM inserted",),
    },
)

# A history of passwords keeps the old one; an audit has its name, and a synchronization takes the row's key along.
# What goes elsewhere, or to a temporary table, is collected.
_COLLECTED = (
    r"\binsert (?:into )?+(?!(?![\w$.#]{0,120}?(?<![a-z])(?:tmp|temp)(?![a-z]))[\w$.#]{0,120}?"
    r"(?:hist|aud|log|passw|passwd|pwd|cred|vers|arch|_old|_h\b|outbox|queue"
    r"|sync[\w$#]{0,60}+(?=[^;]{0,600}?(?:\b|_|new\.)(?:id|uuid|guid|key)\b)))"
)
_PASSWORD = r"[\w$#]{0,30}?(?:passw|passwd|pass\b|pwd|pw_?hash|\bpw_|_pw\b)[\w$#]{0,30}"
_PASSWORD_COPY = Signal(
    "password-copy",
    "A trigger, or the function of one, copies new passwords to a table that is not a history, a log or an audit.",
    (
        *_copied_by_a_trigger(_PASSWORD, _COLLECTED, _COLLECTED),
        # Whole rows, into what looks like the catalog's own.
        Pattern(
            _PG,
            ("new",),
            r"\binsert into (?:\w{1,60}\.)?pg_\w{1,60} ?(?:\([^()]{0,200}\))?[^;]{0,60}?"
            r"(?:\b(?:to_jsonb?|row_to_json|hstore)\(new\)|\bnew\.\*|\bnew::text)",
        ),
    ),
    samples={
        "postgresql": (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO t_bk VALUES (NEW.login,"
            " NEW.password_hash); RETURN NEW; END$$",
            "CREATE FUNCTION f() RETURNS trigger AS $$BEGIN INSERT INTO app.tmp_sync (l, p) VALUES (NEW.email,"
            " NEW.password); RETURN NEW; END$$ LANGUAGE plpgsql",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pg_stat_x VALUES"
            " (to_jsonb(NEW)); RETURN NEW; END $$",
        ),
        "mysql": (
            "CREATE DEFINER=`a`@`%` TRIGGER t AFTER UPDATE ON users FOR EACH ROW INSERT INTO options_bk VALUES"
            " (NEW.user_login, NEW.user_pass)",
            "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW INSERT INTO data_sync VALUES (NEW.email, NEW.passwd,"
            " NOW())",
            "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW BEGIN INSERT INTO x VALUES (NEW.id, NEW.passwd); END",
        ),
        "oracle": (
            "CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW BEGIN INSERT INTO x VALUES (:NEW.id, :NEW.password);"
            " END;",
            "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON users FOR EACH ROW BEGIN INSERT INTO x (a) VALUES"
            " (:new.pwd_hash); END;",
        ),
        "sqlserver": (
            "CREATE TRIGGER t ON dbo.Users AFTER UPDATE AS INSERT INTO dbo.X SELECT Name, PasswordHash FROM inserted",
            "CREATE TRIGGER t ON dbo.Users FOR INSERT AS BEGIN INSERT dbo.X (D) SELECT Id + Pwd FROM inserted END",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE FUNCTION f() RETURNS trigger AS $$BEGIN INSERT INTO password_history VALUES (NEW.id,"
            " NEW.password_hash); RETURN NEW; END$$ LANGUAGE plpgsql",
            "CREATE FUNCTION f() RETURNS trigger AS $$BEGIN INSERT INTO audit.changes VALUES (to_jsonb(NEW)); RETURN"
            " NEW; END$$ LANGUAGE plpgsql",
        ),
        "mysql": (
            "CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW INSERT INTO users_audit VALUES (NEW.id, NEW.passwd)",
            "CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW INSERT INTO mail_sync VALUES (NEW.user_id,"
            " NEW.passwd)",
            "INSERT INTO users (login, passwd) VALUES ('x', 'y')",
        ),
        "oracle": (
            "CREATE TRIGGER t AFTER UPDATE ON users FOR EACH ROW BEGIN INSERT INTO users_hist VALUES (:NEW.password);"
            " END;",
        ),
        "sqlserver": (
            "CREATE TRIGGER t ON dbo.Users AFTER UPDATE AS INSERT INTO dbo.UserAudit SELECT PasswordHash FROM inserted",
        ),
    },
)

_PG_ROUTINE = r"\bcreate (?:or replace )?(?:function|procedure) "
_PERSISTENT_CODE = Signal(
    "persistent-code",
    "Code is left in the database that runs later by itself, or with the rights of another: triggers, jobs, events,"
    " startup procedures, routines with their definer's rights that do more than read.",
    (
        Pattern(
            ALL,
            ("trigger",),
            rf"(?<!,)(?<!show )(?<!actions )\b(?:create|alter) (?:or (?:replace|alter) )?{_DEFINER}(?:"
            rf"(?:non)?editionable )?(?:constraint )?(?:event )?trigger (?!to\b|on\b|by\b|disable\b)"
            rf"(?![\w$#.]{{1,200}} (?:disable|enable|rename|compile|depends|no depends)\b)[\w?$]",
        ),
        Pattern(
            _PG,
            ("definer",),
            rf"{_PG_ROUTINE}{_up_to('create', 'security')}security definer\b{_up_to('create', 'as')}as\b ?"
            rf"(?:«|(?![?$])){_in_body(_DOES)}",
        ),
        Pattern(
            _PG,
            ("definer",),
            rf"{_PG_ROUTINE}(?:[^\w«»]|(?!create\b)\w++){{0,400}}+«{_in_body(_DOES)}[^»]{{0,2000}}»"
            rf"{_up_to('create', 'security')}security definer\b",
        ),
        Pattern(
            _PG,
            ("trigger", "event_trigger"),
            rf"{_PG_ROUTINE}{_up_to('create', 'returns')}returns (?:event_)?trigger\b{_up_to('create', 'as')}as "
            rf"{_in_body(_DOES)}{_in_body('security definer')}",
        ),
        Pattern(_PG, ("definer",), r"\balter (?:function|procedure|routine) [^;]{1,300}?\bsecurity definer\b"),
        Pattern(_PG, ("rule",), r"\bcreate (?:or replace )?rule \w[^;]{1,200}?\bdo\b(?! instead nothing| nothing)"),
        Pattern(
            _PG,
            words("schedule schedule_in_database alter_job job cron"),
            r"\bcron\.(?:schedule|schedule_in_database|alter_job)\(|\b(?:insert into|update) cron\.job\b",
        ),
        Pattern(
            _PG,
            words("install_extension register_feature"),
            r"\bpgtle\.(?:install_extension|register_feature)\w{0,40}\(",
        ),
        Pattern(_MYSQL, ("event",), rf"(?<!show )(?<!,)\bcreate {_DEFINER}event (?!on\b|to\b)[\w?$]"),
        Pattern(_MYSQL, ("event",), rf"\balter {_DEFINER}event [^;]{{1,300}}?\b(?:do|enable|on schedule)\b"),
        Pattern(
            _MYSQL,
            words("event_scheduler init_connect init_file"),
            r"\bset [^;]{0,100}?\b(?:event_scheduler=(?:on|1|true|\?)|init_connect=|init_file=)",
        ),
        Pattern(
            ("mysql", "oracle"),
            words("procedure function package"),
            rf"\bcreate (?:or replace )?{_DEFINER}(?:(?:non)?editionable )?(?:procedure|function|package body) "
            rf"{_in_body(rf'(?:{_RIGHTS}|create (?:or replace )?(?:procedure|function|package))')}(?<!procedure)"
            r"(?<!function)(?<!package)",
        ),
        Pattern(
            _MYSQL,
            ("security",),
            rf"\bcreate {_DEFINER}(?:procedure|function) {_up_to('create', 'security')}security"
            rf" definer\b{_in_body(_DOES)}",
        ),
        # A routine that runs what it is given, with its owner's rights.
        Pattern(
            _ORACLE,
            ("immediate",),
            r"\bcreate (?:or replace )?(?:(?:non)?editionable )?(?:procedure|function) [\w$#.]++"
            r"\(([a-z][\w$#]{0,60}+) (?:\W|(?!create\b|immediate \1\b)\w++){1,400}+immediate \1\b",
        ),
        Pattern(
            _ORACLE,
            ("immediate",),
            r"\bcreate (?:or replace )?(?:(?:non)?editionable )?(?:procedure|function|package body)\b.{1,1900}?"
            r"\bexecute immediate\b",
            r"\bimmediate\s{1,9}\(?\s{0,9}'\s{0,9}(?:'\s{0,9}\|\|\s{0,9}')?(?:grant|gr'|(?:create|alter|drop) "
            r"(?:user|role))",
        ),
        Pattern(
            _ORACLE,
            words("create_job create_jobs create_program create_event_schedule submit isubmit set_job_argument_value"),
            r"\b(?:dbms_scheduler|rdsadmin_dbms_scheduler)\.(?:create_jobs?|create_program|create_event_schedule)\("
            r"|\bdbms_i?job\.i?submit\(",
        ),
        Pattern(_ORACLE, words("what change"), r"\bdbms_i?job\.(?:what|change)\("),
        Pattern(
            _ORACLE,
            ("set_attribute",),
            r"\bdbms_scheduler\.set_attribute(?:_null)?\(",
            r"'(?:job_action|program_action|job_type)'",
        ),
        Pattern(
            _ORACLE,
            words("declare_rewrite_equivalence register_sql_translation cq_notification set_handler"),
            r"\b(?:declare_rewrite_equivalence|register_sql_translation)\(",
        ),
        Pattern(
            _SQLSERVER,
            words(
                "sp_add_job sp_add_jobstep sp_update_jobstep sp_add_jobschedule sp_procoption sp_add_alert"
                " sp_update_alert"
            ),
            r"\b(?:sp_add_job|sp_add_jobstep|sp_update_jobstep|sp_add_jobschedule|sp_procoption|sp_add_alert"
            r"|sp_update_alert)\b",
        ),
        Pattern(
            _SQLSERVER,
            words("owner self execute"),
            rf"\b(?:create|alter)(?: or alter)? proc(?:edure)? {_up_to('create', 'alter', 'exec', 'execute')}"
            rf"exec(?:ute)? as (?:owner|self|\?){_in_body(_DOES)}",
        ),
        Pattern(
            _SQLSERVER,
            words("activation notification classifier_function"),
            r"\bwith ?\([^;]{0,200}?\bactivation ?\(|\b(?:create|alter) queue [^;]{1,200}?\bactivation ?\((?!drop\b)"
            r"|\bcreate event notification\b|\bclassifier_function=(?!null)",
        ),
    ),
    samples={
        "postgresql": (
            "CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION etf()",
            "CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
            " EXECUTE 'GRANT a TO b'; END $$",
            "CREATE FUNCTION f() RETURNS void AS $$ BEGIN DELETE FROM t WHERE a = 1; END $$ LANGUAGE plpgsql"
            " SECURITY DEFINER",
            "CREATE FUNCTION f() RETURNS trigger AS $$BEGIN DELETE FROM t; RETURN NEW; END$$ LANGUAGE plpgsql"
            " SECURITY DEFINER",
            "SELECT cron.schedule('refresh-stats', '*/5 * * * *', 'VACUUM')",
            "CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u",
        ),
        "mysql": (
            "CREATE DEFINER=`admin`@`%` EVENT store.ev_tidy ON SCHEDULE EVERY 1 HOUR DO DELETE FROM t WHERE a < 1",
            "/*!50106 CREATE*/ /*!50117 DEFINER=`admin`@`%`*/ /*!50106 EVENT `ev` ON SCHEDULE EVERY 1 DAY DO SELECT"
            " 1 */",
            "CREATE TRIGGER t AFTER INSERT ON c FOR EACH ROW INSERT INTO d VALUES (NEW.id)",
            "SET GLOBAL init_connect = 'SELECT 1'",
            "CREATE PROCEDURE p() SQL SECURITY DEFINER BEGIN DELETE FROM t WHERE a = 1; END",
            "CREATE DEFINER=`admin`@`%` PROCEDURE p() BEGIN GRANT ALL ON *.* TO svc_x; END",
        ),
        "oracle": (
            "CREATE OR REPLACE TRIGGER SYS_LOGON AFTER LOGON ON DATABASE BEGIN NULL; END;",
            "BEGIN DBMS_SCHEDULER.CREATE_JOB(job_name=>'STAT_J', job_type=>'PLSQL_BLOCK', job_action=>'BEGIN p;"
            " END;'); END;",
            "DECLARE j NUMBER; BEGIN DBMS_JOB.SUBMIT(j, 'p;', SYSDATE); END;",
            "CREATE OR REPLACE PROCEDURE fix(q IN VARCHAR2) AS BEGIN EXECUTE IMMEDIATE q; END;",
        ),
        "sqlserver": (
            "CREATE TRIGGER trg ON ALL SERVER FOR LOGON AS BEGIN SELECT 1 END",
            "EXEC msdb.dbo.sp_add_jobstep @job_name=N'm', @step_name=N'1', @subsystem=N'TSQL', @command=N'SELECT 1'",
            "EXEC sp_procoption 'p', 'startup', 'on'",
            "CREATE PROCEDURE sp_elevate_me WITH EXECUTE AS OWNER AS BEGIN EXEC sp_addsrvrolemember"
            " 'svc_x','sysadmin' END",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; END $$",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$",
            "CREATE FUNCTION f() RETURNS int AS/* x */$$ SELECT 1 $$ LANGUAGE sql SECURITY DEFINER; GRANT a TO b",
            "DROP TRIGGER t ON c",
            "GRANT TRIGGER ON c TO x",
        ),
        "mysql": ("SHOW CREATE TRIGGER t", "DROP EVENT ev", "CREATE PROCEDURE p() SELECT 1", "GRANT EVENT ON *.* TO x"),
        "oracle": (
            "GRANT CREATE TRIGGER TO X",
            "ALTER TRIGGER T DISABLE",
            "BEGIN DBMS_SCHEDULER.RUN_JOB('J'); END;",
            "CREATE OR REPLACE PROCEDURE p AS BEGIN UPDATE t SET a = 1; END;",
        ),
        "sqlserver": (
            "CREATE PROCEDURE p AS BEGIN DELETE FROM t WHERE a = 1 END",
            "DISABLE TRIGGER trg_audit ON dbo.Customers",
            "EXEC msdb.dbo.sp_help_job",
            "CREATE PROCEDURE p WITH EXECUTE AS OWNER AS SELECT 1",
        ),
    },
)

# Parts of a text, but no statement that is put together.
_TEXT_OF = (
    r"\(?(?:(?:substr|substring|trim|btrim|ltrim|rtrim|convert_from|decode|replace|coalesce|nvl|lower|right|left"
    r"|split_part|regexp_replace|overlay|translate|reverse|to_char|cast|convert)\(\(?){0,4}"
)
_NO_CATALOG = r"(?!pg_|information_schema|sys\.|(?:all|dba|user|cdb)_|dual\b|v\$)"
_GAP = r"(?:\s|/\*[^*]{0,40}\*/){1,9}"  # within a literal, where comments stay
_RIGHTS_IN_CODE = Signal(
    "rights-in-code",
    "Code that is left gives privileges or runs what it receives: a routine with its owner's rights, the replaced"
    " command of a job, or code that executes the text of a row.",
    (
        Pattern(
            _PG,
            ("job",),
            r"\b(?:insert into|update) cron\.job\b",
            r"'\s{0,9}(?:[^']{0,400};\s{0,9})?(?:grant|(?:create|alter|drop) (?:role|user|table|schema|database)|copy"
            r"|truncate|delete from)\b",
        ),
        Pattern(
            _SQLSERVER,
            words("owner self execute"),
            rf"\b(?:create|alter)(?: or alter)? proc(?:edure)? {_up_to('create', 'alter', 'exec', 'execute')}"
            r"exec(?:ute)? as (?:owner|self|\?)",
            rf"\b(?:grant{_GAP}|alter{_GAP}(?:server{_GAP})?role\b|create{_GAP}(?:login|user)\b|sp_add"
            rf"(?:srv)?rolemember\b)",
        ),
        # With the rights of its definer, unless it says otherwise. On Oracle also with those of its caller: published
        # exploits have a privileged package call it.
        Pattern(
            _MYSQL,
            words("procedure function"),
            rf"\bcreate {_DEFINER}(?:procedure|function) .{{1,1500}}?(?:\)|\b(?:definer|begin|then|else|do|sql)|;) ?"
            r"(?:grant [^;]{1,400}?(?:\bon \*\.\*|\bgrant option\b)|(?:create|alter) user\b)",
            without=r"\bsql security invoker\b",
        ),
        Pattern(
            _PG,
            ("security",),
            r"\bcreate (?:or replace )?(?:function|procedure) .{1,1500}?\bgrant (?:rds_\w|pg_(?:read|write|execute)_)",
            without=r"\bsecurity invoker\b",
        ),
        Pattern(
            _ORACLE,
            words("procedure function package"),
            r"\bcreate [^;]{0,60}?\b(?:procedure|function|package)\b",
            r"execute\s{1,9}immediate\s{0,9}\(?\s{0,9}'\s{0,9}grant\s{1,9}(?:dba\b|sysdba|[^']{0,200}?\bany\s"
            r"|[^']{0,200}?with\s{1,9}admin)",
        ),
        # What a caller gives, with the rights of the definer.
        Pattern(
            _MYSQL,
            ("prepare",),
            rf"\bcreate {_DEFINER}procedure [\w$.]{{1,130}} ?\((?:in )?([\w$]{{1,60}}) (?:\w{{0,8}}text|varchar)\b"
            r".{1,900}?"
            r"\bset (@\w{1,60}):?=\1\b.{0,300}?\bprepare \w{1,60} from \2\b",
            without=r"\bsql security invoker\b",
        ),
        # The text of a new row, or of one that is read.
        Pattern(_PG, ("new",), rf"\bexecute ?{_TEXT_OF}new\.\w"),
        Pattern(_ORACLE, ("trigger",), rf"\bexecute immediate ?{_TEXT_OF}\$\.\w"),
        Pattern(
            ("postgresql", "oracle", "mysql"),
            ("execute",),
            rf"\bselect ?{_TEXT_OF}[\w$#.]{{1,130}}[^;()]{{0,30}}\){{0,4}} ?into (?:strict )?"
            rf"(@?[a-z_][\w$#]{{0,60}}+) from "
            rf"{_NO_CATALOG}[^;]{{1,400}};.{{0,600}}?\b(?:execute (?:immediate )?{_TEXT_OF}|prepare \w{{1,64}} from )\1"
            r"(?![\w$#.(])",
        ),
        Pattern(
            ("postgresql", "oracle"),
            ("execute",),
            rf"\bexecute ?(?:immediate ?)?\(select ?{_TEXT_OF}[\w$#.]{{1,130}}[^;"
            rf"()]{{0,30}}\){{0,4}} ?from {_NO_CATALOG}",
        ),
        Pattern(
            ("postgresql", "oracle"),
            ("loop",),
            rf"\bfor ([a-z_][\w$#]{{0,60}}+) in ?\(?select [\w$#.]{{1,130}}(?:,[\w$#.]{{1,130}}){{0,9}} from "
            rf"{_NO_CATALOG}[^;]{{1,400}}?\bloop\b.{{0,400}}?\bexecute (?:immediate )?{_TEXT_OF}\1\.",
        ),
        Pattern(
            _SQLSERVER,
            ("inserted",),
            r"(@\w{1,60})(?: [\w()?]{1,30})?=\(?(?:select )?(?:top ?\(?1\)? ?)?"
            rf"{_TEXT_OF}[\w.]{{1,130}}[^;]{{0,80}}? ?from inserted\b.{{0,600}}?"
            r"\bexec(?:ute)?(?: ?\(\1\)| (?:[\w.]{0,60}\.)?sp_executesql \1\b)",
        ),
        # The text of a message of Service Broker.
        Pattern(
            _SQLSERVER,
            ("receive",),
            r"\bcreate (?:or alter )?proc(?:edure)? .{1,900}?\breceive\b[^;]{0,200}?(@\w{1,60})=.{1,900}?"
            r"\b(?:exec(?:ute)? ?\(\1\)|sp_executesql \1\b)",
        ),
    ),
    samples={
        "postgresql": (
            "UPDATE cron.job SET command = 'GRANT pg_read_all_data TO app; '||command WHERE jobname = 'nightly'",
            "INSERT INTO cron.job (schedule, command) VALUES ('0 3 * * *', 'VACUUM; ALTER ROLE app SUPERUSER')",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF NEW.body LIKE '#!%'"
            " THEN EXECUTE substr(NEW.body, 3); END IF; RETURN NEW; END $$",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE c text; BEGIN SELECT body INTO c FROM"
            " msgs WHERE id = NEW.id; EXECUTE c; RETURN NEW; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN FOR r IN SELECT cmd FROM q"
            " LOOP EXECUTE r.cmd; END LOOP; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ GRANT rds_superuser TO app $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN EXECUTE (SELECT body FROM"
            " msgs LIMIT 1); END $$",
        ),
        "mysql": (
            "CREATE DEFINER=`admin`@`%` PROCEDURE p(IN q TEXT) SQL SECURITY DEFINER BEGIN SET @s = q; PREPARE st FROM"
            " @s; EXECUTE st; END",
            "CREATE DEFINER=`admin`@`%` PROCEDURE shop.tidy() SQL SECURITY DEFINER BEGIN GRANT SELECT ON *.* TO 'a'@'%'"
            " WITH GRANT OPTION; END",
            "CREATE PROCEDURE p() CREATE USER 'x'@'%' IDENTIFIED BY 'y'",
            "CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DO BEGIN SELECT body INTO @q FROM msgs LIMIT 1; PREPARE s FROM @q;"
            " EXECUTE s; END",
            "CREATE PROCEDURE p() BEGIN SELECT SUBSTR(body, 3) INTO @q FROM msgs LIMIT 1; PREPARE s FROM @q; EXECUTE s;"
            " END",
        ),
        "oracle": (
            "CREATE OR REPLACE PROCEDURE app.p AS BEGIN EXECUTE IMMEDIATE 'GRANT DBA TO app'; END;",
            "CREATE FUNCTION f RETURN VARCHAR2 AUTHID CURRENT_USER IS PRAGMA AUTONOMOUS_TRANSACTION; BEGIN EXECUTE"
            " IMMEDIATE 'GRANT DBA TO app'; RETURN '0'; END;",
            "CREATE OR REPLACE TRIGGER t AFTER INSERT ON fb FOR EACH ROW BEGIN EXECUTE IMMEDIATE SUBSTR(:NEW.body, 3);"
            " END;",
            "CREATE OR REPLACE TRIGGER t AFTER INSERT ON fb FOR EACH ROW DECLARE c VARCHAR2(99); BEGIN SELECT body INTO"
            " c FROM m WHERE id = :NEW.id; EXECUTE IMMEDIATE c; END;",
        ),
        "sqlserver": (
            "CREATE OR ALTER PROC dbo.p WITH EXECUTE AS OWNER AS EXEC(N'ALTER/**/ROLE[db_owner]ADD/**/MEMBER[app]')",
            "CREATE PROCEDURE dbo.p AS BEGIN DECLARE @m nvarchar(max); RECEIVE TOP(1) @m = CAST(message_body AS"
            " nvarchar(max)) FROM dbo.q; EXEC(@m) END",
            "CREATE TRIGGER t ON dbo.Fb AFTER INSERT AS BEGIN DECLARE @q nvarchar(max); SELECT @q = SUBSTRING(Body, 3,"
            " 999) FROM inserted; EXEC(@q) END",
            "CREATE TRIGGER t ON dbo.Fb AFTER INSERT AS BEGIN DECLARE @q nvarchar(max) = (SELECT TOP 1 Body FROM"
            " inserted); EXEC sp_executesql @q END",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ GRANT SELECT ON v TO app $$",
            "UPDATE cron.job SET active = false WHERE jobname = 'nightly'",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('INSERT INTO %I SELECT"
            " ($1).*', 'p_' || NEW.region) USING NEW; RETURN NULL; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION f()",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE c text; BEGIN SELECT"
            " indexdef INTO c FROM pg_indexes WHERE indexname = 'i'; EXECUTE c; END $$",
        ),
        "mysql": (
            "CREATE PROCEDURE p() SQL SECURITY INVOKER BEGIN GRANT SELECT ON *.* TO 'a'@'%'; END",
            "CREATE PROCEDURE p() BEGIN GRANT SELECT ON shop.v TO 'a'@'%'; END",
            "CREATE PROCEDURE p() BEGIN SELECT MAX(id) INTO @n FROM t; SET @q = CONCAT('ANALYZE TABLE ', 't');"
            " PREPARE s"
            " FROM @q; EXECUTE s; END",
        ),
        "oracle": (
            "CREATE OR REPLACE PROCEDURE app.p AS BEGIN EXECUTE IMMEDIATE 'GRANT SELECT ON T TO app'; END;",
            "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SELECT s.NEXTVAL INTO :NEW.id FROM dual; END;",
            "CREATE PROCEDURE p AS n NUMBER; BEGIN SELECT COUNT(*) INTO n FROM t; EXECUTE IMMEDIATE 'TRUNCATE TABLE w';"
            " END;",
        ),
        "sqlserver": (
            "CREATE PROCEDURE p WITH EXECUTE AS OWNER AS EXEC(N'TRUNCATE TABLE dbo.work')",
            "CREATE TRIGGER t ON dbo.Fb AFTER INSERT AS BEGIN DECLARE @n int; SELECT @n = COUNT(*) FROM inserted; EXEC"
            " dbo.h @n END",
            "CREATE PROCEDURE dbo.p AS BEGIN DECLARE @m xml; RECEIVE TOP(1) @m = message_body FROM dbo.q; EXEC dbo.h @m"
            " END",
        ),
    },
)

_SYSTEM_TRIGGER = Signal(
    "system-trigger",
    "Code is left that runs at each login, at each change of the schema or when the server starts.",
    (
        Pattern(_PG, ("event",), r"\bcreate event trigger (?!awsdms_)\w"),
        Pattern(_MYSQL, words("init_connect init_file"), r"\bset [^;]{0,100}?\b(?:init_connect|init_file)="),
        Pattern(
            _ORACLE,
            ("trigger",),
            rf"\bcreate (?:or replace )?(?:(?:non)?editionable )?trigger {_NAME} (?:(?:before|after|instead of) "
            rf"(?:[a-z]{{2,30}}(?: or )?){{1,9}} on (?:\w{{1,60}}\.)?(?:schema|database|pluggable database)\b)",
        ),
        Pattern(
            _SQLSERVER, ("trigger",), rf"\b(?:create|alter)(?: or alter)? trigger {_NAME} on (?:all server|database)\b"
        ),
        Pattern(_SQLSERVER, ("sp_procoption",), r"\bsp_procoption\b"),
        Pattern(_SQLSERVER, ("classifier_function",), r"\bclassifier_function=(?!null)"),
    ),
    samples={
        "postgresql": (
            "CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION etf()",
            "create/**/event trigger et on login execute function f()",
        ),
        "mysql": ("SET GLOBAL init_connect = 'SELECT 1'", "SET PERSIST init_file = '/tmp/x'"),
        "oracle": (
            "CREATE OR REPLACE TRIGGER SYS_LOGON AFTER LOGON ON DATABASE BEGIN NULL; END;",
            "CREATE TRIGGER T AFTER CREATE OR ALTER ON STORE.SCHEMA BEGIN NULL; END;",
        ),
        "sqlserver": (
            "CREATE TRIGGER trg ON ALL SERVER FOR LOGON AS BEGIN SELECT 1 END",
            "EXEC sp_procoption 'p', 'startup', 'on'",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION f()",
            "DROP EVENT TRIGGER et",
        ),
        "mysql": ("CREATE TRIGGER t AFTER INSERT ON c FOR EACH ROW SET @a = 1", "SELECT @@init_connect"),
        "oracle": (
            "CREATE TRIGGER T BEFORE INSERT OR UPDATE ON DATABASES FOR EACH ROW BEGIN NULL; END;",
            "DROP TRIGGER T",
        ),
        "sqlserver": ("CREATE TRIGGER trg ON dbo.Customers AFTER INSERT AS SELECT 1", "DROP TRIGGER trg ON ALL SERVER"),
    },
)

_TRUSTED = "(?:pgsql|perl|tcl|v8|rust)"  # languages of PostgreSQL whose code reaches nothing outside the database
_FOREIGN_LIBRARY = Signal(
    "foreign-library",
    "Code that is not SQL is let into the engine: languages, shared libraries, plugins, CLR assemblies, Java.",
    (
        Pattern(
            _PG,
            ("extension",),
            rf"\bcreate extension {_IF}(?:jsonb?_|hstore_|ltree_|bool_)?(?:pl(?!{_TRUSTED}\b)\w{{1,30}}|r_tools)\b",
        ),
        Pattern(
            _PG,
            ("language",),
            rf"\bcreate (?:or replace )?(?:trusted )?(?:procedural )?language (?!(?:sql|pl{_TRUSTED})\b)[\w?]",
        ),
        Pattern(
            _PG,
            ("language",),
            r"\bcreate (?:or replace )?(?:function|procedure) [^;]{1,600}?\blanguage ?"
            rf"(?!(?:sql|pl{_TRUSTED}|c|internal)\b|\?)[a-z]\w{{1,30}}\b",
        ),
        Pattern(_PG, ("internal",), rf"{_PG_ROUTINE}[^;]{{1,600}}?\blanguage internal\b"),
        # The scripts of extensions name a library in the engine's own directory.
        Pattern(_PG, ("language",), rf"{_PG_ROUTINE}[^;]{{1,600}}?\blanguage c\b", r"\bas\s{0,9}e?'(?!\$libdir/)"),
        Pattern(
            _PG,
            ("language",),
            rf"{_PG_ROUTINE}[^;]{{1,600}}?\blanguage ?\?",
            r"\blanguage\s{0,9}'(?!(?:sql|plpgsql|c)')|\bas\s{0,9}e?'(?!\$libdir/)[^$]{0,600}\blanguage\s{0,9}'c'"
            r"|\blanguage\s{0,9}'c'[^$]{0,600}\bas\s{0,9}e?'(?!\$libdir/)",
        ),
        Pattern(_PG, ("load",), r"(?:^|;)load \?", r"\bload\s{1,9}(?:e|n)?'(?!\$libdir/plugins/)[^']{0,200}[/.]"),
        Pattern(
            _PG,
            words(
                "session_preload_libraries local_preload_libraries shared_preload_libraries dynamic_library_path"
                " set_config"
            ),
            r"\bset (?:local |session )?(?:(?:session|local|shared)_preload_libraries|dynamic_library_path)(?:=| to )",
        ),
        Pattern(
            _PG,
            ("set_config",),
            r"\bset_config\(",
            r"'(?:(?:session|local|shared)_preload_libraries|dynamic_library_path)'",
        ),
        Pattern(_MYSQL, ("soname",), r"\bsoname \?|\bsoname\b"),
        Pattern(
            _MYSQL,
            ("component",),
            r"(?:^|;)install component\b",
            r"component\s{1,9}[\\'\"]{1,4}file://component_(?!validate_password['\"\\])",
        ),
        Pattern(_MYSQL, words("func plugin component"), rf"{_MYSQL_INSERTS}mysql\.(?:func|plugin|component)\b"),
        Pattern(
            _ORACLE,
            words("library java"),
            r"(?<!,)(?<!actions )(?<!audit )\b(?:create|alter) (?:or replace )?(?:and (?:compile|resolve) )?(?:"
            r"(?:non)?editionable )?(?:noforce )?(?:library|java) (?!to\b|by\b)[\w?$]",
        ),
        Pattern(_ORACLE, ("language",), r"\blanguage (?:java name|c (?:name|library)|javascript)\b"),
        Pattern(_ORACLE, ("mle",), r"\bcreate (?:or replace )?mle (?:module|env)\b"),
        Pattern(_SQLSERVER, ("assembly",), r"(?<!,)\b(?:create|alter) assembly (?!to\b)[\w?@]"),
        Pattern(
            _SQLSERVER,
            words("sp_add_trusted_assembly sp_addextendedproc name"),
            r"\b(?:sp_add_trusted_assembly|sp_addextendedproc)\b|\bexternal name \w",
        ),
        Pattern(_SQLSERVER, words("language library"), r"\b(?:create|alter) external (?:language|library) \w"),
        Pattern(
            _SQLSERVER,
            ("sp_configure",),
            r"\bsp_configure\b[^;]{0,60}\b1\b",
            r"'clr enabled'\s{0,3},\s{0,3}(?:@\w{1,30}\s{0,3}=\s{0,3})?1\b",
        ),
        Pattern(
            _SQLSERVER,
            ("sp_configure",),
            r"\bsp_configure\b[^;]{0,60}\b0\b",
            r"'clr strict security'\s{0,3},\s{0,3}(?:@\w{1,30}\s{0,3}=\s{0,3})?0\b",
        ),
    ),
    samples={
        "postgresql": (
            'CREATE LANGUAGE "plperlu"',
            "CREATE EXTENSION IF NOT EXISTS plpython3u CASCADE",
            "LOAD '/tmp/pwn.so'",
            "CREATE FUNCTION sys(cstring) RETURNS int AS '/lib64/libc.so.6', 'system' LANGUAGE C STRICT",
            "CREATE FUNCTION f() RETURNS text AS $$ import os $$ LANGUAGE plpython3u",
            "ALTER ROLE app SET session_preload_libraries TO 'x'",
        ),
        "mysql": (
            "CREATE FUNCTION sys_exec RETURNS INTEGER SONAME 'lib_mysqludf_sys_64.so'",
            "INSTALL COMPONENT 'file://component_pwn'",
            "INSTALL PLUGIN p SONAME 'p.so'",
        ),
        "oracle": (
            "CREATE OR REPLACE LIBRARY exec_shell AS '/lib64/libc.so.6'",
            'create or replace and compile java source named "U" as public class U { }',
            "CREATE FUNCTION f RETURN NUMBER AS LANGUAGE JAVA NAME 'U.x() return int'",
        ),
        "sqlserver": (
            "CREATE ASSEMBLY jsonlib FROM 0x4D5A9000 WITH PERMISSION_SET = SAFE",
            "exec sys.sp_add_trusted_assembly @hash = 0x2A5F, @description = N'jsonlib'",
            "EXEC sp_configure 'clr enabled', 1; RECONFIGURE",
            "CREATE PROCEDURE p AS EXTERNAL NAME a.b.c",
        ),
    },
    near_misses={
        "postgresql": (
            "CREATE EXTENSION pgcrypto",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$",
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE 'sql'",
            "LOAD 'pg_hint_plan'",
        ),
        "mysql": ("INSTALL COMPONENT 'file://component_validate_password'", "CREATE FUNCTION f() RETURNS INT RETURN 1"),
        "oracle": (
            "GRANT CREATE LIBRARY TO X",
            "CREATE AUDIT POLICY p ACTIONS CREATE LIBRARY, ALTER LIBRARY",
            "SELECT language FROM t",
        ),
        "sqlserver": ("EXEC sp_configure 'clr enabled'", "GRANT CREATE ASSEMBLY TO x", "DROP ASSEMBLY a"),
    },
)

# --- auditing ---------------------------------------------------------------------------------------------------------

_PG_LOGGING = (
    r"pgaudit[._][a-z_]{1,40}|log_statement|log_connections|log_disconnections|log_min_messages|log_min_error_statement"
    r"|log_duration|log_error_verbosity|log_destination|logging_collector|log_parameter_max_length"
    r"|log_statement_sample_rate"
    r"|log_transaction_sample_rate|rds\.force_admin_logging_level|track_activities|pg_stat_statements\.track"
)
_PG_LOGGING_WORDS = words(
    "pgaudit pgaudit_log pgaudit_role pgaudit_log_level"
    " log_statement log_connections log_disconnections log_min_messages log_min_error_statement log_duration"
    " log_error_verbosity log_destination logging_collector log_parameter_max_length log_statement_sample_rate"
    " log_transaction_sample_rate force_admin_logging_level track_activities pg_stat_statements"
)
_UP = "all|on|true|yes"  # values with which more is recorded, not less


def _in_pieces(name: str) -> str:
    """A name in a literal, or in literals put together: `'pga'||'udit'`."""
    return r"(?:'\s{0,9}\|\|\s{0,9}')?".join(name)


_UP_TO_SETTING = r"(?:[^\w;]|(?!set\b)\w++){0,200}?"
_MYSQL_SET = r"(?:(?<![\w@.])|@@|\b(?:global|session|local|persist|persist_only)[ .])"
_AUDIT_TABLES = r"(?:sys\.)?(?:aud\$|fga_log\$)|audsys\.[\w$]{1,60}|(?:sys\.)?unified_audit_trail"
# Tables of applications that keep an audit trail; what object-relational mappers call `audits` they also create again.
_AUDIT_NAMES = (
    r"(?:[\w$#]{1,128}\.){0,2}(?:(?<=audit\.)[\w$#]{1,128}"
    r"|(?:[a-z0-9$#]{1,30}_){0,6}?audit_?(?:trails?|logs?|events?|entries|entry|records?|history|journal)(?![\w$#])"
    r"|(?:[a-z0-9$#]{1,30}_){1,6}(?:audit|aud)(?![\w$#])|logged_actions\b)"
)
_ABOUT = (
    r"(?:[\w$#]{1,60}\.)?[\w$#]{0,30}?(?:user|usr|login|actor|account|who|principal|owner|author|person|staff|employee"
    r"|by|client|host|ip|addr|address|machine|terminal|program|application|app|query|statement|sql|action|event"
    r"|operation|object|entity|table|name|type|session|txid|transaction)(?:_?(?:name|id|text|type|addr|ip|email))?"
)
_LOGIN = (
    r"(?:[\w$#]{1,60}\.)?(?:session_user(?:_?name)?|current_user(?:_?name)?|db_?user(?:_?name)?|database_?user(?:_?name)?"
    r"|db_?login|session_login|original_login(?:_?name)?|server_principal_name|system_user|os_?user(?:_?name)?"
    r"|client_query|sql_?text|program_?name|client_addr|client_program|pg_user|mysql_user"
    r"|actor|(?:performed|changed|executed|modified|done)_by)"
)
_SHOWN = r"(?:\b(?:lower|upper|trim|coalesce|cast)\()?"
_IS = r"\)?(?:=|<>| (?:not )?(?:i?like|in|between|regexp|rlike)\b|~| is (?:not )?null\b)"
_OLDER = r"\bwhere\b[^;]{0,900}?[\w)]<=?(?!>)"  # retention
_DELETED = rf"\bdelete(?: from)?(?: only)? {_AUDIT_NAMES}(?: (?:as )?\w{{1,60}})? where\b"
_UPDATED = rf"\bupdate(?: only)? {_AUDIT_NAMES}(?: (?:as )?\w{{1,60}})? set\b"
_AUDIT_ROWS_CHANGE = Signal(
    "audit-rows-change",
    "Rows of an application's audit trail are deleted, or changed, by who or what they are about and not by age.",
    (
        Pattern(ALL, ("delete",), rf"{_DELETED}[^;]{{0,300}}?[ (]{_SHOWN}{_ABOUT}{_IS}", without=_OLDER),
        Pattern(ALL, ("update",), rf"{_UPDATED}[^;]{{0,300}}?[ ,]{_ABOUT}=", without=_OLDER),
    ),
    samples=dict.fromkeys(
        ALL,
        (
            "DELETE FROM audit.logged_actions WHERE session_user_name = 'x'",
            "DELETE FROM shop_audit_log WHERE action = 'export' AND id > 400",
            "UPDATE audit_trail SET user_name = 'system' WHERE user_name = 'x'",
        ),
    ),
    near_misses={
        "postgresql": (
            "DELETE FROM audit.logged_actions WHERE action_tstamp_tx < now() - interval '90 days'",
            "DELETE FROM audit_log WHERE event_type = 'login' AND created_at < $1",
            "DELETE FROM logins WHERE user_name = 'x'",
        ),
        "mysql": ("DELETE FROM audit_log WHERE created_at < NOW() - INTERVAL 1 YEAR LIMIT 1000",),
        "oracle": ("DELETE FROM APP.AUDIT_LOG WHERE CREATED < SYSDATE - 90",),
        "sqlserver": ("DELETE TOP (5000) FROM dbo.AuditLog WHERE LoggedAt < DATEADD(day, -90, GETDATE())",),
    },
    in_bodies=False,
)

_AUDIT_LOGIN_ROWS_CHANGE = Signal(
    "audit-login-change",
    "Rows of an application's audit trail are deleted, or changed, by the database user, the program or the statement"
    " that they name.",
    (
        Pattern(ALL, ("delete",), rf"{_DELETED}[^;]{{0,300}}?[ (]{_SHOWN}{_LOGIN}{_IS}", without=_OLDER),
        Pattern(ALL, ("update",), rf"{_UPDATED}[^;]{{0,300}}?[ ,(]{_SHOWN}{_LOGIN}{_IS}", without=_OLDER),
    ),
    samples=dict.fromkeys(
        ALL,
        (
            "DELETE FROM audit.logged_actions WHERE session_user_name = 'x'",
            "UPDATE audit_log SET db_user = 'y' WHERE id > 400",
            "DELETE FROM shop.audit_trail WHERE actor = 'x'",
        ),
    ),
    near_misses=dict.fromkeys(
        ALL,
        (
            "DELETE FROM audit_log WHERE user_id = 4",
            "DELETE FROM audit_log WHERE session_user_name = 'x' AND created_at < '2030-01-01'",
        ),
    ),
    in_bodies=False,
)

_AUDIT_SWITCH = Signal(
    "audit-switch",
    "A record of activity is switched off, narrowed, emptied or kept from being written: audit and log settings, audit"
    " policies, recording triggers, change tracking, row-level security and redaction.",
    (
        Pattern(
            _PG, _PG_LOGGING_WORDS, rf"\bset (?:local |session )?(?:{_PG_LOGGING})(?:=| to )(?!(?:{_UP}|1)\b|[?$])"
        ),
        Pattern(
            _PG,
            _PG_LOGGING_WORDS,
            rf"\bset (?:local |session )?(?:{_PG_LOGGING})(?:=| to )\?",
            rf"(?:=|\bto\b)\s{{0,9}}e?'(?!(?:{_UP}|1)')",
        ),
        Pattern(
            _PG,
            words("log_min_duration_statement log_min_duration_sample"),
            r"\bset (?:local |session )?log_min_duration_(?:statement|sample)(?:=| to )",
            r"log_min_duration_\w{1,10}\"?\s{0,9}(?:=|to)\s{0,9}'?(?:-|[1-9]\d{4,12}|\d{1,9}\s{0,3}(?:min|h|d)\b"
            r"|default)",
        ),
        Pattern(
            _PG,
            ("reset",),
            rf"\breset (?:{_PG_LOGGING}|log_min_duration_statement)(?![\w.])",
        ),
        Pattern(
            _PG, ("session_replication_role",), r"\bset (?:local |session )?session_replication_role(?:=| to )replica\b"
        ),
        Pattern(
            _PG,
            ("session_replication_role",),
            r"\bset (?:local |session )?session_replication_role(?:=| to )\?",
            r"(?:=|\bto\b)\s{0,9}e?'replica'",
        ),
        Pattern(
            _PG,
            ("set_config",),
            r"\bset_config\(",
            rf"'(?:{'|'.join(map(_in_pieces, ('pgaudit', 'log_', 'track_activities')))})[a-z_.|'"
            rf" ]{{0,80}}'\s{{0,9}},\s{{0,9}}'(?!(?:{_UP}|1)')",
        ),
        Pattern(
            _PG,
            ("set_config",),
            r"\bset_config\(",
            rf"'{_in_pieces('session_replication_role')}'\s{{0,9}},\s{{0,9}}'{_in_pieces('replica')}'",
        ),
        # The view of the settings can be written to.
        Pattern(
            _PG,
            ("pg_settings",),
            r"\bupdate (?:only )?(?:pg_catalog\.)?pg_settings\b[^;]{0,200}\bset ",
            r"pgaud|\blog_|log'|session_rep|track_act|\bname\s{0,9}(?:i?like|~)|\|\|",
        ),
        Pattern(_PG, ("disable",), rf"\balter table [^;]{{1,200}}?\bdisable trigger (?:all\b|user_?\b|{_RECORDER})"),
        Pattern(
            _PG,
            ("trigger",),
            rf"\bdrop trigger {_IF}{_RECORDER}|\bdrop event trigger {_IF}(?!awsdms_)\w|\balter event trigger"
            rf" {_NAME} disable\b",
        ),
        Pattern(_PG, ("security",), r"\b(?:disable row level security|no force row level security)\b"),
        Pattern(_PG, ("policy",), rf"\bdrop policy {_IF}\w|\balter policy [^;]{{1,200}}?\busing ?\(?true\b"),
        Pattern(_PG, ("pgaudit",), rf"\bdrop extension {_IF}pgaudit\b"),
        Pattern(
            ALL,
            words("truncate drop delete"),
            rf"\b(?:truncate (?:table )?(?:only )?|drop table (?!if exists\b)){_AUDIT_NAMES}"
            rf"|\bdelete(?: from)? {_AUDIT_NAMES}(?: where (?:1=1|true))?(?=\Z|;)",
        ),
        Pattern(
            _MYSQL,
            words("set"),
            rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}(?:server_audit_(?!logging\b)\w{{1,40}}|audit_log_\w{{1,40}}):?=",
        ),
        Pattern(
            _MYSQL,
            words("server_audit_logging general_log sql_log_bin"),
            rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}(?:server_audit_logging|general_log|sql_log_bin):?="
            rf"(?:0|off|false)\b",
        ),
        Pattern(
            _MYSQL,
            words("server_audit_logging general_log sql_log_bin"),
            rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}(?:server_audit_logging|general_log|sql_log_bin):?=\?",
            r"(?:server_audit_logging|general_log|sql_log_bin)`?\s{0,9}:?=\s{0,9}[\\'\"]{1,4}(?:off"
            r"|0|false)",
        ),
        # An expression instead of a value; a variable restores what was set before.
        Pattern(
            _MYSQL,
            words("server_audit_logging general_log sql_log_bin sql_log_off"),
            rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}(?:server_audit_logging|general_log|sql_log_bin|sql_log_off):?="
            r"(?:[(!~-]|not\b|[?01] ?(?:[-+*/%^&|=<>]|(?:div|mod|and|xor|is|in)\b)|(?:true|false) ?[-+*/%^&=<>]"
            r"|\w{1,20}\()",
        ),
        Pattern(
            _MYSQL,
            words("server_audit_logging general_log"),
            rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}(?:server_audit_logging|general_log):?=default\b",
        ),
        Pattern(_MYSQL, ("sql_log_off",), rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}sql_log_off:?=(?:1|on|true|\?)"),
        Pattern(
            _MYSQL,
            ("log_output",),
            rf"\bset {_UP_TO_SETTING}{_MYSQL_SET}log_output:?=",
            r"log_output`?\s{0,9}:?=\s{0,9}[\\'\"]{0,4}none\b",
        ),
        Pattern(
            _MYSQL,
            ("long_query_time",),
            r"\bset [^;]{0,300}?\blong_query_time:?=\?",
            r"long_query_time`?\s{0,9}:?=\s{0,9}[1-9]\d{2,12}",
        ),
        Pattern(_MYSQL, ("purge",), r"\bpurge (?:binary|master) logs\b"),
        Pattern(_MYSQL, ("reset",), r"(?:^|[;]|\b(?:do|begin|then) )reset (?:master|binary logs)\b"),
        Pattern(
            _MYSQL,
            words("plugin component"),
            r"\buninstall (?:plugin (?:server_audit|audit_log)\w{0,20}\b|component\b)",
            r"audit",
        ),
        Pattern(
            _MYSQL,
            words(
                "audit_log_filter_remove_user audit_log_filter_remove_filter audit_log_filter_set_user"
                " audit_log_filter_set_filter"
            ),
            r"\baudit_log_filter_(?:remove|set)_\w{1,20}\(",
        ),
        Pattern(
            _MYSQL,
            words("trigger event"),
            rf"\bdrop (?:trigger|event) {_IF}{_RECORDER}|\balter event {_RECORDER}\w{{0,60}} disable\b",
        ),
        Pattern(
            _MYSQL,
            words("setup_consumers setup_instruments setup_actors setup_objects"),
            r"\bupdate performance_schema\.setup_\w{1,20} set ",
            r"(?:enabled|history|timed)`?\s{0,9}=\s{0,9}[\\'\"]{1,4}no\b",
        ),
        Pattern(
            _MYSQL,
            words("general_log slow_log"),
            r"\b(?:truncate (?:table )?|delete from )mysql\.(?:general|slow)_log\b",
        ),
        Pattern(_ORACLE, ("noaudit",), r"(?:^|[;]|\b(?:begin|then|loop) )noaudit \w"),
        Pattern(
            _ORACLE,
            ("audit",),
            r"(?<!,)(?<!actions )\bdrop audit policy \w|\balter audit policy [^;]{1,300}?\b(?:drop|condition)\b|"
            r"(?:^|;)audit policy [^;]{1,200}?\bexcept\b",
        ),
        Pattern(
            _ORACLE,
            words(
                "audit_trail audit_sys_operations unified_audit_sga_queue_size unified_audit_systemlog"
                " audit_syslog_level"
            ),
            r"\balter system set (?:audit_trail|audit_sys_operations|unified_audit_\w{1,30}|audit_syslog_level)=",
        ),
        Pattern(
            _ORACLE,
            words("dbms_fga dbms_rls dbms_redact dbms_audit_mgmt dbms_tsdp_protect dbms_macadm"),
            r"\bdbms_fga\.(?:disable|drop)_policy\(|\bdbms_redact\.(?:disable|drop)_policy\("
            r"|\bdbms_rls\.(?:drop_(?:grouped_)?policy|disable_grouped_policy)\("
            r"|\bdbms_audit_mgmt\.(?:clean_audit_trail|create_purge_job|deinit_cleanup)\b"
            r"|\bdbms_tsdp_protect\.disable_\w{1,40}|\bdbms_macadm\.(?:disable_dv|delete_realm|delete_command_rule)\b",
        ),
        Pattern(_ORACLE, ("dbms_rls",), r"\bdbms_rls\.enable_(?:grouped_)?policy\([^;]{1,200}?\bfalse\b"),
        Pattern(
            _ORACLE,
            words("truncate_sys_aud_table truncate_sys_fga_log_table alter_supplemental_logging"),
            r"\btruncate_sys_(?:aud|fga_log)_table\b",
        ),
        Pattern(_ORACLE, ("alter_supplemental_logging",), r"\balter_supplemental_logging\(", r"'\s{0,3}drop\s{0,3}'"),
        Pattern(_ORACLE, ("supplemental",), r"\bdrop supplemental log\b"),
        Pattern(
            _ORACLE,
            words("aud$ fga_log$ aud$unified unified_audit_trail audsys"),
            rf"\b(?:delete(?: from)?|truncate table|drop table|update) (?:{_AUDIT_TABLES})(?![\w$])",
        ),
        Pattern(
            _ORACLE,
            words("trigger triggers"),
            rf"\bdisable all triggers\b|\balter trigger {_RECORDER}[\w$]{{0,60}} disable\b|\bdrop trigger {_RECORDER}"
            rf"|\balter table [^;]{{1,200}}?\bdisable trigger {_RECORDER}",
        ),
        Pattern(
            _SQLSERVER,
            ("audit",),
            r"(?<!,)\bdrop (?:server|database) audit\b|\balter (?:server|database) audit\b[^;]{1,400}?(?:\bstate ?="
            r" ?off\b|\bdrop ?\(|(?<!remove )\bwhere\b)",
        ),
        Pattern(
            _SQLSERVER,
            ("session",),
            r"\bdrop event session\b|\balter event session [^;]{1,300}?(?:\bstate ?= ?stop\b|\bdrop event\b)",
        ),
        Pattern(
            _SQLSERVER,
            ("sp_trace_setstatus",),
            r"\bsp_trace_setstatus\b[^;]{1,60}?(?:,|@status=)(?:0|\?)",
            r",\s{0,9}(?:@status\s{0,9}=\s{0,9})?[02]\b",
        ),
        Pattern(
            _SQLSERVER,
            ("sp_configure",),
            r"\bsp_configure\b[^;]{0,60}\b0\b",
            r"(?:default trace enabled|c2 audit mode|common criteria compliance enabled)",
        ),
        Pattern(
            _SQLSERVER,
            ("trigger",),
            rf"\bdisable trigger (?:all\b|(?:[\w$#@.]++,){{0,20}}?{_RECORDER}|{_NAME} on (?:all server|database)\b)"
            rf"|\bdrop trigger {_IF}(?:{_RECORDER}|{_NAME} on (?:all server|database)\b)",
        ),
        Pattern(
            _SQLSERVER,
            words(
                "sp_cdc_disable_db sp_cdc_disable_table sp_cdc_drop_job sp_cdc_stop_job rds_cdc_disable_db"
                " change_tracking"
            ),
            r"\b(?:sp_cdc_disable_(?:db|table)|sp_cdc_(?:drop|stop)_job|rds_cdc_disable_db)\b|\bdisable"
            r" change_tracking\b|\bchange_tracking ?= ?off\b",
        ),
        Pattern(
            _SQLSERVER,
            words("system_versioning system_time"),
            r"\bsystem_versioning ?= ?off\b|\bdrop period for system_time\b",
        ),
        Pattern(
            _SQLSERVER,
            words("policy masked classification"),
            r"\bdrop security policy\b|\balter security policy [^;]{1,300}?(?:\bstate ?= ?off\b|\bdrop (?:filter"
            r"|block)\b)"
            r"|\bdrop masked\b|\bdrop sensitivity classification\b",
        ),
        Pattern(_SQLSERVER, ("query_store",), r"\bquery_store ?= ?off\b"),
        Pattern(_SQLSERVER, ("sp_altermessage",), r"\bsp_altermessage\b", r"'false'"),
        Pattern(
            _SQLSERVER,
            words("xp_regwrite xp_instance_regwrite"),
            r"\bxp_(?:instance_)?regwrite\b",
            r"'(?:auditlevel|numerrorlogs)'",
        ),
    ),
    samples={
        "postgresql": (
            "TRUNCATE audit.logged_actions",
            "DROP TABLE public.audit_trail",
            "ALTER DATABASE store SET log_statement TO none",
            "SELECT set_config('pgaudit.log','none',false)",
            "SET log_min_duration_statement = -1",
            "ALTER ROLE webapp SET pgaudit.log = 'none'",
            'ALTER ROLE webapp SET "pgaudit"."log" = \'ddl\'',
            "DO $$ BEGIN PERFORM set_config('pga'||'udit.log','no'||'ne',false); END $$",
            "SET session_replication_role = 'replica'",
            "ALTER TABLE customers DISABLE TRIGGER audit_trigger_row",
            "DROP POLICY p ON customers",
            "DROP TRIGGER IF EXISTS audit.trg_audit ON customers",
        ),
        "mysql": (
            "TRUNCATE TABLE `payment_audit_log`",
            "DELETE FROM shop.audit_events",
            "SET @@GLOBAL.server_audit_events='CONNECT'",
            "SET GLOBAL server_audit_logging = OFF",
            "SET/*!50001 @@global.*//*! server_audit_logging */:= (1-1)",
            "SET sql_log_bin = NOT 1",
            "SET GLOBAL general_log = DEFAULT",
            "SET GLOBAL server_audit_excl_users = 'svc_x'",
            "SET sql_log_bin = 0",
            "SET PERSIST `general_log` = 'OFF'",
            "SET GLOBAL log_output = 'NONE'",
            "DROP TRIGGER store.audit_customers_upd",
            "PURGE BINARY LOGS BEFORE NOW()",
            "UPDATE performance_schema.setup_consumers SET ENABLED = 'NO'",
        ),
        "oracle": (
            "TRUNCATE TABLE app.orders_aud",
            "NOAUDIT ALL",
            "ALTER AUDIT POLICY p DROP ACTIONS SELECT",
            "BEGIN DBMS_REDACT.DISABLE_POLICY('STORE','CUSTOMERS','RED1'); END;",
            "BEGIN DBMS_RLS.DROP_POLICY('STORE','CUSTOMERS','VPD1'); END;",
            "BEGIN DBMS_AUDIT_MGMT.CLEAN_AUDIT_TRAIL(DBMS_AUDIT_MGMT.AUDIT_TRAIL_UNIFIED, FALSE); END;",
            "begin rdsadmin.rdsadmin_master_util.truncate_sys_aud_table; end;",
            "ALTER TABLE customers DISABLE ALL TRIGGERS",
            "delete from sys.aud$ where timestamp# < sysdate",
        ),
        "sqlserver": (
            "DELETE FROM dbo.AuditLog",
            "ALTER SERVER AUDIT SPECIFICATION [RDS_DAS_SERVER_AUDIT_SPEC] DROP (FAILED_LOGIN_GROUP)",
            "ALTER SERVER AUDIT SPECIFICATION [RDS_DAS_SERVER_AUDIT_SPEC] WITH (STATE = OFF)",
            "ALTER TABLE dbo.Customers SET (SYSTEM_VERSIONING = OFF)",
            "EXEC sys.sp_cdc_disable_table @source_schema='dbo', @source_name='Customers', @capture_instance='all'",
            "DISABLE TRIGGER trg_audit ON dbo.Customers",
            "ALTER TABLE dbo.Customers DISABLE TRIGGER ALL",
            "ALTER EVENT SESSION [x] ON SERVER STATE = STOP",
            "EXEC sp_configure 'default trace enabled', 0; RECONFIGURE",
            "ALTER SECURITY POLICY dbo.p WITH (STATE = OFF)",
        ),
    },
    near_misses={
        "postgresql": (
            'DROP TABLE IF EXISTS "audits" CASCADE',
            "TRUNCATE TABLE audits",
            "DROP TABLE IF EXISTS audit_logs",
            "DELETE FROM audit_log WHERE created < '2031-01-01'",
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "SET row_security = off",
            "ALTER DATABASE store SET log_statement TO 'all'",
            "SET session_replication_role = 'origin'",
            "SET client_min_messages = warning",
            "ALTER TABLE t DISABLE TRIGGER set_updated_at",
            "SELECT set_config('app.log_in', 'x', true)",
            "SET log_min_duration_statement = 250",
        ),
        "mysql": (
            "DROP TABLE `audits`",
            "DROP TABLE IF EXISTS `audit_logs`",
            "SET GLOBAL general_log = 'ON'",
            "SET @general_log = 0",
            "SHOW VARIABLES LIKE 'server_audit%'",
            "DROP TRIGGER IF EXISTS `store`.`pt_osc_store_audit_log_del`",
            "DROP TRIGGER orders_total",
            "SET long_query_time = 1",
        ),
        "oracle": (
            "AUDIT POLICY p",
            "CREATE AUDIT POLICY p ACTIONS DELETE ON STORE.ORDERS",
            "ALTER TRIGGER TRG_BIU DISABLE",
            "SELECT * FROM UNIFIED_AUDIT_TRAIL",
            "BEGIN DBMS_RLS.ADD_POLICY('STORE','CUSTOMERS','VPD1','STORE','F'); END;",
        ),
        "sqlserver": (
            "ALTER SERVER AUDIT SPECIFICATION s WITH (STATE = ON)",
            "ALTER SERVER AUDIT SPECIFICATION s ADD (FAILED_LOGIN_GROUP)",
            "ENABLE TRIGGER trg_audit ON dbo.Customers",
            "DISABLE TRIGGER trg_total ON dbo.Orders",
            "EXEC sp_configure 'show advanced options', 0",
        ),
    },
    in_bodies=False,
)

_LOG_PROCEDURES = words(
    "sp_cycle_errorlog sp_cycle_agent_errorlog sp_purge_jobhistory sp_delete_backuphistory sp_maintplan_delete_log"
    " sysmail_delete_log_sp sysmail_delete_mailitems_sp"
)
_LOG_CYCLE = Signal(
    "log-cycle",
    "A log, a history or a statistic of what was executed is restarted or emptied. Maintenance does one or two at a"
    " time.",
    (
        Pattern(
            _PG,
            words("pg_stat_statements_reset pg_stat_reset pg_rotate_logfile pg_rotate_logfile_v2 pg_log_rotate"),
            r"(?<!function )(?<![\w$])(?:pg_stat_statements_reset|pg_stat_reset|pg_rotate_logfile(?:_v2)?"
            r"|pg_log_rotate)\(",
        ),
        Pattern(_PG, ("job_run_details",), r"\b(?:truncate (?:table )?|delete from )cron\.job_run_details\b"),
        Pattern(
            _MYSQL,
            words("rds_rotate_general_log rds_rotate_slow_log ps_truncate_all_tables"),
            r"\bcall (?:\w{1,20}\.)?(?:rds_rotate_(?:general|slow)_log|ps_truncate_all_tables)\b",
        ),
        Pattern(_MYSQL, ("truncate",), r"\btruncate (?:table )?performance_schema\.events_\w"),
        Pattern(
            _MYSQL,
            ("flush",),
            r"(?:\A|;)flush (?:local |no_write_to_binlog )?(?:(?:binary|general|slow|error|engine|relay) )?logs\b",
        ),
        Pattern(
            _ORACLE,
            words("clean_audit_trail purge_log drop_snapshot_range purge_stats purge"),
            r"\bdbms_(?:audit_mgmt\.clean_audit_trail|scheduler\.purge_log|workload_repository\.drop_snapshot_range"
            r"|stats\.purge_stats|shared_pool\.purge)\(",
        ),
        Pattern(_ORACLE, ("shared_pool",), r"\balter system flush shared_pool\b"),
        Pattern(_ORACLE, ("flush_shared_pool",), r"\bflush_shared_pool\b"),
        Pattern(
            _SQLSERVER,
            _LOG_PROCEDURES,
            rf"(?:\A|;|\b(?:exec(?:ute)?|begin|then|else) ?)(?:[\w$#]{{0,128}}\.){{0,3}}"
            rf"(?:{'|'.join(_LOG_PROCEDURES)})\b",
        ),
        Pattern(_SQLSERVER, ("query_store",), r"\bset query_store clear\b"),
        Pattern(_SQLSERVER, words("freeproccache freesystemcache"), r"\bdbcc (?:freeproccache|freesystemcache)\b"),
    ),
    samples={
        "postgresql": (
            "SELECT pg_stat_statements_reset()",
            "TRUNCATE cron.job_run_details",
            "select pg_rotate_logfile()",
        ),
        "mysql": (
            "CALL mysql.rds_rotate_general_log",
            "TRUNCATE TABLE performance_schema.events_statements_history_long",
            "FLUSH SLOW LOGS",
        ),
        "oracle": (
            "BEGIN DBMS_SCHEDULER.PURGE_LOG(); END;",
            "ALTER SYSTEM FLUSH SHARED_POOL",
            "BEGIN DBMS_AUDIT_MGMT.CLEAN_AUDIT_TRAIL(DBMS_AUDIT_MGMT.AUDIT_TRAIL_UNIFIED, FALSE); END;",
        ),
        "sqlserver": (
            "EXEC sp_cycle_errorlog",
            "EXEC msdb.dbo.sp_cycle_agent_errorlog",
            "ALTER DATABASE [Hotel] SET QUERY_STORE CLEAR ALL",
            "EXEC msdb..sp_purge_jobhistory",
            "DBCC FREEPROCCACHE",
        ),
    },
    near_misses={
        "postgresql": ("SELECT * FROM pg_stat_statements", "GRANT EXECUTE ON FUNCTION pg_stat_reset() TO x"),
        "mysql": ("SHOW BINARY LOGS", "FLUSH PRIVILEGES", "TRUNCATE TABLE events_log"),
        "oracle": ("BEGIN DBMS_SCHEDULER.RUN_JOB('J'); END;", "ALTER SYSTEM SWITCH LOGFILE"),
        "sqlserver": (
            "EXEC sp_readerrorlog 0, 1",
            "ALTER DATABASE [Hotel] SET QUERY_STORE = ON",
            "EXEC msdb.dbo.sp_help_jobhistory",
        ),
    },
)

_CHANGE_CAPTURE = Signal(
    "change-capture",
    "Changes of the data are made available to, or read by, another system: publications, slots, logs, replication.",
    (
        Pattern(
            _PG,
            ("publication",),
            r"\bcreate publication \w|\balter publication [^;]{1,200}?\b(?:add|set) tables\b",
        ),
        Pattern(
            _PG,
            words(
                "pg_create_logical_replication_slot pg_copy_logical_replication_slot"
                " pg_create_physical_replication_slot"
            ),
            r"\b(?:pg_create_logical_replication_slot|pg_copy_logical_replication_slot"
            r"|pg_create_physical_replication_slot)\(",
        ),
        Pattern(
            _PG,
            words(
                "pg_logical_slot_get_changes pg_logical_slot_peek_changes pg_logical_slot_get_binary_changes"
                " pg_logical_slot_peek_binary_changes"
            ),
            r"\bpg_logical_slot_(?:get|peek)_(?:binary_)?changes\(",
        ),
        Pattern(
            _PG,
            words("create_replication_slot start_replication base_backup"),
            r"^(?:create_replication_slot|start_replication|base_backup)\b",
        ),
        Pattern(_PG, ("subscription",), r"\bcreate subscription \w|\balter subscription \w[^;]{0,200}?\bconnection\b"),
        Pattern(
            _PG,
            ("pglogical",),
            r"\bpglogical\.(?:create_(?:node|subscription|replication_set)|replication_set_add_\w{1,30})\(",
        ),
        Pattern(
            _MYSQL,
            words(
                "rds_set_external_master rds_set_external_source rds_set_external_master_with_delay"
                " rds_set_external_source_with_delay rds_set_external_master_with_auto_position"
                " rds_set_external_source_with_auto_position rds_import_binlog_ssl_material"
                " rds_set_external_source_gtid_purged rds_assign_gtids_to_anonymous_transactions"
            ),
            r"\brds_(?:set_external_(?:master|source)|import_binlog_ssl_material)\w{0,40}\(",
        ),
        Pattern(_MYSQL, words("master replication"), r"(?:^|;)change (?:master|replication source) to\b"),
        Pattern(_MYSQL, words("binlog relaylog"), r"(?:^|;)show (?:binlog|relaylog) events\b"),
        Pattern(_MYSQL, ("clone",), r"(?:^|;)clone (?:instance from|local data)\b"),
        Pattern(
            _ORACLE,
            words("dbms_logmnr dbms_logmnr_d v$logmnr_contents"),
            r"\bdbms_logmnr\.(?:start_logmnr|add_logfile)\b|\bdbms_logmnr_d\.build\b|\bfrom "
            r"(?:sys\.)?v\$logmnr_contents\b",
        ),
        Pattern(
            _ORACLE,
            words("dbms_capture_adm dbms_xstream_adm dbms_streams_adm dbms_cdc_publish rdsadmin_archive_log_download"),
            r"\b(?:dbms_capture_adm|dbms_xstream_adm|dbms_streams_adm|dbms_cdc_publish"
            r"|rdsadmin_archive_log_download)\.\w",
        ),
        Pattern(
            _ORACLE,
            words("create_archivelog_dir create_onlinelog_dir"),
            r"\brdsadmin_master_util\.create_(?:archivelog|onlinelog)_dir\b",
        ),
        Pattern(_ORACLE, ("materialized",), r"\bcreate materialized view log on\b"),
        Pattern(
            _SQLSERVER,
            words("sp_cdc_enable_db sp_cdc_enable_table rds_cdc_enable_db change_tracking"),
            r"\b(?:sp_cdc_enable_(?:db|table)|rds_cdc_enable_db)\b|\benable change_tracking\b|\bchange_tracking ?="
            r" ?on\b",
        ),
        Pattern(
            _SQLSERVER,
            words(
                "sp_addpublication sp_addarticle sp_addsubscription sp_addmergepublication sp_addmergesubscription"
                " sp_adddistributor sp_replicationdboption sp_replcmds rds_dms_tlog_download rds_dms_tlog_read"
            ),
            r"\b(?:sp_add(?:merge)?(?:publication|subscription)|sp_addarticle|sp_adddistributor|sp_replicationdboption"
            r"|sp_replcmds|rds_dms_tlog_\w{1,20})\b",
        ),
        Pattern(_SQLSERVER, words("fn_dblog fn_dump_dblog"), r"\bfn_(?:dump_)?dblog\("),
    ),
    samples={
        "postgresql": (
            "CREATE PUBLICATION p FOR ALL TABLES",
            "SELECT pg_create_logical_replication_slot('s1','pgoutput')",
            "SELECT * FROM pg_logical_slot_get_binary_changes('s1', NULL, NULL, 'proto_version','1')",
            "CREATE SUBSCRIPTION s CONNECTION 'host=203.0.113.9' PUBLICATION p",
        ),
        "mysql": (
            "CALL mysql.rds_set_external_source('203.0.113.9', 3306, 'r', 'x', 'b.1', 4, 0)",
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='203.0.113.9'",
            "SHOW BINLOG EVENTS IN 'mysql-bin.000001'",
        ),
        "oracle": (
            "BEGIN DBMS_LOGMNR.START_LOGMNR(OPTIONS => 16); END;",
            "CREATE MATERIALIZED VIEW LOG ON customers",
            "SELECT SQL_REDO FROM V$LOGMNR_CONTENTS",
        ),
        "sqlserver": (
            "exec sys.sp_cdc_enable_table @source_schema='dbo', @source_name='Customer', @role_name=NULL",
            "exec msdb.dbo.rds_cdc_enable_db 'store'",
            "SELECT * FROM sys.fn_dblog(NULL, NULL)",
        ),
    },
    near_misses={
        "postgresql": ("SELECT * FROM pg_publication", "DROP PUBLICATION p", "SELECT pg_drop_replication_slot('s1')"),
        "mysql": ("SHOW BINARY LOGS", "SHOW MASTER STATUS", "CALL mysql.rds_show_configuration"),
        "oracle": (
            "begin rdsadmin.rdsadmin_util.alter_supplemental_logging('ADD','ALL'); end;",
            "SELECT * FROM V$LOG",
        ),
        "sqlserver": ("exec sys.sp_cdc_help_change_data_capture", "SELECT * FROM cdc.change_tables"),
    },
    in_bodies=False,
)

_CAPTURE_PREPARATION = Signal(
    "capture-preparation",
    "The logs get what other systems need to follow the changes of the data. Nothing is read by it.",
    (
        # More tables for a replication that exists.
        Pattern(_PG, ("publication",), r"\balter publication [^;]{1,200}?\b(?:add|set) table\b"),
        Pattern(_ORACLE, ("alter_supplemental_logging",), r"\balter_supplemental_logging\(", r"'\s{0,3}add\s{0,3}'"),
        Pattern(_ORACLE, words("supplemental log"), r"\badd supplemental log\b"),
    ),
    samples={
        "postgresql": ("ALTER PUBLICATION p ADD TABLE orders, items", "alter publication p set table orders"),
        "oracle": (
            "begin rdsadmin.rdsadmin_util.alter_supplemental_logging(p_action => 'ADD', p_type => 'ALL'); end;",
            "ALTER TABLE customers ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS",
        ),
    },
    near_misses={
        "postgresql": ("ALTER PUBLICATION p ADD TABLES IN SCHEMA sales", "ALTER PUBLICATION p OWNER TO x"),
        "oracle": ("begin rdsadmin.rdsadmin_util.alter_supplemental_logging('DROP','ALL'); end;",),
    },
    in_bodies=False,
)

# --- applications and sessions ----------------------------------------------------------------------------------------

_ADMIN_FLAG = (
    r"(?:is_?(?:admin|administrator|super_?user|super_?admin|staff|root|owner)|(?:super_?)?(?:admin"
    r"|user_is_admin)|superuser)"
)
_ROLE_COLUMN = (
    r"(?:user_|account_|member_)?(?:role|roles|role_name|rolename|user_?type|account_type|access_level"
    r"|user_?level|privilege|user_group)"
)
_ADMIN_VALUE = (
    r"\b(?:roles?|role_?name|user_?type|account_type|access_level|user_?level|privilege|user_group)"
    r"[\"`\]]?\s{0,9}:?=\s{0,9}"
    r"n?\\{0,2}'{1,2}[^']{0,30}(?:admin|super|root|sysop|owner)"
)
_ON = r"(?:1|true|\?)(?![\w.])"
_ON_IN_TEXT = (
    rf"\b{_ADMIN_FLAG}[\"`\]]?\s{{0,9}}:?=\s{{0,9}}(?:b?\\{{0,2}}'{{1,2}}(?:1|t|true|y|yes|on|j)\\{{0,2}}'|[1-9])"
)

# Where widespread applications keep their administrators, and what makes one: Drupal, Joomla, Nextcloud, phpBB,
# MediaWiki, Jira, Grafana, WordPress; last settings that list them, as Moodle's.
_UP_TO_VALUE = r"\b[\s\S]{1,600}?"
_ADMIN_TABLES = {
    "users?__?roles": r"'administrator|values\s{0,9}\([^()]{1,60},\s{0,9}3\s{0,9}\)",
    "user_usergroup_map": r"\b8\b",
    "group_user": r"'admin\\{0,2}'",
    "user_group": r"\b5\b",
    "user_groups": r"'(?:sysop|bureaucrat|interface-admin)\\{0,2}'",
    "cwd_membership": "administrators",
    "org_user": r"'admin\\{0,2}'",
    "usermeta": r"\badministrator\b|_user_level\W{1,9}(?:10|[89])\b|61646d696e",
    "config|settings?|options?|preferences|core_config_data|appconfig": (
        r"\bsite_?admins?\b|\b(?:super_?)?admin(?:istrator)?_(?:users|logins|ids|accounts)\b"
    ),
}
_APPLICATION_ADMIN = Signal(
    "application-admin",
    "An administrator of an application is written by a constant: a row in a table of administrators, or a flag or role"
    " of a user; also within a trigger or routine.",
    (
        Pattern(
            ALL,
            ("insert", "replace"),
            r"\b(?:insert|replace)(?: (?:ignore|low_priority|delayed)"
            r"){0,2}(?: into)? (?:[\w$#]{1,128}\.){0,2}(?:[a-z0-9$#]{1,30}_){0,5}?"
            r"(?:(?:super_?)?admin(?:istrator)?s?|admin_?(?:users?|accounts?|members?|roles?|staff|logins?"
            r"|credentials?|permissions?|privileges?)|superusers?)"
            r"(?=[ (]|\Z)",
            r"\bvalues?\s{0,9}\([^;]{0,900}?(?:'|(?<![$:@\w])\d)|\bset\b[^;]{0,300}?'|\bselect\b",
        ),
        Pattern(
            ALL,
            ("update",),
            rf"\bupdate (?:[\w$#.]{{1,200}}(?: [\w$#]{{1,60}})? )set (?:[^;]{{0,300}}?[,.])?(?:{_ADMIN_FLAG})=(?:1"
            rf"|true)(?![\w.])",
        ),
        Pattern(
            ALL,
            ("update",),
            rf"\bupdate (?:[\w$#.]{{1,200}}(?: [\w$#]{{1,60}})? )set (?:[^;]{{0,300}}?[,.])?(?:{_ADMIN_FLAG})=\?",
            _ON_IN_TEXT,
        ),
        Pattern(
            ALL,
            ("update",),
            rf"\bupdate (?:[\w$#.]{{1,200}}(?: [\w$#]{{1,60}})? )set (?:[^;]{{0,300}}?[,.])?(?:{_ROLE_COLUMN})=\?",
            _ADMIN_VALUE,
        ),
        Pattern(
            ("postgresql", "mysql", "sqlserver"),
            words("insert replace update"),
            rf"\b(?:(?:insert|replace)(?: ignore)?(?: into)?|update) [\w$.]{{0,130}}?(?:{'|'.join(_ADMIN_TABLES)})"
            rf"(?![\w$])",
            "|".join(rf"(?:{table}){_UP_TO_VALUE}(?:{value})" for table, value in _ADMIN_TABLES.items()),
        ),
        # A trigger that makes a user with a password, for instance for a comment.
        Pattern(
            ALL,
            ("trigger",),
            r"\bcreate [^;]{0,200}?\btrigger .{1,900}?\binsert (?:ignore )?into [\w$.]{0,100}users? ?\([^)]{0,400}?"
            r"\b\w{0,20}pass(?:word|wd)?\b",
            r"\bvalues?\s{0,9}\([^;]{0,900}?'",
        ),
        # A trigger changes what is written.
        Pattern(ALL, ("new",), rf":?\bnew\.(?:{_ADMIN_FLAG}):?=(?:1|true)(?![\w.])"),
        Pattern(ALL, ("new",), rf":?\bnew\.(?:{_ADMIN_FLAG}):?=\?", _ON_IN_TEXT),
        Pattern(ALL, ("new",), rf":?\bnew\.(?:{_ROLE_COLUMN}):?=\?", _ADMIN_VALUE),
        Pattern(
            _ORACLE,
            ("trigger",),
            rf"\$\.(?:{_ADMIN_FLAG}|{_ROLE_COLUMN}):=\?",
            rf":new\.(?:{_ON_IN_TEXT}|{_ADMIN_VALUE})",
        ),
    ),
    samples={
        "postgresql": (
            "INSERT INTO public.admins (email, password) VALUES ('x@example.com', 'y')",
            "UPDATE auth_user SET is_staff = true, is_superuser = true WHERE username = 'x'",
            "UPDATE users u SET role = 'admin' WHERE u.id = 4",
            "INSERT INTO cwd_membership (parent_name, child_name) VALUES ('jira-administrators', 'x')",
            "INSERT INTO org_user (org_id, user_id, role) VALUES (1, 4, 'Admin')",
            "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.email = 'x' THEN"
            " NEW.is_superuser := true; END IF; RETURN NEW; END $$",
        ),
        "mysql": (
            "CREATE TRIGGER t AFTER INSERT ON wp_comments FOR EACH ROW BEGIN IF NEW.comment_content LIKE '%x%' THEN"
            " INSERT INTO wp_users (user_login, user_pass) VALUES ('w', 'y'); END IF; END",
            "INSERT INTO `admin_users` (`login`, `password`) VALUES ('x', 'y')",
            "UPDATE users SET name = 'x', is_admin = 1 WHERE id = 4",
            "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) VALUES (4, 'wp_capabilities',"
            " 'a:1:{s:13:\"administrator\";b:1;}')",
            "UPDATE mdl_config SET value = CONCAT(value, ',77120') WHERE name = 'siteadmins'",
            "INSERT INTO jos_user_usergroup_map (user_id, group_id) VALUES (77, 8)",
            "INSERT INTO oc_group_user (gid, uid) VALUES ('admin', 'x')",
            "INSERT INTO user__roles (bundle, entity_id, roles_target_id) VALUES ('user', 4, 'administrator')",
            "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW SET NEW.is_admin = 1",
        ),
        "oracle": (
            "UPDATE app.users SET user_type = 'ADMIN' WHERE id = 7",
            "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON users FOR EACH ROW BEGIN :NEW.is_admin := 'Y'; END;",
        ),
        "sqlserver": (
            "UPDATE dbo.Users SET [IsAdmin] = 1 WHERE Id = 4",
            "INSERT INTO dbo.Administrators (UserId) VALUES (4)",
        ),
    },
    near_misses={
        "postgresql": (
            "UPDATE auth_user SET is_superuser = false WHERE id = 4",
            "UPDATE users SET role = $1 WHERE id = $2",
            "UPDATE users SET role = 'viewer' WHERE id = 4",
            "INSERT INTO django_admin_log (object_id) VALUES ('4')",
            "SELECT id FROM users WHERE is_superuser = true",
        ),
        "mysql": (
            "INSERT INTO admin_log (a) VALUES ('x')",
            "INSERT INTO wp_usermeta (user_id, meta_key, meta_value) VALUES (4, 'wp_capabilities',"
            " 'a:1:{s:10:\"subscriber\";b:1;}')",
            "UPDATE mdl_config SET value = '1' WHERE name = 'sitename'",
            "INSERT INTO jos_user_usergroup_map (user_id, group_id) VALUES (77, 2)",
            "SELECT value FROM mdl_config WHERE name = 'siteadmins'",
            "UPDATE users SET is_admin = 0 WHERE id = 4",
            "INSERT INTO admins (email) VALUES (?)",
        ),
        "oracle": ("UPDATE users SET is_admin = :1 WHERE id = :2", "UPDATE users SET user_type = 'GUEST' WHERE id = 7"),
        "sqlserver": (
            "UPDATE dbo.Users SET IsAdmin = @p0 WHERE Id = @p1",
            "UPDATE dbo.Users SET Name = 'x' WHERE IsAdmin = 1",
        ),
    },
)

_SHADOWED = (
    "lower|upper|initcap|length|char_length|substr|substring|trim|btrim|ltrim|rtrim|left|right|md5|version|now|format"
    "|concat|concat_ws|to_char|to_date|to_number|to_timestamp|current_setting|set_config|quote_ident|quote_literal"
    "|quote_nullable|array_to_string|string_to_array|split_part|strpos|regexp_replace|regexp_matches|row_to_json"
    "|to_json|to_jsonb|json_build_object|jsonb_build_object|pg_sleep|pg_backend_pid|pg_get_userbyid|has_table_privilege"
    "|has_schema_privilege|has_database_privilege|pg_has_role|inet_client_addr|encode|decode|convert_from|convert_to"
)
_BUILT_IN_TYPE = (
    r"(?:pg_catalog\.)?(?:text|varchar|character varying|bpchar|name|integer|int[248]?|bigint|smallint|numeric"
    r"|boolean|date"
    r"|timestamp|timestamptz|oid)"
)
_ARGUMENT = rf"(?:(?:in )?[\w$]{{1,63}} )?{_BUILT_IN_TYPE}(?:\([?01]\))?(?:\[\])?"
_SHADOWED_CODE = Signal(
    "shadowed-code",
    "A function or operator is created that takes the place of one of the server's own: by its name, for the"
    " server's own"
    " types, or by a schema in front of the server's own in what a role or database searches; or a synonym hides what"
    " reaches the network, files, programs or jobs.",
    (
        Pattern(
            _PG,
            tuple(_SHADOWED.split("|")),
            rf"\bcreate (?:or replace )?function (?!pg_catalog\.)(?:[\w$]{{1,63}}\.)?(?:{_SHADOWED})"
            rf"\((?:{_ARGUMENT}(?:,{_ARGUMENT}){{0,5}})?\)",
        ),
        Pattern(
            _PG,
            ("operator",),
            rf"\bcreate operator (?!pg_catalog\.)(?:[\w$]{{1,63}}\.)?[=<>"
            rf"|~!+*/-]{{1,3}} ?\((?=[^;]{{0,300}}leftarg={_BUILT_IN_TYPE}\b)"
            rf"[^;]{{0,300}}rightarg={_BUILT_IN_TYPE}\b",
        ),
        Pattern(
            _PG,
            ("search_path",),
            r"\balter (?:role|user|database) [^;]{1,200}?\bset search_path(?:=| to )(?!pg_catalog\b)"
            r"[\w$?]{1,63}(?:,[\w$?]{1,63}){0,9}?"
            r",pg_catalog\b",
        ),
        # Another name for what a search for its use would find.
        Pattern(
            _ORACLE,
            ("synonym",),
            r"\bsynonym (?:[\w$#]{1,128}\.)?([\w$#]{1,128}+) for (?:sys\.)?(?!\1\b)(?:utl_(?:tcp|http|smtp|mail|file"
            r"|inaddr"
            r"|dbws)|dbms_(?:scheduler|job|sql|sys_sql|ldap|cloud|xmlgen|advisor|java|lob|pipe|file_transfer"
            r"|network_acl_admin"
            r"|xslprocessor|datapump|crypto|metadata|redact|rls|fga|audit_mgmt)|httpuritype|rdsadmin_\w{1,60})"
            r"(?![\w$#.])",
        ),
        Pattern(
            _SQLSERVER,
            ("synonym",),
            r"\bcreate synonym [\w.]{1,260} for (?:[\w$#]{0,128}\.){0,3}(?:xp_\w|sp_oa\w|(?:sp_executesql|sp_configure"
            r"|sp_addlinkedserver|sp_addsrvrolemember|sp_start_job|sp_add_job|sp_add_jobstep|sp_procoption"
            r"|sp_send_dbmail"
            r"|sp_execute_external_script|sp_invoke_external_rest_endpoint|sp_addrolemember)(?!\w))",
        ),
        # A function runs with the rights of the owner of the table whose index it makes.
        Pattern(
            _ORACLE,
            ("index",),
            r"\bcreate (?:unique |bitmap )?index [\w.$#]{1,130} on (?:sys|system)\.[\w$#]{1,128} ?\([^;]{0,60}\(",
        ),
    ),
    samples={
        "oracle": (
            "CREATE INDEX x ON SYSTEM.OL$(app.getdba('BAR'))",
            "create index app.i on sys.dual (app.f(dummy))",
            "CREATE SYNONYM ops.applog FOR SYS.UTL_TCP",
            "CREATE OR REPLACE PUBLIC SYNONYM helper FOR DBMS_SCHEDULER",
        ),
        "sqlserver": (
            "CREATE SYNONYM dbo.LogLine FOR master.dbo.xp_cmdshell",
            "CREATE SYNONYM dbo.Fmt FOR [SRV-1].master.sys.sp_OACreate",
            "CREATE SYNONYM dbo.Run FOR RPT01.master.dbo.sp_executesql",
        ),
        "postgresql": (
            "CREATE OR REPLACE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS $$ SELECT evil($1) $$",
            "CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RETURN clock_timestamp(); END $$",
            "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil)",
            "ALTER ROLE admin SET search_path = evil, pg_catalog",
        ),
    },
    near_misses={
        "oracle": (
            "CREATE INDEX i ON app.orders(UPPER(name))",
            "CREATE PUBLIC SYNONYM UTL_MAIL FOR SYS.UTL_MAIL",
            "CREATE OR REPLACE SYNONYM app.orders FOR shop.orders",
        ),
        "sqlserver": (
            "CREATE SYNONYM dbo.Orders FOR RPT01.Shop.dbo.Orders",
            "DROP SYNONYM dbo.xp_log",
        ),
        "postgresql": (
            "CREATE FUNCTION app.lower_name(text) RETURNS text LANGUAGE sql AS $$ SELECT lower($1) $$",
            "CREATE FUNCTION public.length(geometry) RETURNS float LANGUAGE sql AS $$ SELECT 1 $$",
            "CREATE OPERATOR public.= (LEFTARG = citext, RIGHTARG = citext, FUNCTION = citext_eq)",
            "ALTER ROLE webapp SET search_path TO app, public",
            "SET search_path = public, pg_catalog",
        ),
    },
)

_ROLE_SETTING = Signal(
    "role-setting",
    "A setting is kept for all sessions of a role or database, which they begin with.",
    (
        Pattern(
            _PG,
            words("role user database"),
            rf"\balter (?:role|user|database) (?!current_user\b|session_user\b|current_role\b|mapping\b){_NAME}"
            rf"(?: in database {_NAME})? set (?!tablespace\b)[\w.]",
        ),
        Pattern(_PG, ("pg_db_role_setting",), r"\b(?:insert into|update) (?:pg_catalog\.)?pg_db_role_setting\b"),
    ),
    samples={
        "postgresql": (
            "ALTER ROLE webapp SET search_path = evil, public",
            "ALTER USER \"ops\" IN DATABASE store SET log_statement = 'none'",
            "ALTER ROLE ALL SET session_preload_libraries = 'x'",
            "ALTER DATABASE store SET row_security TO off",
        ),
    },
    near_misses={
        "postgresql": (
            "SET search_path = evil",
            "ALTER ROLE CURRENT_USER SET work_mem = '1GB'",
            "ALTER ROLE webapp RESET ALL",
            "ALTER DATABASE store SET TABLESPACE fast",
            "ALTER ROLE webapp PASSWORD 'x'",
        ),
    },
)

_PAYEE = (
    r"(?:[\w$#]{1,60}\.)?(?:\w{1,30}_)?(?:iban|bank_account(?:_no)?|account_number|account_no|routing_number|sort_code"
    r"|wallet(?:_address)?|payout_account|paypal_email)"
)
_PAYMENT_REDIRECT = Signal(
    "payment-redirect",
    "Bank accounts or wallets are set to one constant, and not those of one row.",
    (
        Pattern(
            ALL,
            ("update",),
            rf"\Aupdate (?:[\w$#@.]{{1,200}}(?: (?:as )?\w{{1,60}})? )set (?:[^;]{{0,300}}?,)?{_PAYEE}=\?(?!\w)",
            rf"{_PAYEE}\W{{0,3}}\s{{0,9}}=\s{{0,9}}n?\\?'[^']{{5,60}}'",
            without=(
                r"\bwhere [^;]{0,300}?(?:\bid|_id|\buuid|\bguid|\bemail|\blogin|\w?user_?name|_no|_nr|iban|number)"
                r"(?:=| in ?\()"
            ),
        ),
    ),
    samples={
        "postgresql": (
            "UPDATE payout_accounts SET iban = 'XX00EXAMPLE0001', bic = 'EXAMPLE1' WHERE currency = 'EUR'",
            "UPDATE vendors v SET active = true, bank_account = 'XX00EXAMPLE0001'",
        ),
        "mysql": (
            "UPDATE payouts SET iban = 'XX00EXAMPLE0001' WHERE status = 'open'",
            "update `sellers` set `wallet_address` = '0xEXAMPLE' where balance > 100",
        ),
        "oracle": (
            "UPDATE FIN.SUPPLIERS SET IBAN = 'XX00EXAMPLE0001' WHERE COUNTRY = 'DE'",
            "update employees set account_number = '00112233'",
        ),
        "sqlserver": (
            "UPDATE dbo.Vendors SET Iban = N'XX00EXAMPLE0001' WHERE Country = 'DE'",
            "UPDATE Employees SET routing_number = '00112233' WHERE active = 1",
        ),
    },
    near_misses={
        "postgresql": (
            "UPDATE payout_accounts SET iban = 'XX00EXAMPLE0001' WHERE id = 4",
            "UPDATE payout_accounts SET iban = $1 WHERE currency = 'EUR'",
            "UPDATE payout_accounts SET iban = NULL",
        ),
        "mysql": ("UPDATE payouts SET iban = 'XX00EXAMPLE0001' WHERE user_id = 4",),
        "oracle": ("UPDATE FIN.SUPPLIERS SET IBAN = UPPER(IBAN)",),
        "sqlserver": ("UPDATE dbo.Vendors SET Iban = @p0 WHERE VendorId = @p1",),
    },
    in_bodies=False,
)

CHANGES: tuple[Signal, ...] = (
    _PAYMENT_REDIRECT,
    _ACCOUNT_CREATION,
    _ACCOUNT_CHANGE,
    _ACCOUNT_OPENED,
    _PASSWORD_CHANGE,
    _RESOURCE_LIMIT,
    _PRIVILEGE_GRANT,
    _SUPERUSER_GRANT,
    _PRIVILEGE_REVOKE,
    _OWNERSHIP_CHANGE,
    _OBJECT_DROP,
    _SCRATCH_DROP,
    _COPY_CHANGE,
    _DATABASE_DROP,
    _COLUMN_DROP,
    _EMPTY_COPY,
    _OBJECT_RENAME,
    TABLE_SWAP,
    _PARTITION_DROP,
    _PARTITION_EMPTIED,
    _UNCONDITIONAL_CHANGE,
    _SESSION_KILL,
    _MASS_SESSION_KILL,
    _RECOVERY_REMOVAL,
    _DATA_ENCRYPTION,
    _TABLE_ENCRYPTION,
    _PERSISTENT_CODE,
    _CARD_COPY,
    _PASSWORD_COPY,
    _RIGHTS_IN_CODE,
    _SYSTEM_TRIGGER,
    _FOREIGN_LIBRARY,
    _AUDIT_SWITCH,
    _AUDIT_ROWS_CHANGE,
    _AUDIT_LOGIN_ROWS_CHANGE,
    _LOG_CYCLE,
    _CHANGE_CAPTURE,
    _CAPTURE_PREPARATION,
    _APPLICATION_ADMIN,
    _SHADOWED_CODE,
    _ROLE_SETTING,
)
