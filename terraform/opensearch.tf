# OpenSearch: an existing endpoint or a small domain for evaluation, and the content that is installed.

locals {
  search_arn      = var.create_domain ? one(aws_opensearch_domain.first_try[*].arn) : var.opensearch_arn
  search_endpoint = var.create_domain ? "https://${one(aws_opensearch_domain.first_try[*].endpoint)}" : var.opensearch_endpoint
  stem            = element(split("-events", var.index_prefix), 0) # prefix of all other names, such as das-alerts
  domain_name     = join("-", concat([var.name], random_id.domain[*].hex))
}

# Unique for this domain: an earlier one may still exist.
resource "random_id" "domain" {
  count = var.create_domain ? 1 : 0

  byte_length = 4
}

# Meets the requirements for the master user. The provider has no write-only argument, so it is stored in the state.
resource "random_password" "domain_user" {
  count = var.create_domain ? 1 : 0

  length           = 32
  min_lower        = 1
  min_upper        = 1
  min_numeric      = 1
  min_special      = 1
  override_special = "!#$%&*()-_=+[]{}<>:?"
}

resource "aws_secretsmanager_secret" "domain_user" {
  count = var.create_domain ? 1 : 0

  name_prefix = "${var.name}-domain-user-"
  description = "${var.name}, master user of the domain, for signing in to Dashboards"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret_version" "domain_user" {
  count = var.create_domain ? 1 : 0

  secret_id     = one(aws_secretsmanager_secret.domain_user[*].id)
  secret_string = jsonencode({ username = "daswatch", password = one(random_password.domain_user[*].result) })
}

resource "aws_opensearch_domain" "first_try" {
  count = var.create_domain ? 1 : 0

  domain_name    = local.domain_name
  engine_version = "OpenSearch_2.19"

  cluster_config {
    instance_type  = "t3.small.search"
    instance_count = 1
  }

  ebs_options {
    ebs_enabled = true
    volume_type = "gp3"
    volume_size = 20
  }

  encrypt_at_rest {
    enabled = true
  }

  node_to_node_encryption {
    enabled = true
  }

  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }

  advanced_security_options {
    enabled                        = true
    internal_user_database_enabled = true

    master_user_options {
      master_user_name     = "daswatch"
      master_user_password = one(random_password.domain_user[*].result)
    }
  }

  # Open to all principals: fine-grained access control authenticates. Users sign in with a password, which an IAM policy
  # would treat as anonymous.
  access_policies = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = "*" }
        Action    = ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPatch", "es:ESHttpPost", "es:ESHttpPut"]
        Resource  = "arn:${local.partition}:es:${local.region}:${local.account}:domain/${local.domain_name}/*"
      },
    ]
  })

  lifecycle {
    prevent_destroy = true
  }
}

# Serverless has no roles of its own: this policy grants the functions access to the collection's indices.
resource "aws_opensearchserverless_access_policy" "functions" {
  count = local.serverless ? 1 : 0

  name        = var.name
  type        = "data"
  description = "Access of the Daswatch functions"
  policy = jsonencode([
    {
      Description = "functions"
      Principal   = [aws_iam_role.ingest.arn, aws_iam_role.findings.arn]
      Rules = [
        {
          ResourceType = "collection"
          Resource     = ["collection/${var.collection_name}"]
          Permission   = ["aoss:DescribeCollectionItems"]
        },
        {
          ResourceType = "index"
          Resource     = ["index/${var.collection_name}/${local.stem}-*"]
          Permission   = ["aoss:CreateIndex", "aoss:DescribeIndex", "aoss:ReadDocument", "aoss:WriteDocument"]
        },
      ]
    },
    {
      Description = "setup"
      Principal   = [aws_iam_role.setup.arn]
      Rules = [
        {
          ResourceType = "collection"
          Resource     = ["collection/${var.collection_name}"]
          Permission   = ["aoss:CreateCollectionItems", "aoss:DescribeCollectionItems", "aoss:UpdateCollectionItems"]
        },
        {
          ResourceType = "index"
          Resource     = ["index/${var.collection_name}/*"]
          Permission   = ["aoss:CreateIndex", "aoss:DescribeIndex", "aoss:UpdateIndex", "aoss:ReadDocument", "aoss:WriteDocument"]
        },
      ]
    },
  ])
}

# Templates, retention, roles, monitors, dashboards. Created before the first mapping, since ingest needs templates. A
# changed input invokes the function again; destroying the module leaves the content in place.
resource "aws_lambda_invocation" "content" {
  function_name   = aws_lambda_function.setup.function_name
  lifecycle_scope = "CREATE_ONLY"

  input = jsonencode({
    RequestType  = "Create"
    ResourceType = "Custom::Content"
    ResourceProperties = {
      Version = join(" ", [
        "${var.artifact_prefix}/${var.architecture}", var.index_prefix, var.opensearch_endpoint,
        var.index_shards, var.index_replicas, var.index_write_copies, var.index_refresh_seconds, var.index_codec,
        var.index_hourly,
      ])
    }
  })

  depends_on = [
    aws_iam_role_policy.setup,
    aws_opensearchserverless_access_policy.functions,
    aws_secretsmanager_secret_version.domain_user,
  ]
}
