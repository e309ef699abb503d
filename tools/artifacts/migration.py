"""From a stack that has resources for each database: what reads the streams stays when it leaves the template.

CloudFormation deletes what is no longer in a template, unless the template before says that it is retained. Enrolment
then adopts it: the same mapping and Firehose go on, at their place in the stream.
"""

from __future__ import annotations

import re

# By their names in the loop over databases. The roles are those that the Firehoses read and write with.
_KEPT = "|".join(("Mapping", "Evidence", "EvidenceRole", "Splunk", "SplunkRole"))
_CONSUMER = re.compile(rf"^(?P<head> +(?:{_KEPT})&\{{Database\}}:\n)(?P<indent> +)(?=Type: )", re.MULTILINE)
# A policy by itself is no change to CloudFormation.
_ATTRIBUTES = ("DeletionPolicy: Retain", "UpdateReplacePolicy: Retain", "Metadata: {Leaves: the stack}")


def keeping(template: str) -> str:
    """The template of an earlier release with consumers that stay; empty where it has none, or has them so already."""

    def kept(match: re.Match[str]) -> str:
        return match["head"] + "".join(f"{match['indent']}{one}\n" for one in _ATTRIBUTES) + match["indent"]

    changed, count = _CONSUMER.subn(kept, template)
    return changed if count else ""
