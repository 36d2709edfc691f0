"""Environments built, changed, compared and destroyed through Terraform."""
