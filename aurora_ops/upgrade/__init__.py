"""Another engine version for a cluster that runs: what stands in the way, a rehearsal on a restored copy, and the upgrade itself."""
