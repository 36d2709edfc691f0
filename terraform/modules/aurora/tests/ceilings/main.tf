# A cluster for each capacity range, so that one plan tells the thresholds of all of them.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

locals {
  # Floor and ceiling.
  ranges = toset([
    "0.5 1", "0.5 1.5", "0.5 2", "0.5 4", "0.5 4.5", "0.5 5", "0.5 8", "0.5 9.5", "0.5 10", "0.5 16", "0.5 128", "0.5 256",
    "0 1", "0 256",
    "1 1", "1 4", "1 8", "1 16", "1 23.5", "1 32", "1 64", "8 256",
  ])
  prefix = "miyabi-stg-aurora-writer-"
}

module "aurora" {
  source   = "../.."
  for_each = local.ranges

  project_name                 = "miyabi"
  environment                  = "stg"
  vpc_id                       = "vpc-0123456789abcdef0"
  subnet_ids                   = ["subnet-a", "subnet-b"]
  app_security_group_id        = "sg-0aaaaaaaaaaaaaaaa"
  kms_key_arn                  = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  manage_master_user_password  = true
  performance_insights_enabled = false
  reader_count                 = 0
  min_capacity                 = tonumber(split(" ", each.key)[0])
  max_capacity                 = tonumber(split(" ", each.key)[1])
}

output "clusters" {
  description = "By range: what AWS allows, and what the alarms wait for"
  value = {
    for range, cluster in module.aurora : range => {
      max_connections = cluster.estimated_max_connections
      alarm_above     = cluster.alarm_thresholds["${local.prefix}connections"]
      other_thresholds = {
        for name, threshold in cluster.alarm_thresholds : trimprefix(name, local.prefix) => threshold
        if name != "${local.prefix}connections"
      }
    }
  }
}
