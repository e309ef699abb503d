"""How a statement hides what it does, and how data is read a little at a time.

`split-word` is strong: a word is cut only so that no search finds it; so is `decoded-execution`. `contradiction` and
`value-probe` are SQL injection; `page-read` is what any list on a screen does too, and `batch-change` what any clean-up
does: they say something in numbers only.
"""

from __future__ import annotations

from dataclasses import replace

from daswatch.sql.signal_table.model import ALL, Pattern, Signal, words

_PG, _MYSQL, _ORACLE, _SQLSERVER = ("postgresql",), ("mysql",), ("oracle",), ("sqlserver",)


SPLIT_WORD = Signal(
    "split-word",
    "Two constants are put together in the middle of a word, so that a search does not find it.",
    (),
    samples={
        "postgresql": (
            "DO $$ BEGIN EXECUTE 'gr'||'ant app_rw to svc'; END $$",
            "SELECT set_config('pga' || 'udit.log', 'none', false)",
            "DO $x$ BEGIN EXECUTE concat('GR', 'ANT a TO b'); END $x$",
            "CREATE FUNCTION f() RETURNS void AS 'BEGIN EXECUTE ''dr''||''op table t''; END' LANGUAGE plpgsql",
            "DO LANGUAGE plpython3u $$ plpy.execute('select * fr'+'om t') $$",
        ),
        "mysql": (
            "SET @s = CONCAT('GR', 'ANT ALL ON *.* TO b'); PREPARE s FROM @s",
            "SET @s = 'dr' 'op table t'",
            "SELECT CONCAT(@a, 'sel', 'ect 1')",
        ),
        "oracle": (
            "BEGIN EXECUTE IMMEDIATE 'gr'||/* x */'ant dba to app'; END;",
            "DECLARE o VARCHAR2(9) := 'EXP' || '' || q'[ORT]'; BEGIN NULL; END;",
        ),
        "sqlserver": (
            "DECLARE @s nvarchar(99) = N'xp_cmd' + N'shell'; EXEC @s 'dir'",
            "EXEC ('dr' + ('op table t'))",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT 'Order '||'number' || id FROM orders",
            "SELECT first_name||' '||last_name FROM users WHERE a IN ('gr', 'ant')",
            "SELECT 'it''s' || ' here'",
            'SELECT "gr"||"ant" FROM t',
            "INSERT INTO notes (body) VALUES ('write ''gr''||''ant'' there')",
        ),
        "mysql": (
            "SELECT CONCAT('%', 'ant', '%')",
            "SELECT CONCAT_WS(',', 'gr', 'ant')",
            "SELECT a FROM t WHERE b IN ('gr', 'ant') AND c = CONCAT('gr', d)",
        ),
        "oracle": (
            "SELECT 'a' || b || 'c' FROM t",
            f"INSERT INTO t (c) VALUES ('{'x' * 1000}' || '{'y' * 1000}' || 'z')",
        ),
        "sqlserver": (
            "SELECT N'Total: ' + N'none', 'a', 'b'",
            "SELECT 'SELECT a ' + 'FROM t'",
            "SELECT 'gr' AS a, 'ant' AS b",
        ),
    },
)

_CONJUNCTION = r"\b(?:and|xor|having|when|rlike|and not|xor not)[ (!]{0,9}"
_ANY_CONDITION = r"\b(?:and|or|xor|not|having|when|rlike)[ (!]{0,9}"
_COMPARES = r"(?:=|<=>| like | r?like | regexp | in ?\(| is )"
# Not one side of an optional filter: `('all' = 'north' or region = 'north')`.
_NOT_OPTIONAL = r"(?!\)? or\b)(?![\w.(*/+|-])"
_BLANK = r"(?:[\s(+]|/\*.{0,9}\*/){0,9}"
_RAW_COMPARES = rf"{_BLANK}(?:<=>|=|\br?like\b|\bregexp\b|\bin\b|\bis\b){_BLANK}"

CONTRADICTION = Signal(
    "contradiction",
    "Two different constants are compared in a further condition, which therefore never holds.",
    (
        Pattern(
            ALL,
            ("and", "xor", "having", "when", "rlike"),
            rf"{_CONJUNCTION}\?{_COMPARES}\(?\?{_NOT_OPTIONAL}",
            raw=rf"(?<![\w.'\"-])(\d{{1,12}})\)?{_RAW_COMPARES}(?!\1(?!\d))\d{{1,12}}(?![\w.'\"])",
        ),
        Pattern(
            ALL,
            ("or", "not"),
            rf"{_ANY_CONDITION}\?{_COMPARES}\(?\?{_NOT_OPTIONAL}",
            raw=rf"(?<![\w.'\"-])(\d{{3,12}})\)?{_RAW_COMPARES}(?!\1(?!\d))\d{{3,12}}(?![\w.'\"])",
        ),
        Pattern(
            ALL,
            ("and", "xor", "having", "when", "rlike"),
            rf"{_CONJUNCTION}\?{_COMPARES}\(?\?{_NOT_OPTIONAL}",
            raw=(
                rf"\b(?:and|xor|having|when|rlike|not)\b[\s(!]{{0,9}}n?'([^']{{1,40}})'{_RAW_COMPARES}n?'(?!\1')"
                rf"[^']{{1,40}}'?"
            ),
        ),
    ),
    samples={
        "postgresql": (
            "SELECT p.id FROM products p WHERE p.category_id = 4 AND 5990=2125",
            "SELECT id FROM t WHERE a = 'x' AND 'rxqO'='LQAN' AND published",
            "SELECT id FROM t WHERE a = 'x' OR 1234=4321",
            "SELECT id FROM t WHERE a = 4 AND 5=6",
        ),
        "mysql": (
            "SELECT id FROM t WHERE a = 4 AND 1015 LIKE 1370",
            "SELECT id FROM t WHERE a = 4 RLIKE (SELECT (CASE WHEN (2971=7311) THEN 4 ELSE 0x28 END))",
            "SELECT id FROM t WHERE (a = 4) AND/**/5990/**/=/**/2125 AND (b = 5)",
        ),
        "oracle": (
            "SELECT * FROM orders WHERE id = 7 AND 7552=7553",
            "SELECT * FROM orders WHERE ref = 'x' AND 'ab'='cd'",
        ),
        "sqlserver": (
            "SELECT Id FROM dbo.Users WHERE Email = 'x' AND 1489=5481 AND 'jXgY'='jXgY'",
            "SELECT Id FROM dbo.Users WHERE Email = 'x' AND N'jXgY'=N'lheJ'",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT id FROM t WHERE a = 4 AND 2485=2485",
            "SELECT id FROM t WHERE NOT 1=0 AND b = 5",
            "SELECT id FROM t WHERE a = 5 AND 0=1",
            "SELECT id FROM t WHERE ('north' = 'all' OR region = 'north') AND b = 4",
            "SELECT id FROM t WHERE a = 'x' AND (5 = 0 OR b = 5)",
            "INSERT INTO notes (body) VALUES ('x AND 5990=2125')",
        ),
        "mysql": (
            "SELECT id FROM t WHERE a = 4 AND 1=0",
            "SELECT id FROM t WHERE a = 5 AND b = 7",
            "SELECT id FROM t WHERE 1=2",
        ),
        "oracle": ("SELECT 1 FROM dual WHERE 1=0", "SELECT id FROM t WHERE 1=1 AND a = 5 AND 1=2"),
        "sqlserver": (
            "SELECT [u].[Id] FROM [Users] AS [u] WHERE [u].[Age] > 18 AND 0 = 1",
            "SELECT Id FROM t WHERE a = 'x' AND 'abc'='abc'",
        ),
    },
)

_OPEN = r"[ (]{0,5}"
_WRAPPED = r"(?:\w{1,20}\([ (]{0,5}){0,4}"
_PART = r"(?:substr[bc]?|substring|mid|left|right|lpad|rpad|regexp_substr)"
_CODE = r"(?:ascii|ord|unicode|codepoint|hex|bin|conv|bit_length|bit_count|crc32)"
_IS = (
    r"(?:=|<>|<=?|>=?|&|\^|<<|>>|~\*?| ?(?:div|mod)\b"
    r"| ?(?:not )?(?:between\b|in ?\(|(?:binary )?(?:i?like|regexp|rlike|similar to)\b))"
)
_IN_A_CONDITION = (
    r"(?:\b(?:and|or|xor|not|where|when|having|rlike|regexp)|i?if\(|elt\(|\border by|\|\||,)"
    r"(?: (?:binary|not) ?)?[ (!]{0,9}"
)
_SECRET_COLUMN = r"(?:\w{1,40}\.)?\w{0,40}(?:pass|pwd|secret|token|hash|salt|api_?key|card|ssn)\w{0,40}"
_ONE_ROW = r"(?:limit [?01](?:,[?01]| offset [?01])?|rownum(?:<=|=|<)[?01]|fetch (?:first|next) [?01]? ?rows? only)"

VALUE_PROBE = Signal(
    "value-probe",
    "A value is read one answer at a time, in other forms than `inference` has: a part or pattern of a subquery's value"
    " compared, or an order that depends on it.",
    (
        Pattern(
            ALL,
            words("substr substrb substrc substring mid left right lpad rpad regexp_substr"),
            rf"\b{_PART}\({_OPEN}{_WRAPPED}select\b[^;]{{1,400}}?(?:,[?01]|for [?01])\)[ )]{{0,9}}{_IS}",
        ),
        Pattern(
            ALL,
            words("ascii ord unicode codepoint hex bin conv bit_length bit_count crc32"),
            rf"\b{_CODE}\({_OPEN}{_WRAPPED}select\b[^;]{{1,400}}?\)[ )]{{0,9}}{_IS}",
        ),
        Pattern(
            ALL,
            ("select",),
            rf"{_IN_A_CONDITION}\(select ?{_OPEN}(?:\w{{1,20}}\([ (]{{0,5}}(?:\?,)?){{0,4}}(?:{_PART}|{_CODE})\("
            rf"[^;]{{1,120}}?\bfrom\b[^;]{{1,400}}?\)[ )]{{0,5}}{_IS}",
            raw=r"(?:[=<>]|like|between|in|&|div|mod)[\s(]{0,5}(?:n?'[^']{0,2}'|'[^'%]{0,9}%'|0x[0-9a-f]{2}\b|\d{1,3}\b)",
        ),
        # Behind a value, in place of a comparison: `= 12 - DECODE(…)`, `= 8 - (SELECT CASE …)`.
        Pattern(
            ("oracle", "sqlserver", "mysql"),
            words("decode case if iif"),
            r"=[?01] ?[-+*/^] ?(?:decode|if|iif)\([^;]{0,300}?\((?:select|user|sys_context)\b"
            r"|=[?01] ?[-+*/^] ?\(select case when\b[^;]{0,300}?\b(?:substring|substr|left|right|mid|ascii|unicode)\(",
            behind=r"\bwhere\b",
        ),
        # One row's value against a pattern.
        Pattern(
            ("postgresql", "mysql"),
            ("limit",),
            rf"\(select [^;]{{1,400}}?\b{_ONE_ROW}\)(?: collate \w{{1,40}})? ?"
            r"(?:~\*?| ?(?:not )?(?:binary )?(?:i?like|regexp|rlike|similar to)\b)",
        ),
        # The value of a row that is chosen by a constant.
        Pattern(
            ALL,
            words("like ilike similar regexp rlike"),
            rf"{_IN_A_CONDITION}\(select [\w$#.]{{1,130}} from [\w$#.]{{1,130}}(?: [\w$#]{{1,60}})? where"
            r" [\w$#.]{1,130}=[?01]\) ?(?:not )?(?:binary )?(?:i?like|similar to|regexp|rlike) ?(?:binary )?\?",
            raw=r"(?:like|similar\s{1,9}to|regexp|rlike)\s{0,9}(?:binary\s{1,9})?n?'\^?[^'%]{1,40}[%.]?\*?'",
        ),
        Pattern(
            ("oracle", "sqlserver"),
            ("select",),
            rf"\(select (?:top[ (]{{0,2}}1\)? ?[^;]{{1,300}}?|[^;]{{1,300}}?\b{_ONE_ROW})"
            rf"\)(?: collate \w{{1,40}})? ?(?:not )?like\b",
        ),
        Pattern(
            ALL,
            ("between",),
            rf"\(select [^;]{{1,400}}?(?:\b{_ONE_ROW})?\) ?(?:not )?between \? and \?",
            raw=r"\bbetween\s{1,9}n?'[^']{0,2}'\s{1,9}and\s{1,9}n?'[^']{0,2}'",
        ),
        Pattern(
            ALL,
            ("exists",),
            r"\b(?:and|or|xor|not)[ (!]{1,9}exists ?\(select [^;()]{1,300}? (?:where|and) ?"
            rf"(?:binary )?{_SECRET_COLUMN}(?:~\*?| ?(?:binary )?(?:i?like|regexp|rlike)) ?(?:binary )?\?",
            raw=r"(?:like|regexp|rlike|binary|~\*?)\s{0,9}n?'\^?[^'%]{1,40}%?'",
        ),
        Pattern(
            ALL,
            words("strcmp locate instr strpos charindex patindex position regexp_like regexp_instr find_in_set"),
            rf"\b(?:strcmp|locate|instr|strpos|charindex|patindex|position|regexp_like|regexp_instr|find_in_set)\("
            rf"{_OPEN}(?:[?$](?:,| in ?))?{_OPEN}(?:\w{{1,20}}\([ (]{{0,5}}){{0,3}}select\b",
        ),
        Pattern(
            ALL,
            ("order",),
            rf"\border by[ (]{{0,5}}(?:select[ (]{{1,5}})?(?:case when|i?if\()[ (]{{0,9}}(?:select )?[ (]{{0,5}}"
            rf"(?:{_PART}|{_CODE}|length|len|char_length)\([ (]{{0,5}}(?:{_PART}\(|select\b|{_SECRET_COLUMN})",
        ),
        # A secret of the statement's own table, letter by letter.
        Pattern(
            ALL,
            ("ascii", "ord", "unicode", "hex", "codepoint"),
            rf"{_IN_A_CONDITION}(?:ascii|ord|unicode|hex|codepoint)\({_PART}\({_OPEN}{_SECRET_COLUMN}[,)]",
        ),
        Pattern(
            ALL,
            words("substr substrb substrc substring mid left"),
            rf"\b(?:and|or|xor|when|not)[ (!]{{1,9}}(?:binary )?{_PART}\({_OPEN}{_SECRET_COLUMN},[^;()"
            rf"]{{1,20}}\)(?:=|<>|<|>)\?",
            raw=r"(?:[=<>])\s{0,9}n?'[^']'",
        ),
        Pattern(
            ALL,
            words(
                "json_contains json_search json_overlaps json_value json_extract json_unquote json_exists"
                " json_contains_path"
                " jsonb_path_exists jsonb_path_match xpath_exists xmlexists existsnode extractvalue isjson"
            ),
            rf"{_IN_A_CONDITION}(?:json_(?:contains|search|overlaps|value|extract|unquote|exists|contains_path)"
            rf"|jsonb_path_(?:exists|match)|xpath_exists|xmlexists|existsnode|extractvalue|isjson)"
            rf"\([^;]{{0,80}}?\(select\b",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT a FROM t ORDER BY (CASE WHEN (SELECT ascii(substr(passwd,1,1)) FROM pg_shadow LIMIT 1)>64 THEN"
            " a ELSE b END)",
            "SELECT a FROM t WHERE b = 4 AND (SELECT secret FROM vault LIMIT 1) ~ '^a'",
            "SELECT a FROM t WHERE b = 4 AND (SELECT api_token FROM partners WHERE id=1) SIMILAR TO 'k7q%'",
            "SELECT a FROM t WHERE b = 4 AND (SELECT position(substr(k,3,1) IN '01234567') FROM u LIMIT 1)>0",
            "SELECT a FROM t WHERE b = 4 AND strpos((SELECT email FROM users LIMIT 1), 'a') = 1",
            "SELECT a FROM t WHERE b = 4 AND substr((SELECT email FROM users LIMIT 1),1,1) BETWEEN 'a' AND 'm'",
        ),
        "mysql": (
            "SELECT a FROM t WHERE b = 4 AND (SELECT password FROM users LIMIT 0,1) REGEXP BINARY '^a'",
            "SELECT a FROM t WHERE b = 4 AND (SELECT email FROM users LIMIT 1) LIKE CONCAT('a', '%')",
            "SELECT a FROM t WHERE b = 4e0&&(select(ord(right(left(token,1),1)))from(api_clients)limit"
            " 1)between(48)and(55)",
            "SELECT a FROM t WHERE b = 4||(select(ascii(mid(token,1,1)))from(u)limit 1)div(64)",
            "SELECT a FROM t WHERE b = 4 AND CONV(HEX(SUBSTR((SELECT email FROM users LIMIT 1),1,1)),16,10)&64=64",
            "SELECT a FROM t WHERE b = 4 AND EXISTS(SELECT 1 FROM users WHERE password REGEXP BINARY '^a')",
            "SELECT a FROM t WHERE b = 4 AND (SELECT email FROM users LIMIT 1) BETWEEN 'a' AND 'm'",
            "SELECT a FROM t WHERE b = 4 AND STRCMP((SELECT email FROM users LIMIT 1), 'm') < 0",
            "SELECT a FROM t WHERE b = 4 AND LOCATE('a', (SELECT email FROM users LIMIT 1)) = 1",
            "SELECT a FROM t WHERE b = 4 AND JSON_CONTAINS((SELECT doc FROM users LIMIT 1), '\"a\"')",
        ),
        "oracle": (
            "SELECT ID FROM P WHERE C = 12 -DECODE(SIGN(INSTR(RAWTOHEX(SUBSTR((SELECT PW FROM U WHERE ID=1),1,1)),"
            "'5')-2),1,0,1)",
            "SELECT a FROM t WHERE b = 4 AND INSTR((SELECT pw FROM users WHERE ROWNUM=1),'a')=1",
            "SELECT a FROM t ORDER BY CASE WHEN ASCII(SUBSTR((SELECT pw FROM users WHERE ROWNUM=1),1,1))>64 THEN 1"
            " ELSE 2 END",
        ),
        "sqlserver": (
            "SELECT a FROM t WHERE c = 8-(SELECT CASE WHEN PATINDEX(CHAR(102), SUBSTRING(USER_NAME(),1,9)) BETWEEN 1"
            " AND 9 THEN 0 ELSE 8 END)",
            "SELECT a FROM t WHERE b = 4 AND (SELECT TOP 1 pw FROM users) LIKE 'a%'",
            "SELECT a FROM t WHERE b = 4 AND SUBSTRING((SELECT TOP 1 pw FROM users),1,1) IN ('a','b')",
            "SELECT a FROM t WHERE b = 4 AND ASCII(SUBSTRING(password_hash,1,1)) > 64",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT a FROM t ORDER BY CASE WHEN substring(name, 1, 1) = 'a' THEN 0 ELSE 1 END",
            "SELECT a FROM t WHERE b = (SELECT max(b) FROM t WHERE c = 4)",
            "SELECT substr((SELECT note FROM n WHERE n.id = t.id), 1, 80) FROM t WHERE a = 4",
            "SELECT a FROM t WHERE (SELECT count(*) FROM u WHERE u.id = t.id) > 5",
            "SELECT a FROM t WHERE b = 4 AND (SELECT name FROM u WHERE u.id = t.u) LIKE 'a%'",
        ),
        "mysql": (
            "SELECT a FROM t WHERE LOCATE('x', name) > 0",
            "SELECT a FROM t WHERE name REGEXP '^a'",
            "SELECT a FROM t WHERE (SELECT d FROM s LIMIT 1) BETWEEN '2031-01-01' AND '2031-02-01'",
            "SELECT a FROM t WHERE b = 4 AND EXISTS (SELECT 1 FROM u WHERE u.name LIKE 'a%')",
            "SELECT a FROM t WHERE JSON_CONTAINS(tags, '\"a\"')",
        ),
        "oracle": ("SELECT a FROM t WHERE INSTR(name, 'x') = 1", "SELECT a FROM t WHERE SUBSTR(code, 1, 2) = 'DE'"),
        "sqlserver": (
            "SELECT a FROM t WHERE CHARINDEX('x', name) > 0",
            "SELECT a FROM t WHERE LEFT(code, 2) = 'DE' AND name LIKE 'a%'",
        ),
    },
)

_VALUE = r"(?:[?$01]|@[\w$]{1,60})"
_COLUMNS = r"(?:(?!\b(?:from|select|count|sum|max|min|avg)\b)[^;]){1,1900}+"
_TABLE = (
    r"\bfrom ?(?:only )?[\w$#.]{1,200}(?: as)?(?: (?!where\b|order\b|limit\b|offset\b|with\b)"
    r"[\w$#]{1,60})?(?:with ?\(nolock\))?"
)
_ORDER = r"(?:order by [\w$#.]{1,130}(?: asc| desc)?(?:,[\w$#.]{1,130}(?: asc| desc)?){0,9})?"
_ROWS = r"rows?"
_FETCH = rf"offset {_VALUE} {_ROWS} ?(?:fetch (?:next|first) {_VALUE} {_ROWS} only)?"
_BLANKS = r"[ ]{0,1}"

_MANY = r"(?:[2-9]\d\d|\d{4,12})\b"  # rows that no screen shows

PAGE_READ = Signal(
    "page-read",
    "A page of one table is read, with no condition but where the page begins.",
    (
        Pattern(
            ("postgresql", "mysql"),
            ("limit", "offset"),
            rf"\Aselect ?{_COLUMNS}{_TABLE} ?{_ORDER}{_BLANKS}"
            rf"(?:limit {_VALUE}(?:,{_VALUE}| offset {_VALUE})|offset {_VALUE} limit {_VALUE}|{_FETCH})$",
        ),
        Pattern(
            ("oracle", "sqlserver"),
            ("offset",),
            rf"\Aselect ?{_COLUMNS}{_TABLE} ?{_ORDER}{_BLANKS}{_FETCH}$",
        ),
        # From the last key on.
        Pattern(
            ALL,
            ("where",),
            rf"\Aselect ?{_COLUMNS}{_TABLE} where ?\(?([\w$#.]{{1,130}})>=?{_VALUE}\)? ?order by \1(?: asc)? "
            rf"(?:limit {_VALUE}|(?:offset 0 {_ROWS} )?fetch (?:next|first) {_VALUE} {_ROWS} only)$",
        ),
        Pattern(
            _SQLSERVER,
            ("top",),
            rf"\Aselect (?:distinct )?top ?\(?{_VALUE}\)? ?{_COLUMNS}{_TABLE} where ?\(?([\w$#.]{{1,130}})"
            rf">=?{_VALUE}\)? ?"
            r"order by \1(?: asc)?$",
        ),
        Pattern(
            _SQLSERVER,
            ("top",),
            rf"\Aselect (?:distinct )?top ?\(?{_VALUE}\)? ?{_COLUMNS}"
            rf"{_TABLE} where [\w$#.]{{1,130}} not in ?\(select top ?"
            rf"\(?{_VALUE}\)? ?[\w$#.]{{1,130}} from [^;()]{{1,200}}\) ?{_ORDER}$",
        ),
        # Rows by their number.
        Pattern(
            ("oracle", "sqlserver", "postgresql"),
            ("row_number",),
            r"\brow_number\(\)over ?\(order by (?:\(select [?01]\)|\(select null\)|[^()]{1,200})"
            r"\)(?: ?as)? ?[\w$#]{0,60}[^;()]{0,200}?"
            rf"\bfrom [\w$#.]{{1,200}}(?: [\w$#]{{1,60}})?\)[^;()]{{0,80}}? ?where [\w$#.]{{1,130}}(?: between "
            rf"|>=?){_VALUE}",
        ),
        Pattern(
            _ORACLE,
            ("rownum",),
            rf"\(select [^;()]{{0,900}}?\brownum(?: as)? [\w$#]{{1,60}} from [\w$#.]{{1,200}}(?: [\w$#]{{1,60}})? where"
            rf" rownum<=?{_VALUE}\)[^;()]{{0,60}}? ?where [\w$#.]{{1,130}}>=?{_VALUE}",
        ),
        Pattern(
            _ORACLE,
            ("rownum",),
            rf"\bfrom [\w$#.]{{1,200}}(?: [\w$#]{{1,60}})? ?{_ORDER}\)[^;()"
            rf"]{{0,60}}? ?where rownum<=?{_VALUE}\)[^;()]{{0,60}}? ?"
            rf"where [\w$#.]{{1,130}}>=?{_VALUE}",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM customers ORDER BY id LIMIT 1000 OFFSET 5000",
            "SELECT id, email FROM public.customers OFFSET 5000 LIMIT 1000",
            "SELECT * FROM customers WHERE id > 5000 ORDER BY id LIMIT 1000",
            "SELECT * FROM customers c ORDER BY c.id OFFSET $1 ROWS FETCH NEXT $2 ROWS ONLY",
        ),
        "mysql": (
            "SELECT * FROM `customers` LIMIT 5000, 1000",
            "SELECT id, email FROM store.customers ORDER BY id DESC LIMIT 1000 OFFSET 5000",
            "SELECT * FROM customers WHERE id > 5000 ORDER BY id LIMIT 1000",
        ),
        "oracle": (
            "SELECT * FROM customers ORDER BY id OFFSET 5000 ROWS FETCH NEXT 1000 ROWS ONLY",
            "SELECT * FROM (SELECT a.*, ROWNUM rn FROM (SELECT * FROM customers ORDER BY id) a WHERE ROWNUM <= 6000)"
            " WHERE rn > 5000",
            "SELECT * FROM (SELECT t.*, ROWNUM r FROM customers t WHERE ROWNUM <= 200) WHERE r > 100",
            "SELECT * FROM customers WHERE id > :1 ORDER BY id FETCH FIRST 1000 ROWS ONLY",
        ),
        "sqlserver": (
            "SELECT * FROM dbo.Customers ORDER BY Id OFFSET 5000 ROWS FETCH NEXT 1000 ROWS ONLY",
            "SELECT TOP 1000 * FROM dbo.Customers WHERE Id > 5000 ORDER BY Id",
            "SELECT * FROM dbo.Customers WHERE Id > 5000 ORDER BY Id OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY",
            "SELECT TOP (1000) * FROM dbo.Customers WHERE Id NOT IN (SELECT TOP 5000 Id FROM dbo.Customers ORDER"
            " BY Id) ORDER BY Id",
            "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY Id) AS rn FROM dbo.Customers) x WHERE rn BETWEEN"
            " 5001 AND 6000",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT * FROM customers WHERE country = 'DE' ORDER BY id LIMIT 20 OFFSET 40",
            "SELECT * FROM customers ORDER BY id LIMIT 100",
            "SELECT * FROM orders WHERE customer_id > 4 ORDER BY id LIMIT 10",
            "SELECT c.id FROM customers c JOIN orders o ON o.c = c.id ORDER BY c.id LIMIT 20 OFFSET 40",
        ),
        "mysql": (
            "SELECT * FROM customers LIMIT 10",
            "SELECT COUNT(*) FROM customers LIMIT 0, 1",
            "SELECT * FROM customers WHERE id > 5000 AND country = 'DE' ORDER BY id LIMIT 1000",
        ),
        "oracle": (
            "SELECT * FROM customers WHERE ROWNUM <= 100",
            "SELECT * FROM customers WHERE country = :1 ORDER BY id OFFSET 20 ROWS FETCH NEXT 20 ROWS ONLY",
        ),
        "sqlserver": (
            "SELECT TOP 1000 * FROM dbo.Customers",
            "SELECT * FROM dbo.Customers WHERE Country = @p0 ORDER BY Id OFFSET @p1 ROWS FETCH NEXT @p2 ROWS ONLY",
            "SELECT * FROM (SELECT Id, ROW_NUMBER() OVER (PARTITION BY Country ORDER BY Id) AS rn FROM dbo.C) x"
            " WHERE rn = 1",
        ),
    },
)

LARGE_PAGE_READ = Signal(
    "large-page-read",
    "A page of 200 rows or more of one table is read, with no condition but where the page begins.",
    tuple(
        replace(pattern, raw=raw)
        for pattern in PAGE_READ.patterns
        for word, raw in (
            (
                "limit",
                rf"\blimit\s{{1,9}}(?:\d{{1,12}}\s{{0,9}},\s{{0,9}})?{_MANY}(?!\s{{0,9}},)"
                rf"|\bfetch\s{{1,9}}\w{{4,5}}\s{{1,9}}{_MANY}",
            ),
            ("offset", rf"\bfetch\s{{1,9}}\w{{4,5}}\s{{1,9}}{_MANY}"),
            ("top", rf"\btop[\s(]{{1,9}}{_MANY}"),
            ("where", rf"\b(?:limit|fetch\s{{1,9}}\w{{4,5}})\s{{1,9}}{_MANY}"),
        )
        if word == pattern.words[0]
    ),
    samples={
        "postgresql": (
            "SELECT id, card_pan FROM bookings WHERE id > 5700 ORDER BY id LIMIT 200",
            "SELECT * FROM customers ORDER BY id LIMIT 1000 OFFSET 0",
        ),
        "mysql": ("SELECT id, iban FROM drivers ORDER BY id LIMIT 18000, 450", "SELECT * FROM t LIMIT 500 OFFSET 20"),
        "oracle": (
            "SELECT ID, PHONE FROM LAB.PATIENT ORDER BY ID OFFSET 10 ROWS FETCH NEXT 500 ROWS ONLY",
            "SELECT * FROM customers WHERE id > 4 ORDER BY id FETCH FIRST 1000 ROWS ONLY",
        ),
        "sqlserver": (
            "SELECT Id, Phone FROM dbo.Drivers ORDER BY Id OFFSET 16800 ROWS FETCH NEXT 480 ROWS ONLY",
            "SELECT TOP 300 No, Iban FROM dbo.Patient WHERE No > 13338 ORDER BY No",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT id FROM bookings WHERE id > 5700 ORDER BY id LIMIT 50",
            "SELECT id FROM bookings ORDER BY id LIMIT 25 OFFSET 1000",
            "SELECT id FROM bookings ORDER BY id LIMIT $1 OFFSET $2",
        ),
        "mysql": ("SELECT * FROM customers LIMIT 5000, 20", "SELECT * FROM t LIMIT 500"),
        "oracle": ("SELECT * FROM t ORDER BY id OFFSET 5000 ROWS FETCH NEXT 20 ROWS ONLY",),
        "sqlserver": ("SELECT * FROM dbo.T ORDER BY Id OFFSET 5000 ROWS FETCH NEXT 25 ROWS ONLY",),
    },
)

_DICTIONARY = (
    r"(?:dual|(?:all|dba|user|cdb|session|role)_\w{1,60}|[\w$]{1,60}\$[\w$]{0,60}|product_component_version)(?![\w$#])"
)
WHOLE_TABLE_READ = Signal(
    "whole-table-read",
    "All rows of one table are read, with neither a condition nor a limit, a grouping or another table.",
    (
        Pattern(
            _ORACLE,
            ("select",),
            rf"\Aselect(?! ?(?:distinct\b|unique\b|[?01] ?from\b))(?![^;]{{0,300}}?\w{{0,20}}agg\() ?{_COLUMNS}"
            rf"\bfrom(?! ?(?:(?:sys|audsys|sysman|system)\.|audit_unified_|{_DICTIONARY})) ?[\w$#.]{{1,200}}"
            r"(?: (?!order\b|sample\b|for\b|as\b|union\b|minus\b|group\b|where\b|fetch\b|connect\b)[\w$#]{1,60})? ?"
            r"(?:order by [\w$#.]{1,130}(?: asc| desc)?(?:,[\w$#.]{1,130}(?: asc| desc)?){0,9})?\Z",
        ),
    ),
    samples={
        "oracle": (
            "SELECT * FROM TOS.SHIPPER",
            'SELECT "PATIENT_ID","FULL_NAME","BIRTH_DATE" FROM "LAB"."PATIENT" a',
            "SELECT /*+ PARALLEL(4) */ c.* FROM mdm.customer c ORDER BY c.id",
            "SELECT TO_CHAR(id), name || ';' || iban FROM customer",
        ),
    },
    near_misses={
        "oracle": (
            "SELECT COUNT(*) FROM TOS.SHIPPER",
            "SELECT DISTINCT status FROM orders",
            "SELECT * FROM orders WHERE id = :1",
            "SELECT * FROM orders FETCH FIRST 50 ROWS ONLY",
            "SELECT * FROM orders o, items i",
            "SELECT s.NEXTVAL FROM DUAL",
            "SELECT * FROM v$session",
            "SELECT TABLE_NAME FROM ALL_TABLES ORDER BY TABLE_NAME",
            "SELECT status, MAX(d) FROM orders GROUP BY status",
        ),
    },
)

_OF_A_TABLE = r"select(?: [\w$]{1,60}\.)? ?\* ?from ?[\w$#.]{1,200}(?: (?!where\b|limit\b|order\b|join\b)[\w$#]{1,60})?"
WHOLE_TABLE_COPY = Signal(
    "whole-table-copy",
    "A table is made of all rows and columns of another one.",
    (
        Pattern(
            ("postgresql", "mysql", "oracle"),
            ("create",),
            rf"\Acreate (?:unlogged )?table (?:if not exists )?[\w$#.]{{1,200}} ?(?:as ?)?\(?"
            rf"(?:{_OF_A_TABLE}|table [\w$#.]{{1,200}})\)?;?\Z",
        ),
        Pattern(
            ("sqlserver",),
            ("into",),
            r"\Aselect ?\* ?into (?!#)[\w$#.]{1,200} from ?[\w$#.]{1,200};?\Z",
        ),
    ),
    samples={
        "postgresql": ("CREATE TABLE cache_m AS SELECT * FROM members", "create unlogged table x as table members"),
        "mysql": (
            "CREATE TABLE cache_m SELECT * FROM members",
            "CREATE TABLE IF NOT EXISTS `x` AS SELECT * FROM `m` t",
        ),
        "oracle": ("CREATE TABLE CACHE_M AS SELECT * FROM MEMBERS", "create table x as (select m.* from members m)"),
        "sqlserver": ("SELECT * INTO dbo.Cache_M FROM dbo.Members", "select*into x from Members;"),
    },
    near_misses={
        "postgresql": (
            "CREATE TABLE x AS SELECT * FROM members WHERE id = 4",
            "CREATE TEMP TABLE x AS SELECT * FROM m",
        ),
        "mysql": ("CREATE TABLE x AS SELECT * FROM members LIMIT 0", "CREATE TABLE x LIKE members"),
        "oracle": ("CREATE TABLE X AS SELECT * FROM MEMBERS WHERE 1=0",),
        "sqlserver": ("SELECT * INTO #x FROM dbo.Members", "SELECT * INTO x FROM dbo.Members WHERE 1 = 0"),
    },
    in_bodies=False,
)
ALL_COLUMNS_READ = Signal(
    "all-columns-read",
    "All columns of a table are read, with no condition but where a page begins, nor a grouping.",
    (
        Pattern(
            ALL,
            ("select",),
            rf"\Aselect ?(?:distinct )?(?:top ?\(?{_VALUE}\)? ?)?(?:[\w$#]{{1,60}}\.)?\*(?:,[^;()]{{1,200}}?\b)?from"
            r" ?(?!dual\b|\(values|(?:sys|information_schema|pg_catalog|mysql|performance_schema)\.)[\w$#(]",
            without=rf"\bwhere\b(?! ?\(?[\w$#.]{{1,130}}>=?{_VALUE}\)? ?order by| rownum<=?{_VALUE}| (?:\w{{1,20}}\.)?"
            r"(?:rn|rnum|rno|r|row_num|row_number|rownum_)(?:>|<| between\b))|\bgroup by\b|\bcount\(",
        ),
    ),
    samples={
        "postgresql": ("SELECT * FROM guests", "SELECT g.* FROM hotel.guests g ORDER BY id LIMIT 1000 OFFSET 2000"),
        "mysql": (
            "SELECT * FROM `guests` LIMIT 2000, 1000",
            "SELECT * FROM guests g JOIN bills b ON b.guest_id = g.id",
        ),
        "oracle": (
            "SELECT * FROM guest ORDER BY id OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY",
            "SELECT * FROM (SELECT a.*, ROWNUM rn FROM (SELECT * FROM guest) a WHERE ROWNUM <= 900) WHERE rn > 400",
        ),
        "sqlserver": ("SELECT * FROM [dbo].[Guest]", "SELECT TOP (1000) * FROM dbo.Guest WHERE Id > 5000 ORDER BY Id"),
    },
    near_misses={
        "postgresql": (
            "SELECT * FROM guests WHERE id = $1",
            "SELECT id FROM guests",
            "SELECT * FROM pg_catalog.pg_class",
            "SELECT count(*) FROM guests",
        ),
        "mysql": ("SELECT * FROM guests WHERE hotel = 4 ORDER BY id LIMIT 20", "SELECT COUNT(*) FROM guests"),
        "oracle": ("SELECT * FROM DUAL", "SELECT * FROM guest WHERE hotel = :1"),
        "sqlserver": ("SELECT * FROM dbo.Guest WHERE Hotel = @p0", "SELECT * FROM sys.objects"),
    },
)

_BY_PLACE = (
    r"\Aselect\b(?![^;]{0,1900}\bfor update\b)[^;]{1,900}?"
    r"\bwhere ?\(?(?:[\w$#]{1,60}\.)?(?:(?:rowid|ctid)\b|%%physloc%%) ?(?:between\b|>=?|<=?)"
)
STORED_READ = Signal(
    "stored-read",
    "A table is read by where its rows are stored, as it was in the past, or as a sample of nearly all: not as"
    " applications read.",
    (
        Pattern(_ORACLE, ("rowid",), _BY_PLACE),
        Pattern(_PG, ("ctid",), _BY_PLACE),
        Pattern(_SQLSERVER, ("physloc",), _BY_PLACE),
        Pattern(
            _ORACLE,
            ("of", "versions"),
            r"\Aselect\b[^;]{1,900}?\bfrom [\w$#.]{1,200} ?(?:(?:sub)?partition ?\([^()]{1,80}\) ?)?"
            r"(?:as of (?:timestamp|scn)\b|versions between (?:timestamp|scn)\b)(?![^;]{0,900}\bwhere\b)",
        ),
        Pattern(
            _ORACLE,
            ("sample",),
            r"\Aselect\b[^;]{1,900}?\bfrom [\w$#.]{1,200} ?sample ?(?:block ?)?\([?\d.]{1,9}\)(?![^;]{0,900}\bwhere\b)",
            raw=r"\bsample\s{0,9}(?:block\s{0,9})?\(\s{0,9}[5-9]\d",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT * FROM customers WHERE ctid >= '(0,1)' AND ctid < '(1000,1)'",
            "SELECT id, email FROM customers c WHERE c.ctid BETWEEN '(0,1)' AND '(99,9)'",
        ),
        "oracle": (
            "SELECT NAME FROM MEDCORE.CASES WHERE ROWID BETWEEN CHARTOROWID(:1) AND CHARTOROWID(:2)",
            "SELECT SSN FROM LOANS PARTITION (P203001) AS OF TIMESTAMP SYSTIMESTAMP - INTERVAL '5' MINUTE",
            "SELECT * FROM GUARANTORS VERSIONS BETWEEN SCN MINVALUE AND MAXVALUE",
            "SELECT * FROM CO_APPLICANTS SAMPLE (99.99)",
        ),
        "sqlserver": (
            "SELECT * FROM dbo.Customers WHERE %%physloc%% > 0x9800000001000000",
            "SELECT Id, Email FROM dbo.Customers c WHERE c.%%physloc%% BETWEEN @a AND @b",
        ),
    },
    near_misses={
        "postgresql": ("SELECT ctid, * FROM t WHERE id = 4", "DELETE FROM t WHERE ctid IN (SELECT ctid FROM d)"),
        "oracle": (
            "SELECT ROWID, NAME FROM T WHERE ROWID = :1",
            "SELECT * FROM T AS OF TIMESTAMP SYSTIMESTAMP - 1 WHERE ID = 4",
            "SELECT * FROM T SAMPLE (1)",
        ),
        "sqlserver": ("SELECT %%physloc%%, * FROM dbo.Customers WHERE Id = 4",),
    },
)

# A number of rows that is not one: a queue takes its next entry by a limit of 1.
_SEVERAL = r"(?!1\b)(?:[?$]|@[\w$]{1,60})"
_CHANGING = r"\b(?:delete|update)\b"
_KEY = r"[\w$#.]{1,130}"
_CHOSEN = r"[\w$#.*,]{1,200}"

BATCH_CHANGE = Signal(
    "batch-change",
    "Rows are deleted or updated in a batch: as many as a limit takes, or those of a range of keys and nothing else.",
    (
        Pattern(_MYSQL, ("limit",), rf"\blimit {_SEVERAL}$", behind=r"\A(?:delete|update)\b"),
        Pattern(
            ("postgresql", "mysql"),
            ("limit",),
            rf"(?:\bin|=any|=) ?\((?:array ?\()?(?:select {_CHOSEN} from ?\()?select [^;()]{{1,900}}"
            rf"\blimit {_SEVERAL}(?: for update(?: skip locked)?)?\)",
            behind=_CHANGING,
        ),
        Pattern(
            _PG,
            ("limit",),
            rf"\bwith [\w$#]{{1,60}} as ?(?:(?:not )?materialized ?)?\(select [^;()]{{1,900}}\blimit {_SEVERAL}"
            r"(?: for update(?: skip locked)?)?\) ?(?:delete|update)\b",
        ),
        Pattern(
            ("postgresql", "oracle"),
            ("fetch",),
            rf"\bin ?\(select [^;()]{{1,900}}\bfetch (?:first|next) {_SEVERAL} {_ROWS} only\)",
            behind=_CHANGING,
        ),
        Pattern(_SQLSERVER, ("top",), rf"\b(?:delete|update) ?top ?\({_SEVERAL}\)(?! ?percent)"),
        Pattern(
            _SQLSERVER,
            ("top",),
            rf"\bwith [\w$#]{{1,60}} ?as ?\(select top ?\(?{_SEVERAL}\)?[^;()]{{1,900}}\) ?(?:delete|update)\b",
        ),
        Pattern(_SQLSERVER, ("top",), rf"\bin ?\(select top ?\(?{_SEVERAL}\)?[^;()]{{1,900}}\)$", behind=_CHANGING),
        Pattern(_ORACLE, ("rownum",), rf"\brownum<=?{_SEVERAL}", behind=_CHANGING),
        # The keys from here to there.
        Pattern(
            ALL,
            ("between",),
            rf"\bwhere ?\(?{_KEY} between {_VALUE} and {_VALUE}\)?(?: limit {_VALUE})?$",
            behind=_CHANGING,
        ),
        Pattern(
            ALL,
            ("where",),
            rf"\bwhere ?\(?({_KEY})>=?{_VALUE} and \1<=?{_VALUE}\)?(?: limit {_VALUE})?$",
            behind=_CHANGING,
        ),
        # Every hundredth row, then the next ones.
        Pattern(
            ALL,
            ("where",),
            rf"\bwhere ?\(?(?:{_KEY}%{_VALUE}|mod\({_KEY},{_VALUE}\))={_VALUE}\)?$",
            behind=_CHANGING,
        ),
    ),
    samples={
        "postgresql": (
            "DELETE FROM customers WHERE id IN (SELECT id FROM customers ORDER BY id LIMIT 500)",
            "DELETE FROM public.customers WHERE ctid = ANY(ARRAY(SELECT ctid FROM public.customers LIMIT 1000))",
            "WITH b AS (SELECT id FROM customers LIMIT 500) DELETE FROM customers USING b WHERE customers.id = b.id",
            "UPDATE customers SET email = NULL WHERE id BETWEEN 1000 AND 1499",
            "delete from customers where id > $1 and id <= $2",
            "UPDATE customers SET email = NULL WHERE id % 100 = 7",
        ),
        "mysql": (
            "DELETE FROM `customers` LIMIT 500",
            "DELETE FROM customers WHERE country = 'DE' ORDER BY id LIMIT 500",
            "UPDATE customers SET email = '' WHERE id >= 1000 AND id < 1500",
            "DELETE FROM customers WHERE id IN (SELECT id FROM (SELECT id FROM customers LIMIT 500) x)",
        ),
        "oracle": (
            "DELETE FROM crm.customers WHERE ROWNUM <= 500",
            "DELETE FROM customers WHERE rowid IN (SELECT rowid FROM customers FETCH FIRST 500 ROWS ONLY)",
            "UPDATE customers SET email = NULL WHERE id BETWEEN :1 AND :2",
            "DELETE FROM customers WHERE MOD(id, 100) = 7",
        ),
        "sqlserver": (
            "DELETE TOP (500) FROM dbo.Customers",
            "UPDATE TOP (@n) dbo.Customers SET Email = NULL WHERE Email IS NOT NULL",
            "WITH b AS (SELECT TOP (500) * FROM dbo.Customers ORDER BY Id) DELETE FROM b",
            "DELETE FROM dbo.Customers WHERE Id IN (SELECT TOP 500 Id FROM dbo.Customers ORDER BY Id)",
            "DELETE FROM dbo.Customers WHERE Id >= @p0 AND Id < @p1",
        ),
    },
    near_misses={
        "postgresql": (
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = 'new' LIMIT 1 FOR UPDATE SKIP LOCKED)",
            "DELETE FROM customers WHERE id = 4",
            "SELECT id FROM customers WHERE id BETWEEN 1 AND 500",
            "UPDATE orders SET state = 'late' WHERE customer_id = 4 AND due BETWEEN '2031-01-01' AND '2031-02-01'",
        ),
        "mysql": (
            "UPDATE users SET last_seen = NOW() WHERE id = 4 LIMIT 1",
            "DELETE FROM customers WHERE id IN (4, 5, 6)",
            "INSERT INTO archive SELECT * FROM orders WHERE id BETWEEN 1 AND 500",
        ),
        "oracle": (
            "DELETE FROM customers WHERE id = :1",
            "SELECT * FROM customers WHERE ROWNUM <= 500",
            "UPDATE jobs SET state = 'run' WHERE state = 'new' AND ROWNUM <= 1",
        ),
        "sqlserver": (
            "DELETE TOP (1) FROM dbo.Queue OUTPUT deleted.*",
            "SELECT TOP (500) * FROM dbo.Customers",
            "UPDATE c SET c.Total = 4 FROM dbo.Customers c WHERE c.Id = 4 AND c.At BETWEEN @p0 AND @p1",
        ),
    },
)

DECODED_EXECUTION = Signal(
    "decoded-execution",
    "A text is executed that is decoded first, from hexadecimal, base64 or codes of characters, and that is not known.",
    (
        Pattern(
            _PG,
            ("decode", "convert_from"),
            r"\bexecute ?(?:format ?\()?[^;]{0,60}\b(?:decode|convert_from) ?\(",
        ),
        Pattern(
            _ORACLE,
            ("cast_to_varchar2", "cast_to_nvarchar2", "base64_decode"),
            r"\bexecute immediate ?[^;]{0,60}\b(?:cast_to_n?varchar2|base64_decode) ?\(",
        ),
        # A constant whose words are interrupted by characters that are taken out.
        Pattern(
            ("postgresql", "oracle"),
            ("replace",),
            r"\bexecute (?:immediate )?\(?replace\(\?,\?,(?:\?|null)\)",
            raw=r"\breplace\s{0,9}\(\s{0,9}'[^';]{1,400}'\s{0,9},\s{0,9}'[^'\w\s]{1,3}'\s{0,9},\s{0,9}(?:''|null)"
            r"\s{0,9}\)",
        ),
        # Character by character, in a loop.
        Pattern(
            ("postgresql", "oracle"),
            ("chr",),
            r"\b([a-z_]\w{0,60}):?=\1\|\|chr\([a-z_][^;]{0,60}\)",
            raw=r"\bexecute\b",
        ),
        Pattern(
            ("sqlserver",),
            ("char", "nchar"),
            r"(@\w{1,60})(?:=\1\+|\+=)n?char\((?:@|[a-z_]\w{0,60}\))",
            raw=r"\b(?:exec|execute|sp_executesql)\b",
        ),
    ),
    samples={
        "postgresql": (
            "CREATE FUNCTION pg_temp.r(t text) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE"
            " convert_from(decode(t,'hex'),'utf8'); END$$",
            "DO $$DECLARE t text; BEGIN SELECT body INTO t FROM jobs; EXECUTE convert_from(decode(t, 'base64'),"
            " 'utf8'); END$$",
            "DO $$BEGIN EXECUTE replace('co~py t fr~om pro~gram ', '~', '') || quote_literal('id'); END$$",
            "DO $$ DECLARE c text := ''; i int; BEGIN FOREACH i IN ARRAY ARRAY[71,82,65] LOOP c := c || chr(i);"
            " END LOOP; EXECUTE c; END $$",
        ),
        "sqlserver": (
            "DECLARE @s nvarchar(max) = N''; SELECT @s = @s + NCHAR(c) FROM (VALUES (71),(82)) v(c); EXEC(@s)",
            "DECLARE @s varchar(99) = '', @i int = 65; WHILE @i < 70 BEGIN SET @s += CHAR(@i) SET @i += 1 END EXEC(@s)",
        ),
        "oracle": (
            "DECLARE s VARCHAR2(9); BEGIN FOR i IN 1..9 LOOP s := s || CHR(a(i)); END LOOP; EXECUTE IMMEDIATE s; END;",
            "BEGIN EXECUTE IMMEDIATE UTL_RAW.CAST_TO_VARCHAR2(HEXTORAW(:1)); END;",
            "DECLARE t VARCHAR2(4000) := :1; BEGIN EXECUTE IMMEDIATE"
            " utl_raw.cast_to_varchar2(utl_encode.base64_decode(utl_raw.cast_to_raw(t))); END;",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT convert_from(decode(body, 'base64'), 'utf8') FROM mails",
            "CREATE FUNCTION f(t text) RETURNS text LANGUAGE sql AS $$SELECT convert_from(decode(t,'hex'),'utf8')$$",
        ),
        "oracle": (
            "SELECT UTL_RAW.CAST_TO_VARCHAR2(body) FROM mails",
            "BEGIN EXECUTE IMMEDIATE stmt; END;",
            "BEGIN EXECUTE IMMEDIATE 'insert into t values (''a'')'; s := s || CHR(10); END;",
        ),
        "sqlserver": ("DECLARE @s varchar(99) = ''; SET @s = @s + CHAR(13) + CHAR(10); EXEC(@s)",),
    },
)

_SELECTED = r"\Aselect\b[^;()]{1,900}?\bfrom [\w$#.]{1,200}"
_SIXTEEN = r"(?:1[6-9]|[2-9]\d|\d{3,5})"  # slices or more: workers share a table in fewer
SLICE_READ = Signal(
    "slice-read",
    "One of many slices of a table is read, chosen by the remainder or the hash of a key.",
    (
        Pattern(
            ("postgresql", "mysql", "sqlserver"),
            ("where",),
            rf"{_SELECTED} where ?\(?[\w$#.]{{1,130}}%{_VALUE}\)?={_VALUE}(?![\w.(])",
            raw=rf"%\s{{0,9}}{_SIXTEEN}\b",
        ),
        Pattern(
            ("postgresql", "mysql", "oracle"),
            ("mod",),
            rf"{_SELECTED} where mod\([\w$#.]{{1,130}},{_VALUE}\)={_VALUE}(?![\w.(])",
            raw=rf"\bmod\s{{0,9}}\([^()]{{1,200}},\s{{0,9}}{_SIXTEEN}\s{{0,9}}\)",
        ),
        Pattern(
            _ORACLE,
            ("ora_hash",),
            rf"{_SELECTED} where ora_hash\([\w$#.]{{1,130}},{_VALUE}\)={_VALUE}(?![\w.(])",
            raw=rf"\bora_hash\s{{0,9}}\([^()]{{1,200}},\s{{0,9}}{_SIXTEEN}\s{{0,9}}\)",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT id, email FROM customers WHERE id % 61 = 7 AND active",
            "SELECT * FROM customers WHERE mod(id, 100) = 4",
        ),
        "mysql": ("SELECT * FROM `customers` WHERE id % 40 = 3", "SELECT a FROM customers WHERE MOD(id, 40) = 3"),
        "oracle": (
            "SELECT NAME, IBAN FROM STORE.CUSTOMERS WHERE ORA_HASH(ROWID, 39) = 3",
            "SELECT * FROM CUSTOMERS WHERE MOD(ID, 64) = 3",
        ),
        "sqlserver": ("SELECT * FROM dbo.Customers WHERE Id % 50 = 7", "SELECT a FROM t WHERE (Id % 32) = 1"),
    },
    near_misses={
        "postgresql": ("SELECT id FROM jobs WHERE id % 4 = 1 AND state = 'new'",),
        "mysql": ("SELECT id FROM jobs WHERE MOD(id, 8) = 1",),
        "oracle": ("SELECT ID FROM JOBS WHERE ORA_HASH(ID, 3) = 1",),
        "sqlserver": ("SELECT Id FROM dbo.Jobs WHERE Id % 2 = 0",),
    },
    in_bodies=False,
)

HIDDEN_SPELLING = Signal(
    "hidden-spelling",
    "A spelling that no client writes: columns and tables in parentheses each, or comments, so that no blank is needed;"
    " a number that runs into UNION; TABLE behind UNION; keywords in letters of both cases or in executable comments;"
    " letters of a name as escapes.",
    (
        Pattern(
            ALL,
            ("union",),
            r"[?01] ?union ?(?:all ?|distinct ?)?\(?select\b",
            behind=r"\b(?:where|from)\b",
            raw=r"(?<![\w$#.'])(?:\d{1,9}|\d{0,9}\.\d{0,9}|\d{1,9}(?:\.\d{0,9})?e[-+]?\d{1,3})[df]?union[\s/(+`@\"#-]",
        ),
        Pattern(
            ALL,
            ("union", "where", "having"),
            r"\bselect ?\((?!select\b)[^;]{1,900}?\)from\([\w$#.]{1,130}\)",
            behind=r"\b(?:where|having|union)\b",
            # Not formatted with blanks.
            raw=r"\)(?:from\b|\s{0,9}from\s{0,9}\()",
        ),
        Pattern(
            ALL,
            ("union",),
            r"\bunion ?(?:all ?|distinct ?)?\(?select\b[^;]{1,900}?\bfrom\([\w$#.]{1,130}\)",
            behind=r"\b(?:where|having)\b",
            raw=r"\)from\s{0,9}\(",
        ),
        Pattern(
            ("postgresql", "mysql"), ("union",), r"\bunion(?: all| distinct)? ?\({0,3}table [\w$.]", behind=r"\bfrom\b"
        ),
        Pattern(
            ("postgresql", "mysql"), ("union",), r"\(table [\w$.]{1,130}\)", behind=r"\bfrom\b[^;]{1,900}?\bunion\b"
        ),
    ),
    samples={
        "postgresql": (
            "SELECT id, name FROM trips WHERE region = -3 UNION(TABLE agents)",
            "SELECT id FROM trips WHERE region = -3 UNION ALL(SELECT 1,n FROM(TABLE bookings)AS z(a,b))",
            'SELECT id FROM trips WHERE region = 3 AND a = 4 UNION SELECT U&"p\\0077" FROM t',
            "SELECT * FROM U&\"!0061gents\" UESCAPE '!'",
            "SELECT id FROM trips WHERE region = 3/**/UNION/**/ALL/**/SELECT/**/login FROM agents",
        ),
        "mysql": (
            "SELECT id, name FROM trips WHERE region = -3 UNION TABLE agents",
            "SELECT a FROM t WHERE b = 4&&(select(count(pw))from(users))",
            "SELECT a FROM t WHERE b = 4/*!50000union*/ /*!50000select*/ 1,2",
            "SELECT a FROM t WHERE b = 4 uNiOn sElEcT pw FROM users",
            "SELECT id FROM t WHERE b = 4 union(select(login),(pw)from(users))",
            "SELECT id FROM t WHERE b = -1e0UNION(SELECT(0x7176),(0x71))",
            "SELECT id FROM t WHERE b = 4 UNION(SELECT(1),(login),(pw)FROM(users))",
            "SELECT id, day FROM slots WHERE room = -.1union/*!50000select*/1e0,`pw`from`users`",
            "SELECT id FROM t WHERE b = -1 /*!50000UNION*/ /*!50000ALL*/ SELECT pw FROM users",
        ),
        "oracle": (
            "SELECT A, B FROM C WHERE D='x'--q\nUNION--q\n(SELECT(LOGIN_ID),(PWD_HASH)FROM(GATE_USER))--q\n",
            "SELECT A, B FROM C WHERE ID=-1--q\nunIoN--x9\naLL--a\nsElEcT--b\nLOGIN,HASH--c\nfRoM--d\nGATE_USER",
            "SELECT A FROM C WHERE D='x'AND(SELECT(COUNT(*))FROM(GATE_USER))>(0)",
            "SELECT A FROM C WHERE D = 1dunion SELECT PW FROM GATE_USER",
            "SELECT A FROM C WHERE D = 1e0UNION(SELECT(PW),(1)FROM(GATE_USER))",
        ),
        "sqlserver": (
            "SELECT a FROM t WHERE b = 4 UNION(SELECT(login),(pw)FROM(users))",
            "SELECT a FROM t WHERE b = 1e0union SELECT pw FROM users",
            "SELECT a FROM t WHERE b=4 AND(SELECT(MAX(pw))FROM(users))>(0)",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT a FROM t WHERE b = 4 UNION (SELECT c FROM u)",
            'SELECT U&"stra\\00dfe" FROM t',
            "CREATE FUNCTION f() RETURNS TABLE (a int) LANGUAGE sql AS $$ SELECT a FROM t UNION SELECT b FROM u $$",
            "TABLE agents",
            "SELECT a FROM t -- before\nUNION ALL -- since\nSELECT a FROM u",
            "SELECT a FROM t /* x */ UNION /* y */ SELECT a FROM u",
            "Select a From t Where b = 'uNiOn/**/sElEcT' Order By a",
            "INSERT INTO notes (body) VALUES ('U&\"p\\0077\"')",
        ),
        "mysql": (
            "SELECT a FROM t WHERE b IN (SELECT (c + d) FROM u WHERE e = 4)",
            "SELECT a FROM (SELECT (b) FROM (t)) x",
            "SELECT /*!40001 SQL_NO_CACHE */ * FROM t UNION SELECT sElEct FROM u",
            "/*!50001 CREATE VIEW v AS SELECT 1 AS a UNION SELECT 2 */",
            "SELECT a FROM t1 WHERE b = 4 UNION SELECT a FROM t2",
            "SELECT /*!40001 SQL_NO_CACHE */ a FROM t WHERE b = 4 UNION SELECT a FROM u",
            "SELECT a FROM t WHERE b = (SELECT MAX(c) FROM (SELECT c FROM u) v)",
        ),
        "oracle": ("SELECT A FROM C WHERE D = (SELECT MAX(D) FROM C)", "SELECT (A) FROM (C)"),
        "sqlserver": ("SELECT a FROM t WHERE b = (SELECT (c) FROM u)", "SELECT (a), (b) FROM (SELECT a, b FROM t) x"),
    },
)

EVASION: tuple[Signal, ...] = (
    SPLIT_WORD,
    HIDDEN_SPELLING,
    DECODED_EXECUTION,
    CONTRADICTION,
    VALUE_PROBE,
    PAGE_READ,
    LARGE_PAGE_READ,
    ALL_COLUMNS_READ,
    WHOLE_TABLE_COPY,
    WHOLE_TABLE_READ,
    STORED_READ,
    SLICE_READ,
    BATCH_CHANGE,
)
