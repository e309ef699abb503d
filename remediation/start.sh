$effects
aws rds start-activity-stream --region $region --resource-arn $arn --mode $mode --kms-key-id "$$key"$native_fields --apply-immediately
# Until this prints `started`, which takes some minutes:
aws rds $describe --region $region $identifier_option $identifier --query '$described[0].ActivityStreamStatus' --output text
