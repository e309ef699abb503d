"""Evidence: what is kept of the streams, opened again."""
