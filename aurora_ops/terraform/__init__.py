"""Terraform: the program, its plans, its state, and how they differ from what there is."""
