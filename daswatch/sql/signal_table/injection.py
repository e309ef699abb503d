"""SQL injection: what an application's statement shows when its input has become code.

Strong alone, as no honest statement was found that has one: `conditional-delay`, `error-extraction`, `inference`,
`union-probe`, `stacked-statements`. Strong only in numbers or with another: `tautology` (query builders and optional
filters come close), `comment-cut-off`, `encoded-text`, `time-delay` (tests and maintenance wait too) and `dynamic-code`
(maintenance puts statements together).
"""

from __future__ import annotations

from daswatch.sql.signal_table.model import ALL, LITERAL, Pattern, Signal, words

_PG, _MY, _OR, _MS = (("postgresql",), ("mysql",), ("oracle",), ("sqlserver",))
_BEHIND_CONDITION = r"\b(?:or|and|xor|not|where|having)"
_COMPARED = r"(?:[=<>]{1,3}| (?:not )?(?:r?like|regexp|is(?: not)?) )"
# Values that the server knows of itself: who, where, which version.
_SERVER = (
    r"(?:@@[a-z]\w{1,40}|\b(?:current_user|session_user|system_user|user(?:\(\)|(?= from dual)|name\(\))"
    r"|version\(|current_database|current_schema"
    r"|database\(|schema\(|db_name\(|host_name\(|user_name\(|suser_s?name\(|sys_context\(|original_login\("
    r"|banner from v\$version|name from v\$database|inet_server_addr\(|load_file\(|pg_read_file\(|current_setting\())"
)
_CATALOG = (
    r"(?:information_schema\b|\bpg_(?:user|shadow|authid|roles|catalog|tables|class|database|stat|attribute|namespace)"
    r"|\bsys\.|\bsys(?:objects|columns|databases|logins|users|xlogins)\b|\bmaster\.|\bmsdb\.|\ball_(?:tables"
    "|users|tab_columns|objects)"
    r"|\bdba_\w|\buser_(?:tables|tab_columns|objects)|\bv\$\w|\bmysql\.\w|\bperformance_schema\b|\bdual\b)"
)
_UNION = r"\bunion(?: all| distinct| distinctrow)?[ (]{0,4}(?:select|values)\b[ (]{0,4}(?:all |distinct )?"
_TWO_UNIONS = r"\bunion\b[^;]{0,1500}\bunion\b"  # a report has more than one, and rows of NULL between its parts
_NUMBER_PAIR = (
    r"\d{2,12}['\"%)\s]{0,9}(?:(?:/\*.{0,9}\*/|[\s=<>!+(]){1,9}|\W{1,20}(?:like|rlike|in|between|is)\W{1,20}){1,2}"
    r"['\"%(\s]{0,9}\d{2,12}"
)
# In front of it: comparisons of the parameter of an optional filter.
_OPTIONAL_FILTER = (
    rf"\((?:[\w.]++(?:=|<>|>=|<=| i?like | in ?)\(?[?$]\)? or [?](?:=|<>| is ){LITERAL}\)"
    rf"|{LITERAL}(?:=|<>| is ){LITERAL} or )"
)
_TRUE_AT_END = r"\b(?:or|xor)[ (!]{1,9}(?:not[ (]{1,5})?(?:1=1|0=0)\)"
_BUILDERS_GROUP = r"\((?:[\w$]{1,64}\.[\w$]{1,64}(?:=|<>)|[\w$.]{1,130} i?like )[?$01] or (?:1=1|0=0)\)"
_SEARCH_OF_ALL = r"\([\w$.]{1,130} i?like [?$] or \?=\?\)"  # `(name like '%x%' or 'all' = 'all')`
_READS_OR_WRITES = r"\A(?:select|insert|update|delete|with|replace|exec|execute)\b"
_BEHIND_VALUE = rf"{_READS_OR_WRITES}[^;]{{0,1500}}(?:\bwhere\b|\bvalues\b|\bin\(|\blike\b)[^;]{{0,600}}"

_OPEN, _CLOSE = r"\({0,5}", r"\){0,5}"

_DELAYS = {
    "postgresql": r"\bpg_sleep(?:_for|_until)?\(",
    "mysql": r"\b(?:sleep|benchmark)\(",
    "oracle": r"\b(?:(?:dbms_lock|dbms_session|user_lock)\.sleep\(|dbms_pipe\.receive_message\()",
    "sqlserver": r"\bwaitfor (?:delay|time)\b",
}
_SLEEPERS = {
    "postgresql": ("pg_sleep", "pg_sleep_for", "pg_sleep_until"),
    "mysql": ("sleep", "benchmark"),
    "oracle": ("sleep", "receive_message"),
    "sqlserver": ("waitfor",),
}
_IN_CONDITION = (
    r"\b(?:where|having|and|or|not|xor|rlike|regexp|like|when|then|else|if\(|elt\(|make_set\(|order by|group by)"
)

TAUTOLOGY = Signal(
    "tautology",
    "A comparison of constants as a further condition, as in `or 1=1`.",
    (
        # Not `and 1=1`, `and 1=0`, `or 1=0`: query builders write these for conditions that are empty.
        Pattern(
            ALL,
            ("or", "and", "xor", "not"),
            # Behind a parameter, where no value is put together with the statement.
            rf"\b(?:(?<!\$ )(?:or|xor)[ (!]{{1,9}}(?:not[ (]{{1,5}})?(?:1=1|0=0)(?!\))"
            rf"|(?:or|and|xor)[ (!]{{1,9}}(?:not[ (]{{1,5}})?"
            rf"(?:\?{_COMPARED}\(?{LITERAL}|{LITERAL}{_COMPARED}\(?\?))(?![\w.(*/+|-])",
            without=_OPTIONAL_FILTER,
        ),
        # A query builder's `(a.owner = 5 or 1=1)` is whole. An injection that is ends with a comment.
        Pattern(ALL, ("or", "xor"), _TRUE_AT_END, without=_BUILDERS_GROUP),
        Pattern(ALL, ("or",), _BUILDERS_GROUP, raw=r"--|#|/\*"),
        # Random numbers, or the same text on both sides, are not an optional filter.
        Pattern(
            ALL,
            ("or", "and", "xor", "not", "where", "having", "when"),
            rf"\b(?:or|and|xor|not|where|having|when)[ (!]{{0,9}}\?{_COMPARED}\(?\?",
            raw=_NUMBER_PAIR,
        ),
        Pattern(
            ALL,
            ("or", "and", "xor"),
            rf"\b(?:or|and|xor)[ (!]{{1,9}}\?{_COMPARED}\?",
            raw=r"['\"]([^'\"]{1,40})['\"]\W{0,9}(?:=|like)\W{0,9}['\"]\1['\"]?",
            without=_SEARCH_OF_ALL,
        ),
        Pattern(
            ALL,
            ("or", "and", "xor"),
            (
                rf"\b(?:or|and|xor)[ (!]{{1,9}}(?:not[ (]{{1,5}})?{LITERAL} (?:not )?(?:between"
                rf"|in ?\()[ (]{{0,3}}{LITERAL}"
            ),
        ),
        Pattern(ALL, ("or", "xor"), r"\b(?:or|xor)[ (!]{1,9}\?(?:[-+*/^&|%]| )\?(?=\Z|\)| and\b| or\b| limit\b|;)"),
        Pattern(ALL, ("having",), rf"\bhaving[ (]{{1,9}}{LITERAL}{_COMPARED}{LITERAL}"),
        Pattern(
            ALL,
            ("or",),
            r"\bor[ (!]{1,9}(?:not )?(?:1|true|\?)(?=\Z|\)| and\b| or\b| limit\b| order\b| group\b|;| union\b)",
            # A literal 'false' stands for a condition that a generator found empty.
            raw=r"(?:\bor|\|\|)\W{0,30}(?:not\W{1,9})?(?:\d|true\b|['\"$](?!f(?:alse)?['\"]))",
        ),
        Pattern(ALL, ("or",), r"\bor[ (]{1,9}([a-z_][\w.]{0,60})(?:=| like )\1(?![\w.(])"),
        Pattern(
            ALL,
            ("or",),
            r"\bor[ (]{1,9}[\w.]{1,60} like \?",
            raw=r"\bor\W{1,30}[\w.]{1,60}\W{1,9}like\W{0,9}['\"]%{1,9}['\"]",
        ),
        # MySQL compares the outcome of a comparison: name = '' = 0.
        Pattern(_MY, ("where", "and", "or"), r"[\w)]=\?(?:=|<=>|<>| like )\(?[?01]"),
        Pattern(
            _MY,
            ("where", "and", "or"),
            r"[\w)]=\?(?:[-+*/^&|%]{1,2}| div | mod )\(?[?01]",
            raw=r"=\s{0,9}''\W{0,5}(?:[-+*/^&|%]|div|mod)",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT p.id FROM products p WHERE p.category_id = 4 AND 2485=2486 ORDER BY p.name",
            "select id from users where email = '' or ''='' and pw = 'x'",
            "select t.id from tasks t where (t.owner = 14 or 1=1)-- )",
            "select t.id from tasks t where (t.name = 'x') or (1=1) limit 20",
            "select id from posts where (title like '%x%') AND ('tsIT%'='tsIT%') AND published",
        ),
        "mysql": (
            "SELECT p.id FROM products p WHERE p.category_id = 4 AND 4100=4100 AND 4395 LIKE 2233",
            "SELECT id FROM users WHERE email = '' oR(1)=(1)#' AND password = SHA1('x')",
            "SELECT id FROM users WHERE email = ''|| 1=1#' AND password = SHA1('x')",
            "SELECT id FROM users WHERE email = ''=0#' AND password = SHA1('x')",
            "SELECT id FROM users WHERE email = ''-'' AND password = 'x'",
        ),
        "oracle": (
            "SELECT * FROM customer_orders WHERE id = 7 AND 7552=7553",
            "SELECT/**/*/**/FROM/**/orders/**/WHERE/**/ref=q'[x]'/**/OR/**/q'<a>'=q'<a>'",
        ),
        "sqlserver": (
            "SELECT Id FROM dbo.Users WHERE Email = 'x' AND 1489=1489 AND 'jXgY'='lheJ'",
            "select id from users where name = '' or 1=1--' and pw = ''",
            "select id from users where name = '' having 1=1--'",
        ),
    },
    near_misses={
        "postgresql": (
            "select id from customer where (1=1 or owner_id = 5) and deleted = false limit 20",
            "select id from t where 1=1 and a = 5",
            "select id from t where a = 5 and 1=0",
            'SELECT "id" FROM "task" AS "r" WHERE ("r"."ownerId" = 14 OR 1 = 1) ORDER BY "r"."id" LIMIT 20',
            """SELECT "id" FROM "a" AS "T" WHERE ("T"."name" ILIKE '%o''neil%' OR 1=1) LIMIT 25""",
            "SELECT * FROM a WHERE (name ILIKE '%x%' OR 'all' = 'all') AND (0 = 0 OR b = 0) LIMIT 40",
            "select id from t where ('' = '' or region = '') and ($1 = 'x' or b = $1)",
            "select id from t where a = 'x or 1=1' -- or 2=2",
        ),
        "mysql": (
            "select id from t where (region = 'north' or 'north' = '') limit 5",
            "select id from t where a = 5 and (0 = 1)",
            "select id from t where created > 5 - 1 and a = 60*60",
        ),
        "oracle": (
            "select id from t where 1=1 and b = :b1 and (:b2 is null or c = :b2)",
            "select 1 from dual where 1=0",
        ),
        "sqlserver": (
            "SELECT [u].[Id] FROM [Users] AS [u] WHERE [u].[Age] > 18 AND 0 = 1",
            "SELECT COUNT(*) FROM [Bill] AS [x] WHERE ([x].[OwnerId] = 3 OR 1 = 1)",
            "select id from t where (@p0 = 1 or a = @p0) and b = 2",
        ),
    },
)

COMMENT_CUT_OFF = Signal(
    "comment-cut-off",
    "A comment that swallows a rest of the statement: behind it stands a closing quote or parenthesis, or nothing.",
    (),
    samples={
        "postgresql": (
            "select id from users where email = 'admin'--' and pw = 'x'",
            "select id from t where a = 4 union all select usename from pg_user-- kQzR",
            "select id from t where a = 4/**/--/**/lDoI",
        ),
        "mysql": (
            "SELECT id FROM users WHERE email = 'admin' -- ' AND password = SHA1('x')",
            "SELECT id FROM users WHERE email = 'admin'/*' AND password = SHA1('x')",
            "SELECT id FROM users WHERE email = ''=0#' AND password = SHA1('x')",
            "select a from t where b = 4 limit 1 into outfile '/tmp/x'-- -",
        ),
        "oracle": (
            "select a from t where b = 'x' union select null from dual-- KiJp",
            "select a from t where (b = 5)--)",
        ),
        "sqlserver": (
            "SELECT Id, Name FROM dbo.Products WHERE CategoryId = 4;WAITFOR DELAY '0:0:5'--",
            "select id from users where name = 'x' or 1=1 -- ' and active = 1\norder by id",
        ),
    },
    near_misses={
        "postgresql": (
            "select a from t -- Metabase:: userID: 1 queryType: MBQL",
            "select a -- the total's below\nfrom t -- don't\n",
            "-- all of it\nselect 1\n-- end",
            "select a from t where b = 5 -- and c = 6",
        ),
        "mysql": ("select a from t # totals below", "select a from t where b = 'x -- '", "select 5--2"),
        "oracle": ("select /*+ parallel(4) */ a from t -- nightly",),
        "sqlserver": (
            "-- ----------------\n-- users' orders\n-- ----------------\nselect 1",
            "select 1 -- 'quoted' word",
        ),
    },
)

STACKED = Signal(
    "stacked-statements",
    (
        "A second statement behind a value of an application's query, with its rest cut off or of a kind that queries "
        "do not need."
    ),
    (
        Pattern(
            ALL,
            (
                "exec",
                "execute",
                "declare",
                "shutdown",
                "drop",
                "copy",
                "grant",
                "create",
                "alter",
                "begin",
                "do",
                "kill",
            ),
            rf"{_BEHIND_VALUE};[; (]{{0,5}}(?:exec\b|execute\b|declare\b|shutdown\b|drop (?:table|database|schema"
            "|user|role|login|function)"
            "|create (?:or replace )?(?:table|user|role|login|function|procedure|trigger|extension|alias)"
            "|alter (?:user|role|login|server)"
            r"|copy\b|grant |begin|do |kill |truncate |backup |reconfigure)",
            raw=(
                r"['\"\d)]\s?;[ \t;(]{0,5}(?:/\*[^*]{0,40}\*/[ \t]?)?(?:exec|declare|shutdown|drop|create|alter|copy"
                "|grant|begin|do|kill|truncate|backup|reconf)"
            ),
            without=r"\bcommit\b|\bset nocount\b|\bgo\b",
        ),
        # T-SQL needs nothing in between.
        Pattern(
            _MS,
            ("exec", "execute", "declare", "shutdown", "waitfor"),
            (
                rf"{_BEHIND_VALUE}[?01)$]{{1,3}}[; )]{{0,5}}(?:exec(?:ute)?[ (]{{1,3}}(?:master|msdb|xp_|sp_|@|\?"
                r"|char)|declare @|shutdown\b)"
            ),
            raw=r"['\d)][ \t;)]{0,9}(?:/\*[^*]{0,40}\*/[ \t]?)?(?:exec|declare|shutdown)",
            without=r"\bcommit\b|\bset nocount\b|\bgo\b",
        ),
    ),
    samples={
        "postgresql": (
            (
                "SELECT * FROM articles WHERE id = 12; INSERT INTO accounts(login, role) VALUES ('h', 'admin');-- AND "
                "published"
            ),
            "select * from t where a = 'x';copy (select '') to program 'curl x'--'",
            "select id from t where a = 4;create user x with superuser password 'y'",
        ),
        "mysql": (
            "SELECT id FROM t WHERE a = 'x';drop table users#'",
            "select id from t where a = 4; update users set admin = 1-- -",
            "-- \\'",
            "#' AND active = 1",
        ),
        "oracle": (
            "select id from t where a = 'x';begin execute immediate 'grant dba to scott';end;--'",
            "select id from t where a = 4;drop user scott cascade--",
        ),
        "sqlserver": (
            (
                "SELECT Id FROM dbo.Users WHERE Email = 'x';declare @q varchar(1024);set @q='a';exec "
                "master..xp_dirtree @q--'"
            ),
            "SELECT Id FROM dbo.Users WHERE Email = 'x' exec master..xp_cmdshell 'dir'--",
            "select id from t where a = 4;shutdown--",
        ),
    },
    near_misses={
        "postgresql": (
            "create table a (id int); create table b (id int); drop table c;",
            "begin; update t set a = 1 where id = 5; commit;",
            "select * from t where id = 5;\nselect * from u where id = 6;",
            "select * from t where id = 5;\nupdate t set a = 1 where id = 5;",
        ),
        "mysql": (
            "INSERT INTO t (a) VALUES ('x; drop table y'); SELECT LAST_INSERT_ID()",
            "select a from t where b = 1;",
            "-- the owner's tables",
            "-- - 4: 'users'",
            "# ----",
        ),
        "oracle": ("begin delete from t where id = 5; commit; end;",),
        "sqlserver": (
            "SET NOCOUNT ON; UPDATE [t] SET [a] = @p0 WHERE [id] = @p1; SELECT @@ROWCOUNT;",
            "INSERT INTO [t] ([a]) VALUES (@p0); SELECT SCOPE_IDENTITY()",
            "select * from t where id = 5\nexec sp_help 't'",
        ),
    },
)

UNION_PROBE = Signal(
    "union-probe",
    (
        "UNION behind a query's value that counts columns or reads the server: NULLs, numbers, markers, the version, "
        "the catalog."
    ),
    (
        # A name in braces that no ODBC escape has.
        Pattern(
            _MY,
            ("union",),
            r"\bunion ?(?:all ?|distinct ?)?\(?select\b[^;]{0,300}?\{(?!(?:fn|oj|d|ts|call|escape|interval|guid)\b)"
            r"[a-z]\w{0,20} [a-z_][\w$.]{0,60}\}",
        ),
        # All NULL; or one literal among at least two.
        Pattern(
            ALL,
            ("union",),
            rf"{_UNION}null(?:,null){{0,200}}(?![\w,(.|+]| as\b)",
            without=_TWO_UNIONS,
        ),
        Pattern(
            ALL,
            ("union",),
            rf"{_UNION}(?=(?:null,|[?01],){{0,200}}null)(?=[^;]{{0,800}}(?:null,null|null,[?01],null))"
            r"(?:null|[?01])(?:,(?:null|[?01])){1,200}\)?(?: from dual)?(?:\Z| limit | order by )",
            behind=r"\bfrom\b",
            without=_TWO_UNIONS,
        ),
        Pattern(
            ALL, ("union",), rf"{_UNION}1(?:,\?){{1,200}}(?![\w,(.|+])", raw=r"\b1[\s/*()+]{0,9},[\s/*()+]{0,9}2\b"
        ),
        Pattern(
            ALL,
            ("union",),
            rf"{_UNION}\?(?:,\?){{1,200}}(?![\w,(.|+])",
            raw=r"(?:select|all|distinct|\()[\s/*()+]{1,20}(\d{3,9})[\s/*]{0,5},[\s/*]{0,5}\1\b",
        ),
        # Behind a condition that leaves nothing of the query's own rows.
        Pattern(
            ALL,
            ("union",),
            rf"\b(?:and|or)[ (]{{1,5}}(?:1=0|0=1|[01]=\?|\?=[?01])\)? {_UNION.removeprefix(chr(92) + 'b')}",
        ),
        # Three numbers or more that mean nothing.
        Pattern(
            ALL,
            ("union",),
            rf"{_UNION}\?(?:,\?){{2,200}}(?![\w,(.|+])",
            raw=r"(?:select|all|distinct|\()[\s/*()+]{1,20}\d{3,9}(?:[\s/*]{0,5},[\s/*]{0,5}\d{3,9}){2}",
            behind=r"\b(?:where|from)\b",
        ),
        Pattern(
            ALL,
            ("union",),
            rf"{_UNION}",
            raw=r"(?:[=<>]|like|in\s?\()\s?['\"(]{0,3}-\d{2,9}(?:\.\d{0,9})?['\")%]{0,4}[\s/*(!\d]{0,30}union\b",
        ),
        Pattern(
            ALL,
            ("union",),
            r"n?cha?r\(\?(?:,\?){0,40}\)(?:\|\||\+)n?cha?r\("
            r"|\b(?:concat|concat_ws|char|hex|unhex)\([?01](?:,(?:[?01]|select|\(|char|version|user|database))"
            rf"|{_SERVER}",
            behind=rf"\b(?:where|from)\b[^;]{{0,600}}{_UNION}(?:(?!\bfrom\b)[^;]){{0,300}}\Z",
            raw=(
                r"0x[0-9a-f]{4}|cha?r\W{0,4}\(|version|user|database|schema|db_name|host|@@|sys_context|banner"
                "|load_file|pg_read|current_setting"
            ),
            without=rf"\A(?:(?!\bunion\b)[^;]){{0,2000}}{_CATALOG}",
        ),
        # The catalog behind a query that does not ask it.
        Pattern(
            ALL,
            ("union",),
            rf"\b(?:from|join) ?\(?(?!dual\b){_CATALOG}",
            behind=rf"\b(?:where|from)\b[^;]{{0,600}}{_UNION}",
            without=rf"\A(?:(?!\bunion\b)[^;]){{0,2000}}{_CATALOG}",
        ),
        Pattern(_MY, ("union",), r"\bunion(?: all| distinct)? ?(?:table |values ?\(?row\b)", behind=r"\bwhere\b"),
    ),
    samples={
        "postgresql": (
            (
                "SELECT p.id FROM products p WHERE p.category_id = "
                "-6266/**/uNiOn/**/AlL/**/sElEcT/**/nUlL,cOnCaT(current_user,cHr(58),version()),nUlL--/**/lDoI"
            ),
            "select id from t where a = 'x' union select null,null-- '",
            "select id, name from t where a = 4 union select table_name, column_name from information_schema.columns",
            "select id from t where a = 'x' union select email from users-- '",
        ),
        "mysql": (
            "SELECT p.id FROM products p WHERE p.category_id = 4 UNION ALL SELECT 1,2,3",
            "SELECT p.id FROM products p WHERE p.category_id = -7639 union select email,pw from users",
            "SELECT a FROM p WHERE m = -8.union(select@a:=0,{x`login`},`pw`from{t`users`}limit 0,1)",
            (
                "SELECT p.id FROM products p WHERE p.category_id = 4 UNION ALL SELECT "
                "CONCAT(0x717a6b7171,version(),0x716b7a7671),NULL#"
            ),
        ),
        "oracle": (
            (
                "SELECT id, total FROM orders WHERE status = 'open' UNION ALL SELECT "
                "NULL,CHR(113)||CHR(106)||CHR(113) FROM DUAL-- KiJp"
            ),
            (
                "SELECT/**/*/**/FROM/**/orders/**/WHERE/**/ref='x'/**/UNION/**/SELECT/**/null,username,password/**/FRO"
                "M/**/dba_users--"
            ),
        ),
        "sqlserver": (
            (
                "SELECT Id, Name FROM dbo.Products WHERE CategoryId = -3326 UNION ALL SELECT "
                "NULL,NULL,CHAR(113)+CHAR(107)-- BxFI"
            ),
            "select id from t where a = 'x' union select @@version,1,2",
        ),
    },
    near_misses={
        "postgresql": (
            "select name, amount from t where a = 5 union all select 'Total', sum(amount) from t where a = 5",
            "select id, name from t where active union select null, 'All' order by 1",
            "select 1 union all select 2 union all select 3",
            "select table_name from information_schema.tables union select relname from pg_class where relkind = 'm'",
            "select 'user', current_user union all select 'db', current_database()",
        ),
        "mysql": (
            "select id, name from t where parent = -1 union all select id, name from archive",
            "INSERT INTO t (a, b) SELECT 1, 'x' UNION ALL SELECT 2, 'y'",
        ),
        "oracle": ("select id, name from t where b = 1 union all select 0, 'none' from dual",),
        "sqlserver": (
            "SELECT [a] FROM [t] WHERE [b] = 1 UNION ALL SELECT [a] FROM [u]",
            "select 0, '(all)' union select id, name from t",
        ),
    },
)

TIME_DELAY = Signal(
    "time-delay",
    "A function or statement that waits. Tests, replication and maintenance wait too.",
    tuple(Pattern((engine,), _SLEEPERS[engine], expression) for engine, expression in _DELAYS.items()),
    samples={
        "postgresql": ("select pg_sleep(5)", "select pg_catalog.pg_sleep_for('5 minutes')"),
        "mysql": (
            "select sleep(5)",
            "select id from t where a = 4/*!50000AND*/(/*!12345SLEEP*/\n(5))",
            "select benchmark(5000000,md5(1))",
        ),
        "oracle": ("begin dbms_lock.sleep(5); end;", "select dbms_pipe.receive_message('a',5) from dual"),
        "sqlserver": ("waitfor delay '0:0:5'", "WAITFOR TIME '22:00'"),
    },
    near_misses={
        "postgresql": ("select 'pg_sleep(5)'", "select sleep from nights"),
        "mysql": ("select sleep from nights where note = 'sleep(5)'",),
        "oracle": ("select sleep from nights",),
        "sqlserver": ("select 'waitfor delay'",),
    },
)

_MS_CONDITION = (
    r"(?:[?01]=[?01]|ascii|unicode|substring|len\(|system_user|db_name|is_srvrolemember|is_member|suser_s?name"
    "|user_name|host_name"
    r"|select (?:user|system_user|count|top|ascii|unicode|substring|is_)|@@version|convert\(|exists\(select \?)"
)
CONDITIONAL_DELAY = Signal(
    "conditional-delay",
    "A delay, or a heavy query standing in for one, in a condition or behind a query's value.",
    (
        Pattern(
            _PG,
            _SLEEPERS["postgresql"],
            _DELAYS["postgresql"],
            behind=_IN_CONDITION,
            without=r"\bperform (?:pg_catalog\.)?pg_sleep",
        ),
        Pattern(
            _PG,
            ("generate_series",),
            r"\b(?:and|or) \(?[?01](?:=|<>|<|>)\(select count\(\*\)from generate_series\([?01],\?\)",
        ),
        Pattern(
            _PG, ("generate_series",), r"\b(?:then|else) ?\(?(?:select )?count\(\*\)from generate_series\([?01],\?\)"
        ),
        # Any other heavy work on one branch: a regular expression over a long text, rows that are only counted.
        Pattern(
            ALL,
            words("repeat replicate rpad lpad generate_series"),
            r"(?:\b(?:then|else)|,) ?\(?(?:select )?\(?(?:(?:regexp_\w{1,20}|length|len|md5|count|sum)\(){0,2}"
            r"(?:(?:repeat|replicate|rpad|lpad)\([^;]{1,80}?\)(?:~\*?| ?(?:similar to|r?like|regexp)\b|,\?\))"
            r"|(?:\*|1)\)from generate_series\([?01],\?\))",
            behind=r"\b(?:case when|i?if)\b[^;]{0,600}?\bselect\b",
        ),
        Pattern(_PG, _SLEEPERS["postgresql"], r"\|\|\(select (?:pg_catalog\.)?pg_sleep"),
        Pattern(_MY, _SLEEPERS["mysql"], _DELAYS["mysql"], behind=_IN_CONDITION, without=r"\bdo sleep\("),
        Pattern(
            _MY,
            _SLEEPERS["mysql"],
            r"\(select ?\(?!?(?:sleep|benchmark)\(",
            without=r"\bdo sleep\(",
        ),
        Pattern(
            _MY,
            ("get_lock",),
            r"\bget_lock\(\?,\?\)",
            behind=r"\b(?:and|or|if\(|elt\(|when|then|xor|rlike)",
            raw=r"get_lock\W{1,9}\w{3,9}\W{1,9}\d",
        ),
        Pattern(
            _OR,
            ("receive_message",),
            r"\breceive_message\(",
            behind=rf"(?:select|insert|update|delete|with|merge)\b[^;]{{0,1000}}{_IN_CONDITION}",
            without=r"\A(?:begin|declare|create|call)\b",
        ),
        Pattern(_OR, ("sleep",), r"\)then [\w.]{1,40}\.sleep\(\?\);else [\w.]{1,40}\.sleep\(0\)", behind=r"\bif ?\("),
        # Behind a query, as its end.
        Pattern(
            ("postgresql", "mysql"),
            (*_SLEEPERS["postgresql"], *_SLEEPERS["mysql"]),
            rf"{_BEHIND_VALUE};(?:select|do)?[ (]{{0,5}}(?:pg_sleep\w{{0,6}}|sleep|benchmark)\([^;]{{0,60}}\Z",
        ),
        Pattern(
            _OR,
            ("sleep",),
            rf"{_BEHIND_VALUE};begin [\w.]{{1,40}}\.sleep\(",
        ),
        Pattern(
            _MS,
            ("waitfor",),
            rf"{_BEHIND_VALUE}(?:;[^;]{{0,200}}){{0,4}}waitfor (?:delay|time) ?(?:\?|@\w++)\Z",
            without=r"\b(?:while|begin|print|raiserror)\b|\binto #|@@rowcount",
        ),
        Pattern(
            _MS,
            ("waitfor",),
            r"\bwaitfor (?:delay|time) ?(?:\?|@)",
            behind=rf"\bif ?\({{1,3}}(?:[^;]{{0,40}}\()?{_MS_CONDITION}",
            without=r"@@rowcount",
        ),
        # The same table several times: the heavy query of a tool.
        Pattern(
            ALL,
            (
                *(
                    "sysusers",
                    "sysobjects",
                    "syscolumns",
                    "all_users",
                    "all_objects",
                    "all_tables",
                    "information_schema",
                    "dba_users",
                ),
                *("pg_class", "pg_attribute", "generate_series", "sys", "user_objects", "msysaccessobjects"),
            ),
            r"\bfrom ((?:\w{1,40}\.){0,2}(?:sysusers|sysobjects|syscolumns|(?:all|dba|user)_\w{1,30}|columns"
            r"|tables|collations|character_sets|pg_\w{1,30}))"
            r"(?: as)? \w{1,20},\1(?: as)? \w{1,20}(?:,\1|\)| where)",
        ),
    ),
    samples={
        "postgresql": (
            (
                "SELECT id FROM sessions WHERE token='q'/**/OR/**/1=(CASE/**/WHEN/**/(substr(current_user,1,1)='w')/**"
                "/THEN/**/(SELECT/**/1/**/FROM/**/pg_sleep(4))/**/ELSE/**/0/**/END)--'"
            ),
            "select id from t where a = 4;select pg_sleep(5)--",
            "select id from t where a = 'x' and (case when (select position(substr(k,1,1) in '0123') from u limit 1)>0"
            " then (repeat('ab',9000)~'(a|b|ab)*c')::int else 1 end)=1",
            (
                "select id from t where a = 4 and 7=(case when (1=1) then (select count(*) from "
                "generate_series(1,5000000)) else 7 end)"
            ),
        ),
        "mysql": (
            "SELECT p.id FROM products p WHERE p.category_id = 4/*!50000AND*/(/*!12345SLEEP*/\n(5))",
            "select id from t where a = 4 AND (SELECT 3511 FROM (SELECT(SLEEP(5-(IF(1=1,0,5)))))abcd)",
            "insert into t values ('x', if(ascii(mid(user(),1,1))>64,benchmark(5000000,md5(1)),0))",
            "select id from t where a = 4 and if((select pw from u limit 1) like 'a%',repeat('a',9999) rlike"
            " '(a+)+b',0)",
        ),
        "oracle": (
            "select * from t where id = 7 AND 7=DBMS_PIPE.RECEIVE_MESSAGE('abc',5)",
            (
                "select * from t where id = 7 AND 7=(CASE WHEN (1=1) THEN (SELECT COUNT(*) FROM ALL_USERS "
                "T1,ALL_USERS T2,ALL_USERS T3) ELSE 7 END)"
            ),
        ),
        "sqlserver": (
            "SELECT Id, Name FROM dbo.Products WHERE CategoryId = 4;WAITFOR DELAY '0:0:5'--",
            (
                "SELECT Id FROM dbo.Products WHERE CategoryId = 4 IF(UNICODE(SUBSTRING((SELECT SYSTEM_USER),1,1))>64) "
                "WAITFOR DELAY '0:0:5'"
            ),
            "select id from t where a = 'x' DECLARE @x CHAR(9) SET @x=0x303a303a35 WAITFOR DELAY @x--",
        ),
    },
    near_misses={
        "postgresql": (
            "select pg_sleep(5)",
            "do $$ begin if a and b then perform pg_sleep(1); end if; end $$",
            "select count(*) from generate_series(1,10)",
            "select case when length(a) < 9 then repeat('0', 9) || a else a end from t where a similar to 'x%'",
        ),
        "mysql": ("select sleep(5)", "select get_lock('job-5', 10)"),
        "oracle": (
            "begin dbms_lock.sleep(5); end;",
            "begin if not done and tries < 5 then dbms_lock.sleep(5); end if; end;",
        ),
        "sqlserver": (
            "waitfor delay '00:00:05'",
            (
                "while 1=1 begin delete top (1000) from t where d < '2020-01-01' if @@rowcount = 0 break waitfor "
                "delay '00:00:01' end"
            ),
            "select * into #a from sys.dm_os_wait_stats; waitfor delay '00:00:10'; select * from #a",
        ),
    },
)

_NUMERIC = (
    r"(?:int|integer|numeric|bigint|decimal|float|money|date|datetime|bool|boolean|bit|number|uniqueidentifier|xml)"
)
_TAKE_NUMBERS = words(
    "file_name filegroup_name suser_name user_name type_name db_name object_name object_schema_name schema_name"
    " col_name"
    " index_col key_name permissions formatmessage stats_date objectproperty objectpropertyex columnproperty"
    " indexproperty certencoded"
)
_TAKES_NUMBER = rf"\b(?:{'|'.join(_TAKE_NUMBERS)})"
ERROR_EXTRACTION = Signal(
    "error-extraction",
    "An error made on purpose whose message shows a value of the server or of a table.",
    (
        Pattern(
            _MY,
            ("extractvalue", "updatexml"),
            (
                r"\b(?:extractvalue|updatexml)\([?01],(?:concat(?:_ws)?\(|make_set\(|case |if\(|\(?select\b|version"
                r"|user|database|@@|lpad\(|export_set\()"
            ),
        ),
        Pattern(_MY, ("exp", "if"), r"\bexp\(~|[?01]\*\(?if\(\(select\b|~\(select\b"),
        Pattern(
            _MY,
            (
                "gtid_subset",
                "gtid_subtract",
                "uuid_to_bin",
                "json_keys",
                "st_latfromgeohash",
                "st_longfromgeohash",
                "st_pointfromgeohash",
                "name_const",
                "bin_to_uuid",
                "inet6_ntoa",
            ),
            (
                r"\b(?:gtid_subset|gtid_subtract|uuid_to_bin|bin_to_uuid|json_keys|st_(?:lat|long|point)fromgeohash"
                r"|name_const)\((?:concat(?:_ws)?\(|\(?select\b|version\(|user\(|database\(|@@)"
            ),
        ),
        Pattern(_MY, ("rand",), r"\bfloor\(rand\([^)]{0,9}\)\*[?01]\)|\bgroup by [^;]{0,400}rand\("),
        Pattern(
            _MY,
            ("polygon", "geometrycollection", "multipoint", "linestring", "multilinestring", "multipolygon"),
            r"\b(?:polygon|geometrycollection|multipoint|linestring|multilinestring|multipolygon)\(\(?select\b",
        ),
        Pattern(_MY, ("analyse",), r"\bprocedure analyse\("),
        # A value of the server, or of a subquery that is compared with a constant, as a number.
        Pattern(
            ("postgresql", "sqlserver", "oracle"),
            ("cast", "convert", "try_cast", "to_number"),
            rf"\b(?:cast|convert|to_number)\((?:{_NUMERIC},)?{_OPEN}(?:select )?{_OPEN}{_SERVER}",
            raw=rf"convert\W{{1,9}}{_NUMERIC}\b|\bas\W{{1,9}}{_NUMERIC}\b|to_number",
            without=r"\bserverproperty\(|\bserver_version",
        ),
        Pattern(
            ("postgresql", "sqlserver", "oracle"),
            ("cast", "convert", "try_cast", "to_number"),
            rf"(?:\b(?:and|or|not|where|having)[ (]{{1,6}}|[,(]|\|\||\+)[?01](?:=|<>|<|>| in ?){_OPEN}(?:select )?"
            rf"(?:cast|convert|to_number)\((?:{_NUMERIC},)?[^;]{{0,200}}?\(select\b",
        ),
        Pattern(
            ("postgresql", "sqlserver", "oracle"),
            ("cast", "convert", "try_cast", "to_number"),
            rf"\b(?:and|or|not|having)[ (]{{1,6}}(?:cast|convert|to_number)\((?:{_NUMERIC},)?\(select\b[^;]{{1,400}}"
            r"[=<>]{1,2}[?01]",
        ),
        # Markers around a subquery, as a number: also where a column stands.
        Pattern(
            ("postgresql", "sqlserver", "oracle"),
            ("cast", "convert"),
            rf"\b(?:cast|convert)\((?:{_NUMERIC},)?{_OPEN}(?:select )?{_OPEN}(?:\?|n?cha?r\([?01]\))(?:\|\|"
            rf"|\+)[^;]{{0,300}}?"
            rf"(?:\(select\b|\({_SERVER})",
        ),
        # Functions that take a number and get a text; the name that they return is compared with a number.
        Pattern(
            _MS,
            _TAKE_NUMBERS,
            rf"(?:\b(?:and|or|not|where|having|when)[ (]{{1,6}}|[,(]|\+)[?01](?:[=<>]{{1,2}}| in ?){_OPEN}"
            rf"{_TAKES_NUMBER}\([^;]{{0,40}}?(?:\bselect\b|{_SERVER})",
        ),
        Pattern(
            _MS,
            _TAKE_NUMBERS,
            rf"{_TAKES_NUMBER}\([^;]{{0,40}}?\(select\b[^;]{{1,400}}?\){{1,5}}(?:[=<>]{{1,2}}| in ?\()[?01]",
            raw=r"\)\s{0,9}(?:[=<>]{1,2}|\bin\s{0,9}\()\s{0,9}[-+(]{0,3}\d",
        ),
        # Markers in codes of characters around a value.
        Pattern(
            ALL,
            ("chr", "char", "concat"),
            (
                r"\(select (?:\(?concat\(){0,3}\(?(?:n?cha?r\([?01]\)(?:\|\|"
                r"|\+)){2,20}n?cha?r\([?01]\)[^;]{0,60}\(?(?:select|coalesce|isnull|nvl|ifnull)\b"
            ),
        ),
        Pattern(_MY, ("select",), r"\(select\b|\bunion\b", raw=r"0x71[0-9a-f]{6}71\b[^;]{1,300}0x71[0-9a-f]{6}71\b"),
        Pattern(
            ALL,
            ("and", "or", "where", "in"),
            (
                r"\b(?:and|or|where|not)[ (]{1,5}\?=concat\([^;]{0,200}\(select\b|\b(?:and|or"
                r"|not)[ (]{1,5}\? in ?\(select ?\(?(?:\?|n?char\(\?\))(?:\+|\|\|)"
            ),
        ),
        Pattern(
            _PG,
            ("xmlparse", "query_to_xml", "cast", "int", "numeric", "and", "or"),
            (
                r"\b(?:and|or)[ (]{1,5}[?01]=\(?\(?select [^;]{0,300}\)?::(?:int|integer|numeric|bigint)\b"
                r"|::text\|\|\(?(?:chr\(\?\)|\?)[^;]{0,200} as (?:numeric|int)"
            ),
        ),
        # XML of rows as a number: the rows are in the error.
        Pattern(
            _PG,
            words("query_to_xml table_to_xml schema_to_xml database_to_xml cursor_to_xml"),
            r"\bcast\(\(?(?:query|table|schema|database|cursor)_to_xml\([^;]{0,400}? as (?:int|numeric|bigint|smallint"
            r"|real|float|double|date|bool)|\b(?:query|table|schema|database|cursor)_to_xml\([^;\[\]]{0,400}?"
            r"::(?:text|varchar)\)?::(?:int|numeric|bigint|smallint|bool|date)",
        ),
        Pattern(
            _OR,
            (
                "xmltype",
                "utl_inaddr",
                "ctxsys",
                "dbms_utility",
                "dbms_xdb_version",
                "ordsys",
                "httpuritype",
                "dbms_xmlgen",
                "utl_http",
                "dbms_ldap",
                "dbms_aw",
            ),
            (
                rf"\b(?:xmltype\(|utl_inaddr\.get_host_(?:name|address)\(|ctxsys\.\w{{1,40}}\.\w{{1,40}}\("
                rf"|dbms_utility\.sqlid_to_sqlhash\(|dbms_xdb_version\.\w{{1,40}}\(|ordsys\.\w{{1,40}}\.\w{{1,40}}\("
                rf"|dbms_aw\.\w{{1,40}}\()(?:[?01],)?\(?(?:chr\(|\?\|\||\(?select\b|{_SERVER}|user\b)"
            ),
        ),
    ),
    samples={
        "postgresql": (
            (
                "SELECT p.id FROM products p WHERE p.category_id = 4 AND "
                "8777=CAST((CHR(113)||CHR(118)||CHR(98))||(SELECT version())::text||(CHR(113)||CHR(122)) AS NUMERIC) "
                "ORDER BY p.name"
            ),
            "select a from t where b = 'x' and cast((select version()) as int)=1-- -'",
            "select a from t where b = 'x' and 1=(select usename from pg_user limit 1)::int--",
            "SELECT a FROM t WHERE b = 3 AND 1=CAST(query_to_xml('select iban from c',true,true,'')::text AS int)",
        ),
        "mysql": (
            (
                "SELECT p.id FROM products p WHERE p.category_id = 4 AND "
                "UPDATEXML(3536,CONCAT(0x2e,0x717a6b7171,(SELECT USER()),0x716b7a7671),3856)"
            ),
            (
                "SELECT p.id FROM products p WHERE p.category_id = 4 AND EXP(~(SELECT * FROM (SELECT "
                "CONCAT(0x717a6b7171,(SELECT DATABASE()),0x78))x))"
            ),
            (
                "select a from t where b = 4 or (SELECT 2*(IF((SELECT * FROM (SELECT CONCAT(0x71,(SELECT "
                "DATABASE()),0x78))s), 8446744073709551610, 8446744073709551610)))"
            ),
            (
                "select a from t where b = 4 and (select 1 from(select count(*),concat(user(),floor(rand(0)*2))x from "
                "information_schema.plugins group by x)a)"
            ),
            "select a from t limit 1,1 PROCEDURE ANALYSE(EXTRACTVALUE(2055,CONCAT(0x5c,(SELECT @@version))),1)",
        ),
        "oracle": (
            (
                "SELECT * FROM t WHERE id = 7 AND 1614=(SELECT "
                "UPPER(XMLType(CHR(60)||CHR(58)||CHR(113)||(REPLACE((SELECT user FROM "
                "dual),CHR(32),CHR(95)))||CHR(62))) FROM DUAL)"
            ),
            (
                "SELECT * FROM t WHERE id = 7 AND 1=utl_inaddr.get_host_address((select banner from v$version where "
                "rownum=1))"
            ),
        ),
        "sqlserver": (
            "SELECT Id FROM t WHERE c = 4 AND 3412=CONVERT(INT,(SELECT CHAR(113)+(SELECT @@VERSION)+CHAR(113)))",
            "select id from t where a = 'x' and 1=convert(int,db_name())--",
            "select id from t where a = 4 AND 0<FILE_NAME((SELECT Pw FROM dbo.U ORDER BY Id OFFSET 0 ROWS FETCH NEXT 1"
            " ROWS ONLY))",
            "select id from t where a = 4 AND TYPE_NAME(('~'+(SELECT TOP 1 Mail FROM dbo.U)))>0",
            "select id from t where a = 4 AND 1=SUSER_NAME(@@version)",
            "select id from t where a = 4 AND 5 IN (SELECT (CHAR(113)+(SELECT TOP 1 name FROM sys.tables)+CHAR(113)))",
        ),
    },
    near_misses={
        "postgresql": (
            "select cast(value as int) from settings where name = 'x'",
            "select current_setting('server_version_num')::int",
            "select (xpath('/row/c/text()', query_to_xml('select count(*) as c from t', false, true, '')))[1]::int",
            "select id from t where n = cast('5' as int) and a in (select b from c)",
        ),
        "mysql": (
            "select extractvalue(doc, '/a/b') from t",
            "select * from t order by rand() limit 5",
            "select json_keys(data) from t",
        ),
        "oracle": ("insert into t values (xmltype('<a/>'))", "select to_number(a) from t where b in (select c from d)"),
        "sqlserver": (
            "select convert(int, a) from t",
            "select convert(int, serverproperty('productmajorversion'))",
            "select id from t where a = 4 and object_name((select object_id from u where n = 5)) = 'x'",
            "select object_name(p.object_id), db_name((select dbid from u)) from sys.partitions p where p.rows > 0",
            "select id from t where a = cast(@p0 as int)",
        ),
    },
)

_ASKED = r"\b(?:and|or|not|xor|when|if|iif|where|having|rlike|like|elt|make_set|select)[ (!]{1,6}"
INFERENCE = Signal(
    "inference",
    (
        "A value read one answer at a time: a character of a subquery or server value compared, or an error on one "
        "branch of a CASE."
    ),
    (
        Pattern(
            ALL,
            ("ascii", "ord", "unicode", "codepoint"),
            rf"\b(?:ascii|ord|unicode|codepoint)\((?:\w{{0,20}}\(){{0,7}}(?:select\b|{_SERVER}|user,)",
        ),
        Pattern(
            ALL,
            (
                *(
                    "substr",
                    "substrb",
                    "substrc",
                    "substring",
                    "mid",
                    "left",
                    "right",
                    "lpad",
                    "instr",
                    "locate",
                    "position",
                ),
                *("strpos", "charindex", "strcmp", "regexp_substr", "regexp_like", "hex", "bin"),
            ),
            rf"{_ASKED}(?:\w{{1,20}}\(){{0,3}}(?:substr[bc]?|substring|mid|left|right|lpad|instr|locate|position"
            "|strpos|charindex"
            rf"|strcmp|regexp_substr|regexp_like)\({_OPEN}(?:\w{{1,20}}\({_OPEN}){{0,3}}(?:select\b|{_SERVER}"
            f"|user,)[^;]{{0,400}}?"
            rf"(?:,[?01]|for 1|,\?)\){_CLOSE}(?:=|<>|<|>| like | in ?\(| between | regexp )",
        ),
        # A binary collation distinguishes capital letters.
        Pattern(
            ("mysql", "sqlserver"),
            ("collate",),
            r"\b(?:and|or|not|xor)[ (]{0,6}\(select (?:top ?\(?[?01]\)? )?[\w.]{1,130} from [^;]{1,400}\) ?"
            r"collate \w{1,60}(?: like |=|>|<)\(?n?\?",
        ),
        Pattern(ALL, ("right", "reverse"), rf"\b(?:right|reverse)\(left\({_OPEN}(?:select\b|{_SERVER})"),
        Pattern(
            ALL,
            ("length", "len", "char_length", "character_length"),
            rf"{_ASKED}(?:char_|character_)?len(?:gth)?\({_OPEN}(?:select\b|{_SERVER}|user\b)[^;]{{0,400}}\)"
            r"(?:=|<>|<|>| between | in ?\()",
        ),
        # A condition as a number of MySQL.
        Pattern(
            _MY,
            ("order", "where"),
            r"\((?:\?(?:=| r?like )\?|[^;()]{1,40}[=<>]\?)\)\*[?01]",
            raw=r"\d\s?(?:[=<>]|\Wr?like\W)\s?\d",
        ),
        Pattern(
            ALL,
            ("and", "or", "not", "where"),
            r"\b(?:and|or|not|xor)[ (!]{1,6}exists ?\(select \? from [\w.]++(?: limit [?01])?\)",
        ),
        # (select 'a' from users where …) = 'a'; (select substr(password, 1, 1) from users …) = 'a'
        Pattern(
            ALL,
            ("and", "or", "not", "where"),
            (
                r"\b(?:and|or|not|xor|\|\|)[ (!]{0,6}\(select (?:\?|(?:substr[bc]?|substring|mid|left|right|length"
                r"|len|ascii|count)\([^;]{1,80}\)) ?from [^;]{1,400}\)(?:=|<>|<|>| like )\?"
            ),
            raw=r"(?:=|<|>|like)\s{0,3}(?:'.'|'\w'|\d{2,3}\b|'[^']{0,40}')",
        ),
        # A subquery between the two halves of a text.
        Pattern(ALL, ("select",), r"=\?(?:\+|\|\|)\(select\b[^;]{1,600}\)(?:\+|\|\|)\?"),
        # A number compared with a CASE.
        Pattern(
            ALL,
            ("case",),
            r"\b(?:and|or|not|xor|rlike|regexp|where)[ (]{1,6}\?(?:=|<>| in ?)\(?(?:select ?)?\(?\(?case when\b",
        ),
        # Rows compared with those of TABLE.
        Pattern(
            ("postgresql", "mysql"),
            ("table",),
            r"[=<>] ?\(?\(table [\w$.]{1,130}[^;()]{0,60}\)|\(table [\w$.]{1,130}[^;()]{0,60}\)[=<>]",
        ),
        Pattern(ALL, ("rlike", "regexp", "regexp_like"), r"\b(?:rlike|regexp)[ (]{1,6}(?:select|case when|if\()"),
        # What one branch fails by.
        Pattern(
            ALL,
            ("case", "if", "iif", "decode", "nullif"),
            (
                r"(?:\b(?:then|else) ?|,)\(?(?:to_char\(|to_number\(|cast\()?(?:[?01]/\(?(?:select )?\(?0\b"
                r"|[?01]/\(case\b|\?\*\(select \?|\(?select \?(?: from [\w.]{1,60})? union(?: all)? select \?"
                r"|cast\([?01] as \w{1,20}\)/\(?(?:select )?0|ctxsys\.|drop function)"
            ),
            behind=r"\b(?:case|i?if\()",
        ),
        Pattern(
            ALL,
            ("case",),
            r"\bthen null else (?:cast\(|ctxsys\.)[^;]{0,300}?end\)?(?: from dual)?\)? ?is null",
            behind=r"\bcase when\b",
        ),
        Pattern(
            ALL,
            ("case",),
            r"[?01]/\(?(?:select )?\(?case when\b[^;]{1,400}(?:then|else) 0\b",
            raw=r"ascii|substr|version|user|select|\d{3,9}\s{0,9}=\s{0,9}\d{3,9}",
        ),
        Pattern(_PG, ("generate_series",), r"\bgenerate_series\([?01],[?01],\(?case when\b"),
        Pattern(
            ALL,
            ("case", "if", "iif"),
            r"\b(?:case when|i?if\()[ (]{0,5}\?=\?\)?(?: then|,)",
            raw=r"(?:when|if)[\s(/*]{1,9}\d{3,9}[\s)/*]{0,5}=[\s(/*]{0,5}\d{3,9}",
        ),
        Pattern(
            _MY,
            ("elt", "make_set", "extractvalue"),
            (
                r"\b(?:elt|make_set)\([^;]{1,300}?(?:[=<>]| r?like | between | in ?\()|\b(?:and|or|rlike|not"
                r"|xor) (?:elt|make_set|extractvalue)\(|\((?:\?=\?|[^;]{1,40}>\?)\)\*[?01]"
            ),
        ),
        Pattern(_MS, ("is_srvrolemember",), r"\b(?:and|or|not)[ (]{1,5}is_srvrolemember\("),
        Pattern(
            _OR,
            ("dba_role_privs", "v$version", "user_role_privs"),
            r"\(select (?:granted_role|banner) from [^;]{1,200}\)(?:=|>|<| like )\?",
        ),
        Pattern(_MY, ("mysql",), r"\(select super_priv from mysql\.user\b[^;]{1,200}\)=\?"),
        Pattern(
            _PG,
            ("pg_user", "pg_shadow", "pg_roles"),
            (
                r"\(select (?:usesuper|rolsuper)=true from [^;]{1,200}\)|\b(?:and|or) \(select (?:usesuper"
                r"|rolsuper) from\b"
            ),
        ),
    ),
    samples={
        "postgresql": (
            (
                "select a from t where b = 4 AND ASCII(SUBSTRING((SELECT COALESCE(CAST(passwd AS "
                "VARCHAR(10000)),(CHR(32))) FROM pg_shadow LIMIT 1)::text FROM 1 FOR 1))>64"
            ),
            (
                "select a from t where b = 'x' and (select substr(password,1,1) from users where "
                "username='administrator')='a'"
            ),
            "select a from t where b = 4 and (table users limit 1) > (1, 'a')",
            "select a from t order by (select (case when (5=5) then 1 else 1/(select 0) end))",
        ),
        "mysql": (
            (
                "SELECT p.id FROM products p WHERE p.category_id = 4 AND ORD(MID((IFNULL(CAST(DATABASE() AS "
                "NCHAR),0x20)),1,1))>64"
            ),
            "select a from t where b = 'x' and substring(version(),1,1)='8'",
            "select a from t where b = 4 and (1,'a')<(table users limit 1)",
            "select a from t where b = 4 RLIKE (SELECT (CASE WHEN (7152=7152) THEN 4 ELSE 0x28 END))",
        ),
        "oracle": (
            (
                "SELECT * FROM t WHERE ref = 'a'||(CASE WHEN (ASCII(SUBSTRC((SELECT user FROM dual),1,1))>83) THEN "
                "TO_CHAR(1/0) ELSE '' END)||''"
            ),
            (
                "select * from t where ref = ''||(select case when length(password)>3 then to_char(1/0) else '' end "
                "from users where username='administrator')||''"
            ),
        ),
        "sqlserver": (
            "select id from t where a = 4 AND UNICODE(SUBSTRING((SELECT TOP 1 name FROM master..sysdatabases),1,1))>64",
            "select id from t where a = 'x' and len(db_name())=5--",
            (
                "select id from t where a = 4 AND 4512=(SELECT (CASE WHEN (4512=4512) THEN 4512 ELSE (SELECT 3 UNION "
                "SELECT 8) END))"
            ),
        ),
    },
    near_misses={
        "postgresql": (
            "select ascii(substr(name, 1, 1)) from t where substring(name from 1 for 1) = 'a'",
            "select case when total = 0 then 0 else hits / total end from t",
            (
                "select a from t where exists (select 1 from u where u.id = t.id) and (select count(*) from u where "
                "u.id = t.id) > 5"
            ),
            "select version(), current_user, substr(version(), 1, 20)",
        ),
        "mysql": (
            "select * from t where user = substring_index(user(), '@', 1)",
            "select elt(n, 'a', 'b') from t",
            "select if(a > 5, 'x', 'y') from t",
        ),
        "oracle": ("select decode(a, 0, null, b / a) from t", "select * from t where substr(code, 1, 1) = 'x'"),
        "sqlserver": (
            "select * from t where 1 = case when @p is null then 1 else 0 end",
            "select * from t where login = substring(system_user, charindex('\\', system_user) + 1, 50)",
            "select is_srvrolemember('sysadmin')",
        ),
    },
)

_LETTER_CODES = r"cha?r\W{0,4}\(\W{0,4}(?:6[5-9]|[7-9]\d|1[01]\d|12[0-2])\W"
_LETTER_IN_HEX = "(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])"
ENCODED = Signal(
    "encoded-text",
    "Text spelled in codes of characters or in hexadecimal digits, so that it needs no quotes.",
    (
        Pattern(
            ALL,
            ("chr", "char", "nchar"),
            r"\bn?cha?r\(\?\)\)?(?:\|\||\+)\(?n?cha?r\(\?\)\)?(?:\|\||\+)\(?n?cha?r\(\?\)",
            raw=_LETTER_CODES,
        ),
        Pattern(
            ("mysql", "sqlserver"), ("char",), r"\bchar\(\?(?:,\?){2,200}(?: using \w{1,20})?\)", raw=_LETTER_CODES
        ),
        Pattern(
            ALL,
            ("concat", "concat_ws", "group_concat"),
            r"\bconcat(?:_ws)?\((?:char\(|cha?r\(\?\),cha?r\(\?\),)",
            raw=_LETTER_CODES,
        ),
        Pattern(
            ("mysql", "sqlserver"),
            ("concat", "concat_ws", "union", "like", "exec"),
            r"\bconcat(?:_ws)?\([^;]{0,60}\?|\bunion\b|\blike \?|=\?",
            raw=(
                r"concat(?:_ws)?\W{1,9}0x[0-9a-f]{2}|\bunion\b.{1,200}0x(?:[2-7][0-9a-f]){3,200}\b"
                r"|like\W{1,9}0x(?:[2-7][0-9a-f]){2,200}"
            ),
        ),
        Pattern(
            _OR, ("unistr",), r"\bunistr\(\?", raw=rf"unistr\s{{0,9}}\(\s{{0,9}}n?'[^']{{0,200}}?\\00{_LETTER_IN_HEX}"
        ),
        Pattern(
            _MY,
            ("outfile", "dumpfile", "load_file", "unhex"),
            r"\b(?:outfile|dumpfile|load_file\(|by|unhex\()",
            raw=r"(?:by|load_file\s{0,3}\()\W{1,9}0x[0-9a-f]{12}|unhex\W{1,5}(?:[2-7][0-9a-f]){4}",
        ),
    ),
    samples={
        "postgresql": (
            "select a from t where b = U&'\\0061dmin'",
            "select a from t where b = e'\\x61\\144min'",
            "select a from t where b = E'\\\\\\u0061dmin'",
            "select a from t where b = (CHR(113)||CHR(118)||CHR(98)||CHR(10)||CHR(113))",
            "select chr(97)||chr(98)||chr(99)",
        ),
        "mysql": (
            "select a from t where b = char(97,98,99,100)",
            "select a from t union select 0x717a6b7171,2",
            (
                "select a from t where b = 4 LIMIT 0,1 INTO OUTFILE '/var/www/x.php' LINES TERMINATED BY "
                "0x3c3f7068702073797374656d28-- -"
            ),
        ),
        "oracle": (
            "select chr(68)||chr(66)||chr(65) from dual",
            "select a from t where b = UNISTR('\\0041\\0042')",
            "select a from t where b = CHR(113)||CHR(106)||CHR(113)||CHR(120)",
        ),
        "sqlserver": (
            "select CHAR(113)+CHAR(107)+CHAR(120)",
            "declare @x nvarchar(max)=nchar(115)+nchar(101)+nchar(108)",
        ),
    },
    near_misses={
        "postgresql": (
            "select a||chr(13)||chr(10)||b from t",
            "select a from t where b = U&'M\\00fcnchen'",
            "select a from t where b = E'\\\\x61646d' and c = E'\\tM\\u00fcnchen\\n'",
            "select a from t where name like'\\x61'",
        ),
        "mysql": (
            "select * from t where id = 0x11ee8c5f2a3b4c5d8e9f0a1b2c3d4e5f",
            "select * from t into outfile '/tmp/a' lines terminated by 0x0a",
            "create table t (a char(10))",
        ),
        "oracle": (
            "select a||chr(13)||chr(10)||chr(13)||chr(10)||b from t",
            "insert into t values (UNISTR('M\\00fcnchen \\20ac'))",
        ),
        "sqlserver": (
            "select a + char(13) + char(10) + char(13) + char(10) + b from t",
            "select cast(a as char(99)) from t",
        ),
    },
)

DYNAMIC_CODE = Signal(
    "dynamic-code",
    (
        "A text that is put together, or encoded, and executed. Its own signals count too, as far as its parts are "
        "constants."
    ),
    (),
    samples={
        "postgresql": (
            "DO $$ BEGIN EXECUTE 'drop ' || 'table x'; END $$",
            "do $$ begin execute format('grant %s to %I', 'a', b); end $$",
        ),
        "mysql": ("PREPARE s FROM CONCAT('dr', 'op table x')", "SET @q = 0x64726f70207461626c652078"),
        "oracle": (
            "BEGIN EXECUTE IMMEDIATE 'GRANT ' || CHR(68)||'BA TO SCOTT'; END;",
            "declare q varchar2(99) := 'drop '; begin q := q || 'table x'; execute immediate q; end;",
        ),
        "sqlserver": (
            "EXEC('dr'+'op table ' + @t)",
            "declare @q varchar(99); set @q = 'drop'; set @q += ' table x'; exec sp_executesql @q",
        ),
    },
    near_misses={
        "postgresql": ("do $$ begin execute 'drop table x'; end $$", "execute stmt_1('a' || 'b')"),
        "mysql": ("PREPARE s FROM 'select 1'", "SET @a = 5"),
        "oracle": ("begin execute immediate 'truncate table x'; end;",),
        "sqlserver": (
            "exec sp_executesql N'select * from t where a = @p', N'@p nvarchar(9)', @p = N'drop table x'",
            "exec p 'a'",
        ),
    },
)

APOSTROPHE = Signal(
    "apostrophe",
    "An apostrophe within a name ends a literal too early: `'O'Brien'`. The application does not escape it.",
    (
        Pattern(
            ALL,
            words("select insert update delete"),
            r"\A(?:select|insert|update|delete)\b",
            raw=r"'%?[^'%=();#-]{0,40}[a-z\u00e0-\u00ff]\\?'[a-z\u00e0-\u00ff][^'\\=();#-]{0,40}%?\\?'\s{0,9}"
            r"(?:,|\)|;|\Z|limit\b|order\b|and\b|fetch\b|where\b)",
        ),
    ),
    samples=dict.fromkeys(
        ALL,
        (
            "SELECT id FROM guests WHERE name = 'O'Brien' LIMIT 10",
            "INSERT INTO guests (name, party) VALUES ('D'Angelo', 2)",
            "SELECT id FROM guests WHERE name LIKE '%O'Neill%' ORDER BY name",
        ),
    ),
    near_misses=dict.fromkeys(
        ALL,
        (
            "SELECT id FROM guests WHERE name = 'x'or'1'='1'",
            "SELECT id FROM guests WHERE name = 'x' or 'y' = 'y'",
            "SELECT id FROM guests WHERE name = 'O''Brien' LIMIT 10",
            "SELECT id FROM guests WHERE name = 'kTfQ<'\">uYtR'",
        ),
    ),
    in_bodies=False,
)

INJECTION: tuple[Signal, ...] = (
    APOSTROPHE,
    TAUTOLOGY,
    COMMENT_CUT_OFF,
    STACKED,
    UNION_PROBE,
    TIME_DELAY,
    CONDITIONAL_DELAY,
    ERROR_EXTRACTION,
    INFERENCE,
    ENCODED,
    DYNAMIC_CODE,
)
