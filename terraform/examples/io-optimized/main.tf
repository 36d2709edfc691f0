module "aurora" {
  source = "../../modules/aurora"

  project_name          = "miyabi"
  environment           = "prod"
  vpc_id                = module.vpc.vpc_id
  subnet_ids            = module.vpc.private_subnet_ids
  app_security_group_id = module.application.security_group_id
  kms_key_arn           = module.kms.key_arn

  manage_master_user_password = true

  storage_type = "aurora-iopt1" # no charge for I/O; capacity and storage cost more
  min_capacity = 2
  max_capacity = 64
  reader_count = 2 # the first stands by at the writer's size, the second follows its own load
}
