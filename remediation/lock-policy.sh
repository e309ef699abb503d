aws rds modify-activity-stream --region $region --resource-arn $arn --audit-policy-state locked
