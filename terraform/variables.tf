variable "databases" {
  description = "Databases to monitor: cluster:<identifier>, db:<identifier>, tag:<name>=<value> for all with that tag, or all."
  type        = set(string)
}

variable "artifact_bucket" {
  description = "S3 bucket in this region to which the packages are uploaded."
  type        = string
}

variable "artifact_prefix" {
  description = "Key prefix in that bucket: the packages are uploaded to <prefix>/<digest of the release>/<architecture>/<function>.zip."
  type        = string
  default     = "daswatch"
}

variable "dist" {
  description = "Folder with the packages and manifest.json built by `make package`. Default is dist/ of the checkout."
  type        = string
  default     = null
}

variable "parameters" {
  description = "Other parameters of template.yaml by name, as text, such as { AlertEmail = \"soc@example.com\" }."
  type        = map(string)
  default     = {}
}

variable "stack_name" {
  description = "Name of the CloudFormation stack."
  type        = string
  default     = "daswatch"
}

variable "stack_role_arn" {
  description = "Role that CloudFormation assumes to create the resources. Default is the caller's permissions."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the stack and its resources."
  type        = map(string)
  default     = {}
}
