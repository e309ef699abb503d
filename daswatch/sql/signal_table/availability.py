"""What keeps others from their data without dropping any: locks, exchanged tables, a server that is kept busy."""

from __future__ import annotations

from daswatch.sql.signal_table.changes import TABLE_SWAP
from daswatch.sql.signal_table.model import ALL, Pattern, Signal, words

_PG, _MYSQL, _ORACLE, _SQLSERVER = ("postgresql",), ("mysql",), ("oracle",), ("sqlserver",)
_NAME = r"[\w$#@.]++"
_ASIDE = r"(?:new|next|tmp|temp|build|load|stg|staging|swap|shadow|copy|empty|clean|fresh|x|n)"

# Has a signal of its own. One kind of change is one signal, as rules count them.
_SWAPPED = "|".join(pattern.expression.replace(r"\1", rf"\{n}") for n, pattern in enumerate(TABLE_SWAP.patterns, 1))

_TABLE_LOCK = Signal(
    "table-lock",
    "A table is locked so that other sessions cannot change it, or not even read it.",
    (
        Pattern(
            _PG,
            ("lock",),
            rf"(?:\A|;|\b(?:begin|then|else|loop) )lock (?:table )?(?:only )?{_NAME}\*?"
            rf"(?:,(?:only )?{_NAME}\*?){{0,99}} ?"
            r"(?:in (?:access )?exclusive mode\b|nowait\b|(?=\Z|;))",
        ),
        Pattern(
            _ORACLE,
            ("lock",),
            rf"(?:\A|;|\b(?:begin|then|else|loop) )lock table {_NAME}[^;]{{0,400}}? in exclusive mode\b",
        ),
        Pattern(
            _SQLSERVER,
            ("tablockx",),
            rf"\bselect\b[^;]{{1,300}}?\bfrom {_NAME}(?: (?:as )?\w{{1,60}})? ?(?:with )?\("
            r"(?=[\w, ]{0,60}\btablockx\b)(?=[\w, ]{0,60}\b(?:holdlock|serializable)\b)",
        ),
    ),
    samples={
        "postgresql": (
            "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
            "LOCK public.orders, public.items IN EXCLUSIVE MODE NOWAIT",
            "BEGIN; LOCK TABLE ONLY orders; SELECT 1",
        ),
        "oracle": (
            "LOCK TABLE SHOP.ORDERS IN EXCLUSIVE MODE",
            "begin lock table orders in exclusive mode nowait; end;",
        ),
        "sqlserver": (
            "BEGIN TRAN; SELECT TOP 1 * FROM dbo.Orders WITH (TABLOCKX, HOLDLOCK)",
            "SELECT COUNT(*) FROM Orders o (HOLDLOCK, TABLOCKX) WHERE 1 = 0",
        ),
    },
    near_misses={
        "postgresql": (
            "LOCK TABLE public.orders, public.items IN ACCESS SHARE MODE",
            "LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE",
            "SELECT lock FROM locks",
        ),
        "oracle": ("LOCK TABLE ORDERS IN SHARE MODE", "LOCK TABLE ORDERS IN ROW EXCLUSIVE MODE"),
        "sqlserver": (
            "INSERT INTO dbo.Stage WITH (TABLOCKX) SELECT a FROM dbo.Orders",
            "SELECT a FROM dbo.Orders WITH (NOLOCK)",
        ),
    },
    in_bodies=False,
)

_HUGE = r"(?:[1-9][\d_]{8,20}|[1-9](?:\.\d{1,9})?e\+?(?:9|[12]\d))\b"  # more than any report counts to
_PROCESSOR_BURN = Signal(
    "processor-burn",
    "A query counts or computes without data: products of series or of the catalog with itself, functions repeated"
    " thousands of millions of times.",
    (
        Pattern(
            _PG,
            ("generate_series",),
            r"\bgenerate_series\([^;]{1,300}?(?:,|\bcross join) ?(?:lateral )?(?:pg_catalog\.)?generate_series\(",
            rf"generate_series\s{{0,9}}\([^)]{{0,60}},\s{{0,9}}(?:[1-9]\d{{6,18}}|{_HUGE})",
            without=r"\A(?:insert|create|merge)\b",
        ),
        Pattern(
            _PG,
            ("generate_series",),
            r"\Aselect ?(?:count|sum|max|min|md5|sha\d{3}|length)\([^;]{0,200}?\bgenerate_series\(",
            rf"generate_series\s{{0,9}}\([^)]{{0,60}},\s{{0,9}}{_HUGE}",
        ),
        Pattern(_MYSQL, ("benchmark",), r"\bbenchmark\(", rf"benchmark\s{{0,9}}\(\s{{0,9}}{_HUGE}"),
        Pattern(_ORACLE, ("level",), r"\bconnect by level<=?\?", rf"\blevel\s{{0,9}}<=?\s{{0,9}}{_HUGE}"),
        # A table three times, which nothing joins.
        Pattern(
            ALL,
            words("count count_big sum max"),
            r"\Aselect ?(?:count|count_big|sum|max)\([^;()]{0,60}\)[^;()]{0,60}\bfrom ([\w$.]{4,130})(?: as)? \w{1,30}"
            r"(?:,| cross join )\1(?: as)? \w{1,30}(?:,| cross join )\1(?: as)? \w{1,30}"
            r"(?:(?:,| cross join )\1(?: as)? \w{1,30}){0,9}(?=\Z|;)",
        ),
    ),
    samples={
        "postgresql": (
            "SELECT count(*) FROM generate_series(1, 5000000000) g",
            "SELECT count(*) FROM generate_series(1,50000000) a, generate_series(1,1000) b",
            "SELECT sum(a) FROM generate_series(1, 9e9::bigint) a",
            "select count(*) from pg_class a cross join pg_class b cross join pg_class c",
        ),
        "mysql": (
            "SELECT BENCHMARK(9000000000, SHA2('x', 512))",
            "DO benchmark( 18446744073709551615, md5(1))",
            "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b,"
            " information_schema.columns c",
        ),
        "oracle": (
            "SELECT COUNT(*) FROM dual CONNECT BY LEVEL <= 10000000000",
            "SELECT COUNT(*) FROM all_objects a, all_objects b, all_objects c",
        ),
        "sqlserver": (
            "SELECT COUNT_BIG(*) FROM sys.objects a CROSS JOIN sys.objects b CROSS JOIN sys.objects c",
            "select count(*) from sys.messages a, sys.messages b, sys.messages c, sys.messages d",
        ),
    },
    near_misses={
        "postgresql": (
            "SELECT d, h FROM generate_series(1, 31) d, generate_series(0, 23) h",
            "INSERT INTO t SELECT g FROM generate_series(1, 100000) g",
            "SELECT count(*) FROM nodes a, nodes b, nodes c WHERE a.p = b.id AND b.p = c.id",
        ),
        "mysql": ("SELECT BENCHMARK(1000000, MD5('x'))", "SELECT benchmark FROM t WHERE id = 9000000000"),
        "oracle": ("SELECT LEVEL FROM dual CONNECT BY LEVEL <= 365", "SELECT COUNT(*) FROM a x, a y WHERE x.i = y.p"),
        "sqlserver": ("SELECT TOP (1000000) 1 FROM sys.all_objects a CROSS JOIN sys.all_objects b",),
    },
    in_bodies=False,
)

_TABLE_EXCHANGE = Signal(
    "table-exchange",
    "Another table takes the name of one that is, or was, renamed away; not one that was built aside (table-swap).",
    (
        Pattern(
            _MYSQL,
            ("rename",),
            r"\brename tables? (?:[^;]{0,400}?,)?([\w$#.]{1,130}) to [\w$#.]{1,130},(?:[^;]{0,400}?,)?"
            r"[\w$#.]{1,130} to \1(?=[;,]|\Z)",
            without=_SWAPPED,
        ),
        Pattern(
            ("postgresql", "mysql", "oracle"),
            ("rename",),
            r"\balter table (?:if exists )?(?:[\w$#]{1,60}\.)?_{0,2}([a-z][\w$#]{0,60}?)_{0,2}"
            rf"{_ASIDE}\d{{0,4}} rename (?:to |as )?(?:[\w$#]{{1,60}}\.)?\1(?=[;,]|\Z)",
            without=_SWAPPED,
        ),
        Pattern(
            _SQLSERVER,
            ("sp_rename",),
            r"\bsp_rename\b ?",
            r"sp_rename\b[\s@\w=]{0,30}n?'\[?(?:[\w$#]{1,60}\]?\.\[?)?_{0,2}([a-z][\w$#]{0,60}?)_{0,2}"
            rf"{_ASIDE}\d{{0,4}}\]?'\s{{0,9}},[\s@\w=]{{0,30}}n?'\[?\1\]?'",
        ),
    ),
    samples={
        "postgresql": (
            "ALTER TABLE orders_empty RENAME TO orders",
            'ALTER TABLE public."_orders_tmp" RENAME TO "orders"',
        ),
        "mysql": (
            "RENAME TABLE `orders` TO `_orders_old`, `_orders_new` TO `orders`",
            "RENAME TABLE a TO a1, b TO b1, x TO a, y TO b",
            "ALTER TABLE orders_empty RENAME orders",
        ),
        "oracle": ("ALTER TABLE SHOP.ORDERS_COPY RENAME TO ORDERS", "ALTER TABLE ORDERS_X RENAME TO ORDERS"),
        "sqlserver": (
            "EXEC sp_rename 'dbo.Orders_New', 'Orders'",
            "exec sp_rename @objname = N'OrdersTmp', @newname = N'Orders'",
        ),
    },
    near_misses={
        "postgresql": ("ALTER TABLE orders RENAME TO orders_old", "ALTER TABLE orders_new RENAME TO orders"),
        "mysql": (
            "RENAME TABLE orders TO orders_old, orders_new TO orders",
            "RENAME TABLE orders TO orders_old, items TO items_old",
            "ALTER TABLE orders RENAME orders_old",
        ),
        "oracle": ("ALTER TABLE ORDERS RENAME TO ORDERS_OLD",),
        "sqlserver": ("EXEC sp_rename 'dbo.Orders', 'Orders_Old'", "EXEC sp_rename 'dbo.T.a', 'b', 'COLUMN'"),
    },
    in_bodies=False,
)

AVAILABILITY: tuple[Signal, ...] = (_TABLE_LOCK, _PROCESSOR_BURN, _TABLE_EXCHANGE)
