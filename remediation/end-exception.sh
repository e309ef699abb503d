# To end the exception before its time:
aws rds remove-tags-from-resource --region $region --resource-name $arn --tag-keys $exception_tag $exception_until_tag
