variable "databases" {
  description = "What is watched: cluster:<identifier> for an Aurora cluster, db:<identifier> for an RDS instance."
  type        = set(string)
}

variable "artifact_bucket" {
  description = "S3 bucket in this region that holds what `make package` built."
  type        = string
}

variable "artifact_prefix" {
  description = "Where in that bucket: <prefix>/<architecture>/<function>.zip. A new release needs a new prefix."
  type        = string
  default     = "daswatch"
}

variable "parameters" {
  description = "Any other parameter of template.yaml by its own name, as text, like { AlertEmail = \"soc@example.com\" }."
  type        = map(string)
  default     = {}
}

variable "stack_name" {
  description = "Name of the CloudFormation stack."
  type        = string
  default     = "daswatch"
}

variable "stack_role_arn" {
  description = "Role that CloudFormation assumes to make the resources. Without one it uses the caller's permissions."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the stack and of its resources."
  type        = map(string)
  default     = {}
}
