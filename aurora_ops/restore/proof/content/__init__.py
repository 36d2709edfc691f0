"""The rows of a database, on both sides of a restore: what there is, how it is read, compared, and how much of it."""
