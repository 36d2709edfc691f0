module "aurora" {
  source = "../../modules/aurora"

  project_name          = "miyabi"
  environment           = "prod"
  vpc_id                = module.vpc.vpc_id
  subnet_ids            = module.vpc.private_subnet_ids
  app_security_group_id = module.application.security_group_id
  kms_key_arn           = module.kms.key_arn

  manage_master_user_password = true
}
