"""RDS itself: clusters, instances, snapshots, restores, upgrades, events. `backend` is what moto calls."""
