output "vpc_id" {
  description = "VPC"
  value       = module.network.vpc_id
}

output "private_subnet_ids" {
  description = "Private subnets"
  value       = module.network.private_subnet_ids
}

output "app_security_group_id" {
  description = "Security group of the application"
  value       = module.application.security_group_id
}

output "kms_key_arn" {
  description = "Key of the cluster"
  value       = module.key.key_arn
}

output "secret_name" {
  description = "Secret with the master password"
  value       = module.secret.secret_name
}
