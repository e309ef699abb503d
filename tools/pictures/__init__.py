"""Pictures of the dashboards for `docs/dashboards.md`: their definitions, a node's answers, a browser.

`week` fills a node with a week of the producer's traffic; `charts` and `pages` turn a panel and its answer into
Vega-Lite and HTML; `browser` takes the picture; `document` writes the text around them. What is drawn is a rendering of
ours, not a screenshot of OpenSearch Dashboards, and says so.
"""
