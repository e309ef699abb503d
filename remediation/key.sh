# A key for the stream. Its policy lets IAM policies of the account allow its use.
key=$$(aws kms create-key --region $region --description $description --policy $key_policy --query KeyMetadata.Arn --output text)
aws kms enable-key-rotation --region $region --key-id "$$key"
aws kms create-alias --region $region --alias-name $alias --target-key-id "$$key"
