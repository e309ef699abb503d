# In a key policy, the resource "*" is this key. Both policies enable IAM policies of the account, as AWS recommends:
# without that statement the key could become unmanageable.

locals {
  stream_key_arn = var.activity_stream_key == "" ? one(aws_kms_key.stream[*].arn) : var.activity_stream_key

  the_account_decides = {
    Sid       = "EnableIamPolicies"
    Effect    = "Allow"
    Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
    Action    = "kms:*"
    Resource  = "*"
  }
}

resource "aws_kms_key" "stream" {
  count = var.activity_stream_key == "" ? 1 : 0

  description         = "${var.name}, database activity streams"
  enable_key_rotation = true

  # The principal that starts a stream creates the grant for RDS: the setup function, by its own policy.
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.the_account_decides]
  })

  lifecycle {
    prevent_destroy = true # the evidence cannot be read without it
  }
}

resource "aws_kms_key" "data" {
  description         = "${var.name}, buckets, topics and logs"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.the_account_decides,
      {
        Sid       = "AllowFunctionLogs"
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
        Sid       = "AllowAlarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      # EventBridge sends neither account nor rule when it publishes to a topic, so no condition is possible.
      {
        Sid       = "AllowEventRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ]
  })

  lifecycle {
    prevent_destroy = true # the buckets cannot be read without it
  }
}

resource "aws_kms_alias" "data" {
  name          = "alias/${var.name}-data"
  target_key_id = aws_kms_key.data.key_id
}
