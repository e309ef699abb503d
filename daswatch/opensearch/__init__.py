"""OpenSearch and Dashboards over HTTP: clients, requests, bulk writes, searches, the alert index, installers."""
