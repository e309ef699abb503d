# Between these commands nothing is recorded. Choose a quiet hour.
aws rds stop-activity-stream --region $region --resource-arn $arn --apply-immediately
# Until this prints `stopped`:
aws rds $describe --region $region $identifier_option $identifier --query '$described[0].ActivityStreamStatus' --output text
aws rds start-activity-stream --region $region --resource-arn $arn --mode sync --kms-key-id $key --apply-immediately
