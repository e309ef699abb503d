"""Saved objects of OpenSearch Dashboards, a readable file each."""
