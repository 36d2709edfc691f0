"""Copies of a cluster: made from its backups with what they do not carry, and removed again with all that belongs to them."""
