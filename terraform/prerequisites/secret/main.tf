# The master password: a plain string in Secrets Manager, made by Secrets Manager, in no plan and no state.

variable "secret_name" {
  description = "Name of the secret"
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the secret"
  type        = string
}

variable "recovery_window_in_days" {
  description = "Days that a deleted secret can be brought back; 0 deletes at once, for throw-away environments"
  type        = number
  default     = 30
}

variable "password_version" {
  description = "Raise it by one to write a new random password"
  type        = number
  default     = 1
}

# A new value at every run, which is why only a change of password_version writes it.
ephemeral "aws_secretsmanager_random_password" "master" {
  password_length     = 40
  exclude_punctuation = true # safe in a connection string, a shell and a .pgpass file
}

resource "aws_secretsmanager_secret" "master" {
  # checkov:skip=CKV2_AWS_57:Terraform writes the password by its version; manage_master_user_password has RDS rotate one of its own

  name                    = var.secret_name
  description             = "Master password of the Aurora cluster"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_window_in_days
  tags                    = { Name = var.secret_name }
}

resource "aws_secretsmanager_secret_version" "master" {
  secret_id                = aws_secretsmanager_secret.master.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.master.random_password
  secret_string_wo_version = var.password_version
}

output "secret_arn" {
  description = "ARN of the secret. It waits for the secret to have a value."
  value       = aws_secretsmanager_secret_version.master.arn
}

output "secret_name" {
  description = "Name of the secret"
  value       = aws_secretsmanager_secret.master.name
}
