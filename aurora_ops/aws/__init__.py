"""AWS: the session, the cluster, metrics and insights; `changes` is the only caller of operations that change something."""
