"""What opening records may take in memory, by default."""

from __future__ import annotations

MAX_PLAINTEXT_BYTES = 64 * 1024 * 1024  # of one record, decompressed
MAX_DATA_KEYS = 1_000
# How long a revoked KMS key still opens records of data keys already seen.
MAX_DATA_KEY_AGE_SECONDS = 900
