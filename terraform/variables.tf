# The parameters of template.yaml, in snake case and with the same defaults.

# Databases

variable "databases" {
  description = <<-EOT
    Databases to monitor, by a short name of your choice: { cluster = <identifier> } for an Aurora cluster, { instance = <identifier> }
    for an RDS instance. The name is part of the names of alarms, rules and Firehose streams. started_by selects what starts the
    activity stream: "setup", the setup function, which adopts a running stream and stops it only if on_stack_deletion is stop; or
    "terraform", for clusters only, where destroying or replacing the resource always stops the stream. About 12 databases are
    supported: IAM limits the size of a role's policies.
  EOT
  type = map(object({
    cluster    = optional(string)
    instance   = optional(string)
    started_by = optional(string, "setup")
  }))

  validation {
    condition     = alltrue([for one in values(var.databases) : (one.cluster == null) != (one.instance == null)])
    error_message = "Each database must be either { cluster = ... } or { instance = ... }."
  }
  validation {
    condition     = alltrue([for name in keys(var.databases) : can(regex("^[a-z][a-z0-9-]{0,31}$", name))])
    error_message = "Names of databases consist of lower-case letters, digits and hyphens, at most 32."
  }
  validation {
    condition     = alltrue([for one in values(var.databases) : contains(["setup", "terraform"], one.started_by)])
    error_message = "started_by must be setup or terraform."
  }
  validation {
    condition     = alltrue([for one in values(var.databases) : one.started_by == "setup" || one.cluster != null])
    error_message = "The AWS provider starts streams of clusters only: an instance requires started_by = \"setup\"."
  }
  validation {
    condition     = var.stream_mode != "auto" || alltrue([for one in values(var.databases) : one.started_by == "setup"])
    error_message = "stream_mode = \"auto\" is resolved by the setup function: started_by = \"terraform\" requires async or sync."
  }
}

variable "stream_mode" {
  description = "async: sessions do not wait for their events to be recorded. sync: sessions wait, and no event is lost (Aurora PostgreSQL only). auto: async, or sync if the engine supports only that. The mode of a running stream is kept."
  type        = string
  default     = "async"

  validation {
    condition     = contains(["async", "sync", "auto"], var.stream_mode)
    error_message = "stream_mode must be async, sync or auto."
  }
}

variable "native_audit_fields" {
  description = "Include the engine-native audit fields of Oracle and SQL Server (engineNativeAuditFields)."
  type        = bool
  default     = false
}

variable "activity_stream_key" {
  description = "ARN of the symmetric KMS key that encrypts the activity streams. Its key policy must allow access through IAM policies of this account. If empty, a key is created."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-f0-9-]+$", var.activity_stream_key))
    error_message = "activity_stream_key must be the ARN of a key in this region, not of an alias, or empty for a new key."
  }
}

variable "on_stack_deletion" {
  description = "What happens to an activity stream started by the setup function when its database is removed from `databases` or the module is destroyed. retain: it keeps running. stop: it is stopped, and activity is no longer recorded."
  type        = string
  default     = "retain"

  validation {
    condition     = contains(["retain", "stop"], var.on_stack_deletion)
    error_message = "on_stack_deletion must be retain or stop."
  }
}

# Function code

variable "artifact_bucket" {
  description = "S3 bucket in this region with the packages built by `make package`."
  type        = string
}

variable "artifact_prefix" {
  description = "Key prefix in that bucket: the packages are <prefix>/<architecture>/<function>.zip. Use a new prefix for each release; otherwise Terraform detects no change."
  type        = string
  default     = "daswatch"
}

variable "architecture" {
  description = "Instruction set architecture of the functions: arm64 or x86_64. arm64 costs 20 % less."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

# OpenSearch

variable "create_domain" {
  description = "true: create a domain with one small node, and a master user in Secrets Manager. Its HTTPS endpoint is public, protected by fine-grained access control. For evaluation only: it has no replicas."
  type        = bool
  default     = false

  validation {
    condition     = var.create_domain == (var.opensearch_endpoint == "") && var.create_domain == (var.opensearch_arn == "")
    error_message = "Specify opensearch_endpoint and opensearch_arn, or create_domain = true without them."
  }
  validation {
    condition     = !var.create_domain || (var.opensearch_service == "es" && var.opensearch_auth == "sigv4")
    error_message = "create_domain = true requires opensearch_service = \"es\" and opensearch_auth = \"sigv4\"."
  }
}

variable "opensearch_endpoint" {
  description = "URL of an existing domain or Serverless collection. Leave empty if a domain is created."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^https://[A-Za-z0-9.-]+(:[0-9]+)?$", var.opensearch_endpoint))
    error_message = "opensearch_endpoint must be https://..., without a path, or empty if a domain is created."
  }
}

variable "opensearch_service" {
  description = "es for a domain, aoss for a Serverless collection of type search."
  type        = string
  default     = "es"

  validation {
    condition     = contains(["es", "aoss"], var.opensearch_service)
    error_message = "opensearch_service must be es or aoss."
  }
  validation {
    condition     = var.opensearch_service == "es" || (var.collection_name != "" && var.opensearch_auth == "sigv4")
    error_message = "Serverless collections require collection_name and support SigV4 only."
  }
}

variable "opensearch_arn" {
  description = "ARN of that domain or collection. The functions are granted access to it only."
  type        = string
  default     = ""
}

variable "collection_name" {
  description = "Name of the Serverless collection. A data access policy for the functions is created."
  type        = string
  default     = ""
}

variable "opensearch_auth" {
  description = "How the functions authenticate to an existing endpoint. sigv4: with their IAM roles. basic: with the user in opensearch_secret_arn."
  type        = string
  default     = "sigv4"

  validation {
    condition     = contains(["sigv4", "basic"], var.opensearch_auth)
    error_message = "opensearch_auth must be sigv4 or basic."
  }
  validation {
    condition     = var.opensearch_auth == "sigv4" || var.opensearch_secret_arn != ""
    error_message = "opensearch_auth = \"basic\" requires opensearch_secret_arn."
  }
}

variable "opensearch_secret_arn" {
  description = "For basic: ARN of a secret {\"username\": ..., \"password\": ...}, encrypted with the key aws/secretsmanager."
  type        = string
  default     = ""
}

variable "dashboards_url" {
  description = "URL of OpenSearch Dashboards for links in findings. Default is <endpoint>/_dashboards."
  type        = string
  default     = ""
}

variable "index_prefix" {
  description = "Prefix of event indices, <prefix>-YYYY.MM.DD. It must end in -events; the part before it prefixes all other names, such as das-alerts. Deployments that share a domain need different prefixes."
  type        = string
  default     = "das-events"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_]*(-[a-z0-9_]+)*-events$", var.index_prefix)) && can(regex("^.{1,60}$", var.index_prefix))
    error_message = "index_prefix must be <name>-events."
  }
  validation {
    # Index patterns of one deployment must not match indices of another.
    condition     = !can(regex("-(events|drops).*-events$", var.index_prefix))
    error_message = "index_prefix must not contain -events or -drops before its end: index patterns of another deployment would match."
  }
}

variable "index_shards" {
  description = "Primary shards of each event index. If empty, the current value is kept (initially 1)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^([1-9][0-9]?|100)$", var.index_shards))
    error_message = "index_shards must be 1 to 100, or empty."
  }
}

variable "index_replicas" {
  description = "Replicas of each index. auto: up to two, depending on the number of nodes. domain: the default of the domain. If empty, the current value is kept (initially auto)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^[0-9]$|^auto$|^domain$", var.index_replicas))
    error_message = "index_replicas must be 0 to 9, auto, domain, or empty."
  }
}

variable "index_write_copies" {
  description = "Number of shard copies that must be active before a write is accepted. Until then, records stay in the stream. If empty, the current value is kept (initially all if index_replicas is auto, 2 if it is a number)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^([1-9]|10)$|^all$", var.index_write_copies))
    error_message = "index_write_copies must be 1 to 10, all, or empty."
  }
}

variable "index_refresh_seconds" {
  description = "Seconds until new events are searchable. If empty, the current value is kept (initially 10)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^([1-9]|[1-5][0-9]|60)$", var.index_refresh_seconds))
    error_message = "index_refresh_seconds must be 1 to 60, or empty."
  }
}

variable "index_codec" {
  description = "Compression codec of event indices. If empty, the current value is kept (initially best_compression)."
  type        = string
  default     = ""

  validation {
    condition     = contains(["", "default", "best_compression", "zstd", "zstd_no_dict"], var.index_codec)
    error_message = "index_codec must be default, best_compression, zstd, zstd_no_dict, or empty."
  }
}

variable "index_hourly" {
  description = "Days with hourly instead of daily event indices, as FIRST/LAST, such as 2027-01-15/.. for an open end. The first day must be at least two days ahead; do not change days that have begun (docs/sizing.md)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}/([0-9]{4}-[0-9]{2}-[0-9]{2}|[.][.])(,[0-9]{4}-[0-9]{2}-[0-9]{2}/([0-9]{4}-[0-9]{2}-[0-9]{2}|[.][.]))*$", var.index_hourly))
    error_message = "index_hourly must be FIRST/LAST, days such as 2027-01-15, or .. for an open end."
  }
}

# Data and retention

variable "excluded_users" {
  description = "User names whose events are dropped. Events of the three AWS-internal users are dropped only if they match AWS's own use; events of other names always. Failed logins are kept."
  type        = list(string)
  default     = ["rdsadmin", "rdssec", "rdsproxyadmin"]
}

variable "redact" {
  description = "Redaction of SQL before it is stored. literals: each literal is replaced by a question mark. hash: SQL is not stored, only statementHash. The evidence stays complete, and encrypted."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "literals", "hash"], var.redact)
    error_message = "redact must be off, literals or hash."
  }
}

variable "evidence_days" {
  description = "Retention of the encrypted records (evidence) in S3, in days; at least 31."
  type        = number
  default     = 400

  validation {
    condition     = var.evidence_days >= 31
    error_message = "evidence_days must be at least 31 days."
  }
}

variable "dead_letter_days" {
  description = "Retention of dead letters and of backups of replaced content, in days."
  type        = number
  default     = 400
}

variable "rows_to_s3" {
  description = "true: also deliver each event as a row to S3, partitioned by activity, for Athena (docs/rows.md). Rows are not encrypted with the stream's key, and do not expire."
  type        = bool
  default     = false
}

variable "rows_activities" {
  description = "Activities to deliver as rows, such as [\"DDL\", \"AUTH FAILURE\"]. Default is all."
  type        = list(string)
  default     = []
}

variable "log_days" {
  description = "Retention of the function logs, in days, as supported by CloudWatch Logs. Logs contain counts and causes, but no SQL."
  type        = number
  default     = 90
}

# Splunk

variable "splunk_endpoint" {
  description = "URL of an HTTP Event Collector to which each event is also delivered, by a Firehose stream for each database with the transformation function (docs/firehose.md). Leave empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.splunk_endpoint == "" || var.splunk_secret_arn != ""
    error_message = "splunk_endpoint requires splunk_secret_arn."
  }
}

variable "splunk_secret_arn" {
  description = "ARN of a secret {\"hec_token\": ...} for that collector, encrypted with the key aws/secretsmanager."
  type        = string
  default     = ""
}

# Notifications

variable "alert_email" {
  description = "Email address for alerts and alarms (confirmation required). Leave empty to send none."
  type        = string
  default     = ""
}

variable "security_hub" {
  description = "Import alerts as findings into Security Hub, which must be enabled in this account and region."
  type        = bool
  default     = true
}

variable "member_role_name" {
  description = "Name of a role in member accounts that is assumed to import findings about their databases there. If empty, all findings are imported in this account."
  type        = string
  default     = ""
}

variable "findings_sql" {
  description = "Include SQL statements in findings, redacted according to redact."
  type        = bool
  default     = false
}

# Network and names

variable "subnet_ids" {
  description = "Private subnets for the functions if OpenSearch is in a VPC. They need access to KMS, S3, SNS, STS, Security Hub, RDS and Secrets Manager, through a NAT gateway or VPC endpoints."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the functions in those subnets."
  type        = list(string)
  default     = []
}

variable "name" {
  description = "Prefix of function, rule and alarm names: daswatch or daswatch-<suffix>. das-tamper-control-plane recognizes these resources by daswatch."
  type        = string
  default     = "daswatch"

  validation {
    condition     = can(regex("^daswatch(-[a-z0-9]{1,9})?$", var.name))
    error_message = "name must be daswatch or daswatch-<suffix>."
  }
}
