# One role for each function and each service, with exact actions and resources. Conditional statements are in lists that
# are empty if the condition is false. Permissions for a single database are in databases.tf.

locals {
  serverless = var.opensearch_service == "aoss"
  by_secret  = var.opensearch_auth == "basic"
  # Basic authentication needs no IAM permissions.
  signs = !local.serverless && !local.by_secret

  lambda_assumes = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "lambda.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
  firehose_assumes = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "firehose.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = local.account } }
    }]
  })

  # APIAccessAll is the only action of Serverless; the collection's access policy restricts it.
  use_the_collection = [
    for statement in [
      { Sid = "Search", Effect = "Allow", Action = "aoss:APIAccessAll", Resource = var.opensearch_arn },
    ] : statement if local.serverless
  ]
  sign_in = [
    for statement in [
      { Sid = "SignIn", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = var.opensearch_secret_arn },
    ] : statement if local.by_secret
  ]

  # A function's own dead letters, and records that Lambda stops retrying.
  keep_dead_letters = [
    {
      Sid      = "PutDeadLetters"
      Effect   = "Allow"
      Action   = "s3:PutObject"
      Resource = ["${aws_s3_bucket.dead_letters.arn}/dead-letters/*", "${aws_s3_bucket.dead_letters.arn}/aws/lambda/*"]
    },
    { Sid = "CheckDestination", Effect = "Allow", Action = "s3:ListBucket", Resource = aws_s3_bucket.dead_letters.arn },
    {
      Sid       = "EncryptDeadLetters"
      Effect    = "Allow"
      Action    = "kms:GenerateDataKey"
      Resource  = aws_kms_key.data.arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
    },
  ]

  # For all Firehose streams.
  encrypt_objects = {
    Sid       = "EncryptObjects"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = aws_kms_key.data.arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
  }
  log_deliveries = {
    Sid      = "Log"
    Effect   = "Allow"
    Action   = "logs:PutLogEvents"
    Resource = "${aws_cloudwatch_log_group.delivery.arn}:*"
  }
}

# Ingest

resource "aws_iam_role" "ingest" {
  name_prefix        = "${var.name}-ingest-"
  assume_role_policy = local.lambda_assumes
}

# A managed policy: inline policies of a role are limited to 10,240 characters in total, which the databases need.
resource "aws_iam_policy" "ingest" {
  name_prefix = "${var.name}-ingest-"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.function["ingest"].arn}:*"
        },
      ],
      local.use_the_collection,
      [
        for statement in [
          { Sid = "Write", Effect = "Allow", Action = "es:ESHttpPost", Resource = "${local.search_arn}/_bulk" },
          { Sid = "GetTemplates", Effect = "Allow", Action = "es:ESHttpGet", Resource = "${local.search_arn}/_index_template" },
        ] : statement if local.signs
      ],
      local.sign_in,
      local.keep_dead_letters,
      [
        for statement in [
          {
            Sid      = "DeliverRows"
            Effect   = "Allow"
            Action   = "firehose:PutRecordBatch"
            Resource = one(aws_kinesis_firehose_delivery_stream.rows[*].arn)
          },
        ] : statement if var.rows_to_s3
      ],
    )
  })
}

resource "aws_iam_role_policy_attachment" "ingest" {
  role       = aws_iam_role.ingest.name
  policy_arn = aws_iam_policy.ingest.arn
}

# Findings and notified, which share their code

resource "aws_iam_role" "findings" {
  name_prefix        = "${var.name}-findings-"
  assume_role_policy = local.lambda_assumes
}

resource "aws_iam_role_policy" "findings" {
  name = "findings"
  role = aws_iam_role.findings.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid    = "Log"
          Effect = "Allow"
          Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = [
            "${aws_cloudwatch_log_group.function["findings"].arn}:*",
            "${aws_cloudwatch_log_group.function["notified"].arn}:*",
          ]
        },
      ],
      local.use_the_collection,
      [
        for statement in [
          {
            Sid    = "SearchAndWrite"
            Effect = "Allow"
            Action = "es:ESHttpPost"
            Resource = [
              "${local.search_arn}/_bulk",
              "${local.search_arn}/_msearch",
              "${local.search_arn}/${local.stem}-alerts/_mget",
              "${local.search_arn}/${local.stem}-seen/_mget",
              "${local.search_arn}/${local.stem}-alerts/_search",
            ]
          },
          {
            Sid      = "GetTemplatesAndProgress"
            Effect   = "Allow"
            Action   = "es:ESHttpGet"
            Resource = ["${local.search_arn}/_index_template", "${local.search_arn}/${local.stem}-runs/_doc/scheduled"]
          },
          {
            Sid    = "WriteProgress"
            Effect = "Allow"
            Action = "es:ESHttpPut"
            Resource = [
              "${local.search_arn}/${local.stem}-runs/_doc/scheduled",
              "${local.search_arn}/${local.stem}-runs/_create/scheduled",
            ]
          },
        ] : statement if local.signs
      ],
      local.sign_in,
      local.keep_dead_letters,
      [
        { Sid = "PublishAlerts", Effect = "Allow", Action = "sns:Publish", Resource = aws_sns_topic.alerts.arn },
        {
          Sid       = "EncryptMessages"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource  = aws_kms_key.data.arn
          Condition = { StringEquals = { "kms:ViaService" = "sns.${local.region}.amazonaws.com" } }
        },
      ],
      [
        for statement in [
          {
            Sid      = "ImportFindings"
            Effect   = "Allow"
            Action   = "securityhub:BatchImportFindings"
            Resource = "arn:${local.partition}:securityhub:${local.region}:${local.account}:product/${local.account}/default"
          },
        ] : statement if var.security_hub
      ],
      [
        for statement in [
          {
            Sid    = "ImportFindingsElsewhere"
            Effect = "Allow"
            Action = "sts:AssumeRole"
            # Any account: the events determine the database's account, whose role has a trust policy.
            Resource = "arn:${local.partition}:iam::*:role/${var.member_role_name}"
          },
        ] : statement if var.member_role_name != ""
      ],
    )
  })
}

# Setup

resource "aws_iam_role" "setup" {
  name_prefix        = "${var.name}-setup-"
  assume_role_policy = local.lambda_assumes
}

resource "aws_iam_role_policy" "setup" {
  name = "setup"
  role = aws_iam_role.setup.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.function["setup"].arn}:*"
        },
        # Describing databases with filters requires permission for all of them.
        {
          Sid      = "FindClusters"
          Effect   = "Allow"
          Action   = "rds:DescribeDBClusters"
          Resource = "arn:${local.partition}:rds:${local.region}:${local.account}:cluster:*"
        },
        {
          Sid      = "FindInstances"
          Effect   = "Allow"
          Action   = "rds:DescribeDBInstances"
          Resource = "arn:${local.partition}:rds:${local.region}:${local.account}:db:*"
        },
        { Sid = "DescribeEngineOptions", Effect = "Allow", Action = "rds:DescribeOrderableDBInstanceOptions", Resource = "*" }, # does not support resource-level permissions
        { Sid = "DescribeStreamKey", Effect = "Allow", Action = "kms:DescribeKey", Resource = local.stream_key_arn },
        # RDS reads the key and creates its grant with the permissions of the caller.
        {
          Sid      = "GrantStreamKeyToRds"
          Effect   = "Allow"
          Action   = "kms:CreateGrant"
          Resource = local.stream_key_arn
          Condition = {
            Bool         = { "kms:GrantIsForAWSResource" = "true" }
            StringEquals = { "kms:ViaService" = "rds.${local.region}.amazonaws.com" }
          }
        },
      ],
      local.use_the_collection,
      [
        for statement in [
          {
            Sid      = "InstallDashboards"
            Effect   = "Allow"
            Action   = "aoss:DashboardsAccessAll"
            Resource = "arn:${local.partition}:aoss:${local.region}:${local.account}:dashboards/default"
          },
        ] : statement if local.serverless
      ],
      [
        for statement in [
          {
            Sid    = "Install"
            Effect = "Allow"
            Action = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"]
            # Templates, policies, roles, channels, monitors and saved objects have separate APIs.
            Resource = "${var.opensearch_arn}/*"
          },
        ] : statement if local.signs && !var.create_domain
      ],
      [
        for statement in [
          {
            Sid      = "SignIn"
            Effect   = "Allow"
            Action   = "secretsmanager:GetSecretValue"
            Resource = var.create_domain ? one(aws_secretsmanager_secret.domain_user[*].arn) : var.opensearch_secret_arn
          },
        ] : statement if var.create_domain || local.by_secret
      ],
      [
        { Sid = "CreateChannel", Effect = "Allow", Action = "iam:PassRole", Resource = aws_iam_role.channel.arn },
        { Sid = "PutBackups", Effect = "Allow", Action = "s3:PutObject", Resource = "${aws_s3_bucket.dead_letters.arn}/backups/*" },
        {
          Sid       = "EncryptBackups"
          Effect    = "Allow"
          Action    = "kms:GenerateDataKey"
          Resource  = aws_kms_key.data.arn
          Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
        },
      ],
    )
  })
}

# Role of OpenSearch's Notifications plugin for publishing the messages of monitors

resource "aws_iam_role" "channel" {
  name_prefix = "${var.name}-channel-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "es.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy" "channel" {
  name = "publish"
  role = aws_iam_role.channel.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "sns:Publish", Resource = aws_sns_topic.monitors.arn },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = aws_kms_key.data.arn },
    ]
  })
}

# The transformation for Splunk

resource "aws_iam_role" "transform" {
  count = local.to_splunk ? 1 : 0

  name_prefix        = "${var.name}-transform-"
  assume_role_policy = local.lambda_assumes
}

resource "aws_iam_role_policy" "transform" {
  count = local.to_splunk ? 1 : 0

  name = "transform"
  role = one(aws_iam_role.transform[*].name)
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.function["transform"].arn}:*"
      },
    ]
  })
}

# For functions in a VPC: Lambda creates their network interfaces with their roles

resource "aws_iam_policy" "network_interfaces" {
  count = local.in_vpc ? 1 : 0

  name_prefix = "${var.name}-network-interfaces-"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "ec2:AssignPrivateIpAddresses",
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource = "*" # checked by Lambda before the interface exists
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "network_interfaces" {
  for_each = {
    for name, role in {
      ingest    = aws_iam_role.ingest.name
      findings  = aws_iam_role.findings.name
      setup     = aws_iam_role.setup.name
      transform = one(aws_iam_role.transform[*].name)
    } : name => role if local.in_vpc && (name != "transform" || local.to_splunk)
  }

  role       = each.value
  policy_arn = one(aws_iam_policy.network_interfaces[*].arn)
}
