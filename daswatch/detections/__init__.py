"""A detection: its rule in Sigma, its compiled form, its samples, its page and saved search."""
