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
    condition     = var.environment != "prod" || var.alarm_sns_topic_arn != null
    error_message = "alarm_sns_topic_arn is null in prod: the alarms change colour in the console and tell nobody."
  }
}
