"""All databases of a company: which there are, under which names, and whether each is audited."""
