"""A web shop on Aurora PostgreSQL: its application, its jobs, its people, and AWS's own users."""

from __future__ import annotations

from dataclasses import replace

from demo.engines.postgresql import sql
from demo.engines.session import Client
from demo.engines.workload import Role, Work, clients

_APP_HOSTS = tuple(f"10.20.4.{number}" for number in (17, 18, 19, 33, 34))

_ORDER_COLUMNS = (
    "o1_0.order_id, o1_0.customer_id, o1_0.status, o1_0.currency, o1_0.total_amount, o1_0.placed_at, "
    "o1_0.shipping_city, o1_0.comment_text"
)

_order_by_id = sql(
    "DQL", "SELECT", "READ", "public.orders",
    f"select {_ORDER_COLUMNS} from orders o1_0 where o1_0.order_id = $1",
    binds=("id",), rows=(0, 1),
)  # fmt: skip
_order_lines = sql(
    "DQL", "SELECT", "READ", "public.order_lines",
    "select l1_0.line_id, l1_0.order_id, l1_0.product_id, l1_0.quantity, l1_0.unit_price, p1_0.title, "
    "p1_0.sku from order_lines l1_0 left join products p1_0 on p1_0.product_id = l1_0.product_id where "
    "l1_0.order_id = $1 order by l1_0.line_id",
    binds=("id",), rows=(1, 9),
)  # fmt: skip
_customer_by_email = sql(
    "DQL", "SELECT", "READ", "public.customers",
    "select c1_0.customer_id, c1_0.full_name, c1_0.email, c1_0.locale, c1_0.created_at, "
    "c1_0.marketing_consent from customers c1_0 where lower(c1_0.email) = lower($1) and c1_0.deleted_at is "
    "null fetch first $2 rows only",
    binds=("email", "few"), rows=(0, 1),
)  # fmt: skip
_product_page = sql(
    "DQL", "SELECT", "READ", "public.products",
    "/* route:/catalogue/search,framework:spring */ select p1_0.product_id, p1_0.sku, p1_0.title, "
    "p1_0.price, p1_0.stock_level from products p1_0 where p1_0.category_id = {few} and p1_0.price between "
    "{amount} and {amount} order by p1_0.popularity desc offset {offset} rows fetch first {page} rows only",
    rows=(0, 40),
)  # fmt: skip
_stock_levels = sql(
    "DQL", "SELECT", "READ", "public.stock_levels",
    "select s.product_id, s.warehouse, s.on_hand, s.reserved from stock_levels s where s.product_id in "
    "({some_ids})",
    rows=(1, 24),
)  # fmt: skip
_cart_items = sql(
    "DQL", "SELECT", "READ", "public.cart_items",
    "SELECT ci.* FROM cart_items ci JOIN carts ca ON ca.cart_id = ci.cart_id "
    "WHERE ca.session_token = '{token}' AND ca.closed_at IS NULL",
    rows=(0, 6),
)  # fmt: skip
_add_to_cart = sql(
    "DML", "INSERT", "WRITE", "public.cart_items",
    "insert into cart_items (cart_id, product_id, quantity, added_at) values ($1, $2, $3, now()) "
    "on conflict (cart_id, product_id) do update set quantity = cart_items.quantity + excluded.quantity",
    binds=("id", "product", "few"), rows=(1, 1),
)  # fmt: skip
_insert_order = sql(
    "DML", "INSERT", "WRITE", "public.orders",
    "insert into orders (customer_id, status, currency, total_amount, shipping_name, shipping_city, "
    "comment_text, placed_at) values ($1, 'new', $2, $3, $4, $5, $6, now()) returning order_id",
    binds=("customer", "currency", "amount", "plain_name", "city", "note"), rows=(1, 1),
)  # fmt: skip
_insert_line = sql(
    "DML", "INSERT", "WRITE", "public.order_lines",
    "insert into order_lines (order_id, product_id, quantity, unit_price, discount) values ($1, $2, $3, $4, "
    "$5)",
    binds=("id", "product", "few", "amount", "rate"), rows=(1, 1),
)  # fmt: skip
_reserve_stock = sql(
    "DML", "UPDATE", "WRITE", "public.stock_levels",
    "WITH picked AS (\n    SELECT product_id, warehouse\n    FROM stock_levels\n    WHERE product_id = "
    "{product} AND on_hand > reserved\n    ORDER BY on_hand DESC\n    LIMIT 1\n    FOR UPDATE SKIP "
    "LOCKED\n)\nUPDATE stock_levels s\nSET reserved = s.reserved + {few}\nFROM picked\nWHERE s.product_id = "
    "picked.product_id AND s.warehouse = picked.warehouse",
    rows=(0, 1),
)  # fmt: skip
_order_status = sql(
    "DML", "UPDATE", "WRITE", "public.orders",
    "update orders set status = $1, changed_at = now(), changed_by = 'shop_app' where order_id = $2 and "
    "version = $3",
    binds=("status", "id", "few"), rows=(0, 1),
)  # fmt: skip
_forget_cart = sql(
    "DML", "DELETE", "WRITE", "public.cart_items", "delete from cart_items where cart_id = $1",
    binds=("id",), rows=(0, 6),
)  # fmt: skip
_begin = sql("OTHER", "BEGIN", "MISC", None, "BEGIN", milliseconds=(0.02, 0.1))
_commit = sql("OTHER", "COMMIT", "MISC", None, "COMMIT", milliseconds=(0.1, 2.0))
_rollback = sql("OTHER", "ROLLBACK", "MISC", None, "ROLLBACK", milliseconds=(0.1, 2.0))
_validation = sql("DQL", "SELECT", "READ", None, "SELECT 1", rows=(1, 1), milliseconds=(0.02, 0.1))
_session_settings = sql(
    "OTHER",
    "SET",
    "MISC",
    None,
    "SET extra_float_digits = 3; SET application_name = 'shop-web'; SET TIME ZONE 'UTC'",
)
_price_quote = sql(
    "DQL", "SELECT", "READ", "public.price_lists",
    "select quote.* from price_lists pl, lateral calculate_price($1, pl.price_list_id, $2) quote "
    "where pl.currency = $3 and pl.valid_on @> current_date",
    binds=("product", "few", "currency"), rows=(1, 3), calls=("public.calculate_price",),
)  # fmt: skip
_orders_of_many = sql(
    "DQL", "SELECT", "READ", "public.orders",
    f"select {_ORDER_COLUMNS} from orders o1_0 where o1_0.order_id in ({{ids}})",
    rows=(200, 600), milliseconds=(4, 60),
)  # fmt: skip
_import_prices = sql(
    "DML", "INSERT", "WRITE", "public.supplier_prices",
    "INSERT INTO supplier_prices (product_id, lead_days, valid_from, depot) VALUES {rows}",
    rows=(40, 120), milliseconds=(4, 40),
)  # fmt: skip
_audit_note = sql(
    "DML", "INSERT", "WRITE", "public.order_notes",
    "INSERT INTO order_notes (order_id, author, body) VALUES ({id}, '{name}', '{note}')",
    rows=(1, 1),
)  # fmt: skip

_WEB_SHOP = Role(
    clients("shop_app", "shop-web 8.14 / HikariPool-1", _APP_HOSTS, "shop"),
    (
        Work((_order_by_id, _order_lines), 6),
        Work((_product_page,), 7),
        Work((_product_page, _stock_levels, _price_quote), 3),
        Work((_cart_items,), 5),
        Work((_customer_by_email,), 3),
        Work((_add_to_cart,), 3),
        Work((_begin, _insert_order, _insert_line, _insert_line, _reserve_stock, _forget_cart, _commit), 2),
        Work((_begin, _order_status, _audit_note, _commit), 2),
        Work((_begin, _reserve_stock, _rollback), 1),
        Work((_validation,), 2),
        Work((_order_lines,), 1, times=(4, 24)),
        Work((_orders_of_many,), 1),
    ),
    share=0.62,
    pool=14,
    opening=(_session_settings,),
    failing=(
        sql(
            "DML", "INSERT", "WRITE", "public.cart_items",
            "insert into cart_items (cart_id, product_id, quantity, added_at) values ($1, $2, $3, now())",
            binds=("id", "product", "few"),
            failed=("23505", 'duplicate key value violates unique constraint "cart_items_pkey"'),
        ),
        sql(
            "DML", "UPDATE", "WRITE", "public.stock_levels",
            "update stock_levels set reserved = reserved + $1 where product_id = $2",
            binds=("few", "product"), failed=("40P01", "deadlock detected"),
        ),
        sql(
            "ERROR", "ERROR", "MISC", None,
            "select p1_0.product_id from products p1_0 where p1_0.sku = $1 order by p1_0.popularty desc",
            binds=("hex8",), failed=("42703", "column p1_0.popularty does not exist"),
        ),
    ),
)  # fmt: skip

_OLD_SHOP_FAILURES = (
    sql(
        "ERROR", "ERROR", "MISC", None, "select total_ammount from orders where order_id = {id}",
        failed=("42703", 'column "total_ammount" does not exist'),
    ),
    sql(
        "ERROR",
        "ERROR",
        "MISC", None, "insert into order_notes (order_id, author, body) values ({id}, null, '{note}')",
        failed=("23502", 'null value in column "author" violates not-null constraint'),
    ),
)  # fmt: skip

_STOREFRONT_READS = Role(
    clients("shop_read", "storefront-api/3.2 (pgx)", ("10.20.6.41", "10.20.6.42", "10.20.6.43"), "shop"),
    (
        Work((_product_page,), 6),
        Work((_stock_levels,), 3),
        Work((_order_by_id, _order_lines), 2),
        Work((_validation,), 1),
    ),
    share=0.14,
    pool=8,
    reader=True,
)

_REPORTS = Role(
    clients("report_job", "airflow-worker", ("etl-2.example.internal",), "shop"),
    (
        Work((
            sql(
                "DQL", "SELECT", "READ", "public.orders",
                "-- daily revenue, asked for by finance\n-- owner: reporting team\nWITH days AS (\n    "
                "SELECT date_trunc('day', placed_at) AS day, currency, sum(total_amount) AS revenue\n    "
                "FROM orders\n    WHERE placed_at >= date '{day}' AND placed_at < date '{day}' + interval "
                "'7 days'\n    GROUP BY 1, 2\n)\nSELECT day, currency, revenue,\n       revenue - "
                "lag(revenue) OVER (PARTITION BY currency ORDER BY day) AS change\nFROM days\nORDER BY day, "
                "currency",
                rows=(7, 42), milliseconds=(300, 8_000),
            ),
            sql(
                "DQL", "SELECT", "READ", "public.order_lines",
                "SELECT p.category_id, count(*) AS lines, sum(l.quantity * l.unit_price) AS turnover\n"
                "FROM order_lines l\nJOIN products p USING (product_id)\nJOIN orders o USING (order_id)\n"
                "WHERE o.placed_at >= '{day}' AND o.shipping_city <> '{city}'\nGROUP BY p.category_id\n"
                "HAVING count(*) > {few}\nORDER BY turnover DESC NULLS LAST",
                rows=(10, 200), milliseconds=(300, 8_000),
            ),
            sql(
                "DML", "INSERT", "WRITE", "reporting.revenue_by_day",
                "WITH fresh AS (SELECT placed_at::date AS day, sum(total_amount) AS revenue FROM orders "
                "WHERE placed_at::date = '{day}' GROUP BY 1)\nINSERT INTO reporting.revenue_by_day (day, "
                "revenue) SELECT day, revenue FROM fresh\nON CONFLICT (day) DO UPDATE SET revenue = "
                "excluded.revenue",
                rows=(1, 1), milliseconds=(20, 300),
            ),
            sql(
                "EXEC",
                "CALL",
                "FUNCTION", "reporting.refresh_margins", "CALL reporting.refresh_margins('{month}', $1)",
                binds=("few",), object_type="PROCEDURE", milliseconds=(100, 2_000),
            ),
        )),
    ),
    share=0.03,
    lifetime=(1, 2),
    opening=(sql("OTHER", "SET", "MISC", None, "SET work_mem = '256MB'"),),
)  # fmt: skip

_IMPORTS = Role(
    clients("feed_import", "supplier-feed/1.9", ("10.20.8.5",), "shop"),
    (
        Work((_begin, _import_prices, _commit), 2),
        Work((
            _begin,
            sql(
                "DML", "COPY", "WRITE", "public.supplier_prices",
                "COPY supplier_prices (product_id, lead_days, valid_from, depot) FROM STDIN WITH (FORMAT "
                "csv)",
                rows=(200, 900), milliseconds=(40, 400),
            ),
            sql(
                "EXEC", "DO", "FUNCTION", None,
                "DO $body$\nBEGIN\n    UPDATE supplier_feeds SET imported_at = now(), imported_rows = "
                "{batch}\n    WHERE feed_day = '{day}';\n    IF NOT FOUND THEN\n        RAISE WARNING 'no "
                "feed for {day}';\n    END IF;\nEND\n$body$",
            ),
            _commit,
        )),
        Work((
            sql(
                "DML", "MERGE", "WRITE", "public.stock_levels",
                "MERGE INTO stock_levels s USING supplier_prices p ON s.product_id = p.product_id AND "
                "p.valid_from = '{day}' WHEN MATCHED THEN UPDATE SET lead_days = p.lead_days WHEN NOT "
                "MATCHED THEN INSERT (product_id, on_hand) VALUES (p.product_id, 0)",
                rows=(10, 300), milliseconds=(20, 200),
            ),
        )),
    ),
    share=0.03,
    lifetime=(1, 4),
)  # fmt: skip

_MIGRATIONS = Role(
    clients("shop_migrator", "Flyway 10.4", ("ci-runner-3.example.internal",), "shop"),
    (
        Work((
            sql("DQL", "SHOW", "MISC", None, "SHOW server_version_num"),
            sql("DQL", "SELECT", "READ", "public.flyway_schema_history",
                "SELECT \"version\", \"checksum\", \"success\" FROM \"public\".\"flyway_schema_history\" "
                "ORDER BY \"installed_rank\"", rows=(212, 240)),
            _begin,
            sql("DDL", "CREATE TABLE", "DDL", "public.loyalty_points",
                "CREATE TABLE loyalty_points_{hex8} (\n    points_id bigint GENERATED ALWAYS AS IDENTITY "
                "PRIMARY KEY,\n    customer_id bigint NOT NULL REFERENCES customers,\n    earned_on date "
                "NOT NULL DEFAULT current_date,\n    points integer NOT NULL CHECK (points > 0),\n    "
                "reason text\n)"),
            sql("DDL", "CREATE INDEX", "DDL", "public.loyalty_points_customer_idx",
                "CREATE INDEX loyalty_points_{hex8}_idx ON loyalty_points_{hex8} (customer_id, earned_on "
                "DESC)",
                object_type="INDEX"),
            sql("DDL", "ALTER TABLE", "DDL", "public.orders",
                "ALTER TABLE orders ADD COLUMN IF NOT EXISTS loyalty_{hex8} integer NOT NULL DEFAULT 0"),
            sql("DDL", "CREATE VIEW", "DDL", "reporting.loyalty_by_month",
                "/* release {month} */\nCREATE OR REPLACE VIEW reporting.loyalty_by_month AS\nSELECT "
                "date_trunc('month', placed_at) AS month, sum(loyalty_{hex8}) AS points FROM orders GROUP "
                "BY 1", object_type="VIEW"),
            sql("DDL", "CREATE FUNCTION", "DDL", "public.points_for",
                "CREATE OR REPLACE FUNCTION points_for(amount numeric) RETURNS integer LANGUAGE sql "
                "IMMUTABLE AS $$ SELECT greatest(0, floor(amount / {few}))::integer $$",
                object_type="FUNCTION"),
            sql("DDL", "COMMENT", "DDL", "public.orders",
                "COMMENT ON TABLE orders IS 'One row an order — größere "
                "Änderungen bitte mit dem Team absprechen'"),
            sql("DDL", "DROP INDEX", "DDL", "public.orders_comment_idx",
                "DROP INDEX IF EXISTS orders_{hex8}_idx", object_type="INDEX"),
            sql("DML", "INSERT", "WRITE", "public.flyway_schema_history",
                "INSERT INTO \"public\".\"flyway_schema_history\" (\"installed_rank\", \"version\", "
                "\"description\", \"type\", \"script\", \"checksum\", \"installed_by\", \"execution_time\", "
                "\"success\") VALUES ({batch}, '{month}', 'loyalty', 'SQL', 'V{hex8}__loyalty.sql', {id}, "
                "'shop_migrator', 84, true)", rows=(1, 1)),
            _commit,
        )),
    ),
    share=0.025,
    lifetime=(1, 1),
    opening=(sql("OTHER", "SET", "MISC", None, "SET search_path = \"public\""),),
)  # fmt: skip

_PEOPLE = Role(
    (
        Client("ops_lena", "psql", "10.40.2.11", "shop"),
        Client("ops_marek", "psql", "10.40.2.12", "shop"),
        Client("dev_tomas", "DBeaver 24.1 - Main <shop>", "laptop-61.example.internal", "shop"),
        Client("analyst_yuki", "Metabase v0.49", "10.40.9.70", "shop"),
    ),
    (
        Work((sql("DQL", "SELECT", "READ", "public.orders",
                  "select status, count(*) from orders where placed_at > now() - interval '{hours} hours' "
                  "group by 1;",
                  rows=(1, 7), milliseconds=(5, 300)),), 4),
        Work((sql("DQL", "SELECT", "READ", "public.orders",
                  "select * from orders where order_id = {id};", rows=(0, 1)),), 3),
        Work((sql("DQL", "SELECT", "READ", "public.products",
                  "(select sku, title, price from products where category_id = {few} order by price desc "
                  "limit 5)\nunion all\n(select sku, title, price from products where category_id = {few} "
                  "order by price limit 5)",
                  rows=(5, 10)),), 2),
        Work((sql("DQL", "SELECT", "READ", "public.supplier_feeds",
                  "-- is the feed of {day} in?\nselect feed_day, imported_at, imported_rows\nfrom "
                  "supplier_feeds\nwhere feed_day >= '{day}'\norder by feed_day;", rows=(0, 30)),), 2),
        Work((sql("DQL", "EXPLAIN", "MISC", None,
                  "explain (costs, verbose) select * from order_lines where product_id = {product};"),), 1),
        Work((sql("DQL", "SELECT", "READ", "pg_catalog.pg_class",
                  "SELECT n.nspname as \"Schema\", c.relname as \"Name\", "
                  "pg_catalog.pg_get_userbyid(c.relowner) as \"Owner\"\nFROM pg_catalog.pg_class c\n     "
                  "LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\nWHERE c.relkind IN "
                  "('r','p','')\n  AND pg_catalog.pg_table_is_visible(c.oid)\nORDER BY 1,2;",
                  rows=(30, 60)),), 1),
        Work((sql("OTHER", "VACUUM", "MISC", None,
                  "VACUUM (ANALYZE) order_notes;", milliseconds=(200, 900)),), 1),
        Work((
            _begin,
            sql("DML", "UPDATE", "WRITE", "public.orders",
                "update orders set comment_text = '{note}' where order_id = {id};", rows=(1, 1)),
            _commit,
        ), 1),
        Work((sql("OTHER", "SET", "MISC", None, "set statement_timeout = '{few}min';"),), 1),
    ),
    share=0.045,
    pool=1,
    lifetime=(4, 14),
    failing=(
        sql("ERROR", "ERROR", "MISC", None, "select * form orders limit 5;",
            failed=("42601", 'syntax error at or near "form"')),
        sql("DQL", "SELECT", "READ", None, "select count(*) from order_line;",
            failed=("42P01", 'relation "order_line" does not exist')),
    ),
    failures=0.06,
    slips=0.08,
)  # fmt: skip

_METRICS = Role(
    clients("metrics_exporter", "postgres_exporter/0.15", ("10.20.9.9",), "postgres"),
    (
        Work((
            sql("DQL", "SELECT", "READ", None,
                "SELECT current_database() datname, xact_commit, xact_rollback, blks_read, blks_hit FROM "
                "pg_stat_database WHERE datname = current_database()", rows=(1, 1)),
            sql("DQL", "SELECT", "READ", None,
                "SELECT extract(epoch from now() - pg_postmaster_start_time())::bigint", rows=(1, 1)),
        )),
    ),
    share=0.03,
    lifetime=(400, 900),
)  # fmt: skip

_INTRUSION_BY_NAME = Role(
    (Client("rdsadmin", None, "203.0.113.12", "postgres"),),
    (Work((_validation,)),),
    share=0.001,
    locked_out=True,
)

_PORT_CHECK = Role((Client(None, None, "10.20.0.250", ""),), (Work((_validation,)),), share=0.001, locked_out=True)

_AWS = Role(
    clients("rdsadmin", None, ("localhost",), "rdsadmin"),
    (
        Work((
            sql("OTHER", "SELECT", "READ", None,
                "SELECT pg_catalog.aurora_volume_logical_start_lsn()", rows=(1, 1)),
            sql("OTHER", "SELECT", "READ", None,
                "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE state <> 'idle'", rows=(1, 1)),
        ), 4),
        Work((sql("OTHER", "SET", "MISC", None, "SET statement_timeout = 30000"),), 1),
    ),
    share=0.06,
    lifetime=(2, 30),
    aws=True,
)  # fmt: skip

_PROXY = Role(
    clients("rdsproxyadmin", "RDS Proxy", ("10.20.250.4",), "postgres"),
    (Work((_validation,)),),
    share=0.02,
    lifetime=(20, 60),
    aws=True,
)

_ALL = (
    _WEB_SHOP, _STOREFRONT_READS, _REPORTS, _IMPORTS, _MIGRATIONS, _PEOPLE, _METRICS, _INTRUSION_BY_NAME,
    _PORT_CHECK, _AWS, _PROXY,
)  # fmt: skip


def roles(version: str) -> tuple[Role, ...]:
    """The shop's roles; version 1.0 has no errorMessage, so that its failures are of command ERROR."""
    if version != "1.0":
        return _ALL
    return tuple(replace(role, failing=_OLD_SHOP_FAILURES) if role.failing else role for role in _ALL)
