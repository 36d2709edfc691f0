# The outputs of the specification, in its order.

output "cluster_id" {
  description = "Cluster identifier"
  value       = aws_rds_cluster.this.cluster_identifier
}

output "cluster_endpoint" {
  description = "Writer endpoint"
  value       = aws_rds_cluster.this.endpoint
}

output "cluster_reader_endpoint" {
  description = "Reader endpoint. Without readers it leads to the writer."
  value       = aws_rds_cluster.this.reader_endpoint
}

output "cluster_port" {
  description = "Port"
  value       = aws_rds_cluster.this.port
}

output "cluster_database_name" {
  description = "Name of the database"
  value       = aws_rds_cluster.this.database_name
}

output "security_group_id" {
  description = "Security group of the cluster"
  value       = aws_security_group.this.id
}

output "connection_string" {
  description = "Connection string without password. It verifies the server's certificate: add sslrootcert with the path of the RDS certificate bundle."
  value       = "postgresql://${aws_rds_cluster.this.master_username}@${aws_rds_cluster.this.endpoint}:${aws_rds_cluster.this.port}/${aws_rds_cluster.this.database_name}?sslmode=verify-full"
}

output "writer_instance_id" {
  description = "Instance created as the writer. After a failover another instance may have the role."
  value       = aws_rds_cluster_instance.writer.identifier
}

output "reader_instance_ids" {
  description = "Instances created as readers, in the order of their numbers"
  value       = [for number in range(1, var.reader_count + 1) : aws_rds_cluster_instance.reader["reader-${number}"].identifier]
}

# Beyond the specification: what the notebooks and runbooks ask for.

output "cluster_resource_id" {
  description = "Immutable id of the cluster, as IAM database authentication policies name it"
  value       = aws_rds_cluster.this.cluster_resource_id
}

output "capacity_range" {
  description = "What the cost depends on: instances, and the floor and ceiling in ACU of each"
  value = {
    instances = 1 + var.reader_count
    min_acu   = var.min_capacity
    max_acu   = var.max_capacity
  }
}

output "estimated_max_connections" {
  description = "Connections that the capacity range allows per instance"
  value       = local.max_connections
}

output "alarm_names" {
  description = "CloudWatch alarms, five per instance"
  value       = sort([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name])
}

output "alarm_thresholds" {
  description = "Threshold of each alarm, by the alarm's name: the line that a chart draws"
  value       = { for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name => alarm.threshold }
}

output "master_user_secret_arn" {
  description = "Secret in which RDS keeps the master password; null unless manage_master_user_password"
  value       = one(aws_rds_cluster.this.master_user_secret[*].secret_arn)
}

output "log_group_name" {
  description = "CloudWatch log group of the PostgreSQL log"
  value       = aws_cloudwatch_log_group.postgresql.name
}

output "final_snapshot_identifier" {
  description = "Snapshot that deleting the cluster leaves, unless skip_final_snapshot"
  value       = aws_rds_cluster.this.final_snapshot_identifier
}
