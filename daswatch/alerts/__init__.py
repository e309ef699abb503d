"""An alert over its lifetime, and how it is shown: Security Hub finding, message, link."""
