variable "region" {
  description = "AWS region"
  type        = string
  default     = "ap-northeast-1"
}

variable "project_name" {
  description = "Project name, first part of every name"
  type        = string
  default     = "miyabi"
}

variable "environment" {
  description = "Environment: dev, stg or prod"
  type        = string

  validation {
    condition     = contains(["dev", "stg", "prod"], var.environment)
    error_message = "environment is \"${var.environment}\"; use dev, stg or prod."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC"
  type        = string
  default     = "10.0.0.0/16"
}

variable "password_version" {
  description = "Raise it by one to write a new random password; then raise master_password_version of the environment"
  type        = number
  default     = 1
}
