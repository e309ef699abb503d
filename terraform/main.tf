# Deploys the published template as a stack. The template defines all resources, parameters and rules; this module uploads
# it with the functions and passes parameters to it.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

locals {
  template = "${path.module}/../template.yaml"
  dist     = coalesce(var.dist, "${path.module}/../dist")
  manifest = jsondecode(file("${local.dist}/manifest.json"))
  # With the digest of all packages in it, so that the stack detects a new release.
  prefix = "${var.artifact_prefix}/${local.manifest.digest}"
}

resource "aws_s3_object" "function" {
  for_each = toset([for one in local.manifest.artifacts : one.path])

  bucket      = var.artifact_bucket
  key         = "${local.prefix}/${each.key}"
  source      = "${local.dist}/${each.key}"
  source_hash = filemd5("${local.dist}/${each.key}")
}

# A template of this size must be read from S3. Its key changes with its content, so that the stack detects changes.
resource "aws_s3_object" "template" {
  bucket       = var.artifact_bucket
  key          = "${var.artifact_prefix}/template-${filemd5(local.template)}.yaml"
  source       = local.template
  content_type = "application/yaml"
}

data "aws_s3_bucket" "artifacts" {
  bucket = var.artifact_bucket
}

resource "aws_cloudformation_stack" "daswatch" {
  name         = var.stack_name
  template_url = "https://${data.aws_s3_bucket.artifacts.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_NAMED_IAM"]
  iam_role_arn = var.stack_role_arn
  tags         = var.tags

  parameters = merge(var.parameters, {
    Databases      = join(",", sort(var.databases))
    ArtifactBucket = var.artifact_bucket
    ArtifactPrefix = local.prefix
  })

  timeouts {
    create = "90m"
    update = "90m"
    delete = "90m"
  }

  depends_on = [aws_s3_object.function]
}
