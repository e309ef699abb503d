# The parameters of template.yaml, by the same names in snake case and with the same defaults.

# What is watched

variable "databases" {
  description = <<-EOT
    What is watched, by a short name of your choice: { cluster = <identifier> } for an Aurora cluster, { instance = <identifier> }
    for an RDS instance. The name stands in alarms, rules and streams. started_by says who starts the activity stream: "setup",
    the setup function, which adopts what runs and stops nothing unless told; or "terraform", for clusters only, whose
    destruction or replacement always stops it. Some 12 databases fit: IAM limits the policies of a role.
  EOT
  type = map(object({
    cluster    = optional(string)
    instance   = optional(string)
    started_by = optional(string, "setup")
  }))

  validation {
    condition     = alltrue([for one in values(var.databases) : (one.cluster == null) != (one.instance == null)])
    error_message = "Each database is either { cluster = ... } or { instance = ... }."
  }
  validation {
    condition     = alltrue([for name in keys(var.databases) : can(regex("^[a-z][a-z0-9-]{0,31}$", name))])
    error_message = "Names of databases are lower-case letters, digits and hyphens, at most 32."
  }
  validation {
    condition     = alltrue([for one in values(var.databases) : contains(["setup", "terraform"], one.started_by)])
    error_message = "started_by is setup or terraform."
  }
  validation {
    condition     = alltrue([for one in values(var.databases) : one.started_by == "setup" || one.cluster != null])
    error_message = "The AWS provider starts streams of clusters alone: an instance needs started_by = \"setup\"."
  }
  validation {
    condition     = var.stream_mode != "auto" || alltrue([for one in values(var.databases) : one.started_by == "setup"])
    error_message = "stream_mode = \"auto\" is decided by the setup function: started_by = \"terraform\" needs async or sync."
  }
}

variable "stream_mode" {
  description = "async: sessions never wait for their audit. sync: they wait, and no event is missing (Aurora PostgreSQL only). auto: async, or sync where the engine has nothing else. A stream that runs already is taken as it is."
  type        = string
  default     = "async"

  validation {
    condition     = contains(["async", "sync", "auto"], var.stream_mode)
    error_message = "stream_mode is async, sync or auto."
  }
}

variable "native_audit_fields" {
  description = "Whether Oracle and SQL Server add the audit fields of their own to each event (engineNativeAuditFields)."
  type        = bool
  default     = false
}

variable "activity_stream_key" {
  description = "ARN of the symmetric KMS key that encrypts the activity streams; its policy must let IAM policies of this account use it. Empty: a new key is made."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-f0-9-]+$", var.activity_stream_key))
    error_message = "activity_stream_key is the ARN of a key in this region, not an alias; empty for a new key."
  }
}

variable "on_stack_deletion" {
  description = "What becomes of an activity stream that the setup function started, when its database is taken out of `databases` or all is destroyed. retain: it runs on. stop: it stops, and nothing is audited from then on."
  type        = string
  default     = "retain"

  validation {
    condition     = contains(["retain", "stop"], var.on_stack_deletion)
    error_message = "on_stack_deletion is retain or stop."
  }
}

# Where the functions come from

variable "artifact_bucket" {
  description = "S3 bucket in this region that holds what `make package` built."
  type        = string
}

variable "artifact_prefix" {
  description = "Where in that bucket: the functions are <prefix>/<architecture>/<function>.zip. A new release needs a new prefix, or Terraform sees no change."
  type        = string
  default     = "daswatch"
}

variable "architecture" {
  description = "Processor of the functions: arm64 or x86_64. arm64 costs a fifth less."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

# OpenSearch

variable "create_domain" {
  description = "true: a domain of one small node is made, with a master user in Secrets Manager. Its HTTPS endpoint is public, behind fine-grained access control. For a first try: it has no replica."
  type        = bool
  default     = false

  validation {
    condition     = var.create_domain == (var.opensearch_endpoint == "") && var.create_domain == (var.opensearch_arn == "")
    error_message = "Give opensearch_endpoint and opensearch_arn, or create_domain = true without them."
  }
  validation {
    condition     = !var.create_domain || (var.opensearch_service == "es" && var.opensearch_auth == "sigv4")
    error_message = "What is made for a first try is a domain that knows the functions by their roles: opensearch_service = \"es\", opensearch_auth = \"sigv4\"."
  }
}

variable "opensearch_endpoint" {
  description = "URL of your domain or Serverless collection, where none is made."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^https://[A-Za-z0-9.-]+(:[0-9]+)?$", var.opensearch_endpoint))
    error_message = "opensearch_endpoint is https://..., without a path; empty where a domain is made."
  }
}

variable "opensearch_service" {
  description = "es for a domain, aoss for a Serverless collection of type search."
  type        = string
  default     = "es"

  validation {
    condition     = contains(["es", "aoss"], var.opensearch_service)
    error_message = "opensearch_service is es or aoss."
  }
  validation {
    condition     = var.opensearch_service == "es" || (var.collection_name != "" && var.opensearch_auth == "sigv4")
    error_message = "A Serverless collection needs collection_name, and knows sigv4 only."
  }
}

variable "opensearch_arn" {
  description = "ARN of that domain or collection; the functions may use no other."
  type        = string
  default     = ""
}

variable "collection_name" {
  description = "Name of the Serverless collection; its data access policy is made for the functions."
  type        = string
  default     = ""
}

variable "opensearch_auth" {
  description = "How the functions sign in to your own endpoint. sigv4: as their roles. basic: with the user of opensearch_secret_arn."
  type        = string
  default     = "sigv4"

  validation {
    condition     = contains(["sigv4", "basic"], var.opensearch_auth)
    error_message = "opensearch_auth is sigv4 or basic."
  }
  validation {
    condition     = var.opensearch_auth == "sigv4" || var.opensearch_secret_arn != ""
    error_message = "opensearch_auth = \"basic\" needs opensearch_secret_arn."
  }
}

variable "opensearch_secret_arn" {
  description = "For basic: ARN of the secret {\"username\": ..., \"password\": ...}, encrypted with the key aws/secretsmanager."
  type        = string
  default     = ""
}

variable "dashboards_url" {
  description = "Where people open Dashboards, for the links in findings. Empty for <endpoint>/_dashboards."
  type        = string
  default     = ""
}

variable "index_prefix" {
  description = "Events are indexed into <prefix>-YYYY.MM.DD. It ends in -events; what is before names everything else, such as das-alerts. Deployments at one domain need different ones."
  type        = string
  default     = "das-events"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9_]*(-[a-z0-9_]+)*-events$", var.index_prefix)) && can(regex("^.{1,60}$", var.index_prefix))
    error_message = "index_prefix is <name>-events."
  }
  validation {
    # No pattern of one deployment matches an index of another.
    condition     = !can(regex("-(events|drops).*-events$", var.index_prefix))
    error_message = "index_prefix has neither -events nor -drops in front of its end: the patterns of another deployment would match."
  }
}

variable "index_shards" {
  description = "Primary shards of a day of events. Empty leaves it as it is there; one where it was never set."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^([1-9][0-9]?|100)$", var.index_shards))
    error_message = "index_shards is 1 to 100, or empty."
  }
}

variable "index_replicas" {
  description = "Copies of each index in addition to the primary. auto: up to two, as far as there are nodes. domain: what the domain has as its default. Empty leaves it as it is there; auto where it was never set."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^[0-9]$|^auto$|^domain$", var.index_replicas))
    error_message = "index_replicas is 0 to 9, auto, domain, or empty."
  }
}

variable "index_write_copies" {
  description = "How many copies must be active for a write to be acknowledged. Until then records wait in the stream. Empty leaves it as it is there; where it was never set, all with index_replicas auto, and two of a number of copies."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^([1-9]|10)$|^all$", var.index_write_copies))
    error_message = "index_write_copies is 1 to 10, all, or empty."
  }
}

variable "index_refresh_seconds" {
  description = "After how many seconds new events are found. Empty leaves it as it is there; 10 where it was never set."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^([1-9]|[1-5][0-9]|60)$", var.index_refresh_seconds))
    error_message = "index_refresh_seconds is 1 to 60, or empty."
  }
}

variable "index_codec" {
  description = "How indices of events are compressed. Empty leaves it as it is there; best_compression where it was never set."
  type        = string
  default     = ""

  validation {
    condition     = contains(["", "default", "best_compression", "zstd", "zstd_no_dict"], var.index_codec)
    error_message = "index_codec is default, best_compression, zstd, zstd_no_dict, or empty."
  }
}

variable "index_hourly" {
  description = "Days whose events have an index for each hour, as FIRST/LAST, such as 2027-01-15/.. without an end. Name a first day at least two days ahead, and leave days that have begun as they are (docs/sizing.md)."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^[0-9]{4}-[0-9]{2}-[0-9]{2}/([0-9]{4}-[0-9]{2}-[0-9]{2}|[.][.])(,[0-9]{4}-[0-9]{2}-[0-9]{2}/([0-9]{4}-[0-9]{2}-[0-9]{2}|[.][.]))*$", var.index_hourly))
    error_message = "index_hourly is FIRST/LAST, days such as 2027-01-15, with .. for no end."
  }
}

# What is kept

variable "excluded_users" {
  description = "User names whose events are dropped. AWS's own three only as AWS uses them; any other from anywhere. Failed logins are kept."
  type        = list(string)
  default     = ["rdsadmin", "rdssec", "rdsproxyadmin"]
}

variable "redact" {
  description = "What becomes of SQL before it is stored. literals: a question mark for each literal. hash: no SQL, only statementHash. The evidence stays complete, and encrypted."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "literals", "hash"], var.redact)
    error_message = "redact is off, literals or hash."
  }
}

variable "evidence_days" {
  description = "After how many days the archive of the encrypted records expires; at least 31."
  type        = number
  default     = 400

  validation {
    condition     = var.evidence_days >= 31
    error_message = "Evidence is kept for 31 days at least."
  }
}

variable "dead_letter_days" {
  description = "After how many days dead letters and backups of replaced content expire."
  type        = number
  default     = 400
}

variable "rows_to_s3" {
  description = "true: each event also goes to S3 as a row, in folders by activity, for Athena (docs/rows.md). Rows are not encrypted with the stream's key, and expire never."
  type        = bool
  default     = false
}

variable "rows_activities" {
  description = "Which activities become rows, such as [\"DDL\", \"AUTH FAILURE\"]. Empty for all."
  type        = list(string)
  default     = []
}

variable "log_days" {
  description = "How many days the functions' logs are kept, as CloudWatch allows. They hold counts and causes, and no SQL."
  type        = number
  default     = 90
}

# Splunk

variable "splunk_endpoint" {
  description = "URL of an HTTP Event Collector that gets each event too, or empty. A Firehose for each database delivers there, through the transformation function (docs/firehose.md)."
  type        = string
  default     = ""

  validation {
    condition     = var.splunk_endpoint == "" || var.splunk_secret_arn != ""
    error_message = "splunk_endpoint needs splunk_secret_arn."
  }
}

variable "splunk_secret_arn" {
  description = "ARN of the secret {\"hec_token\": ...} of that collector, encrypted with the key aws/secretsmanager."
  type        = string
  default     = ""
}

# Who is told

variable "alert_email" {
  description = "Who gets a mail for each new alert and each alarm, after confirming it. Empty for nobody."
  type        = string
  default     = ""
}

variable "security_hub" {
  description = "Whether alerts become findings in Security Hub, which has to be enabled in this account and region."
  type        = bool
  default     = true
}

variable "member_role_name" {
  description = "Name of a role in other accounts: the findings about their databases are imported there. Empty for this account."
  type        = string
  default     = ""
}

variable "findings_sql" {
  description = "Whether findings quote statements, redacted as redact says."
  type        = bool
  default     = false
}

# Network and names

variable "subnet_ids" {
  description = "Private subnets for the functions, where OpenSearch is inside a VPC. They need a way to KMS, S3, SNS, STS, Security Hub, RDS and Secrets Manager: a NAT gateway, or endpoints."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the functions in these subnets."
  type        = list(string)
  default     = []
}

variable "name" {
  description = "What names of functions, rules and alarms begin with: daswatch, or daswatch-<a word>. das-tamper-control-plane knows our own by the word daswatch."
  type        = string
  default     = "daswatch"

  validation {
    condition     = can(regex("^daswatch(-[a-z0-9]{1,9})?$", var.name))
    error_message = "name is daswatch, or daswatch-<a word>."
  }
}
