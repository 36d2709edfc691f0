module "aurora" {
  source = "../../modules/aurora"

  project_name = "miyabi"
  environment  = "prod"

  # Network Configuration
  vpc_id                 = module.vpc.vpc_id
  subnet_ids             = module.vpc.private_subnet_ids
  app_security_group_id  = module.ecs.security_group_id

  # Database Configuration
  database_name   = "miyabi_auth_billing"
  master_username = "postgres"
  master_password = data.aws_secretsmanager_secret_version.db_password.secret_string

  # Serverless v2 Scaling
  min_capacity = 0.5
  max_capacity = 16

  # Encryption
  kms_key_arn = module.kms.key_arn

  # Backup Configuration
  backup_retention_period = 7
  preferred_backup_window = "03:00-04:00"

  # High Availability
  reader_count = 1

  # Monitoring
  alarm_sns_topic_arn = aws_sns_topic.alerts.arn

  tags = {
    Project     = "miyabi"
    Environment = "prod"
    ManagedBy   = "terraform"
  }
}
