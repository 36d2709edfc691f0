# PostgreSQL settings. A major upgrade needs the new groups while the old ones are still in use, so each major version has
# groups of its own, by name and by address: one resource that changed its name instead would, after an upgrade that AWS refused
# and that was put back, try to create the old group anew, which is still there.

locals {
  parameter_family = "aurora-postgresql${local.engine_major}"
}

resource "aws_rds_cluster_parameter_group" "this" {
  for_each = toset([local.parameter_family])

  name        = "${local.name}-cluster-pg${local.engine_major}"
  family      = each.key
  description = "Cluster settings of ${local.cluster_id}"

  # Off by default until PostgreSQL 17: connections without TLS would be accepted.
  parameter {
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "immediate"
  }

  parameter {
    name         = "shared_preload_libraries"
    value        = "pg_stat_statements"
    apply_method = "pending-reboot" # static: it takes effect when an instance starts
  }

  # Commits carry their time: a restore drill tells by it which second came back.
  parameter {
    name         = "track_commit_timestamp"
    value        = "1"
    apply_method = "pending-reboot"
  }

  tags = merge(local.tags, { Name = "${local.name}-cluster-pg${local.engine_major}" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_parameter_group" "this" {
  for_each = toset([local.parameter_family])

  name        = "${local.name}-instance-pg${local.engine_major}"
  family      = each.key
  description = "Instance settings of ${local.cluster_id}"

  # Statements slower than a second go to the log, with their text.
  parameter {
    name         = "log_min_duration_statement"
    value        = "1000"
    apply_method = "immediate"
  }

  # Tells time spent reading from time spent computing, in EXPLAIN and pg_stat_statements.
  parameter {
    name         = "track_io_timing"
    value        = "1"
    apply_method = "immediate"
  }

  tags = merge(local.tags, { Name = "${local.name}-instance-pg${local.engine_major}" })

  lifecycle {
    create_before_destroy = true
  }
}

# States written before each version had an address of its own. A move goes to one address, so to that of the version that the
# module begins with; README, "From an earlier state", has the commands for the others.
moved {
  from = aws_rds_cluster_parameter_group.this
  to   = aws_rds_cluster_parameter_group.this["aurora-postgresql15"]
}

moved {
  from = aws_db_parameter_group.this
  to   = aws_db_parameter_group.this["aurora-postgresql15"]
}
