key=$$(aws kms describe-key --region $region --key-id $key --query KeyMetadata.Arn --output text)
aws kms enable-key --region $region --key-id "$$key"
