# Alarms: what each instance has, to whom they tell it, and thresholds that can be reached.

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
}

run "each_instance_has_each_alarm_of_its_role" {
  command = plan

  variables {
    reader_count = 2
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => "${alarm.metric_name} ${alarm.comparison_operator} ${alarm.threshold} ${alarm.dimensions.DBInstanceIdentifier}" } == {
      writer-cpu             = "CPUUtilization GreaterThanThreshold 80 miyabi-stg-aurora-writer"
      writer-capacity        = "ACUUtilization GreaterThanThreshold 80 miyabi-stg-aurora-writer"
      writer-connections     = "DatabaseConnections GreaterThanThreshold 800 miyabi-stg-aurora-writer"
      writer-local-storage   = "FreeLocalStorage LessThanThreshold 1073741824 miyabi-stg-aurora-writer"
      writer-transaction-ids = "MaximumUsedTransactionIDs GreaterThanThreshold 1000000000 miyabi-stg-aurora-writer"
      reader-1-cpu           = "CPUUtilization GreaterThanThreshold 80 miyabi-stg-aurora-reader-1"
      reader-1-capacity      = "ACUUtilization GreaterThanThreshold 80 miyabi-stg-aurora-reader-1"
      reader-1-connections   = "DatabaseConnections GreaterThanThreshold 800 miyabi-stg-aurora-reader-1"
      reader-1-local-storage = "FreeLocalStorage LessThanThreshold 1073741824 miyabi-stg-aurora-reader-1"
      reader-1-replica-lag   = "AuroraReplicaLag GreaterThanThreshold 1000 miyabi-stg-aurora-reader-1"
      reader-2-cpu           = "CPUUtilization GreaterThanThreshold 80 miyabi-stg-aurora-reader-2"
      reader-2-capacity      = "ACUUtilization GreaterThanThreshold 80 miyabi-stg-aurora-reader-2"
      reader-2-connections   = "DatabaseConnections GreaterThanThreshold 800 miyabi-stg-aurora-reader-2"
      reader-2-local-storage = "FreeLocalStorage LessThanThreshold 1073741824 miyabi-stg-aurora-reader-2"
      reader-2-replica-lag   = "AuroraReplicaLag GreaterThanThreshold 1000 miyabi-stg-aurora-reader-2"
    }
    error_message = "Per instance: a cluster's metric is an average in which an idle reader hides a busy writer. A writer has no lag; the age of transaction ids is the volume's, so one instance tells it."
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      alarm.namespace == "AWS/RDS" && length(alarm.dimensions) == 1 && alarm.statistic == "Average" &&
      alarm.treat_missing_data == "notBreaching" && alarm.period == 300 && alarm.evaluation_periods == 2
    ])
    error_message = "The average of ten minutes; a paused instance is not in trouble."
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      startswith(alarm.alarm_description, "${alarm.dimensions.DBInstanceIdentifier}: ") &&
      endswith(alarm.alarm_description, " Runbook: ${alarm.tags.Runbook} (aurora-ops run ${alarm.tags.Runbook} -p alarm ${alarm.alarm_name} -p region ap-northeast-1).")
    ])
    error_message = "The description says which instance, and the command to run as it stands; a tag has its page."
  }

  assert {
    condition     = alltrue([for key, alarm in aws_cloudwatch_metric_alarm.this : endswith(key, trimprefix(alarm.tags.Runbook, "alarm"))])
    error_message = "A page is called as the alarm is."
  }

  # "Instance-level metrics for Amazon Aurora" in the Aurora User Guide, those of PostgreSQL. Names are case-sensitive.
  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) : contains([
        "ACUUtilization", "AuroraReplicaLag", "AuroraReplicaLagMaximum", "AuroraReplicaLagMinimum", "BufferCacheHitRatio", "CommitLatency",
        "CommitThroughput", "CPUUtilization", "DatabaseConnections", "Deadlocks", "DiskQueueDepth", "EBSByteBalance%", "EBSIOBalance%",
        "EngineUptime", "FreeableMemory", "FreeLocalStorage", "MaximumUsedTransactionIDs", "NetworkReceiveThroughput", "NetworkThroughput",
        "NetworkTransmitThroughput", "OldestReplicationSlotLag", "ReadIOPS", "ReadLatency", "ReadThroughput", "ReplicationSlotDiskUsage",
        "ServerlessDatabaseCapacity", "StorageNetworkReceiveThroughput", "StorageNetworkThroughput", "StorageNetworkTransmitThroughput",
        "SwapUsage", "TempStorageIOPS", "TempStorageThroughput", "TransactionLogsDiskUsage", "WriteIOPS", "WriteLatency", "WriteThroughput",
      ], alarm.metric_name)
    ])
    error_message = "A metric that AWS does not publish of an instance is silent for ever."
  }
}

run "without_a_topic_the_alarms_exist_and_tell_nobody" {
  command = plan

  assert {
    condition = length(aws_cloudwatch_metric_alarm.this) == 10 && alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      length(coalesce(alarm.alarm_actions, [])) == 0 && length(coalesce(alarm.ok_actions, [])) == 0
    ])
    error_message = "No actions."
  }

  assert {
    condition     = length(aws_db_event_subscription.this) == 0
    error_message = "A subscription without a topic does not exist."
  }
}

run "with_a_topic_it_hears_of_alarm_and_end_and_of_failovers" {
  command = plan

  variables {
    alarm_sns_topic_arn = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    event_subscription  = true
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      alarm.alarm_actions == toset([var.alarm_sns_topic_arn]) && alarm.ok_actions == toset([var.alarm_sns_topic_arn]) && length(coalesce(alarm.insufficient_data_actions, [])) == 0
    ])
    error_message = "Alarm and OK, but not missing data."
  }

  assert {
    condition = { for key, it in aws_db_event_subscription.this : key => "${it.source_type} ${join(" ", sort(it.source_ids))}" } == {
      cluster  = "db-cluster miyabi-stg-aurora-cluster"
      instance = "db-instance miyabi-stg-aurora-reader-1 miyabi-stg-aurora-writer"
    }
    error_message = "This cluster and its instances, and no other's."
  }

  assert {
    condition     = alltrue([for it in values(aws_db_event_subscription.this) : sort(it.event_categories) == tolist(["failover", "failure"]) && it.sns_topic == var.alarm_sns_topic_arn])
    error_message = "Failovers and failures; the rest is in the event history."
  }
}

run "connections_across_ceilings_from_1_to_256_acu" {
  command = plan

  module {
    source = "./tests/ceilings"
  }

  # AWS's table: 189 at 1 ACU, 823 at 4, 1669 at 8, 3360 at 16, 5000 from 32, and 2000 at most with a floor of 0.5 or less.
  assert {
    condition = { for range, cluster in output.clusters : range => [cluster.max_connections, cluster.alarm_above] } == {
      "0.5 1"   = [189, 151]
      "0.5 1.5" = [294, 235]
      "0.5 2"   = [400, 320]
      "0.5 4"   = [823, 658]
      "0.5 4.5" = [929, 743]
      "0.5 5"   = [1034, 800]
      "0.5 8"   = [1669, 800]
      "0.5 9.5" = [1986, 800]
      "0.5 10"  = [2000, 800]
      "0.5 16"  = [2000, 800]
      "0.5 128" = [2000, 800]
      "0.5 256" = [2000, 800]
      "0 1"     = [189, 151]
      "0 256"   = [2000, 800]
      "1 1"     = [189, 151]
      "1 4"     = [823, 658]
      "1 8"     = [1669, 800]
      "1 16"    = [3360, 800]
      "1 23.5"  = [4946, 800]
      "1 32"    = [5000, 800]
      "1 64"    = [5000, 800]
      "8 256"   = [5000, 800]
    }
    error_message = "Of each range, the connections that AWS allows and the threshold of the alarm: ${jsonencode(output.clusters)}"
  }

  assert {
    condition     = alltrue([for cluster in output.clusters : cluster.alarm_above < cluster.max_connections])
    error_message = "An alarm that its ceiling cannot reach is none."
  }

  assert {
    condition     = alltrue([for cluster in output.clusters : jsonencode(cluster.other_thresholds) == jsonencode({ cpu = 80, capacity = 80, local-storage = 1073741824, transaction-ids = 1000000000 })])
    error_message = "The other thresholds do not depend on the capacity."
  }
}

run "no_alarm_about_restore_drills_unless_asked_for" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.restore_proof) == 0
    error_message = "Where no drill is scheduled, it would never be quiet."
  }
}

run "a_backup_that_nobody_proved_is_told" {
  command = plan

  variables {
    restore_proof_hours = 26
  }

  assert {
    condition     = [for alarm in aws_cloudwatch_metric_alarm.restore_proof : "${alarm.namespace} ${alarm.metric_name} ${alarm.statistic} ${alarm.comparison_operator} ${alarm.threshold}, ${alarm.evaluation_periods} x ${alarm.period}, ${alarm.treat_missing_data}"] == ["AuroraOps HoursSinceLastProof Minimum GreaterThanThreshold 0, 26 x 3600, breaching"]
    error_message = "Quiet while one of the last 26 hours had a 0; an hour without data is one without a proof."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.restore_proof[0].dimensions.DBClusterIdentifier == "miyabi-stg-aurora-cluster" && strcontains(aws_cloudwatch_metric_alarm.restore_proof[0].alarm_description, "Runbook: respond-to-missing-drill (aurora-ops run respond-to-missing-drill -p cluster miyabi-stg-aurora-cluster -p region ap-northeast-1)") && aws_cloudwatch_metric_alarm.restore_proof[0].tags.Runbook == "respond-to-missing-drill"
    error_message = "Of this cluster, with what to open."
  }
}
