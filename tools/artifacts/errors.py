"""What goes wrong while artifacts are built or deployed.

ArtifactError           names the problem and what to do next
├── PackagingError      an artifact cannot be built as it has to be
└── DeployError         AWS does not take it, or the stack fails
    └── UsageError      what was asked for cannot be: nothing was built or uploaded
"""

from __future__ import annotations

from daswatch.commands.error_messages import Exit, ExplainedError


class ArtifactError(ExplainedError):
    """One problem, and the next step of its reader."""


class PackagingError(ArtifactError):
    """An artifact cannot be built as it has to be."""


class DeployError(ArtifactError):
    """AWS does not take it, or the stack fails."""


class UsageError(DeployError):
    """What was asked for cannot be: nothing was built or uploaded."""

    exit_code = Exit.USAGE
