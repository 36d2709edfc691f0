# The inputs of the specification, in its order and with its defaults; docs/decisions/spec-departures.md lists
# what differs. Each description ends with what an edit does to the running cluster and its instances:
#
#   Edit: nothing.      they stay as they are
#   Edit: in place.     they are changed while they go on working
#   Edit: restart.      they are changed and restart, which drops the connections
#   Edit: replacement.  they are destroyed, with the data, and made anew; deletion_protection refuses
#
# tests/terraform/test_edits.py plans every edit with the real provider and holds these words to it.

variable "project_name" {
  description = "First part of every name. Edit: replacement."
  type        = string
  nullable    = false

  # 40 letters leave room in the 63 of an identifier for the longest name, <project>-prod-aurora-reader-15.
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.project_name)) && length(var.project_name) <= 40
    error_message = "project_name is \"${var.project_name}\"; use at most 40 lower-case letters, digits and single hyphens, beginning with a letter."
  }
}

variable "environment" {
  description = "Second part of every name: dev, stg or prod. Edit: replacement."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "stg", "prod"], var.environment)
    error_message = "environment is \"${var.environment}\"; use dev, stg or prod."
  }
}

variable "vpc_id" {
  description = "VPC of the cluster. Edit: in place, which AWS refuses, for a cluster cannot move: restore it into the other VPC."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets, at least two and in different availability zones. Edit: nothing; new instances may use them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids names ${length(distinct(var.subnet_ids))} different subnet(s); Aurora needs at least two, in different availability zones."
  }
}

variable "app_security_group_id" {
  description = "Security group of the application, the only one that may connect. Edit: nothing, but the former group can no longer connect."
  type        = string
  nullable    = false
}

variable "database_name" {
  description = "Database created with the cluster. Edit: nothing, for the name counts at creation only; a warning says so."
  type        = string
  default     = "miyabi_auth_billing"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_]{0,62}$", var.database_name))
    error_message = "database_name is \"${var.database_name}\"; use at most 63 letters, digits and underscores, beginning with a letter."
  }
}

variable "master_username" {
  description = "Master user created with the cluster. Edit: nothing, for the name counts at creation only; a warning says so."
  type        = string
  default     = "postgres"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_]{0,62}$", var.master_username)) && !contains(["admin", "rdsadmin"], lower(var.master_username))
    error_message = "master_username is \"${var.master_username}\"; use at most 63 letters, digits and underscores, beginning with a letter, and neither admin nor rdsadmin, which RDS reserves."
  }
}

variable "master_password" {
  description = "Password of the master user, kept in no plan and no state. Required unless manage_master_user_password. Edit: nothing, until master_password_version is raised."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = (var.master_password != null) != var.manage_master_user_password
    error_message = "Give exactly one of master_password and manage_master_user_password = true: a password of yours, or one that RDS makes and keeps in Secrets Manager."
  }

  validation {
    condition     = var.master_password == null || can(regex("^[!#-.0-?A-~]{8,99}$", var.master_password))
    error_message = "master_password does not fit Aurora's rule; use 8 to 99 printable ASCII characters, without slash, double quote, at sign and space."
  }
}

variable "engine_version" {
  description = "Aurora PostgreSQL version, or a major version for its newest minor. AWS refuses a downgrade. Edit: restart."
  type        = string
  default     = "15.10"
  nullable    = false

  validation {
    condition     = can(regex("^1[3-9](\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version is \"${var.engine_version}\"; use a version such as 15.10, or a major version such as 15."
  }
}

variable "min_capacity" {
  description = "Lowest ACU of each instance, in half steps. 0 lets an idle cluster pause, and the next connection then waits about 15 seconds. Edit: in place."
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
  description = "Highest ACU of each instance, in half steps. Edit: in place; max_connections follows when an instance next restarts."
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
  description = "KMS key that encrypts storage, backups, Performance Insights and the log. Its policy must let CloudWatch Logs use it. Edit: replacement."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${var.kms_key_arn}\"; use the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not its id and not an alias."
  }
}

variable "backup_retention_period" {
  description = "Days that backups are kept, and how far back a point-in-time restore can reach. Edit: in place."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.backup_retention_period >= 1 && var.backup_retention_period <= 35 && floor(var.backup_retention_period) == var.backup_retention_period
    error_message = "backup_retention_period is ${var.backup_retention_period}; Aurora keeps backups for 1 to 35 whole days and cannot switch them off."
  }
}

variable "reader_count" {
  description = "Readers beside the writer. Edit: in place; a reader that is removed drops its connections."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.reader_count >= 0 && var.reader_count <= 15 && floor(var.reader_count) == var.reader_count
    error_message = "reader_count is ${var.reader_count}; a cluster has 0 to 15 readers."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster, also where an edit would replace it. Edit: in place."
  type        = bool
  default     = true
  nullable    = false
}

variable "skip_final_snapshot" {
  description = "Delete without a last snapshot, and delete the automated backups as well. Edit: in place, and it matters at a deletion only."
  type        = bool
  default     = false
  nullable    = false
}

variable "performance_insights_enabled" {
  description = "Collect database load on every instance, kept for 7 days, or 465 with database_insights_mode advanced. Edit: in place."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_sns_topic_arn" {
  description = "SNS topic that hears of alarms and their end. Without it the alarms exist and tell nobody. Edit: nothing."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_sns_topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$", var.alarm_sns_topic_arn))
    error_message = "alarm_sns_topic_arn is \"${coalesce(var.alarm_sns_topic_arn, "null")}\"; use the ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME), or null."
  }
}

variable "tags" {
  description = "Tags of every resource; each also gets its Name. Edit: in place."
  type        = map(string)
  default     = {}
  nullable    = false
}

# Beyond the specification.

variable "name" {
  description = "Third part of every name. A restored cluster needs another than the cluster that it comes from, such as aurora-restored. Edit: replacement."
  type        = string
  default     = "aurora"
  nullable    = false

  # The longest name is <project>-<environment>-<name>-reader-15, and an identifier has 63 letters.
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length("${var.project_name}-${var.environment}-${var.name}") <= 53
    error_message = "name is \"${var.name}\"; use lower-case letters, digits and single hyphens, beginning with a letter, and at most 53 letters in all of ${var.project_name}-${var.environment}-${var.name}."
  }
}

variable "manage_master_user_password" {
  description = "Let RDS make the master password, keep it in Secrets Manager and change it every 7 days, instead of master_password. Edit: in place; the former password ends."
  type        = bool
  default     = false
  nullable    = false
}

variable "preferred_backup_window" {
  description = "Daily backup window in UTC, at least 30 minutes. The default is noon to 13:00 in Tokyo. Edit: in place."
  type        = string
  default     = "03:00-04:00"
  nullable    = false

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$", var.preferred_backup_window))
    error_message = "preferred_backup_window is \"${var.preferred_backup_window}\"; use two times of day in UTC, such as 03:00-04:00."
  }
}

variable "preferred_maintenance_window" {
  description = "Weekly maintenance window in UTC, at least 30 minutes and outside the backup window. The default is Monday 02:00 to 03:00 in Tokyo. Edit: in place."
  type        = string
  default     = "sun:17:00-sun:18:00"
  nullable    = false

  validation {
    condition     = can(regex("^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$", var.preferred_maintenance_window))
    error_message = "preferred_maintenance_window is \"${var.preferred_maintenance_window}\"; use two days and times in UTC, such as sun:17:00-sun:18:00."
  }
}

variable "master_password_version" {
  description = "Raise it by one to write a changed master_password: Terraform keeps no password to compare with. Edit: in place, at once whatever apply_immediately says."
  type        = number
  default     = 1
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the PostgreSQL log. Edit: nothing."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}; CloudWatch Logs offers 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "apply_immediately" {
  description = "Make changes that restart an instance now instead of in the maintenance window. Edit: in place; true also makes now what was waiting for the window."
  type        = bool
  default     = false
  nullable    = false
}

variable "event_subscription" {
  description = "Tell alarm_sns_topic_arn of failovers and failures as well. A switch of its own, because Terraform has to know it even where the topic is made in the same apply. Edit: nothing."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.event_subscription || var.alarm_sns_topic_arn != null
    error_message = "event_subscription is true and alarm_sns_topic_arn is null; events are told to that topic: give it, or set event_subscription to false."
  }
}

variable "restore_proof_hours" {
  description = "Hours after which an alarm says that no restore drill has proved the backup (needs drills with publish_metric), 2 to 168: CloudWatch looks back seven days. For a drill every night, 26. null makes no alarm. Edit: nothing."
  type        = number
  default     = null

  validation {
    condition     = try(var.restore_proof_hours >= 2 && var.restore_proof_hours <= 168 && floor(var.restore_proof_hours) == var.restore_proof_hours, var.restore_proof_hours == null)
    error_message = "restore_proof_hours is ${coalesce(var.restore_proof_hours, 0)}; use whole hours from 2 to 168, or null for no alarm."
  }
}

variable "seconds_until_auto_pause" {
  description = "Idle seconds after which a cluster with a floor of 0 pauses, 300 to 86400. null is 300. Edit: in place."
  type        = number
  default     = null

  validation {
    condition     = var.seconds_until_auto_pause == null || var.min_capacity == 0
    error_message = "seconds_until_auto_pause is ${coalesce(var.seconds_until_auto_pause, 0)} and min_capacity is ${var.min_capacity}; only a floor of 0 pauses: leave seconds_until_auto_pause out, or set min_capacity to 0."
  }

  validation {
    condition     = try(var.seconds_until_auto_pause >= 300 && var.seconds_until_auto_pause <= 86400 && floor(var.seconds_until_auto_pause) == var.seconds_until_auto_pause, var.seconds_until_auto_pause == null)
    error_message = "seconds_until_auto_pause is ${coalesce(var.seconds_until_auto_pause, 0)}; use whole seconds from 300 (5 minutes) to 86400 (a day)."
  }
}

variable "reader_promotion_tier" {
  description = "Failover tier of the first reader; further readers have 2 or more. In tier 0 or 1 it is kept as large as the writer, ready to take over, and costs as much; in 2 to 15 it follows its own load and takes over at that size. Edit: in place."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = contains(range(16), var.reader_promotion_tier)
    error_message = "reader_promotion_tier is ${var.reader_promotion_tier}; use a whole number from 0 to 15."
  }
}

variable "storage_type" {
  description = "aurora, which charges for I/O, or aurora-iopt1 (I/O-Optimized), which does not and costs more for capacity and storage. AWS allows the change to aurora-iopt1 once in 30 days, and back at any time. Edit: in place."
  type        = string
  default     = "aurora"
  nullable    = false

  validation {
    condition     = contains(["aurora", "aurora-iopt1"], var.storage_type)
    error_message = "storage_type is \"${var.storage_type}\"; use aurora (standard) or aurora-iopt1 (I/O-Optimized)."
  }
}

variable "database_insights_mode" {
  description = "standard, or advanced, which needs Performance Insights, keeps its data for 465 days, and costs extra for every ACU-hour. From standard to advanced needs provider 6.10.0. Edit: in place."
  type        = string
  default     = "standard"
  nullable    = false

  validation {
    condition     = contains(["standard", "advanced"], var.database_insights_mode)
    error_message = "database_insights_mode is \"${var.database_insights_mode}\"; use standard or advanced."
  }

  validation {
    condition     = var.database_insights_mode != "advanced" || var.performance_insights_enabled
    error_message = "database_insights_mode is advanced and performance_insights_enabled is false; AWS offers the one only with the other: set performance_insights_enabled to true, or use standard."
  }
}

variable "allow_major_version_upgrade" {
  description = "Let an edit of engine_version cross a major version, together with apply_immediately. Set both for the upgrade and take them back afterwards. Edit: in place; it matters only together with engine_version."
  type        = bool
  default     = false
  nullable    = false

  # Terraform removes the parameter groups of the former version in the same apply, and cannot while they are in use.
  validation {
    condition     = !var.allow_major_version_upgrade || var.apply_immediately
    error_message = "allow_major_version_upgrade is true and apply_immediately is false; the upgrade would wait for the maintenance window, and the former parameter groups would still be in use when Terraform removes them: set both."
  }
}

variable "engine_lifecycle_support" {
  description = "What comes after the major version's standard support: open-source-rds-extended-support runs on and costs extra for every ACU-hour; with open-source-rds-extended-support-disabled AWS upgrades the cluster to a newer major version itself. Edit: nothing, for it counts at creation only; a warning has the command that changes it."
  type        = string
  default     = "open-source-rds-extended-support"
  nullable    = false

  validation {
    condition     = contains(["open-source-rds-extended-support", "open-source-rds-extended-support-disabled"], var.engine_lifecycle_support)
    error_message = "engine_lifecycle_support is \"${var.engine_lifecycle_support}\"; use open-source-rds-extended-support, or open-source-rds-extended-support-disabled."
  }
}

variable "restore_to_point_in_time" {
  description = "Make the cluster from the backups of another, named by source_cluster_identifier, or by source_cluster_resource_id where it is deleted; restore_to_time such as 2025-12-12T12:00:00Z, or null for the latest. It counts at creation only: to restore, add a module block with another name. Edit: nothing."
  type = object({
    source_cluster_identifier  = optional(string)
    source_cluster_resource_id = optional(string)
    restore_to_time            = optional(string)
  })
  default = null

  validation {
    condition     = try((var.restore_to_point_in_time.source_cluster_identifier == null) != (var.restore_to_point_in_time.source_cluster_resource_id == null), true)
    error_message = "restore_to_point_in_time names two sources or none; give source_cluster_identifier, or source_cluster_resource_id (cluster-...) of a deleted cluster whose automated backups were kept."
  }

  validation {
    condition     = try(var.restore_to_point_in_time.source_cluster_identifier != local.cluster_id, true)
    error_message = "restore_to_point_in_time names ${local.cluster_id} itself; a restore is a new cluster beside the old one: add a module block with another name, such as aurora-restored."
  }

  validation {
    condition     = try(var.restore_to_point_in_time.restore_to_time, null) == null || can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$", var.restore_to_point_in_time.restore_to_time))
    error_message = "restore_to_time is \"${try(coalesce(var.restore_to_point_in_time.restore_to_time), "null")}\"; use UTC, such as 2025-12-12T12:00:00Z, or leave it out for the latest time that AWS can restore."
  }
}

variable "snapshot_identifier" {
  description = "Make the cluster from this snapshot, by name or ARN. It counts at creation only: to restore, add a module block with another name. Edit: nothing."
  type        = string
  default     = null

  validation {
    condition     = var.snapshot_identifier == null || var.restore_to_point_in_time == null
    error_message = "snapshot_identifier and restore_to_point_in_time are both given; a cluster comes from one of them: leave the other out."
  }
}

# What the rules above look up: the first minor of each major that offers a floor of 0, and a ceiling
# above 128. From 17 on, all do.
locals {
  first_minor_with_zero_acu = lookup({ 13 = 15, 14 = 12, 15 = 7, 16 = 3 }, local.engine_major, 0)
  first_minor_above_128_acu = lookup({ 13 = 13, 14 = 10, 15 = 5, 16 = 1 }, local.engine_major, 0)
}
