"""SQL text of four engines, as far as Daswatch reads it: statements, the names and the secrets in them."""
