"""What Daswatch installs in OpenSearch, compared with what is there: the plan."""
