"""What goes wrong while artifacts are built or deployed.

ArtifactError           tells the problem and what to do next
├── PackagingError      an artifact cannot be built as it has to be
└── DeployError         AWS does not take it, or the stack fails
"""

from __future__ import annotations


class ArtifactError(Exception):
    """One problem, and the next step of whoever reads it."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem} (next: {next_step})")
        self.problem = problem
        self.next_step = next_step


class PackagingError(ArtifactError):
    """An artifact cannot be built as it has to be."""


class DeployError(ArtifactError):
    """AWS does not take it, or the stack fails."""
