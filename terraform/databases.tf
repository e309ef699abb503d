# Per database: the activity stream, read access, the mapping, the evidence, and Splunk. Rules and alarms are in rules.tf
# and alarms.tf.

locals {
  databases = {
    for name, one in var.databases : name => {
      cluster    = one.cluster
      instance   = one.instance
      identifier = one.cluster != null ? "cluster:${one.cluster}" : "db:${one.instance}"
      started_by = one.started_by
    }
  }
  clusters        = { for name, one in local.databases : name => one if one.cluster != null }
  instances       = { for name, one in local.databases : name => one if one.instance != null }
  by_setup        = { for name, one in local.databases : name => one if one.started_by == "setup" }
  by_terraform    = { for name, one in local.databases : name => one if one.started_by == "terraform" }
  splunk_of       = { for name, one in local.databases : name => one if local.to_splunk }
  streams_allowed = var.on_stack_deletion == "stop" ? ["rds:StartActivityStream", "rds:StopActivityStream"] : ["rds:StartActivityStream"]

  resource_ids = merge(
    { for name, one in data.aws_rds_cluster.watched : name => one.cluster_resource_id },
    { for name, one in data.aws_db_instance.watched : name => one.resource_id },
  )

  # The response of the setup function, as for CloudFormation.
  streams = merge(
    { for name, one in aws_lambda_invocation.stream : name => jsondecode(one.result).Data },
    {
      for name, one in aws_rds_cluster_activity_stream.watched : name => {
        KinesisStreamArn  = "arn:${local.partition}:kinesis:${local.region}:${local.account}:stream/${one.kinesis_stream_name}"
        KinesisStreamName = one.kinesis_stream_name
        KmsKeyArn         = local.stream_key_arn
        ResourceId        = local.resource_ids[name]
      }
    },
  )
}

# Data keys of one database only. RDS uses the encryption context dbc-id for clusters and db-id for instances: one of the
# two is present and must name this database.
locals {
  decrypt_data_keys = {
    for name, one in local.databases : name => {
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = local.streams[name].KmsKeyArn
      Condition = {
        "ForAnyValue:StringEquals" = { "kms:EncryptionContextKeys" = ["aws:rds:dbc-id", "aws:rds:db-id"] }
        StringEqualsIfExists = {
          "kms:EncryptionContext:aws:rds:dbc-id" = local.streams[name].ResourceId
          "kms:EncryptionContext:aws:rds:db-id"  = local.streams[name].ResourceId
        }
      }
    }
  }
}

data "aws_rds_cluster" "watched" {
  for_each = local.clusters

  cluster_identifier = each.value.cluster
}

data "aws_db_instance" "watched" {
  for_each = local.instances

  db_instance_identifier = each.value.instance
}

# The activity stream. Without the permission to stop it, no error in setup can stop a stream.
resource "aws_iam_role_policy" "start" {
  for_each = local.by_setup

  name = "start-${each.key}"
  role = aws_iam_role.setup.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = local.streams_allowed
        Resource = "arn:${local.partition}:rds:${local.region}:${local.account}:${each.value.identifier}"
      },
    ]
  })
}

# With the scope CRUD, the key tf of the event shows whether this is created, updated or deleted. A recreated database
# with the same identifier has another resource ID, and gets its own stream.
resource "aws_lambda_invocation" "stream" {
  for_each = local.by_setup

  function_name   = aws_lambda_function.setup.function_name
  lifecycle_scope = "CRUD"
  terraform_key   = "tf"
  triggers        = { resource_id = local.resource_ids[each.key] }

  input = jsonencode({
    ResourceType       = "Custom::ActivityStream"
    PhysicalResourceId = "das-stream-${local.resource_ids[each.key]}"
    ResourceProperties = {
      Database                        = each.value.identifier
      KmsKeyId                        = local.stream_key_arn
      Mode                            = var.stream_mode
      EngineNativeAuditFieldsIncluded = tostring(var.native_audit_fields)
      OnDelete                        = var.on_stack_deletion
    }
  })

  depends_on = [aws_iam_role_policy.setup, aws_iam_role_policy.start]
}

# Destroying or replacing it stops the stream. The key is given by its ID, as RDS returns it: with an ARN, each plan
# would replace the stream.
resource "aws_rds_cluster_activity_stream" "watched" {
  for_each = local.by_terraform

  resource_arn                        = data.aws_rds_cluster.watched[each.key].arn
  mode                                = var.stream_mode
  kms_key_id                          = element(split("/", local.stream_key_arn), 1)
  engine_native_audit_fields_included = var.native_audit_fields
}

resource "aws_iam_role_policy" "read" {
  for_each = local.databases

  name = "read-${each.key}"
  role = aws_iam_role.ingest.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "kinesis:DescribeStream",
          "kinesis:DescribeStreamSummary",
          "kinesis:GetRecords",
          "kinesis:GetShardIterator",
          "kinesis:ListShards",
        ]
        Resource = local.streams[each.key].KinesisStreamArn
      },
      local.decrypt_data_keys[each.key],
    ]
  })
}

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = local.databases

  function_name                      = aws_lambda_function.ingest.function_name
  event_source_arn                   = local.streams[each.key].KinesisStreamArn
  starting_position                  = "TRIM_HORIZON" # includes records from before the mapping was created
  batch_size                         = 200
  maximum_batching_window_in_seconds = 5 # without it, each heartbeat (one a second) would be an invocation
  parallelization_factor             = 2 # document IDs are deterministic, so order does not matter
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = -1    # unlimited: limited by age only
  maximum_record_age_in_seconds      = 82800 # 23 hours: moved to the bucket an hour before Kinesis drops them

  destination_config {
    on_failure {
      destination_arn = aws_s3_bucket.dead_letters.arn # S3 gets the records themselves
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  # Required when Lambda first reads the stream.
  depends_on = [aws_iam_role_policy.read, aws_lambda_invocation.content]
}

# The evidence: the encrypted records, one per line, by database and day.
resource "aws_kinesis_firehose_delivery_stream" "evidence" {
  for_each = local.databases

  name        = "${var.name}-evidence-${each.key}"
  destination = "extended_s3"

  kinesis_source_configuration {
    kinesis_stream_arn = local.streams[each.key].KinesisStreamArn
    role_arn           = aws_iam_role.evidence[each.key].arn
  }

  extended_s3_configuration {
    bucket_arn          = aws_s3_bucket.evidence.arn
    role_arn            = aws_iam_role.evidence[each.key].arn
    prefix              = "evidence/${local.streams[each.key].ResourceId}/!{timestamp:yyyy/MM/dd}/"
    error_output_prefix = "evidence-failed/${local.streams[each.key].ResourceId}/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"
    buffering_size      = 64
    buffering_interval  = 300
    compression_format  = "GZIP"
    kms_key_arn         = aws_kms_key.data.arn

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.delivery.name
      log_stream_name = aws_cloudwatch_log_stream.delivery.name
    }

    # Firehose concatenates records; each envelope is one line of JSON, so a line feed separates them.
    processing_configuration {
      enabled = true

      processors {
        type = "AppendDelimiterToRecord"

        parameters {
          parameter_name  = "Delimiter"
          parameter_value = "\\n"
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.evidence]
}

resource "aws_iam_role" "evidence" {
  for_each = local.databases

  name_prefix        = "${var.name}-evidence-"
  assume_role_policy = local.firehose_assumes
}

resource "aws_iam_role_policy" "evidence" {
  for_each = local.databases

  name = "deliver"
  role = aws_iam_role.evidence[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadStream"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = local.streams[each.key].KinesisStreamArn
      },
      {
        Sid      = "PutObjects"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = ["${aws_s3_bucket.evidence.arn}/evidence/*", "${aws_s3_bucket.evidence.arn}/evidence-failed/*"]
      },
      {
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = aws_s3_bucket.evidence.arn
      },
      local.encrypt_objects,
      local.log_deliveries,
    ]
  })
}

resource "aws_kinesis_firehose_delivery_stream" "splunk" {
  for_each = local.splunk_of

  name        = "${var.name}-splunk-${each.key}"
  destination = "splunk"

  kinesis_source_configuration {
    kinesis_stream_arn = local.streams[each.key].KinesisStreamArn
    role_arn           = aws_iam_role.splunk[each.key].arn
  }

  splunk_configuration {
    hec_endpoint      = var.splunk_endpoint
    hec_endpoint_type = "Event"
    retry_duration    = 3600
    s3_backup_mode    = "FailedEventsOnly"

    secrets_manager_configuration {
      enabled    = true
      secret_arn = var.splunk_secret_arn
      role_arn   = aws_iam_role.splunk[each.key].arn
    }

    s3_configuration {
      bucket_arn         = aws_s3_bucket.dead_letters.arn
      role_arn           = aws_iam_role.splunk[each.key].arn
      prefix             = "splunk/${local.streams[each.key].ResourceId}/"
      compression_format = "GZIP"
      kms_key_arn        = aws_kms_key.data.arn
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.delivery.name
      log_stream_name = aws_cloudwatch_log_stream.delivery.name
    }

    # NumberOfRetries has its default of 3: the provider does not store defaults, so each plan would differ.
    processing_configuration {
      enabled = true

      processors {
        type = "Lambda"

        parameters {
          parameter_name  = "LambdaArn"
          parameter_value = "${one(aws_lambda_function.transform[*].arn)}:$LATEST"
        }
        # Rows are up to 20 times as large as records, and a response is limited to 6 MB (docs/firehose.md).
        parameters {
          parameter_name  = "BufferSizeInMBs"
          parameter_value = "0.2"
        }
        parameters {
          parameter_name  = "BufferIntervalInSeconds"
          parameter_value = "10"
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.splunk]
}

resource "aws_iam_role" "splunk" {
  for_each = local.splunk_of

  name_prefix        = "${var.name}-splunk-"
  assume_role_policy = local.firehose_assumes
}

resource "aws_iam_role_policy" "splunk" {
  for_each = local.splunk_of

  name = "deliver"
  role = aws_iam_role.splunk[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadStream"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = local.streams[each.key].KinesisStreamArn
      },
      {
        Sid      = "Transform"
        Effect   = "Allow"
        Action   = ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"]
        Resource = "${one(aws_lambda_function.transform[*].arn)}:$LATEST"
      },
      { Sid = "SignIn", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = var.splunk_secret_arn },
      {
        Sid      = "PutObjects"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = "${aws_s3_bucket.dead_letters.arn}/splunk/*"
      },
      {
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = aws_s3_bucket.dead_letters.arn
      },
      local.encrypt_objects,
      local.log_deliveries,
    ]
  })
}

# Data keys that the transformation may decrypt.
resource "aws_iam_role_policy" "decrypt" {
  for_each = local.splunk_of

  name = "decrypt-${each.key}"
  role = one(aws_iam_role.transform[*].name)
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.decrypt_data_keys[each.key],
    ]
  })
}
