# A first try: one Aurora cluster and one RDS instance that are there already, and a small domain to search in.
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
  description = "Where `make package` and `aws s3 cp --recursive dist s3://<bucket>/daswatch/` put the functions."
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
  description = "Where analysts look; the user is in the secret dashboards_user."
  value       = module.daswatch.dashboards
}

output "dashboards_user" {
  description = "Secret with the domain's master user"
  value       = module.daswatch.dashboards_user
}
