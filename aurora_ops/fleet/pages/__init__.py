"""The pages that a fleet leaves: what each kind shows of a cluster, its charts, its table, its files."""
