"""The table of signals: what statements can show, as data (docs/signals.md)."""

from __future__ import annotations

from daswatch.sql.signal_table.access import ACCESS
from daswatch.sql.signal_table.availability import AVAILABILITY
from daswatch.sql.signal_table.changes import CHANGES
from daswatch.sql.signal_table.evasion import EVASION
from daswatch.sql.signal_table.housekeeping import HOUSEKEEPING
from daswatch.sql.signal_table.injection import INJECTION
from daswatch.sql.signal_table.model import Signal

SIGNALS: tuple[Signal, ...] = (*INJECTION, *EVASION, *ACCESS, *CHANGES, *AVAILABILITY, *HOUSEKEEPING)
