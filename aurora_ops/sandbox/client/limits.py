"""The name of a limit that holds for every operation."""

EVERY = "*"  # every operation that is not named, each with a bucket of its own
