key=$$(aws kms describe-key --region $region --key-id $key --query KeyMetadata.Arn --output text)
aws kms cancel-key-deletion --region $region --key-id "$$key"
# A key whose deletion was canceled is disabled.
aws kms enable-key --region $region --key-id "$$key"
