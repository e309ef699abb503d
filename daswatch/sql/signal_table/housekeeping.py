"""What applications do to keep their tables small and their figures right: old rows removed, counters set back."""

from __future__ import annotations

from daswatch.sql.signal_table.model import ALL, Pattern, Signal

_TABLE = r"(?:from )?(?:[\w$#@]{1,128}\.){0,3}[\w$#@]{1,128}"
_COLUMN_OF_AGE = (
    r"(?:[\w$#]{1,60}\.)?(?:\w{1,60}(?:_at|_on|_date|_time|_gmt|_ts|_until|edat|dat|datum|date|time)|created|updated"
    r"|expire[sd]?|expiry|timestamp|date|time|ts|last_\w{1,40}|lastactivity)"
)
_RETENTION_DELETE = Signal(
    "retention-delete",
    "Rows are deleted because they are old: older than a time, whatever else they have to be.",
    (
        Pattern(
            ALL,
            ("delete",),
            rf"\Adelete (?:top ?\([?$@]\w{{0,60}}\) ?)?{_TABLE} where \(?"
            rf"(?:[\w$#.]{{1,120}}(?:=| in ?\()[?$01][^;()]{{0,60}}?\)? and ){{0,3}}{_COLUMN_OF_AGE}<=?"
            r"(?![^;]{0,400}\bor\b)[^;]{1,400};?\Z",
        ),
    ),
    samples={
        "postgresql": (
            "DELETE FROM outbox WHERE sent_at < now() - interval '7 days' AND done",
            "delete from public.events where created_at <= $1",
        ),
        "mysql": (
            "delete from `telescope_entries` where `created_at` < '2031-03-02 00:10:00' limit 1000",
            "DELETE FROM sessions WHERE last_activity <= 1930520000",
            "DELETE FROM actions WHERE status = 'complete' AND scheduled_date_gmt <= '2031-02-01 00:00:00' LIMIT 1000",
        ),
        "oracle": (
            "DELETE FROM APP.LOGS WHERE CREATED < SYSDATE - 30 AND ROWNUM <= 5000",
            "delete from mails where expires <= :1",
        ),
        "sqlserver": (
            "DELETE TOP (5000) FROM [dbo].[Events] WHERE [LoggedAt_date] < DATEADD(day, -30, GETDATE())",
            "DELETE FROM dbo.Mails WHERE SentDate < @p0",
        ),
    },
    near_misses={
        "postgresql": (
            "DELETE FROM orders WHERE created_at < now() OR 1 = 1",
            "DELETE FROM orders WHERE created_at > now() - interval '7 days'",
            "DELETE FROM orders WHERE id < 5000",
        ),
        "mysql": ("DELETE FROM orders LIMIT 1000",),
        "oracle": ("DELETE FROM ORDERS WHERE ROWNUM <= 5000",),
        "sqlserver": ("DELETE TOP (5000) FROM dbo.Orders",),
    },
    in_bodies=False,
)

_COUNTER = (
    r"(?:[\w$#]{1,60}\.)?(?:(?:daily|weekly|monthly|today|num|nb|cnt|unread|failed)_\w{1,60}"
    r"|(?:\w{1,60}_)?(?:counts?|counters?|today|attempts|retries|tries|usage|hits|views|unread|downloads|logins|failures"
    r"|dirty|stale|synced|indexed|exported|notified|rank|ranking|position|sort_order))"
)
_VALUE = r"(?:[?$01]|:\w{1,30}|@\w{1,60}|null|false|true|default)"
_COUNTER_RESET = Signal(
    "counter-reset",
    "Counters, ranks and marks are set to one value.",
    (
        Pattern(
            ALL,
            ("update",),
            rf"\Aupdate {_TABLE} set {_COUNTER}={_VALUE}(?:,{_COUNTER}={_VALUE}){{0,9}};?\Z",
        ),
    ),
    samples={
        "postgresql": ("UPDATE accounts SET failed_logins = 0, login_attempts = 0", "update pages set dirty = true"),
        "mysql": ("update `users` set `daily_downloads` = 0", "UPDATE posts SET today_views = 0"),
        "oracle": ("UPDATE APP.MEMBERS SET LOGIN_ATTEMPTS = 0", "update quotes set exported = :1"),
        "sqlserver": ("UPDATE dbo.Users SET failed_logins = 0", "UPDATE [Items] SET [sort_order] = 0"),
    },
    near_misses={
        "postgresql": ("UPDATE accounts SET balance = 0", "UPDATE accounts SET failed_logins = 0, password = 'x'"),
        "mysql": ("UPDATE users SET daily_downloads = daily_downloads * 2",),
        "oracle": ("UPDATE APP.MEMBERS SET EMAIL = NULL",),
        "sqlserver": ("UPDATE dbo.Users SET Discount = 0",),
    },
    in_bodies=False,
)

HOUSEKEEPING: tuple[Signal, ...] = (_RETENTION_DELETE, _COUNTER_RESET)
