# What the examples take for granted: a network, the application's security group, a key. This file stands once, and
# the examples hold links to it. In a root of your own, give the module what you have.

variable "region" {
  description = "AWS region"
  type        = string
  default     = "ap-northeast-1"
}

provider "aws" {
  region = var.region
}

module "vpc" {
  source = "../../prerequisites/network"

  name     = "miyabi-prod"
  vpc_cidr = "10.0.0.0/16"
}

module "application" {
  source = "../../prerequisites/application"

  name     = "miyabi-prod"
  vpc_id   = module.vpc.vpc_id
  vpc_cidr = "10.0.0.0/16"
}

module "kms" {
  source = "../../prerequisites/key"

  name   = "miyabi-prod"
  region = var.region
}
