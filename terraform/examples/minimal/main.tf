# For evaluation: an existing Aurora cluster, an existing RDS instance, and a small domain.
#
#   make package
#   export AWS_REGION=eu-west-1
#   terraform init && terraform apply -var artifact_bucket=my-artifacts

variable "artifact_bucket" {
  description = "Bucket to which the functions of `make package` are uploaded."
  type        = string
}

module "daswatch" {
  source = "../.."

  databases       = ["cluster:orders-production", "db:ledger"]
  artifact_bucket = var.artifact_bucket

  parameters = {
    CreateDomain = "true"
  }
}

output "dashboards" {
  description = "OpenSearch Dashboards URL; the user is in the secret outputs[\"DashboardsUser\"]."
  value       = module.daswatch.outputs["Dashboards"]
}
