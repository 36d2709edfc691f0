# Write-only arguments, which keep the master password out of plan and state, need Terraform 1.11.
# 5.100 is the only provider that this module was run with. Of 6 its upgrade guide and its documents were read, and nothing was run:
# docs/decisions/terraform-versions.md says what was read, and what each version is known to refuse.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
