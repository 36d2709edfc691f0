# What the specification calls created beforehand: network, application security group, key and secret.
# An environment finds them by name, so the two are applied, and torn down, apart from each other.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project     = var.project_name
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}

locals {
  name = "${var.project_name}-${var.environment}"
}

module "network" {
  source = "./network"

  name     = local.name
  vpc_cidr = var.vpc_cidr
}

module "application" {
  source = "./application"

  name     = local.name
  vpc_id   = module.network.vpc_id
  vpc_cidr = var.vpc_cidr
}

module "key" {
  source = "./key"

  name   = local.name
  region = var.region
}

module "secret" {
  source = "./secret"

  secret_name             = "${var.project_name}/${var.environment}/aurora/master"
  kms_key_arn             = module.key.key_arn
  recovery_window_in_days = var.environment == "dev" ? 0 : 30
  password_version        = var.password_version
}
