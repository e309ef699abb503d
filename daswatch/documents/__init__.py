"""One activity event becomes one flat document: classified, filtered, redacted, identified; also as a row."""
