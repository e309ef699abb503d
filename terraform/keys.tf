# In a key's policy, the resource "*" is this key. Both give IAM policies of the account their say, as AWS recommends:
# without that statement nobody could ever change the policy again.

locals {
  stream_key_arn = var.activity_stream_key == "" ? one(aws_kms_key.stream[*].arn) : var.activity_stream_key

  the_account_decides = {
    Sid       = "TheAccountDecides"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
    Action    = "kms:*"
    Resource  = "*"
  }
}

resource "aws_kms_key" "stream" {
  count = var.activity_stream_key == "" ? 1 : 0

  description         = "${var.name}, encrypts database activity streams"
  enable_key_rotation = true

  # RDS gets its grant from whoever starts a stream: the setup function, by its own policy.
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.the_account_decides]
  })

  lifecycle {
    prevent_destroy = true # without it nobody reads the evidence
  }
}

resource "aws_kms_key" "data" {
  description         = "${var.name}, encrypts buckets, topics and logs"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.the_account_decides,
      {
        Sid       = "LogsOfOurFunctions"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = [
              "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${var.name}-*",
              "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/kinesisfirehose/${var.name}",
            ]
          }
        }
      },
      {
        Sid       = "AlarmsToTheAlertTopic"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      # EventBridge says neither account nor rule when it publishes to a topic: a condition would refuse it always.
      {
        Sid       = "EventsToTheAlertTopic"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ]
  })

  lifecycle {
    prevent_destroy = true # without it nobody reads the buckets
  }
}

resource "aws_kms_alias" "data" {
  name          = "alias/${var.name}-data"
  target_key_id = aws_kms_key.data.key_id
}
