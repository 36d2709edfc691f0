"""A baseline: what a cluster held at one second, recorded to a file, for the day on which the cluster is gone."""
