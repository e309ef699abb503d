"""One stream record: read from Lambda's event, its envelope taken apart, decrypted, parsed into activity events."""
