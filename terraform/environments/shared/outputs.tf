# The module's outputs, passed through.

output "cluster_id" {
  description = "Cluster identifier"
  value       = module.aurora.cluster_id
}

output "cluster_endpoint" {
  description = "Writer endpoint"
  value       = module.aurora.cluster_endpoint
}

output "cluster_reader_endpoint" {
  description = "Reader endpoint. Without readers it leads to the writer."
  value       = module.aurora.cluster_reader_endpoint
}

output "cluster_port" {
  description = "Port"
  value       = module.aurora.cluster_port
}

output "cluster_database_name" {
  description = "Name of the database"
  value       = module.aurora.cluster_database_name
}

output "security_group_id" {
  description = "Security group of the cluster"
  value       = module.aurora.security_group_id
}

output "connection_string" {
  description = "Connection string without password. It verifies the server's certificate: add sslrootcert with the path of the RDS certificate bundle."
  value       = module.aurora.connection_string
}

output "writer_instance_id" {
  description = "Instance created as the writer. After a failover another instance may have the role."
  value       = module.aurora.writer_instance_id
}

output "reader_instance_ids" {
  description = "Instances created as readers, in the order of their numbers"
  value       = module.aurora.reader_instance_ids
}

output "cluster_resource_id" {
  description = "Immutable id of the cluster, as IAM database authentication policies name it"
  value       = module.aurora.cluster_resource_id
}

output "capacity_range" {
  description = "What the cost depends on: instances, and the floor and ceiling in ACU of each"
  value       = module.aurora.capacity_range
}

output "estimated_max_connections" {
  description = "Connections that the capacity range allows per instance"
  value       = module.aurora.estimated_max_connections
}

output "alarm_names" {
  description = "CloudWatch alarms, five per instance"
  value       = module.aurora.alarm_names
}

output "alarm_thresholds" {
  description = "Threshold of each alarm, by the alarm's name: the line that a chart draws"
  value       = module.aurora.alarm_thresholds
}

output "master_user_secret_arn" {
  description = "Secret in which RDS keeps the master password; null unless manage_master_user_password"
  value       = module.aurora.master_user_secret_arn
}

output "log_group_name" {
  description = "CloudWatch log group of the PostgreSQL log"
  value       = module.aurora.log_group_name
}

output "final_snapshot_identifier" {
  description = "Snapshot that deleting the cluster leaves, unless skip_final_snapshot"
  value       = module.aurora.final_snapshot_identifier
}
