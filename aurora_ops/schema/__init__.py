"""The schema of a database: its files, loading them, and whether it is the one that was meant."""
