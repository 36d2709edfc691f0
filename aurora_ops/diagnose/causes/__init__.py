"""From load to cause: what the database itself says about why it is slow, each look optional and named where it could not look."""
