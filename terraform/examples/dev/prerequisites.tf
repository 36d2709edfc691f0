# What the specification's example takes for granted. main.tf is that example, word for word.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region = "ap-northeast-1"
}

# Ephemeral: it is in no plan and no state, and is asked for again at apply.
variable "db_password" {
  description = "Password of the master user"
  type        = string
  sensitive   = true
  ephemeral   = true
}

module "vpc" {
  source = "../../prerequisites/network"

  name     = "miyabi-dev"
  vpc_cidr = "10.0.0.0/16"
}

module "ecs" {
  source = "../../prerequisites/application"

  name     = "miyabi-dev"
  vpc_id   = module.vpc.vpc_id
  vpc_cidr = "10.0.0.0/16"
}

module "kms" {
  source = "../../prerequisites/key"

  name   = "miyabi-dev"
  region = "ap-northeast-1"
}
