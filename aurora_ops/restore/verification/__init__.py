"""Verifying a copy that somebody else restored."""
