"""A travel agency on Aurora MySQL: its booking site, its jobs, its people, and AWS's own users.

No user has a program: Aurora MySQL leaves clientApplication null in every documented example.
"""

from __future__ import annotations

from demo.engines.mysql import alters, creates, drops, reads, renames, sql, writes
from demo.engines.session import Client
from demo.engines.workload import Role, Work, clients

_begin = sql("OTHER", "START TRANSACTION", milliseconds=(0.02, 0.1))
_commit = sql("OTHER", "COMMIT", milliseconds=(0.1, 2.0))
_rollback = sql("OTHER", "ROLLBACK", milliseconds=(0.1, 1.0))
_ping = sql("DQL", "/* ping */ SELECT 1", rows=(1, 1), milliseconds=(0.02, 0.1))
_autocommit = sql("OTHER", "SET autocommit=1, sql_mode='STRICT_TRANS_TABLES', time_zone='+00:00'")
_use = sql("OTHER", "USE travel")

_search = sql(
    "DQL",
    "SELECT f.flight_id, f.carrier, f.flight_number, f.departs_at, f.arrives_at, fa.fare_class, fa.price, "
    "fa.currency FROM flights f INNER JOIN fares fa ON fa.flight_id = f.flight_id WHERE f.origin = "
    "'{airport}' AND f.destination = '{other_airport}' AND f.departs_at BETWEEN '{day} 00:00:00' AND '{day} "
    "23:59:59' AND fa.seats_left >= {few} ORDER BY fa.price ASC LIMIT {page}",
    reads("flights"), reads("fares"), rows=(0, 50), milliseconds=(1, 30),
)  # fmt: skip
_booking = sql(
    "DQL",
    "SELECT `bookings`.`id`, `bookings`.`reference`, `bookings`.`state`, `bookings`.`contact_email`, "
    "`bookings`.`total_cents`, `bookings`.`created_at` FROM `bookings` WHERE `bookings`.`reference` = "
    "'{hex8}' LIMIT 1",
    reads("bookings"), rows=(0, 1),
)  # fmt: skip
_booking_plain = sql(
    "DQL",
    "SELECT state, total_cents, currency, note FROM bookings WHERE id = {id}",
    objects="bookings", rows=(0, 1),
)  # fmt: skip
_passengers = sql(
    "DQL",
    "SELECT `passengers`.* FROM `passengers` WHERE `passengers`.`booking_id` = {id} ORDER BY "
    "`passengers`.`position`",
    objects="passengers", rows=(1, 6),
)  # fmt: skip
_new_booking = sql(
    "DML",
    "INSERT INTO `bookings` (`reference`, `state`, `contact_email`, `contact_city`, `total_cents`, "
    "`currency`, `note`, `created_at`, `updated_at`) VALUES ('{hex8}', 'held', '{email}', '{city}', "
    "{account}, '{currency}', '{note}', '{day} {time}', '{day} {time}')",
    writes("bookings"), rows=(1, 1),
)  # fmt: skip
_new_passenger = sql(
    "DML",
    "INSERT INTO `passengers` (`booking_id`, `position`, `full_name`, `seat_wish`, `created_at`) VALUES "
    "({id}, {few}, '{name}', 'aisle', '{day} {time}')",
    objects="passengers", rows=(1, 1),
)  # fmt: skip
_seats = sql(
    "DML",
    "UPDATE fares SET seats_left = seats_left - {few}, updated_at = NOW() WHERE flight_id = {id} AND "
    "fare_class = 'Y' AND seats_left >= {few}",
    writes("fares"), rows=(0, 1),
)  # fmt: skip
_state = sql(
    "DML",
    "UPDATE bookings b JOIN booking_legs l ON l.booking_id = b.id SET b.state = '{status}', l.confirmed_at "
    "= NOW() WHERE b.id = {id}",
    writes("bookings"), writes("booking_legs"), rows=(1, 5),
)  # fmt: skip
_session_row = sql(
    "DML",
    "REPLACE INTO web_sessions (token, payload, expires_at) VALUES ('{token}', "
    "'{{\"cart\": {id}, \"locale\": \"fr_CA\"}}', '{day} {time}')",
    objects="web_sessions", rows=(1, 2),
)  # fmt: skip
_session_read = sql(
    "DQL",
    "SELECT payload FROM web_sessions WHERE token = '{token}' AND expires_at > NOW() /* sessions.find */",
    objects="web_sessions", rows=(0, 1),
)  # fmt: skip
_legs_of_many = sql(
    "DQL", "SELECT booking_id, leg, origin, destination FROM booking_legs WHERE booking_id IN ({ids})",
    reads("booking_legs"), rows=(100, 600), milliseconds=(3, 50),
)  # fmt: skip

_WEB_HOSTS = tuple(f"10.21.4.{number}" for number in (21, 22, 23, 24))

_BOOKING_SITE = Role(
    clients("travel_app", None, _WEB_HOSTS, "travel"),
    (
        Work((_search,), 8),
        Work((_session_read,), 7),
        Work((_session_row,), 3),
        Work((_booking, _passengers), 4),
        Work((_booking_plain,), 4),
        Work((_begin, _new_booking, _new_passenger, _new_passenger, _seats, _commit), 2),
        Work((_begin, _seats, _rollback), 1),
        Work((_state,), 2),
        Work((_ping,), 3),
        Work((_passengers,), 1, times=(3, 20)),
        Work((_legs_of_many,), 1),
    ),
    share=0.6,
    pool=12,
    opening=(_autocommit,),
    failing=(
        sql(
            "DML",
            "INSERT INTO `passengers` (`booking_id`, `position`, `full_name`) VALUES ({id}, {few}, '{name}')",
            objects="passengers",
                failed=("1062", "Duplicate entry '8841-2' for key 'passengers_booking_position'"),
        ),
        sql(
            "DML", "UPDATE fares SET seats_left = seats_left - {few} WHERE flight_id = {id}",
            objects="fares", failed=("1205", "Lock wait timeout exceeded; try restarting transaction"),
        ),
        sql("DQL", "SELECT loyality_tier FROM bookings WHERE id = {id}", objects="",
            failed=("1054", "Unknown column 'loyality_tier' in 'field list'")),
    ),
)  # fmt: skip

_SEARCH_READS = Role(
    clients("travel_search", None, ("search-1.example.internal", "search-2.example.internal"), "travel"),
    (Work((_search,), 6), Work((_booking_plain,), 2), Work((_ping,), 1)),
    share=0.14,
    pool=6,
    reader=True,
)

_JOBS = Role(
    clients("travel_jobs", None, ("10.21.8.14",), "travel"),
    (
        Work((
            sql("DML",
                "DELETE FROM web_sessions WHERE expires_at < '{day} {time}' LIMIT 500",
                writes("web_sessions"), rows=(20, 500), milliseconds=(10, 200)),
        )),
        Work((
            sql("DQL",
                "-- occupancy by route\n# weekly mail to sales\nWITH legs AS (\n  SELECT origin, "
                "destination, count(*) AS seats\n  FROM booking_legs\n  WHERE departs_on >= '{day}'\n  "
                "GROUP BY origin, destination\n)\nSELECT l.origin, l.destination, l.seats, r.capacity\nFROM "
                "legs l\nJOIN routes r USING (origin, destination)\nORDER BY l.seats / r.capacity DESC",
                reads("booking_legs"), reads("routes"), rows=(20, 300), milliseconds=(300, 6_000)),
            sql("DML",
                "WITH sums AS (SELECT currency, sum(total_cents) AS cents FROM bookings WHERE created_at >= "
                "'{day}' GROUP BY currency)\nUPDATE turnover t JOIN sums s ON s.currency = t.currency SET "
                "t.cents = s.cents WHERE t.month = '{month}'", reads("bookings"), writes("turnover"),
                rows=(1, 6), milliseconds=(20, 400)),
            sql("EXEC", "CALL close_month('{month}', {few})", objects="", milliseconds=(100, 900)),
        )),
        Work((
            sql("DML", "INSERT INTO fare_updates (fare_id, days_ahead, valid_from, office) VALUES {rows}",
                writes("fare_updates"), rows=(40, 120), milliseconds=(3, 40)),
        ), 2),
        Work((
            sql("DML",
                "LOAD DATA LOCAL INFILE 'fares-{day}.csv' INTO TABLE fare_updates FIELDS TERMINATED BY ';' "
                "LINES TERMINATED BY '\\n' IGNORE 1 LINES", writes("fare_updates"), rows=(100, 900),
                milliseconds=(40, 400)),
        )),
        Work((
            sql("EXEC",
                "PREPARE turnover_of FROM 'SELECT cents FROM turnover WHERE month = ? AND currency = ?'"),
            sql("OTHER", "SET @month = '{month}', @currency = '{currency}'"),
            sql("EXEC", "EXECUTE turnover_of USING @month, @currency", objects="turnover", rows=(0, 1)),
            sql("OTHER", "DEALLOCATE PREPARE turnover_of"),
        )),
    ),
    share=0.06,
    lifetime=(1, 5),
    opening=(_use,),
)  # fmt: skip

_MIGRATIONS = Role(
    clients("travel_migrator", None, ("ci-runner-5.example.internal",), "travel"),
    (
        Work((
            sql("DQL", "SHOW TABLES LIKE 'schema_migrations'", objects="", rows=(1, 1)),
            sql("DQL", "DESCRIBE bookings", objects="bookings", rows=(18, 24)),
            sql("DDL",
                "CREATE TABLE vouchers_{hex8} (\n  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY "
                "KEY,\n  code VARCHAR(40) COLLATE utf8mb4_bin NOT NULL,\n  cents INT NOT NULL DEFAULT 0,\n  "
                "used_at DATETIME NULL,\n  UNIQUE KEY code_{hex8} (code)\n) ENGINE=InnoDB "
                "COMMENT='Gutscheine für Rückerstattungen'", creates("vouchers")),
            sql("DDL",
                "ALTER TABLE bookings ADD COLUMN voucher_{hex8} BIGINT UNSIGNED NULL AFTER total_cents, "
                "ALGORITHM=INPLACE, LOCK=NONE", alters("bookings"), milliseconds=(200, 2_000)),
            sql("DDL", "CREATE INDEX voucher_{hex8}_idx ON bookings (voucher_{hex8})", alters("bookings")),
            sql("DDL",
                "CREATE OR REPLACE VIEW open_vouchers AS SELECT code, cents FROM vouchers WHERE used_at IS "
                "NULL", creates("open_vouchers")),
            sql("DDL", "DROP VIEW IF EXISTS open_vouchers_{hex8}", drops("open_vouchers_old")),
            sql("DDL", "RENAME TABLE vouchers_{hex8} TO vouchers_{hex8}_b", renames("vouchers")),
            sql("DML", "INSERT INTO schema_migrations (version, installed_on) VALUES ('{hex8}', NOW())",
                writes("schema_migrations"), rows=(1, 1)),
        )),
    ),
    share=0.03,
    lifetime=(1, 1),
    opening=(_use, sql("OTHER", "SET SESSION lock_wait_timeout = 20")),
)  # fmt: skip

_PEOPLE = Role(
    (
        Client("ops_jana", None, "10.41.2.31", "travel"),
        Client("ops_piotr", None, "10.41.2.32", "travel"),
        Client("support_emi", None, "10.41.7.80", "travel"),
    ),
    (
        Work((sql("DQL",
                  "select state, count(*) from bookings where created_at > now() - interval {hours} hour "
                  "group by state", reads("bookings"), rows=(1, 7), milliseconds=(5, 300)),), 4),
        Work((sql("DQL",
                  "select * from bookings where reference = \"{hex8}\"", objects="bookings",
                  rows=(0, 1)),), 3),
        Work((sql("DQL", "show full processlist", objects="", rows=(20, 60)),), 1),
        Work((sql("DQL",
                  "explain select * from fares where flight_id = {id}", objects="fares", rows=(1, 2)),), 1),
        Work((sql("DQL", "show variables like 'innodb_buffer_pool%'", objects="", rows=(10, 12)),), 1),
        Work((sql("DQL",
                  "(select carrier, count(*) c from flights where origin = '{airport}' group by carrier) "
                  "union all (select 'all', count(*) from flights where origin = '{airport}') order by c",
                  reads("flights"), rows=(3, 20)),), 1),
        Work((
            _begin,
            sql("DML",
                "update bookings set note = '{note}' where reference = '{hex8}'", writes("bookings"),
                rows=(1, 1)),
            _commit,
        ), 1),
        Work((sql("DML",
                  "# asked for in ticket {batch}\n-- checked with the customer\ndelete from web_sessions "
                  "where token = '{token}'", objects="web_sessions", rows=(0, 1)),), 1),
    ),
    share=0.05,
    lifetime=(4, 14),
    opening=(sql("DQL", "select @@version_comment limit 1", objects="", rows=(1, 1)), _use),
    failing=(
        sql("DQL", "select * from booking where id = {id}", objects="",
            failed=("1146", "Table 'travel.booking' doesn't exist")),
        sql("DQL", "select reference form bookings where id = {id}", objects="",
            failed=("1064", "You have an error in your SQL syntax; check the manual that corresponds to your "
                            "MySQL server version for the right syntax to use near 'bookings' at line 1")),
    ),
    failures=0.06,
    slips=0.08,
)  # fmt: skip

_INTRUSION_BY_NAME = Role(
    (Client("rdsadmin", None, "203.0.113.12", ""),), (Work((_ping,)),), share=0.001, locked_out=True
)

_AWS = Role(
    clients("rdsadmin", None, ("localhost",), "mysql"),
    (
        Work((sql("OTHER", "show status like 'server_aurora_das_%'", objects="", rows=(4, 4)),), 3),
        Work((
            sql("OTHER",
                "SELECT count(*) from information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME "
                "= 'rds_heartbeat2'", rows=(1, 1)),
            sql("OTHER",
                "INSERT INTO mysql.rds_heartbeat2 (id, value) VALUES (1, {id}) ON DUPLICATE KEY UPDATE "
                "value = {id}", writes("rds_heartbeat2"), rows=(1, 2)),
        ), 1),
    ),
    share=0.07,
    lifetime=(20, 90),
    aws=True,
)  # fmt: skip

_PROXY = Role(
    clients("rdsproxyadmin", None, ("10.21.250.4",), "travel"),
    (Work((_ping,)),),
    share=0.02,
    lifetime=(20, 60),
    aws=True,
)

_ALL = (_BOOKING_SITE, _SEARCH_READS, _JOBS, _MIGRATIONS, _PEOPLE, _INTRUSION_BY_NAME, _AWS, _PROXY)


def roles(version: str) -> tuple[Role, ...]:
    """The agency's roles, the same for every version."""
    return _ALL
