# The backup and the maintenance window, in minutes. Both may run over midnight, and the second over the
# end of the week. The rules they must keep are preconditions of the cluster.

locals {
  days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

  # [start, end] since midnight, and since Monday.
  backup_times = [
    for time in regexall("([0-9]{2}):([0-9]{2})", var.preferred_backup_window) :
    tonumber(time[0]) * 60 + tonumber(time[1])
  ]
  maintenance_times = [
    for time in regexall("([a-z]{3}):([0-9]{2}):([0-9]{2})", var.preferred_maintenance_window) :
    index(local.days, time[0]) * 1440 + tonumber(time[1]) * 60 + tonumber(time[2])
  ]

  backup_minutes      = (local.backup_times[1] - local.backup_times[0] + 1440) % 1440
  maintenance_minutes = (local.maintenance_times[1] - local.maintenance_times[0] + 10080) % 10080

  # Backups run every day, so only the time of day of the maintenance counts. Two windows meet when
  # either begins while the other is open.
  windows_meet = (
    (local.maintenance_times[0] - local.backup_times[0] + 10080) % 1440 < local.backup_minutes ||
    (local.backup_times[0] - local.maintenance_times[0] + 10080) % 1440 < local.maintenance_minutes
  )
}
