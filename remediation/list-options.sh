# The versions and instance classes with activity streams:
aws rds describe-orderable-db-instance-options --region $region --engine $engine --query 'OrderableDBInstanceOptions[?SupportedActivityStreamModes].[EngineVersion,DBInstanceClass]' --output text
