"""Queries and what is asked of a database."""
