"""What statements change: accounts, privileges, objects, recovery, code that stays, auditing."""

from __future__ import annotations

from daswatch.sql.signal_table.model import Signal

CHANGES: tuple[Signal, ...] = ()
