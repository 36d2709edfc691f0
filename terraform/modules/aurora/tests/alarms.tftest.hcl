# Alarms: one of each per instance, with thresholds that can be reached.

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

run "each_instance_has_each_alarm" {
  command = apply

  variables {
    reader_count = 2
  }

  assert {
    condition = alltrue([
      for alarms in [aws_cloudwatch_metric_alarm.cpu, aws_cloudwatch_metric_alarm.capacity, aws_cloudwatch_metric_alarm.connections] :
      { for key, alarm in alarms : key => alarm.dimensions.DBInstanceIdentifier } == {
        "writer"   = "miyabi-stg-aurora-writer"
        "reader-1" = "miyabi-stg-aurora-reader-1"
        "reader-2" = "miyabi-stg-aurora-reader-2"
      }
    ])
    error_message = "Per instance: a cluster's metric is an average in which an idle reader hides a busy writer."
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.cpu),
        values(aws_cloudwatch_metric_alarm.capacity),
        values(aws_cloudwatch_metric_alarm.connections),
      ) :
      alarm.namespace == "AWS/RDS" && length(alarm.dimensions) == 1 && alarm.statistic == "Average" &&
      alarm.comparison_operator == "GreaterThanThreshold" && alarm.treat_missing_data == "notBreaching" &&
      alarm.period == 300 && alarm.evaluation_periods == 2
    ])
    error_message = "The average of ten minutes; a paused instance is not in trouble."
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.cpu),
        values(aws_cloudwatch_metric_alarm.capacity),
        values(aws_cloudwatch_metric_alarm.connections),
      ) :
      strcontains(alarm.alarm_description, alarm.dimensions.DBInstanceIdentifier) && strcontains(alarm.alarm_description, "Runbook: ")
    ])
    error_message = "The description says which instance, and what to open."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.cpu["writer"].metric_name == "CPUUtilization" && aws_cloudwatch_metric_alarm.cpu["writer"].threshold == 80
    error_message = "CPU above 80 %."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.capacity["writer"].metric_name == "ACUUtilization" && aws_cloudwatch_metric_alarm.capacity["writer"].threshold == 80
    error_message = "Capacity above 80 % of the ceiling."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].metric_name == "DatabaseConnections"
    error_message = "Connections."
  }
}

run "without_a_topic_the_alarms_exist_and_tell_nobody" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.cpu["writer"], aws_cloudwatch_metric_alarm.capacity["writer"], aws_cloudwatch_metric_alarm.connections["writer"]] :
      length(coalesce(alarm.alarm_actions, [])) == 0 && length(coalesce(alarm.ok_actions, [])) == 0
    ])
    error_message = "No actions."
  }
}

run "with_a_topic_it_hears_of_alarm_and_end" {
  command = plan

  variables {
    alarm_sns_topic_arn = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
  }

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.cpu["writer"], aws_cloudwatch_metric_alarm.capacity["reader-1"], aws_cloudwatch_metric_alarm.connections["writer"]] :
      alarm.alarm_actions == toset([var.alarm_sns_topic_arn]) && alarm.ok_actions == toset([var.alarm_sns_topic_arn]) && length(coalesce(alarm.insufficient_data_actions, [])) == 0
    ])
    error_message = "Alarm and OK, but not missing data."
  }
}

run "connections_from_0_5_to_1_acu" {
  command = plan

  variables {
    min_capacity = 0.5
    max_capacity = 1
  }

  assert {
    condition     = output.estimated_max_connections == 189
    error_message = "AWS allows 189, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 151
    error_message = "The alarm is at 151, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_0_5_to_2_acu" {
  command = plan

  variables {
    min_capacity = 0.5
    max_capacity = 2
  }

  assert {
    condition     = output.estimated_max_connections == 400
    error_message = "AWS allows 400, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 320
    error_message = "The alarm is at 320, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_1_to_4_acu" {
  command = plan

  variables {
    min_capacity = 1
    max_capacity = 4
  }

  assert {
    condition     = output.estimated_max_connections == 823
    error_message = "AWS allows 823, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 658
    error_message = "The alarm is at 658, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_0_5_to_8_acu" {
  command = plan

  variables {
    min_capacity = 0.5
    max_capacity = 8
  }

  assert {
    condition     = output.estimated_max_connections == 1669
    error_message = "AWS allows 1669, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 800
    error_message = "The alarm is at 800, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_0_5_to_16_acu" {
  command = plan

  variables {
    min_capacity = 0.5
    max_capacity = 16
  }

  assert {
    condition     = output.estimated_max_connections == 2000
    error_message = "AWS allows 2000, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 800
    error_message = "The alarm is at 800, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_1_to_16_acu" {
  command = plan

  variables {
    min_capacity = 1
    max_capacity = 16
  }

  assert {
    condition     = output.estimated_max_connections == 3360
    error_message = "AWS allows 3360, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 800
    error_message = "The alarm is at 800, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_1_to_32_acu" {
  command = plan

  variables {
    min_capacity = 1
    max_capacity = 32
  }

  assert {
    condition     = output.estimated_max_connections == 5000
    error_message = "AWS allows 5000, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 800
    error_message = "The alarm is at 800, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_0_to_256_acu" {
  command = plan

  variables {
    min_capacity = 0
    max_capacity = 256
  }

  assert {
    condition     = output.estimated_max_connections == 2000
    error_message = "AWS allows 2000, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 800
    error_message = "The alarm is at 800, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}

run "connections_from_8_to_256_acu" {
  command = plan

  variables {
    min_capacity = 8
    max_capacity = 256
  }

  assert {
    condition     = output.estimated_max_connections == 5000
    error_message = "AWS allows 5000, not ${output.estimated_max_connections}."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.connections["writer"].threshold == 800
    error_message = "The alarm is at 800, not ${aws_cloudwatch_metric_alarm.connections["writer"].threshold}."
  }
}
