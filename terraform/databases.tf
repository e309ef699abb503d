# Of each database: its activity stream, who may read it, the mapping, the evidence, and Splunk. Its rules and alarms
# are in rules.tf and alarms.tf.

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

  # What the setup function answers, as CloudFormation gets it.
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

# Data keys of one database alone. RDS binds a cluster's to dbc-id and an instance's to db-id: the context has one of the
# two, and whichever it has must name this database.
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

# The activity stream. Without the right to stop, no mistake in setup can end an audit.
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

# With the scope CRUD, the function learns from the key tf of the event whether this is made, changed or taken away.
# Another database under the same identifier has another resource id, and gets a stream of its own.
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

# Destroying or replacing it stops the stream. The key by its id, as RDS answers it: an ARN would differ, and each plan
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
  starting_position                  = "TRIM_HORIZON" # what the stream holds when the mapping is made counts too
  batch_size                         = 200
  maximum_batching_window_in_seconds = 5 # heartbeats come each second: without a window, each would be a call
  parallelization_factor             = 2 # documents have ids of their own, so order does not matter
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = -1    # a number of attempts is used up within minutes: records wait by age alone
  maximum_record_age_in_seconds      = 82800 # 23 hours: an hour before Kinesis drops them, they go to the bucket

  destination_config {
    on_failure {
      destination_arn = aws_s3_bucket.dead_letters.arn # in S3, the records themselves
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }

  # Lambda tries to read at once: the policy has to be there.
  depends_on = [aws_iam_role_policy.read, aws_lambda_invocation.content]
}

# The evidence: the ciphertext as it came, a record a line, by database and day.
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

    # Firehose writes records one behind the other; an envelope is one line of JSON, so a line feed parts them.
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
        Sid      = "ReadTheStream"
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
        Sid      = "LookAtTheBucket"
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

    # NumberOfRetries is left at its default of 3: the provider forgets defaults, and each plan would differ.
    processing_configuration {
      enabled = true

      processors {
        type = "Lambda"

        parameters {
          parameter_name  = "LambdaArn"
          parameter_value = "${one(aws_lambda_function.transform[*].arn)}:$LATEST"
        }
        # Rows are up to twenty times as large as records, and an answer has 6 MB (docs/firehose.md).
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
        Sid      = "ReadTheStream"
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
        Sid      = "LookAtTheBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = aws_s3_bucket.dead_letters.arn
      },
      local.encrypt_objects,
      local.log_deliveries,
    ]
  })
}

# Which data keys the transformation may decrypt.
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
