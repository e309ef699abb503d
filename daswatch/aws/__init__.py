"""The AWS services, one module each; what bounds, retries and explains their calls."""
