output "dashboards" {
  description = "OpenSearch Dashboards URL"
  value       = "${local.search_endpoint}/_dashboards"
}

output "dashboards_user" {
  description = "Secret with the master user of the domain, if one is created"
  value       = one(aws_secretsmanager_secret.domain_user[*].arn)
}

output "dead_letter_bucket_name" {
  description = "Bucket of dead letters, records that Lambda stopped retrying, and backups of replaced content"
  value       = aws_s3_bucket.dead_letters.bucket
}

output "evidence_bucket_name" {
  description = "Bucket of the encrypted records as RDS sent them"
  value       = aws_s3_bucket.evidence.bucket
}

output "rows_bucket_name" {
  description = "Bucket of rows, by activity, if rows_to_s3 is true"
  value       = one(aws_s3_bucket.rows[*].bucket)
}

output "alert_topic_arn" {
  description = "SNS topic for alerts and alarms"
  value       = aws_sns_topic.alerts.arn
}

output "monitor_topic_arn" {
  description = "SNS topic for the actions of your own monitors"
  value       = aws_sns_topic.monitors.arn
}

output "activity_stream_key_arn" {
  description = "KMS key of the activity streams"
  value       = local.stream_key_arn
}

output "ingest_role_arn" {
  description = "Role of the ingest function; map it in OpenSearch"
  value       = aws_iam_role.ingest.arn
}

output "findings_role_arn" {
  description = "Role of the findings function; map it in OpenSearch, and trust it in member_role_name in other accounts"
  value       = aws_iam_role.findings.arn
}

output "setup_role_arn" {
  description = "Role of the setup function; map it to all_access and security_manager before the first apply"
  value       = aws_iam_role.setup.arn
}

output "ingest_function_name" {
  description = "Function that consumes the activity streams"
  value       = aws_lambda_function.ingest.function_name
}

output "findings_function_name" {
  description = "Function that runs the saved queries"
  value       = aws_lambda_function.findings.function_name
}

output "notified_function_name" {
  description = "Function that processes notifications"
  value       = aws_lambda_function.notified.function_name
}

output "setup_function_name" {
  description = "Function that starts streams and installs content"
  value       = aws_lambda_function.setup.function_name
}
