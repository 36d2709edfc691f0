# No defaults: terraform.tfvars.json says everything, and the cost engine reads the same file. The rules that
# the values must keep are those of terraform/modules/aurora.

variable "region" {
  description = "AWS region"
  type        = string
}

variable "project_name" {
  description = "Project name"
  type        = string
}

variable "environment" {
  description = "Environment: dev, stg or prod"
  type        = string
}

variable "database_name" {
  description = "Database created with the cluster"
  type        = string
}

variable "master_username" {
  description = "Master user"
  type        = string
}

variable "master_password_version" {
  description = "Raise it by one after the secret's value changed"
  type        = number
}

variable "engine_version" {
  description = "Aurora PostgreSQL version"
  type        = string
}

variable "allow_major_version_upgrade" {
  description = "Let an edit of engine_version cross a major version, together with apply_immediately"
  type        = bool
}

variable "engine_lifecycle_support" {
  description = "open-source-rds-extended-support, or open-source-rds-extended-support-disabled, which has AWS upgrade the cluster in place of billing it"
  type        = string
}

variable "min_capacity" {
  description = "Lowest ACU of each instance"
  type        = number
}

variable "max_capacity" {
  description = "Highest ACU of each instance"
  type        = number
}

variable "seconds_until_auto_pause" {
  description = "Idle seconds after which a cluster with a floor of 0 pauses, or null"
  type        = number
}

variable "storage_type" {
  description = "aurora, or aurora-iopt1 for I/O-Optimized"
  type        = string
}

variable "backup_retention_period" {
  description = "Days that backups are kept"
  type        = number
}

variable "preferred_backup_window" {
  description = "Daily backup window in UTC"
  type        = string
}

variable "preferred_maintenance_window" {
  description = "Weekly maintenance window in UTC"
  type        = string
}

variable "apply_immediately" {
  description = "Make changes that restart an instance now instead of in the maintenance window"
  type        = bool
}

variable "reader_count" {
  description = "Readers beside the writer"
  type        = number
}

variable "reader_promotion_tier" {
  description = "Failover tier of the first reader: in 0 and 1 it is as large as the writer, and costs as much"
  type        = number
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster"
  type        = bool
}

variable "skip_final_snapshot" {
  description = "Delete without a last snapshot"
  type        = bool
}

variable "performance_insights_enabled" {
  description = "Collect database load"
  type        = bool
}

variable "database_insights_mode" {
  description = "standard, or advanced at extra cost"
  type        = string
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the PostgreSQL log"
  type        = number
}

variable "alarm_sns_topic_arn" {
  description = "SNS topic that hears of alarms, or null"
  type        = string
}

variable "restore_proof_hours" {
  description = "Hours without a proved backup after which an alarm rings, or null: it needs drills on a schedule with publish_metric"
  type        = number
}

variable "tags" {
  description = "Tags of every resource"
  type        = map(string)
}
