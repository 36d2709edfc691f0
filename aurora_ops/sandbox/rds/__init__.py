"""RDS itself: clusters, instances, snapshots, restores, upgrades, events."""
