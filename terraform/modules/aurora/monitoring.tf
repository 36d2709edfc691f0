# Performance Insights, the log, and the three alarms.

locals {
  # Seven days are free of charge.
  performance_insights = {
    kms_key_id     = var.performance_insights_enabled ? var.kms_key_arn : null
    retention_days = var.performance_insights_enabled ? 7 : null
  }

  # Aurora derives max_connections from the ceiling: 189 at 1 ACU, 3360 at 16, never more than 5000.
  # A floor of 0.5 or less caps it at 2000. The line meets AWS's table (1, 4, 8, 16, 32 ACU) exactly.
  max_connections = min(
    floor(189 + 211.43 * (var.max_capacity - 1)),
    var.min_capacity <= 0.5 ? 2000 : 5000,
  )

  # The spec's 800, unless the ceiling is too low to ever allow 800 connections.
  connections_threshold = min(800, floor(0.8 * local.max_connections))

  # One alarm per instance. A cluster's metrics are the average over its instances: an idle reader
  # would hide a writer at 100 %.
  instances = merge(
    { writer = aws_rds_cluster_instance.writer.identifier },
    { for key, reader in aws_rds_cluster_instance.reader : key => reader.identifier },
  )

  alarm_actions = var.alarm_sns_topic_arn == null ? [] : [var.alarm_sns_topic_arn]
  runbook       = "Runbook: database-load (aurora-ops run database-load)."
}

resource "aws_cloudwatch_log_group" "postgresql" {
  name              = "/aws/rds/cluster/${local.cluster_id}/postgresql"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = merge(local.tags, { Name = "${local.name}-postgresql-log" })
}

# All alarms: the average of two five-minute periods in a row. A paused or stopped instance sends no
# metrics and is not in trouble, hence notBreaching.

resource "aws_cloudwatch_metric_alarm" "cpu" {
  for_each = local.instances

  alarm_name        = "${local.name}-${each.key}-cpu"
  alarm_description = "CPU of ${each.value} above 80 % of what its ceiling of ${var.max_capacity} ACU gives, for 10 minutes. ${local.runbook}"

  namespace           = "AWS/RDS"
  metric_name         = "CPUUtilization"
  dimensions          = { DBInstanceIdentifier = each.value }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  period              = 300
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"

  alarm_actions = local.alarm_actions
  ok_actions    = local.alarm_actions
  tags          = merge(local.tags, { Name = "${local.name}-${each.key}-cpu" })
}

resource "aws_cloudwatch_metric_alarm" "capacity" {
  for_each = local.instances

  alarm_name        = "${local.name}-${each.key}-capacity"
  alarm_description = "Capacity of ${each.value} above 80 % of its ceiling of ${var.max_capacity} ACU for 10 minutes. ${local.runbook}"

  namespace           = "AWS/RDS"
  metric_name         = "ACUUtilization"
  dimensions          = { DBInstanceIdentifier = each.value }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  period              = 300
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"

  alarm_actions = local.alarm_actions
  ok_actions    = local.alarm_actions
  tags          = merge(local.tags, { Name = "${local.name}-${each.key}-capacity" })
}

resource "aws_cloudwatch_metric_alarm" "connections" {
  for_each = local.instances

  alarm_name        = "${local.name}-${each.key}-connections"
  alarm_description = "More than ${local.connections_threshold} connections to ${each.value} for 10 minutes; about ${local.max_connections} are possible. ${local.runbook}"

  namespace           = "AWS/RDS"
  metric_name         = "DatabaseConnections"
  dimensions          = { DBInstanceIdentifier = each.value }
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = local.connections_threshold
  period              = 300
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"

  alarm_actions = local.alarm_actions
  ok_actions    = local.alarm_actions
  tags          = merge(local.tags, { Name = "${local.name}-${each.key}-connections" })
}
