"""The setups that template and module are tried in."""

from __future__ import annotations

from functools import cache

from tests.iac.cloudformation import Stack

DOMAIN = "arn:aws:es:eu-west-1:123456789012:domain/search"


OWN_DOMAIN = {
    "Databases": "cluster:orders,db:ledger-2",
    "ArtifactBucket": "artifacts",
    "OpenSearchEndpoint": "https://search.example.internal",
    "OpenSearchArn": DOMAIN,
}


FIRST_TRY = {
    "Databases": "cluster:orders",
    "ArtifactBucket": "artifacts",
    "CreateDomain": "true",
    "DomainAuditLogs": "true",
}


SERVERLESS = {
    **OWN_DOMAIN,
    "OpenSearchService": "aoss",
    "OpenSearchArn": "arn:aws:aoss:eu-west-1:123456789012:collection/0a1b2c3d4e5f6a7b8c9d",
    "CollectionName": "activity",
}


EVERYTHING = {
    **OWN_DOMAIN,
    "ActivityStreamKey": "arn:aws:kms:eu-west-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890",
    "OnStackDeletion": "stop",
    "OpenSearchAuth": "basic",
    "OpenSearchSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:search-a1b2c3",
    "EvidenceReplicaBucket": "evidence-replica",
    "EvidenceReplicaKey": "arn:aws:kms:eu-central-1:210987654321:key/2e3f4a5b-6c7d-4e8f-9012-345678901234",
    "RowsToS3": "true",
    "SplunkEndpoint": "https://splunk.example.internal:8088",
    "SplunkSecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:splunk-a1b2c3",
    "AlertEmail": "security@example.com",
    "MemberRoleName": "daswatch-findings",
    "SubnetIds": "subnet-0a1b2c3d,subnet-1a2b3c4d",
    "SecurityGroupIds": "sg-0a1b2c3d",
}


HUB = {**OWN_DOMAIN, "Spokes": "true", "OrganizationId": "o-a1b2c3d4e5"}


SPOKE = {
    **OWN_DOMAIN,
    "Databases": "tag:daswatch=on",
    "Deployment": "spoke",
    "OpenSearchArn": "arn:aws:es:us-east-1:210987654321:domain/search",
    "HubEventBusArn": "arn:aws:events:us-east-1:210987654321:event-bus/default",
    "HubRoleArns": "arn:aws:iam::210987654321:role/findings,arn:aws:iam::210987654321:role/posture",
    "MemberRoleName": "daswatch-member",
    "MemberRoleRegion": "eu-west-1",
    "ArtifactBucketPerRegion": "true",
}


SETUPS = {
    "own domain": OWN_DOMAIN,
    "first try": FIRST_TRY,
    "serverless": SERVERLESS,
    "everything": EVERYTHING,
    "hub": HUB,
    "spoke": SPOKE,
}


@cache
def stack(name: str = "everything") -> Stack:
    """The stack of one of the setups."""
    return Stack(SETUPS[name])


SAMPLES_KEY = "arn:aws:kms:eu-west-1:123456789012:key/0c1d2e3f-4a5b-4c6d-8e7f-901234567890"
