"""Checks of a deployment: in AWS, and at the endpoint."""
