"""A detection as a question to OpenSearch: windows, first-seen state, storms, monitors, backtests."""
