"""The fail-over runbook: a client that keeps writing while the writer changes."""
