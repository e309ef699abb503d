# Rows by activity (docs/rows.md), and the log of all Firehose streams.

locals {
  to_splunk = var.splunk_endpoint != ""
}

# Delivery errors of Firehose: rows, evidence and Splunk.
resource "aws_cloudwatch_log_group" "delivery" {
  name              = "/aws/kinesisfirehose/${var.name}"
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.data.arn
}

resource "aws_cloudwatch_log_stream" "delivery" {
  name           = "deliveries"
  log_group_name = aws_cloudwatch_log_group.delivery.name
}

resource "aws_kinesis_firehose_delivery_stream" "rows" {
  count = var.rows_to_s3 ? 1 : 0

  name        = "${var.name}-rows"
  destination = "extended_s3"

  server_side_encryption {
    enabled  = true
    key_type = "AWS_OWNED_CMK"
  }

  extended_s3_configuration {
    bucket_arn          = one(aws_s3_bucket.rows[*].arn)
    role_arn            = one(aws_iam_role.rows[*].arn)
    prefix              = "rows/activity=!{partitionKeyFromQuery:activity}/date=!{partitionKeyFromQuery:date}/hour=!{partitionKeyFromQuery:hour}/"
    error_output_prefix = "rows-failed/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/"
    buffering_size      = 64
    buffering_interval  = 300
    compression_format  = "GZIP"
    kms_key_arn         = aws_kms_key.data.arn

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.delivery.name
      log_stream_name = aws_cloudwatch_log_stream.delivery.name
    }

    dynamic_partitioning_configuration {
      enabled = true
    }

    processing_configuration {
      enabled = true

      processors {
        type = "RecordDeAggregation"

        parameters {
          parameter_name  = "SubRecordType"
          parameter_value = "JSON"
        }
      }
      processors {
        type = "MetadataExtraction"

        parameters {
          parameter_name  = "MetadataExtractionQuery"
          parameter_value = "{activity:.activity,date:.[\"@timestamp\"][0:10],hour:.[\"@timestamp\"][11:13]}"
        }
        parameters {
          parameter_name  = "JsonParsingEngine"
          parameter_value = "JQ-1.6"
        }
      }
      processors {
        type = "AppendDelimiterToRecord"
      }
    }
  }

  depends_on = [aws_iam_role_policy.rows]
}

resource "aws_iam_role" "rows" {
  count = var.rows_to_s3 ? 1 : 0

  name_prefix        = "${var.name}-rows-"
  assume_role_policy = local.firehose_assumes
}

resource "aws_iam_role_policy" "rows" {
  count = var.rows_to_s3 ? 1 : 0

  name = "deliver"
  role = one(aws_iam_role.rows[*].name)
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "PutObjects"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = ["${one(aws_s3_bucket.rows[*].arn)}/rows/*", "${one(aws_s3_bucket.rows[*].arn)}/rows-failed/*"]
      },
      {
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = one(aws_s3_bucket.rows[*].arn)
      },
      local.encrypt_objects,
      local.log_deliveries,
    ]
  })
}
