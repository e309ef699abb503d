# Deploys the published template as a stack. The template defines all resources, parameters and rules; this module uploads
# it next to the functions and passes parameters to it.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  template = "${path.module}/../template.yaml"
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
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  iam_role_arn = var.stack_role_arn
  tags         = var.tags

  parameters = merge(var.parameters, {
    Databases      = join(",", sort(var.databases))
    ArtifactBucket = var.artifact_bucket
    ArtifactPrefix = var.artifact_prefix
  })

  timeouts {
    create = "90m"
    update = "90m"
    delete = "90m"
  }
}
