# The customer-managed key for storage, backups, Performance Insights, the log and the secret.

variable "name" {
  description = "Prefix of the names, <project>-<environment>"
  type        = string
}

# Asked for, not looked up: no attribute of data.aws_region is in provider 5.100 and not deprecated in 6.47.
variable "region" {
  description = "Region whose CloudWatch Logs may use the key"
  type        = string
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}

# Losing this key is losing every backup: a deletion waits 30 days and can be cancelled until then.
resource "aws_kms_key" "this" {
  description             = "Aurora of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = { Name = "${var.name}-aurora" }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AccountDecidesByIAM"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "DatabaseLogGroups"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/aws/rds/cluster/${var.name}-aurora-*"
          }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-aurora"
  target_key_id = aws_kms_key.this.key_id
}

output "key_arn" {
  description = "ARN of the key"
  value       = aws_kms_key.this.arn
}

output "alias_name" {
  description = "Alias by which the environment finds the key"
  value       = aws_kms_alias.this.name
}
