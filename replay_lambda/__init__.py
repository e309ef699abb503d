"""Lambda: dead letters whose cause is gone -> OpenSearch."""
