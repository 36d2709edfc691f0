module "aurora_dev" {
  source = "../../modules/aurora"

  project_name = "miyabi"
  environment  = "dev"

  vpc_id                 = module.vpc.vpc_id
  subnet_ids             = module.vpc.private_subnet_ids
  app_security_group_id  = module.ecs.security_group_id

  database_name   = "miyabi_dev"
  master_username = "postgres"
  master_password = var.db_password

  # Dev環境は小規模スケール
  min_capacity = 0.5
  max_capacity = 2

  kms_key_arn = module.kms.key_arn

  # Dev環境はレプリカ不要
  reader_count = 0

  # Dev環境は削除保護を無効化
  deletion_protection = false
  skip_final_snapshot = true

  tags = {
    Project     = "miyabi"
    Environment = "dev"
    ManagedBy   = "terraform"
  }
}
