"""How data and the server are reached: files, the network, the catalog, credentials, other accounts."""

from __future__ import annotations

from daswatch.sql.signal_table.model import Signal

ACCESS: tuple[Signal, ...] = ()
