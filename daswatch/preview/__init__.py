"""The dashboards in a browser without OpenSearch Dashboards: the shipped saved objects, and the answers of a cluster.

`view` is what a URL says: time, query, filters. `panels` turns a panel into the requests of Dashboards and answers into
rows, `dql` a line of the search box into a query; `charts`, `tables` and `pages` draw, `server` serves. Each bar, slice
and value is a link to the view that it leads to. The pictures of `docs/dashboards.md` are taken from these pages.
"""
