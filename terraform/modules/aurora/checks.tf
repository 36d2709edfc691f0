# Advice. A failed check is a warning in plan and apply and stops nothing.

check "performance_insights_has_room" {
  assert {
    condition     = !var.performance_insights_enabled || var.min_capacity >= 2
    error_message = "min_capacity is ${var.min_capacity}: AWS recommends a floor of at least 2 ACU with Performance Insights. Below that, expect gaps in its data while the instance is small and busy."
  }
}

check "prod_survives_an_instance" {
  assert {
    condition     = var.environment != "prod" || var.reader_count >= 1
    error_message = "reader_count is 0 in prod: when the writer fails there is nothing to fail over to, and Aurora has to build a new instance first (about 10 minutes). Use 1 or more."
  }
}

check "prod_is_protected" {
  assert {
    condition     = var.environment != "prod" || (var.deletion_protection && !var.skip_final_snapshot)
    error_message = "prod can be deleted for good: keep deletion_protection = true and skip_final_snapshot = false."
  }
}

check "prod_alarms_reach_someone" {
  assert {
    condition     = var.environment != "prod" || (var.event_subscription && var.alarm_sns_topic_arn != null)
    error_message = "Without alarm_sns_topic_arn the alarms of prod change colour in the console and tell nobody; without event_subscription = true nobody is told of a failover. Give both."
  }
}

check "prod_fails_over_at_size" {
  assert {
    condition     = var.environment != "prod" || var.reader_count == 0 || var.reader_promotion_tier <= 1
    error_message = "reader_promotion_tier is ${var.reader_promotion_tier} in prod: the reader may be at its floor when it has to take over, and then needs minutes to grow. Use 1 unless its cost matters more."
  }
}

check "creation_only_inputs_are_as_created" {
  assert {
    condition     = local.is_restored ? true : aws_rds_cluster.this.database_name == var.database_name && aws_rds_cluster.this.master_username == var.master_username
    error_message = "The cluster was created with database_name ${aws_rds_cluster.this.database_name} and master_username ${aws_rds_cluster.this.master_username}, and keeps them: set the inputs back to that. Make further databases and users with SQL."
  }
}

# Neither does the provider change it, nor does it say it to a restore to a point in time, which has AWS's default then.
check "engine_lifecycle_support_is_as_asked" {
  assert {
    condition     = aws_rds_cluster.this.engine_lifecycle_support == var.engine_lifecycle_support
    error_message = "The cluster has engine_lifecycle_support ${coalesce(aws_rds_cluster.this.engine_lifecycle_support, "unknown")} and keeps it, for the provider changes it at no cluster that is there. Set the input back to that, or run: aws rds modify-db-cluster --db-cluster-identifier ${local.cluster_id} --engine-lifecycle-support ${var.engine_lifecycle_support}"
  }
}
