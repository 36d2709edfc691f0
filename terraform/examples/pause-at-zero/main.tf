module "aurora" {
  source = "../../modules/aurora"

  project_name          = "miyabi"
  environment           = "dev"
  vpc_id                = module.vpc.vpc_id
  subnet_ids            = module.vpc.private_subnet_ids
  app_security_group_id = module.application.security_group_id
  kms_key_arn           = module.kms.key_arn

  manage_master_user_password = true

  min_capacity             = 0 # pauses after ten minutes without a connection; the next one waits about 15 seconds
  max_capacity             = 2
  seconds_until_auto_pause = 600
  reader_count             = 0
  deletion_protection      = false
  skip_final_snapshot      = true
}
