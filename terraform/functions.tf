# Functions. Each has a role and a log group of its own.

locals {
  runtime = "python3.13"
  in_vpc  = length(var.subnet_ids) > 0

  search_environment = {
    OPENSEARCH_ENDPOINT   = local.search_endpoint
    OPENSEARCH_SERVICE    = var.opensearch_service
    OPENSEARCH_AUTH       = var.opensearch_auth
    OPENSEARCH_SECRET_ARN = var.opensearch_secret_arn
    INDEX_PREFIX          = var.index_prefix
  }

  # Settings of both functions with the code of findings.
  findings_environment = merge(local.search_environment, {
    DASHBOARDS_URL     = var.dashboards_url
    DEAD_LETTER_BUCKET = aws_s3_bucket.dead_letters.bucket
    DETECTIONS         = "detections.json" # in the package
    ALERT_TOPIC_ARN    = aws_sns_topic.alerts.arn
    SECURITY_HUB       = tostring(var.security_hub)
    FINDINGS_ROLE      = var.member_role_name
    FINDINGS_SQL       = tostring(var.findings_sql)
    REDACT             = var.redact
  })

  logs = toset(concat(["ingest", "findings", "notified", "setup"], local.to_splunk ? ["transform"] : []))
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.logs

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.data.arn
}

resource "aws_lambda_function" "ingest" {
  function_name = "${var.name}-ingest"
  description   = "Decrypts activity streams into OpenSearch"
  s3_bucket     = var.artifact_bucket
  s3_key        = "${var.artifact_prefix}/${var.architecture}/ingest_lambda.zip"
  handler       = "ingest_lambda.handler.handler"
  runtime       = local.runtime
  architectures = [var.architecture]
  role          = aws_iam_role.ingest.arn
  # The memory that provides one full vCPU: one thread decrypts while another one writes. A batch of 4.4 MB that expands
  # twentyfold uses a tenth of it.
  memory_size = 1769
  # A batch takes a few seconds. The rest is for retries when OpenSearch is busy; after that, Lambda retries.
  timeout = 120

  environment {
    variables = merge(local.search_environment, {
      DEAD_LETTER_BUCKET   = aws_s3_bucket.dead_letters.bucket
      INDEX_HOURLY         = var.index_hourly
      EXCLUDED_USERS       = join(",", var.excluded_users)
      REDACT               = var.redact
      ROWS_DELIVERY_STREAM = var.rows_to_s3 ? one(aws_kinesis_firehose_delivery_stream.rows[*].name) : ""
      ROWS_ACTIVITIES      = join(",", var.rows_activities)
      ROWS_PER_RECORD      = "500" # the delivery splits them again, at a quarter of the cost
    })
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["ingest"].name
  }

  # The functions log and emit their own durations, so X-Ray is not needed.
  tracing_config {
    mode = "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  # The content rejects changes to hourly days that have begun.
  depends_on = [
    aws_iam_role_policy_attachment.ingest,
    aws_iam_role_policy_attachment.network_interfaces,
    aws_lambda_invocation.content,
  ]
}

# The saved queries. EventBridge invokes it every minute, and each invocation ends within a minute.
resource "aws_lambda_function" "findings" {
  function_name = "${var.name}-findings"
  description   = "Runs the saved queries every minute and publishes alerts to Security Hub and SNS"
  s3_bucket     = var.artifact_bucket
  s3_key        = "${var.artifact_prefix}/${var.architecture}/findings_lambda.zip"
  handler       = "findings_lambda.handler.scheduled"
  runtime       = local.runtime
  architectures = [var.architecture]
  role          = aws_iam_role.findings.arn
  # It mostly waits for OpenSearch; less memory would slow down the imports of a cold start.
  memory_size = 512
  # Shorter than the schedule's minute, so runs do not overlap and need no reserved concurrency, which is scarce in small
  # accounts. A concurrent run would not change the result.
  timeout = 55

  environment {
    variables = local.findings_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["findings"].name
  }

  tracing_config {
    mode = "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.findings, aws_iam_role_policy_attachment.network_interfaces]
}

# A failed run is not retried: the next one covers the same period.
resource "aws_lambda_function_event_invoke_config" "findings" {
  function_name                = aws_lambda_function.findings.function_name
  qualifier                    = "$LATEST"
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}

# The same code for notifications: of OpenSearch monitors, and of CloudTrail via EventBridge.
resource "aws_lambda_function" "notified" {
  function_name = "${var.name}-notified"
  description   = "Turns notifications of monitors and AWS API calls on activity streams into alerts"
  s3_bucket     = var.artifact_bucket
  s3_key        = "${var.artifact_prefix}/${var.architecture}/findings_lambda.zip"
  handler       = "findings_lambda.handler.notified"
  runtime       = local.runtime
  architectures = [var.architecture]
  role          = aws_iam_role.findings.arn
  memory_size   = 512
  timeout       = 60

  environment {
    variables = local.findings_environment
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["notified"].name
  }

  tracing_config {
    mode = "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.findings, aws_iam_role_policy_attachment.network_interfaces]
}

# Senders do not repeat notifications: if all retries fail, they are stored and notified-retries-exhausted alarms.
resource "aws_lambda_function_event_invoke_config" "notified" {
  function_name                = aws_lambda_function.notified.function_name
  qualifier                    = "$LATEST"
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600

  destination_config {
    on_failure {
      destination = aws_s3_bucket.dead_letters.arn
    }
  }
}

resource "aws_lambda_permission" "monitors" {
  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.monitors.arn
}

# Starts activity streams and installs content. CloudFormation calls it for custom resources, Terraform invokes it.
resource "aws_lambda_function" "setup" {
  function_name = "${var.name}-setup"
  description   = "Starts activity streams and installs content for Terraform"
  s3_bucket     = var.artifact_bucket
  s3_key        = "${var.artifact_prefix}/${var.architecture}/setup_lambda.zip"
  handler       = "setup_lambda.handler.handler"
  runtime       = local.runtime
  architectures = [var.architecture]
  role          = aws_iam_role.setup.arn
  memory_size   = 512
  timeout       = 900 # the maximum: a stream takes minutes to start

  environment {
    variables = merge(local.search_environment, {
      # A created domain initially has only the master user, which installs the roles of the other functions.
      OPENSEARCH_AUTH       = var.create_domain ? "basic" : var.opensearch_auth
      OPENSEARCH_SECRET_ARN = var.create_domain ? one(aws_secretsmanager_secret.domain_user[*].arn) : var.opensearch_secret_arn
      INDEX_SHARDS          = var.index_shards
      INDEX_REPLICAS        = var.index_replicas
      INDEX_WRITE_COPIES    = var.index_write_copies
      INDEX_REFRESH_SECONDS = var.index_refresh_seconds
      INDEX_CODEC           = var.index_codec
      INDEX_HOURLY          = var.index_hourly
      DASHBOARDS_URL        = var.dashboards_url
      DETECTIONS            = "detections.json" # in the package
      BACKUP_BUCKET         = aws_s3_bucket.dead_letters.bucket
      MONITORS              = local.serverless ? "false" : "true" # Serverless has no alerting
      MONITOR_TOPIC_ARN     = aws_sns_topic.monitors.arn
      CHANNEL_ROLE_ARN      = aws_iam_role.channel.arn
      INGEST_ROLE_ARN       = aws_iam_role.ingest.arn
      FINDINGS_ROLE_ARN     = aws_iam_role.findings.arn
    })
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["setup"].name
  }

  tracing_config {
    mode = "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.setup, aws_iam_role_policy_attachment.network_interfaces]
}

# Transformation for Splunk (docs/firehose.md). The Firehose stream of each database is in databases.tf.
resource "aws_lambda_function" "transform" {
  count = local.to_splunk ? 1 : 0

  function_name = "${var.name}-transform"
  description   = "Transforms records of a Firehose stream into events for Splunk"
  s3_bucket     = var.artifact_bucket
  s3_key        = "${var.artifact_prefix}/${var.architecture}/firehose_lambda.zip"
  handler       = "firehose_lambda.handler.handler"
  runtime       = local.runtime
  architectures = [var.architecture]
  role          = one(aws_iam_role.transform[*].arn)
  memory_size   = 512 # a buffer that expands twentyfold uses at most 200 MB
  timeout       = 60

  environment {
    variables = {
      OUTPUT_FORM    = "splunk"
      EXCLUDED_USERS = join(",", var.excluded_users)
      REDACT         = var.redact
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["transform"].name
  }

  tracing_config {
    mode = "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.transform, aws_iam_role_policy_attachment.network_interfaces]
}
