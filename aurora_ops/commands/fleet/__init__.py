"""`aurora-ops fleet`."""
