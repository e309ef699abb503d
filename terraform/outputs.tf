output "dashboards" {
  description = "Where analysts look"
  value       = "${local.search_endpoint}/_dashboards"
}

output "dashboards_user" {
  description = "Secret with the domain's master user, where a domain is made"
  value       = one(aws_secretsmanager_secret.domain_user[*].arn)
}

output "dead_letter_bucket_name" {
  description = "Dead letters, what Lambda gave up, and backups of replaced content"
  value       = aws_s3_bucket.dead_letters.bucket
}

output "evidence_bucket_name" {
  description = "The encrypted records as RDS sent them"
  value       = aws_s3_bucket.evidence.bucket
}

output "rows_bucket_name" {
  description = "Rows by activity, where they are kept"
  value       = one(aws_s3_bucket.rows[*].bucket)
}

output "alert_topic_arn" {
  description = "Topic of alerts and alarms; subscribe what you like"
  value       = aws_sns_topic.alerts.arn
}

output "monitor_topic_arn" {
  description = "Topic for the actions of your own monitors"
  value       = aws_sns_topic.monitors.arn
}

output "activity_stream_key_arn" {
  description = "Key of the activity streams"
  value       = local.stream_key_arn
}

output "ingest_role_arn" {
  description = "To be mapped to a role in OpenSearch"
  value       = aws_iam_role.ingest.arn
}

output "findings_role_arn" {
  description = "To be mapped to a role in OpenSearch, and trusted by member_role_name in other accounts"
  value       = aws_iam_role.findings.arn
}

output "setup_role_arn" {
  description = "To be mapped to all_access and security_manager of your own domain before the first apply"
  value       = aws_iam_role.setup.arn
}

output "ingest_function_name" {
  description = "Reads the activity streams"
  value       = aws_lambda_function.ingest.function_name
}

output "findings_function_name" {
  description = "Runs the saved queries"
  value       = aws_lambda_function.findings.function_name
}

output "notified_function_name" {
  description = "Takes notifications"
  value       = aws_lambda_function.notified.function_name
}

output "setup_function_name" {
  description = "Starts streams and installs content"
  value       = aws_lambda_function.setup.function_name
}
