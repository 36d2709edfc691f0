# Write-only arguments, which keep the master password out of plan and state, need Terraform 1.11.
# 5.100 is the oldest provider that this module is tested with; 6 renames arguments that it uses.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6.0"
    }
  }
}
