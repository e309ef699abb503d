# For evaluation: an existing Aurora cluster, an existing RDS instance, and a small domain.
#
#   export AWS_REGION=eu-west-1
#   terraform init && terraform apply -var artifact_bucket=my-artifacts

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "artifact_bucket" {
  description = "Bucket with the functions of `make package`, uploaded by `aws s3 cp --recursive dist s3://<bucket>/daswatch/`."
  type        = string
}

module "daswatch" {
  source = "../.."

  databases = {
    orders = { cluster = "orders-production" }
    ledger = { instance = "ledger" }
  }

  artifact_bucket = var.artifact_bucket
  create_domain   = true
}

output "dashboards" {
  description = "OpenSearch Dashboards URL; the user is in the secret dashboards_user."
  value       = module.daswatch.dashboards
}

output "dashboards_user" {
  description = "Secret with the master user of the domain"
  value       = module.daswatch.dashboards_user
}
