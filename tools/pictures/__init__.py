"""Pictures of the dashboards for `docs/dashboards.md`: the preview's pages over a node's answers, in a browser.

`week` fills a node with a week of the producer's traffic, `fleet` and `enrolments` with databases; `browser` opens the
pages of `daswatch.preview` and takes the pictures; `document` writes the text around them.
"""
