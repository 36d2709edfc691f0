# A restore is a new cluster beside the old one, and what made it counts at its creation only.

mock_provider "aws" {}

variables {
  project_name                 = "miyabi"
  environment                  = "stg"
  vpc_id                       = "vpc-0123456789abcdef0"
  subnet_ids                   = ["subnet-a", "subnet-b"]
  app_security_group_id        = "sg-0aaaaaaaaaaaaaaaa"
  master_password              = "correct-horse-battery"
  kms_key_arn                  = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  performance_insights_enabled = false # its advice about small floors is tested in advice.tftest.hcl
  name                         = "aurora-restored"
}

run "a_restore_has_the_source_s_database_and_user" {
  command = plan

  variables {
    restore_to_point_in_time = { source_cluster_identifier = "miyabi-stg-aurora-cluster" }
  }

  assert {
    condition     = aws_rds_cluster.this.cluster_identifier == "miyabi-stg-aurora-restored-cluster" && aws_rds_cluster_instance.writer.identifier == "miyabi-stg-aurora-restored-writer"
    error_message = "Beside the source, under another name."
  }

  assert {
    condition     = one(aws_rds_cluster.this.restore_to_point_in_time).use_latest_restorable_time && one(aws_rds_cluster.this.restore_to_point_in_time).source_cluster_identifier == "miyabi-stg-aurora-cluster"
    error_message = "To the latest time that can be restored."
  }
}

run "a_restore_of_a_deleted_cluster_to_a_time" {
  command = plan

  variables {
    restore_to_point_in_time = {
      source_cluster_resource_id = "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
      restore_to_time            = "2025-12-12T12:00:00Z"
    }
  }

  assert {
    condition     = one(aws_rds_cluster.this.restore_to_point_in_time).restore_to_time == "2025-12-12T12:00:00Z" && one(aws_rds_cluster.this.restore_to_point_in_time).source_cluster_resource_id == "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ" && one(aws_rds_cluster.this.restore_to_point_in_time).use_latest_restorable_time == null
    error_message = "By the id that outlives the cluster."
  }
}

run "a_restore_of_a_snapshot" {
  command = apply

  variables {
    snapshot_identifier = "miyabi-stg-aurora-final-20261124000000"
  }

  assert {
    condition     = aws_rds_cluster.this.snapshot_identifier == "miyabi-stg-aurora-final-20261124000000"
    error_message = "From the snapshot."
  }
}

run "a_restore_that_is_taken_out_replaces_nothing" {
  command = apply

  # The source had another database and another user than the defaults, and the advice says so.
  expect_failures = [check.creation_only_inputs_are_as_created]

  assert {
    condition     = output.cluster_resource_id == run.a_restore_of_a_snapshot.cluster_resource_id && output.final_snapshot_identifier == run.a_restore_of_a_snapshot.final_snapshot_identifier
    error_message = "The same cluster."
  }
}
