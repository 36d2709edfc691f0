# Performance Insights, the log, the alarms, and who hears of them.

locals {
  # Seven days are free of charge; the advanced mode wants 465 at least.
  performance_insights = {
    kms_key_id     = var.performance_insights_enabled ? var.kms_key_arn : null
    retention_days = !var.performance_insights_enabled ? null : var.database_insights_mode == "advanced" ? 465 : 7
  }

  # Aurora derives max_connections from the ceiling: 189 at 1 ACU, 3360 at 16, never more than 5000.
  # A floor of 0.5 or less caps it at 2000. The line meets AWS's table (1, 4, 8, 16, 32 ACU) exactly.
  max_connections = min(
    floor(189 + 211.43 * (var.max_capacity - 1)),
    var.min_capacity <= 0.5 ? 2000 : 5000,
  )

  # The spec's 800, unless the ceiling is too low to ever allow 800 connections.
  connections_threshold = min(800, floor(0.8 * local.max_connections))
}

resource "aws_cloudwatch_log_group" "postgresql" {
  # checkov:skip=CKV_AWS_338:log_retention_days is an input; a year would be paid for where nobody looks back so far

  name              = "/aws/rds/cluster/${local.cluster_id}/postgresql"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = merge(local.tags, { Name = "${local.name}-postgresql-log" })
}

# Alarms are per instance: a cluster's metrics are the average over its instances, and an idle reader
# would hide a writer at 100 %. Two of them concern one role only.
locals {
  instances = merge(
    { writer = aws_rds_cluster_instance.writer.identifier },
    { for key, reader in aws_rds_cluster_instance.reader : key => reader.identifier },
  )

  alarms = {
    # The specification's. Both percentages are of what the ceiling gives, so there is a fifth left.
    cpu         = { metric = "CPUUtilization", above = 80, roles = ["writer", "reader"], means = "CPU above 80 % of what the ceiling of ${var.max_capacity} ACU gives" }
    capacity    = { metric = "ACUUtilization", above = 80, roles = ["writer", "reader"], means = "Capacity above 80 % of the ceiling of ${var.max_capacity} ACU" }
    connections = { metric = "DatabaseConnections", above = local.connections_threshold, roles = ["writer", "reader"], means = "More than ${local.connections_threshold} connections, of about ${local.max_connections} that are possible" }

    # A query that spills more than the local disk holds fails: a GiB is the time to find it.
    local-storage = { metric = "FreeLocalStorage", below = 1073741824, roles = ["writer", "reader"], means = "Less than 1 GiB of local disk free for temporary files" }

    # A reader is usually under 0.1 s behind: at a second, readers of their own writes notice.
    replica-lag = { metric = "AuroraReplicaLag", above = 1000, roles = ["reader"], means = "More than a second behind the writer" }

    # Autovacuum begins at 200 million; at 2.1 billion the database goes read-only. Half-way leaves days.
    transaction-ids = { metric = "MaximumUsedTransactionIDs", above = 1000000000, roles = ["writer"], means = "The oldest transaction id not yet vacuumed is 1 billion transactions old, half-way to a read-only database" }
  }

  alarms_by_instance = merge([
    for key, identifier in local.instances : {
      for name, alarm in local.alarms : "${key}-${name}" => merge(alarm, { name = name, instance = identifier })
      if contains(alarm.roles, key == "writer" ? "writer" : "reader")
    }
  ]...)

  topics = var.alarm_sns_topic_arn[*]

  # Who is woken runs what the description says, as it stands. The key lies in the cluster's region, and its ARN is known in the plan.
  region = split(":", var.kms_key_arn)[3]
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms_by_instance

  alarm_name        = "${local.name}-${each.key}"
  alarm_description = "${each.value.instance}: ${each.value.means}, for 10 minutes. Runbook: alarm-${each.value.name} (aurora-ops run alarm-${each.value.name} -p alarm ${local.name}-${each.key} -p region ${local.region})."

  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = each.value.instance }
  statistic           = "Average"
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  period              = 300
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching" # a paused or stopped instance sends nothing and is not in trouble

  alarm_actions = local.topics
  ok_actions    = local.topics
  tags          = merge(local.tags, { Name = "${local.name}-${each.key}", Runbook = "alarm-${each.value.name}" })
}

# Backups that nobody restored prove nothing. A drill that passes publishes 0, one that does not the hours since the last that
# did: so an hour with a 0 is a proof, and an hour without any data is none. Missing data has to be breaching, or a schedule that
# has died would look like one that is well. The alarm is quiet while one of the last so many hours had its proof.
resource "aws_cloudwatch_metric_alarm" "restore_proof" {
  count = var.restore_proof_hours == null ? 0 : 1

  alarm_name        = "${local.name}-restore-proof"
  alarm_description = "${local.cluster_id}: no restore drill has proved its backup for ${coalesce(var.restore_proof_hours, 0)} hours. Runbook: respond-to-missing-drill (aurora-ops run respond-to-missing-drill -p cluster ${local.cluster_id} -p region ${local.region})."

  namespace           = "AuroraOps"
  metric_name         = "HoursSinceLastProof"
  dimensions          = { DBClusterIdentifier = local.cluster_id }
  statistic           = "Minimum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 3600
  evaluation_periods  = var.restore_proof_hours
  treat_missing_data  = "breaching"

  alarm_actions = local.topics
  ok_actions    = local.topics
  tags          = merge(local.tags, { Name = "${local.name}-restore-proof", Runbook = "respond-to-missing-drill" })
}

# Failovers and failures, which no metric shows. Whether there is a topic cannot be asked here: one that is made
# in the same apply is not known yet when Terraform counts.
resource "aws_db_event_subscription" "this" {
  for_each = {
    for key, sources in {
      cluster  = { type = "db-cluster", ids = [aws_rds_cluster.this.cluster_identifier] }
      instance = { type = "db-instance", ids = values(local.instances) }
    } : key => sources if var.event_subscription
  }

  name             = "${local.name}-${each.key}-events"
  sns_topic        = var.alarm_sns_topic_arn
  source_type      = each.value.type
  source_ids       = each.value.ids
  event_categories = ["failover", "failure"]
  tags             = merge(local.tags, { Name = "${local.name}-${each.key}-events" })
}
