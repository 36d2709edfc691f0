# A Fargate task for the drill and one for the sweeper, started by EventBridge Scheduler. The image is this repository with its
# requirements installed, and the AWS CLI; the roles are yours: what a drill may do is in the runbook's preflight.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100"
    }
  }
}

locals {
  # A profile without keys: the task's own role. The target of a run is the name of a profile.
  profile = "printf '[profile drills]\\ncredential_source = EcsContainer\\nrole_arn = %s\\n' \"$DRILL_ROLE_ARN\" > /tmp/aws && export AWS_CONFIG_FILE=/tmp/aws"
  # Evidence leaves before the task ends, whatever the verdict, and the verdict is the task's exit code.
  keep = "code=$?; aws s3 cp --recursive --quiet runs s3://${var.evidence_bucket}/runs; exit $code"

  tasks = {
    restore-drill = {
      schedule = var.drill_schedule
      command  = "aurora-ops run restore-drill --target drills -p cluster ${var.cluster_identifier} -p depth ${var.depth} -p publish_metric true -p max_cost_usd ${var.max_cost_usd}"
    }
    clean-up-restore-drills = {
      schedule = var.sweeper_schedule
      command  = "aurora-ops run clean-up-restore-drills --target drills -p cluster ${var.cluster_identifier} -p scheduled true"
    }
  }
}

data "aws_region" "current" {}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_158:a drill prints names and verdicts, no rows and no secrets; give it a key of yours where that is asked for
  # checkov:skip=CKV_AWS_338:the evidence bucket keeps what is to be kept

  name              = "/aurora-ops/${var.cluster_identifier}"
  retention_in_days = 90
}

resource "aws_ecs_cluster" "this" {
  # checkov:skip=CKV_AWS_65:two short tasks a day whose verdict is their exit code

  name = "${var.cluster_identifier}-drills"
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.tasks

  family                   = "${var.cluster_identifier}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 2048
  execution_role_arn       = var.execution_role_arn
  task_role_arn            = var.task_role_arn

  container_definitions = jsonencode([{
    name        = each.key
    image       = var.image
    command     = ["sh", "-c", "${local.profile}; ${each.value.command}; ${local.keep}"]
    environment = [{ name = "DRILL_ROLE_ARN", value = var.drill_role_arn }]
    stopTimeout = 120 # the most that Fargate gives a clean-up; what it does not manage, the sweeper does
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = data.aws_region.current.name
        awslogs-stream-prefix = each.key
      }
    }
  }])
}

resource "aws_scheduler_schedule" "this" {
  # checkov:skip=CKV_AWS_297:the schedule holds a command line without secrets

  for_each = local.tasks

  name                = "${var.cluster_identifier}-${each.key}"
  schedule_expression = each.value.schedule

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = var.scheduler_role_arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.this[each.key].arn
      launch_type         = "FARGATE"

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = var.security_group_ids
        assign_public_ip = false
      }
    }

    retry_policy {
      maximum_retry_attempts = 0 # a task that did start and failed is no reason for a second copy
    }
  }
}
