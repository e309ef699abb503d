"""What is deployed: a zip for each function and architecture, the same bytes from the same commit, and the stack of it.

`python -m tools.artifacts package` goes imports -> services -> wheels -> contents -> archive -> manifest; `deploy`
goes on with the upload and the change set. Nothing of this package is in an artifact.
"""
