# Beside the cluster that it comes from, which goes on; the data is that of the second named.
module "aurora_restored" {
  source = "../../modules/aurora"

  project_name          = "miyabi"
  environment           = "prod"
  vpc_id                = module.vpc.vpc_id
  subnet_ids            = module.vpc.private_subnet_ids
  app_security_group_id = module.application.security_group_id
  kms_key_arn           = module.kms.key_arn

  manage_master_user_password = true

  name = "aurora-restored"
  restore_to_point_in_time = {
    source_cluster_identifier = "miyabi-prod-aurora-cluster"
    restore_to_time           = "2025-12-12T12:00:00Z" # left out: the latest time that AWS can restore
  }
}
