# Topics: one for notifications, one from OpenSearch monitors to the findings function.

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  display_name      = var.name
  kms_master_key_id = aws_kms_key.data.arn
}

resource "aws_sns_topic_subscription" "mail" {
  count = var.alert_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "AllowAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-*" }
        }
      },
      # EventBridge sends neither account nor rule when it publishes to a topic, so no condition is possible.
      {
        Sid       = "AllowEventRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alerts.arn
      },
    ]
  })
}

resource "aws_sns_topic" "monitors" {
  name              = "${var.name}-monitors"
  kms_master_key_id = aws_kms_key.data.arn
}

resource "aws_sns_topic_policy" "monitors" {
  arn = aws_sns_topic.monitors.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "DenyInsecureTransport"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.monitors.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "AllowNotificationChannel"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.channel.arn }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.monitors.arn
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "monitors" {
  topic_arn = aws_sns_topic.monitors.arn
  protocol  = "lambda"
  endpoint  = aws_lambda_function.notified.arn
}
