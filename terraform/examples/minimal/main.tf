# For evaluation: an existing Aurora cluster, an existing RDS instance, and a small domain.
#
#   export AWS_REGION=eu-west-1
#   terraform init && terraform apply -var artifact_bucket=my-artifacts

variable "artifact_bucket" {
  description = "Bucket with the functions of `make package`, uploaded by `aws s3 cp --recursive dist s3://<bucket>/daswatch/`."
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
