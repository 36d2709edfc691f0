# The inputs of the specification, in its order and with its defaults. What differs from it is listed in
# docs/decisions/spec-departures.md. "Replaces the cluster" means: its data is gone.

variable "project_name" {
  description = "Project name, first part of every resource's name. A change replaces the cluster."
  type        = string
  nullable    = false

  # 40 letters leave room in the 63 of an identifier for the longest name, <project>-prod-aurora-reader-15.
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.project_name)) && length(var.project_name) <= 40
    error_message = "project_name is \"${var.project_name}\"; use at most 40 lower-case letters, digits and single hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "Environment: dev, stg or prod. A change replaces the cluster."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "stg", "prod"], var.environment)
    error_message = "environment is \"${var.environment}\"; use dev, stg or prod."
  }
}

variable "vpc_id" {
  description = "VPC of the cluster. A change replaces its security group."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets, at least two and in different availability zones"
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids names ${length(distinct(var.subnet_ids))} different subnet(s); Aurora needs at least two, in different availability zones."
  }
}

variable "app_security_group_id" {
  description = "Security group of the application, the only one that may connect"
  type        = string
  nullable    = false
}

variable "database_name" {
  description = "Database created with the cluster. A change replaces the cluster."
  type        = string
  default     = "miyabi_auth_billing"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name is \"${var.database_name}\"; use at most 63 letters, digits and underscores, beginning with a letter."
  }
}

variable "master_username" {
  description = "Master user. A change replaces the cluster."
  type        = string
  default     = "postgres"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_]{0,62}$", var.master_username)) && !contains(["admin", "rdsadmin"], lower(var.master_username))
    error_message = "master_username is \"${var.master_username}\"; use at most 63 letters, digits and underscores, beginning with a letter, and neither admin nor rdsadmin, which RDS reserves."
  }
}

variable "master_password" {
  description = "Password of the master user. It is written to the cluster and kept in no plan and no state. To change it, raise master_password_version as well."
  type        = string
  sensitive   = true
  ephemeral   = true
  nullable    = false

  validation {
    condition     = can(regex("^[!#-.0-?A-~]{8,99}$", var.master_password))
    error_message = "master_password does not fit Aurora's rule; use 8 to 99 printable ASCII characters, without slash, double quote, at sign and space."
  }
}

variable "engine_version" {
  description = "Aurora PostgreSQL version, or a major version for its newest minor. A change upgrades in place with an interruption; a downgrade is refused by AWS."
  type        = string
  default     = "15.10"
  nullable    = false

  validation {
    condition     = can(regex("^1[3-9](\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version is \"${var.engine_version}\"; use a version such as 15.10, or a major version such as 15."
  }
}

variable "min_capacity" {
  description = "Lowest ACU of each instance, in half steps. 0 lets an idle cluster pause, and the next connection then waits about 15 seconds."
  type        = number
  default     = 0.5
  nullable    = false

  validation {
    condition     = var.min_capacity >= 0 && var.min_capacity <= 256 && var.min_capacity * 2 == floor(var.min_capacity * 2)
    error_message = "min_capacity is ${var.min_capacity}; capacity goes from 0 to 256 in steps of 0.5: use 0, 0.5, 1, 1.5 and so on."
  }

  validation {
    condition     = var.min_capacity > 0 || try(local.engine_minor >= local.first_minor_with_zero_acu, true)
    error_message = "min_capacity is 0, which Aurora PostgreSQL ${var.engine_version} does not offer; use 0.5, or engine_version ${try("${local.engine_major}.${local.first_minor_with_zero_acu}", "15.7")} or later."
  }
}

variable "max_capacity" {
  description = "Highest ACU of each instance, in half steps. max_connections follows it after a restart of the instance."
  type        = number
  default     = 16
  nullable    = false

  validation {
    condition     = var.max_capacity >= 1 && var.max_capacity <= 256 && var.max_capacity * 2 == floor(var.max_capacity * 2)
    error_message = "max_capacity is ${var.max_capacity}; the ceiling goes from 1 to 256 in steps of 0.5: use 1, 1.5, 2 and so on."
  }

  validation {
    condition     = var.max_capacity >= var.min_capacity
    error_message = "max_capacity is ${var.max_capacity}, below min_capacity ${var.min_capacity}; raise the ceiling or lower the floor."
  }

  validation {
    condition     = var.max_capacity <= 128 || try(local.engine_minor >= local.first_minor_above_128_acu, true)
    error_message = "max_capacity is ${var.max_capacity}, but Aurora PostgreSQL ${var.engine_version} ends at 128; use 128, or engine_version ${try("${local.engine_major}.${local.first_minor_above_128_acu}", "15.5")} or later."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts storage, backups, Performance Insights and the log. Its policy must let CloudWatch Logs use it. A change replaces the cluster."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${var.kms_key_arn}\"; use the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not its id and not an alias."
  }
}

variable "backup_retention_period" {
  description = "Days that backups are kept, and how far back a point-in-time restore can reach"
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.backup_retention_period >= 1 && var.backup_retention_period <= 35 && floor(var.backup_retention_period) == var.backup_retention_period
    error_message = "backup_retention_period is ${var.backup_retention_period}; Aurora keeps backups for 1 to 35 whole days and cannot switch them off."
  }
}

variable "reader_count" {
  description = "Readers beside the writer. The first follows the writer's capacity and is what it fails over to; it costs as much as the writer."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.reader_count >= 0 && var.reader_count <= 15 && floor(var.reader_count) == var.reader_count
    error_message = "reader_count is ${var.reader_count}; a cluster has 0 to 15 readers."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster, also where a change of another input would replace it"
  type        = bool
  default     = true
  nullable    = false
}

variable "skip_final_snapshot" {
  description = "Delete without a last snapshot, and delete the automated backups as well"
  type        = bool
  default     = false
  nullable    = false
}

variable "performance_insights_enabled" {
  description = "Collect database load, kept for 7 days, on every instance"
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_sns_topic_arn" {
  description = "SNS topic that hears of alarms and their end. The alarms exist without it, and tell nobody."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_sns_topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$", var.alarm_sns_topic_arn))
    error_message = "alarm_sns_topic_arn is \"${coalesce(var.alarm_sns_topic_arn, "null")}\"; use the ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME), or null."
  }
}

variable "tags" {
  description = "Tags of every resource; each also gets its Name"
  type        = map(string)
  default     = {}
  nullable    = false
}

# Beyond the specification.

variable "preferred_backup_window" {
  description = "Daily backup window in UTC, at least 30 minutes. The default is noon to 13:00 in Tokyo."
  type        = string
  default     = "03:00-04:00"
  nullable    = false

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$", var.preferred_backup_window))
    error_message = "preferred_backup_window is \"${var.preferred_backup_window}\"; use two times of day in UTC, such as 03:00-04:00."
  }
}

variable "preferred_maintenance_window" {
  description = "Weekly maintenance window in UTC, at least 30 minutes and outside the backup window. The default is Monday 02:00 to 03:00 in Tokyo."
  type        = string
  default     = "sun:17:00-sun:18:00"
  nullable    = false

  validation {
    condition     = can(regex("^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$", var.preferred_maintenance_window))
    error_message = "preferred_maintenance_window is \"${var.preferred_maintenance_window}\"; use two days and times in UTC, such as sun:17:00-sun:18:00."
  }
}

variable "master_password_version" {
  description = "Raise it by one to write a changed master_password: Terraform keeps no password to compare with"
  type        = number
  default     = 1
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the PostgreSQL log"
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}; CloudWatch Logs offers 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "apply_immediately" {
  description = "Make changes that restart an instance now instead of in the maintenance window"
  type        = bool
  default     = false
  nullable    = false
}

# What the rules above look up: the first minor of each major that offers a floor of 0, and a ceiling
# above 128. From 17 on, all do.
locals {
  first_minor_with_zero_acu = lookup({ 13 = 15, 14 = 12, 15 = 7, 16 = 3 }, local.engine_major, 0)
  first_minor_above_128_acu = lookup({ 13 = 13, 14 = 10, 15 = 5, 16 = 1 }, local.engine_major, 0)
}
