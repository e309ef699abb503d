# A first try: one Aurora cluster and one RDS instance that exist already, and a small domain to search in.
#
#   export AWS_REGION=eu-west-1
#   terraform init && terraform apply -var artifact_bucket=my-artifacts

variable "artifact_bucket" {
  description = "Where `make package` and `aws s3 cp --recursive dist s3://<bucket>/daswatch/` put the functions."
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
  description = "URL of OpenSearch Dashboards; the user is in the secret that outputs[\"DashboardsUser\"] names."
  value       = module.daswatch.outputs["Dashboards"]
}
