variable "cluster_identifier" {
  description = "The Aurora cluster whose backups are drilled"
  type        = string
}

variable "image" {
  description = "Container image with this repository as its working directory, and the AWS CLI"
  type        = string
}

variable "evidence_bucket" {
  description = "S3 bucket that keeps the runs; object lock makes it evidence"
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets from which the cluster, its copies and AWS's APIs are reached"
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups that the cluster lets in"
  type        = list(string)
}

variable "drill_role_arn" {
  description = "Role that a run assumes: restore, describe, delete, read the login, publish the metric"
  type        = string
}

variable "task_role_arn" {
  description = "Role of the task: may assume drill_role_arn and write to evidence_bucket"
  type        = string
}

variable "execution_role_arn" {
  description = "Role with which ECS pulls the image and writes the log"
  type        = string
}

variable "scheduler_role_arn" {
  description = "Role with which EventBridge Scheduler starts the tasks (ecs:RunTask, iam:PassRole)"
  type        = string
}

variable "depth" {
  description = "quick, sampled or full"
  type        = string
  default     = "quick"
}

variable "max_cost_usd" {
  description = "A drill that is expected to cost more is refused"
  type        = number
  default     = 20
}

variable "drill_schedule" {
  description = "When drills begin, UTC"
  type        = string
  default     = "cron(17 2 * * ? *)"
}

variable "sweeper_schedule" {
  description = "When the sweeper looks, UTC"
  type        = string
  default     = "cron(47 * * * ? *)"
}
